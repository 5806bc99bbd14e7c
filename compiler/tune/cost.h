/* cost: what a kernel for a CPU does, counted on its flat form, and how long a machine of known rates needs for it. */
#ifndef FV_TUNE_COST_H
#define FV_TUNE_COST_H
#include "backends/backend.h"
#include "plan/plan.h"

/* What a launch exchanges with memory for one tensor, bytes of whole cache lines: `first`: of all it touches; again[i]:
 * what cache level i (1 to 3) loads beyond that, since it did not keep it. */
typedef struct {
    double first, again[4];
    bool written;
} fv_array_traffic;

/* Of all programs of one launch. Elements, not instructions: a vector of 16 lanes counts 16; a loaded scalar that is
 * spread over a vector is one load. Integer scalars (addresses) and registers count nothing. */
typedef struct {
    double products;                    /* multiply-adds; a pair of bf16 counts two */
    double pairs, tiles;                /* those of them that are pairs of bf16 in vectors, and in a matrix unit */
    double functions;                   /* exp, log, erf, tanh, sin, cos, power: points */
    double function[FV_FUNCTION_COUNT]; /* the same by kind */
    double other;                       /* arithmetic, comparisons, selections, shuffles, conversions */
    double moved, stored; /* bytes between registers and the nearest cache; those of them that are written */
    double filled_products, filled_other, filled_loaded; /* were every vector full; the last: bytes of vectors */
    double scalars_loaded;                               /* instructions */
    double stalls;           /* steps of a dependent chain that nothing else fills, weighted (stalls.c): latencies */
    int64_t programs;        /* that can run at once */
    bool exact;              /* every program was walked; false: some, scaled */
    int n_arrays;            /* tensors of the kernel, in its order */
    fv_array_traffic *array; /* n_arrays + 1, the last: a thread's scratch; the kernel's context owns it */
} fv_counts;

/* lanes: f32 of the target's full vectors: those of filled_* above; narrower ones take as long.
 * Walks the loops of at most FV_COST_PROGRAMS programs of an unexpanded flat kernel. What only data decide (an index
 * read from a tensor) counts as 0; a condition on it as true. cache: bytes of the levels 1 to 3 (0: there is
 * none); NULL: kernels of a device, of which operations alone are counted.
 * false: more than some millions of steps. */
enum { FV_COST_PROGRAMS = 27 };
bool fv_cost_count(const fv_flat_kernel *k, int lanes, const int64_t cache[4], fv_counts *out);

/* held[a]: the level that holds argument a of the launch when it starts: 1 to 3, or 4: memory. A tensor is as far away
 * as the bytes of all tensors that the launches since its last use touch, in runs one after another. The context's. */
int *fv_cost_held(fv_ctx *ctx, const fv_plan *p, int which, int launch, const int64_t cache[4]);

/* Bytes of lines that level i (1 to 3) gets from the next one: that are only read, and that are written too and hence
 * go back. */
typedef struct {
    double read[4], written[4];
} fv_traffic;
void fv_cost_traffic(const fv_counts *c, const int *held, fv_traffic *out);
static inline double fv_traffic_bytes(const fv_traffic *t, int level) { return t->read[level] + 2 * t->written[level]; }

typedef enum {
    FV_BOUND_PRODUCTS, /* in vectors */
    FV_BOUND_TILES,    /* in a matrix unit */
    FV_BOUND_FUNCTIONS,
    FV_BOUND_OTHER,
    FV_BOUND_L1,
    FV_BOUND_L2,
    FV_BOUND_L3,
    FV_BOUND_MEMORY,
    FV_BOUND_LATENCY,
    FV_BOUND_LAUNCH,
    FV_BOUND_COUNT
} fv_bound;
extern const char *const fv_bound_names[FV_BOUND_COUNT];

/* Seconds of each unit. Arithmetic (products to other) shares its units and adds up. The levels of memory are where
 * loads come from and stores go to, one after another: L1 is charged for all of them, each next level for what its
 * bytes take longer. seconds is the longer of both sums, stalls, and starting the kernel. `without`: what would be left
 * if the bound cost nothing. */
typedef struct {
    double part[FV_BOUND_COUNT], seconds, without;
    fv_bound bound;
} fv_prediction;

/* Seconds that starting a kernel takes: on one thread; on several, the other ones being woken up. Measured, some
 * milliseconds. */
typedef struct {
    double alone, together;
} fv_start;
fv_start fv_cost_start(int threads);

/* A launch on several threads takes no longer than on one: who wakes up too late is not waited for. A level of unknown
 * rate costs nothing. false: the rate of products of the kind is unknown. */
bool fv_cost_predict(const fv_counts *c, const fv_traffic *t, const fv_rates *r, int threads, fv_start start,
                     fv_prediction *out);
#endif
