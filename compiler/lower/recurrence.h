/* A scan that one kernel can run: what its steps keep, and along which axes its programs are independent. */
#ifndef FV_LOWER_RECURRENCE_H
#define FV_LOWER_RECURRENCE_H
#include "lower/internal.h"

enum { LOWER_MOST_MEMBERS = 24, LOWER_MOST_ELEMENTS = 16384 }; /* elements: of one program's states and members */

typedef struct {
    const fv_graph *g;
    const fv_node *scan;
    const bool *in; /* body, by node id */
    int n_members;
    const fv_node *member[LOWER_MOST_MEMBERS];
    int n_grid;
    fv_axis grid[FV_MAX_AXES]; /* axes along which programs are independent */
    int n_inner;
    fv_axis inner[FV_MAX_AXES]; /* the other axes of states and members, and reduced ones */
    const char *no;             /* why it is no recurrence for one kernel */
} lower_recurrence;

/* body: by node id, the live nodes that depend on the scan's placeholders. By the graph alone; `no` says why not. */
lower_recurrence *lower_recurrence_of(const fv_graph *g, const fv_node *scan, const bool *body);
/* Elements of a value in one program, its tile axes counted as points. */
double lower_inner_elements(const lower_recurrence *r, const fv_value *v);
#endif
