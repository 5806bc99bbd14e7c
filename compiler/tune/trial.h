/* trial: a compiled kernel, alone, on seeded numbers: run, compared, timed. Made in a process of its own (child.h). */
#ifndef FV_TUNE_TRIAL_H
#define FV_TUNE_TRIAL_H
#include "driver/driver.h"
#include "tune/alone.h"
#include "tune/pairs.h"

enum { FV_TUNE_MOST_TENSORS = 64 };
typedef struct {
    const fv_compiled *compiled;
    const fv_tune_alone *alone;
    fovea_model *model;
    int n_in, n_out, n_param, n_run;
    DLTensor in[FV_TUNE_MOST_TENSORS], out[FV_TUNE_MOST_TENSORS];
    fovea_named_tensor param[FV_TUNE_MOST_TENSORS];
    int64_t *ns; /* by launch of a run */
} fv_tune_trial;

/* Loads the model of a plan taken alone; close it in any case. */
bool fv_tune_trial_open(fv_tune_trial *t, const fv_compiled *c, const fv_tune_alone *a, int threads, fovea_error *e);
void fv_tune_trial_close(fv_tune_trial *t);

/* Numbers that depend on a tensor's number in the whole plan alone: floats in -1..1, of parameters above 0; with
 * `whole` whole numbers in -3..3; indices inside their bounds. Prepares the parameters. */
bool fv_tune_trial_fill(fv_tune_trial *t, bool whole, fovea_error *e);
bool fv_tune_trial_run(fv_tune_trial *t, fovea_error *e);

/* The answers of the last run against those of another trial's. Integers and truth values: equal. tolerance_factor:
 * times the larger max|want| of an output and 1; 0: equal. NULL: they agree; else what differs, in `text`. */
const char *fv_tune_trial_differs(const fv_tune_trial *got, const fv_tune_trial *want, double tolerance_factor,
                                  char *text, int size);
/* Changes one answer by more than any tolerance: for tests of the comparison. */
void fv_tune_trial_spoil(fv_tune_trial *t);

/* Seconds that the launches of `runs` runs took together, per run, less the part of the time that this thread did not
 * run: `stolen` (with several threads: not known, 0). */
bool fv_tune_trial_time(fv_tune_trial *t, int runs, double *seconds, double *stolen, fovea_error *e);
#endif
