/* fovea tune: the records of tuned schedules. */
#include "cli/tune.h"
#include "cli/tune_report.h"

static bool report(fv_ctx *ctx, const cli_args *a, cli_session *s) {
    const char *path = cli_value(a, "report");
    int64_t threads = 0;
    fv_driver_options o = {.backend = cli_value(a, "backend"),
                           .target = cli_target(a, cli_value(a, "backend")),
                           .device = cli_value(a, "device"),
                           .cache_dir = cli_cache_dir(ctx),
                           .storage = s->storage};
    if (!cli_int(ctx, a, "threads", 1, &threads)) return false;
    cli_tune_report r;
    fv_tune_db *db = fv_tune_db_open(ctx, cli_value(a, "db"), false);
    bool fine = db && cli_tune_gather(ctx, a, s, db, &o, threads ? (int)threads : fovea_threads_available(), &r) &&
                cli_tune_report_write(ctx, &r, path);
    if (fine) printf("%s: %d kernels, %d records\n", path, r.n, r.records);
    fv_tune_db_close(db);
    return fine;
}
static int run(fv_ctx *ctx, const cli_args *a) {
    int code;
    static cli_session s;
    if (cli_tune_files(ctx, a, &code)) return code;
    const char *path = cli_value(a, "report");
    if (a->n_words != 1 || !path) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0},
                 "tune takes --export, --import, or one spec and --report FILE; see fovea tune --help");
        return CLI_USER;
    }
    bool fine = cli_tune_report_path(ctx, path) && cli_session_open(ctx, a, a->word[0], &s) && report(ctx, a, &s);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
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
