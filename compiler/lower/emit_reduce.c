/* Contractions and reductions with their epilogue: linear maps, convolutions, depthwise convolutions, pooling, products
 * of activations. One tile statement over the reduced axes, one store. Lanes, rows, packs and the nest follow from
 * where each axis stands in each address. */
#include "lower/fuse.h"
#include "lower/operands.h"

#include <string.h>

enum { FRAGMENT = 32, LEAST_FRAGMENT = 16 }; /* reduced points of a fragment; of an axis that is filled up to one */

typedef struct {
    lower *l;
    const fv_node *anchor, *final;
    fv_facts facts;
    const fv_compute_node *m;
    lower_product p; /* the body: a product of factors for a sum, one factor otherwise */
    int n_free, n_over;
    fv_axis free[FV_MAX_AXES], over[FV_MAX_AXES];
    fv_axis lane[FV_MAX_AXES], row[FV_MAX_AXES], point[FV_MAX_AXES]; /* a partition of free */
    int n_lane, n_row, n_point;
    bool lane_reduced; /* lanes run over a reduced axis */
    bool lanes_last;   /* lanes run along a map whose rows share the weights: its columns are the innermost loop */
    const fv_expr *out_address;
    fv_axis pair;   /* the last reduced axis, where operands are paired: see pair_up */
    fv_axis padded; /* the reduced axis before that, where its points are no whole pairs or fragments: else 0 points */
} contraction;

static bool has(const fv_axis *list, int n, fv_str a) {
    for (int i = 0; i < n; i++)
        if (fv_str_eq(list[i].name, a)) return true;
    return false;
}
static bool reads_axis(const contraction *x, int factor, fv_str a) { return fv_uses_axis(x->p.factor[factor], a); }

static bool read_bodies(contraction *x) {
    lower *l = x->l;
    const fv_value *v = x->anchor->result[0];
    x->m = &x->anchor->u.compute;
    x->n_free = v->obj.rank;
    x->n_over = x->m->n_over;
    memcpy(x->free, v->axis, sizeof *x->free * (size_t)x->n_free);
    memcpy(x->over, x->m->over, sizeof *x->over * (size_t)x->n_over);
    fv_value_facts(l->ctx, v, &x->facts);
    for (int i = 0; i < x->n_over; i++)
        fv_facts_add(l->ctx, &x->facts, fv_axis_ref(l->ctx, x->over[i].name), 0, x->over[i].extent - 1);
    lower_pair b = lower_expand(l, &x->facts, x->m->body);
    if (x->m->only) {
        lower_pair o = lower_expand(l, &x->facts, x->m->only);
        b.exists = fv_and(l->ctx, b.exists, fv_and(l->ctx, o.exists, o.value));
    }
    bool sum = x->m->monoid == FV_MONOID_SUM || x->m->monoid == FV_MONOID_MEAN;
    if (x->m->monoid == FV_MONOID_COUNT) b.value = fv_int(l->ctx, 1);
    if (x->m->monoid == FV_MONOID_ANY || x->m->monoid == FV_MONOID_ALL)
        b.value = fv_op3(l->ctx, FV_X_WHERE, fv_op2(l->ctx, FV_X_NE, b.value, fv_int(l->ctx, 0)), fv_int(l->ctx, 1),
                         fv_int(l->ctx, 0));
    if (sum && fv_type_is_float(b.value->type) && x->m->monoid == FV_MONOID_SUM)
        x->p = lower_factors(l, &x->facts, b.value);
    else {
        x->p.n = 1;
        x->p.factor[0] = b.value;
    }
    x->p.where = fv_and(l->ctx, b.exists, x->p.where);
    if (x->p.where) x->p.where = fv_simplify(l->ctx, &x->facts, x->p.where);
    if (fv_is_true(x->p.where)) x->p.where = NULL;
    return true;
}

/* The factor that depends on parameters alone, if there is exactly one with axes; -1. */
static int weight_factor(const contraction *x) {
    int w = -1;
    for (int i = 0; i < x->p.n; i++) {
        if (!lower_expr_is_prepare(x->l, x->p.factor[i])) continue;
        bool free_axis = false;
        for (int j = 0; j < x->n_free; j++) free_axis |= reads_axis(x, i, x->free[j].name);
        for (int j = 0; j < x->n_over; j++) free_axis |= reads_axis(x, i, x->over[j].name);
        if (!free_axis) continue;
        if (w >= 0) return -1;
        w = i;
    }
    return w;
}
static bool only_in(const contraction *x, int factor, fv_str a) {
    for (int i = 0; i < x->p.n; i++)
        if ((i == factor) != reads_axis(x, i, a)) return false;
    return !(x->p.where && fv_uses_axis(x->p.where, a));
}

static void choose_lanes(contraction *x, int weight) {
    lower *l = x->l;
    fv_axis candidate[2 * FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < x->n_free; i++) candidate[n++] = x->free[i];
    int reduce_from = n;
    for (int i = 0; i < x->n_over; i++) candidate[n++] = x->over[i];
    /* Axes of the weights alone, read as one axis: packed, and broadcast against by everything else. */
    fv_axis own[FV_MAX_AXES];
    int n_own = 0;
    int64_t own_extent = 1;
    for (int i = 0; weight >= 0 && i < x->n_free; i++)
        if (only_in(x, weight, x->free[i].name)) {
            own[n_own++] = x->free[i];
            own_extent *= x->free[i].extent;
        }
    int best = lower_choose_lane(l, x->p.factor, x->p.n, x->out_address, candidate, n, reduce_from);
    bool best_contiguous = false;
    if (best >= 0 && best < reduce_from) {
        const fv_expr *rest;
        int64_t c;
        best_contiguous =
            fv_split_affine(l->ctx, x->out_address, fv_axis_ref(l->ctx, candidate[best].name), &c, &rest) && c == 1;
        for (int i = 0; i < x->p.n && best_contiguous; i++) {
            int64_t k = lower_coefficient(l, x->p.factor[i], candidate[best].name);
            best_contiguous = k == 0 || k == 1 || k == LOWER_PACKABLE;
        }
        best_contiguous &= candidate[best].extent >= l->t->lanes / 2;
    }
    bool own_best = n_own && own_extent >= 4 && !(best_contiguous && !has(own, n_own, candidate[best].name));
    if (own_best) {
        /* The longest run of own axes, from the innermost in memory, that the result stores as one. */
        lower_fusion u = {.n_exprs = 0};
        lower_fusion_add_address(&u, x->out_address);
        fv_axis list[FV_MAX_AXES];
        int64_t stride[FV_MAX_AXES];
        for (int i = 0; i < n_own; i++) {
            const fv_expr *rest;
            int64_t s = 0;
            if (!fv_split_affine(l->ctx, x->out_address, fv_axis_ref(l->ctx, own[i].name), &s, &rest)) s = 0;
            int j = i;
            for (; j > 0 && stride[j - 1] < s; j--) {
                list[j] = list[j - 1];
                stride[j] = stride[j - 1];
            }
            list[j] = own[i];
            stride[j] = s;
        }
        int from = n_own - 1;
        while (from > 0 && lower_fusible(l, &x->facts, &u, list + from - 1, n_own - from + 1)) from--;
        int64_t fused = 1;
        for (int i = from; i < n_own; i++) fused *= list[i].extent;
        if (fused >= 4 || from == 0) {
            x->n_lane = n_own - from;
            memcpy(x->lane, list + from, sizeof *x->lane * (size_t)x->n_lane);
            return;
        }
    }
    if (best < 0) return;
    x->lane[x->n_lane++] = candidate[best];
    x->lane_reduced = best >= reduce_from;
    if (x->lane_reduced || (weight >= 0 && reads_axis(x, weight, x->lane[0].name))) return;
    /* Lanes over activations: extend outwards while every address stays affine. */
    lower_fusion u = {.n_exprs = 0};
    for (int i = 0; i < x->p.n; i++) lower_fusion_add(&u, x->p.factor[i]);
    if (x->p.where) return;
    lower_fusion_add_address(&u, x->out_address);
    for (int i = 0; i < x->n_free; i++) {
        if (has(x->lane, x->n_lane, x->free[i].name) || x->free[i].extent < 2) continue;
        fv_axis t[FV_MAX_AXES];
        t[0] = x->free[i];
        memcpy(t + 1, x->lane, sizeof *t * (size_t)x->n_lane);
        if (!lower_fusible(l, &x->facts, &u, t, x->n_lane + 1)) continue;
        memcpy(x->lane, t, sizeof *t * (size_t)++x->n_lane);
        i = -1;
    }
}

/* Rows: the free axes that share one register block with the lanes; the rest are points of the grid. */
static void choose_rows(contraction *x, int weight) {
    lower *l = x->l;
    fv_axis rest[FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < x->n_free; i++)
        if (!has(x->lane, x->n_lane, x->free[i].name)) rest[n++] = x->free[i];
    /* Candidates do not occur in the operand that the lanes load: that operand is then shared by the rows. */
    int shared = -1;
    for (int i = 0; i < x->p.n && x->n_lane && !x->lane_reduced; i++)
        if (reads_axis(x, i, x->lane[0].name) && (shared < 0 || i == weight)) shared = i;
    bool guarded[FV_MAX_AXES];
    int best = -1;
    for (int i = 0; i < n; i++) {
        guarded[i] = x->p.where && fv_uses_axis(x->p.where, rest[i].name);
        bool in_shared = shared >= 0 && reads_axis(x, shared, rest[i].name);
        if (in_shared || rest[i].extent < 2) continue;
        if (best < 0 || guarded[i] >= guarded[best]) best = i; /* the last guarded one, else the last */
    }
    /* None where lanes run along a depthwise map: rows that share the weights keep several sums in flight. */
    bool share_weights = best < 0 && x->p.n == 2 && weight >= 0 && x->n_lane && !x->lane_reduced && x->n_over;
    for (int i = 0; i < n && share_weights; i++)
        if (rest[i].extent >= 2 && !reads_axis(x, weight, rest[i].name) && (best < 0 || guarded[i] >= guarded[best]))
            best = i;
    if (best < 0) {
        memcpy(x->point, rest, sizeof *rest * (size_t)n);
        x->n_point = n;
        return;
    }
    x->row[x->n_row++] = rest[best];
    if (share_weights) x->lanes_last = guarded[best] = true; /* alone: the map's own axes stay points */
    bool taken[FV_MAX_AXES] = {0};
    taken[best] = true;
    for (int i = best - 1; i >= 0 && !guarded[best]; i--) {
        bool in_shared = shared >= 0 && reads_axis(x, shared, rest[i].name);
        bool alike = true; /* occurs in the same operands */
        for (int f = 0; f < x->p.n; f++) alike &= reads_axis(x, f, rest[i].name) == reads_axis(x, f, x->row[0].name);
        if (in_shared || guarded[i] || !alike) continue;
        fv_axis t[FV_MAX_AXES];
        t[0] = rest[i];
        memcpy(t + 1, x->row, sizeof *t * (size_t)x->n_row);
        memcpy(x->row, t, sizeof *t * (size_t)++x->n_row);
        taken[i] = true;
    }
    for (int i = 0; i < n; i++)
        if (!taken[i]) x->point[x->n_point++] = rest[i];
    (void)l;
}

/* Outer to inner: guarded axes first, then by falling stride in the activations. */
static void order_over(contraction *x, int weight) {
    for (int i = 1; i < x->n_over; i++)
        for (int j = i; j > 0; j--) {
            int64_t key[2];
            for (int q = 0; q < 2; q++) {
                fv_str a = x->over[j - 1 + q].name;
                bool g = x->p.where && fv_uses_axis(x->p.where, a);
                int64_t c = 0;
                for (int i2 = 0; i2 < x->p.n; i2++)
                    if (i2 != weight) {
                        int64_t k = lower_coefficient(x->l, x->p.factor[i2], a);
                        if (k > c) c = k;
                    }
                key[q] = (g ? INT64_C(1) << 40 : 0) + c;
            }
            if (key[0] >= key[1]) break;
            fv_axis t = x->over[j];
            x->over[j] = x->over[j - 1];
            x->over[j - 1] = t;
        }
}

/* Reads bf16 of the plan's own at addresses that have the pair as their last step. */
static bool steps_by_pair(contraction *x, const fv_expr *e) {
    lower *l = x->l;
    const fv_value *v = e->op == FV_X_READ && !e->i && e->ref->kind == FV_OBJ_VALUE ? fv_value_of(e->ref) : NULL;
    if (!v || !l->placed[v->id]) return false;
    const fv_plan_tensor *t = l->plan->tensor[l->place[v->id].tensor];
    const fv_expr *rest;
    int64_t c;
    const fv_expr *at = fv_simplify(l->ctx, &x->facts, lower_address(l, v, e->arg));
    return t->type == FV_BF16 && t->kind == FV_MEM_SCRATCH &&
           fv_split_affine(l->ctx, at, fv_axis_ref(l->ctx, x->pair.name), &c, &rest) && c == 1;
}
/* Points that a reduced axis of n points takes: whole pairs; on a matrix unit whole fragments, unless half is waste. */
static int64_t paired_extent(const contraction *x, int64_t n) {
    int64_t unit = x->l->t->fragments && x->n_over == 1 && n >= LEAST_FRAGMENT ? FRAGMENT : 2;
    return (n + unit - 1) / unit * unit;
}
/* Where the target multiplies pairs of bf16, a reduced axis k along which the activations lie one after another becomes
 * k = 2 two + pair: the weights are packed [panel][two][lane][pair], so that one vector holds a pair for every lane.
 * The statement means what it says on every target. Where k is the only reduced axis it may be filled up to whole pairs
 * or fragments: weights are zero there, and so is a copy of the activations (`copy_rows`). */
static void pair_up(contraction *x, int weight) {
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    if (!l->t->dot2 || l->o->no_pairs || weight < 0 || x->p.n != 2 || x->lane_reduced || !x->n_lane ||
        lower_weight_storage(l, 1e30) != FV_BF16 || !only_in(x, weight, x->lane[0].name))
        return;
    for (int i = 0; i < x->n_over; i++) {
        fv_axis *k = &x->over[i];
        int64_t all = paired_extent(x, k->extent);
        bool fill = all != k->extent;
        if (k->extent < 2 || (fill && (x->n_over != 1 || !x->n_row || x->p.where)) || !reads_axis(x, weight, k->name) ||
            (x->p.where && fv_uses_axis(x->p.where, k->name)))
            continue;
        fv_axis half = {.name = fv_internf(c, "%s.two", fv_cstr(c, k->name)), .extent = all / 2}, was = *k;
        x->pair = (fv_axis){.name = fv_internf(c, "%s.pair", fv_cstr(c, k->name)), .extent = 2};
        const fv_expr *two = fv_axis_ref(c, half.name), *pair = fv_axis_ref(c, x->pair.name), *factor[2];
        fv_binding b = {fv_axis_ref(c, k->name), fv_add(c, fv_muli(c, two, 2), pair)};
        fv_facts_add(c, &x->facts, two, 0, half.extent - 1);
        fv_facts_add(c, &x->facts, pair, 0, 1);
        for (int j = 0; j < 2; j++) factor[j] = fv_simplify(c, &x->facts, fv_subst(c, x->p.factor[j], &b, 1));
        if (steps_by_pair(x, factor[1 - weight])) {
            if (fill) {
                fv_binding last = {b.from, fv_op2(c, FV_X_MIN, b.to, fv_int(c, k->extent - 1))};
                factor[weight] =
                    fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_LT, b.to, fv_int(c, k->extent)),
                           fv_simplify(c, &x->facts, fv_subst(c, x->p.factor[weight], &last, 1)), fv_float(c, 0));
                factor[1 - weight] = x->p.factor[1 - weight];
                x->padded = was;
            }
            memcpy(x->p.factor, factor, sizeof factor);
            *k = half;
            x->over[x->n_over++] = x->pair;
            return;
        }
        x->pair.extent = 0;
    }
}

/* The weights as the lanes want them: [shared axes of the grid][lane panel][reduced axes in nest order][lanes of a
 * panel]. */
static const fv_expr *pack(contraction *x, lower_kernel *k, const fv_expr *w, const lower_fused *lane, int64_t panel,
                           double points) {
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    fv_axis axis[FV_MAX_AXES];
    const fv_expr *at[FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < x->n_point; i++)
        if (fv_uses_axis(w, x->point[i].name)) {
            axis[n] = x->point[i];
            at[n++] = fv_axis_ref(c, x->point[i].name);
        }
    for (int i = 0; i < x->n_row; i++)
        if (fv_uses_axis(w, x->row[i].name)) {
            axis[n] = x->row[i];
            at[n++] = fv_axis_ref(c, x->row[i].name);
        }
    const fv_expr *a = fv_axis_ref(c, lane->axis);
    int64_t panels = (lane->extent + panel - 1) / panel;
    fv_str outer = fv_internf(c, "%s.panel", fv_cstr(c, lane->axis)),
           inner = fv_internf(c, "%s.lane", fv_cstr(c, lane->axis));
    axis[n] = (fv_axis){.name = outer, .extent = panels};
    at[n++] = fv_op2(c, FV_X_FLOORDIV, a, fv_int(c, panel));
    for (int i = 0; i < x->n_over; i++)
        if (fv_uses_axis(w, x->over[i].name) && !fv_str_eq(x->over[i].name, x->pair.name)) {
            axis[n] = x->over[i];
            at[n++] = fv_axis_ref(c, x->over[i].name);
        }
    axis[n] = (fv_axis){.name = inner, .extent = panel};
    at[n++] = fv_op2(c, FV_X_MOD, a, fv_int(c, panel));
    if (x->pair.extent) {
        axis[n] = x->pair;
        at[n++] = fv_axis_ref(c, x->pair.name);
    }
    const fv_expr *pos = fv_add(c, fv_muli(c, fv_axis_ref(c, outer), panel), fv_axis_ref(c, inner));
    fv_binding b = {a, pos};
    const fv_expr *e = fv_subst(c, w, &b, 1);
    if (panels * panel != lane->extent) {
        const fv_expr *last = fv_op2(c, FV_X_MIN, pos, fv_int(c, lane->extent - 1));
        fv_binding safe = {a, last};
        e = fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_LT, pos, fv_int(c, lane->extent)), fv_subst(c, w, &safe, 1),
                   fv_float(c, 0));
    }
    double elements = 1;
    for (int i = 0; i < n; i++) elements *= (double)axis[i].extent;
    int tensor = lower_prepared(l, x->anchor->loc, e, lower_weight_storage(l, points / elements), axis, n);
    int64_t stride[FV_MAX_AXES];
    memcpy(stride, l->plan->tensor[tensor]->stride, sizeof stride);
    const fv_tensor *t = lower_tensor(k, tensor, axis, stride, n, FV_ROLE_IN);
    const fv_expr *bound[FV_MAX_AXES];
    for (int i = 0; i < n; i++) bound[i] = lower_bind(k, at[i]);
    return fv_read(c, &t->obj, bound, n, NULL);
}

/* A copy of the activations of a tile, e over the rows and the reduced axis as it was, with zeros behind; as it is
 * read. */
static const fv_expr *copy_rows(contraction *x, lower_kernel *k, fv_str row, const fv_expr *e) {
    fv_ctx *c = x->l->ctx;
    const fv_axis *was = &x->padded;
    fv_str axis[2] = {row, fv_internf(c, "%s.all", fv_cstr(c, was->name))};
    lower_axis(k, axis[1], 2 * x->over[0].extent);
    fv_buffer *b = lower_buffer(k, "rows", FV_BF16, axis, 2);
    const fv_expr *all = fv_axis_ref(c, axis[1]);
    fv_binding at = {fv_axis_ref(c, was->name), all};
    fv_stmt *s = lower_stmt(k, &k->body, FV_S_MAP, "xp");
    s->target = &b->obj;
    s->write = FV_W_SET;
    s->expr = fv_subst(c, e, &at, 1);
    s->where = fv_op2(c, FV_X_LT, all, fv_int(c, was->extent));
    s->otherwise = fv_float(c, 0);
    fv_schedule_set_names(c, k->schedule, FV_F_LANE, fv_cstr(c, s->label), fv_cstr(c, axis[1]));
    fv_schedule_set_names(c, k->schedule, FV_F_LANE, fv_cstr(c, b->obj.name), fv_cstr(c, axis[1]));
    const fv_expr *index[2] = {fv_axis_ref(c, row),
                               fv_add(c, fv_muli(c, fv_axis_ref(c, x->over[0].name), 2), fv_axis_ref(c, x->pair.name))};
    return fv_read(c, &b->obj, index, 2, NULL);
}
static fv_write write_of(fv_monoid m) {
    switch (m) {
    case FV_MONOID_MAX:
    case FV_MONOID_ANY: return FV_W_MAX;
    case FV_MONOID_MIN:
    case FV_MONOID_ALL: return FV_W_MIN;
    default: return FV_W_SUM;
    }
}
static int64_t row_tile(const lower *l, int64_t extent, int64_t want) { /* about `want` rows, balanced */
    if (extent <= want) return extent;
    int64_t n = (extent + want - 1) / want, rows = (extent + n - 1) / n;
    return l->t->unit ? (rows + FV_UNIT_TILE - 1) / FV_UNIT_TILE * FV_UNIT_TILE : rows;
}
/* The innermost reduced axis of a depthwise product is unrolled where it is a short row of taps. */
static bool unrolls_taps(const contraction *x, int weight, bool elementwise) {
    return elementwise && weight >= 0 && x->n_over && x->over[x->n_over - 1].extent <= 7;
}
/* Vectors of operands live at once beside the sums of `rows` rows: those of the operand that has fewest, and one of
 * another. */
static int kept_vectors(const contraction *x, int weight, int rows, int taps) {
    int least = 0, vectors = 0;
    bool maps = false; /* a permutation is live as well */
    for (int i = 0; i < x->p.n; i++) {
        bool lane = false, row = false;
        for (int j = 0; j < x->n_lane; j++) lane |= reads_axis(x, i, x->lane[j].name);
        for (int j = 0; j < x->n_row; j++) row |= reads_axis(x, i, x->row[j].name);
        if (!lane) continue;
        int n = (row ? rows : 1) * (taps > 1 && reads_axis(x, i, x->over[x->n_over - 1].name) ? taps : 1);
        if (!vectors++ || n < least) least = n;
        int64_t c = lower_coefficient(x->l, x->p.factor[i], x->lane[x->n_lane - 1].name);
        maps |= i != weight && c != 0 && c != 1;
    }
    return least + (vectors > 1) + maps;
}
/* Rows of one register block: what the registers hold beside the vectors of the lanes; at most eight broadcasts share a
 * cache set where rows are a power of two apart. */
static int row_block(const contraction *x, int nv, int weight, bool elementwise) {
    int spare = x->l->t->registers - 4;
    if (elementwise) {
        int taps = unrolls_taps(x, weight, elementwise) ? (int)x->over[x->n_over - 1].extent : 1;
        int rows = 14;
        while (rows > 1 && rows + kept_vectors(x, weight, rows, taps) > spare) rows--;
        return rows;
    }
    if (x->l->t->registers < 32) return nv >= 2 ? 4 : 7;
    return nv >= 4 ? 6 : nv >= 2 ? 8 : 14;
}
static fv_stmt *reduce_stmt(lower_kernel *k, contraction *x, const char *label, const fv_buffer *acc, fv_write w,
                            const fv_expr *e) {
    fv_stmt *s = lower_stmt(k, &k->body, x->p.n >= 2 ? FV_S_CONTRACT : FV_S_REDUCE, label);
    s->target = &acc->obj;
    s->write = w;
    s->expr = e;
    s->where = x->p.where;
    for (int i = 0; i < x->n_over; i++) s->over[s->n_over++] = x->over[i].name;
    return s;
}
void lower_final_coords(const lower *l, const fv_node *final, const fv_expr **out) {
    const fv_value *v = final->result[0];
    for (int i = 0; i < v->obj.rank; i++)
        out[i] = l->coords[final->id] ? l->coords[final->id][i] : fv_axis_ref(l->ctx, v->axis[i].name);
}
const fv_expr *lower_epilogue(lower_kernel *k, const fv_node *anchor, const fv_node *final, const fv_expr *acc) {
    lower *l = k->l;
    if (anchor == final) return acc;
    const fv_expr *at[FV_MAX_AXES];
    fv_facts f = {0}; /* the anchor's own axes: a kernel may use their names for others */
    fv_value_facts(l->ctx, anchor->result[0], &f);
    lower_final_coords(l, final, at);
    lower_role was = l->node[final->id].role;
    l->node[final->id].role = LOWER_INLINE;
    lower_pair p = lower_value_at(l, &f, final->result[0], at);
    l->node[final->id].role = was;
    if (p.exists) {
        fv_error(l->ctx, FV_E_ABSENT, final->loc, "%s may have absent elements and is stored; write :otherwise(value)",
                 lower_node_text(l, final));
        l->failed = true;
    }
    return lower_replace_read(l->ctx, fv_simplify(l->ctx, &f, p.value), anchor->result[0], acc);
}

void lower_emit_reduce(lower *l, const fv_node *anchor, const fv_node *final) {
    fv_ctx *c = l->ctx;
    contraction x = {.l = l, .anchor = anchor, .final = final};
    lower_kernel k;
    const fv_value *out = final->result[0];
    lower_place_value(l, out, NULL);
    const fv_expr *self[FV_MAX_AXES];
    lower_final_coords(l, final, self);
    x.out_address = lower_address(l, out, self);
    read_bodies(&x);
    int weight = x.p.n > 1 ? weight_factor(&x) : -1;
    double points = (double)fv_value_count(anchor->result[0]);
    for (int i = 0; i < x.n_over; i++) points *= (double)x.over[i].extent;
    if (x.p.n > 1 && weight < 0)
        lower_turn_operands(l, &x.facts, &x.p, x.out_address, x.free, x.n_free, points, anchor->loc);
    choose_lanes(&x, weight);
    choose_rows(&x, weight);
    order_over(&x, weight);
    pair_up(&x, weight);
    lower_kernel_begin(l, &k, x.p.n > 1 ? "contract" : "reduce", x.p.n > 1 ? "contract.block" : "reduce", anchor->loc,
                       l->node[final->id].prepare);
    lower_kernel_own(&k);
    for (int i = 0; i < x.n_free; i++)
        fv_facts_add(c, &k.facts, fv_axis_ref(c, x.free[i].name), 0, x.free[i].extent - 1);
    for (int i = 0; i < x.n_over; i++)
        fv_facts_add(c, &k.facts, fv_axis_ref(c, x.over[i].name), 0, x.over[i].extent - 1);

    lower_fused lane = {0}, row = lower_fuse(&k, x.row, x.n_row);
    if (x.n_row == 1) row = (lower_fused){.axis = x.row[0].name, .extent = x.row[0].extent};
    if (!x.lane_reduced) {
        lane = lower_fuse(&k, x.lane, x.n_lane);
        if (x.n_lane == 1) lane = (lower_fused){.axis = x.lane[0].name, .extent = x.lane[0].extent};
    }
    int nv = x.n_lane && !x.lane_reduced ? lower_vectors(l, lane.extent) : 1;
    bool elementwise =
        weight < 0 || !only_in(&x, weight, x.lane[0].name); /* lanes occur in every operand: one vector per row */
    if (x.n_lane && !x.lane_reduced && elementwise && x.p.n > 1) nv = 1;
    int64_t panel = (int64_t)nv * l->t->lanes;
    bool lanes = x.n_lane && !x.lane_reduced;
    int64_t lane_tile = panel < lane.extent || weight >= 0 ? panel : lane.extent;
    if (lanes) {
        int64_t wished = lower_tile(&k, lane.axis, lane_tile, lane.extent);
        if (wished != lane_tile) {
            lane_tile = panel = wished;
            nv = elementwise && x.p.n > 1 ? 1 : (int)((wished + l->t->lanes - 1) / l->t->lanes);
        }
    }
    if (lanes && !x.lanes_last) lower_grid(&k, lane.axis, lane_tile, lane.extent);
    for (int i = 0; i < x.n_point; i++) lower_grid(&k, x.point[i].name, 0, x.point[i].extent);
    int m_block = row_block(&x, nv, weight, elementwise);
    if (x.n_row) {
        bool fragments = x.p.n == 2 && l->t->fragments && lower_takes_pairs(l);
        int64_t rows = fragments ? lower_fragment_rows(row.extent, 64) : row_tile(l, row.extent, x.p.n > 1 ? 64 : 16),
                tile = lower_tile(&k, row.axis, rows, row.extent);
        lower_grid(&k, row.axis, tile, row.extent);
    }
    if (lanes && x.lanes_last) lower_grid(&k, lane.axis, lane_tile, lane.extent);
    for (int i = 0; i < x.n_over; i++) lower_axis(&k, x.over[i].name, x.over[i].extent);

    fv_str tile_axis[2];
    int n_tile = 0;
    if (x.n_row) tile_axis[n_tile++] = row.axis;
    if (x.n_lane && !x.lane_reduced) tile_axis[n_tile++] = lane.axis;
    for (int i = 0; i < x.p.n; i++) {
        const fv_expr *e = lower_apply_fused(&k, &lane, x.p.factor[i]);
        if (i == weight && x.n_lane && !x.lane_reduced && fv_uses_axis(e, lane.axis)) {
            const fv_expr *w = lower_filled(l, &k.facts, lower_apply_fused(&k, &row, e));
            x.p.factor[i] = pack(&x, &k, w, &lane, panel, points);
            continue;
        }
        x.p.factor[i] = lower_bind(&k, lower_apply_fused(&k, &row, e));
        if (i != weight && x.padded.extent) x.p.factor[i] = copy_rows(&x, &k, row.axis, x.p.factor[i]);
    }
    x.p.where = lower_bind(&k, lower_apply_fused(&k, &row, lower_apply_fused(&k, &lane, x.p.where)));
    const fv_expr *body = x.p.factor[0];
    for (int i = 1; i < x.p.n; i++) body = fv_mul(c, body, x.p.factor[i]);
    fv_type type = fv_type_is_float(body->type) ? FV_F32 : FV_I32;
    fv_buffer *acc = lower_buffer(&k, "acc", type, tile_axis, n_tile);
    fv_stmt *mm = reduce_stmt(&k, &x, "mm", acc, write_of(x.m->monoid), body);
    const fv_expr *result = lower_buffer_at(&k, acc);
    if (x.m->monoid == FV_MONOID_MEAN) {
        double n = 1;
        for (int i = 0; i < x.n_over; i++) n *= (double)x.over[i].extent;
        const fv_expr *count = fv_float(c, n);
        if (x.p.where) {
            fv_buffer *cnt = lower_buffer(&k, "cnt", FV_F32, tile_axis, n_tile);
            reduce_stmt(&k, &x, "ct", cnt, FV_W_SUM, fv_float(c, 1))->kind = FV_S_REDUCE;
            count = fv_op2(c, FV_X_MAX, lower_buffer_at(&k, cnt), fv_float(c, 1));
        }
        result = fv_op2(c, FV_X_DIV, result, count);
    }
    if (x.m->monoid == FV_MONOID_ANY || x.m->monoid == FV_MONOID_ALL) result = fv_op2(c, FV_X_LT, fv_int(c, 0), result);
    result = lower_epilogue(&k, anchor, final, result);
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < out->obj.rank; i++) at[i] = lower_apply_fused(&k, &row, lower_apply_fused(&k, &lane, self[i]));
    lower_store(&k, &k.body, "st", out, at, lower_apply_fused(&k, &row, lower_apply_fused(&k, &lane, result)), NULL);

    fv_str lane_name = x.lane_reduced ? x.lane[0].name : lane.axis;
    if (x.n_lane) fv_schedule_set_names(c, k.schedule, FV_F_LANE, "", fv_cstr(c, lane_name));
    if (x.p.n > 1 && x.n_lane && !x.lane_reduced) {
        fv_buf nest = {0};
        fv_buf_printf(&nest, "%s~", fv_cstr(c, lane.axis));
        if (x.n_row) fv_buf_printf(&nest, ",%s/%d!", fv_cstr(c, row.axis), m_block);
        for (int i = 0; i < x.n_over; i++)
            fv_buf_printf(&nest, ",%s%s", fv_cstr(c, x.over[i].name),
                          (x.pair.extent || unrolls_taps(&x, weight, elementwise)) && i == x.n_over - 1 ? "!" : "");
        fv_schedule_set_names(c, k.schedule, FV_F_NEST, fv_cstr(c, mm->label), nest.text);
        fv_buf_dispose(&nest);
    }
    k.flops = points * (x.p.n > 1 ? 2 : 1);
    lower_kernel_end(&k);
}
