/* The body of an attend kernel: scores, normaliser, weights, weighted sum, result. Strategies differ in what is a grid
 * point, what is a tile axis and how keys are enumerated; the statements are these. */
#ifndef FV_LOWER_ATTEND_PROGRAM_H
#define FV_LOWER_ATTEND_PROGRAM_H
#include "lower/attend.h"

/* An axis of `all` points, whole pairs or whole fragments, as 2 two + pair. */
typedef struct {
    fv_str two, pair, axis;
    int64_t all;
} attend_pair_axes;

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
    fv_str qk, sc, pv;                   /* labels of the products and the score of set 0, for the schedule */
    bool pair_scores, pair_sums;         /* these products are of pairs of bf16: attend_pairs.c */
    attend_pair_axes dots;               /* the dot axis in pairs */
    fv_buffer *qt, *qb, *m, *l, *acc, *s[ATTEND_MAX_SETS][ATTEND_MAX_SCORES];
    double log2_scale[ATTEND_MAX_SETS]; /* folded into qt: the score is raw already; 0: not folded */
    double exp_scale;                   /* > 0: of raw scores, taken with the maximum and the exponential; 0: none */
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
/* May the products be of pairs, with tiles of so many queries? After tile and key axes are known, before
 * attend_query. */
void attend_pairs_choose(attend_program *p, int64_t rows);
/* The parts of attend_query, attend_scores and attend_sum that are of pairs. block: keys of one tile, or all; value: of
 * the key, bound. */
void attend_pairs_query(attend_program *p, fv_stmts *list);
void attend_pairs_scores(attend_program *p, fv_stmts *list, int set, const fv_buffer *raw);
void attend_pairs_sum(attend_program *p, fv_stmts *list, int set, bool first, int64_t block, const fv_expr *value);
/* The result, its epilogue, the log-sum-exp. */
void attend_store(attend_program *p, fv_stmts *list);
#endif
