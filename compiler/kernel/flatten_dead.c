/* Removes what has no effect: names that nothing uses, stores to scratch and registers that nothing loads, empty loops
 * and conditions; then gives the scratch memory that is left its place. Invariant: stores to tensors stay. */
#include "kernel/flatten.h"

typedef struct {
    fl *f;
    uint32_t cap;
    bool *used;
    bool changed;
} dead;

static bool note(const fv_expr *e, void *user) {
    dead *d = user;
    if (e->op == FV_X_VAR && e->name.i < d->cap) d->used[e->name.i] = true;
    if (e->ref && e->ref->kind == FV_OBJ_BUFFER && e->ref->name.i < d->cap) d->used[e->ref->name.i] = true;
    return false;
}
static void note_expr(dead *d, const fv_expr *e) {
    if (e) fv_visit(e, note, d);
}
static void note_list(dead *d, const fv_flat *s) {
    for (; s; s = s->next) {
        note_expr(d, s->lo);
        note_expr(d, s->hi);
        note_expr(d, s->expr);
        note_expr(d, s->offset);
        note_expr(d, s->mask);
        note_expr(d, s->scatter);
        if (s->kind == FV_L_FRAG && s->memory) d->used[s->memory->obj.name.i] = true;
        note_list(d, s->body);
        note_list(d, s->orelse);
    }
}
static bool is_dead(const dead *d, const fv_flat *s) {
    switch (s->kind) {
    case FV_L_LET: return !d->used[s->name.i];
    case FV_L_STORE: return s->memory && !d->used[s->memory->obj.name.i];
    case FV_L_ALLOC: return !d->used[s->memory->obj.name.i];
    case FV_L_FOR: return !s->body && s->loop != FV_LOOP_PROGRAMS;
    case FV_L_IF: return !s->body && !s->orelse;
    default: return false;
    }
}
/* -- Stores that a later one of the same run of statements covers ------------------------------------------------ */
typedef struct {
    int n, cap;
    const fv_flat **at;
    fv_ctx *ctx;
} covers;
static bool forget_loaded(const fv_expr *e, void *user) {
    covers *c = user;
    if (!e->ref) return false;
    for (int j = 0; j < c->n; j++)
        if (&c->at[j]->memory->obj == e->ref) c->at[j--] = c->at[--c->n];
    return false;
}
static void forget_in(covers *c, const fv_expr *e) {
    if (e && c->n) fv_visit(e, forget_loaded, c);
}
static void uncover(covers *c, fv_flat *s, bool *covered) {
    *covered = false;
    if (s->body || s->orelse || s->kind == FV_L_FRAG) {
        c->n = 0;
        return;
    }
    bool plain = s->kind == FV_L_STORE && s->memory && s->memory->space == FV_SPACE_LOCAL && !s->mask && !s->scatter;
    for (int j = 0; j < c->n && plain && !*covered; j++)
        *covered =
            c->at[j]->memory == s->memory && c->at[j]->offset == s->offset && c->at[j]->expr->lanes >= s->expr->lanes;
    if (*covered) return;
    forget_in(c, s->expr);
    forget_in(c, s->offset);
    forget_in(c, s->mask);
    forget_in(c, s->scatter);
    if (plain) fv_push(c->ctx, c->at, c->n, c->cap, s);
}
static fv_flat *drop_covered(fv_ctx *ctx, fv_flat *first) {
    int n = 0, m = 0;
    for (fv_flat *s = first; s; s = s->next) n++;
    fv_flat **list = FV_NEWN(ctx, fv_flat *, n + 1);
    for (fv_flat *s = first; s; s = s->next) list[m++] = s;
    covers c = {.ctx = ctx};
    bool *gone = FV_NEWN(ctx, bool, n + 1);
    for (int j = n - 1; j >= 0; j--) {
        list[j]->body = drop_covered(ctx, list[j]->body);
        list[j]->orelse = drop_covered(ctx, list[j]->orelse);
        uncover(&c, list[j], &gone[j]);
    }
    fv_flat *out = NULL, **at = &out;
    for (int j = 0; j < n; j++) {
        if (gone[j]) continue;
        *at = list[j];
        at = &list[j]->next;
    }
    *at = NULL;
    return out;
}

static fv_flat *sweep(dead *d, fv_flat *s) {
    fv_flat *first = NULL, **at = &first;
    for (; s; s = s->next) {
        s->body = sweep(d, s->body);
        s->orelse = sweep(d, s->orelse);
        if (is_dead(d, s)) {
            d->changed = true;
            continue;
        }
        *at = s;
        at = &s->next;
    }
    *at = NULL;
    return first;
}
void fl_sweep(fl *f) {
    dead d = {.f = f};
    f->out->body = drop_covered(f->ctx, f->out->body);
    d.cap = fv_str_count(f->ctx);
    for (int round = 0; round < 16; round++) {
        d.used = FV_NEWN(f->ctx, bool, d.cap);
        d.changed = false;
        note_list(&d, f->out->body);
        f->out->body = sweep(&d, f->out->body);
        if (!d.changed) break;
    }
    /* scratch in use, one after another, allocated at the head of every program */
    fv_flat *loop = f->out->body;
    while (loop && !(loop->kind == FV_L_FOR && loop->loop == FV_LOOP_PROGRAMS)) loop = loop->next;
    int64_t at = 0;
    fv_flats heads = {0};
    for (int j = 0; loop && j < f->n_buffers; j++) {
        fv_memory *m = f->buffer[j]->mem;
        if (!d.used[m->obj.name.i]) continue;
        m->offset_bytes = at;
        at += (m->count * fv_type_bytes(m->obj.type) + 63) / 64 * 64;
        fv_flats_add(&heads, fv_flat_new(f->ctx, FV_L_ALLOC))->memory = m;
    }
    f->out->scratch_bytes = at;
    if (!heads.last) return;
    heads.last->next = loop->body;
    loop->body = heads.first;
}
