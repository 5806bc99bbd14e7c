/* Inside a model of several shapes: which of its programs make up a run. Shared by model.c, run.c, program.c. Plain
 * C11; nothing allocates. */
#ifndef FOVEA_SHAPES_H
#define FOVEA_SHAPES_H
#include "fovea.h"

/* The extent that is a range, -1: none. */
int32_t fovea_range_extent(const fovea_shapes *s);
/* Are these extents within the bounds? FOVEA_E_SHAPE names what is not, and the bounds. */
fovea_status fovea_extents_check(const fovea_shapes *s, const int64_t *extents, fovea_error *err);
/* The largest of everything. */
void fovea_extents_most(const fovea_shapes *s, int64_t *extents);
/* The program that computes the next elements of a run at `extents`, of whose range `done` are done; *count: how many
 * it does (without a range: 1 and one run). -1: none is left to do, or none fits (done is less than the extent). */
int32_t fovea_next_part(const fovea_shapes *s, const int64_t *extents, int64_t done, int64_t *count);
/* May a run at `extents`, or at a smaller range, use program i? */
bool fovea_part_within(const fovea_shapes *s, const int64_t *extents, int32_t i);
/* The programs of one model fit each other (each by itself is checked by fovea_program_check). */
fovea_status fovea_shapes_check(const fovea_shapes *s, fovea_error *err);
#endif
