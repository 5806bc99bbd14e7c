/* Spending the budget: see tune.h. At each step the kernel is taken whose best candidate may save most of the model's
 * time; what a kernel has not gained for a while counts less. */
#define _POSIX_C_SOURCE 200809L
#include "cli/tuning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A sample is noisy when the processor was taken away during this part of the looks, or the default's own times spread
 * that much; then there is a pause, of this long, at most so often per candidate and for this part of the budget. */
static const double STOLEN = 0.5, SPREAD = 0.2, PAUSE = 0.5, PAUSED = 0.25;
enum { PAUSES = 3, PATIENCE = 150 };

static double left(const cli_tuning *t) { return t->budget - (fv_now() - t->begin); }

/* -- Progress ---- */
static double saved(const cli_tuning *t) {
    double s = 0;
    for (int i = 0; i < t->n; i++) {
        const cli_tuned_kernel *k = &t->kernel[i];
        if (k->opened) s += k->seconds * k->alone.repeats * (1 - k->search.best->ratio);
    }
    return s;
}
/* What the kernels' next candidates may save, by optimistic estimate. */
static double further(cli_tuning *t) {
    double s = 0, gain;
    for (int i = 0; i < t->n; i++) {
        cli_tuned_kernel *k = &t->kernel[i];
        if (!k->opened || k->done) continue;
        if (fv_tune_search_next(&k->search, &gain)) s += k->seconds * k->alone.repeats * gain * k->search.best->ratio;
    }
    return s;
}
static void show(cli_tuning *t, const cli_tuned_kernel *k, const char *remark) {
    int opened = 0;
    for (int i = 0; i < t->n; i++) opened += t->kernel[i].opened;
    cli_progress(
        "%d of %d kernels, %d rows; %s %+.1f %%; the model %+.1f %% of %.3g ms; %.0f s left; further gain at most "
        "%.1f %%%s%s",
        opened, t->n, t->rows, k->name, k->opened ? 100 * (k->search.best->ratio - 1) : 0, -100 * saved(t) / t->whole,
        1e3 * t->whole, left(t) > 0 ? left(t) : 0, 100 * further(t) / t->whole, *remark ? "; " : "", remark);
}

/* -- Choosing a kernel ---- */
/* The part of a kernel's time that its bound does not explain; unknown: half. */
static double slack(const cli_tuned_kernel *k) {
    double model = k->opened ? k->search.standard : 0, part = model > 0 ? 1 - model / k->seconds : 0.5;
    return part < 0.05 ? 0.05 : part > 0.9 ? 0.9 : part;
}
static cli_tuned_kernel *choose(cli_tuning *t, fv_tune_candidate **candidate) {
    cli_tuned_kernel *best = NULL;
    double most = -1;
    for (int i = 0; i < t->n; i++) {
        cli_tuned_kernel *k = &t->kernel[i];
        double gain = 0.1;
        fv_tune_candidate *c = NULL;
        if (k->done) continue;
        if (k->opened && !(c = fv_tune_search_next(&k->search, &gain))) {
            k->done = true;
            continue;
        }
        if (k->without_gain > PATIENCE) k->done = true;
        double worth = k->seconds * k->alone.repeats * slack(k) * (gain + 0.003) / (1 + k->without_gain / 6.0);
        if (worth <= most) continue;
        most = worth;
        best = k;
        *candidate = c;
    }
    return best;
}

/* -- One candidate ---- */
bool cli_tune_row(cli_tuning *t, cli_tuned_kernel *k, const char *schedule, const fv_tune_outcome *o, double predicted,
                  const char *origin) {
    fv_tune_record r = fv_tune_record_of(&k->key, k->name, schedule, o, predicted, origin);
    t->rows++;
    return fv_tune_db_add(t->db, &r);
}
static void pause_for_quiet(cli_tuning *t, const cli_tuned_kernel *k) {
    double begin = fv_now();
    show(t, k, "paused: the machine is too busy to time anything");
    nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * PAUSE)}, NULL);
    t->paused += fv_now() - begin;
}
/* For tests: FOVEA_TUNE_FAULT=KIND makes what candidates do go wrong; see child.h. */
static const char *fault(void) {
    const char *f = getenv("FOVEA_TUNE_FAULT");
    return f && *f ? f : NULL;
}
/* A device may be gone for all, and not only for a candidate: then the search ends with what it has. */
static bool still_there(cli_tuning *t, cli_tuned_kernel *k) {
    char why[300];
    for (int i = 0; i < 2; i++) { /* drivers reset devices */
        if (i) nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        if (fv_tune_alive(&k->job, why, sizeof why)) return true;
    }
    t->gone = true;
    fv_error(t->ctx, FV_E_BACKEND, k->launch->loc,
             "%s does not run by default any more: %s; what was measured is kept in %s, and the same command goes on "
             "there",
             k->name, why, fv_tune_db_file(t->db));
    return false;
}
static bool try_candidate(cli_tuning *t, cli_tuned_kernel *k, fv_tune_candidate *c) {
    fv_tune_outcome o;
    double allowed = k->job.limits.seconds, before = k->search.best->ratio;
    k->job.best = before;
    k->job.fault = fault();
    for (int i = 0;; i++) {
        double rest = left(t);
        k->job.limits.seconds = rest < allowed ? rest : allowed;
        fv_tune_try(&k->job, c->wish, &o);
        bool noisy = o.status == FV_TUNE_CORRECT && (o.stolen > STOLEN || o.noise > SPREAD);
        noisy = noisy && !t->elsewhere; /* devices are less disturbed, and their drivers would compile once more */
        if (!noisy || i == PAUSES || t->paused > PAUSED * t->budget || left(t) < 2 || cli_tune_stop) break;
        pause_for_quiet(t, k);
    }
    k->job.limits.seconds = allowed;
    if (o.status == FV_TUNE_STOPPED || (o.status == FV_TUNE_TIMEOUT && left(t) <= 0))
        return true; /* no row: not its fault */
    bool correct = o.status == FV_TUNE_CORRECT;
    if (!cli_tune_row(t, k, c->text, &o, c->seen.seconds,
                      c->wish == k->from || c == k->search.centre ? "from" : "search"))
        return false;
    *(correct ? &k->correct : o.status == FV_TUNE_WRONG ? &k->wrong : &k->failed) += 1;
    if (!correct && o.status != FV_TUNE_WRONG && t->elsewhere && !still_there(t, k)) return false;
    if (!correct) snprintf(k->noted, sizeof k->noted, "%s: %.100s", fv_tune_status_names[o.status], o.reason);
    if (!fv_tune_search_tell(&k->search, c, correct ? o.ratio : 0)) return true;
    if (k->search.best->ratio < before * 0.995) k->without_gain = 0;
    else k->without_gain++;
    return true;
}

static bool open_kernel(cli_tuning *t, cli_tuned_kernel *k) {
    show(t, k, "listing schedules");
    if (!cli_tune_open_kernel(t, k)) return fv_error_count(t->ctx) == 0;
    const fv_tune_candidate *d = k->search.candidate[0];
    fv_tune_outcome o = {.status = FV_TUNE_CORRECT,
                         .seconds = k->seconds,
                         .seconds_min = k->seconds,
                         .default_seconds = k->seconds,
                         .ratio = 1};
    return k->recalled || cli_tune_row(t, k, "", &o, d->seen.seconds, "default");
}

/* Time for the last comparison of the whole model. */
static double reserve(const cli_tuning *t) {
    double r = 24 * t->whole + 0.3 + 0.03 * t->budget + (t->elsewhere ? t->building : 0), most = 0.2 * t->budget;
    return r < most ? r : most;
}
bool cli_tune_run(cli_tuning *t) {
    double end = reserve(t);
    t->budget -= end;
    bool fine = true;
    while (fine && !cli_tune_stop && left(t) > 0) {
        fv_tune_candidate *c = NULL;
        cli_tuned_kernel *k = choose(t, &c);
        if (!k) break;
        if (!k->opened) {
            fine = open_kernel(t, k);
            continue;
        }
        show(t, k, "");
        fine = try_candidate(t, k, c);
    }
    t->budget += end;
    cli_progress_done();
    return fine;
}

/* -- Before and after ---- */
typedef struct {
    cli_tuning *t;
    fv_compiled *tuned;
    double seconds, before, after;
    bool fine;
} comparison;
static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static void compare_body(void *user) {
    enum { MOST = 400 };
    static double time_of[2][MOST];
    comparison *c = user;
    cli_live l[2] = {{.compiled = c->t->compiled}, {.compiled = *c->tuned}};
    fovea_options o = {.threads = c->t->threads};
    for (int i = 0; i < 2; i++)
        if (!cli_live_load(c->t->ctx, c->t->s, &o, false, &l[i]) || !cli_live_run(c->t->ctx, &l[i])) return;
    double begin = fv_now();
    int n = 0;
    for (; n < 1 || (n < 5 && fv_now() - begin < c->seconds + 2) || (n < MOST && fv_now() - begin < c->seconds); n++)
        for (int j = 0; j < 2; j++) {
            int i = (j + n) % 2;
            double start = fv_now();
            if (!cli_live_run(c->t->ctx, &l[i])) return;
            time_of[i][n] = fv_now() - start;
        }
    for (int i = 0; i < 2; i++) qsort(time_of[i], (size_t)n, sizeof *time_of[i], by_value);
    c->before = time_of[0][n / 2];
    c->after = time_of[1][n / 2];
    c->fine = true;
}
bool cli_tune_compare(cli_tuning *t, double *before, double *after) {
    const fv_plan *p = t->compiled.plan;
    int n = fv_lowering_groups(t->compiled.lower.kept);
    const fv_schedule **wish = FV_NEWN(t->ctx, const fv_schedule *, n);
    for (int i = 0; i < p->n_launches[1]; i++)
        for (int j = 0; j < t->n; j++) {
            const cli_tuned_kernel *k = &t->kernel[j];
            if (k->opened && k->launch->code == p->launch[1][i]->code && p->launch[1][i]->group >= 0)
                wish[p->launch[1][i]->group] = k->search.best->wish;
        }
    fv_driver_options o = t->driver;
    fv_compiled tuned;
    o.wish = wish;
    o.n_wish = n;
    cli_progress("the whole model, before and after");
    comparison *c = fv_tune_shared(sizeof *c);
    bool fine = c && fv_compile(t->ctx, t->s->spec.graph, (fv_str){0}, &o, &tuned);
    if (fine) {
        double rest = left(t);
        *c = (comparison){.t = t, .tuned = &tuned, .seconds = rest < 0.2 ? 0.2 : rest > 5 ? 5 : rest * 0.8};
        double building = t->elsewhere ? (rest > 0 ? rest : 0) + 5 : 30;
        fv_tune_limits limits = {.seconds = c->seconds + building + 20 * t->whole, .threads = t->threads};
        fine = fv_tune_in_child(&limits, compare_body, c) && c->fine;
        *before = c->before;
        *after = c->after;
        fv_compiled_dispose(&tuned);
    }
    fv_tune_unshare(c, sizeof *c);
    cli_progress_done();
    return fine;
}
