/* The pool of expressions: hash-consing, builders, types. Invariant: equal (op, type, lanes, i, f, name, ref, args)
 * is one pointer, and an argument's id is below its user's. Folding rules live in fold*.c, sums in affine.c. */
#include "expr/expr_internal.h"

#include <math.h>
#include <string.h>

typedef struct { const fv_expr *e; uint32_t hash; } entry;
typedef struct { entry *slot; uint32_t cap, n; } pool;
typedef struct {
    fv_op op;
    fv_type type;
    int lanes, n;
    int64_t i;
    double f;
    fv_str name;
    const fv_obj *ref;
    const fv_expr *const *arg;
} key;

static pool *pool_of(fv_ctx *ctx) {
    void **slot = fv_ctx_slot(ctx);
    if (!*slot) {
        pool *p = FV_NEW(ctx, pool);
        p->cap = 1024;
        p->slot = FV_NEWN(ctx, entry, p->cap);
        *slot = p;
    }
    return *slot;
}
static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}
static uint64_t bits(double f) { uint64_t u; memcpy(&u, &f, sizeof u); return u; }
static uint32_t hash_of(const key *k) {
    uint64_t shape = (uint64_t)k->op | (uint64_t)k->type << 8 | (uint64_t)(uint32_t)k->lanes << 16;
    shape |= (uint64_t)(uint32_t)k->n << 40;
    uint64_t h = mix(FV_HASH_SEED, shape);
    h = mix(h, (uint64_t)k->i);
    h = mix(h, bits(k->f));
    h = mix(h, k->name.i ^ (uint64_t)(uintptr_t)k->ref);
    for (int j = 0; j < k->n; j++) h = mix(h, k->arg[j]->id);
    return (uint32_t)(h ^ (h >> 32));
}
static bool same(const fv_expr *e, const key *k) {
    if (e->op != k->op || e->type != k->type || e->lanes != k->lanes || e->n != k->n || e->i != k->i) return false;
    if (bits(e->f) != bits(k->f) || !fv_str_eq(e->name, k->name) || e->ref != k->ref) return false;
    for (int j = 0; j < k->n; j++) if (e->arg[j] != k->arg[j]) return false;
    return true;
}
static void grow(fv_ctx *ctx, pool *p) {
    uint32_t cap = p->cap * 2;
    entry *slot = FV_NEWN(ctx, entry, cap);
    for (uint32_t j = 0; j < p->cap; j++) {
        if (!p->slot[j].e) continue;
        uint32_t at = p->slot[j].hash & (cap - 1);
        while (slot[at].e) at = (at + 1) & (cap - 1);
        slot[at] = p->slot[j];
    }
    p->slot = slot;
    p->cap = cap;
}
static const fv_expr *intern(fv_ctx *ctx, const key *k) {
    pool *p = pool_of(ctx);
    uint32_t hash = hash_of(k), at = hash & (p->cap - 1);
    for (; p->slot[at].e; at = (at + 1) & (p->cap - 1))
        if (p->slot[at].hash == hash && same(p->slot[at].e, k)) return p->slot[at].e;
    fv_expr *e = fv_alloc(ctx, sizeof *e + sizeof(e->arg[0]) * (size_t)k->n);
    e->op = k->op; e->type = k->type; e->lanes = k->lanes; e->n = k->n;
    e->i = k->i; e->f = k->f; e->name = k->name; e->ref = k->ref;
    if (k->n) memcpy(e->arg, k->arg, sizeof(e->arg[0]) * (size_t)k->n);
    e->id = ++p->n;
    p->slot[at] = (entry){e, hash};
    if (p->n * 2 > p->cap) grow(ctx, p);
    return e;
}
const fv_expr *fv_cons(fv_ctx *ctx, fv_op op, fv_type type, int lanes, int64_t i, const fv_obj *ref,
                       const fv_expr *const *arg, int n) {
    return intern(ctx, &(key){.op = op, .type = type, .lanes = lanes, .i = i, .ref = ref, .arg = arg, .n = n});
}

/* -- Tables ----------------------------------------------------------------------------------------------------- */
static const char *const type_names[FV_TYPE_COUNT] = {"void", "bool", "i32", "f32", "f64", "f16", "bf16"};
const char *fv_type_name(fv_type t) { return (unsigned)t < FV_TYPE_COUNT ? type_names[t] : "?"; }
bool fv_type_parse(const char *s, fv_type *out) {
    for (int t = FV_BOOL; t < FV_TYPE_COUNT; t++) if (!strcmp(s, type_names[t])) { *out = (fv_type)t; return true; }
    return false;
}
int fv_type_bytes(fv_type t) {
    static const int bytes[FV_TYPE_COUNT] = {0, 1, 4, 4, 8, 2, 2};
    return (unsigned)t < FV_TYPE_COUNT ? bytes[t] : 0;
}
static const struct { const char *spelling; int arity; } ops[FV_X_COUNT] = {
#define X(name, spelling, arity, form) {spelling, arity},
#include "expr/expr_ops.def"
#undef X
};
const char *fv_op_spelling(fv_op op) { return (unsigned)op < FV_X_COUNT ? ops[op].spelling : "?"; }
int fv_op_arity(fv_op op) { return (unsigned)op < FV_X_COUNT ? ops[op].arity : 0; }

/* -- Leaves ------------------------------------------------------------------------------------------------------ */
const fv_expr *fv_int(fv_ctx *ctx, int64_t v) {
    return intern(ctx, &(key){.op = FV_X_INT, .type = FV_I32, .lanes = 1, .i = v});
}
const fv_expr *fv_bool(fv_ctx *ctx, bool v) {
    return intern(ctx, &(key){.op = FV_X_INT, .type = FV_BOOL, .lanes = 1, .i = v});
}
const fv_expr *fv_float(fv_ctx *ctx, double v) { return fv_float_of(ctx, FV_F32, v); }
const fv_expr *fv_float_of(fv_ctx *ctx, fv_type type, double v) {
    if (isnan(v)) v = (double)NAN;
    return intern(ctx, &(key){.op = FV_X_FLOAT, .type = type, .lanes = 1, .f = v});
}
const fv_expr *fv_axis_ref(fv_ctx *ctx, fv_str name) {
    return intern(ctx, &(key){.op = FV_X_AXIS, .type = FV_I32, .lanes = 1, .name = name});
}
const fv_expr *fv_var_n(fv_ctx *ctx, fv_str name, fv_type type, int lanes) {
    return intern(ctx, &(key){.op = FV_X_VAR, .type = type, .lanes = lanes, .name = name});
}
const fv_expr *fv_var(fv_ctx *ctx, fv_str name, fv_type type) { return fv_var_n(ctx, name, type, 1); }

/* -- Conversions --------------------------------------------------------------------------------------------------- */
static fv_type compute_type(fv_type t) { return t == FV_F16 || t == FV_BF16 ? FV_F32 : t; }
static fv_type float_type(fv_type a, fv_type b) { return a == FV_F64 || b == FV_F64 ? FV_F64 : FV_F32; }
static const fv_expr *to_float(fv_ctx *ctx, const fv_expr *a, fv_type t) {
    if (a->op == FV_X_INT) return fv_float_of(ctx, t, (double)a->i);
    if (a->op == FV_X_FLOAT && a->type != t) return fv_float_of(ctx, t, a->f);
    return fv_type_is_float(a->type) ? a : fv_cons1(ctx, FV_X_TOFLOAT, t, a);
}
static const fv_expr *splat(fv_ctx *ctx, const fv_expr *a, int lanes) {
    return a->lanes == lanes ? a : fv_cons(ctx, FV_X_SPLAT, a->type, lanes, 0, NULL, &a, 1);
}
const fv_expr *fv_to_i32(fv_ctx *ctx, const fv_expr *a) {
    if (a->type != FV_BOOL) return a;
    if (a->op == FV_X_INT) return fv_int(ctx, a->i);
    const fv_expr *arg[3] = {a, splat(ctx, fv_int(ctx, 1), a->lanes), splat(ctx, fv_int(ctx, 0), a->lanes)};
    return fv_cons(ctx, FV_X_WHERE, FV_I32, a->lanes, 0, NULL, arg, 3);
}
const fv_expr *fv_to_bool(fv_ctx *ctx, const fv_expr *a) {
    if (a->type == FV_BOOL) return a;
    const fv_expr *zero = fv_type_is_float(a->type) ? fv_float(ctx, 0) : fv_int(ctx, 0);
    return fv_op2(ctx, FV_X_NE, a, zero);
}
/* Converts two operands to one type (i32, f32 or f64) and one number of lanes; returns the type. */
static fv_type unify(fv_ctx *ctx, const fv_expr **a, const fv_expr **b, bool keep_bool) {
    fv_type t = FV_I32;
    if (fv_type_is_float((*a)->type) || fv_type_is_float((*b)->type)) {
        t = float_type((*a)->type, (*b)->type);
        *a = to_float(ctx, *a, t);
        *b = to_float(ctx, *b, t);
    } else if (keep_bool && (*a)->type == FV_BOOL && (*b)->type == FV_BOOL) {
        t = FV_BOOL;
    } else {
        *a = fv_to_i32(ctx, *a);
        *b = fv_to_i32(ctx, *b);
    }
    int lanes = (*a)->lanes > (*b)->lanes ? (*a)->lanes : (*b)->lanes;
    *a = splat(ctx, *a, lanes);
    *b = splat(ctx, *b, lanes);
    return t;
}

/* -- Operators --------------------------------------------------------------------------------------------------- */
static const fv_expr *sum(fv_ctx *ctx, const fv_expr *a, const fv_expr *b, int64_t k) {
    fv_affine s;
    if (fv_affine_of(a, &s) && fv_affine_add(&s, b, k)) return fv_affine_expr(ctx, &s);
    if (k != 1) b = fv_fold_mul(ctx, b, fv_int(ctx, k));
    const fv_expr *arg[2] = {a->id < b->id ? a : b, a->id < b->id ? b : a};
    return fv_cons(ctx, FV_X_ADD, FV_I32, 1, 1, NULL, arg, 2);
}
static const fv_expr *int_op(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    switch (op) {
    case FV_X_ADD: return sum(ctx, a, b, 1);
    case FV_X_SUB: return sum(ctx, a, b, -1);
    case FV_X_MUL: return fv_fold_mul(ctx, a, b);
    case FV_X_FLOORDIV: return fv_fold_floordiv(ctx, a, b);
    case FV_X_MOD: return fv_fold_mod(ctx, a, b);
    default: return fv_fold_minmax(ctx, op, a, b);
    }
}
/* Vectors fold only what needs no look inside: neutral operands. */
static bool is_splat_int(const fv_expr *e, int64_t v) {
    if (e->op == FV_X_SPLAT) e = e->arg[0];
    return e->op == FV_X_INT && e->i == v;
}
static const fv_expr *vector_op(fv_ctx *ctx, fv_op op, fv_type t, const fv_expr *a, const fv_expr *b) {
    if (op == FV_X_ADD && is_splat_int(b, 0)) return a;
    if (op == FV_X_ADD && is_splat_int(a, 0)) return b;
    if (op == FV_X_SUB && is_splat_int(b, 0)) return a;
    if (op == FV_X_MUL && is_splat_int(b, 1)) return a;
    if (op == FV_X_MUL && is_splat_int(a, 1)) return b;
    if (op == FV_X_AND) { if (a == b || is_splat_int(b, 1)) return a; if (is_splat_int(a, 1)) return b; }
    if (op == FV_X_OR) { if (a == b || is_splat_int(b, 0)) return a; if (is_splat_int(a, 0)) return b; }
    return fv_cons2(ctx, op, t, a, b);
}
static const fv_expr *arithmetic(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    if (op == FV_X_DIV || op == FV_X_POW) {
        fv_type t = float_type(a->type, b->type);
        a = to_float(ctx, a, t);
        b = to_float(ctx, b, t);
    }
    fv_type t = unify(ctx, &a, &b, false);
    if (a->lanes != 1) return vector_op(ctx, op, t, a, b);
    return t == FV_I32 ? int_op(ctx, op, a, b) : fv_fold_float(ctx, op, t, a, b);
}
const fv_expr *fv_op2(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    switch (op) {
    case FV_X_ADD: case FV_X_SUB: case FV_X_MUL: case FV_X_DIV: case FV_X_FLOORDIV: case FV_X_MOD: case FV_X_POW:
    case FV_X_MIN: case FV_X_MAX:
        return arithmetic(ctx, op, a, b);
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE:
        unify(ctx, &a, &b, op == FV_X_EQ || op == FV_X_NE);
        return a->lanes != 1 ? vector_op(ctx, op, FV_BOOL, a, b) : fv_fold_compare(ctx, op, a, b);
    case FV_X_AND: case FV_X_OR:
        a = fv_to_bool(ctx, a);
        b = fv_to_bool(ctx, b);
        unify(ctx, &a, &b, true);
        return a->lanes != 1 ? vector_op(ctx, op, FV_BOOL, a, b) : fv_fold_logic(ctx, op, a, b);
    case FV_X_EXACT:
        return fv_fold_exact(ctx, fv_to_i32(ctx, a), fv_to_i32(ctx, b));
    case FV_X_EXTRACT: {
        const fv_expr *arg[2] = {a, b};
        return fv_cons(ctx, op, a->type, 1, 0, NULL, arg, 2);
    }
    default: break;
    }
    FV_ASSERT(false, "fv_op2: not a binary operator");
    return a;
}
static const fv_expr *neg_abs(fv_ctx *ctx, fv_op op, const fv_expr *a) {
    a = fv_to_i32(ctx, a);
    if (fv_type_is_float(a->type)) {
        fv_type t = compute_type(a->type);
        return a->lanes != 1 ? fv_cons1(ctx, op, t, a) : fv_fold_float(ctx, op, t, a, NULL);
    }
    if (a->lanes != 1) return fv_cons1(ctx, op, FV_I32, a);
    if (op == FV_X_NEG) return sum(ctx, fv_int(ctx, 0), a, -1);
    if (a->op == FV_X_INT) return fv_int(ctx, a->i < 0 ? fv_wneg(a->i) : a->i);
    return a->op == FV_X_ABS ? a : fv_cons1(ctx, op, FV_I32, a);
}
static const fv_expr *to_type(fv_ctx *ctx, fv_op op, const fv_expr *a) {
    if (op == FV_X_TOFLOAT) return to_float(ctx, a, FV_F32);
    if (op == FV_X_FLOOR) {
        if (!fv_type_is_float(a->type)) return fv_to_i32(ctx, a);
        return a->op == FV_X_FLOAT ? fv_int(ctx, (int64_t)fv_apply(op, FV_I32, &a->f)) : fv_cons1(ctx, op, FV_I32, a);
    }
    if (!fv_type_is_float(a->type)) return fv_bool(ctx, false);        /* ISNAN */
    if (a->op == FV_X_TOFLOAT) return fv_bool(ctx, false);
    return a->op == FV_X_FLOAT ? fv_bool(ctx, isnan(a->f)) : fv_cons1(ctx, op, FV_BOOL, a);
}
const fv_expr *fv_op1(fv_ctx *ctx, fv_op op, const fv_expr *a) {
    FV_ASSERT(fv_op_arity(op) == 1 && op != FV_X_SPLAT, "fv_op1: not a unary operator");
    switch (op) {
    case FV_X_NEG: case FV_X_ABS: return neg_abs(ctx, op, a);
    case FV_X_NOT:
        a = fv_to_bool(ctx, a);
        return a->lanes != 1 ? fv_cons1(ctx, op, FV_BOOL, a) : fv_fold_not(ctx, a);
    case FV_X_TOFLOAT: case FV_X_FLOOR: case FV_X_ISNAN: return to_type(ctx, op, a);
    case FV_X_ANY: case FV_X_ALL:
        a = fv_to_bool(ctx, a);
        return a->op == FV_X_INT ? a : fv_cons1(ctx, op, FV_BOOL, a);
    case FV_X_HSUM: case FV_X_HMAX: case FV_X_HMIN: case FV_X_HANY:
        return a->lanes == 1 ? a : fv_cons(ctx, op, a->type, 1, 0, NULL, &a, 1);
    default: {
        fv_type t = float_type(a->type, a->type);
        a = to_float(ctx, a, t);
        return a->lanes != 1 ? fv_cons1(ctx, op, t, a) : fv_fold_float(ctx, op, t, a, NULL);
    }
    }
}
const fv_expr *fv_op3(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b, const fv_expr *c) {
    FV_ASSERT(op == FV_X_WHERE || op == FV_X_FMA, "fv_op3: not a ternary operator");
    if (op == FV_X_FMA) {
        fv_type t = float_type(float_type(a->type, b->type), c->type);
        const fv_expr *arg[3] = {to_float(ctx, a, t), to_float(ctx, b, t), to_float(ctx, c, t)};
        int lanes = 1;
        for (int j = 0; j < 3; j++) if (arg[j]->lanes > lanes) lanes = arg[j]->lanes;
        for (int j = 0; j < 3; j++) arg[j] = splat(ctx, arg[j], lanes);
        return fv_cons(ctx, op, t, lanes, 0, NULL, arg, 3);
    }
    a = fv_to_bool(ctx, a);
    fv_type t = unify(ctx, &b, &c, true);
    if (a->op == FV_X_INT) return a->i ? b : c;
    int lanes = a->lanes > b->lanes ? a->lanes : b->lanes;
    if (lanes == 1) return fv_fold_where(ctx, a, b, c);
    if (b == c) return splat(ctx, b, lanes);
    const fv_expr *arg[3] = {splat(ctx, a, lanes), splat(ctx, b, lanes), splat(ctx, c, lanes)};
    return fv_cons(ctx, op, t, lanes, 0, NULL, arg, 3);
}
const fv_expr *fv_read(fv_ctx *ctx, const fv_obj *ref, const fv_expr *const *index, int rank, const fv_expr *fill) {
    FV_ASSERT(rank >= 0 && rank <= FV_MAX_AXES, "fv_read: rank");
    const fv_expr *arg[FV_MAX_AXES + 1];
    fv_type t = compute_type(ref->type);
    int lanes = 1;
    for (int j = 0; j < rank; j++) {
        arg[j] = fv_to_i32(ctx, index[j]);
        if (arg[j]->lanes > lanes) lanes = arg[j]->lanes;
    }
    if (fill) {
        if (fv_type_is_float(t)) fill = to_float(ctx, fill, t);
        else if (t == FV_BOOL) fill = fv_to_bool(ctx, fill);
        else fill = fv_type_is_float(fill->type) ? fv_op1(ctx, FV_X_FLOOR, fill) : fv_to_i32(ctx, fill);
        arg[rank] = fill;
    }
    return fv_cons(ctx, FV_X_READ, t, lanes, fill != NULL, ref, arg, rank + (fill != NULL));
}

/* -- Making and rebuilding ---------------------------------------------------------------------------------------- */
static bool folds(fv_op op) { return op >= FV_X_ADD && op <= FV_X_ALL; }
static const fv_expr *build(fv_ctx *ctx, fv_op op, const fv_expr *const *arg) {
    switch (fv_op_arity(op)) {
    case 1: return fv_op1(ctx, op, arg[0]);
    case 2: return fv_op2(ctx, op, arg[0], arg[1]);
    default: return fv_op3(ctx, op, arg[0], arg[1], arg[2]);
    }
}
const fv_expr *fv_make(fv_ctx *ctx, fv_op op, fv_type type, int lanes, int64_t i, const fv_obj *ref,
                       const fv_expr *const *arg, int n) {
    if (folds(op) && n == fv_op_arity(op)) {
        const fv_expr *e = build(ctx, op, arg);
        if (e->type == type && e->lanes == lanes) return e;
    }
    return fv_cons(ctx, op, type, lanes, i, ref, arg, n);
}
const fv_expr *fv_rebuild(fv_ctx *ctx, const fv_expr *e, const fv_expr *const *arg) {
    bool changed = false;
    for (int j = 0; j < e->n; j++) changed |= arg[j] != e->arg[j];
    if (!changed) return e;
    if (e->op == FV_X_READ) {
        int rank = e->n - (e->i != 0);
        return fv_read(ctx, e->ref, arg, rank, e->i ? arg[rank] : NULL);
    }
    if (e->op == FV_X_TOFLOAT && e->type == FV_F64 && arg[0]->lanes == 1) return to_float(ctx, arg[0], FV_F64);
    if (folds(e->op) && !(e->op == FV_X_EXP2 && e->i)) return build(ctx, e->op, arg);
    return fv_cons(ctx, e->op, e->type, e->lanes, e->i, e->ref, arg, e->n);
}
