/* A kernel on seeded numbers: see trial.h. Invariant: close works on whatever open has left. */
#define _POSIX_C_SOURCE 200809L
#include "tune/trial.h"
#include "runtime/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLACK = 128 }; /* bytes around tensors of the plan's own that loads may touch */

static DLTensor room(const fovea_array *a) {
    size_t bytes = ((size_t)a->bytes + 2 * SLACK + 63) / 64 * 64;
    char *p = aligned_alloc(64, bytes);
    if (p) memset(p, 0, bytes);
    return fovea_tensor(p, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape);
}
static bool too_many(fovea_error *e) {
    *e = (fovea_error){.status = FOVEA_E_ARGUMENT};
    strcpy(e->text, "the kernel has more tensors than the tuner takes");
    return false;
}
bool fv_tune_trial_open(fv_tune_trial *t, const fv_compiled *c, const fv_tune_alone *a, int threads, fovea_error *e) {
    *t = (fv_tune_trial){.compiled = c, .alone = a, .n_run = c->program.n_run};
    fovea_options o = {.threads = threads};
    if (fovea_model_load(&c->program, &o, &t->model, e)) return false;
    const fovea_array *x;
    for (; (x = fovea_model_input(t->model, t->n_in)); t->n_in++) {
        if (t->n_in == FV_TUNE_MOST_TENSORS) return too_many(e);
        t->in[t->n_in] = room(x);
    }
    for (; (x = fovea_model_output(t->model, t->n_out)); t->n_out++) {
        if (t->n_out == FV_TUNE_MOST_TENSORS) return too_many(e);
        t->out[t->n_out] = room(x);
    }
    for (; (x = fovea_model_param(t->model, t->n_param)); t->n_param++) {
        if (t->n_param == FV_TUNE_MOST_TENSORS) return too_many(e);
        t->param[t->n_param] = (fovea_named_tensor){x->name, room(x)};
    }
    t->ns = calloc((size_t)t->n_run + 1, sizeof *t->ns);
    bool memory = t->ns != NULL;
    for (int i = 0; i < t->n_in; i++) memory = memory && t->in[i].data;
    for (int i = 0; i < t->n_out; i++) memory = memory && t->out[i].data;
    for (int i = 0; i < t->n_param; i++) memory = memory && t->param[i].tensor.data;
    if (!memory) {
        *e = (fovea_error){.status = FOVEA_E_MEMORY};
        strcpy(e->text, "not enough memory for the kernel's tensors");
        return false;
    }
    fovea_model_profile(t->model, t->ns);
    return true;
}
void fv_tune_trial_close(fv_tune_trial *t) {
    fovea_model_dispose(t->model);
    for (int i = 0; i < t->n_in; i++) free(t->in[i].data);
    for (int i = 0; i < t->n_out; i++) free(t->out[i].data);
    for (int i = 0; i < t->n_param; i++) free(t->param[i].tensor.data);
    free(t->ns);
    *t = (fv_tune_trial){0};
}

/* -- Numbers ------------------------------------------------------------------------------------------------------- */
/* splitmix64 of the tensor's number and the element's. */
static uint64_t word(uint64_t tensor, uint64_t i) {
    uint64_t z = (tensor << 40 ^ i) * 0x9E3779B97F4A7C15u + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}
static uint16_t half_of(float f) { /* of numbers that f16 holds as normal ones, or 0; cut off */
    uint32_t b;
    memcpy(&b, &f, 4);
    uint32_t sign = b >> 16 & 0x8000, exponent = b >> 23 & 0xff;
    return (uint16_t)(exponent < 113 ? sign : sign | (exponent - 112) << 10 | (b >> 13 & 0x3ff));
}
static void put_float(void *data, fovea_dtype type, int64_t i, double v) {
    float f = (float)v;
    uint32_t b;
    memcpy(&b, &f, 4);
    if (type == FOVEA_F32) ((float *)data)[i] = f;
    else if (type == FOVEA_BF16) ((uint16_t *)data)[i] = (uint16_t)(b >> 16);
    else if (type == FOVEA_F16) ((uint16_t *)data)[i] = half_of(f);
    else if (type == FOVEA_F64) ((double *)data)[i] = v;
}
/* The range that the kernels know of an integer tensor. */
static void range_of(const fv_tune_alone *a, int tensor, int64_t *lo, int64_t *hi) {
    const fv_plan_tensor *p = a->plan->tensor[tensor];
    *lo = 0;
    *hi = p->index_bound ? p->index_bound - 1 : 1;
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < a->plan->n_launches[which]; i++) {
            const fv_launch *l = a->plan->launch[which][i];
            for (int j = 0; j < l->n_args; j++)
                if (l->arg[j] == tensor && l->kernel->tensor[j]->obj.ranged) {
                    *lo = l->kernel->tensor[j]->obj.lo;
                    *hi = l->kernel->tensor[j]->obj.hi;
                }
        }
}
static void fill(const fv_tune_trial *t, const fovea_array *x, void *data, bool whole) {
    int tensor = (int)(x - t->compiled->program.arrays);
    uint64_t key = (uint64_t)t->alone->whole[tensor];
    int64_t n = 1, lo, hi;
    for (int d = 0; d < x->rank; d++) n *= x->shape[d];
    range_of(t->alone, tensor, &lo, &hi);
    for (int64_t i = 0; i < n; i++) {
        uint64_t w = word(key, (uint64_t)i);
        double u = (double)(w >> 11) * 0x1p-53;
        if (x->dtype == FOVEA_I32) ((int32_t *)data)[i] = (int32_t)(lo + (int64_t)(w >> 16) % (hi - lo + 1));
        else if (x->dtype == FOVEA_BOOL || x->dtype == FOVEA_U8) ((unsigned char *)data)[i] = (unsigned char)(w >> 63);
        else
            put_float(data, x->dtype, i,
                      whole                     ? floor(7 * u) - 3
                      : x->place == FOVEA_PARAM ? 0.05 + 0.9 * u
                                                : 2 * u - 1);
    }
}
bool fv_tune_trial_fill(fv_tune_trial *t, bool whole, fovea_error *e) {
    for (int i = 0; i < t->n_in; i++) fill(t, fovea_model_input(t->model, i), t->in[i].data, whole);
    for (int i = 0; i < t->n_param; i++) fill(t, fovea_model_param(t->model, i), t->param[i].tensor.data, whole);
    return !t->n_param || fovea_model_bind(t->model, t->param, t->n_param, e) == FOVEA_OK;
}
bool fv_tune_trial_run(fv_tune_trial *t, fovea_error *e) {
    return fovea_model_run(t->model, t->in, t->n_in, t->out, t->n_out, e) == FOVEA_OK;
}

/* -- Comparing ----------------------------------------------------------------------------------------------------- */
static double element(const void *data, fovea_dtype type, int64_t i) {
    if (type == FOVEA_F32) return (double)((const float *)data)[i];
    if (type == FOVEA_I32) return (double)((const int32_t *)data)[i];
    if (type == FOVEA_BOOL || type == FOVEA_U8) return (double)((const unsigned char *)data)[i];
    if (type == FOVEA_BF16) {
        uint32_t b = (uint32_t)((const uint16_t *)data)[i] << 16;
        float f;
        memcpy(&f, &b, 4);
        return (double)f;
    }
    if (type == FOVEA_F16) return fovea_f16_to_double(((const uint16_t *)data)[i]);
    return ((const double *)data)[i];
}
const char *fv_tune_trial_differs(const fv_tune_trial *got, const fv_tune_trial *want, double factor, char *text,
                                  int size) {
    if (got->n_out != want->n_out) return "it has another number of results";
    for (int o = 0; o < got->n_out; o++) {
        const fovea_array *a = fovea_model_output(got->model, o), *b = fovea_model_output(want->model, o);
        if (a->dtype != b->dtype || a->bytes != b->bytes) return "a result is stored differently";
        const void *x = got->out[o].data, *y = want->out[o].data;
        int64_t n = a->bytes / fovea_dtype_size(a->dtype), bad = 0, first = -1;
        bool real = a->dtype == FOVEA_F32 || a->dtype == FOVEA_F16 || a->dtype == FOVEA_BF16 || a->dtype == FOVEA_F64;
        double most = 1, tolerance;
        for (int64_t i = 0; i < n; i++) {
            double v = fabs(element(y, a->dtype, i));
            if (isfinite(v)) most = fmax(most, v);
        }
        tolerance = real ? factor * most : 0;
        for (int64_t i = 0; i < n; i++) {
            double g = element(x, a->dtype, i), w = element(y, a->dtype, i);
            if (g == w || (isnan(g) && isnan(w)) || fabs(g - w) <= tolerance) continue;
            if (first < 0) first = i;
            bad++;
        }
        if (!bad) continue;
        snprintf(text, (size_t)size,
                 "%lld of %lld results differ, first at %lld: %.9g, by default %.9g (tolerance %.3g)", (long long)bad,
                 (long long)n, (long long)first, element(x, a->dtype, first), element(y, a->dtype, first), tolerance);
        return text;
    }
    return NULL;
}
void fv_tune_trial_spoil(fv_tune_trial *t) {
    if (!t->n_out) return;
    const fovea_array *a = fovea_model_output(t->model, 0);
    int64_t n = a->bytes / fovea_dtype_size(a->dtype);
    if (a->dtype == FOVEA_I32) ((int32_t *)t->out[0].data)[n / 2] ^= 1;
    else if (a->dtype == FOVEA_BOOL || a->dtype == FOVEA_U8) ((unsigned char *)t->out[0].data)[n / 2] ^= 1;
    else put_float(t->out[0].data, a->dtype, n / 2, 1e4 + element(t->out[0].data, a->dtype, n / 2));
}

/* -- Timing -------------------------------------------------------------------------------------------------------- */
static double clock_of(clockid_t id) {
    struct timespec s;
    clock_gettime(id, &s);
    return (double)s.tv_sec + 1e-9 * (double)s.tv_nsec;
}
bool fv_tune_trial_time(fv_tune_trial *t, int runs, double *seconds, double *stolen, fovea_error *e) {
    double sum = 0, cpu = clock_of(CLOCK_THREAD_CPUTIME_ID), wall = clock_of(CLOCK_MONOTONIC);
    for (int i = 0; i < runs; i++) {
        if (!fv_tune_trial_run(t, e)) return false;
        for (int j = 0; j < t->n_run; j++) sum += 1e-9 * (double)t->ns[j];
    }
    cpu = clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
    wall = clock_of(CLOCK_MONOTONIC) - wall;
    bool alone = !t->compiled->program.executor && fovea_model_threads(t->model) == 1;
    *stolen = alone && wall > cpu ? (wall - cpu) / wall : 0;
    *seconds = sum / runs * (1 - *stolen);
    return true;
}
