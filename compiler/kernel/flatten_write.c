/* Stores: of a buffer at its own axes, of a tensor at an index map. Invariant: a buffer's padding may be written (no
 * valid point lies there), a tensor's elements only by valid lanes. */
#include "kernel/flatten.h"

const fv_expr *fl_convert(fl *f, const fv_expr *v, fv_type to) {
    if (v->type == to) return v;
    if (to == FV_BOOL)
        return fv_op2(f->ctx, FV_X_NE, v, fv_type_is_float(v->type) ? fv_float(f->ctx, 0) : fv_int(f->ctx, 0));
    if (!fv_type_is_float(to)) {
        if (v->type != FV_BOOL) return fv_op1(f->ctx, FV_X_FLOOR, v);
        return fv_op3(f->ctx, FV_X_WHERE, v, fv_int(f->ctx, 1), fv_int(f->ctx, 0));
    }
    if (!fv_type_is_float(v->type)) v = fv_op1(f->ctx, FV_X_TOFLOAT, v);
    return v->type == to ? v : fv_make(f->ctx, FV_X_CONVERT, to, v->lanes, 0, NULL, &v, 1);
}
static const fv_expr *splat(fl *f, const fv_expr *e) {
    return e->lanes > 1 ? e : fv_make(f->ctx, FV_X_SPLAT, e->type, f->vl, 0, NULL, &e, 1);
}
static fv_flat *store(fl *f, const fv_expr *offset, const fv_expr *v) {
    fv_flat *s = fl_emit(f, FV_L_STORE);
    s->offset = offset;
    s->expr = v;
    return s;
}
/* Classifies the offset and stores v there, masked where `mask` says. */
static fv_flat *place(fl *f, const fv_expr *offset, const fv_expr *v, const fv_expr *mask) {
    const fv_expr *by_lane, *rest;
    int64_t coef;
    if (!f->lane) return store(f, offset, v);
    if (!fl_by_lane(f, offset)) { /* one element for all lanes: the index ignores the lane, so there is one lane */
        if (v->lanes > 1)
            v = fv_make(f->ctx, FV_X_EXTRACT, v->type, 1, 0, NULL, (const fv_expr *[]){v, fv_int(f->ctx, 0)}, 2);
        return store(f, offset, v);
    }
    fl_class c = fl_classify(f, offset, &by_lane, &rest, &coef);
    v = splat(f, v);
    fv_flat *s;
    if (c == FL_CONTIGUOUS) s = store(f, rest, v);
    else {
        const fv_expr *at = fl_once(f, "at", fl_vector(f, by_lane), NULL);
        s = store(f, rest, v);
        s->scatter = at;
    }
    s->mask = mask;
    return s;
}
const fv_expr *fl_buffer_offset(fl *f, fl_buffer *b) {
    const fv_expr *index[FV_MAX_AXES], *each[FV_MAX_AXES];
    for (int j = 0; j < b->b->obj.rank; j++) index[j] = fv_axis_ref(f->ctx, b->b->axis[j]);
    return fl_offset(f, &b->b->obj, index, each);
}
void fl_write(fl *f, const fl_buffer *b, const fv_expr *offset, const fv_expr *v) {
    const fv_expr *by_lane, *rest;
    int64_t coef;
    v = fl_convert(f, v, b->b->obj.type);
    fl_class c = fl_classify(f, offset, &by_lane, &rest, &coef);
    bool whole = c == FL_CONTIGUOUS || c == FL_SCALAR;
    if (c == FL_CONTIGUOUS) v = splat(f, v);
    v = fl_let(f, "v", v);
    fv_flat *s = place(f, offset, v, whole ? NULL : fl_valid(f));
    s->memory = b->mem;
    fl_forget(f, &b->mem->obj);
    if (b->b->obj.type == FV_F16 || b->b->obj.type == FV_BF16 || !whole) return;
    if (c == FL_SCALAR && v->lanes > 1) return;
    const fv_expr *key =
        fv_make(f->ctx, FV_X_LOAD, b->b->obj.type, c == FL_CONTIGUOUS ? f->vl : 1, 0, &b->mem->obj, &rest, 1);
    fl_remember(f, key, v, &b->mem->obj);
}
void fl_store_pairs(fl *f, fl_buffer *b, const fv_expr *const *v) {
    const fv_expr *by_lane, *rest, *arg[2 + 2 * 32];
    int64_t coef;
    fl_classify(f, fl_buffer_offset(f, b), &by_lane, &rest, &coef);
    for (int j = 0; j < 2; j++) arg[j] = fl_let(f, "v", fl_convert(f, splat(f, v[j]), FV_BF16));
    for (int l = 0; l < f->vl; l++)
        for (int j = 0; j < 2; j++) arg[2 + 2 * l + j] = fv_int(f->ctx, j * f->vl + l);
    fv_flat *s =
        store(f, rest, fl_let(f, "v", fv_make(f->ctx, FV_X_SHUFFLE, FV_BF16, 2 * f->vl, 0, NULL, arg, 2 + 2 * f->vl)));
    s->memory = b->mem;
    fl_forget(f, &b->mem->obj);
}
void fl_store_buffer(fl *f, fl_buffer *b, const fv_expr *v) { fl_write(f, b, fl_buffer_offset(f, b), v); }
const fv_expr *fl_load_buffer(fl *f, fl_buffer *b) {
    const fv_expr *index[FV_MAX_AXES];
    for (int j = 0; j < b->b->obj.rank; j++) index[j] = fv_axis_ref(f->ctx, b->b->axis[j]);
    return fl_read(f, fv_read(f->ctx, &b->b->obj, index, b->b->obj.rank, NULL));
}
void fl_store_tensor(fl *f, const fv_stmt *s, const fv_expr *v) {
    const fv_expr *each[FV_MAX_AXES], *offset = fl_offset(f, s->target, s->index, each), *mask = fl_valid(f);
    v = fl_convert(f, v, s->target->type);
    if (f->mask) {
        const fv_expr *m = splat(f, fl_vector(f, fl_simple(f, f->mask)));
        mask = mask ? fv_op2(f->ctx, FV_X_AND, m, mask) : m;
    }
    if (mask) mask = fl_once(f, "m", mask, NULL);
    fv_flat *st = place(f, offset, v, mask);
    st->tensor = (const fv_tensor *)s->target;
    fl_forget(f, s->target);
}
