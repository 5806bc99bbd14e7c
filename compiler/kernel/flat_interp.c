/* flat_interp: executes flat kernels. Items run one after another, in random order, from barrier to barrier; an element
 * touched by two items in between, one of them writing, is a trap. Memory starts as poison (NaN, INT32_MIN), private
 * memory afresh at every alloc. Invariant: statements that hold a barrier are walked once for all items, which is right
 * because all agree on their conditions and bounds (checked). */
#include "kernel/flat_interp.h"

#include <string.h>

bool fv_fi_trap(fv_fi *m, const char *format, ...) {
    char text[300];
    va_list ap;
    if (m->failed) return false;
    m->failed = true;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const fv_flat *s = m->at;
    bool labelled = s && s->label.i;
    fv_error(m->ctx, FV_E_TRAP, s ? s->loc : (fv_loc){ { 0 }, 0 }, "kernel %s%s%s: %s", fv_cstr(m->ctx, m->k->name),
             labelled ? ", " : "",
             labelled ? fv_cstr(m->ctx, s->label) : "", text);
    return false;
}

static double *env(fv_fi *m) { return m->env + (int64_t)m->item * m->env_size; }
static int64_t result(const fv_fi *m, const fv_fi_node *n, int which) {
    return (int64_t)m->slot[n->tape.result[which]]; }

static void shuffle_items(fv_fi *m) {
    for (int i = m->n_items - 1; i > 0; i--) {
        m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int j = (int)((m->random >> 33) % (uint64_t)(i + 1)), t = m->order[i];
        m->order[i] = m->order[j];
        m->order[j] = t;
    }
}

/* -- One item, or none ------------------------------------------------------------------------- */
static bool run_list(fv_fi *m, const fv_fi_node *n);

static void poison(fv_fi *m, fv_fi_mem *x) {
    double *p = x->data + x->per_item * m->item;
    for (int64_t i = 0; i < x->count; i++) p[i] = fv_fi_poison(x->obj->type);
    if (x->epoch_w) memset(x->epoch_w, 0, sizeof(uint32_t) * (size_t)x->count),
        memset(x->epoch_r, 0, sizeof(uint32_t) * (size_t)x->count);
}

static bool store(fv_fi *m, const fv_fi_node *n) {
    const fv_expr *e = n->s->expr;
    const int *r = n->tape.result;
    int64_t at = result(m, n, FV_FI_OFFSET);
    if (n->mem->space == FV_SPACE_REG) at *= n->mem->memory->lanes;
    for (int l = 0; l < e->lanes; l++) {
        double unused, *p;
        if (r[FV_FI_MASK] >= 0 && m->slot[r[FV_FI_MASK] + l] == 0) continue;
        int64_t lane = r[FV_FI_SCATTER] >= 0 ? (int64_t)m->slot[r[FV_FI_SCATTER] + l] : l;
        if (!(p = fv_fi_element(m, n->mem, at + lane, true, &unused))) return false;
        *p = m->slot[r[FV_FI_EXPR] + l];
    }
    return true;
}

static bool run_items(fv_fi *m, const fv_fi_node *n);

static bool run_for(fv_fi *m, const fv_fi_node *n) {
    const fv_flat *s = n->s;
    bool outer = s->loop == FV_LOOP_PROGRAMS || s->loop == FV_LOOP_GROUP;
    int64_t lo = m->begin, hi = m->end;
    if (s->loop == FV_LOOP_ITEM) return run_items(m, n);
    if (!fv_fi_eval(m, &n->tape)) return false;
    if (s->lo) lo = result(m, n, FV_FI_LO), hi = result(m, n, FV_FI_HI);
    for (int64_t i = lo; i < hi; i += s->step) {
        if (outer) m->program++, m->epoch++;
        env(m)[n->var] = (double)i;
        if (!run_list(m, n->body)) return false;
    }
    return true;
}

static bool run_one(fv_fi *m, const fv_fi_node *n) {
    m->at = n->s;
    if (n->s->kind == FV_L_FOR) return run_for(m, n);
    if (!fv_fi_eval(m, &n->tape)) return false;
    switch (n->s->kind) {
    case FV_L_IF: return run_list(m, m->slot[n->tape.result[FV_FI_EXPR]] != 0 ? n->body : n->orelse);
    case FV_L_LET: memcpy(env(m) + n->var, m->slot + n->tape.result[FV_FI_EXPR],
                          sizeof(double) * (size_t)n->s->expr->lanes); return true;
    case FV_L_ALLOC: poison(m, n->mem); return true;
    case FV_L_STORE: return store(m, n);
    case FV_L_FRAG: return fv_fi_fragment(m, n);
    case FV_L_MMA: return fv_fi_mma(m, n);
    case FV_L_COPY: return fv_fi_copy(m, n);
    case FV_L_ASSERT: return m->slot[n->tape.result[FV_FI_EXPR]] != 0 || fv_fi_trap(m, "an assertion does not hold");
    default: return fv_fi_trap(m, "a barrier outside of the item loop");
    }
}

static bool run_list(fv_fi *m, const fv_fi_node *n) {
    for (; n; n = n->next)
        if (!run_one(m, n)) return false;
    return true;
}

/* -- All items of a group ---------------------------------------------------------------------- */
/* Evaluates for every item; all must get the same bounds or condition. Leaves the slots of one of them. */
static bool agree(fv_fi *m, const fv_fi_node *n) {
    double first[FV_FI_RESULTS] = { 0 };
    for (int i = 0; i < m->n_items; i++) {
        m->item = i;
        if (!fv_fi_eval(m, &n->tape)) return false;
        for (int r = 0; r <= FV_FI_EXPR; r++) {
            if (n->tape.result[r] < 0) continue;
            double v = m->slot[n->tape.result[r]];
            if (i == 0) first[r] = v;
            else if (v < first[r] || v > first[r])
                return fv_fi_trap(m, "items 0 and %d do not agree on reaching a barrier", i);
        }
    }
    return true;
}

static bool run_all(fv_fi *m, const fv_fi_node *n);

static bool run_loop_all(fv_fi *m, const fv_fi_node *n) {
    if (!agree(m, n)) return false;
    int64_t lo = result(m, n, FV_FI_LO), hi = result(m, n, FV_FI_HI);
    for (int64_t at = lo; at < hi; at += n->s->step) {
        for (int i = 0; i < m->n_items; i++) m->env[(int64_t)i * m->env_size + n->var] = (double)at;
        if (!run_all(m, n->body)) return false;
    }
    return true;
}

static bool run_one_all(fv_fi *m, const fv_fi_node *n) {
    m->at = n->s;
    if (n->s->kind == FV_L_BARRIER) {
        m->epoch++;
        return true;
    }
    if (n->s->kind == FV_L_FOR) return run_loop_all(m, n);
    if (n->s->kind == FV_L_MMA) return fv_fi_mma_all(m, n);
    if (n->s->kind == FV_L_ROWS) return fv_fi_rows_all(m, n);
    return agree(m, n) && run_all(m, m->slot[n->tape.result[FV_FI_EXPR]] != 0 ? n->body : n->orelse);
}

static bool run_all(fv_fi *m, const fv_fi_node *n) {
    while (n) {
        const fv_fi_node *end = n;
        while (end && !end->syncs) end = end->next;
        if (end == n) {
            if (!run_one_all(m, n)) return false;
            n = n->next;
            continue;
        }
        shuffle_items(m);
        for (int i = 0; i < m->n_items; i++) {
            m->item = m->order[i];
            for (const fv_fi_node *x = n; x != end; x = x->next)
                if (!run_one(m, x)) return false;
        }
        n = end;
    }
    return true;
}

static bool run_items(fv_fi *m, const fv_fi_node *n) {
    for (int i = 1; i < m->n_items; i++)
        memcpy(m->env + (int64_t)i * m->env_size, m->env, sizeof(double) * (size_t)m->env_size);
    for (int i = 0; i < m->n_items; i++) m->env[(int64_t)i * m->env_size + n->var] = i;
    m->epoch++;
    bool ok = run_all(m, n->body);
    m->item = 0;
    m->epoch++;
    return ok;
}

/* -- Whole kernels ----------------------------------------------------------------------------- */
static void add_tensors(fv_fi *m, double **data) {
    for (int i = 0; i < m->k->n_tensors; i++) {
        const fv_tensor *t = m->k->tensor[i];
        fv_fi_mem *x = m->mem[m->n_mem++] = fv_arena_alloc(m->arena, sizeof *x);
        *x = (fv_fi_mem){ .obj = &t->obj, .tensor = t, .space = FV_SPACE_GLOBAL, .count = fv_tensor_elements(t),
                .data = data[i] };
        if (t->role != FV_ROLE_IN) fv_fi_track(m, x);
        x->readable = x->count + (t->padded ? 64 / fv_type_bytes(t->obj.type) : 0);
    }
}

static bool interpret(fv_fi *m, double **data) {
    add_tensors(m, data);
    fv_fi_node *body = fv_fi_compile(m, m->k->body);
    if (m->failed) return false;
    size_t items = (size_t)m->n_items;
    m->slot = fv_arena_alloc(m->arena, sizeof(double) * (size_t)(m->n_slots + 1));
    m->env = fv_arena_alloc(m->arena, sizeof(double) * (size_t)(m->env_size + 1) * items);
    m->order = fv_arena_alloc(m->arena, sizeof(int) * items);
    for (int i = 0; i < m->n_items; i++) m->order[i] = i;
    m->owner = fv_arena_alloc(m->arena, sizeof(uint16_t) * (size_t)(m->k->scratch_bytes + m->k->far_bytes + 1));
    return run_list(m, body);
}

bool fv_flat_interpret(const fv_flat_kernel *k, double **data, int64_t begin, int64_t end, uint64_t seed) {
    fv_fi *m = NULL;
    fv_arena *arena = fv_arena_new();
    m = fv_arena_alloc(arena, sizeof *m);
    *m = (fv_fi){ .ctx = k->ctx, .arena = arena, .k = k, .begin = begin, .end = end, .random = seed, .epoch = 1 };
    m->n_items = k->group_size > 0 && k->group_size <= 4096 ? (int)k->group_size : 1;
    bool ok = k->n_tensors < 512 && interpret(m, data);
    if (k->n_tensors >= 512) fv_fi_trap(m, "too many tensors to interpret");
    fv_arena_dispose(arena);
    return ok;
}
