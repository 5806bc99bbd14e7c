/* probe: see probe.h. Every kernel writes 1 for each item that saw the right answer; the buffer holds 0 before. */
#include "probe.h"

#include "runtime/error.h"
#include "runtime/executor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 8, MOST_ITEMS = 256, NVIDIA = 0x10de };

#define KERNEL(n)                                                                                                      \
    "__kernel __attribute__((reqd_work_group_size(" #n ",1,1))) void fovea_probe(__global int *out) { "                \
    "const int t = (int)get_local_id(0), g = (int)get_global_id(0); int good = 0; "
#define END " out[g] = good; }"
#define LOCAL(bytes)                                                                                                   \
    KERNEL(128)                                                                                                        \
    "__local uint x[(" #bytes ") / 4]; for (int i = t; i < (" #bytes ") / 4; i += 128) "                               \
    "x[i] = (uint)i * 2654435761u + (uint)g / 128u; barrier(CLK_LOCAL_MEM_FENCE); good = 1; "                          \
    "for (int i = 127 - t; i < (" #bytes                                                                               \
    ") / 4; i += 128) good &= x[i] == (uint)i * 2654435761u + (uint)g / 128u;" END
/* A product of ones: every element of a 16 x 8 tile over 16 terms is 16. */
#define MMA(type, one)                                                                                                 \
    KERNEL(32)                                                                                                         \
    "float a = 1, b = 1, c = 1, d = 1; uint one = " one "; "                                                           \
    "asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, "        \
    "{%4,%4}, {%0,%1,%2,%3};\" : \"+f\"(a), \"+f\"(b), \"+f\"(c), \"+f\"(d) : \"r\"(one) : \"memory\"); "              \
    "good = a == 17.0f && b == 17.0f && c == 17.0f && d == 17.0f;" END

static const fovea_cl_probe probes[] = {
    {"integers", "builds and runs a kernel", 0, 64, "", KERNEL(64) "good = (g * 7 - g * 6) == g;" END},
    {"barrier", "local memory and barriers", 0, 64, "",
     KERNEL(
         64) "__local int x[64]; x[t] = t * t; barrier(CLK_LOCAL_MEM_FENCE); good = x[63 - t] == (63 - t) * (63 - t); "
             "barrier(CLK_LOCAL_MEM_FENCE); x[t] = -t; barrier(CLK_LOCAL_MEM_FENCE); good &= x[t ^ 1] == -(t ^ "
             "1);" END},
    {"vectors", "vectors of 16 floats", 0, 1, "",
     KERNEL(1) "float16 v = (float16)(0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15); v = fma(v, v, v) + (float16)(t); "
               "good = v.s0 == 0.0f && v.sf == 240.0f && v.s7 == 56.0f;" END},
    {"halves", "16-bit floats in memory", 0, 64, "",
     KERNEL(64) "ushort h; vstore_half_rte((float)(t - 32) * 0.25f, 0, (__private half *)&h); "
                "good = vload_half(0, (const __private half *)&h) == (float)(t - 32) * 0.25f;" END},
    {"half-arithmetic", "arithmetic in 16-bit floats", 0, 64, "",
     "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n" KERNEL(64) "half h = (half)t; h = h * (half)2 + (half)1; "
                                                                  "good = (float)h == (float)(2 * t + 1);" END},
    {"doubles", "64-bit floats", 0, 64, "",
     "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n" KERNEL(64) "double x = (double)t + 0x1p-40; "
                                                                  "good = (x - (double)t) * 0x1p40 == 1.0;" END},
    {"sub-groups", "sub-groups with shuffles", 0, 64, "-cl-std=CL2.0",
     "#pragma OPENCL EXTENSION cl_khr_subgroups : enable\n" KERNEL(64) "int n = (int)get_sub_group_size(); "
                                                                       "good = sub_group_reduce_add(1) == n;" END},
    {"local-48k", "48 KiB of local memory", 0, 128, "", LOCAL(48 * 1024)},
    {"local-64k", "64 KiB of local memory", 0, 128, "", LOCAL(64 * 1024)},
    {"local-96k", "96 KiB of local memory", 0, 128, "", LOCAL(96 * 1024)},
    {"local-160k", "160 KiB of local memory", 0, 128, "", LOCAL(160 * 1024)},
    {"local-224k", "224 KiB of local memory", 0, 128, "", LOCAL(224 * 1024)},
    {"ptx", "inline PTX", NVIDIA, 32, "",
     KERNEL(32) "uint lane; asm volatile(\"mov.u32 %0, %%laneid;\" : \"=r\"(lane)); good = lane == (uint)t;" END},
    {"shuffle", "shuffles of a warp (PTX)", NVIDIA, 32, "",
     KERNEL(32) "uint v = (uint)t, r; asm volatile(\"shfl.sync.bfly.b32 %0, %1, 1, 31, 0xffffffff;\" : \"=r\"(r) : "
                "\"r\"(v) : \"memory\"); good = r == (uint)(t ^ 1);" END},
    {"exp2", "ex2.approx (PTX)", NVIDIA, 32, "",
     KERNEL(32) "float x = (float)(t - 16), r; asm volatile(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(r) : \"f\"(x)); "
                "good = r == ldexp(1.0f, t - 16);" END},
    {"mma-f16", "matrix unit, f16 (PTX m16n8k16)", NVIDIA, 32, "", MMA("f16", "0x3c003c00u")},
    {"mma-bf16", "matrix unit, bf16 (PTX m16n8k16)", NVIDIA, 32, "", MMA("bf16", "0x3f803f80u")},
    {"ldmatrix", "ldmatrix (PTX)", NVIDIA, 32, "",
     KERNEL(32) "__local ushort x[64] __attribute__((aligned(16))); x[2 * t] = (ushort)(2 * t); "
                "x[2 * t + 1] = (ushort)(2 * t + 1); barrier(CLK_LOCAL_MEM_FENCE); "
                "uint r, at = (uint)(ulong)(x + 8 * (t & 7)); "
                "asm volatile(\"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];\" : \"=r\"(r) : \"r\"(at) : "
                "\"memory\"); good = r == ((uint)(2 * t) | (uint)(2 * t + 1) << 16);" END},
    {"cp-async", "asynchronous copies (PTX cp.async)", NVIDIA, 32, "",
     "__kernel __attribute__((reqd_work_group_size(32,1,1))) void fovea_probe(__global int *out) { "
     "const int t = (int)get_local_id(0), g = (int)get_global_id(0); "
     "__local int x[128] __attribute__((aligned(16))); uint at = (uint)(ulong)(x + 4 * t); "
     "ulong from = (ulong)(out + ((g / 32 * 32) & ~3)); x[4 * t] = 77; barrier(CLK_LOCAL_MEM_FENCE); "
     "asm volatile(\"cp.async.ca.shared.global [%0], [%1], 16;\\n cp.async.commit_group;\\n cp.async.wait_group 0;\" "
     ":: "
     "\"r\"(at), \"l\"(from) : \"memory\"); barrier(CLK_LOCAL_MEM_FENCE); out[g] = x[4 * t] == 0; }"},
};

const fovea_cl_probe *fovea_cl_probe_at(int i) {
    return i >= 0 && i < (int)(sizeof probes / sizeof *probes) ? &probes[i] : NULL;
}
bool fovea_cl_probe_fits(const fovea_cl_probe *p, const fovea_cl_device *d) {
    return !p->vendor || d->vendor_id == p->vendor || (p->vendor == NVIDIA && strstr(d->platform_name, "NVIDIA"));
}
static fovea_status look(fovea_cl_open *d, cl_mem out, const fovea_cl_probe *p, fovea_error *err) {
    int got[GROUPS * MOST_ITEMS];
    int n = GROUPS * p->items, right = 0;
    cl_int code = d->cl->clEnqueueReadBuffer(d->queue, out, CL_TRUE, 0, (size_t)n * sizeof *got, got, 0, NULL, NULL);
    if (code != CL_SUCCESS) return fovea_cl_fail(&d->device, code, err, "reading the answer of a probe");
    for (int i = 0; i < n; i++) right += got[i] == 1;
    if (right == n) return FOVEA_OK;
    return fovea_fail(err, FOVEA_E_DEVICE, "%d of %d items saw a wrong answer", n - right, n);
}
fovea_status fovea_cl_probe_run(const fovea_cl_probe *p, const fovea_cl_device *device, fovea_error *err) {
    static const int zeros[GROUPS * MOST_ITEMS];
    fovea_cl_open *d;
    fovea_device_code c = {.entry = "fovea_probe", .source = p->source, .groups = GROUPS, .items = p->items};
    cl_kernel kernel = NULL;
    cl_int code = CL_SUCCESS;
    size_t local = (size_t)p->items, global = local * GROUPS;
    fovea_status status = fovea_cl_device_open(device, NULL, p->options, &d, err);
    if (status != FOVEA_OK) return status;
    cl_mem out = d->cl->clCreateBuffer(d->context, CL_MEM_READ_WRITE, sizeof zeros, NULL, &code);
    if (code == CL_SUCCESS)
        code = d->cl->clEnqueueWriteBuffer(d->queue, out, CL_TRUE, 0, sizeof zeros, zeros, 0, NULL, NULL);
    if (code != CL_SUCCESS) status = fovea_cl_fail(device, code, err, "using memory");
    if (status == FOVEA_OK) status = fovea_cl_kernel_any(d, &c, p->name, &kernel, err);
    if (status == FOVEA_OK) {
        code = d->cl->clSetKernelArg(kernel, 0, sizeof out, &out);
        if (code == CL_SUCCESS)
            code = d->cl->clEnqueueNDRangeKernel(d->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL);
        if (code == CL_SUCCESS) code = d->cl->clFinish(d->queue);
        status = code == CL_SUCCESS ? look(d, out, p, err) : fovea_cl_fail(device, code, err, "running it");
    }
    if (kernel) d->cl->clReleaseKernel(kernel);
    if (out) d->cl->clReleaseMemObject(out);
    fovea_cl_device_close(d);
    return status;
}
void fovea_cl_probe_key(const fovea_cl_probe *p, const fovea_cl_device *d, char *out, size_t cap) {
    const char *part[] = {p->source, p->options, d->name, d->driver, d->version, d->platform_name, d->platform_version};
    uint64_t h = FOVEA_CL_HASH_SEED;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) h = fovea_cl_hash(part[i], strlen(part[i]) + 1, h);
    snprintf(out, cap, "cl-probe-%s-%016" PRIx64, p->name, h);
}
