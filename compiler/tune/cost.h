/* cost: what a kernel for a CPU does, counted on its flat form, and how long a machine of known rates needs for it. */
#ifndef FV_TUNE_COST_H
#define FV_TUNE_COST_H
#include "backends/backend.h"

/* Of all programs of one launch. Elements, not instructions: a vector of 16 lanes counts 16; a loaded scalar that is
 * spread over a vector is one load. Integer scalars (addresses) and registers count nothing. */
typedef struct {
    double products;     /* multiply-adds; a pair of bf16 counts two */
    double pairs, tiles; /* those of them that are pairs of bf16 in vectors, and in a matrix unit */
    double functions;    /* exp, log, erf, tanh, sin, cos, power: points */
    double other;        /* arithmetic, comparisons, selections, shuffles, conversions */
    double moved;        /* bytes between registers and the nearest cache */
    int64_t programs;    /* that can run at once */
    bool exact;          /* every program was walked; false: evenly spaced ones, scaled */
} fv_counts;

/* Walks the loops of at most FV_COST_PROGRAMS programs of an unexpanded flat kernel. What only data decide (an index
 * read from a tensor) counts as 0; a condition on it as true. false: more than some millions of steps. */
enum { FV_COST_PROGRAMS = 9 };
bool fv_cost_count(const fv_flat_kernel *k, fv_counts *out);

typedef enum {
    FV_BOUND_PRODUCTS,
    FV_BOUND_FUNCTIONS,
    FV_BOUND_OTHER,
    FV_BOUND_L1,
    FV_BOUND_L2,
    FV_BOUND_L3,
    FV_BOUND_MEMORY,
    FV_BOUND_COUNT
} fv_bound;
extern const char *const fv_bound_names[FV_BOUND_COUNT];

/* Seconds that each unit would need alone. Arithmetic (products, functions and other) shares its units and adds up;
 * the levels of memory run beside it: seconds is the longer of the sum and of the slowest level. `without`: what would
 * be left if the bound cost nothing. */
typedef struct {
    double part[FV_BOUND_COUNT], seconds, without;
    fv_bound bound;
    int level; /* that the compulsory bytes come from: 1 to 3, 4: memory */
} fv_prediction;

/* bytes: compulsory traffic of the launch (fv_launch.bytes); the smallest level that holds them serves them; a level of
 * unknown rate costs nothing. false: the rate of products of the kind is unknown. */
bool fv_cost_predict(const fv_counts *c, double bytes, const fv_rates *r, const int64_t cache[4], int threads,
                     fv_prediction *out);
#endif
