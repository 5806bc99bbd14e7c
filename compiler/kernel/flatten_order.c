/* The nest of a group: its axes from outer to inner, with steps. From the schedule (`nest.LABEL`), else for a
 * contraction the block of registers that has the most products per load, counted on the addresses themselves (shifted
 * loads of one block coincide), for other runs a small block along the lanes. Invariant: what is live at once fits the
 * registers; a schedule that asks for more is refused with the number. */
#include "kernel/flatten.h"

enum { MAX_OPERANDS = 8, MAX_LOADS = 512, MAX_BODY = 2000, BROADCAST_ROWS = 8 };

/* Registers left for broadcasts, masks and temporaries. Measured: 28 of 32 live; 15 of 16, but 12 where a permutation
 * has an operand of its own. */
static int spare(const fl *f, bool maps) { return f->t->registers > 16 || maps ? 4 : 1; }

typedef struct {
    bool vector, mapped;
    int64_t coef[FV_MAX_AXES];
    bool odd[FV_MAX_AXES];
} operand;
typedef struct {
    fl *f;
    const fl_group *g;
    int n_operands;
    operand op[MAX_OPERANDS];
    bool selects;              /* conditions select pointers: they cost no copies of code */
    int64_t step[FV_MAX_AXES]; /* points (lanes: vectors) of a block, by axis of the group */
} block;

/* -- Operands ---------------------------------------------------------------------------------------------------- */
static bool add_operand(const fv_expr *e, void *user) {
    block *b = user;
    if (e->op != FV_X_READ || b->n_operands == MAX_OPERANDS) return false;
    const fl_group *g = b->g;
    operand *o = &b->op[b->n_operands++];
    const fv_expr *off = fl_symbolic_offset(b->f, e->ref, e->arg, g->lane), *rest;
    for (int j = 0; j < g->n_axes; j++) {
        const fv_expr *leaf = g->axis[j] == g->lane ? b->f->lane_leaf : fl_symbol(b->f, g->axis[j]);
        o->odd[j] = !fv_split_affine(b->f->ctx, off, leaf, &o->coef[j], &rest);
        if (g->axis[j] == g->lane) { /* a lane map varies through what it reads */
            b->f->lane = g->lane;
            o->vector = fl_by_lane(b->f, off);
            o->mapped = o->vector && o->coef[j] != 1 && !g->pair; /* holds a vector of lanes or offsets */
            b->f->lane = NULL;
        }
    }
    return false;
}
static int64_t distinct(const block *b, const operand *o) {
    int64_t seen[MAX_LOADS], n = 0, at[FV_MAX_AXES] = {0}, lanes = 1;
    for (;;) {
        int64_t v = 0;
        for (int j = 0; j < b->g->n_axes; j++) {
            if (b->g->axis[j] == b->g->lane || b->g->axis[j] == b->g->pair) continue;
            v += (o->odd[j] ? (INT64_C(1) << (40 + j)) : o->coef[j]) * at[j];
        }
        int64_t i = 0;
        while (i < n && seen[i] != v) i++;
        if (i == n) {
            if (n == MAX_LOADS) return n;
            seen[n++] = v;
        }
        int j = 0;
        for (; j < b->g->n_axes; j++) {
            if (b->g->axis[j] == b->g->lane || b->g->axis[j] == b->g->pair || (!o->coef[j] && !o->odd[j])) continue;
            if (++at[j] < b->step[j]) break;
            at[j] = 0;
        }
        if (j == b->g->n_axes) break;
    }
    for (int j = 0; j < b->g->n_axes; j++)
        if (b->g->axis[j] == b->g->lane) lanes = b->step[j];
    return o->vector ? n * lanes : n;
}

/* Could an operand of the contraction leave its tensor where the condition fails? Then pointers are selected, not
 * bodies. */
typedef struct {
    fl *f;
    const fl_group *g;
    bool outside;
} hazard;
static bool outside_read(const fv_expr *e, void *user) {
    hazard *h = user;
    if (e->op != FV_X_READ || e->i || e->ref->kind == FV_OBJ_BUFFER) return false; /* a fill covers its own reads */
    fl *f = h->f;
    const fv_tensor *t = (const fv_tensor *)e->ref;
    const fv_expr *saved[FV_MAX_AXES];
    int facts = f->facts.n;
    for (int j = 0; j < h->g->n_axes; j++) {
        saved[j] = h->g->axis[j]->off;
        h->g->axis[j]->off = fl_symbol(f, h->g->axis[j]);
        fl_position_fact(f, h->g->axis[j], h->g->axis[j]->off, 1);
    }
    fl_axis *lane = f->lane;
    fv_flats scrap = {0};
    fl_mark m = fl_enter(f, &scrap, true);
    f->lane = NULL;
    for (int j = 0; j < e->ref->rank; j++) {
        fv_range r = fl_range(f, fl_simple(f, fl_index(f, e->arg[j], false)));
        h->outside |= r.lo < 0 || r.hi >= t->extent[j];
    }
    f->lane = lane;
    f->facts.n = facts;
    fl_leave(f, m);
    for (int j = 0; j < h->g->n_axes; j++) h->g->axis[j]->off = saved[j];
    return false;
}
bool fl_outside(fl *f, const fl_group *g) {
    hazard h = {f, g, false};
    if (g->n_body == 1 && g->body[0].s->kind == FV_S_CONTRACT) fv_visit(g->body[0].s->expr, outside_read, &h);
    return h.outside;
}

/* -- Counting registers ------------------------------------------------------------------------------------------ */
typedef struct {
    int64_t points, acc, loads, live, rows;
    bool maps;
} tally;
static tally count(const block *b) {
    tally t = {1, 1, 0, 0, 0, false};
    int64_t keep = 0;
    int vectors = 0;
    bool maps = false;
    for (int j = 0; j < b->g->n_axes; j++) {
        t.points *= b->step[j];
        if (j < b->g->n_free) t.acc *= b->step[j];
    }
    for (int j = 0; j < b->n_operands; j++) {
        int64_t n = distinct(b, &b->op[j]);
        t.loads += n;
        if (!b->op[j].vector) {
            if (n > t.rows) t.rows = n;
            continue;
        }
        maps |= b->op[j].mapped;
        if (!vectors++ || n < keep) keep = n;
    }
    t.maps = maps;
    t.live = t.acc + keep + (vectors > 1) + maps; /* a broadcast is part of the product; a second vector is not */
    return t;
}
static int64_t extent_of(const block *b, int j) {
    const fl_axis *a = b->g->axis[j];
    return a == b->g->lane ? fl_vectors(b->f, a) : a->tile;
}
static bool balanced(int64_t extent, int64_t f) {
    int64_t blocks = (extent + f - 1) / f;
    return f == (extent + blocks - 1) / blocks;
}

/* -- Search ------------------------------------------------------------------------------------------------------ */
/* Blocked axes in one conjunct of the `where`: with more than one, every point has a condition of its own. */
static int conditions(const block *b) {
    int most = 0;
    const fl_member *m = &b->g->body[0];
    for (int i = 0; i < m->n_where; i++) {
        int n = 0;
        for (int j = 0; j < b->g->n_axes; j++)
            n += b->step[j] > 1 && b->g->axis[j] != b->g->lane && fv_uses_axis(m->where[i], b->g->axis[j]->name);
        if (n > most) most = n;
    }
    return most;
}
typedef struct {
    block *b;
    double best;
    int64_t step[FV_MAX_AXES];
} search;
static void judge(search *s) {
    block *b = s->b;
    tally t = count(b);
    if (t.live > b->f->t->registers - spare(b->f, t.maps) || t.rows > BROADCAST_ROWS * 2 || t.points > 256) return;
    double score = (double)t.points / (double)(t.points + t.loads);
    for (int j = 0; j < b->g->n_axes; j++) {
        int64_t e = extent_of(b, j), n = (e + b->step[j] - 1) / b->step[j];
        double use = (double)e / (double)(n * b->step[j]);
        score *= 0.75 + 0.25 * use;
    }
    if (t.acc < 8) score *= 0.6 + 0.05 * (double)t.acc; /* the latency of a sum must be hidden */
    for (int j = 0; j < b->g->n_axes; j++) {
        if (b->step[j] > 1 && !b->g->axis[j]->whole && b->g->axis[j] != b->g->lane)
            score *= 0.98; /* remainders are copies of code */
        if (b->step[j] > 1 && j >= b->g->n_free) score *= 0.97;
    }
    if (!b->selects && conditions(b) > 1) score *= 0.5;
    if (score <= s->best * 1.001) return;
    s->best = score;
    for (int j = 0; j < b->g->n_axes; j++) s->step[j] = b->step[j];
}
/* Do steps along a reduced axis re-read what steps along a blocked free axis read? */
static bool shifts(const block *b, int r) {
    for (int i = 0; i < b->n_operands; i++)
        for (int j = 0; j < b->g->n_free; j++) {
            const operand *o = &b->op[i];
            if (b->step[j] < 2 || b->g->axis[j] == b->g->lane || o->odd[j] || o->odd[r] || !o->coef[j] || !o->coef[r])
                continue;
            int64_t x = o->coef[r], y = o->coef[j];
            if ((x % y == 0 && x / y < b->step[j]) || (y % x == 0 && y / x < b->g->axis[r]->tile)) return true;
        }
    return false;
}
static void try_axis(search *s, int j, int blocked) {
    block *b = s->b;
    if (j == b->g->n_axes) {
        judge(s);
        return;
    }
    b->step[j] = 1;
    int64_t e = extent_of(b, j);
    if (j >= b->g->n_free) {
        try_axis(s, j + 1, blocked);
        if (e > 1 && e <= 8 && b->g->axis[j] != b->g->lane && shifts(b, j)) {
            b->step[j] = e;
            try_axis(s, j + 1, blocked);
        }
        b->step[j] = 1;
        return;
    }
    bool lane = b->g->axis[j] == b->g->lane;
    int64_t most = e < 16 ? e : 16;
    if (!lane && blocked >= 2) most = 1;
    for (int64_t f = 1; f <= most; f++) {
        if (!balanced(e, f)) continue;
        b->step[j] = f;
        try_axis(s, j + 1, blocked + (!lane && f > 1));
    }
    b->step[j] = 1;
}

/* -- Defaults ---------------------------------------------------------------------------------------------------- */
static fl_item item_of(const fl *f, const fl_group *g, int j, int64_t step) {
    fl_axis *a = g->axis[j];
    bool lane = a == g->lane;
    return (fl_item){
        .ax = a, .step = lane ? step * f->vl : step, .unroll = step > 1, .lane = lane, .red = j >= g->n_free};
}
/* Lanes first, then free axes, then reduced ones, those that are unrolled last; without reductions the lanes are
 * innermost. */
static void arrange(const fl *f, const fl_group *g, const int64_t *step, fl_item *item, int *n) {
    int lane = -1;
    for (int j = 0; j < g->n_axes; j++)
        if (g->axis[j] == g->lane) lane = j;
    *n = 0;
    bool reduced = g->n_free < g->n_axes;
    if (lane >= 0 && lane < g->n_free && reduced) item[(*n)++] = item_of(f, g, lane, step[lane]);
    for (int j = 0; j < g->n_free; j++)
        if (j != lane && step[j] == 1) item[(*n)++] = item_of(f, g, j, 1);
    for (int j = 0; j < g->n_free; j++)
        if (j != lane && step[j] > 1) item[(*n)++] = item_of(f, g, j, step[j]);
    for (int j = g->n_free; j < g->n_axes; j++)
        if (j != lane && step[j] == 1) item[(*n)++] = item_of(f, g, j, 1);
    for (int j = g->n_free; j < g->n_axes; j++)
        if (j != lane && step[j] > 1) item[(*n)++] = item_of(f, g, j, step[j]);
    if (lane >= 0 && (lane >= g->n_free || !reduced)) item[(*n)++] = item_of(f, g, lane, step[lane]);
}
static int64_t fit(int64_t extent, int64_t most) {
    if (extent <= most) return extent;
    int64_t blocks = (extent + most - 1) / most;
    return (extent + blocks - 1) / blocks;
}
/* Do the group's maps write pairs along this axis? Both points are then one store. */
static bool writes_pairs(const fl_group *g, const fl_axis *a) {
    for (int j = 0; j < g->n_body; j++) {
        const fv_stmt *s = g->body[j].s;
        const fv_buffer *b = s->kind == FV_S_MAP ? (const fv_buffer *)s->target : NULL;
        if (b && fl_holds_pairs(b) && fv_str_eq(b->axis[b->obj.rank - 1], a->name)) return true;
    }
    return false;
}
/* Four points of a block in flight, along the lanes first. */
static void small_block(block *b) {
    const fl_group *g = b->g;
    int64_t left = 4, size = 0;
    for (int j = 0; j < g->n_body; j++) size += fv_expr_size(g->body[j].s->expr);
    if (size > 60) left = 2;
    for (int j = 0; j < g->n_free && left > 1; j++) {
        if (g->axis[j] != g->lane) continue;
        b->step[j] = fit(extent_of(b, j), left);
        left /= b->step[j];
    }
    bool reduced = g->n_free < g->n_axes;
    for (int j = g->n_free - 1; j >= 0 && left > 1 && reduced; j--) {
        if (g->axis[j] == g->lane || g->axis[j]->tile < 2) continue;
        b->step[j] = fit(g->axis[j]->tile, left);
        left = 1;
    }
}
static bool is_contraction(const fl_group *g) {
    int n = 0;
    for (int j = 0; j < g->n_body; j++) n += g->body[j].reduces;
    return n == 1 && g->n_body == 1 && g->body[0].s->kind == FV_S_CONTRACT && g->lane;
}
static void by_count(fl *f, const fl_group *g, fl_item *item, int *n) {
    block b = {.f = f, .g = g, .selects = fl_outside(f, g)};
    for (int j = 0; j < FV_MAX_AXES; j++) b.step[j] = 1;
    bool vertical = false;
    for (int j = 0; j < g->n_free; j++) vertical |= g->axis[j] == g->lane;
    if (is_contraction(g) && vertical) {
        fv_visit(g->body[0].s->expr, add_operand, &b);
        search s = {.b = &b, .best = -1};
        for (int j = 0; j < FV_MAX_AXES; j++) s.step[j] = 1;
        try_axis(&s, 0, 0);
        for (int j = 0; j < g->n_axes && g->pair; j++)
            if (g->axis[j] == g->pair) s.step[j] = 2;
        arrange(f, g, s.step, item, n);
        for (int j = 0; j < g->n_axes; j++) b.step[j] = g->axis[j] == g->pair ? 1 : s.step[j];
        tally t = count(&b);
        if (t.live > f->out->max_live) f->out->max_live = (int)t.live;
        return;
    }
    const fl_axis *turn = fl_turn_axis(f, g);
    if (!turn) small_block(&b);
    for (int j = 0; j < g->n_axes; j++)
        if (g->axis[j] == turn) b.step[j] = f->vl;
        else if (writes_pairs(g, g->axis[j])) b.step[j] = 2;
    arrange(f, g, b.step, item, n);
}

/* -- From the schedule ------------------------------------------------------------------------------------------- */
static const fv_sched_entry *entry_of(const fl *f, const fl_group *g, fv_str *label) {
    for (int j = 0; j < g->n_body; j++) {
        const fv_sched_entry *e = g->body[j].s->label.i ? fv_schedule_get(f->s, FV_F_NEST, g->body[j].s->label) : NULL;
        *label = g->body[j].s->label;
        if (e) return e;
    }
    return NULL;
}
static int axis_at(const fl_group *g, fv_str name) {
    for (int j = 0; j < g->n_axes; j++)
        if (fv_str_eq(g->axis[j]->name, name)) return j;
    return -1;
}
static bool check_size(fl *f, const fl_group *g, const fl_item *item, int n, fv_str label) {
    block b = {.f = f, .g = g};
    for (int j = 0; j < g->n_body; j++)
        if (g->body[j].reduces) fv_visit(g->body[j].s->expr, add_operand, &b);
    for (int j = 0; j < n; j++) {
        int64_t p = item[j].lane ? (item[j].step + f->vl - 1) / f->vl : item[j].step,
                e = extent_of(&b, axis_at(g, item[j].ax->name));
        b.step[axis_at(g, item[j].ax->name)] = p < e ? p : e;
    }
    tally t = count(&b);
    if (t.points * g->n_body > MAX_BODY) {
        fl_refuse(f, "nest.%s unrolls %lld points, the limit is %d", fv_cstr(f->ctx, label), (long long)t.points,
                  MAX_BODY);
        return false;
    }
    if (b.n_operands && g->lane && t.live > f->t->registers - spare(f, t.maps)) {
        fl_refuse(f, "nest.%s keeps %lld vectors live, %s has %d registers and %d are kept free",
                  fv_cstr(f->ctx, label), (long long)t.live, f->t->name, f->t->registers, spare(f, t.maps));
        return false;
    }
    if (b.n_operands && t.live > f->out->max_live) f->out->max_live = (int)t.live;
    return true;
}
static bool from_schedule(fl *f, const fl_group *g, const fv_sched_entry *e, fv_str label, fl_item *item, int *n) {
    bool used[FV_MAX_AXES] = {false};
    *n = 0;
    for (int i = 0; i < e->n; i++) {
        int j = axis_at(g, e->item[i].name);
        if (j < 0 || used[j]) {
            fl_refuse(f, "nest.%s names %s, which is no axis of it or stands twice", fv_cstr(f->ctx, label),
                      fv_cstr(f->ctx, e->item[i].name));
            return false;
        }
        used[j] = true;
        bool lane = g->axis[j] == g->lane;
        int64_t step = e->item[i].step;
        if (step <= 0) step = e->item[i].unroll || lane ? g->axis[j]->tile : 1;
        if (lane) step = (step + f->vl - 1) / f->vl * f->vl;
        item[(*n)++] =
            (fl_item){.ax = g->axis[j], .step = step, .unroll = step > 1, .lane = lane, .red = j >= g->n_free};
    }
    for (int j = 0; j < g->n_axes; j++) {
        if (used[j]) continue;
        item[(*n)++] = (fl_item){.ax = g->axis[j],
                                 .step = g->axis[j] == g->lane ? f->vl : 1,
                                 .lane = g->axis[j] == g->lane,
                                 .red = j >= g->n_free};
    }
    return check_size(f, g, item, *n, label);
}
bool fl_order(fl *f, const fl_group *g, fl_item *item, int *n) {
    fv_str label;
    const fv_sched_entry *e = entry_of(f, g, &label);
    if (e) return from_schedule(f, g, e, label, item, n);
    by_count(f, g, item, n);
    return true;
}
