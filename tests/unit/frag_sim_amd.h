/* What the simulators of both AMD units share; sim_mma is the unit. */
static ushort fov_amd_half(float x) { return sim_half(x); }
static float fov_amd_lane(float x, int lane) { return sim_lane(x, lane); }
static void sim_fence(int first, int n) { (void)first, (void)n; }
static void fov_amd_fence(void) { sim_all(sim_fence); }
static void sim_mma(int first, int n);
#define fov_amd_mma(c, a, b)                                                                                           \
    (sim[sim_now].in[0] = (a).e, sim[sim_now].in[1] = (b).e, sim[sim_now].out = (c)->e, sim_all(sim_mma))
