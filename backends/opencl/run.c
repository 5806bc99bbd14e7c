/* run: single kernels on a device. Every tensor has its own device memory for the length of a run; nothing is shared
 * between runs but compiled programs. */
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
