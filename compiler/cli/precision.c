/* Which 16-bit storage a model bears: see precision.h. */
#include "cli/precision.h"
#include "cli/live.h"
#include "runtime/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The float outputs of a run, in order. */
typedef struct {
    int n;
    int64_t count[CLI_MAX_OUTPUTS];
    double *value[CLI_MAX_OUTPUTS];
} answer;
static void dispose(answer *a) {
    for (int i = 0; i < a->n; i++) free(a->value[i]);
    a->n = 0;
}
static bool is_float(fovea_dtype t) { return t == FOVEA_F32 || t == FOVEA_F64 || t == FOVEA_F16 || t == FOVEA_BF16; }
static bool keep(fv_ctx *ctx, const cli_live *l, answer *out) {
    for (int i = 0; i < l->n_out; i++) {
        const fovea_array *x = l->output[i];
        if (!is_float(x->dtype)) continue;
        int64_t n = x->bytes / fovea_dtype_size(x->dtype);
        double *v = malloc((size_t)n * sizeof *v + 1);
        if (!v) {
            fv_error(ctx, FV_E_RUN, (fv_loc){0}, "not enough memory to compare the output %s", x->name);
            return false;
        }
        for (int64_t j = 0; j < n; j++) v[j] = fovea_element(l->out[i].data, x->dtype, j);
        out->count[out->n] = n;
        out->value[out->n++] = v;
    }
    return true;
}
static bool answer_with(fv_ctx *ctx, cli_session *s, fv_driver_options o, fv_type storage, answer *out) {
    cli_live *l = FV_NEW(ctx, cli_live);
    o.storage = storage;
    bool fine = cli_live_open(ctx, s, &o, &(fovea_options){0}, false, l) && cli_live_run(ctx, l) && keep(ctx, l, out);
    cli_live_close(l);
    return fine;
}
static double distance(const answer *got, const answer *want) {
    double worst = 0;
    for (int i = 0; i < want->n; i++) {
        double most = 0, error = 0;
        for (int64_t j = 0; j < want->count[i]; j++) {
            double w = want->value[i][j], g = got->value[i][j], d = fabs(g - w);
            if (isnan(w) || g == w) d = 0;
            else if (!(d <= HUGE_VAL)) d = HUGE_VAL; /* a NaN of its own */
            if (isfinite(w)) most = fmax(most, fabs(w));
            error = fmax(error, d);
        }
        worst = fmax(worst, error == 0 ? 0 : error / most);
    }
    return worst;
}
static bool bound_of(fv_ctx *ctx, const cli_args *a, double *out) {
    const char *text = cli_value(a, "dtype-error");
    char *end = NULL;
    *out = 0.01;
    if (!text) return true;
    if (!strcmp(text, "none")) *out = HUGE_VAL;
    else if (*out = strtod(text, &end), !*text || *end || !(*out > 0 && *out <= 1)) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--dtype-error takes a number above 0, up to 1, or none; not '%s'",
                 text);
        return false;
    }
    return true;
}

/* What was asked, what it would have cost, and what is done in its place. */
static void say_instead(const fv_type *order, const double *error, int chosen, double bound) {
    char f16[64] = "";
    if (order[0] != FV_F16) snprintf(f16, sizeof f16, chosen == 1 ? " (error %.2g)" : " (f16: error %.2g)", error[1]);
    cli_say("%s: error %.2g of the largest output, above %.2g; %s in its place%s", fv_type_name(order[0]), error[0],
            bound, fv_type_name(order[chosen]), f16);
}
bool cli_precision_choose(fv_ctx *ctx, const cli_args *a, cli_session *s, const fv_driver_options *options,
                          cli_precision *out) {
    double bound;
    *out = (cli_precision){0};
    if (!bound_of(ctx, a, &bound)) return false;
    if (s->storage == FV_F32 || isinf(bound)) return true;
    answer *want = FV_NEW(ctx, answer), *got = FV_NEW(ctx, answer);
    bool fine = answer_with(ctx, s, *options, FV_F32, want);
    const fv_type asked = s->storage, order[] = {asked, FV_F16, FV_F32};
    double error[3] = {0};
    int chosen = -1;
    for (int i = 0; fine && chosen < 0; i++) {
        if (i == 1 && asked == FV_F16) continue;
        if (order[i] != FV_F32) {
            fine = answer_with(ctx, s, *options, order[i], got);
            if (fine) error[i] = distance(got, want);
            dispose(got);
        }
        if (fine && error[i] <= bound) chosen = i;
    }
    dispose(want);
    cli_progress_done();
    if (!fine) return false;
    *out = (cli_precision){.measured = true, .error = error[chosen]};
    s->storage = order[chosen];
    if (chosen) say_instead(order, error, chosen, bound);
    return true;
}
