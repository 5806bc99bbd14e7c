/* Neighbourhoods by expressions: every small 1-D flavour (length, window, dilation, stride, causal) and some in two
 * dimensions, written with clamps and group arithmetic as tests/cases/neighborhood-attention.lua does, agree with the
 * reference under every strategy; a window view and the same window by hand are one program; names of axes leave no
 * trace in the code. All flavours run on the tile interpreter, one in twenty is compiled; FOVEA_FUZZ=1 compiles them
 * all. */
#define _POSIX_C_SOURCE 200809L
#include "dsl/dsl.h"
#include "tests/fuzz/differential.h"
#include "tests/fuzz/random_graph.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    int length, window, dilation, stride;
    bool causal;
} flavour;
typedef struct {
    fv_ctx *c;
    fv_axis x, u;
    const fv_expr *index, *only;
} dimension;

static const fv_expr *integer(fv_ctx *c, int64_t v) { return fv_int(c, v); }
static const fv_expr *over(fv_ctx *c, fv_op op, const fv_expr *a, int64_t b) { return fv_op2(c, op, a, integer(c, b)); }
/* index = min(pos, Lg - 1)*D + g of key tap u of query x; pos in the dilation group's own coordinate; causal: only pos
 * <= j. */
static dimension write_dimension(fv_ctx *c, const flavour *f, const char *x, const char *u) {
    dimension d = {.c = c,
                   .x = {.name = fv_intern(c, x), .extent = f->length},
                   .u = {.name = fv_intern(c, u), .extent = f->window}};
    const fv_expr *at = fv_axis_ref(c, d.x.name), *g = over(c, FV_X_MOD, at, f->dilation),
                  *j = over(c, FV_X_FLOORDIV, at, f->dilation);
    const fv_expr *size = over(c, FV_X_FLOORDIV, fv_sub(c, integer(c, f->length + f->dilation - 1), g), f->dilation),
                  *last = fv_addi(c, size, -1);
    const fv_expr *lead = fv_addi(c, fv_muli(c, over(c, FV_X_FLOORDIV, j, f->stride), f->stride),
                                  f->causal ? f->stride - 1 : f->stride / 2);
    lead = fv_op2(c, FV_X_MIN, lead, last);
    const fv_expr *start =
        fv_op2(c, FV_X_MAX, fv_addi(c, lead, f->causal ? 1 - f->window : -(f->window / 2)), integer(c, 0));
    if (!f->causal) start = fv_op2(c, FV_X_MIN, start, fv_addi(c, size, -f->window));
    const fv_expr *pos = fv_add(c, start, fv_axis_ref(c, d.u.name));
    d.index = fv_add(c, fv_muli(c, fv_op2(c, FV_X_MIN, pos, last), f->dilation), g);
    if (f->causal) d.only = fv_op2(c, FV_X_LE, pos, j);
    return d;
}
typedef struct {
    const char *x[2], *u[2], *dot, *column, *head;
} naming;
static const naming usual = {{"h", "w"}, {"u", "v"}, "d", "e", "b"},
                    other = {{"zulu", "alpha"}, {"k0", "aa"}, "x9", "m", "q_q"};

static fv_value *leaf(fv_graph *g, const char *name, const fv_axis *axis, int n) {
    return fv_graph_input(g, (fv_loc){0}, fv_intern(g->ctx, name), FV_F32, axis, n, NULL);
}
static fv_value *near(fv_graph *g, fv_value *src, const dimension *d, int n, fv_axis head, fv_axis last) {
    fv_axis axis[6];
    const fv_expr *index[4];
    int m = 0, k = 0;
    axis[m++] = head;
    index[k++] = fv_axis_ref(g->ctx, head.name);
    for (int i = 0; i < n; i++) {
        axis[m++] = d[i].x;
        index[k++] = d[i].index;
    }
    for (int i = 0; i < n; i++) axis[m++] = d[i].u;
    axis[m++] = last;
    index[k++] = fv_axis_ref(g->ctx, last.name);
    return fv_graph_read(g, (fv_loc){0}, src, axis, m, index, FV_BORDER_NONE, 0, NULL);
}
static fv_graph *neighbourhood(fv_ctx *c, const flavour *f, int n, int width, int columns, const naming *name) {
    fv_graph *g = fv_graph_new(c, "neighbourhood");
    dimension d[2];
    fv_axis head = {.name = fv_intern(c, name->head), .extent = 2},
            dot = {.name = fv_intern(c, name->dot), .extent = width},
            column = {.name = fv_intern(c, name->column), .extent = columns};
    fv_axis q[4] = {head}, pair[5] = {head}, k[4] = {head}, v[4] = {head};
    fv_attend_set set = {.n_over = n};
    const fv_expr *only = NULL;
    for (int i = 0; i < n; i++) {
        d[i] = write_dimension(c, &f[i], name->x[i], name->u[i]);
        q[1 + i] = k[1 + i] = v[1 + i] = pair[1 + i] = d[i].x;
        pair[1 + n + i] = set.over[i] = d[i].u;
        only = fv_and(c, only, d[i].only);
    }
    q[1 + n] = k[1 + n] = dot;
    v[1 + n] = column;
    fv_attend_node a = {.q = leaf(g, "q", q, n + 2), .n_dot = 1, .dot = {dot}, .n_sets = 1, .set = &set, .n_steps = 1};
    fv_value *kv = leaf(g, "k", k, n + 2), *vv = leaf(g, "v", v, n + 2);
    if (!kv || !vv || !(set.k = near(g, kv, d, n, head, dot)) || !(set.v = near(g, vv, d, n, head, column)))
        return NULL;
    if (only &&
        !(set.only = fv_graph_compute(g, (fv_loc){0}, FV_MONOID_NONE, pair + 1, 2 * n, NULL, 0, only, NULL, NULL)))
        return NULL;
    set.raw = fv_graph_placeholder(g, (fv_loc){0}, "raw", FV_F32, pair, 2 * n + 1, false);
    set.n_scores = 1;
    set.score = &set.raw;
    a.step = FV_NEW(c, fv_attend_step);
    fv_value *out = fv_graph_attend(g, (fv_loc){0}, &a, NULL);
    return out && fv_graph_output(g, (fv_loc){0}, (fv_str){0}, fv_intern(c, "y"), out, NULL) ? g : NULL;
}

typedef struct {
    const flavour *f;
    int n, width, columns;
    bool compile;
} job;
static fv_diff_verdict run_one(const job *j, fv_buf *report, int *refused) {
    static const fv_driver_options ways[] = {{0},
                                             {.attend_strategy = "box"},
                                             {.attend_strategy = "offset"},
                                             {.attend_strategy = "offset", .no_row_sharing = true}};
    fv_ctx *c = fv_ctx_new();
    fv_graph *g = neighbourhood(c, j->f, j->n, j->width, j->columns, &usual);
    fv_diff d = {0};
    fv_diff_verdict all = FV_DIFF_AGREES;
    if (!g || !fv_diff_open(&d, c, g, fv_random_source, c, false)) {
        fv_diag_render(c, report);
        all = FV_DIFF_WRONG;
    }
    for (int i = 0; i < 4 && all != FV_DIFF_WRONG; i++) {
        fv_diff_variant v = {.driver = ways[i], .interpret = true, .compile = j->compile};
        fv_diff_verdict one = fv_diff_run(&d, &v);
        if (one == FV_DIFF_WRONG) {
            fv_buf_printf(report, "way %d: %s", i, d.report.text);
            all = one;
        }
        *refused += one == FV_DIFF_REFUSED;
        if (one == FV_DIFF_REFUSED && !i) {
            fv_buf_printf(report, "refused: %s", d.report.text);
            all = FV_DIFF_WRONG;
        }
    }
    fv_diff_close(&d);
    fv_ctx_dispose(c);
    return all;
}
static void describe(fv_buf *b, const job *j) {
    for (int i = 0; i < j->n; i++)
        fv_buf_printf(b, "%slength %d window %d dilation %d stride %d%s", i ? " x " : "", j->f[i].length,
                      j->f[i].window, j->f[i].dilation, j->f[i].stride, j->f[i].causal ? " causal" : "");
}
static fv_diff_verdict run_length(void *user, fv_buf *report) {
    int length = *(const int *)user, refused = 0, n = 0;
    bool all = getenv("FOVEA_FUZZ") != NULL;
    fv_diff_verdict verdict = FV_DIFF_AGREES;
    for (int k = 2; k <= length; k++)
        for (int d = 1; d <= length / k; d++)
            for (int s = 1; s <= k; s++)
                for (int c = 0; c < 2; c++, n++) {
                    flavour f = {length, k, d, s, c};
                    job j = {&f, 1, 4, 5, all || (n + length) % 20 == 0};
                    size_t before = report->len;
                    if (run_one(&j, report, &refused) != FV_DIFF_WRONG) continue;
                    if (report->len - before > 600) report->len = before + 600;
                    describe(report, &j);
                    fv_buf_puts(report, "\n");
                    verdict = FV_DIFF_WRONG;
                }
    fv_buf_printf(report, "length %d: %d flavours, %d of %d ways refused\n", length, n, refused, 4 * n);
    return verdict;
}
Test(keyset, every_small_flavour, .timeout = 3000) {
    for (int length = 2; length <= 14; length++) {
        fv_buf report = {0};
        fv_diff_verdict v = fv_diff_isolated(run_length, &length, 600, &report);
        cr_expect(v == FV_DIFF_AGREES, "%s", report.text ? report.text : "");
        if (getenv("FOVEA_SHOW_REFUSED")) fprintf(stderr, "%s", report.text);
        fv_buf_dispose(&report);
    }
}
static fv_diff_verdict run_planes(void *user, fv_buf *report) {
    static const flavour planes[][2] = {
        {{9, 4, 1, 2, true}, {13, 5, 2, 2, false}},   {{7, 3, 1, 1, false}, {19, 3, 3, 1, false}},
        {{14, 7, 2, 1, false}, {14, 7, 2, 1, false}}, {{8, 8, 1, 1, false}, {5, 2, 2, 1, true}},
        {{12, 5, 1, 5, false}, {11, 5, 1, 3, false}}, {{6, 3, 2, 1, true}, {33, 7, 4, 2, true}},
        {{17, 1, 1, 1, false}, {16, 5, 3, 1, false}},
    };
    fv_diff_verdict all = FV_DIFF_AGREES;
    int refused = 0;
    (void)user;
    for (size_t i = 0; i < sizeof planes / sizeof *planes; i++) {
        job j = {planes[i], 2, 16, i % 2 ? 16 : 20, true};
        if (run_one(&j, report, &refused) != FV_DIFF_WRONG) continue;
        describe(report, &j);
        fv_buf_puts(report, "\n");
        all = FV_DIFF_WRONG;
    }
    return all;
}
Test(keyset, two_dimensions, .timeout = 600) {
    fv_buf report = {0};
    fv_diff_verdict v = fv_diff_isolated(run_planes, NULL, 300, &report);
    cr_expect(v == FV_DIFF_AGREES, "%s", report.text ? report.text : "");
    fv_buf_dispose(&report);
}

/* -- One program -- */
static char *plan_of(const char *spec, const char *strategy) {
    char path[] = "/tmp/fovea-keyset-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, spec, strlen(spec)) == (ssize_t)strlen(spec));
    close(fd);
    fv_ctx *c = fv_ctx_new();
    fv_spec_options o = {.declare = true};
    fv_spec s;
    fv_compiled code = {0};
    fv_driver_options d = {.attend_strategy = strategy, .verify = true};
    fv_buf out = {0};
    if (fv_spec_load(c, path, NULL, &o, &s) && fv_compile_plan(c, s.graph, (fv_str){0}, &d, &code))
        fv_plan_print(code.plan, &out, true);
    fv_buf errors = {0};
    fv_diag_render(c, &errors);
    cr_assert(out.text, "%s\n%s", errors.text ? errors.text : "", spec);
    fv_compiled_dispose(&code);
    fv_ctx_dispose(c);
    unlink(path);
    return out.text;
}
Test(keyset, a_window_and_the_same_by_hand_are_one_program, .timeout = 300) {
    static const struct {
        int length, window, dilation;
    } list[] = {{13, 5, 1}, {17, 3, 3}, {14, 4, 2}, {32, 7, 1}, {7, 7, 1}, {56, 7, 8}, {20, 2, 7}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (int way = 0; way < (list[i].window < list[i].length ? 2 : 1); way++) {
            char view[1500], hand[1500];
            int l = list[i].length, k = list[i].window, d = list[i].dilation;
            const char *tail =
                "output('y', attend{ q = q, k = near(k), v = near(v), over = 'u', dot = 'd' }, 'b w e')\n";
            int n = snprintf(view, sizeof view,
                             "local q, k, v = input('q', 'b=1 w=%d d=16'), input('k', 'b=1 w=%d d=16'), input('v', "
                             "'b=1 w=%d e=16')\n",
                             l, l, l);
            memcpy(hand, view, (size_t)n + 1);
            snprintf(view + n, sizeof view - (size_t)n,
                     "local near = window{ w = 'u=%d', dilation = %d, border = 'shift' }\n%s", k, d, tail);
            snprintf(hand + n, sizeof hand - (size_t)n,
                     "local w, u = axis('w', %d), axis('u', %d)\nlocal g, j = w %% %d, w // %d\nlocal size = (%d - g + "
                     "%d) // %d\n"
                     "local near = gather{ w = (clamp(j - %d, 0, size - %d) + u) * %d + g }\n%s",
                     l, k, d, d, l, d - 1, d, k / 2, k, d, tail);
            char *a = plan_of(view, way ? "offset" : NULL), *b = plan_of(hand, way ? "offset" : NULL);
            cr_expect_str_eq(a, b, "length %d window %d dilation %d", l, k, d);
            free(a);
            free(b);
        }
}
static fv_buf object_of(const flavour *f, int n, const naming *name, const char *strategy, const char *target) {
    fv_ctx *c = fv_ctx_new();
    fv_graph *g = neighbourhood(c, f, n, 16, 20, name);
    fv_compiled code = {0};
    fv_driver_options d = {.attend_strategy = strategy, .target = target};
    fv_buf out = {0};
    bool fine = g && fv_compile(c, g, (fv_str){0}, &d, &code) && code.backend->object(code.module, "fovea_k", &out);
    cr_expect(fine, "%s", fv_diag_count(c) ? fv_diag_at(c, 0)->text : "no object");
    fv_compiled_dispose(&code);
    fv_ctx_dispose(c);
    return out;
}
Test(keyset, names_leave_no_trace, .timeout = 300) {
    static const flavour plane[2] = {{13, 5, 2, 1, false}, {16, 4, 1, 2, true}};
    static const char *const strategies[] = {"box", "offset"}, *const targets[] = {NULL, "avx2"};
    for (int s = 0; s < 2; s++)
        for (int t = 0; t < 2; t++) {
            fv_buf a = object_of(plane, 2, &usual, strategies[s], targets[t]),
                   b = object_of(plane, 2, &other, strategies[s], targets[t]);
            cr_expect(a.len > 0 && a.len == b.len && !memcmp(a.text, b.text, a.len), "%s on %s: %zu and %zu bytes",
                      strategies[s], targets[t] ? targets[t] : "the host", a.len, b.len);
            fv_buf_dispose(&a);
            fv_buf_dispose(&b);
        }
}
