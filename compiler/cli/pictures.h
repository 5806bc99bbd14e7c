/* Pictures in, classes out. */
#ifndef FV_CLI_PICTURES_H
#define FV_CLI_PICTURES_H
#include "cli/cli.h"
#include "io/json.h"
#include "io/picture.h"

/* Runs the model on each picture of the session, preprocessed as the spec declares, and prints the best `top` classes
 * with their names. */
bool cli_run_pictures(fv_ctx *ctx, cli_session *s, fovea_model *m, int top);

/* The `top` best of n scores: their indices, best first, and (if wanted) their softmax. */
void cli_best(const float *score, int64_t n, int top, int64_t *index, double *share);
/* How pictures become the input: from the spec's `preprocess`. */
typedef struct {
    int32_t height, width;
    double crop_pct;
    fv_fit fit;
    float mean[3], std[3];
    const char *interpolation;
} cli_preprocess;
/* j: the object that `preprocess` gave, or NULL; input: [1, 3, height, width]. false after recording an error. */
bool cli_preprocess_parse(fv_ctx *ctx, const fv_json *j, const fovea_array *input, cli_preprocess *out);
bool cli_preprocess_read(fv_ctx *ctx, const cli_session *s, const fovea_array *input, cli_preprocess *out);
/* [3, height, width] of one picture file. */
bool cli_preprocess_apply(fv_ctx *ctx, const cli_preprocess *p, const char *path, float *out);
/* Names of the classes, or NULL where the spec names none; *n their number. */
const char *const *cli_labels(fv_ctx *ctx, const cli_session *s, int *n);
#endif
