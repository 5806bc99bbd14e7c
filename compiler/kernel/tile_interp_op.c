/* Running statements: loops over the valid points of free axes, then of reduced axes; code runs at the level where its
 * operands change.
 * Invariant: a buffer written by a fresh statement (=, =sum ...) holds poison at every invalid point afterwards. */
#include "kernel/tile_interp.h"

typedef struct {
    fv_ti *m;
    fv_ti_stmt *t;
    double acc, best;                                   /* reductions, scans; argmax: index and value */
} run;

static int64_t address(const fv_ti_stmt *t, fv_ti *m) {
    int64_t at = 0;
    const fv_buffer *b = (const fv_buffer *)t->s->target;
    for (int j = 0, l = 0; j < b->obj.rank; j++) {
        bool scanned = t->s->kind == FV_S_SCAN && fv_str_eq(b->axis[j], t->s->over[0]);
        fv_ti_axis *a = scanned ? t->loop[t->n_loops - 1] : t->loop[l++];
        at += (int64_t)m->reg[a->off] * t->target->stride[j];
    }
    return at;
}

/* Is the value of a point that takes part sound? Poison that reaches memory or a sum is a fault. */
static bool sound(run *r, fv_ti_code *c, double *v) {
    if (c->fault) return fv_ti_report(r->m, c->fault);
    *v = r->m->reg[c->result];
    if (fv_is_poison(*v) && r->m->options->check_poison)
        return fv_ti_trap(r->m, "a value that was never written is used");
    return !r->m->failed;
}

/* 1: the point takes part, 0: `where` excludes it, -1: a fault. */
static int included(run *r) {
    fv_ti_code *w = r->t->where;
    double p = 0;
    if (!w) return 1;
    if (!sound(r, w, &p)) return -1;
    return (p < 0 || p > 0) && !fv_is_poison(p);
}

static bool other_value(run *r, double *v) {
    fv_ti_code *c = r->t->otherwise;
    for (int level = 0; level <= r->t->n_loops; level++) fv_ti_run_level(r->m, c, level);
    return sound(r, c, v);
}

/* -- Stores -------------------------------------------------------------------------------------------------------- */
static bool store(run *r, double v) {
    fv_ti *m = r->m;
    fv_ti_mem *mem = r->t->target;
    int64_t at = 0;
    for (int j = 0; j < mem->obj->rank; j++) {
        double x = 0;
        if (!sound(r, r->t->index[j], &x)) return false;
        if (!(x >= 0 && x < (double)mem->extent[j]))
            return fv_ti_trap(m, fv_printf(m->ctx, "a store to %s: index %d is %g, outside 0..%lld",
                                           fv_cstr(m->ctx, mem->obj->name), j, x,
                                           (long long)mem->extent[j]));
        at += (int64_t)x * mem->stride[j];
    }
    if (mem->stamp[at] == m->stamp || (mem->writer[at] && mem->writer[at] != m->program))
        return fv_ti_trap(m, fv_printf(m->ctx, "element %lld of %s is stored twice", (long long)at,
                                       fv_cstr(m->ctx, mem->obj->name)));
    if (mem->reader && mem->reader[at] && mem->reader[at] != m->program)
        return fv_ti_trap(m, fv_printf(m->ctx, "element %lld of %s is stored after another program read it",
                                       (long long)at,
                                       fv_cstr(m->ctx, mem->obj->name)));
    mem->writer[at] = m->program;
    mem->stamp[at] = m->stamp;
    mem->data[at] = fv_ti_round(m, mem->obj->type, v);
    return true;
}

/* -- Points and ends ----------------------------------------------------------------------------------------------- */
static bool pointwise(run *r) {
    int in = included(r);
    double v = fv_poison();
    if (in < 0) return false;
    if (in ? !sound(r, r->t->expr, &v) : r->t->otherwise && !other_value(r, &v)) return false;
    if (r->t->s->kind == FV_S_STORE) return (!in && !r->t->otherwise) || store(r, v);
    r->t->target->data[address(r->t, r->m)] = fv_is_poison(v) ? v : fv_ti_round(r->m, r->t->s->target->type, v);
    return true;
}

/* The greater (lesser) of two; a NaN if one is, poison before other NaNs. */
static double extreme(double a, double b, bool greater) {
    if (fv_is_poison(a) || fv_is_poison(b)) return fv_poison();
    if (a != a || b != b) return a != a ? a : b;
    return (a > b) == greater ? a : b;
}

static double add(const run *r, double a, double b) {
    if (fv_is_poison(a) || fv_is_poison(b)) return fv_poison();
    bool round = r->m->options->f32 && r->t->s->target->type != FV_F64 && fv_type_is_float(r->t->s->target->type);
    return round ? (double)(float)(a + b) : a + b;
}

static void start(run *r) {
    switch (r->t->s->write) {
    case FV_W_ADD: case FV_W_MAXIN: case FV_W_MININ: r->acc = r->t->target->data[address(r->t, r->m)]; break;
    case FV_W_MAX: case FV_W_SCANMAX: r->acc = -(double)INFINITY; break;
    case FV_W_MIN: r->acc = (double)INFINITY; break;
    case FV_W_ARGMAX: r->acc = -1; break;
    default: r->acc = 0; break;
    }
}

static bool combine(run *r) {
    double v = 0;
    int in = included(r);
    if (in <= 0) return in == 0;
    if (!sound(r, r->t->expr, &v)) return false;
    switch (r->t->s->write) {
    case FV_W_SUM: case FV_W_ADD: case FV_W_SCANSUM: r->acc = add(r, r->acc, v); break;
    case FV_W_MIN: case FV_W_MININ: r->acc = extreme(r->acc, v, false); break;
    case FV_W_ARGMAX:
        if (r->acc < 0 || v > r->best || (r->best != r->best && v == v)) {
            r->best = v;
            r->acc = r->m->reg[r->t->loop[r->t->n_loops - 1]->pos];
        }
        break;
    default: r->acc = extreme(r->acc, v, true); break;
    }
    return true;
}

/* A reduction's target. A predicate that holds no reduced axis may exclude the whole point: `else` says what it gets.
 * */
static bool finish(run *r) {
    double v = r->acc;
    if (r->t->otherwise) {
        int in = included(r);
        if (in < 0 || (!in && !other_value(r, &v))) return false;
    }
    if (fv_is_poison(v) && r->m->options->check_poison)
        return fv_ti_trap(r->m, "accumulates into a value that was never written");
    r->t->target->data[address(r->t, r->m)] = fv_ti_round(r->m, r->t->s->target->type, v);
    return true;
}

static bool scan_point(run *r) {
    double before = r->acc;
    if (!combine(r)) return false;
    r->t->target->data[address(r->t, r->m)] = fv_ti_round(r->m, r->t->s->target->type,
                                                          r->t->s->exclusive ? before : r->acc);
    return true;
}

static bool better(double x, double xi, double v, double vi) {
    if (x != x && v != v) return xi < vi;
    if (x != x || v != v) return v != v;
    return x > v || (!(x < v) && xi < vi);
}

static bool rank_point(run *r) {
    fv_ti *m = r->m;
    fv_ti_stmt *t = r->t;
    double x = 0, xi = 0;
    int in = included(r);
    if (in <= 0) return in == 0;
    if (!sound(r, t->expr, &x) || !sound(r, t->expr2, &xi)) return false;
    const fv_buffer *b = (const fv_buffer *)t->s->target;
    int64_t at = 0;
    for (int j = 1; j < b->obj.rank; j++) at += (int64_t)m->reg[t->loop[j - 1]->off] * t->target->stride[j];
    for (int64_t j = 0; j < b->extent[0]; j++, at += t->target->stride[0]) {
        double v = t->target->data[at], vi = t->target2->data[at];
        if ((fv_is_poison(v) || fv_is_poison(vi)) && m->options->check_poison)
            return fv_ti_trap(m, "the list was never started");
        if (!better(x, xi, v, vi)) continue;
        t->target->data[at] = fv_ti_round(m, t->s->target->type, x);
        t->target2->data[at] = xi;
        x = v;
        xi = vi;
    }
    return true;
}

/* -- Loops --------------------------------------------------------------------------------------------------------- */
static void run_codes(run *r, int level) {
    fv_ti_stmt *t = r->t;
    if (t->where) fv_ti_run_level(r->m, t->where, level);
    fv_ti_run_level(r->m, t->expr, level);
    if (t->expr2) fv_ti_run_level(r->m, t->expr2, level);
    for (int j = 0; t->s->kind == FV_S_STORE && j < t->s->target->rank; j++) fv_ti_run_level(r->m, t->index[j], level);
}

static bool point(run *r) {
    switch (r->t->s->kind) {
    case FV_S_MAP: case FV_S_STORE: return pointwise(r);
    case FV_S_SCAN: return scan_point(r);
    case FV_S_TOPK: return rank_point(r);
    default: return combine(r);
    }
}

static bool nest(run *r, int depth) {
    fv_ti_stmt *t = r->t;
    run_codes(r, depth);
    bool reduces = t->s->kind == FV_S_REDUCE || t->s->kind == FV_S_CONTRACT;
    if (depth == t->n_free && (reduces || t->s->kind == FV_S_SCAN)) start(r);
    if (depth == t->n_loops) {
        if (!point(r)) return false;
    } else {
        fv_ti_axis *a = t->loop[depth];
        for (int64_t i = 0; i < a->valid; i++) {
            int64_t o = t->s->reverse && depth >= t->n_free ? a->valid - 1 - i : i;
            r->m->reg[a->off] = (double)o;
            r->m->reg[a->pos] = (double)(a->base + o);
            if (!nest(r, depth + 1)) return false;
        }
    }
    return !(reduces && depth == t->n_free) || finish(r);
}

/* Poison at the invalid points of a buffer that was just written afresh. */
static void poison_rest(fv_ti *m, fv_ti_mem *mem, const fv_buffer *b, int axis, int64_t at, bool invalid) {
    if (axis == b->obj.rank) {
        if (invalid) mem->data[at] = fv_poison();
        return;
    }
    fv_ti_axis *a = NULL;
    for (int j = 0; j < m->n_axes; j++)
        if (fv_str_eq(m->axis[j]->name, b->axis[axis])) a = m->axis[j];
    for (int64_t i = 0; i < b->extent[axis]; i++)
        poison_rest(m, mem, b, axis + 1, at + i * mem->stride[axis], invalid || !a || i >= a->valid);
}

static bool partial(const fv_ti_stmt *t) {
    for (int j = 0; j < t->n_loops; j++)
        if (t->loop[j]->valid < t->loop[j]->tile) return true;
    return false;
}

bool fv_ti_run_op(fv_ti *m, fv_ti_stmt *t) {
    run r = {.m = m, .t = t};
    fv_write w = t->s->write;
    m->stamp++;
    if (!nest(&r, 0)) return false;
    bool fresh = t->s->kind != FV_S_STORE && w != FV_W_ADD && w != FV_W_MAXIN && w != FV_W_MININ && w != FV_W_TOPK;
    if (fresh && partial(t)) poison_rest(m, t->target, (const fv_buffer *)t->s->target, 0, 0, false);
    return !m->failed;
}

static bool any_nest(fv_ti *m, fv_ti_any *a, int depth, bool *found) {
    fv_ti_run_level(m, a->code, depth);
    if (depth == a->n_loops) {
        double v = m->reg[a->code->result];
        if (a->code->fault) return fv_ti_report(m, a->code->fault);
        if (fv_is_poison(v) && m->options->check_poison) return fv_ti_trap(m, "a value that was never written decides");
        bool holds = (v < 0 || v > 0) && !fv_is_poison(v);
        if (holds != a->all) *found = true;
        return !m->failed;
    }
    for (int64_t i = 0; i < a->loop[depth]->valid && !*found; i++) {
        m->reg[a->loop[depth]->off] = (double)i;
        m->reg[a->loop[depth]->pos] = (double)(a->loop[depth]->base + i);
        if (!any_nest(m, a, depth + 1, found)) return false;
    }
    return true;
}

bool fv_ti_run_any(fv_ti *m, fv_ti_any *a) {
    bool found = false;
    if (!any_nest(m, a, 0, &found)) return false;
    m->reg[a->reg] = found != a->all;
    return true;
}
