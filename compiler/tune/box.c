/* Boxes over the dimensions of an array: see box.h. */
#include "tune/box.h"

#include <math.h>
#include <stdlib.h>

fv_array fv_array_of(int width, int rank, const int64_t *extent, const int64_t *stride) {
    fv_array a = {.width = width};
    int64_t sorted[FV_MAX_AXES];
    double last = 0;
    int n = 0;
    for (int i = 0; i < rank; i++) {
        last += (double)(extent[i] - 1) * (double)stride[i];
        if (extent[i] < 2 || stride[i] < 2) continue;
        int at = n++;
        for (; at > 0 && sorted[at - 1] < stride[i]; at--) sorted[at] = sorted[at - 1];
        sorted[at] = stride[i];
    }
    for (int i = 0; i < n; i++)
        if (i < FV_BOX_DIMS - 2 || i == n - 1) a.stride[a.n++] = sorted[i];
    a.stride[a.n++] = 1; /* vectors run along elements in any case */
    a.bytes = (last + 1) * width;
    return a;
}
void fv_box_extend(const fv_array *a, fv_box *b, int64_t coef, int64_t reach) {
    if (coef < 0) {
        b->at += coef * reach;
        coef = -coef;
    }
    for (int d = 0; d < a->n && coef; d++) {
        b->reach[d] += coef / a->stride[d] * reach;
        coef %= a->stride[d];
    }
}
void fv_box_carry(const fv_array *a, fv_box *b) {
    for (int d = a->n - 1; d > 0; d--) {
        int64_t extent = a->stride[d - 1] / a->stride[d];
        if (extent < 1 || b->reach[d] < extent) continue;
        b->reach[d - 1] += b->reach[d] / extent;
        b->reach[d] = extent - 1;
    }
}
double fv_box_bytes(const fv_array *a, const fv_box *b) {
    double run = a->width, count = 1; /* of `count` stretches of `run` bytes */
    for (int d = a->n - 1; d >= 0; d--) {
        if (!b->reach[d]) continue;
        double step = (double)a->stride[d] * a->width;
        if (step <= (run > FV_LINE_BYTES ? run : FV_LINE_BYTES) && count <= 1) run += (double)b->reach[d] * step;
        else count *= (double)b->reach[d] + 1;
    }
    return count * FV_LINE_BYTES * ceil(run / FV_LINE_BYTES);
}

/* The box around both, with b's corner taken as a's plus steps of the dimensions: a distance is divided by a stride to
 * the nearest number of steps or to the one towards zero (the last column before the next row, or a column of the row
 * before). */
static fv_box around(const fv_array *a, const fv_box *x, const fv_box *y, bool nearest) {
    fv_box r = {.at = x->at};
    int64_t left = y->at - x->at;
    for (int d = 0; d < a->n; d++) {
        int64_t s = a->stride[d], q = left / s;
        if (nearest && 2 * llabs(left - q * s) > s) q += left > 0 ? 1 : -1;
        left -= q * s;
        int64_t lo = q < 0 ? q : 0, hi = q + y->reach[d];
        if (hi < x->reach[d]) hi = x->reach[d];
        r.at += lo * s;
        r.reach[d] = hi - lo;
    }
    return r;
}
static fv_box join(const fv_array *a, const fv_box *x, const fv_box *y, double *bytes) {
    fv_box best = around(a, x, y, false), other = around(a, x, y, true);
    double more = fv_box_bytes(a, &other);
    *bytes = fv_box_bytes(a, &best);
    if (more >= *bytes) return best;
    *bytes = more;
    return other;
}
void fv_boxes_add(const fv_array *a, fv_boxes *list, const fv_box *b) {
    double own = fv_box_bytes(a, b), least = INFINITY;
    int to = -1;
    fv_box joined = *b;
    for (int i = 0; i < list->n; i++) {
        double bytes, was = fv_box_bytes(a, &list->box[i]);
        fv_box j = join(a, &list->box[i], b, &bytes);
        double growth = bytes - was - own;
        if (growth >= least) continue;
        least = growth;
        to = i;
        joined = j;
        if (bytes <= was) break; /* it lies inside */
    }
    if (to >= 0 && (least <= 0 || list->n == FV_BOX_MOST)) list->box[to] = joined;
    else list->box[list->n++] = *b;
}
double fv_boxes_bytes(const fv_array *a, const fv_boxes *list) {
    double sum = 0;
    for (int i = 0; i < list->n; i++) sum += fv_box_bytes(a, &list->box[i]);
    double whole = FV_LINE_BYTES * ceil(a->bytes / FV_LINE_BYTES);
    return sum < whole ? sum : whole;
}
