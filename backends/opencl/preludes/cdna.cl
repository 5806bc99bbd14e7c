/* cdna: mfma 16x16x16, sub-groups of 64. Of A and B an item holds four k of one row or column. */
#ifndef FOV_SIMULATED
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#endif
#define FOV_SUB 64
#define FOV_CN 4
#define FOV_NR 4
#define FOV_ROW(lane, i) ((lane) / 16 * 4 + (i))
#define FOV_COL(lane, i) ((lane) % 16)
#define FOV_SLOT(i) (i)
#define FOV_SLOT_ROW(lane, s) ((lane) / 16 * 4 + (s))
#define FOV_BOUNCE 384
#define FOV_AMD_K 4
#define FOV_AMD_FIRST(lane) ((lane) / 16 * 4)

#ifdef FOV_SIMULATED
typedef struct { float e[4]; } fov_c;
typedef struct { ushort e[4]; } fov_a;
#else
typedef union { float4 v; float e[4]; } fov_c;
typedef union { half4 h; short4 s; ushort e[4]; } fov_a;
inline void fov_amd_mma(fov_c *c, fov_a a, fov_a b) {
#if FOV_BF16
    c->v = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(a.s, b.s, c->v, 0, 0, 0);
#else
    c->v = __builtin_amdgcn_mfma_f32_16x16x16f16(a.h, b.h, c->v, 0, 0, 0);
#endif
}
#endif
