/* Extents that a built library leaves open: --shape b=1..8,h=w=224/256 of fovea build. */
#ifndef FV_CLI_BOUNDS_H
#define FV_CLI_BOUNDS_H
#include "cli/cli.h"

/* Programs of a library; shapes that its build tries. */
enum { CLI_MAX_PROGRAMS = 64, CLI_MAX_TRIED = 64 };

typedef struct {
    const char *text; /* as the user says it */
    int n;            /* extents; 0: one shape */
    fovea_bounds extent[FOVEA_MAX_EXTENTS];
    int tied[FOVEA_MAX_EXTENTS]; /* the first extent that has the same size always; itself */
    int range;                   /* the extent that is a range, -1: none */
    /* Shapes of n extents each: those that programs are made for, the largest first, and those that the build tries,
     * of which the first is the largest of all. */
    int n_programs, n_tried;
    int64_t *program, *tried;
} cli_bounds;

/* Reads --shape. false after recording a USAGE error. */
bool cli_bounds_read(fv_ctx *ctx, const cli_args *a, cli_bounds *out);
/* Gives these extents to the spec. */
void cli_bounds_put(fv_ctx *ctx, const cli_bounds *b, const int64_t *extents, fv_spec_options *io);
const char *cli_bounds_name(fv_ctx *ctx, const cli_bounds *b, const int64_t *extents); /* "b=3,h=224" */
/* Does the graph keep the elements of the range apart? false after recording what mixes them. */
bool cli_bounds_apart(fv_ctx *ctx, const cli_bounds *b, const fv_graph *g);
/* Is a graph for some of them (these extents) that for the most, `most`? false after recording what differs. */
bool cli_bounds_alike(fv_ctx *ctx, const cli_bounds *b, const fv_graph *most, const fv_graph *g,
                      const int64_t *extents);
#endif
