/* learn: what the times of the candidates of one kernel say about those not yet tried. */
#ifndef FV_TUNE_LEARN_H
#define FV_TUNE_LEARN_H
#include "schedule/schedule.h"

/* log(time / time of the default) = trust * log(the cost model's ratio) + the sum over the candidate's properties of
 * their effects. Properties are the entries of its wish ("tile.m=12") and the parts of its nests ("nest.mm0:n/6!").
 * `trust` and the effects are fitted to what was measured so far by least squares with a penalty on effects and on
 * trust's distance from its first value, one unknown at a time until they stand (ridge regression by coordinate
 * descent: A. E. Hoerl, R. W. Kennard, Technometrics 12, 1970). An additive model of few points errs on the side of
 * what it has not seen, so the estimate of a candidate is lowered by what its unseen properties might bring. */
typedef struct fv_tune_learned fv_tune_learned;
fv_tune_learned *fv_tune_learn_new(fv_ctx *ctx);

/* A candidate's properties, as numbers that the others of this kernel share; owned by the context. */
typedef struct {
    int n;
    int *of;
} fv_tune_properties;
fv_tune_properties fv_tune_properties_of(fv_ctx *ctx, fv_tune_learned *l, const fv_schedule *wish);

/* model: log of the cost model's ratio, 0 if there is none; measured: log of the measured one. */
void fv_tune_learn(fv_ctx *ctx, fv_tune_learned *l, const fv_tune_properties *p, double model, double measured);
/* The expected log ratio; optimistic: lowered as above. */
double fv_tune_expect(const fv_tune_learned *l, const fv_tune_properties *p, double model, bool optimistic);
#endif
