/* The cost model: counts of flat kernels written by hand against numbers worked out by hand, loops that depend on one
 * another and on data, and what a prediction makes of counts and rates. */
#include "tune/cost.h"

#include <criterion/criterion.h>
#include <math.h>

static const int64_t cache[4] = {0, 32 << 10, 1 << 20, 32 << 20};

static fv_counts count(const char *body, int64_t programs) {
    char text[2048];
    fv_ctx *ctx = fv_ctx_new();
    fv_counts c;
    snprintf(text, sizeof text,
             "flat k {\n  programs %lld\n  scratch 0\n  group 1\n  live 0\n"
             "  tensor X in f32 [n 4096*1]\n  tensor I in i32 [n 64*1] range 0 to 63\n  tensor O out f32 [n 4096*1]\n"
             "  alloc acc reg f32x16[4]\n  for programs p {\n%s\n  }\n}\n",
             (long long)programs, body);
    fv_flat_kernel *k = fv_flat_parse(ctx, "test", text);
    cr_assert(k, "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    cr_assert(fv_cost_count(k, 16, cache, &c));
    fv_ctx_dispose(ctx);
    return c;
}

Test(cost, counts_elements_and_bytes) {
    fv_counts c =
        count("for k = 0 to 8 { store<16> acc[0] = fma(load<16> X[k * 16], splat<16>(load X[k]), load<16> acc[0]) }\n"
              "store<16> O[p * 16] = exp(load<16> acc[0]) + splat<16>(1.0)",
              5);
    cr_assert_float_eq(c.products, 5 * 8 * 16, 1e-9);
    cr_assert_float_eq(c.functions, 5 * 16, 1e-9);
    cr_assert_float_eq(c.other, 5 * 16, 1e-9, "%g", c.other);
    cr_assert_float_eq(c.moved, 5 * (8 * 17 * 4 + 64), 1e-9, "registers are no memory, addresses cost nothing");
    cr_assert(c.exact);
    cr_assert_eq(c.programs, 5);
}
Test(cost, follows_bounds_that_depend_on_loops) {
    /* A triangle: k = 0..i for i = 0..p, of programs 0..3: 1 + 3 + 6 + 10 passes. */
    fv_counts c = count("for i = 0 to p + 1 { for k = 0 to i + 1 { store O[k] = load X[k] * 2.0 } }", 4);
    cr_assert_float_eq(c.other, 1 + 3 + 6 + 10, 1e-9, "%g", c.other);
    /* The same through a name. */
    c = count("for i = 0 to p + 1 { let m : i32 = i + 1 for k = 0 to m { store O[k] = load X[k] * 2.0 } }", 4);
    cr_assert_float_eq(c.other, 1 + 3 + 6 + 10, 1e-9, "%g", c.other);
    c = count("for k = 3 to 20 step 5 { store O[k] = load X[k] * 2.0 }", 1);
    cr_assert_float_eq(c.other, 4, 1e-9, "a last, short step counts");
    c = count("for k = 5 to p { store O[k] = load X[k] * 2.0 }", 3);
    cr_assert_float_eq(c.other, 0, 1e-9, "loops may be empty");
}
Test(cost, takes_the_side_that_runs) {
    const char *text =
        "for k = 0 to 10 { if k < 3 { store O[k] = exp(load X[k]) } else { store O[k] = load X[k] * 2.0 } }";
    fv_counts c = count(text, 2);
    cr_assert_float_eq(c.functions, 2 * 3, 1e-9);
    cr_assert_float_eq(c.other, 2 * 7, 1e-9);
    c = count("if load I[p] < 3 { store O[0] = exp(load X[0]) }", 2);
    cr_assert_float_eq(c.functions, 2, 1e-9, "what data decide counts as true");
}
Test(cost, scales_few_programs_to_many) {
    /* p + 1 passes: evenly spaced programs with both ends have the mean of all. */
    fv_counts c = count("for k = 0 to p + 1 { store O[k] = load X[k] * 2.0 }", 1001);
    cr_assert_not(c.exact);
    cr_assert_float_eq(c.other, 1001.0 * 1002 / 2, 1e-6 * c.other, "%g", c.other);
}
/* 72 columns of five blocks each, 197 rows in blocks of 48: the last has 5. */
Test(cost, meets_ragged_blocks_as_often_as_they_occur) {
    fv_counts c = count("let c : i32 = p // 5 let t : i32 = p % 5 let n : i32 = min(t * -48 + 197, 48)\n"
                        "for k = 0 to n { store O[k + c] = load X[k] * 2.0 }",
                        360);
    cr_assert_not(c.exact);
    cr_assert_float_eq(c.other, 72 * 197, 1e-6, "%g", c.other);
    /* The same numbered the other way round, and with three digits. */
    c = count("let t : i32 = p // 72 let n : i32 = min(t * -48 + 197, 48)\n"
              "for k = 0 to n { store O[k + p % 72] = load X[k] * 2.0 }",
              360);
    cr_assert_float_eq(c.other, 72 * 197, 1e-6, "%g", c.other);
    c = count("let t : i32 = p // 6 % 5 let u : i32 = p % 6 let n : i32 = min(t * -48 + 197, 48)\n"
              "let m : i32 = min(u * -4 + 21, 4) for k = 0 to n { for j = 0 to m { store O[j + p // 30] = load X[k] * "
              "2.0 } }",
              360);
    cr_assert_float_eq(c.other, 12 * 197 * 21, 1e-6, "%g", c.other);
}
Test(cost, gives_up_on_endless_walks) {
    fv_ctx *ctx = fv_ctx_new();
    fv_counts c;
    fv_flat_kernel *k =
        fv_flat_parse(ctx, "test",
                      "flat k { programs 1 scratch 0 group 1 live 0 tensor O out f32 [n 9*1] "
                      "for programs p { for i = 0 to 100000 { for j = 0 to i { if j < i { store O[0] = 1.0 } } } } }");
    cr_assert(k, "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    cr_assert_not(fv_cost_count(k, 16, cache, &c));
    fv_ctx_dispose(ctx);
}

Test(cost, fills_vectors_and_knows_functions_apart) {
    fv_counts c = count("store O[p] = load X[p] * 2.0\n"
                        "store<16> O[p * 16] = erf(load<16> X[p * 16]) + tanh(load<16> X[p * 16])",
                        2);
    cr_assert_float_eq(c.other, 2 * 17, 1e-9, "%g", c.other);
    cr_assert_float_eq(c.filled_other, 2 * 32, 1e-9, "a scalar takes a vector's time: %g", c.filled_other);
    cr_assert_float_eq(c.function[FV_FUNCTION_ERF], 2 * 16, 1e-9);
    cr_assert_float_eq(c.function[FV_FUNCTION_TANH], 2 * 16, 1e-9);
    cr_assert_float_eq(c.functions, 2 * 32, 1e-9);
    cr_assert_float_eq(c.stored, 2 * 17 * 4, 1e-9);
    cr_assert_float_eq(c.filled_loaded, 2 * 64, 1e-9, "%g", c.filled_loaded);
    cr_assert_float_eq(c.scalars_loaded, 2, 1e-9);
}
/* A sum in one register: 1000 dependent steps of a load and an addition each, 1/8 of the time that one takes. In four
 * registers by turns the chain is as long and four times as much is done beside it. */
Test(cost, waits_for_dependent_sums) {
    fv_counts c = count("store<16> acc[0] = splat<16>(0.0)\n"
                        "for k = 0 to 1000 { store<16> acc[0] = load<16> acc[0] + load<16> X[k] }\n"
                        "store<16> O[0] = load<16> acc[0]",
                        1);
    cr_assert_float_eq(c.stalls, 1000 * (1 - 2.0 / 8), 1e-6, "%g", c.stalls);
    c = count(
        "for k = 0 to 1000 {\n"
        "store<16> acc[0] = load<16> acc[0] + load<16> X[k] store<16> acc[1] = load<16> acc[1] + load<16> X[k + 1]\n"
        "store<16> acc[2] = load<16> acc[2] + load<16> X[k + 2]\n"
        "store<16> acc[3] = load<16> acc[3] + load<16> X[k + 3] }",
        1);
    cr_assert_float_eq(c.stalls, 0, 1e-6, "%g", c.stalls);
    c = count("for k = 0 to 1000 { store<16> acc[0] = load<16> X[k] + splat<16>(1.0)\n"
              "store<16> acc[0] = load<16> acc[0] * load<16> acc[0] store<16> O[k] = load<16> acc[0] }",
              1);
    cr_assert_float_eq(c.stalls, 0, 1e-6, "nothing is carried: %g", c.stalls);
    /* Half of the steps: 500 of the chain, beside 1000 instructions. */
    c = count("for k = 0 to 1000 { if k < 500 { store<16> acc[0] = load<16> acc[0] + load<16> X[k] } }", 1);
    cr_assert_float_eq(c.stalls, 500 - 1000.0 / 8, 1e-6, "%g", c.stalls);
}
/* What follows a sum over lanes is waited for: 4 shuffles and additions, a division, and the way through memory. */
Test(cost, waits_for_what_follows_a_sum_over_lanes) {
    fv_counts c = count("for k = 0 to 1000 { store<16> acc[0] = load<16> X[k] store<16> acc[1] = load<16> X[k + 16] }\n"
                        "let h : f32 = hsum(load<16> acc[0])\nstore O[0] = h / 3.0",
                        1);
    cr_assert_float_eq(c.stalls, 8 + 3 + 1, 1e-6, "%g", c.stalls);
}

static const fv_rates rates = {.fma = 100,
                               .pairs = 200,
                               .functions = {10, 5, 2, 2, 4, 1},
                               .scalars = 10,
                               .latency = 1e-9,
                               .read = {0, 200, 100, 50, 20},
                               .write = {0, 200, 80, 40, 10}};
static const fv_start start = {1e-6, 3e-6};
static const fv_traffic none;

Test(cost, names_what_bounds_and_what_would_be_gained) {
    fv_prediction p;
    fv_counts c = {
        .products = 1e9, .filled_products = 1e9, .functions = 2e7, .function = {2e7}, .moved = 1e8, .programs = 8};
    cr_assert(fv_cost_predict(&c, &none, &rates, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_PRODUCTS);
    cr_assert_float_eq(p.seconds, 0.02 + 0.002 + 1e-6, 1e-9);
    cr_assert_float_eq(p.without, 0.002 + 1e-6, 1e-9, "functions are left");
    cr_assert(fv_cost_predict(&c, &none, &rates, 4, start, &p));
    cr_assert_float_eq(p.seconds, 0.022 / 4 + 3e-6, 1e-9);
    cr_assert(fv_cost_predict(&c, &none, &rates, 64, start, &p));
    cr_assert_float_eq(p.seconds, 0.022 / 8 + 3e-6, 1e-9, "no more threads than programs");
    c.functions = c.function[FV_FUNCTION_EXP] = 1e9;
    cr_assert(fv_cost_predict(&c, &none, &rates, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_FUNCTIONS);
    cr_assert_float_eq(p.without, 0.02 + 1e-6, 1e-9);
    c = (fv_counts){.products = 1e9, .tiles = 1e9, .programs = 8};
    fv_rates unit = rates;
    unit.tiles = 1000;
    cr_assert(fv_cost_predict(&c, &none, &unit, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_TILES);
    cr_assert_float_eq(p.seconds, 0.002 + 1e-6, 1e-9);
}
Test(cost, charges_each_level_for_what_passes_it) {
    fv_counts c = {.filled_loaded = 2e6, .programs = 8};
    fv_prediction p;
    fv_traffic t = {.read = {0, 1e6, 0, 0}};
    /* 2 MB of loads, one of which comes from L2: at the rates of L1 and of L2. */
    cr_assert(fv_cost_predict(&c, &t, &rates, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_L1);
    cr_assert_float_eq(p.seconds, 1e6 / 200e9 + 1e6 / 100e9 + 1e-6, 1e-12);
    t = (fv_traffic){.read = {0, 1e6, 1e6, 0}, .written = {0, 0, 2e6, 0}};
    cr_assert(fv_cost_predict(&c, &t, &rates, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_L3);
    cr_assert_float_eq(p.seconds, 1e6 / 200e9 + 1e6 / 50e9 + 2e6 / 40e9 - 2e6 / 80e9 + 1e-6, 1e-12,
                       "reads and writes have rates of their own: %g", p.seconds);
    c.filled_loaded = 64e6;
    t = (fv_traffic){.read = {0, 64e6, 64e6, 64e6}};
    cr_assert(fv_cost_predict(&c, &t, &rates, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_MEMORY);
    cr_assert_float_eq(p.seconds, 64e6 / 20e9 + 1e-6, 1e-12);
    cr_assert(fv_cost_predict(&c, &t, &rates, 4, start, &p));
    cr_assert_float_eq(p.seconds, 64e6 / 20e9 - 64e6 / 100e9 + 64e6 / 100e9 / 4 + 3e-6, 1e-12,
                       "L3 and memory are shared by all threads");
    c.filled_loaded = 4e8;
    c.scalars_loaded = 1e6;
    c.stored = 8e8;
    cr_assert(fv_cost_predict(&c, &none, &rates, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_L1);
    cr_assert_float_eq(p.seconds, 8e8 / 200e9 + 1e-6, 1e-12, "loads and stores run side by side");
    c.scalars_loaded = 1e8;
    cr_assert(fv_cost_predict(&c, &none, &rates, 1, start, &p));
    cr_assert_float_eq(p.seconds, 4e8 / 200e9 + 1e8 / 10e9 + 1e-6, 1e-12, "a scalar takes a load of its own");
    c.scalars_loaded = 0;
    c.stalls = 1e8;
    cr_assert(fv_cost_predict(&c, &none, &rates, 1, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_LATENCY);
    cr_assert_float_eq(p.seconds, 8e8 / 200e9 + 0.1 + 1e-6, 1e-9);
}
Test(cost, tiny_kernels_are_bound_by_their_start) {
    fv_prediction p;
    fv_counts c = {.products = 1e3, .filled_products = 1e3, .programs = 8};
    cr_assert(fv_cost_predict(&c, &none, &rates, 8, start, &p));
    cr_assert_eq(p.bound, FV_BOUND_LAUNCH);
    cr_assert_float_eq(p.seconds, 2e3 / 100e9 + 1e-6, 1e-12, "no slower than on one thread");
    cr_assert_float_eq(p.without, 2e3 / 100e9, 1e-12);
    fv_start here = fv_cost_start(2);
    cr_assert(here.alone > 0 && here.together >= here.alone);
}
Test(cost, predicts_nothing_from_unknown_rates) {
    fv_prediction p;
    fv_counts c = {.products = 1e6, .tiles = 1e6, .programs = 1};
    cr_assert_not(fv_cost_predict(&c, &none, &rates, 1, start, &p), "no rate of a matrix unit");
    c.tiles = 0;
    c.pairs = 1e6;
    cr_assert(fv_cost_predict(&c, &none, &rates, 1, (fv_start){0}, &p));
    cr_assert_float_eq(p.seconds, 2e6 / 200e9, 1e-15);
}
