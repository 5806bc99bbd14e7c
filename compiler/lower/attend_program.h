/* The body of an attend kernel: scores, normaliser, weights, weighted sum, result. Strategies differ in what is a grid
 * point, what is a tile axis and how keys are enumerated; the statements are these. */
#ifndef FV_LOWER_ATTEND_PROGRAM_H
#define FV_LOWER_ATTEND_PROGRAM_H
#include "lower/attend.h"

typedef struct {
    attend *x;
    lower_kernel k;
    lower_fused query;        /* tile axes of the queries read as one */
    fv_str tile[FV_MAX_AXES]; /* tile axes of the queries, outer to inner */
    int n_tile;
    lower_fused keys[ATTEND_MAX_SETS];        /* key axes read as one; n_key 1 */
    fv_str key[ATTEND_MAX_SETS][FV_MAX_AXES]; /* key axes of a set, in the kernel */
    int n_key[ATTEND_MAX_SETS];
    fv_str value[FV_MAX_AXES]; /* value axes, in the kernel */
    bool key_first;            /* buffers put key axes before query axes (lanes along the queries) */
    int n_row_bindings;
    fv_binding row_binding[FV_MAX_AXES]; /* query axes written as phase * i + g */
    const fv_expr *in_hull;              /* the key of a hull is one of this query's own; NULL: no hull */
    fv_str qk, sc, pv;                       /* labels of the products and the score of set 0, for the schedule */
    fv_buffer *qt, *m, *l, *acc, *s[ATTEND_MAX_SETS][ATTEND_MAX_SCORES];
    double log2_scale[ATTEND_MAX_SETS]; /* folded into qt: the score is raw already; 0: not folded */
} attend_program;

/* e over Q, over and dot axes, as the kernel's: fused, bound to tensors. set < 0: no keys. */
const fv_expr *attend_bind(attend_program *p, int set, const fv_expr *e);
/* Declares dot and value axes, the query buffer qt[dot, q] and its statement. */
void attend_query(attend_program *p, fv_stmts *list);
/* s = log2(e) * score where the pair exists, else -inf. */
void attend_scores(attend_program *p, fv_stmts *list, int set);
/* All keys at once: statistics, exponentials, further steps, weights; s holds the weights times l (softmax without
 * weight) or the weights. */
void attend_resident(attend_program *p, fv_stmts *list);
/* One block of keys of one set: running maximum and sum, rescaled accumulators; `full` (may be NULL): no pair of the
 * block is absent. */
void attend_online(attend_program *p, fv_stmts *list, int set, const fv_expr *full);
/* acc = or += weights * v. */
void attend_sum(attend_program *p, fv_stmts *list, int set, bool first, const fv_expr *full);
/* The result, its epilogue, the log-sum-exp. */
void attend_store(attend_program *p, fv_stmts *list);
#endif
