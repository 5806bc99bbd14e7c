/* Running a model allocates nothing: the allocator of this process counts its calls. (A sanitizer has its own allocator, which
 * cannot be counted this way: there the test runs without counting.) */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/fovea.h"

static _Atomic long calls;
static _Atomic bool counting;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
static void note(void) {
    if (atomic_load(&counting)) atomic_fetch_add(&calls, 1);
}
void *malloc(size_t n) { note(); return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { note(); return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { note(); return __libc_realloc(p, n); }
enum { COUNTED = 1 };
#else
enum { COUNTED = 0 };
#endif

static void scale(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    for (int64_t i = begin; i < end; i++) ((float *)args[1])[i] = 2 * ((const float *)args[0])[i];
}

Test(runtime_noalloc, running_allocates_nothing) {
    enum { N = 4096 };
    static const int32_t first[] = {0, 1}, second[] = {1, 2};
    static float x[N], y[N];
    int64_t shape[] = {N}, ns[2];
    const fovea_array arrays[] = {{.name = "x", .place = FOVEA_INPUT, .rank = 1, .shape = {N}, .bytes = N * 4},
                                  {.name = "h", .place = FOVEA_ARENA, .bytes = N * 4},
                                  {.name = "y", .place = FOVEA_OUTPUT, .rank = 1, .shape = {N}, .bytes = N * 4}};
    const fovea_launch run[] = {{.kernel = scale, .programs = N, .args = first, .n_args = 2},
                                {.kernel = scale, .programs = N, .args = second, .n_args = 2}};
    const fovea_program p = {.arrays = arrays, .n_arrays = 3, .run = run, .n_run = 2,
                             .arena_bytes = N * 4 + FOVEA_GUARD_BYTES};
    for (int32_t threads = 1; threads <= 3; threads++) {
        fovea_model *m;
        fovea_error err = {0};
        cr_assert(eq(int, fovea_model_load(&p, &(fovea_options){.threads = threads}, &m, &err), FOVEA_OK), "%s", err.text);
        DLTensor in = fovea_tensor(x, FOVEA_F32, 1, shape), out = fovea_tensor(y, FOVEA_F32, 1, shape);
        fovea_model_profile(m, ns);
        int failed = 0;
        atomic_store(&calls, 0);
        atomic_store(&counting, true);
        void *volatile one = malloc(1);                           /* the counter works; no compiler leaves this out */
        free(one);
        for (int k = 0; k < 50; k++) {
            x[7] = (float)k;
            failed += fovea_model_run(m, &in, 1, &out, 1, &err) != FOVEA_OK || y[7] != (float)(4 * k);
            DLTensor bad = in;
            bad.ndim = 0;
            failed += fovea_model_run(m, &bad, 1, &out, 1, &err) != FOVEA_E_TENSOR;
        }
        atomic_store(&counting, false);
        cr_assert(eq(int, failed, 0));
        cr_assert(eq(long, atomic_load(&calls), COUNTED), "%d threads", threads);
        fovea_model_dispose(m);
    }
}
