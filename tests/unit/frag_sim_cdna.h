/* v_mfma_f32_16x16x16, 64 items: item i has four k, from 4 (i / 16), of row (A) or column (B) i % 16, and of C rows 4
 * (i / 16) to 4 (i / 16) + 3 of column i % 16. */
static ushort fov_amd_half(float x) { return sim_half(x); }
static float fov_amd_lane(float x, int lane) { return sim_lane(x, lane); }
static void sim_fence(int first, int n) { (void)first, (void)n; }
static void fov_amd_fence(void) { sim_all(sim_fence); }
static void sim_mma(int first, int n) {
    static float a[16][16], b[16][16];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 4; j++) {
            int k = i / 16 * 4 + j;
            a[i % 16][k] = sim_float(((const ushort *)sim[first + i].in[0])[j]);
            b[k][i % 16] = sim_float(((const ushort *)sim[first + i].in[1])[j]);
        }
    for (int i = 0; i < n; i++)
        for (int e = 0; e < 4; e++)
            for (int k = 0; k < 16; k++) ((float *)sim[first + i].out)[e] += a[i / 16 * 4 + e][k] * b[k][i % 16];
}
#define fov_amd_mma(c, a, b)                                                                                           \
    (sim[sim_now].in[0] = (a).e, sim[sim_now].in[1] = (b).e, sim[sim_now].out = (c)->e, sim_all(sim_mma))
#include "backends/opencl/preludes/cdna.cl"
