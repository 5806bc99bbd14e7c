/* Reading a body as a product, and its addresses by axis: see operands.h. */
#include "lower/operands.h"
#include "lower/fuse.h"

static const fv_expr *bounds_of(lower *l, const fv_facts *f,
                                const fv_expr *read) { /* all indices inside; NULL: proved */
    fv_ctx *c = l->ctx;
    const fv_value *v = fv_value_of(read->ref);
    const fv_expr *all = NULL;
    for (int i = 0; i < v->obj.rank; i++) {
        const fv_expr *p = fv_and(c, fv_op2(c, FV_X_LE, fv_int(c, 0), read->arg[i]),
                                  fv_op2(c, FV_X_LT, read->arg[i], fv_int(c, v->axis[i].extent)));
        p = fv_simplify(c, f, p);
        if (!fv_is_true(p)) all = fv_and(c, all, p);
    }
    return all;
}
static bool is_zero(const fv_expr *e) {
    return (e->op == FV_X_FLOAT && e->f == 0.0) || (e->op == FV_X_INT && e->i == 0);
}
/* An index that depends on data: no condition proves it, its read keeps the fill. */
static bool reads(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ;
}
static bool by_data(const fv_expr *read) {
    for (int i = 0; i < read->ref->rank; i++)
        if (fv_visit(read->arg[i], reads, NULL)) return true;
    return false;
}
static void split(lower *l, const fv_facts *f, const fv_expr *e, lower_product *p) {
    fv_ctx *c = l->ctx;
    if (e->op == FV_X_MUL && p->n < LOWER_MAX_FACTORS - 2) {
        split(l, f, e->arg[0], p);
        split(l, f, e->arg[1], p);
        return;
    }
    if (e->op == FV_X_WHERE && is_zero(e->arg[2])) {
        p->where = fv_and(c, p->where, e->arg[0]);
        split(l, f, e->arg[1], p);
        return;
    }
    if (e->op == FV_X_READ && e->i && e->ref->kind == FV_OBJ_VALUE && is_zero(e->arg[e->n - 1]) && !by_data(e)) {
        p->where = fv_and(c, p->where, bounds_of(l, f, e));
        e = fv_read(c, e->ref, e->arg, e->n - 1, NULL);
    }
    p->factor[p->n++] = e;
}
lower_product lower_factors(lower *l, const fv_facts *f, const fv_expr *body) {
    lower_product p = {.n = 0};
    split(l, f, body, &p);
    return p;
}
typedef struct {
    lower *l;
    const fv_facts *f;
} fill_walk;
static const fv_expr *fill_read(fv_ctx *c, const fv_expr *e, void *user) {
    const fill_walk *w = user;
    if (e->op != FV_X_READ || e->i || e->ref->kind != FV_OBJ_VALUE || !bounds_of(w->l, w->f, e)) return e;
    const fv_expr *zero = e->type == FV_BOOL           ? fv_bool(c, false)
                          : fv_type_is_float(e->type) ? fv_float(c, 0)
                                                      : fv_int(c, 0);
    return fv_read(c, e->ref, e->arg, e->n, zero);
}
const fv_expr *lower_filled(lower *l, const fv_facts *f, const fv_expr *e) {
    fill_walk w = {l, f};
    return fv_rewrite(l->ctx, e, fill_read, &w);
}

typedef struct {
    lower *l;
    const fv_expr *leaf;
    int64_t coef;
} axis_walk;
static void merge_coef(axis_walk *w, int64_t c) {
    if (c == 0 || w->coef == c) return;
    if (w->coef == 0) w->coef = c;
    else if (w->coef == LOWER_PACKABLE || c == LOWER_PACKABLE) w->coef = w->coef == LOWER_PACKABLE ? c : w->coef;
    else w->coef = LOWER_IRREGULAR;
}
static bool visit_read(const fv_expr *e, void *user) {
    axis_walk *w = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return false;
    const fv_value *v = fv_value_of(e->ref);
    if (!w->l->placed[v->id]) return false;
    const fv_expr *a = lower_address(w->l, v, e->arg), *rest;
    int64_t coef;
    if (!fv_uses(a, w->leaf)) return false;
    bool prepare = w->l->node[v->node->id].prepare;
    if (!fv_split_affine(w->l->ctx, a, w->leaf, &coef, &rest)) coef = LOWER_IRREGULAR;
    merge_coef(w, prepare && coef != 1 ? LOWER_PACKABLE : coef);
    return false;
}
int64_t lower_coefficient(lower *l, const fv_expr *e, fv_str axis) {
    axis_walk w = {l, fv_axis_ref(l->ctx, axis), 0};
    if (e) fv_visit(e, visit_read, &w);
    return w.coef;
}

int lower_vectors(const lower *l, int64_t extent) {
    int most = l->t->registers >= 32 ? 4 : 3, best = 1;
    int64_t least = INT64_MAX;
    for (int nv = most; nv >= 1; nv--) {
        int64_t tile = (int64_t)nv * l->t->lanes, padded = (extent + tile - 1) / tile * tile;
        int64_t cost = padded * 16 + (nv >= 3   ? 0
                                      : nv == 2 ? extent
                                                : extent * 3); /* few vectors per broadcast cost loads */
        if (cost < least) {
            least = cost;
            best = nv;
        }
    }
    return best;
}
int lower_choose_lane(lower *l, const fv_expr *const *read, int n_reads, const fv_expr *out_address,
                      const fv_axis *candidate, int n, int reduce_from) {
    double least = 1e30;
    int best = -1;
    for (int i = 0; i < n; i++) {
        int64_t extent = candidate[i].extent;
        if (extent < 2) continue;
        double lanes = l->t->lanes,
               fill = (double)extent / (double)((extent + l->t->lanes - 1) / l->t->lanes * l->t->lanes), cost = 0;
        for (int r = 0; r < n_reads; r++) {
            int64_t c = lower_coefficient(l, read[r], candidate[i].name);
            if (c != 0 && c != 1 && c != LOWER_PACKABLE) cost += lanes;
        }
        if (i < reduce_from) {
            const fv_expr *rest;
            int64_t c = 0;
            if (out_address &&
                (!fv_split_affine(l->ctx, out_address, fv_axis_ref(l->ctx, candidate[i].name), &c, &rest) || c != 1))
                cost += 2;
        } else cost += 3;
        cost = (1 + cost) / fill;
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    return best;
}
