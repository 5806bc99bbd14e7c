/* attend.offset: keys enumerated by their offset from the query. Lanes run along raw columns of the map, whatever the
 * dilation; a lane map gives every lane its own first column, so borders cost one permutation. Query rows of a tile
 * share key rows through their hull: key row y stands for the tap y - start(row) where that is one. */
#include "lower/attend_hull.h"

#include <string.h>

typedef struct {
    attend *x;
    attend_program p;
    fv_axis lane;
    attend_hull row; /* query rows of a tile share key rows */
    bool has_row;
    int n_maps;
    struct {
        const fv_expr *e;
        fv_buffer *b;
    } map[16];
} offset;

/* Stride in memory of what axis a moves along in the keys; 0: not read. */
typedef struct {
    lower *l;
    const fv_expr *leaf;
    int64_t stride;
} stride_walk;
static bool visit_stride(const fv_expr *e, void *user) {
    stride_walk *w = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE || !w->l->placed[fv_value_of(e->ref)->id]) return false;
    for (int i = 0; i < e->ref->rank; i++)
        if (fv_uses(e->arg[i], w->leaf)) w->stride = w->l->place[fv_value_of(e->ref)->id].stride[i];
    return false;
}
static bool choose_lane(offset *o) {
    attend *x = o->x;
    int64_t least = INT64_MAX;
    for (int i = 0; i < x->n_q; i++) {
        if (!lower_attend_enumerates(x, &x->q[i]) || lower_attend_batch(x, &x->q[i]) || x->q[i].extent < 2) continue;
        stride_walk w = {x->l, fv_axis_ref(x->l->ctx, x->q[i].name), 0};
        for (int s = 0; s < x->n_sets; s++)
            if (x->set[s].k.value) fv_visit(x->set[s].k.value, visit_stride, &w);
        for (int s = 0; s < x->n_sets && !w.stride; s++)
            if (x->set[s].v.value) fv_visit(x->set[s].v.value, visit_stride, &w);
        if (w.stride && w.stride <= least) {
            least = w.stride;
            o->lane = x->q[i];
        }
    }
    return least != INT64_MAX;
}

/* -- Lane maps
 * --------------------------------------------------------------------------------------------------------------------
 */
static const fv_expr *lane_index(offset *o, const fv_expr *e) {
    attend *x = o->x;
    fv_ctx *c = x->l->ctx;
    const fv_expr *w = fv_axis_ref(c, o->lane.name), *rest;
    int64_t coef;
    if (!fv_uses(e, w) || (fv_split_affine(c, e, w, &coef, &rest) && coef == 1)) return e;
    fv_affine a, taps = {0};
    if (!fv_affine_of(e, &a)) return e;
    fv_affine own = {.constant = a.constant};
    for (int i = 0; i < a.n; i++) {
        bool tap = false;
        for (int s = 0; s < x->n_sets; s++)
            for (int j = 0; j < x->set[s].set->n_over; j++)
                tap |= a.term[i].atom == fv_axis_ref(c, x->set[s].set->over[j].name);
        fv_affine *to = tap ? &taps : &own;
        to->term[to->n].coef = a.term[i].coef;
        to->term[to->n++].atom = a.term[i].atom;
    }
    const fv_expr *start = fv_affine_expr(c, &own);
    fv_str used[FV_MAX_AXES];
    int n = fv_axes_of(start, used, 0, FV_MAX_AXES);
    if (n != 1 || o->n_maps == 16) return e; /* other axes inside the clamp: gathered */
    fv_buffer *b = NULL;
    for (int i = 0; i < o->n_maps; i++)
        if (o->map[i].e == start) b = o->map[i].b;
    if (!b) {
        b = lower_buffer(&o->p.k, fv_printf(c, "sx%d", o->n_maps), FV_I32, &o->lane.name, 1);
        fv_range r = fv_range_of(&x->set[0].facts, start);
        b->obj.ranged = r.lo > FV_RANGE_MIN && r.hi < FV_RANGE_MAX;
        b->obj.lo = r.lo;
        b->obj.hi = r.hi;
        fv_stmt *s = lower_stmt(&o->p.k, &o->p.k.body, FV_S_MAP, "cx");
        s->target = &b->obj;
        s->write = FV_W_SET;
        s->expr = lower_bind(&o->p.k, start);
        o->map[o->n_maps].e = start;
        o->map[o->n_maps++].b = b;
    }
    return fv_add(c, lower_buffer_at(&o->p.k, b), fv_affine_expr(c, &taps));
}
static const fv_expr *map_lanes(fv_ctx *c, const fv_expr *e, void *user) {
    offset *o = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return e;
    const fv_expr *arg[FV_MAX_AXES + 1];
    for (int i = 0; i < e->n; i++) arg[i] = i < e->ref->rank ? lane_index(o, e->arg[i]) : e->arg[i];
    return fv_read(c, e->ref, arg, e->ref->rank, e->i ? e->arg[e->n - 1] : NULL);
}

/* Registers hold rows x taps of the scores, and rows x value columns of the sums. */
static int64_t step_of(int64_t n, int64_t most) {
    int64_t groups = (n + most - 1) / most;
    return (n + groups - 1) / groups;
}
/* Half the target's vector where whole ones would leave an eighth of their lanes or more idle at a row's end. */
static int vector_of(int lanes, int64_t extent) {
    int64_t whole = (extent + lanes - 1) / lanes * lanes, half = (extent + lanes / 2 - 1) / (lanes / 2) * (lanes / 2);
    return lanes >= 16 && 8 * (whole - half) >= whole ? lanes / 2 : lanes;
}
/* Listed taps: unrolled whole, so that their coordinates are numbers. */
static void list_nests(offset *o) {
    attend_program *p = &o->p;
    attend *x = o->x;
    fv_ctx *c = x->l->ctx;
    long long n = (long long)x->set[0].set->over[0].extent;
    if (n > x->l->t->registers - 8 || x->n_e != 1) return;
    const char *tap = fv_cstr(c, p->key[0][0]);
    int vector = vector_of(x->l->t->lanes, o->lane.extent);
    const char *lane = fv_cstr(c, fv_internf(c, "%s/%d~", fv_cstr(c, o->lane.name), vector)); /* one vector */
    if (vector < x->l->t->lanes) fv_schedule_set_int(c, p->k.schedule, FV_F_VECTOR, "", vector);
    fv_buf nest = {0};
    if (p->qk.i) {
        fv_buf_printf(&nest, "%s,%s/%lld!", lane, tap, n);
        for (int i = 0; i < x->a->n_dot; i++) fv_buf_printf(&nest, ",%s", fv_cstr(c, x->a->dot[i].name));
        fv_schedule_set_names(c, p->k.schedule, FV_F_NEST, fv_cstr(c, p->qk), nest.text);
        nest.len = 0;
    }
    if (p->sc.i) {
        fv_buf_printf(&nest, "%s,%s/%lld!", lane, tap, n);
        fv_schedule_set_names(c, p->k.schedule, FV_F_NEST, fv_cstr(c, p->sc), nest.text);
        nest.len = 0;
    }
    fv_buf_printf(&nest, "%s,%s/4!,%s/%lld!", lane, fv_cstr(c, p->value[0]), tap, n);
    fv_schedule_set_names(c, p->k.schedule, FV_F_NEST, fv_cstr(c, p->pv), nest.text);
    fv_buf_dispose(&nest);
}
static void nests(offset *o) {
    attend_program *p = &o->p;
    attend *x = o->x;
    fv_ctx *c = x->l->ctx;
    const char *lane = fv_cstr(c, o->lane.name), *row = fv_cstr(c, o->row.i);
    fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, "", lane);
    if (x->set[0].listed && x->n_sets == 1) list_nests(o);
    if (!o->has_row || x->n_sets != 1 || p->n_key[0] < 2 || x->n_e != 1) return;
    int64_t most = x->l->t->registers >= 32 ? 5 : 4;
    fv_str tap = p->key[0][p->n_key[0] - 1];
    if (fv_str_eq(tap, o->row.y)) tap = p->key[0][p->n_key[0] - 2];
    fv_buf keys = {0}, nest = {0}; /* the hull, then further taps */
    fv_buf_puts(&keys, fv_cstr(c, o->row.y));
    for (int i = 0; i < p->n_key[0]; i++)
        if (!fv_str_eq(p->key[0][i], tap) && !fv_str_eq(p->key[0][i], o->row.y))
            fv_buf_printf(&keys, ",%s", fv_cstr(c, p->key[0][i]));
    if (p->qk.i) {
        fv_buf_printf(&nest, "%s~,%s,%s/%lld!", lane, keys.text, fv_cstr(c, tap),
                      (long long)step_of(lower_extent(&p->k, tap), most));
        for (int i = 0; i < x->a->n_dot; i++) fv_buf_printf(&nest, ",%s", fv_cstr(c, x->a->dot[i].name));
        fv_buf_printf(&nest, ",%s!", row);
        fv_schedule_set_names(c, p->k.schedule, FV_F_NEST, fv_cstr(c, p->qk), nest.text);
        nest.len = 0;
    }
    fv_buf_printf(&nest, "%s~,%s/%lld!,%s,%s,%s!", lane, fv_cstr(c, p->value[0]), (long long)step_of(x->e[0].extent, 4),
                  keys.text, fv_cstr(c, tap), row);
    fv_schedule_set_names(c, p->k.schedule, FV_F_NEST, fv_cstr(c, p->pv), nest.text);
    fv_buf_dispose(&keys);
    fv_buf_dispose(&nest);
}

/* Keys and values whose memory runs along another axis than the lanes are copied once into an order that does. */
typedef struct {
    offset *o;
    int n;
    const fv_value *from[8], *to[8];
} copies;
static const fv_value *copy_of(copies *w, const fv_value *v, int axis) {
    lower *l = w->o->x->l;
    for (int i = 0; i < w->n; i++)
        if (w->from[i] == v) return w->to[i];
    if (w->n == 8) return v;
    int order[FV_MAX_AXES], n = 0;
    for (int i = 0; i < v->obj.rank; i++)
        if (i != axis) {
            int j = n++;
            for (; j > 0 && l->place[v->id].stride[order[j - 1]] < l->place[v->id].stride[i]; j--)
                order[j] = order[j - 1];
            order[j] = i;
        }
    order[n++] = axis;
    w->from[w->n] = v;
    return w->to[w->n++] = lower_copy(l, v, order, w->o->x->anchor->loc);
}
static const fv_expr *copy_reads(fv_ctx *c, const fv_expr *e, void *user) {
    copies *w = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return e;
    const fv_value *v = fv_value_of(e->ref);
    for (int i = 0; i < e->ref->rank; i++) {
        if (!fv_uses_axis(e->arg[i], w->o->lane.name)) continue;
        if (w->o->x->l->place[v->id].stride[i] == 1) return e;
        const fv_value *to = copy_of(w, v, i);
        return fv_read(c, &to->obj, e->arg, to->obj.rank, e->i ? e->arg[e->n - 1] : NULL);
    }
    return e;
}
static void copy_keys(offset *o) {
    copies w = {.o = o};
    for (int i = 0; i < o->x->n_sets; i++) {
        attend_set *s = &o->x->set[i];
        if (s->k.value) s->k.value = fv_rewrite(o->x->l->ctx, s->k.value, copy_reads, &w);
        if (s->v.value) s->v.value = fv_rewrite(o->x->l->ctx, s->v.value, copy_reads, &w);
    }
}

const char *lower_attend_offset(attend *x) {
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    offset o = {.x = x};
    attend_program *p = &o.p;
    p->x = x;
    p->key_first = false;
    if (!choose_lane(&o)) return "no key index reads a query axis: keys are not enumerated by offset";
    for (int i = 0; i < x->n_sets; i++) {
        double keys = 1;
        for (int j = 0; j < x->set[i].set->n_over; j++) keys *= (double)x->set[i].set->over[j].extent;
        if (keys > 4096)
            return fv_printf(c, "a set has %.0f keys per query, more than the 4096 whose scores are held at once",
                             keys);
    }
    int64_t want = l->t->registers >= 32 ? 4 : 2;
    for (int i = x->n_q - 1; i >= 0 && !o.has_row && !l->o->no_row_sharing;
         i--) { /* the enumerated axis next to the lane */
        if (fv_str_eq(x->q[i].name, o.lane.name) || x->q[i].extent < 2 || !lower_attend_enumerates(x, &x->q[i]) ||
            lower_attend_batch(x, &x->q[i]))
            continue;
        const char *why;
        o.has_row =
            attend_hull_find(x, &x->q[i], want, &o.row, &why) && o.row.rows > 1 && o.row.keys <= 2 * o.row.tap.extent;
        break;
    }

    copy_keys(&o);
    lower_place_value(l, x->final->result[0], NULL);
    lower_kernel_begin(l, &p->k, "attend", "attend.offset", x->anchor->loc, l->node[x->final->id].prepare);
    lower_kernel_own(&p->k);
    if (!o.has_row && o.row.rows == 1) lower_wish_entry(&p->k, FV_F_TILE, o.row.i); /* one row: a point of the grid */
    lower_attend_tables(x, &o.lane, 1);
    for (int i = 0; i < x->n_q; i++) {
        if (fv_str_eq(x->q[i].name, o.lane.name) || (o.has_row && fv_str_eq(x->q[i].name, o.row.query.name))) continue;
        lower_grid(&p->k, x->q[i].name, 0, x->q[i].extent);
    }
    if (o.has_row) attend_hull_declare(p, &o.row);
    /* Listed taps meet each key a few times only: a program that holds a whole row reads a line of memory once. */
    int64_t lanes = l->t->lanes;
    for (int i = 0; i < x->n_sets && !o.has_row; i++)
        if (x->set[i].listed) lanes = 4 * l->t->lanes;
    if (o.lane.extent < lanes) lanes = o.lane.extent;
    lanes = lower_tile(&p->k, o.lane.name, lanes, o.lane.extent);
    lower_grid(&p->k, o.lane.name, lanes, o.lane.extent);
    p->tile[p->n_tile++] = o.lane.name;
    for (int i = 0; i < x->n_sets; i++)
        for (int j = 0; j < x->set[i].set->n_over; j++) {
            fv_axis t = x->set[i].set->over[j];
            if (o.has_row && fv_str_eq(t.name, o.row.tap.name)) {
                p->key[i][p->n_key[i]++] = o.row.y;
                continue;
            }
            bool known = false;
            for (int q = 0; q < i; q++)
                for (int r = 0; r < p->n_key[q]; r++) known |= fv_str_eq(p->key[q][r], t.name);
            if (!known) lower_axis(&p->k, t.name, t.extent);
            else if (lower_extent(&p->k, t.name) != t.extent)
                return "two sets use one key axis name with different extents";
            p->key[i][p->n_key[i]++] = t.name;
        }
    for (int i = 0; i < x->n_sets; i++) {
        if (x->set[i].k.value) x->set[i].k.value = fv_rewrite(c, x->set[i].k.value, map_lanes, &o);
        if (x->set[i].v.value) x->set[i].v.value = fv_rewrite(c, x->set[i].v.value, map_lanes, &o);
    }
    attend_query(p, &p->k.body);
    fv_str acc_axis[FV_MAX_AXES];
    int n_acc = 0;
    for (int i = 0; i < x->n_e; i++) acc_axis[n_acc++] = p->value[i];
    for (int i = 0; i < p->n_tile; i++) acc_axis[n_acc++] = p->tile[i];
    p->acc = lower_buffer(&p->k, "acc", FV_F32, acc_axis, n_acc);
    for (int i = 0; i < x->n_sets; i++) attend_scores(p, &p->k.body, i);
    attend_resident(p, &p->k.body);
    for (int i = 0; i < x->n_sets; i++) attend_sum(p, &p->k.body, i, i == 0, NULL);
    attend_store(p, &p->k.body);
    nests(&o);
    p->k.flops = x->flops;
    lower_kernel_end(&p->k);
    return NULL;
}
