/* Whether a disagreement can be judged. */
#ifndef FV_CLI_CHECK_JUDGE_H
#define FV_CLI_CHECK_JUDGE_H
#include "cli/check_bound.h"
#include "cli/cli.h"

/* The largest value that f32 is trusted with: squares and sums of larger ones overflow. */
#define CLI_F32_TRUSTED 1e30

/* What the reference says of its own answers, for one set of leaves.
 *
 * moved: by output, how far an answer moves when every float leaf moves by half a unit in the last place of f32, half
 * the distance between a run with signs drawn at random and one with the opposite signs. An error that such a move
 * explains is no fault of the arithmetic: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2002, 1.6.
 * most: the largest magnitude of any intermediate. */
typedef struct {
    double *moved, most;
} cli_judge;
/* Runs the reference twice on moved leaves: by half a unit of f32, or of s->storage. false after recording errors. */
bool cli_judge_run(fv_ctx *ctx, cli_session *s, cli_judge *out);
/* Why an error of this output, beyond its tolerance, says nothing; NULL: it is a fault. */
const char *cli_judge_excuse(fv_ctx *ctx, const cli_judge *j, int output, const cli_bound *b, fv_type storage,
                             double error, double tolerance);
#endif
