/* Three-valued truth of bool expressions under facts: 1 always, 0 never, -1 unknown. Depth beyond FV_DEPTH_CAP is
 * unknown. */
#include "expr/expr_internal.h"

static int negate(int v) { return v < 0 ? v : !v; }
static int compare(fv_query *q, const fv_expr *p) {
    const fv_expr *a = p->arg[0], *b = p->arg[1];
    fv_affine d;
    if (a->type != FV_I32) return -1;
    switch (p->op) {
    case FV_X_LT: return fv_query_le(q, a, b, -1) ? 1 : fv_query_le(q, b, a, 0) ? 0 : -1;
    case FV_X_LE: return fv_query_le(q, a, b, 0) ? 1 : fv_query_le(q, b, a, -1) ? 0 : -1;
    default: break;
    }
    if (!fv_affine_diff(a, b, &d)) return -1;
    if (d.n && d.constant % fv_affine_gcd(&d)) return 0;
    if (fv_query_le(q, a, b, -1) || fv_query_le(q, b, a, -1)) return 0;
    return fv_query_le(q, a, b, 0) && fv_query_le(q, b, a, 0) ? 1 : -1;
}
static int prove(fv_query *q, const fv_expr *p, int depth);
/* What the facts say of the very node. */
static int told(const fv_facts *f, const fv_expr *p) {
    for (int i = f ? f->n - 1 : -1; i >= 0; i--) {
        if (f->item[i].leaf != p) continue;
        fv_range r = f->item[i].range;
        if (r.lo == r.hi) return r.lo != 0;
        if (r.lo > 0 || r.hi < 0) return 1;
        break;
    }
    return -1;
}
static int by_operator(fv_query *q, const fv_expr *p, int depth) {
    switch (p->op) {
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: return compare(q, p);
    case FV_X_NE: return negate(compare(q, p));
    case FV_X_NOT: return negate(prove(q, p->arg[0], depth + 1));
    case FV_X_ANY: case FV_X_ALL: return prove(q, p->arg[0], depth + 1);
    case FV_X_AND: case FV_X_OR: {
        int decisive = p->op == FV_X_OR, a = prove(q, p->arg[0], depth + 1);
        if (a == decisive) return a;
        int b = prove(q, p->arg[1], depth + 1);
        if (b == decisive) return b;
        return a < 0 || b < 0 ? -1 : !decisive;
    }
    case FV_X_WHERE: {
        int c = prove(q, p->arg[0], depth + 1);
        if (c >= 0) return prove(q, p->arg[c ? 1 : 2], depth + 1);
        int a = prove(q, p->arg[1], depth + 1);
        return a >= 0 && a == prove(q, p->arg[2], depth + 1) ? a : -1;
    }
    default: return -1;
    }
}
static int prove(fv_query *q, const fv_expr *p, int depth) {
    if (p->op == FV_X_INT) return p->i != 0;
    const fv_map_slot *s = fv_map_find(&q->memo, p);  /* a bool's slot holds its truth */
    if (s) return (int)s->v.r.lo;
    int v = told(q->f, p);
    if (v < 0 && depth < FV_DEPTH_CAP && p->lanes == 1) v = by_operator(q, p, depth);
    fv_map_put(&q->memo, p)->v.r.lo = v;
    return v;
}
int fv_query_prove(fv_query *q, const fv_expr *pred) { return prove(q, pred, 0); }
int fv_prove(fv_ctx *ctx, const fv_facts *f, const fv_expr *pred) {
    if (!pred) return 1;
    if (fv_type_is_float(pred->type)) return -1;
    fv_query q;
    fv_query_init(&q, f);
    int v = prove(&q, fv_to_bool(ctx, pred), 0);
    fv_query_free(&q);
    return v;
}
