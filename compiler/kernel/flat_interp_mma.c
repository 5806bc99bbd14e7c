/* flat_interp_mma: products on a matrix unit of sub-groups. An item computes its own elements of C from the rows of A
 * and columns of B that they need: exact products, added up in f32 in the order of k. What other items of the sub-group
 * hold is not looked at, so that the result and the accesses to local memory are the same in any order of items. */
#include "kernel/flat_interp.h"

static bool element(fv_fi *m, fv_fi_mem *mem, int64_t at, double *out) {
    double poison;
    const double *p = fv_fi_element(m, mem, at, false, &poison);
    if (p) *out = *p;
    return p != NULL;
}
bool fv_fi_mma(fv_fi *m, const fv_fi_node *n) {
    const fv_flat *s = n->s;
    const fv_unit *u = m->k->unit;
    const double *slot = m->slot;
    const int *r = n->tape.result;
    int64_t c = (int64_t)slot[r[FV_FI_OFFSET]], a = (int64_t)slot[r[FV_FI_A]], b = (int64_t)slot[r[FV_FI_B]];
    int64_t along = s->turned ? 1 : s->part[1].stride, across = s->turned ? s->part[1].stride : 1;
    for (int i = 0; i < u->elements; i++) {
        int row = fv_unit_row(u, m->item % u->sub, i), col = fv_unit_col(u, m->item % u->sub, i);
        double poison, x, y, *to = fv_fi_element(m, n->mem, c + i, true, &poison);
        for (int k = 0; to && k < FV_UNIT_TILE; k++) {
            if (!element(m, n->part[0], a + row * s->part[0].stride + k, &x) ||
                !element(m, n->part[1], b + k * along + col * across, &y))
                return false;
            *to = (double)((float)*to + (float)x * (float)y);
        }
        if (!to) return false;
        *to = (double)(float)*to;
    }
    return true;
}
