/* The inverse of a view that only moves elements: rename, merge, split, roll and their compositions. Found axis by
 * axis, then proved by substitution. */
#include "lower/internal.h"

/* (a // k) % n as its parts; k = 1 and n = 0 where they do not occur. */
static bool digit_of(const fv_expr *e, const fv_expr *a, int64_t *k, int64_t *n) {
    *k = 1;
    *n = 0;
    if (e->op == FV_X_MOD && e->arg[1]->op == FV_X_INT) {
        *n = e->arg[1]->i;
        e = e->arg[0];
    }
    if (e->op == FV_X_FLOORDIV && e->arg[1]->op == FV_X_INT) {
        *k = e->arg[1]->i;
        e = e->arg[0];
    }
    return e == a;
}
/* One source index that mentions axis a: what a is in terms of it, added to *sum. */
static bool undo(fv_ctx *c, const fv_expr *index, const fv_expr *source, const fv_axis *axis, int64_t source_extent,
                 const fv_expr **sum) {
    const fv_expr *a = fv_axis_ref(c, axis->name), *rest, *part = NULL;
    int64_t k, n;
    fv_affine f;
    if (index == a) part = source;
    else if (digit_of(index, a, &k, &n)) part = fv_muli(c, source, k);
    else if (index->op == FV_X_MOD && index->arg[1]->op == FV_X_INT && index->arg[1]->i == axis->extent &&
             axis->extent == source_extent && fv_split_affine(c, index->arg[0], a, &k, &rest) && k == 1 &&
             rest->op == FV_X_INT)
        part = fv_op2(c, FV_X_MOD, fv_sub(c, source, rest), fv_int(c, axis->extent));
    else if (fv_affine_of(index, &f)) { /* mixed radix: … + coef * a + … */
        for (int i = 0; i < f.n; i++)
            if (f.term[i].atom == a && f.term[i].coef > 0)
                part = fv_op2(c, FV_X_MOD,
                              fv_op2(c, FV_X_FLOORDIV, fv_addi(c, source, -f.constant), fv_int(c, f.term[i].coef)),
                              fv_int(c, axis->extent));
    }
    if (!part) return false;
    *sum = *sum ? fv_add(c, *sum, part) : part;
    return true;
}
bool lower_invert_view(lower *l, const fv_node *view, const fv_expr *const *source, const fv_facts *facts,
                       const fv_expr **out) {
    fv_ctx *c = l->ctx;
    const fv_read_node *r = &view->u.read;
    const fv_value *v = view->result[0], *src = r->src;
    if (r->only || v->partial || src->partial || fv_value_count(v) != fv_value_count(src)) return false;
    for (int i = 0; i < v->obj.rank; i++) {
        out[i] = NULL;
        if (v->axis[i].extent == 1) {
            out[i] = fv_int(c, 0);
            continue;
        }
        for (int j = 0; j < src->obj.rank; j++)
            if (fv_uses_axis(r->index[j], v->axis[i].name) &&
                !undo(c, r->index[j], source[j], &v->axis[i], src->axis[j].extent, &out[i]))
                return false;
        if (!out[i]) return false;
        out[i] = fv_simplify(c, facts, out[i]);
    }
    fv_binding b[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++) b[i] = (fv_binding){fv_axis_ref(c, v->axis[i].name), out[i]};
    for (int j = 0; j < src->obj.rank; j++) {
        const fv_expr *back = fv_simplify(c, facts, fv_sub(c, fv_subst(c, r->index[j], b, v->obj.rank), source[j]));
        int64_t zero;
        if (!fv_is_int(back, &zero) || zero != 0) return false;
    }
    return true;
}
