/* launch: a program on a device. Kernels are built and their arguments set once; a run writes the inputs, enqueues the
 * launches in order and reads the outputs; nothing is copied between kernels. Invariant: after any failure of the
 * device everything on it is given back; the next call takes the device again, uploads and prepares. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/error.h"
#include "device.h"
#include "layout.h"
#include "opencl.h"
#include "runtime/stages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POISON = 1 << 20 };
typedef struct {
    cl_kernel kernel; /* NULL: nothing to start */
    size_t global, local;
} step;
typedef struct {
    const fovea_program *program;
    fovea_opencl_options options;
    bool check, ready; /* ready: weights are there and prepared */
    bool prepared;     /* what prepare makes is given */
    fovea_cl_open *on; /* NULL: lost, or not taken yet */
    fovea_cl_device device;
    fovea_cl_layout layout;
    cl_mem block[FOVEA_CL_BLOCKS];
    cl_mem *part; /* per array */
    step *step[2];
    cl_event *event; /* one per launch of the longer stage */
} state;

static void drop(state *s) {
    const fovea_cl *cl = s->on ? s->on->cl : NULL;
    if (cl) cl->clFinish(s->on->queue); /* nothing of the caller's is touched after this */
    for (int stage = 0; cl && stage < 2; stage++) {
        int32_t n;
        fovea_stage_launches(s->program, (fovea_stage)stage, &n);
        for (int32_t i = 0; i < n && s->step[stage]; i++) {
            if (s->step[stage][i].kernel) cl->clReleaseKernel(s->step[stage][i].kernel);
            s->step[stage][i] = (step){0};
        }
    }
    for (int32_t i = 0; cl && i < s->program->n_arrays; i++) {
        if (s->part[i]) cl->clReleaseMemObject(s->part[i]);
        s->part[i] = NULL;
    }
    for (int b = 0; cl && b < FOVEA_CL_BLOCKS; b++) {
        if (s->block[b]) cl->clReleaseMemObject(s->block[b]);
        s->block[b] = NULL;
    }
    fovea_cl_device_close(s->on);
    s->on = NULL;
    s->ready = false;
}

/* -- Memory ---- */
/* Drivers may promise memory that they do not have: the first and the last bytes are written at once. */
static fovea_status make_block(state *s, fovea_cl_block b, fovea_error *err) {
    const fovea_cl_device *v = &s->device;
    int64_t bytes = s->layout.bytes[b];
    const char *name = fovea_cl_block_name(b);
    static const char zeros[FOVEA_GUARD_BYTES];
    cl_int code = CL_SUCCESS;
    if (bytes == 0) return FOVEA_OK;
    if (v->max_alloc > 0 && bytes > v->max_alloc)
        return fovea_fail(err, FOVEA_E_DEVICE,
                          "OpenCL: %s of %s takes %" PRId64 " bytes in one piece, %s allows %" PRId64, name,
                          s->program->name ? s->program->name : "the model", bytes, v->name, v->max_alloc);
    s->block[b] = s->on->cl->clCreateBuffer(s->on->context, CL_MEM_READ_WRITE, (size_t)bytes, NULL, &code);
    if (code != CL_SUCCESS) return fovea_cl_fail(v, code, err, "allocating %" PRId64 " bytes (%s)", bytes, name);
    for (int end = 0; end < 2 && code == CL_SUCCESS; end++)
        code =
            s->on->cl->clEnqueueWriteBuffer(s->on->queue, s->block[b], CL_TRUE, end ? (size_t)bytes - sizeof zeros : 0,
                                            sizeof zeros, zeros, 0, NULL, NULL);
    if (code != CL_SUCCESS)
        return fovea_cl_fail(v, code, err, "using %" PRId64 " bytes (%s) for the first time", bytes, name);
    return FOVEA_OK;
}
static fovea_status make_parts(state *s, fovea_error *err) {
    for (int b = 0; b < FOVEA_CL_BLOCKS; b++) {
        fovea_status status = make_block(s, (fovea_cl_block)b, err);
        if (status != FOVEA_OK) return status;
    }
    for (int32_t i = 0; i < s->program->n_arrays; i++) {
        const fovea_array *a = &s->program->arrays[i];
        if (s->layout.offset[i] < 0) continue;
        cl_buffer_region r = {(size_t)s->layout.offset[i], (size_t)a->bytes + FOVEA_GUARD_BYTES};
        cl_int code = CL_SUCCESS;
        s->part[i] = s->on->cl->clCreateSubBuffer(s->block[s->layout.block[i]], CL_MEM_READ_WRITE,
                                                  CL_BUFFER_CREATE_TYPE_REGION, &r, &code);
        if (code != CL_SUCCESS)
            return fovea_cl_fail(&s->device, code, err, "making the memory of array %d \"%s\"", (int)i,
                                 a->name ? a->name : "");
    }
    return FOVEA_OK;
}

/* -- Kernels ---- */
static fovea_status make_step(state *s, const fovea_launch *l, int32_t number, step *out, fovea_error *err) {
    const fovea_device_code *c = l->code;
    const char *label = l->label ? l->label : c->entry;
    fovea_status status = fovea_cl_kernel(s->on, c, label, &out->kernel, err);
    if (status != FOVEA_OK) return status;
    out->local = (size_t)c->items;
    out->global = (size_t)(c->items * c->groups);
    for (int32_t k = 0; k < l->n_args; k++) {
        cl_int code = s->on->cl->clSetKernelArg(out->kernel, (cl_uint)k, sizeof(cl_mem), &s->part[l->args[k]]);
        if (code != CL_SUCCESS)
            return fovea_cl_fail(&s->device, code, err, "setting argument %d of kernel %s (launch %d)", (int)k, label,
                                 (int)number);
    }
    if (!c->far_bytes) return FOVEA_OK;
    cl_int code = s->on->cl->clSetKernelArg(out->kernel, (cl_uint)l->n_args, sizeof(cl_mem), &s->block[FOVEA_CL_FAR]);
    if (code != CL_SUCCESS)
        return fovea_cl_fail(&s->device, code, err, "setting the far memory of kernel %s (launch %d)", label,
                             (int)number);
    return FOVEA_OK;
}
static fovea_status take(state *s, fovea_error *err) {
    char *own = s->options.own_cache ? fovea_cl_user_cache() : NULL;
    fovea_status status =
        fovea_cl_device_open(&s->device, own ? own : s->options.cache_dir, s->options.build, &s->on, err);
    free(own);
    if (status == FOVEA_OK) {
        s->on->binaries = s->options.binaries;
        s->on->n_binaries = s->options.n_binaries;
        status = make_parts(s, err);
    }
    for (int stage = s->prepared ? FOVEA_STAGE_RUN : FOVEA_STAGE_PREPARE; stage < FOVEA_STAGES; stage++) {
        int32_t n;
        const fovea_launch *l = fovea_stage_launches(s->program, (fovea_stage)stage, &n);
        for (int32_t i = 0; i < n && status == FOVEA_OK; i++)
            if (l[i].code->groups > 0) status = make_step(s, &l[i], i, &s->step[stage][i], err);
    }
    if (status != FOVEA_OK) drop(s);
    return status;
}

/* -- Runs ---- */
static fovea_status copy_in(state *s, fovea_place place, void *const *base, fovea_error *err) {
    for (int32_t i = 0; i < s->program->n_arrays; i++) {
        const fovea_array *a = &s->program->arrays[i];
        if (a->place != place || a->bytes == 0 || s->layout.offset[i] < 0) continue;
        cl_int code =
            s->on->cl->clEnqueueWriteBuffer(s->on->queue, s->block[s->layout.block[i]], CL_FALSE,
                                            (size_t)s->layout.offset[i], (size_t)a->bytes, base[i], 0, NULL, NULL);
        if (code != CL_SUCCESS)
            return fovea_cl_fail(&s->device, code, err, "copying \"%s\" to the device", a->name ? a->name : "");
    }
    return FOVEA_OK;
}
static fovea_status copy_out(state *s, void *const *base, fovea_error *err) {
    for (int32_t i = 0; i < s->program->n_arrays; i++) {
        const fovea_array *a = &s->program->arrays[i];
        if (a->place != FOVEA_OUTPUT || a->bytes == 0) continue;
        cl_int code =
            s->on->cl->clEnqueueReadBuffer(s->on->queue, s->block[s->layout.block[i]], CL_FALSE,
                                           (size_t)s->layout.offset[i], (size_t)a->bytes, base[i], 0, NULL, NULL);
        if (code != CL_SUCCESS)
            return fovea_cl_fail(&s->device, code, err, "copying \"%s\" from the device", a->name ? a->name : "");
    }
    return FOVEA_OK;
}
/* NaN in every float of the working memory, so that what is read before it is written shows. */
static fovea_status poison(state *s, fovea_cl_block b, fovea_error *err) {
    int64_t bytes = s->layout.bytes[b];
    cl_int code = CL_SUCCESS;
    void *nan = malloc(POISON);
    if (!nan) return fovea_fail(err, FOVEA_E_MEMORY, "no memory to poison a device with");
    memset(nan, 0xff, POISON);
    for (int64_t at = 0; at < bytes && code == CL_SUCCESS; at += POISON)
        code = s->on->cl->clEnqueueWriteBuffer(s->on->queue, s->block[b], CL_TRUE, (size_t)at,
                                               bytes - at < POISON ? (size_t)(bytes - at) : POISON, nan, 0, NULL, NULL);
    free(nan);
    return code == CL_SUCCESS ? FOVEA_OK : fovea_cl_fail(&s->device, code, err, "poisoning the working memory");
}
static fovea_status launch_failed(state *s, int stage, int32_t i, cl_int code, fovea_error *err) {
    int32_t n;
    const fovea_launch *l = &fovea_stage_launches(s->program, (fovea_stage)stage, &n)[i];
    return fovea_cl_fail(&s->device, code, err, "kernel %s (launch %d of %d of %s%s%s)", l->label ? l->label : "?",
                         (int)i, (int)n, stage ? "run" : "prepare", l->where && *l->where ? ", from " : "",
                         l->where ? l->where : "");
}
static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
/* Where the queue gives no times, each launch that is timed is waited for. */
static fovea_status enqueue(state *s, int stage, int64_t *ns, fovea_error *err) {
    int32_t n;
    bool timed = ns && !s->on->profiling;
    fovea_stage_launches(s->program, (fovea_stage)stage, &n);
    for (int32_t i = 0; i < n; i++) {
        const step *x = &s->step[stage][i];
        if (timed) ns[i] = 0;
        if (!x->kernel) continue;
        if (timed) s->on->cl->clFinish(s->on->queue);
        int64_t begin = timed ? now() : 0;
        cl_int code = s->on->cl->clEnqueueNDRangeKernel(s->on->queue, x->kernel, 1, NULL, &x->global, &x->local, 0,
                                                        NULL, &s->event[i]);
        if (code != CL_SUCCESS) return launch_failed(s, stage, i, code, err);
        if (timed && s->on->cl->clFinish(s->on->queue) == CL_SUCCESS) ns[i] = now() - begin;
    }
    return FOVEA_OK;
}
/* Waits; the first launch that ended abnormally is named, or the last that could not be waited for. */
static fovea_status wait(state *s, int stage, fovea_error *err) {
    int32_t n;
    fovea_stage_launches(s->program, (fovea_stage)stage, &n);
    cl_int code = s->on->cl->clFinish(s->on->queue);
    for (int32_t i = 0; i < n; i++) {
        cl_int status = CL_COMPLETE;
        if (!s->event[i]) continue;
        if (s->on->cl->clGetEventInfo(s->event[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL) !=
            CL_SUCCESS)
            status = code;
        if (status < 0) return launch_failed(s, stage, i, status, err);
    }
    return code == CL_SUCCESS ? FOVEA_OK
                              : fovea_cl_fail(&s->device, code, err, "waiting for %d launches of %s", (int)n,
                                              stage ? "run" : "prepare");
}
static void take_times(state *s, int stage, int64_t *ns) {
    int32_t n;
    fovea_stage_launches(s->program, (fovea_stage)stage, &n);
    for (int32_t i = 0; ns && s->on->profiling && i < n; i++) {
        cl_ulong begin = 0, end = 0;
        ns[i] = 0;
        if (s->event[i] &&
            s->on->cl->clGetEventProfilingInfo(s->event[i], CL_PROFILING_COMMAND_START, sizeof begin, &begin, NULL) ==
                CL_SUCCESS &&
            s->on->cl->clGetEventProfilingInfo(s->event[i], CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) ==
                CL_SUCCESS)
            ns[i] = (int64_t)(end - begin);
    }
}
static void forget_events(state *s, int stage) {
    int32_t n;
    fovea_stage_launches(s->program, (fovea_stage)stage, &n);
    for (int32_t i = 0; i < n; i++) {
        if (s->event[i]) s->on->cl->clReleaseEvent(s->event[i]);
        s->event[i] = NULL;
    }
}
static fovea_status stage_once(state *s, int stage, void *const *base, int64_t *ns, fovea_error *err) {
    fovea_status status = FOVEA_OK;
    if (s->check) status = poison(s, FOVEA_CL_WORK, err);
    if (s->check && status == FOVEA_OK) status = poison(s, FOVEA_CL_FAR, err);
    if (!stage) {
        if (status == FOVEA_OK) status = copy_in(s, FOVEA_PARAM, base, err);
        if (status == FOVEA_OK) status = copy_in(s, FOVEA_CONST, base, err);
        if (status == FOVEA_OK && s->prepared) status = copy_in(s, FOVEA_PREPARED, base, err);
    } else if (status == FOVEA_OK) status = copy_in(s, FOVEA_INPUT, base, err);
    if (status == FOVEA_OK) status = enqueue(s, stage, ns, err);
    if (status == FOVEA_OK && stage) status = copy_out(s, base, err);
    if (status == FOVEA_OK) status = wait(s, stage, err);
    if (status == FOVEA_OK) take_times(s, stage, ns);
    forget_events(s, stage);
    if (status != FOVEA_OK) drop(s);
    return status;
}

/* -- The executor ---- */
static void close(void *p) {
    state *s = p;
    if (!s) return;
    if (s->part) drop(s);
    fovea_cl_layout_free(&s->layout);
    free(s->part);
    free(s->step[0]);
    free(s->step[1]);
    free(s->event);
    free(s);
}
static const fovea_opencl_options *own_options(const fovea_program *p) {
    static const fovea_opencl_options none;
    return p->executor_user ? p->executor_user : &none;
}
static bool find(const fovea_program *p, const fovea_options *o, bool gpu, fovea_cl_device *out, fovea_error *err) {
    const char *want = o && o->device && *o->device ? o->device : own_options(p)->device;
    return gpu ? fovea_cl_find_gpu(want, out, err) : fovea_cl_find(want, out, err);
}
static fovea_status suits(const fovea_program *p, const fovea_options *o, bool gpu, bool *out, fovea_error *err) {
    fovea_cl_device *d = malloc(sizeof *d);
    *out = false;
    if (!d) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a device");
    bool found = find(p, o, gpu, d, err);
    fovea_opencl_kind kind = own_options(p)->kind;
    *out = found && (kind == FOVEA_OPENCL_ANY || (kind == FOVEA_OPENCL_VECTORS) == (fovea_cl_width(d) > 0));
    free(d);
    return found ? FOVEA_OK : FOVEA_E_DEVICE;
}
static void describe(const void *p, char *out, int cap) {
    const fovea_cl_device *v = &((const state *)p)->device;
    snprintf(out, (size_t)cap, "opencl: %s (%s, driver %s)", v->name, v->platform_name, v->driver);
}
static fovea_status open(const fovea_program *p, const fovea_options *o, bool prepared, const void *beside, void **out,
                         fovea_error *err) {
    *out = NULL;
    state *s = calloc(1, sizeof *s);
    if (!s) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a program on a device");
    s->program = p;
    s->options = *own_options(p);
    if (s->options.ready) s->options.ready();
    s->check = o && o->check;
    s->prepared = prepared;
    if (beside) s->device = ((const state *)beside)->device;
    size_t most = (size_t)(p->n_run > p->n_prepare ? p->n_run : p->n_prepare) + 1;
    s->part = calloc((size_t)p->n_arrays + 1, sizeof *s->part);
    s->step[0] = calloc((size_t)p->n_prepare + 1, sizeof *s->step[0]);
    s->step[1] = calloc((size_t)p->n_run + 1, sizeof *s->step[1]);
    s->event = calloc(most, sizeof *s->event);
    fovea_status status = s->part && s->step[0] && s->step[1] && s->event
                              ? FOVEA_OK
                              : fovea_fail(err, FOVEA_E_MEMORY, "no memory for a program on a device");
    if (status == FOVEA_OK && !beside && !find(p, o, false, &s->device, err)) status = FOVEA_E_DEVICE;
    if (status == FOVEA_OK && !fovea_cl_layout_make(p, s->device.alignment, prepared, &s->layout))
        status = fovea_fail(err, FOVEA_E_MEMORY, "no memory for a layout");
    if (status == FOVEA_OK) status = take(s, err);
    if (status == FOVEA_OK) *out = s;
    else close(s);
    return status;
}
static fovea_status run(void *p, int32_t stage, void *const *base, int64_t *ns, fovea_error *err) {
    state *s = p;
    fovea_status status = s->on ? FOVEA_OK : take(s, err);
    if (status == FOVEA_OK && (!stage || !s->ready)) {
        s->ready = false;
        status = stage_once(s, 0, base, stage ? NULL : ns, err);
        s->ready = status == FOVEA_OK;
    }
    if (status == FOVEA_OK && stage) status = stage_once(s, 1, base, ns, err);
    return status;
}
const fovea_executor fovea_opencl_executor = {suits, open, run, close, describe};
