/* fovea bench floors: what a kernel must reach of the machine's multiply-add peak, one thread, f32. Invariant: a case
 * is a spec and its options, compiled by the ordinary pipeline; no case has code of its own. */
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *work, *spec, *options;
    double floor;
} floor_case;
static const floor_case cases[] = {
    {"linear 197x768x2304", "linear.lua", "--shape n=197,c=768 --set out=2304", 0.85},
    {"linear 197x768x3072", "linear.lua", "--shape n=197,c=768 --set out=3072", 0.85},
    {"linear 197x3072x768", "linear.lua", "--shape n=197,c=3072 --set out=768", 0.85},
    {"linear 3136x96x288", "linear.lua", "--shape n=3136,c=96 --set out=288", 0.85},
    {"linear 3136x96x384", "linear.lua", "--shape n=3136,c=96 --set out=384", 0.85},
    {"linear 784x192x768", "linear.lua", "--shape n=784,c=192 --set out=768", 0.85},
    {"linear 196x384x1536", "linear.lua", "--shape n=196,c=384 --set out=1536", 0.85},
    {"linear 49x768x3072", "linear.lua", "--shape n=49,c=768 --set out=3072", 0.85},
    {"conv 3x3 64->64 at 56", "conv.lua", "--shape b=1,h=56,w=56,c=64 --set out=64", 0.75},
    {"depthwise 7x7 96 at 56", "depthwise.lua", "--shape b=1,h=56,w=56,c=96", 0.70},
    {"dense attention 1024 d 64", "dense", "--shape b=1,head=4,m=1024,kv=4,n=1024,d=64", 0.70},
    {"neighbourhood 7x7 at 56 d 32", "neighborhood.lua", "--shape b=1,head=2,h=56,w=56,d=32", 0.50},
    {"cross 7+7 at 56 d 32", "cross.lua", "--shape b=1,head=2,h=56,w=56,d=32", 0.25},
};

const char *cli_bench_folder(fv_ctx *ctx) {
    const char *e = getenv("FOVEA_BENCH_SPECS");
    return e && *e ? e : fv_printf(ctx, "%s/bench/specs", FOVEA_SOURCE_DIR);
}
bool cli_bench_open(fv_ctx *ctx, const char *spec, const char *words, cli_session *s) {
    char *argv[64];
    int argc = 0;
    for (char *w = strtok(fv_strdup(ctx, words), " "); w && argc < 64; w = strtok(NULL, " ")) argv[argc++] = w;
    bool own = strstr(spec, ".lua") != NULL;
    return cli_session_words(ctx, own ? fv_printf(ctx, "%s/%s", cli_bench_folder(ctx), spec) : spec, argc, argv, s);
}
/* Useful operations over the best time; a case that falls short is timed once more, for longer: other users of the
 * machine only ever make it slower. */
static bool measure(fv_ctx *ctx, const floor_case *k, const char *target, double seconds, double *fraction,
                    cli_measured *m) {
    static cli_session s;
    *fraction = 0;
    bool fine = cli_bench_open(ctx, k->spec, k->options, &s);
    for (int pass = 0; pass < 2 && fine && *fraction < k->floor; pass++) {
        cli_measure_options o = {.target = target, .threads = 1, .seconds = seconds * (1 + 2 * pass)};
        fine = cli_measure(ctx, &s, &o, m);
        double f = fine ? cli_fraction(m, &m->total) : 0;
        if (f > *fraction) *fraction = f;
    }
    cli_session_close(&s);
    return fine;
}
static const char *first_error(const fv_ctx *ctx) { return fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "failed"; }
/* A context of its own per case: a compilation's memory goes with it. Returns whether the floor holds; a case that
 * cannot be compiled does not. */
static bool row(const floor_case *k, bool judged, bool avx2, double seconds) {
    double best = 0, ymm = 0;
    cli_measured m;
    fv_ctx *own = fv_ctx_new();
    bool fine = measure(own, k, NULL, seconds, &best, &m);
    if (fine)
        printf("%-32s %9.1f us %8.1f GF/s %6.1f %% %6.0f %%  %-10s", k->work, 1e-3 * m.total.flops / (best * m.peak),
               best * m.peak, 100 * best, 100 * k->floor,
               !judged            ? "not judged"
               : best >= k->floor ? "holds"
                                  : "SHORT");
    else printf("%-32s %s: %s", k->work, judged ? "SHORT" : "not judged", first_error(own));
    fflush(stdout);
    floor_case once = *k;
    once.floor = 0.0001; /* stated, not judged: timed once */
    fv_diag_clear(own);
    if (fine && avx2) {
        if (measure(own, &once, "avx2", seconds, &ymm, &m)) printf("  %6.1f %% with AVX2", 100 * ymm);
        else printf("  AVX2: %s", first_error(own));
    }
    printf("\n");
    fflush(stdout);
    fv_ctx_dispose(own);
    return fine && best >= k->floor;
}
int cli_bench_floors(fv_ctx *ctx, const cli_args *a) {
    double seconds = 0.4;
    cli_host h;
    if (!cli_bench_seconds(ctx, a, &seconds)) return CLI_USER;
    cli_host_read(&h);
    double peak = cli_peak(NULL);
    if (peak <= 0) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0},
                 "floors are fractions of the cpu's peak, and this build has no cpu backend");
        return CLI_USER;
    }
    const fv_backend *cpu = fv_backend_find("cpu");
    const fv_target *t = cpu ? cpu->target(NULL) : NULL;
    bool judged = t && !strcmp(t->name, "avx512"), avx2 = judged && cpu->target("avx2");
    printf("f32, one thread, useful operations; %s; peak about %.1f GFLOP/s, measured again beside every case\n",
           *h.processor ? h.processor : "this processor", peak);
    if (!judged) printf("not judged: the floors are stated for AVX-512, this is %s\n", t ? t->name : "unknown");
    printf("%-32s %12s %13s %8s %8s\n", "work", "best time", "rate", "of peak", "floor");
    int shorts = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool holds = row(&cases[i], judged, avx2, seconds);
        shorts += judged && !holds;
    }
    if (judged)
        printf("%d of %d floors hold\n", (int)(sizeof cases / sizeof *cases) - shorts,
               (int)(sizeof cases / sizeof *cases));
    return shorts ? CLI_USER : CLI_OK;
}
