/* Direction of an i32 or bool expression in one leaf. Sound: 2 (unknown) whenever nothing is proved, and below
 * FV_DEPTH_CAP. */
#include "expr/expr_internal.h"

enum { UNKNOWN = 2 };
typedef struct { fv_query *ask; const fv_expr *leaf; int level; fv_map memo; } query;
static int direction(query *q, const fv_expr *e);

static int join(int a, int b) {
    if (a == UNKNOWN || b == UNKNOWN || a * b < 0) return UNKNOWN;
    return a ? a : b;
}
static int flip(int a) { return a == UNKNOWN ? a : -a; }
static int by_sign(int a, fv_range r) { return a == 0 ? 0 : r.lo >= 0 ? a : r.hi <= 0 ? flip(a) : UNKNOWN; }
static int sum(query *q, const fv_affine *a) {
    int d = 0;
    for (int i = 0; i < a->n && d != UNKNOWN; i++) {
        int t = direction(q, a->term[i].atom);
        d = join(d, a->term[i].coef < 0 ? flip(t) : t);
    }
    return d;
}
static int divmod(query *q, const fv_expr *e) {
    int a = direction(q, e->arg[0]), b = direction(q, e->arg[1]);
    fv_range n = fv_query_range(q->ask, e->arg[1]);
    if (a == 0 && b == 0) return 0;
    if (b != 0 || n.lo < 1) return UNKNOWN;
    if (e->op != FV_X_MOD) return a;
    fv_range x = fv_query_range(q->ask, e->arg[0]);
    bool finite = x.lo > FV_RANGE_MIN && x.hi < FV_RANGE_MAX && n.lo == n.hi;
    return finite && fv_floordiv(x.lo, n.lo) == fv_floordiv(x.hi, n.lo) ? a : UNKNOWN;
}
static int product(query *q, const fv_expr *e) {
    int a = direction(q, e->arg[0]), b = direction(q, e->arg[1]);
    if (a && b) return join(by_sign(a, fv_query_range(q->ask, e->arg[1])),
        by_sign(b, fv_query_range(q->ask, e->arg[0])));
    if (a) return by_sign(a, fv_query_range(q->ask, e->arg[1]));
    return b ? by_sign(b, fv_query_range(q->ask, e->arg[0])) : 0;
}
static int compute(query *q, const fv_expr *e) {
    fv_affine a;
    int d;
    switch (e->op) {
    case FV_X_ADD: case FV_X_MUL:
        if (fv_is_sum(e) || fv_is_scaled(e)) return fv_affine_of(e, &a) ? sum(q, &a) : UNKNOWN;
        return e->op == FV_X_MUL ? product(q, e) : join(direction(q, e->arg[0]), direction(q, e->arg[1]));
    case FV_X_FLOORDIV: case FV_X_MOD: case FV_X_EXACT: return divmod(q, e);
    case FV_X_MIN: case FV_X_MAX: case FV_X_AND: case FV_X_OR:
        return join(direction(q, e->arg[0]), direction(q, e->arg[1]));
    case FV_X_NOT: return flip(direction(q, e->arg[0]));
    case FV_X_ABS: return by_sign(direction(q, e->arg[0]), fv_query_range(q->ask, e->arg[0]));
    case FV_X_WHERE: return direction(q, e->arg[0]) ? UNKNOWN : join(direction(q, e->arg[1]), direction(q, e->arg[2]));
    case FV_X_LT: case FV_X_LE:                        /* true below: falls where the difference rises */
        if (e->arg[0]->type != FV_I32 || !fv_affine_diff(e->arg[0], e->arg[1], &a)) break;
        return flip(sum(q, &a));
    case FV_X_EQ: case FV_X_NE:
        if (e->arg[0]->type != FV_I32 || !fv_affine_diff(e->arg[0], e->arg[1], &a)) break;
        return sum(q, &a) ? UNKNOWN : 0;
    default: break;
    }
    for (d = 0; d < e->n; d++) if (direction(q, e->arg[d])) return UNKNOWN;
    return 0;
}
static int direction(query *q, const fv_expr *e) {
    if (e == q->leaf) return 1;
    if (!e->n || e->id < q->leaf->id) return 0;
    const fv_map_slot *s = fv_map_find(&q->memo, e);
    if (s) return (int)s->v.r.lo;
    if (q->level >= FV_DEPTH_CAP) return UNKNOWN;
    q->level++;
    int d = compute(q, e);
    q->level--;
    fv_map_put(&q->memo, e)->v.r.lo = d;
    return d;
}
int fv_query_monotone(fv_query *ask, const fv_expr *e, const fv_expr *leaf) {
    query q = {.ask = ask, .leaf = leaf};
    fv_map_init(&q.memo);
    int d = direction(&q, e);
    fv_map_free(&q.memo);
    return d;
}
int fv_monotone(const fv_facts *f, const fv_expr *e, const fv_expr *leaf) {
    fv_query ask;
    if (!fv_uses(e, leaf)) return 0;
    fv_query_init(&ask, f);
    int d = fv_query_monotone(&ask, e, leaf);
    fv_query_free(&ask);
    return d;
}
