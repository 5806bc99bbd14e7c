/* fovea tune SPEC: finds faster schedules for a model's kernels on this machine and keeps them in the database. */
#define _DEFAULT_SOURCE
#include "cli/tuning.h"
#include "tune/apply.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void on_interrupt(int signal_number) {
    (void)signal_number;
    cli_tune_stop = 1;
}

/* "60s", "2m", "1.5h", "90": seconds. */
static bool read_budget(fv_ctx *ctx, const cli_args *a, double *out) {
    const char *v = cli_value(a, "budget");
    char *end = NULL;
    double x = v ? strtod(v, &end) : *out, unit = 1;
    if (v && end != v) {
        if (!strcmp(end, "m")) unit = 60;
        else if (!strcmp(end, "h")) unit = 3600;
        else if (*end && strcmp(end, "s") != 0) end = (char *)(uintptr_t)v;
    }
    x *= unit;
    if (v && (end == v || !(x >= 1 && x <= 7 * 86400))) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--budget takes a time from 1s to 168h, as in 60s, 2m or 1h, not '%s'",
                 v);
        return false;
    }
    *out = x;
    return true;
}
static bool give_starts(cli_tuning *t, cli_tune_starts *s) {
    for (int i = 0; i < t->n; i++) {
        cli_tuned_kernel *k = &t->kernel[i];
        cli_tune_start *one = cli_tune_start_of(t->ctx, s, k->name, fv_cstr(t->ctx, k->launch->schedule->strategy));
        if (!one) continue;
        one->used = true;
        int mark = fv_diag_count(t->ctx);
        k->from = one->wish;
        if (fv_lower_group(t->compiled.lower.kept, k->launch->group, one->wish)) continue;
        const char *why = fv_strdup(t->ctx, fv_diag_at(t->ctx, mark)->text);
        fv_diag_rewind(t->ctx, mark);
        fv_error(t->ctx, FV_E_SCHEDULE, (fv_loc){fv_intern(t->ctx, one->file), one->line}, "%s", why);
        return false;
    }
    for (int i = 0; i < s->n; i++) {
        if (s->of[i].used) continue;
        fv_loc loc = {fv_intern(t->ctx, s->of[i].file), s->of[i].line};
        fv_buf known = {0};
        for (int j = 0; j < t->n && j < 12; j++) fv_buf_printf(&known, "%s%s", j ? ", " : "", t->kernel[j].name);
        fv_error(t->ctx, FV_E_UNKNOWN, loc, "no kernel '%s' in %s; its kernels are %s%s", s->of[i].kernel, t->s->name,
                 known.text, t->n > 12 ? " …" : "");
        fv_buf_dispose(&known);
        return false;
    }
    return true;
}

static void report(cli_tuning *t) {
    int shown = 0, recalled = 0;
    for (int i = 0; i < t->n; i++) recalled += t->kernel[i].recalled;
    const char *threads =
        t->elsewhere ? "" : fv_printf(t->ctx, ", %d thread%s", t->threads, t->threads == 1 ? "" : "s");
    printf("%s on %s%s: %d kernel%s, %d rows written to %s beside %d that were there\n\n", t->s->name,
           t->machine.device, threads, t->n, t->n == 1 ? "" : "s", t->rows, fv_tune_db_file(t->db), recalled);
    printf("| %-18s | %5s | %9s | %9s | %7s | %7s | %s\n", "kernel", "times", "before us", "after us", "change",
           "correct", "schedule over the default |");
    printf("|:-------------------|------:|----------:|----------:|--------:|--------:|:--------------------------|\n");
    for (int i = 0; i < t->n; i++) {
        const cli_tuned_kernel *k = &t->kernel[i];
        if (!k->opened || !k->search.best) continue;
        double ratio = k->search.best->ratio;
        printf("| %-18s | %5d | %9.2f | %9.2f | %+6.1f%% | %3d/%3d | %s |\n", k->name, k->alone.repeats,
               1e6 * k->seconds, 1e6 * k->seconds * ratio, 100 * (ratio - 1), k->correct,
               k->correct + k->wrong + k->failed, *k->search.best->text ? k->search.best->text : "(none: the default)");
        shown++;
    }
    if (shown < t->n) printf("\n%d kernels were not reached in this time.\n", t->n - shown);
    for (int i = 0; i < t->n; i++)
        if (*t->kernel[i].noted)
            printf("%s: %d candidates were not correct or not to be run, the last: %s\n", t->kernel[i].name,
                   t->kernel[i].wrong + t->kernel[i].failed, t->kernel[i].noted);
}

bool cli_tune_check(fv_ctx *ctx, const cli_args *a) {
    double budget = 0;
    int64_t threads = 0;
    return read_budget(ctx, a, &budget) && cli_int(ctx, a, "threads", 1, &threads);
}
/* Everything before the search. */
static bool prepare(cli_tuning *t, const cli_args *a, cli_tune_starts *starts) {
    const char *from = cli_value(a, "from");
    int64_t threads = 0;
    t->budget = 60;
    if (!read_budget(t->ctx, a, &t->budget) || !cli_int(t->ctx, a, "threads", 1, &threads) ||
        (from && !cli_tune_read_starts(t->ctx, from, starts)))
        return false;
    fv_compiled facts;
    const fv_backend *backend = t->driver.backend ? fv_backend_find(t->driver.backend) : fv_backend_default();
    if (backend && !fv_tune_meet(t->ctx, backend, t->driver.target, t->driver.device, &t->device)) return false;
    t->elsewhere = backend && backend->executor;
    t->db = fv_tune_db_open(t->ctx, cli_value(a, "db"), true);
    if (!t->db || !fv_compile_plan(t->ctx, t->s->spec.graph, (fv_str){0}, &t->driver, &facts)) return false;
    fv_tune_where where = {.backend = facts.backend,
                           .target = t->driver.target,
                           .device = t->driver.device,
                           .threads = threads ? (int)threads : fovea_threads_available()};
    if (!fv_tune_place(t->ctx, &where, facts.target, t->s->storage, &t->machine)) {
        fv_error(t->ctx, FV_E_BACKEND, (fv_loc){0}, "there is no device '%s'", where.device ? where.device : "");
        return false;
    }
    t->threads = where.threads; /* of a device: those that its driver may take here */
    return cli_tune_open(t) && give_starts(t, starts);
}
bool cli_tune_search(fv_ctx *ctx, const cli_args *a, cli_session *s) {
    static cli_tuning t;
    cli_tune_starts starts = {0};
    const char *backend = cli_value(a, "backend");
    t = (cli_tuning){.ctx = ctx,
                     .s = s,
                     .begin = fv_now(),
                     .driver = {.backend = backend,
                                .target = cli_target(a, backend),
                                .cache_dir = cli_cache_dir(ctx),
                                .device = cli_value(a, "device"),
                                .storage = s->storage}};
    struct sigaction now = {.sa_handler = on_interrupt}, was;
    sigaction(SIGINT, &now, &was);
    bool fine = prepare(&t, a, &starts) && cli_tune_run(&t);
    if (t.gone) report(&t); /* an error says what happened */
    if (fine) {
        bool stopped = cli_tune_stop != 0;
        double before, after;
        report(&t);
        if (stopped) printf("\nstopped; what was found is kept\n");
        else if (cli_tune_compare(&t, &before, &after))
            printf("\nthe whole model, run in turn: %.3f ms before, %.3f ms after (%+.1f %%); %.1f s\n", 1e3 * before,
                   1e3 * after, 100 * (after / before - 1), fv_now() - t.begin);
    }
    sigaction(SIGINT, &was, NULL);
    cli_tune_close(&t);
    fv_tune_db_close(t.db);
    return fine;
}
