/* fovea bench cost: what the cost model predicts beside what is measured, kernel by kernel. Nothing is judged: the line
 * says how far the model can be trusted, and where it cannot. */
#include "cli/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *spec, *options;
} cost_case;
static const cost_case cases[] = {
    {"linear.lua", "--shape n=197,c=768 --set out=2304"},    {"linear.lua", "--shape n=3136,c=96 --set out=384"},
    {"conv.lua", "--shape b=1,h=56,w=56,c=64 --set out=64"}, {"depthwise.lua", "--shape b=1,h=56,w=56,c=96"},
    {"dense", "--shape b=1,head=4,m=1024,kv=4,n=1024,d=64"}, {"neighborhood.lua", "--shape b=1,head=2,h=56,w=56,d=32"},
    {"cross.lua", "--shape b=1,head=2,h=56,w=56,d=32"},      {"nat:mini", "--shape b=1"},
    {"swin:tiny_patch4_window7_224", "--shape b=1"},         {"convnext:tiny", "--shape b=1"},
};

/* Kernels of all cases: the error, and the part of its case's time. */
typedef struct {
    double error, share;
} point;
typedef struct {
    int n, cap;
    point *p;
} points;
static void add(points *list, point p) {
    if (list->n == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        point *more = realloc(list->p, (size_t)list->cap * sizeof *more);
        FV_ASSERT(more, "out of memory");
        list->p = more;
    }
    list->p[list->n++] = p;
}
static int by_error(const void *a, const void *b) {
    double x = ((const point *)a)->error, y = ((const point *)b)->error;
    return (x > y) - (x < y);
}
/* Sorts; share: by how much of the time they take instead of by their number. */
static double median(points *list, bool share) {
    double all = 0, sum = 0;
    if (!list->n) return NAN;
    qsort(list->p, (size_t)list->n, sizeof *list->p, by_error);
    if (!share) return list->p[list->n / 2].error;
    for (int i = 0; i < list->n; i++) all += list->p[i].share;
    int i = 0;
    while (i < list->n - 1 && (sum += list->p[i].share) < all / 2) i++;
    return list->p[i].error;
}
static bool row(const cost_case *k, double seconds, points *all) {
    static cli_session s;
    fv_ctx *own = fv_ctx_new();
    cli_measured m;
    cli_measure_options o = {.threads = 1, .seconds = seconds};
    bool fine = cli_bench_open(own, k->spec, k->options, &s) && cli_measure(own, &s, &o, &m);
    points here = {0};
    for (int i = 0; fine && i < m.n; i++) {
        const cli_timed *t = &m.kernel[i];
        if (!(t->model > 0 && t->min > 0)) continue;
        point p = {fabs(t->model / t->min - 1), m.total.min > 0 ? t->min / m.total.min : 0};
        add(&here, p);
        add(all, p);
    }
    if (fine) {
        double half = median(&here, false), worst = here.n ? here.p[here.n - 1].error : NAN;
        printf("%-30s %4d kernels %10.1f us, model %10.1f us (%+5.1f %%); of kernels: median %5.1f %%, by time %5.1f "
               "%%, worst %5.1f %%  %s\n",
               k->spec, m.n, 1e6 * m.total.min, 1e6 * m.total.model, 100 * (m.total.model / m.total.min - 1),
               100 * half, 100 * median(&here, true), 100 * worst,
               strncmp(k->options, "--shape b=1", 12) ? k->options : "");
    } else printf("%-30s %s\n", k->spec, fv_diag_count(own) ? fv_diag_at(own, 0)->text : "failed");
    fflush(stdout);
    free(here.p);
    cli_session_close(&s);
    fv_ctx_dispose(own);
    return fine;
}
int cli_bench_cost(fv_ctx *ctx, const cli_args *a) {
    double seconds = 0.5;
    if (!cli_bench_seconds(ctx, a, &seconds)) return CLI_USER;
    const fv_backend *cpu = fv_backend_find("cpu");
    cli_host h;
    fv_rates r;
    cli_host_read(&h);
    if (!cpu || !cpu->rates || !cpu->rates(NULL, cli_cache_dir(ctx), h.cache, &r)) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "the cost model needs the rates of a cpu backend that runs here");
        return CLI_USER;
    }
    printf(
        "%s, one thread: %.1f GFLOP/s, %.2f G exponentials/s; reads of L1 %.0f, L2 %.0f, L3 %.0f, memory %.0f GB/s\n",
        *h.processor ? h.processor : "this processor", r.fma, r.functions[FV_FUNCTION_EXP], r.read[1], r.read[2], r.read[3], r.read[4]);
    points all = {0};
    bool fine = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) fine = row(&cases[i], seconds, &all) && fine;
    printf("median error of %d kernels: %.1f %%, weighted by time %.1f %%\n", all.n, 100 * median(&all, false),
           100 * median(&all, true));
    free(all.p);
    return fine ? CLI_OK : CLI_USER;
}
