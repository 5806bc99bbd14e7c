/* Statistics of paired times: see pairs.h. */
#include "tune/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *v, int n) { /* sorts */
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}
static double deviation(const double *v, int n, double middle) {
    double d[FV_TUNE_MOST_PAIRS];
    for (int i = 0; i < n; i++) d[i] = fabs(v[i] - middle);
    return 1.4826 * median(d, n);
}

fv_tune_summary fv_tune_summarise(const fv_tune_pairs *p) {
    double log_ratio[FV_TUNE_MOST_PAIRS], sorted[FV_TUNE_MOST_PAIRS], kept[FV_TUNE_MOST_PAIRS];
    double candidate[FV_TUNE_MOST_PAIRS], standard[FV_TUNE_MOST_PAIRS];
    int n = p->n, k = 0;
    for (int i = 0; i < n; i++) log_ratio[i] = log(p->candidate[i] / p->standard[i]);
    memcpy(sorted, log_ratio, sizeof *sorted * (size_t)n);
    double middle = median(sorted, n), sigma = deviation(log_ratio, n, middle);
    for (int i = 0; i < n; i++) {
        if (sigma > 0 && fabs(log_ratio[i] - middle) > 3 * sigma) continue;
        kept[k] = log_ratio[i];
        candidate[k] = p->candidate[i];
        standard[k++] = p->standard[i];
    }
    fv_tune_summary s = {.kept = k, .ratio = exp(median(kept, k))};
    int rank = k < 6 ? 0 : (int)floor((k - 1.96 * sqrt((double)k)) / 2);
    if (rank > 0) rank--; /* order statistics are counted from 1 */
    s.low = exp(kept[rank]);
    s.high = exp(kept[k - 1 - rank]);
    s.candidate = median(candidate, k);
    s.candidate_min = candidate[0];
    s.standard = median(standard, k);
    s.spread = deviation(standard, k, s.standard) / s.standard;
    return s;
}
