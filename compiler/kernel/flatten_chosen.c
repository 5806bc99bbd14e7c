/* A schedule chosen by the lowering is a proposal: what the registers of this target cannot hold is left to the
 * flattening's own choice. */
#include "kernel/flat.h"

static bool drop_nests(fv_schedule *s) {
    int n = 0, had = s->n;
    for (int i = 0; i < s->n; i++)
        if (s->entry[i].field != FV_F_NEST) s->entry[n++] = s->entry[i];
    s->n = n;
    return n < had;
}
fv_flat_kernel *fv_flatten_chosen(const fv_kernel *k, fv_schedule *io_schedule, const fv_target *t) {
    int mark = fv_diag_count(k->ctx);
    fv_flat_kernel *f = fv_flatten_cpu(k, io_schedule, t);
    if (f || !io_schedule || fv_diag_count(k->ctx) == mark) return f;
    if (fv_diag_at(k->ctx, mark)->code != FV_E_SCHEDULE || !drop_nests(io_schedule)) return NULL;
    fv_diag_rewind(k->ctx, mark);
    return fv_flatten_cpu(k, io_schedule, t);
}
