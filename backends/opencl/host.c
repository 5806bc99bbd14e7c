/* host: memory and launches on an open device. */
#include "backends/opencl/host.h"
#include "backends/opencl/shape.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };

/* -- Memory ------------------------------------------------------------------------------------ */
int fv_opencl_alloc(fv_opencl *d, int64_t bytes) {
    cl_int code = CL_SUCCESS;
    cl_mem m = d->on->cl->clCreateBuffer(d->on->context, CL_MEM_READ_WRITE, (size_t)bytes + GUARD, NULL, &code);
    char what[80];
    snprintf(what, sizeof what, "allocating %lld bytes", (long long)bytes);
    if (!fv_cl_ok(d, code, what)) return -1;
    int n = d->n_memory;
    fv_push(d->ctx, d->bytes, n, d->cap_bytes, bytes);
    fv_push(d->ctx, d->memory, d->n_memory, d->cap_memory, m);
    return d->n_memory - 1;
}
static bool fits(fv_opencl *d, int memory, int64_t bytes) {
    if (memory >= 0 && memory < d->n_memory && bytes >= 0 && bytes <= d->bytes[memory]) return true;
    fv_error(d->ctx, FV_E_BACKEND, (fv_loc){0}, "OpenCL: a copy of %lld bytes does not fit its device memory",
             (long long)bytes);
    return false;
}
bool fv_opencl_write(fv_opencl *d, int memory, const void *data, int64_t bytes) {
    if (!fits(d, memory, bytes)) return false;
    return !bytes || fv_cl_ok(d,
                              d->on->cl->clEnqueueWriteBuffer(d->on->queue, d->memory[memory], CL_TRUE, 0,
                                                              (size_t)bytes, data, 0, NULL, NULL),
                              "copying to the device");
}
bool fv_opencl_read(fv_opencl *d, int memory, void *data, int64_t bytes) {
    if (!fits(d, memory, bytes)) return false;
    return !bytes || fv_cl_ok(d,
                              d->on->cl->clEnqueueReadBuffer(d->on->queue, d->memory[memory], CL_TRUE, 0, (size_t)bytes,
                                                             data, 0, NULL, NULL),
                              "copying from the device");
}
void fv_opencl_forget(fv_opencl *d) {
    for (int i = 0; i < d->n_memory; i++) d->on->cl->clReleaseMemObject(d->memory[i]);
    d->n_memory = 0;
}
bool fv_opencl_finish(fv_opencl *d) { return fv_cl_ok(d, d->on->cl->clFinish(d->on->queue), "waiting"); }

/* -- Launches ---------------------------------------------------------------------------------- */
static bool enqueue(fv_opencl *d, const fv_flat_kernel *k, const fovea_device_code *c, const int *memory) {
    cl_kernel kernel;
    fovea_error e;
    if (!fv_cl_fine(d, fovea_cl_kernel(d->on, c, fv_cstr(d->ctx, k->name), &kernel, &e), &e)) return false;
    bool fine = true;
    for (int i = 0; i < k->n_tensors && fine; i++)
        fine = fits(d, memory[i], 0) &&
               fv_cl_ok(d, d->on->cl->clSetKernelArg(kernel, (cl_uint)i, sizeof(cl_mem), &d->memory[memory[i]]),
                        "setting an argument");
    if (fine && c->far_bytes && c->groups) {
        int far = fv_opencl_alloc(d, c->groups * c->far_bytes);
        fine = far >= 0 &&
               fv_cl_ok(d, d->on->cl->clSetKernelArg(kernel, (cl_uint)k->n_tensors, sizeof(cl_mem), &d->memory[far]),
                        "setting the far memory");
    }
    size_t group = (size_t)c->items, global = group * (size_t)c->groups;
    if (fine && global)
        fine = fv_cl_ok(
            d, d->on->cl->clEnqueueNDRangeKernel(d->on->queue, kernel, 1, NULL, &global, &group, 0, NULL, NULL),
            fv_cstr(d->ctx, k->name));
    d->on->cl->clReleaseKernel(kernel);
    return fine;
}
bool fv_opencl_launch(fv_opencl *d, const fv_flat_kernel *k, const int *memory) {
    fv_buf text = {0}, name = {0};
    fovea_device_code c;
    fv_opencl_entry(k, &name);
    fv_opencl_facts(k, &c);
    bool fine = fv_opencl_print(k, true, &text);
    c.entry = name.text;
    c.source = text.text;
    fine = fine && enqueue(d, k, &c, memory);
    fv_buf_dispose(&text);
    fv_buf_dispose(&name);
    return fine;
}
