/* frag_sim_run: includes attention.cl behind the prelude of the including file and runs the cases. */
#include "backends/opencl/preludes/attention.cl"
#undef inline

static const float *sim_q, *sim_k, *sim_v;
static float *sim_o, sim_scale;
static frag_case sim_case;
static void sim_kernel(void) {
    fov_attention(sim_q, sim_k, sim_v, sim_o, sim_case.n_q, sim_case.n_k, sim_scale, sim_case.causal);
}
Test(SIM_SUITE, attention, .timeout = 120) {
    double worst = 0;
    sim_body = sim_kernel;
    sim_scale = 0.25f;
    for (int i = 0; i < FRAG_CASES; i++) {
        sim_case = frag_cases[i];
        int64_t n_q = (int64_t)sim_case.heads * sim_case.n_q * FOV_D,
                n_k = (int64_t)sim_case.heads * sim_case.n_k * FOV_D;
        float *q = frag_fill(n_q, 1), *k = frag_fill(n_k, 2), *v = frag_fill(n_k, 3), *o = frag_fill(n_q, 4);
        sim_q = q, sim_k = k, sim_v = v, sim_o = o;
        int groups = sim_case.heads * ((sim_case.n_q + FOV_TILE_ROWS - 1) / FOV_TILE_ROWS);
        for (sim_group = 0; sim_group < groups && !sim_fault; sim_group++) sim_run_group(FOV_GROUP_ITEMS, FOV_SUB);
        cr_assert(!sim_fault, "case %d: %s", i, sim_fault);
        double e = frag_difference(&sim_case, FOV_D, sim_scale, q, k, v, o);
        if (!(e <= worst)) worst = e;
        cr_expect(e <= frag_tolerance(SIM_BF16), "case %d: difference %.3g", i, e);
        free(q), free(k), free(v), free(o);
    }
    cr_log_info("greatest difference %.2g", worst);
}
/* Every element of a tile has one owner, and every slot is the row that its elements say. */
Test(SIM_SUITE, owners) {
    static int owners[16][16];
    for (int lane = 0; lane < FOV_SUB; lane++)
        for (int i = 0; i < FOV_CN; i++) {
            owners[FOV_ROW(lane, i)][FOV_COL(lane, i)]++;
            cr_expect(FOV_SLOT_ROW(lane, FOV_SLOT(i)) == FOV_ROW(lane, i), "lane %d element %d", lane, i);
        }
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 16; c++) cr_expect(owners[r][c] == 1, "%d owners of %d, %d", owners[r][c], r, c);
}
/* The compiler's facts of the unit (fv_units) are those of the prelude. */
#define SIM_TEXT(x) #x
#define SIM_NAME(x) SIM_TEXT(x)
Test(SIM_SUITE, facts) {
    char name[16];
    cr_assert(sscanf(SIM_NAME(SIM_SUITE), "opencl_frag_%15[a-z]", name) == 1);
    const fv_unit *u = fv_unit_find(name);
    cr_assert(u && u->sub == FOV_SUB && u->elements == FOV_CN, "%s", name);
    for (int lane = 0; lane < FOV_SUB; lane++)
        for (int i = 0; i < FOV_CN; i++)
            cr_expect(fv_unit_row(u, lane, i) == FOV_ROW(lane, i) && fv_unit_col(u, lane, i) == FOV_COL(lane, i),
                      "%s: lane %d, element %d", name, lane, i);
}
