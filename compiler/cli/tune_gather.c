/* What a report of tuning is made of: see tune_report.h. */
#include "cli/tune_report.h"
#include "cli/pattern.h"
#include "tune/group.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PATTERNS = 24, MOST_BLOCKS = 256 };

typedef struct {
    fv_ctx *ctx;
    int n, cap;
    fv_tune_record *list;
} records;
static bool keep(void *user, const fv_tune_record *r) {
    records *x = user;
    fv_tune_record k = *r;
    k.kernel = fv_strdup(x->ctx, r->kernel);
    k.schedule = fv_strdup(x->ctx, r->schedule);
    k.reason = fv_strdup(x->ctx, r->reason);
    k.status = fv_strdup(x->ctx, r->status);
    k.origin = fv_strdup(x->ctx, r->origin);
    k.key = (fv_tune_key){0}; /* that of the report and of the kernel */
    fv_push(x->ctx, x->list, x->n, x->cap, k);
    return true;
}
static const char *schedule_text(fv_ctx *ctx, const fv_launch *l) {
    fv_buf b = {0};
    fv_schedule_print(ctx, fv_launch_schedule(ctx, l), &b);
    const char *text = fv_strdup(ctx, b.text ? b.text : "");
    fv_buf_dispose(&b);
    return text;
}
static const char *tiles_text(fv_ctx *ctx, const fv_launch *l) {
    fv_buf b = {0};
    for (int i = 0; i < l->n_tiles; i++)
        fv_buf_printf(&b, "%s%s: %lld of %lld", i ? ", " : "", fv_cstr(ctx, l->tile[i].axis),
                      (long long)l->tile[i].tile, (long long)l->tile[i].extent);
    const char *text = fv_strdup(ctx, b.text ? b.text : "");
    fv_buf_dispose(&b);
    return text;
}
/* Specs are named by their place under the folder of specs. */
static const char *place_text(fv_ctx *ctx, fv_loc loc) {
    const char *file = fv_cstr(ctx, loc.file);
    size_t skip = strlen(cli_spec_dir());
    if (!strncmp(file, cli_spec_dir(), skip) && file[skip] == '/') file += skip + 1;
    return loc.line ? fv_printf(ctx, "%s:%d", file, loc.line) : "";
}
static bool same(const fv_tune_record *a, const fv_tune_record *b) {
    return !strcmp(a->schedule, b->schedule) && a->unix_time == b->unix_time && a->ratio == b->ratio &&
           a->seconds == b->seconds;
}
static bool add_records(fv_ctx *ctx, fv_tune_db *db, const fv_tune_key *key, cli_tune_kernel *k) {
    records list = {.ctx = ctx};
    fv_tune_record best;
    if (!fv_tune_db_each(db, key, keep, &list)) return false;
    k->record = list.list;
    k->n = list.n;
    k->winner = -1;
    for (int i = 0; i < list.n; i++)
        if (list.list[i].default_seconds > 0) k->plain_seconds = list.list[i].default_seconds;
    if (!fv_tune_db_best(db, key, &best)) return true;
    for (int i = 0; i < k->n; i++)
        if (same(&k->record[i], &best)) k->winner = i;
    if (best.default_seconds > 0) k->plain_seconds = best.default_seconds;
    return true;
}
static const fv_launch *of_group(const fv_plan *p, int group, int *at) {
    for (int i = 0; i < p->n_launches[1]; i++)
        if (p->launch[1][i]->group == group) {
            *at = i;
            return p->launch[1][i];
        }
    return NULL;
}

/* -- Patterns ---- */
typedef struct {
    fv_ctx *ctx;
    const fv_plan *plan;
    cli_tune_report *r;
    cli_pattern_set last;
} drawing;
static const char *caption_of(drawing *d, const cli_pattern_set *p, const cli_block *b, int n, const char *strategy) {
    fv_buf t = {0};
    fv_buf_printf(&t, "%s: keys of %s, query", place_text(d->ctx, p->attend->loc), p->source);
    for (int i = 0; i < p->n_query; i++)
        fv_buf_printf(&t, " %s=%lld", fv_cstr(d->ctx, p->query[i].name), (long long)p->chosen[i]);
    if (strategy) fv_buf_printf(&t, "; computed by %s", strategy);
    int through = 0, skipped = 0;
    for (int i = 0; i < n; i++) through += !b[i].skipped;
    for (int i = 0; i < n; i++) skipped += b[i].skipped;
    if (through) fv_buf_printf(&t, ", which goes through %d block%s of keys", through, through == 1 ? "" : "s");
    if (skipped) fv_buf_printf(&t, " and skips %d", skipped);
    const char *text = fv_strdup(d->ctx, t.text);
    fv_buf_dispose(&t);
    return text;
}
static bool draw(void *user, const cli_pattern_set *p) {
    drawing *d = user;
    if (cli_pattern_equal(&d->last, p)) return true;
    free(d->last.code);
    d->last = *p;
    size_t bytes = sizeof *p->code * (size_t)((p->whole ? p->n_queries : 1) * p->n_keys);
    d->last.code = malloc(bytes + 1);
    if (d->last.code) memcpy(d->last.code, p->code, bytes);
    cli_block b[MOST_BLOCKS];
    const char *strategy = NULL;
    int n = cli_blocks(d->ctx, d->plan, p->attend, p->query, p->chosen, p->n_query, b, MOST_BLOCKS, &strategy);
    fv_buf svg = {0};
    cli_pattern_svg(d->ctx, p, b, n, &svg);
    if (svg.text) {
        d->r->caption[d->r->n_patterns] = caption_of(d, p, b, n, strategy);
        d->r->pattern[d->r->n_patterns++] = fv_strdup(d->ctx, svg.text);
    }
    fv_buf_dispose(&svg);
    return d->r->n_patterns < MOST_PATTERNS;
}

/* -- Kernels ---- */
static bool add_kernels(fv_ctx *ctx, fv_tune_db *db, const fv_plan *p, cli_tune_report *r) {
    fv_tune_key key = r->place;
    r->kernel = FV_NEWN(ctx, cli_tune_kernel, p->n_launches[1] + 1);
    for (int i = 0; i < p->n_launches[1]; i++) {
        const fv_launch *l = p->launch[1][i];
        int at = 0;
        key.group = fv_tune_group_text(ctx, l);
        if (!key.group) continue;
        while (at < r->n && strcmp(r->kernel[at].group, key.group)) at++;
        cli_tune_kernel *k = &r->kernel[at];
        k->times++;
        if (at < r->n) continue;
        r->n++;
        k->group = key.group;
        k->name = fv_cstr(ctx, l->kernel->name);
        k->where = place_text(ctx, l->loc);
        k->launch = i;
        k->flops = l->flops;
        k->plain = schedule_text(ctx, l);
        k->plain_tiles = tiles_text(ctx, l);
        if (!add_records(ctx, db, &key, k)) return false;
        r->records += k->n;
    }
    return true;
}
static void add_costs(fv_ctx *ctx, const fv_compiled *plain, const fv_compiled *tuned, const char *target, int threads,
                      cli_tune_report *r) {
    cli_cost *before = cli_costs(ctx, plain, target, threads, NULL);
    bool *wanted = FV_NEWN(ctx, bool, tuned->plan->n_launches[1] + 1);
    for (int i = 0; i < r->n; i++) {
        cli_tune_kernel *k = &r->kernel[i];
        int at = 0;
        const fv_launch *l = of_group(tuned->plan, plain->plan->launch[1][k->launch]->group, &at);
        if (before) k->plain_cost = before[k->launch];
        if (k->winner < 0 || !l) continue;
        k->tuned = schedule_text(ctx, l);
        k->tuned_tiles = tiles_text(ctx, l);
        wanted[at] = true;
    }
    cli_cost *after = cli_costs(ctx, tuned, target, threads, wanted);
    for (int i = 0; after && i < r->n; i++) {
        int at;
        if (r->kernel[i].tuned && of_group(tuned->plan, plain->plan->launch[1][r->kernel[i].launch]->group, &at))
            r->kernel[i].tuned_cost = after[at];
    }
}
bool cli_tune_gather(fv_ctx *ctx, const cli_args *a, cli_session *s, fv_tune_db *db, const fv_driver_options *o,
                     int threads, cli_tune_report *out) {
    *out = (cli_tune_report){.spec = s->name, .db = fv_tune_db_file(db)};
    fv_compiled plain, tuned;
    fv_driver_options by_default = *o, with = *o;
    by_default.replan = NULL;
    if (!fv_compile_plan(ctx, s->spec.graph, (fv_str){0}, &by_default, &plain)) return false;
    fv_tune_use use = {.db = db, .where = {plain.backend, o->target, o->device, threads}};
    with.replan = fv_tune_replan;
    with.replan_user = &use;
    cli_progress("lowering %s with the records", s->name);
    if (!fv_compile_plan(ctx, s->spec.graph, (fv_str){0}, &with, &tuned)) return false;
    if (!fv_tune_place(ctx, &use.where, plain.target, o->storage, &out->place)) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "backend '%s' has no such device here", plain.backend->name);
        return false;
    }
    if (!add_kernels(ctx, db, plain.plan, out)) return false;
    add_costs(ctx, &plain, &tuned, o->target, threads, out);
    cli_host h;
    cli_host_read(&h);
    memcpy(out->cache, h.cache, sizeof out->cache);
    out->rated = plain.backend->rates && plain.backend->rates(o->target, cli_cache_dir(ctx), h.cache, &out->rates);
    out->pattern = FV_NEWN(ctx, const char *, MOST_PATTERNS);
    out->caption = FV_NEWN(ctx, const char *, MOST_PATTERNS);
    drawing d = {.ctx = ctx, .plan = tuned.plan, .r = out};
    cli_progress("drawing the patterns of %s", s->name);
    bool fine = cli_pattern_each(ctx, a, s, draw, &d);
    cli_progress_done();
    free(d.last.code);
    return fine && fv_error_count(ctx) == 0;
}
double cli_tune_roof(const cli_tune_report *r, const cli_tune_kernel *k) {
    int threads = r->place.threads > 0 ? r->place.threads : 1, level = k->plain_cost.level;
    if (!r->rated || k->flops <= 0 || !k->plain_cost.predicted || k->plain_cost.bytes <= 0) return 0;
    double peak = r->rates.fma * threads;
    double rate = r->rates.read[level] * (level < 3 ? threads : 1); /* levels that threads share serve them together */
    double memory = rate > 0 ? rate * k->flops / k->plain_cost.bytes : peak;
    return memory < peak ? memory : peak;
}
