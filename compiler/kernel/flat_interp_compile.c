/* flat_interp_compile: statements to nodes, expressions to tapes. Invariant: the kernel has passed fv_flat_verify, so
 * every name and memory is found. */
#include "kernel/flat_interp.h"

#include <string.h>

static void *get(fv_fi *m, size_t bytes) { return fv_arena_alloc(m->arena, bytes); }

static fv_fi_mem *mem_of(fv_fi *m, const fv_obj *obj) {
    for (int i = m->n_mem - 1; i >= 0; i--)
        if (m->mem[i]->obj == obj) return m->mem[i];
    fv_fi_trap(m, "%s is no memory of the kernel", fv_cstr(m->ctx, obj->name));
    return NULL;
}

void fv_fi_track(fv_fi *m, fv_fi_mem *x) {
    size_t bytes = sizeof(uint32_t) * (size_t)(x->count ? x->count : 1);
    x->epoch_w = get(m, bytes);
    x->item_w = get(m, bytes);
    x->epoch_r = get(m, bytes);
    x->item_r = get(m, bytes);
    if (!x->tensor) return;
    x->program_w = get(m, bytes);
    x->program_r = get(m, bytes);
}

static fv_fi_mem *alloc(fv_fi *m, const fv_memory *a) {
    for (int i = 0; i < m->n_mem; i++)
        if (m->mem[i]->memory == a) return m->mem[i];
    if (m->n_mem == (int)(sizeof m->mem / sizeof m->mem[0])) {
        fv_fi_trap(m, "too many memories to interpret");
        return NULL;
    }
    fv_fi_mem *x = m->mem[m->n_mem] = get(m, sizeof *x);
    *x = (fv_fi_mem){ .obj = &a->obj, .memory = a, .space = a->space, .count = a->count * a->lanes,
            .number = ++m->n_mem };
    x->readable = x->count;
    bool own = a->space == FV_SPACE_PRIVATE || a->space == FV_SPACE_REG || a->space == FV_SPACE_FRAG;
    int64_t copies = own ? m->n_items : 1;
    if (x->count * copies > INT64_C(1) << 28) {
        fv_fi_trap(m, "%s is too large to interpret", fv_cstr(m->ctx, a->obj.name));
        return NULL;
    }
    x->per_item = own ? x->count : 0;
    x->data = get(m, sizeof(double) * (size_t)(x->count * copies));
    for (int64_t i = 0; i < x->count * copies; i++) x->data[i] = fv_fi_poison(a->obj.type);
    if (fv_space_shared(a->space)) fv_fi_track(m, x);
    return x;
}

/* -- Expressions ------------------------------------------------------------------------------- */
typedef struct { fv_fi *m; int cap, n_args, cap_args, slots; fv_fi_tape *t; } tape_maker;

static void grow_ids(fv_fi *m, uint32_t id) {
    if (id < m->n_ids) return;
    uint32_t n = id + 1 + id / 2;
    int *var = get(m, sizeof(int) * n), *slot = get(m, sizeof(int) * n);
    uint32_t *stamp = get(m, sizeof(uint32_t) * n);
    for (uint32_t i = 0; i < n; i++) var[i] = -1;
    if (m->n_ids) {
        memcpy(var, m->var_of, sizeof(int) * m->n_ids);
        memcpy(slot, m->slot_of, sizeof(int) * m->n_ids);
        memcpy(stamp, m->stamp_of, sizeof(uint32_t) * m->n_ids);
    }
    m->var_of = var;
    m->slot_of = slot;
    m->stamp_of = stamp;
    m->n_ids = n;
}

static int var_of(fv_fi *m, const fv_expr *v) {
    grow_ids(m, v->id);
    if (m->var_of[v->id] < 0) {
        m->var_of[v->id] = m->env_size;
        m->env_size += v->lanes;
    }
    return m->var_of[v->id];
}

static void *grown(fv_fi *m, void *old, int n, int *cap, size_t size) {
    if (n < *cap) return old;
    *cap = *cap ? 2 * *cap : 8;
    void *p = get(m, size * (size_t)*cap);
    if (n) memcpy(p, old, size * (size_t)n);
    return p;
}

static bool add_node(const fv_expr *e, void *user) {
    tape_maker *w = user;
    fv_fi *m = w->m;
    fv_fi_tape *t = w->t;
    grow_ids(m, e->id);
    if (m->stamp_of[e->id] == m->stamp) return false;
    m->stamp_of[e->id] = m->stamp;
    m->slot_of[e->id] = w->slots;
    t->op = grown(m, t->op, t->n, &w->cap, sizeof *t->op);
    fv_fi_op *op = &t->op[t->n++];
    *op = (fv_fi_op){ .e = e, .out = w->slots, .first = w->n_args };
    w->slots += e->lanes;
    for (int i = 0; i < e->n; i++) {
        t->arg = grown(m, t->arg, w->n_args, &w->cap_args, sizeof *t->arg);
        t->arg[w->n_args++] = m->slot_of[e->arg[i]->id];
    }
    if (e->ref) op->mem = mem_of(m, e->ref);
    if (e->op == FV_X_VAR) op->var = var_of(m, e);
    return m->failed;
}

static void make_tape(fv_fi *m, fv_fi_node *n) {
    const fv_flat *s = n->s;
    const fv_expr *root[FV_FI_RESULTS] = { s->lo, s->hi, s->expr, s->offset, s->mask, s->scatter,
                                            s->part[0].offset, s->part[1].offset};
    tape_maker w = { .m = m, .t = &n->tape };
    m->stamp++;
    for (int i = 0; i < FV_FI_RESULTS; i++) {
        n->tape.result[i] = -1;
        if (!root[i]) continue;
        fv_visit(root[i], add_node, &w);
        n->tape.result[i] = m->slot_of[root[i]->id];
    }
    if (w.slots > m->n_slots) m->n_slots = w.slots;
}

/* -- Statements -------------------------------------------------------------------------------- */
static fv_fi_node *one(fv_fi *m, const fv_flat *s) {
    fv_fi_node *n = get(m, sizeof *n);
    n->s = s;
    m->at = s;
    if (s->kind == FV_L_ALLOC) n->mem = alloc(m, s->memory);
    for (int i = 0; s->kind == FV_L_MMA && i < 2; i++) n->part[i] = mem_of(m, &s->part[i].memory->obj);
    if (s->kind == FV_L_COPY) n->part[0] = mem_of(m, &s->tensor->obj);
    if (s->kind == FV_L_STORE || s->kind == FV_L_MMA || s->kind == FV_L_COPY || s->kind == FV_L_ROWS || (s->kind == FV_L_FRAG && s->offset))
        n->mem = mem_of(m, s->memory ? &s->memory->obj : &s->tensor->obj);
    make_tape(m, n);
    if (s->kind == FV_L_FOR) n->var = var_of(m, fv_var(m->ctx, s->name, FV_I32));
    if (s->kind == FV_L_LET) n->var = var_of(m, fv_var_n(m->ctx, s->name, s->expr->type, s->expr->lanes));
    n->body = fv_fi_compile(m, s->body);
    n->orelse = fv_fi_compile(m, s->orelse);
    n->syncs = s->kind == FV_L_BARRIER || s->kind == FV_L_ROWS ||
               (s->kind == FV_L_MMA && s->part[0].memory->space == FV_SPACE_FRAG);
    for (const fv_fi_node *b = n->body; b; b = b->next) n->syncs |= b->syncs;
    for (const fv_fi_node *b = n->orelse; b; b = b->next) n->syncs |= b->syncs;
    return n;
}

fv_fi_node *fv_fi_compile(fv_fi *m, const fv_flat *s) {
    fv_fi_node *first = NULL, **end = &first;
    for (; s && !m->failed; s = s->next) {
        *end = one(m, s);
        end = &(*end)->next;
    }
    return first;
}
