/* How far two evaluations of a kernel may differ, and whether they must be equal: see alone.h. Invariant: a magnitude
 * of HUGE_VAL is not known to be a whole number below 2^24. */
#include "tune/alone.h"

#include <math.h>
#include <string.h>

enum { SMALL = 3 }; /* magnitude of whole numbers in leaves */
static const double EXACT_LIMIT = 16777216;

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
static bool count_float(const fv_expr *e, void *user) {
    if (fv_op_arity(e->op) > 0 && fv_type_is_float(e->type)) ++*(double *)user;
    return false;
}
static double operations(const fv_expr *e) {
    double n = 0;
    if (e) fv_visit(e, count_float, &n);
    return n;
}
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
static double largest(walk *w, const fv_expr *e) {
    double a, b, m = HUGE_VAL;
    if (!e) return 0;
    switch (e->op) {
    case FV_X_FLOAT: m = floor(e->f) == e->f ? fabs(e->f) : HUGE_VAL; break;
    case FV_X_INT: m = fabs((double)e->i); break;
    case FV_X_READ: m = *slot(w, e->ref); break;
    case FV_X_NEG:
    case FV_X_ABS:
    case FV_X_TOFLOAT: m = largest(w, e->arg[0]); break;
    case FV_X_ADD:
    case FV_X_SUB: m = largest(w, e->arg[0]) + largest(w, e->arg[1]); break;
    case FV_X_MUL: m = largest(w, e->arg[0]) * largest(w, e->arg[1]); break;
    case FV_X_MIN:
    case FV_X_MAX: m = fmax(largest(w, e->arg[0]), largest(w, e->arg[1])); break;
    case FV_X_WHERE:
        a = largest(w, e->arg[1]);
        b = largest(w, e->arg[2]);
        m = largest(w, e->arg[0]) == HUGE_VAL ? HUGE_VAL : fmax(a, b);
        break;
    case FV_X_LT:
    case FV_X_LE:
    case FV_X_EQ:
    case FV_X_NE:
    case FV_X_AND:
    case FV_X_OR: m = largest(w, e->arg[0]) < EXACT_LIMIT && largest(w, e->arg[1]) < EXACT_LIMIT ? 1 : HUGE_VAL; break;
    case FV_X_NOT: m = largest(w, e->arg[0]); break;
    default: break;
    }
    if (m >= EXACT_LIMIT && !fv_type_is_float(e->type) && e->op != FV_X_READ) { /* coordinates have no roundings */
        fv_range r = fv_range_of(NULL, e);
        if (e->type == FV_BOOL) m = 1;
        else if (r.lo > -(INT64_C(1) << 24) && r.hi < (INT64_C(1) << 24))
            m = fmax(fabs((double)r.lo), fabs((double)r.hi));
    }
    return m < EXACT_LIMIT ? m : HUGE_VAL;
}

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
    w->length += operations(s->expr) + operations(s->otherwise) + (sums ? sqrt(terms(w, s)) : 0);
    w->sum = w->sum || s->kind == FV_S_CONTRACT;
    double m = largest(w, s->expr);
    if (sums) m *= terms(w, s);
    double *to = slot(w, s->target);
    *to = fmax(*to, fmax(m, largest(w, s->otherwise)));
    if (s->write == FV_W_ARGMAX || s->kind == FV_S_TOPK) *to = HUGE_VAL; /* ranks are compared as they are */
    if (*to >= EXACT_LIMIT) *to = HUGE_VAL;
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
            for (int j = 0; j < w.n_buffers; j++) x->exact = x->exact && w.buffer[j].most < EXACT_LIMIT;
        }
    for (int i = 0; i < p->n_tensors; i++) x->exact = x->exact && most[i] < EXACT_LIMIT;
}
