/* fovea tune: the records of tuned schedules. */
#include "cli/tune_files.h"

static int run(fv_ctx *ctx, const cli_args *a) {
    int code;
    if (cli_tune_files(ctx, a, &code)) return code;
    fv_error(ctx, FV_E_USAGE, (fv_loc){0},
             "tune takes --export, --import, or one spec with --no-search and --report FILE; see fovea tune --help");
    return CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    CLI_TUNE_FILE_OPTIONS,
    {"backend", "NAME", "cpu (default) or another of fovea devices", CLI_VALUE},
    {"target", "NAME", "code for another processor than this one's best: avx2, sse2 …", CLI_VALUE},
    CLI_DEVICE_OPTIONS,
    {"threads", "N", "threads; default: what affinity and quota allow", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_tune = {"tune", "tune SPEC|BACKBONE[:VARIANT] --report FILE | --export FILE | --import FILES",
                              "records of tuned schedules: reports, and between machines", options, run};
