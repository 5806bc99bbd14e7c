/* What kernels cost here: counts of their flat form, times predicted from the rates of this machine, and measured ones
 * beside them. */
#ifndef FV_CLI_COST_H
#define FV_CLI_COST_H
#include "cli/host.h"
#include "tune/cost.h"

typedef struct {
    const char *kernel;
    int launch;                              /* its number over both plans */
    bool device, counted, traced, predicted; /* traced: traffic is known; predicted: the rates of the target are */
    fv_counts counts;
    double bytes;       /* compulsory */
    int level;          /* the smallest that holds them: 1 to 3, 4: memory */
    fv_traffic traffic; /* where traced */
    fv_prediction time;
    double measured; /* seconds; 0: not measured */
} cli_cost;

/* One per launch of a run, owned by the context. NULL: the backend has no kernels that could be counted. Those of a
 * device are counted alone: neither traffic nor times. threads: those that a run uses. wanted: launches to count (NULL:
 * all). Measures the machine where that is not in the cache. */
cli_cost *cli_costs(fv_ctx *ctx, const fv_compiled *c, const char *target, int threads, const bool *wanted);
/* A table of all n: operations by kind, bytes by level of memory, the time of the model, what bounds it, what is saved
 * without that, and the measured times if there are some. */
void cli_costs_print(FILE *out, const cli_cost *list, int n, int threads);

/* The report of a run on the standard error: `all`: the table; else lines for the slowest kernels. ns: of each
 * launch, the best of `runs`. */
void cli_costs_of_run(fv_ctx *ctx, const fv_compiled *c, const char *target, int threads, const int64_t *ns, int runs,
                      bool all);
#endif
