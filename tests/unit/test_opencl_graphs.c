/* Random graphs on an OpenCL device, in all shapes, against the reference. Each graph compiles its kernels anew, which
 * takes seconds, so there are few, small ones; ./x fuzz runs more. Every graph runs in a process of its own; this one
 * never loads a driver. */
#include "tests/fuzz/graph_case.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void agree_on(const char *variants, const int *seeds, int n) {
    fv_buf why = {0};
    if (!fv_graph_case_runs(variants, &why)) {
        fprintf(stderr, "SKIPPED: no OpenCL device: %s\n", why.text ? why.text : "");
        cr_skip_test("no OpenCL device");
    }
    fv_buf_dispose(&why);
    int agree = 0;
    for (int i = 0; i < n; i++) {
        fv_graph_case c = {.seed = (uint64_t)seeds[i], .variants = variants};
        fv_buf report = {0};
        fv_diff_verdict v = fv_diff_isolated(fv_graph_case_run, &c, 240, &report);
        cr_expect(v != FV_DIFF_WRONG, "seed %d:\n%s", seeds[i], report.text ? report.text : "");
        agree += v == FV_DIFF_AGREES;
        fv_buf_dispose(&report);
    }
    cr_expect(agree == n, "%d of %d graphs ran", agree, n);
}
Test(opencl_graphs, random, .timeout = 500) {
    static const int seeds[] = {0, 1, 2, 3, 4, 5};
    agree_on("opencl", seeds, (int)(sizeof seeds / sizeof *seeds));
}
Test(opencl_graphs, random_fragments, .timeout = 500) {
    static const int seeds[] = {0, 2, 3, 6};
    agree_on("fragment", seeds, (int)(sizeof seeds / sizeof *seeds));
}
