/* A driver of OpenCL that computes nothing and fails on demand: it is reached as vendors' drivers are, through
 * clIcdGetPlatformIDsKHR and the table of its functions, and counts what it is asked. The environment says what fails:
 *   FAKE_CL_FAIL   build  empty-build  context  buffer  first-use  finish  vanish  group  local  binary  profiling
 *   FAKE_CL_TIMES  how often it fails before it works again (default: always)
 *   FAKE_CL_WHEN   a file: nothing fails before it exists
 *   FAKE_CL_CRASH  a text: building a source that holds it ends the process
 *   FAKE_CL_LOG    a file: every process that asks for devices writes its number there */
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include <CL/cl_icd.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct object {
    struct _cl_icd_dispatch *table;
    char *data; /* of buffers: host memory; a part points into its parent's */
    size_t size;
    int part;
} object;
static struct _cl_icd_dispatch table;
static object platform = {&table, NULL, 0, 0}, device = {&table, NULL, 0, 0};
static int failed, builds, contexts, launches;

/* Counters for tests that load this library themselves. */
int fake_cl_count(int which);
int fake_cl_count(int which) { return which == 0 ? builds : which == 1 ? contexts : launches; }

static int fails(const char *what) {
    const char *now = getenv("FAKE_CL_FAIL"), *times = getenv("FAKE_CL_TIMES");
    if (!now || strcmp(now, what)) {
        if (!now || !*now) failed = 0;
        return 0;
    }
    const char *when = getenv("FAKE_CL_WHEN");
    if (when && access(when, F_OK)) return 0;
    if (times && failed >= atoi(times)) return 0;
    failed++;
    return 1;
}
static object *make(char *data, size_t size, int part) {
    object *o = calloc(1, sizeof *o);
    if (o) *o = (object){&table, data, size, part};
    return o;
}
static cl_int give(const void *data, size_t n, size_t cap, void *out, size_t *real) {
    if (real) *real = n;
    if (out && cap < n) return CL_INVALID_VALUE;
    if (out) memcpy(out, data, n);
    return CL_SUCCESS;
}
static cl_int text(const char *s, size_t cap, void *out, size_t *real) {
    return give(s, strlen(s) + 1, cap, out, real);
}

static cl_int platform_info(cl_platform_id p, cl_platform_info what, size_t cap, void *out, size_t *real) {
    (void)p;
    return text(what == CL_PLATFORM_NAME      ? "Fake platform"
                : what == CL_PLATFORM_VERSION ? "OpenCL 1.2 fake"
                                              : "fake",
                cap, out, real);
}
static cl_int devices(cl_platform_id p, cl_device_type type, cl_uint cap, cl_device_id *out, cl_uint *n) {
    const char *log = getenv("FAKE_CL_LOG");
    FILE *f = log ? fopen(log, "a") : NULL;
    (void)p, (void)type;
    if (f) fprintf(f, "%ld\n", (long)getpid());
    if (f) fclose(f);
    if (n) *n = 1;
    if (out && cap) out[0] = (cl_device_id)&device;
    return CL_SUCCESS;
}
static cl_int device_info(cl_device_id d, cl_device_info what, size_t cap, void *out, size_t *real) {
    (void)d;
    cl_ulong big = 0;
    switch (what) {
    case CL_DEVICE_NAME: return text("Fake device", cap, out, real);
    case CL_DEVICE_VENDOR: return text("Nobody", cap, out, real);
    case CL_DRIVER_VERSION: return text(getenv("FAKE_CL_VERSION") ? getenv("FAKE_CL_VERSION") : "1.0", cap, out, real);
    case CL_DEVICE_VERSION: return text("OpenCL 1.2", cap, out, real);
    case CL_DEVICE_EXTENSIONS: return text("cl_khr_icd", cap, out, real);
    case CL_DEVICE_TYPE: big = CL_DEVICE_TYPE_GPU; break;
    case CL_DEVICE_GLOBAL_MEM_SIZE: big = 1ul << 30; break;
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE: big = 1ul << 28; break;
    case CL_DEVICE_LOCAL_MEM_SIZE: big = 48 << 10; break;
    case CL_DEVICE_MAX_WORK_GROUP_SIZE: big = 1024; break;
    case CL_DEVICE_MEM_BASE_ADDR_ALIGN: big = 4096; break;
    case CL_DEVICE_COMPILER_AVAILABLE: big = 1; break;
    case CL_DEVICE_MAX_COMPUTE_UNITS: big = 4; break;
    default: break;
    }
    return give(&big, cap < sizeof big ? cap : sizeof big, cap, out, real);
}
static cl_context context(const cl_context_properties *p, cl_uint n, const cl_device_id *d,
                          void (*f)(const char *, const void *, size_t, void *), void *user, cl_int *code) {
    (void)p, (void)n, (void)d, (void)f, (void)user;
    contexts++;
    *code = fails("context") || fails("vanish") ? CL_DEVICE_NOT_AVAILABLE : CL_SUCCESS;
    return *code == CL_SUCCESS ? (cl_context)make(NULL, 0, 0) : NULL;
}
static cl_command_queue queue(cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *code) {
    (void)c, (void)d;
    *code = (p & CL_QUEUE_PROFILING_ENABLE) && fails("profiling") ? CL_INVALID_QUEUE_PROPERTIES : CL_SUCCESS;
    return *code == CL_SUCCESS ? (cl_command_queue)make(NULL, 0, 0) : NULL;
}
static cl_int drop(void *o) {
    object *x = o;
    if (!x->part) free(x->data);
    free(x);
    return CL_SUCCESS;
}
static cl_mem buffer(cl_context c, cl_mem_flags f, size_t n, void *host, cl_int *code) {
    (void)c, (void)f, (void)host;
    *code = fails("buffer") ? CL_MEM_OBJECT_ALLOCATION_FAILURE : CL_SUCCESS;
    return *code == CL_SUCCESS ? (cl_mem)make(calloc(n + 1, 1), n, 0) : NULL;
}
static cl_mem part(cl_mem m, cl_mem_flags f, cl_buffer_create_type t, const void *info, cl_int *code) {
    const cl_buffer_region *r = info;
    object *o = (object *)(void *)m;
    (void)f, (void)t;
    *code = r->origin % 512                             ? CL_MISALIGNED_SUB_BUFFER_OFFSET
            : !r->size || r->origin + r->size > o->size ? CL_INVALID_VALUE
                                                        : CL_SUCCESS;
    return *code == CL_SUCCESS ? (cl_mem)make(o->data + r->origin, r->size, 1) : NULL;
}
static cl_int copy_in(cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t n, const void *from, cl_uint ne,
                      const cl_event *e, cl_event *out) {
    object *o = (object *)(void *)m;
    (void)q, (void)wait, (void)ne, (void)e, (void)out;
    if (fails("first-use")) return CL_MEM_OBJECT_ALLOCATION_FAILURE;
    if (at + n > o->size) return CL_INVALID_VALUE;
    memcpy(o->data + at, from, n);
    return CL_SUCCESS;
}
static cl_int copy_out(cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t n, void *to, cl_uint ne,
                       const cl_event *e, cl_event *out) {
    object *o = (object *)(void *)m;
    (void)q, (void)wait, (void)ne, (void)e, (void)out;
    if (at + n > o->size) return CL_INVALID_VALUE;
    memcpy(to, o->data + at, n);
    return CL_SUCCESS;
}
static cl_program from_source(cl_context c, cl_uint n, const char **s, const size_t *len, cl_int *code) {
    const char *crash = getenv("FAKE_CL_CRASH");
    (void)c, (void)n, (void)len;
    if (crash && strstr(s[0], crash)) abort();
    *code = CL_SUCCESS;
    return (cl_program)make(NULL, 0, 0);
}
static cl_program from_binary(cl_context c, cl_uint n, const cl_device_id *d, const size_t *len,
                              const unsigned char **binary, cl_int *status, cl_int *code) {
    (void)c, (void)n, (void)d, (void)status;
    int fine = len[0] == 11 && !memcmp(binary[0], "fake binary", 11) && !fails("binary");
    *code = fine ? CL_SUCCESS : CL_INVALID_BINARY;
    return fine ? (cl_program)make(NULL, 1, 0) : NULL; /* size 1: from a binary */
}
static cl_int build(cl_program p, cl_uint n, const cl_device_id *d, const char *options, void (*f)(cl_program, void *),
                    void *user) {
    object *o = (object *)(void *)p;
    (void)n, (void)d, (void)options, (void)f, (void)user;
    if (o->size) return CL_SUCCESS;
    builds++;
    return fails("build") || fails("empty-build") ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS;
}
static cl_int program_info(cl_program p, cl_program_info what, size_t cap, void *out, size_t *real) {
    size_t n = 11;
    (void)p;
    if (what == CL_PROGRAM_BINARY_SIZES) return give(&n, sizeof n, cap, out, real);
    if (what != CL_PROGRAM_BINARIES) return CL_INVALID_VALUE;
    memcpy(*(unsigned char **)out, "fake binary", n);
    return CL_SUCCESS;
}
static cl_int build_info(cl_program p, cl_device_id d, cl_program_build_info what, size_t cap, void *out,
                         size_t *real) {
    const char *now = getenv("FAKE_CL_FAIL");
    (void)p, (void)d, (void)what;
    return text(now && !strcmp(now, "build") ? "spec.lua:7: nothing is right here" : "", cap, out, real);
}
static cl_kernel kernel(cl_program p, const char *name, cl_int *code) {
    (void)p, (void)name;
    *code = CL_SUCCESS;
    return (cl_kernel)make(NULL, 0, 0);
}
static cl_int argument(cl_kernel k, cl_uint i, size_t n, const void *value) {
    (void)k, (void)i, (void)n, (void)value;
    return CL_SUCCESS;
}
static cl_int limits(cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t cap, void *out, size_t *real) {
    size_t group = fails("group") ? 3 : 1024;
    cl_ulong local = fails("local") ? 1 << 20 : 0;
    (void)k, (void)d;
    return what == CL_KERNEL_WORK_GROUP_SIZE ? give(&group, sizeof group, cap, out, real)
                                             : give(&local, sizeof local, cap, out, real);
}
static cl_int launch(cl_command_queue q, cl_kernel k, cl_uint dims, const size_t *offset, const size_t *global,
                     const size_t *local, cl_uint n, const cl_event *e, cl_event *out) {
    (void)q, (void)k, (void)dims, (void)offset, (void)global, (void)local, (void)n, (void)e;
    launches++;
    if (fails("vanish")) return CL_DEVICE_NOT_AVAILABLE;
    if (out) *out = (cl_event)make(NULL, fails("finish"), 0); /* size 1: it ended abnormally */
    return CL_SUCCESS;
}
static cl_int event_info(cl_event e, cl_event_info what, size_t cap, void *out, size_t *real) {
    cl_int status = ((object *)(void *)e)->size ? CL_OUT_OF_RESOURCES : CL_COMPLETE;
    (void)what;
    return give(&status, sizeof status, cap, out, real);
}
static cl_int event_time(cl_event e, cl_profiling_info what, size_t cap, void *out, size_t *real) {
    cl_ulong t = what == CL_PROFILING_COMMAND_END ? 1500 : 1000;
    (void)e;
    return give(&t, sizeof t, cap, out, real);
}
static cl_int wait_events(cl_uint n, const cl_event *e) {
    (void)n, (void)e;
    return CL_SUCCESS;
}
static cl_int finish(cl_command_queue q) {
    (void)q;
    return CL_SUCCESS;
}
#define DROP(name, type)                                                                                               \
    static cl_int name(type x) { return drop((void *)x); }
DROP(drop_context, cl_context)
DROP(drop_queue, cl_command_queue)
DROP(drop_memory, cl_mem)
DROP(drop_program, cl_program)
DROP(drop_kernel, cl_kernel)
DROP(drop_event, cl_event)

static cl_int platforms(cl_uint cap, cl_platform_id *out, cl_uint *n) {
    table.clGetPlatformInfo = platform_info;
    table.clGetDeviceIDs = devices;
    table.clGetDeviceInfo = device_info;
    table.clCreateContext = context;
    table.clReleaseContext = drop_context;
    table.clCreateCommandQueue = queue;
    table.clReleaseCommandQueue = drop_queue;
    table.clCreateBuffer = buffer;
    table.clCreateSubBuffer = part;
    table.clReleaseMemObject = drop_memory;
    table.clEnqueueReadBuffer = copy_out;
    table.clEnqueueWriteBuffer = copy_in;
    table.clCreateProgramWithSource = from_source;
    table.clCreateProgramWithBinary = from_binary;
    table.clBuildProgram = build;
    table.clGetProgramInfo = program_info;
    table.clGetProgramBuildInfo = build_info;
    table.clReleaseProgram = drop_program;
    table.clCreateKernel = kernel;
    table.clReleaseKernel = drop_kernel;
    table.clSetKernelArg = argument;
    table.clGetKernelWorkGroupInfo = limits;
    table.clEnqueueNDRangeKernel = launch;
    table.clWaitForEvents = wait_events;
    table.clGetEventInfo = event_info;
    table.clGetEventProfilingInfo = event_time;
    table.clReleaseEvent = drop_event;
    table.clFlush = finish;
    table.clFinish = finish;
    if (n) *n = 1;
    if (out && cap) out[0] = (cl_platform_id)&platform;
    return CL_SUCCESS;
}
void *clGetExtensionFunctionAddress(const char *name);
void *clGetExtensionFunctionAddress(const char *name) {
    cl_int (*f)(cl_uint, cl_platform_id *, cl_uint *) = platforms;
    void *p = NULL;
    if (!strcmp(name, "clIcdGetPlatformIDsKHR")) memcpy(&p, &f, sizeof p);
    return p;
}
