/* OpenCL without a link to it: the functions of one driver, found by dlopen. Everything in this folder calls OpenCL
 * through a fovea_cl only. Needs OpenCL's headers to build and nothing of it to start. */
#ifndef FOVEA_OPENCL_API_H
#define FOVEA_OPENCL_API_H
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include "runtime/fovea.h"

#include <CL/cl_icd.h>

#define FOVEA_CL_FUNCTIONS(X)                                                                                          \
    X(clGetPlatformInfo)                                                                                               \
    X(clGetDeviceIDs)                                                                                                  \
    X(clGetDeviceInfo)                                                                                                 \
    X(clCreateContext)                                                                                                 \
    X(clReleaseContext)                                                                                                \
    X(clCreateCommandQueue)                                                                                            \
    X(clReleaseCommandQueue)                                                                                           \
    X(clCreateBuffer)                                                                                                  \
    X(clCreateSubBuffer)                                                                                               \
    X(clReleaseMemObject)                                                                                              \
    X(clEnqueueReadBuffer)                                                                                             \
    X(clEnqueueWriteBuffer)                                                                                            \
    X(clCreateProgramWithSource)                                                                                       \
    X(clCreateProgramWithBinary)                                                                                       \
    X(clBuildProgram)                                                                                                  \
    X(clGetProgramInfo)                                                                                                \
    X(clGetProgramBuildInfo)                                                                                           \
    X(clReleaseProgram)                                                                                                \
    X(clCreateKernel)                                                                                                  \
    X(clReleaseKernel)                                                                                                 \
    X(clSetKernelArg)                                                                                                  \
    X(clGetKernelWorkGroupInfo)                                                                                        \
    X(clEnqueueNDRangeKernel)                                                                                          \
    X(clWaitForEvents)                                                                                                 \
    X(clGetEventInfo)                                                                                                  \
    X(clGetEventProfilingInfo)                                                                                         \
    X(clReleaseEvent)                                                                                                  \
    X(clFlush)                                                                                                         \
    X(clFinish)

typedef struct {
#define X(name) cl_api_##name name;
    FOVEA_CL_FUNCTIONS(X)
#undef X
} fovea_cl;

/* A platform and the functions that serve it. */
typedef struct {
    fovea_cl cl;
    cl_platform_id id;
    const char *library; /* the file it came from; lives as long as the process */
} fovea_cl_platform;

/* Platforms of the first of these that has any: the libraries of FOVEA_OPENCL_LIBRARY (files separated by ':', nothing
 * else is tried then; empty: none at all), the standard loader libOpenCL.so.1, then vendors' libraries in the folders
 * where drivers put them, which need no registry. Libraries stay loaded. Looked for once per value of the variable.
 * Returns their number; 0: `why` (cap bytes) says what was tried. */
int fovea_cl_platforms(const fovea_cl_platform **out, char *why, size_t cap);

const char *fovea_cl_error_text(cl_int code); /* in words; never NULL */
#endif
