/* fovea tune: what its files share. The search is in cmd_tune.c; what else is done with records, in tune_*.c. */
#ifndef FV_CLI_TUNE_H
#define FV_CLI_TUNE_H
#include "cli/cli.h"
#include "tune/database.h"

#define CLI_TUNE_FILE_OPTIONS                                                                                          \
    {"db", "FILE", "the database of records (default: tune.db in the cache)", CLI_VALUE},                              \
        {"report", "FILE", "write what is known of the spec's kernels: .html, .md or .json", CLI_VALUE},               \
        {"export", "FILE", "write all records as JSON lines; - is the standard output", CLI_VALUE}, {                  \
        "import", "FILES", "add the records of files of JSON lines; - is the standard input", CLI_LIST                 \
    }

/* --export and --import, without a spec. false: neither was asked for. *code: the exit code. */
bool cli_tune_files(fv_ctx *ctx, const cli_args *a, int *code);
#endif
