/* Fusing axes: see fuse.h. */
#include "lower/fuse.h"

void lower_fusion_add(lower_fusion *u, const fv_expr *value) {
    if (value) {
        FV_ASSERT(u->n_exprs < 8, "fusion exprs");
        u->expr[u->n_exprs++] = value;
    }
}
void lower_fusion_add_address(lower_fusion *u, const fv_expr *a) {
    FV_ASSERT(u->n_addresses < 8, "fusion addresses");
    u->address[u->n_addresses++] = a;
}

const fv_expr *lower_address(const lower *l, const fv_value *v, const fv_expr *const *index) {
    const fv_expr *a = fv_int(l->ctx, 0);
    for (int i = 0; i < v->obj.rank; i++) a = fv_add(l->ctx, a, fv_muli(l->ctx, index[i], l->place[v->id].stride[i]));
    return a;
}
static void parts(fv_ctx *c, const fv_axis *axis, int n, const fv_expr *fused, fv_binding *out) {
    int64_t minor = 1;
    for (int i = n - 1; i >= 0; i--) {
        const fv_expr *e = minor == 1 ? fused : fv_op2(c, FV_X_FLOORDIV, fused, fv_int(c, minor));
        if (i > 0) e = fv_op2(c, FV_X_MOD, e, fv_int(c, axis[i].extent));
        out[i] = (fv_binding){fv_axis_ref(c, axis[i].name), e};
        minor *= axis[i].extent;
    }
}
static fv_str fused_name(fv_ctx *c, const fv_axis *axis, int n) {
    fv_str s = axis[0].name;
    for (int i = 1; i < n; i++) s = fv_internf(c, "%s_%s", fv_cstr(c, s), fv_cstr(c, axis[i].name));
    return s;
}
typedef struct {
    lower *l;
    const fv_facts *f;
    const fv_binding *b;
    int n;
    const fv_expr *fused;
} check;
static bool affine_in(const check *k, const fv_expr *address) {
    fv_ctx *c = k->l->ctx;
    const fv_expr *a = fv_simplify(c, k->f, fv_subst(c, address, k->b, k->n)), *rest;
    int64_t coef;
    return fv_split_affine(c, a, k->fused, &coef, &rest);
}
static bool breaks(const fv_expr *e, void *user) {
    const check *k = user;
    if (e->op != FV_X_READ) return false;
    if (e->ref->kind == FV_OBJ_VALUE) { /* without a place: a member of the group, read at itself from a buffer */
        const fv_value *v = fv_value_of(e->ref);
        return k->l->placed[v->id] && !affine_in(k, lower_address(k->l, v, e->arg));
    }
    for (int i = 0; i < e->n; i++)
        if (!affine_in(k, e->arg[i])) return true;
    return false;
}
bool lower_fusible(lower *l, const fv_facts *f, const lower_fusion *u, const fv_axis *axis, int n) {
    fv_ctx *c = l->ctx;
    fv_binding b[FV_MAX_AXES];
    int64_t extent = 1;
    for (int i = 0; i < n; i++) extent *= axis[i].extent;
    const fv_expr *fused = fv_axis_ref(c, fused_name(c, axis, n));
    parts(c, axis, n, fused, b);
    fv_facts facts = {0};
    for (int i = 0; i < f->n; i++) fv_facts_add(c, &facts, f->item[i].leaf, f->item[i].range.lo, f->item[i].range.hi);
    fv_facts_add(c, &facts, fused, 0, extent - 1);
    check k = {l, &facts, b, n, fused};
    for (int i = 0; i < u->n_exprs; i++)
        if (fv_visit(u->expr[i], breaks, &k)) return false;
    for (int i = 0; i < u->n_addresses; i++)
        if (!affine_in(&k, u->address[i])) return false;
    return true;
}
lower_fused lower_fuse(lower_kernel *k, const fv_axis *axis, int n) {
    fv_ctx *c = k->l->ctx;
    lower_fused f = {.extent = 1, .n = n};
    if (n == 0) return f;
    f.axis = fused_name(c, axis, n);
    for (int i = 0; i < n; i++) f.extent *= axis[i].extent;
    if (n == 1) {
        f.n = 0;
        return f;
    }
    fv_facts_add(c, &k->facts, fv_axis_ref(c, f.axis), 0, f.extent - 1);
    parts(c, axis, n, fv_axis_ref(c, f.axis), f.bind);
    return f;
}
const fv_expr *lower_apply_fused(lower_kernel *k, const lower_fused *f, const fv_expr *e) {
    if (!e || f->n == 0) return e;
    return fv_simplify(k->l->ctx, &k->facts, fv_subst(k->l->ctx, e, f->bind, f->n));
}
