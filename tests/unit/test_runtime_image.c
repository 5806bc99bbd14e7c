/* Images of weights: a model over one answers as the model it was made of, and nothing that is damaged is used. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/image.h"

/* y = 2 w x + b, elementwise; prepare makes 2 w, so w itself is not read by runs. */
enum { COUNT = 20, X = 0, W, B, W2, Y, N };
static void twice(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    for (int64_t i = begin; i < end; i++) ((float *)args[1])[i] = 2 * ((const float *)args[0])[i];
}
static void affine(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    const float *x = args[0], *w = args[1], *b = args[2];
    for (int64_t i = begin; i < end; i++) ((float *)args[3])[i] = x[i] * w[i] + b[i];
}
static const int32_t twice_args[] = {W, W2}, affine_args[] = {X, W2, B, Y};
static const fovea_array arrays[N] = {
    [X] = {.name = "x", .place = FOVEA_INPUT, .rank = 1, .shape = {COUNT}, .bytes = COUNT * 4},
    [W] = {.name = "w", .place = FOVEA_PARAM, .rank = 1, .shape = {COUNT}, .bytes = COUNT * 4},
    [B] = {.name = "b", .place = FOVEA_PARAM, .rank = 1, .shape = {COUNT}, .bytes = COUNT * 4},
    [W2] = {.name = "w2", .place = FOVEA_PREPARED, .bytes = COUNT * 4},
    [Y] = {.name = "y", .place = FOVEA_OUTPUT, .rank = 1, .shape = {COUNT}, .bytes = COUNT * 4},
};
static const fovea_launch prepare = {
    .kernel = twice, .programs = COUNT, .args = twice_args, .n_args = 2, .label = "twice"};
static const fovea_launch run = {
    .kernel = affine, .programs = COUNT, .args = affine_args, .n_args = 4, .label = "affine"};
static const fovea_program program = {.name = "affine",
                                      .arrays = arrays,
                                      .n_arrays = N,
                                      .prepare = &prepare,
                                      .n_prepare = 1,
                                      .run = &run,
                                      .n_run = 1,
                                      .prepared_bytes = 192};
static const fovea_options single = {.threads = 1};

static float x[COUNT], w[COUNT], b[COUNT];
static int64_t shape[1] = {COUNT};

static void answer(fovea_model *m, float *y) {
    fovea_error e;
    DLTensor in = fovea_tensor(x, FOVEA_F32, 1, shape), out = fovea_tensor(y, FOVEA_F32, 1, shape);
    cr_assert(fovea_model_run(m, &in, 1, &out, 1, &e) == FOVEA_OK, "%s", e.text);
}
static fovea_model *bound(void) {
    fovea_error e;
    fovea_model *m;
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)i - 7;
        w[i] = (float)(i % 5);
        b[i] = 100;
    }
    const fovea_named_tensor given[] = {{"w", fovea_tensor(w, FOVEA_F32, 1, shape)},
                                        {"b", fovea_tensor(b, FOVEA_F32, 1, shape)}};
    cr_assert(fovea_model_load(&program, &single, &m, &e) == FOVEA_OK, "%s", e.text);
    void *none;
    int64_t n;
    cr_expect(fovea_image_make(m, 1, &none, &n, &e) == FOVEA_E_STATE);
    cr_assert(fovea_model_bind(m, given, 2, &e) == FOVEA_OK, "%s", e.text);
    return m;
}

Test(runtime_image, answers_as_the_model_it_was_made_of) {
    fovea_error e;
    fovea_model *m = bound(), *n = NULL, *shared = NULL;
    void *image;
    int64_t bytes;
    float y[COUNT], z[COUNT];
    cr_assert(fovea_image_make(m, 7, &image, &bytes, &e) == FOVEA_OK, "%s", e.text);
    answer(m, y);
    fovea_model_dispose(m);
    memset(w, 0, sizeof w);
    memset(b, 0, sizeof b);
    cr_assert(fovea_image_load(&program, 7, &single, image, bytes, &n, &e) == FOVEA_OK, "%s", e.text);
    answer(n, z);
    cr_expect(memcmp(y, z, sizeof y) == 0);
    cr_expect(fovea_model_check_guards(n, &e) == FOVEA_OK, "%s", e.text);
    cr_expect(fovea_model_bind(n, NULL, 0, &e) == FOVEA_E_STATE);
    cr_assert(fovea_model_share(n, &single, &shared, &e) == FOVEA_OK, "%s", e.text);
    memset(z, 0, sizeof z);
    answer(shared, z);
    cr_expect(memcmp(y, z, sizeof y) == 0);
    fovea_model_dispose(shared);
    fovea_model_dispose(n);
    free(image);
}

Test(runtime_image, finds_every_damaged_byte) {
    fovea_error e;
    fovea_model *m = bound(), *n = NULL;
    void *image;
    int64_t bytes;
    cr_assert(fovea_image_make(m, 7, &image, &bytes, &e) == FOVEA_OK, "%s", e.text);
    fovea_model_dispose(m);
    unsigned char *at = image;
    for (int64_t i = 0; i < bytes; i++) {
        if (i >= 64 && i < 128) continue; /* the reserved words */
        at[i] ^= 0x10;
        fovea_status s = fovea_image_load(&program, 7, &single, image, bytes, &n, &e);
        cr_expect(s == FOVEA_E_FORMAT || s == FOVEA_E_WEIGHTS, "byte %lld: %d", (long long)i, (int)s);
        cr_expect(n == NULL);
        at[i] ^= 0x10;
    }
    for (int64_t cut = 0; cut < bytes; cut += 32)
        cr_expect(fovea_image_load(&program, 7, &single, image, cut, &n, &e) == FOVEA_E_FORMAT);
    cr_expect(fovea_image_load(&program, 8, &single, image, bytes, &n, &e) == FOVEA_E_WEIGHTS);
    fovea_program other = program;
    other.name = "another";
    cr_expect(fovea_image_load(&other, 7, &single, image, bytes, &n, &e) == FOVEA_E_WEIGHTS);
    cr_expect(fovea_image_load(&program, 7, &single, at + 4, bytes - 4, &n, &e) == FOVEA_E_ARGUMENT);
    cr_expect(fovea_image_open(&program, 7, &single, "/nonexistent", &n, &e) == FOVEA_E_FILE);
    cr_expect(fovea_image_open(&program, 7, &single, "/", &n, &e) == FOVEA_E_FILE);
    cr_assert(fovea_image_load(&program, 7, &single, image, bytes, &n, &e) == FOVEA_OK, "%s", e.text);
    fovea_model_dispose(n);
    free(image);
}

/* A set: the image of the level asked for is used, whatever the bytes of the others are. */
Test(runtime_image, chooses_of_a_set) {
    fovea_error e;
    fovea_model *m = bound(), *n = NULL;
    void *image[2], *set;
    int64_t bytes[2], all;
    float y[COUNT], z[COUNT];
    answer(m, y);
    for (int i = 0; i < 2; i++)
        cr_assert(fovea_image_make(m, 7 + (uint64_t)i, &image[i], &bytes[i], &e) == FOVEA_OK, "%s", e.text);
    fovea_model_dispose(m);
    cr_assert(fovea_image_join((const void *const *)image, 2, &set, &all, &e) == FOVEA_OK, "%s", e.text);
    cr_expect(fovea_image_join((const void *const *)image, 0, &set, &all, &e) == FOVEA_E_ARGUMENT);
    char path[] = "/tmp/fovea-test-set-XXXXXX", *at = set;
    int file = mkstemp(path);
    cr_assert(file >= 0);
    /* byte: changed before opening; -1: none */
    const struct {
        int64_t byte, size;
        uint64_t level;
        fovea_status want;
    } list[] = {
        {-1, all, 7, FOVEA_OK},
        {-1, all, 8, FOVEA_OK},
        {-1, all, 9, FOVEA_E_WEIGHTS},
        {FOVEA_IMAGE_STEP + 300, all, 7, FOVEA_E_FORMAT},
        {FOVEA_IMAGE_STEP + 300, all, 8, FOVEA_OK},
        {9, all, 7, FOVEA_E_FORMAT},            /* version */
        {12, all, 7, FOVEA_E_FORMAT},           /* number */
        {64 + 64 + 16, all, 7, FOVEA_E_FORMAT}, /* the table */
        {-1, all - 64, 7, FOVEA_E_FORMAT},
        {-1, 40, 7, FOVEA_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (list[i].byte >= 0) at[list[i].byte] ^= 0x20;
        cr_assert(ftruncate(file, 0) == 0 && pwrite(file, set, (size_t)list[i].size, 0) == list[i].size);
        if (list[i].byte >= 0) at[list[i].byte] ^= 0x20;
        fovea_status s = fovea_image_open(&program, list[i].level, &single, path, &n, &e);
        cr_expect(s == list[i].want, "case %zu: %d, %s", i, (int)s, e.text);
        if (s) continue;
        answer(n, z);
        cr_expect(memcmp(y, z, sizeof y) == 0);
        fovea_model_dispose(n);
    }
    fovea_program other = program;
    other.name = "another";
    cr_assert(pwrite(file, set, (size_t)all, 0) == all);
    cr_expect(fovea_image_open(&other, 7, &single, path, &n, &e) == FOVEA_E_WEIGHTS && !n);
    close(file);
    unlink(path);
    for (int i = 0; i < 2; i++) free(image[i]);
    free(set);
}
