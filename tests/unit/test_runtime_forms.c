/* The forms of a library: which one a model runs in, why, and what a device is given of an image. The device is made
 * here: it computes in this process and fails on demand. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/executor.h"
#include "runtime/forms.h"

/* y = 2 w x, elementwise; prepare makes 2 w. */
enum { COUNT = 8, X = 0, W, W2, Y, N };
static void twice(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    for (int64_t i = begin; i < end; i++) ((float *)args[1])[i] = 2 * ((const float *)args[0])[i];
}
static void times(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    for (int64_t i = begin; i < end; i++) ((float *)args[2])[i] = ((const float *)args[0])[i] * ((float *)args[1])[i];
}
static const int32_t twice_args[] = {W, W2}, times_args[] = {X, W2, Y};
static const fovea_array arrays[N] = {
    [X] = {.name = "x", .place = FOVEA_INPUT, .rank = 1, .shape = {COUNT}, .bytes = COUNT * 4},
    [W] = {.name = "w", .place = FOVEA_PARAM, .rank = 1, .shape = {COUNT}, .bytes = COUNT * 4},
    [W2] = {.name = "w2", .place = FOVEA_PREPARED, .bytes = COUNT * 4},
    [Y] = {.name = "y", .place = FOVEA_OUTPUT, .rank = 1, .shape = {COUNT}, .bytes = COUNT * 4},
};
static const fovea_launch prepare = {
    .kernel = twice, .programs = COUNT, .args = twice_args, .n_args = 2, .label = "twice"};
static const fovea_launch run = {.kernel = times, .programs = COUNT, .args = times_args, .n_args = 3, .label = "times"};

/* -- The device ---- */
static struct {
    bool absent, no_gpu, processor, refuses, wrong, saw_prepared, saw_w;
    int opened, prepared_here;
    char asked[32];
} device;
static float memory[COUNT]; /* what the device keeps */
static fovea_status say(fovea_error *err, const char *text) {
    err->status = FOVEA_E_DEVICE;
    strcpy(err->text, text);
    return FOVEA_E_DEVICE;
}
static fovea_status suits(const fovea_program *p, const fovea_options *o, bool gpu, bool *out, fovea_error *err) {
    bool for_processors = *(const bool *)p->executor_user;
    strcpy(device.asked, o->device ? o->device : "");
    *out = for_processors == device.processor;
    return device.absent || (gpu && device.no_gpu && !o->device) ? say(err, "there is no device") : FOVEA_OK;
}
static fovea_status open(const fovea_program *p, const fovea_options *o, bool prepared, const void *beside, void **out,
                         fovea_error *err) {
    (void)p, (void)o, (void)beside;
    device.saw_prepared = prepared;
    device.opened++;
    *out = device.refuses ? NULL : &device;
    return device.refuses ? say(err, "kernel times does not build") : FOVEA_OK;
}
static fovea_status execute(void *state, int32_t stage, void *const *base, int64_t *ns, fovea_error *err) {
    void *const all[] = {base[X], stage ? memory : base[W2], base[Y]};
    (void)state, (void)ns, (void)err;
    if (!stage) {
        device.saw_w = base[W] != NULL;
        device.prepared_here += base[W2] == NULL;
        if (base[W2]) memcpy(memory, base[W2], sizeof memory);
        else twice((void *const[]){base[W], memory}, 0, COUNT, NULL);
        return FOVEA_OK;
    }
    times(all, 0, COUNT, NULL);
    if (device.wrong) ((float *)base[Y])[COUNT / 2] += 1;
    return FOVEA_OK;
}
static void close(void *state) { (void)state; }
static void describe(const void *state, char *out, int cap) {
    (void)state;
    snprintf(out, (size_t)cap, "opencl: made up");
}
static const fovea_executor executor = {suits, open, execute, close, describe};

/* -- The library ---- */
static const bool items = false, vectors = true;
#define PROGRAM                                                                                                        \
    .name = "times", .arrays = arrays, .n_arrays = N, .prepare = &prepare, .n_prepare = 1, .run = &run, .n_run = 1,    \
    .prepared_bytes = 128
static const fovea_program here = {PROGRAM}, on_gpu = {PROGRAM, .executor = &executor, .executor_user = &items},
                           on_cpu = {PROGRAM, .executor = &executor, .executor_user = &vectors};
static fovea_form form[3] = {{.program = &here, .level = 1}, {.program = &on_gpu, .level = 2}, {.program = &on_cpu, .level = 2}};
static fovea_forms forms = {.name = "small", .forms = form, .n_levels = 1, .n_devices = 2};
static double values[COUNT];
static fovea_answer answers = {.values = values, .n = COUNT};
static const fovea_known known = {.seed = 1, .tolerance = 1e-3, .answers = &answers, .n_answers = 1};
static float x[COUNT], w[COUNT], y[COUNT];
static int64_t shape[1] = {COUNT};
static fovea_error e;
static const fovea_weights inside;

static void set_up(void) {
    fovea_model *m;
    for (int i = 0; i < COUNT; i++) w[i] = (float)i + 1;
    const fovea_named_tensor given = {"w", fovea_tensor(w, FOVEA_F32, 1, shape)};
    cr_assert(fovea_model_load(&here, NULL, &m, &e) == FOVEA_OK && fovea_model_bind(m, &given, 1, &e) == FOVEA_OK);
    for (int i = 0; i < 3; i++) {
        void *image;
        cr_assert(fovea_image_make(m, form[i].level, &image, &form[i].image_bytes, &e) == FOVEA_OK);
        form[i].image = image;
    }
    fovea_pattern_fill(&arrays[X], 1, x);
    answers.largest = 16;
    for (int i = 0; i < COUNT; i++) values[i] = 2.0 * (double)(x[i] * w[i]);
    fovea_model_dispose(m);
    forms.known = &known;
    unsetenv("FOVEA_BACKEND");
}
static fovea_status try(const fovea_options *o, const char *backend) {
    fovea_model *m = NULL;
    fovea_status status = fovea_forms_open(&forms, 0, NULL, &inside, o, &m, &e);
    cr_expect((status == FOVEA_OK) == (m != NULL));
    if (!m) return status;
    DLTensor in = fovea_tensor(x, FOVEA_F32, 1, shape), out = fovea_tensor(y, FOVEA_F32, 1, shape);
    memset(y, 0, sizeof y);
    cr_expect(fovea_model_run(m, &in, 1, &out, 1, &e) == FOVEA_OK, "%s", e.text);
    for (int i = 0; i < COUNT; i++) cr_expect(y[i] == 2 * x[i] * w[i]);
    cr_expect(!strcmp(fovea_model_backend(m), backend), "'%s' is not '%s'", fovea_model_backend(m), backend);
    fovea_model_dispose(m);
    return status;
}

TestSuite(runtime_forms, .init = set_up);

Test(runtime_forms, takes_the_device_that_answers) {
    cr_expect(try(NULL, "opencl: made up") == FOVEA_OK);
    cr_expect(device.saw_prepared && !device.saw_w && !device.prepared_here, "the image is copied, prepare is not run");
    device.processor = true;
    cr_expect(try(NULL, "opencl: made up") == FOVEA_OK);
    cr_expect(try(&(fovea_options){.device = "made"}, "opencl: made up") == FOVEA_OK);
    cr_expect(!strcmp(device.asked, "made"));
    forms.n_devices = 1;
    cr_expect(try(NULL, "cpu: small has no programs for this kind of OpenCL device") == FOVEA_OK);
}
Test(runtime_forms, falls_back_with_a_reason) {
    device.absent = true;
    cr_expect(try(NULL, "cpu: there is no device") == FOVEA_OK && !device.opened);
    device.absent = false;
    device.no_gpu = true;
    cr_expect(try(NULL, "cpu: there is no device") == FOVEA_OK);
    cr_expect(try(&(fovea_options){.device = "0"}, "opencl: made up") == FOVEA_OK, "a device that is named is taken");
    device.no_gpu = false;
    device.refuses = true;
    cr_expect(try(NULL, "cpu: kernel times does not build") == FOVEA_OK);
    device.refuses = false;
    device.wrong = true;
    fovea_model *m;
    cr_assert(fovea_forms_open(&forms, 0, NULL, &inside, NULL, &m, &e) == FOVEA_OK);
    cr_expect(strstr(fovea_model_backend(m), "cpu: opencl: made up: the self-test: output \"y\": element 4 is"));
    fovea_model_dispose(m);
    int before = device.opened;
    char block[4096] __attribute__((aligned(64)));
    fovea_options o = {.threads = 1, .memory = block, .memory_bytes = sizeof block};
    cr_expect(try(&o, "cpu: the caller gave its own memory or threads") == FOVEA_OK && device.opened == before);
}
Test(runtime_forms, does_what_is_asked) {
    cr_expect(try(&(fovea_options){.backend = FOVEA_BACKEND_CPU}, "cpu") == FOVEA_OK && !device.opened);
    setenv("FOVEA_BACKEND", "cpu", 1);
    cr_expect(try(NULL, "cpu") == FOVEA_OK && !device.opened);
    cr_expect(try(&(fovea_options){.backend = FOVEA_BACKEND_OPENCL}, "opencl: made up") == FOVEA_OK);
    setenv("FOVEA_BACKEND", "opencl", 1);
    cr_expect(try(NULL, "opencl: made up") == FOVEA_OK);
    device.absent = true;
    cr_expect(try(NULL, "") == FOVEA_E_DEVICE && !strcmp(e.text, "there is no device"));
    setenv("FOVEA_BACKEND", "gpu", 1);
    cr_expect(try(NULL, "") == FOVEA_E_ARGUMENT && strstr(e.text, "it is auto, cpu or opencl"));
    unsetenv("FOVEA_BACKEND");
    cr_expect(try(&(fovea_options){.backend = (fovea_backend)7}, "") == FOVEA_E_ARGUMENT);
    forms.n_devices = 0;
    cr_expect(try(NULL, "cpu") == FOVEA_OK);
    cr_expect(try(&(fovea_options){.backend = FOVEA_BACKEND_OPENCL}, "") == FOVEA_E_DEVICE);
    cr_expect(strstr(e.text, "built without programs for OpenCL"));
}
/* A processor that can run none of the code: the device still may. */
Test(runtime_forms, no_level_fits) {
    fovea_model *m;
    cr_expect(fovea_forms_open(&forms, -1, "it lacks AVX9", &inside, NULL, &m, &e) == FOVEA_OK);
    fovea_model_dispose(m);
    device.absent = true;
    cr_expect(fovea_forms_open(&forms, -1, "it lacks AVX9", &inside, NULL, &m, &e) == FOVEA_E_PROCESSOR && !m);
    cr_expect(!strcmp(e.text, "it lacks AVX9"));
}
/* Weights of one's own are prepared on the device; models that share weights have their own there. */
Test(runtime_forms, loads_and_shares) {
    fovea_model *m, *n;
    const fovea_named_tensor given = {"w", fovea_tensor(w, FOVEA_F32, 1, shape)};
    cr_assert(fovea_forms_load(&forms, 0, NULL, NULL, &m, &e) == FOVEA_OK, "%s", e.text);
    cr_expect(!device.saw_prepared && fovea_model_bind(m, &given, 1, &e) == FOVEA_OK && device.prepared_here == 1);
    cr_expect(fovea_model_check_guards(m, &e) == FOVEA_OK);
    fovea_model_dispose(m);
    cr_assert(fovea_forms_open(&forms, 0, NULL, &inside, NULL, &m, &e) == FOVEA_OK);
    cr_assert(fovea_model_share(m, NULL, &n, &e) == FOVEA_OK, "%s", e.text);
    cr_expect(!strcmp(fovea_model_backend(n), "opencl: made up") && device.prepared_here == 1);
    cr_expect(fovea_model_check_guards(n, &e) == FOVEA_OK);
    cr_expect(fovea_model_share(m, &(fovea_options){.backend = FOVEA_BACKEND_CPU}, &n, &e) == FOVEA_E_DEVICE);
    fovea_model_dispose(m);
}
