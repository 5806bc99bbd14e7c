/* Known answers: what a model gave at its build on inputs that anyone can make again. Bits are the same wherever the
 * same code runs; code for another level of processor rounds otherwise, so some elements are kept too, with how far
 * they may lie off. */
#ifndef FOVEA_SELFTEST_H
#define FOVEA_SELFTEST_H
#include "fovea.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FOVEA_ANSWER_VALUES = 64 };
/* Of one output. */
typedef struct {
    uint64_t bits;        /* fovea_bits of all of it */
    double largest;       /* magnitude of its largest finite element */
    const double *values; /* elements 0, count / n, 2 count / n, … of the stored order (fovea_answer_element) */
    int32_t n;            /* at most FOVEA_ANSWER_VALUES */
} fovea_answer;

typedef struct {
    uint64_t seed;               /* of fovea_pattern_fill, for every input */
    double tolerance;            /* of a float: times `largest`. Of whole numbers one in ten may be another */
    const fovea_answer *answers; /* in the order of the outputs */
    int32_t n_answers;
    int32_t n_extents; /* of a program of several shapes, which is made to take these; else 0 */
    const int64_t *extents;
} fovea_known;

/* Runs the model, which must be bound, on the pattern and compares. FOVEA_OK: result->text says how well they agree
 * ("bit for bit"; "within 3e-07 of the largest"). FOVEA_E_ANSWER: it names the output and the element. Allocates.
 * result may be NULL. Errors: those of fovea_model_run, and FOVEA_E_MEMORY. */
fovea_status fovea_model_selftest(fovea_model *model, const fovea_known *known, fovea_error *result);

/* The inputs: floats in -1..1 with 24 bits; indices below their bound, other whole numbers 0 or 1. They depend on seed,
 * the array's name and position alone:
 *   h = FNV-1a (64 bits) of the name, xor seed;  r = splitmix64's finaliser of h + i * 0x9E3779B97F4A7C15
 *   float: (r >> 40) / 2^23 - 1;  whole number: r modulo the bound, or modulo 2 */
void fovea_pattern_fill(const fovea_array *array, uint64_t seed, void *data);
uint64_t fovea_bits(const void *data, int64_t bytes); /* a 64-bit hash of memory */
int64_t fovea_answer_element(int64_t count, int32_t n, int32_t i);
double fovea_element(const void *data, fovea_dtype dtype, int64_t i); /* as a double */

#ifdef __cplusplus
}
#endif
#endif
