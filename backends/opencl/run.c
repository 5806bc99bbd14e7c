/* run: whole plans, and single kernels, on a device. Every plan tensor has its own device memory for the length of a
 * run; nothing is shared between runs but compiled programs. */
#include "backends/opencl/opencl.h"

#include <stdlib.h>

static bool upload(fv_opencl *d, fv_ctx *ctx, int memory, fv_type type, const double *v, int64_t n) {
    int64_t bytes = n * fv_type_bytes(type);
    void *packed = malloc((size_t)(bytes ? bytes : 1));
    if (!packed) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "out of memory for %lld bytes", (long long)bytes);
        return false;
    }
    fv_opencl_pack(type, v, n, packed);
    bool ok = fv_opencl_write(d, memory, packed, bytes);
    free(packed);
    return ok;
}
static bool download(fv_opencl *d, fv_ctx *ctx, int memory, fv_type type, double *v, int64_t n) {
    int64_t bytes = n * fv_type_bytes(type);
    void *packed = malloc((size_t)(bytes ? bytes : 1));
    if (!packed) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "out of memory for %lld bytes", (long long)bytes);
        return false;
    }
    bool ok = fv_opencl_read(d, memory, packed, bytes);
    if (ok) fv_opencl_unpack(type, packed, n, v);
    free(packed);
    return ok;
}

/* -- Kernels ----------------------------------------------------------------------------------- */
bool fv_opencl_run_kernel(fv_opencl *d, const fv_flat_kernel *k, double **data) {
    int *memory = FV_NEWN(k->ctx, int, k->n_tensors + 1);
    bool ok = true;
    for (int i = 0; ok && i < k->n_tensors; i++) {
        const fv_tensor *t = k->tensor[i];
        int64_t n = fv_tensor_elements(t);
        memory[i] = fv_opencl_alloc(d, n * fv_type_bytes(t->obj.type));
        ok = memory[i] >= 0 && upload(d, k->ctx, memory[i], t->obj.type, data[i], n);
    }
    ok = ok && fv_opencl_launch(d, k, memory) && fv_opencl_finish(d);
    for (int i = 0; ok && i < k->n_tensors; i++)
        if (k->tensor[i]->role != FV_ROLE_IN)
            ok = download(d, k->ctx, memory[i], k->tensor[i]->obj.type, data[i], fv_tensor_elements(k->tensor[i]));
    fv_opencl_forget(d);
    return ok;
}

/* -- Plans ------------------------------------------------------------------------------------- */
/* A constant's data is dense and row-major; its memory follows its strides. */
static bool upload_const(fv_opencl *d, fv_ctx *ctx, int memory, const fv_plan_tensor *t, int64_t n) {
    double *laid = calloc((size_t)(n ? n : 1), sizeof *laid);
    int64_t index[FV_MAX_AXES] = { 0 }, count = 1;
    if (!laid) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "out of memory for a constant of %lld elements",
                 (long long)n);
        return false;
    }
    for (int j = 0; j < t->rank; j++) count *= t->extent[j];
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int j = 0; j < t->rank; j++) at += index[j] * t->stride[j];
        laid[at] = t->data[i];
        for (int j = t->rank - 1; j >= 0 && ++index[j] == t->extent[j]; j--) index[j] = 0;
    }
    bool ok = upload(d, ctx, memory, t->type, laid, n);
    free(laid);
    return ok;
}
static bool place(fv_opencl *d, fv_ctx *ctx, const fv_plan *p, double **data, int *memory) {
    for (int i = 0; i < p->n_tensors; i++) {
        const fv_plan_tensor *t = p->tensor[i];
        int64_t n = fv_plan_tensor_elements(t);
        memory[i] = fv_opencl_alloc(d, n * fv_type_bytes(t->type));
        if (memory[i] < 0) return false;
        if (t->kind == FV_MEM_CONST && t->data && !upload_const(d, ctx, memory[i], t, n)) return false;
        if ((t->kind == FV_MEM_INPUT || t->kind == FV_MEM_PARAM) && !upload(d, ctx, memory[i], t->type, data[i], n))
            return false;
    }
    return true;
}
static bool launch_all(fv_opencl *d, const fv_plan *p, int which, const int *memory) {
    for (int i = 0; i < p->n_launches[which]; i++) {
        const fv_launch *l = p->launch[which][i];
        fv_flat_kernel *k = fv_opencl_flatten(l->kernel, l->schedule, fv_opencl_native_width(d), fv_opencl_target(d));
        int *args = FV_NEWN(p->ctx, int, l->n_args + 1);
        if (!k || fv_flat_verify(k)) return false;
        for (int j = 0; j < l->n_args; j++) args[j] = memory[l->arg[j]];
        if (!fv_opencl_launch(d, k, args)) return false;
    }
    return true;
}
bool fv_opencl_run(fv_ctx *ctx, const fv_plan *p, double **data) {
    int *memory = FV_NEWN(ctx, int, p->n_tensors + 1);
    fv_opencl *d = fv_opencl_open(ctx);
    bool ok = d && place(d, ctx, p, data, memory) && launch_all(d, p, 0, memory) && launch_all(d, p, 1, memory)
        && fv_opencl_finish(d);
    for (int i = 0; ok && i < p->n_tensors; i++) {
        const fv_plan_tensor *t = p->tensor[i];
        if (t->kind == FV_MEM_OUTPUT) ok = download(d, ctx, memory[i], t->type, data[i], fv_plan_tensor_elements(t));
    }
    fv_opencl_close(d);
    return ok;
}
