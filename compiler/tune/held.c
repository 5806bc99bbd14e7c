/* Where the tensors of a launch are when it starts: see cost.h. Runs follow one another, so the launches of a plan are
 * a circle; a tensor was last used by the nearest launch before that touches its memory. */
#include "tune/cost.h"

static bool is_own(const fv_plan_tensor *t) { return t->kind == FV_MEM_SCRATCH; }
/* Do both lie, in part, in the same memory? Tensors that a run works in share the arena. */
static bool overlap(const fv_plan *p, int a, int b) {
    const fv_plan_tensor *x = p->tensor[a], *y = p->tensor[b];
    if (a == b) return true;
    return is_own(x) && is_own(y) && x->offset < y->offset + y->bytes && y->offset < x->offset + x->bytes;
}
/* Adds the bytes of a launch's tensors that were not counted; marks them with `mark`. true: `tensor` is among them. */
static bool pass(const fv_plan *p, const fv_launch *l, int tensor, int *marks, int mark, double *bytes) {
    bool found = false;
    for (int i = 0; i < l->n_args; i++) {
        found = found || overlap(p, l->arg[i], tensor);
        if (marks[l->arg[i]] == mark) continue;
        marks[l->arg[i]] = mark;
        *bytes += (double)p->tensor[l->arg[i]]->bytes;
    }
    return found;
}
int *fv_cost_held(fv_ctx *ctx, const fv_plan *p, int which, int launch, const int64_t cache[4]) {
    int n = p->n_launches[which], *marks = FV_NEWN(ctx, int, p->n_tensors + 1);
    const fv_launch *l = p->launch[which][launch];
    int *held = FV_NEWN(ctx, int, l->n_args + 1);
    for (int a = 0; a < l->n_args; a++) {
        double bytes = 0, most = 0;
        for (int level = 1; level < 4; level++) most = (double)cache[level] > most ? (double)cache[level] : most;
        bool found = false;
        for (int back = 1; back <= n && !found && bytes <= most; back++)
            found = pass(p, p->launch[which][(launch + n - back) % n], l->arg[a], marks, a + 1, &bytes);
        held[a] = 1;
        while (held[a] < 4 && !(found && bytes <= (double)cache[held[a]])) held[a]++;
    }
    return held;
}
