/* The parts of fovea compile and fovea build: a program's tables as C, its header, and the system's tools that join
 * them. */
#ifndef FV_CLI_ARTEFACT_H
#define FV_CLI_ARTEFACT_H
#include "cli/cli.h"

typedef struct {
    const char *name, *upper;    /* a C identifier, and in capitals */
    const char *model;           /* the spec as given */
    const char *target;          /* in words */
    bool x86, amx, avx512, avx2; /* what the code needs of the processor */
    const fv_compiled *compiled;
    /* build only: weights after prepare (runtime/image.h) */
    bool deployed, embedded;
    uint64_t level;    /* tells packings of different levels apart */
    const char *image; /* its file; NULL: no weights were given */
    int64_t image_bytes;
    const char *preprocess, *classes; /* JSON of the spec, or NULL */
    fv_type storage;        /* of floats between kernels */
    double storage_error;   /* measured cost of 16-bit storage, of the largest output; negative: not measured */
} cli_artefact;

void cli_artefact_program(const cli_artefact *a, fv_buf *out); /* the C file of the tables and the NAME_ functions */
/* The header: everything a user of the library includes. false after recording an error (the runtime's headers cannot
 * be read). */
bool cli_artefact_header(fv_ctx *ctx, const cli_artefact *a, fv_buf *out);
/* build: what the header says beyond compile's, inside its guard, and the C functions for it. */
void cli_artefact_deploy_header(const cli_artefact *a, fv_buf *out);
void cli_artefact_deploy_program(const cli_artefact *a, fv_buf *out);
void cli_artefact_manifest(const cli_artefact *a, bool parameters, fv_buf *out); /* JSON */
void cli_artefact_pc(const cli_artefact *a, const char *folder, fv_buf *out);    /* for pkg-config */
/* build: binds the session's weights, writes the image to `image`, runs once on the session's inputs, and writes these
 * and the answers as safetensors. false after recording errors. */
bool cli_artefact_image(fv_ctx *ctx, cli_session *s, fv_compiled *compiled, uint64_t level, const char *image,
                        const char *inputs, const char *answers, int64_t *image_bytes);
/* Makes and writes all of it, as the command line says. An exit code. */
int cli_artefact_make(fv_ctx *ctx, const cli_args *args, bool build);

void cli_quote(fv_buf *b, const char *s); /* as a C string, quotes around it; NULL: "" */
/* Text as it can stand in a C comment: no end of it, no line break. */
const char *cli_comment(fv_ctx *ctx, const char *text);
const char *cli_runtime_folder(fv_ctx *ctx); /* the runtime's sources */

/* An absolute path of a program on PATH, or NULL. */
const char *cli_find_program(fv_ctx *ctx, const char *name);
/* Runs argv (NULL-terminated, argv[0] a path) and waits. false after recording what it wrote to its error stream.
 * `log`: a file for that text. */
bool cli_run_tool(fv_ctx *ctx, char *const *argv, const char *log);
#endif
