/* The time of a kernel from its counts and a machine's rates: see cost.h. */
#include "tune/cost.h"

const char *const fv_bound_names[FV_BOUND_COUNT] = {"FMA", "matrix unit", "exp",  "other", "L1",
                                                    "L2",  "L3",          "DRAM", "launch"};

static double over(double amount, double rate) { return rate > 0 ? amount / (1e9 * rate) : 0; }

void fv_cost_traffic(const fv_counts *c, const int *held, fv_traffic *out) {
    *out = (fv_traffic){0};
    for (int i = 0; i <= c->n_arrays; i++) {
        const fv_array_traffic *a = &c->array[i];
        for (int level = 1; level < 4; level++) {
            double bytes = a->again[level] + (i < c->n_arrays && held[i] > level ? a->first : 0);
            *(a->written ? &out->written[level] : &out->read[level]) += bytes;
        }
    }
}
static double total(const double *part, fv_bound *bound) {
    double most = 0;
    fv_bound b = FV_BOUND_PRODUCTS;
    for (int i = FV_BOUND_PRODUCTS; i <= FV_BOUND_OTHER; i++) {
        most += part[i];
        if (part[i] > part[b]) b = (fv_bound)i;
    }
    for (int i = FV_BOUND_L1; i <= FV_BOUND_MEMORY; i++)
        if (part[i] > most) {
            most = part[i];
            b = (fv_bound)i;
        }
    if (part[FV_BOUND_LAUNCH] > most) b = FV_BOUND_LAUNCH;
    if (bound) *bound = b;
    return most + part[FV_BOUND_LAUNCH];
}
static void predict(const fv_counts *c, const fv_traffic *t, const fv_rates *r, double threads, double start,
                    fv_prediction *out) {
    double *p = out->part, plain = c->products - c->pairs - c->tiles;
    p[FV_BOUND_PRODUCTS] = (over(2 * plain, r->fma) + over(2 * c->pairs, r->pairs)) / threads;
    p[FV_BOUND_TILES] = over(2 * c->tiles, r->tiles) / threads;
    p[FV_BOUND_FUNCTIONS] = over(c->functions, r->functions) / threads;
    p[FV_BOUND_OTHER] = over(2 * c->other, r->fma) / threads;
    p[FV_BOUND_L1] = over(c->moved, r->read[1]) / threads;
    for (int level = 2; level <= 4; level++) {
        double seconds = over(t->read[level - 1], r->read[level]) + over(t->written[level - 1], r->write[level]);
        p[FV_BOUND_L1 + level - 1] = seconds / (level >= 3 ? 1 : threads); /* threads share those beyond the second */
    }
    p[FV_BOUND_LAUNCH] = start;
    out->seconds = total(p, &out->bound);
    double left[FV_BOUND_COUNT];
    for (int i = 0; i < FV_BOUND_COUNT; i++) left[i] = i == (int)out->bound ? 0 : p[i];
    out->without = total(left, NULL);
}
bool fv_cost_predict(const fv_counts *c, const fv_traffic *t, const fv_rates *r, int threads, fv_start start,
                     fv_prediction *out) {
    *out = (fv_prediction){0};
    if (r->fma <= 0 || (c->pairs > 0 && r->pairs <= 0) || (c->tiles > 0 && r->tiles <= 0)) return false;
    predict(c, t, r, 1, start.alone, out);
    double at_once = (double)(c->programs < threads ? c->programs : threads);
    if (at_once <= 1) return true;
    fv_prediction many = {0};
    predict(c, t, r, at_once, start.together, &many);
    if (many.seconds < out->seconds) *out = many;
    return true;
}
