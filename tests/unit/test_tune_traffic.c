/* Traffic between levels of memory: loop nests whose loads from each cache are worked out by hand, for caches of 32
 * KiB, 1 MiB and 32 MiB; and where the tensors of a launch are when it starts. */
#include "tune/box.h"
#include "tune/cost.h"

#include <criterion/criterion.h>

static const int64_t cache[4] = {0, 32 << 10, 1 << 20, 32 << 20};
static fv_ctx *ctx;
static void open_ctx(void) { ctx = fv_ctx_new(); }
static void close_ctx(void) { fv_ctx_dispose(ctx); }
TestSuite(traffic, .init = open_ctx, .fini = close_ctx);

static fv_counts count(const char *text) {
    fv_counts c;
    fv_flat_kernel *k = fv_flat_parse(ctx, "test", text);
    cr_assert(k, "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    cr_assert(fv_cost_count(k, 16, cache, &c));
    return c;
}
#define expect(c, tensor, first_, l1, l2, l3)                                                                          \
    do {                                                                                                               \
        const fv_array_traffic *a_ = &(c).array[tensor];                                                               \
        cr_assert_float_eq(a_->first, first_, 1, "first %g", a_->first);                                               \
        cr_assert_float_eq(a_->again[1], l1, 1, "L1 %g", a_->again[1]);                                                \
        cr_assert_float_eq(a_->again[2], l2, 1, "L2 %g", a_->again[2]);                                                \
        cr_assert_float_eq(a_->again[3], l3, 1, "L3 %g", a_->again[3]);                                                \
    } while (0)

/* C[64, 64] = A[64, 256] B[256, 64] in tiles of 4 x 16. A step over the columns touches 4 rows of A (4 KiB), a panel of
 * B (16 KiB) and C: L1 keeps the rows of A from panel to panel, but not B (64 KiB) from row to row. */
Test(traffic, a_product_in_tiles) {
    fv_counts c = count(
        "flat k { programs 16 scratch 0 group 1 live 0\n"
        "tensor A in f32 [m 64*256, k 256*1]\ntensor B in f32 [k 256*64, n 64*1]\ntensor C out f32 [m 64*64, n 64*1]\n"
        "for programs p = 0 to 16 { let m : i32 = p * 4 for n = 0 to 64 step 16 { alloc acc reg f32x16[4]\n"
        "store<16> acc[0] = splat<16>(0.0) store<16> acc[1] = splat<16>(0.0)\n"
        "store<16> acc[2] = splat<16>(0.0) store<16> acc[3] = splat<16>(0.0)\n"
        "for k = 0 to 256 { let b : f32x16 = load<16> B[k * 64 + n]\n"
        "store<16> acc[0] = fma(splat<16>(load A[m * 256 + k]), b, load<16> acc[0])\n"
        "store<16> acc[1] = fma(splat<16>(load A[m * 256 + k + 256]), b, load<16> acc[1])\n"
        "store<16> acc[2] = fma(splat<16>(load A[m * 256 + k + 512]), b, load<16> acc[2])\n"
        "store<16> acc[3] = fma(splat<16>(load A[m * 256 + k + 768]), b, load<16> acc[3]) }\n"
        "store<16> C[m * 64 + n] = load<16> acc[0] store<16> C[m * 64 + n + 64] = load<16> acc[1]\n"
        "store<16> C[m * 64 + n + 128] = load<16> acc[2] store<16> C[m * 64 + n + 192] = load<16> acc[3] } } }");
    expect(c, 0, 64 * 256 * 4, 0, 0, 0);
    expect(c, 1, 256 * 64 * 4, 15 * 256 * 64 * 4, 0, 0);
    expect(c, 2, 64 * 64 * 4, 0, 0, 0);
    cr_assert(c.array[2].written && !c.array[0].written);
    /* All of it in L2 when it starts: 64 KiB + 16 * 64 KiB come from there, C goes to and fro. */
    fv_traffic t;
    fv_cost_traffic(&c, (const int[]){2, 2, 2}, &t);
    cr_assert_float_eq(t.read[1], 65536 + 16 * 65536, 1);
    cr_assert_float_eq(fv_traffic_bytes(&t, 1), 17 * 65536 + 2 * 16384, 1);
    cr_assert_float_eq(fv_traffic_bytes(&t, 2), 0, 1);
    /* B in memory: once through every level. */
    fv_cost_traffic(&c, (const int[]){1, 4, 1}, &t);
    cr_assert_float_eq(t.read[1], 16 * 65536, 1);
    cr_assert_float_eq(t.read[2], 65536, 1);
    cr_assert_float_eq(t.read[3], 65536, 1);
    cr_assert_float_eq(t.written[1], 0, 1);
}
Test(traffic, a_copy_passes_once) {
    fv_counts c = count(
        "flat k { programs 64 scratch 0 group 1 live 0 tensor X in f32 [n 1048576*1] tensor O out f32 [n 1048576*1]\n"
        "for programs p = 0 to 64 { for i = 0 to 16384 step 16 {\n"
        "store<16> O[p * 16384 + i] = load<16> X[p * 16384 + i] } } }");
    expect(c, 0, 4 << 20, 0, 0, 0);
    expect(c, 1, 4 << 20, 0, 0, 0);
    fv_traffic t;
    fv_cost_traffic(&c, (const int[]){3, 3}, &t);
    for (int level = 1; level < 3; level++) cr_assert_float_eq(fv_traffic_bytes(&t, level), 3 * (4 << 20), 1);
    cr_assert_float_eq(fv_traffic_bytes(&t, 3), 0, 1);
}
/* Read twice by one program: 4 MiB are in neither L1 nor L2 any more. */
Test(traffic, what_does_not_fit_is_loaded_again) {
    fv_counts c =
        count("flat k { programs 1 scratch 0 group 1 live 0 tensor X in f32 [n 1048576*1] tensor O out f32 [n 16*1]\n"
              "for programs p = 0 to 1 { for r = 0 to 2 { for i = 0 to 1048576 step 16 {\n"
              "store<16> O[0] = load<16> X[i] + splat<16>(1.0) } } } }");
    expect(c, 0, 4 << 20, 4 << 20, 4 << 20, 0);
}
static fv_counts stencil(int width, int height) {
    return count(fv_printf(ctx,
                           "flat k { programs 1 scratch 0 group 1 live 0\n"
                           "tensor X in f32 [h %d*%d, w %d*1]\ntensor O out f32 [h %d*%d, w %d*1]\n"
                           "for programs p = 0 to 1 { for y = 1 to %d { for x = 0 to %d step 16 {\n"
                           "store<16> O[y * %d + x] = load<16> X[y * %d + x - %d] + load<16> X[y * %d + x]"
                           " + load<16> X[y * %d + x + %d] } } } }",
                           height, width, width, height, width, width, height - 1, width, width, width, width, width,
                           width, width));
}
/* Three rows above one another: L1 loads each row once if three of them and one of the result fit, else three times. */
Test(traffic, a_stencil_keeps_rows_that_fit) {
    fv_counts c = stencil(1024, 34);
    expect(c, 0, 34 * 4096, 0, 0, 0);
    expect(c, 1, 32 * 4096, 0, 0, 0);
    c = stencil(4096, 34);
    expect(c, 0, 34 * 16384, (3 * 32 - 34) * 16384, 0, 0);
    expect(c, 1, 32 * 16384, 0, 0, 0);
}
/* Programs numbered row by row: 8 blocks of 16 columns read one block of rows of A (16 KiB) and all of B (8 panels of
 * 16 KiB). The block stays while its columns change; the panels come anew with every block of rows. */
Test(traffic, takes_program_numbers_apart) {
    fv_counts c =
        count("flat k { programs 32 scratch 0 group 1 live 0\n"
              "tensor A in f32 [b 4*4096, i 4096*1]\ntensor B in f32 [b 8*4096, i 4096*1]\ntensor O out f32 [p 32*16, "
              "l 16*1]\n"
              "for programs p = 0 to 32 { let row : i32 = p // 8 let col : i32 = p % 8 for i = 0 to 4096 step 16 {\n"
              "store<16> O[p * 16] = load<16> A[row * 4096 + i] * load<16> B[col * 4096 + i] } } }");
    /* 32 KiB and a line do not fit into L1: A comes in every program too. */
    expect(c, 0, 4 * 16384, 28 * 16384, 0, 0);
    expect(c, 1, 8 * 16384, 24 * 16384, 0, 0);
    expect(c, 2, 32 * 64, 0, 0, 0);
}
/* A panel of each head, three tensors in one: no more is touched than the columns of a head. */
Test(traffic, tells_parts_of_a_tensor_apart) {
    fv_counts c = count(
        "flat k { programs 1 scratch 0 group 1 live 0 tensor X in f32 [n 64*768, c 768*1] tensor O out f32 [n 64*16, c "
        "16*1]\n"
        "for programs p = 0 to 1 { for n = 0 to 64 {\n"
        "store<16> O[n * 16] = load<16> X[n * 768] + load<16> X[n * 768 + 256] * load<16> X[n * 768 + 512] } } }");
    expect(c, 0, 3 * 64 * 64, 0, 0, 0);
}
/* Columns of a matrix: lines of 16 elements, of which each step takes one. */
Test(traffic, counts_whole_lines) {
    fv_counts c = count(
        "flat k { programs 1 scratch 0 group 1 live 0 tensor X in f32 [n 256*256, c 256*1] tensor O out f32 [n 256*1]\n"
        "for programs p = 0 to 1 { for n = 0 to 256 { store O[n] = load X[n * 256] * 2.0 } } }");
    expect(c, 0, 256 * 64, 0, 0, 0);
    expect(c, 1, 256 * 4, 0, 0, 0);
}
/* An index that data decide may be any in its range: no more than the accesses touch, nor than there is. */
Test(traffic, bounds_what_data_decide) {
    fv_counts c = count("flat k { programs 1 scratch 0 group 1 live 0 tensor I in i32 [n 8*1] range 0 to 63\n"
                        "tensor X in f32 [n 64*1024, c 1024*1] tensor O out f32 [n 8*16, c 16*1]\n"
                        "for programs p = 0 to 1 { for n = 0 to 8 { store<16> O[n * 16] = load<16> X[load I[n] * 1024] "
                        "* splat<16>(2.0) } } }");
    expect(c, 1, 8 * 64, 0, 0, 0);
}

/* -- Between launches ---- */
static fv_plan *chain(int64_t bytes_of_weights) {
    fv_plan *p = fv_plan_new(ctx);
    static const fv_mem_kind kind[] = {FV_MEM_INPUT, FV_MEM_PARAM,  FV_MEM_SCRATCH,
                                       FV_MEM_PARAM, FV_MEM_OUTPUT, FV_MEM_SCRATCH};
    for (int i = 0; i < 6; i++) {
        fv_plan_tensor t = {
            .name = fv_intern(ctx, fv_printf(ctx, "t%d", i)), .kind = kind[i], .type = FV_F32, .rank = 1};
        t.extent[0] = (kind[i] == FV_MEM_PARAM ? bytes_of_weights : 4096) / 4;
        t.stride[0] = 1;
        t.bytes = 4 * t.extent[0];
        fv_plan_add_tensor(p, &t);
    }
    fv_plan_add_launch(p, 1, &(fv_launch){.n_args = 3, .arg = (int[]){0, 1, 2}});
    fv_plan_add_launch(p, 1, &(fv_launch){.n_args = 4, .arg = (int[]){2, 3, 4, 5}});
    return p;
}
Test(traffic, finds_tensors_where_the_last_launch_left_them) {
    fv_plan *p = chain(512 << 10);
    p->tensor[5]->offset = 8192;
    int *held = fv_cost_held(ctx, p, 1, 1, cache);
    cr_assert_eq(held[0], 2, "from the launch before, beside its weights: %d", held[0]);
    cr_assert_eq(held[1], 3, "last used a run ago: %d", held[1]);
    cr_assert_eq(held[3], 3, "memory of its own");
    p->tensor[5]->offset = 0;
    held = fv_cost_held(ctx, p, 1, 1, cache);
    cr_assert_eq(held[3], 2, "where the launch before worked in the same memory: %d", held[3]);
    p = chain(40 << 20);
    held = fv_cost_held(ctx, p, 1, 1, cache);
    cr_assert_eq(held[1], 4, "more than fits: %d", held[1]);
    cr_assert_eq(held[0], 4);
    p = chain(1024);
    held = fv_cost_held(ctx, p, 1, 0, cache);
    for (int i = 0; i < 3; i++) cr_assert_eq(held[i], 1);
}
