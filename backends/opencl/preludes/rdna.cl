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
inline void fov_amd_mma(fov_c *c, fov_a a, fov_a b) {
#if FOV_BF16
    c->v = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(a.s, b.s, c->v);
#else
    c->v = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a.h, b.h, c->v);
#endif
}
#endif
