/* The kernels of a model, ready to be tuned: see tune.h. Runs of the whole model happen in a child, so that this
 * process stays one thread and can make children at any time. */
#define _POSIX_C_SOURCE 200809L
#include "cli/host.h"
#include "cli/tuning.h"
#include "tune/group.h"

#include <stdlib.h>
#include <string.h>

volatile sig_atomic_t cli_tune_stop;
static const double CANDIDATE_SECONDS = 20, DEVICE_SECONDS = 60, BUILD_SECONDS = 300; /* drivers compile slowly */

/* -- Runs of the whole model ---- */
typedef struct {
    cli_tuning *t;
    double seconds;
    bool fine;
    double building, total, launch[];
} whole_run;
static void whole_body(void *user) {
    whole_run *r = user;
    cli_tuning *t = r->t;
    cli_live l = {.compiled = t->compiled};
    fovea_options o = {.threads = t->threads};
    int n = l.compiled.program.n_run;
    int64_t *ns = calloc((size_t)n + 1, sizeof *ns);
    double loading = fv_now();
    if (!ns || !cli_live_load(t->ctx, t->s, &o, false, &l) || !cli_live_run(t->ctx, &l)) {
        fv_buf text = {0};
        fv_diag_render(t->ctx, &text);
        fputs(text.text ? text.text : "", stderr);
        return;
    }
    r->building = fv_now() - loading;
    fovea_model_profile(l.model, ns);
    double begin = fv_now();
    for (int i = 0; i < 3 || (fv_now() - begin < r->seconds && i < 500); i++) {
        double start = fv_now();
        if (!cli_live_run(t->ctx, &l)) return;
        double total = fv_now() - start;
        if (!i || total < r->total) r->total = total;
        for (int j = 0; j < n; j++)
            if (!i || 1e-9 * (double)ns[j] < r->launch[j]) r->launch[j] = 1e-9 * (double)ns[j];
    }
    r->fine = true;
}
static bool time_launches(cli_tuning *t, double *launch) {
    int n = t->compiled.program.n_run;
    size_t bytes = sizeof(whole_run) + sizeof(double) * (size_t)(n + 1);
    whole_run *r = fv_tune_shared(bytes);
    double left = t->budget - (fv_now() - t->begin);
    fv_tune_limits limits = {
        .seconds = left + (t->elsewhere ? BUILD_SECONDS : 30), .threads = t->threads, .stop = &cli_tune_stop};
    if (!r) return false;
    r->t = t;
    r->seconds = t->budget / 20 < 1 ? t->budget / 20 : 1;
    bool fine = fv_tune_in_child(&limits, whole_body, r) && r->fine;
    t->whole = r->total;
    t->building = r->building;
    memcpy(launch, r->launch, sizeof *launch * (size_t)n);
    fv_tune_unshare(r, bytes);
    if (!fine && !cli_tune_stop)
        fv_error(t->ctx, FV_E_RUN, (fv_loc){0}, "the model does not run by default; fovea run %s%s%s says why",
                 t->s->name, t->elsewhere ? " --backend " : "", t->elsewhere ? t->compiled.backend->name : "");
    return fine;
}

/* -- The list ---- */
static int by_time(const void *a, const void *b) {
    const cli_tuned_kernel *x = a, *y = b;
    double s = x->seconds * x->alone.repeats, u = y->seconds * y->alone.repeats;
    return (s < u) - (s > u);
}
static void list_kernels(cli_tuning *t, const double *launch) {
    const fv_plan *p = t->compiled.plan;
    t->kernel = FV_NEWN(t->ctx, cli_tuned_kernel, p->n_launches[1] + 1);
    for (int i = 0; i < p->n_launches[1]; i++) {
        const fv_launch *l = p->launch[1][i];
        cli_tuned_kernel *k = NULL;
        for (int j = 0; j < t->n && !k; j++)
            if (t->kernel[j].launch->code == l->code) k = &t->kernel[j];
        if (k) { /* the same kernel again */
            k->seconds += launch[i];
            continue;
        }
        k = &t->kernel[t->n];
        k->key = t->machine;
        k->key.group = fv_tune_group_text(t->ctx, l);
        if (!k->key.group || !fv_tune_take_alone(t->ctx, p, l->group, &k->alone)) continue;
        t->n++;
        k->name = fv_cstr(t->ctx, l->kernel->name);
        k->where = l->loc.line ? fv_printf(t->ctx, "%s:%d", fv_cstr(t->ctx, l->loc.file), l->loc.line) : "";
        k->launch = l;
        k->seconds = launch[i];
    }
    for (int j = 0; j < t->n; j++) t->kernel[j].seconds /= t->kernel[j].alone.repeats;
    qsort(t->kernel, (size_t)t->n, sizeof *t->kernel, by_time);
}

bool cli_tune_open(cli_tuning *t) {
    cli_progress("compiling %s", t->s->name);
    if (!fv_compile(t->ctx, t->s->spec.graph, (fv_str){0}, &t->driver, &t->compiled)) return false;
    if (!t->compiled.program.executor)
        for (int i = 0; i < t->compiled.program.n_run; i++)
            if (!t->compiled.program.run[i].kernel) {
                fv_error(t->ctx, FV_E_BACKEND, (fv_loc){0}, "code for '%s' cannot run in this process",
                         t->compiled.target->name);
                return false;
            }
    cli_host h;
    cli_host_read(&h);
    if (!t->elsewhere) memcpy(t->cache, h.cache, sizeof t->cache);
    t->memory = h.available_bytes > 0 ? h.available_bytes / 2 : 0;
    const fv_backend *b = t->compiled.backend;
    cli_progress("measuring this machine");
    if (b->rates && b->rates(t->driver.target, cli_cache_dir(t->ctx), t->cache, &t->rates_room))
        t->rates = &t->rates_room;
    if (t->rates) t->start = fv_cost_start(t->threads);
    double *launch = FV_NEWN(t->ctx, double, t->compiled.program.n_run + 1);
    cli_progress("timing %s by default", t->s->name);
    if (!time_launches(t, launch)) return false;
    list_kernels(t, launch);
    if (t->n) return true;
    fv_error(t->ctx, FV_E_USAGE, (fv_loc){0}, "%s has no kernel that could be tuned", t->s->name);
    return false;
}
void cli_tune_close(cli_tuning *t) {
    for (int i = 0; i < t->n; i++) {
        t->kernel[i].standard.plan = NULL;
        fv_compiled_dispose(&t->kernel[i].standard);
    }
    fv_compiled_dispose(&t->compiled);
}

/* -- One kernel ---- */
typedef struct {
    cli_tuning *t;
    cli_tuned_kernel *k;
    int n, cap;
    struct recalled {
        const char *schedule, *status;
        double ratio;
    } *of; /* what the database holds of this kernel */
    bool broken;
} recalling;
static bool remember(void *user, const fv_tune_record *r) {
    recalling *w = user;
    fv_ctx *c = w->t->ctx;
    struct recalled x = {fv_strdup(c, r->schedule), fv_strdup(c, r->status), r->ratio};
    fv_push(c, w->of, w->n, w->cap, x);
    return true;
}
/* Candidates that are not tried have a row that says why. */
static void pruned(void *user, const fv_tune_candidate *c) {
    recalling *w = user;
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->of[i].schedule, c->text)) return;
    fv_tune_outcome o = {.status = FV_TUNE_DECLINED};
    snprintf(o.reason, sizeof o.reason, "%s", c->seen.reason);
    w->broken = !cli_tune_row(w->t, w->k, c->text, &o, 0, "search") || w->broken;
}
static bool recall(recalling *w) {
    fv_ctx *c = w->t->ctx;
    for (int i = 0; i < w->n; i++) {
        bool correct = !strcmp(w->of[i].status, "correct");
        int mark = fv_diag_count(c);
        const fv_schedule *wish = *w->of[i].schedule ? fv_schedule_parse(c, "database", w->of[i].schedule) : NULL;
        fv_diag_rewind(c, mark);
        if (!wish && *w->of[i].schedule) continue; /* of another version's language */
        if (fv_tune_search_recall(&w->k->search, wish, correct ? w->of[i].ratio : 0)) w->k->recalled++;
    }
    return !w->broken;
}
/* What was fastest for the nearest kernel, if it fits this one; NULL: no such. */
static const fv_schedule *near_start(cli_tuning *t, const cli_tuned_kernel *k) {
    fv_tune_record r;
    int mark = fv_diag_count(t->ctx);
    const fv_schedule *wish = fv_tune_db_nearest(t->db, &k->key, &r, 1) == 1 && *r.schedule
                                  ? fv_schedule_parse(t->ctx, "database", r.schedule)
                                  : NULL;
    if (wish && !fv_lower_group(t->compiled.lower.kept, k->launch->group, wish)) wish = NULL;
    fv_diag_rewind(t->ctx, mark);
    return wish;
}
bool cli_tune_open_kernel(cli_tuning *t, cli_tuned_kernel *k) {
    k->opened = true;
    k->standard = (fv_compiled){.backend = t->compiled.backend, .target = t->compiled.target, .plan = k->alone.plan};
    if (!fv_compile_code(t->ctx, "tune", &t->driver, &k->standard)) return false;
    double slow = 100 * k->seconds, least = t->elsewhere ? DEVICE_SECONDS : CANDIDATE_SECONDS;
    k->job = (fv_tune_job){.ctx = t->ctx,
                           .driver = t->driver,
                           .kept = t->compiled.lower.kept,
                           .group = k->launch->group,
                           .standard = &k->standard,
                           .alone = &k->alone,
                           .threads = t->threads,
                           .units = t->elsewhere ? t->device.units : t->threads,
                           .rates = t->rates,
                           .start = t->start,
                           .limits = {.seconds = slow > least ? slow : least,
                                      .threads = t->threads,
                                      .memory = t->memory,
                                      .resident = t->elsewhere,
                                      .stop = &cli_tune_stop},
                           .best = 1};
    memcpy(k->job.cache, t->cache, sizeof k->job.cache);
    const char *why;
    recalling *w = FV_NEW(t->ctx, recalling);
    *w = (recalling){.t = t, .k = k};
    if (!fv_tune_db_each(t->db, &k->key, remember, w)) return false;
    if (!k->from && !w->n) { /* never tuned */
        k->from = near_start(t, k);
        if (k->from && fv_tune_search_open(t->ctx, &k->job, k->from, pruned, w, &k->search, &why)) return recall(w);
        if (cli_tune_stop) return false;
        k->from = NULL;
    }
    if (!fv_tune_search_open(t->ctx, &k->job, k->from, pruned, w, &k->search, &why)) {
        if (why) fv_error(t->ctx, FV_E_SCHEDULE, k->launch->loc, "%s: %s", k->name, why);
        return false;
    }
    return recall(w);
}
