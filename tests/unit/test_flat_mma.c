/* Contractions on matrix units of work items: what the lowering makes of tile kernels for every unit, executed by the
 * flat interpreter, against the tile interpreter; barriers taken out one by one; what schedules may say. */
#include "mma_kit.h"

static bool run(const fv_flat_kernel *f, const fv_kernel *k, double *const *data, double *const *want, double *e) {
    double *got[KIT_TENSORS];
    static uint64_t seed = 1;
    kit_copy(k, data, got);
    bool ok = fv_flat_interpret(f, got, 0, f->programs, seed++);
    *e = ok ? kit_difference(k, want, got) : 0;
    kit_free(k, got);
    return ok;
}
static void round_trip(fv_ctx *ctx, const fv_flat_kernel *f) {
    fv_buf a = {0}, b = {0};
    fv_flat_print(f, &a);
    fv_flat_kernel *again = fv_flat_parse(ctx, "printed", a.text);
    cr_assert(again && fv_flat_verify(again) == 0, "%s: %s", fv_cstr(ctx, f->name), kit_error(ctx));
    fv_flat_print(again, &b);
    cr_expect(!strcmp(a.text, b.text), "%s is read back otherwise", fv_cstr(ctx, f->name));
    fv_buf_dispose(&a);
    fv_buf_dispose(&b);
}
static int remarks(const fv_flat_kernel *f) {
    int n = 0;
    for (const char *s = f->remarks; s && (s = strchr(s, '\n')) != NULL; s++) n++;
    return n;
}
static int64_t room; /* bytes of local memory; 0: the target's */
static void check(const mma_case *c, const char *unit, const char *schedule) {
    double *data[KIT_TENSORS], *want[KIT_TENSORS], e;
    fv_ctx *ctx = fv_ctx_new();
    fv_kernel *k = fv_kernel_parse(ctx, "case", c->text);
    cr_assert(k && fv_kernel_verify(k) == 0, "%s", kit_error(ctx));
    const char *name = fv_cstr(ctx, k->name);
    fv_target t = mma_target(unit);
    if (room) t.l1_bytes = room;
    mma_fill(k, data);
    kit_expect(ctx, k, name, data, want);
    fv_flat_kernel *f = fv_flatten_opencl(k, schedule ? fv_schedule_parse(ctx, "test", schedule) : NULL, &t);
    cr_assert(f && fv_flat_verify(f) == 0, "%s on %s: %s", name, unit, kit_error(ctx));
    cr_expect(room || (mma_count(f->body) > 0) == (c->products > 0), "%s on %s: %s", name, unit, f->remarks);
    if (!c->products) cr_expect(remarks(f) == 3, "%s: %s", name, f->remarks);
    cr_assert(run(f, k, data, want, &e), "%s on %s: %s", name, unit, kit_error(ctx));
    cr_expect(e <= mma_allowed(c), "%s on %s: difference %.3g", name, unit, e);
    round_trip(ctx, f);
    kit_free(k, data);
    kit_free(k, want);
    fv_ctx_dispose(ctx);
}
Test(flat_mma, every_unit) {
    for (const fv_unit *u = fv_units; u->name; u++)
        for (int i = 0; i < MMA_CASES; i++) check(&mma_cases[i], u->name, NULL);
}
/* Pieces of the reduced axes become smaller, then buffers far, then products are left to items. */
Test(flat_mma, little_memory) {
    static const int64_t rooms[] = {24 << 10, 17 << 10, 13 << 10, 11 << 10, 9 << 10};
    for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++)
        for (int i = 0; i < MMA_CASES; i++) {
            room = rooms[r];
            check(&mma_cases[i], r % 2 ? "nv" : "emu", NULL);
        }
}
Test(flat_mma, given_distributions) {
    check(&mma_cases[0], "emu", "x item=o");
    check(&mma_cases[0], "emu", "x item=m,o group=16");
    check(&mma_cases[0], "nv", "x item=o group=256");
    check(&mma_cases[0], "cdna", "x fuse.item=m,o group=64");
    check(&mma_cases[0], "emu", "x mma.mm=f16");
}
/* Every element of a fragment belongs to one item. */
Test(flat_mma, units) {
    for (const fv_unit *u = fv_units; u->name; u++) {
        int seen[FV_UNIT_TILE][FV_UNIT_TILE] = {{0}};
        cr_expect(u->sub * u->elements == FV_UNIT_TILE * FV_UNIT_TILE, "%s", u->name);
        for (int lane = 0; lane < u->sub; lane++)
            for (int i = 0; i < u->elements; i++)
                seen[fv_unit_row(u, lane, i) % FV_UNIT_TILE][fv_unit_col(u, lane, i) % FV_UNIT_TILE]++;
        for (int i = 0; i < FV_UNIT_TILE * FV_UNIT_TILE; i++)
            cr_expect(seen[i / FV_UNIT_TILE][i % FV_UNIT_TILE] == 1, "%s: element %d", u->name, i);
    }
}

/* -- Barriers ---------------------------------------------------------------------------------- */
static const fv_expr *always;
static int drop(fv_flat *s, int which, int *count) { /* takes barrier number `which` out */
    for (fv_flat *b = s; b; b = b->next) {
        drop(b->body, which, count);
        drop(b->orelse, which, count);
        if (b->kind == FV_L_BARRIER && (*count)++ == which) { /* a statement that does nothing */
            b->kind = FV_L_ASSERT;
            b->expr = always;
        }
    }
    return *count;
}
/* Operands that lie in memory as they are copied come 16 bytes at a time; others element by element. */
Test(flat_mma, copies) {
    static const bool whole[MMA_CASES] = {[3] = true /* the weights */, [7] = true, [8] = true};
    for (int i = 0; i < MMA_CASES; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_target t = mma_target("nv");
        fv_flat_kernel *f = fv_flatten_opencl(fv_kernel_parse(ctx, "case", mma_cases[i].text), NULL, &t);
        cr_assert(f, "%s", kit_error(ctx));
        int n = mma_kinds(f->body, FV_L_COPY);
        cr_expect((n > 0) == whole[i], "case %d: %d copies", i, n);
        fv_ctx_dispose(ctx);
    }
}
Test(flat_mma, every_barrier_is_needed) {
    int n = 1, found = 0;
    for (int which = 0; which < n; which++) {
        double *data[KIT_TENSORS], *want[KIT_TENSORS], e;
        fv_ctx *ctx = fv_ctx_new();
        fv_kernel *k = fv_kernel_parse(ctx, "case", mma_cases[0].text);
        fv_target t = mma_target("emu");
        fv_flat_kernel *f = fv_flatten_opencl(k, NULL, &t);
        int count = 0;
        cr_assert(f, "%s", kit_error(ctx));
        always = fv_bool(ctx, true);
        n = drop(f->body, which, &count);
        mma_fill(k, data);
        kit_expect(ctx, k, "linear", data, want);
        cr_expect(!run(f, k, data, want, &e) && strstr(kit_error(ctx), "no barrier between"), "barrier %d of %d: %s",
                  which, n, kit_error(ctx));
        found++;
        kit_free(k, data);
        kit_free(k, want);
        fv_ctx_dispose(ctx);
    }
    cr_expect(found >= 2, "only %d barriers", found);
}

/* -- Schedules --------------------------------------------------------------------------------- */
static void says(const char *schedule, bool on_unit, const char *what) {
    fv_ctx *ctx = fv_ctx_new();
    fv_kernel *k = fv_kernel_parse(ctx, "case", mma_cases[4].text);
    fv_target t = mma_target("nv");
    fv_flat_kernel *f = fv_flatten_opencl(k, fv_schedule_parse(ctx, "test", schedule), &t);
    const char *said = f ? f->remarks ? f->remarks : "" : kit_error(ctx);
    cr_expect(strstr(said, what), "%s: %s", schedule, said);
    if (f) cr_expect((mma_count(f->body) > 0) == on_unit, "%s", schedule);
    fv_ctx_dispose(ctx);
}
Test(flat_mma, schedules) {
    says("x mma.mm=no", true, "mm: not on the matrix unit: the schedule says so");
    says("x mma.mm=no mma.nn=no", false, "nn: not on the matrix unit: the schedule says so");
    says("x mma.mm=fp8", false, "mma is bf16, f16 or no");
    says("x mma.mm=f16 mma.nn=bf16", false, "mma names bf16 and f16 in one kernel");
    says("x group=48", false, "group=48 is no multiple of its sub-groups of 32");
}
