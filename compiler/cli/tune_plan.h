/* fovea tune on many machines: a plan is a list of command lines that do not depend on each other; each measures some
 * candidates of one kernel and writes their records as JSON lines. */
#ifndef FV_CLI_TUNE_PLAN_H
#define FV_CLI_TUNE_PLAN_H
#include "cli/cli.h"
#include "tune/database.h"
#include "tune/device.h"

#define CLI_TUNE_PLAN_OPTIONS                                                                                          \
    {"plan", NULL, "print the command lines of a search on many machines", CLI_FLAG},                                  \
        {"per-job", "N", "candidates of one of these lines (default 8)", CLI_VALUE},                                   \
        {"job", "KERNEL",                                                                                              \
         "measure the candidates of --try for one kernel of a plan; records go to the standard output", CLI_VALUE},    \
    {                                                                                                                  \
        "try", "SCHEDULE", "a candidate of --job; may be repeated", CLI_LIST                                           \
    }

/* --plan and --job. false: neither was asked for. *code: the exit code. */
bool cli_tune_many(fv_ctx *ctx, const cli_args *a, int *code);

/* The session's graph by default on the device that the options name. */
typedef struct {
    fv_driver_options driver;
    fv_compiled compiled; /* a plan alone */
    fv_tune_key place;
    fv_device_facts device; /* of backends with drivers */
    int threads;
} cli_tune_site;
bool cli_tune_site_open(fv_ctx *ctx, const cli_args *a, cli_session *s, cli_tune_site *out);
/* What names a kernel on a command line: 16 digits that follow from its text alone. */
const char *cli_tune_kernel_id(fv_ctx *ctx, const char *group);

bool cli_tune_job(fv_ctx *ctx, const cli_args *a, cli_session *s); /* tune_job.c */
#endif
