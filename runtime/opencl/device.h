/* Devices: listed, chosen, opened. An open device is a context, a queue in order, and the programs built on it. */
#ifndef FOVEA_OPENCL_DEVICE_H
#define FOVEA_OPENCL_DEVICE_H
#include "api.h"
#include "opencl.h"

enum { FOVEA_CL_MOST_DEVICES = 64 };

typedef struct {
    const fovea_cl_platform *platform;
    cl_device_id id;
    cl_device_type type;
    char name[256], vendor[128], driver[128], version[128], platform_name[128], platform_version[128];
    cl_uint vendor_id, units, clock_mhz, width; /* width: f32 of a native vector */
    int64_t memory, max_alloc, local_memory;    /* bytes */
    int64_t max_group;                          /* items */
    int64_t alignment;                          /* bytes: of the begin of a part of a buffer */
    cl_uint compute_major, compute_minor;       /* NVIDIA: compute capability; 0: not said */
    bool compiler, fp64, fp16, exact_divide;    /* exact_divide: correctly rounded / and sqrt can be asked for */
    char extensions[4096];
} fovea_cl_device;

/* All devices, in the order of platforms. 0: `why` says what was tried. */
int fovea_cl_devices(fovea_cl_device *out, int cap, char *why, size_t cap_why);
/* Which of them is meant: a number, or a part of the name (any case); NULL or empty: FOVEA_OPENCL_DEVICE, else the
 * first GPU, else the first that has a compiler. -1: none; err lists what there is. */
int fovea_cl_choose(const fovea_cl_device *list, int n, const char *want, fovea_error *err);
bool fovea_cl_find(const char *want, fovea_cl_device *out, fovea_error *err); /* both of these */
bool fovea_cl_find_gpu(const char *want, fovea_cl_device *out, fovea_error *err); /* unless one is named: GPUs alone */

/* f32 lanes of a processor's vectors, at least 1; 0: it is no processor. */
int fovea_cl_width(const fovea_cl_device *d);
/* Options that every program of a device is built with. */
void fovea_cl_options(const fovea_cl_device *d, char *out, size_t cap);

typedef struct {
    uint64_t hash;
    char *source;
    cl_program program;
} fovea_cl_built;
typedef struct {
    fovea_cl_device device;
    const fovea_cl *cl; /* of its platform */
    cl_context context;
    cl_command_queue queue;
    bool profiling; /* the queue gives times */
    char options[256];
    char *cache_dir; /* NULL: none */
    int n_built, cap_built, from_cache, from_binary;
    fovea_cl_built *built;
    const fovea_opencl_binary *binaries; /* the caller's; looked at before the cache */
    int32_t n_binaries;
} fovea_cl_open;

/* cache_dir: where built programs are kept; NULL: nowhere. extra: further build options or NULL. */
fovea_status fovea_cl_device_open(const fovea_cl_device *device, const char *cache_dir, const char *extra,
                                  fovea_cl_open **out, fovea_error *err);
void fovea_cl_device_close(fovea_cl_open *d); /* NULL is fine */
/* FOVEA_E_DEVICE with what was done, on which device, and what the code means. */
fovea_status fovea_cl_fail(const fovea_cl_device *d, cl_int code, fovea_error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* -- Programs (program.c) ------------------------------------------------------------------------------------------ */
/* The kernel of a launch: its program is built once per source, from memory, the cache, or the driver's compiler; the
 * kernel is compared with the device's limits. A new kernel object every time, which the caller releases before the
 * device is closed. */
fovea_status fovea_cl_kernel(fovea_cl_open *d, const struct fovea_device_code *code, const char *label, cl_kernel *out,
                             fovea_error *err);
/* The same without the comparison: for probes, which ask what the limits really are. */
fovea_status fovea_cl_kernel_any(fovea_cl_open *d, const struct fovea_device_code *code, const char *label,
                                 cl_kernel *out, fovea_error *err);
/* Everything that a built program depends on beside its source: device, driver, options. malloc'ed; NULL: no memory. */
char *fovea_cl_key(const fovea_cl_open *d, const char *source);
/* The driver's binary of a program of `d`, malloc'ed; NULL: it gives none. */
unsigned char *fovea_cl_binary(const fovea_cl_open *d, cl_program program, size_t *bytes);
/* The folder in which this user's programs are kept: FOVEA_CACHE (empty: none), else .cache/fovea at home. malloc'ed;
 * NULL: there is none. */
char *fovea_cl_user_cache(void);
/* FNV-1a of n bytes, on from `seed`. */
uint64_t fovea_cl_hash(const void *data, size_t n, uint64_t seed);
#define FOVEA_CL_HASH_SEED UINT64_C(0xcbf29ce484222325)
/* The build log of a program, malloc'ed; NULL if there is none. */
char *fovea_cl_log(const fovea_cl_open *d, cl_program program);
#endif
