/* What kernels cost here: counts of their flat form, and times predicted from the rates of this machine. */
#ifndef FV_CLI_COST_H
#define FV_CLI_COST_H
#include "cli/host.h"
#include "tune/cost.h"

typedef struct {
    bool counted, predicted; /* predicted: the rates of the target are known here */
    fv_counts counts;
    fv_prediction time;
} cli_cost;

/* One per launch of a run, owned by the context. NULL: the backend is not the cpu's, whose kernels alone are counted.
 * threads: those that a run uses. Measures the machine where that is not in the cache. */
cli_cost *cli_costs(fv_ctx *ctx, const fv_compiled *c, const char *target, int threads);
/* The table of fovea show --cost. */
void cli_costs_print(fv_ctx *ctx, const fv_compiled *c, const cli_cost *list, int threads);
#endif
