/* device: finds and opens an OpenCL device. Every call's result is looked at; nothing is kept when a step fails. */
#include "backends/opencl/host.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLATFORMS = 16, MAX_DEVICES = 64 };

const char *fv_cl_error_name(cl_int code) {
    static const struct { cl_int code; const char *name; } table[] = {
        { CL_DEVICE_NOT_FOUND, "no device found" }, { CL_DEVICE_NOT_AVAILABLE, "device not available" },
        { CL_COMPILER_NOT_AVAILABLE, "no compiler" }, { CL_MEM_OBJECT_ALLOCATION_FAILURE, "out of device memory" },
        { CL_OUT_OF_RESOURCES, "out of resources (an access outside of memory shows like this on some devices)" },
        { CL_OUT_OF_HOST_MEMORY, "out of host memory" }, { CL_BUILD_PROGRAM_FAILURE, "build failed" },
        { CL_INVALID_VALUE, "invalid value" }, { CL_INVALID_KERNEL_NAME, "no kernel of that name" },
        { CL_INVALID_KERNEL_ARGS, "kernel arguments missing" }, { CL_INVALID_WORK_GROUP_SIZE, "invalid group size" },
        { CL_INVALID_BUFFER_SIZE, "invalid buffer size" },
            { CL_INVALID_COMMAND_QUEUE, "invalid queue (the device gave up)" }, { -1001, "no platform found" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code) return table[i].name;
    return "an error";
}
bool fv_cl_ok(fv_ctx *ctx, cl_int code, const char *what) {
    if (code == CL_SUCCESS) return true;
    fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "OpenCL: %s: %s (%d)", what, fv_cl_error_name(code), (int)code);
    return false;
}

/* -- Which one --------------------------------------------------------------------------------- */
typedef struct { cl_platform_id platform; cl_device_id device; char name[256]; bool gpu; } found;

static int list_devices(found *out, int cap, const char **why) {
    cl_platform_id platform[MAX_PLATFORMS];
    cl_uint n_platforms = 0;
    int n = 0;
    *why = "no OpenCL platform is installed";
    if (clGetPlatformIDs(MAX_PLATFORMS, platform, &n_platforms) != CL_SUCCESS) return 0;
    if (n_platforms > MAX_PLATFORMS) n_platforms = MAX_PLATFORMS;
    if (n_platforms) *why = "the OpenCL platforms have no device";
    for (cl_uint i = 0; i < n_platforms; i++) {
        cl_device_id device[MAX_DEVICES];
        cl_uint count = 0;
        if (clGetDeviceIDs(platform[i], CL_DEVICE_TYPE_ALL, MAX_DEVICES, device, &count) != CL_SUCCESS) continue;
        for (cl_uint j = 0; j < count && j < MAX_DEVICES && n < cap; j++) {
            cl_bool works = CL_FALSE;
            cl_device_type type = 0;
            found f = { .platform = platform[i], .device = device[j] };
            if (clGetDeviceInfo(device[j], CL_DEVICE_COMPILER_AVAILABLE, sizeof works, &works, NULL) != CL_SUCCESS
                || !works) continue;
            if (clGetDeviceInfo(device[j], CL_DEVICE_NAME, sizeof f.name - 1, f.name, NULL) != CL_SUCCESS)
                snprintf(f.name, sizeof f.name, "unnamed");
            if (clGetDeviceInfo(device[j], CL_DEVICE_TYPE, sizeof type, &type, NULL) == CL_SUCCESS)
                f.gpu = (type & CL_DEVICE_TYPE_GPU) != 0;
            out[n++] = f;
        }
    }
    return n;
}
static bool contains(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
        if (i == n) return true;
    }
    return n == 0;
}
/* Index of the device wanted; -1: none of that name. */
static int pick(const found *f, int n, const char *want) {
    if (want && *want) {
        char *end;
        long i = strtol(want, &end, 10);
        if (!*end) return i >= 0 && i < n ? (int)i : -1;
        for (int j = 0; j < n; j++)
            if (contains(f[j].name, want)) return j;
        return -1;
    }
    for (int j = 0; j < n; j++)
        if (f[j].gpu) return j;
    return n ? 0 : -1;
}
static void describe(const found *f, int n, fv_buf *out) {
    for (int i = 0; i < n; i++) fv_buf_printf(out, "%s%d: %s", i ? ", " : "", i, f[i].name);
}
bool fv_opencl_available(fv_buf *why) {
    found f[MAX_DEVICES];
    const char *reason, *want = getenv("FOVEA_OPENCL_DEVICE");
    int n = list_devices(f, MAX_DEVICES, &reason), i = pick(f, n, want);
    if (i >= 0) fv_buf_puts(why, f[i].name);
    else if (!n) fv_buf_puts(why, reason);
    else {
        fv_buf_printf(why, "FOVEA_OPENCL_DEVICE is '%s'; there are ", want);
        describe(f, n, why);
    }
    return i >= 0;
}

/* -- Opening ----------------------------------------------------------------------------------- */
/* PoCL turns the items of a group into loops between barriers, after its compiler may have moved a branch like `if
 * (item < 9)` across a barrier: with the optimiser on, version 3.1 then leaves statements out (seen: two such branches
 * around a barrier inside a loop). Such devices build without it. */
static bool loops_over_items(const fv_opencl *d) {
    char name[128] = "";
    cl_platform_id platform = NULL;
    cl_device_type type = 0;
    if (clGetDeviceInfo(d->device, CL_DEVICE_PLATFORM, sizeof(cl_platform_id), &platform, NULL) != CL_SUCCESS ||
        clGetDeviceInfo(d->device, CL_DEVICE_TYPE, sizeof type, &type, NULL) != CL_SUCCESS ||
        clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL) != CL_SUCCESS)
        return false;
    return (type & CL_DEVICE_TYPE_CPU) && contains(name, "Portable Computing Language");
}
static void learn(fv_opencl *d) {
    cl_ulong local = 0;
    size_t group = 0;
    cl_device_fp_config single = 0;
    cl_device_type type = 0;
    cl_uint width = 0;
    d->target = fv_target_opencl;
    if (clGetDeviceInfo(d->device, CL_DEVICE_TYPE, sizeof type, &type, NULL) == CL_SUCCESS
        && (type & CL_DEVICE_TYPE_CPU) != 0) {
        clGetDeviceInfo(d->device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof width, &width, NULL);
        d->native_width = width > 0 && width < 1024 ? (int)width : 1;
    }
    if (clGetDeviceInfo(d->device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL) == CL_SUCCESS && local > 0)
        d->target.l1_bytes = (int64_t)local < d->target.l1_bytes ? (int64_t)local : d->target.l1_bytes;
    d->max_group = clGetDeviceInfo(d->device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL) == CL_SUCCESS
        ? (int64_t)group : 1;
    clGetDeviceInfo(d->device, CL_DEVICE_SINGLE_FP_CONFIG, sizeof single, &single, NULL);
    snprintf(d->options, sizeof d->options, "-cl-std=CL1.2%s", single & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT
             ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
    d->items_options = loops_over_items(d) ? " -cl-opt-disable" : "";
}
fv_opencl *fv_opencl_open(fv_ctx *ctx) {
    found f[MAX_DEVICES];
    const char *reason;
    cl_int code = CL_SUCCESS;
    int n = list_devices(f, MAX_DEVICES, &reason), i = pick(f, n, getenv("FOVEA_OPENCL_DEVICE"));
    if (i < 0) {
        fv_buf why = { 0 };
        fv_opencl_available(&why);
        fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "OpenCL: %s", why.text);
        fv_buf_dispose(&why);
        return NULL;
    }
    fv_opencl *d = FV_NEW(ctx, fv_opencl);
    d->ctx = ctx;
    d->device = f[i].device;
    memcpy(d->name, f[i].name, sizeof d->name);
    cl_context_properties properties[] = { CL_CONTEXT_PLATFORM, (cl_context_properties)f[i].platform, 0 };
    d->context = clCreateContext(properties, 1, &d->device, NULL, NULL, &code);
    if (fv_cl_ok(ctx, code, "creating a context")) {
        d->queue = clCreateCommandQueue(d->context, d->device, 0, &code);
        if (fv_cl_ok(ctx, code, "creating a queue")) {
            learn(d);
            return d;
        }
    }
    fv_opencl_close(d);
    return NULL;
}
/* Releases are the one kind of call whose result changes nothing. */
void fv_opencl_close(fv_opencl *d) {
    if (!d) return;
    fv_opencl_forget(d);
    for (int i = 0; i < d->n_built; i++) {
        if (d->built[i].kernel) clReleaseKernel(d->built[i].kernel);
        if (d->built[i].program) clReleaseProgram(d->built[i].program);
    }
    d->n_built = 0;
    if (d->queue) clReleaseCommandQueue(d->queue);
    if (d->context) clReleaseContext(d->context);
    d->queue = NULL;
    d->context = NULL;
}
const char *fv_opencl_name(const fv_opencl *d) { return d->name; }
const fv_target *fv_opencl_target(const fv_opencl *d) { return &d->target; }
int fv_opencl_native_width(const fv_opencl *d) { return d->native_width; }
int fv_opencl_builds(const fv_opencl *d) { return d->n_built; }
