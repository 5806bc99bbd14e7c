/* OpenCL as an executor of programs: name it in fovea_program.executor, with options in executor_user. Needs no
 * OpenCL header here, and no library of it to start. */
#ifndef FOVEA_OPENCL_H
#define FOVEA_OPENCL_H
#include "runtime/executor.h"

typedef struct {
    const char *device;    /* a number, or a part of a name; NULL: FOVEA_OPENCL_DEVICE, else the first GPU, else any */
    const char *cache_dir; /* of built programs; NULL: none */
    const char *build;     /* further build options; NULL: none */
} fovea_opencl_options;

extern const fovea_executor fovea_opencl_executor;
#endif
