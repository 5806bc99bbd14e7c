/* Several plans of one model, for several extents of its inputs, as one plan: see plan.h. What prepare makes is known
 * by how it is made: by which kernels, of which parameters and constants. What two plans make in the same way is made
 * and kept once. Invariant: a launch of prepare is left out only if all that it writes is there already. */
#include "plan/plan_internal.h"

#include <string.h>

typedef struct {
    uint64_t *last;  /* by tensor: what it holds when prepare is done */
    uint64_t **seen; /* by launch of prepare and argument: what it holds before the launch */
    int *to;         /* by tensor: its number in the whole; -1: none yet */
    bool *keep;      /* by launch of prepare */
} member;
typedef struct {
    fv_ctx *ctx;
    fv_plan *whole;
    uint64_t *holds; /* by tensor of the whole: what it holds when prepare is done */
    int n_holds, cap_holds;
} joiner;

static uint64_t mix(uint64_t h, uint64_t v) { return fv_hash(&v, sizeof v, h); }
static uint64_t form(const fv_plan_tensor *t, uint64_t h) {
    h = mix(mix(mix(h, (uint64_t)t->type), (uint64_t)t->rank), (uint64_t)t->bytes);
    for (int i = 0; i < t->rank; i++) h = mix(mix(h, (uint64_t)t->extent[i]), (uint64_t)t->stride[i]);
    return h;
}
static uint64_t given(const fv_plan *p, const fv_plan_tensor *t) {
    uint64_t h = form(t, mix(FV_HASH_SEED, (uint64_t)t->kind));
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->extent[i];
    if (t->kind == FV_MEM_CONST) return fv_hash(t->data, sizeof *t->data * (size_t)n, h);
    const char *name = fv_cstr(p->ctx, t->name);
    return t->kind == FV_MEM_PARAM ? fv_hash(name, strlen(name), h) : h;
}
/* What every tensor of prepare holds, from launch to launch. */
static member follow(fv_ctx *ctx, const fv_plan *p) {
    member m = {.last = FV_NEWN(ctx, uint64_t, p->n_tensors + 1),
                .seen = FV_NEWN(ctx, uint64_t *, p->n_launches[0] + 1),
                .to = FV_NEWN(ctx, int, p->n_tensors + 1),
                .keep = FV_NEWN(ctx, bool, p->n_launches[0] + 1)};
    for (int t = 0; t < p->n_tensors; t++) {
        m.last[t] = given(p, p->tensor[t]);
        m.to[t] = -1;
    }
    for (int i = 0; i < p->n_launches[0]; i++) {
        const fv_launch *l = p->launch[0][i];
        const char *key = fv_launch_key(ctx, l);
        uint64_t h = fv_hash(key, strlen(key), FV_HASH_SEED);
        m.seen[i] = FV_NEWN(ctx, uint64_t, l->n_args + 1);
        for (int k = 0; k < l->n_args; k++) h = mix(h, m.seen[i][k] = m.last[l->arg[k]]);
        for (int k = 0; k < l->n_args; k++)
            if (l->kernel->tensor[k]->role != FV_ROLE_IN) m.last[l->arg[k]] = mix(h, (uint64_t)k);
    }
    return m;
}
static bool made(const fv_plan_tensor *t) { return fv_mem_is_ours(t->kind); }
static int find(const joiner *j, uint64_t holds, fv_mem_kind kind) {
    for (int i = 0; i < j->whole->n_tensors; i++)
        if (j->holds[i] == holds && j->whole->tensor[i]->kind == kind) return i;
    return -1;
}
static int add(joiner *j, const fv_plan_tensor *t, uint64_t holds) {
    fv_push(j->ctx, j->holds, j->n_holds, j->cap_holds, holds);
    return fv_plan_add_tensor(j->whole, t);
}

/* -- Parameters ---- */
static const char *shape(fv_ctx *ctx, const fv_plan_tensor *t) {
    const char *text = "";
    for (int i = 0; i < t->rank; i++) text = fv_printf(ctx, "%s%s%lld", text, i ? ", " : "", (long long)t->extent[i]);
    return text;
}
static bool take_params(joiner *j, const fv_plan *p, member *m, const char *label, const char *first) {
    for (int t = 0; t < p->n_tensors; t++) {
        const fv_plan_tensor *x = p->tensor[t];
        if (x->kind != FV_MEM_PARAM) continue;
        for (int i = 0; i < j->whole->n_tensors && m->to[t] < 0; i++)
            if (fv_str_eq(j->whole->tensor[i]->name, x->name)) m->to[t] = i;
        if (m->to[t] < 0) m->to[t] = add(j, x, m->last[t]);
        const fv_plan_tensor *have = j->whole->tensor[m->to[t]];
        if (form(have, 0) == form(x, 0)) continue;
        fv_error(j->ctx, FV_E_USAGE, x->loc,
                 "the parameter '%s' has the shape [%s] for %s and [%s] for %s: the sizes of one library share their "
                 "weights",
                 fv_cstr(j->ctx, x->name), shape(j->ctx, have), first, shape(j->ctx, x), label);
        return false;
    }
    return true;
}

/* -- Prepare ---- */
static bool writes(const fv_launch *l, int k) { return l->kernel->tensor[k]->role != FV_ROLE_IN; }
/* One round of the invariant and its counterpart: who is kept writes and reads only what lies as it expects. */
static bool settle(const fv_plan *p, member *m) {
    bool changed = false;
    for (int i = 0; i < p->n_launches[0]; i++) {
        const fv_launch *l = p->launch[0][i];
        for (int k = 0; k < l->n_args; k++)
            if (writes(l, k) && m->to[l->arg[k]] < 0) m->keep[i] = true;
        for (int k = 0; m->keep[i] && k < l->n_args; k++) {
            int t = l->arg[k];
            if (!made(p->tensor[t]) || m->to[t] < 0 || (!writes(l, k) && m->seen[i][k] == m->last[t])) continue;
            m->to[t] = -1;
            changed = true;
        }
    }
    return changed;
}
static bool touched(const fv_plan *p, int which, int tensor) {
    for (int i = 0; i < p->n_launches[which]; i++)
        for (int k = 0; k < p->launch[which][i]->n_args; k++)
            if (p->launch[which][i]->arg[k] == tensor) return true;
    return false;
}
static void take_prepare(joiner *j, const fv_plan *p, member *m) {
    for (int t = 0; t < p->n_tensors; t++)
        if (made(p->tensor[t]) && touched(p, 0, t)) m->to[t] = find(j, m->last[t], FV_MEM_PREPARED);
    while (settle(p, m)) {}
    for (int i = 0; i < p->n_launches[0]; i++) {
        fv_launch l = *p->launch[0][i];
        if (!m->keep[i]) continue;
        int *arg = FV_NEWN(j->ctx, int, l.n_args + 1);
        for (int k = 0; k < l.n_args; k++) {
            int t = l.arg[k];
            fv_plan_tensor x = *p->tensor[t];
            if (m->to[t] < 0 && !made(&x)) m->to[t] = find(j, m->last[t], x.kind);
            if (made(&x)) x.kind = FV_MEM_PREPARED;
            if (m->to[t] < 0) m->to[t] = add(j, &x, m->last[t]);
            arg[k] = m->to[t];
        }
        l.arg = arg;
        fv_plan_add_launch(j->whole, 0, &l);
    }
}

/* -- Run ---- */
static void take_run(joiner *j, const fv_plan *p, member *m, fv_plan_part *out) {
    out->first_tensor = j->whole->n_tensors;
    out->first_launch = j->whole->n_launches[1];
    out->n_launches = p->n_launches[1];
    out->arena_bytes = p->arena_bytes;
    for (int t = 0; t < p->n_tensors; t++)
        if (m->to[t] < 0 && (!made(p->tensor[t]) || touched(p, 1, t))) m->to[t] = add(j, p->tensor[t], m->last[t]);
    out->n_tensors = j->whole->n_tensors - out->first_tensor;
    for (int i = 0; i < p->n_launches[1]; i++) {
        fv_launch l = *p->launch[1][i];
        int *arg = FV_NEWN(j->ctx, int, l.n_args + 1);
        for (int k = 0; k < l.n_args; k++) arg[k] = m->to[l.arg[k]];
        l.arg = arg;
        fv_plan_add_launch(j->whole, 1, &l);
    }
    if (p->arena_bytes > j->whole->arena_bytes) j->whole->arena_bytes = p->arena_bytes;
}
fv_plan *fv_plan_join(fv_ctx *ctx, fv_plan *const *plan, const char *const *label, int n, int *n_common,
                      fv_plan_part *out) {
    joiner j = {.ctx = ctx, .whole = fv_plan_new(ctx)};
    member *m = FV_NEWN(ctx, member, n + 1);
    for (int i = 0; i < n; i++) {
        m[i] = follow(ctx, plan[i]);
        if (!take_params(&j, plan[i], &m[i], label[i], label[0])) return NULL;
    }
    for (int i = 0; i < n; i++) take_prepare(&j, plan[i], &m[i]);
    *n_common = j.whole->n_tensors;
    fv_plan_arena(j.whole); /* what is prepared; no launch of run is there yet, and none of its tensors */
    for (int i = 0; i < n; i++) take_run(&j, plan[i], &m[i], &out[i]);
    fv_plan_share(j.whole);
    return j.whole;
}
