/* loader: finds OpenCL drivers at run time. A standard loader gives its functions by name; a vendor's library gives
 * platforms through clIcdGetPlatformIDsKHR, and every platform points to the table of its functions. Invariant: a
 * library without all of the functions needed is passed over and named in the reason. */
#define _POSIX_C_SOURCE 200809L
#include "api.h"

#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };
static struct {
    pthread_mutex_t lock;
    bool known;
    char *asked; /* the variable's value when it was looked for */
    int n;
    fovea_cl_platform platform[MOST];
    char why[800];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Where drivers lie when no registry names them. */
static const char *const vendors[] = {
    "libnvidia-opencl.so.1",
    "/usr/lib/*/libnvidia-opencl.so.1",
    "/usr/lib64/libnvidia-opencl.so.1",
    "/usr/lib/libnvidia-opencl.so.1",
    "/usr/local/nvidia/lib64/libnvidia-opencl.so.1",
    "/usr/local/cuda*/compat/libnvidia-opencl.so.1",
    "/run/opengl-driver/lib/libnvidia-opencl.so.1",
    "/opt/rocm*/lib/libamdocl64.so",
    "/opt/rocm*/opencl/lib/libamdocl64.so",
    "/usr/lib/*/libamdocl64.so",
    "/usr/lib/*/intel-opencl/libigdrcl.so",
    "/usr/lib/*/libRusticlOpenCL.so.1",
    "/usr/lib/*/libMesaOpenCL.so.1",
    "/usr/lib/*/libmali.so.1",
    "/vendor/lib64/libOpenCL.so",
    "/usr/lib/*/libpocl.so.2",
    "/usr/lib/libpocl.so.2",
};

static void reason(const char *library, const char *text) {
    size_t used = strlen(all.why);
    if (used + 3 < sizeof all.why)
        snprintf(all.why + used, sizeof all.why - used, "%s%s: %s", used ? "; " : "", library, text);
}

/* Function pointers and the pointers of dlsym have one size on every system that has dlsym. */
static void put(void *to, void *from) { memcpy(to, &from, sizeof from); }

static bool by_name(void *handle, fovea_cl *cl) {
#define X(name) put(&cl->name, dlsym(handle, #name));
    FOVEA_CL_FUNCTIONS(X)
#undef X
#define X(name) cl->name &&
    return FOVEA_CL_FUNCTIONS(X) true;
#undef X
}
static bool by_table(cl_platform_id id, fovea_cl *cl) {
    const struct _cl_icd_dispatch *t;
    memcpy(&t, (const void *)id, sizeof t);
    if (!t) return false;
#define X(name) cl->name = t->name;
    FOVEA_CL_FUNCTIONS(X)
#undef X
#define X(name) cl->name &&
    return FOVEA_CL_FUNCTIONS(X) true;
#undef X
}
static int add(const char *library, void *handle, const cl_platform_id *id, cl_uint n, bool table) {
    int before = all.n;
    const char *name = strdup(library);
    for (cl_uint i = 0; i < n && all.n < MOST; i++) {
        fovea_cl_platform p = {.id = id[i], .library = name};
        if (table ? by_table(id[i], &p.cl) : by_name(handle, &p.cl)) all.platform[all.n++] = p;
    }
    if (all.n == before) reason(library, "functions of OpenCL 1.2 are missing");
    return all.n - before;
}

typedef cl_int get_platforms(cl_uint, cl_platform_id *, cl_uint *);
typedef void *get_address(const char *);
/* Platforms that one library gives: those of a standard loader by name, of a driver by its entry for loaders. */
static int open_library(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    cl_platform_id id[MOST];
    cl_uint n = 0;
    get_platforms *get = NULL;
    get_address *address = NULL;
    if (!handle) {
        const char *text = dlerror();
        size_t skip = text && !strncmp(text, library, strlen(library)) ? strlen(library) : 0;
        while (text && (text[skip] == ':' || text[skip] == ' ')) skip++;
        reason(library, text ? text + skip : "cannot be loaded");
        return 0;
    }
    put(&address, dlsym(handle, "clGetExtensionFunctionAddress"));
    put(&get, dlsym(handle, "clGetPlatformIDs"));
    bool table = get == NULL;
    if (!get && address) put(&get, address("clIcdGetPlatformIDsKHR"));
    if (!get) put(&get, dlsym(handle, "clIcdGetPlatformIDsKHR"));
    if (!get) {
        reason(library, "is not an OpenCL library");
        return 0;
    }
    cl_int code = get(MOST, id, &n);
    if (code != CL_SUCCESS || n == 0) {
        reason(library,
               code == CL_SUCCESS || code == CL_PLATFORM_NOT_FOUND_KHR ? "has no platform" : fovea_cl_error_text(code));
        return 0;
    }
    return add(library, handle, id, n < MOST ? n : MOST, table);
}
static void open_list(const char *list) {
    char *copy = strdup(list), *rest = copy;
    for (char *one; copy && (one = strtok_r(rest, ":", &rest));) open_library(one);
    free(copy);
    if (!*list) reason("FOVEA_OPENCL_LIBRARY", "is empty: no driver is wanted");
}
static void open_vendors(void) {
    for (size_t i = 0; i < sizeof vendors / sizeof *vendors; i++) {
        glob_t found;
        if (vendors[i][0] != '/') {
            void *here = dlopen(vendors[i], RTLD_NOW | RTLD_LOCAL);
            if (here && open_library(vendors[i])) continue;
        } else if (glob(vendors[i], 0, NULL, &found) == 0) {
            bool again = false; /* one driver is reached by one path only */
            for (int j = 0; j < all.n; j++) {
                const char *a = strrchr(all.platform[j].library, '/'), *b = strrchr(vendors[i], '/');
                again = again || !strcmp(a ? a + 1 : all.platform[j].library, b + 1);
            }
            for (size_t j = 0; j < found.gl_pathc && !again; j++)
                if (open_library(found.gl_pathv[j])) break;
            globfree(&found);
        }
    }
}
static void look(const char *asked) {
    free(all.asked);
    all.asked = asked ? strdup(asked) : NULL;
    all.n = 0;
    all.why[0] = 0;
    all.known = true;
    if (asked) open_list(asked);
    else if (!open_library("libOpenCL.so.1")) open_vendors();
    /* Drivers start their devices when they are first asked for, and some fail where two threads ask at once. */
    cl_uint count;
    for (int i = 0; i < all.n; i++)
        all.platform[i].cl.clGetDeviceIDs(all.platform[i].id, CL_DEVICE_TYPE_ALL, 0, NULL, &count);
}
int fovea_cl_platforms(const fovea_cl_platform **out, char *why, size_t cap) {
    const char *asked = getenv("FOVEA_OPENCL_LIBRARY");
    pthread_mutex_lock(&all.lock);
    bool same = all.known && (asked ? all.asked && !strcmp(asked, all.asked) : !all.asked);
    if (!same) look(asked);
    *out = all.platform;
    if (why && cap) snprintf(why, cap, "%s", all.why[0] ? all.why : "none is in the folders where drivers lie");
    int n = all.n;
    pthread_mutex_unlock(&all.lock);
    return n;
}

const char *fovea_cl_error_text(cl_int code) {
    static const struct {
        cl_int code;
        const char *text;
    } table[] = {
        {CL_SUCCESS, "fine"},
        {CL_DEVICE_NOT_FOUND, "no device found"},
        {CL_DEVICE_NOT_AVAILABLE, "the device is not available"},
        {CL_COMPILER_NOT_AVAILABLE, "the driver has no compiler"},
        {CL_MEM_OBJECT_ALLOCATION_FAILURE, "out of device memory"},
        {CL_OUT_OF_RESOURCES, "out of resources (an access outside of memory shows like this on some devices)"},
        {CL_OUT_OF_HOST_MEMORY, "out of host memory"},
        {CL_MAP_FAILURE, "memory cannot be mapped"},
        {CL_BUILD_PROGRAM_FAILURE, "the build failed"},
        {CL_INVALID_VALUE, "invalid value"},
        {CL_INVALID_DEVICE, "invalid device"},
        {CL_INVALID_CONTEXT, "invalid context (the device gave up)"},
        {CL_INVALID_COMMAND_QUEUE, "invalid queue (the device gave up)"},
        {CL_INVALID_MEM_OBJECT, "invalid memory"},
        {CL_INVALID_BINARY, "not a binary of this device"},
        {CL_INVALID_BUILD_OPTIONS, "invalid build options"},
        {CL_INVALID_PROGRAM_EXECUTABLE, "the program was not built for this device"},
        {CL_INVALID_KERNEL_NAME, "no kernel of that name"},
        {CL_INVALID_KERNEL_ARGS, "kernel arguments are missing"},
        {CL_INVALID_ARG_INDEX, "no argument of that number"},
        {CL_INVALID_ARG_SIZE, "an argument has another size"},
        {CL_INVALID_WORK_GROUP_SIZE, "invalid group size"},
        {CL_INVALID_WORK_ITEM_SIZE, "too many items in one dimension of a group"},
        {CL_INVALID_BUFFER_SIZE, "invalid buffer size"},
        {CL_INVALID_GLOBAL_WORK_SIZE, "invalid number of items"},
        {CL_MISALIGNED_SUB_BUFFER_OFFSET, "a part of a buffer begins where the device does not allow it"},
        {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "a kernel ended abnormally"},
        {CL_PLATFORM_NOT_FOUND_KHR, "no platform is installed"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == code) return table[i].text;
    return "an error that OpenCL 1.2 does not name";
}
