/* Counts of a flat kernel: see cost.h. A tree beside the kernel's holds what one execution of each statement costs and
 * how often it ran; the walk evaluates loop bounds and conditions alone. */
#include "tune/cost_inside.h"

#include <math.h>

enum { MOST_STEPS = 4000000, GROUPS = 9 /* of a device that are walked */ };

typedef cost_node node;
typedef struct {
    fv_ctx *ctx;
    double *value; /* of names, by number */
    bool unknown;  /* the expression evaluated last depends on data */
    int64_t steps, programs, walked;
    bool sampled; /* of the groups of a device */
} walk;

/* -- One statement ---- */
/* Registers, and what an item has for itself. */
static bool in_register(const fv_obj *ref) {
    if (!ref || ref->kind != FV_OBJ_BUFFER) return false;
    fv_space space = ((const fv_memory *)(const void *)ref)->space;
    return space == FV_SPACE_REG || space == FV_SPACE_PRIVATE || space == FV_SPACE_FRAG;
}
static double width(fv_type t) {
    switch (t) {
    case FV_BOOL: return 1;
    case FV_F16:
    case FV_BF16: return 2;
    case FV_F64: return 8;
    case FV_I32:
    case FV_F32:
    case FV_VOID:
    case FV_TYPE_COUNT: break;
    }
    return 4;
}
/* -1: it is no function. */
static int function_of(fv_op op) {
    switch (op) {
    case FV_X_EXP:
    case FV_X_EXP2: return FV_FUNCTION_EXP;
    case FV_X_LOG:
    case FV_X_LOG2: return FV_FUNCTION_LOG;
    case FV_X_ERF: return FV_FUNCTION_ERF;
    case FV_X_TANH: return FV_FUNCTION_TANH;
    case FV_X_SIN:
    case FV_X_COS: return FV_FUNCTION_SIN;
    case FV_X_POW: return FV_FUNCTION_POW;
    default: return -1;
    }
}
typedef struct {
    fv_counts *each;
    double *issued;
    int lanes;   /* of a full vector */
    bool device; /* whose compilers make a multiply-add of a product in a sum */
} counter;
static bool is_horizontal(fv_op op) { return op == FV_X_HSUM || op == FV_X_HMAX || op == FV_X_HMIN; }
static bool is_multiply_add(const fv_expr *e) {
    if ((e->op != FV_X_ADD && e->op != FV_X_SUB) || !fv_type_is_float(e->type)) return false;
    return e->arg[0]->op == FV_X_MUL || e->arg[1]->op == FV_X_MUL;
}
static bool count_op(const fv_expr *e, void *user) {
    const counter *n = user;
    fv_counts *c = n->each;
    double lanes = e->lanes, full = ceil(lanes / n->lanes) * n->lanes;
    int function = function_of(e->op);
    bool integer = e->lanes == 1 && !is_horizontal(e->op) && (e->type == FV_I32 || e->type == FV_BOOL);
    if (e->op == FV_X_LOAD || e->op == FV_X_PERMLOAD || e->op == FV_X_GATHER) {
        if (in_register(e->ref)) return false;
        c->moved += lanes * width(e->type);
        if (e->lanes > 1) c->filled_loaded += full * width(e->type);
        else c->scalars_loaded++;
        if (e->op != FV_X_LOAD) {
            c->other += lanes;
            c->filled_other += full;
        }
    } else if (e->op == FV_X_FMA) {
        c->products += lanes;
        c->filled_products += full;
    } else if (n->device && is_multiply_add(e)) { /* the product was counted before its sum */
        c->products += lanes;
        c->other -= lanes;
    } else if (e->op == FV_X_DOT2) {
        c->products += 2 * lanes;
        c->pairs += 2 * lanes;
    } else if (function >= 0) {
        c->functions += lanes;
        c->function[function] += full;
    } else if (e->n && !integer && e->op != FV_X_SPLAT) {
        double of = lanes > e->arg[0]->lanes ? lanes : e->arg[0]->lanes;
        double steps = is_horizontal(e->op) ? 2 * log2(of) : 1; /* halves are shuffled and joined */
        c->other += of;
        c->filled_other += steps * ceil(of / n->lanes) * n->lanes;
        *n->issued += steps - 1;
    } else return false;
    *n->issued += ceil(lanes / n->lanes);
    return false;
}
/* One instruction of a matrix unit, all its rows in use. */
static void count_fragment(const fv_flat *s, fv_counts *c) {
    if (s->frag == FV_FRAG_DOT) c->tiles += 2.0 * FV_FRAG_ROWS * FV_FRAG_COLS * FV_FRAG_PAIRS;
    if (s->frag == FV_FRAG_DOT) c->products += 2.0 * FV_FRAG_ROWS * FV_FRAG_COLS * FV_FRAG_PAIRS;
    if (s->frag == FV_FRAG_LOAD || s->frag == FV_FRAG_STORE) c->moved += 4.0 * FV_FRAG_ROWS * FV_FRAG_COLS;
}
static bool is_vector(const fv_expr *e, void *user) {
    (void)user;
    return e->lanes > 1;
}
static bool widest(const fv_expr *e, void *user) {
    int *lanes = user;
    if (fv_type_is_float(e->type) && e->lanes > *lanes) *lanes = e->lanes;
    return false;
}
static void find_lanes(const fv_flat *s, int *lanes) {
    for (; s; s = s->next) {
        if (s->expr) fv_visit(s->expr, widest, lanes);
        find_lanes(s->body, lanes);
        find_lanes(s->orelse, lanes);
    }
}
/* share: products of an item's part in those of a matrix unit of sub-groups. */
static node *plant(fv_ctx *ctx, const fv_flat *s, int lanes, bool device, double share) {
    node *first = NULL, **at = &first;
    for (; s; s = s->next) {
        node *n = *at = FV_NEW(ctx, node);
        n->s = s;
        n->body = plant(ctx, s->body, lanes, device, share);
        n->orelse = plant(ctx, s->orelse, lanes, device, share);
        counter c = {&n->each, &n->issued, lanes, device};
        if (s->expr) fv_visit(s->expr, count_op, &c);
        if (s->mask) fv_visit(s->mask, count_op, &c);
        if (s->kind == FV_L_STORE && !in_register(s->memory ? &s->memory->obj : NULL)) {
            n->each.stored = (double)s->expr->lanes * width(s->memory ? s->memory->obj.type : s->tensor->obj.type);
            n->each.moved += n->each.stored;
            n->issued += ceil((double)s->expr->lanes / lanes);
        }
        if (s->kind == FV_L_FRAG) count_fragment(s, &n->each);
        if (s->kind == FV_L_MMA) n->each.products = n->each.tiles = share; /* of all items of a sub-group */
        n->scalar = s->expr && !fv_visit(s->expr, is_vector, NULL);
        at = &n->next;
    }
    return first;
}
/* Does what decides how often something below runs depend on a tainted name? Names bound of tainted ones are too. */
static bool is_tainted(const fv_expr *e, void *user) {
    const bool *taint = user;
    return e->op == FV_X_VAR && taint[e->name.i];
}
static bool decides(const node *n, bool *taint) {
    for (; n; n = n->next) {
        const fv_flat *s = n->s;
        if (s->kind == FV_L_FOR && (fv_visit(s->lo, is_tainted, taint) || fv_visit(s->hi, is_tainted, taint)))
            return true;
        if (s->kind == FV_L_IF && fv_visit(s->expr, is_tainted, taint)) return true;
        if (s->kind == FV_L_LET && fv_visit(s->expr, is_tainted, taint)) taint[s->name.i] = true;
        if (decides(n->body, taint) || decides(n->orelse, taint)) return true;
    }
    return false;
}
static void find_steady(fv_ctx *ctx, node *n) {
    for (; n; n = n->next) {
        find_steady(ctx, n->body);
        find_steady(ctx, n->orelse);
        if (n->s->kind != FV_L_FOR) continue;
        bool *taint = FV_NEWN(ctx, bool, fv_str_count(ctx) + 1);
        taint[n->s->name.i] = true;
        n->steady = !decides(n->body, taint);
    }
}

/* -- The walk ---- */
static double leaf(const fv_expr *e, void *user) {
    walk *w = user;
    if (e->op == FV_X_VAR) return w->value[e->name.i];
    w->unknown = true;
    return 0;
}
static double evaluate(walk *w, const fv_expr *e) {
    w->unknown = false;
    return fv_eval(e, leaf, w);
}
static bool run(walk *w, node *n, double times);
/* A number of programs is several numbers in one where the kernel takes it apart (p // 5, p % 5: the last block of five
 * may be a short one, and no even spacing of programs meets each block as often as it occurs). Of each of these digits
 * both ends are walked, and some between them, which stand for the rest. */
typedef struct {
    int64_t unit, n;
} digit;
enum { DIGITS = 3 };
static bool run_digits(walk *w, node *n, const digit *d, int left, int most, int64_t at, double times) {
    if (!left) {
        w->value[n->s->name.i] = (double)at;
        w->walked++;
        return run(w, n->body, times);
    }
    int64_t count = d->n < most ? d->n : most;
    for (int64_t i = 0; i < count; i++) {
        bool end = count == d->n || i == 0 || i == count - 1;
        double weight = end ? 1 : (double)(d->n - 2) / (double)(count - 2);
        int64_t step = count > 1 ? i * (d->n - 1) / (count - 1) : 0;
        if (!run_digits(w, n, d + 1, left - 1, most, at + step * d->unit, times * weight)) return false;
    }
    return true;
}
static bool run_programs(walk *w, node *n) {
    static const int most[] = {9, 5, 3}; /* by how many digits there are */
    int64_t block[DIGITS - 1], p = w->programs;
    cost_scope scope = {.ctx = w->ctx, .programs = p, .name = FV_NEWN(w->ctx, cost_name, fv_str_count(w->ctx) + 1)};
    digit d[DIGITS];
    int blocks = cost_scope_blocks(&scope, n, block, DIGITS - 1), k = 0;
    if (p <= FV_COST_PROGRAMS) blocks = 0;
    int64_t above = p;
    for (int i = 0; i < blocks; i++) {
        if (block[i] >= above || above % block[i]) continue;
        d[k++] = (digit){block[i], above / block[i]};
        above = block[i];
    }
    d[k++] = (digit){1, above};
    w->walked = 0;
    return run_digits(w, n, d, k, p <= FV_COST_PROGRAMS ? FV_COST_PROGRAMS : most[k - 1], 0, 1);
}
static bool run_loop(walk *w, node *n, double times) {
    if (n->s->loop == FV_LOOP_PROGRAMS) return run_programs(w, n);
    double lo = evaluate(w, n->s->lo), hi = evaluate(w, n->s->hi), step = (double)n->s->step;
    if (!(hi > lo)) return true;
    double trips = (double)(int64_t)((hi - lo + step - 1) / step);
    w->value[n->s->name.i] = lo;
    if (n->steady) return run(w, n->body, times * trips);
    if (n->s->loop == FV_LOOP_GROUP && trips > GROUPS) {
        w->sampled = true;
        for (int i = 0; i < GROUPS; i++) {
            w->value[n->s->name.i] = lo + step * floor(i * (trips - 1) / (GROUPS - 1));
            if (!run(w, n->body, times * trips / GROUPS)) return false;
        }
        return true;
    }
    for (double at = lo; at < hi; at += step) {
        w->value[n->s->name.i] = at;
        if (!run(w, n->body, times)) return false;
    }
    return true;
}
static bool run(walk *w, node *n, double times) {
    for (; n; n = n->next) {
        if (++w->steps > MOST_STEPS) return false;
        n->runs += times;
        const fv_flat *s = n->s;
        if (s->kind == FV_L_FOR && !run_loop(w, n, times)) return false;
        if (s->kind == FV_L_LET) w->value[s->name.i] = n->scalar ? evaluate(w, s->expr) : 0;
        if (s->kind != FV_L_IF) continue;
        bool yes = !n->scalar || evaluate(w, s->expr) != 0 || w->unknown;
        if (!run(w, yes ? n->body : n->orelse, times)) return false;
    }
    return true;
}
static void collect(const node *n, fv_counts *out) {
    for (; n; n = n->next) {
        out->products += n->runs * n->each.products;
        out->pairs += n->runs * n->each.pairs;
        out->tiles += n->runs * n->each.tiles;
        out->functions += n->runs * n->each.functions;
        for (int i = 0; i < FV_FUNCTION_COUNT; i++) out->function[i] += n->runs * n->each.function[i];
        out->filled_products += n->runs * n->each.filled_products;
        out->filled_other += n->runs * n->each.filled_other;
        out->stored += n->runs * n->each.stored;
        out->filled_loaded += n->runs * n->each.filled_loaded;
        out->scalars_loaded += n->runs * n->each.scalars_loaded;
        out->other += n->runs * n->each.other;
        out->moved += n->runs * n->each.moved;
        collect(n->body, out);
        collect(n->orelse, out);
    }
}
bool fv_cost_count(const fv_flat_kernel *k, int lanes, const int64_t cache[4], fv_counts *out) {
    walk w = {.ctx = k->ctx, .programs = k->programs, .walked = k->programs};
    w.value = FV_NEWN(k->ctx, double, fv_str_count(k->ctx) + 1);
    if (lanes < 1) lanes = 1;
    find_lanes(k->body, &lanes); /* a wished width may exceed the target's */
    const double tile = FV_UNIT_TILE;
    node *root = plant(k->ctx, k->body, lanes, !cache, k->unit ? tile * tile * tile / k->unit->sub : 0);
    find_steady(k->ctx, root);
    *out = (fv_counts){.programs = k->programs};
    if (!run(&w, root, 1)) return false;
    out->exact = w.walked == w.programs && !w.sampled;
    collect(root, out);
    if (!cache) return true;
    cost_stalls(k, root, out);
    cost_traffic(k, root, cache, out);
    return true;
}
