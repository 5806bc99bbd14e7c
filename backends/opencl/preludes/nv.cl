/* nv: mma.sync m16n8k16, ldmatrix and cp.async as inline PTX. Two products of 8 columns make a tile. */
#define FOV_SUB 32
#define FOV_CN 8
#define FOV_NR 2
#define FOV_ROW(lane, i) ((lane) / 4 + 8 * ((i) / 2 % 2))
#define FOV_COL(lane, i) ((lane) % 4 * 2 + (i) % 2 + 8 * ((i) / 4))
#define FOV_SLOT(i) ((i) / 2 % 2)
#define FOV_SLOT_ROW(lane, s) ((lane) / 4 + 8 * (s))
#define FOV_BOUNCE 8

typedef struct { float e[8]; } fov_c;
typedef struct { uint r[4]; } fov_a;
typedef struct { uint r[4]; } fov_b;

#ifndef FOV_SIMULATED
#ifndef FOV_ASM
#define FOV_ASM asm
#endif
#if FOV_BF16
#define FOV_NV_TYPE "bf16"
#else
#define FOV_NV_TYPE "f16"
#endif
inline void fov_nv_ldmatrix(uint *r, __local const ushort *p) {
    FOV_ASM volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"((uint)(size_t)p) : "memory");
}
inline void fov_nv_ldmatrix_t(uint *r, __local const ushort *p) {
    FOV_ASM volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"((uint)(size_t)p) : "memory");
}
inline void fov_nv_mma(float *c, const uint *a, uint b0, uint b1) {
    FOV_ASM volatile("mma.sync.aligned.m16n8k16.row.col.f32." FOV_NV_TYPE "." FOV_NV_TYPE
                     ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1) : "memory");
}
inline uint fov_nv_pack(float lo, float hi) {
    uint r;
    FOV_ASM("cvt.rn." FOV_NV_TYPE "x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
}
inline float fov_nv_xor(float x, int mask) {
    float r;
    FOV_ASM volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=f"(r) : "f"(x), "r"(mask) : "memory");
    return r;
}
#define FOV_ASYNC
inline void fov_cp16(__local ushort *to, __global const ushort *from) {
    FOV_ASM volatile("cp.async.cg.shared.global [%0], [%1], 16;" : : "r"((uint)(size_t)to), "l"(from) : "memory");
}
inline void fov_cp_wait(void) { FOV_ASM volatile("cp.async.wait_all;" : : : "memory"); }
inline float fov_ex2(float x) {
    float r;
    FOV_ASM("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
#endif

inline ushort fov_to16(float x) { return (ushort)fov_nv_pack(x, 0.0f); }
inline void fov_czero(fov_c *c) {
    for (int i = 0; i < FOV_CN; i++) c->e[i] = 0.0f;
}
/* Four 8 x 8 matrices, one per quarter of the sub-group: of A rows vary first, of B columns last. */
inline fov_a fov_lda(__local const ushort *p, int ld, int lane) {
    fov_a a;
    fov_nv_ldmatrix(a.r, p + lane % 16 * ld + lane / 16 * 8);
    return a;
}
inline fov_b fov_ldb(__local const ushort *p, int ld, int lane) {
    fov_b b;
    fov_nv_ldmatrix_t(b.r, p + lane % 16 * ld + lane / 16 * 8);
    return b;
}
inline fov_b fov_ldbt(__local const ushort *p, int ld, int lane) {
    fov_b b;
    fov_nv_ldmatrix(b.r, p + (lane % 8 + lane / 16 * 8) * ld + lane / 8 % 2 * 8);
    return b;
}
inline void fov_mma(fov_c *c, fov_a a, fov_b b) {
    fov_nv_mma(c->e, a.r, b.r[0], b.r[1]);
    fov_nv_mma(c->e + 4, a.r, b.r[2], b.r[3]);
}
/* An item's pairs of C are its pairs of A. */
inline fov_a fov_c2a(fov_c c, __local ushort *bounce, int lane) {
    fov_a a;
    for (int i = 0; i < 4; i++) a.r[i] = fov_nv_pack(c.e[2 * i], c.e[2 * i + 1]);
    return a;
}
inline float fov_row_max(float x, int lane) {
    for (int m = 1; m < 4; m *= 2) {
        float y = fov_nv_xor(x, m);
        x = x > y || x != x ? x : y;
    }
    return x;
}
inline float fov_row_sum(float x, int lane) {
    for (int m = 1; m < 4; m *= 2) x += fov_nv_xor(x, m);
    return x;
}
