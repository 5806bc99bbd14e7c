/* fovea tune without a search: records between machines, and reports on what is known. */
#ifndef FV_CLI_TUNE_FILES_H
#define FV_CLI_TUNE_FILES_H
#include "cli/cli.h"

#define CLI_TUNE_FILE_OPTIONS                                                                                          \
    {"db", "FILE", "the database of records (default: tune.db in the cache)", CLI_VALUE},                              \
        {"report", "FILE", "write what is known of the spec's kernels: .html, .md or .json", CLI_VALUE},               \
        {"no-search", NULL, "search nothing: only report", CLI_FLAG},                                                  \
        {"export", "FILE", "write all records as JSON lines; - is the standard output", CLI_VALUE}, {                  \
        "import", "FILE", "add the records of a file of JSON lines; - is the standard input; may be repeated",         \
            CLI_LIST                                                                                                   \
    }

/* --export, --import and --no-search. false: none of them was asked for. *code: the exit code. */
bool cli_tune_files(fv_ctx *ctx, const cli_args *a, int *code);
/* --report of the records that there are; threads 0: as many as a model takes by default. The session's graph cannot
 * be compiled afterwards. false after recording errors; true if no report was asked for. */
bool cli_tune_report_of(fv_ctx *ctx, const cli_args *a, cli_session *s, int threads);
/* Is --report, if given, a file that a report can be written to? false after recording USAGE: to ask before a search.
 */
bool cli_tune_report_asked(fv_ctx *ctx, const cli_args *a);
#endif
