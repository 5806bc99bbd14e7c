/* fovea tune --job: measures some candidates of one kernel; see tune_plan.h. It reads and writes no database: machines
 * share none. A record is written whole as soon as it is known. */
#define _POSIX_C_SOURCE 200809L
#include "cli/host.h"
#include "cli/tune_plan.h"
#include "tune/child.h"
#include "tune/group.h"
#include "tune/space.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TRIES = 4096 };
static const double CANDIDATE_SECONDS = 60;

static const fv_launch *find(fv_ctx *ctx, const cli_tune_site *site, const char *id, fv_tune_key *key) {
    const fv_plan *p = site->compiled.plan;
    fv_buf known = {0};
    for (int i = 0; i < p->n_launches[1]; i++) {
        const fv_launch *l = p->launch[1][i];
        key->group = fv_tune_group_text(ctx, l);
        if (!key->group) continue;
        const char *own = cli_tune_kernel_id(ctx, key->group);
        if (!strcmp(own, id)) {
            fv_buf_dispose(&known);
            return l;
        }
        if (!known.text || !strstr(known.text, own))
            fv_buf_printf(&known, "%s%s %s", known.len ? ", " : "", fv_cstr(ctx, l->kernel->name), own);
    }
    fv_error(ctx, FV_E_UNKNOWN, (fv_loc){0},
             "no kernel %s here: the plan was made with other options, for another device, or by another version; the "
             "kernels are %s",
             id, known.text ? known.text : "none");
    fv_buf_dispose(&known);
    return NULL;
}
/* The candidates as schedules; NULL after recording an error. */
static const fv_schedule **read_tries(fv_ctx *ctx, const cli_args *a, const char **text, int *n) {
    *n = cli_values(a, "try", text, MOST_TRIES);
    const fv_schedule **wish = FV_NEWN(ctx, const fv_schedule *, *n + 1);
    if (!*n) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--job measures what --try names: give at least one");
        return NULL;
    }
    for (int i = 0; i < *n; i++)
        if (*text[i] && !(wish[i] = fv_schedule_parse(ctx, "--try", text[i]))) return NULL;
    for (int i = 0; i < *n; i++) text[i] = fv_tune_wish_text(ctx, wish[i]);
    return wish;
}
static bool write_record(fv_ctx *ctx, const fv_tune_key *key, const char *kernel, const char *schedule,
                         const fv_tune_outcome *o, double predicted) {
    fv_tune_record r = fv_tune_record_of(key, kernel, schedule, o, predicted, "search");
    fv_buf line = {0};
    fv_tune_line(&r, &line);
    bool fine = fwrite(line.text, 1, line.len, stdout) == line.len && !fflush(stdout);
    if (!fine) fv_error(ctx, FV_E_FILE, (fv_loc){0}, "the standard output cannot be written");
    fv_buf_dispose(&line);
    return fine;
}
bool cli_tune_job(fv_ctx *ctx, const cli_args *a, cli_session *s) {
    static const char *text[MOST_TRIES];
    cli_tune_site site;
    fv_tune_alone alone;
    fv_rates rates;
    cli_host h;
    int n;
    const fv_schedule **wish = read_tries(ctx, a, text, &n);
    if (!wish || !cli_tune_site_open(ctx, a, s, &site)) return false;
    fv_tune_key key = site.place;
    const fv_launch *l = find(ctx, &site, cli_value(a, "job"), &key);
    if (!l) return false;
    if (!fv_tune_take_alone(ctx, site.compiled.plan, l->group, &alone)) {
        fv_error(ctx, FV_E_DECLINED, l->loc, "%s cannot be taken out of its model", fv_cstr(ctx, l->kernel->name));
        return false;
    }
    fv_compiled standard = {.backend = site.compiled.backend, .target = site.compiled.target, .plan = alone.plan};
    bool elsewhere = standard.backend->executor != NULL;
    if (!fv_compile_code(ctx, "tune", &site.driver, &standard)) return false;
    cli_host_read(&h);
    const fv_backend *b = standard.backend;
    bool rated = b->rates && b->rates(site.driver.target, site.driver.cache_dir, h.cache, &rates);
    fv_tune_job job = {.ctx = ctx,
                       .driver = site.driver,
                       .kept = site.compiled.lower.kept,
                       .group = l->group,
                       .standard = &standard,
                       .alone = &alone,
                       .threads = site.threads,
                       .units = elsewhere ? site.device.units : site.threads,
                       .rates = rated ? &rates : NULL,
                       .start = fv_cost_start(site.threads),
                       .limits = {.seconds = CANDIDATE_SECONDS,
                                  .threads = site.threads,
                                  .resident = elsewhere,
                                  .memory = h.available_bytes > 0 ? h.available_bytes / 2 : 0},
                       .best = 1};
    if (!elsewhere) memcpy(job.cache, h.cache, sizeof job.cache);
    fv_tune_foresight *seen = FV_NEWN(ctx, fv_tune_foresight, n);
    bool fine = true, foreseen = fv_tune_foresee(&job, wish, n, seen);
    const char *name = fv_cstr(ctx, l->kernel->name);
    for (int i = 0; i < n && fine; i++) {
        fv_tune_outcome o = {.status = FV_TUNE_DECLINED};
        cli_progress("%s, candidate %d of %d", name, i + 1, n);
        if (foreseen && !seen[i].fits) snprintf(o.reason, sizeof o.reason, "%s", seen[i].reason);
        else fv_tune_try(&job, wish[i], &o);
        cli_progress_done();
        if (o.status != FV_TUNE_STOPPED)
            fine = write_record(ctx, &key, name, text[i], &o, foreseen ? seen[i].seconds : 0);
        bool failed = o.status == FV_TUNE_RUNTIME || o.status == FV_TUNE_COMPILE || o.status == FV_TUNE_TIMEOUT;
        char why[300];
        if (fine && failed && elsewhere && !fv_tune_alive(&job, why, sizeof why)) {
            fv_error(ctx, FV_E_BACKEND, l->loc, "%s does not run by default any more: %s; %d candidates are left", name,
                     why, n - i - 1);
            fine = false;
        }
    }
    standard.plan = NULL;
    fv_compiled_dispose(&standard);
    return fine && fv_error_count(ctx) == 0;
}
