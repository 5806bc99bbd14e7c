/* What cdna.cl and rdna.cl share; it goes behind either. A row of C lies in 16 neighbouring items; of A and B an item
 * holds FOV_AMD_K neighbouring k, from FOV_AMD_FIRST(lane), of one row or column. */
#ifndef FOV_SIMULATED
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
        x = x > y || x != x ? x : y;
    }
    return x;
}
inline float fov_row_sum(float x, int lane) {
    for (int m = 1; m < 16; m *= 2) x += fov_amd_lane(x, lane ^ m);
    return x;
}
