/* What the strategies of attend share: a node read once into expressions over stored values, placeholders replaced by
 * buffers when a kernel is emitted. */
#ifndef FV_LOWER_ATTEND_H
#define FV_LOWER_ATTEND_H
#include "lower/fuse.h"

enum { ATTEND_MAX_SETS = 16, ATTEND_MAX_SCORES = 3 };

typedef struct {
    const fv_attend_set *set;
    fv_facts facts;        /* of Q, over and dot axes */
    lower_pair k, v;       /* value NULL: none (given logits, a number) */
    bool listed;           /* over is one axis of the taps that exist */
    const fv_expr *exists; /* of the pair, over Q and over; NULL: always */
    int n_scores;
    const fv_expr
        *score[ATTEND_MAX_SCORES]; /* READs of `raw` stand for the dot product; for given logits: the logits */
    const fv_expr *weight;         /* READs of p; NULL: p1 */
} attend_set;
typedef struct {
    lower *l;
    const fv_node *anchor, *final;
    const fv_attend_node *a;
    const fv_value *out; /* of the attend: Q then E */
    int n_q, n_e;
    fv_axis q[FV_MAX_AXES], e[FV_MAX_AXES];
    const fv_expr *query; /* q at Q and dot; NULL: logits given */
    int n_sets;
    attend_set set[ATTEND_MAX_SETS];
    double flops; /* useful operations: of pairs that exist */
} attend;
/* Reads the node. false: it cannot be lowered by any strategy (an error that says why is recorded). */
bool lower_attend_read(lower *l, const fv_node *anchor, const fv_node *final, attend *out);
/* Names of value axes inside a kernel: they may equal dot axes, which they are not. */
fv_str lower_value_axis_name(fv_ctx *c, fv_str e);

/* score = factor * raw with a constant factor and nothing else? */
bool lower_plain_scale(const attend_set *s, double *factor);

/* Is this predicate true at every (out_always) / false at every (out_never) point of a box? Expressions over scalars;
 * NULL: not known. leaf[i] runs over lo[i]..hi[i]. */
void lower_box_test(lower *l, const fv_facts *f, const fv_expr *pred, const fv_expr *const *leaf,
                    const fv_expr *const *lo, const fv_expr *const *hi, int n, const fv_expr **out_always,
                    const fv_expr **out_never);

/* Rewrites the scores: tables of parameters over the pair become prepared tensors with the tile's axes innermost. */
void lower_attend_tables(attend *x, const fv_axis *tile, int n_tile);
/* Does an index that enumerates keys read this query axis? */
bool lower_attend_enumerates(const attend *x, const fv_axis *a);
/* Replaces the over axes of a set with holes by one axis of the taps that exist; nothing where it has few. */
void lower_attend_list_taps(attend *x, attend_set *s);
/* The share of a set's pairs that exist, for useful operations; 1 where data decides. */
double lower_attend_share(const attend *x, const attend_set *s);
/* Useful operations of the node: two per multiply-add of pairs that exist. Before strategies rewrite it. */
double lower_attend_flops(const attend *x);
/* Do keys and values have this query axis as it is (batch, head, window)? Then it is a point of the grid for every
 * strategy. */
bool lower_attend_batch(const attend *x, const fv_axis *a);

/* The strategy that the options or the wish for this group ask for, without "attend."; NULL: none. */
const char *lower_attend_asked(const lower *l);
/* Strategies: each returns NULL after emitting, or the reason why it does not fit. */
const char *lower_attend_box(attend *a);
const char *lower_attend_offset(attend *a);
#endif
