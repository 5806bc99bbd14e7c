/* Plans executed by other means than compiled code of this process: the interpreters of the tile and of the flat stage.
 */
#ifndef FV_CLI_CHECK_LEVELS_H
#define FV_CLI_CHECK_LEVELS_H
#include "cli/live.h"

typedef enum { CLI_BY_TILE, CLI_BY_FLAT } cli_executor;
/* Outputs of the graph in their stored order; out[i] is malloc'ed. Inputs and parameters are the session's. false after
 * recording errors. */
bool cli_plan_outputs(fv_ctx *ctx, cli_session *s, const fv_compiled *c, cli_executor by, double **out);
/* Useful operations of both stages: the interpreters take about a second for ten million. */
double cli_plan_work(const fv_plan *p);
#endif
