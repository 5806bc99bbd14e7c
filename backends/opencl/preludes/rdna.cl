/* rdna: wmma 16x16x16 of gfx11, sub-groups of 32. Of A and B an item holds a whole row or column; both halves of the
 * sub-group hold the same. */
#ifndef FOV_SIMULATED
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#endif
#define FOV_SUB 32
#define FOV_CN 8
#define FOV_NR 8
#define FOV_ROW(lane, i) (2 * (i) + (lane) / 16)
#define FOV_COL(lane, i) ((lane) % 16)
#define FOV_SLOT(i) (i)
#define FOV_SLOT_ROW(lane, s) (2 * (s) + (lane) / 16)
#define FOV_BOUNCE 384
#define FOV_AMD_K 16
#define FOV_AMD_FIRST(lane) 0

#ifdef FOV_SIMULATED
typedef struct { float e[8]; } fov_c;
typedef struct { ushort e[16]; } fov_a;
#else
typedef union { float8 v; float e[8]; } fov_c;
typedef union { half16 h; short16 s; ushort e[16]; } fov_a;
#define FOV_AS_UINT(x) __builtin_astype((x), uint)
inline ushort fov_amd_half(float x) { return __builtin_astype((half)x, ushort); }
inline float fov_amd_lane(float x, int lane) {
    return __builtin_astype(__builtin_amdgcn_ds_bpermute(4 * lane, __builtin_astype(x, int)), float);
}
inline void fov_amd_fence(void) {
    __builtin_amdgcn_fence(__ATOMIC_ACQ_REL, "wavefront");
    __builtin_amdgcn_wave_barrier();
}
inline float fov_ex2(float x) { return __builtin_amdgcn_exp2f(x); }
inline void fov_amd_mma(fov_c *c, fov_a a, fov_a b) {
#if FOV_BF16
    c->v = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(a.s, b.s, c->v);
#else
    c->v = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a.h, b.h, c->v);
#endif
}
#endif
typedef fov_a fov_b;

inline ushort fov_to16(float x) {
#if FOV_BF16
    uint u = FOV_AS_UINT(x);
    return (ushort)(x != x ? u >> 16 | 64u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
#else
    return fov_amd_half(x);
#endif
}
inline void fov_czero(fov_c *c) {
    for (int i = 0; i < FOV_CN; i++) c->e[i] = 0.0f;
}
inline fov_a fov_lda(__local const ushort *p, int ld, int lane) {
    fov_a a;
    for (int j = 0; j < FOV_AMD_K; j++) a.e[j] = p[lane % 16 * ld + FOV_AMD_FIRST(lane) + j];
    return a;
}
inline fov_b fov_ldbt(__local const ushort *p, int ld, int lane) { return fov_lda(p, ld, lane); }
inline fov_b fov_ldb(__local const ushort *p, int ld, int lane) {
    fov_b b;
    for (int j = 0; j < FOV_AMD_K; j++) b.e[j] = p[(FOV_AMD_FIRST(lane) + j) * ld + lane % 16];
    return b;
}
inline void fov_mma(fov_c *c, fov_a a, fov_b b) { fov_amd_mma(c, a, b); }
inline fov_a fov_c2a(fov_c c, __local ushort *bounce, int lane) {
    fov_amd_fence();
    for (int i = 0; i < FOV_CN; i++) bounce[FOV_ROW(lane, i) * 24 + FOV_COL(lane, i)] = fov_to16(c.e[i]);
    fov_amd_fence();
    return fov_lda(bounce, 24, lane);
}
inline float fov_row_max(float x, int lane) {
    for (int m = 1; m < 16; m *= 2) {
        float y = fov_amd_lane(x, lane ^ m);
        x = x > y ? x : y;
    }
    return x;
}
inline float fov_row_sum(float x, int lane) {
    for (int m = 1; m < 16; m *= 2) x += fov_amd_lane(x, lane ^ m);
    return x;
}
