/* Fragments of a matrix unit: products of pairs flattened for AMX, against sums in double: by the interpreter of flat
 * kernels, by code that calls a simulated unit; and the instructions that code for the real one holds. */
#include "backends/llvm/llvm.h"
#include "kernel/flat.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AMX "x86_64-linux-gnu:+avx2,+fma,+f16c,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512bf16,+amx-tile,+amx-bf16"
enum { PANEL = 64 };
typedef struct {
    int m, k, n, taps, tile;
    bool onto, border;
} shape; /* taps: rows of X that a row of O sees; onto: +=; border: X has as many rows as O, others count as 0 */

static uint32_t state = 12345;
static int below(int n) {
    state = state * 1664525U + 1013904223U;
    return (int)((state >> 8) % (uint32_t)n);
}
static uint16_t bf16_noise(void) {
    float f = (float)(below(2001) - 1000) / 1000.0F;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return (uint16_t)(u >> 16);
}
static double wide(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return (double)f;
}
static int panels(const shape *s) { return (s->n + PANEL - 1) / PANEL; }

static int rows_of_x(const shape *s) { return s->border ? s->m : s->m + s->taps - 1; }
static int first_row(const shape *s) { return s->border ? s->taps / 2 : 0; }

static const char *mma = ""; /* a further entry of the schedule */
static fv_flat_kernel *flatten_or_not(fv_ctx *ctx, const shape *s, const fv_target *t) {
    char text[1200], where[120] = "";
    if (s->border)
        snprintf(where, sizeof where, " where 0 <= m + t - %d and m + t - %d < %d", first_row(s), first_row(s), s->m);
    snprintf(text, sizeof text,
             "kernel product {\n"
             "  in X : bf16[m=%d, c=%d] padded\n  in W : bf16[p=%d, t=%d, two=%d, lane=%d, pair=2] padded\n"
             "  out O : f32[m=%d, n=%d]\n  axis t:%d, two:%d, pair:2\n  grid n:%d<%d, m:%d<%d {\n    %s\n"
             "    mm: acc[m, n] %s X[m + t - %d, 2*two + pair]*W[n//%d, t, two, n %% %d, pair] over t, two, pair%s\n"
             "    st: O[m, n] = acc[m, n]*0.5\n  }\n}\n",
             rows_of_x(s), s->k, panels(s), s->taps, s->k / 2, PANEL, s->m, s->n, s->taps, s->k / 2, PANEL, s->n,
             s->tile, s->m, s->onto ? "alloc acc[m, n] = 3.0" : "", s->onto ? "+=" : "=sum", first_row(s), PANEL, PANEL,
             where);
    fv_kernel *k = fv_kernel_parse(ctx, "product", text);
    char wished[160];
    snprintf(wished, sizeof wished, "contract.block lane=n nest.mm=n~,m/4!,t,two,pair!%s", mma);
    fv_schedule *schedule = fv_schedule_parse(ctx, "product", wished);
    cr_assert(k && schedule, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "no text");
    return fv_flatten_cpu(k, schedule, t);
}
static fv_flat_kernel *flatten(fv_ctx *ctx, const shape *s, const fv_target *t) {
    fv_flat_kernel *f = flatten_or_not(ctx, s, t);
    cr_assert(f, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "refused");
    cr_assert_eq(fv_flat_verify(f), 0, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    return f;
}
static int fragments(const fv_flat *s, fv_frag_op op) {
    int n = 0;
    for (; s; s = s->next)
        n += (s->kind == FV_L_FRAG && s->frag == op) + fragments(s->body, op) + fragments(s->orelse, op);
    return n;
}

/* -- Data ------------------------------------------------------------------------------------------------------ */
typedef struct {
    int64_t nx, nw, no;
    uint16_t *x, *w;
    double *want, *bound;
} data;
static data data_of(const shape *s) {
    data d = {(int64_t)rows_of_x(s) * s->k,
              (int64_t)panels(s) * s->taps * s->k * PANEL,
              (int64_t)s->m * s->n,
              NULL,
              NULL,
              NULL,
              NULL};
    d.x = aligned_alloc(64, (size_t)(2 * d.nx + 127) / 64 * 64);
    d.w = aligned_alloc(64, (size_t)(2 * d.nw + 127) / 64 * 64);
    d.want = malloc(sizeof(double) * (size_t)d.no);
    d.bound = malloc(sizeof(double) * (size_t)d.no);
    for (int64_t i = 0; i < d.nx; i++) d.x[i] = bf16_noise();
    for (int64_t i = 0; i < d.nw; i++) d.w[i] = bf16_noise();
    for (int i = 0; i < s->m; i++)
        for (int j = 0; j < s->n; j++) {
            double sum = s->onto ? 3 : 0, all = sum;
            for (int t = 0; t < s->taps; t++) {
                int row = i + t - first_row(s);
                if (row < 0 || row >= rows_of_x(s)) continue;
                for (int k = 0; k < s->k; k++) {
                    int64_t at =
                        ((((int64_t)(j / PANEL) * s->taps + t) * (s->k / 2) + k / 2) * PANEL + j % PANEL) * 2 + k % 2;
                    double v = wide(d.x[(int64_t)row * s->k + k]) * wide(d.w[at]);
                    sum += v;
                    all += fabs(v);
                }
            }
            d.want[(int64_t)i * s->n + j] = 0.5 * sum;
            d.bound[(int64_t)i * s->n + j] = 0x1p-23 * (double)(s->k * s->taps) * all + 1e-7;
        }
    return d;
}
static void drop(data *d) { free(d->x), free(d->w), free(d->want), free(d->bound); }
static void compare(const shape *s, const data *d, double (*got)(const void *, int64_t), const void *o,
                    const char *how) {
    for (int64_t i = 0; i < d->no; i++) {
        double e = fabs(got(o, i) - d->want[i]);
        cr_assert(e <= d->bound[i], "%s, %d x %d x %d, taps %d: element %lld is %g, want %g", how, s->m, s->k, s->n,
                  s->taps, (long long)i, got(o, i), d->want[i]);
    }
}
static double of_double(const void *o, int64_t i) { return ((const double *)o)[i]; }
static double of_float(const void *o, int64_t i) { return (double)((const float *)o)[i]; }

static void interpret(const shape *s, const fv_flat_kernel *f, const data *d, const char *how) {
    double *t[3] = {malloc(sizeof(double) * (size_t)d->nx), malloc(sizeof(double) * (size_t)d->nw),
                    malloc(sizeof(double) * (size_t)d->no)};
    for (int64_t i = 0; i < d->nx; i++) t[0][i] = wide(d->x[i]);
    for (int64_t i = 0; i < d->nw; i++) t[1][i] = wide(d->w[i]);
    for (int64_t i = 0; i < d->no; i++) t[2][i] = (double)NAN;
    bool ok = fv_flat_interpret(f, t, 0, f->programs, 1);
    cr_assert(ok, "%s: %s", how, fv_error_count(f->ctx) ? fv_diag_at(f->ctx, 0)->text : "");
    compare(s, d, of_double, t[2], how);
    for (int i = 0; i < 3; i++) free(t[i]);
}
static bool execute(const shape *s, fv_flat_kernel *f, const data *d, const char *target) {
    fv_llvm_kernel *k = fv_llvm_kernel_new(f->ctx, f, target, true);
    if (!k) return false;
    float *o = aligned_alloc(64, (size_t)(4 * d->no + 127) / 64 * 64);
    void *scratch = aligned_alloc(64, (size_t)(f->scratch_bytes + 127) / 64 * 64), *args[3] = {d->x, d->w, o};
    for (int64_t i = 0; i < d->no; i++) o[i] = NAN;
    int64_t half = f->programs / 2;
    fv_llvm_kernel_entry(k)(args, 0, half, scratch);
    fv_llvm_kernel_entry(k)(args, half, f->programs, scratch);
    compare(s, d, of_float, o, target);
    free(o);
    free(scratch);
    fv_llvm_kernel_dispose(k);
    return true;
}

static const shape shapes[] = {
    {196, 96, 128, 1, 64, false, false}, {37, 32, 64, 1, 32, false, false}, {1, 64, 64, 1, 16, false, false},
    {17, 64, 100, 1, 32, true, false},   {49, 32, 5, 1, 49, false, false},  {31, 96, 65, 1, 16, true, false},
    {20, 32, 64, 3, 20, false, false},   {50, 64, 130, 3, 33, true, false}, {56, 64, 64, 3, 56, false, true},
    {20, 32, 40, 5, 20, true, true},
};
static void run(const shape *s) {
    fv_ctx *ctx = fv_ctx_new();
    data d = data_of(s);
    fv_flat_kernel *f = flatten(ctx, s, &fv_target_amx);
    int blocks = (s->tile + 15) / 16; /* rows that are added to are in one block, or in no two fragments */
    bool tiled = s->tile > 1 && (!s->onto || blocks <= 2 || (s->m % s->tile == 0 && s->tile % blocks == 0));
    cr_expect((fragments(f->body, FV_FRAG_DOT) > 0) == tiled, "%d x %d x %d: %d products of fragments", s->m, s->k,
              s->n, fragments(f->body, FV_FRAG_DOT));
    fv_buf text = {0}, again = {0};
    fv_flat_print(f, &text);
    fv_flat_kernel *parsed = fv_flat_parse(ctx, "printed", text.text);
    cr_assert(parsed, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    fv_flat_print(parsed, &again);
    cr_expect_str_eq(text.text, again.text);
    cr_expect_eq(fv_flat_verify(parsed), 0);
    fv_buf_dispose(&text);
    fv_buf_dispose(&again);
    interpret(s, f, &d, "fragments interpreted");
    interpret(s, flatten(ctx, s, &fv_target_avx512_bf16), &d, "pairs interpreted");
    interpret(s, flatten(ctx, s, &fv_target_avx512), &d, "f32 interpreted");
    if (!execute(s, f, &d, "amx-simulated")) cr_log_warn("SKIPPED: simulated tiles need a processor with AVX-512");
    drop(&d);
    fv_ctx_dispose(ctx);
}
Test(fragments, chosen_shapes) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) run(&shapes[i]);
}
Test(fragments, random_shapes) {
    for (int i = 0; i < 12; i++) {
        shape s = {.m = 2 + below(90),
                   .k = 32 * (1 + below(3)),
                   .n = 1 + below(150),
                   .taps = 1 + below(3),
                   .tile = 2 + below(60),
                   .onto = below(2),
                   .border = below(2)};
        if (s.tile > s.m) s.tile = s.m;
        run(&s);
    }
}

/* -- What the schedule says of fragments ------------------------------------------------------------------------- */
Test(fragments, blocks_of_the_schedule) {
    static const char *const blocks[] = {" mma.mm=m16n16k32,1,1", " mma.mm=m16n16k32,1,3", " mma.mm=m16n16k32,3,1",
                                         " mma.mm=m16n16k32,1,2", " mma.mm=m16n16k32"};
    static const shape some[] = {{100, 64, 128, 1, 50, false, false}, {49, 32, 70, 3, 49, false, true}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        for (int j = 0; j < 2; j++) {
            fv_ctx *ctx = fv_ctx_new();
            data d = data_of(&some[j]);
            mma = blocks[i];
            fv_flat_kernel *f = flatten(ctx, &some[j], &fv_target_amx);
            cr_expect_gt(fragments(f->body, FV_FRAG_DOT), 0, "%s", mma);
            interpret(&some[j], f, &d, mma);
            execute(&some[j], f, &d, "amx-simulated");
            mma = "";
            drop(&d);
            fv_ctx_dispose(ctx);
        }
}
Test(fragments, none_by_the_schedule) {
    fv_ctx *ctx = fv_ctx_new();
    const shape s = {100, 64, 128, 1, 50, false, false};
    data d = data_of(&s);
    mma = " mma.mm=none";
    fv_flat_kernel *f = flatten(ctx, &s, &fv_target_amx);
    cr_expect_eq(fragments(f->body, FV_FRAG_DOT), 0);
    interpret(&s, f, &d, "pairs by mma=none");
    mma = "";
    drop(&d);
    fv_ctx_dispose(ctx);
}
Test(fragments, refused_schedules_say_why) {
    static const struct {
        const char *mma, *says;
        int k;
        bool vectors;
    } wrong[] = {{" mma.mm=m16n8k16", "m16n8k16 is no fragment of", 64, false},
                 {" mma.mm=m16n16k32,2,3", "takes 11 registers of 8", 64, false},
                 {" mma.mm=m16n16k32", "which has no matrix unit", 64, true},
                 {" mma.mm=m16n16k32", "fills fragments", 48, false}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fv_ctx *ctx = fv_ctx_new();
        const shape s = {100, wrong[i].k, 128, 1, 50, false, false};
        mma = wrong[i].mma;
        fv_flat_kernel *f = flatten_or_not(ctx, &s, wrong[i].vectors ? &fv_target_avx512_bf16 : &fv_target_amx);
        cr_expect(!f && fv_error_count(ctx) && strstr(fv_diag_at(ctx, 0)->text, wrong[i].says), "%s: %s", mma,
                  fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "not refused");
        mma = "";
        fv_ctx_dispose(ctx);
    }
}

/* -- What does not fit takes the vectors ------------------------------------------------------------------------- */
Test(fragments, odd_strides_take_pairs_of_vectors) {
    static const shape odd[] = {{40, 16, 64, 1, 32, false, false}, {40, 48, 64, 1, 32, false, false}};
    for (size_t i = 0; i < 2; i++) {
        fv_ctx *ctx = fv_ctx_new();
        data d = data_of(&odd[i]);
        fv_flat_kernel *f = flatten(ctx, &odd[i], &fv_target_amx);
        cr_expect_eq(fragments(f->body, FV_FRAG_DOT), 0);
        interpret(&odd[i], f, &d, "pairs interpreted");
        drop(&d);
        fv_ctx_dispose(ctx);
    }
}
/* Rows without a tail are configured once, before the loop over programs. */
Test(fragments, one_configuration_serves_all_programs) {
    fv_ctx *ctx = fv_ctx_new();
    const shape whole = {128, 32, 128, 1, 64, false, false}, tail = {100, 32, 128, 1, 64, false, false};
    fv_flat_kernel *f = flatten(ctx, &whole, &fv_target_amx), *g = flatten(ctx, &tail, &fv_target_amx);
    cr_expect(f->body->kind == FV_L_FRAG && f->body->frag == FV_FRAG_CONFIG);
    cr_expect_eq(fragments(f->body, FV_FRAG_CONFIG), 1);
    cr_expect_eq(fragments(f->body, FV_FRAG_END), 1);
    cr_expect(g->body->kind == FV_L_FOR);
    cr_expect_eq(fragments(g->body, FV_FRAG_CONFIG), 1);
    fv_ctx_dispose(ctx);
}

static int count(const char *text, const char *word) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) n++;
    return n;
}
/* Code for the real unit holds just the instructions that the flat text says. */
Test(fragments, instructions) {
    fv_ctx *ctx = fv_ctx_new();
    const shape s = {100, 96, 128, 1, 64, false, false};
    fv_flat_kernel *f = flatten(ctx, &s, &fv_target_amx);
    fv_buf text = {0}, object = {0};
    bool ok = fv_llvm_kernel_text(ctx, f, AMX, "asm", &text) && fv_llvm_kernel_text(ctx, f, AMX, "object", &object);
    cr_assert(ok, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    cr_expect_eq(count(text.text, "\ttdpbf16ps\t"), fragments(f->body, FV_FRAG_DOT));
    cr_expect_eq(count(text.text, "\ttileloadd\t"), fragments(f->body, FV_FRAG_LOAD));
    cr_expect_eq(count(text.text, "\ttilestored\t"), fragments(f->body, FV_FRAG_STORE));
    cr_expect_eq(count(text.text, "\ttilezero\t"), fragments(f->body, FV_FRAG_ZERO));
    cr_expect_eq(count(text.text, "\tldtilecfg\t"), 1);
    cr_expect_eq(count(text.text, "\ttilerelease"), 1);
    cr_expect_eq(count(text.text, "\tsyscall"), 1, "the system is asked for tiles");
    cr_expect_gt(object.len, 0);
    fv_buf_dispose(&text);
    fv_buf_dispose(&object);
    fv_ctx_dispose(ctx);
}
