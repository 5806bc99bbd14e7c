/* Soundness by brute force: builders, ranges, simplification, proofs, bounds and directions of random trees over
 * small boxes. */
#include "expr_random.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { TREES = 3000 };
static const char *shown(world *w, const fv_expr *e, uint64_t seed, int64_t got, int64_t want) {
    fv_buf b = {0};
    fv_expr_print(w->ctx, e, &b);
    const char *s = fv_printf(w->ctx, "seed %llu: %s: %lld, not %lld", (unsigned long long)seed, b.text,
        (long long)got, (long long)want);
    fv_buf_dispose(&b);
    return s;
}
#define each_tree(w, s, make) \
    for (uint64_t seed = 1; seed <= TREES; seed++) \
        for (fv_ctx *ctx = fv_ctx_new(); ctx; fv_ctx_dispose(ctx), ctx = NULL) \
            for (bool once = (world_start(&w, ctx, seed), make(&w, 1 + (int)(seed % 5), &s), true); once; once = false)

static world w;
static sample s;

Test(expr_proofs, builders_keep_the_value_of_integers) {
    each_tree(w, s, random_int)
        for (int i = 0; i < w.points; i++)
            if (value(&w, s.e, i) != s.v[i]) cr_fatal("%s", shown(&w, s.e, seed, value(&w, s.e, i), s.v[i]));
}
Test(expr_proofs, builders_keep_the_value_of_conditions) {
    each_tree(w, s, random_bool)
        for (int i = 0; i < w.points; i++)
            if (value(&w, s.e, i) != s.v[i]) cr_fatal("%s", shown(&w, s.e, seed, value(&w, s.e, i), s.v[i]));
}
Test(expr_proofs, ranges_hold_every_value) {
    int64_t tight = 0, bounded = 0;
    each_tree(w, s, random_int) {
        fv_range r = fv_range_of(&w.facts, s.e);
        int64_t lo = INT64_MAX, hi = INT64_MIN;
        for (int i = 0; i < w.points; i++) { lo = s.v[i] < lo ? s.v[i] : lo; hi = s.v[i] > hi ? s.v[i] : hi; }
        if (lo < r.lo) cr_fatal("%s", shown(&w, s.e, seed, lo, r.lo));
        if (hi > r.hi) cr_fatal("%s", shown(&w, s.e, seed, hi, r.hi));
        tight += r.lo == lo && r.hi == hi;
        bounded += r.lo > FV_RANGE_MIN && r.hi < FV_RANGE_MAX;
    }
    cr_assert(eq(i64, bounded, TREES));
    cr_assert(gt(i64, tight, TREES * 6 / 10), "%lld of %d exact", (long long)tight, TREES);
}
Test(expr_proofs, simplified_integers_are_equal) {
    each_tree(w, s, random_int) {
        const fv_expr *e = fv_simplify(ctx, &w.facts, s.e);
        for (int i = 0; i < w.points; i++)
            if (value(&w, e, i) != s.v[i]) cr_fatal("%s", shown(&w, s.e, seed, value(&w, e, i), s.v[i]));
    }
}
Test(expr_proofs, simplified_conditions_are_equal) {
    each_tree(w, s, random_bool) {
        const fv_expr *e = fv_simplify(ctx, &w.facts, s.e);
        for (int i = 0; i < w.points; i++)
            if (value(&w, e, i) != s.v[i]) cr_fatal("%s", shown(&w, s.e, seed, value(&w, e, i), s.v[i]));
    }
}
Test(expr_proofs, proofs_are_right_and_mostly_found) {
    int decided = 0, decidable = 0;
    each_tree(w, s, random_bool) {
        int p = fv_prove(ctx, &w.facts, s.e);
        int64_t ones = 0;
        for (int i = 0; i < w.points; i++) ones += s.v[i];
        bool uniform = ones == 0 || ones == w.points;
        decidable += uniform;
        decided += p >= 0;
        if (p >= 0 && (!uniform || (ones != 0) != (p == 1))) cr_fatal("%s", shown(&w, s.e, seed, p, ones));
    }
    cr_assert(gt(int, decided, decidable * 8 / 10), "%d of %d", decided, decidable);
}
/* An assumed condition: checked at the points where it holds. */
Test(expr_proofs, assumptions_are_used_soundly) {
    int used = 0;
    each_tree(w, s, random_bool) {
        sample *t = fv_alloc(ctx, sizeof *t);
        fv_facts with = fv_facts_copy(ctx, &w.facts);
        random_int(&w, 3, t);
        fv_facts_assume(ctx, &with, s.e);
        const fv_expr *e = fv_simplify(ctx, &with, t->e);
        fv_range r = fv_range_of(&with, t->e);
        used += e != fv_simplify(ctx, &w.facts, t->e);
        for (int i = 0; i < w.points; i++) {
            if (!s.v[i]) continue;
            if (value(&w, e, i) != t->v[i]) cr_fatal("%s", shown(&w, t->e, seed, value(&w, e, i), t->v[i]));
            if (t->v[i] < r.lo || t->v[i] > r.hi) cr_fatal("%s", shown(&w, t->e, seed, r.lo, t->v[i]));
        }
    }
    cr_assert(gt(int, used, 50));
}
static int true_direction(const world *at, const sample *of, int leaf) {
    int stride = 1;
    bool up = false, down = false;
    for (int j = LEAVES - 1; j > leaf; j--) stride *= (int)(at->hi[j] - at->lo[j] + 1);
    for (int i = 0; i + stride < at->points; i++) {
        if (coordinate(at, leaf, i) == at->hi[leaf]) continue;
        up |= of->v[i + stride] > of->v[i];
        down |= of->v[i + stride] < of->v[i];
    }
    return up && down ? 2 : up ? 1 : down ? -1 : 0;
}
static void check_directions(world *at, const sample *of, uint64_t seed, int *known, int *knowable) {
    for (int j = 0; j < LEAVES; j++) {
        int d = fv_monotone(&at->facts, of->e, at->leaf[j]), want = true_direction(at, of, j);
        *known += d != 2;
        *knowable += want != 2;
        if (d != 2 && want != 0 && d != want) cr_fatal("%s", shown(at, of->e, seed, d, want));
    }
}
Test(expr_proofs, directions_are_right) {
    int known = 0, knowable = 0;
    each_tree(w, s, random_int) check_directions(&w, &s, seed, &known, &knowable);
    each_tree(w, s, random_bool) check_directions(&w, &s, seed, &known, &knowable);
    cr_assert(gt(int, known, knowable / 2), "%d of %d", known, knowable);
}
/* Bounds over a box of the last two leaves, whose ends move with the first. */
static void check_bounds(world *at, const sample *of, uint64_t seed, int *found) {
    fv_ctx *ctx = at->ctx;
    const fv_expr *leaf[2] = {at->leaf[1], at->leaf[2]}, *lo[2], *hi[2], *low, *high;
    for (int j = 0; j < 2; j++) {
        lo[j] = fv_op2(ctx, FV_X_MIN, fv_int(ctx, at->hi[j + 1]),
            fv_op2(ctx, FV_X_MAX, at->leaf[0], fv_int(ctx, at->lo[j + 1])));
        hi[j] = fv_op2(ctx, FV_X_MIN, fv_addi(ctx, lo[j], 2), fv_int(ctx, at->hi[j + 1]));
    }
    if (!fv_bounds(ctx, &at->facts, of->e, leaf, lo, hi, 2, &low, &high)) return;
    ++*found;
    cr_assert(not(fv_uses(low, leaf[0]) || fv_uses(low, leaf[1]) || fv_uses(high, leaf[0]) || fv_uses(high, leaf[1])));
    for (int i = 0; i < at->points; i++) {
        bool inside = true;
        for (int j = 0; j < 2; j++) {
            int64_t v = coordinate(at, j + 1, i);
            inside = inside && v >= value(at, lo[j], i) && v <= value(at, hi[j], i);
        }
        if (!inside) continue;
        if (value(at, low, i) > of->v[i]) cr_fatal("%s", shown(at, of->e, seed, value(at, low, i), of->v[i]));
        if (value(at, high, i) < of->v[i]) cr_fatal("%s", shown(at, of->e, seed, value(at, high, i), of->v[i]));
    }
}
Test(expr_proofs, bounds_hold_every_value) {
    int found = 0;
    each_tree(w, s, random_int) check_bounds(&w, &s, seed, &found);
    each_tree(w, s, random_bool) check_bounds(&w, &s, seed, &found);
    cr_assert(gt(int, found, 2 * TREES * 9 / 10));
}
