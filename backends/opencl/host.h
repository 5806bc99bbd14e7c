/* Shared by the files that drive a device only. */
#ifndef FV_OPENCL_HOST_H
#define FV_OPENCL_HOST_H
#define CL_TARGET_OPENCL_VERSION 120
#include "backends/opencl/opencl.h"

#include <CL/cl.h>

typedef struct { uint64_t hash; char *text; cl_program program; cl_kernel kernel; } fv_cl_built;
struct fv_opencl {
    fv_ctx *ctx;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    char name[256], options[128];                       /* options: of kernels whose groups have one item */
    const char *items_options;                          /* what those with more are given besides */
    int native_width;                                   /* f32 lanes of the device's vectors; 0: it is no CPU */
    fv_target target;
    int64_t max_group;
    cl_mem *memory;
    int64_t *bytes;
    int n_memory, cap_memory, cap_bytes;
    fv_cl_built *built;
    int n_built, cap_built;
};

const char *fv_cl_error_name(cl_int code);
bool fv_cl_ok(fv_ctx *ctx, cl_int code, const char *what);          /* records a BACKEND error unless CL_SUCCESS */
/* from the cache of programs, or built; NULL after an error */
const fv_cl_built *fv_cl_build(fv_opencl *d, const fv_flat_kernel *k);
#endif
