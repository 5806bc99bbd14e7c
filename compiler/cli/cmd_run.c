/* fovea run: a spec or backbone on inputs or pictures, with weights or seeded numbers. */
#include "cli/cost.h"
#include "cli/live.h"
#include "cli/picture_answer.h"
#include "cli/pictures.h"
#include "cli/tuned.h"
#include "cli/precision.h"
#include "io/npy.h"
#include "runtime/selftest.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int n;
    fovea_stored tensor[CLI_MAX_OUTPUTS];
    void *owned; /* NULL, or data of the first */
} answers;
static bool ends(const char *s, const char *tail) {
    size_t a = strlen(s), b = strlen(tail);
    return a >= b && !strcmp(s + a - b, tail);
}

/* Numbers of every output, as f64 in stored order, become answers; they are freed. */
static bool take_numbers(fv_ctx *ctx, const fv_graph *g, double **results, answers *out) {
    for (int i = 0; i < g->n_outputs; i++) {
        bool f = fv_type_is_float(g->output[i].value->obj.type);
        fovea_stored t = {.name = fv_cstr(ctx, g->output[i].name),
                          .storage = f ? FOVEA_ST_F32 : FOVEA_ST_I32,
                          .rank = g->output[i].stored.rank};
        t.count = cli_output_shape(&g->output[i], t.shape);
        char *data = fv_alloc(ctx, (size_t)t.count * 4 + 4);
        for (int64_t j = 0; j < t.count; j++)
            if (f) ((float *)(void *)data)[j] = (float)results[i][j];
            else ((int32_t *)(void *)data)[j] = (int32_t)results[i][j];
        t.data = data;
        if (out->n < CLI_MAX_OUTPUTS) out->tensor[out->n++] = t;
        free(results[i]);
    }
    return true;
}
static bool run_reference(fv_ctx *ctx, cli_session *s, answers *out) {
    double **results = FV_NEWN(ctx, double *, s->spec.graph->n_outputs + 1);
    return cli_reference(ctx, s, results) && take_numbers(ctx, s->spec.graph, results, out);
}
enum { MOST_RUNS = 20 }; /* further ones, for --cost */

/* Reports on the last run, or with --cost on some more of them; what a run gives does not change. */
static bool report(fv_ctx *ctx, const cli_args *a, const cli_session *s, cli_live *l, int64_t *ns) {
    int n = l->compiled.program.n_run, runs = 1;
    bool all = cli_flag(a, "cost"), fine = true;
    int64_t *best = FV_NEWN(ctx, int64_t, n + 1);
    memcpy(best, ns, sizeof *best * (size_t)n);
    for (double begin = fv_now(); all && fine && !s->n_pictures && runs <= MOST_RUNS && fv_now() - begin < 0.5;
         runs++) {
        fine = cli_live_run(ctx, l);
        for (int i = 0; i < n; i++)
            if (ns[i] < best[i]) best[i] = ns[i];
    }
    if (fine)
        cli_costs_of_run(ctx, &l->compiled, cli_value(a, "target"), fovea_model_threads(l->model), best, runs, all);
    return fine;
}
static bool run_compiled(fv_ctx *ctx, const cli_args *a, cli_session *s, cli_live *l, cli_tuned *tuned, answers *out,
                         int top, const cli_picture_answer *picture) {
    fv_driver_options o = {.backend = cli_value(a, "backend"),
                           .target = cli_target(a, cli_value(a, "backend")),
                           .device = cli_value(a, "device"),
                           .cache_dir = cli_cache_dir(ctx),
                           .attend_strategy = cli_value(a, "attend"),
                           .storage = s->storage,
                           .verify = cli_flag(a, "verify")};
    cli_precision precision;
    int64_t threads = 0;
    if (!cli_int(ctx, a, "threads", 1, &threads) || !cli_precision_choose(ctx, a, s, &o, &precision)) return false;
    o.storage = s->storage;
    if (!cli_tuned_open(ctx, a, (int)threads, tuned, &o)) return false;
    fovea_options ro = {.threads = (int32_t)threads, .check = cli_flag(a, "verify")};
    const char *path = cli_value(a, "output");
    if (s->n_pictures && picture->output) {
        if (!cli_picture_run(ctx, s, picture, path && ends(path, ".png"), &o, &ro, &out->tensor[0])) return false;
        out->owned = (void *)(uintptr_t)out->tensor[0].data;
        out->n = 1;
        return true;
    }
    if (!cli_live_open(ctx, s, &o, &ro, s->n_pictures > 0, l)) return false;
    int64_t *ns = FV_NEWN(ctx, int64_t, l->compiled.program.n_run + 1);
    fovea_model_profile(l->model, ns);
    if (s->n_pictures) return cli_run_pictures(ctx, s, l->model, top) && report(ctx, a, s, l, ns);
    cli_progress("running %s", s->name);
    if (!cli_live_run(ctx, l) || !report(ctx, a, s, l, ns)) return false;
    for (int i = 0; i < l->n_out; i++) out->tensor[out->n++] = cli_stored(l->output[i], l->out[i].data);
    return true;
}

static bool write_answers(fv_ctx *ctx, const char *path, const answers *out, const cli_picture_answer *picture) {
    if (ends(path, ".png")) {
        for (int i = 0; i < out->n; i++)
            if (!strcmp(out->tensor[i].name, picture->output)) return cli_picture_write(ctx, path, &out->tensor[i]);
        fv_error(ctx, FV_E_CONFIG, (fv_loc){0}, "preprocess: there is no output '%s'", picture->output);
        return false;
    }
    if (ends(path, ".npy")) {
        if (out->n == 1) return fv_npy_write(ctx, path, &out->tensor[0]);
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%d outputs do not fit into one .npy file; write a .safetensors file",
                 out->n);
        return false;
    }
    fovea_error e;
    if (fovea_safetensors_write(path, out->tensor, out->n, NULL, &e)) return cli_runtime_error(ctx, FV_E_FILE, &e);
    return true;
}
static void say(const answers *out) {
    for (int i = 0; i < out->n; i++) {
        const fovea_stored *t = &out->tensor[i];
        printf("%-16s %s[", t->name, fovea_storage_name(t->storage));
        for (int d = 0; d < t->rank; d++) printf("%s%lld", d ? ", " : "", (long long)t->shape[d]);
        printf("]");
        fovea_dtype type = t->storage == FOVEA_ST_F32    ? FOVEA_F32
                           : t->storage == FOVEA_ST_BOOL ? FOVEA_BOOL
                                                         : FOVEA_I32;
        double least = 0, most = 0, sum = 0;
        for (int64_t j = 0; j < t->count; j++) {
            double v = fovea_element(t->data, type, j);
            least = j == 0 || v < least ? v : least;
            most = j == 0 || v > most ? v : most;
            sum += v;
        }
        if (t->count) printf("  min %.6g  mean %.6g  max %.6g", least, sum / (double)t->count, most);
        printf("\n");
    }
}

static bool pictures_fit(fv_ctx *ctx, const cli_session *s, const cli_picture_answer *picture, bool other_backend,
                         const char *output) {
    if (!s->n_pictures) return true;
    if (other_backend) fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "the reference takes tensors, not pictures");
    else if (output && !picture->output)
        fv_error(ctx, FV_E_USAGE, (fv_loc){0},
                 "--output %s: the classes of pictures are printed; give tensors to have outputs written", output);
    else return true;
    return false;
}
static int run(fv_ctx *ctx, const cli_args *a) {
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "run takes one spec, %d given; see fovea run --help", a->n_words);
        return CLI_USER;
    }
    static cli_session s;
    static answers out;
    static cli_live live;
    static cli_tuned tuned;
    int64_t top = 5;
    const char *strategy;
    bool fine = cli_choice(ctx, a, "attend", cli_strategies, &strategy) && cli_int(ctx, a, "topk", 1, &top) &&
                cli_session_open(ctx, a, a->word[0], &s);
    const char *backend = cli_value(a, "backend"), *output = cli_value(a, "output"), *used = cli_value(a, "write-used");
    bool reference = backend && !strcmp(backend, "reference");
    cli_picture_answer picture = {0};
    fine = fine && cli_picture_answer_read(ctx, &s, &picture) &&
           (!output || cli_output_suffix(ctx, output, &picture)) && pictures_fit(ctx, &s, &picture, reference, output);
    if (fine)
        fine = reference ? run_reference(ctx, &s, &out)
                         : run_compiled(ctx, a, &s, &live, &tuned, &out, (int)top, &picture);
    cli_progress_done();
    if (fine && used) fine = cli_leaves_write(ctx, &s, used);
    if (fine && output && out.n) fine = write_answers(ctx, output, &out, &picture);
    else if (fine) say(&out);
    free(out.owned);
    cli_live_close(&live);
    cli_tuned_close(&tuned);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    {"output", "FILE", "write the outputs to a .safetensors or .npy file, a picture to a .png file", CLI_VALUE},
    {"write-used", "FILE", "write the inputs and parameters that were used to a safetensors file", CLI_VALUE},
    {"backend", "NAME", "cpu (default), reference, or another of fovea devices", CLI_VALUE},
    {"target", "NAME", "code for another processor than this one: avx2, sse2 …", CLI_VALUE},
    CLI_DEVICE_OPTIONS,
    CLI_PRECISION_OPTION,
    {"threads", "N", "threads; default: what affinity and quota allow", CLI_VALUE},
    {"topk", "K", "classes shown per picture (default 5)", CLI_VALUE},
    {"attend", "STRATEGY", "force a strategy of attend: box, offset or expand", CLI_VALUE},
    {"cost", NULL, "show what every kernel costs, predicted and measured", CLI_FLAG},
    CLI_TUNED_OPTIONS,
    {"verify", NULL, "verify every kernel between the levels and guard bytes after each launch", CLI_FLAG},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_run = {"run", "run SPEC|BACKBONE[:VARIANT] [options]",
                             "run a spec or a backbone on inputs or pictures", options, run};
