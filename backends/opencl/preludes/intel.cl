/* intel: cl_intel_subgroup_matrix_multiply_accumulate, sub-groups of 16. An item holds one column of C, one k of all
 * rows of A, and pairs of k of one column of B. Two products of 8 rows make a tile. */
#define FOV_SUB 16
#define FOV_CN 16
#define FOV_NR 16
#define FOV_ROW(lane, i) (i)
#define FOV_COL(lane, i) (lane)
#define FOV_SLOT(i) (i)
#define FOV_SLOT_ROW(lane, s) (s)
#define FOV_BOUNCE 8

#ifdef FOV_SIMULATED
typedef struct { float e[16]; } fov_c;
typedef struct { ushort e[16]; } fov_a;
typedef struct { ushort e[16]; } fov_b;
#else
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
typedef union { float8 v[2]; float e[16]; } fov_c;
typedef union { short8 v[2]; ushort e[16]; } fov_a;
typedef union { int8 v; ushort e[16]; } fov_b;
#ifdef FOV_DECLARE
float8 __attribute__((overloadable)) intel_sub_group_f16_f16_matrix_mad_k16(short8 a, int8 b, float8 c);
float8 __attribute__((overloadable)) intel_sub_group_bf16_bf16_matrix_mad_k16(short8 a, int8 b, float8 c);
float __attribute__((overloadable)) intel_sub_group_shuffle_xor(float x, uint mask);
#endif
#define FOV_AS_UINT(x) __builtin_astype((x), uint)
inline ushort fov_intel_half(float x) { return __builtin_astype((half)x, ushort); }
inline void fov_intel_mma(fov_c *c, fov_a a, fov_b b) {
    for (int i = 0; i < 2; i++)
#if FOV_BF16
        c->v[i] = intel_sub_group_bf16_bf16_matrix_mad_k16(a.v[i], b.v, c->v[i]);
#else
        c->v[i] = intel_sub_group_f16_f16_matrix_mad_k16(a.v[i], b.v, c->v[i]);
#endif
}
inline float fov_intel_xor(float x, uint mask) { return intel_sub_group_shuffle_xor(x, mask); }
inline float fov_ex2(float x) { return native_exp2(x); }
#define FOV_KERNEL __attribute__((intel_reqd_sub_group_size(16)))
#endif

inline ushort fov_to16(float x) {
#if FOV_BF16
    uint u = FOV_AS_UINT(x);
    return (ushort)(x != x ? u >> 16 | 64u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
#else
    return fov_intel_half(x);
#endif
}
inline void fov_czero(fov_c *c) {
    for (int i = 0; i < FOV_CN; i++) c->e[i] = 0.0f;
}
inline fov_a fov_lda(__local const ushort *p, int ld, int lane) {
    fov_a a;
    for (int m = 0; m < 16; m++) a.e[m] = p[m * ld + lane];
    return a;
}
inline fov_b fov_ldb(__local const ushort *p, int ld, int lane) {
    fov_b b;
    for (int k = 0; k < 16; k++) b.e[k] = p[k * ld + lane];
    return b;
}
inline fov_b fov_ldbt(__local const ushort *p, int ld, int lane) {
    fov_b b;
    for (int k = 0; k < 16; k++) b.e[k] = p[lane * ld + k];
    return b;
}
inline void fov_mma(fov_c *c, fov_a a, fov_b b) { fov_intel_mma(c, a, b); }
/* A column of C is a k of A. */
inline fov_a fov_c2a(fov_c c, __local ushort *bounce, int lane) {
    fov_a a;
    for (int m = 0; m < 16; m++) a.e[m] = fov_to16(c.e[m]);
    return a;
}
inline float fov_row_max(float x, int lane) {
    for (int m = 1; m < 16; m *= 2) {
        float y = fov_intel_xor(x, (uint)m);
        x = x > y || x != x ? x : y;
    }
    return x;
}
inline float fov_row_sum(float x, int lane) {
    for (int m = 1; m < 16; m *= 2) x += fov_intel_xor(x, (uint)m);
    return x;
}
