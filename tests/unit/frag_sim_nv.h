/* mma.sync m16n8k16, ldmatrix.x4 and shfl.bfly as the PTX manual lays them out: in groups of four, item 4 g + t. */
static void sim_load_rows(int first, bool transposed) {
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 4; j++) { /* matrix j: rows at the addresses of items 8 j .. 8 j + 7 */
            ushort pair[2];
            for (int e = 0; e < 2; e++) {
                int row = i / 4, col = i % 4 * 2 + e;
                const ushort *p = sim[first + 8 * j + (transposed ? col : row)].in[0];
                if ((uintptr_t)p % 16) sim_fault = "ldmatrix from an address that is no multiple of 16";
                pair[e] = p[transposed ? row : col];
            }
            ((uint *)sim[first + i].out)[j] = pair[0] | (uint)pair[1] << 16;
        }
}
static void sim_ldmatrix(int first, int n) { (void)n, sim_load_rows(first, false); }
static void sim_ldmatrix_t(int first, int n) { (void)n, sim_load_rows(first, true); }
static void fov_nv_ldmatrix(uint *r, const ushort *p) {
    sim[sim_now].in[0] = p;
    sim[sim_now].out = r;
    sim_all(sim_ldmatrix);
}
static void fov_nv_ldmatrix_t(uint *r, const ushort *p) {
    sim[sim_now].in[0] = p;
    sim[sim_now].out = r;
    sim_all(sim_ldmatrix_t);
}
static float sim_pair(uint pair, int e) { return sim_float((ushort)(pair >> 16 * e)); }
static void sim_mma(int first, int n) {
    static float a[16][16], b[16][8];
    (void)n;
    for (int i = 0; i < 32; i++) {
        const uint *ra = sim[first + i].in[0], *rb = sim[first + i].in[1];
        int g = i / 4, t = i % 4;
        for (int e = 0; e < 8; e++) a[g + (e / 2 % 2) * 8][t * 2 + e % 2 + e / 4 * 8] = sim_pair(ra[e / 2], e % 2);
        for (int e = 0; e < 4; e++) b[t * 2 + e % 2 + e / 2 * 8][g] = sim_pair(rb[e / 2], e % 2);
    }
    for (int i = 0; i < 32; i++)
        for (int e = 0; e < 4; e++) {
            float *c = (float *)sim[first + i].out + e;
            for (int k = 0; k < 16; k++) *c += a[i / 4 + e / 2 * 8][k] * b[k][i % 4 * 2 + e % 2];
        }
}
static void fov_nv_mma(float *c, const uint *a, uint b0, uint b1) {
    uint b[2] = {b0, b1};
    sim[sim_now].in[0] = a;
    sim[sim_now].in[1] = b;
    sim[sim_now].out = c;
    sim_all(sim_mma);
}
static uint fov_nv_pack(float lo, float hi) { return sim_to16(lo) | (uint)sim_to16(hi) << 16; }
static float fov_nv_xor(float x, int mask) { return sim_lane(x, sim_now % 32 ^ mask); }
#include "backends/opencl/preludes/nv.cl"
