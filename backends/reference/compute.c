/* Reads, joins, maps and reductions by definition: a program evaluates the body at every point, and what exists is
 * stored or accumulated. A sum of a product of two plain reads goes to product.c instead. */
#include "ref.h"

#include <math.h>
#include <stdlib.h>

/* -- The loop: every point of a box, in blocks along one axis ----------------------------------------------------- */
typedef struct {
    ref_run *r;
    const fv_compute_node *c;                           /* NULL: a read */
    ref_program *p;
    int body, only, otherwise;                          /* registers; -2: none */
    ref_store *out;
    int64_t *count;                                     /* of a mean or count with absences, per result */
    int64_t stride[2 * FV_MAX_AXES];                    /* of the result */
} loop;

static bool counts(const loop *l, int i) {
    const unsigned char *e = ref_program_exists(l->p, l->body);
    if (e && !e[i]) return false;
    if (l->only < 0) return true;
    const unsigned char *o = ref_program_exists(l->p, l->only);
    return (!o || o[i]) && ref_program_values(l->p, l->only)[i] != 0;
}
static void store_block(const loop *l, int64_t at, int64_t step, int lanes) {
    const double *v = ref_program_values(l->p, l->body);
    bool sure = l->only < 0 && !ref_program_exists(l->p, l->body);
    for (int i = 0; i < lanes; i++, at += step) {
        bool there = sure || counts(l, i);
        if (there) l->out->data[at] = v[i];
        else if (l->otherwise >= 0) l->out->data[at] = ref_program_values(l->p, l->otherwise)[i];
        if (l->out->exists) l->out->exists[at] = there;
    }
}
static double join(fv_monoid m, double a, double v) {
    switch (m) {
    case FV_MONOID_MAX: return isnan(a) || isnan(v) ? (double)NAN : a > v ? a : v;
    case FV_MONOID_MIN: return isnan(a) || isnan(v) ? (double)NAN : a < v ? a : v;
    case FV_MONOID_COUNT: return a + 1;
    case FV_MONOID_ANY: return a != 0 || v != 0;
    case FV_MONOID_ALL: return a != 0 && v != 0;
    case FV_MONOID_NONE:
    case FV_MONOID_SUM:
    case FV_MONOID_MEAN: break;
    }
    return a + v;
}
static void reduce_block(const loop *l, int64_t at, int64_t step, int lanes) {
    const double *v = ref_program_values(l->p, l->body);
    fv_monoid m = l->c->monoid;
    double *d = l->out->data;
    bool sure = l->only < 0 && !ref_program_exists(l->p, l->body);
    if (sure && (m == FV_MONOID_SUM || m == FV_MONOID_MEAN)) {
        if (step == 0) {
            double sum = 0;
            for (int i = 0; i < lanes; i++) sum += v[i];
            d[at] += sum;
        } else {
            for (int i = 0; i < lanes; i++) d[at + i * step] += v[i];
        }
        if (l->count) for (int i = 0; i < lanes; i++) l->count[at + i * step]++;
        return;
    }
    for (int i = 0; i < lanes; i++, at += step) {
        if (!sure && !counts(l, i)) continue;
        d[at] = join(m, d[at], v[i]);
        if (l->count) l->count[at]++;
    }
}
static bool run_loop(loop *l, const ref_box *box, int lane) {
    ref_box outer = *box;
    outer.axis[lane].extent = 1;
    ref_walk w = {.box = &outer, .n = 1, .stride = {l->stride}};
    int64_t extent = box->axis[lane].extent, step = l->stride[lane];
    do {
        for (int64_t from = 0; from < extent; from += REF_LANES) {
            int lanes = extent - from < REF_LANES ? (int)(extent - from) : REF_LANES;
            w.pos[lane] = from;
            if (!ref_program_run(l->p, w.pos, lanes)) return false;
            if (!l->c || l->c->monoid == FV_MONOID_NONE) store_block(l, w.off[0] + from * step, step, lanes);
            else reduce_block(l, w.off[0] + from * step, step, lanes);
        }
        w.pos[lane] = 0;
    } while (ref_next(&w));
    return true;
}
/* no axis is called so */
static fv_axis unit_axis(ref_run *r) { return (fv_axis){.name = fv_intern(r->ctx, "_0"), .extent = 1}; }

/* -- Read --------------------------------------------------------------------------------------------------------- */
bool ref_eval_read(ref_run *r, const fv_node *n) {
    const fv_read_node *d = &n->u.read;
    const fv_value *v = n->result[0];
    ref_box box = {0};
    ref_box_add(&box, v->axis, v->obj.rank);
    fv_axis unit = unit_axis(r);
    if (!box.n) ref_box_add(&box, &unit, 1);
    int lane = box.n - 1;
    if (!ref_alloc(r, v)) return false;
    loop l = {.r = r, .out = &r->at[v->id], .otherwise = -2};
    ref_strides(&box, v->axis, v->obj.rank, l.stride);
    l.p = ref_program_new(r, &box, lane);
    bool fine = l.p && (l.body = ref_program_read(l.p, d->src, d->index, d->border, d->number)) >= 0 &&
                (l.only = ref_program_expr(l.p, d->only)) != -1 && run_loop(&l, &box, lane);
    ref_program_dispose(l.p);
    return fine;
}

/* -- Concat ------------------------------------------------------------------------------------------------------- */
bool ref_eval_concat(ref_run *r, const fv_node *n) {
    const fv_concat_node *c = &n->u.concat;
    const fv_value *v = n->result[0];
    if (!ref_alloc(r, v)) return false;
    ref_store *out = &r->at[v->id];
    int own = fv_value_axis(v, c->axis);
    int64_t from = 0, stride[2 * FV_MAX_AXES], src[2 * FV_MAX_AXES];
    for (int i = 0; i < c->n; i++) {
        const fv_value *p = c->part[i];
        const ref_store *s = &r->at[p->id];
        ref_box box = {0};
        ref_box_add(&box, v->axis, v->obj.rank);
        ref_strides(&box, v->axis, v->obj.rank, stride);
        ref_strides(&box, p->axis, p->obj.rank, src);
        box.axis[own].extent = p->axis[fv_value_axis(p, c->axis)].extent;
        ref_walk w = {.box = &box, .n = 2, .stride = {stride, src}};
        do {
            int64_t at = w.off[0] + from * stride[own];
            out->data[at] = s->data[w.off[1]];
            if (out->exists) out->exists[at] = !s->exists || s->exists[w.off[1]];
        } while (ref_next(&w));
        from += box.axis[own].extent;
    }
    return true;
}

/* -- Products ----------------------------------------------------------------------------------------------------- */
/* A read at affine indices as data with strides over the box; false if it is not one. */
static bool plain_read(ref_run *r, const ref_box *box, const fv_expr *e, const double **data, int64_t *stride) {
    while (e->op == FV_X_TOFLOAT) e = e->arg[0];
    if (e->op != FV_X_READ || e->i) return false;
    const fv_value *v = fv_value_of(e->ref);
    int64_t s = 1, base = 0;
    if (v->partial || !r->at[v->id].data) return false;
    for (int a = 0; a < box->n; a++) stride[a] = 0;
    for (int i = v->obj.rank - 1; i >= 0; i--) {
        fv_affine f;
        if (!fv_affine_of(e->arg[i], &f)) return false;
        int64_t lo = f.constant, hi = f.constant;
        for (int t = 0; t < f.n; t++) {
            int at = f.term[t].atom->op == FV_X_AXIS ? ref_box_find(box, f.term[t].atom->name) : -1;
            if (at < 0) return false;
            int64_t reach = f.term[t].coef * (box->axis[at].extent - 1);
            lo += reach < 0 ? reach : 0;
            hi += reach > 0 ? reach : 0;
            stride[at] += f.term[t].coef * s;
        }
        if (lo < 0 || hi >= v->axis[i].extent) return false;
        base += f.constant * s;
        s *= v->axis[i].extent;
    }
    *data = r->at[v->id].data + base;
    return true;
}
/* 1 done, 0 not such a body, -1 failed. */
static int try_product(ref_run *r, const fv_node *n, const ref_box *box) {
    const fv_compute_node *c = &n->u.compute;
    const fv_value *v = n->result[0];
    const double *a, *b;
    int64_t sa[2 * FV_MAX_AXES], sb[2 * FV_MAX_AXES], so[2 * FV_MAX_AXES];
    if (c->monoid != FV_MONOID_SUM || c->only || c->body->op != FV_X_MUL) return 0;
    if (!plain_read(r, box, c->body->arg[0], &a, sa) || !plain_read(r, box, c->body->arg[1], &b, sb)) return 0;
    ref_strides(box, v->axis, v->obj.rank, so);
    return ref_alloc(r, v) && ref_sum_product(r, box, a, sa, b, sb, r->at[v->id].data, so) ? 1 : -1;
}

/* -- Compute ------------------------------------------------------------------------------------------------------ */
static double first_of(const fv_compute_node *c, fv_type t) {
    bool whole = t == FV_I32;
    if (c->monoid == FV_MONOID_MAX) return whole ? (double)INT32_MIN : -(double)INFINITY;
    if (c->monoid == FV_MONOID_MIN) return whole ? (double)INT32_MAX : (double)INFINITY;
    return c->monoid == FV_MONOID_ALL ? 1 : 0;
}
static void divide(const loop *l, int64_t results) {
    for (int64_t i = 0; i < results; i++) l->out->data[i] = l->count[i] ? l->out->data[i] / (double)l->count[i] : 0;
}
bool ref_eval_compute(ref_run *r, const fv_node *n) {
    const fv_compute_node *c = &n->u.compute;
    const fv_value *v = n->result[0];
    int64_t results = fv_value_count(v);
    ref_box box = {0};
    ref_box_add(&box, v->axis, v->obj.rank);
    ref_box_add(&box, c->over, c->n_over);
    fv_axis unit = unit_axis(r);
    if (!box.n) ref_box_add(&box, &unit, 1);
    int done = try_product(r, n, &box);
    if (done) return done > 0;
    if (!ref_alloc(r, v)) return false;
    int lane = ref_best_lane(&box, c->body);
    loop l = {.r = r, .c = c, .out = &r->at[v->id]};
    ref_strides(&box, v->axis, v->obj.rank, l.stride);
    double first = first_of(c, v->obj.type);
    for (int64_t i = 0; first != 0 && i < results; i++) l.out->data[i] = first;
    if (c->monoid == FV_MONOID_MEAN) {
        l.count = calloc((size_t)results, sizeof *l.count);
        if (!l.count) return ref_fail(r, "no memory for counts");
    }
    l.p = ref_program_new(r, &box, lane);
    bool fine = l.p && (l.body = ref_program_expr(l.p, c->body)) >= 0 &&
        (l.only = ref_program_expr(l.p, c->only)) != -1 &&
                (l.otherwise = ref_program_expr(l.p, c->otherwise)) != -1 && run_loop(&l, &box, lane);
    if (fine && l.count) divide(&l, results);
    ref_program_dispose(l.p);
    free(l.count);
    return fine;
}
