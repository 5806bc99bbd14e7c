/* Random i32 and bool trees over three axes with a small box, each with its value at every point of the box computed
 * beside the builders: what a builder folds is checked against plain arithmetic. */
#ifndef EXPR_RANDOM_H
#define EXPR_RANDOM_H
#include "expr/expr.h"

enum { LEAVES = 3, MAX_POINTS = 512 };
typedef struct {
    fv_ctx *ctx;
    uint64_t state;
    const fv_expr *leaf[LEAVES];
    int64_t lo[LEAVES], hi[LEAVES];
    int points;
    fv_facts facts;
} world;
typedef struct { const fv_expr *e; int64_t v[MAX_POINTS]; } sample;

static inline int64_t pick(world *w, int64_t lo, int64_t hi) {
    w->state ^= w->state << 13;
    w->state ^= w->state >> 7;
    w->state ^= w->state << 17;
    return lo + (int64_t)((w->state >> 11) % (uint64_t)(hi - lo + 1));
}
static inline int64_t coordinate(const world *w, int leaf, int point) {
    for (int j = LEAVES - 1; j > leaf; j--) point /= (int)(w->hi[j] - w->lo[j] + 1);
    return w->lo[leaf] + point % (int)(w->hi[leaf] - w->lo[leaf] + 1);
}
static inline void world_start(world *w, fv_ctx *ctx, uint64_t seed) {
    static const char *const names[LEAVES] = {"x", "y", "z"};
    *w = (world){.ctx = ctx, .state = seed * UINT64_C(0x9e3779b97f4a7c15) + 12345, .points = 1};
    for (int j = 0; j < LEAVES; j++) {
        w->leaf[j] = fv_axis_ref(ctx, fv_intern(ctx, names[j]));
        w->lo[j] = pick(w, 0, 2) ? 0 : pick(w, -6, 6);
        w->hi[j] = w->lo[j] + pick(w, 0, 7);
        w->points *= (int)(w->hi[j] - w->lo[j] + 1);
        fv_facts_add(ctx, &w->facts, w->leaf[j], w->lo[j], w->hi[j]);
    }
}
static inline int64_t floor_div(int64_t a, int64_t b) {
    int64_t q = a / b;
    return a % b != 0 && ((a < 0) != (b < 0)) ? q - 1 : q;
}
static inline int64_t plain(fv_op op, int64_t a, int64_t b) {
    switch (op) {
    case FV_X_ADD: return a + b;
    case FV_X_SUB: return a - b;
    case FV_X_MUL: return a * b;
    case FV_X_FLOORDIV: return floor_div(a, b);
    case FV_X_MOD: return a - b * floor_div(a, b);
    case FV_X_MIN: return a < b ? a : b;
    case FV_X_MAX: return a > b ? a : b;
    case FV_X_LT: return a < b;
    case FV_X_LE: return a <= b;
    case FV_X_EQ: return a == b;
    case FV_X_NE: return a != b;
    case FV_X_AND: return a && b;
    default: return a || b;
    }
}
static inline void random_int(world *w, int depth, sample *out);
static inline void random_bool(world *w, int depth, sample *out) {
    static const fv_op compare[] = {FV_X_LT, FV_X_LE, FV_X_EQ, FV_X_NE}, logic[] = {FV_X_AND, FV_X_OR};
    sample *b = fv_alloc(w->ctx, sizeof *b);
    int what = (int)pick(w, 0, 5);
    if (depth <= 1 || what < 3) {
        fv_op op = compare[pick(w, 0, 3)];
        random_int(w, depth - 1, out);
        random_int(w, depth - 1, b);
        out->e = fv_op2(w->ctx, op, out->e, b->e);
        for (int i = 0; i < w->points; i++) out->v[i] = plain(op, out->v[i], b->v[i]);
    } else if (what < 5) {
        fv_op op = logic[what - 3];
        random_bool(w, depth - 1, out);
        random_bool(w, depth - 1, b);
        out->e = fv_op2(w->ctx, op, out->e, b->e);
        for (int i = 0; i < w->points; i++) out->v[i] = plain(op, out->v[i], b->v[i]);
    } else {
        random_bool(w, depth - 1, out);
        out->e = fv_op1(w->ctx, FV_X_NOT, out->e);
        for (int i = 0; i < w->points; i++) out->v[i] = !out->v[i];
    }
}
static inline void random_leaf(world *w, sample *out) {
    int j = (int)pick(w, 0, LEAVES);
    int64_t c = pick(w, -9, 9);
    out->e = j == LEAVES ? fv_int(w->ctx, c) : w->leaf[j];
    for (int i = 0; i < w->points; i++) out->v[i] = j == LEAVES ? c : coordinate(w, j, i);
}
static inline void random_where(world *w, int depth, sample *out) {
    sample *a = fv_alloc(w->ctx, sizeof *a), *b = fv_alloc(w->ctx, sizeof *b);
    random_bool(w, depth - 1, out);
    random_int(w, depth - 1, a);
    random_int(w, depth - 1, b);
    out->e = fv_op3(w->ctx, FV_X_WHERE, out->e, a->e, b->e);
    for (int i = 0; i < w->points; i++) out->v[i] = out->v[i] ? a->v[i] : b->v[i];
}
static inline void random_int(world *w, int depth, sample *out) {
    static const fv_op ops[] = {FV_X_ADD, FV_X_ADD, FV_X_SUB, FV_X_MUL, FV_X_MUL, FV_X_FLOORDIV, FV_X_FLOORDIV,
        FV_X_MOD, FV_X_MOD,
                                FV_X_MIN, FV_X_MAX};
    static const int64_t numbers[] = {1, 2, 2, 3, 4, 4, 5, 6, 8, 12, -2, -3};
    int what = (int)pick(w, 0, 14);
    if (depth <= 0 || what == 0) { random_leaf(w, out); return; }
    if (what == 1) { random_where(w, depth, out); return; }
    if (what == 2) {
        random_int(w, depth - 1, out);
        bool neg = pick(w, 0, 1);
        out->e = fv_op1(w->ctx, neg ? FV_X_NEG : FV_X_ABS, out->e);
        for (int i = 0; i < w->points; i++) out->v[i] = neg || out->v[i] < 0 ? -out->v[i] : out->v[i];
        return;
    }
    fv_op op = ops[pick(w, 0, 10)];
    sample *b = fv_alloc(w->ctx, sizeof *b);
    random_int(w, depth - 1, out);
    bool by_number = op == FV_X_FLOORDIV || op == FV_X_MOD || (op == FV_X_MUL && pick(w, 0, 3));
    int64_t c = numbers[pick(w, 0, 11)];
    if (!by_number) random_int(w, depth - 1, b);
    else for (int i = 0; i < w->points; i++) b->v[i] = c;
    out->e = fv_op2(w->ctx, op, out->e, by_number ? fv_int(w->ctx, c) : b->e);
    for (int i = 0; i < w->points; i++) out->v[i] = plain(op, out->v[i], b->v[i]);
}
typedef struct { const world *w; int point; } at_point;
static inline double leaf_value(const fv_expr *e, void *user) {
    const at_point *p = user;
    for (int j = 0; j < LEAVES; j++) if (p->w->leaf[j] == e) return (double)coordinate(p->w, j, p->point);
    return -1e9;
}
static inline int64_t value(const world *w, const fv_expr *e, int point) {
    at_point p = {w, point};
    return (int64_t)fv_eval(e, leaf_value, &p);
}
#endif
