/* OpenCL C's own types and functions for compiling kernels without an OpenCL implementation: what
 * tests/gates/compile.sh puts before a text for NVIDIA and AMD. Bodies of exp, erf and the like stand in for the
 * vendor's: registers, memory and acceptance by the assembler are judged here, never numbers. */
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef __SIZE_TYPE__ size_t;
#define FV_VECTORS_OF(t) \
    typedef t t##2 __attribute__((ext_vector_type(2))); \
    typedef t t##4 __attribute__((ext_vector_type(4))); \
    typedef t t##8 __attribute__((ext_vector_type(8))); \
    typedef t t##16 __attribute__((ext_vector_type(16)));
FV_VECTORS_OF(uchar)
FV_VECTORS_OF(ushort)
FV_VECTORS_OF(short)
FV_VECTORS_OF(int)
FV_VECTORS_OF(uint)
FV_VECTORS_OF(ulong)
FV_VECTORS_OF(float)
#define NAN __builtin_nanf("")
#define INFINITY __builtin_inff()
#define CLK_LOCAL_MEM_FENCE 1
#define CLK_GLOBAL_MEM_FENCE 2
#define as_float(x) __builtin_astype((x), float)
#define as_int(x) __builtin_astype((x), int)
#define as_uint(x) __builtin_astype((x), uint)
#define as_uint2(x) __builtin_astype((x), uint2)
#define as_uint4(x) __builtin_astype((x), uint4)
#define as_float4(x) __builtin_astype((x), float4)
#define FOV_ASM __asm__ /* for the preludes of matrix units */
#define FV_F static inline __attribute__((overloadable, always_inline))

#if defined(__NVPTX__)
FV_F size_t get_group_id(uint d) {
    return d == 0   ? __nvvm_read_ptx_sreg_ctaid_x()
           : d == 1 ? __nvvm_read_ptx_sreg_ctaid_y()
                    : __nvvm_read_ptx_sreg_ctaid_z();
}
FV_F size_t get_local_id(uint d) {
    return d == 0 ? __nvvm_read_ptx_sreg_tid_x() : d == 1 ? __nvvm_read_ptx_sreg_tid_y() : __nvvm_read_ptx_sreg_tid_z();
}
FV_F void barrier(uint flags) { __syncthreads(); }
FV_F float exp2(float x) { return __nvvm_ex2_approx_f(x); }
FV_F float log2(float x) { return __nvvm_lg2_approx_f(x); }
FV_F float sin(float x) { return __nvvm_sin_approx_f(x); }
FV_F float cos(float x) { return __nvvm_cos_approx_f(x); }
#elif defined(__AMDGCN__)
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
FV_VECTORS_OF(half)
FV_F size_t get_group_id(uint d) {
    return d == 0   ? __builtin_amdgcn_workgroup_id_x()
           : d == 1 ? __builtin_amdgcn_workgroup_id_y()
                    : __builtin_amdgcn_workgroup_id_z();
}
FV_F size_t get_local_id(uint d) {
    return d == 0   ? __builtin_amdgcn_workitem_id_x()
           : d == 1 ? __builtin_amdgcn_workitem_id_y()
                    : __builtin_amdgcn_workitem_id_z();
}
FV_F void barrier(uint flags) {
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
    __builtin_amdgcn_s_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
FV_F float exp2(float x) { return __builtin_amdgcn_exp2f(x); }
FV_F float log2(float x) { return __builtin_amdgcn_logf(x); }
FV_F float sin(float x) { return __builtin_amdgcn_sinf(x); }
FV_F float cos(float x) { return __builtin_amdgcn_cosf(x); }
#else
#error the other targets have OpenCL's own header
#endif
FV_F float native_exp2(float x) { return exp2(x); }
FV_F float exp(float x) { return exp2(x * 1.44269504f); }
FV_F float log(float x) { return log2(x) * 0.69314718f; }
FV_F float pow(float x, float y) { return exp2(log2(x) * y); }
FV_F float tanh(float x) { return 1.0f - 2.0f / (exp(2.0f * x) + 1.0f); }
FV_F float erf(float x) { return tanh(x * (1.1283792f + 0.1009109f * x * x)); }
FV_F float sqrt(float x) { return __builtin_sqrtf(x); }
FV_F float rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); }
FV_F float fabs(float x) { return __builtin_fabsf(x); }
FV_F float floor(float x) { return __builtin_floorf(x); }
FV_F float rint(float x) { return __builtin_rintf(x); }
FV_F float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
FV_F float mad(float a, float b, float c) { return a * b + c; }
FV_F float fmax(float a, float b) { return __builtin_fmaxf(a, b); }
FV_F float fmin(float a, float b) { return __builtin_fminf(a, b); }
FV_F float max(float a, float b) { return a < b ? b : a; }
FV_F float min(float a, float b) { return b < a ? b : a; }
FV_F int max(int a, int b) { return a < b ? b : a; }
FV_F int min(int a, int b) { return b < a ? b : a; }
FV_F float clamp(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
FV_F int isnan(float x) { return x != x; }
FV_F int convert_int_sat(float x) {
    return x >= 2147483648.0f ? 2147483647 : x <= -2147483648.0f ? -2147483647 - 1 : (int)x;
}
FV_F int convert_int_sat_rtz(float x) { return convert_int_sat(x); }
FV_F float convert_float(int x) { return (float)x; }
FV_F float ldexp(float x, int n) {
    int h = n / 2;
    return x * as_float((h + 127) << 23) * as_float((n - h + 127) << 23);
}
#ifdef __AMDGCN__
FV_F float vload_half(size_t i, const __private half *p) { return (float)p[i]; }
FV_F void vstore_half_rte(float x, size_t i, __private half *p) { p[i] = (half)x; }
#else
FV_F float vload_half(size_t i, const __private half *p) { return __builtin_load_halff(p + i); }
FV_F void vstore_half_rte(float x, size_t i, __private half *p) { __builtin_store_halff(x, p + i); }
#endif
