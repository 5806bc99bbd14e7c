/* Shared by the files that drive a device only. */
#ifndef FV_OPENCL_HOST_H
#define FV_OPENCL_HOST_H
#include "backends/opencl/opencl.h"
#include "runtime/opencl/device.h"

struct fv_opencl {
    fv_ctx *ctx;
    fovea_cl_open *on;
    fv_target target;
    cl_mem *memory;
    int64_t *bytes;
    int n_memory, cap_memory, cap_bytes;
};
bool fv_cl_ok(const fv_opencl *d, cl_int code, const char *what); /* records a BACKEND error unless CL_SUCCESS */
bool fv_cl_fine(const fv_opencl *d, fovea_status status, const fovea_error *e); /* the same of the runtime's errors */
#endif
