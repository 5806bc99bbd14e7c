/* What a child does with a candidate: see child.h. */
#define _DEFAULT_SOURCE
#include "tune/child_inside.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Samples are at least this long; a first look decides whether a candidate is worth a close one. The close look counts
 * alone, so that it is not the luckiest of many looks that wins. */
static const double SAMPLE = 300e-6, STOLEN = 0.9, EARLY = 1.15, WORTH = 0.995, LOOK_SECONDS = 0.6;
enum { FIRST_LOOK = 7, FEWEST_PAIRS = 11, MOST_PAIRS = 31, TRIES = 3 };

static void say(fv_tune_outcome *o, fv_tune_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(fv_tune_outcome *o, fv_tune_status status, const char *fmt, ...) {
    va_list ap;
    o->status = status;
    va_start(ap, fmt);
    vsnprintf(o->reason, sizeof o->reason, fmt, ap);
    va_end(ap);
}
static const char *first_error(const fv_ctx *c, int mark) {
    for (int i = mark; i < fv_diag_count(c); i++)
        if (!fv_diag_at(c, i)->is_note) return fv_diag_at(c, i)->text;
    return "no reason was given";
}

/* -- Lowering ------------------------------------------------------------------------------------------------------ */
static bool same_arrays(const fv_tune_alone *a, const fv_tune_alone *b) {
    for (int i = 0; i < a->plan->n_tensors; i++) {
        const fv_plan_tensor *x = a->plan->tensor[i];
        bool found = x->kind != FV_MEM_INPUT && x->kind != FV_MEM_OUTPUT;
        for (int j = 0; !found && j < b->plan->n_tensors; j++) {
            const fv_plan_tensor *y = b->plan->tensor[j];
            found = y->kind == x->kind && y->type == x->type && y->bytes == x->bytes &&
                    (x->kind == FV_MEM_OUTPUT || a->whole[i] == b->whole[j]);
        }
        if (!found) return false;
    }
    return true;
}
static bool wishes_nests(const fv_schedule *w) {
    for (int i = 0; w && i < w->n; i++)
        if (w->entry[i].field == FV_F_NEST && w->entry[i].n) return true;
    return false;
}
/* The plan of the one kernel under this wish. NULL: it fits; else why not. */
static const char *lower(const fv_tune_job *job, const fv_schedule *wish, fv_compiled *c, fv_tune_alone *alone) {
    int mark = fv_diag_count(job->ctx);
    const fv_plan *p = fv_lower_group(job->kept, job->group, wish);
    if (!p) return first_error(job->ctx, mark);
    if (!fv_tune_take_alone(job->ctx, p, job->group, alone)) return "the kernel is gone";
    *c = (fv_compiled){.backend = job->standard->backend, .target = job->standard->target};
    if (!same_arrays(job->alone, alone) || !same_arrays(alone, job->alone)) return "its tensors lie differently";
    c->plan = alone->plan;
    /* Nests that do not fit are left out where nobody asked for them; these were asked for. */
    if (wishes_nests(wish) && !c->target->items &&
        !fv_flatten_cpu(alone->launch->kernel, alone->launch->schedule, c->target))
        return first_error(job->ctx, mark);
    return NULL;
}

/* -- Foreseeing ---------------------------------------------------------------------------------------------------- */
/* Of a backend with a flattening of its own many fields change nothing: what is compiled tells. */
static void hash_code(fv_ctx *ctx, const fv_backend *b, const fv_launch *l, const fv_flat_kernel *k, uint64_t *io) {
    fv_buf text = {0};
    if (b->flatten) fv_flat_print(k, &text);
    else fv_buf_puts(&text, fv_launch_key(ctx, l));
    *io = fv_hash(text.text, text.len, *io);
    fv_buf_dispose(&text);
}
/* Of a device whose rates are not known: what orders candidates until their times do. A function is some operations,
 * a word moved is one; the last round of programs leaves units idle, and the last items of a group their neighbours. */
static double work_of(const fv_tune_job *job, const fv_flat_kernel *k, int lanes) {
    enum { FUNCTION = 8, NEIGHBOURS = 32 };
    fv_counts c;
    if (!k || !fv_cost_count(k, lanes, NULL, &c)) return 0;
    double work = c.products + c.other + FUNCTION * c.functions + c.moved / 4;
    int64_t units = job->units > 0 ? job->units : 1, rounds = (k->programs + units - 1) / units;
    if (k->programs > 0) work *= (double)(rounds * units) / (double)k->programs;
    int64_t items = k->group_size, filled = (items + NEIGHBOURS - 1) / NEIGHBOURS * NEIGHBOURS;
    return items > 0 ? work * (double)filled / (double)items : work;
}
static void foresee(const fv_tune_job *job, const fv_schedule *wish, fv_tune_foresight *f) {
    fv_compiled c;
    fv_tune_alone a;
    const char *why = lower(job, wish, &c, &a);
    if (why) {
        snprintf(f->reason, sizeof f->reason, "%s", why);
        return;
    }
    double seconds = 0;
    f->code = FV_HASH_SEED;
    for (int i = 0; i < a.plan->n_launches[1]; i++) {
        const fv_launch *l = a.plan->launch[1][i];
        const fv_flat_kernel *k = c.backend->flatten ? c.backend->flatten(job->ctx, l, c.target, job->driver.device)
                                                     : fv_flatten_chosen(l->kernel, l->schedule, c.target);
        if (!k) {
            snprintf(f->reason, sizeof f->reason, "%s", first_error(job->ctx, 0));
            return;
        }
        hash_code(job->ctx, c.backend, l, k, &f->code);
        if (c.backend->flatten)
            f->work += work_of(job, c.backend->unexpanded(l->kernel, l->schedule, c.target), c.target->lanes);
        fv_counts counts;
        fv_prediction p;
        fv_traffic t;
        bool known = job->rates && seconds >= 0 && fv_cost_count(k, c.target->lanes, job->cache, &counts);
        if (known) fv_cost_traffic(&counts, fv_cost_held(job->ctx, a.plan, 1, i, job->cache), &t);
        if (known && fv_cost_predict(&counts, &t, job->rates, job->threads, job->start, &p)) seconds += p.seconds;
        else seconds = -1;
        if (l != a.launch) continue;
        f->scratch_bytes = k->scratch_bytes;
        f->programs = k->programs;
    }
    f->seconds = seconds > 0 ? seconds : 0;
    f->fits = true;
    *f->reason = 0;
}
void tune_foresee_body(void *user) {
    tune_foresight *t = user;
    const fv_tune_job *job = t->job;
    while (t->next < t->n) {
        fv_diag_clear(job->ctx);
        foresee(job, t->wish[t->next], &t->of[t->next]);
        t->next++;
    }
}

/* -- Trying -------------------------------------------------------------------------------------------------------- */
static bool broke(fv_tune_outcome *o, const fovea_error *e) {
    say(o, e->status == FOVEA_E_MEMORY ? FV_TUNE_MEMORY : FV_TUNE_RUNTIME, "%s", e->text);
    return false;
}
static void suffer(const char *fault) { /* for tests */
    if (!fault) return;
    if (!strcmp(fault, "crash")) abort();
    if (!strcmp(fault, "memory")) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    while (!strcmp(fault, "hang")) pause();
}
/* Both on the same numbers; and on whole numbers, where sums are exact in any order. */
static bool agree(const fv_tune_job *job, fv_tune_trial *got, fv_tune_trial *want, fv_tune_outcome *o) {
    const fv_tune_alone *a = got->alone, *b = want->alone;
    double unit = job->driver.storage == FV_F16 ? 0x1p-11 : 0x1p-8;
    double factor = 4 * (a->length + b->length) * 0x1p-24 + 4 * (a->stored + b->stored) * unit;
    for (int whole = 1; whole >= 0; whole--) { /* last: numbers to be timed on */
        fovea_error e;
        char text[300];
        if (whole && !(a->exact && b->exact)) continue;
        if (!fv_tune_trial_fill(got, whole, &e) || !fv_tune_trial_fill(want, whole, &e) ||
            !fv_tune_trial_run(got, &e) || !fv_tune_trial_run(want, &e))
            return broke(o, &e);
        if (job->fault && !strcmp(job->fault, "wrong")) fv_tune_trial_spoil(got);
        const char *why = fv_tune_trial_differs(got, want, whole ? 0 : factor, text, sizeof text);
        if (!why) continue;
        say(o, FV_TUNE_WRONG, "%s%s", whole ? "on whole numbers, " : "", why);
        return false;
    }
    return true;
}

typedef struct {
    fv_tune_trial *got, *want;
    int runs_got, runs_want;
    int taken, dropped;
} timing;
/* One pair, in turn: the one first that was last before. Samples during which the processor was taken away are taken
 * again. */
static bool pair(timing *t, fv_tune_pairs *p, fovea_error *e) {
    for (int attempt = 0; attempt < TRIES; attempt++) {
        double stolen[2], seconds[2];
        for (int i = 0; i < 2; i++) {
            bool candidate = (i + p->n) % 2;
            if (!fv_tune_trial_time(candidate ? t->got : t->want, candidate ? t->runs_got : t->runs_want,
                                    &seconds[candidate], &stolen[candidate], e))
                return false;
        }
        t->taken++;
        bool quiet = stolen[0] < STOLEN && stolen[1] < STOLEN;
        if (!quiet && attempt + 1 < TRIES) {
            t->dropped++;
            continue;
        }
        if (!quiet) t->dropped++;
        p->candidate[p->n] = seconds[1];
        p->standard[p->n++] = seconds[0];
        return true;
    }
    return true;
}
static int runs_of(double seconds) {
    double n = seconds > 0 ? SAMPLE / seconds : 1;
    return n < 1 ? 1 : n > 200 ? 200 : (int)n;
}
static bool compare_times(const fv_tune_job *job, fv_tune_trial *got, fv_tune_trial *want, fv_tune_outcome *o) {
    timing t = {got, want, 1, 1, 0, 0};
    fovea_error e;
    fv_tune_pairs p = {0};
    fv_tune_summary s;
    for (int i = 0; i < 2; i++) /* the first pair warms up, the second sets the length of samples */
        if (!pair(&t, (p.n = 0, &p), &e)) return broke(o, &e);
    t.runs_got = runs_of(p.candidate[0]);
    t.runs_want = runs_of(p.standard[0]);
    t.taken = t.dropped = 0;
    for (p.n = 0; p.n < FIRST_LOOK;) {
        if (!pair(&t, &p, &e)) return broke(o, &e);
        s = fv_tune_summarise(&p);
        if (p.n >= 2 && s.low > EARLY) break;
    }
    bool close = s.ratio < WORTH * job->best;
    double n = LOOK_SECONDS / (s.candidate + s.standard);
    int pairs = n > MOST_PAIRS ? MOST_PAIRS : n < FEWEST_PAIRS ? FEWEST_PAIRS : (int)n;
    if (close) {
        for (p.n = 0; p.n < pairs;)
            if (!pair(&t, &p, &e)) return broke(o, &e);
        s = fv_tune_summarise(&p);
    }
    *o = (fv_tune_outcome){.status = FV_TUNE_CORRECT,
                           .seconds = s.candidate,
                           .seconds_min = s.candidate_min,
                           .default_seconds = s.standard,
                           .ratio = close && s.high < 1 ? s.ratio : fmax(1, s.ratio),
                           .noise = s.spread,
                           .stolen = t.taken ? (double)t.dropped / t.taken : 0,
                           .pairs = s.kept};
    return true;
}
static bool compile(const fv_tune_job *job, fv_compiled *c, fv_tune_outcome *o) {
    int mark = fv_diag_count(job->ctx);
    if (fv_compile_code(job->ctx, "tune", &job->driver, c)) return true;
    say(o, FV_TUNE_COMPILE, "%s", first_error(job->ctx, mark));
    return false;
}
void tune_alive_body(void *user) {
    tune_report *r = user;
    const fv_tune_job *job = r->job;
    fv_tune_outcome *o = &r->outcome;
    fv_compiled standard = *job->standard;
    fv_tune_trial t = {0};
    fovea_error e;
    if ((standard.module || compile(job, &standard, o)) &&
        (!fv_tune_trial_open(&t, &standard, job->alone, job->threads, &e) || !fv_tune_trial_fill(&t, false, &e) ||
         !fv_tune_trial_run(&t, &e)))
        broke(o, &e);
    r->done = true;
}
void tune_try_body(void *user) {
    tune_report *r = user;
    const fv_tune_job *job = r->job;
    fv_tune_outcome *o = &r->outcome;
    fv_compiled c, standard = *job->standard;
    fv_tune_alone a;
    fv_tune_trial got = {0}, want = {0};
    fovea_error e;
    const char *why = lower(job, r->wish, &c, &a);
    if (why) say(o, FV_TUNE_DECLINED, "%s", why);
    else {
        fv_tune_job own = *job;
        own.driver.cache_dir = r->wish ? NULL : job->driver.cache_dir; /* most candidates are never used again */
        r->phase = TUNE_COMPILES;
        bool fine = (standard.module || compile(job, &standard, o)) && compile(&own, &c, o);
        r->phase = TUNE_RUNS;
        if (fine) suffer(job->fault);
        if (fine && (!fv_tune_trial_open(&want, &standard, job->alone, job->threads, &e) ||
                     !fv_tune_trial_open(&got, &c, &a, job->threads, &e)))
            fine = broke(o, &e);
        fine = fine && agree(job, &got, &want, o);
        r->phase = TUNE_TIMES;
        if (fine) compare_times(job, &got, &want, o);
    }
    r->done = true; /* memory goes with the process */
}
