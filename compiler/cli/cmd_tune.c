/* fovea tune: searches schedules, and what else is done with their records. */
#include "cli/tune_files.h"
#include "cli/tune_plan.h"
#include "cli/tuning.h"

static int run(fv_ctx *ctx, const cli_args *a) {
    int code;
    static cli_session s;
    if (cli_tune_files(ctx, a, &code) || cli_tune_many(ctx, a, &code)) return code;
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0},
                 "tune takes one spec, or --export or --import; %d words given; see fovea tune --help", a->n_words);
        return CLI_USER;
    }
    int64_t threads = 0;
    bool fine = cli_tune_check(ctx, a) && cli_tune_report_asked(ctx, a) && cli_int(ctx, a, "threads", 1, &threads) &&
                cli_session_open(ctx, a, a->word[0], &s) && cli_tune_search(ctx, a, &s) &&
                cli_tune_report_of(ctx, a, &s, (int)threads);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    CLI_TUNE_SEARCH_OPTIONS,
    CLI_TUNE_FILE_OPTIONS,
    CLI_TUNE_PLAN_OPTIONS,
    CLI_BACKEND_OPTION,
    CLI_TARGET_OPTION,
    CLI_DEVICE_OPTIONS,
    {"threads", "N", "threads; default: what affinity and quota allow", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_tune = {"tune", "tune SPEC|BACKBONE[:VARIANT] [options] | --export FILE | --import FILE",
                              "find faster schedules for this machine and keep them", options, run};
