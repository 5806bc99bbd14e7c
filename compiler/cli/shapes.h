/* --shape: extents of axes that inputs leave open. */
#ifndef FV_CLI_SHAPES_H
#define FV_CLI_SHAPES_H
#include "cli/cli.h"
enum { CLI_MAX_SHAPES = 64, CLI_MAX_SIZES = 16, CLI_MAX_TIED = 8 };
/* Puts the --shape options into o; of an axis given twice the last counts. Of a range or a list of sizes, which only
 * fovea build takes, the largest. false after recording a USAGE error. */
bool cli_shapes_read(fv_ctx *ctx, const cli_args *a, fv_spec_options *o);
/* Axis `name` gets this extent, whatever was given before. Arrays of o are copied, not changed. */
void cli_shapes_put(fv_ctx *ctx, fv_spec_options *o, const char *name, int64_t extent);

/* One part of --shape: h=w=224, b=1..8, h=224/256/384. */
typedef struct {
    const char *text, *name[CLI_MAX_TIED];
    int n_names, n;
    bool range;                   /* value[0] to value[1] */
    int64_t value[CLI_MAX_SIZES]; /* ascending */
} cli_shape;
typedef struct {
    const char *option[32];
    int n, at;
    char *rest;
    bool failed; /* after recording a USAGE error */
} cli_shape_list;
cli_shape_list cli_shape_begin(fv_ctx *ctx, const cli_args *a);
bool cli_shape_next(fv_ctx *ctx, cli_shape_list *io, cli_shape *out); /* false: at the end, or failed */
#endif
