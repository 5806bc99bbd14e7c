/* Timing: see measure.h. Invariant: the peak is measured before, between and after the runs that it judges. */
#define _POSIX_C_SOURCE 200809L
#include "cli/measure.h"
#include "cli/cost.h"
#include "cli/tuned.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_RUNS = 2000, FEWEST_RUNS = 8, WARM_UP = 2, PEAKS = 6 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static void summarise(double *t, int n, cli_timed *out) {
    qsort(t, (size_t)n, sizeof *t, by_value);
    out->min = t[0];
    out->median = t[n / 2];
}
static void take_peak(const cli_measure_options *o, cli_measured *m) {
    if (!m->has_peak) return;
    double p = cli_peak(o->target);
    m->peaks++;
    if (p > m->peak) m->peak = p;
}
static void remove_folder(fv_ctx *ctx, const char *path) {
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) unlink(fv_printf(ctx, "%s/%s", path, e->d_name));
    if (d) closedir(d);
    rmdir(path);
}
/* Compiles into an empty cache, then from it. */
static bool compile_times(fv_ctx *ctx, cli_session *s, fv_driver_options d, cli_measured *m) {
    const char *tmp = getenv("TMPDIR");
    char *folder = fv_printf(ctx, "%s/fovea-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "cannot make a folder for the cache: %s", folder);
        return false;
    }
    bool fine = true;
    d.cache_dir = folder;
    for (int i = 0; i < 2 && fine; i++) {
        fv_compiled c;
        cli_progress("compiling %s (%s)", s->name, i ? "from the cache" : "cold");
        fine = fv_compile(ctx, s->spec.graph, (fv_str){0}, &d, &c);
        *(i ? &m->cached : &m->cold) = c.lower_seconds + c.compile_seconds;
        if (i) m->from_cache = c.stats.from_cache;
        else m->compiled = c.stats.compiled;
        fv_compiled_dispose(&c);
    }
    remove_folder(ctx, folder);
    return fine;
}
static bool time_runs(fv_ctx *ctx, const cli_measure_options *o, cli_live *l, cli_measured *m) {
    int n = m->n, runs = 0;
    int64_t *ns = calloc((size_t)n + 1, sizeof *ns);
    double *t = malloc(((size_t)n + 1) * MOST_RUNS * sizeof *t), begin = fv_now(), next = 0;
    bool fine = ns && t;
    if (!fine) fv_error(ctx, FV_E_RUN, (fv_loc){0}, "not enough memory for the times");
    for (int i = 0; i < WARM_UP && fine; i++) fine = cli_live_run(ctx, l);
    fovea_model_profile(l->model, ns);
    while (fine && runs < MOST_RUNS) {
        double now = fv_now() - begin;
        if (now >= next) {
            take_peak(o, m);
            next += o->seconds / PEAKS;
        }
        if (runs >= FEWEST_RUNS && now >= o->seconds) break;
        double start = fv_now();
        fine = cli_live_run(ctx, l);
        t[runs] = fv_now() - start;
        for (int i = 0; i < n; i++) t[(i + 1) * MOST_RUNS + runs] = 1e-9 * (double)ns[i];
        runs++;
    }
    if (fine) {
        take_peak(o, m);
        m->runs = runs;
        summarise(t, runs, &m->total);
        for (int i = 0; i < n; i++) summarise(t + (i + 1) * MOST_RUNS, runs, &m->kernel[i]);
    }
    free(ns);
    free(t);
    return fine;
}
static void predict(fv_ctx *ctx, const cli_measure_options *o, const cli_live *l, cli_measured *m) {
    cli_cost *list = m->cost = cli_costs(ctx, &l->compiled, o->target, m->threads, NULL);
    bool all = list && m->n > 0;
    for (int i = 0; i < m->n; i++) {
        m->kernel[i].bound = list && list[i].predicted ? fv_bound_names[list[i].time.bound] : "";
        m->kernel[i].model = list && list[i].predicted ? list[i].time.seconds : 0;
        m->total.model += m->kernel[i].model;
        all = all && list[i].predicted;
    }
    m->total.bound = "";
    if (!all) m->total.model = 0;
}
static void describe(fv_ctx *ctx, const cli_live *l, cli_measured *m) {
    const fovea_program *p = &l->compiled.program;
    m->kernel = FV_NEWN(ctx, cli_timed, p->n_run + 1);
    m->n = p->n_run;
    size_t skip = strlen(cli_spec_dir()); /* specs are named by their place under the folder of specs */
    for (int i = 0; i < p->n_run; i++) {
        const char *where = p->run[i].where;
        if (!strncmp(where, cli_spec_dir(), skip) && where[skip] == '/') where += skip + 1;
        m->kernel[i] =
            (cli_timed){.label = p->run[i].label, .where = where, .flops = p->run[i].flops, .bytes = p->run[i].bytes};
    }
    for (int i = 0; i < p->n_run; i++) {
        m->total.flops += m->kernel[i].flops;
        m->total.bytes += m->kernel[i].bytes;
    }
    for (int i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].place == FOVEA_PARAM) m->params += p->arrays[i].bytes;
    m->arena = p->arena_bytes;
    m->prepared = p->prepared_bytes;
    m->code = l->compiled.stats.code_bytes;
    m->target = l->compiled.target->name;
    m->threads = l->compiled.program.executor ? 1 : fovea_model_threads(l->model);
    m->prepare = l->prepare_seconds;
}
bool cli_measure(fv_ctx *ctx, cli_session *s, const cli_measure_options *o, cli_measured *m) {
    *m = (cli_measured){.name = s->name, .trace = s->trace_seconds};
    fv_driver_options d = {.backend = o->backend,
                           .target = o->target,
                           .cache_dir = cli_cache_dir(ctx),
                           .device = o->device,
                           .attend_strategy = o->attend,
                           .storage = s->storage};
    fovea_options run = {.threads = (int32_t)o->threads};
    cli_live l = {0};
    cli_tuned tuned = {0};
    bool fine = !o->args || cli_tuned_open(ctx, o->args, o->threads, &tuned, &d);
    if (fine && o->compile_times) fine = compile_times(ctx, s, d, m);
    fine = fine && cli_live_open(ctx, s, &d, &run, false, &l);
    if (fine) {
        m->has_peak = l.compiled.program.executor == NULL; /* that of a device is not known */
        describe(ctx, &l, m);
        predict(ctx, o, &l, m);
        cli_progress("timing %s", s->name);
        fine = time_runs(ctx, o, &l, m);
        for (int i = 0; m->cost && i < m->n; i++) m->cost[i].measured = m->kernel[i].min;
    }
    cli_progress_done();
    cli_live_close(&l);
    cli_tuned_close(&tuned);
    return fine;
}
double cli_fraction(const cli_measured *m, const cli_timed *t) {
    return m->peak > 0 && t->min > 0 ? 1e-9 * t->flops / t->min / (m->peak * m->threads) : 0;
}
