/* topk by sorting each row, scan by running its body once per step. */
#include "ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- topk --------------------------------------------------------------------------------------------------------- */
typedef struct { double v; int64_t i; } ranked;
/* NaN last, then the larger (or smaller), then the lower linear index. */
static int by_rank(const ranked *a, const ranked *b, int sign) {
    bool na = isnan(a->v), nb = isnan(b->v);
    if (na != nb) return na ? 1 : -1;
    if (!na && a->v != b->v) return (a->v > b->v) == (sign > 0) ? -1 : 1;
    return a->i < b->i ? -1 : a->i > b->i;
}
static int falling(const void *a, const void *b) { return by_rank(a, b, 1); }
static int rising(const void *a, const void *b) { return by_rank(a, b, -1); }

bool ref_eval_topk(ref_run *r, const fv_node *n) {
    const fv_topk_node *t = &n->u.topk;
    const fv_value *src = t->src, *any = n->result[0];
    ref_box rest = {0}, over = {0};
    for (int i = 0; i < any->obj.rank; i++)
        if (!fv_str_eq(any->axis[i].name, t->name)) ref_box_add(&rest, &any->axis[i], 1);
    for (int i = 0; i < t->n_over; i++) ref_box_add(&over, &src->axis[fv_value_axis(src, t->over[i])], 1);
    for (int i = 0; i < n->n_results; i++) if (!ref_alloc(r, n->result[i])) return false;
    int64_t count = ref_box_count(&over), s_rest[2 * FV_MAX_AXES], s_over[2 * FV_MAX_AXES], o_rest[2 * FV_MAX_AXES];
    ref_box name = {.n = 1, .axis = {{.name = t->name, .extent = t->k}}};
    int64_t o_name;
    ref_strides(&rest, src->axis, src->obj.rank, s_rest);
    ref_strides(&over, src->axis, src->obj.rank, s_over);
    ref_strides(&rest, any->axis, any->obj.rank, o_rest);
    ref_strides(&name, any->axis, any->obj.rank, &o_name);
    ranked *row = malloc(sizeof *row * (size_t)count);
    if (!row) return ref_fail(r, "no memory to rank %lld elements", (long long)count);
    ref_walk w = {.box = &rest, .n = 2, .stride = {s_rest, o_rest}};
    do {
        ref_walk in = {.box = &over, .n = 1, .stride = {s_over}};
        int64_t i = 0;
        do {
            row[i] = (ranked){r->at[src->id].data[w.off[0] + in.off[0]], i};
            i++;
        } while (ref_next(&in));
        qsort(row, (size_t)count, sizeof *row, t->ascending ? rising : falling);
        for (int64_t k = 0; k < t->k; k++) {
            int64_t at = w.off[1] + k * o_name, linear = row[k].i;
            for (int a = t->n_over - 1; a >= 0; a--) {
                r->at[n->result[a]->id].data[at] = (double)(linear % over.axis[a].extent);
                linear /= over.axis[a].extent;
            }
            r->at[n->result[t->n_over]->id].data[at] = row[k].v;
        }
    } while (ref_next(&w));
    free(row);
    return true;
}

/* -- scan --------------------------------------------------------------------------------------------------------- */
static void copy_by_name(const ref_box *box, const double *from, const unsigned char *from_exists,
                         const int64_t *s_from, double *to,
                         unsigned char *to_exists, const int64_t *s_to) {
    ref_walk w = {.box = box, .n = 2, .stride = {s_from, s_to}};
    do {
        to[w.off[1]] = from[w.off[0]];
        if (to_exists) to_exists[w.off[1]] = !from_exists || from_exists[w.off[0]];
    } while (ref_next(&w));
}
/* A copy of `from` in the axis order of `to`, which has the same axes; NULL with an error. */
static double *copied(ref_run *r, const fv_value *from, const fv_value *to) {
    int64_t sf[2 * FV_MAX_AXES], st[2 * FV_MAX_AXES];
    ref_box box = {0};
    double *data = ref_doubles(r, fv_value_count(to));
    if (!data) return NULL;
    ref_box_add(&box, to->axis, to->obj.rank);
    ref_strides(&box, from->axis, from->obj.rank, sf);
    ref_strides(&box, to->axis, to->obj.rank, st);
    copy_by_name(&box, r->at[from->id].data, NULL, sf, data, NULL, st);
    return data;
}
static bool copy_value(ref_run *r, const fv_value *from, const fv_value *to) {
    double *data = copied(r, from, to);
    if (!data) return false;
    ref_free(r, to);
    r->at[to->id].data = data;
    return true;
}
/* The slice of `whole` at step i of the axis, to or from `part`, which lacks it. */
static void copy_slice(ref_run *r, const fv_axis *over, int64_t i, const fv_value *whole, const fv_value *part,
                       bool to_whole) {
    int64_t sw[2 * FV_MAX_AXES], sp[2 * FV_MAX_AXES], step;
    ref_box box = {0}, one = {.n = 1, .axis = {*over}};
    ref_box_add(&box, part->axis, part->obj.rank);
    ref_strides(&box, whole->axis, whole->obj.rank, sw);
    ref_strides(&box, part->axis, part->obj.rank, sp);
    ref_strides(&one, whole->axis, whole->obj.rank, &step);
    ref_store *w = &r->at[whole->id], *p = &r->at[part->id];
    unsigned char *we = w->exists ? w->exists + i * step : NULL;
    if (to_whole) copy_by_name(&box, p->data, p->exists, sp, w->data + i * step, we, sw);
    else copy_by_name(&box, w->data + i * step, we, sw, p->data, p->exists, sp);
}
/* All next values are taken before any state changes: one may be another's state. */
static bool advance(ref_run *r, const fv_scan_node *s) {
    double **next = calloc((size_t)s->n_states + 1, sizeof *next);
    bool fine = next || ref_fail(r, "no memory for %d states", s->n_states);
    for (int j = 0; fine && j < s->n_states; j++) fine = (next[j] = copied(r, s->next[j], s->state[j])) != NULL;
    for (int j = 0; next && j < s->n_states; j++) {
        if (!fine) {
            free(next[j]);
            continue;
        }
        ref_free(r, s->state[j]);
        r->at[s->state[j]->id].data = next[j];
    }
    free(next);
    return fine;
}
static bool one_step(ref_run *r, const fv_node *n, int64_t i) {
    const fv_scan_node *s = &n->u.scan;
    for (int e = 0; e < s->n_elements; e++) {
        if (!ref_alloc(r, s->element[e])) return false;
        copy_slice(r, &s->over, i, s->element_src[e], s->element[e], false);
    }
    for (const fv_node **b = r->body[n->id]; *b; b++) if (!ref_eval(r, *b)) return false;
    r->node = n;
    if (s->output) copy_slice(r, &s->over, i, n->result[0], s->output, true);
    return advance(r, s);
}
bool ref_eval_scan(ref_run *r, const fv_node *n) {
    const fv_scan_node *s = &n->u.scan;
    int outs = s->output ? 1 : 0;
    bool fine = !s->output || ref_alloc(r, n->result[0]);
    for (int j = 0; fine && j < s->n_states; j++) fine = copy_value(r, s->init[j], s->state[j]);
    for (int64_t i = 0; fine && i < s->over.extent; i++) {
        fine = one_step(r, n, s->reverse ? s->over.extent - 1 - i : i);
        ref_free_body(r, n);
    }
    for (int j = 0; fine && j < s->n_states; j++) fine = copy_value(r, s->state[j], n->result[outs + j]);
    for (int j = 0; j < s->n_states; j++) ref_free(r, s->state[j]);
    for (int e = 0; e < s->n_elements; e++) ref_free(r, s->element[e]);
    return fine;
}
