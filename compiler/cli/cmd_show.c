/* fovea show: a spec at every level, as text; its cost; its pattern. */
#include "cli/cost.h"
#include "cli/live.h"
#include "cli/pattern.h"
#include "cli/tuned.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    fv_ctx *ctx;
    const cli_args *a;
    cli_session *s;
    fv_compiled c;
    int64_t launch;
} show;

static void put(fv_buf *b) {
    if (b->text) fputs(b->text, stdout);
    fv_buf_dispose(b);
}
static void show_graph(show *x) {
    fv_buf b = {0};
    fv_graph_print(x->s->spec.graph, &b);
    put(&b);
}
/* Launches are numbered through prepare and run. */
static const fv_launch *launch_at(const fv_plan *p, int64_t n, int *which, int *i) {
    *which = n >= p->n_launches[0];
    *i = (int)(*which ? n - p->n_launches[0] : n);
    return *i < p->n_launches[*which] ? p->launch[*which][*i] : NULL;
}
static int64_t launches(const fv_plan *p) { return p->n_launches[0] + p->n_launches[1]; }
static void title(const show *x, int64_t n) {
    int w, i;
    const fv_launch *l = launch_at(x->c.plan, n, &w, &i);
    printf("-- launch %lld: %s (%s)", (long long)n, fv_cstr(x->ctx, l->kernel->name), w ? "run" : "prepare");
    if (l->loc.line) printf(", %s:%d", fv_cstr(x->ctx, l->loc.file), l->loc.line);
    printf("\n");
}
/* The launch asked for; or, of every distinct code, the first. */
static bool each(show *x, bool (*fn)(show *, const fv_launch *, int which, int i, void *), void *user) {
    int seen = 0;
    for (int64_t n = 0; n < launches(x->c.plan); n++) {
        int w, i;
        const fv_launch *l = launch_at(x->c.plan, n, &w, &i);
        if (x->launch >= 0 ? n != x->launch : l->code < seen) continue;
        seen = l->code + 1;
        title(x, n);
        if (!fn(x, l, w, i, user)) return false;
    }
    return true;
}
static bool kernel_text(show *x, const fv_launch *l, int w, int i, void *user) {
    fv_buf b = {0};
    (void)x, (void)w, (void)i, (void)user;
    fv_kernel_print(l->kernel, &b);
    put(&b);
    return true;
}
static bool schedule_text(show *x, const fv_launch *l, int w, int i, void *user) {
    fv_buf b = {0};
    (void)w, (void)i, (void)user;
    fv_schedule_print(x->ctx, fv_launch_schedule(x->ctx, l), &b);
    fv_buf_puts(&b, "\n");
    put(&b);
    return true;
}
static bool stage_text(show *x, const fv_launch *l, int w, int i, void *user) {
    fv_buf b = {0};
    const char *stage = user;
    (void)l;
    bool fine = x->c.backend->text && x->c.backend->text(x->c.module, w, i, stage, &b);
    if (!fine && !fv_error_count(x->ctx))
        fv_error(x->ctx, FV_E_BACKEND, (fv_loc){0}, "backend '%s' has no stage '%s'", x->c.backend->name, stage);
    if (b.len && b.text[b.len - 1] != '\n') fv_buf_puts(&b, "\n");
    put(&b);
    return fine;
}
static bool on_unit(const show *x) { return x->c.module && x->c.target && x->c.target->unit; }
static void declined(show *x) {
    for (int i = 0; i < x->c.lower.n_considered; i++) {
        const fv_consideration *k = &x->c.lower.considered[i];
        if (k->loc.line) printf("%s:%d: ", fv_cstr(x->ctx, k->loc.file), k->loc.line);
        printf("%s: %s %s: %s\n", k->node, k->strategy, k->chosen ? "chosen" : "declined", k->reason);
    }
    if (!x->c.lower.n_considered) printf("no choice between strategies was made\n");
    /* what of a kernel is left to items although its shape has a matrix unit */
    if (on_unit(x)) each(x, stage_text, (void *)(uintptr_t)"declined");
}

/* -- Cost ---- */
static void cost(show *x) {
    fv_cost g;
    fv_graph_cost(x->s->spec.graph, &g);
    printf("by definition: %.0f parameters, %.4g multiply-accumulates, %.4g other operations\n", g.params, g.macs,
           g.maps);
    const fv_plan *p = x->c.plan;
    double flops = 0, bytes = 0;
    printf("%-7s %-8s %-18s %12s %12s %9s  %s\n", "launch", "stage", "kernel", "flops", "bytes", "flop/byte", "from");
    for (int64_t n = 0; n < launches(p); n++) {
        int w, i;
        const fv_launch *l = launch_at(p, n, &w, &i);
        printf("%-7lld %-8s %-18s %12.4g %12.4g %9.3g", (long long)n, w ? "run" : "prepare",
               fv_cstr(x->ctx, l->kernel->name), l->flops, l->bytes, l->bytes > 0 ? l->flops / l->bytes : 0);
        if (l->loc.line) printf("  %s:%d", fv_cstr(x->ctx, l->loc.file), l->loc.line);
        printf("\n");
        if (w) {
            flops += l->flops;
            bytes += l->bytes;
        }
    }
    printf("%-7s %-8s %-18s %12.4g %12.4g %9.3g\n", "total", "run", "", flops, bytes, bytes > 0 ? flops / bytes : 0);
    printf("memory: %lld bytes worked in by a run, %lld bytes prepared once per weights\n", (long long)p->arena_bytes,
           (long long)p->prepared_bytes);
    int threads = fovea_threads_available();
    const cli_cost *list = cli_costs(x->ctx, &x->c, cli_value(x->a, "target"), threads, NULL);
    if (list) cli_costs_print(stdout, list, p->n_launches[1], threads);
}

static const char *const stages[] = {"flat", "llvm", "asm", "opencl"};
static bool needs_plan(const cli_args *a) {
    static const char *const names[] = {"plan", "kernel", "schedule", "declined", "cost",
                                        "flat", "llvm",   "asm",      "opencl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cli_flag(a, names[i])) return true;
    return false;
}
static bool show_levels(show *x) {
    const cli_args *a = x->a;
    bool text = cli_flag(a, "flat") || cli_flag(a, "llvm") || cli_flag(a, "asm") || cli_flag(a, "opencl");
    const char *backend = cli_value(a, "backend");
    if (!backend && cli_flag(a, "opencl")) backend = "opencl";
    text |= cli_flag(a, "declined") && backend && !strcmp(backend, "opencl");
    fv_driver_options o = {.backend = backend,
                           .target = cli_target(a, backend),
                           .device = cli_value(a, "device"),
                           .attend_strategy = cli_value(a, "attend"),
                           .storage = x->s->storage,
                           .keep_text = true};
    cli_tuned tuned;
    if (!cli_tuned_open(x->ctx, a, 0, &tuned, &o)) return false;
    if (text) cli_progress("compiling %s", x->s->name);
    bool fine = text ? fv_compile(x->ctx, x->s->spec.graph, (fv_str){0}, &o, &x->c)
                     : fv_compile_plan(x->ctx, x->s->spec.graph, (fv_str){0}, &o, &x->c);
    cli_progress_done();
    cli_tuned_close(&tuned);
    if (!fine && cli_flag(a, "declined")) declined(x);
    if (!fine) return false;
    if (x->launch >= launches(x->c.plan)) {
        fv_error(x->ctx, FV_E_USAGE, (fv_loc){0}, "--launch %lld: the plan has launches 0 to %lld",
                 (long long)x->launch, (long long)launches(x->c.plan) - 1);
        return false;
    }
    if (cli_flag(a, "plan")) {
        fv_buf b = {0};
        fv_plan_print(x->c.plan, &b, false);
        put(&b);
    }
    if (cli_flag(a, "declined")) declined(x);
    if (cli_flag(a, "cost")) cost(x);
    if (cli_flag(a, "schedule")) each(x, schedule_text, NULL);
    if (cli_flag(a, "kernel")) each(x, kernel_text, NULL);
    for (size_t i = 0; i < sizeof stages / sizeof *stages && fine; i++)
        if (cli_flag(a, stages[i])) fine = each(x, stage_text, (void *)(uintptr_t)stages[i]);
    return fine;
}
static int run(fv_ctx *ctx, const cli_args *a) {
    static cli_session s;
    show x = {.ctx = ctx, .a = a, .s = &s, .launch = -1};
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "show takes one spec, %d given; see fovea show --help", a->n_words);
        return CLI_USER;
    }
    const char *strategy;
    bool fine = cli_choice(ctx, a, "attend", cli_strategies, &strategy) && cli_int(ctx, a, "launch", 0, &x.launch) &&
                cli_session_open(ctx, a, a->word[0], &s);
    bool pattern = cli_flag(a, "pattern"), levels = needs_plan(a);
    if (fine && (cli_flag(a, "graph") || (!pattern && !levels))) show_graph(&x);
    if (fine && levels) fine = show_levels(&x);
    if (fine && pattern) fine = cli_pattern(ctx, a, &s);
    fv_compiled_dispose(&x.c);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    {"graph", NULL, "the graph (also without any of these)", CLI_FLAG},
    {"plan", NULL, "tensors in memory and launches in order", CLI_FLAG},
    {"kernel", NULL, "tile programs", CLI_FLAG},
    {"flat", NULL, "loops and vectors", CLI_FLAG},
    {"llvm", NULL, "LLVM IR", CLI_FLAG},
    {"asm", NULL, "assembly of the target", CLI_FLAG},
#ifdef FOVEA_HAVE_OPENCL
    {"opencl", NULL, "OpenCL C (implies --backend opencl)", CLI_FLAG},
#endif
    {"schedule", NULL, "the schedule of every kernel", CLI_FLAG},
    {"declined", NULL, "which strategies were considered, and why they were not taken; what is not on a matrix unit",
     CLI_FLAG},
    {"pattern", NULL, "which keys a query sees, drawn", CLI_FLAG},
    {"cost", NULL, "parameters, operations and bytes, per kernel", CLI_FLAG},
    {"launch", "N", "only launch N of the plan; without: every distinct kernel once", CLI_VALUE},
    {"query", "h=3,w=5", "--pattern: the query drawn; axes not named: their middle", CLI_LIST},
    {"o", "X.png|X.svg", "--pattern: write a picture", CLI_VALUE},
    CLI_BACKEND_OPTION,
    {"target", "NAME", "code for another processor: avx2, sse2, neon, TRIPLE:FEATURES", CLI_VALUE},
    CLI_DEVICE_OPTIONS,
    CLI_TUNED_OPTIONS,
    {"attend", "STRATEGY", "force a strategy of attend: box, offset or expand", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_show = {"show", "show SPEC|BACKBONE[:VARIANT] [--graph|--plan|--kernel|…] [options]",
                              "the text of every level, cost and pattern", options, run};
