/* How the reference's answers move with its leaves: see check_judge.h. Invariant: an excuse needs both, a condition
 * that amplifies one rounding of the leaves to more than 4 eps max|want|, and an error that this amplification explains
 * along the whole path. */
#include "cli/check_judge.h"
#include "backends/reference/reference.h"
#include "cli/live.h"
#include "runtime/selftest.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    fv_ctx *ctx;
    cli_session *s;
    double by;
} source;
/* Signs are bits of splitmix64 of the element's number; zeros stay. */
static double sign_of(uint64_t i) {
    uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z >> 63) ? 1 : -1;
}
static bool moved_leaf(void *user, const fv_node *leaf, double *out, int64_t count) {
    const source *u = user;
    bool real = fv_type_is_float(leaf->result[0]->obj.type);
    fovea_dtype t = cli_leaf_dtype(leaf);
    int64_t n;
    const void *data = cli_leaf(u->ctx, u->s, leaf, t, &n);
    for (int64_t i = 0; data && i < count && i < n; i++)
        out[i] = real ? fovea_element(data, t, i) * (1 + u->by * sign_of((uint64_t)leaf->id << 40 ^ (uint64_t)i))
                      : (double)((const int32_t *)data)[i];
    return data != NULL;
}
static void progress(int done, int total, void *user) {
    (void)user;
    cli_progress("how far the reference moves: node %d of %d", done, total);
}
bool cli_judge_run(fv_ctx *ctx, cli_session *s, cli_judge *out) {
    fv_graph *g = s->spec.graph;
    double **up = FV_NEWN(ctx, double *, g->n_outputs + 1), **down = FV_NEWN(ctx, double *, g->n_outputs + 1);
    double by = s->storage == FV_BF16 ? 0x1p-9 : s->storage == FV_F16 ? 0x1p-12 : 0x1p-24;
    source a = {ctx, s, by}, b = {ctx, s, -by};
    *out = (cli_judge){.moved = FV_NEWN(ctx, double, g->n_outputs + 1)};
    bool fine = fv_reference_run_most(g, moved_leaf, &a, up, &out->most, progress, NULL) &&
                fv_reference_run_most(g, moved_leaf, &b, down, &out->most, progress, NULL);
    for (int o = 0; o < g->n_outputs; o++) {
        for (int64_t i = 0; fine && i < fv_value_count(g->output[o].value); i++) {
            double d = fabs(up[o][i] - down[o][i]) / 2;
            out->moved[o] = isnan(d) ? INFINITY : fmax(out->moved[o], d);
        }
        free(up[o]);
        free(down[o]);
    }
    return fine;
}
const char *cli_judge_excuse(fv_ctx *ctx, const cli_judge *j, int output, const cli_bound *b, fv_type storage,
                             double error, double tolerance) {
    if (j->most > CLI_F32_TRUSTED) return fv_printf(ctx, "values reach %.3g, beyond what f32 is trusted with", j->most);
    double moved = j->moved[output];
    bool sixteen = storage == FV_BF16 || storage == FV_F16; /* its tolerance does not grow with the path */
    double path = sixteen ? 4 : b->length;
    if (moved <= tolerance / path || !(error <= 4 * path * moved)) return NULL;
    return fv_printf(ctx, "one rounding of every input moves the answer by %.3g: an error of %.3g says nothing", moved,
                     error);
}
