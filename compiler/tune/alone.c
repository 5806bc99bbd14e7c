/* One kernel taken out of a plan: see alone.h. Invariant: tensors that the kernel does not make keep their numbers of
 * the whole plan in `whole`, so that two lowerings of one graph are filled with the same numbers. */
#include "tune/alone.h"

#include <string.h>

typedef struct {
    fv_ctx *ctx;
    const fv_plan *whole;
    fv_tune_alone *out;
    bool *written, *read_later; /* by tensor of the whole plan: by a launch that is taken; and read by a later one */
    bool *needed;               /* prepared tensors that are read */
    int *number;                /* of the tensor in the new plan; -1: not yet */
    bool *prepare;              /* launches of prepare that are taken */
} taking;

static bool reads(const fv_launch *l, int j) { return l->kernel->tensor[j]->role != FV_ROLE_OUT; }
static bool writes(const fv_launch *l, int j) { return l->kernel->tensor[j]->role != FV_ROLE_IN; }

static void mark_run(taking *t, int group) {
    for (int i = 0; i < t->whole->n_launches[1]; i++) {
        const fv_launch *l = t->whole->launch[1][i];
        if (l->owner != group) continue;
        for (int j = 0; j < l->n_args; j++) {
            if (reads(l, j) && t->written[l->arg[j]]) t->read_later[l->arg[j]] = true;
            if (reads(l, j)) t->needed[l->arg[j]] = true;
        }
        for (int j = 0; j < l->n_args; j++)
            if (writes(l, j)) t->written[l->arg[j]] = true;
    }
}
static void mark_prepare(taking *t) {
    for (int i = t->whole->n_launches[0] - 1; i >= 0; i--) {
        const fv_launch *l = t->whole->launch[0][i];
        for (int j = 0; j < l->n_args; j++) t->prepare[i] = t->prepare[i] || (writes(l, j) && t->needed[l->arg[j]]);
        for (int j = 0; t->prepare[i] && j < l->n_args; j++)
            if (reads(l, j)) t->needed[l->arg[j]] = true;
    }
}

/* One row of elements: kernels know the strides, and nobody else has to. */
static void flat(fv_ctx *c, fv_plan_tensor *x) {
    int64_t n = fv_plan_tensor_elements(x);
    x->rank = 1;
    x->dim[0] = fv_intern(c, "i");
    x->extent[0] = n;
    x->stride[0] = 1;
    x->bytes = 0;
}
static int tensor(taking *t, int number) {
    if (t->number[number] >= 0) return t->number[number];
    fv_plan_tensor x = *t->whole->tensor[number];
    bool made = t->written[number], ours = x.kind == FV_MEM_SCRATCH || x.kind == FV_MEM_OUTPUT;
    x.name = fv_internf(t->ctx, "a%d", number);
    if (ours || x.kind == FV_MEM_INPUT) {
        x.kind = !made ? FV_MEM_INPUT : t->read_later[number] ? FV_MEM_SCRATCH : FV_MEM_OUTPUT;
        if (x.kind != FV_MEM_SCRATCH) flat(t->ctx, &x);
    } else if (x.kind == FV_MEM_PARAM) flat(t->ctx, &x);
    int n = fv_plan_add_tensor(t->out->plan, &x);
    t->out->whole[n] = number;
    return t->number[number] = n;
}
static void launch(taking *t, int which, const fv_launch *l) {
    fv_launch copy = *l;
    copy.arg = FV_NEWN(t->ctx, int, l->n_args + 1);
    for (int j = 0; j < l->n_args; j++) copy.arg[j] = tensor(t, l->arg[j]);
    fv_plan_add_launch(t->out->plan, which, &copy);
}

bool fv_tune_take_alone(fv_ctx *ctx, const fv_plan *p, int group, fv_tune_alone *out) {
    const fv_launch *own = NULL;
    *out = (fv_tune_alone){0};
    for (int i = 0; i < p->n_launches[1] && !own; i++)
        if (p->launch[1][i]->group == group) own = p->launch[1][i];
    if (group < 0 || !own) return false;
    int n = p->n_tensors + 1;
    taking t = {ctx,
                p,
                out,
                FV_NEWN(ctx, bool, n),
                FV_NEWN(ctx, bool, n),
                FV_NEWN(ctx, bool, n),
                FV_NEWN(ctx, int, n),
                FV_NEWN(ctx, bool, p->n_launches[0] + 1)};
    for (int i = 0; i < n; i++) t.number[i] = -1;
    out->plan = fv_plan_new(ctx);
    out->whole = FV_NEWN(ctx, int, n);
    mark_run(&t, group);
    mark_prepare(&t);
    for (int i = 0; i < p->n_launches[0]; i++)
        if (t.prepare[i]) launch(&t, 0, p->launch[0][i]);
    for (int i = 0; i < p->n_launches[1]; i++)
        if (p->launch[1][i]->owner == group) launch(&t, 1, p->launch[1][i]);
    for (int i = 0; i < out->plan->n_launches[1]; i++)
        if (out->plan->launch[1][i]->group == group) out->launch = out->plan->launch[1][i];
    for (int i = 0; i < p->n_launches[1]; i++)
        out->repeats += p->launch[1][i]->group >= 0 && p->launch[1][i]->code == own->code;
    fv_plan_share(out->plan);
    fv_plan_arena(out->plan);
    fv_tune_bound(ctx, out);
    return true;
}
