/* Plans: group norm and split decode as prepare + two launches, executed; sharing; the arena on random plans. */
#include "golden.h"
#include "plan/plan.h"

#include <criterion/criterion.h>
#include <math.h>

typedef struct { fv_ctx *ctx; fv_plan *p; double *data[16]; } kit;

static uint32_t state = 1;
static double random_value(void) {
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / 8388608.0 - 1.0;
}

static kit open_plan(const char *file) {
    kit s = {.ctx = fv_ctx_new()};
    golden g;
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/plan/%s.ft", FOVEA_TESTS_DIR, file);
    cr_assert(golden_read(path, &g));
    s.p = fv_plan_parse(s.ctx, file, g.in);
    golden_free(&g);
    cr_assert(s.p, "%s", fv_diag_count(s.ctx) ? fv_diag_at(s.ctx, 0)->text : "");
    cr_assert_eq(fv_plan_verify(s.p), 0, "%s", fv_diag_count(s.ctx) ? fv_diag_at(s.ctx, 0)->text : "");
    for (int t = 0; t < s.p->n_tensors; t++) {
        fv_mem_kind kind = s.p->tensor[t]->kind;
        if (kind != FV_MEM_INPUT && kind != FV_MEM_OUTPUT && kind != FV_MEM_PARAM) continue;
        int64_t n = fv_plan_tensor_elements(s.p->tensor[t]);
        s.data[t] = malloc(sizeof(double) * (size_t)n);
        for (int64_t j = 0; j < n; j++) s.data[t][j] = kind == FV_MEM_OUTPUT ? (double)NAN : random_value();
    }
    return s;
}

static void close_plan(kit *s) {
    for (int t = 0; t < 16; t++) free(s->data[t]);
    fv_ctx_dispose(s->ctx);
}

static double *named(kit *s, const char *name) {
    for (int t = 0; t < s->p->n_tensors; t++)
        if (!strcmp(fv_cstr(s->ctx, s->p->tensor[t]->name), name)) return s->data[t];
    cr_assert_fail("no tensor %s", name);
    return NULL;
}

static double run(kit *s, bool f32, const double *got, const double *want, int64_t n) {
    fv_interp_options o = {.f32 = f32, .check_poison = true};
    double e = 0, m = 0;
    cr_assert(fv_plan_interpret(s->p, s->data, &o), "%s", fv_diag_count(s->ctx) ? fv_diag_at(s->ctx, 0)->text : "");
    for (int64_t j = 0; j < n; j++) {
        double d = fabs(got[j] - want[j]);
        if (!(d <= e)) e = isnan(d) ? (double)INFINITY : d;
        if (fabs(want[j]) > m) m = fabs(want[j]);
    }
    return e / m;
}

Test(plan, group_norm) {
    kit s = open_plan("group_norm");
    double *x = named(&s, "x"), *w = named(&s, "norm.weight"), *b = named(&s, "norm.bias"), *y = named(&s, "y"),
        want[2 * 12 * 111];
    for (int g = 0; g < 6; g++) {
        double mean = 0, var = 0;
        for (int i = 0; i < 444; i++) mean += x[g * 444 + i] / 444;
        for (int i = 0; i < 444; i++) var += pow(x[g * 444 + i] - mean, 2) / 444;
        for (int i = 0; i < 444; i++) {
            int c = g % 3 * 4 + i / 111;
            want[g * 444 + i] = (x[g * 444 + i] - mean) / sqrt(var + 1e-5) * w[c] * 1.5 + b[c];
        }
    }
    double e64 = run(&s, false, y, want, 2 * 12 * 111), e32 = run(&s, true, y, want, 2 * 12 * 111);
    cr_expect(e64 < 1e-12 && e32 < 1e-5, "errors %g, %g", e64, e32);
    close_plan(&s);
}

Test(plan, split_decode) {
    kit s = open_plan("split_decode");
    double *q = named(&s, "q"), *k = named(&s, "cache.k"), *v = named(&s, "cache.v"), *o = named(&s, "o"),
        want[2 * 10 * 24] = {0};
    for (int r = 0; r < 20; r++) {                      /* b, head */
        double p[90], m = -(double)INFINITY, l = 0;
        const double *kk = k + r / 5 * 90 * 24, *vv = v + r / 5 * 90 * 24;
        for (int j = 0; j < 90; j++) {
            p[j] = 0;
            for (int d = 0; d < 24; d++) p[j] += 0.4 * q[r * 24 + d] * kk[j * 24 + d];
            m = fmax(m, p[j]);
        }
        for (int j = 0; j < 90; j++) l += p[j] = exp2(p[j] - m);
        for (int j = 0; j < 90; j++)
            for (int d = 0; d < 24; d++) want[r * 24 + d] += p[j] / l * vv[j * 24 + d];
    }
    double e64 = run(&s, false, o, want, 480), e32 = run(&s, true, o, want, 480);
    cr_expect(e64 < 1e-12 && e32 < 1e-5, "errors %g, %g", e64, e32);
    close_plan(&s);
}

/* -- Sharing ------------------------------------------------------------------------------------------------------- */
#define KERNEL(name, in, out, number, label) \
    "kernel " name " { in " in " : f32[r=10] out " out " : f32[r=10] grid r:4<10 { " \
    label ": " out "[r] = " in "[r] + " number " } }\n"
#define TENSORS \
    "input x : f32[r=10] output y : f32[r=10] " \
    "scratch s : f32[r=10] scratch t : f32[r=10] scratch u : f32[r=10] "

static int codes(const char *kernels, const char *launches, int *code) {
    fv_ctx *c = fv_ctx_new();
    char text[2000];
    snprintf(text, sizeof text, "plan { " TENSORS " prepare { } run { %s } }\n%s", launches, kernels);
    fv_plan *p = fv_plan_parse(c, "t", text);
    cr_assert(p, "%s", fv_diag_count(c) ? fv_diag_at(c, 0)->text : "");
    cr_assert_eq(fv_plan_verify(p), 0, "%s", fv_diag_count(c) ? fv_diag_at(c, 0)->text : "");
    int n = fv_plan_share(p);
    for (int j = 0; j < p->n_launches[1]; j++) code[j] = p->launch[1][j]->code;
    fv_ctx_dispose(c);
    return n;
}

Test(plan, equal_kernels_share_code) {
    int code[4];
    const char *two = KERNEL("a", "X", "O", "1.0", "ot") KERNEL("b", "Q", "R", "1.0", "ot");
    cr_expect_eq(codes(two, "launch a(x, s) launch b(s, y)", code), 1, "names of kernels and tensors change nothing");
    cr_expect_eq(codes(two, "launch a(x, s) schedule \"map lane=r\" launch b(s, y)", code), 2, "schedules count");
    cr_expect_eq(codes(two,
                       "launch a(x, s) schedule \"map place.X=direct\" launch b(s, y) schedule \"map place.Q=direct\"",
                           code), 1);
    cr_expect_eq(codes(two,
                       "launch a(x, s) schedule \"map place.X=direct\" launch b(s, y) schedule \"map place.R=direct\"",
                           code), 2);
    cr_expect_eq(codes(KERNEL("a", "X", "O", "1.0", "ot") KERNEL("b", "X", "O", "2.0", "ot"),
                       "launch a(x, s) launch b(s, t) launch a(t, u) launch b(u, y)", code), 2);
    cr_expect(code[0] == 0 && code[1] == 1 && code[2] == 0 && code[3] == 1);
    cr_expect_eq(codes(KERNEL("a", "X", "O", "1.0", "ot") KERNEL("b", "X", "O", "1.0", "op"),
                       "launch a(x, s) launch b(s, y)", code), 2,
                 "schedules name labels");
}

Test(plan, repeated_names_are_told_apart) {
    fv_ctx *c = fv_ctx_new();
    fv_plan *p = fv_plan_new(c);
    fv_plan_tensor t = {.name = fv_intern(c, "tmp"), .kind = FV_MEM_SCRATCH, .type = FV_F32, .rank = 1, .extent = {10}};
    fv_plan_tensor_dense(&t);
    fv_plan_add_tensor(p, &t);
    fv_plan_add_tensor(p, &t);
    t.name = fv_intern(c, "blocks/0:out");
    t.kind = FV_MEM_PARAM;
    fv_plan_add_tensor(p, &t);
    t.type = FV_BF16;
    t.rank = 0;
    t.name = fv_intern(c, "");
    cr_expect_eq(p->tensor[fv_plan_add_tensor(p, &t)]->bytes, 2);
    fv_buf a = {0}, b = {0};
    fv_plan_print(p, &a, true);
    fv_plan *q = fv_plan_parse(c, "t", a.text);
    cr_assert(q, "%s\n%s", fv_diag_count(c) ? fv_diag_at(c, 0)->text : "", a.text);
    fv_plan_print(q, &b, true);
    cr_expect_str_eq(a.text, b.text);
    fv_buf_dispose(&a);
    fv_buf_dispose(&b);
    fv_ctx_dispose(c);
}

/* -- Arena --------------------------------------------------------------------------------------------------------- */
/* A chain of launches over random scratch tensors; lifetimes are recomputed here in the plain way. */
Test(plan, arena_never_overlaps_what_lives_together) {
    for (int trial = 0; trial < 200; trial++) {
        fv_ctx *c = fv_ctx_new();
        fv_plan *p = fv_plan_new(c);
        fv_kernel *k = fv_kernel_parse(c, "t",
                                       "kernel k { in X : f32[r=1] in Y : f32[r=1] out O : f32[r=1] grid r<1 { o: "
                                       "O[r] = X[r] + Y[r] } }");
        enum { TENSORS_MAX = 24, LAUNCHES = 40 };
        int n = 2 + (int)((random_value() + 1) * 11), first[TENSORS_MAX], last[TENSORS_MAX], prepared =
            (int)((random_value() + 1) * 4);
        int64_t sum = 0, live_most = 0;
        for (int j = 0; j < n; j++) {
            fv_plan_tensor t = {.kind = j % 5 == 4 ? FV_MEM_PREPARED : FV_MEM_SCRATCH, .type = j % 2 ? FV_F32 : FV_F16,
                                .rank = 1};
            t.extent[0] = 1 + (int64_t)((random_value() + 1) * 300);
            fv_plan_tensor_dense(&t);
            fv_plan_add_tensor(p, &t);
            first[j] = LAUNCHES;
            last[j] = -1;
        }
        for (int i = 0; i < LAUNCHES; i++) {
            int arg[3];
            fv_launch l = {.kernel = k, .n_args = 3, .arg = arg};
            for (int a = 0; a < 3; a++) {
                arg[a] = (int)((random_value() + 1) * 0.4999 * n + i * n / LAUNCHES * 0.5) % n;
                if (i < first[arg[a]]) first[arg[a]] = i;
                if (i > last[arg[a]]) last[arg[a]] = i;
            }
            fv_plan_add_launch(p, i >= prepared, &l);
        }
        fv_plan_arena(p);
        for (int j = 0; j < n; j++) {
            const fv_plan_tensor *t = p->tensor[j];
            int64_t end = t->offset + t->bytes + FOVEA_GUARD_BYTES;
            bool crosses = first[j] < prepared && last[j] >= prepared;
            cr_expect_eq(t->offset % 64, 0);
            cr_expect_leq(end, t->kind == FV_MEM_PREPARED ? p->prepared_bytes : p->arena_bytes);
            sum += t->kind == FV_MEM_SCRATCH ? end - t->offset + 63 : 0;
            for (int i = 0; i < j; i++) {
                const fv_plan_tensor *u = p->tensor[i];
                bool both_run = crosses && last[i] >= prepared, other = first[i] < prepared && last[i] >= prepared &&
                    last[j] >= prepared;
                bool together = t->kind == u->kind && (t->kind == FV_MEM_PREPARED || both_run || other ||
                                                       (first[i] <= last[j] && first[j] <= last[i]));
                bool apart = end <= u->offset || u->offset + u->bytes + FOVEA_GUARD_BYTES <= t->offset;
                cr_expect(!together || apart, "tensors %d and %d overlap", i, j);
            }
        }
        for (int i = 0; i < LAUNCHES; i++) {
            int64_t live = 0;
            for (int j = 0; j < n; j++)
                if (p->tensor[j]->kind == FV_MEM_SCRATCH && first[j] <= i && last[j] >= i) live += p->tensor[j]->bytes;
            if (live > live_most) live_most = live;
        }
        cr_expect(p->arena_bytes <= sum && p->arena_bytes >= live_most);
        fv_ctx_dispose(c);
    }
}

Test(plan, scratch_is_reused) {
    fv_ctx *c = fv_ctx_new();
    fv_plan *p = fv_plan_parse(c, "t",
                               "plan { " TENSORS " prepare { } run { launch a(x, s) launch a(s, t) launch a(t, u) "
                                                 "launch a(u, y) } }\n"
                                       KERNEL("a", "X", "O", "1.0", "ot"));
    cr_assert(p);
    fv_plan_arena(p);
    cr_expect_eq(p->arena_bytes, 2 * 128, "s and u can lie in one place: %lld bytes", (long long)p->arena_bytes);
    fv_ctx_dispose(c);
}
