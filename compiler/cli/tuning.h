/* The search of fovea tune: the kernels of a model, and the time spent on them. */
#ifndef FV_CLI_TUNING_H
#define FV_CLI_TUNING_H
#include "cli/live.h"
#include "tune/database.h"
#include "tune/device.h"
#include "tune/search.h"

/* -- A starting schedule per kernel (tune_from.c) ---- */
/* Lines "NAME: SCHEDULE", or what `fovea show --schedule` prints; # begins a comment, * names every kernel that has no
 * line of its own. */
typedef struct {
    const char *kernel, *file;
    int line;
    fv_schedule *wish;
    bool used;
} cli_tune_start;
typedef struct {
    int n, cap;
    cli_tune_start *of;
} cli_tune_starts;
bool cli_tune_read_starts(fv_ctx *ctx, const char *file, cli_tune_starts *out);
/* The one for a kernel of this name and strategy; NULL: none. */
cli_tune_start *cli_tune_start_of(fv_ctx *ctx, cli_tune_starts *s, const char *kernel, const char *strategy);

/* -- Kernels (tune_kernels.c) ---- */
typedef struct {
    const char *name, *where;
    const fv_launch *launch; /* the first that runs it */
    fv_tune_key key;
    double seconds; /* of one launch in a run of the whole model, by default */
    fv_tune_alone alone;
    fv_compiled standard;
    fv_tune_job job;
    fv_tune_search search;
    bool opened, done;
    const fv_schedule *from;                            /* NULL: the default */
    int correct, wrong, failed, recalled, without_gain; /* candidates; the last in a row */
    char noted[120];                                    /* what went wrong last */
} cli_tuned_kernel;

typedef struct {
    fv_ctx *ctx;
    cli_session *s;
    fv_driver_options driver;
    fv_compiled compiled; /* the whole model, by default */
    fv_tune_db *db;
    fv_tune_key machine;
    const fv_rates *rates;
    fv_rates rates_room;
    fv_start start;
    int64_t cache[4];
    fv_device_facts device; /* of backends with drivers */
    bool elsewhere;         /* kernels run on a device, not on threads of this machine */
    bool gone;              /* a device that does not even run the default any more; an error is recorded */
    int threads;
    double building; /* seconds of loading the model, by default: what its driver compiles is part of them */
    double begin, budget, paused; /* seconds */
    int64_t memory;
    int n;
    cli_tuned_kernel *kernel;
    double whole; /* seconds of a run of the model, by default */
    int rows;     /* written by this run */
} cli_tuning;

/* 1: the user has asked to stop. */
extern volatile sig_atomic_t cli_tune_stop;

/* Lowers, compiles and times the model by default; lists its kernels. */
bool cli_tune_open(cli_tuning *t);
void cli_tune_close(cli_tuning *t);
/* Makes a kernel's candidates and recalls what the database holds of it. false: given up or refused (an error is
 * recorded then). */
bool cli_tune_open_kernel(cli_tuning *t, cli_tuned_kernel *k);

/* -- The command (tune_search.c) ---- */
#define CLI_TUNE_SEARCH_OPTIONS                                                                                        \
    {"budget", "TIME", "how long to search, as in 60s, 2m or 1h (default 60s)", CLI_VALUE},                            \
        {"from", "FILE", "schedules to start from: lines KERNEL: SCHEDULE", CLI_VALUE}, {                              \
        "resume", NULL, "go on where the records end, which happens anyway", CLI_FLAG                                  \
    }
/* Searches schedules for the session's graph, and prints what was found. false after recording errors. */
bool cli_tune_search(fv_ctx *ctx, const cli_args *a, cli_session *s);
bool cli_tune_check(fv_ctx *ctx, const cli_args *a); /* its options, before anything else */

/* -- Time (tune_run.c) ---- */
/* Spends the budget; every candidate is one row. false after recording errors. */
bool cli_tune_run(cli_tuning *t);
/* Writes one row. false after recording why not. */
bool cli_tune_row(cli_tuning *t, cli_tuned_kernel *k, const char *schedule, const fv_tune_outcome *o, double predicted,
                  const char *origin);
/* The whole model with the winners and by default, run in turn: seconds of both, medians. false: not known. */
bool cli_tune_compare(cli_tuning *t, double *before, double *after);
#endif
