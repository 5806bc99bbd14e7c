/* Timing a model, its kernels one by one, against the peak of this machine measured in the same run. */
#ifndef FV_CLI_MEASURE_H
#define FV_CLI_MEASURE_H
#include "cli/cost.h"
#include "cli/live.h"

typedef struct {
    const char *label, *where;
    double flops, bytes, min, median;
    double model;      /* seconds that the cost model predicts; 0: none */
    const char *bound; /* what holds it by that model; "": unknown */
} cli_timed;           /* seconds */
typedef struct {
    const char *name, *target; /* target: the facts' name */
    int threads, n;
    cli_timed *kernel; /* launches of a run, in order */
    cli_timed total;
    cli_cost *cost; /* of each launch; NULL: none is known */
    double peak; /* GFLOP/s of f32 multiply-adds of ONE thread: the best of those taken between the runs; 0: unknown */
    bool has_peak;
    int peaks, runs;
    double trace, cold, cached,
        prepare; /* seconds; cold and cached: lowering and code generation, without and with a full cache */
    int compiled, from_cache;
    int64_t arena, prepared, params, code; /* bytes */
} cli_measured;

typedef struct {
    const char *backend, *target, *device, *attend;
    int threads;    /* 0: as many as a model takes by default */
    double seconds; /* of timed runs */
    bool compile_times;
    const cli_args *args; /* --db and --no-tuned; NULL: every kernel by default */
} cli_measure_options;

/* Useful operations are multiply-adds and additions of pairs that exist: the lowering counts
 * them. */
bool cli_measure(fv_ctx *ctx, cli_session *s, const cli_measure_options *o, cli_measured *out);
/* A table of all kernels and a total, in Markdown. */
void cli_measured_table(const cli_measured *m);
/* Fraction of the peak that a time comes to. */
double cli_fraction(const cli_measured *m, const cli_timed *t);
#endif
