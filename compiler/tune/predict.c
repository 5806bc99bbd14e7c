/* The time of a kernel from its counts and a machine's rates: see cost.h. */
#include "tune/cost.h"

const char *const fv_bound_names[FV_BOUND_COUNT] = {"FMA", "matrix unit", "exp",  "other",   "L1",
                                                    "L2",  "L3",          "DRAM", "latency", "launch"};

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
/* Of parts first .. last: the sum, and the largest. */
static double sum_of(const double *part, int first, int last, fv_bound *largest) {
    double sum = 0;
    *largest = (fv_bound)first;
    for (int i = first; i <= last; i++) {
        sum += part[i];
        if (part[i] > part[*largest]) *largest = (fv_bound)i;
    }
    return sum;
}
static double total(const double *part, fv_bound *bound) {
    fv_bound unit, level;
    double arithmetic = sum_of(part, FV_BOUND_PRODUCTS, FV_BOUND_OTHER, &unit);
    double moving = sum_of(part, FV_BOUND_L1, FV_BOUND_MEMORY, &level);
    *bound = arithmetic >= moving ? unit : level;
    for (int i = FV_BOUND_LATENCY; i <= FV_BOUND_LAUNCH; i++)
        if (part[i] > part[*bound]) *bound = (fv_bound)i;
    return (arithmetic > moving ? arithmetic : moving) + part[FV_BOUND_LATENCY] + part[FV_BOUND_LAUNCH];
}
/* Seconds that `bytes` take from or to a level beyond what they take at the one before. */
static double beyond(double bytes, const double *rate, int level) {
    double more = over(bytes, rate[level]) - over(bytes, rate[level - 1]);
    return rate[level] > 0 && more > 0 ? more : 0;
}
static void predict(const fv_counts *c, const fv_traffic *t, const fv_rates *r, double threads, double start,
                    fv_prediction *out) {
    double *p = out->part;
    p[FV_BOUND_PRODUCTS] = (over(2 * c->filled_products, r->fma) + over(2 * c->pairs, r->pairs)) / threads;
    p[FV_BOUND_TILES] = over(2 * c->tiles, r->tiles) / threads;
    for (int i = 0; i < FV_FUNCTION_COUNT; i++)
        p[FV_BOUND_FUNCTIONS] += over(c->function[i], r->functions[i]) / threads;
    p[FV_BOUND_OTHER] = over(2 * c->filled_other, r->fma) / threads;
    p[FV_BOUND_LATENCY] = c->stalls * r->latency / threads;
    double in = over(c->filled_loaded, r->read[1]) + over(c->scalars_loaded, r->scalars);
    double lines = over(t->read[1], r->read[1]), out_of = over(c->stored, r->write[1]);
    if (in < lines) in = lines; /* of which little is used */
    p[FV_BOUND_L1] = (in > out_of ? in : out_of) / threads;
    for (int level = 2; level <= 4; level++) {
        double seconds = beyond(t->read[level - 1], r->read, level) + beyond(t->written[level - 1], r->write, level);
        p[FV_BOUND_L1 + level - 1] = seconds / (level >= 3 ? 1 : threads); /* threads share those beyond the second */
    }
    p[FV_BOUND_LAUNCH] = start;
    out->seconds = total(p, &out->bound);
    double left[FV_BOUND_COUNT];
    fv_bound next;
    for (int i = 0; i < FV_BOUND_COUNT; i++) left[i] = i == (int)out->bound ? 0 : p[i];
    out->without = total(left, &next);
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
