/* device: see device.h. Invariant: nothing is kept when a step of opening fails. */
#define _POSIX_C_SOURCE 200809L
#include "device.h"

#include "runtime/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NVIDIA_MAJOR = 0x4000, NVIDIA_MINOR = 0x4001 };

fovea_status fovea_cl_fail(const fovea_cl_device *d, cl_int code, fovea_error *err, const char *fmt, ...) {
    char text[700];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    return fovea_fail(err, FOVEA_E_DEVICE, "OpenCL: %s on %s: %s (%d)", text, d->name, fovea_cl_error_text(code),
                      (int)code);
}

/* -- Which one ---- */
static void text_of(const fovea_cl_device *d, cl_device_info what, char *out, size_t cap) {
    size_t n = 0;
    memset(out, 0, cap);
    if (d->platform->cl.clGetDeviceInfo(d->id, what, 0, NULL, &n) != CL_SUCCESS || n == 0) return;
    char *all = calloc(n + 1, 1);
    if (all && d->platform->cl.clGetDeviceInfo(d->id, what, n, all, NULL) == CL_SUCCESS) snprintf(out, cap, "%s", all);
    free(all);
}
static void platform_text(const fovea_cl_device *d, cl_platform_info what, char *out, size_t cap) {
    memset(out, 0, cap);
    if (d->platform->cl.clGetPlatformInfo(d->platform->id, what, cap - 1, out, NULL) != CL_SUCCESS) out[0] = 0;
}
static uint64_t number(const fovea_cl_device *d, cl_device_info what, size_t bytes) {
    uint64_t v = 0; /* little-endian hosts only have OpenCL; 4-byte answers fill the low half */
    if (d->platform->cl.clGetDeviceInfo(d->id, what, bytes, &v, NULL) != CL_SUCCESS) return 0;
    return v;
}
static bool word_in(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *s = list; (s = strstr(s, word)); s += n)
        if ((s == list || s[-1] == ' ') && (s[n] == ' ' || !s[n])) return true;
    return false;
}
static void learn(fovea_cl_device *d) {
    text_of(d, CL_DEVICE_NAME, d->name, sizeof d->name);
    if (!d->name[0]) snprintf(d->name, sizeof d->name, "unnamed");
    text_of(d, CL_DEVICE_VENDOR, d->vendor, sizeof d->vendor);
    text_of(d, CL_DRIVER_VERSION, d->driver, sizeof d->driver);
    text_of(d, CL_DEVICE_VERSION, d->version, sizeof d->version);
    text_of(d, CL_DEVICE_EXTENSIONS, d->extensions, sizeof d->extensions);
    platform_text(d, CL_PLATFORM_NAME, d->platform_name, sizeof d->platform_name);
    platform_text(d, CL_PLATFORM_VERSION, d->platform_version, sizeof d->platform_version);
    d->type = number(d, CL_DEVICE_TYPE, sizeof(cl_device_type));
    d->vendor_id = (cl_uint)number(d, CL_DEVICE_VENDOR_ID, sizeof(cl_uint));
    d->units = (cl_uint)number(d, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
    d->width = (cl_uint)number(d, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof(cl_uint));
    d->clock_mhz = (cl_uint)number(d, CL_DEVICE_MAX_CLOCK_FREQUENCY, sizeof(cl_uint));
    d->memory = (int64_t)number(d, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    d->max_alloc = (int64_t)number(d, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    d->local_memory = (int64_t)number(d, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));
    d->max_group = (int64_t)number(d, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t));
    d->alignment = (int64_t)number(d, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(cl_uint)) / 8;
    d->compiler = number(d, CL_DEVICE_COMPILER_AVAILABLE, sizeof(cl_bool)) != 0;
    d->exact_divide =
        (number(d, CL_DEVICE_SINGLE_FP_CONFIG, sizeof(cl_device_fp_config)) & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
    d->fp64 = word_in(d->extensions, "cl_khr_fp64");
    d->fp16 = word_in(d->extensions, "cl_khr_fp16");
    if (word_in(d->extensions, "cl_nv_device_attribute_query")) {
        d->compute_major = (cl_uint)number(d, NVIDIA_MAJOR, sizeof(cl_uint));
        d->compute_minor = (cl_uint)number(d, NVIDIA_MINOR, sizeof(cl_uint));
    }
    int64_t least = 64;
    while (least < d->alignment) least *= 2;
    d->alignment = least;
}
int fovea_cl_devices(fovea_cl_device *out, int cap, char *why, size_t cap_why) {
    const fovea_cl_platform *platform;
    char tried[800];
    int n_platforms = fovea_cl_platforms(&platform, tried, sizeof tried), n = 0;
    if (!n_platforms && why) snprintf(why, cap_why, "no driver was found (%s)", tried);
    for (int i = 0; i < n_platforms; i++) {
        cl_device_id id[FOVEA_CL_MOST_DEVICES];
        cl_uint count = 0;
        if (platform[i].cl.clGetDeviceIDs(platform[i].id, CL_DEVICE_TYPE_ALL, FOVEA_CL_MOST_DEVICES, id, &count) !=
            CL_SUCCESS)
            continue;
        for (cl_uint j = 0; j < count && j < FOVEA_CL_MOST_DEVICES && n < cap; j++) {
            out[n] = (fovea_cl_device){.platform = &platform[i], .id = id[j]};
            learn(&out[n++]);
        }
    }
    if (n_platforms && !n && why) snprintf(why, cap_why, "the OpenCL platforms have no device");
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
static const char *names_of(const fovea_cl_device *list, int n, char *out, size_t cap) {
    *out = 0;
    for (int i = 0; i < n; i++) {
        size_t used = strlen(out);
        snprintf(out + used, cap - used, "%s%d: %s", i ? ", " : "", i, list[i].name);
    }
    return out;
}
static int fail_choice(const fovea_cl_device *list, int n, const char *want, fovea_error *err) {
    char names[700];
    fovea_fail(err, FOVEA_E_DEVICE, "OpenCL: there is no device '%s'; there are %s", want,
               names_of(list, n, names, sizeof names));
    return -1;
}
static int choose(const fovea_cl_device *list, int n, const char *want, bool gpu, fovea_error *err) {
    if (!want || !*want) want = getenv("FOVEA_OPENCL_DEVICE");
    if (want && *want) {
        char *end;
        long i = strtol(want, &end, 10);
        if (!*end) return i >= 0 && i < n ? (int)i : fail_choice(list, n, want, err);
        for (int j = 0; j < n; j++)
            if (contains(list[j].name, want)) return j;
        return fail_choice(list, n, want, err);
    }
    for (int j = 0; j < n; j++)
        if (list[j].compiler && (list[j].type & CL_DEVICE_TYPE_GPU)) return j;
    for (int j = 0; j < n && !gpu; j++)
        if (list[j].compiler) return j;
    char names[700];
    fovea_fail(err, FOVEA_E_DEVICE, "OpenCL: no %s has a compiler; there are %s", gpu ? "GPU" : "device",
               names_of(list, n, names, sizeof names));
    return -1;
}
int fovea_cl_choose(const fovea_cl_device *list, int n, const char *want, fovea_error *err) {
    return choose(list, n, want, false, err);
}
static bool find(const char *want, bool gpu, fovea_cl_device *out, fovea_error *err) {
    char why[900];
    fovea_cl_device *list = calloc(FOVEA_CL_MOST_DEVICES, sizeof *list);
    int n = list ? fovea_cl_devices(list, FOVEA_CL_MOST_DEVICES, why, sizeof why) : 0, i = -1;
    if (!list) fovea_fail(err, FOVEA_E_MEMORY, "no memory for a list of devices");
    else if (!n) fovea_fail(err, FOVEA_E_DEVICE, "OpenCL: %s", why);
    else i = choose(list, n, want, gpu, err);
    if (i >= 0) *out = list[i];
    free(list);
    return i >= 0;
}
bool fovea_cl_find(const char *want, fovea_cl_device *out, fovea_error *err) { return find(want, false, out, err); }
bool fovea_cl_find_gpu(const char *want, fovea_cl_device *out, fovea_error *err) { return find(want, true, out, err); }
int fovea_cl_width(const fovea_cl_device *d) {
    if (!(d->type & CL_DEVICE_TYPE_CPU)) return 0;
    return d->width > 0 && d->width < 1024 ? (int)d->width : 1;
}

/* PoCL turns the items of a group into loops between barriers, after its compiler may have moved a branch like `if
 * (item < 9)` across a barrier: with the optimiser on, version 3.1 then leaves statements out (seen: two such branches
 * around a barrier inside a loop). A program with barriers is built without it there (program.c). */
void fovea_cl_options(const fovea_cl_device *d, char *out, size_t cap) {
    snprintf(out, cap, "-cl-std=CL1.2%s%s", d->exact_divide ? " -cl-fp32-correctly-rounded-divide-sqrt" : "",
             contains(d->platform_name, "NVIDIA") ? " -cl-nv-verbose" : "");
}

/* -- Opening ---- */
fovea_status fovea_cl_device_open(const fovea_cl_device *device, const char *cache_dir, const char *extra,
                                  fovea_cl_open **out, fovea_error *err) {
    *out = NULL;
    fovea_cl_open *d = calloc(1, sizeof *d);
    if (!d) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a device");
    cl_int code = CL_SUCCESS;
    d->device = *device;
    d->cl = &device->platform->cl;
    d->cache_dir = cache_dir && *cache_dir ? strdup(cache_dir) : NULL;
    fovea_cl_options(device, d->options, sizeof d->options);
    size_t used = strlen(d->options);
    if (extra && *extra) snprintf(d->options + used, sizeof d->options - used, " %s", extra);
    cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform->id, 0};
    d->context = d->cl->clCreateContext(properties, 1, &device->id, NULL, NULL, &code);
    const char *what = "making a context";
    if (code == CL_SUCCESS) {
        what = "making a queue";
        d->queue = d->cl->clCreateCommandQueue(d->context, device->id, CL_QUEUE_PROFILING_ENABLE, &code);
        d->profiling = code == CL_SUCCESS;
        if (code != CL_SUCCESS) d->queue = d->cl->clCreateCommandQueue(d->context, device->id, 0, &code);
    }
    if (code == CL_SUCCESS) {
        *out = d;
        return FOVEA_OK;
    }
    fovea_status status = fovea_cl_fail(device, code, err, "%s", what);
    fovea_cl_device_close(d);
    return status;
}
/* Releases are the one kind of call whose result changes nothing. */
void fovea_cl_device_close(fovea_cl_open *d) {
    if (!d) return;
    for (int i = 0; i < d->n_built; i++) {
        if (d->built[i].program) d->cl->clReleaseProgram(d->built[i].program);
        free(d->built[i].source);
    }
    if (d->queue) d->cl->clReleaseCommandQueue(d->queue);
    if (d->context) d->cl->clReleaseContext(d->context);
    free(d->built);
    free(d->cache_dir);
    free(d);
}
