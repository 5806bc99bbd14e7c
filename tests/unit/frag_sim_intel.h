/* matrix_mad k16, 16 items: item i has k = i of 8 rows of A, pairs of k of column i of B, and column i of C. */
static ushort fov_intel_half(float x) { return sim_half(x); }
static float fov_intel_xor(float x, uint mask) { return sim_lane(x, sim_now % 16 ^ (int)mask); }
static void sim_mad(int first, int n) {
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < n; i++)
            for (int m = half * 8; m < half * 8 + 8; m++)
                for (int k = 0; k < 16; k++)
                    ((float *)sim[first + i].out)[m] += sim_float(((const ushort *)sim[first + k].in[0])[m]) *
                                                        sim_float(((const ushort *)sim[first + i].in[1])[k]);
}
#define fov_intel_mma(c, a, b)                                                                                         \
    (sim[sim_now].in[0] = (a).e, sim[sim_now].in[1] = (b).e, sim[sim_now].out = (c)->e, sim_all(sim_mad))
#include "backends/opencl/preludes/intel.cl"
