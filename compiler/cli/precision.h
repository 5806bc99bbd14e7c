/* Which 16-bit storage a model bears: measured, not believed. */
#ifndef FV_CLI_PRECISION_H
#define FV_CLI_PRECISION_H
#include "cli/cli.h"

#define CLI_PRECISION_OPTION                                                                                           \
    {"dtype-error", "E", "what 16-bit storage may cost, of the largest output (default 0.01; none: not measured)",     \
     CLI_VALUE}

typedef struct {
    bool measured;
    double error; /* of what was chosen: the largest difference to f32 storage over the largest element, the worst of
                     the float outputs; NaN where f32 storage gives a number: infinite */
} cli_precision;

/* Runs the session's model with f32 storage and with the storage asked for, on the session's numbers (seeded ones where
 * an input is a picture), and sets s->storage to the first of: what was asked, f16, f32, that stays within the bound of
 * --dtype-error; says on the standard error what was measured when that is not what was asked. Nothing is done for f32
 * or with "none". `o`: backend, device and cache; a target for another machine is left out of the measurement. false
 * after recording errors. */
bool cli_precision_choose(fv_ctx *ctx, const cli_args *a, cli_session *s, const fv_driver_options *o,
                          cli_precision *out);
#endif
