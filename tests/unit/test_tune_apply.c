/* What the database knows is used where a graph is lowered: for exactly the kernels, the device and the threads that it
 * was measured for; what does not fit any more is left out and said. */
#define _DEFAULT_SOURCE
#include "driver/driver.h"
#include "tune/apply.h"
#include "tune/group.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char graph[] = "graph \"two\" {\n"
                            "  _0 : f32[m=64 k=96] = input \"x\" stored \"m k\"\n"
                            "  _1 : f32[k=96 n=48] = param \"w\" stored \"n k\"\n"
                            "  _2 : f32[m=64 n=48] = contract over [k=96] _0[m, k]*_1[k, n]\n"
                            "  _3 : f32[m=64 n=48] = map exp(_2[m, n])\n"
                            "  _4 : f32[m=64 k=96] = map sin(_0[m, k])\n"
                            "  output \"y\" = _3 stored \"m n\"\n"
                            "  output \"u\" = _4 stored \"m k\"\n"
                            "}\n";

static fv_ctx *ctx;
static char file[64];
static fv_graph *g;
static fv_tune_use use;
static fv_driver_options plain, tuned;
static fv_compiled by_default;
static fv_tune_key key; /* of the first kernel with tile sizes to choose */
static const fv_launch *launch;

static void fail_with_reason(const char *what) {
    cr_assert_fail("%s: %s", what, fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "no reason");
}
static void set_up(void) {
    ctx = fv_ctx_new();
    strcpy(file, "/tmp/fovea-apply-XXXXXX");
    int fd = mkstemp(file);
    cr_assert(fd >= 0);
    close(fd);
    g = fv_graph_parse(ctx, "graph", graph);
    if (!g) fail_with_reason("parsing");
    plain = (fv_driver_options){.backend = fv_backends[0]->name, .target = "avx512"};
    if (!fv_compile_plan(ctx, g, (fv_str){0}, &plain, &by_default)) fail_with_reason("lowering");
    use = (fv_tune_use){.db = fv_tune_db_open(ctx, file, true),
                        .where = {.backend = fv_backends[0], .target = "avx512", .threads = 3}};
    if (!use.db) fail_with_reason("opening");
    tuned = plain;
    tuned.replan = fv_tune_replan;
    tuned.replan_user = &use;
    cr_assert(fv_tune_place(ctx, &use.where, by_default.target, FV_F32, &key));
    for (int i = 0; !launch && i < by_default.plan->n_launches[1]; i++)
        if (by_default.plan->launch[1][i]->group >= 0 && by_default.plan->launch[1][i]->n_tiles)
            launch = by_default.plan->launch[1][i];
    cr_assert(launch);
    key.group = fv_tune_group_text(ctx, launch);
}
static void tear_down(void) {
    fv_tune_db_close(use.db);
    unlink(file);
    fv_ctx_dispose(ctx);
}
TestSuite(apply, .init = set_up, .fini = tear_down);

static void put(fv_tune_key k, const char *schedule, double ratio) {
    static int64_t when;
    fv_tune_record r = {k, "k", schedule, "correct", "", ratio, ratio, 1, ratio, 0, 9, ++when, "search"};
    if (!fv_tune_db_add(use.db, &r)) fail_with_reason("adding");
}
static const char *text_of(const fv_plan *p) {
    fv_buf b = {0};
    fv_plan_print(p, &b, true);
    for (int i = 0; i < p->n_launches[1]; i++) fv_schedule_print(ctx, p->launch[1][i]->schedule, &b);
    const char *text = fv_strdup(ctx, b.text);
    fv_buf_dispose(&b);
    return text;
}
static const char *lower(const fv_driver_options *o) {
    fv_compiled c;
    if (!fv_compile_plan(ctx, g, (fv_str){0}, o, &c)) fail_with_reason("lowering");
    cr_assert_eq(fv_error_count(ctx), 0, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    return text_of(c.plan);
}
/* The default with one tile size halved. */
static const char *halved(void) {
    const fv_tile_size *t = &launch->tile[launch->n_tiles - 1];
    for (int i = 0; i < launch->n_tiles; i++)
        if (launch->tile[i].tile > 1) t = &launch->tile[i];
    cr_assert_gt(t->tile, 1);
    return fv_printf(ctx, "%s tile.%s=%lld", fv_cstr(ctx, launch->schedule->strategy), fv_cstr(ctx, t->axis),
                     (long long)(t->tile / 2));
}

Test(apply, an_empty_database_changes_nothing) {
    cr_assert_str_eq(lower(&tuned), text_of(by_default.plan));
    cr_assert_eq(use.kernels, by_default.plan->n_launches[1]);
    cr_assert_eq(use.tuned + use.refused, 0);
}
Test(apply, the_schedule_of_a_record_is_lowered) {
    put(key, halved(), 0.5);
    const char *got = lower(&tuned);
    cr_assert_eq(use.tuned, 1);
    cr_assert_eq(use.refused, 0);
    cr_assert_str_neq(got, text_of(by_default.plan));
    const fv_schedule **wish = FV_NEWN(ctx, const fv_schedule *, launch->group + 1);
    wish[launch->group] = fv_schedule_parse(ctx, "wish", halved());
    fv_driver_options by_hand = plain;
    by_hand.wish = wish;
    by_hand.n_wish = launch->group + 1;
    cr_assert_str_eq(got, lower(&by_hand), "the same as the wish alone");
}
Test(apply, only_what_was_measured_here) {
    for (int i = 0; i < 4; i++) {
        fv_tune_key other = key;
        if (i == 0) other.threads = 4;
        if (i == 1) other.device = "another device";
        if (i == 2) other.compiler = "fovea 99";
        if (i == 3) other.group = fv_printf(ctx, "%s ", key.group);
        put(other, halved(), 0.5);
    }
    put(key, halved(), 1.5);
    cr_assert_str_eq(lower(&tuned), text_of(by_default.plan));
    cr_assert_eq(use.tuned, 0);
}
Test(apply, what_does_not_fit_is_left_out_and_said) {
    put(key, "tile.nothing=4", 0.25);
    cr_assert_str_eq(lower(&tuned), text_of(by_default.plan));
    cr_assert_eq(use.tuned, 0);
    cr_assert_eq(use.refused, 1);
    cr_assert(strstr(use.reason, "nothing"), "%s", use.reason);
    put(key, "no schedule = at ? all", 0.125);
    cr_assert_str_eq(lower(&tuned), text_of(by_default.plan));
    cr_assert_eq(use.refused, 1);
    cr_assert(use.reason && *use.reason);
    /* The other kernels keep theirs. */
    const fv_launch *other = NULL;
    for (int i = 0; i < by_default.plan->n_launches[1]; i++) {
        const fv_launch *l = by_default.plan->launch[1][i];
        if (l != launch && l->group >= 0 && l->n_tiles) other = l;
    }
    cr_assert(other);
    put(key, "tile.nothing=4", 0.0625);
    fv_tune_key second = key;
    second.group = fv_tune_group_text(ctx, other);
    launch = other;
    put(second, halved(), 0.5);
    cr_assert_str_neq(lower(&tuned), text_of(by_default.plan));
    cr_assert_eq(use.tuned, 1);
    cr_assert_eq(use.refused, 1);
}
