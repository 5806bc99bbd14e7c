/* Random graphs through the whole pipeline, each in a process of its own: fuzz_graphs [--from S] [--count N] [--seconds
 * T] [--quick 1: no compiled code, 2: no flat interpreter] [--backend NAME: these variants (graph_case.h); before
 * --show] [--show S | --plan S]. Prints every failing seed; exit code 1 if there is one. Invariant: a seed says
 * everything: the graph, its numbers and the variants that are tried. */
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/graph_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The graph, and with `plan` its plan of kernels for the host. */
static int show(uint64_t seed, const char *variants, bool plan) {
    fv_ctx *ctx = fv_ctx_new();
    fv_buf b = {0};
    fv_graph *g = fv_graph_case_make(ctx, seed, variants);
    if (g) fv_graph_print(g, &b);
    fv_compiled c = {0};
    fv_driver_options o = {.attend_strategy = getenv("FOVEA_ATTEND"), .target = getenv("FOVEA_TARGET")};
    if (g && plan && fv_compile_plan(ctx, g, (fv_str){0}, &o, &c)) fv_plan_print(c.plan, &b, true);
    fv_diag_render(ctx, &b);
    fv_compiled_dispose(&c);
    if (b.text) fputs(b.text, stdout);
    fv_buf_dispose(&b);
    fv_ctx_dispose(ctx);
    return g ? 0 : 1;
}

int main(int argc, char **argv) {
    long long from = 0, count = 1000, quick = 0;
    double seconds = 1e9, begin = fv_now();
    const char *backend = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--from")) from = atoll(argv[i + 1]);
        else if (!strcmp(argv[i], "--count")) count = atoll(argv[i + 1]);
        else if (!strcmp(argv[i], "--seconds")) {
            seconds = atof(argv[i + 1]);
            count = 1LL << 40;
        } else if (!strcmp(argv[i], "--backend")) backend = argv[i + 1];
        else if (!strcmp(argv[i], "--quick")) quick = atoll(argv[i + 1]);
        else if (!strcmp(argv[i], "--show") || !strcmp(argv[i], "--plan"))
            return show((uint64_t)atoll(argv[i + 1]), backend, argv[i][2] == 'p');
    }
    fv_buf why = {0};
    if (backend && !fv_graph_case_runs(backend, &why)) {
        printf("graphs on %s: SKIPPED: %s\n", backend, why.text ? why.text : "it ended the process that asked");
        fv_buf_dispose(&why);
        return 0;
    }
    fv_buf_dispose(&why);
    long long wrong = 0, refused = 0, s = from;
    for (; s < from + count && fv_now() - begin < seconds; s++) {
        fv_graph_case c = {.seed = (uint64_t)s, .interpret_only = quick & 1, .no_flat = quick & 2, .variants = backend};
        fv_buf report = {0};
        fv_diff_verdict v = fv_diff_isolated(fv_graph_case_run, &c, backend ? 300 : 60, &report);
        if (v == FV_DIFF_WRONG) printf("seed %lld:\n%s\n", s, report.text ? report.text : "");
        if (v == FV_DIFF_REFUSED && getenv("FOVEA_FUZZ_REFUSED"))
            printf("seed %lld refused:\n%s\n", s, report.text ? report.text : "");
        wrong += v == FV_DIFF_WRONG;
        refused += v == FV_DIFF_REFUSED;
        fv_buf_dispose(&report);
    }
    printf("graphs%s%s: %lld seeds from %lld, %lld wrong, %lld refused, %.1f s\n", backend ? " on " : "",
           backend ? backend : "", s - from, from, wrong, refused, fv_now() - begin);
    return wrong != 0;
}
