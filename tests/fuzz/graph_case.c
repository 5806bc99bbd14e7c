/* See graph_case.h. */
#include "tests/fuzz/graph_case.h"

#include <string.h>

static unsigned flags_of(uint64_t seed, const char *variants) {
    if (variants && (!strcmp(variants, "fragment") || !strcmp(variants, "blocks")))
        return FV_RANDOM_BLOCKS | (seed % 4 == 3 ? FV_RANDOM_WHOLE : 0u);
    switch (seed % 4) {
    case 2: return FV_RANDOM_WIDE;
    case 3: return FV_RANDOM_WHOLE | (seed / 4 % 2 ? FV_RANDOM_WIDE : 0u);
    default: return 0;
    }
}
fv_graph *fv_graph_case_make(fv_ctx *ctx, uint64_t seed, const char *variants) {
    return fv_random_graph_of(ctx, seed, flags_of(seed, variants));
}

static bool has_attend(const fv_graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->op == FV_NODE_ATTEND) return true;
    return false;
}
static const fv_diff_variant cpu[] = {
    {.interpret = true, .compile = true},
    {.driver = {.target = "avx2"}, .compile = true},
    {.driver = {.storage = FV_BF16, .storage_small = 1}, .interpret = true, .compile = true},
    {.driver = {.storage = FV_F16, .storage_small = 1, .target = "avx2"}, .interpret = true, .compile = true},
    {.driver = {.attend_strategy = "box"}, .interpret = true, .compile = true},
    {.driver = {.attend_strategy = "offset"}, .interpret = true, .compile = true},
    {.driver = {.attend_strategy = "expand"}, .interpret = true, .compile = true},
    {.driver = {.attend_strategy = "offset", .no_row_sharing = true, .target = "avx2"},
     .interpret = true,
     .compile = true},
};
/* Blocks of 16-bit products: pairs in vectors, and tiles. */
static const fv_diff_variant blocks[] = {
    {.interpret = true, .compile = true},
    {.driver = {.storage = FV_BF16, .storage_small = 1}, .interpret = true, .compile = true},
    {.driver = {.storage = FV_BF16, .storage_small = 1, .target = "avx2"}, .compile = true},
    {.driver = {.storage = FV_BF16, .storage_small = 1, .target = "amx-simulated"},
     .interpret = true,
     .compile = true,
     .if_here = true},
};
static const fv_diff_variant opencl[] = {
    {.driver = {.backend = "opencl", .target = "scalar"}, .compile = true},
    {.driver = {.backend = "opencl", .target = "cpu"}, .compile = true},
};
/* Fragments of products in plain OpenCL C; f32 operands are rounded to bf16 on their way into them. */
static const fv_diff_variant fragment[] = {
    {.driver = {.backend = "opencl", .target = "fragment-emu"}, .rounds = FV_BF16, .compile = true},
    {.driver = {.backend = "opencl", .target = "fragment-emu", .storage = FV_BF16, .storage_small = 1},
     .compile = true},
};
/* every: how many of the variants are for any graph, the first ones; the others are for graphs with an attend. */
static const struct {
    const char *name, *backend;
    const fv_diff_variant *variant;
    int n, every;
} tables[] = {
    {"cpu", "cpu", cpu, (int)(sizeof cpu / sizeof *cpu), 4},
    {"blocks", "cpu", blocks, (int)(sizeof blocks / sizeof *blocks), (int)(sizeof blocks / sizeof *blocks)},
    {"opencl", "opencl", opencl, (int)(sizeof opencl / sizeof *opencl), 2},
    {"fragment", "opencl", fragment, (int)(sizeof fragment / sizeof *fragment), 2},
};
enum { TABLES = (int)(sizeof tables / sizeof *tables) };

static fv_diff_verdict available(void *user, fv_buf *why) {
    const fv_backend *b = fv_backend_find(user);
    if (!b) fv_buf_printf(why, "this build has no backend '%s'", (const char *)user);
    return b && b->available(why) ? FV_DIFF_AGREES : FV_DIFF_REFUSED;
}
static int table_of(const char *name) {
    int t = 0;
    while (t < TABLES && strcmp(tables[t].name, name ? name : "cpu") != 0) t++;
    return t;
}
bool fv_graph_case_runs(const char *name, fv_buf *why) {
    int t = table_of(name);
    if (t == TABLES) fv_buf_printf(why, "there are no variants '%s'", name);
    return t < TABLES && fv_diff_isolated(available, (void *)(uintptr_t)tables[t].backend, 60, why) == FV_DIFF_AGREES;
}

fv_diff_verdict fv_graph_case_run(void *user, fv_buf *report) {
    const fv_graph_case *c = user;
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = fv_graph_case_make(ctx, c->seed, c->variants);
    fv_diff d = {0};
    bool whole = flags_of(c->seed, c->variants) & FV_RANDOM_WHOLE;
    fv_diff_verdict all = FV_DIFF_REFUSED;
    if (!g) {
        fv_buf_puts(report, "the generator made an illegal graph: ");
        fv_diag_render(ctx, report);
        fv_ctx_dispose(ctx);
        return FV_DIFF_WRONG;
    }
    bool fine = fv_diff_open(&d, ctx, g, whole ? fv_random_whole_source : fv_random_source, ctx, whole);
    int t = table_of(c->variants);
    if (t == TABLES) t = 0;
    int n = has_attend(g) ? tables[t].n : tables[t].every;
    for (int i = 0; fine && i < n; i++) {
        fv_diff_variant v = tables[t].variant[i];
        if (c->interpret_only) v.compile = false;
        v.flat = v.interpret && !c->no_flat;
        size_t before = d.report.len;
        fv_diff_verdict one = fv_diff_run(&d, &v);
        if (one == FV_DIFF_WRONG || (one == FV_DIFF_REFUSED && i == 0))
            fv_buf_printf(report, "%s, target %s, attend %s%s: %s",
                          fv_type_name(v.driver.storage ? v.driver.storage : FV_F32),
                          v.driver.target ? v.driver.target : "host",
                          v.driver.attend_strategy ? v.driver.attend_strategy : "by cost",
                          v.driver.no_row_sharing ? ", no row sharing" : "", d.report.text + before);
        if (one == FV_DIFF_WRONG) all = FV_DIFF_WRONG;
        else if (one == FV_DIFF_AGREES && all == FV_DIFF_REFUSED) all = FV_DIFF_AGREES;
    }
    if (!fine) {
        fv_buf_printf(report, "the reference failed: %s", d.report.text ? d.report.text : "");
        all = FV_DIFF_WRONG;
    }
    fv_diff_close(&d);
    fv_ctx_dispose(ctx);
    return all;
}
