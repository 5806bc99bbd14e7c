/* Where the plan's own tensors lie. PREPARED: one after another, for the life of the model. SCRATCH: by lifetime,
 * first fit: two tensors that are
 * ever needed at the same time do not overlap. Offsets are multiples of 64 bytes; after every tensor come
 * FOVEA_GUARD_BYTES that nothing owns.
 * A scratch tensor that the prepare plan touches lives through both plans' launches from there on. */
#include "plan/plan_internal.h"

#include <stdlib.h>

typedef struct { int tensor, first, last; int64_t size; } lifetime;

static int64_t padded(int64_t bytes) { return (bytes + FOVEA_GUARD_BYTES + 63) / 64 * 64; }

/* First and last launch that touches each tensor, the launches of prepare counted before those of run; first > last:
 * none does. */
static void lifetimes(const fv_plan *p, lifetime *life) {
    int at = 0, all = p->n_launches[0] + p->n_launches[1];
    for (int t = 0; t < p->n_tensors; t++) life[t] = (lifetime){t, all, -1, padded(p->tensor[t]->bytes)};
    for (int which = 0; which < 2; which++)
        for (int j = 0; j < p->n_launches[which]; j++, at++)
            for (int a = 0; a < p->launch[which][j]->n_args; a++) {
                lifetime *l = &life[p->launch[which][j]->arg[a]];
                if (at < l->first) l->first = at;
                if (at > l->last) l->last = at;
            }
    /* run is executed many times after one prepare: what prepare leaves in scratch for run must survive all of run */
    for (int t = 0; t < p->n_tensors; t++)
        if (life[t].first < p->n_launches[0] && life[t].last >= p->n_launches[0]) life[t].last = all;
}

static bool together(const lifetime *a, const lifetime *b) { return a->first <= b->last && b->first <= a->last; }

/* The lowest offset where `l` meets none of the placed tensors that live at the same time. */
static int64_t first_fit(const fv_plan *p, const lifetime *l, const lifetime *placed, int n) {
    int64_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int j = 0; j < n; j++) {
            int64_t from = p->tensor[placed[j].tensor]->offset, to = from + placed[j].size;
            if (!together(l, &placed[j]) || at + l->size <= from || at >= to) continue;
            at = to;
            moved = true;
        }
    }
    return at;
}

static int larger_first(const void *a, const void *b) {
    const lifetime *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x->tensor - y->tensor;
}

void fv_plan_arena(fv_plan *p) {
    lifetime *life = FV_NEWN(p->ctx, lifetime, p->n_tensors + 1);
    lifetime *scratch = FV_NEWN(p->ctx, lifetime, p->n_tensors + 1);
    int n = 0;
    lifetimes(p, life);
    p->arena_bytes = p->prepared_bytes = 0;
    for (int t = 0; t < p->n_tensors; t++) {
        if (p->tensor[t]->kind == FV_MEM_PREPARED) {
            p->tensor[t]->offset = p->prepared_bytes;
            p->prepared_bytes += life[t].size;
        } else if (p->tensor[t]->kind == FV_MEM_SCRATCH) {
            scratch[n++] = life[t];
        }
    }
    qsort(scratch, (size_t)n, sizeof *scratch, larger_first);
    for (int j = 0; j < n; j++) {
        fv_plan_tensor *t = p->tensor[scratch[j].tensor];
        t->offset = first_fit(p, &scratch[j], scratch, j);
        if (t->offset + scratch[j].size > p->arena_bytes) p->arena_bytes = t->offset + scratch[j].size;
    }
}
