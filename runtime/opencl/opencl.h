/* OpenCL as an executor of programs: name it in fovea_program.executor, with options in executor_user. Needs no
 * OpenCL header here, and no library of it to start. */
#ifndef FOVEA_OPENCL_H
#define FOVEA_OPENCL_H
#include "runtime/executor.h"

/* A program as a device's driver has built it. It is used where device, driver and options are the same to the letter
 * (`key`: fovea_cl_key) and the driver takes it; else the source is built. */
typedef struct {
    const char *key, *source;
    const unsigned char *data;
    int64_t bytes;
} fovea_opencl_binary;

/* What kind of device the kernels are cut for; suits() asks it. */
typedef enum { FOVEA_OPENCL_ANY, FOVEA_OPENCL_ITEMS, FOVEA_OPENCL_VECTORS /* processors */ } fovea_opencl_kind;

typedef struct {
    /* a number, or a part of a name, where fovea_options.device is NULL; NULL: FOVEA_OPENCL_DEVICE, else the first GPU,
     * else any */
    const char *device;
    const char *cache_dir; /* of built programs; NULL: none */
    const char *build;     /* further build options; NULL: none */
    bool own_cache;        /* cache_dir is that of the user (fovea_cl_user_cache) */
    fovea_opencl_kind kind;
    const fovea_opencl_binary *binaries;
    int32_t n_binaries;
    void (*ready)(void); /* called before any source is read; NULL: they are there */
} fovea_opencl_options;

extern const fovea_executor fovea_opencl_executor;
#endif
