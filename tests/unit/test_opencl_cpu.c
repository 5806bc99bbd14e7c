/* OpenCL's CPU shape: flat kernels of vectors, printed and run on a device that is a CPU, against the tile interpreter;
 * with vectors of 16, 8 and 4 lanes on one device, since the text does not depend on what it runs on. Without such a
 * device the tests of running are skipped. */
#include "flat_kit.h"
#include "backends/opencl/shape.h"

static fv_opencl *device(fv_ctx *ctx) {
    fv_buf why = {0};
    fv_opencl *d = fv_opencl_available(&why) ? fv_opencl_open(ctx) : NULL;
    if (!d || !fv_opencl_native_width(d)) {
        fprintf(stderr, "SKIPPED: no OpenCL device that is a CPU: %s\n", why.text);
        fv_opencl_close(d);
        cr_skip_test("no OpenCL device that is a CPU");
    }
    fv_buf_dispose(&why);
    return d;
}

static int lanes; /* 0: the device's */
static int ran;
static void on_cpu(fv_ctx *ctx, fv_kernel *k, const char *file) {
    double *data[KIT_TENSORS], *want[KIT_TENSORS], *got[KIT_TENSORS];
    fv_opencl *d = device(ctx);
    const fv_target *t = fv_opencl_cpu_target(lanes ? lanes : fv_opencl_native_width(d));
    fv_flat_kernel *f = fv_flatten_cpu(k, NULL, t);
    cr_assert(f, "%s: %s", file, kit_error(ctx));
    fv_flat_expand_math(f, t);
    cr_assert(fv_flat_verify(f) == 0, "%s: %s", file, kit_error(ctx));
    kit_fill(k, data);
    kit_copy(k, data, got);
    kit_expect(ctx, k, file, data, want);
    cr_assert(fv_opencl_run_kernel(d, f, got), "%s: %s: %s", file, fv_diag_at(ctx, 0)->text, kit_error(ctx));
    double e = kit_difference(k, want, got);
    if (getenv("FOVEA_TEST_VERBOSE")) cr_log_warn("%-24s %-16s %.1e", file, fv_cstr(ctx, k->name), e);
    cr_expect(e <= 5e-6, "%s, %s, %d lanes: difference %.3g", file, fv_cstr(ctx, k->name), t->lanes, e);
    ran++;
    fv_opencl_close(d);
    kit_free(k, data);
    kit_free(k, want);
    kit_free(k, got);
}
Test(opencl_cpu, goldens, .timeout = 300) { kit_shapes(on_cpu); }
Test(opencl_cpu, extras, .timeout = 300) { kit_extras(on_cpu); }
Test(opencl_cpu, extras_8, .timeout = 300) {
    lanes = 8;
    kit_extras(on_cpu);
}
Test(opencl_cpu, extras_4, .timeout = 300) {
    lanes = 4;
    kit_extras(on_cpu);
}

/* Scratch that fits neither a stack nor local memory. */
Test(opencl_cpu, far) {
    fv_ctx *ctx = fv_ctx_new();
    fv_opencl *d = device(ctx);
    fv_kernel *k = fv_kernel_parse(ctx, "wide",
                                   "kernel wide { in X : f32[g=3, n=70001]  out O : f32[g=3, n=70001]  axis n:70001  "
                                   "grid g<3 {\n  ld: x[n] = X[g,n]*2.0  ot: O[g,n] = x[70000-n] + x[n] } }\n");
    const fv_target *t = fv_opencl_cpu_target(fv_opencl_native_width(d));
    double *data[KIT_TENSORS], *want[KIT_TENSORS], *got[KIT_TENSORS];
    cr_assert(k, "%s", kit_error(ctx));
    fv_flat_kernel *f = fv_opencl_flatten(k, fv_schedule_new(ctx, ""), t);
    cr_assert(f && !fv_flat_verify(f) && f->far_bytes > 280000 && !f->scratch_bytes, "%s", kit_error(ctx));
    kit_fill(k, data);
    kit_copy(k, data, got);
    kit_expect(ctx, k, "wide", data, want);
    cr_assert(fv_opencl_run_kernel(d, f, got), "%s", kit_error(ctx));
    cr_expect(kit_difference(k, want, got) <= 5e-6);
    fv_opencl_close(d);
    kit_free(k, data);
    kit_free(k, want);
    kit_free(k, got);
    fv_ctx_dispose(ctx);
}
