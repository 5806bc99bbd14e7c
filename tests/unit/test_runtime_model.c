/* Models made by hand: programs of a few kernels in C, run with every number of threads, bound, shared, checked,
 * refused. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fovea.h"
#include "runtime/pool.h"
#include "runtime/safetensors.h"

/* y = x @ w + b, one program per row; w2 = 2 w is made by prepare. Arrays: x w b | two | w2 | h y | ids */
enum { ROWS = 37, IN = 5, OUT = 3, X = 0, W, B, TWO, W2, H, Y, IDS, N_ARRAYS };

static void double_weights(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    const float *w = args[0], *two = args[1];
    float *out = args[2];
    for (int64_t i = begin; i < end; i++) out[i] = w[i] * two[0];
}
static void product(void *const *args, int64_t begin, int64_t end, void *scratch) {
    const float *x = args[0], *w = args[1];
    float *h = args[2], *row = scratch;
    for (int64_t r = begin; r < end; r++) {
        for (int o = 0; o < OUT; o++) {
            row[o] = 0;
            for (int i = 0; i < IN; i++) row[o] += x[r * IN + i] * w[i * OUT + o];
        }
        memcpy(h + r * OUT, row, OUT * sizeof *row);
    }
}
static void add_bias(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    const float *h = args[0], *b = args[1];
    const int32_t *ids = args[2];
    float *y = args[3];
    for (int64_t r = begin; r < end; r++)
        for (int o = 0; o < OUT; o++) y[r * OUT + o] = h[r * OUT + o] + b[ids[r]];
}
static void overrun(void *const *args, int64_t begin, int64_t end, void *scratch) {
    product(args, begin, end, scratch);
    ((float *)args[2])[ROWS * OUT] = 1;
}
static void overrun_scratch(void *const *args, int64_t begin, int64_t end, void *scratch) {
    product(args, begin, end, scratch);
    ((char *)scratch)[OUT * sizeof(float)] = 1;
}

static const float two = 2;
static const int32_t args_prepare[] = {W, TWO, W2}, args_product[] = {X, W2, H}, args_bias[] = {H, B, IDS, Y};

typedef struct { fovea_array arrays[N_ARRAYS]; fovea_launch prepare[1], run[2]; fovea_program program; } fixture;

static void make(fixture *f) {
    memset(f, 0, sizeof *f);
    const fovea_array arrays[N_ARRAYS] = {
        [X] = {.name = "x", .place = FOVEA_INPUT, .rank = 2, .shape = {ROWS, IN}, .bytes = ROWS * IN * 4},
        [W] = {.name = "fc.weight", .place = FOVEA_PARAM, .rank = 2, .shape = {IN, OUT}, .bytes = IN * OUT * 4},
        [B] = {.name = "fc.bias", .place = FOVEA_PARAM, .rank = 1, .shape = {OUT}, .bytes = OUT * 4},
        [TWO] = {.name = "two", .place = FOVEA_CONST, .bytes = 4, .data = &two},
        [W2] = {.name = "w2", .place = FOVEA_PREPARED, .bytes = IN * OUT * 4},
        [H] = {.name = "h", .place = FOVEA_ARENA, .bytes = ROWS * OUT * 4},
        [Y] = {.name = "y", .place = FOVEA_OUTPUT, .rank = 2, .shape = {ROWS, OUT}, .bytes = ROWS * OUT * 4},
        [IDS] = {.name = "ids", .dtype = FOVEA_I32, .place = FOVEA_INPUT, .rank = 1, .shape = {ROWS}, .bytes = ROWS * 4,
                 .index_bound = OUT},
    };
    memcpy(f->arrays, arrays, sizeof arrays);
    f->prepare[0] = (fovea_launch){.kernel = double_weights, .programs = IN * OUT, .args = args_prepare, .n_args = 3};
    f->run[0] = (fovea_launch){.kernel = product, .programs = ROWS, .args = args_product, .n_args = 3,
                               .scratch_bytes = OUT * 4, .label = "product", .where = "fc.lua:7"};
    f->run[1] = (fovea_launch){.kernel = add_bias, .programs = ROWS, .args = args_bias, .n_args = 4, .label = "bias"};
    f->program = (fovea_program){.name = "fc", .arrays = f->arrays, .n_arrays = N_ARRAYS, .prepare = f->prepare,
                                 .n_prepare = 1,
                                 .run = f->run, .n_run = 2, .arena_bytes = 576, .prepared_bytes = 128};
}

typedef struct {
    float x[ROWS * IN], w[IN * OUT], b[OUT], y[ROWS * OUT];
    int32_t ids[ROWS];
    int64_t x_shape[2], w_shape[2], b_shape[1], y_shape[2], ids_shape[1];
    DLTensor inputs[2], outputs[1];
    fovea_named_tensor weights[2];
} values;

static void fill(values *v) {
    memset(v, 0, sizeof *v);
    for (int i = 0; i < ROWS * IN; i++) v->x[i] = (float)(i % 11) - 5;
    for (int i = 0; i < IN * OUT; i++) v->w[i] = (float)(i % 7) - 3;
    for (int i = 0; i < OUT; i++) v->b[i] = (float)(100 * i);
    for (int i = 0; i < ROWS; i++) v->ids[i] = i % OUT;
    memcpy(v->x_shape, (int64_t[]){ROWS, IN}, 16);
    memcpy(v->w_shape, (int64_t[]){IN, OUT}, 16);
    memcpy(v->y_shape, (int64_t[]){ROWS, OUT}, 16);
    v->b_shape[0] = OUT;
    v->ids_shape[0] = ROWS;
    v->inputs[0] = fovea_tensor(v->x, FOVEA_F32, 2, v->x_shape);
    v->inputs[1] = fovea_tensor(v->ids, FOVEA_I32, 1, v->ids_shape);
    v->outputs[0] = fovea_tensor(v->y, FOVEA_F32, 2, v->y_shape);
    v->weights[0] = (fovea_named_tensor){"fc.bias", fovea_tensor(v->b, FOVEA_F32, 1, v->b_shape)};
    v->weights[1] = (fovea_named_tensor){"fc.weight", fovea_tensor(v->w, FOVEA_F32, 2, v->w_shape)};
}

static float want(const values *v, int r, int o) {
    float sum = 0;
    for (int i = 0; i < IN; i++) sum += v->x[r * IN + i] * 2 * v->w[i * OUT + o];
    return sum + v->b[v->ids[r]];
}
static void expect_right(const values *v) {
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < OUT; o++) cr_assert(eq(flt, v->y[r * OUT + o], want(v, r, o)), "row %d column %d", r, o);
}

Test(runtime_model, runs_with_any_number_of_threads) {
    fixture f;
    values v;
    for (int32_t threads = 1; threads <= 5; threads++) {
        for (int check = 0; check <= 1; check++) {
            make(&f);
            fill(&v);
            fovea_model *m;
            fovea_error err = {0};
            fovea_options o = {.threads = threads, .check = check};
            cr_assert(eq(int, fovea_model_load(&f.program, &o, &m, &err), FOVEA_OK), "%s", err.text);
            cr_assert(eq(int, fovea_model_bind(m, v.weights, 2, &err), FOVEA_OK), "%s", err.text);
            for (int k = 0; k < 20; k++) {
                memset(v.y, 0, sizeof v.y);
                v.x[0] = (float)k;
                cr_assert(eq(int, fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_OK), "%s", err.text);
                expect_right(&v);
            }
            cr_assert(eq(int, fovea_model_check_guards(m, &err), FOVEA_OK), "%s", err.text);
            fovea_model_dispose(m);
        }
    }
}

Test(runtime_model, answers_questions) {
    fixture f;
    make(&f);
    fovea_model *m;
    fovea_options o = {.threads = 2};
    cr_assert(eq(int, fovea_model_load(&f.program, &o, &m, NULL), FOVEA_OK));
    cr_expect(eq(str, (char *)fovea_model_input(m, 0)->name, "x"));
    cr_expect(eq(str, (char *)fovea_model_input(m, 1)->name, "ids"));
    cr_expect(fovea_model_input(m, 2) == NULL && fovea_model_input(m, -1) == NULL);
    cr_expect(eq(str, (char *)fovea_model_output(m, 0)->name, "y"));
    cr_expect(eq(str, (char *)fovea_model_param(m, 1)->name, "fc.bias"));
    cr_expect(eq(int, fovea_model_input_index(m, "ids"), 1));
    cr_expect(eq(int, fovea_model_input_index(m, "y"), -1));
    cr_expect(eq(int, fovea_model_output_index(m, "y"), 0));
    cr_expect(eq(int, fovea_model_threads(m), 2));
    fovea_model_dispose(m);
}

Test(runtime_model, takes_the_callers_block) {
    fixture f;
    values v;
    make(&f);
    fill(&v);
    fovea_options o = {.threads = 2};
    fovea_workspace w;
    fovea_error err;
    cr_assert(eq(int, fovea_workspace_measure(&f.program, &o, &w, &err), FOVEA_OK));
    cr_expect(eq(i64, w.prepared, 128));
    cr_expect(eq(i64, w.arena, 576 + FOVEA_GUARD_BYTES));
    cr_expect(eq(i64, w.scratch_per_thread, 64 + FOVEA_GUARD_BYTES));
    cr_expect(eq(i64, w.total, w.prepared + w.arena + 2 * w.scratch_per_thread));
    char *block = aligned_alloc(64, (size_t)w.total + 64);
    memset(block + w.total, 77, 64);
    fovea_model *m;
    o.memory = block;
    o.memory_bytes = w.total - 1;
    cr_expect(eq(int, fovea_model_load(&f.program, &o, &m, &err), FOVEA_E_MEMORY));
    o.memory = block + 4;
    o.memory_bytes = w.total;
    cr_expect(eq(int, fovea_model_load(&f.program, &o, &m, &err), FOVEA_E_MEMORY));
    cr_expect(m == NULL);
    o.memory = block;
    cr_assert(eq(int, fovea_model_load(&f.program, &o, &m, &err), FOVEA_OK), "%s", err.text);
    cr_assert(eq(int, fovea_model_bind(m, v.weights, 2, &err), FOVEA_OK));
    cr_assert(eq(int, fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_OK));
    expect_right(&v);
    for (int i = 0; i < 64; i++) cr_assert(eq(chr, block[w.total + i], 77));
    fovea_model_dispose(m);
    free(block);
}

Test(runtime_model, shares_weights) {
    fixture f;
    values v, u;
    make(&f);
    fill(&v);
    fill(&u);
    fovea_model *m, *other;
    fovea_error err;
    fovea_options o = {.threads = 1};
    cr_assert(eq(int, fovea_model_load(&f.program, &o, &m, &err), FOVEA_OK));
    cr_expect(eq(int, fovea_model_share(m, &o, &other, &err), FOVEA_E_STATE));
    cr_assert(eq(int, fovea_model_bind(m, v.weights, 2, &err), FOVEA_OK));
    o.threads = 3;
    cr_assert(eq(int, fovea_model_share(m, &o, &other, &err), FOVEA_OK), "%s", err.text);
    cr_expect(eq(int, fovea_model_bind(other, v.weights, 2, &err), FOVEA_E_STATE));
    u.x[3] = 9;
    cr_assert(eq(int, fovea_model_run(other, u.inputs, 2, u.outputs, 1, &err), FOVEA_OK), "%s", err.text);
    cr_assert(eq(int, fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_OK));
    expect_right(&v);
    expect_right(&u);
    fovea_model_dispose(other);
    fovea_model_dispose(m);
}

Test(runtime_model, uses_a_shared_pool_and_profiles) {
    fixture f;
    values v;
    make(&f);
    fill(&v);
    fovea_pool *pool;
    fovea_error err;
    cr_assert(eq(int, fovea_pool_new(3, &pool, &err), FOVEA_OK));
    fovea_options o = {.threads = 3, .parallel = fovea_pool_parallel, .parallel_user = pool};
    fovea_model *m;
    int64_t ns[2] = {-1, -1};
    cr_assert(eq(int, fovea_model_load(&f.program, &o, &m, &err), FOVEA_OK));
    cr_assert(eq(int, fovea_model_bind(m, v.weights, 2, &err), FOVEA_OK));
    fovea_model_profile(m, ns);
    cr_assert(eq(int, fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_OK));
    cr_expect(ns[0] >= 0 && ns[1] >= 0 && ns[0] + ns[1] > 0);
    expect_right(&v);
    fovea_model_dispose(m);
    fovea_pool_dispose(pool);
}

static void expect_refused(fovea_status got, fovea_status status, const fovea_error *err, const char *part) {
    cr_assert(eq(int, got, status), "%s", err->text);
    cr_assert(strstr(err->text, part) != NULL, "\"%s\" lacks \"%s\"", err->text, part);
}

Test(runtime_model, refuses_unfit_tensors) {
    fixture f;
    values v;
    make(&f);
    fill(&v);
    fovea_model *m;
    fovea_error err = {0};
    fovea_options o = {.threads = 1};
    cr_assert(eq(int, fovea_model_load(&f.program, &o, &m, &err), FOVEA_OK));
    expect_refused(fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_E_STATE, &err, "bound");
    cr_assert(eq(int, fovea_model_bind(m, v.weights, 2, &err), FOVEA_OK));
#define REFUSED(part) \
    expect_refused(fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_E_TENSOR, &err, part); fill(&v)
    expect_refused(fovea_model_run(m, v.inputs, 1, v.outputs, 1, &err), FOVEA_E_TENSOR, &err, "2 inputs");
    expect_refused(fovea_model_run(m, v.inputs, 2, v.outputs, 0, &err), FOVEA_E_TENSOR, &err, "1 output");
    v.inputs[0].dtype.bits = 64; REFUSED("must be f32");
    v.x_shape[1] = 6; REFUSED("must have shape [37, 5], has [37, 6]");
    v.inputs[0].ndim = 1; REFUSED("has [37]");
    v.inputs[0].ndim = -1; REFUSED("no shape");
    v.inputs[0].strides = (int64_t[]){1, ROWS}; REFUSED("dense row-major");
    v.inputs[0].byte_offset = 2; REFUSED("aligned");
    v.inputs[0].device.device_type = kDLCUDA; REFUSED("CPU");
    v.inputs[0].data = NULL; REFUSED("no data");
    v.ids[4] = OUT; REFUSED("element [4] is 3, an index must be in 0..2");
    v.ids[36] = -1; REFUSED("element [36] is -1");
    v.outputs[0].data = v.x; REFUSED("output \"y\" shares memory with input \"x\"");
    v.outputs[0].data = v.x + IN; REFUSED("shares memory");
    v.outputs[0].data = v.w; REFUSED("parameter \"fc.weight\"");
    v.inputs[0].strides = (int64_t[]){IN, 1};
    cr_assert(eq(int, fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_OK), "%s", err.text);
    expect_right(&v);
    fovea_model_dispose(m);
}

Test(runtime_model, refuses_unfit_weights) {
    fixture f;
    values v;
    make(&f);
    fill(&v);
    fovea_model *m;
    fovea_error err = {0};
    cr_assert(eq(int, fovea_model_load(&f.program, &(fovea_options){.threads = 1}, &m, &err), FOVEA_OK));
    expect_refused(fovea_model_bind(m, v.weights, 1, &err), FOVEA_E_WEIGHTS, &err,
                   "1 of 2 parameters are missing from the weights: fc.weight");
    v.b_shape[0] = 4;
    expect_refused(fovea_model_bind(m, v.weights, 2, &err), FOVEA_E_WEIGHTS, &err, "must have shape [3], has [4]");
    expect_refused(fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_E_STATE, &err, "bound");
    fovea_model_dispose(m);
}

Test(runtime_model, binds_a_file_and_converts) {
    fixture f;
    values v;
    make(&f);
    fill(&v);
    uint16_t half[IN * OUT];
    double wide[OUT];
    for (int i = 0; i < IN * OUT; i++) half[i] = fovea_f16_from_double((double)v.w[i]);
    for (int i = 0; i < OUT; i++) wide[i] = (double)v.b[i];
    const fovea_stored stored[] = {
        {.name = "extra", .storage = FOVEA_ST_U8, .rank = 1, .shape = {3}, .data = "abc"},
        {.name = "fc.weight", .storage = FOVEA_ST_F16, .rank = 2, .shape = {IN, OUT}, .data = half},
        {.name = "fc.bias", .storage = FOVEA_ST_F64, .rank = 1, .shape = {OUT}, .data = wide},
    };
    char path[] = "/tmp/fovea-test-XXXXXX";
    cr_assert(mkstemp(path) >= 0);
    fovea_error err = {0};
    fovea_safetensors *file;
    fovea_model *m;
    cr_assert(eq(int, fovea_safetensors_write(path, stored, 3, NULL, &err), FOVEA_OK), "%s", err.text);
    cr_assert(eq(int, fovea_safetensors_open(path, &file, &err), FOVEA_OK), "%s", err.text);
    cr_assert(eq(int, fovea_model_load(&f.program, &(fovea_options){.threads = 2, .check = true}, &m, &err), FOVEA_OK));
    for (int twice = 0; twice < 2; twice++) {
        cr_assert(eq(int, fovea_model_bind_file(m, file, &err), FOVEA_OK), "%s", err.text);
        cr_assert(eq(int, fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_OK), "%s", err.text);
        expect_right(&v);
    }
    f.arrays[B].dtype = FOVEA_I32;
    expect_refused(fovea_model_bind_file(m, file, &err), FOVEA_E_WEIGHTS, &err,
                   "stored as F64, which does not become i32");
    fovea_model_dispose(m);
    fovea_safetensors_close(file);
    remove(path);
}

Test(runtime_model, check_finds_the_kernel_that_wrote_outside) {
    fixture f;
    values v;
    fovea_kernel *const bad[] = {overrun, overrun_scratch};
    const char *const part[] = {"kernel product (fc.lua:7): wrote behind array 5 \"h\"",
                                "wrote behind the scratch of thread 0"};
    for (int k = 0; k < 2; k++) {
        make(&f);
        fill(&v);
        f.run[0].kernel = bad[k];
        fovea_model *m;
        fovea_error err = {0};
        cr_assert(eq(int, fovea_model_load(&f.program, &(fovea_options){.threads = 1, .check = true}, &m, &err),
                     FOVEA_OK));
        cr_assert(eq(int, fovea_model_bind(m, v.weights, 2, &err), FOVEA_OK), "%s", err.text);
        expect_refused(fovea_model_run(m, v.inputs, 2, v.outputs, 1, &err), FOVEA_E_GUARD, &err, part[k]);
        fovea_model_dispose(m);
    }
}

Test(runtime_model, refuses_programs_that_contradict_themselves) {
    fixture f;
    fovea_model *m;
    fovea_error err = {0};
    fovea_options o = {.threads = 1, .check = true};
#define BROKEN(change, part) \
    make(&f); change; expect_refused(fovea_model_load(&f.program, &o, &m, &err), FOVEA_E_PROGRAM, &err, part)
    BROKEN(f.arrays[X].bytes--, "is not 739 bytes");
    BROKEN(f.arrays[X].rank = 17, "rank 17");
    BROKEN(f.arrays[X].shape[0] = INT64_MAX, "is not 740 bytes");
    BROKEN(f.arrays[X].name = NULL, "needs a name");
    BROKEN(f.arrays[B].name = "fc.weight", "two arrays are the param");
    BROKEN(f.arrays[X].dtype = (fovea_dtype)99, "unknown dtype");
    BROKEN(f.arrays[X].place = (fovea_place)99, "unknown place");
    BROKEN(f.arrays[TWO].data = NULL, "no data");
    BROKEN(f.arrays[H].offset = 128, "do not fit");
    BROKEN(f.arrays[H].offset = 32, "do not fit");
    BROKEN(f.arrays[H].bytes = INT64_MAX, "do not fit");
    BROKEN(f.program.arena_bytes = 500, "do not fit");
    BROKEN(f.run[0].kernel = NULL, "no code");
    BROKEN(f.run[0].args = args_bias; f.run[0].n_args = 4; f.program.n_arrays = IDS, "argument 2 is array 7 of 7");
    BROKEN(f.prepare[0].args = args_product, "runs at prepare but uses the input \"x\"");
    BROKEN(f.program.n_prepare = 0, "which prepare does not make");
    make(&f);
    /* inside h, same launch */
    f.arrays[TWO] = (fovea_array){.name = "t", .place = FOVEA_ARENA, .offset = 64, .bytes = 4};
    static const int32_t both[] = {X, W2, H, TWO};
    f.run[0].args = both;
    f.run[0].n_args = 4;
    expect_refused(fovea_model_load(&f.program, &o, &m, &err), FOVEA_E_PROGRAM, &err, "share memory at the same time");
    cr_expect(m == NULL);
}

/* -- A program without parameters is bound at load; kernels see the default floating-point environment ---- */
static void third(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    const float *x = args[0];
    for (int64_t i = begin; i < end; i++) ((float *)args[1])[i] = x[i] / 3.0f;
}

Test(runtime_model, rounding_does_not_depend_on_the_caller) {
    enum { N = 1000 };
    static const int32_t args[] = {0, 1};
    fovea_array arrays[] = {{.name = "x", .place = FOVEA_INPUT, .rank = 1, .shape = {N}, .bytes = N * 4},
                            {.name = "y", .place = FOVEA_OUTPUT, .rank = 1, .shape = {N}, .bytes = N * 4}};
    fovea_launch run = {.kernel = third, .programs = N, .args = args, .n_args = 2};
    fovea_program p = {.arrays = arrays, .n_arrays = 2, .run = &run, .n_run = 1};
    float x[N], y[2][N];
    int64_t shape[] = {N};
    for (int i = 0; i < N; i++) x[i] = (float)(i + 1);
    for (int k = 0; k < 2; k++) {
        fovea_model *m;
        cr_assert(eq(int, fovea_model_load(&p, &(fovea_options){.threads = 1 + k}, &m, NULL), FOVEA_OK));
        DLTensor in = fovea_tensor(x, FOVEA_F32, 1, shape), out = fovea_tensor(y[k], FOVEA_F32, 1, shape);
        fesetround(k ? FE_UPWARD : FE_TONEAREST);
        fovea_status status = fovea_model_run(m, &in, 1, &out, 1, NULL);
        int round = fegetround();
        fesetround(FE_TONEAREST);
        cr_assert(eq(int, status, FOVEA_OK));
        cr_assert(eq(int, round, k ? FE_UPWARD : FE_TONEAREST));
        fovea_model_dispose(m);
    }
    cr_assert(eq(int, memcmp(y[0], y[1], sizeof y[0]), 0));
}

Test(runtime_model, runs_nothing_when_there_is_nothing) {
    static const int32_t args[] = {0};
    int64_t shape[] = {0, 4};
    fovea_array arrays[] = {{.name = "y", .place = FOVEA_OUTPUT, .rank = 2, .shape = {0, 4}}};
    fovea_launch run = {.kernel = third, .programs = 0, .args = args, .n_args = 1};
    fovea_program p = {.arrays = arrays, .n_arrays = 1, .run = &run, .n_run = 1};
    fovea_model *m;
    fovea_error err = {0};
    cr_assert(eq(int, fovea_model_load(&p, NULL, &m, &err), FOVEA_OK), "%s", err.text);
    DLTensor out = fovea_tensor(NULL, FOVEA_F32, 2, shape);
    cr_assert(eq(int, fovea_model_run(m, NULL, 0, &out, 1, &err), FOVEA_OK), "%s", err.text);
    cr_expect(fovea_threads_available() >= 1);
    fovea_model_dispose(m);
    fovea_model_dispose(NULL);
}
