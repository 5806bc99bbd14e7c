/* Reading several axes as one: legal where every address that the kernel computes stays affine in the fused axis. */
#ifndef FV_LOWER_FUSE_H
#define FV_LOWER_FUSE_H
#include "lower/internal.h"

typedef struct {
    int n_exprs;
    const fv_expr *expr[8];
    int n_addresses;
    const fv_expr *address[8];
} lower_fusion;
void lower_fusion_add(lower_fusion *u, const fv_expr *value);           /* every READ in it counts; NULL is fine */
void lower_fusion_add_address(lower_fusion *u, const fv_expr *address); /* an offset in elements */

typedef struct {
    fv_str axis;
    int64_t extent;
    int n;
    fv_binding bind[FV_MAX_AXES];
} lower_fused;

/* Element offset of value v (placed) at these indices. */
const fv_expr *lower_address(const lower *l, const fv_value *v, const fv_expr *const *index);
/* May axis[0..n) (major to minor) be one axis? Every address must be coef * fused + rest. */
bool lower_fusible(lower *l, const fv_facts *f, const lower_fusion *u, const fv_axis *axis, int n);
/* The fused axis: of one axis, itself. Facts about it are added to the kernel's. */
lower_fused lower_fuse(lower_kernel *k, const fv_axis *axis, int n);
/* e with the parts replaced by divisions of the fused axis, simplified. */
const fv_expr *lower_apply_fused(lower_kernel *k, const lower_fused *f, const fv_expr *e);
#endif
