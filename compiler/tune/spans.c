/* Ranges of integer names over a loop nest: see cost_inside.h. Arithmetic on ranges is sound for each operator alone;
 * what two operands share is not seen. */
#include "tune/cost_inside.h"

#include <math.h>

static const double ANY_INDEX = 1 << 20; /* an index that data decide, of unknown range */

static bool is_point(cost_span a) { return a.lo == a.hi; }
static cost_span ordered(double a, double b) { return a < b ? (cost_span){a, b} : (cost_span){b, a}; }
static cost_span times(cost_span a, cost_span b) {
    cost_span x = ordered(a.lo * b.lo, a.lo * b.hi), y = ordered(a.hi * b.lo, a.hi * b.hi);
    return (cost_span){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
}
static cost_span modulo(cost_span a, double m) {
    double q = floor(a.lo / m);
    return q == floor(a.hi / m) ? (cost_span){a.lo - q * m, a.hi - q * m} : (cost_span){0, m - 1};
}
static cost_span of_name(const cost_scope *s, fv_str name, int k) {
    const cost_name *n = &s->name[name.i];
    return n->levels ? n->at[k < n->levels ? k : n->levels - 1] : (cost_span){0, 0};
}
static cost_span of_load(const cost_scope *s, const fv_expr *e, int k) {
    if (e->n && is_point(cost_span_of(s, e->arg[0], k))) return (cost_span){0, 0};
    return e->ref && e->ref->ranged ? (cost_span){(double)e->ref->lo, (double)e->ref->hi} : (cost_span){0, ANY_INDEX};
}
static cost_span of_two(fv_op op, cost_span a, cost_span b) {
    bool point = is_point(a) && is_point(b);
    switch (op) {
    case FV_X_ADD: return (cost_span){a.lo + b.lo, a.hi + b.hi};
    case FV_X_SUB: return (cost_span){a.lo - b.hi, a.hi - b.lo};
    case FV_X_MUL: return times(a, b);
    case FV_X_EXACT:
    case FV_X_FLOORDIV: return b.lo > 0 ? (cost_span){floor(a.lo / b.hi), floor(a.hi / b.lo)} : (cost_span){0, 0};
    case FV_X_MOD: return b.lo > 0 ? modulo(a, b.hi) : (cost_span){0, 0};
    case FV_X_MIN: return (cost_span){fmin(a.lo, b.lo), fmin(a.hi, b.hi)};
    case FV_X_MAX: return (cost_span){fmax(a.lo, b.lo), fmax(a.hi, b.hi)};
    case FV_X_LT: return a.hi < b.lo ? (cost_span){1, 1} : (cost_span){0, a.lo < b.hi};
    case FV_X_LE: return a.hi <= b.lo ? (cost_span){1, 1} : (cost_span){0, a.lo <= b.hi};
    case FV_X_EQ: return point ? (cost_span){a.lo == b.lo, a.lo == b.lo} : (cost_span){0, 1};
    case FV_X_NE: return point ? (cost_span){a.lo != b.lo, a.lo != b.lo} : (cost_span){0, 1};
    case FV_X_AND: return (cost_span){a.lo != 0 && b.lo != 0, a.hi != 0 && b.hi != 0};
    case FV_X_OR: return (cost_span){a.lo != 0 || b.lo != 0, a.hi != 0 || b.hi != 0};
    default: return (cost_span){0, 0};
    }
}
cost_span cost_span_of(const cost_scope *s, const fv_expr *e, int k) {
    switch (e->op) {
    case FV_X_INT: return (cost_span){(double)e->i, (double)e->i};
    case FV_X_VAR: return of_name(s, e->name, k);
    case FV_X_IOTA: return (cost_span){0, e->lanes - 1};
    case FV_X_LOAD: return of_load(s, e, k);
    case FV_X_SPLAT: return cost_span_of(s, e->arg[0], k);
    case FV_X_NEG: {
        cost_span a = cost_span_of(s, e->arg[0], k);
        return (cost_span){-a.hi, -a.lo};
    }
    case FV_X_NOT: {
        cost_span a = cost_span_of(s, e->arg[0], k);
        return (cost_span){a.hi == 0, a.lo == 0};
    }
    case FV_X_WHERE: {
        cost_span c = cost_span_of(s, e->arg[0], k), a = cost_span_of(s, e->arg[1], k),
                  b = cost_span_of(s, e->arg[2], k);
        if (is_point(c)) return c.lo != 0 ? a : b;
        return (cost_span){fmin(a.lo, b.lo), fmax(a.hi, b.hi)};
    }
    default:
        if (e->n == 2) return of_two(e->op, cost_span_of(s, e->arg[0], k), cost_span_of(s, e->arg[1], k));
        return (cost_span){0, 0};
    }
}

/* -- Names ---- */
static void bind(cost_scope *s, fv_str name, const fv_expr *let, int levels) {
    s->name[name.i] = (cost_name){.let = let, .levels = levels, .at = FV_NEWN(s->ctx, cost_span, levels)};
}
void cost_scope_let(cost_scope *s, fv_str name, const fv_expr *e) {
    cost_span at[COST_LEVELS + 1] = {{0, 0}}; /* first: e may use an outer name like its own */
    for (int k = 0; k <= s->depth; k++) at[k] = cost_span_of(s, e, k);
    bind(s, name, e, s->depth + 1);
    for (int k = 0; k <= s->depth; k++) s->name[name.i].at[k] = at[k];
}
int cost_scope_for(cost_scope *s, const fv_flat *loop, const int64_t *block, int n_blocks) {
    int base = s->depth, n = 1 + n_blocks;
    if (base + n > COST_LEVELS) n = base < COST_LEVELS ? 1 : 0;
    cost_span at[COST_LEVELS + 2] = {{0, 0}};
    double step = (double)loop->step;
    for (int k = 0; k <= base; k++) {
        at[k].lo = loop->lo ? cost_span_of(s, loop->lo, k).lo : 0;
        at[k].hi = fmax(at[k].lo, (loop->hi ? cost_span_of(s, loop->hi, k).hi : (double)s->programs) - step);
    }
    double lo = at[base].lo, hi = at[base].hi, middle = floor((hi - lo) / step / 2);
    for (int i = 1; i < n; i++) {
        double first = floor(middle / (double)block[i - 1]) * (double)block[i - 1];
        at[base + i] = (cost_span){lo + first * step, fmin(hi, lo + (first + (double)block[i - 1] - 1) * step)};
    }
    at[base + n] = (cost_span){lo + middle * step, lo + middle * step};
    bind(s, loop->name, NULL, base + n + 1);
    for (int k = 0; k <= base + n; k++) s->name[loop->name.i].at[k] = at[k];
    s->depth += n;
    return n;
}

/* -- Loops that are several ---- */
typedef struct {
    cost_scope *s;
    fv_str loop;
    int64_t *block, step;
    int n, most;
} taken;
static double divisor_of(const taken *t, const fv_expr *e) {
    if (e->op == FV_X_VAR) return e->name.i == t->loop.i ? 1 : t->s->name[e->name.i].divisor;
    if (e->op == FV_X_FLOORDIV && e->arg[1]->op == FV_X_INT) return divisor_of(t, e->arg[0]) * (double)e->arg[1]->i;
    return 0;
}
static bool take(const fv_expr *e, void *user) {
    taken *t = user;
    if ((e->op != FV_X_FLOORDIV && e->op != FV_X_MOD) || e->arg[1]->op != FV_X_INT) return false;
    int64_t d = (int64_t)divisor_of(t, e->arg[0]) * e->arg[1]->i / t->step;
    if (d < 2) return false;
    int at = 0;
    while (at < t->n && t->block[at] > d) at++;
    if (t->n == t->most || (at < t->n && (t->block[at] == d || d % t->block[at]))) return false;
    if (at > 0 && t->block[at - 1] % d) return false;
    for (int i = t->n++; i > at; i--) t->block[i] = t->block[i - 1];
    t->block[at] = d;
    return false;
}
static void take_all(taken *t, const cost_node *n) {
    for (; n; n = n->next) {
        const fv_flat *s = n->s;
        const fv_expr *e[] = {s->lo, s->hi, s->expr, s->offset, s->mask, s->scatter};
        for (size_t i = 0; i < sizeof e / sizeof *e; i++)
            if (e[i]) fv_visit(e[i], take, t);
        if (s->kind == FV_L_LET) t->s->name[s->name.i].divisor = divisor_of(t, s->expr);
        if (s->kind == FV_L_FOR) t->s->name[s->name.i].divisor = 0;
        take_all(t, n->body);
        take_all(t, n->orelse);
    }
}
int cost_scope_blocks(cost_scope *s, const cost_node *loop, int64_t *block, int most) {
    taken t = {.s = s, .loop = loop->s->name, .block = block, .step = loop->s->step, .most = most};
    int64_t lo = 0;
    if (loop->s->lo && (!fv_is_int(loop->s->lo, &lo) || lo != 0)) return 0;
    take_all(&t, loop->body);
    return t.n;
}
