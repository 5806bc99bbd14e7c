/* pairs: what times of a candidate and of the default, taken in turn, say of their ratio. */
#ifndef FV_TUNE_PAIRS_H
#define FV_TUNE_PAIRS_H
#include <stdbool.h>

enum { FV_TUNE_MOST_PAIRS = 64 };

/* Seconds of one run, in the order taken. */
typedef struct {
    int n;
    double candidate[FV_TUNE_MOST_PAIRS], standard[FV_TUNE_MOST_PAIRS];
} fv_tune_pairs;

/* Ratios candidate / default whose logarithm lies more than 3 standard deviations from the median are dropped, the
 * deviation estimated as 1.4826 times the median absolute deviation (P. J. Rousseeuw, C. Croux, "Alternatives to the
 * Median Absolute Deviation", JASA 88, 1993). ratio: the median of the others; low..high: the order statistics that
 * hold the true median with 95 % probability, whatever the distribution (W. J. Conover, Practical Nonparametric
 * Statistics, 1999, 3.2); of fewer than 6 pairs all of them. */
typedef struct {
    double ratio, low, high;
    double candidate, candidate_min, standard; /* medians and the minimum of the kept, seconds */
    double spread;                             /* of the default's times: 1.4826 MAD / median */
    int kept;
} fv_tune_summary;
fv_tune_summary fv_tune_summarise(const fv_tune_pairs *p); /* n >= 1 */
#endif
