/* child: a candidate lowered, compiled, run and timed in a forked process with limits, so that whatever goes wrong in
 * it is a result too. */
#ifndef FV_TUNE_CHILD_H
#define FV_TUNE_CHILD_H
#include "tune/cost.h"
#include "tune/database.h"
#include "tune/trial.h"

#include <signal.h>

/* Runs body(user) in a child with limits; what it has to say it writes into memory from fv_tune_shared. true: it came
 * to its end in time. */
typedef struct {
    double seconds; /* by the clock */
    int threads;    /* of the child, for the limit of processor time */
    int64_t memory; /* bytes beyond what the parent has; 0: no limit */
    bool resident;  /* memory counts what is in use (Linux): drivers reserve far more than they use */
    const volatile sig_atomic_t *stop; /* not 0: it is killed; NULL: never */
} fv_tune_limits;
bool fv_tune_in_child(const fv_tune_limits *limits, void (*body)(void *user), void *user);
void *fv_tune_shared(size_t bytes); /* zeroed; NULL: none */
void fv_tune_unshare(void *p, size_t bytes);

/* What all candidates of one kernel have in common. */
typedef struct {
    fv_ctx *ctx;
    fv_driver_options driver;    /* no wishes */
    fv_lowering *kept;           /* of the whole graph, by default */
    int group;                   /* fv_launch.group */
    const fv_compiled *standard; /* the default alone (its plan is alone->plan); module NULL: the child compiles it */
    const fv_tune_alone *alone;  /* the default */
    int threads;
    int units;             /* that run programs at once: threads, or a device's; 0: unknown */
    const fv_rates *rates; /* NULL: nothing is predicted */
    fv_start start;        /* of launches on these threads */
    int64_t cache[4];      /* bytes of the levels */
    fv_tune_limits limits;
    double best;       /* the least ratio so far: what a candidate must beat to be timed closely */
    const char *fault; /* for tests: "wrong", "crash", "hang", "memory", or NULL */
} fv_tune_job;

/* Statuses of records (database.h), and `STOPPED`: given up, no record. */
typedef enum {
    FV_TUNE_CORRECT,
    FV_TUNE_WRONG,
    FV_TUNE_COMPILE,
    FV_TUNE_RUNTIME,
    FV_TUNE_TIMEOUT,
    FV_TUNE_MEMORY,
    FV_TUNE_DECLINED,
    FV_TUNE_STOPPED
} fv_tune_status;
extern const char *const fv_tune_status_names[];

typedef struct {
    fv_tune_status status;
    char reason[400]; /* "" when correct */
    /* CORRECT: seconds of a run; ratio: the median of candidate / default, at least 1 unless the candidate is faster
     * with 95 % confidence; noise: spread of the default's times; stolen: part of the samples dropped because the
     * processor was taken away. */
    double seconds, seconds_min, default_seconds, ratio, noise, stolen;
    int pairs;
} fv_tune_outcome;
/* wish: over the default; NULL: the default itself against itself. */
void fv_tune_try(const fv_tune_job *job, const fv_schedule *wish, fv_tune_outcome *out);
/* The row of an outcome, of this moment; its texts are those given. record.c. */
fv_tune_record fv_tune_record_of(const fv_tune_key *key, const char *kernel, const char *schedule,
                                 const fv_tune_outcome *o, double predicted, const char *origin);

/* What can be said of a candidate without running it. */
typedef struct {
    bool fits;
    char reason[200]; /* why not */
    double seconds;   /* by the cost model; 0: not predicted */
    double
        work; /* where no rates are known: counted operations and words, more where units stay idle; 0: not counted */
    int64_t scratch_bytes, programs;
    uint64_t code; /* equal for candidates that become equal code */
} fv_tune_foresight;
/* Of n wishes (NULL among them: the default). One child for all; what it did not come to does not fit. false: given up.
 */
bool fv_tune_foresee(const fv_tune_job *job, const fv_schedule *const *wish, int n, fv_tune_foresight *out);
#endif
