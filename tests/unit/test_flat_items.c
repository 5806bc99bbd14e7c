/* Tile kernels lowered for OpenCL, executed by the flat interpreter with items in random order, against the tile
 * interpreter: by default, with random distributions, and without their barriers. */
#include "flat_kit.h"

static int conflicts, harmless, with_far;
static const fv_target *target; /* NULL: the default */

static bool flat_run(fv_ctx *ctx, const fv_flat_kernel *f, const fv_kernel *k, double *const *data, double *const *want,
                     double *difference) {
    double *got[KIT_TENSORS];
    static uint64_t seed = 1;
    (void)ctx;
    kit_copy(k, data, got);
    bool ok = fv_flat_interpret(f, got, 0, f->programs, seed++);
    if (ok) *difference = kit_difference(k, want, got);
    kit_free(k, got);
    return ok;
}

static void check(fv_ctx *ctx, fv_kernel *k, const char *file, const fv_schedule *s, double *const *data,
                  double *const *want) {
    fv_buf text = { 0 }, how = { 0 };
    double e = 1;
    if (s) fv_schedule_print(ctx, s, &how);
    const char *with = how.text ? how.text : "default";
    fv_flat_kernel *f = fv_flatten_opencl(k, s, target);
    with_far += f && f->far_bytes > 0;
    cr_assert(f, "%s (%s): %s", file, with, kit_error(ctx));
    cr_assert(fv_flat_verify(f) == 0, "%s (%s): %s", file, with, kit_error(ctx));
    cr_assert(flat_run(ctx, f, k, data, want, &e), "%s (%s): %s", file, with, kit_error(ctx));
    if (getenv("FOVEA_TEST_VERBOSE")) cr_log_warn("%-24s %-16s %-32s %.1e", file, fv_cstr(ctx, k->name), with, e);
    cr_expect(e <= 2e-6, "%s, %s (%s): difference %.3g", file, fv_cstr(ctx, k->name), with, e);
    /* the text says the same */
    fv_flat_print(f, &text);
    fv_flat_kernel *again = fv_flat_parse(ctx, "printed", text.text);
    cr_assert(again, "%s: %s", file, kit_error(ctx));
    cr_expect(fv_flat_verify(again) == 0, "%s, read back: %s", file, kit_error(ctx));
    fv_buf_dispose(&text);
    fv_buf_dispose(&how);
}

static void by_default(fv_ctx *ctx, fv_kernel *k, const char *file) {
    double *data[KIT_TENSORS], *want[KIT_TENSORS];
    cr_assert(fv_kernel_verify(k) == 0, "%s: %s", file, kit_error(ctx));
    kit_fill(k, data);
    kit_expect(ctx, k, file, data, want);
    check(ctx, k, file, NULL, data, want);
    kit_free(k, data);
    kit_free(k, want);
}
Test(flat_items, goldens) { kit_goldens(by_default); }
Test(flat_items, extras) { kit_extras(by_default); }
/* Hardly any local memory: what has no room in it is far, and nothing else changes. */
Test(flat_items, far) {
    fv_target t = fv_target_opencl;
    t.l1_bytes = 300;
    target = &t;
    kit_extras(by_default);
    kit_shapes(by_default);
    cr_expect(with_far >= 5, "only %d kernels had far memory", with_far);
}

/* -- Random lists of axes, group sizes that divide nothing ------------------------------------- */
typedef struct { fv_str axis[FV_MAX_AXES]; int n; } names;
static bool collect(fv_stmt *s, void *user) {
    names *x = user;
    for (int i = 0; i < s->n_axes; i++)
        if (s->axis[i].tile && x->n < FV_MAX_AXES) x->axis[x->n++] = s->axis[i].name;
    return false;
}
static fv_schedule *random_schedule(fv_ctx *ctx, const names *x) {
    static const int64_t groups[] = { 1, 2, 5, 16, 33, 64 };
    fv_schedule *s = fv_schedule_new(ctx, "");
    fv_sched_item list[3], fused[2];
    int n = (int)kit_below(4), first = (int)kit_below(x->n), second = (int)kit_below(x->n);
    for (int i = 0; i < n; i++) list[i] = (fv_sched_item){ .name = x->axis[kit_below(x->n)] };
    fv_schedule_set(ctx, s, FV_F_ITEM, (fv_str){ 0 }, list, n);
    fused[0] = (fv_sched_item){ .name = x->axis[first] };
    fused[1] = (fv_sched_item){ .name = x->axis[second] };
    if (first != second && kit_below(2)) fv_schedule_set(ctx, s, FV_F_FUSE, fv_intern(ctx, "item"), fused, 2);
    fv_schedule_set_int(ctx, s, FV_F_GROUP, "", groups[kit_below(6)]);
    return s;
}
static int refused, accepted, rounds;
static void by_chance(fv_ctx *ctx, fv_kernel *k, const char *file) {
    double *data[KIT_TENSORS], *want[KIT_TENSORS];
    names x = { .n = 0 };
    fv_stmts_visit(k->body, collect, &x);
    if (!x.n) return;
    kit_fill(k, data);
    kit_expect(ctx, k, file, data, want);
    for (int i = 0; i < rounds; i++) {
        fv_schedule *s = random_schedule(ctx, &x);
        if (fv_flatten_opencl(k, s, NULL)) {
            accepted++;
            check(ctx, k, file, s, data, want);
            continue;
        }
        refused++;
        cr_expect(strstr(kit_error(ctx), "private words") || strstr(kit_error(ctx), "local memory"), "%s: %s", file,
                  kit_error(ctx));
    }
    kit_free(k, data);
    kit_free(k, want);
}
Test(flat_items, random_distributions) {
    kit_state = 5;
    rounds = 6;
    kit_extras(by_chance);
    rounds = 2;
    kit_shapes(by_chance);
    cr_expect(accepted > 4 * refused, "%d distributions were refused, %d taken", refused, accepted);
}

/* -- Barriers ---------------------------------------------------------------------------------- */
/* removes barrier number `which` (-1: all); the number of barriers */
static int drop(fv_flat *s, int which) {
    static int count;
    static int depth;
    if (depth++ == 0) count = 0;
    for (fv_flat *b = s; b; b = b->next) {
        if (b->body) drop(b->body, which);
        if (b->orelse) drop(b->orelse, which);
        while (b->body && b->body->kind == FV_L_BARRIER && (which < 0 || count == which)) b->body = b->body->next,
            count++;
        if (b->body && b->body->kind == FV_L_BARRIER) count++;
        while (b->next && b->next->kind == FV_L_BARRIER) {
            bool now = which < 0 || count == which;
            count++;
            if (!now) break;
            b->next = b->next->next;
        }
    }
    depth--;
    return count;
}
static void without_barriers(fv_ctx *ctx, fv_kernel *k, const char *file) {
    double *data[KIT_TENSORS], *want[KIT_TENSORS], e = 0;
    fv_flat_kernel *f = fv_flatten_opencl(k, fv_schedule_parse(ctx, "test", "item="), NULL);
    cr_assert(f, "%s: %s", file, kit_error(ctx));
    if (drop(f->body, -1) == 0) return;
    kit_fill(k, data);
    kit_expect(ctx, k, file, data, want);
    /* an index that is not there yet shows first as a wild address */
    if (!flat_run(ctx, f, k, data, want, &e)) {
        bool expected = strstr(kit_error(ctx), "no barrier between") || strstr(kit_error(ctx), "loads element -2147");
        cr_expect(expected, "%s: %s", file, kit_error(ctx));
        conflicts++;
    /* two statements that happen to give a point to the same item */
    } else {
        cr_expect(e <= 2e-6, "%s: %.3g without barriers, and no conflict was found", file, e);
        harmless++;
    }
    kit_free(k, data);
    kit_free(k, want);
}
Test(flat_items, conflicts_without_barriers) {
    kit_shapes(without_barriers);
    kit_extras(without_barriers);
    cr_expect(conflicts >= 15 && harmless <= conflicts / 10, "%d kernels with conflicts, %d without", conflicts,
              harmless);
}

/* Each single barrier of flash attention with staged keys is needed. */
Test(flat_items, every_barrier_is_needed) {
    golden g;
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/kernel/flash_staged.ft", FOVEA_TESTS_DIR);
    cr_assert(golden_read(path, &g));
    int n = 1, found = 0;
    for (int i = 0; i < n; i++) {
        double *data[KIT_TENSORS], *want[KIT_TENSORS], e = 0;
        fv_ctx *ctx = fv_ctx_new();
        fv_kernel *k = fv_kernel_parse(ctx, "flash_staged", g.in);
        fv_flat_kernel *f = fv_flatten_opencl(k, fv_schedule_parse(ctx, "test", "item=q group=48"), NULL);
        cr_assert(f, "%s", kit_error(ctx));
        n = drop(f->body, i);
        kit_fill(k, data);
        kit_expect(ctx, k, "flash_staged", data, want);
        found += !flat_run(ctx, f, k, data, want, &e);
        kit_free(k, data);
        kit_free(k, want);
        fv_ctx_dispose(ctx);
    }
    golden_free(&g);
    cr_expect(n >= 3 && found == n, "%d of %d barriers were missed when removed", found, n);
}

/* -- Limits ------------------------------------------------------------------------------------ */
static void refuse(const char *schedule, int64_t local, int words, const char *want) {
    fv_ctx *ctx = fv_ctx_new();
    fv_target t = fv_target_opencl;
    fv_kernel *k = fv_kernel_parse(ctx, "limits",
                                   "kernel big { in X : f32[q=64, d=200]  out O : f32[q=64, d=200]  axis d:200  grid "
                                   "q:32<64 {\n"
                                                  "  ld: x[q,d] = X[q,d]  s: s[q] =sum x[q,d] over d  ot: O[q,d] = "
                                                  "x[q,d]/s[q] } }\n");
    t.l1_bytes = local;
    t.registers = words;
    cr_assert(k && !fv_flatten_opencl(k, fv_schedule_parse(ctx, "test", schedule), &t), "%s was accepted", schedule);
    cr_expect(strstr(kit_error(ctx), want), "%s: %s", schedule, kit_error(ctx));
    fv_ctx_dispose(ctx);
}
/* A group size alone leaves the list of axes to the default. */
Test(flat_items, group_alone) {
    fv_ctx *ctx = fv_ctx_new();
    fv_kernel *k = fv_kernel_parse(ctx, "extra", kit_extra[1]);
    for (int64_t group = 1; group <= 256; group = group * 3 + 1) {
        fv_schedule *s = fv_schedule_new(ctx, "");
        fv_schedule_set_int(ctx, s, FV_F_GROUP, "", group);
        fv_flat_kernel *f = fv_flatten_opencl(k, s, NULL);
        cr_assert(f, "%s", kit_error(ctx));
        cr_expect(f->group_size == group, "%lld items, not %lld", (long long)f->group_size, (long long)group);
        cr_expect(fv_flat_verify(f) == 0, "%s", kit_error(ctx));
    }
    fv_ctx_dispose(ctx);
}
Test(flat_items, limits) {
    refuse("item=q", 48 << 10, 160, "201 private words an item are needed, the limit is 160");
    refuse("item=d group=256", 1000, 160, "1024 bytes of local memory are needed, the target has 1000");
    refuse("item=nothing", 48 << 10, 160, "item names the axis nothing, which the kernel has not");
    refuse("item=q group=1000", 48 << 10, 160, "a group has 1 to 256 items");
}

/* -- Two lowerings of one kernel --------------------------------------------------------------- */
static void agree_with_cpu(fv_ctx *ctx, fv_kernel *k, const char *file) {
    double *data[KIT_TENSORS], *items[KIT_TENSORS], *lanes[KIT_TENSORS];
    fv_flat_kernel *a = fv_flatten_opencl(k, NULL, NULL), *b = fv_flatten_cpu(k, NULL, &fv_target_avx512);
    cr_assert(a, "%s: %s", file, kit_error(ctx));
    cr_assert(b, "%s: %s", file, kit_error(ctx));
    cr_assert(fv_flat_verify(b) == 0, "%s, CPU: %s", file, kit_error(ctx));
    kit_fill(k, data);
    kit_copy(k, data, items);
    kit_copy(k, data, lanes);
    cr_assert(fv_flat_interpret(a, items, 0, a->programs, 3), "%s: %s", file, kit_error(ctx));
    int64_t half = b->programs / 2;
    cr_assert(fv_flat_interpret(b, lanes, half, b->programs, 3) && fv_flat_interpret(b, lanes, 0, half, 3),
              "%s, CPU: %s", file, kit_error(ctx));
    double e = kit_difference(k, items, lanes);
    cr_expect(e <= 4e-6, "%s, %s: %.3g between items and lanes", file, fv_cstr(ctx, k->name), e);
    kit_free(k, data);
    kit_free(k, items);
    kit_free(k, lanes);
}
Test(flat_items, agrees_with_lanes) { kit_shapes(agree_with_cpu); }
