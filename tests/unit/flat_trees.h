/* Random trees of flat operators inside a loop, for backends that are compared with the flat interpreter. Inputs are
 * small multiples of 1/2 and the operators keep them so: every result is exact. */
#ifndef FV_TEST_FLAT_TREES_H
#define FV_TEST_FLAT_TREES_H
#include "llvm_kit.h"

enum { TREES = 24, SPAN = 64, TRIPS = 3 };

static uint32_t state;
static int pick(int n) {
    state = state * 1664525U + 1013904223U;
    return (int)((state >> 8) % (uint32_t)n);
}

typedef struct {
    kit t;
    const fv_tensor *x, *n, *y, *m;
    E i;
} round_of;

static E tree(round_of *r, fv_type type, int lanes, int depth);

static E leaf(round_of *r, fv_type type, int lanes) {
    kit *t = &r->t;
    E at = fv_add(t->ctx, fv_muli(t->ctx, r->i, pick(3) * 5), kit_i(t, pick(16)));
    if (type == FV_BOOL) return kit_splat(t, fv_bool(t->ctx, pick(2)), lanes);
    if (type == FV_I32) switch (pick(5)) {
        case 0: return kit_splat(t, kit_i(t, pick(19) - 9), lanes);
        case 1: return lanes > 1 ? kit_make(t, FV_X_IOTA, FV_I32, lanes, NULL, NULL, NULL) : r->i;
        case 2: return kit_splat(t, r->i, lanes);
        default: return kit_load(t, &r->n->obj, lanes, at);
        }
    return pick(3) ? kit_load(t, &r->x->obj, lanes, at) : kit_splat(t, kit_f(t, (pick(19) - 9) * 0.5), lanes);
}

static E int_tree(round_of *r, int lanes, int depth) {
    static const fv_op ops[] = {FV_X_ADD, FV_X_SUB, FV_X_MIN, FV_X_MAX, FV_X_FLOORDIV, FV_X_MOD, FV_X_ADD};
    kit *t = &r->t;
    switch (pick(8)) {
    case 0: return kit_make(t, FV_X_FLOOR, FV_I32, lanes, tree(r, FV_F32, lanes, depth), NULL, NULL);
    case 1:
        return fv_op3(t->ctx, FV_X_WHERE, tree(r, FV_BOOL, lanes, depth), tree(r, FV_I32, lanes, depth),
                      tree(r, FV_I32, lanes, depth));
    case 2: return fv_op2(t->ctx, FV_X_MUL, tree(r, FV_I32, lanes, depth), kit_splat(t, kit_i(t, pick(7) - 3), lanes));
    case 3: return fv_op1(t->ctx, pick(2) ? FV_X_NEG : FV_X_ABS, tree(r, FV_I32, lanes, depth));
    default: return fv_op2(t->ctx, ops[pick(7)], tree(r, FV_I32, lanes, depth), tree(r, FV_I32, lanes, depth));
    }
}

static E bool_tree(round_of *r, int lanes, int depth) {
    static const fv_op compare[] = {FV_X_LT, FV_X_LE, FV_X_EQ, FV_X_NE};
    kit *t = &r->t;
    fv_type type = pick(2) ? FV_I32 : FV_F32;
    switch (pick(5)) {
    case 0:
        return fv_op2(t->ctx, pick(2) ? FV_X_AND : FV_X_OR, tree(r, FV_BOOL, lanes, depth),
                      tree(r, FV_BOOL, lanes, depth));
    case 1: return fv_op1(t->ctx, FV_X_NOT, tree(r, FV_BOOL, lanes, depth));
    default: return fv_op2(t->ctx, compare[pick(4)], tree(r, type, lanes, depth), tree(r, type, lanes, depth));
    }
}

static E float_tree(round_of *r, int lanes, int depth) {
    static const fv_op ops[] = {FV_X_ADD, FV_X_SUB, FV_X_MIN, FV_X_MAX, FV_X_ADD};
    kit *t = &r->t;
    E a = tree(r, FV_F32, lanes, depth), half = kit_splat(t, kit_f(t, 2), lanes);
    switch (pick(9)) {
    case 0: return fv_op1(t->ctx, FV_X_TOFLOAT, tree(r, FV_I32, lanes, depth));
    case 1: return fv_op3(t->ctx, FV_X_WHERE, tree(r, FV_BOOL, lanes, depth), a, tree(r, FV_F32, lanes, depth));
    case 2: return fv_op3(t->ctx, FV_X_FMA, a, half, tree(r, FV_F32, lanes, depth));
    case 3: return fv_op1(t->ctx, pick(2) ? FV_X_NEG : FV_X_ABS, a);
    case 4:
        return lanes > 1 ? kit_splat(t, kit_make(t, pick(2) ? FV_X_HSUM : FV_X_HMAX, FV_F32, 1, a, NULL, NULL), lanes)
                         : a;
    case 5: return fv_op2(t->ctx, FV_X_MUL, a, half);
    default: return fv_op2(t->ctx, ops[pick(5)], a, tree(r, FV_F32, lanes, depth));
    }
}

static E tree(round_of *r, fv_type type, int lanes, int depth) {
    if (depth == 0 || pick(6) == 0) return leaf(r, type, lanes);
    return type == FV_F32   ? float_tree(r, lanes, depth - 1)
           : type == FV_I32 ? int_tree(r, lanes, depth - 1)
                            : bool_tree(r, lanes, depth - 1);
}

/* Half of the trees are bound by a LET first, and a stored value is read again, so that order matters. */
static round_of make_round(int lanes) {
    round_of r = {.t = kit_new()};
    kit *t = &r.t;
    int64_t out = TREES * TRIPS * 16;
    r.x = kit_tensor(t, "x", FV_F32, FV_ROLE_IN, SPAN);
    r.n = kit_tensor(t, "n", FV_I32, FV_ROLE_IN, SPAN);
    r.y = kit_tensor(t, "y", FV_F32, FV_ROLE_INOUT, out);
    r.m = kit_tensor(t, "m", FV_I32, FV_ROLE_INOUT, out);
    r.i = kit_var(t, "i");
    fv_memory *reg = kit_alloc(t, "reg", FV_SPACE_REG, FV_F32, lanes, 1, 0);
    kit_store(t, NULL, reg, kit_i(t, 0), kit_splat(t, kit_f(t, 0.5), lanes));
    fv_flats body, *top = kit_for(t, "i", kit_i(t, 0), kit_i(t, TRIPS), 1, &body);
    for (int k = 0; k < TREES; k++) {
        fv_type type = k % 3 == 2 ? FV_I32 : FV_F32;
        E v = tree(&r, type, lanes, 4), at = fv_addi(t->ctx, fv_muli(t->ctx, r.i, TREES * 16), k * 16);
        char name[8];
        snprintf(name, sizeof name, "v%d", k);
        if (pick(2)) v = kit_let(t, name, v);
        if (type == FV_F32 && pick(3) == 0) {
            kit_store(t, NULL, reg, kit_i(t, 0),
                      fv_op2(t->ctx, FV_X_MIN, kit_splat(t, kit_f(t, 100), lanes),
                             fv_add(t->ctx, kit_load(t, &reg->obj, lanes, kit_i(t, 0)), v)));
            v = kit_load(t, &reg->obj, lanes, kit_i(t, 0));
        }
        kit_store(t, type == FV_F32 ? r.y : r.m, NULL, at, v);
    }
    t->at = top;
    kit_last(t)->body = body.first;
    t->k->body = t->top.first;
    return r;
}

/* Inputs of a round: data are those of the interpreter, x and n the same in memory. */
static void fill_round(double *dx, double *dn, float *x, int32_t *n) {
    for (int i = 0; i < SPAN; i++) {
        dx[i] = (double)(x[i] = (float)(pick(81) - 40) * 0.5F);
        dn[i] = n[i] = pick(61) - 30;
    }
}
static const int round_lanes[] = {1, 4, 8, 16};
static round_of round_of_seed(uint32_t seed) {
    state = seed * 2654435769U;
    return make_round(round_lanes[seed % 4]);
}
#endif
