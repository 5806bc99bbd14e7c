/* alone: one kernel of a plan, with the copies made for it and what prepares its weights, as a plan of its own, and
 * what its results are held against. */
#ifndef FV_TUNE_ALONE_H
#define FV_TUNE_ALONE_H
#include "plan/plan.h"

typedef struct {
    fv_plan *plan;     /* what other kernels make is an INPUT, what they read an OUTPUT, both of rank 1; loads may
                     * run FOVEA_GUARD_BYTES past either */
    int *whole;        /* by tensor of `plan`: its number in the plan that it was taken from */
    int repeats;       /* launches of the whole plan that run the same code as `launch` */
    fv_launch *launch; /* the group's own, in `plan` */
    /* How far two evaluations of it may differ: 4 * length * 2^-24 * max|want| and, of 16-bit storage, 4 * stored * u *
     * max|want|; what they stand for and where the rule comes from: cli/check_bound.h. Counted on the kernel: a sum
     * of n terms is sqrt(n) roundings, a map as many as it has operations. */
    double length, stored;
    /* With whole numbers in -3..3 in every input and parameter every intermediate is a whole number below 2^24: any
     * order of operations gives equal results. */
    bool exact;
} fv_tune_alone;

/* The kernel of group `group` (fv_launch.group). false: the plan has none. Kernels and schedules are shared with the
 * plan. */
bool fv_tune_take_alone(fv_ctx *ctx, const fv_plan *whole, int group, fv_tune_alone *out);

/* -- bound.c -- */
/* Fills length, stored and exact from the kernels of the plan. */
void fv_tune_bound(fv_ctx *ctx, fv_tune_alone *io);
#endif
