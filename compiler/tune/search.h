/* search: the candidates of one kernel, in the order in which they are worth trying. Coordinate descent around the best
 * schedule so far: its neighbours (space.h) are ordered by the cost model corrected by what was measured (learn.h); a
 * better one becomes the new centre, and its neighbours join those left. Where none is left, those around the best one
 * that has not been a centre, the default among them, go on. */
#ifndef FV_TUNE_SEARCH_H
#define FV_TUNE_SEARCH_H
#include "tune/child.h"
#include "tune/learn.h"
#include "tune/space.h"

typedef struct {
    const fv_schedule *wish; /* NULL: the default */
    const char *text;        /* its canonical text; "" the default */
    fv_tune_foresight seen;
    fv_tune_properties properties;
    bool tried, centred; /* centred: its neighbours are among the candidates */
    double ratio;        /* measured; 0: none */
} fv_tune_candidate;

typedef struct {
    fv_ctx *ctx;
    const fv_tune_job *job; /* kept by reference */
    fv_tune_learned *learned;
    int n, cap;
    fv_tune_candidate **candidate;                         /* [0]: the default */
    fv_tune_candidate *best;                               /* correct, of least ratio; the default to begin with */
    fv_tune_candidate *centre;                             /* the best one reached from the start */
    double standard, work;                                 /* the model's seconds and work of the default; 0: unknown */
    int n_pruned;                                          /* candidates that were not offered, and rows for them: */
    void (*prune)(void *user, const fv_tune_candidate *c); /* each once, with c->seen.reason; NULL: not told */
    void *user;
    int n_tried;
} fv_tune_search;

/* Starts from a schedule (NULL: the default). false: given up, or the start does not fit: *reason then says why. */
bool fv_tune_search_open(fv_ctx *ctx, const fv_tune_job *job, const fv_schedule *from,
                         void (*prune)(void *user, const fv_tune_candidate *c), void *user, fv_tune_search *out,
                         const char **reason);
/* The most promising candidate not yet tried; NULL: none is left. *gain: what it may save of the best one's time, as a
 * fraction, by optimistic estimate. */
fv_tune_candidate *fv_tune_search_next(fv_tune_search *s, double *gain);
/* What came of one. ratio 0: it is not correct. false: given up. */
bool fv_tune_search_tell(fv_tune_search *s, fv_tune_candidate *c, double ratio);
/* A candidate by its text; NULL: none of these so far. */
fv_tune_candidate *fv_tune_search_find(fv_tune_search *s, const char *text);
/* One measured earlier (a record): joins the candidates if it fits. NULL: it does not. */
fv_tune_candidate *fv_tune_search_recall(fv_tune_search *s, const fv_schedule *wish, double ratio);
#endif
