/* See random_graph.h. A pool of values grows by random steps; axes a to g have one extent in a graph, so that values
 * combine; every view makes fresh names. Invariant: the pool holds values that exist outside any attend or scan. */
#include "tests/fuzz/random_graph.h"

#include <math.h>
#include <string.h>

enum { MAX_POOL = 64, MAX_ELEMENTS = 3000, BASE_AXES = 7 };
typedef struct {
    fv_ctx *ctx;
    fv_graph *g;
    uint64_t state;
    fv_axis base[BASE_AXES];
    fv_value *pool[MAX_POOL];
    int n, fresh, leaves;
    bool wide, whole, blocks, reflects; /* reflects: one reflection brings the index at hand inside */
    bool steep;                         /* a score of the attend at hand may be -100 or -inf */
} maker;

static uint64_t bits(maker *m) {
    uint64_t z = m->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static int below(maker *m, int n) { return (int)(bits(m) % (uint64_t)n); }
static bool chance(maker *m, int percent) { return below(m, 100) < percent; }
static fv_loc at(maker *m) { return (fv_loc){fv_intern(m->ctx, "random"), m->g->n_nodes + 1}; }
static fv_axis fresh_axis(maker *m, const char *stem, int64_t extent) {
    return (fv_axis){.name = fv_internf(m->ctx, "%s.%d", stem, m->fresh++), .extent = extent};
}
static const fv_expr *coord(maker *m, const fv_axis *x) { return fv_axis_ref(m->ctx, x->name); }
static fv_value *keep(maker *m, fv_value *v) {
    if (!v) return NULL;
    if (m->n < MAX_POOL) m->pool[m->n++] = v;
    return v;
}
static fv_value *any(maker *m) { return m->pool[below(m, m->n)]; }
static int64_t points(const fv_axis *x, int n) {
    int64_t p = 1;
    for (int i = 0; i < n; i++) p *= x[i].extent;
    return p;
}

/* -- Leaves ------------------------------------------------------------------------------------------------------- */
static int some_axes(maker *m, fv_axis *x, int most) {
    int n = 0, want = below(m, most + 1);
    for (int i = below(m, BASE_AXES); n < want; i = (i + 1 + below(m, 2)) % BASE_AXES)
        if (fv_axis_find(x, n, m->base[i].name) < 0) x[n++] = m->base[i];
    return n;
}
static fv_value *leaf_over(maker *m, const fv_axis *x, int n, fv_type type) {
    fv_str name = fv_internf(m->ctx, "x%d", m->leaves++);
    return (chance(m, 70) ? fv_graph_input : fv_graph_param)(m->g, at(m), name, type, x, n, NULL);
}
static fv_value *make_leaf(maker *m) {
    fv_axis x[4];
    int n = some_axes(m, x, 4);
    if (chance(m, 80) || points(x, n) > MAX_ELEMENTS) return keep(m, leaf_over(m, x, n, FV_F32));
    double data[MAX_ELEMENTS];
    int64_t count = points(x, n);
    for (int64_t i = 0; i < count && i < MAX_ELEMENTS; i++) {
        double k = (double)(below(m, 65) - 32) / 32;
        data[i] = m->whole ? rint(3 * k) : k;
    }
    return count > MAX_ELEMENTS ? NULL : keep(m, fv_graph_const(m->g, at(m), FV_F32, x, n, data));
}

/* -- Reads -------------------------------------------------------------------------------------------------------- */
typedef struct {
    fv_axis axis[FV_MAX_AXES];
    int n;
    const fv_expr *index[FV_MAX_AXES];
    fv_border border;
    double number;
    const fv_expr *only;
} read_of;
static read_of identity(maker *m, const fv_value *v) {
    read_of r = {.n = v->obj.rank};
    memcpy(r.axis, v->axis, sizeof(fv_axis) * (size_t)v->obj.rank);
    for (int i = 0; i < r.n; i++) r.index[i] = coord(m, &v->axis[i]);
    return r;
}
static fv_value *finish(maker *m, fv_value *v, const read_of *r) {
    if (points(r->axis, r->n) > MAX_ELEMENTS) return v;
    return keep(m, fv_graph_read(m->g, at(m), v, r->axis, r->n, r->index, r->border, r->number, r->only));
}
static void random_border(maker *m, read_of *r) {
    static const fv_border kinds[] = {FV_BORDER_NUMBER, FV_BORDER_CUT, FV_BORDER_CLAMP, FV_BORDER_WRAP};
    r->border = kinds[below(m, 4)];
    if (r->border == FV_BORDER_CLAMP && m->reflects && chance(m, 40)) r->border = FV_BORDER_REFLECT;
    r->number = r->border == FV_BORDER_NUMBER ? (double)(below(m, 9) - 4) / (m->whole ? 1 : 4) : 0;
}
/* A window over one axis: stride, dilation and shift at random, or the inward shift of neighbourhoods. */
static fv_value *make_window(maker *m, fv_value *v) {
    if (!v->obj.rank) return v;
    int i = below(m, v->obj.rank), taps = 1 + below(m, 3), dilation = 1 + below(m, 2);
    read_of r = identity(m, v);
    fv_axis u = fresh_axis(m, "u", taps);
    int64_t extent = v->axis[i].extent;
    const fv_expr *h = coord(m, &v->axis[i]), *tap = fv_muli(m->ctx, coord(m, &u), dilation);
    if (extent >= taps && chance(m, 40)) { /* clamp(h - taps // 2, 0, extent - taps) + u */
        const fv_expr *low = fv_op2(m->ctx, FV_X_MAX, fv_addi(m->ctx, h, -(taps / 2)), fv_int(m->ctx, 0));
        r.index[i] = fv_add(m->ctx, fv_op2(m->ctx, FV_X_MIN, low, fv_int(m->ctx, extent - taps)), coord(m, &u));
    } else {
        if (extent > 1 && chance(m, 30)) { /* every second position, under a name of its own */
            r.axis[i] = fresh_axis(m, "s", (extent + 1) / 2);
            h = fv_muli(m->ctx, coord(m, &r.axis[i]), 2);
        }
        r.index[i] = fv_addi(m->ctx, fv_add(m->ctx, h, tap), -below(m, 3));
        m->reflects = extent >= 7;
        random_border(m, &r);
        m->reflects = false;
    }
    r.axis[r.n++] = u;
    return finish(m, v, &r);
}
/* flip, roll, rename, diagonal, split, exact division, a predicate. */
static fv_value *make_view(maker *m, fv_value *v) {
    if (!v->obj.rank) return v;
    int i = below(m, v->obj.rank);
    const fv_axis *x = &v->axis[i];
    read_of r = identity(m, v);
    const fv_expr *h = coord(m, x);
    switch (below(m, 7)) {
    case 0: r.index[i] = fv_sub(m->ctx, fv_int(m->ctx, x->extent - 1), h); break;
    case 1:
        r.index[i] = fv_addi(m->ctx, h, below(m, 7) - 3);
        r.border = FV_BORDER_WRAP;
        break;
    case 2:
        r.axis[i] = fresh_axis(m, "r", x->extent);
        r.index[i] = coord(m, &r.axis[i]);
        break;
    case 3:
        r.index[i] = fv_op2(m->ctx, FV_X_MOD, fv_addi(m->ctx, fv_muli(m->ctx, h, 2), 1), fv_int(m->ctx, x->extent));
        break;
    case 4: { /* h = (hb hi), uneven extents cut */
        fv_axis hb = fresh_axis(m, "hb", (x->extent + 1) / 2), hi = fresh_axis(m, "hi", 2);
        r.axis[i] = hb;
        r.axis[r.n++] = hi;
        r.index[i] = fv_add(m->ctx, fv_muli(m->ctx, coord(m, &hb), 2), coord(m, &hi));
        random_border(m, &r);
        break;
    }
    case 5:
        r.index[i] = fv_op2(m->ctx, FV_X_EXACT, fv_addi(m->ctx, h, below(m, 2)), fv_int(m->ctx, 2));
        r.border = FV_BORDER_CUT;
        break;
    default: r.only = fv_op2(m->ctx, FV_X_LE, h, coord(m, &v->axis[below(m, v->obj.rank)])); break;
    }
    return finish(m, v, &r);
}
/* Rows chosen by an index input, or by floor of a float input with a border. */
static fv_value *make_gather(maker *m, fv_value *v) {
    if (!v->obj.rank) return v;
    int i = below(m, v->obj.rank);
    fv_axis t = fresh_axis(m, "t", 1 + below(m, 4));
    read_of r = identity(m, v);
    bool whole = chance(m, 60);
    fv_value *idx = leaf_over(m, &t, 1, whole ? FV_I32 : FV_F32);
    if (!idx || (whole && !fv_value_bound(m->g, at(m), idx, 0, v->axis[i].extent - 1))) return NULL;
    const fv_expr *e = fv_value_at_self(m->ctx, idx);
    if (!whole) {
        e = fv_op1(m->ctx, FV_X_FLOOR, fv_mul(m->ctx, e, fv_float(m->ctx, 5)));
        random_border(m, &r);
    }
    r.axis[i] = t;
    r.index[i] = e;
    return finish(m, v, &r);
}

/* -- Computes ----------------------------------------------------------------------------------------------------- */
static int merge(fv_axis *x, int n, const fv_value *v) {
    for (int i = 0; i < v->obj.rank; i++)
        if (fv_axis_find(x, n, v->axis[i].name) < 0) x[n++] = v->axis[i];
    return n;
}
/* Into -1..1; whole numbers: into -4..4, so that sums of products of them stay exact. */
static const fv_expr *calm(maker *m, const fv_expr *e) {
    if (!m->whole) return fv_op1(m->ctx, FV_X_TANH, e);
    return fv_op2(m->ctx, FV_X_MIN, fv_op2(m->ctx, FV_X_MAX, e, fv_float(m->ctx, -4)), fv_float(m->ctx, 4));
}
static double number(const maker *m, double v) { return m->whole ? 2 : v; }
static fv_value *make_map(maker *m) {
    fv_value *a = any(m), *b = any(m);
    fv_axis x[FV_MAX_AXES];
    int n = merge(x, merge(x, 0, a), b);
    if (n > 8 || points(x, n) > MAX_ELEMENTS) b = a, n = merge(x, 0, a);
    const fv_expr *p = fv_value_at_self(m->ctx, a), *q = fv_value_at_self(m->ctx, b), *e = NULL, *only = NULL,
                  *otherwise = NULL;
    int op = below(m, 7);
    if (m->whole && (op == 4 || op == 5)) op = 2;
    switch (op) {
    case 0: e = fv_add(m->ctx, p, q); break;
    case 1: e = fv_sub(m->ctx, p, fv_mul(m->ctx, q, fv_float(m->ctx, number(m, 0.5)))); break;
    case 2: e = fv_mul(m->ctx, p, q); break;
    case 3: e = fv_op2(m->ctx, FV_X_MAX, p, q); break;
    case 4: e = fv_op1(m->ctx, FV_X_EXP, calm(m, p)); break;
    case 5:
        e = fv_add(m->ctx, fv_op1(m->ctx, FV_X_ERF, p),
                   fv_op1(m->ctx, FV_X_RSQRT, fv_add(m->ctx, fv_mul(m->ctx, q, q), fv_float(m->ctx, 1))));
        break;
    default: e = fv_op2(m->ctx, FV_X_MIN, fv_op1(m->ctx, FV_X_ABS, p), q); break;
    }
    if (n && chance(m, 30)) {
        const fv_expr *c = fv_op2(m->ctx, FV_X_LT, coord(m, &x[0]), fv_int(m->ctx, x[0].extent / 2));
        if (chance(m, 50)) e = fv_op3(m->ctx, FV_X_WHERE, c, e, q);
        else only = c;
    }
    if (chance(m, 30)) otherwise = fv_float(m->ctx, number(m, 0.25));
    return keep(m, fv_graph_compute(m->g, at(m), FV_MONOID_NONE, x, n, NULL, 0,
                                    fv_type_is_float(e->type) ? calm(m, e) : e, only, otherwise));
}
/* Axes of x at random into `out` and `over`. */
static void divide(maker *m, const fv_axis *x, int n, fv_axis *out, int *n_out, fv_axis *over, int *n_over) {
    *n_out = *n_over = 0;
    for (int i = 0; i < n; i++) {
        if (chance(m, 50)) over[(*n_over)++] = x[i];
        else out[(*n_out)++] = x[i];
    }
}
/* any, all or the least of a comparison with an input: a choice between two numbers. */
static fv_value *make_test(maker *m) {
    static const fv_monoid monoids[] = {FV_MONOID_ANY, FV_MONOID_ALL, FV_MONOID_SUM, FV_MONOID_MAX};
    fv_axis x[4], out[FV_MAX_AXES], over[FV_MAX_AXES];
    int n = some_axes(m, x, 3), n_out, k;
    fv_value *v = leaf_over(m, x, n, FV_F32);
    if (!v) return NULL;
    divide(m, x, n, out, &n_out, over, &k);
    const fv_expr *e = fv_op2(m->ctx, FV_X_LT, fv_value_at_self(m->ctx, v), fv_float(m->ctx, m->whole ? 1 : 0.25)),
                  *only = NULL;
    if (n && chance(m, 40)) only = fv_op2(m->ctx, FV_X_LT, coord(m, &x[0]), fv_int(m->ctx, (x[0].extent + 1) / 2));
    fv_value *y = fv_graph_compute(m->g, at(m), monoids[below(m, 4)], out, n_out, over, k, e, only, NULL);
    if (!y) return NULL;
    e = fv_value_at_self(m->ctx, y);
    if (e->type != FV_BOOL) e = fv_op2(m->ctx, FV_X_LE, fv_int(m->ctx, 2), e);
    e = fv_op3(m->ctx, FV_X_WHERE, e, fv_float(m->ctx, 1), fv_float(m->ctx, number(m, -0.5)));
    return keep(m, fv_graph_compute(m->g, at(m), FV_MONOID_NONE, out, n_out, NULL, 0, e, NULL, NULL));
}
static fv_value *make_reduce(maker *m) {
    if (chance(m, 15)) return make_test(m);
    static const fv_monoid monoids[] = {FV_MONOID_SUM, FV_MONOID_MEAN, FV_MONOID_MAX,
                                        FV_MONOID_MIN, FV_MONOID_MEAN, FV_MONOID_COUNT};
    fv_value *v = any(m);
    fv_axis out[FV_MAX_AXES], over[FV_MAX_AXES];
    int n, k;
    divide(m, v->axis, v->obj.rank, out, &n, over, &k);
    const fv_expr *e = fv_value_at_self(m->ctx, v);
    fv_monoid mo = monoids[below(m, 6)];
    /* an infinity would spread */
    if (v->partial && (mo == FV_MONOID_MAX || mo == FV_MONOID_MIN)) mo = FV_MONOID_SUM;
    if (m->whole && mo == FV_MONOID_MEAN) mo = FV_MONOID_SUM;
    if (mo == FV_MONOID_SUM && !m->whole) e = fv_mul(m->ctx, e, fv_float(m->ctx, 1.0 / (double)points(over, k)));
    fv_value *y = fv_graph_compute(m->g, at(m), mo, out, n, over, k, e, NULL, NULL);
    if (!y || (fv_type_is_float(y->obj.type) && !m->whole)) return keep(m, y);
    /* a count becomes a number like the others */
    e = fv_mul(m->ctx, fv_value_at_self(m->ctx, y), fv_float(m->ctx, m->whole ? 1 : 0.125));
    if (m->whole) e = calm(m, e);
    return keep(m, fv_graph_compute(m->g, at(m), FV_MONOID_NONE, out, n, NULL, 0, e, NULL, NULL));
}
static fv_value *make_contract(maker *m) {
    fv_value *a = any(m), *b = any(m);
    fv_axis x[FV_MAX_AXES], out[FV_MAX_AXES], over[FV_MAX_AXES];
    int n = merge(x, merge(x, 0, a), b), n_out, k;
    if (n > 8 || points(x, n) > 20 * MAX_ELEMENTS) return a;
    divide(m, x, n, out, &n_out, over, &k);
    if (points(out, n_out) > MAX_ELEMENTS) return a;
    const fv_expr *e = fv_mul(m->ctx, fv_value_at_self(m->ctx, a), fv_value_at_self(m->ctx, b));
    fv_value *y = fv_graph_compute(m->g, at(m), FV_MONOID_SUM, out, n_out, over, k, e, NULL, NULL);
    if (!y) return NULL;
    e = calm(m, fv_value_at_self(m->ctx, y));
    return keep(m, fv_graph_compute(m->g, at(m), FV_MONOID_NONE, out, n_out, NULL, 0, e, NULL, NULL));
}

/* -- Concat, topk, scan ------------------------------------------------------------------------------------------- */
/* v over exactly these axes: constant along what it lacks, at 0 of what is too much. */
static fv_value *conform(maker *m, fv_value *v, const fv_axis *x, int n) {
    const fv_expr *index[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++) {
        int j = fv_axis_find(x, n, v->axis[i].name);
        bool same = j >= 0 && x[j].extent == v->axis[i].extent;
        index[i] = same ? coord(m, &v->axis[i]) : fv_int(m->ctx, 0);
    }
    return fv_graph_read(m->g, at(m), v, x, n, index, FV_BORDER_NONE, 0, NULL);
}
static fv_value *make_concat(maker *m) {
    fv_value *parts[2];
    fv_str name = fresh_axis(m, "z", 1).name;
    for (int i = 0; i < 2; i++) {
        fv_axis x[4];
        int n = some_axes(m, x, 2);
        x[n++] = (fv_axis){.name = name, .extent = 1 + below(m, 3)};
        parts[i] = conform(m, any(m), x, n);
        if (!parts[i]) return NULL;
    }
    return keep(m, fv_graph_concat(m->g, at(m), name, parts, 2));
}
static fv_value *make_topk(maker *m) { /* of an input of its own: computed numbers may tie in f32 */
    fv_axis x[3];
    int n = some_axes(m, x, 2);
    x[n++] = fresh_axis(m, "k", 5);
    fv_value *s = leaf_over(m, x, n, FV_F32);
    if (!s) return NULL;
    fv_str over[2] = {x[n - 1].name, x[0].name};
    fv_axis t = fresh_axis(m, "top", 1 + below(m, 4));
    fv_node *node =
        fv_graph_topk(m->g, at(m), s, over, n > 1 && chance(m, 40) ? 2 : 1, t.extent, t.name, chance(m, 30));
    if (!node) return NULL;
    keep(m, node->result[node->n_results - 1]);
    fv_value *src = any(m); /* read something at the indices */
    if (!src->obj.rank || src->axis[0].extent < 5 || chance(m, 30)) src = s;
    read_of r = {.n = node->result[0]->obj.rank};
    memcpy(r.axis, node->result[0]->axis, sizeof(fv_axis) * (size_t)r.n);
    int which = src == s ? n - 1 : 0;
    for (int i = 0; i < src->obj.rank; i++) {
        int j = fv_axis_find(r.axis, r.n, src->axis[i].name);
        if (i != which && j < 0) r.axis[r.n++] = src->axis[i];
        r.index[i] = i == which ? fv_value_at_self(m->ctx, node->result[0]) : coord(m, &src->axis[i]);
    }
    return finish(m, src, &r);
}
static fv_value *make_scan(maker *m) {
    fv_axis x[4];
    int n = some_axes(m, x, 2);
    fv_axis step = fresh_axis(m, "n", 2 + below(m, 5));
    x[n] = step;
    fv_value *src = leaf_over(m, x, n + 1, FV_F32), *init = leaf_over(m, x, n, FV_F32);
    fv_value *state = fv_graph_placeholder(m->g, at(m), "state", FV_F32, x, n, false);
    fv_value *element = fv_graph_placeholder(m->g, at(m), "element", FV_F32, x, n, false);
    if (!src || !init || !state || !element) return NULL;
    const fv_expr *e =
        fv_add(m->ctx, fv_mul(m->ctx, fv_value_at_self(m->ctx, state), fv_float(m->ctx, m->whole ? -1 : 0.5)),
               fv_value_at_self(m->ctx, element));
    if (m->whole) e = calm(m, e);
    fv_value *next = fv_graph_compute(m->g, at(m), FV_MONOID_NONE, x, n, NULL, 0, e, NULL, NULL);
    fv_scan_node s = {.over = step,
                      .reverse = chance(m, 40),
                      .n_states = 1,
                      .init = &init,
                      .state = &state,
                      .next = &next,
                      .n_elements = 1,
                      .element_src = &src,
                      .element = &element,
                      .output = next};
    fv_node *node = next ? fv_graph_scan(m->g, at(m), &s) : NULL;
    if (!node) return NULL;
    keep(m, node->result[1]);
    return keep(m, node->result[0]);
}

#include "tests/fuzz/random_attend.c"
#include "tests/fuzz/random_product.c"

/* -- The whole ---------------------------------------------------------------------------------------------------- */
static bool one_step(maker *m) {
    if (m->blocks && chance(m, 60)) return (!m->whole && chance(m, 50) ? make_attend(m) : make_product(m)) != NULL;
    int d = below(m, 100);
    fv_value *v = d < 10     ? make_leaf(m)
                  : d < 26   ? make_window(m, any(m))
                  : d < 38   ? make_view(m, any(m))
                  : d < 44   ? make_gather(m, any(m))
                  : d < 58   ? make_map(m)
                  : d < 68   ? make_reduce(m)
                  : d < 78   ? make_contract(m)
                  : d < 82   ? make_concat(m)
                  : d < 85   ? make_topk(m)
                  : d < 88   ? make_scan(m)
                  : m->whole ? make_contract(m)
                             : make_attend(m);
    return v != NULL;
}
/* Outputs: the last values, those that nothing reads yet; absent elements become a number. */
static bool outputs(maker *m) {
    for (int i = m->n - 1, n = 0; i >= 0 && n < 3; i--, n++) {
        fv_value *v = m->pool[i];
        if (v->partial)
            v = fv_graph_compute(m->g, at(m), FV_MONOID_NONE, v->axis, v->obj.rank, NULL, 0,
                                 fv_value_at_self(m->ctx, v), NULL, fv_int(m->ctx, -7));
        if (!v || !fv_graph_output(m->g, at(m), (fv_str){0}, fv_internf(m->ctx, "y%d", n), v, NULL)) return false;
    }
    return true;
}
fv_graph *fv_random_graph_of(fv_ctx *ctx, uint64_t seed, unsigned flags) {
    static const char *const names[BASE_AXES] = {"a", "b", "c", "d", "e", "f", "g"};
    static const int extents[] = {1, 2, 3, 5, 7, 4, 6, 5, 3}, wide[] = {16, 17, 13, 33, 8, 31, 15, 32, 19},
                     thin[] = {1, 2, 3, 1, 2, 5, 1, 4, 2};
    maker m = {.ctx = ctx,
               .state = seed * UINT64_C(0x9e3779b97f4a7c15) + 12345,
               .wide = flags & (FV_RANDOM_WIDE | FV_RANDOM_BLOCKS),
               .blocks = flags & FV_RANDOM_BLOCKS,
               .whole = flags & FV_RANDOM_WHOLE};
    m.g = fv_graph_new(ctx, fv_printf(ctx, "random%llu", (unsigned long long)seed));
    for (int i = 0; i < BASE_AXES; i++) {
        const int *list = !m.wide ? extents : i < 3 ? wide : thin;
        m.base[i] = (fv_axis){.name = fv_intern(ctx, names[i]), .extent = list[below(&m, 9)]};
    }
    while (m.n < 2)
        if (!make_leaf(&m)) return NULL;
    for (int steps = 2 + below(&m, 12); steps > 0; steps--)
        if (!one_step(&m)) return NULL;
    return outputs(&m) ? m.g : NULL;
}
fv_graph *fv_random_graph(fv_ctx *ctx, uint64_t seed) { return fv_random_graph_of(ctx, seed, 0); }

bool fv_random_source(void *ctx, const fv_node *leaf, double *out, int64_t count) {
    const fv_obj *o = &leaf->result[0]->obj;
    const char *name = fv_cstr(ctx, leaf->u.leaf.name);
    uint64_t seed = fv_hash(name, strlen(name), FV_HASH_SEED);
    for (int64_t i = 0; i < count; i++) {
        uint64_t h = fv_hash(&i, sizeof i, seed);
        h ^= h >> 29;
        if (o->type == FV_BOOL) out[i] = (double)(h & 1);
        else if (o->type == FV_I32)
            out[i] = (double)((o->ranged ? o->lo : -9) + (int64_t)(h % (uint64_t)(o->ranged ? o->hi - o->lo + 1 : 19)));
        else out[i] = (double)((int64_t)(h % (UINT64_C(1) << 24)) - (INT64_C(1) << 23)) / (double)(INT64_C(1) << 23);
    }
    return true;
}
bool fv_random_whole_source(void *ctx, const fv_node *leaf, double *out, int64_t count) {
    if (!fv_random_source(ctx, leaf, out, count)) return false;
    if (fv_type_is_float(leaf->result[0]->obj.type))
        for (int64_t i = 0; i < count; i++) out[i] = rint(3 * out[i]);
    return true;
}
