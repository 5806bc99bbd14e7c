/* The tuner without its clock: candidates, what is learned of them, their bounds, and what becomes of those that go
 * wrong in their child. Times are judged only in so far as there are some. */
#include "dense_graph.h"
#include "backbone_kit.h"
#include "tune/child.h"
#include "tune/learn.h"
#include "tune/search.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* -- Pairs of times -- */
static fv_tune_pairs pairs_of(int n, double candidate, double standard, double shake) {
    fv_tune_pairs p = {.n = n};
    for (int i = 0; i < n; i++) {
        p.candidate[i] = candidate * (1 + shake * (i % 5 - 2));
        p.standard[i] = standard * (1 + shake * (i % 3 - 1));
    }
    return p;
}
Test(pairs, ratio_and_its_interval) {
    fv_tune_pairs p = pairs_of(31, 9, 10, 0.01);
    fv_tune_summary s = fv_tune_summarise(&p);
    cr_expect_float_eq(s.ratio, 0.9, 0.02);
    cr_expect(s.low <= s.ratio && s.ratio <= s.high && s.high < 1, "%g %g %g", s.low, s.ratio, s.high);
    cr_expect_float_eq(s.standard, 10, 0.2);
    p = pairs_of(31, 10, 10, 0.01);
    s = fv_tune_summarise(&p);
    cr_expect(s.low <= 1 && s.high >= 1, "equal times: %g to %g", s.low, s.high);
    p = pairs_of(4, 9, 10, 0.01);
    s = fv_tune_summarise(&p);
    cr_expect(s.low <= s.ratio && s.ratio <= s.high);
    p = pairs_of(1, 9, 10, 0);
    s = fv_tune_summarise(&p);
    cr_expect_float_eq(s.low, 0.9, 1e-9);
    cr_expect_float_eq(s.high, 0.9, 1e-9);
}
Test(pairs, outliers_are_dropped) {
    fv_tune_pairs p = pairs_of(21, 9, 10, 0.01);
    p.candidate[3] = 90; /* interrupted */
    p.standard[7] = 200;
    fv_tune_summary s = fv_tune_summarise(&p);
    cr_expect_eq(s.kept, 19);
    cr_expect_float_eq(s.ratio, 0.9, 0.02);
    cr_expect(s.spread < 0.05, "%g", s.spread);
}

/* -- One kernel -- */
static const char linear[] = "graph \"linear\" {\n"
                             "  _0 : f32[m=37 k=24] = input \"x\" stored \"m k\"\n"
                             "  _1 : f32[k=24 n=70] = param \"w\" stored \"n k\"\n"
                             "  _2 : f32[m=37 n=70] = contract over [k=24] _0[m, k]*_1[k, n]\n"
                             "  output \"y\" = _2 stored \"m n\"\n"
                             "}\n";
static const char dense[] = DENSE_ATTEND
                            "  _5 : f32[e=20 f=12] = param \"w\" stored \"f e\"\n"
                            "  _6 : f32[m=70 f=12] = contract over [e=20] _4[m, e]*_5[e, f]\n"
                            "  output \"y\" = _6 stored \"m f\"\n"
                            "}\n";
typedef struct {
    fv_ctx *ctx;
    fv_compiled whole, standard;
    fv_tune_alone alone;
    fv_tune_job job;
} one;
static void open_one(one *o, const char *text) {
    *o = (one){.ctx = fv_ctx_new()};
    fv_graph *g = fv_graph_parse(o->ctx, "graph", text);
    cr_assert(g);
    fv_driver_options d = {0};
    cr_assert(fv_compile_plan(o->ctx, g, (fv_str){0}, &d, &o->whole));
    const fv_plan *p = o->whole.plan;
    int group = -1;
    for (int i = 0; i < p->n_launches[1] && group < 0; i++) group = p->launch[1][i]->group;
    cr_assert(fv_tune_take_alone(o->ctx, p, group, &o->alone));
    o->standard = (fv_compiled){.backend = o->whole.backend, .target = o->whole.target, .plan = o->alone.plan};
    cr_assert(fv_compile_code(o->ctx, "one", &d, &o->standard));
    o->job = (fv_tune_job){.ctx = o->ctx,
                           .driver = d,
                           .kept = o->whole.lower.kept,
                           .group = group,
                           .standard = &o->standard,
                           .alone = &o->alone,
                           .threads = 1,
                           .limits = {.seconds = 120, .threads = 1},
                           .best = 1};
}
static void close_one(one *o) {
    fv_compiled_dispose(&o->standard);
    fv_ctx_dispose(o->ctx);
}
static fv_schedule *wish(one *o, const char *text) {
    fv_schedule *s = fv_schedule_parse(o->ctx, "wish", text);
    cr_assert(s);
    return s;
}

Test(tune, a_kernel_alone_has_what_it_needs) {
    one o;
    open_one(&o, dense);
    const fv_plan *p = o.alone.plan;
    cr_expect_eq(p->n_launches[1], 1);
    int in = 0, out = 0;
    for (int i = 0; i < p->n_tensors; i++) {
        in += p->tensor[i]->kind == FV_MEM_INPUT;
        out += p->tensor[i]->kind == FV_MEM_OUTPUT;
    }
    cr_expect(in == 3 && out == 1, "%d inputs, %d outputs", in, out);
    cr_expect(!o.alone.exact, "a softmax rounds");
    cr_expect(o.alone.length > sqrt(8) + sqrt(400), "%g", o.alone.length);
    close_one(&o);
    open_one(&o, linear);
    cr_expect(o.alone.exact, "sums of products of small whole numbers are exact");
    cr_expect_eq(o.alone.plan->n_launches[0], 1, "the packing of its weights");
    close_one(&o);
}

Test(tune, one_group_lowered_again_is_what_it_was) {
    static const char *const nets[][2] = {{"nat", "mini"}, {"swin", "tiny_patch4_window7_224"}};
    for (size_t n = 0; n < sizeof nets / sizeof *nets; n++) {
        net x = open_net(nets[n][0], nets[n][1], NULL);
        cr_assert(x.good, "%s", x.report);
        fv_driver_options d = {.target = "avx2"};
        fv_compiled c;
        cr_assert(fv_compile_plan(x.ctx, x.spec.graph, (fv_str){0}, &d, &c));
        for (int i = 0, seen = 0; i < c.plan->n_launches[1] && seen < 40; i++) {
            const fv_launch *l = c.plan->launch[1][i], *again = NULL;
            if (l->group < 0) continue;
            seen++;
            const fv_plan *p = fv_lower_group(c.lower.kept, l->group, NULL);
            cr_assert(p, "%s", fv_cstr(x.ctx, l->kernel->name));
            for (int j = 0; j < p->n_launches[1]; j++)
                if (p->launch[1][j]->group == l->group) again = p->launch[1][j];
            cr_assert(again);
            cr_expect_str_eq(fv_launch_key(x.ctx, again), fv_launch_key(x.ctx, l));
            cr_expect_eq(again->n_args, l->n_args);
            cr_expect(fv_str_eq(again->kernel->name, l->kernel->name), "%s, not %s",
                      fv_cstr(x.ctx, again->kernel->name), fv_cstr(x.ctx, l->kernel->name));
            for (int j = 0; j < l->n_args && j < again->n_args; j++) {
                const fv_plan_tensor *was = c.plan->tensor[l->arg[j]], *is = p->tensor[again->arg[j]];
                cr_expect(was->kind == is->kind && was->bytes == is->bytes && was->type == is->type);
            }
        }
        close_net(&x);
    }
}

/* -- Candidates -- */
Test(tune, moves_are_canonical_and_different) {
    one o;
    open_one(&o, dense);
    fv_tune_moves m;
    fv_tune_moves_of(o.ctx, o.alone.launch, NULL, o.whole.target, &m);
    cr_assert(m.n > 20, "%d", m.n);
    bool online = false, tile = false, nest = false, vector = false, offset = false;
    for (int i = 0; i < m.n; i++) {
        const char *text = fv_tune_wish_text(o.ctx, m.wish[i]);
        cr_expect_str_eq(fv_tune_wish_text(o.ctx, fv_tune_canonical(o.ctx, wish(&o, text))), text);
        online |= strstr(text, "softmax=resident") != NULL;
        tile |= strstr(text, "tile.m=") != NULL;
        nest |= strstr(text, "nest.qk") != NULL;
        vector |= strstr(text, "vector=") != NULL;
        offset |= strstr(text, "attend.offset") != NULL;
    }
    cr_expect(online && tile && nest && offset && (vector || o.whole.target->lanes < 8));
    close_one(&o);
}
static int told;
static void count_pruned(void *user, const fv_tune_candidate *c) {
    (void)user;
    told++;
    cr_expect(*c->seen.reason, "%s is left out without a reason", c->text);
}
Test(tune, what_does_not_fit_is_left_out_with_its_reason_and_no_code_is_tried_twice) {
    one o;
    open_one(&o, linear);
    fv_tune_search s;
    const char *why;
    told = 0;
    cr_assert(fv_tune_search_open(o.ctx, &o.job, NULL, count_pruned, NULL, &s, &why));
    cr_expect(told > 0 && told == s.n_pruned, "%d told, %d left out", told, s.n_pruned);
    int offered = 0;
    for (int i = 0; i < s.n; i++)
        for (int j = 0; j < i; j++)
            cr_expect(!s.candidate[i]->seen.fits || !s.candidate[j]->seen.fits ||
                      s.candidate[i]->seen.code != s.candidate[j]->seen.code);
    double gain;
    for (fv_tune_candidate *c; (c = fv_tune_search_next(&s, &gain)) && offered < 500; offered++) {
        cr_expect(c->seen.fits && !c->tried && *c->text);
        fv_tune_search_tell(&s, c, !strcmp(c->text, "contract.block tile.m=16") ? 0.8 : 1.3);
    }
    cr_expect(offered > 10 && offered < 500, "%d", offered);
    cr_expect_eq(s.n_tried, offered);
    cr_expect(strstr(s.best->text, "tile.m=16"), "best: %s", s.best->text);
    cr_expect(!fv_tune_search_open(o.ctx, &o.job, wish(&o, "tile.m=99"), NULL, NULL, &s, &why));
    cr_expect(why && strstr(why, "the axis has 37 points"), "%s", why);
    close_one(&o);
}
Test(tune, what_was_measured_earlier_is_not_offered_again) {
    one o;
    open_one(&o, linear);
    fv_tune_search s;
    const char *why;
    double gain;
    cr_assert(fv_tune_search_open(o.ctx, &o.job, NULL, NULL, NULL, &s, &why));
    fv_tune_candidate *c = fv_tune_search_next(&s, &gain);
    cr_assert(c);
    cr_expect_eq(fv_tune_search_recall(&s, c->wish, 0.9), c);
    cr_expect_eq(s.best, c);
    for (fv_tune_candidate *n; (n = fv_tune_search_next(&s, &gain));) {
        cr_expect_neq(n, c);
        fv_tune_search_tell(&s, n, 0);
    }
    cr_expect_null(fv_tune_search_recall(&s, wish(&o, "tile.m=99"), 0.5), "what does not fit any more is no candidate");
    cr_expect_eq(s.best, c);
    close_one(&o);
}
Test(learn, effects_of_fields_carry_over) {
    fv_ctx *ctx = fv_ctx_new();
    fv_tune_learned *l = fv_tune_learn_new(ctx);
    static const char *const texts[] = {"tile.a=1 tile.b=1", "tile.a=2 tile.b=1", "tile.a=1 tile.b=2",
                                        "tile.a=2 tile.b=2"};
    fv_tune_properties p[4];
    for (int i = 0; i < 4; i++) p[i] = fv_tune_properties_of(ctx, l, fv_schedule_parse(ctx, "t", texts[i]));
    cr_expect(fv_tune_expect(l, &p[3], 0, true) < 0, "what is unseen may bring something");
    for (int i = 0; i < 3; i++) fv_tune_learn(ctx, l, &p[i], 0, i == 0 ? 0 : log(0.8)); /* a=2 and b=2 are good */
    double expected = fv_tune_expect(l, &p[3], 0, false);
    cr_expect(expected < fv_tune_expect(l, &p[1], 0, false) && expected < log(0.85), "%g", expected);
    /* A model that is right is trusted more, one that is wrong less. */
    fv_tune_learned *right = fv_tune_learn_new(ctx), *wrong = fv_tune_learn_new(ctx);
    fv_tune_properties none = {0};
    for (int i = -3; i <= 3; i++) {
        fv_tune_learn(ctx, right, &none, 0.3 * i, 0.3 * i);
        fv_tune_learn(ctx, wrong, &none, 0.3 * i, 0);
    }
    cr_expect(fv_tune_expect(right, &none, 1, false) > 0.9 && fv_tune_expect(wrong, &none, 1, false) < 0.2);
    fv_ctx_dispose(ctx);
}

/* -- Children -- */
Test(tune, a_candidate_is_checked_and_timed, .timeout = 600) {
    one o;
    open_one(&o, linear);
    fv_tune_outcome r;
    fv_tune_try(&o.job, wish(&o, "contract.block tile.m=12"), &r);
    cr_expect_eq(r.status, FV_TUNE_CORRECT, "%s: %s", fv_tune_status_names[r.status], r.reason);
    cr_expect(r.seconds > 0 && r.default_seconds > 0 && r.ratio > 0 && r.pairs > 0);
    fv_tune_try(&o.job, wish(&o, "tile.m=99"), &r);
    cr_expect_eq(r.status, FV_TUNE_DECLINED);
    cr_expect(strstr(r.reason, "37 points"), "%s", r.reason);
    fv_tune_try(&o.job, wish(&o, "nest.mm0=n~,m/30!,k"), &r);
    cr_expect_eq(r.status, FV_TUNE_DECLINED, "asked for, so it is not left out silently");
    cr_expect(strstr(r.reason, "registers"), "%s", r.reason);
    close_one(&o);
    open_one(&o, dense);
    fv_tune_try(&o.job, wish(&o, "attend.box softmax=resident"), &r);
    cr_expect_eq(r.status, FV_TUNE_CORRECT, "%s: %s", fv_tune_status_names[r.status], r.reason);
    close_one(&o);
}
Test(tune, what_goes_wrong_in_a_child_is_a_status, .timeout = 600) {
    static const struct {
        const char *fault;
        fv_tune_status status;
        double seconds;
        const char *reason;
    } cases[] = {{"wrong", FV_TUNE_WRONG, 120, "results differ"},
                 {"crash", FV_TUNE_RUNTIME, 120, "signal"},
                 {"memory", FV_TUNE_MEMORY, 120, "memory"},
                 {"hang", FV_TUNE_TIMEOUT, 3, "more than 3 s"}};
    one o;
    open_one(&o, linear);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fv_tune_outcome r;
        o.job.fault = cases[i].fault;
        o.job.limits.seconds = cases[i].seconds;
        fv_tune_try(&o.job, wish(&o, "tile.m=12"), &r);
        cr_expect_eq(r.status, cases[i].status, "%s: %s, %s", cases[i].fault, fv_tune_status_names[r.status], r.reason);
        cr_expect(strstr(r.reason, cases[i].reason), "%s: %s", cases[i].fault, r.reason);
    }
    volatile sig_atomic_t stop = 1;
    fv_tune_outcome r;
    o.job.fault = "hang";
    o.job.limits = (fv_tune_limits){.seconds = 120, .threads = 1, .stop = &stop};
    fv_tune_try(&o.job, wish(&o, "tile.m=12"), &r);
    cr_expect_eq(r.status, FV_TUNE_STOPPED);
    close_one(&o);
}
