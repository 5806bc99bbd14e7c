/* The time of a kernel from its counts and a machine's rates: see cost.h. */
#include "tune/cost.h"

const char *const fv_bound_names[FV_BOUND_COUNT] = {"products", "functions", "other", "L1", "L2", "L3", "memory"};

static double over(double amount, double rate) { return rate > 0 ? amount / (1e9 * rate) : 0; }

/* The level that holds `bytes`: 1 to 3, or 4 for memory. Unknown levels hold nothing. */
static int level_of(double bytes, const int64_t cache[4]) {
    for (int i = 1; i < 4; i++)
        if (bytes <= (double)cache[i]) return i;
    return 4;
}
static double total(const double *part, fv_bound *bound) {
    double arithmetic = part[FV_BOUND_PRODUCTS] + part[FV_BOUND_FUNCTIONS] + part[FV_BOUND_OTHER], most = arithmetic;
    fv_bound b = FV_BOUND_PRODUCTS;
    for (int i = FV_BOUND_PRODUCTS; i <= FV_BOUND_OTHER; i++)
        if (part[i] > part[b]) b = (fv_bound)i;
    for (int i = FV_BOUND_L1; i < FV_BOUND_COUNT; i++)
        if (part[i] > most) {
            most = part[i];
            b = (fv_bound)i;
        }
    if (bound) *bound = b;
    return most;
}
bool fv_cost_predict(const fv_counts *c, double bytes, const fv_rates *r, const int64_t cache[4], int threads,
                     fv_prediction *out) {
    *out = (fv_prediction){0};
    if (r->fma <= 0 || (c->pairs > 0 && r->pairs <= 0) || (c->tiles > 0 && r->tiles <= 0)) return false;
    double at_once = (double)(c->programs < threads ? c->programs : threads);
    if (at_once < 1) at_once = 1;
    double *p = out->part, plain = c->products - c->pairs - c->tiles;
    p[FV_BOUND_PRODUCTS] =
        (over(2 * plain, r->fma) + over(2 * c->pairs, r->pairs) + over(2 * c->tiles, r->tiles)) / at_once;
    p[FV_BOUND_FUNCTIONS] = over(c->functions, r->functions) / at_once;
    p[FV_BOUND_OTHER] = over(2 * c->other, r->fma) / at_once;
    p[FV_BOUND_L1] = over(c->moved, r->read[1]) / at_once;
    int level = out->level = level_of(bytes, cache);
    bool shared = level >= 3; /* by all threads: no faster with more of them */
    if (level > 1) p[FV_BOUND_L1 + level - 1] = over(bytes, r->read[level]) / (shared ? 1 : at_once);
    out->seconds = total(p, &out->bound);
    double left[FV_BOUND_COUNT];
    for (int i = 0; i < FV_BOUND_COUNT; i++) left[i] = i == (int)out->bound ? 0 : p[i];
    out->without = total(left, NULL);
    return true;
}
