/* Lanes. Which axis a buffer stores innermost and which axis a statement has in its lanes: as the schedule says, else
 * the choice of least cost, where cost counts vector operations, loads by operand class, and horizontal reductions.
 * Invariant: results never depend on the choice beyond the order of sums. */
#include "kernel/flatten.h"

enum { ROW_ELEMENTS = 32 }; /* of bf16 in 64 bytes */

int64_t fl_vectors(const fl *f, const fl_axis *a) { return (a->tile + f->vl - 1) / f->vl; }

/* -- Storage ----------------------------------------------------------------------------------------------------- */
bool fl_holds_pairs(const fv_buffer *b) {
    return b->obj.type == FV_BF16 && b->obj.rank > 1 && b->extent[b->obj.rank - 1] == 2;
}
/* Pairs lie side by side, the lanes two apart. Rows of bf16 start at multiples of 64 bytes. */
static void lay_out(const fl *f, fl_buffer *b) {
    int order[FV_MAX_AXES], m = 0;
    bool pairs = fl_holds_pairs(b->b);
    int64_t n = pairs ? 2 : 1, unit = b->b->obj.type == FV_BF16 && f->vl > 1 ? ROW_ELEMENTS / n : f->vl;
    if (pairs && b->lane == b->b->obj.rank - 1) b->lane--;
    if (unit < f->vl) unit = f->vl;
    if (pairs) b->stride[b->b->obj.rank - 1] = 1;
    if (b->lane >= 0) order[m++] = b->lane;
    for (int x = b->b->obj.rank - 1 - pairs; x >= 0; x--)
        if (x != b->lane) order[m++] = x;
    for (int x = 0; x < m; x++) {
        int64_t e = b->b->extent[order[x]];
        b->stride[order[x]] = n;
        n *= x == 0 ? (e + unit - 1) / unit * unit : e;
    }
    b->mem->count = n + f->vl * (pairs ? 2 : 1); /* a vector may start at any element */
}
static int axis_in(const fv_buffer *b, fv_str name) {
    for (int j = 0; j < b->obj.rank; j++)
        if (fv_str_eq(b->axis[j], name)) return j;
    return -1;
}

/* -- Operand classes before there are loops: every other axis is a scalar somewhere in its tile ------------------ */
const fv_expr *fl_symbol(fl *f, const fl_axis *a) {
    return fv_var(f->ctx, fv_internf(f->ctx, "%s.x", fv_cstr(f->ctx, a->name)), FV_I32);
}
static void at_symbols(fl *f, fl_axis *lane) {
    for (int j = 0; j < f->n_axes; j++) {
        fl_axis *a = f->axis[j];
        a->off = a == lane ? fv_int(f->ctx, 0) : fl_symbol(f, a);
    }
    f->lane = lane;
}
static void no_point(fl *f) {
    for (int j = 0; j < f->n_axes; j++) f->axis[j]->off = NULL;
    f->lane = NULL;
}
const fv_expr *fl_symbolic_offset(fl *f, const fv_obj *ref, const fv_expr *const *index, fl_axis *lane) {
    const fv_expr *each[FV_MAX_AXES];
    fv_flats scrap = {0};
    fl_mark m = fl_enter(f, &scrap, true);
    at_symbols(f, lane);
    const fv_expr *off = fl_offset(f, ref, index, each);
    fl_leave(f, m);
    no_point(f);
    return off;
}
const fv_expr *fl_symbolic_index(fl *f, const fv_expr *e, fl_axis *lane) {
    fv_flats scrap = {0};
    fl_mark m = fl_enter(f, &scrap, true);
    at_symbols(f, lane);
    e = fl_simple(f, fl_index(f, e, false));
    fl_leave(f, m);
    no_point(f);
    return e;
}
static fl_class class_of(fl *f, const fv_obj *ref, const fv_expr *const *index) {
    const fv_expr *each[FV_MAX_AXES], *by_lane, *rest;
    int64_t coef;
    fv_flats scrap = {0};
    fl_mark m = fl_enter(f, &scrap, true);
    fl_class c = fl_classify(f, fl_offset(f, ref, index, each), &by_lane, &rest, &coef);
    fl_leave(f, m);
    return c;
}
static fl_class read_class(fl *f, const fv_expr *read, fl_axis *lane) {
    const fl_buffer *b = read->ref->kind == FV_OBJ_BUFFER ? fl_buffer_find(f, read->ref) : NULL;
    int storage = b ? b->lane : 0;
    for (int j = 0; j < f->n_seen; j++)
        if (f->seen[j].read == read && f->seen[j].lane == lane && f->seen[j].storage == storage)
            return (fl_class)f->seen[j].c;
    at_symbols(f, lane);
    fl_seen s = {read, lane, storage, (int)class_of(f, read->ref, read->arg)};
    fv_push(f->ctx, f->seen, f->n_seen, f->cap_seen, s);
    return (fl_class)s.c;
}

fl_class fl_operand_class(fl *f, const fv_expr *read, fl_axis *lane) {
    fl_class c = read_class(f, read, lane);
    no_point(f);
    return c;
}

/* -- Cost of a statement ----------------------------------------------------------------------------------------- */
typedef struct {
    fl *f;
    const fv_stmt *s;
    fl_axis *lane;
    double sum;
    bool contract;
} read_cost;
static double class_cost(const fl *f, fl_class c, bool contract) {
    switch (c) {
    case FL_SCALAR: return contract ? 0.3 : 0.5;
    case FL_CONTIGUOUS: return contract ? 0.3 : 0.5;
    case FL_PERMUTED: return contract ? 0.5 : 1;
    case FL_PERMUTED2: return contract ? 1.5 : 2;
    default: return f->vl;
    }
}
/* Points of a pack over points of the statement. */
static double packed_part(const fl *f, const fv_stmt *s, const fv_expr *read) {
    fl_axis *axes[FV_MAX_AXES];
    int n_free, n = fl_stmt_axes(f, s, axes, &n_free);
    double part = 1;
    for (int j = 0; j < n; j++)
        if (!fv_uses_axis(read, axes[j]->name)) part /= (double)axes[j]->tile;
    return part;
}
static bool add_read(const fv_expr *e, void *user) {
    read_cost *r = user;
    if (e->op != FV_X_READ) return false;
    fl_class c = read_class(r->f, e, r->lane);
    double each = class_cost(r->f, c, r->contract);
    if (c >= FL_STRIDED && !r->s->where && (r->s->kind == FV_S_MAP || r->s->kind == FV_S_STORE)) {
        fl_axis *axes[FV_MAX_AXES];
        int n_free, n = fl_stmt_axes(r->f, r->s, axes, &n_free);
        if (fl_turn_along(r->f, e, r->lane, axes, n)) each = 5;
    }
    if (c >= FL_STRIDED && r->lane && fl_pack_pays(r->f, r->s, e)) each = 0.3 + each * packed_part(r->f, r->s, e);
    r->sum += each;
    return false;
}
static bool in_list(fl_axis *const *a, int n, const fl_axis *x) {
    for (int j = 0; j < n; j++)
        if (a[j] == x) return true;
    return false;
}
double fl_stmt_cost(fl *f, const fv_stmt *s, fl_axis *lane) {
    fl_axis *axes[FV_MAX_AXES];
    int n_free, n = fl_stmt_axes(f, s, axes, &n_free);
    double free_points = 1, red_points = 1;
    for (int j = 0; j < n; j++) {
        double p = axes[j] == lane ? (double)fl_vectors(f, axes[j]) : (double)axes[j]->tile;
        if (j < n_free) free_points *= p;
        else red_points *= p;
    }
    read_cost r = {f, s, lane, 0, s->kind == FV_S_CONTRACT};
    fv_visit(s->expr, add_read, &r);
    if (s->where) fv_visit(s->where, add_read, &r);
    double each = r.contract ? 1 : 0.5 + 0.25 * (double)fv_expr_size(s->expr);
    double store;
    if (lane && !in_list(axes, n_free, lane)) store = 8;
    else if (s->kind == FV_S_STORE) {
        at_symbols(f, lane);
        store = class_cost(f, class_of(f, s->target, s->index), false);
    } else {
        const fv_buffer *b = (const fv_buffer *)s->target;
        const fv_expr *index[FV_MAX_AXES];
        for (int j = 0; j < b->obj.rank; j++) index[j] = fv_axis_ref(f->ctx, b->axis[j]);
        store = class_cost(f, read_class(f, fv_read(f->ctx, &b->obj, index, b->obj.rank, NULL), lane), false);
    }
    return free_points * (red_points * (each + r.sum) + store);
}
/* May this axis be in the lanes of s? */
static bool may(const fl *f, const fv_stmt *s, fl_axis *const *axes, int n_free, int j) {
    if (f->vl == 1 || axes[j]->tile < 2) return false;
    if (s->kind == FV_S_SCAN) return !fv_str_eq(axes[j]->name, s->over[0]);
    if (s->kind == FV_S_TOPK) return j > 0 && j < n_free;
    return j < n_free || s->write != FV_W_ARGMAX;
}
static fl_axis *cheapest(fl *f, const fv_stmt *s, double *cost) {
    fl_axis *axes[FV_MAX_AXES], *best = NULL;
    int n_free, n = fl_stmt_axes(f, s, axes, &n_free);
    *cost = fl_stmt_cost(f, s, NULL);
    for (int j = 0; j < n; j++) {
        if (!may(f, s, axes, n_free, j)) continue;
        double c = fl_stmt_cost(f, s, axes[j]);
        if (c < *cost) {
            *cost = c;
            best = axes[j];
        }
    }
    return best;
}
static fl_axis *named(fl *f, const fv_stmt *s, const fv_sched_entry *e) {
    fl_axis *axes[FV_MAX_AXES];
    int n_free, n = fl_stmt_axes(f, s, axes, &n_free);
    for (int i = 0; i < e->n; i++)
        for (int j = 0; j < n; j++)
            if (fv_str_eq(axes[j]->name, e->item[i].name) && may(f, s, axes, n_free, j)) return axes[j];
    return NULL;
}
fl_axis *fl_stmt_lane(fl *f, const fv_stmt *s) {
    const fv_sched_entry *e = s->label.i ? fv_schedule_get(f->s, FV_F_LANE, s->label) : NULL;
    const fv_sched_entry *nest = s->label.i ? fv_schedule_get(f->s, FV_F_NEST, s->label) : NULL;
    double cost;
    for (int i = 0; nest && i < nest->n; i++) {
        if (!nest->item[i].lanes) continue;
        fv_sched_item one = nest->item[i];
        fl_axis *a = named(f, s, &(fv_sched_entry){.n = 1, .item = &one});
        if (a) return a;
    }
    if (!e) {
        fl_axis *a = cheapest(f, s, &cost);
        no_point(f);
        return a;
    }
    return named(f, s, e);
}

/* -- The choice -------------------------------------------------------------------------------------------------- */
typedef struct {
    fl *f;
    double cost;
    const fl_buffer *only;
} total;
static bool is_read_of(const fv_expr *e, void *user) { return e->op == FV_X_READ && e->ref == user; }
static bool touches(const fv_stmt *s, const fv_obj *o) {
    if (s->target == o || (s->target2 && &s->target2->obj == o)) return true;
    return fv_visit(s->expr, is_read_of, (void *)o) || (s->where && fv_visit(s->where, is_read_of, (void *)o));
}
static void add_costs(total *t, const fv_stmt *s, double times) {
    for (; s; s = s->next) {
        double c;
        if (s->body) add_costs(t, s->body, s->kind == FV_S_FOR ? times * 8 : times);
        if (!fv_stmt_is_op(s) || (t->only && !touches(s, &t->only->b->obj))) continue;
        cheapest(t->f, s, &c);
        t->cost += c * times;
    }
}
static double cost_of(fl *f, const fl_buffer *only) {
    total t = {f, 0, only};
    add_costs(&t, f->k->body, 1);
    return t.cost;
}
double fl_cost(fl *f) {
    double c = cost_of(f, NULL);
    no_point(f);
    return c;
}
static void store_by(const fl *f, fl_buffer *b, int lane) {
    b->lane = lane;
    lay_out(f, b);
}
static void set_head(fl *f, const fl_axis *head) {
    for (int j = 0; j < f->n_buffers; j++) {
        fl_buffer *b = f->buffer[j];
        if (b->fixed) continue;
        int at = head ? axis_in(b->b, head->name) : -1;
        store_by(f, b, at >= 0 ? at : b->b->obj.rank - 1);
    }
}
static void best_head(fl *f) {
    const fl_axis *best = NULL;
    set_head(f, NULL);
    double least = cost_of(f, NULL);
    for (int j = 0; j < f->n_axes; j++) {
        if (f->axis[j]->tile < 2) continue;
        set_head(f, f->axis[j]);
        double c = cost_of(f, NULL);
        if (c < least) {
            least = c;
            best = f->axis[j];
        }
    }
    set_head(f, best);
}
static void improve(fl *f, fl_buffer *b) {
    int best = b->lane;
    double least = cost_of(f, b);
    for (int j = 0; j < b->b->obj.rank; j++) {
        store_by(f, b, j);
        double c = cost_of(f, b);
        if (c < least * 0.999) {
            least = c;
            best = j;
        }
    }
    store_by(f, b, best);
}
static void from_schedule(fl *f, fl_buffer *b) {
    const fv_sched_entry *own = fv_schedule_get(f->s, FV_F_LANE, b->b->obj.name),
                         *list = fv_schedule_get(f->s, FV_F_LANE, (fv_str){0});
    const fv_sched_entry *e[2] = {own, list};
    for (int i = 0; i < 2 && !b->fixed; i++)
        for (int j = 0; e[i] && j < e[i]->n && !b->fixed; j++) {
            int at = axis_in(b->b, e[i]->item[j].name);
            if (at < 0) continue;
            b->fixed = true;
            b->lane = at;
        }
}
void fl_choose_lanes(fl *f) {
    for (int j = 0; j < f->n_buffers; j++) {
        from_schedule(f, f->buffer[j]);
        lay_out(f, f->buffer[j]);
    }
    if (f->vl > 1) {
        best_head(f);
        for (int round = 0; round < 2; round++)
            for (int j = 0; j < f->n_buffers; j++)
                if (!f->buffer[j]->fixed && f->buffer[j]->b->obj.rank > 1) improve(f, f->buffer[j]);
    }
    no_point(f);
}
