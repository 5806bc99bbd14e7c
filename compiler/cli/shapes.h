/* --shape: extents of axes that inputs leave open. */
#ifndef FV_CLI_SHAPES_H
#define FV_CLI_SHAPES_H
#include "cli/cli.h"
enum { CLI_MAX_SHAPES = 64 };
/* Puts the --shape options into o; of an axis given twice the last counts. false after recording a USAGE error. */
bool cli_shapes_read(fv_ctx *ctx, const cli_args *a, fv_spec_options *o);
/* Axis `name` gets this extent, whatever was given before. Arrays of o are copied, not changed. */
void cli_shapes_put(fv_ctx *ctx, fv_spec_options *o, const char *name, int64_t extent);
#endif
