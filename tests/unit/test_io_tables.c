/* Tables of programs: what is written short reads back as it was; what repeats gets short. */
#include "base/base.h"
#include "io/tables.h"
#include "runtime/tables.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void there_and_back(const unsigned char *data, size_t n, size_t most) {
    fv_buf brief = {0};
    unsigned char *back = malloc(n + 1);
    back[n] = 0xa5;
    fv_tables_shorten(data, n, &brief);
    cr_assert_leq(brief.len, most, "%zu bytes of %zu", brief.len, n);
    fovea_tables_lengthen((const unsigned char *)brief.text, back);
    cr_assert_eq(memcmp(data, back, n), 0, "%zu bytes", n);
    cr_assert_eq(back[n], 0xa5);
    fv_buf_dispose(&brief);
    free(back);
}
Test(io_tables, any_bytes) {
    enum { MOST = 5000 };
    unsigned char data[MOST];
    uint32_t seed = 1;
    for (int alphabet = 1; alphabet <= 256; alphabet *= 4)
        for (size_t n = 0; n < MOST; n += n < 40 ? 1 : 823) {
            for (size_t i = 0; i < n; i++)
                data[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24) % alphabet;
            there_and_back(data, n, n + n / 100 + 4);
        }
    memset(data, 7, MOST);
    there_and_back(data, MOST, 12); /* copies that overlap themselves */
}
Test(io_tables, far_copies) {
    enum { N = 1 << 18 };
    unsigned char *data = malloc(N);
    uint32_t seed = 5;
    for (size_t i = 0; i < N / 2; i++) data[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24);
    memcpy(data + N / 2, data, N / 2);
    there_and_back(data, N, N / 2 + N / 2 / 100 + 100);
    free(data);
}

static void kernel_a(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)args, (void)begin, (void)end, (void)scratch;
}
static void kernel_b(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)args, (void)begin, (void)end, (void)scratch;
}
Test(io_tables, programs) {
    enum { ARRAYS = 7, PREPARE = 1, RUN = 6 };
    static const fovea_array arrays[ARRAYS] = {{"x", FOVEA_F32, FOVEA_INPUT, 4, {1, 3, 224, 224}, 0, 602112, NULL, 0},
                                               {"index", FOVEA_I32, FOVEA_INPUT, 1, {300}, 0, 1200, NULL, 1000},
                                               {"w.weight", FOVEA_BF16, FOVEA_PARAM, 0, {0}, 0, 2, NULL, 0},
                                               {"", FOVEA_F32, FOVEA_PREPARED, 1, {5}, INT64_C(1) << 40, 64, NULL, 0},
                                               {"t007", FOVEA_F32, FOVEA_PREPARED, 1, {5}, 128, 12, NULL, 0},
                                               {"t12", FOVEA_F32, FOVEA_ARENA, 1, {5}, 64, 12, NULL, 0},
                                               {"b0", FOVEA_F32, FOVEA_ARENA, 1, {5}, 128, 12, NULL, 0}};
    static const int32_t args[] = {2, 3, 0, 1, 4, 3};
    static const fovea_launch prepare[PREPARE] = {
        {kernel_b, INT64_C(1) << 35, args, 2, 4096, "turn", "a.lua:3", 0.5, 1e300, NULL}};
    static const fovea_launch run[RUN] = {
        {kernel_a, 1, args + 2, 4, 0, "map70", "a.lua:7", 1e9, 12, NULL},
        {kernel_b, 0, args, 0, 0, "", "", -1, 0x1p53, NULL},
        {kernel_a, 1, args + 1, 4, 0, "map9", "a.lua:7", 1e9, 12, NULL}, /* of the same kind */
        {NULL, 2, args, 1, 64, "none", "b.lua:1", 3, 0, NULL},
        {kernel_a, 1, args + 2, 4, 0, "map1000", "a.lua:7", 1e9, 12, NULL},
        {NULL, 2, args + 1, 1, 64, "none", "b.lua:1", 3, 0, NULL}};
    const fovea_program p = {.name = "net",
                             .arrays = arrays,
                             .prepare = prepare,
                             .run = run,
                             .n_arrays = ARRAYS,
                             .n_prepare = PREPARE,
                             .n_run = RUN};
    fovea_program q = {.n_arrays = ARRAYS, .n_prepare = PREPARE, .n_run = RUN};
    int32_t of_prepare[] = {1}, of_run[] = {0, 1, 0, -1, 0, -1}, kernels[2], more[32];
    fovea_array more_arrays[ARRAYS] = {{0}};
    fovea_launch more_prepare[PREPARE] = {{0}}, more_run[RUN] = {{0}};
    char texts[64];
    fovea_tables to = {more_arrays, more_prepare, more_run, more, texts, kernels, NULL};
    fv_buf long_form = {0};
    size_t used = 0;
    for (int i = 0; i < 2; i++) { /* two programs, one after the other */
        const int32_t *const kernel[2] = {of_prepare, of_run};
        used = fv_tables_write(&p, kernel, &long_form);
    }
    int64_t far[2] = {(char *)(uintptr_t)kernel_a - (char *)kernels, (char *)(uintptr_t)kernel_b - (char *)kernels};
    bool near = true; /* a linker puts the list beside the kernels; here they may be too far apart for 32 bits */
    for (int i = 0; i < 2; i++) near = near && far[i] == (kernels[i] = (int32_t)far[i]);
    const unsigned char *at = (const unsigned char *)long_form.text;
    at = fovea_tables_read(fovea_tables_read(at, &q, &to), &q, &to);
    cr_assert_eq(at - (const unsigned char *)long_form.text, long_form.len);
    cr_assert_eq(used, sizeof "t12" + sizeof "b0" + sizeof "map70" + sizeof "map9" + sizeof "map1000");
    cr_assert_str_eq(texts + used - sizeof "map1000", "map1000");
    for (int i = 0; i < ARRAYS; i++) {
        const fovea_array *a = &arrays[i], *b = &more_arrays[i];
        cr_assert_str_eq(a->name, b->name);
        cr_assert(a->dtype == b->dtype && a->place == b->place && a->rank == b->rank && a->offset == b->offset);
        cr_assert(a->bytes == b->bytes && a->index_bound == b->index_bound);
        cr_assert_eq(memcmp(a->shape, b->shape, sizeof a->shape), 0);
    }
    for (int i = 0; i < PREPARE + RUN; i++) {
        const fovea_launch *a = i ? &run[i - 1] : &prepare[0], *b = i ? &more_run[i - 1] : &more_prepare[0];
        cr_assert_str_eq(a->label, b->label);
        cr_assert_str_eq(a->where, b->where);
        cr_assert(a->programs == b->programs && a->scratch_bytes == b->scratch_bytes && a->n_args == b->n_args);
        cr_assert(a->flops == b->flops && a->bytes == b->bytes && !a->kernel == !b->kernel);
        cr_assert(!near || a->kernel == b->kernel);
        for (int32_t k = 0; k < a->n_args; k++) cr_assert_eq(a->args[k], b->args[k]);
    }
    fv_buf_dispose(&long_form);
}
