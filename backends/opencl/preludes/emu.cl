/* emu: no matrix unit. Of four items each holds four rows of A and C and all of B, so that nothing passes between
 * items: a barrier that a kernel lacks stays visible. */
#define FOV_SUB 4
#define FOV_CN 64
#define FOV_NR 4
#define FOV_ROW(lane, i) ((lane) * 4 + (i) / 16)
#define FOV_COL(lane, i) ((i) % 16)
#define FOV_SLOT(i) ((i) / 16)
#define FOV_SLOT_ROW(lane, s) ((lane) * 4 + (s))
#define FOV_BOUNCE 8

typedef struct { float e[64]; } fov_c;
typedef struct { float e[64]; } fov_a;
typedef struct { float e[256]; } fov_b;

inline ushort fov_to16(float x) {
#if FOV_BF16
    uint u = as_uint(x);
    return (ushort)(x != x ? u >> 16 | 64u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
#else
    ushort r;
    vstore_half_rte(x, 0, (half *)&r);
    return r;
#endif
}
inline float fov_emu_float(ushort x) {
#if FOV_BF16
    return as_float((uint)x << 16);
#else
    return vload_half(0, (const half *)&x);
#endif
}
inline float fov_ex2(float x) { return exp2(x); }
inline void fov_czero(fov_c *c) {
    for (int i = 0; i < FOV_CN; i++) c->e[i] = 0.0f;
}
inline fov_a fov_lda(__local const ushort *p, int ld, int lane) {
    fov_a a;
    for (int i = 0; i < 64; i++) a.e[i] = fov_emu_float(p[(lane * 4 + i / 16) * ld + i % 16]);
    return a;
}
inline fov_b fov_ldb(__local const ushort *p, int ld, int lane) {
    fov_b b;
    for (int i = 0; i < 256; i++) b.e[i] = fov_emu_float(p[i / 16 * ld + i % 16]);
    return b;
}
inline fov_b fov_ldbt(__local const ushort *p, int ld, int lane) {
    fov_b b;
    for (int i = 0; i < 256; i++) b.e[i] = fov_emu_float(p[i % 16 * ld + i / 16]);
    return b;
}
inline void fov_mma(fov_c *c, fov_a a, fov_b b) {
    for (int r = 0; r < 4; r++)
        for (int k = 0; k < 16; k++)
            for (int n = 0; n < 16; n++) c->e[r * 16 + n] += a.e[r * 16 + k] * b.e[k * 16 + n];
}
inline fov_a fov_c2a(fov_c c, __local ushort *bounce, int lane) {
    fov_a a;
    for (int i = 0; i < 64; i++) a.e[i] = fov_emu_float(fov_to16(c.e[i]));
    return a;
}
inline float fov_row_max(float x, int lane) { return x; }
inline float fov_row_sum(float x, int lane) { return x; }
