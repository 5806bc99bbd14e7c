/* How floats lie in memory between kernels when the caller asks for 16 bits: products and maps of activations, and the
 * packed weights of products, are stored in 16 bits; arithmetic stays f32. In f32 stay: what the caller sees (inputs,
 * outputs), parameters and tables of parameters that are no product's weights, statistics (reductions that are no
 * product), what is small, what is ranked, and what becomes an integer: a selection or an index is made of f32. */
#include "lower/internal.h"

enum { SMALL = 4096, FEW = 16 }; /* elements: below, the halved memory is not worth a rounding; uses of a weight */

bool lower_sixteen(const lower *l) { return l->o->storage == FV_BF16 || l->o->storage == FV_F16; }
bool lower_takes_pairs(const lower *l) { return l->t->dot2 && !l->o->no_pairs && l->o->storage == FV_BF16; }

/* The stored values that an expression of this value reads. */
static void mark(const fv_value *v, void *user) {
    lower *l = user;
    lower_node *d = &l->node[v->node->id];
    if (d->exact || !fv_type_is_float(v->obj.type)) return;
    d->exact = true;
    if (d->role == LOWER_INLINE || d->role == LOWER_INNER) fv_node_operands(v->node, mark, l);
}
void lower_choose_storage(lower *l) {
    if (!lower_sixteen(l)) return;
    for (int i = l->g->n_nodes - 1; i >= 0; i--) {
        const fv_node *n = l->g->node[i];
        if (l->node[i].role == LOWER_DEAD) continue;
        if (n->op == FV_NODE_TOPK || !fv_type_is_float(n->result[0]->obj.type)) fv_node_operands(n, mark, l);
    }
}
/* A reduction that is no product of two values: a mean, a maximum, a count; or a map that ends such a group. */
static bool is_statistic(const lower *l, const fv_node *n) {
    const fv_node *member[1];
    if (n->op == FV_NODE_COMPUTE && n->u.compute.monoid == FV_MONOID_NONE && lower_row_members(l, n, member, 1) == 1 &&
        l->coords[n->id])
        n = member[0];
    if (n->op != FV_NODE_COMPUTE || n->u.compute.monoid == FV_MONOID_NONE) return false;
    return n->u.compute.monoid != FV_MONOID_SUM || n->u.compute.body->op != FV_X_MUL;
}
/* The value that an operand of a sum is, behind views. */
static const fv_value *behind(const lower *l, const fv_expr *e) {
    const fv_value *v = e->op == FV_X_READ && e->ref->kind == FV_OBJ_VALUE ? fv_value_of(e->ref) : NULL;
    while (v && v->node->op == FV_NODE_READ && l->node[v->node->id].role == LOWER_INLINE) v = v->node->u.read.src;
    return v;
}
static bool is_product(const fv_node *n) {
    return n->op == FV_NODE_ATTEND || (n->op == FV_NODE_COMPUTE && n->u.compute.monoid == FV_MONOID_SUM);
}
/* A residual stream: the sum of a stored value of the same extents and something, that no product reads. What is added
 * to it again and again is rounded once, at the end. */
static bool is_stream(const lower *l, const fv_node *n) {
    const lower_node *d = &l->node[n->id];
    if (n->op != FV_NODE_COMPUTE || n->u.compute.monoid != FV_MONOID_NONE || n->u.compute.body->op != FV_X_ADD ||
        d->n_sinks > LOWER_MAX_SINKS)
        return false;
    for (int i = 0; i < d->n_sinks; i++)
        if (is_product(l->g->node[d->sink[i]])) return false;
    for (int i = 0; i < 2; i++) {
        const fv_value *v = behind(l, n->u.compute.body->arg[i]);
        if (v && l->node[v->node->id].role == LOWER_STORED && !l->node[v->node->id].prepare &&
            fv_value_count(v) == fv_value_count(n->result[0]))
            return true;
    }
    return false;
}
fv_type lower_storage(const lower *l, const fv_value *v) {
    const lower_node *d = &l->node[v->node->id];
    int64_t small = l->o->storage_small ? l->o->storage_small : SMALL;
    if (!lower_sixteen(l) || l->t->registers < 32 || v->obj.type != FV_F32 || d->prepare || d->exact ||
        v->node->op == FV_NODE_TOPK || fv_value_count(v) < small || is_statistic(l, v->node) || is_stream(l, v->node))
        return v->obj.type;
    return l->o->storage;
}
fv_type lower_weight_storage(const lower *l, double uses) {
    return lower_sixteen(l) && (l->t->registers >= 32 || uses < FEW) ? l->o->storage : FV_F32;
}
