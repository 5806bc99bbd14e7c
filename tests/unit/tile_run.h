/* Running the kernels of a golden file on random data, for comparison with references written in double. Tensors go by
 * name: kernels of one file
 * share those of equal names. Data is rounded to f32, so that both arithmetics see the same numbers. */
#ifndef FV_TEST_TILE_RUN_H
#define FV_TEST_TILE_RUN_H
#include "golden.h"
#include "kernel/tile.h"

#include <criterion/criterion.h>
#include <math.h>

enum { MAX_ARRAYS = 16, MAX_FILE_KERNELS = 4, MAX_KEYS = 1024 };
#define LOG2E 1.4426950408889634

typedef struct { fv_tensor *t; double *data; int64_t n; } array;
typedef struct {
    fv_ctx *ctx;
    const char *file;
    int n_kernels, n_arrays;
    fv_kernel *kernel[MAX_FILE_KERNELS];
    array array[MAX_ARRAYS];
} kit;

static uint32_t random_state = 1;
static inline double random_value(void) {               /* -1..1, 24 bits: exact in f32 */
    random_state = random_state * 1664525u + 1013904223u;
    return (double)(random_state >> 8) / 8388608.0 - 1.0;
}

static inline array *find(kit *s, const char *name) {
    for (int j = 0; j < s->n_arrays; j++)
        if (!strcmp(fv_cstr(s->ctx, s->array[j].t->obj.name), name)) return &s->array[j];
    cr_assert_fail("%s has no tensor %s", s->file, name);
    return NULL;
}

static inline int64_t offset(const array *a, const int64_t *i) {
    int64_t at = 0;
    for (int j = 0; j < a->t->obj.rank; j++) {
        cr_assert(i[j] >= 0 && i[j] < a->t->extent[j], "the reference leaves its tensor");
        at += i[j] * a->t->stride[j];
    }
    return at;
}
#define AT(a, ...) ((a)->data[offset((a), (const int64_t[]){__VA_ARGS__})])
#define EXT(a, j) ((a)->t->extent[j])

static inline kit *kit_open(const char *file) {
    kit *s = calloc(1, sizeof *s);
    golden g;
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/kernel/%s.ft", FOVEA_TESTS_DIR, file);
    cr_assert(golden_read(path, &g), "%s cannot be read", path);
    s->ctx = fv_ctx_new();
    s->file = file;
    s->n_kernels = fv_kernel_parse_all(s->ctx, file, g.in, s->kernel, MAX_FILE_KERNELS);
    golden_free(&g);
    cr_assert(s->n_kernels > 0, "%s: %s", file, fv_diag_count(s->ctx) ? fv_diag_at(s->ctx, 0)->text : "");
    random_state = 1;
    for (int k = 0; k < s->n_kernels; k++)
        for (int j = 0; j < s->kernel[k]->n_tensors; j++) {
            fv_tensor *t = s->kernel[k]->tensor[j];
            bool known = false;
            for (int i = 0; i < s->n_arrays; i++) known = known || fv_str_eq(s->array[i].t->obj.name, t->obj.name);
            if (known) continue;
            array *a = &s->array[s->n_arrays++];
            *a = (array){t, NULL, fv_tensor_elements(t)};
            a->data = calloc((size_t)a->n + 1, sizeof(double));
            for (int64_t i = 0; i < a->n; i++) a->data[i] = t->role == FV_ROLE_IN ? random_value() : (double)NAN;
        }
    return s;
}

static inline void kit_close(kit *s) {
    for (int j = 0; j < s->n_arrays; j++) free(s->array[j].data);
    fv_ctx_dispose(s->ctx);
    free(s);
}

static inline bool kit_run(kit *s, bool f32) {
    fv_interp_options o = {.f32 = f32, .check_poison = true};
    for (int k = 0; k < s->n_kernels; k++) {
        double *data[MAX_ARRAYS];
        for (int j = 0; j < s->kernel[k]->n_tensors; j++)
            data[j] = find(s, fv_cstr(s->ctx, s->kernel[k]->tensor[j]->obj.name))->data;
        if (!fv_kernel_interpret(s->kernel[k], data, &o)) return false;
    }
    return true;
}

/* Largest error of an output against the reference (same memory), over the largest magnitude of the reference; NaN
 * counts as infinite. */
static inline double error_of(const array *a, const double *want) {
    double e = 0, m = 1e-30;
    for (int64_t i = 0; i < a->n; i++) {
        double d = fabs(a->data[i] - want[i]);
        if (!(d <= e)) e = d != d ? (double)INFINITY : d;
        if (fabs(want[i]) > m) m = fabs(want[i]);
    }
    return e / m;
}

/* The reference fills `want` (memory of the output, zeroed). Both arithmetics are tried. */
typedef void reference_fn(kit *s, array *want);
static inline void compare(kit *s, const char *out, reference_fn *reference) {
    array *a = find(s, out), want = *a;
    double worst[2];
    want.data = calloc((size_t)a->n + 1, sizeof(double));
    reference(s, &want);
    for (int f32 = 0; f32 < 2; f32++) {
        bool ok = kit_run(s, f32);
        cr_assert(ok, "%s: %s", s->file, fv_diag_count(s->ctx) ? fv_diag_at(s->ctx, 0)->text : "failed");
        worst[f32] = error_of(a, want.data);
    }
    if (getenv("FOVEA_TEST_VERBOSE")) cr_log_warn("%-28s %-3s f64 %.1e  f32 %.1e", s->file, out, worst[0], worst[1]);
    cr_expect(worst[0] <= 1e-12, "%s: f64 error %.3g", s->file, worst[0]);
    cr_expect(worst[1] <= 1e-5, "%s: f32 error %.3g", s->file, worst[1]);
    free(want.data);
}

/* Softmax of n scores in base 2, in place; returns the sum (0: no pair). */
static inline double softmax2(double *s, int n) {
    double m = -(double)INFINITY, l = 0;
    for (int k = 0; k < n; k++) m = s[k] > m ? s[k] : m;
    for (int k = 0; k < n; k++) l += s[k] = isinf(m) ? 0 : exp2(s[k] - m);
    return l;
}
static inline int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }
#endif
