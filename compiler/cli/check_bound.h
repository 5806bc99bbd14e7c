/* How far two evaluations of a graph may differ. */
#ifndef FV_CLI_CHECK_BOUND_H
#define FV_CLI_CHECK_BOUND_H
#include "graph/graph.h"

/* For every output of the graph, in order.
 *
 * length: roundings that can add up on the way to the output, counted along the longest path: the square root of the
 * number of terms of a sum (their errors have no common sign), the number of operations of a map, sqrt(dot) +
 * sqrt(keys) + 8 for an attend. The tolerance of an element is 4 * length * eps * max|want|,   eps = 2^-24, with the
 * maximum over the whole output. Source of the square root: N. J. Higham, T. Mary, "A New Approach to Probabilistic
 * Rounding Error Analysis", SIAM J. Sci. Comput. 41(5), 2019; the factor 4 is their lambda, for which a violation has a
 * probability below 1e-3 per element of the worst path.
 *
 * exact: with whole numbers in -3..3 in every input and parameter every intermediate is a whole number below 2^24: any
 * order of f32 operations is exact.
 *
 * stored: nodes on the longest path whose results or operands may be stored in 16 bits: 1 for a leaf and the views of
 * it, 1 for a map, 2 for a product (the other operand is rounded as well), 4 for an attend
 * (q, k or v, its weights, its result). peak: the largest whole
 * number on the way, for `exact`. */
typedef struct {
    double length;
    bool exact;
    double stored, peak;
} cli_bound;
void cli_bounds(const fv_graph *g, cli_bound *out);
/* storage FV_BF16, FV_F16: 4 * stored * u * max|want| beside it, u = 2^-8, 2^-11. */
double cli_tolerance(const cli_bound *b, fv_type storage, double most);
/* Whole numbers stay exact in this storage as well. */
bool cli_exact(const cli_bound *b, fv_type storage);
#endif
