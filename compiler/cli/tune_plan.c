/* fovea tune --plan: see tune_plan.h. The candidates are the neighbours of the best schedule known of each kernel (of
 * that of the nearest kernel, or of the default, where none is) that the database has no record of: merged, the records
 * of one plan lead to the next. */
#include "cli/tune_plan.h"
#include "tune/apply.h"
#include "tune/group.h"
#include "tune/space.h"

#include <string.h>

bool cli_tune_site_open(fv_ctx *ctx, const cli_args *a, cli_session *s, cli_tune_site *out) {
    const char *backend = cli_value(a, "backend");
    int64_t threads = 0;
    *out = (cli_tune_site){.driver = {.backend = backend,
                                      .target = cli_target(a, backend),
                                      .device = cli_value(a, "device"),
                                      .cache_dir = cli_cache_dir(ctx),
                                      .storage = s->storage}};
    const fv_backend *b = backend ? fv_backend_find(backend) : fv_backend_default();
    if (b && !fv_tune_meet(ctx, b, out->driver.target, out->driver.device, &out->device)) return false;
    if (!cli_int(ctx, a, "threads", 1, &threads) ||
        !fv_compile_plan(ctx, s->spec.graph, (fv_str){0}, &out->driver, &out->compiled))
        return false;
    out->threads = threads ? (int)threads : fovea_threads_available();
    fv_tune_where where = {out->compiled.backend, out->driver.target, out->driver.device, out->threads};
    if (fv_tune_place(ctx, &where, out->compiled.target, s->storage, &out->place)) return true;
    fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "backend '%s' has no such device here", out->compiled.backend->name);
    return false;
}
const char *cli_tune_kernel_id(fv_ctx *ctx, const char *group) {
    return fv_printf(ctx, "%016llx", (unsigned long long)fv_hash(group, strlen(group), FV_HASH_SEED));
}

/* -- Command lines ---- */
/* As one word of a POSIX shell. */
static void put_word(fv_buf *b, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
    fv_buf_puts(b, " ");
    if (*word && strspn(word, plain) == strlen(word)) {
        fv_buf_puts(b, word);
        return;
    }
    fv_buf_puts(b, "'");
    for (; *word; word++)
        if (*word == '\'') fv_buf_puts(b, "'\\''");
        else fv_buf_putn(b, word, 1);
    fv_buf_puts(b, "'");
}
/* What every line begins with: the spec and the options that say what its kernels are. */
static const char *beginning(fv_ctx *ctx, const cli_args *a, int threads) {
    static const char *const own[] = {"plan", "per-job", "job", "try", "db", "threads", "seed", NULL};
    fv_buf b = {0};
    fv_buf_puts(&b, "fovea tune");
    put_word(&b, a->word[0]);
    for (int i = 0; i < a->n_given; i++) {
        const cli_option *o = a->given[i].option;
        bool passed = true;
        for (int j = 0; own[j]; j++) passed = passed && strcmp(o->name, own[j]);
        if (!passed) continue;
        put_word(&b, fv_printf(ctx, "--%s", o->name));
        if (o->kind != CLI_FLAG) put_word(&b, a->given[i].value);
    }
    fv_buf_printf(&b, " --threads %d --job ", threads);
    const char *text = fv_strdup(ctx, b.text);
    fv_buf_dispose(&b);
    return text;
}

/* -- Candidates ---- */
typedef struct {
    fv_ctx *ctx;
    int n, cap;
    const char **text;
} texts;
static bool keep_schedule(void *user, const fv_tune_record *r) {
    texts *t = user;
    fv_push(t->ctx, t->text, t->n, t->cap, fv_strdup(t->ctx, r->schedule));
    return true;
}
static bool holds(const texts *t, const char *text) {
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->text[i], text)) return true;
    return false;
}
/* A schedule of the database lowered for this kernel, and what it was parsed to; NULL: it does not fit. */
static const fv_launch *lower_with(fv_ctx *ctx, const cli_tune_site *site, const fv_launch *l, const char *text,
                                   const fv_schedule **wish) {
    const fv_launch *found = NULL;
    int before = fv_diag_count(ctx);
    *wish = fv_schedule_parse(ctx, "the tuning record", text);
    const fv_plan *p = *wish ? fv_lower_group(site->compiled.lower.kept, l->group, *wish) : NULL;
    for (int i = 0; p && i < p->n_launches[1]; i++)
        if (p->launch[1][i]->group == l->group) found = p->launch[1][i];
    fv_diag_rewind(ctx, before);
    return found;
}
/* Those without a record among: the fastest schedule of the kernel nearest to this one, if this one has none of its
 * own, and the neighbours of the fastest schedule known. */
static bool candidates(fv_ctx *ctx, fv_tune_db *db, const cli_tune_site *site, const fv_launch *l,
                       const fv_tune_key *key, texts *out) {
    texts known = {.ctx = ctx};
    fv_tune_record best = {0};
    fv_tune_moves moves = {0};
    const fv_schedule *wish, *centre = NULL;
    const fv_launch *at = l, *tuned = NULL;
    *out = (texts){.ctx = ctx};
    if (!fv_tune_db_each(db, key, keep_schedule, &known)) return false;
    bool own = fv_tune_db_best(db, key, &best);
    if (!own && fv_tune_db_nearest(db, key, &best, 1) < 1) best.schedule = NULL;
    if (best.schedule && *best.schedule) tuned = lower_with(ctx, site, l, best.schedule, &wish);
    if (tuned && !own) {
        const char *text = fv_tune_wish_text(ctx, wish);
        if (!holds(&known, text)) fv_push(ctx, out->text, out->n, out->cap, text);
    }
    if (tuned) {
        at = tuned;
        centre = wish;
    }
    fv_tune_moves_of(ctx, at, centre, site->compiled.target, &moves);
    for (int i = 0; i < moves.n; i++) {
        const char *text = fv_tune_wish_text(ctx, moves.wish[i]);
        if (!*text || holds(&known, text) || holds(out, text)) continue;
        fv_push(ctx, out->text, out->n, out->cap, text);
    }
    return fv_error_count(ctx) == 0;
}

static bool print_plan(fv_ctx *ctx, const cli_args *a, cli_session *s) {
    cli_tune_site site;
    int64_t per_job = 8;
    if (!cli_int(ctx, a, "per-job", 1, &per_job) || !cli_tune_site_open(ctx, a, s, &site)) return false;
    fv_tune_db *db = fv_tune_db_open(ctx, cli_value(a, "db"), false);
    if (!db) return false;
    const fv_plan *p = site.compiled.plan;
    const char *head = beginning(ctx, a, site.threads);
    fv_tune_key key = site.place;
    int kernels = 0, lines = 0, all = 0;
    bool fine = true;
    for (int i = 0; i < p->n_launches[1] && fine; i++) {
        const fv_launch *l = p->launch[1][i];
        bool again = false;
        for (int j = 0; j < i; j++) again = again || (p->launch[1][j]->code == l->code && p->launch[1][j]->group >= 0);
        key.group = fv_tune_group_text(ctx, l);
        if (again || !key.group) continue;
        texts c;
        kernels++;
        fine = candidates(ctx, db, &site, l, &key, &c);
        for (int j = 0; fine && j < c.n; j++) {
            fv_buf b = {0};
            if (j % per_job == 0) fv_buf_printf(&b, "%s%s%s", j ? "\n" : "", head, cli_tune_kernel_id(ctx, key.group));
            lines += j % per_job == 0;
            fv_buf_puts(&b, " --try");
            put_word(&b, c.text[j]);
            fputs(b.text, stdout);
            fv_buf_dispose(&b);
        }
        if (fine && c.n) putchar('\n');
        all += fine ? c.n : 0;
    }
    if (fine) cli_say("%d lines with %d candidates of %d kernels, for %s", lines, all, kernels, key.device);
    fv_tune_db_close(db);
    return fine;
}

bool cli_tune_many(fv_ctx *ctx, const cli_args *a, int *code) {
    static cli_session s;
    bool plan = cli_flag(a, "plan"), job = cli_flag(a, "job");
    const char *tries[1];
    if (!plan && !job && !cli_values(a, "try", tries, 1)) return false;
    *code = CLI_USER;
    if (plan == job || a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%s; see fovea tune --help",
                 plan && job       ? "--plan makes jobs and --job is one: give one of them"
                 : a->n_words != 1 ? "--plan and --job take one spec"
                                   : "--try names candidates of a --job");
        return true;
    }
    bool fine = cli_session_open(ctx, a, a->word[0], &s) && (plan ? print_plan(ctx, a, &s) : cli_tune_job(ctx, a, &s));
    cli_session_close(&s);
    *code = fine ? CLI_OK : CLI_USER;
    return true;
}
