/* Tiles: a model that sees one element around each, run whole and in tiles of every size, gives the same answer. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/tiles.h"

enum { PLANES = 2, SCALE = 2 };

/* y[p, i, j] = sum of x[p] around (i / 2, j / 2), zeros outside, one program per plane. */
static void blur(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    const float *x = args[0];
    const int32_t *size = args[1];
    float *y = args[2];
    int32_t h = size[0], w = size[1];
    for (int64_t p = begin; p < end; p++)
        for (int32_t i = 0; i < h * SCALE; i++)
            for (int32_t j = 0; j < w * SCALE; j++) {
                float sum = 0;
                for (int32_t u = i / SCALE - 1; u <= i / SCALE + 1; u++)
                    for (int32_t v = j / SCALE - 1; v <= j / SCALE + 1; v++)
                        if (u >= 0 && u < h && v >= 0 && v < w) sum += x[(p * h + u) * w + v];
                y[(p * h * SCALE + i) * w * SCALE + j] = sum;
            }
}

typedef struct { fovea_array array[3]; fovea_launch launch; fovea_program program; int32_t size[2]; } net;
typedef struct { net net; int opened, closed, fail_at, wrong; } source;

static fovea_status open_net(void *user, int32_t height, int32_t width, fovea_model **out, fovea_error *err) {
    static const int32_t args[] = {0, 1, 2};
    source *s = user;
    net *n = &s->net;
    if (s->opened == s->fail_at) {
        err->status = FOVEA_E_MEMORY;
        strcpy(err->text, "no more models");
        return FOVEA_E_MEMORY;
    }
    s->opened++;
    int64_t elements = (int64_t)PLANES * height * width;
    *n = (net){.size = {height, width}};
    n->array[0] = (fovea_array){.name = "x", .place = FOVEA_INPUT, .rank = 4, .bytes = elements * 4,
                                .shape = {1, PLANES, height, width}};
    n->array[1] = (fovea_array){.name = "size", .dtype = FOVEA_I32, .place = FOVEA_CONST, .rank = 1, .shape = {2},
                                .bytes = 8, .data = n->size};
    n->array[2] = (fovea_array){.name = "y", .place = FOVEA_OUTPUT, .rank = 4, .bytes = elements * 4 * SCALE * SCALE,
                                .shape = {1, PLANES, height * SCALE, width * SCALE + s->wrong}};
    if (s->wrong) n->array[2].bytes += (int64_t)PLANES * height * SCALE * 4 * s->wrong;
    n->launch = (fovea_launch){.kernel = blur, .programs = PLANES, .args = args, .n_args = 3, .label = "blur"};
    n->program = (fovea_program){.name = "blur", .arrays = n->array, .n_arrays = 3, .run = &n->launch, .n_run = 1};
    return fovea_model_load(&n->program, &(fovea_options){.threads = 1}, out, err);
}
static void close_net(void *user, fovea_model *model) {
    ((source *)user)->closed++;
    fovea_model_dispose(model);
}
static fovea_tiles job_of(source *s, int32_t height, int32_t width, int32_t size, int32_t pad, int32_t multiple) {
    return (fovea_tiles){.planes = PLANES, .height = height, .width = width, .planes_out = PLANES, .scale = SCALE,
                         .size = size, .pad = pad, .multiple = multiple, .open = open_net, .close = close_net,
                         .user = s};
}
static float *numbers(int64_t n) {
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(i * 37 % 101);
    return x;
}

Test(runtime_tiles, equal_the_whole_where_they_overlap) {
    const struct { int32_t h, w, size, pad, sizes; } cases[] = {
        {9, 13, 4, 1, 0}, {9, 13, 3, 2, 0}, {1, 17, 5, 1, 0}, {8, 8, 8, 1, 1}, {7, 5, 100, 3, 1}, {6, 6, 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n = (int64_t)PLANES * cases[i].h * cases[i].w, m = n * SCALE * SCALE;
        float *x = numbers(n), *whole = numbers(m), *tiled = calloc((size_t)m, sizeof *tiled);
        source s = {.fail_at = -1};
        fovea_error e;
        fovea_tiles t = job_of(&s, cases[i].h, cases[i].w, 0, 0, 1);
        cr_assert(fovea_tiles_run(&t, x, whole, &e) == FOVEA_OK, "%s", e.text);
        cr_expect(s.opened == 1 && s.closed == 1);
        t.size = cases[i].size;
        t.pad = cases[i].pad;
        cr_assert(fovea_tiles_run(&t, x, tiled, &e) == FOVEA_OK, "%s", e.text);
        cr_expect(memcmp(whole, tiled, (size_t)m * sizeof *whole) == 0, "case %zu", i);
        cr_expect(s.opened == s.closed && s.opened <= 10, "case %zu opened %d models", i, s.opened);
        if (cases[i].sizes) cr_expect(s.opened == 1 + cases[i].sizes);
        free(x);
        free(whole);
        free(tiled);
    }
}

Test(runtime_tiles, reflect_the_border_up_to_the_multiple) {
    enum { H = 6, W = 7, M = 4, H2 = 8, W2 = 8 };
    float *x = numbers(PLANES * H * W), big[PLANES * H2 * W2], want[PLANES * H2 * W2 * 4], got[PLANES * H * W * 4];
    for (int p = 0; p < PLANES; p++)
        for (int i = 0; i < H2; i++)
            for (int j = 0; j < W2; j++)
                big[(p * H2 + i) * W2 + j] = x[(p * H + (i < H ? i : 2 * H - 2 - i)) * W + (j < W ? j : 2 * W - 2 - j)];
    source s = {.fail_at = -1};
    fovea_error e;
    fovea_tiles whole = job_of(&s, H2, W2, 0, 0, 1), tiles = job_of(&s, H, W, 4, 4, M);
    cr_assert(fovea_tiles_run(&whole, big, want, &e) == FOVEA_OK, "%s", e.text);
    cr_assert(fovea_tiles_run(&tiles, x, got, &e) == FOVEA_OK, "%s", e.text);
    for (int p = 0; p < PLANES; p++)
        for (int i = 0; i < 2 * H; i++)
            cr_expect(memcmp(got + (p * 2 * H + i) * 2 * W, want + (p * 2 * H2 + i) * 2 * W2, 2 * W * 4) == 0);
    free(x);
}

Test(runtime_tiles, refuse_with_a_status) {
    float x[PLANES * 64] = {0}, y[PLANES * 64 * 4];
    source s = {.fail_at = -1};
    fovea_error e;
    fovea_tiles t = job_of(&s, 8, 8, -1, 0, 1);
    cr_expect(fovea_tiles_run(&t, x, y, &e) == FOVEA_E_ARGUMENT);
    t = job_of(&s, 8, 8, 6, 4, 4);
    cr_expect(fovea_tiles_run(&t, x, y, &e) == FOVEA_E_ARGUMENT);
    t = job_of(&s, 3, 3, 16, 0, 16);
    cr_expect(fovea_tiles_run(&t, x, y, &e) == FOVEA_E_ARGUMENT);
    cr_expect(strstr(e.text, "too small") != NULL, "%s", e.text);
    cr_expect(fovea_tiles_run(NULL, x, y, &e) == FOVEA_E_ARGUMENT);
    t = job_of(&s, 8, INT32_MAX, 4, 0, 4);
    cr_expect(fovea_tiles_run(&t, x, y, &e) == FOVEA_E_ARGUMENT);
    cr_expect(strstr(e.text, "at most") != NULL, "%s", e.text);
    cr_expect(s.opened == 0);
    s.fail_at = 1;
    t = job_of(&s, 8, 8, 4, 1, 1);
    t.width = 5;
    cr_expect(fovea_tiles_run(&t, x, y, &e) == FOVEA_E_MEMORY);
    cr_expect(strcmp(e.text, "no more models") == 0 && s.opened == s.closed);
    s = (source){.fail_at = -1, .wrong = 1};
    cr_expect(fovea_tiles_run(&t, x, y, &e) == FOVEA_E_TENSOR);
    cr_expect(s.opened == 1 && s.closed == 1);
    t.output = 1;
    cr_expect(fovea_tiles_run(&t, x, y, &e) == FOVEA_E_TENSOR);
}

Test(runtime_tiles, cover_the_longest_axis) {
    const int32_t longest = INT32_MAX, size = 1 << 30;
    fovea_tile t;
    cr_assert(fovea_tile_at(longest, size, 8, 0, &t));
    cr_expect(t.from == 0 && t.skip == 0 && t.keep == size && t.size == size + 8);
    cr_assert(fovea_tile_at(longest, size, 8, 1, &t));
    cr_expect(t.from == size - 8 && t.skip == 8 && t.keep == longest - size && t.size == longest - size + 8);
    cr_expect_not(fovea_tile_at(longest, size, 8, 2, &t) || fovea_tile_at(0, 4, 1, 0, &t));
}
