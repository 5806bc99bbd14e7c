/* Permuted loads of memory that may not be read past its end (a caller's tensor). A nest with such loads becomes two:
 * one for programs in which the furthest load still ends inside the tensor, and one whose loads are drawn back so that
 * they end with it, their permutations moved on. Invariant: no element outside the tensor is touched. */
#include "kernel/flatten.h"

typedef struct {
    fl *f;
    const fl_group *g;
    const fv_expr *fits;
    bool any;
} survey;

static bool is_read(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ;
}
/* The greatest offset that the read can have anywhere in the group, as a scalar of the flat text. */
static const fv_expr *furthest(fl *f, const fl_group *g, const fv_expr *read) {
    const fv_tensor *t = (const fv_tensor *)read->ref;
    const fv_expr *leaf[FV_MAX_AXES], *zero[FV_MAX_AXES], *last[FV_MAX_AXES], *sum = fv_int(f->ctx, 0);
    int n = 0;
    for (int j = 0; j < g->n_axes; j++) {
        leaf[n] = fl_symbol(f, g->axis[j]);
        zero[n] = fv_int(f->ctx, 0);
        last[n++] = fv_addi(f->ctx, g->axis[j]->count, -1);
    }
    for (int j = 0; j < read->ref->rank; j++) {
        const fv_expr *e = fl_symbolic_index(f, read->arg[j], NULL), *lo, *hi,
                      *end = fv_int(f->ctx, t->extent[j] - 1);
        if (fv_visit(read->arg[j], is_read, NULL) || /* a name that is bound elsewhere */
            !fv_bounds(f->ctx, &f->facts, e, leaf, zero, last, n, &lo, &hi)) hi = end;
        hi = fl_simple(f, fv_op2(f->ctx, FV_X_MIN, hi, end));
        sum = fv_add(f->ctx, sum, fv_muli(f->ctx, hi, t->stride[j]));
    }
    return sum;
}
static bool note(const fv_expr *e, void *user) {
    survey *s = user;
    fl *f = s->f;
    if (e->op != FV_X_READ || e->i || e->ref->kind != FV_OBJ_TENSOR || ((const fv_tensor *)e->ref)->padded)
        return false;
    int64_t n = fv_tensor_elements((const fv_tensor *)e->ref);
    fl_class c = fl_operand_class(f, e, s->g->lane);
    if ((c != FL_PERMUTED && c != FL_PERMUTED2) || n < f->vl) return false;
    const fv_expr *fits = fv_op2(f->ctx, FV_X_LE, fv_addi(f->ctx, furthest(f, s->g, e), f->vl), fv_int(f->ctx, n));
    s->fits = fv_and(f->ctx, s->fits, fits);
    s->any = true;
    fv_push(f->ctx, f->ended, f->n_ended, f->cap_ended, e);
    return false;
}
bool fl_has_end(const fl *f, const fv_expr *read) {
    for (int j = 0; j < f->n_ended; j++)
        if (f->ended[j] == read) return true;
    return false;
}
static bool side(fl *f, const fl_group *g, bool draws_back, bool (*nest)(fl *, fl_group *)) {
    fl_group *own = FV_NEW(f->ctx, fl_group);
    *own = *g;
    f->draw_back = draws_back;
    return nest(f, own);
}
bool fl_with_slack(fl *f, fl_group *g, bool (*nest)(fl *, fl_group *)) {
    survey s = {f, g, NULL, false};
    f->n_ended = 0;
    for (int j = 0; j < g->n_body && g->lane; j++) fv_visit(g->body[j].s->expr, note, &s);
    if (!s.any) return nest(f, g);
    const fv_expr *c = fl_simple(f, s.fits);
    bool fine = true;
    if (c->op == FV_X_INT) fine = side(f, g, !c->i, nest);
    else {
        fv_flat *l = fl_emit(f, FV_L_IF);
        l->expr = c;
        for (int j = 0; j < 2 && fine; j++) {
            fv_flats body = {0};
            fl_mark m = fl_enter(f, &body, false);
            fine = side(f, g, j != 0, nest);
            fl_leave(f, m);
            *(j ? &l->orelse : &l->body) = body.first;
        }
    }
    f->n_ended = 0;
    f->draw_back = false;
    return fine;
}
