/* Pairs of 16-bit operands. A required layout ends in a pair of the reduced axis: B is [k/2][n][2], A has k innermost;
 * the tile text says so with a reduced axis of two points, x[.., 2*k + p] * w[.., k, n, p] over k, p, and means what it
 * says on every target. Where the target multiplies pairs (fv_target.dot2), both points of p are one DOT2: the operand
 * with the lanes is 2 vl consecutive elements, the other one pair for all lanes. Operands are tensors or buffers; a
 * buffer of bf16 whose last axis has two points is laid out so, and a map of it writes both points at once. Invariant:
 * memory of both operands may be read past its end (padded), so lanes that are not valid need no mask. */
#include "kernel/flatten.h"

static bool plain(const fv_expr *e) {
    return e->op == FV_X_READ && !e->i && e->ref->type == FV_BF16 &&
           (e->ref->kind == FV_OBJ_BUFFER || ((const fv_tensor *)e->ref)->padded);
}
int64_t fl_coefficient(fl *f, const fv_expr *offset, const fv_expr *leaf) {
    const fv_expr *rest;
    int64_t c;
    return fv_split_affine(f->ctx, offset, leaf, &c, &rest) ? c : -1;
}
fl_axis *fl_pair_axis(fl *f, const fv_stmt *s, fl_axis *lane) {
    const fv_expr *e = s->expr;
    if (!f->t->dot2 || !lane || s->kind != FV_S_CONTRACT || e->op != FV_X_MUL || !plain(e->arg[0]) || !plain(e->arg[1]))
        return NULL;
    if (s->write != FV_W_SUM && s->write != FV_W_ADD) return NULL;
    fl_axis *last = s->n_over ? fl_axis_find(f, s->over[s->n_over - 1]) : NULL;
    if (!last || last == lane || last->tile != 2 || !last->whole || (s->where && fv_uses_axis(s->where, last->name)) ||
        (s->where && fv_uses_axis(s->where, lane->name)))
        return NULL;
    int with_lanes = 0;
    for (int j = 0; j < 2; j++) {
        const fv_expr *off = fl_symbolic_offset(f, e->arg[j]->ref, e->arg[j]->arg, lane);
        int64_t by_lane = fl_coefficient(f, off, f->lane_leaf);
        if (fl_coefficient(f, off, fl_symbol(f, last)) != 1 || (by_lane != 0 && by_lane != 2)) return NULL;
        with_lanes += by_lane == 2;
    }
    return with_lanes == 1 ? last : NULL;
}
