/* group: what a tuned schedule is filed under. */
#ifndef FV_TUNE_GROUP_H
#define FV_TUNE_GROUP_H
#include "plan/plan.h"

/* Canonical text of a kernel as it is lowered without wishes: its statements, tensors with extents and strides, and its
 * schedule, under neutral names. Kernels with equal texts run equal code, in whatever model they stand. NULL: the
 * launch is no group's own (fv_launch.group < 0). Owned by the context. */
const char *fv_tune_group_text(fv_ctx *ctx, const fv_launch *l);
#endif
