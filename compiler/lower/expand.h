/* A graph that is built anew, node by node, with some attends or scans replaced: what expand.c,
 * associate.c and unroll.c share. */
#ifndef FV_LOWER_EXPAND_H
#define FV_LOWER_EXPAND_H
#include "lower/internal.h"

typedef struct {
    fv_graph *from, *to;
    fv_value **map; /* by old value id */
    const bool *inner, *live;
    bool all; /* expand every attend */
    bool failed;
} lower_rebuild;

/* An old expression over the values of the new graph. */
const fv_expr *lower_rebuild_expr(lower_rebuild *k, const fv_expr *e);
/* Copies one node (no scan) whose operands are there: sets the map of its results, or `failed`. */
void lower_rebuild_node(lower_rebuild *k, const fv_node *n);
/* All outputs, once their values are there. */
void lower_rebuild_outputs(lower_rebuild *k);

/* -- associate.c */
/* Is this attend linear in q and in k, and are its products cheaper keys first? */
bool lower_keys_first(const lower_rebuild *k, const fv_node *attend);
/* Builds it so: sets the map of its result, or `failed`. */
void lower_associate(lower_rebuild *k, const fv_node *attend);
#endif
