/* The prelude without a matrix unit, on the first OpenCL device: attention against f64. Skipped where there is none. */
#define CL_TARGET_OPENCL_VERSION 120
#include "frag_cases.h"

#include <CL/cl.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>

static char *text_of(const char *const *path, int n) {
    char *text = calloc(1, 1 << 17);
    for (int i = 0; i < n; i++) {
        FILE *f = fopen(path[i], "rb");
        cr_assert(f, "%s", path[i]);
        size_t at = strlen(text);
        text[at + fread(text + at, 1, (1 << 17) - at - 1, f)] = 0;
        fclose(f);
    }
    return text;
}
static void *library;
#define CALL(name) ((__typeof__(&name))dlsym(library, #name))

static cl_device_id find_device(void) {
    cl_platform_id platform[8];
    cl_uint n = 0;
    cl_device_id device = NULL;
    library = dlopen("libOpenCL.so.1", RTLD_NOW);
    if (library && CALL(clGetPlatformIDs)(8, platform, &n) == CL_SUCCESS)
        for (cl_uint i = 0; i < n && i < 8 && !device; i++)
            if (CALL(clGetDeviceIDs)(platform[i], CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS) device = NULL;
    return device;
}
static void attention_on(cl_device_id device, int bf16, int d, int keys, int waves) {
    const char *path[] = {FOVEA_TESTS_DIR "/../backends/opencl/preludes/emu.cl",
                          FOVEA_TESTS_DIR "/../backends/opencl/preludes/attention.cl"};
    char options[128], log[4096] = "";
    cl_int code;
    cl_context context = CALL(clCreateContext)(NULL, 1, &device, NULL, NULL, &code);
    cl_command_queue queue = CALL(clCreateCommandQueue)(context, device, 0, &code);
    char *text = text_of(path, 2);
    const char *source = text;
    cl_program program = CALL(clCreateProgramWithSource)(context, 1, &source, NULL, &code);
    snprintf(options, sizeof options, "-cl-opt-disable -DFOV_BF16=%d -DFOV_D=%d -DFOV_KEYS=%d -DFOV_WAVES=%d", bf16, d,
             keys, waves);
    code = CALL(clBuildProgram)(program, 1, &device, options, NULL, NULL);
    if (code) CALL(clGetProgramBuildInfo)(program, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
    cr_assert(code == CL_SUCCESS, "%s", log);
    cl_kernel kernel = CALL(clCreateKernel)(program, "fov_attention", &code);
    double worst = 0;
    for (int i = 0; i < FRAG_CASES; i++) {
        const frag_case *c = &frag_cases[i];
        int64_t n_q = (int64_t)c->heads * c->n_q * d, n_k = (int64_t)c->heads * c->n_k * d;
        float *x[4] = {frag_fill(n_q, 1), frag_fill(n_k, 2), frag_fill(n_k, 3), frag_fill(n_q, 4)}, scale = 0.25f;
        cl_mem m[4];
        for (int j = 0; j < 4; j++) {
            m[j] = CALL(clCreateBuffer)(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                        sizeof(float) * (size_t)(j == 1 || j == 2 ? n_k : n_q), x[j], &code);
            CALL(clSetKernelArg)(kernel, (cl_uint)j, sizeof m[j], &m[j]);
        }
        CALL(clSetKernelArg)(kernel, 4, sizeof(int), &c->n_q);
        CALL(clSetKernelArg)(kernel, 5, sizeof(int), &c->n_k);
        CALL(clSetKernelArg)(kernel, 6, sizeof(float), &scale);
        CALL(clSetKernelArg)(kernel, 7, sizeof(int), &c->causal);
        size_t local = (size_t)waves * 4,
               global = (size_t)(c->heads * ((c->n_q + waves * 16 - 1) / (waves * 16))) * local;
        cr_assert(CALL(clEnqueueNDRangeKernel)(queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL) == CL_SUCCESS);
        cr_assert(CALL(clEnqueueReadBuffer)(queue, m[3], CL_TRUE, 0, sizeof(float) * (size_t)n_q, x[3], 0, NULL,
                                            NULL) == CL_SUCCESS);
        double e = frag_difference(c, d, scale, x[0], x[1], x[2], x[3]);
        if (!(e <= worst)) worst = e;
        cr_expect(e <= frag_tolerance(bf16), "d %d keys %d waves %d bf16 %d case %d: difference %.3g", d, keys, waves,
                  bf16, i, e);
        for (int j = 0; j < 4; j++) {
            CALL(clReleaseMemObject)(m[j]);
            free(x[j]);
        }
    }
    cr_log_info("d %d keys %d waves %d bf16 %d: %.2g", d, keys, waves, bf16, worst);
    CALL(clReleaseKernel)(kernel);
    CALL(clReleaseProgram)(program);
    CALL(clReleaseCommandQueue)(queue);
    CALL(clReleaseContext)(context);
    free(text);
}
Test(opencl_frag_emu, attention, .timeout = 300) {
    cl_device_id device = find_device();
    if (!device) {
        fprintf(stderr, "skipped: no OpenCL device\n");
        cr_skip_test("no OpenCL device");
    }
    static const struct {
        int bf16, d, keys, waves;
    } shape[] = {{0, 32, 32, 2}, {1, 32, 32, 2}, {0, 64, 16, 4}, {1, 16, 64, 1}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        attention_on(device, shape[i].bf16, shape[i].d, shape[i].keys, shape[i].waves);
}
