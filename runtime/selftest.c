/* Known answers: see selftest.h. */
#include "selftest.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model.h"
#include "safetensors.h"

uint64_t fovea_bits(const void *data, int64_t bytes) {
    const unsigned char *p = data;
    uint64_t h = 0x9E3779B97F4A7C15u ^ (uint64_t)bytes;
    for (; bytes > 0; p += 8, bytes -= 8) {
        uint64_t word = 0;
        memcpy(&word, p, bytes < 8 ? (size_t)bytes : 8);
        h = (h ^ word) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
    }
    return h;
}

/* -- The pattern ---- */
static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}
static uint64_t key_of(const char *name, uint64_t seed) {
    uint64_t h = 0xCBF29CE484222325u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001B3u;
    return h ^ seed;
}
void fovea_pattern_fill(const fovea_array *a, uint64_t seed, void *data) {
    int64_t size = fovea_dtype_size(a->dtype), n = size > 0 ? a->bytes / size : 0;
    uint64_t key = key_of(a->name, seed), bound = a->index_bound > 0 ? (uint64_t)a->index_bound : 2;
    for (int64_t i = 0; i < n; i++) {
        uint64_t r = mixed(key + (uint64_t)i * 0x9E3779B97F4A7C15u);
        double v = (double)(r >> 40) / 8388608.0 - 1.0;
        switch (a->dtype) {
        case FOVEA_F32: ((float *)data)[i] = (float)v; break;
        case FOVEA_F64: ((double *)data)[i] = v; break;
        case FOVEA_F16: ((uint16_t *)data)[i] = fovea_f16_from_double(v); break;
        case FOVEA_BF16: ((uint16_t *)data)[i] = fovea_bf16_from_double(v); break;
        case FOVEA_I32: ((int32_t *)data)[i] = (int32_t)(r % bound); break;
        case FOVEA_I64: ((int64_t *)data)[i] = (int64_t)(r % bound); break;
        case FOVEA_U8:
        case FOVEA_BOOL: ((uint8_t *)data)[i] = (uint8_t)(r % bound); break;
        }
    }
}
double fovea_element(const void *data, fovea_dtype t, int64_t i) {
    switch (t) {
    case FOVEA_F32: return (double)((const float *)data)[i];
    case FOVEA_F64: return ((const double *)data)[i];
    case FOVEA_F16: return fovea_f16_to_double(((const uint16_t *)data)[i]);
    case FOVEA_BF16: {
        uint32_t bits = (uint32_t)((const uint16_t *)data)[i] << 16;
        float f;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    }
    case FOVEA_I32: return ((const int32_t *)data)[i];
    case FOVEA_I64: return (double)((const int64_t *)data)[i];
    case FOVEA_U8:
    case FOVEA_BOOL: return ((const uint8_t *)data)[i];
    }
    return 0;
}
int64_t fovea_answer_element(int64_t count, int32_t n, int32_t i) { /* i * count / n without overflow */
    return count / n * i + count % n * i / n;
}

/* -- Comparing ---- */
static fovea_status compare(const fovea_array *a, const void *data, const fovea_answer *want, double tolerance,
                            double *worst, fovea_error *err) {
    int64_t count = a->bytes / fovea_dtype_size(a->dtype);
    bool whole = a->dtype == FOVEA_I32 || a->dtype == FOVEA_I64 || a->dtype == FOVEA_U8 || a->dtype == FOVEA_BOOL;
    int32_t others = 0;
    for (int32_t i = 0; i < want->n; i++) {
        int64_t at = fovea_answer_element(count, want->n, i);
        double got = fovea_element(data, a->dtype, at), w = want->values[i], off = fabs(got - w);
        if (got == w || (isnan(got) && isnan(w))) continue;
        if (whole && 10 * ++others <= want->n) continue;
        double relative = off / (want->largest > 0 ? want->largest : 1);
        if (!whole && relative <= tolerance) {
            if (relative > *worst) *worst = relative;
            continue;
        }
        return fovea_fail(err, FOVEA_E_ANSWER,
                          "output \"%s\": element %" PRId64 " is %.9g, at the build it was %.9g (largest %.3g, "
                          "tolerance %.0e of it)",
                          a->name, at, got, w, want->largest, tolerance);
    }
    return FOVEA_OK;
}
typedef struct {
    DLTensor *in, *out;
    int32_t n_in, n_out;
} tensors;
static bool make_tensors(fovea_model *m, uint64_t seed, tensors *t) {
    t->in = calloc((size_t)m->n_inputs + (size_t)m->n_outputs + 1, sizeof *t->in);
    if (!t->in) return false;
    t->out = t->in + m->n_inputs;
    for (int32_t i = 0; i < m->n_inputs + m->n_outputs; i++) {
        bool input = i < m->n_inputs;
        const fovea_array *a = input ? fovea_model_input(m, i) : fovea_model_output(m, i - m->n_inputs);
        void *data = malloc((size_t)a->bytes + 8);
        if (!data) return false;
        if (input) fovea_pattern_fill(a, seed, data);
        t->in[i] = fovea_tensor(data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape);
        ++*(input ? &t->n_in : &t->n_out);
    }
    return true;
}
static fovea_status judge(fovea_model *m, const fovea_known *known, const tensors *t, fovea_error *err) {
    bool equal = true;
    double worst = 0;
    for (int32_t i = 0; i < t->n_out; i++) {
        const fovea_array *a = fovea_model_output(m, i);
        if (fovea_bits(t->out[i].data, a->bytes) == known->answers[i].bits) continue;
        equal = false;
        fovea_status bad = compare(a, t->out[i].data, &known->answers[i], known->tolerance, &worst, err);
        if (bad) return bad;
    }
    return equal ? fovea_fail(err, FOVEA_OK, "bit for bit what the build answered")
                 : fovea_fail(err, FOVEA_OK, "within %.1e of the largest element of what the build answered", worst);
}
fovea_status fovea_model_selftest(fovea_model *m, const fovea_known *known, fovea_error *err) {
    tensors t = {0};
    if (!m || !known) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model, or no known answers");
    if (known->n_answers != m->n_outputs)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "answers of %d outputs where the model has %d", known->n_answers,
                          m->n_outputs);
    fovea_status status = known->extents ? fovea_model_resize(m, known->extents, known->n_extents, err) : FOVEA_OK;
    if (!status && !make_tensors(m, known->seed, &t))
        status = fovea_fail(err, FOVEA_E_MEMORY, "no memory for the tensors of the self-test");
    if (!status) status = fovea_model_run(m, t.in, t.n_in, t.out, t.n_out, err);
    if (!status) status = judge(m, known, &t, err);
    for (int32_t i = 0; i < t.n_in + t.n_out; i++) free(t.in[i].data);
    free(t.in);
    return status;
}
