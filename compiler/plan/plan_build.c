/* Building of plans: tensors in memory and launches of the two programs, prepare and run.
 * Invariant: tensors and launches are copied in; a tensor's number never changes. */
#include "plan/plan.h"

fv_plan *fv_plan_new(fv_ctx *ctx) {
    fv_plan *p = FV_NEW(ctx, fv_plan);
    p->ctx = ctx;
    return p;
}

void fv_plan_tensor_dense(fv_plan_tensor *t) {
    int64_t stride = 1;
    for (int j = t->rank - 1; j >= 0; j--) {
        t->stride[j] = stride;
        stride *= t->extent[j];
    }
}

int64_t fv_plan_tensor_elements(const fv_plan_tensor *t) {
    int64_t n = 1;
    for (int j = 0; j < t->rank; j++) {
        if (t->extent[j] <= 0) return 0;
        n += (t->extent[j] - 1) * t->stride[j];
    }
    return n;
}

int fv_plan_add_tensor(fv_plan *p, const fv_plan_tensor *t) {
    fv_plan_tensor *copy = FV_NEW(p->ctx, fv_plan_tensor);
    *copy = *t;
    if (copy->bytes == 0) copy->bytes = fv_plan_tensor_elements(copy) * fv_type_bytes(copy->type);
    fv_push(p->ctx, p->tensor, p->n_tensors, p->cap_tensors, copy);
    return p->n_tensors - 1;
}

void fv_plan_add_launch(fv_plan *p, int which, const fv_launch *l) {
    fv_launch *copy = FV_NEW(p->ctx, fv_launch);
    *copy = *l;
    copy->arg = FV_NEWN(p->ctx, int, l->n_args ? l->n_args : 1);
    for (int j = 0; j < l->n_args; j++) copy->arg[j] = l->arg[j];
    fv_push(p->ctx, p->launch[which], p->n_launches[which], p->cap_launches[which], copy);
}
