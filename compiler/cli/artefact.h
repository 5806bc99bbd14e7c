/* The parts of fovea compile: a program's tables as C, its header, and the system's tools that join them. */
#ifndef FV_CLI_ARTEFACT_H
#define FV_CLI_ARTEFACT_H
#include "cli/cli.h"

typedef struct {
    const char *name, *upper; /* a C identifier, and in capitals */
    const char *model;        /* the spec as given */
    const char *target;       /* in words */
    bool x86, avx512, avx2;   /* what the code needs of the processor */
    const fv_compiled *compiled;
} cli_artefact;

void cli_artefact_program(const cli_artefact *a, fv_buf *out); /* the C file of the tables and the NAME_ functions */
/* The header: everything a user of the library includes. false after recording an error (the runtime's headers cannot
 * be read). */
bool cli_artefact_header(fv_ctx *ctx, const cli_artefact *a, fv_buf *out);
/* Text as it can stand in a C comment: no end of it, no line break. */
const char *cli_comment(fv_ctx *ctx, const char *text);
const char *cli_runtime_folder(fv_ctx *ctx); /* the runtime's sources */

/* An absolute path of a program on PATH, or NULL. */
const char *cli_find_program(fv_ctx *ctx, const char *name);
/* Runs argv (NULL-terminated, argv[0] a path) and waits. false after recording what it wrote to its error stream.
 * `log`: a file for that text. */
bool cli_run_tool(fv_ctx *ctx, char *const *argv, const char *log);
#endif
