/* Run-time operands whose memory runs across the lanes: generated kernels, tables of a few elements. Where one free axis
 * is contiguous in the result and in all other operands, and such an operand is small beside the work, it is copied once
 * into an order that has that axis innermost. Weights are packed instead (emit_reduce.c), keys turned by their attend.
 * Invariant: only the address changes, never what is read. */
#include "lower/operands.h"

enum { SMALL = 8, MAX_TURNED = 4 }; /* an element is used at least so many times; operands of one product */

typedef struct {
    int n;
    int factor[MAX_TURNED];
    uint32_t dims[MAX_TURNED]; /* the axes of the factor's value that go innermost */
    double elements;
} turning;

/* The axes of a factor's value that `axis` moves along: together one step for one (one axis, or a group and a channel
 * of it: c // 8, c % 8). 0: no such plain read. */
static uint32_t moves_along(lower *l, const fv_facts *f, const fv_expr *e, fv_str axis) {
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return 0;
    const fv_value *v = fv_value_of(e->ref);
    if (!l->placed[v->id] || l->node[v->node->id].prepare) return 0;
    uint32_t dims = 0;
    const fv_expr *leaf = fv_axis_ref(l->ctx, axis), *rest, *at = fv_int(l->ctx, 0);
    int order[FV_MAX_AXES];
    lower_memory_order(l, v, order);
    for (int i = 0; i < v->obj.rank; i++) {
        if (!fv_uses(e->arg[order[i]], leaf)) continue;
        dims |= 1u << order[i];
        at = fv_add(l->ctx, fv_muli(l->ctx, at, v->axis[order[i]].extent), e->arg[order[i]]);
    }
    int64_t coef;
    at = fv_simplify(l->ctx, f, at);
    return fv_split_affine(l->ctx, at, leaf, &coef, &rest) && coef == 1 ? dims : 0;
}
/* What must be turned so that lanes can run along `axis`; false: they cannot. */
static bool turning_for(lower *l, const fv_facts *f, const lower_product *p, const fv_expr *out, fv_str axis,
                        double points, turning *t) {
    const fv_expr *rest;
    int64_t c;
    *t = (turning){.n = 0};
    if (!fv_split_affine(l->ctx, out, fv_axis_ref(l->ctx, axis), &c, &rest) || c != 1) return false;
    for (int i = 0; i < p->n; i++) {
        int64_t k = lower_coefficient(l, p->factor[i], axis);
        if (k == 0 || k == 1 || k == LOWER_PACKABLE) continue;
        uint32_t dims = moves_along(l, f, p->factor[i], axis);
        if (!dims || t->n == MAX_TURNED) return false;
        double n = (double)fv_value_count(fv_value_of(p->factor[i]->ref));
        if (n * SMALL > points) return false;
        t->factor[t->n] = i;
        t->dims[t->n++] = dims;
        t->elements += n;
    }
    return true;
}
static const fv_value *turned(lower *l, const fv_value *v, uint32_t dims, fv_loc loc) {
    int memory[FV_MAX_AXES], order[FV_MAX_AXES], n = 0;
    lower_memory_order(l, v, memory);
    for (int inner = 0; inner < 2; inner++)
        for (int i = 0; i < v->obj.rank; i++)
            if ((int)(dims >> memory[i] & 1) == inner) order[n++] = memory[i];
    return lower_copy(l, v, order, loc);
}

void lower_turn_operands(lower *l, const fv_facts *f, lower_product *p, const fv_expr *out_address,
                         const fv_axis *free, int n_free, double points, fv_loc loc) {
    turning best = {.n = 0}, t;
    bool found = false;
    for (int i = 0; i < n_free; i++) {
        if (free[i].extent < l->t->lanes / 2 || !turning_for(l, f, p, out_address, free[i].name, points, &t)) continue;
        if (found && best.elements <= t.elements) continue;
        best = t;
        found = true;
    }
    for (int i = 0; i < best.n; i++) {
        const fv_expr *e = p->factor[best.factor[i]];
        const fv_value *v = turned(l, fv_value_of(e->ref), best.dims[i], loc);
        p->factor[best.factor[i]] = fv_read(l->ctx, &v->obj, e->arg, v->obj.rank, e->i ? e->arg[e->n - 1] : NULL);
    }
}
