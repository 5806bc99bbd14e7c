/* How far two evaluations of a kernel may differ, and whether they must be equal: see alone.h. Invariant: a magnitude
 * of HUGE_VAL is not known to be a whole number below 2^24. */
#include "tune/alone.h"

#include <math.h>
#include <string.h>

enum { SMALL = 3 }; /* magnitude of whole numbers in leaves */

typedef struct {
    fv_ctx *ctx;
    const fv_kernel *k;
    const fv_launch *l;
    double *tensor; /* by tensor of the plan */
    int n_buffers, cap_buffers;
    struct buffer_entry {
        const fv_obj *b;
        double most;
    } *buffer;
    double length;
    bool sum, loops; /* a sum of products; what a loop carries on is not followed */
} walk;

/* -- Lengths -- */
/* Points of an axis in all: of a loop's, of the whole loop. */
static double whole_extent(const walk *w, fv_str name) {
    const fv_stmt *owner;
    const fv_tile_axis *a = fv_kernel_axis(w->k, name, &owner);
    int64_t n;
    if (!a) return 1;
    if (owner->kind == FV_S_FOR && a->limit && fv_is_int(a->limit, &n)) return (double)n;
    return a->tile ? (double)a->tile : 1;
}
static double terms(const walk *w, const fv_stmt *s) {
    double n = 1;
    for (int i = 0; i < s->n_over; i++) n *= whole_extent(w, s->over[i]);
    return n;
}

/* -- Magnitudes of whole numbers -- */
static double *slot(walk *w, const fv_obj *o) {
    for (int i = 0; i < w->k->n_tensors; i++)
        if (&w->k->tensor[i]->obj == o) return &w->tensor[w->l->arg[i]];
    for (int i = 0; i < w->n_buffers; i++)
        if (w->buffer[i].b == o) return &w->buffer[i].most;
    struct buffer_entry e = {o, 0};
    fv_push(w->ctx, w->buffer, w->n_buffers, w->cap_buffers, e);
    return &w->buffer[w->n_buffers - 1].most;
}
static double leaf(const fv_expr *e, void *user) {
    return e->op == FV_X_READ ? *slot(user, e->ref) : fv_whole_magnitude(e->arg[0], leaf, user);
}
static double largest(walk *w, const fv_expr *e) { return fv_whole_magnitude(e, leaf, w); }
static bool visit(fv_stmt *s, void *user) {
    walk *w = user;
    if (s->kind == FV_S_ALLOC) {
        double a = s->expr && s->expr->op == FV_X_FLOAT && isinf(s->expr->f) ? 0 : largest(w, s->expr);
        double *m = slot(w, &s->buffer->obj);
        *m = fmax(*m, a);
    }
    w->loops = w->loops || s->kind == FV_S_FOR;
    if (!fv_stmt_is_op(s)) return false;
    bool sums = s->write == FV_W_SUM || s->write == FV_W_ADD || s->write == FV_W_SCANSUM;
    w->length += fv_float_operations(s->expr) + fv_float_operations(s->otherwise) + (sums ? sqrt(terms(w, s)) : 0);
    w->sum = w->sum || s->kind == FV_S_CONTRACT;
    double m = largest(w, s->expr);
    if (sums) m *= terms(w, s);
    double *to = slot(w, s->target);
    *to = fmax(*to, fmax(m, largest(w, s->otherwise)));
    if (s->write == FV_W_ARGMAX || s->kind == FV_S_TOPK) *to = HUGE_VAL; /* ranks are compared as they are */
    if (*to >= FV_WHOLE_LIMIT) *to = HUGE_VAL;
    return false;
}

static bool sixteen(fv_type t) { return t == FV_BF16 || t == FV_F16; }
void fv_tune_bound(fv_ctx *ctx, fv_tune_alone *x) {
    const fv_plan *p = x->plan;
    double *most = FV_NEWN(ctx, double, p->n_tensors + 1);
    x->length = 1;
    x->stored = 0;
    x->exact = true;
    for (int i = 0; i < p->n_tensors; i++) {
        const fv_plan_tensor *t = p->tensor[i];
        if (t->kind == FV_MEM_INPUT || t->kind == FV_MEM_PARAM)
            most[i] = t->index_bound > SMALL ? (double)t->index_bound : SMALL;
        for (int64_t j = 0; t->kind == FV_MEM_CONST && j < fv_plan_tensor_elements(t); j++) {
            double v = fabs(t->data[j]);
            most[i] = floor(v) == v ? fmax(most[i], v) : HUGE_VAL;
        }
        if (sixteen(t->type)) {
            x->stored = fmax(x->stored, 1);
            x->exact = false;
        }
    }
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < p->n_launches[which]; i++) {
            walk w = {.ctx = ctx, .k = p->launch[which][i]->kernel, .l = p->launch[which][i], .tensor = most};
            fv_stmts_visit(w.k->body, visit, &w);
            x->length += w.length;
            if (x->stored > 0) x->stored += w.sum ? 2 : 1;
            x->exact = x->exact && !w.loops;
            for (int j = 0; j < w.n_buffers; j++) x->exact = x->exact && w.buffer[j].most < FV_WHOLE_LIMIT;
        }
    for (int i = 0; i < p->n_tensors; i++) x->exact = x->exact && most[i] < FV_WHOLE_LIMIT;
}
