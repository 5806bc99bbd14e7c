/* v_mfma_f32_16x16x16, 64 items: item i has four k, from 4 (i / 16), of row (A) or column (B) i % 16, and of C rows 4
 * (i / 16) to 4 (i / 16) + 3 of column i % 16. */
#include "frag_sim_amd.h"
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
#include "backends/opencl/preludes/cdna.cl"
#include "backends/opencl/preludes/amd.cl"
