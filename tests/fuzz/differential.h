/* One graph, several evaluations: the reference decides, and the tile interpreter (f64), the flat interpreter and
 * compiled code are held against it, so that a fault is named with the level that made it: lowering, flattening, or the
 * backend.
 *
 * How far a result may lie from the reference:
 *   whole numbers: where every leaf holds whole numbers and every intermediate is a whole number below 2^24
 * (cli/check_bound.h), equal. tile interpreter: it computes in f64 with the reference's formulas in another order: 1e-9
 * * length * max(1, max|want|). compiled code and flat interpreter: K * eps * max(1, max|want|) with eps = 2^-24 and K
 * = 16 * length, length being the longest path of roundings of check_bound.h; 4 of the 16 are that header's, and 4 more
 * because random graphs cancel: an intermediate of size 1 may stand behind an output that is smaller.
 *   16-bit storage: 16 * stored * u beside that (check_bound.h); whole numbers equal where none exceeds 1 / u. */
#ifndef FV_DIFFERENTIAL_H
#define FV_DIFFERENTIAL_H
#include "backends/reference/reference.h"
#include "driver/driver.h"

typedef enum { FV_DIFF_AGREES, FV_DIFF_REFUSED, FV_DIFF_WRONG } fv_diff_verdict;

typedef struct {
    fv_ctx *ctx;
    fv_graph *graph;
    fv_ref_source *source; /* numbers of the leaves: each is rounded to f32 for all evaluations alike */
    void *user;
    double **want;     /* by output, stored order */
    double *tolerance; /* by output: of f32 code; 0: equal; of the variant that runs */
    double *length;    /* by output */
    bool whole;
    fv_type storage; /* of the variant that runs */
    double limit;    /* > 0: of floats, no more than this part of max|want| either */
    double *most;    /* by output: max(1, max|want|) */
    void *bound;     /* by output: cli_bound */
    fv_buf report;   /* what is wrong or why it was refused; text for people */
} fv_diff;
/* Runs the reference. whole: leaves hold whole numbers in -3..3. false: it failed (report says why). Close it in any
 * case. */
bool fv_diff_open(fv_diff *d, fv_ctx *ctx, fv_graph *g, fv_ref_source *source, void *user, bool whole);
void fv_diff_close(fv_diff *d);

typedef struct {
    fv_driver_options driver; /* target, attend strategy, row sharing; verify is set */
    bool interpret, flat;     /* the tile interpreter; the flat interpreter on what compiled code is made of */
    bool compile;   /* and compiled code, on 1, 2, 5 and 16 threads (one where an executor runs it): equal bits */
    bool if_here;   /* refused where this machine has no such target; else that is an error */
    fv_type rounds; /* what the code rounds operands to whatever its storage: bounds are of that; 0: nothing */
} fv_diff_variant;
/* A refusal is one only if every error recorded is NOT_LOWERED or DECLINED. Diagnostics are cleared. */
fv_diff_verdict fv_diff_run(fv_diff *d, const fv_diff_variant *v);

/* Runs `body` in a child process of its own, so that a crash or an endless loop is a result too: *report gets what the
 * body wrote into its buffer, and for a crash the signal. */
typedef fv_diff_verdict fv_diff_body(void *user, fv_buf *report);
fv_diff_verdict fv_diff_isolated(fv_diff_body *body, void *user, int seconds, fv_buf *report);
#endif
