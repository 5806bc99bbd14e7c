/* apply: what the database knows, used where a graph is lowered: every kernel that has a faster schedule there gets
 * it. */
#ifndef FV_TUNE_APPLY_H
#define FV_TUNE_APPLY_H
#include "backends/backend.h"
#include "lower/lower.h"
#include "tune/database.h"

/* A key without its group: where kernels run, and what they are compiled by. facts: those of the target. threads of a
 * run; ignored for backends whose kernels run elsewhere. false: there is no such device. */
typedef struct {
    const fv_backend *backend;
    const char *target, *device; /* as in fv_compile_options */
    int threads;
} fv_tune_where;
bool fv_tune_place(fv_ctx *ctx, const fv_tune_where *where, const fv_target *facts, fv_type storage, fv_tune_key *out);

typedef struct {
    fv_tune_db *db;
    fv_tune_where where;
    /* Filled by every use. */
    int kernels, tuned; /* of the run: all, and those with a schedule of the database */
    int refused;        /* whose schedule does not fit any more: they run by default */
    const char *reason; /* of the first of these */
} fv_tune_use;
/* What was filled, as a line for people; nothing where nothing was known of any kernel. */
void fv_tune_use_text(const fv_tune_use *u, fv_buf *out);

/* An fv_replan of the driver; user: a fv_tune_use. Never fails: what cannot be used is counted in `refused`, and an
 * error of the database is recorded and leaves the plan as it is. */
fv_plan *fv_tune_replan(void *user, fv_graph *g, fv_str entry, fv_lower_options *o, fv_plan *plain);
#endif
