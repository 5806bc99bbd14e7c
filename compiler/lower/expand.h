/* A graph that is built anew, node by node, with some attends replaced: what expand.c and associate.c share. */
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

/* -- associate.c */
/* Is this attend linear in q and in k, and are its products cheaper keys first? */
bool lower_keys_first(const lower_rebuild *k, const fv_node *attend);
/* Builds it so: sets the map of its result, or `failed`. */
void lower_associate(lower_rebuild *k, const fv_node *attend);
#endif
