/* fovea tune: the records of tuned schedules. */
#include "cli/tune.h"

static int run(fv_ctx *ctx, const cli_args *a) {
    int code;
    if (cli_tune_files(ctx, a, &code)) return code;
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "tune takes --export or --import; see fovea tune --help");
    return CLI_USER;
}
static const cli_option options[] = {CLI_TUNE_FILE_OPTIONS, {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_tune = {"tune", "tune --export FILE | --import FILES [--db FILE]",
                              "records of tuned schedules: between machines", options, run};
