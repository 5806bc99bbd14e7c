/* The specs of specs/attention against loops written here from their definitions: for each query a list of (key row,
 * value row, score term). */
#define _DEFAULT_SOURCE
#include "backends/reference/reference.h"
#include "dsl/dsl.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, HEADS = 2, D = 4, MAX_ROWS = 4096 };
typedef struct {
    int64_t H, W;
    double *q, *k, *v, *param[2];                       /* b head h w d */
    const char *param_name[2];
    double zero[D], made[3 * MAX_ROWS * D];             /* rows that are no element of k or v: zeros, means */
    int n_made;
    /* the pairs of one query */
    int n;
    const double *key[MAX_ROWS], *value[MAX_ROWS];
    double term[MAX_ROWS];
    double cap;                                         /* soft cap of the scaled product; 0: none */
} oracle;
static double noise(const char *name, int64_t i) {      /* in -1 .. 1 */
    uint64_t x = (uint64_t)(i + 1) * UINT64_C(0x9E3779B97F4A7C15) + fv_hash(name, strlen(name), FV_HASH_SEED);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((x ^ (x >> 31)) >> 11) * 0x1p-52 - 1.0;
}
static const double *row(const oracle *o, const double *x, int b, int head, int64_t h, int64_t w) {
    return x + (((b * HEADS + head) * o->H + h) * o->W + w) * D;
}
static void pair(oracle *o, const double *k, const double *v, double term) {
    o->key[o->n] = k;
    o->value[o->n] = v;
    o->term[o->n++] = term;
}
static void pair_at(oracle *o, int b, int head, int64_t h, int64_t w, double term) {
    pair(o, row(o, o->k, b, head, h, w), row(o, o->v, b, head, h, w), term);
}
static void answer(oracle *o, const double *q, double *out) {
    double s[MAX_ROWS], m = -INFINITY, sum = 0;
    for (int i = 0; i < o->n; i++) {
        s[i] = 0;
        for (int d = 0; d < D; d++) s[i] += q[d] * o->key[i][d];
        s[i] /= sqrt(D);
        if (o->cap > 0) s[i] = o->cap * tanh(s[i] / o->cap);
        s[i] += o->term[i];
        m = fmax(m, s[i]);
    }
    for (int i = 0; i < o->n; i++) sum += exp(s[i] - m);
    for (int d = 0; d < D; d++) {
        out[d] = 0;
        for (int i = 0; i < o->n; i++) out[d] += exp(s[i] - m) / sum * o->value[i][d];
    }
}

/* -- The patterns -------------------------------------------------------------------------------------------------- */
typedef void pattern_fn(oracle *o, int b, int head, int64_t h, int64_t w);
static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

static void neighborhood(oracle *o, int b, int head, int64_t h, int64_t w) {      /* kernel 3, dilation 2, bias 5 x 5 */
    int64_t gh = h % 2, gw = w % 2, Lh = (o->H - gh + 1) / 2, Lw = (o->W - gw + 1) / 2;
    int64_t sh = clamp(h / 2 - 1, 0, Lh - 3), sw = clamp(w / 2 - 1, 0, Lw - 3);
    for (int64_t u = 0; u < 3; u++)
        for (int64_t v = 0; v < 3; v++)
            pair_at(o, b, head, (sh + u) * 2 + gh, (sw + v) * 2 + gw,
                    o->param[0][(head * 5 + sh + u - h / 2 + 2) * 5 + sw + v - w / 2 + 2]);
}
static void window(oracle *o, int b, int head, int64_t h, int64_t w) {            /* window 4, shift 2, mask -100 */
    int64_t rh = (h + o->H - 2) % o->H, rw = (w + o->W - 2) % o->W;                /* place after the roll by -2 */
    for (int64_t y = rh / 4 * 4; y < rh / 4 * 4 + 4; y++)
        for (int64_t x = rw / 4 * 4; x < rw / 4 * 4 + 4; x++) {
            int64_t kh = (y + 2) % o->H, kw = (x + 2) % o->W;
            /* across the seam of the roll */
            bool apart = (y < o->H - 2) != (rh < o->H - 2) || (x < o->W - 2) != (rw < o->W - 2);
            pair_at(o, b, head, kh, kw, o->param[0][((rh - y + 3) * 7 + rw - x + 3) * HEADS + head] - (apart ? 100.0
                : 0.0));
        }
}
/* block 4, halo 1, relative terms q . r */
static void halo(oracle *o, int b, int head, int64_t h, int64_t w) {
    const double *q = row(o, o->q, b, head, h, w);
    int64_t bh = h / 4 * 4, bw = w / 4 * 4;
    for (int64_t u = 0; u < 6; u++)
        for (int64_t v = 0; v < 6; v++) {
            int64_t kh = bh - 1 + u, kw = bw - 1 + v;
            double term = 0;
            for (int d = 0; d < D; d++)
                term += q[d] * (o->param[0][(u - h % 4 + 5) * D + d] + o->param[1][(v - w % 4 + 5) * D + d]);
            bool in = kh >= 0 && kh < o->H && kw >= 0 && kw < o->W;
            if (in) pair_at(o, b, head, kh, kw, term); else pair(o, o->zero, o->zero, term);
        }
}
static const double *mean_row(oracle *o, const double *x, int b, int head, int64_t h0, int64_t h1, int64_t w0,
                              int64_t w1) {
    double *m = &o->made[o->n_made++ * D];
    for (int d = 0; d < D; d++) {
        m[d] = 0;
        for (int64_t h = h0; h < h1; h++) for (int64_t w = w0; w < w1; w++) m[d] += row(o, x, b, head, h, w)[d];
        m[d] /= (double)((h1 - h0) * (w1 - w0));
    }
    return m;
}
static void window_pooled(oracle *o, int b, int head, int64_t h, int64_t w) {     /* window 3, a pooled map of 3 x 3 */
    for (int64_t u = -1; u <= 1; u++)
        for (int64_t v = -1; v <= 1; v++)
            if (h + u >= 0 && h + u < o->H && w + v >= 0 && w + v < o->W)
                pair_at(o, b, head, h + u, w + v, o->param[0][(head * 3 + u + 1) * 3 + v + 1]);
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 3; j++) {
            int64_t h0 = i * o->H / 3, h1 = ((i + 1) * o->H + 2) / 3, w0 = j * o->W / 3, w1 = ((j + 1) * o->W + 2) / 3;
            pair(o, mean_row(o, o->k, b, head, h0, h1, w0, w1), mean_row(o, o->v, b, head, h0, h1, w0, w1), 0);
        }
}
/* 2 x 2 regions, the best 2; all heads choose together */
static void routed(oracle *o, int b, int head, int64_t h, int64_t w) {
    int64_t rh = o->H / 2, rw = o->W / 2, bh = h / rh, bw = w / rw;
    double fit[4];
    for (int r = 0; r < 4; r++) {
        fit[r] = 0;
        for (int e = 0; e < HEADS; e++) {
            const double *mq = mean_row(o, o->q, b, e, bh * rh, bh * rh + rh, bw * rw, bw * rw + rw);
            const double *mk = mean_row(o, o->k, b, e, r / 2 * rh, r / 2 * rh + rh, r % 2 * rw, r % 2 * rw + rw);
            for (int d = 0; d < D; d++) fit[r] += mq[d] * mk[d];
        }
    }
    for (int take = 0; take < 2; take++) {
        int best = 0;
        for (int r = 1; r < 4; r++) if (fit[r] > fit[best]) best = r;
        fit[best] = -INFINITY;
        for (int64_t y = 0; y < rh; y++)
            for (int64_t x = 0; x < rw; x++) pair_at(o, b, head, best / 2 * rh + y, best % 2 * rw + x, 0);
    }
}
static void cross(oracle *o, int b, int head, int64_t h, int64_t w) {             /* arm 2, dilation 2, soft cap 3 */
    for (int64_t a = -2; a <= 2; a++) {
        double term = o->param[0][head * 3 + llabs(a)];
        if (h + 2 * a >= 0 && h + 2 * a < o->H) pair_at(o, b, head, h + 2 * a, w, term);
        if (a && w + 2 * a >= 0 && w + 2 * a < o->W) pair_at(o, b, head, h, w + 2 * a, term);
    }
}
/* causal, window 5, alibi, over the merged map (H = 1) */
static void dense(oracle *o, int b, int head, int64_t h, int64_t w) {
    for (int64_t x = 0; x < o->W; x++)
        if (x <= w && w - x <= 5) pair_at(o, b, head, 0, x, -exp2(-8.0 * (head + 1) / HEADS) * (double)(w - x));
    (void)h;
}

/* -- Running a spec on the same numbers ---------------------------------------------------------------------------- */
typedef struct { oracle *o; fv_ctx *ctx; } source_user;
static bool source(void *user, const fv_node *leaf, double *out, int64_t count) {
    source_user *u = user;
    const char *name = fv_cstr(u->ctx, leaf->u.leaf.name);
    for (int64_t i = 0; i < count; i++) out[i] = noise(name, i);
    return true;
}
static double *numbers(const char *name, int64_t n) {
    double *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = noise(name, i);
    return x;
}

typedef struct { const char *spec, *config; int64_t H,
    W; double cap; const char *param[2]; int64_t count[2]; pattern_fn *pattern; } attention_case;
static const attention_case CASES[] = {
    {"neighborhood", "{\"kernel\": 3, \"dilation\": 2, \"rel_pos_bias\": true}", 7, 9, 0, {"rpb"}, {HEADS * 25},
        neighborhood},
    {"window", "{\"window\": 4}", 8, 12, 0, {"bias"}, {49 * HEADS}, window},
    {"halo", "{\"block\": 4, \"halo\": 1}", 8, 12, 0, {"height_rel", "width_rel"}, {11 * D, 11 * D}, halo},
    {"window_pooled", "{\"window\": 3, \"pool\": 3}", 7, 8, 0, {"bias"}, {HEADS * 9}, window_pooled},
    {"routed", "{\"regions\": 2, \"top\": 2}", 6, 8, 0, {NULL}, {0}, routed},
    {"cross", "{\"arm\": 2, \"dilation\": 2, \"softcap\": 3}", 7, 6, 3, {"bias"}, {HEADS * 3}, cross},
    {"dense", "{\"causal\": true, \"window\": 5, \"alibi\": true}", 1, 11, 0, {NULL}, {0}, dense},
};

static void check(const attention_case *c) {
    oracle *o = calloc(1, sizeof *o);
    int64_t count = B * HEADS * c->H * c->W * D;
    *o = (oracle){.H = c->H, .W = c->W, .cap = c->cap, .q = numbers("q", count), .k = numbers("k", count),
        .v = numbers("v", count)};
    for (int i = 0; i < 2; i++) if (c->param[i]) o->param[i] = numbers(c->param[i], c->count[i]);
    bool flat = !strcmp(c->spec, "dense");
    const char *axes[] = {"b", "head", flat ? "kv" : "h", flat ? "m" : "w", "d", "n"};
    int64_t extents[] = {B, HEADS, flat ? HEADS : c->H, c->W, D, c->W};
    fv_spec_options options = {.declare = true, .config_json = c->config, .n_shapes = 6, .shape_name = axes,
        .shape_value = extents};
    char path[600];
    snprintf(path, sizeof path, "%s/attention/%s.lua", FOVEA_SPEC_DIR, c->spec);
    source_user user = {o, fv_ctx_new()};
    fv_spec spec;
    double *out[4] = {0};
    bool good = fv_spec_load(user.ctx, path, NULL, &options, &spec) && fv_reference_run(spec.graph, (fv_str){0}, source,
        &user, out, NULL, NULL);
    fv_buf report = {0};
    fv_diag_render(user.ctx, &report);
    cr_assert(good, "%s: %s", c->spec, report.text);
    double worst = 0;
    for (int b = 0; b < B; b++)
        for (int head = 0; head < HEADS; head++)
            for (int64_t i = 0; i < c->H * c->W; i++) {
                double want[D];
                o->n = o->n_made = 0;
                c->pattern(o, b, head, i / c->W, i % c->W);
                answer(o, row(o, o->q, b, head, i / c->W, i % c->W), want);
                const double *got = out[0] + ((b * HEADS + head) * c->H * c->W + i) * D;
                for (int d = 0; d < D; d++) worst = fmax(worst, fabs(got[d] - want[d]));
            }
    cr_expect(worst < 1e-12, "%s: differs by %g", c->spec, worst);
    for (int i = 0; i < spec.graph->n_outputs; i++) free(out[i]);
    for (int i = 0; i < 2; i++) free(o->param[i]);
    free(o->q);
    free(o->k);
    free(o->v);
    free(o);
    fv_buf_dispose(&report);
    fv_ctx_dispose(user.ctx);
}

Test(dsl_attention, specs_agree_with_their_definitions) {
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) check(&CASES[i]);
}
