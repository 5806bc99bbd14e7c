/* Attention cases for the preludes of matrix units: inputs, the expected output in f64, the greatest difference. */
#ifndef FRAG_CASES_H
#define FRAG_CASES_H
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int heads, n_q, n_k, causal;
} frag_case;
static const frag_case frag_cases[] = {
    {1, 64, 64, -1}, {2, 37, 41, -1}, {1, 1, 1, -1}, {1, 50, 97, 47}, {2, 45, 45, 0}, {1, 20, 33, -1}, {1, 33, 130, 3},
};
enum { FRAG_CASES = sizeof frag_cases / sizeof *frag_cases };

static float frag_random(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*s >> 40) / (1 << 23) - 1.0);
}
static float *frag_fill(int64_t n, uint64_t seed) {
    float *x = malloc(sizeof *x * (size_t)n);
    for (int64_t i = 0; i < n; i++) x[i] = frag_random(&seed);
    return x;
}
/* The greatest difference of o from softmax(scale * q k^T) v. */
static double frag_difference(const frag_case *c, int d, float scale, const float *q, const float *k, const float *v,
                              const float *o) {
    double worst = 0, *p = malloc(sizeof *p * (size_t)c->n_k);
    for (int h = 0; h < c->heads; h++)
        for (int i = 0; i < c->n_q; i++) {
            const float *qi = q + ((int64_t)h * c->n_q + i) * d, *kh = k + (int64_t)h * c->n_k * d,
                        *vh = v + (int64_t)h * c->n_k * d;
            double top = -INFINITY, sum = 0;
            int n = c->causal >= 0 && i + c->causal + 1 < c->n_k ? i + c->causal + 1 : c->n_k;
            for (int j = 0; j < n; j++) {
                p[j] = 0;
                for (int e = 0; e < d; e++) p[j] += (double)qi[e] * kh[(int64_t)j * d + e];
                p[j] *= scale;
                if (p[j] > top) top = p[j];
            }
            for (int j = 0; j < n; j++) sum += p[j] = exp2(p[j] - top);
            for (int e = 0; e < d; e++) {
                double x = 0;
                for (int j = 0; j < n; j++) x += p[j] / sum * vh[(int64_t)j * d + e];
                double diff = fabs(x - o[((int64_t)h * c->n_q + i) * d + e]);
                if (!(diff <= worst)) worst = diff; /* NaN stays */
            }
        }
    free(p);
    return worst;
}
/* Values are within +-1: rounding q, k to 2^-b moves a score by less than its own size times 2^-b, rounding p and v
 * moves the output by 2^-b each. */
static double frag_tolerance(int bf16) { return bf16 ? 8e-3 : 1e-3; }
#endif
