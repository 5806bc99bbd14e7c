/* A spec compiled and ready to run: its model, its inputs filled, room for its outputs. And the same outputs by the
 * reference. */
#ifndef FV_CLI_LIVE_H
#define FV_CLI_LIVE_H
#include "cli/cli.h"

enum { CLI_MAX_INPUTS = 64, CLI_MAX_OUTPUTS = 256 };

typedef struct {
    fv_compiled compiled;
    fovea_model *model;
    int32_t n_in, n_out;
    const fovea_array *input[CLI_MAX_INPUTS], *output[CLI_MAX_OUTPUTS];
    DLTensor in[CLI_MAX_INPUTS], out[CLI_MAX_OUTPUTS]; /* inputs: the session's memory; outputs: this object's */
    double prepare_seconds;
} cli_live;

/* Compiles, loads, binds; inputs from the session unless `pictures`. false after recording errors. Close it in any
 * case. */
bool cli_live_open(fv_ctx *ctx, cli_session *s, const fv_driver_options *o, const fovea_options *run, bool pictures,
                   cli_live *out);
/* A model over a program that is compiled already. */
bool cli_live_load(fv_ctx *ctx, cli_session *s, const fovea_options *run, bool pictures, cli_live *io);
bool cli_live_run(fv_ctx *ctx, cli_live *l);
/* Another shape of a model of several: inputs and outputs anew, of the session's spec, which has these extents. */
bool cli_live_resize(fv_ctx *ctx, cli_session *s, const int64_t *extents, int32_t n, cli_live *io);
fovea_stored cli_stored(const fovea_array *a, const void *data); /* as a tensor to write; data by reference */
void cli_live_unload(cli_live *l); /* the model and its tensors; the program stays */
void cli_live_close(cli_live *l);

/* What the reference asks of its leaves (fv_ref_source): numbers of inputs and parameters as the session has them.
 * `user`: a cli_leaf_source. */
typedef struct {
    fv_ctx *ctx;
    cli_session *s;
} cli_leaf_source;
bool cli_leaf_values(void *user, const fv_node *leaf, double *out, int64_t count);
/* Outputs of the graph in their stored order, f64; results[i] is malloc'ed. false after recording errors. */
bool cli_reference(fv_ctx *ctx, cli_session *s, double **results);
int64_t cli_output_shape(const fv_output *o, int64_t *shape); /* stored extents; returns their product */
#endif
