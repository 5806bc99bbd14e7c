/* topk: a list of the k best per row, kept in order by one statement; coordinates and values are read off it. NaN ranks
 * last, ties go to the lower linear index. */
#include "lower/fuse.h"

#include <math.h>

void lower_emit_topk(lower *l, const fv_node *n) {
    fv_ctx *c = l->ctx;
    const fv_topk_node *t = &n->u.topk;
    const fv_value *src = t->src;
    lower_kernel k;
    lower_kernel_begin(l, &k, "topk", "topk.block", n->loc, l->node[n->id].prepare);
    lower_kernel_own(&k);
    fv_facts f = {0};
    fv_value_facts(c, src, &f);
    /* The ranked axes as one, in the stated order. */
    fv_axis ranked[FV_MAX_AXES];
    for (int i = 0; i < t->n_over; i++) ranked[i] = src->axis[fv_value_axis(src, t->over[i])];
    for (int i = 0; i < f.n; i++) fv_facts_add(c, &k.facts, f.item[i].leaf, f.item[i].range.lo, f.item[i].range.hi);
    lower_fused key = lower_fuse(&k, ranked, t->n_over);
    if (t->n_over == 1) key = (lower_fused){.axis = ranked[0].name, .extent = ranked[0].extent};
    fv_str key_name = fv_internf(c, "%s.key", fv_cstr(c, key.axis)),
           top = fv_internf(c, "%s.list", fv_cstr(c, t->name));
    fv_binding rename = {fv_axis_ref(c, key.axis), fv_axis_ref(c, key_name)};
    const fv_value *first = n->result[0];
    fv_axis rest[FV_MAX_AXES];
    int n_rest = 0;
    for (int i = 0; i < first->obj.rank; i++)
        if (!fv_str_eq(first->axis[i].name, t->name)) rest[n_rest++] = first->axis[i];
    for (int i = 0; i + 1 < n_rest; i++) lower_grid(&k, rest[i].name, 0, rest[i].extent);
    if (n_rest) {
        const fv_axis *lane = &rest[n_rest - 1];
        lower_grid(&k, lane->name, lower_tile(&k, lane->name, l->t->lanes, lane->extent), lane->extent);
    }
    lower_axis(&k, key_name, key.extent);
    lower_axis(&k, top, t->k);
    lower_pair p = lower_value_at_self(l, &f, src);
    if (p.exists) {
        fv_error(c, FV_E_ABSENT, n->loc, "top ranks elements that may be absent; write :otherwise(value)");
        l->failed = true;
        return;
    }
    const fv_expr *x = lower_bind(&k, fv_subst(c, lower_apply_fused(&k, &key, p.value), &rename, 1)), *rank = x;
    if (!fv_type_is_float(x->type)) rank = fv_op1(c, FV_X_TOFLOAT, x);
    if (t->ascending) rank = fv_op1(c, FV_X_NEG, rank);
    fv_str axes[2] = {top};
    int n_axes = 1;
    if (n_rest) axes[n_axes++] = rest[n_rest - 1].name;
    fv_buffer *v = lower_buffer(&k, "best", FV_F32, axes, n_axes),
              *at = lower_buffer(&k, "where", FV_I32, axes, n_axes);
    at->obj.ranged = true;
    at->obj.lo = 0;
    at->obj.hi = key.extent - 1;
    fv_stmt *a = lower_stmt(&k, &k.body, FV_S_ALLOC, NULL);
    a->buffer = v;
    a->expr = fv_float(c, (double)NAN);                  /* (nan, largest index): the list that every element enters */
    a = lower_stmt(&k, &k.body, FV_S_ALLOC, NULL);
    a->buffer = at;
    a->expr = fv_int(c, INT32_MAX);
    fv_stmt *s = lower_stmt(&k, &k.body, FV_S_TOPK, "tk");
    s->target = &v->obj;
    s->target2 = at;
    s->write = FV_W_TOPK;
    s->expr = rank;
    s->expr2 = fv_axis_ref(c, key_name);
    s->over[s->n_over++] = key_name;
    const fv_expr *found = lower_buffer_at(&k, at);
    for (int r = 0; r < n->n_results; r++) {
        const fv_value *out = n->result[r];
        lower_place_value(l, out, NULL);
        const fv_expr *index[FV_MAX_AXES], *value;
        for (int i = 0; i < out->obj.rank; i++)
            index[i] = fv_axis_ref(c, fv_str_eq(out->axis[i].name, t->name) ? top : out->axis[i].name);
        if (r < t->n_over) {
            int64_t minor = 1;
            for (int i = r + 1; i < t->n_over; i++) minor *= ranked[i].extent;
            value = fv_op2(c, FV_X_FLOORDIV, found, fv_int(c, minor));
            if (r) value = fv_op2(c, FV_X_MOD, value, fv_int(c, ranked[r].extent));
        } else { /* the element itself, so that a NaN is answered as one */
            fv_binding b = {fv_axis_ref(c, key_name), found};
            value = fv_subst(c, x, &b, 1);
        }
        lower_store(&k, &k.body, "st", out, index, value, NULL);
    }
    k.flops = (double)fv_value_count(src) * (double)t->k;
    lower_kernel_end(&k);
}
