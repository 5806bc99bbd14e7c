/* Shared by the files that lower one nest: flatten_nest.c (loops), flatten_acc.c (accumulators, tails), flatten_leaf.c
 * (the innermost body), flatten_guard.c (conditions on the way in). */
#ifndef FV_FLATTEN_NEST_H
#define FV_FLATTEN_NEST_H
#include "kernel/flatten.h"

typedef struct {
    fl *f;
    fl_group *g;
    int n_items;
    fl_item item[FV_MAX_AXES];   /* in the order of the schedule: the order of points in a block */
    int n_seq, seq[FV_MAX_AXES]; /* loops: whole free axes first */
    int open_at;                 /* accumulators are opened before this loop */
    bool stream, rolled;
    bool pairs; /* both points of the group's pair axis are one DOT2 */
} fl_nesting;

/* -- Statements -------------------------------------------------------------------------------------------------- */
bool fl_accumulates(const fv_stmt *s); /* into what its target holds */
const fv_expr *fl_neutral(fl *f, const fv_stmt *s);
fv_op fl_combiner(const fv_stmt *s);
void fl_split_where(fl_member *m, const fv_expr *w);      /* the conjuncts of w */
const fv_expr *fl_conjunction(fl *f, const fl_member *m); /* of the member's conditions at the point, in scalar form */
void fl_plain_point(fl *f, const fl_member *m);           /* a map or store at the point */

/* -- Points of the blocks being emitted -------------------------------------------------------------------------- */
fl_item *fl_item_of(fl_nesting *n, const fl_axis *a);
void fl_set_point(fl *f, const fl_item *it, int64_t i);
typedef void fl_point_fn(fl_nesting *n, int64_t acc, void *user);
/* Calls fn at every point of the blocks of the free items (and the reduced ones, if all); acc numbers the free points.
 */
void fl_each_point(fl_nesting *n, bool all, fl_point_fn *fn, void *user);
bool fl_lane_is_reduced(const fl_nesting *n);

/* -- Parts of a nest --------------------------------------------------------------------------------------------- */
void fl_open_all(fl_nesting *n);     /* accumulators of the block */
void fl_close_all(fl_nesting *n);    /* their values to the targets; the tail */
void fl_inner(fl_nesting *n, int i); /* loops from seq[i] on, inside the accumulators */
bool fl_take_conditions(fl_nesting *n,
                        int i); /* emits what is inside under conditions that are ready here; false: there are none */
void fl_leaf(fl_nesting *n);    /* all points of the block */
#endif
