/* flat_interp_mma: products on a matrix unit of sub-groups. An item computes its own elements of C from the rows of A
 * and columns of B that they need: exact products, added up in f32 in the order of k. What other items of the sub-group
 * hold is looked at only where A is a fragment and in ROWS, which are executed for all items at once. */
#include "kernel/flat_interp.h"

static bool element(fv_fi *m, fv_fi_mem *mem, int64_t at, double *out) {
    double poison;
    const double *p = fv_fi_element(m, mem, at, false, &poison);
    if (p) *out = *p;
    return p != NULL;
}
/* What the sub-group of the current item has at a row and column of the fragment that starts at `at` of each. */
static bool shared(const fv_fi *m, const fv_fi_mem *mem, int64_t at, int row, int col, double *out) {
    const fv_unit *u = m->k->unit;
    for (int lane = 0; lane < u->sub; lane++)
        for (int i = 0; i < u->elements; i++)
            if (fv_unit_row(u, lane, i) == row && fv_unit_col(u, lane, i) == col) {
                *out = mem->data[at + i + mem->per_item * (m->item / u->sub * u->sub + lane)];
                return true;
            }
    return false;
}
bool fv_fi_mma(fv_fi *m, const fv_fi_node *n) {
    const fv_flat *s = n->s;
    const fv_unit *u = m->k->unit;
    const double *slot = m->slot;
    const int *r = n->tape.result;
    int64_t c = (int64_t)slot[r[FV_FI_OFFSET]], a = (int64_t)slot[r[FV_FI_A]], b = (int64_t)slot[r[FV_FI_B]];
    int64_t along = s->turned ? 1 : s->part[1].stride, across = s->turned ? s->part[1].stride : 1;
    bool own = s->part[0].memory->space == FV_SPACE_FRAG;
    if (own && (a < 0 || a + u->elements > n->part[0]->count))
        return fv_fi_trap(m, "A of mma starts at element %lld of %s", (long long)a,
                          fv_cstr(m->ctx, n->part[0]->obj->name));
    for (int i = 0; i < u->elements; i++) {
        int row = fv_unit_row(u, m->item % u->sub, i), col = fv_unit_col(u, m->item % u->sub, i);
        double poison, x, y, *to = fv_fi_element(m, n->mem, c + i, true, &poison);
        for (int k = 0; to && k < FV_UNIT_TILE; k++) {
            bool fine = own ? shared(m, n->part[0], a, row, k, &x)
                            : element(m, n->part[0], a + row * s->part[0].stride + k, &x);
            if (!fine || !element(m, n->part[1], b + k * along + col * across, &y)) return false;
            if (own) x = fv_flat_round(s->rounded, x);
            *to = (double)((float)*to + (float)x * (float)y);
        }
        if (!to) return false;
    }
    return true;
}
bool fv_fi_mma_all(fv_fi *m, const fv_fi_node *n) {
    for (m->item = 0; m->item < m->n_items; m->item++)
        if (!fv_fi_eval(m, &n->tape) || !fv_fi_mma(m, n)) return false;
    m->item = 0;
    return true;
}
/* The row of an item's slot: items with a part of it have it in the same slot. */
static int row_of(const fv_unit *u, int lane, int slot) { return lane / u->row_lane * u->row_step + slot * u->row_far; }
bool fv_fi_rows_all(fv_fi *m, const fv_fi_node *n) {
    const fv_unit *u = m->k->unit;
    double *got = fv_arena_alloc(m->arena, sizeof *got * (size_t)m->n_items);
    for (m->item = 0; m->item < m->n_items; m->item++) {
        if (!fv_fi_eval(m, &n->tape)) return false;
        int64_t at = (int64_t)m->slot[n->tape.result[FV_FI_OFFSET]];
        double poison;
        if (!fv_fi_element(m, n->mem, at, true, &poison)) return false;
        int first = m->item / u->sub * u->sub, slot = (int)(at % u->row_wrap);
        float sum = n->s->max ? -INFINITY : 0;
        for (int i = first; i < first + u->sub; i++) {
            if (row_of(u, i - first, slot) != row_of(u, m->item - first, slot)) continue;
            float x = (float)n->mem->data[at + n->mem->per_item * i];
            sum = !n->s->max ? sum + x : sum > x || isnan(sum) ? sum : x;
        }
        got[m->item] = (double)sum;
    }
    for (m->item = 0; m->item < m->n_items; m->item++) {
        double poison;
        if (!fv_fi_eval(m, &n->tape)) return false;
        *fv_fi_element(m, n->mem, (int64_t)m->slot[n->tape.result[FV_FI_OFFSET]], true, &poison) = got[m->item];
    }
    m->item = 0;
    return true;
}
bool fv_fi_copy(fv_fi *m, const fv_fi_node *n) {
    const int *r = n->tape.result;
    int64_t to = (int64_t)m->slot[r[FV_FI_OFFSET]], from = (int64_t)m->slot[r[FV_FI_A]];
    if (to % FV_COPY_ELEMENTS || from % FV_COPY_ELEMENTS)
        return fv_fi_trap(m, "a copy from element %lld to element %lld: multiples of %d", (long long)from,
                          (long long)to, (int)FV_COPY_ELEMENTS);
    for (int i = 0; i < FV_COPY_ELEMENTS; i++) {
        double poison, x, *p = element(m, n->part[0], from + i, &x) ? fv_fi_element(m, n->mem, to + i, true, &poison)
                                                                   : NULL;
        if (!p) return false;
        *p = x;
    }
    return true;
}
