/* space: the schedules that differ from a given one of a kernel in one field. What the fields are: docs/schedules.md.
 */
#ifndef FV_TUNE_SPACE_H
#define FV_TUNE_SPACE_H
#include "kernel/flat.h"
#include "plan/plan.h"

typedef struct {
    int n, cap;
    fv_schedule **wish;
} fv_tune_moves;

/* `at`: the kernel as it is lowered under `wish` (NULL: by default). Every move is a whole wish: the entries of `wish`
 * with one of them set, replaced or taken out, in canonical order.
 *   tile.A    halves, doubles and quarters; powers of two; multiples of the unrolled block; even shares of the extent;
 *             of a lane axis whole vectors
 *   nest.L    another block of one axis, another number of vectors, two neighbouring loops exchanged, none (the
 *             flattening's own choice); of a product without an entry: lanes, rows and blocks of every free axis
 *   lane      another order of the list; another axis of one buffer
 *   vector    half and quarter vectors
 *   item, group, fuse.item, mma   where kernels are cut into work items (fv_target.items), instead of nest, lane and
 *             vector, which are not read there: lists of one and two axes, groups of 16 to 256, two axes as one; off
 *             the matrix unit
 *   strategy  of an attend: box and offset, softmax at once and running */
void fv_tune_moves_of(fv_ctx *ctx, const fv_launch *at, const fv_schedule *wish, const fv_target *t,
                      fv_tune_moves *out);

/* The canonical form: strategy, then entries by field and subject; NULL stands for the default, whose text is "". */
fv_schedule *fv_tune_canonical(fv_ctx *ctx, const fv_schedule *wish);
const char *fv_tune_wish_text(fv_ctx *ctx, const fv_schedule *wish);
#endif
