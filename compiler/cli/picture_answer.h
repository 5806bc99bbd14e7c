/* Pictures in, pictures out: what a spec declares about it, the procedure, and the file. */
#ifndef FV_CLI_PICTURE_ANSWER_H
#define FV_CLI_PICTURE_ANSWER_H
#include "cli/cli.h"

/* From the spec's `preprocess`: fit = "own", answer = "NAME", tile = { size =, pad =, multiple = }. */
typedef struct {
    const char *output;          /* the output that is a picture; NULL: none is */
    int32_t size, pad, multiple; /* of tiles; size 0: the whole picture at once */
} cli_picture_answer;
bool cli_picture_answer_read(fv_ctx *ctx, const cli_session *s, cli_picture_answer *out);

/* What --output may be called is decided before anything runs: .npy, .safetensors, and .png where the spec answers
 * with a picture. false after recording errors. */
bool cli_output_suffix(fv_ctx *ctx, const char *path, const cli_picture_answer *p);

/* Runs the session's picture at its own size, whole or in tiles; the spec is traced and compiled once for each size of
 * tile. *out is the answer, f32 [1, 3, height, width]; its data is the caller's to free. */
bool cli_picture_run(fv_ctx *ctx, cli_session *s, const cli_picture_answer *p, bool png, const fv_driver_options *o,
                     const fovea_options *run, fovea_stored *out);

/* Writes f32 [1, 3, height, width] as a PNG: clamped to 0..1, times 255, rounded (halves to even). */
bool cli_picture_write(fv_ctx *ctx, const char *path, const fovea_stored *t);
#endif
