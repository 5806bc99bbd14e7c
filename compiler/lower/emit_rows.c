/* Row kernels: reductions over one row and the map that reads them (layer norm, softmax as a library, unit vectors) in
 * one pass over memory per statement, statistics in buffers. */
#include "lower/fuse.h"
#include "lower/operands.h"

#include <string.h>

typedef struct {
    const fv_value *member[16];
    const fv_expr *at[16];
    int n;
} members; /* a member's READ at itself, and the buffer that holds it */
typedef struct {
    fv_ctx *c;
    const members *m;
} replace;
static const fv_expr *replace_member(fv_ctx *c, const fv_expr *e, void *user) {
    const replace *r = user;
    (void)c;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return e;
    for (int i = 0; i < r->m->n; i++)
        if (fv_value_of(e->ref) == r->m->member[i]) return r->m->at[i];
    return e;
}

typedef struct {
    lower *l;
    lower_kernel k;
    members m;
    fv_axis outer[FV_MAX_AXES], inner[FV_MAX_AXES]; /* axes that the statistics keep; the others of the result */
    int n_outer, n_inner;
    lower_fused row;
    fv_str tile[2];
    int n_tile;
} rows;
static const fv_expr *finish(rows *r, const fv_expr *e) {
    replace x = {r->l->ctx, &r->m};
    return e ? lower_bind(&r->k, lower_apply_fused(&r->k, &r->row, fv_rewrite(r->l->ctx, e, replace_member, &x)))
             : NULL;
}
static void row_map(rows *r, const fv_node *n,
                    const lower_pair *body) { /* a value per row made of statistics: once, not once per element */
    fv_buffer *b = lower_buffer(&r->k, fv_printf(r->l->ctx, "s%d", r->m.n), n->result[0]->obj.type, r->tile, r->n_tile);
    fv_stmt *s = lower_stmt(&r->k, &r->k.body, FV_S_MAP, "rm");
    s->target = &b->obj;
    s->write = FV_W_SET;
    s->expr = finish(r, body->value);
    r->m.member[r->m.n] = n->result[0];
    r->m.at[r->m.n++] = lower_buffer_at(&r->k, b);
}
static void statistic(rows *r, const fv_node *n, const lower_pair *body) {
    fv_ctx *c = r->l->ctx;
    const fv_compute_node *m = &n->u.compute;
    if (m->monoid == FV_MONOID_NONE) {
        row_map(r, n, body);
        return;
    }
    fv_type type = fv_type_is_float(n->result[0]->obj.type) ? FV_F32 : FV_I32;
    fv_buffer *b = lower_buffer(&r->k, fv_printf(c, "s%d", r->m.n), type, r->tile, r->n_tile), *cnt = NULL;
    const fv_expr *where = finish(r, body->exists);
    double count = 1;
    for (int i = 0; i < m->n_over; i++) count *= (double)m->over[i].extent;
    for (int pass = 0; pass < (m->monoid == FV_MONOID_MEAN && where ? 2 : 1); pass++) {
        fv_stmt *s = lower_stmt(&r->k, &r->k.body, FV_S_REDUCE, pass ? "ct" : "rd");
        if (pass) cnt = lower_buffer(&r->k, fv_printf(c, "n%d", r->m.n), FV_F32, r->tile, r->n_tile);
        s->target = pass ? &cnt->obj : &b->obj;
        s->write = m->monoid == FV_MONOID_MAX || m->monoid == FV_MONOID_ANY   ? FV_W_MAX
                   : m->monoid == FV_MONOID_MIN || m->monoid == FV_MONOID_ALL ? FV_W_MIN
                                                                              : FV_W_SUM;
        const fv_expr *e = m->monoid == FV_MONOID_COUNT ? fv_int(c, 1) : finish(r, body->value);
        if (m->monoid == FV_MONOID_ANY || m->monoid == FV_MONOID_ALL)
            e = fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_NE, e, fv_int(c, 0)), fv_int(c, 1), fv_int(c, 0));
        s->expr = pass ? fv_float(c, 1) : e;
        s->where = where;
        for (int i = 0; i < m->n_over; i++) s->over[s->n_over++] = m->over[i].name;
    }
    const fv_expr *v = lower_buffer_at(&r->k, b);
    if (m->monoid == FV_MONOID_MEAN) { /* divided once per row, in place */
        fv_stmt *s = lower_stmt(&r->k, &r->k.body, FV_S_MAP, "dv");
        s->target = &b->obj;
        s->write = FV_W_SET;
        s->expr = fv_op2(c, FV_X_DIV, v,
                         cnt ? fv_op2(c, FV_X_MAX, lower_buffer_at(&r->k, cnt), fv_float(c, 1)) : fv_float(c, count));
    }
    if (m->monoid == FV_MONOID_ANY || m->monoid == FV_MONOID_ALL) v = fv_op2(c, FV_X_LT, fv_int(c, 0), v);
    r->m.member[r->m.n] = n->result[0];
    r->m.at[r->m.n++] = v;
}

void lower_emit_rows(lower *l, const fv_node *final, const fv_node *const *member, int n) {
    fv_ctx *c = l->ctx;
    rows r = {.l = l};
    const fv_value *out = final->result[0], *stat = member[0]->result[0];
    lower_kernel_begin(l, &r.k, "rows", "reduce.row", final->loc, l->node[final->id].prepare);
    lower_kernel_own(&r.k);
    fv_facts f = {0};
    fv_value_facts(c, out, &f);
    for (int i = 0; i < out->obj.rank; i++) {
        if (fv_value_axis(stat, out->axis[i].name) >= 0) continue;
        r.inner[r.n_inner++] = out->axis[i];
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < member[i]->u.compute.n_over; j++) {
            fv_axis a = member[i]->u.compute.over[j];
            bool known = false;
            for (int q = 0; q < r.n_inner; q++) known |= fv_str_eq(r.inner[q].name, a.name);
            if (!known) {
                r.inner[r.n_inner++] = a;
                fv_facts_add(c, &f, fv_axis_ref(c, a.name), 0, a.extent - 1);
            }
        }
    for (int i = 0; i < f.n; i++) fv_facts_add(c, &r.k.facts, f.item[i].leaf, f.item[i].range.lo, f.item[i].range.hi);
    /* Bodies over stored values and members. */
    lower_pair body[16], result;
    for (int i = 0; i < n; i++) {
        if (member[i]->u.compute.monoid == FV_MONOID_NONE) {
            l->node[member[i]->id].role = LOWER_INLINE;
            body[i] = lower_value_at_self(l, &f, member[i]->result[0]);
            l->node[member[i]->id].role = LOWER_ABSORBED;
            continue;
        }
        body[i] = lower_expand(l, &f, member[i]->u.compute.body);
        if (member[i]->u.compute.only) {
            lower_pair o = lower_expand(l, &f, member[i]->u.compute.only);
            body[i].exists = fv_and(c, body[i].exists, fv_and(c, o.exists, o.value));
        }
    }
    l->node[final->id].role = LOWER_INLINE;
    result = lower_value_at_self(l, &f, out);
    l->node[final->id].role = LOWER_STORED;
    lower_place_value(l, out, l->order[out->id] ? NULL : lower_follow(l, out, result.value));
    const fv_expr *self[FV_MAX_AXES];
    for (int i = 0; i < out->obj.rank; i++) self[i] = fv_axis_ref(c, out->axis[i].name);
    const fv_expr *address = lower_address(l, out, self);
    /* Lanes: the innermost axis of the result; rows: the kept axes that memory reads as one with the innermost of them.
     */
    fv_str lane = out->axis[0].name;
    int64_t least = INT64_MAX;
    for (int i = 0; i < out->obj.rank; i++)
        if (l->place[out->id].stride[i] < least && out->axis[i].extent > 1) {
            least = l->place[out->id].stride[i];
            lane = out->axis[i].name;
        }
    fv_axis kept[FV_MAX_AXES], list[FV_MAX_AXES];
    int n_kept = 0, n_list = 0;
    for (int i = 0; i < out->obj.rank; i++) { /* by falling stride */
        if (fv_value_axis(stat, out->axis[i].name) < 0) continue;
        int j = n_kept++;
        for (; j > 0 && l->place[out->id].stride[fv_value_axis(out, kept[j - 1].name)] < l->place[out->id].stride[i];
             j--)
            kept[j] = kept[j - 1];
        kept[j] = out->axis[i];
    }
    lower_fusion u = {.n_exprs = 0};
    for (int i = 0; i < n && i < 7; i++) lower_fusion_add(&u, body[i].value);
    lower_fusion_add(&u, result.value);
    lower_fusion_add_address(&u, address);
    int from = n_kept;
    bool lane_kept = fv_value_axis(stat, lane) >= 0;
    while (from > 0 && n <= 7) {
        fv_axis t[FV_MAX_AXES];
        t[0] = kept[from - 1];
        memcpy(t + 1, list, sizeof *t * (size_t)n_list);
        if (n_list && !lower_fusible(l, &f, &u, t, n_list + 1)) break;
        memcpy(list, t, sizeof *t * (size_t)++n_list);
        from--;
    }
    for (int i = 0; i < from; i++) lower_grid(&r.k, kept[i].name, 0, kept[i].extent);
    r.row = lower_fuse(&r.k, list, n_list);
    if (n_list == 1) r.row = (lower_fused){.axis = list[0].name, .extent = list[0].extent};
    int64_t tile = lane_kept ? 4 * l->t->lanes : 8;
    if (n_list) {
        tile = lower_tile(&r.k, r.row.axis, tile < r.row.extent ? tile : r.row.extent, r.row.extent);
        lower_grid(&r.k, r.row.axis, tile, r.row.extent);
        r.tile[r.n_tile++] = r.row.axis;
    }
    for (int i = 0; i < r.n_inner; i++) lower_axis(&r.k, r.inner[i].name, r.inner[i].extent);
    for (int i = 0; i < n; i++) statistic(&r, member[i], &body[i]);
    if (result.exists) {
        fv_error(c, FV_E_ABSENT, final->loc, "%s may have absent elements and is stored; write :otherwise(value)",
                 lower_node_text(l, final));
        l->failed = true;
        return;
    }
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < out->obj.rank; i++) at[i] = finish(&r, self[i]);
    lower_store(&r.k, &r.k.body, "st", out, at, finish(&r, result.value), NULL);
    fv_schedule_set_names(c, r.k.schedule, FV_F_LANE, "", fv_cstr(c, lane_kept ? r.row.axis : lane));
    double points = (double)fv_value_count(out);
    r.k.flops = points * (double)(n * 2 + lower_map_cost(final));
    lower_kernel_end(&r.k);
}
