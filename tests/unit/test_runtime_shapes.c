/* Runs of several programs: every batch of every range is made up of them, each element once, in order; bounds. */
#include "runtime/shapes.h"

#include <criterion/criterion.h>
#include <string.h>

/* Programs for 8, 4, 2, 1 elements at sizes 32 and 48, as a library has them. */
static int64_t sizes[] = {32, 48}, at[16];
static fovea_bounds extents[] = {{"b", 1, 100, NULL, 0}, {"h", 32, 48, sizes, 2}};
static fovea_program programs[8];
static fovea_shapes make(int64_t least, int64_t most) {
    extents[0].least = least;
    extents[0].most = most;
    for (int i = 0; i < 8; i++) {
        at[2 * i] = 8 >> i % 4;
        at[2 * i + 1] = sizes[1 - i / 4];
    }
    return (fovea_shapes){"b=1..100,h=32/48", extents, programs, at, 2, 8};
}
Test(runtime_shapes, every_batch_is_made_up) {
    for (int64_t least = 1; least <= 20; least++)
        for (int64_t batch = least; batch <= 40; batch++)
            for (int k = 0; k < 2; k++) {
                fovea_shapes s = make(least, 40);
                int64_t e[] = {batch, sizes[k]}, done = 0, count, before = INT64_MAX;
                cr_assert_eq(fovea_extents_check(&s, e, NULL), FOVEA_OK);
                for (int32_t p; (p = fovea_next_part(&s, e, done, &count)) >= 0; done += count) {
                    cr_assert(at[2 * p] == count && at[2 * p + 1] == sizes[k] && count <= before);
                    cr_assert(fovea_part_within(&s, e, p), "batch %d uses a program that it has no memory for",
                              (int)batch);
                    before = count;
                }
                cr_assert_eq(done, batch);
            }
}
Test(runtime_shapes, bounds_are_named) {
    fovea_shapes s = make(3, 7);
    fovea_error e;
    int64_t cases[][2] = {{2, 32}, {8, 32}, {0, 32}, {-1, 32}, {3, 40}, {3, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(fovea_extents_check(&s, cases[i], &e), FOVEA_E_SHAPE, "case %zu", i);
        cr_expect(strstr(e.text, s.bounds), "%s", e.text);
    }
    int64_t most[2];
    fovea_extents_most(&s, most);
    cr_expect(most[0] == 7 && most[1] == 48);
}
/* Without a range there is one part. Sizes that were not built together are refused. */
Test(runtime_shapes, sizes_alone) {
    int64_t w[] = {10, 20}, own[] = {32, 10, 48, 20};
    fovea_bounds two[] = {{"h", 32, 48, sizes, 2}, {"w", 10, 20, w, 2}};
    fovea_shapes s = {"h=32/48,w=10/20", two, programs, own, 2, 2};
    int64_t e[] = {32, 10}, other[] = {32, 20}, count, most[2];
    cr_expect_eq(fovea_range_extent(&s), -1);
    cr_expect_eq(fovea_next_part(&s, e, 0, &count), 0);
    cr_expect_eq(count, 1);
    cr_expect_eq(fovea_next_part(&s, e, 1, &count), -1);
    cr_expect_eq(fovea_extents_check(&s, e, NULL), FOVEA_OK);
    cr_expect_eq(fovea_extents_check(&s, other, NULL), FOVEA_E_SHAPE);
    fovea_extents_most(&s, most);
    cr_expect(most[0] == 48 && most[1] == 20);
}
