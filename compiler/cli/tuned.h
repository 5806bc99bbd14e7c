/* The database of tuning records, used without being told by every command that compiles. */
#ifndef FV_CLI_TUNED_H
#define FV_CLI_TUNED_H
#include "cli/cli.h"
#include "tune/apply.h"

#define CLI_TUNED_OPTIONS                                                                                              \
    {"db", "FILE", "tuning records to use (default: tune.db in the cache)", CLI_VALUE}, {                              \
        "no-tuned", NULL, "use no tuning records: every kernel by default", CLI_FLAG                                   \
    }

typedef struct {
    fv_ctx *ctx;
    fv_tune_use use;
    char said[512]; /* the last line */
} cli_tuned;

/* Lets io use the records of --db or of the cache. threads: of the runs (0: as many as a model takes by default). A
 * strategy that is forced forces the schedules by default. false after recording an error: the file that --db names is
 * no database. What is wrong with that of the cache is said, and it is not used. Close it in any case, once nothing is
 * compiled with io any more. */
bool cli_tuned_open(fv_ctx *ctx, const cli_args *a, int threads, cli_tuned *t, fv_driver_options *io);
void cli_tuned_close(cli_tuned *t);
#endif
