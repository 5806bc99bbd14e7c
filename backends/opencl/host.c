/* host: memory, programs and launches on an open device. Programs are kept by their text: equal texts are compiled
 * once. Invariant: a kernel is launched only after its group size and local memory were compared with what the device
 * has. */
#include "backends/opencl/host.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };

/* -- Memory ------------------------------------------------------------------------------------ */
int fv_opencl_alloc(fv_opencl *d, int64_t bytes) {
    cl_int code = CL_SUCCESS;
    cl_mem m = clCreateBuffer(d->context, CL_MEM_READ_WRITE, (size_t)bytes + GUARD, NULL, &code);
    char what[80];
    snprintf(what, sizeof what, "allocating %lld bytes", (long long)bytes);
    if (!fv_cl_ok(d->ctx, code, what)) return -1;
    int n = d->n_memory;
    fv_push(d->ctx, d->bytes, n, d->cap_bytes, bytes);
    fv_push(d->ctx, d->memory, d->n_memory, d->cap_memory, m);
    return d->n_memory - 1;
}
static bool fits(fv_opencl *d, int memory, int64_t bytes) {
    if (memory >= 0 && memory < d->n_memory && bytes >= 0 && bytes <= d->bytes[memory]) return true;
    fv_error(d->ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "OpenCL: a copy of %lld bytes does not fit its device memory",
             (long long)bytes);
    return false;
}
bool fv_opencl_write(fv_opencl *d, int memory, const void *data, int64_t bytes) {
    if (!fits(d, memory, bytes)) return false;
    return !bytes || fv_cl_ok(d->ctx, clEnqueueWriteBuffer(d->queue, d->memory[memory], CL_TRUE, 0, (size_t)bytes, data,
                                                           0, NULL, NULL), "copying to the device");
}
bool fv_opencl_read(fv_opencl *d, int memory, void *data, int64_t bytes) {
    if (!fits(d, memory, bytes)) return false;
    return !bytes || fv_cl_ok(d->ctx, clEnqueueReadBuffer(d->queue, d->memory[memory], CL_TRUE, 0, (size_t)bytes, data,
                                                          0, NULL, NULL), "copying from the device");
}
void fv_opencl_forget(fv_opencl *d) {
    for (int i = 0; i < d->n_memory; i++) clReleaseMemObject(d->memory[i]);
    d->n_memory = 0;
}
bool fv_opencl_finish(fv_opencl *d) { return fv_cl_ok(d->ctx, clFinish(d->queue), "waiting for the device"); }

/* -- Programs ---------------------------------------------------------------------------------- */
static void build_error(fv_opencl *d, cl_program program, cl_int code, const char *name) {
    size_t n = 0;
    char *log = NULL;
    enum { SHOWN = 3000 };
    if (clGetProgramBuildInfo(program, d->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &n) == CL_SUCCESS && n > 1
        && (log = calloc(n + 1, 1)) != NULL &&
        clGetProgramBuildInfo(program, d->device, CL_PROGRAM_BUILD_LOG, n, log, NULL) != CL_SUCCESS)
        log[0] = 0;
    fv_error(d->ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "OpenCL: %s does not build on %s: %s (%d)", name, d->name,
             fv_cl_error_name(code), (int)code);
    if (log && log[0]) fv_note(d->ctx, (fv_loc){ { 0 }, 0 }, "build log: %.*s", (int)SHOWN, log);
    else fv_note(d->ctx, (fv_loc){ { 0 }, 0 }, "the build log is empty");
    free(log);
}
static bool build(fv_opencl *d, fv_cl_built *b, const char *name, bool items) {
    cl_int code = CL_SUCCESS;
    char options[192];
    snprintf(options, sizeof options, "%s%s", d->options, items ? d->items_options : "");
    const char *text = b->text;
    b->program = clCreateProgramWithSource(d->context, 1, &text, NULL, &code);
    if (!fv_cl_ok(d->ctx, code, "creating a program")) return false;
    code = clBuildProgram(b->program, 1, &d->device, options, NULL, NULL);
    if (code != CL_SUCCESS) {
        build_error(d, b->program, code, name);
        return false;
    }
    b->kernel = clCreateKernel(b->program, name, &code);
    return fv_cl_ok(d->ctx, code, name);
}
static const fv_cl_built *find_or_build(fv_opencl *d, const char *text, const char *name, bool items) {
    uint64_t hash = fv_hash(text, strlen(text), FV_HASH_SEED);
    for (int i = 0; i < d->n_built; i++)
        if (d->built[i].hash == hash && !strcmp(d->built[i].text, text)) return &d->built[i];
    fv_cl_built b = { .hash = hash, .text = fv_strdup(d->ctx, text) };
    if (build(d, &b, name, items)) {
        fv_push(d->ctx, d->built, d->n_built, d->cap_built, b);
        return &d->built[d->n_built - 1];
    }
    if (b.program) clReleaseProgram(b.program);
    return NULL;
}
const fv_cl_built *fv_cl_build(fv_opencl *d, const fv_flat_kernel *k) {
    fv_buf text = { 0 }, name = { 0 };
    fv_opencl_entry(k, &name);
    const fv_cl_built *b = fv_opencl_print(k, true, &text)
        ? find_or_build(d, text.text, name.text, !fv_opencl_cpu_shaped(k)) : NULL;
    fv_buf_dispose(&text);
    fv_buf_dispose(&name);
    return b;
}

/* -- Launches ---------------------------------------------------------------------------------- */
static bool check_limits(fv_opencl *d, const fv_flat_kernel *k, const fv_cl_built *b) {
    size_t group = 0;
    cl_ulong local = 0;
    const char *name = fv_cstr(d->ctx, k->name);
    if (!fv_cl_ok(d->ctx, clGetKernelWorkGroupInfo(b->kernel, d->device, CL_KERNEL_WORK_GROUP_SIZE, sizeof group,
                                                   &group, NULL), "asking for a group size") ||
        !fv_cl_ok(d->ctx, clGetDeviceInfo(d->device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL),
                  "asking for local memory"))
        return false;
    if (k->group_size > (int64_t)group || k->group_size > d->max_group) {
        fv_error(d->ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "OpenCL: %s has groups of %lld items, %s allows %lld",
                 name, (long long)k->group_size, d->name,
                 (long long)(d->max_group < (int64_t)group ? d->max_group : (int64_t)group));
        return false;
    }
    int64_t needed = fv_opencl_cpu_shaped(k) ? fv_opencl_cpu_local(k) : k->scratch_bytes;
    if (needed > (int64_t)local) {
        fv_error(d->ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "OpenCL: %s needs %lld bytes of local memory, %s has %lld",
                 name, (long long)needed, d->name, (long long)local);
        return false;
    }
    return true;
}
bool fv_opencl_launch(fv_opencl *d, const fv_flat_kernel *k, const int *memory) {
    const fv_cl_built *b = fv_cl_build(d, k);
    if (!b || !check_limits(d, k, b)) return false;
    for (int i = 0; i < k->n_tensors; i++) {
        if (!fits(d, memory[i], 0) || !fv_cl_ok(d->ctx,
                                                clSetKernelArg(b->kernel, (cl_uint)i, sizeof(cl_mem),
                                                               &d->memory[memory[i]]),
                                                                   "setting an argument")) return false;
    }
    if (k->programs == 0) return true;
    size_t group = fv_opencl_cpu_shaped(k) ? 1 : (size_t)k->group_size, global = group * (size_t)k->programs;
    return fv_cl_ok(d->ctx, clEnqueueNDRangeKernel(d->queue, b->kernel, 1, NULL, &global, &group, 0, NULL, NULL),
                    fv_cstr(d->ctx, k->name));
}
