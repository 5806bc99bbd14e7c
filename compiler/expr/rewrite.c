/* Walks: every distinct node once, arguments first, with an explicit stack (a tree may be as deep as memory allows).
 * Rewrites keep sharing. */
#include "expr/expr_internal.h"

#include <stdlib.h>

typedef struct { const fv_expr *e; int next; } frame;
typedef struct { frame *at; size_t n, cap; frame own[64]; } stack;

static void stack_init(stack *s) { s->at = s->own; s->n = 0; s->cap = sizeof s->own / sizeof s->own[0]; }
static void stack_free(stack *s) { if (s->at != s->own) free(s->at); }
static void push(stack *s, const fv_expr *e) {
    if (s->n == s->cap) {
        frame *more = malloc(s->cap * 4 * sizeof *more);
        FV_ASSERT(more, "out of memory");
        for (size_t j = 0; j < s->n; j++) more[j] = s->at[j];
        stack_free(s);
        s->at = more;
        s->cap *= 4;
    }
    s->at[s->n++] = (frame){e, 0};
}
/* The next node all of whose arguments were given out before; NULL at the end. `seen` marks nodes given out or on
 * the way. */
static const fv_expr *advance(stack *s, fv_map *seen) {
    while (s->n) {
        frame *f = &s->at[s->n - 1];
        if (f->next == f->e->n) return s->at[--s->n].e;
        const fv_expr *a = f->e->arg[f->next++];
        if (!fv_map_find(seen, a)) { fv_map_put(seen, a); push(s, a); }
    }
    return NULL;
}
bool fv_visit(const fv_expr *e, fv_visit_fn *fn, void *user) {
    stack s;
    fv_map seen;
    bool stop = false;
    stack_init(&s);
    fv_map_init(&seen);
    fv_map_put(&seen, e);
    push(&s, e);
    for (const fv_expr *at; !stop && (at = advance(&s, &seen));) stop = fn(at, user);
    stack_free(&s);
    fv_map_free(&seen);
    return stop;
}
static const fv_expr *rebuilt(fv_ctx *ctx, const fv_map *done, const fv_expr *e) {
    enum { OWN = 32 };
    const fv_expr *own[OWN], **arg = e->n <= OWN ? own : FV_NEWN(ctx, const fv_expr *, e->n);
    if (!e->n) return e;
    for (int j = 0; j < e->n; j++) arg[j] = fv_map_find(done, e->arg[j])->v.e;
    return fv_rebuild(ctx, e, arg);
}
const fv_expr *fv_rewrite(fv_ctx *ctx, const fv_expr *e, fv_rewrite_fn *fn, void *user) {
    stack s;
    fv_map done;
    stack_init(&s);
    fv_map_init(&done);
    fv_map_put(&done, e);
    push(&s, e);
    for (const fv_expr *at; (at = advance(&s, &done));) {
        const fv_expr *to = fn(ctx, rebuilt(ctx, &done, at), user);
        fv_map_put(&done, at)->v.e = to;
    }
    const fv_expr *out = fv_map_find(&done, e)->v.e;
    stack_free(&s);
    fv_map_free(&done);
    return out;
}

/* -- Substitution ------------------------------------------------------------------------------------------------- */
/* Bound leaves count as done from the start, so that a replacement is never substituted into again. */
const fv_expr *fv_subst(fv_ctx *ctx, const fv_expr *e, const fv_binding *b, int n) {
    stack s;
    fv_map done;
    stack_init(&s);
    fv_map_init(&done);
    for (int j = 0; j < n; j++) fv_map_put(&done, b[j].from)->v.e = b[j].to;
    if (!fv_map_find(&done, e)) { fv_map_put(&done, e); push(&s, e); }
    for (const fv_expr *at; (at = advance(&s, &done));) {
        const fv_expr *to = rebuilt(ctx, &done, at);
        fv_map_put(&done, at)->v.e = to;
    }
    const fv_expr *out = fv_map_find(&done, e)->v.e;
    stack_free(&s);
    fv_map_free(&done);
    return out;
}

/* -- Questions ----------------------------------------------------------------------------------------------------- */
static bool is_axis(const fv_expr *e, void *user) {
    return e->op == FV_X_AXIS && fv_str_eq(e->name, *(const fv_str *)user);
}
bool fv_uses_axis(const fv_expr *e, fv_str axis) { return e && fv_visit(e, is_axis, &axis); }
static bool is_node(const fv_expr *e, void *user) { return e == *(const fv_expr **)user; }
bool fv_uses(const fv_expr *e, const fv_expr *leaf) {
    /* arguments have lower ids than their users */
    return e && e->id >= leaf->id && fv_visit(e, is_node, (void *)&leaf);
}
typedef struct { fv_str *names; int n, cap; } names;
static bool collect(const fv_expr *e, void *user) {
    names *l = user;
    if (e->op != FV_X_AXIS) return false;
    for (int j = 0; j < l->n; j++) if (fv_str_eq(l->names[j], e->name)) return false;
    if (l->n < l->cap) l->names[l->n++] = e->name;
    return false;
}
int fv_axes_of(const fv_expr *e, fv_str *list, int n, int cap) {
    names l = {list, n, cap};
    if (e) fv_visit(e, collect, &l);
    return l.n;
}
static bool count(const fv_expr *e, void *user) { (void)e; ++*(int64_t *)user; return false; }
int64_t fv_expr_size(const fv_expr *e) {
    int64_t n = 0;
    if (e) fv_visit(e, count, &n);
    return n;
}
