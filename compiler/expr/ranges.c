/* Sound bounds of i32 and bool expressions: interval arithmetic over affine sums, so that shared atoms cancel,
 * refined by splitting at min, max and where, by n*(x // n) in x-n+1..x, and by facts about differences. Makes no
 * nodes. A bound at FV_RANGE_MIN or FV_RANGE_MAX (in its own direction) means unbounded; work is limited by a budget
 * of steps, after which the plain interval stands. */
#include "expr/expr_internal.h"

typedef fv_query query;
enum { QUERY_STEPS = 600, QUERY_DEPTH = 6 };

static const fv_range everything = {FV_RANGE_MIN, FV_RANGE_MAX};
static fv_range range_of(query *q, const fv_expr *e, int depth);
static int64_t upper(query *q, const fv_affine *a, int depth, int64_t goal);

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static bool finite_lo(fv_range r) { return r.lo > FV_RANGE_MIN; }
static bool finite_hi(fv_range r) { return r.hi < FV_RANGE_MAX; }
static fv_range hull(fv_range a, fv_range b) { return (fv_range){min64(a.lo, b.lo), max64(a.hi, b.hi)}; }
static fv_range meet(fv_range a, fv_range b) {
    fv_range r = {max64(a.lo, b.lo), min64(a.hi, b.hi)};
    return r.lo <= r.hi ? r : a;                       /* contradictory facts: nothing is reached, either is sound */
}
static fv_range known(const fv_facts *f, const fv_expr *e) {
    for (int i = f ? f->n - 1 : -1; i >= 0; i--) if (f->item[i].leaf == e) return f->item[i].range;
    return e->type == FV_BOOL ? (fv_range){0, 1} : everything;
}

/* -- Atoms --------------------------------------------------------------------------------------------------------- */
static fv_range corners(fv_range a, fv_range b, bool divide) {
    if (divide) { /* b.lo >= 1: extreme at the ends of b by the sign of the dividend */
        int64_t lo = a.lo <= FV_RANGE_MIN ? FV_RANGE_MIN : fv_floordiv(a.lo, a.lo < 0 ? b.lo : b.hi);
        int64_t hi = a.hi >= FV_RANGE_MAX ? FV_RANGE_MAX : fv_floordiv(a.hi, a.hi < 0 ? b.hi : b.lo);
        return (fv_range){lo, hi};
    }
    if (!finite_lo(a) || !finite_hi(a) || !finite_lo(b) || !finite_hi(b)) {
        if (a.lo >= 0 && b.lo >= 0 && a.lo < INT64_C(1) << 20 && b.lo < INT64_C(1) << 20)
            return (fv_range){a.lo * b.lo, FV_RANGE_MAX};
        return a.lo >= 0 && b.lo >= 0 ? (fv_range){0, FV_RANGE_MAX} : everything;
    }
    int64_t x[4] = {a.lo, a.lo, a.hi, a.hi}, y[4] = {b.lo, b.hi, b.lo, b.hi};
    fv_range r = {INT64_MAX, INT64_MIN};
    for (int i = 0; i < 4; i++) {
        int64_t p;
        if (__builtin_mul_overflow(x[i], y[i], &p)) return everything;
        r = hull(r, (fv_range){p, p});
    }
    return (fv_range){fv_clamp_bound(r.lo), fv_clamp_bound(r.hi)};
}
static fv_range mod_range(fv_range x, fv_range n) {    /* n.lo >= 1 */
    fv_range r = {0, n.hi >= FV_RANGE_MAX ? FV_RANGE_MAX : n.hi - 1};
    if (n.lo == n.hi && finite_hi(n) && finite_lo(x) && finite_hi(x)
        && fv_floordiv(x.lo, n.lo) == fv_floordiv(x.hi, n.lo))
        return (fv_range){fv_floormod(x.lo, n.lo), fv_floormod(x.hi, n.lo)};
    if (x.lo >= 0) r.hi = min64(r.hi, x.hi);
    return r;
}
static fv_range abs_range(fv_range x) {
    int64_t neg = x.lo <= FV_RANGE_MIN ? FV_RANGE_MAX : -x.lo;
    if (x.lo >= 0) return x;
    if (x.hi <= 0) return (fv_range){-x.hi, neg};
    return (fv_range){0, max64(neg, x.hi)};
}
static fv_range read_range(query *q, const fv_expr *e, int depth) {
    if (!e->ref || !e->ref->ranged) return everything;
    fv_range r = {fv_clamp_bound(e->ref->lo), fv_clamp_bound(e->ref->hi)};
    return e->op == FV_X_READ && e->i ? hull(r, range_of(q, e->arg[e->n - 1], depth)) : r;
}
static fv_range operator_range(query *q, const fv_expr *e, int depth) {
    fv_range a, b;
    switch (e->op) {
    case FV_X_INT: return (fv_range){fv_clamp_bound(e->i), fv_clamp_bound(e->i)};
    case FV_X_READ: return read_range(q, e, depth);
    case FV_X_LOAD: return e->n == 1 ? read_range(q, e, depth) : everything;
    case FV_X_FLOOR: return (fv_range){INT32_MIN, INT32_MAX};
    case FV_X_FLOORDIV: case FV_X_EXACT: case FV_X_MOD:
        a = range_of(q, e->arg[0], depth);
        b = range_of(q, e->arg[1], depth);
        if (b.lo < 1) return everything;
        return e->op == FV_X_MOD ? mod_range(a, b) : corners(a, b, true);
    case FV_X_MUL: return corners(range_of(q, e->arg[0], depth), range_of(q, e->arg[1], depth), false);
    case FV_X_MIN: case FV_X_MAX:
        a = range_of(q, e->arg[0], depth);
        b = range_of(q, e->arg[1], depth);
        if (e->op == FV_X_MIN) return (fv_range){min64(a.lo, b.lo), min64(a.hi, b.hi)};
        return (fv_range){max64(a.lo, b.lo), max64(a.hi, b.hi)};
    case FV_X_ABS: return abs_range(range_of(q, e->arg[0], depth));
    case FV_X_WHERE: return hull(range_of(q, e->arg[1], depth), range_of(q, e->arg[2], depth));
    case FV_X_SPLAT: return range_of(q, e->arg[0], depth);
    default: return everything;
    }
}
static bool strict_sum(const fv_expr *e) { return fv_is_sum(e) || fv_is_scaled(e); }
static fv_range sum_range(query *q, const fv_expr *e, int depth) {
    fv_affine a, n = {0};
    if (!fv_affine_of(e, &a) || !fv_affine_add(&n, e, -1)) return everything;
    int64_t hi = upper(q, &a, depth, FV_RANGE_MIN), lo = upper(q, &n, depth, FV_RANGE_MIN);
    return (fv_range){lo >= FV_RANGE_MAX ? FV_RANGE_MIN : fv_clamp_bound(-lo), hi};
}
static fv_range range_of(query *q, const fv_expr *e, int depth) {
    if (e->op == FV_X_INT) return operator_range(q, e, depth);
    if (fv_type_is_float(e->type)) return everything;
    fv_range r = known(q->f, e);
    if (e->op == FV_X_AXIS || e->op == FV_X_VAR || e->type == FV_BOOL) return r;
    const fv_map_slot *s = fv_map_find(&q->memo, e);
    if (s) return s->v.r;
    if (q->level >= FV_DEPTH_CAP) return r;
    q->level++;
    if (strict_sum(e)) r = meet(sum_range(q, e, depth), r);
    else if (e->op == FV_X_ADD) {                      /* opaque: a plain interval sum */
        fv_range x = range_of(q, e->arg[0], depth), y = range_of(q, e->arg[1], depth);
        bool lo = finite_lo(x) && finite_lo(y), hi = finite_hi(x) && finite_hi(y);
        r.lo = lo ? fv_clamp_bound(x.lo + y.lo) : FV_RANGE_MIN;
        r.hi = hi ? fv_clamp_bound(x.hi + y.hi) : FV_RANGE_MAX;
    } else r = meet(operator_range(q, e, depth), r);
    q->level--;
    fv_map_put(&q->memo, e)->v.r = r;
    return r;
}

/* -- Sums ---------------------------------------------------------------------------------------------------------- */
/* a*k + c as a bound above; unbounded where that overflows. */
static int64_t scaled_bound(int64_t a, int64_t k, int64_t c) {
    int64_t p;
    if (a >= FV_RANGE_MAX || __builtin_mul_overflow(a, k, &p) || __builtin_add_overflow(p, c, &p)) return FV_RANGE_MAX;
    return fv_clamp_bound(p);
}
static int64_t plain(query *q, const fv_affine *a, int depth) {
    int64_t sum = a->constant;
    for (int i = 0; i < a->n; i++) {
        fv_range r = range_of(q, a->term[i].atom, depth);
        int64_t k = a->term[i].coef, v = k > 0 ? r.hi : r.lo, p;
        if (k > 0 ? !finite_hi(r) : !finite_lo(r)) return FV_RANGE_MAX;
        if (__builtin_mul_overflow(k, v, &p) || __builtin_add_overflow(sum, p, &sum)) return FV_RANGE_MAX;
    }
    return fv_clamp_bound(sum);
}
/* The bound of a with the atom at i replaced by x + c. */
static int64_t replaced(query *q, const fv_affine *a, int i, const fv_expr *x, int64_t times, int64_t c,
    int depth, int64_t goal) {
    fv_affine s = *a;
    fv_affine_drop(&s, i);
    if (!fv_affine_add(&s, x, times)) return FV_RANGE_MAX;
    s.constant = fv_wadd(s.constant, c);
    if (!fv_affine_recombine(NULL, &s)) return FV_RANGE_MAX;
    return upper(q, &s, depth, goal);
}
/* At min, max, where, abs: every choice, or the better of them. */
static int64_t split(query *q, const fv_affine *a, int i, int depth, int64_t goal) {
    const fv_expr *t = a->term[i].atom;
    int64_t k = a->term[i].coef;
    bool is_abs = t->op == FV_X_ABS, is_where = t->op == FV_X_WHERE;
    bool all = is_where || ((t->op == FV_X_MIN) != (k > 0));
    const fv_expr *x = t->arg[is_where ? 1 : 0], *y = is_abs ? x : t->arg[is_where ? 2 : 1];
    int64_t u = replaced(q, a, i, x, k, 0, depth, goal);
    if (all ? u > goal && u >= FV_RANGE_MAX : u <= goal) return u;
    int64_t v = replaced(q, a, i, y, is_abs ? fv_wneg(k) : k, 0, depth, goal);
    return all ? max64(u, v) : min64(u, v);
}
/* With one quotient X // n of coefficient +-m where m divides the other coefficients: the bound of the whole times
 * n, divided. */
static int64_t cleared(query *q, const fv_affine *a, int i, int depth) {
    int64_t k = a->term[i].coef, m = k < 0 ? fv_wneg(k) : k, n = a->term[i].atom->arg[1]->i;
    fv_affine s = *a;
    fv_affine_drop(&s, i);
    s.constant = 0;
    if (m <= 0 || n >= FV_RANGE_MAX || (s.n && fv_affine_gcd(&s) % m)) return FV_RANGE_MAX;
    for (int j = 0; j < s.n; j++)
        if (__builtin_mul_overflow(s.term[j].coef / m, n, &s.term[j].coef)) return FV_RANGE_MAX;
    if (!fv_affine_add(&s, a->term[i].atom->arg[0], k > 0 ? 1 : -1) || !fv_affine_recombine(NULL, &s))
        return FV_RANGE_MAX;
    int64_t u = upper(q, &s, depth, FV_RANGE_MIN);
    if (u >= FV_RANGE_MAX || u <= FV_RANGE_MIN) return FV_RANGE_MAX;
    return scaled_bound(fv_floordiv(k > 0 ? u : u + n - 1, n), m, a->constant);
}
static int64_t quotient(query *q, const fv_affine *a, int i, int depth, int64_t goal) {
    const fv_expr *x = a->term[i].atom->arg[0];
    int64_t k = a->term[i].coef, n = a->term[i].atom->arg[1]->i, best = FV_RANGE_MAX;
    if (k % n == 0) best = replaced(q, a, i, x, k / n, k > 0 ? 0 : fv_wmul(k / n, 1 - n), depth, goal);
    return best <= goal ? best : min64(best, cleared(q, a, i, depth));
}
/* x % n = x - n*(x // n), with the quotient at its least or greatest. */
static int64_t remainder_bound(query *q, const fv_affine *a, int i, int depth, int64_t goal) {
    const fv_expr *x = a->term[i].atom->arg[0];
    int64_t k = a->term[i].coef, n = a->term[i].atom->arg[1]->i;
    fv_range r = range_of(q, x, depth);
    if (k > 0 ? !finite_lo(r) : !finite_hi(r)) return FV_RANGE_MAX;
    return replaced(q, a, i, x, k, fv_wmul(k, fv_wneg(fv_wmul(n, fv_floordiv(k > 0 ? r.lo : r.hi, n)))), depth, goal);
}
static int64_t atom_bound(query *q, const fv_affine *a, int i, int depth, int64_t goal) {
    const fv_expr *t = a->term[i].atom;
    if (t->lanes != 1) return FV_RANGE_MAX;
    if (t->op == FV_X_MIN || t->op == FV_X_MAX || t->op == FV_X_WHERE || t->op == FV_X_ABS)
        return split(q, a, i, depth, goal);
    if (fv_is_divmod(t, FV_X_FLOORDIV)) return quotient(q, a, i, depth, goal);
    return fv_is_divmod(t, FV_X_MOD) ? remainder_bound(q, a, i, depth, goal) : FV_RANGE_MAX;
}
/* a = m * fact + the rest, for every m that cancels an atom. */
static int64_t by_fact(query *q, const fv_affine *a, const fv_expr *e, fv_range r, int depth, int64_t goal) {
    fv_affine fact;
    int64_t best = FV_RANGE_MAX;
    if (!fv_affine_of(e, &fact)) return best;
    for (int i = 0; i < a->n; i++) {
        int64_t m = 0;
        for (int j = 0; j < fact.n; j++)
            if (fact.term[j].atom == a->term[i].atom && fv_floormod(a->term[i].coef, fact.term[j].coef) == 0)
                m = fv_floordiv(a->term[i].coef, fact.term[j].coef);
        int64_t side = m > 0 ? r.hi : r.lo, c;
        if (!m || side <= FV_RANGE_MIN || side >= FV_RANGE_MAX || __builtin_mul_overflow(m, side, &c)) continue;
        fv_affine s = *a;
        if (!fv_affine_add(&s, e, fv_wneg(m))) continue;
        s.constant = fv_wadd(s.constant, c);
        if (!fv_affine_recombine(NULL, &s)) continue;
        best = min64(best, upper(q, &s, depth, goal));
        if (best <= goal) break;
    }
    return best;
}
static int64_t upper(query *q, const fv_affine *a, int depth, int64_t goal) {
    int64_t best = plain(q, a, depth > 0 ? depth - 1 : 0);
    if (a->n < 2 || depth <= 0 || best <= goal) return best;
    for (int i = 0; i < a->n && best > goal; i++) {
        if (--q->budget < 0) return best;
        best = min64(best, atom_bound(q, a, i, depth - 1, goal));
    }
    for (int j = q->f ? q->f->n - 1 : -1; j >= 0 && best > goal; j--) {
        const fv_expr *e = q->f->item[j].leaf;
        if (e->type != FV_I32 || !strict_sum(e)) continue;
        if (--q->budget < 0) return best;
        best = min64(best, by_fact(q, a, e, q->f->item[j].range, depth - 2, goal));
    }
    return best;
}

/* -- Questions ---------------------------------------------------------------------------------------------------- */
void fv_query_init(fv_query *q, const fv_facts *f) {
    q->f = f;
    q->budget = q->level = 0;
    fv_map_init(&q->memo);
}
void fv_query_free(fv_query *q) { fv_map_free(&q->memo); }
fv_range fv_query_range(fv_query *q, const fv_expr *e) {
    q->budget = QUERY_STEPS;
    return range_of(q, e, QUERY_DEPTH);
}
static int64_t top(query *q, const fv_affine *a, int64_t goal) {
    fv_affine s = *a;
    q->budget = QUERY_STEPS;
    return fv_affine_recombine(NULL, &s) ? upper(q, &s, QUERY_DEPTH, goal) : FV_RANGE_MAX;
}
fv_range fv_query_affine(fv_query *q, const fv_affine *a) {
    fv_affine n = {.n = a->n, .constant = fv_wneg(a->constant)};
    for (int i = 0; i < a->n; i++) { n.term[i].atom = a->term[i].atom; n.term[i].coef = fv_wneg(a->term[i].coef); }
    int64_t hi = top(q, a, FV_RANGE_MIN), lo = top(q, &n, FV_RANGE_MIN);
    return (fv_range){lo >= FV_RANGE_MAX ? FV_RANGE_MIN : fv_clamp_bound(-lo), hi};
}
bool fv_query_le(fv_query *q, const fv_expr *a, const fv_expr *b, int64_t c) {
    fv_affine d;
    if (a->type != FV_I32 || b->type != FV_I32 || !fv_affine_diff(a, b, &d)) return false;
    d.constant = fv_wadd(d.constant, fv_wneg(c));
    return top(q, &d, 0) <= 0;
}
fv_range fv_range_of(const fv_facts *f, const fv_expr *e) {
    fv_query q;
    fv_query_init(&q, f);
    fv_range r = fv_query_range(&q, e);
    fv_query_free(&q);
    return r;
}
bool fv_prove_le(const fv_facts *f, const fv_expr *a, const fv_expr *b, int64_t c) {
    fv_query q;
    fv_query_init(&q, f);
    bool yes = fv_query_le(&q, a, b, c);
    fv_query_free(&q);
    return yes;
}
