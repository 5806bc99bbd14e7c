/* OpenCL: texts, and kernels and plans on a device, against the tile interpreter. Where there is no device the tests of
 * running print why and are skipped. */
#include "mma_kit.h"
#include "backends/opencl/opencl.h"
#include "backends/opencl/shape.h"

/* Skips the test; criterion counts it as skipped. */
static void need_device(void) {
    fv_buf why = { 0 };
    bool here = fv_opencl_available(&why);
    if (!here) {
        fprintf(stderr, "skipped: %s\n", why.text);
        cr_skip_test("no OpenCL device");
    }
    fv_buf_dispose(&why);
}

static double worst;
static int64_t room; /* bytes of local memory; 0: the device's */
static int with_far;
static void on_device(fv_ctx *ctx, fv_kernel *k, const char *file) {
    double *data[KIT_TENSORS], *want[KIT_TENSORS], *got[KIT_TENSORS];
    fv_opencl *d = fv_opencl_open(ctx);
    cr_assert(d, "%s", kit_error(ctx));
    fv_target t = *fv_opencl_target(d);
    if (room) t.l1_bytes = room;
    fv_flat_kernel *f = fv_flatten_opencl(k, NULL, &t);
    with_far += f && f->far_bytes > 0;
    cr_assert(f && fv_flat_verify(f) == 0, "%s: %s", file, kit_error(ctx));
    kit_fill(k, data);
    kit_copy(k, data, got);
    kit_expect(ctx, k, file, data, want);
    cr_assert(fv_opencl_run_kernel(d, f, got), "%s: %s", file, kit_error(ctx));
    double e = kit_difference(k, want, got);
    if (e > worst) worst = e;
    if (getenv("FOVEA_TEST_VERBOSE")) cr_log_warn("%-24s %-16s %.1e", file, fv_cstr(ctx, k->name), e);
    cr_expect(e <= 5e-6, "%s, %s: difference %.3g on %s", file, fv_cstr(ctx, k->name), e, fv_opencl_name(d));
    fv_opencl_close(d);
    kit_free(k, data);
    kit_free(k, want);
    kit_free(k, got);
}
Test(opencl, extras) {
    need_device();
    kit_extras(on_device);
}

Test(opencl, goldens, .timeout = 300) {
    need_device();
    kit_shapes(on_device);
    cr_log_info("greatest relative difference %.2g", worst);
}

/* More programs than blocks of far memory: they take turns. */
Test(opencl, far, .timeout = 300) {
    static const char turns[] = "kernel turns { in X : f32[r=1300, n=90]  out O : f32[r=1300, n=90]  axis n:90  grid "
                                "r:2<1300 {\n  ld: x[r,n] = X[r,n]*2.0  su: s[n] =sum x[r,n] over r  ot: O[r,n] = x[r,89-n] + s[n] } }\n";
    need_device();
    room = 500;
    fv_ctx *ctx = fv_ctx_new();
    fv_kernel *k = fv_kernel_parse(ctx, "turns", turns);
    cr_assert(k && !fv_kernel_verify(k), "%s", kit_error(ctx));
    on_device(ctx, k, "turns");
    cr_expect(with_far == 1, "the kernel fits %lld bytes", (long long)room);
    fv_ctx_dispose(ctx);
}

/* -- Matrix units ---------------------------------------------------------------------------------------------- */
Test(opencl, products, .timeout = 120) {
    need_device();
    for (int i = 0; i < MMA_CASES; i++) {
        double *data[KIT_TENSORS], *want[KIT_TENSORS], *got[KIT_TENSORS];
        fv_ctx *ctx = fv_ctx_new();
        fv_opencl *d = fv_opencl_open(ctx);
        fv_kernel *k = fv_kernel_parse(ctx, "case", mma_cases[i].text);
        fv_target t = mma_target("emu");
        fv_flat_kernel *f = k ? fv_flatten_opencl(k, NULL, &t) : NULL;
        cr_assert(d && f, "%s", kit_error(ctx));
        mma_fill(k, data);
        kit_copy(k, data, got);
        kit_expect(ctx, k, "case", data, want);
        cr_assert(fv_opencl_run_kernel(d, f, got), "%s: %s", fv_cstr(ctx, k->name), kit_error(ctx));
        double e = kit_difference(k, want, got);
        cr_expect(e <= mma_allowed(&mma_cases[i]), "%s: difference %.3g", fv_cstr(ctx, k->name), e);
        fv_opencl_close(d);
        kit_free(k, data);
        kit_free(k, want);
        kit_free(k, got);
        fv_ctx_dispose(ctx);
    }
}

/* -- Plans ------------------------------------------------------------------------------------- */
/* Prepare and run, kernel by kernel, on a device. */
static bool run_launches(fv_ctx *ctx, const fv_plan *p, double **given) {
    double **all = calloc((size_t)p->n_tensors, sizeof *all);
    fv_opencl *d = fv_opencl_open(ctx);
    bool ok = d != NULL;
    for (int i = 0; i < p->n_tensors; i++) {
        const fv_plan_tensor *t = p->tensor[i];
        all[i] = given[i] ? given[i] : calloc((size_t)fv_plan_tensor_elements(t) + 1, sizeof(double));
        if (t->kind == FV_MEM_CONST && t->data) fv_plan_lay_const(t, all[i]);
    }
    for (int which = 0; which < 2; which++)
        for (int i = 0; ok && i < p->n_launches[which]; i++) {
            const fv_launch *l = p->launch[which][i];
            fv_flat_kernel *k = fv_opencl_flatten(l->kernel, l->schedule, fv_opencl_target(d));
            double *data[KIT_TENSORS];
            for (int j = 0; j < l->n_args; j++) data[j] = all[l->arg[j]];
            ok = k && !fv_flat_verify(k) && fv_opencl_run_kernel(d, k, data);
        }
    for (int i = 0; i < p->n_tensors; i++)
        if (!given[i]) free(all[i]);
    free(all);
    fv_opencl_close(d);
    return ok;
}
static void run_plan(const char *path) {
    golden g;
    cr_assert(golden_read(path, &g), "%s", path);
    fv_ctx *ctx = fv_ctx_new();
    fv_interp_options o = { .f32 = true, .check_poison = true };
    fv_plan *p = fv_plan_parse(ctx, path, g.in);
    cr_assert(p && fv_plan_verify(p) == 0, "%s: %s", path, kit_error(ctx));
    double **a = calloc((size_t)p->n_tensors, sizeof *a), **b = calloc((size_t)p->n_tensors, sizeof *b);
    for (int i = 0; i < p->n_tensors; i++) {
        const fv_plan_tensor *t = p->tensor[i];
        int64_t n = fv_plan_tensor_elements(t);
        if (t->kind != FV_MEM_INPUT && t->kind != FV_MEM_PARAM && t->kind != FV_MEM_OUTPUT) continue;
        a[i] = calloc((size_t)n + 1, sizeof(double));
        b[i] = calloc((size_t)n + 1, sizeof(double));
        for (int64_t j = 0; j < n; j++)
            a[i][j] = b[i][j] = t->kind == FV_MEM_OUTPUT ? (double)NAN : t->type == FV_I32
                ? (double)kit_below(t->index_bound ? t->index_bound : 9) : kit_random();
    }
    cr_assert(fv_plan_interpret(p, a, &o), "%s: %s", path, kit_error(ctx));
    cr_assert(run_launches(ctx, p, b), "%s: %s", path, kit_error(ctx));
    for (int i = 0; i < p->n_tensors; i++) {
        if (p->tensor[i]->kind != FV_MEM_OUTPUT) continue;
        double e = 0, m = 1e-30;
        for (int64_t j = 0; j < fv_plan_tensor_elements(p->tensor[i]); j++) {
            double d = fabs(a[i][j] - b[i][j]);
            if (!(d <= e)) e = d != d ? (double)INFINITY : d;
            m = fabs(a[i][j]) > m ? fabs(a[i][j]) : m;
        }
        cr_expect(e / m <= 5e-6, "%s, %s: difference %.3g", path, fv_cstr(ctx, p->tensor[i]->name), e / m);
    }
    for (int i = 0; i < p->n_tensors; i++) free(a[i]), free(b[i]);
    free(a);
    free(b);
    golden_free(&g);
    fv_ctx_dispose(ctx);
}
Test(opencl, plans) {
    struct dirent **entry = NULL;
    char dir[1024], path[2048];
    int seen = 0;
    need_device();
    snprintf(dir, sizeof dir, "%s/golden/plan", FOVEA_TESTS_DIR);
    int n = scandir(dir, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name);
        if (strlen(path) > 3 && !strcmp(path + strlen(path) - 3, ".ft")) run_plan(path), seen++;
        free(entry[i]);
    }
    free(entry);
    cr_expect(seen > 0, "no plan in %s", dir);
}

/* -- Text and errors --------------------------------------------------------------------------- */
static char *text_of(fv_ctx *ctx, const char *kernel, bool lines) {
    fv_buf b = { 0 };
    fv_kernel *k = fv_kernel_parse(ctx, "a\"b.lua", kernel);
    cr_assert(k, "%s", kit_error(ctx));
    fv_flat_kernel *f = fv_flatten_opencl(k, NULL, NULL);
    cr_assert(f && fv_flat_verify(f) == 0, "%s", kit_error(ctx));
    cr_assert(fv_opencl_print(f, lines, &b), "%s", kit_error(ctx));
    return b.text;
}
/* Names that are words of C, of OpenCL and of its built-in functions. */
static const char hostile[] = "kernel float { in int : f32[half=8, local=5]  out barrier : f32[half=8]  axis global:5\n"
                              " grid get_global_id:4<8 { exp: double[get_global_id] =sum int[get_global_id, global] "
                              "over global\n"
                              "  min: barrier[get_global_id] = double[get_global_id] * 2.0 } }\n";
Test(opencl, text) {
    fv_ctx *ctx = fv_ctx_new();
    char *plain = text_of(ctx, hostile, false), *lines = text_of(ctx, hostile, true);
    cr_expect(strstr(plain, "__kernel __attribute__((reqd_work_group_size(4, 1, 1)))"), "%s", plain);
    cr_expect(strstr(plain, "fovea_float") && strstr(plain, "__global const float *int_") && strstr(plain, "/* exp */"),
              "%s", plain);
    cr_expect(!strstr(plain, "#line"));
    cr_expect(strstr(lines, "#line 2 \"a\\\"b.lua\"\n") && strstr(lines, "#line 3 "), "%s", lines);
    free(plain);
    free(lines);
    fv_ctx_dispose(ctx);
}
Test(opencl, hostile_names_build) {
    need_device();
    fv_ctx *ctx = fv_ctx_new();
    fv_kernel *k = fv_kernel_parse(ctx, "hostile", hostile);
    on_device(ctx, k, "hostile");
    fv_ctx_dispose(ctx);
}
Test(opencl, refuses_vectors) {
    fv_ctx *ctx = fv_ctx_new();
    fv_buf b = { 0 };
    fv_flat_kernel *k = fv_flat_parse(ctx, "v",
                                      "flat v { programs 1 group 1 tensor X inout f32 [n 8*1] for group 0 g = 0 to 1 "
                                      "{ for item t = 0 to 1 {"
                                                " store<8> X[0] = load<8> X[0] } } }");
    cr_assert(k && fv_flat_verify(k) == 0);
    cr_expect(!fv_opencl_print(k, false, &b));
    cr_expect(strstr(kit_error(ctx), "a vector of 8 lanes"), "%s", kit_error(ctx));
    fv_buf_dispose(&b);
    fv_ctx_dispose(ctx);
}
/* Equal texts are compiled once. */
Test(opencl, programs_are_kept) {
    need_device();
    fv_ctx *ctx = fv_ctx_new();
    double x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, y[8], *data[] = { x, y };
    fv_opencl *d = fv_opencl_open(ctx);
    cr_assert(d, "%s", kit_error(ctx));
    for (int i = 0; i < 3; i++) {
        fv_kernel *k = fv_kernel_parse(ctx, "twice", i < 2
                                       ? "kernel a { in X : f32[n=8] out Y : f32[n=8] grid n:4<8 { s: Y[n] = "
                                         "X[n]*2.0 } }"
                                                           : "kernel a { in X : f32[n=8] out Y : f32[n=8] grid n:4<8 "
                                                            "{ s: Y[n] = X[n]*3.0 } }");
        fv_flat_kernel *f = fv_flatten_opencl(k, NULL, fv_opencl_target(d));
        cr_assert(f && fv_opencl_run_kernel(d, f, data), "%s", kit_error(ctx));
        for (int j = 0; j < 8; j++) cr_expect(y[j] == x[j] * (i < 2 ? 2 : 3));
        cr_expect(fv_opencl_builds(d) == (i < 2 ? 1 : 2));
    }
    fv_opencl_close(d);
    fv_ctx_dispose(ctx);
}
Test(opencl, device_that_is_not_there) {
    fv_ctx *ctx = fv_ctx_new();
    setenv("FOVEA_OPENCL_DEVICE", "no such device", 1);
    cr_expect(!fv_opencl_open(ctx));
    cr_expect(strstr(kit_error(ctx), "OpenCL: "), "%s", kit_error(ctx));
    unsetenv("FOVEA_OPENCL_DEVICE");
    fv_ctx_dispose(ctx);
}
/* More items than the device has: said with both numbers, before anything is enqueued. */
Test(opencl, too_large_a_group) {
    need_device();
    fv_ctx *ctx = fv_ctx_new();
    fv_opencl *d = fv_opencl_open(ctx);
    double x[8] = { 0 }, *data[] = { x };
    fv_flat_kernel *k = fv_flat_parse(ctx, "v",
                                      "flat v { programs 1 group 100000000 tensor X out f32 [n 8*1] for group 0 g = "
                                      "0 to 1 {"
                                                " for item t = 0 to 100000000 { if t < 8 { store X[t] = 1.0 } } } }");
    cr_assert(d && k && fv_flat_verify(k) == 0);
    cr_expect(!fv_opencl_run_kernel(d, k, data), "it ran");
    cr_expect(fv_error_count(ctx) > 0);
    fv_opencl_close(d);
    fv_ctx_dispose(ctx);
}

/* The same for local memory. */
Test(opencl, too_much_local_memory) {
    need_device();
    fv_ctx *ctx = fv_ctx_new();
    fv_opencl *d = fv_opencl_open(ctx);
    double x[8] = { 0 }, *data[] = { x };
    fv_flat_kernel *k = fv_flat_parse(ctx, "v", "flat v { programs 1 scratch 268435456 group 8 tensor X out f32 [n 8*1]"
                                                " for group 0 g = 0 to 1 { alloc l local f32[67108864] at 0"
                                                " for item t = 0 to 8 { store l[t] = 1.0 store X[t] = load l[t] } } }");
    cr_assert(d && k && fv_flat_verify(k) == 0);
    cr_expect(!fv_opencl_run_kernel(d, k, data), "it ran");
    cr_expect(strstr(kit_error(ctx), "bytes of local memory") || strstr(kit_error(ctx), "OpenCL"), "%s",
              kit_error(ctx));
    fv_opencl_close(d);
    fv_ctx_dispose(ctx);
}

/* -- As a backend ------------------------------------------------------------------------------ */
Test(opencl, backend) {
    fv_ctx *ctx = fv_ctx_new();
    golden g;
    char path[1024];
    fv_buf flat = { 0 }, text = { 0 }, none = { 0 };
    const fv_backend *b = &fv_backend_opencl;
    snprintf(path, sizeof path, "%s/golden/plan/group_norm.ft", FOVEA_TESTS_DIR);
    cr_assert(golden_read(path, &g), "%s", path);
    fv_plan *p = fv_plan_parse(ctx, path, g.in);
    cr_assert(p, "%s", kit_error(ctx));
    fv_compile_options o = { 0 };
    fv_module *m = b->compile(ctx, p, &o);
    cr_assert(m, "%s", kit_error(ctx));
    cr_expect(b->entry(m, 1, 0) == NULL && b->programs(m, 1, 0) > 0 && !b->object(m, "k", &none));
    cr_expect(b->text(m, 1, 0, "flat", &flat) && !strncmp(flat.text, "flat ", 5));
    cr_expect(b->text(m, 1, 0, "opencl", &text) && strstr(text.text, "__kernel"));
    cr_expect(!b->text(m, 1, 0, "llvm", &none) && !b->text(m, 1, 99, "opencl", &none));
    cr_expect(b->stats(m).compiled >= 2 && b->stats(m).code_bytes > 0);
    o.target = "toaster";
    cr_expect(!b->compile(ctx, p, &o) && strstr(kit_error(ctx), "toaster"), "%s", kit_error(ctx));
    b->dispose(m);
    fv_buf_dispose(&flat);
    fv_buf_dispose(&text);
    golden_free(&g);
    fv_ctx_dispose(ctx);
}

Test(opencl, packing) {
    static const double v[] = { 0, -0.0, 1, -1.5, 65504, 65520, 1e-8, 6e-8, 6.1e-5, 0.1, 1e30, 2049, 2051 };
    enum { N = sizeof v / sizeof v[0] };
    static const double half[] = { 0, -0.0, 1, -1.5, 65504, (double)INFINITY, 0, 0x1p-24, 0, 0.0999755859375,
            (double)INFINITY, 2048, 2052 };
    double back[N];
    unsigned char bytes[8 * N];
    fv_opencl_pack(FV_F16, v, N, bytes);
    fv_opencl_unpack(FV_F16, bytes, N, back);
    for (int i = 0; i < N; i++)
        if (i != 8) cr_expect(back[i] == half[i] && signbit(back[i]) == signbit(half[i]), "%g as f16 is %.17g", v[i],
                              back[i]);
    cr_expect(fabs(back[8] - v[8]) <= 0x1p-25);
    fv_opencl_pack(FV_BF16, v, N, bytes);
    fv_opencl_unpack(FV_BF16, bytes, N, back);
    cr_expect(back[3] == -1.5 && back[9] == 0.10009765625 && back[11] == 2048 && fabs(back[10] / 1e30 - 1) < 0.004);
    for (fv_type t = FV_BOOL; t <= FV_F64; t++) {
        double w[] = { 1, 0, 1 };
        fv_opencl_pack(t, w, 3, bytes);
        fv_opencl_unpack(t, bytes, 3, back);
        cr_expect(back[0] == 1 && back[1] == 0 && back[2] == 1);
    }
}
