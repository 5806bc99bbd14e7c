/* fovea check: the graph and every kernel against their laws, and every backend and strategy against the f64 reference.
 * Invariant: what declines is named with its reason; only a disagreement, a fault or an error makes the exit code 1. */
#include "cli/check_judge.h"
#include "cli/check_levels.h"
#include "cli/live.h"
#include "cli/tuned.h"
#include "kernel/flat.h"
#include "runtime/selftest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SIXTEEN = 1e-2;
enum { INTERPRETED_MOST = 100000000 }; /* operations of a plan that is interpreted to find the level of a fault */

typedef struct {
    double ratio, got, want, error, tolerance, most;
    int output;
    int64_t at, seed;
    bool whole;
} worst;
typedef struct {
    const fv_backend *backend;
    const char *strategy;         /* NULL: the graph has no attend, or it is tuned */
    int tuned;                    /* kernels with schedules of the database */
    const char *declined, *fault; /* both NULL: it takes part; fault: it does not, and should */
    cli_live live;
    worst worst;
    const char *excuse; /* why comparisons were not judged, the last reason */
    int unjudged;
    bool differs, unstable, chosen; /* from the reference; between numbers of threads; by the heuristic */
} variant;
typedef struct {
    fv_ctx *ctx;
    const cli_args *args;
    cli_session s;
    int n;
    variant v[16];
    cli_bound *bound;
    double **want;
    cli_judge judge[2]; /* of this pass, for variants of matrix units too (1); made when something disagrees */
    bool judged[2];     /* judge is made */
    int kernels;
} check;

/* -- What is checked ---- */
static bool has_attend(const fv_graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->op == FV_NODE_ATTEND) return true;
    return false;
}
static int flat_faults(fv_compiled *c, int *kernels) {
    int faults = 0, seen = 0;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < c->plan->n_launches[w]; i++) {
            const fv_launch *l = c->plan->launch[w][i];
            if (l->code < seen) continue; /* codes are dense and in order of first use */
            seen = l->code + 1;
            ++*kernels;
            fv_flat_kernel *f =
                strcmp(c->backend->name, "cpu") ? NULL : fv_flatten_cpu(l->kernel, l->schedule, c->target);
            if (f) faults += fv_flat_verify(f);
        }
    return faults;
}
static const char *why_declined(fv_ctx *ctx, const variant *v) {
    const fv_lower_options *o = &v->live.compiled.lower;
    for (int i = 0; v->strategy && i < o->n_considered; i++)
        if (!o->considered[i].chosen && !strcmp(o->considered[i].strategy, v->strategy)) return o->considered[i].reason;
    return fv_diag_count(ctx) ? fv_strdup(ctx, fv_diag_at(ctx, 0)->text) : "no reason was recorded";
}
static const char *diagnosis(fv_ctx *ctx) {
    const fv_diag *d = fv_diag_count(ctx) ? fv_diag_at(ctx, 0) : NULL;
    if (!d) return "no reason was recorded";
    return d->loc.line
               ? fv_printf(ctx, "E%04d at %s:%d: %s", (int)d->code, fv_cstr(ctx, d->loc.file), d->loc.line, d->text)
               : fv_printf(ctx, "E%04d: %s", (int)d->code, d->text);
}
static bool refused(fv_ctx *ctx) {
    int n = fv_diag_count(ctx);
    for (int i = 0; i < n; i++) {
        const fv_diag *d = fv_diag_at(ctx, i);
        if (!d->is_note && d->code != FV_E_NOT_LOWERED && d->code != FV_E_DECLINED) return false;
    }
    return n > 0;
}
static const char *target_of(const check *k, const fv_backend *b) { return cli_target(k->args, b->name); }
static void prepare(check *k, const fv_backend *b, const char *strategy) {
    if (k->n == (int)(sizeof k->v / sizeof *k->v)) return;
    variant *v = &k->v[k->n++];
    *v = (variant){.backend = b, .strategy = strategy};
    fv_buf why = {0};
    if (b->available && !b->available(&why)) v->declined = fv_strdup(k->ctx, why.len ? why.text : "not here");
    fv_buf_dispose(&why);
    if (v->declined) return;
    fv_driver_options o = {.backend = b->name,
                           .target = target_of(k, b),
                           .cache_dir = cli_cache_dir(k->ctx),
                           .device = cli_value(k->args, "device"),
                           .attend_strategy = strategy,
                           .storage = k->s.storage,
                           .verify = true};
    cli_tuned tuned;
    bool opened = cli_tuned_open(k->ctx, k->args, 0, &tuned, &o);
    cli_progress("compiling for %s%s%s", b->name, strategy ? ", " : "", strategy ? strategy : "");
    if (!opened || !fv_compile(k->ctx, k->s.spec.graph, (fv_str){0}, &o, &v->live.compiled)) {
        if (opened && refused(k->ctx)) v->declined = why_declined(k->ctx, v);
        else v->fault = diagnosis(k->ctx);
    } else if (flat_faults(&v->live.compiled, &k->kernels)) v->fault = diagnosis(k->ctx);
    v->tuned = tuned.use.tuned;
    cli_tuned_close(&tuned);
    fv_diag_clear(k->ctx);
}
/* With the schedules of the database, if it has any of these kernels. */
static void prepare_tuned(check *k, const fv_backend *b) {
    fv_driver_options o = {
        .backend = b->name, .target = target_of(k, b), .device = cli_value(k->args, "device"), .storage = k->s.storage};
    fv_compiled c;
    cli_tuned tuned;
    bool some = cli_tuned_open(k->ctx, k->args, 0, &tuned, &o) && o.replan &&
                fv_compile_plan(k->ctx, k->s.spec.graph, (fv_str){0}, &o, &c) && tuned.use.tuned;
    fv_diag_clear(k->ctx);
    cli_tuned_close(&tuned);
    if (some) prepare(k, b, NULL);
}
static void mark_chosen(check *k, const fv_backend *b) {
    fv_driver_options o = {
        .backend = b->name, .target = target_of(k, b), .device = cli_value(k->args, "device"), .storage = k->s.storage};
    fv_compiled c;
    if (fv_compile_plan(k->ctx, k->s.spec.graph, (fv_str){0}, &o, &c))
        for (int i = 0; i < c.lower.n_considered; i++)
            for (int j = 0; c.lower.considered[i].chosen && j < k->n; j++)
                if (k->v[j].backend == b && k->v[j].strategy &&
                    !strcmp(k->v[j].strategy, c.lower.considered[i].strategy))
                    k->v[j].chosen = true;
    fv_diag_clear(k->ctx);
    fv_compiled_dispose(&c);
}
static void prepare_all(check *k) {
    const char *only = cli_value(k->args, "backend");
    for (int b = 0; fv_backends[b]; b++) {
        if (only && strcmp(only, fv_backends[b]->name) != 0) continue;
        if (!has_attend(k->s.spec.graph)) {
            prepare(k, fv_backends[b], NULL);
            continue;
        }
        for (int i = 0; cli_strategies[i]; i++) prepare(k, fv_backends[b], cli_strategies[i]);
        mark_chosen(k, fv_backends[b]);
        prepare_tuned(k, fv_backends[b]);
    }
}

/* -- One pass over all of them ---- */
/* Operands of a matrix unit are rounded on their way to it, as if they were stored so. */
static bool on_unit(const variant *v) { return v->live.compiled.target && v->live.compiled.target->unit; }
static fv_type rounded(const check *k, const variant *v) {
    return k->s.storage == FV_F32 && on_unit(v) ? FV_BF16 : k->s.storage;
}
/* In 16-bit storage: at most SIXTEEN of the largest element, however long the path. */
static double allowed(const check *k, int output, fv_type storage, double most) {
    const cli_bound *b = &k->bound[output];
    double t = cli_tolerance(b, storage, most), f32 = cli_tolerance(b, FV_F32, most);
    return storage == FV_F32 ? f32 : fmax(f32, fmin(t, SIXTEEN * most));
}
/* The worst element of one output in this pass. */
static worst worst_of(const check *k, const variant *v, int output, bool *finite) {
    const fv_output *o = &k->s.spec.graph->output[output];
    int32_t at = fovea_model_output_index(v->live.model, fv_cstr(k->ctx, o->name));
    int64_t shape[FV_MAX_AXES], n = cli_output_shape(o, shape);
    const double *want = k->want[output];
    bool real = fv_type_is_float(o->value->obj.type),
         exact = k->s.whole_numbers && cli_exact(&k->bound[output], rounded(k, v));
    double most = 0;
    *finite = n == 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(want[i])) {
            most = fmax(most, fabs(want[i]));
            *finite = true;
        }
    double tolerance = real && !exact ? allowed(k, output, rounded(k, v), most) : 0;
    worst w = {.seed = -1};
    for (int64_t i = 0; at >= 0 && i < n; i++) {
        double got = fovea_element(v->live.out[at].data, v->live.output[at]->dtype, i), error = fabs(got - want[i]);
        if (got == want[i] || (isnan(got) && isnan(want[i]))) error = 0;
        else if (isnan(error)) error = INFINITY;
        double ratio = error == 0 ? 0 : tolerance > 0 ? error / tolerance : INFINITY;
        if (ratio > w.ratio || w.seed < 0)
            w = (worst){ratio, got, want[i], error, tolerance, most, output, i, k->s.seed, k->s.whole_numbers};
    }
    return w;
}
/* Why what disagrees is not judged; NULL: it is. Whole numbers that must be exact always are. */
static const char *excuse(check *k, const variant *v, const worst *w) {
    const cli_bound *b = &k->bound[w->output];
    fv_type storage = rounded(k, v), was = k->s.storage;
    int which = storage != was;
    if (w->ratio <= 1 || (w->whole && cli_exact(b, storage))) return NULL;
    k->s.storage = storage;
    k->judged[which] = k->judged[which] || cli_judge_run(k->ctx, &k->s, &k->judge[which]);
    k->s.storage = was;
    if (!k->judged[which]) {
        fv_diag_clear(k->ctx);
        return NULL;
    }
    return cli_judge_excuse(k->ctx, &k->judge[which], w->output, b, storage, w->error, w->tolerance);
}
static void compare(check *k, variant *v, int output) {
    bool finite;
    worst w = worst_of(k, v, output, &finite);
    const char *why = finite ? excuse(k, v, &w) : "the reference's answer has no finite number";
    if (why) {
        v->excuse = why;
        v->unjudged++;
        return;
    }
    if (w.ratio > 1) v->differs = true;
    if (w.seed >= 0 && (w.ratio > v->worst.ratio || v->worst.seed < 0)) v->worst = w;
}
/* With one thread, poisoned memory and guards; then with two threads, whose bits must be the same. Devices: once with
 * poisoned memory, once without. */
static bool run_variant(check *k, variant *v) {
    cli_live *l = &v->live;
    fovea_options one = {.threads = 1, .check = true}, two = {.threads = 2};
    if (!cli_live_load(k->ctx, &k->s, &one, false, l) || !cli_live_run(k->ctx, l)) return false;
    for (int o = 0; o < k->s.spec.graph->n_outputs; o++) compare(k, v, o);
    void *first[CLI_MAX_OUTPUTS];
    int n = l->n_out;
    for (int i = 0; i < n; i++) {
        first[i] = l->out[i].data;
        l->out[i].data = NULL;
    }
    cli_live_unload(l);
    bool fine = cli_live_load(k->ctx, &k->s, &two, false, l) && cli_live_run(k->ctx, l);
    for (int i = 0; i < n; i++) {
        if (fine && memcmp(first[i], l->out[i].data, (size_t)l->output[i]->bytes) != 0) v->unstable = true;
        free(first[i]);
    }
    cli_live_unload(l);
    return fine;
}
/* FOVEA_CHECK_SPOIL=X: the middle element of the first output is asked to be X tolerances away from what it is, so that
 * one can see check notice it. */
static void spoil(check *k) {
    const char *x = getenv("FOVEA_CHECK_SPOIL");
    int64_t shape[FV_MAX_AXES], n = cli_output_shape(&k->s.spec.graph->output[0], shape);
    double most = 0;
    for (int64_t i = 0; x && i < n; i++) most = fmax(most, fabs(k->want[0][i]));
    fv_type storage = k->s.storage; /* the loosest that is compared */
    for (int i = 0; i < k->n; i++)
        if (rounded(k, &k->v[i]) != FV_F32) storage = rounded(k, &k->v[i]);
    if (x && n) k->want[0][n / 2] += atof(x) * allowed(k, 0, storage, most);
}
static bool pass(check *k, int64_t seed, bool whole) {
    fv_graph *g = k->s.spec.graph;
    k->s.seed = seed;
    k->s.whole_numbers = whole;
    k->judged[0] = k->judged[1] = false;
    cli_session_forget(&k->s);
    for (int o = 0; o < g->n_outputs; o++) k->want[o] = NULL;
    bool fine = cli_reference(k->ctx, &k->s, k->want);
    if (fine) spoil(k);
    for (int i = 0; i < k->n && fine; i++) {
        if (k->v[i].declined || k->v[i].fault) continue;
        cli_progress("running %s, seed %lld", k->v[i].strategy ? k->v[i].strategy : k->v[i].backend->name,
                     (long long)seed);
        fine = run_variant(k, &k->v[i]);
    }
    for (int o = 0; o < g->n_outputs; o++) free(k->want[o]);
    return fine;
}

/* -- The report ---- */
static const char *place(const check *k, const worst *w) {
    const fv_output *o = &k->s.spec.graph->output[w->output];
    int64_t shape[FV_MAX_AXES], at = w->at, in[FV_MAX_AXES] = {0};
    cli_output_shape(o, shape);
    fv_buf b = {0};
    for (int d = o->stored.rank - 1; d >= 0; d--) {
        int64_t i = at % shape[d];
        at /= shape[d];
        for (int j = o->stored.dim[d].n - 1; j >= 0; j--) {
            int64_t e = o->value->axis[o->stored.dim[d].axis[j]].extent;
            in[o->stored.dim[d].axis[j]] = i % e;
            i /= e;
        }
    }
    fv_buf_printf(&b, "%s[", fv_cstr(k->ctx, o->name));
    for (int a = 0; a < o->value->obj.rank; a++)
        fv_buf_printf(&b, "%s%s=%lld", a ? " " : "", fv_cstr(k->ctx, o->value->axis[a].name), (long long)in[a]);
    fv_buf_puts(&b, "]");
    const char *text = fv_strdup(k->ctx, b.text);
    fv_buf_dispose(&b);
    return text;
}
/* The interpreters say whether the tile program is wrong already, or what was made of it. */
static bool interpret(check *k, variant *v, cli_executor by, double *out) {
    const worst *w = &v->worst;
    double **got = FV_NEWN(k->ctx, double *, k->s.spec.graph->n_outputs + 1);
    bool fine = cli_plan_outputs(k->ctx, &k->s, &v->live.compiled, by, got);
    if (fine) *out = got[w->output][w->at];
    for (int o = 0; fine && o < k->s.spec.graph->n_outputs; o++) free(got[o]);
    return fine;
}
static void level(check *k, variant *v) {
    const worst *w = &v->worst;
    double tile, flat;
    if (!v->differs || strcmp(v->backend->name, "cpu") != 0) return;
    if (cli_plan_work(v->live.compiled.plan) > INTERPRETED_MOST) {
        printf("  %-24s too large to interpret: a smaller --shape would say which level is wrong\n", "");
        return;
    }
    k->s.seed = w->seed;
    k->s.whole_numbers = w->whole;
    cli_session_forget(&k->s);
    cli_progress("interpreting the kernels");
    bool fine = interpret(k, v, CLI_BY_TILE, &tile) && interpret(k, v, CLI_BY_FLAT, &flat);
    cli_progress_done();
    if (fine) {
        bool up = fabs(tile - w->want) > fabs(tile - w->got), down = fabs(flat - w->want) > fabs(flat - w->got);
        printf("  %-24s interpreted: tile program %.9g, flat program %.9g: the fault is in %s\n", "", tile, flat,
               up     ? "lowering (or the reference)"
               : down ? "flattening"
                      : "the code generator");
    } else printf("  %-24s interpreting failed: %s\n", "", diagnosis(k->ctx));
    fv_diag_clear(k->ctx);
}
static bool report(check *k) {
    bool fine = true;
    for (int i = 0; i < k->n; i++) {
        variant *v = &k->v[i];
        char name[96];
        const char *target = v->live.compiled.target ? v->live.compiled.target->name : v->backend->name;
        bool same = !strcmp(target, v->backend->name);
        snprintf(name, sizeof name, "%s%s%s%s%s%s", v->backend->name, same ? "" : " ", same ? "" : target,
                 v->strategy ? ", " : "", v->strategy ? v->strategy : "", v->tuned ? ", tuned" : "");
        if (v->declined) {
            printf("  %-24s declined: %s\n", name, v->declined);
            continue;
        }
        if (v->fault) {
            printf("  %-24s FAULT: %s\n", name, v->fault);
            fine = false;
            continue;
        }
        bool bad = v->differs || v->unstable;
        fine = fine && !bad;
        const worst *w = &v->worst;
        printf("  %-24s %s%s", name,
               bad                          ? "DISAGREES"
               : w->seed < 0 && v->unjudged ? "not judged"
                                            : "agrees",
               v->chosen ? " (what compile would take)" : "");
        if (w->seed >= 0)
            printf("\n  %-24s worst %s: got %.9g, want %.9g, error %.3g of %.3g allowed%s (seed %lld)", "", place(k, w),
                   w->got, w->want, w->error, w->tolerance, w->whole ? ", whole numbers" : "", (long long)w->seed);
        if (w->seed >= 0 && rounded(k, v) != FV_F32 && w->most > 0)
            printf("\n  %-24s %s: error %.2g of the largest element", "", fv_type_name(rounded(k, v)),
                   w->error / w->most);
        printf("\n");
        if (v->unjudged)
            printf("  %-24s %d comparison%s not judged: %s\n", "", v->unjudged, v->unjudged == 1 ? "" : "s", v->excuse);
        level(k, v);
        if (v->unstable) printf("  %-24s one and two threads give different bits\n", "");
    }
    return fine;
}

static int run(fv_ctx *ctx, const cli_args *a) {
    static check k;
    k.ctx = ctx;
    k.args = a;
    int64_t rounds = 2;
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "check takes one spec, %d given; see fovea check --help", a->n_words);
        return CLI_USER;
    }
    const char *only = cli_value(a, "backend");
    if (only && (!fv_backend_find(only) || !strcmp(only, "reference"))) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "there is no backend '%s' to compare with the reference", only);
        return CLI_USER;
    }
    bool fine = cli_int(ctx, a, "rounds", 1, &rounds) && cli_session_open(ctx, a, a->word[0], &k.s) &&
                fv_graph_verify(k.s.spec.graph) == 0;
    cli_tuned tuned;
    fine = fine && cli_tuned_open(ctx, a, 0, &tuned, &(fv_driver_options){0});
    if (fine) cli_tuned_close(&tuned);
    if (fine) prepare_all(&k);
    bool given = k.s.n_inputs > 0, agrees = false;
    int taking_part = 0;
    for (int i = 0; i < k.n; i++) {
        taking_part += !k.v[i].declined && !k.v[i].fault;
        k.v[i].worst.seed = -1;
    }
    if (fine) {
        const fv_graph *g = k.s.spec.graph;
        int64_t first = k.s.seed;
        k.bound = FV_NEWN(ctx, cli_bound, g->n_outputs + 1);
        k.want = FV_NEWN(ctx, double *, g->n_outputs + 1);
        cli_bounds(g, k.bound);
        int exact = 0;
        for (int o = 0; o < g->n_outputs; o++) exact += k.bound[o].exact;
        for (int64_t r = 0; r < (given ? 1 : rounds) && fine && taking_part; r++) fine = pass(&k, first + r, false);
        if (fine && !given && taking_part) fine = pass(&k, first, true);
        cli_progress_done();
        printf("%s: graph of %d nodes and %d kernels verified; %lld random pass%s%s\n", k.s.name, g->n_nodes, k.kernels,
               (long long)(given ? 1 : rounds), given || rounds == 1 ? "" : "es",
               given                   ? ""
               : exact == g->n_outputs ? ", one of whole numbers that must be exact"
               : exact                 ? ", one of whole numbers (some outputs must be exact)"
                                       : ", one of whole numbers");
        agrees = report(&k);
        if (!taking_part && agrees)
            fv_error(ctx, FV_E_DECLINED, (fv_loc){0}, "nothing could be compared: no backend takes this spec");
    }
    for (int i = 0; i < k.n; i++) cli_live_close(&k.v[i].live);
    cli_session_close(&k.s);
    return fine && agrees && taking_part ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    {"backend", "NAME", "check this one alone, of fovea devices (default: every backend)", CLI_VALUE},
    {"rounds", "N", "passes with random numbers, of seeds S, S + 1 … (default 2)", CLI_VALUE},
    CLI_TARGET_OPTION,
    CLI_DEVICE_OPTIONS,
    CLI_TUNED_OPTIONS,
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_check = {"check", "check SPEC|BACKBONE[:VARIANT] [options]",
                               "compare every backend and strategy with the exact reference", options, run};
