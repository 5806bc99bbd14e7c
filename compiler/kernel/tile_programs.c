/* How many programs a grid has. Limits may depend on other grid axes (phases): then the largest counts; surplus
 * programs do nothing. */
#include "kernel/tile_prove.h"

int64_t fv_kernel_programs(const fv_kernel *k, int64_t *count, int cap) {
    fv_prover p = {.ctx = k->ctx};
    const fv_stmt *s = k->body;
    for (; s && s->kind != FV_S_GRID; s = s->next) {
        if (s->kind == FV_S_LET) fv_prover_let(&p, s);
        for (int j = 0; s->kind == FV_S_AXIS && j < s->n_axes; j++) fv_prover_axis(&p, s, &s->axis[j]);
    }
    int64_t total = s ? 1 : 0;
    for (int j = 0; s && j < s->n_axes; j++) {
        const fv_tile_axis *a = &s->axis[j];
        int64_t most = fv_range_of(&p.facts, fv_prover_inline(&p, a->limit)).hi, tile = a->tile ? a->tile : 1;
        int64_t n = most > 0 ? (most + tile - 1) / tile : 0;
        if (j < cap && count) count[j] = n;
        total *= n;
        fv_prover_axis(&p, s, a);
    }
    return total;
}
