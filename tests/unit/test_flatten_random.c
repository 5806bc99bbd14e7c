/* Random tile kernels through the lowering for CPUs, against the tile interpreter: extents from 1 on, ragged grids and
 * axes (also empty ones), maps, reductions with conditions, contractions with borders, lane maps, gathers, scans,
 * lists, loops with carried buffers; with random schedules. */
#include "kernel/flat.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_AXES = 8, MAX_BUFFERS = 24, MAX_LABELS = 24, N_KERNELS = 240 };
typedef struct {
    char name[16];
    int tile, limit;
    bool grid;
} axis;
typedef struct {
    char name[16];
    int n, axis[3];
} buffer;
typedef struct {
    uint32_t seed;
    fv_buf tensors, axes, body, schedule;
    axis axis[MAX_AXES];
    buffer buffer[MAX_BUFFERS];
    int n_axes, n_buffers, n_tensors, n_labels, made, banned;
} maker;

static uint32_t next(maker *m) { return (m->seed = m->seed * 1664525u + 1013904223u) >> 8; }
static int below(maker *m, int n) { return (int)(next(m) % (uint32_t)n); }
static bool chance(maker *m, int percent) { return below(m, 100) < percent; }
static int extent(maker *m) {
    static const int E[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 20, 24, 31, 33, 40};
    return E[below(m, (int)(sizeof E / sizeof *E))];
}

/* -- Parts
 * ----------------------------------------------------------------------------------------------------------------- */
static int pick(maker *m, const int *from, int n, int *out, int most) {
    int left[MAX_AXES], k = 0;
    memcpy(left, from, sizeof *left * (size_t)n);
    int want = below(m, most + 1);
    while (n && k < want) {
        int j = below(m, n);
        out[k++] = left[j];
        left[j] = left[--n];
    }
    return k;
}
static bool within(const int *a, int n, const int *of, int k) {
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (int j = 0; j < k; j++) found |= a[i] == of[j];
        if (!found) return false;
    }
    return true;
}
static void tensor(maker *m, const char *name, const char *role, const char *type, const int *extents, int n,
                   const char *tail) {
    fv_buf_printf(&m->tensors, "  %s %s : %s[", role, name, type);
    for (int j = 0; j < n; j++) fv_buf_printf(&m->tensors, "%sx%d=%d", j ? ", " : "", j, extents[j]);
    fv_buf_puts(&m->tensors, "]");
    if (n == 2 && chance(m, 30)) fv_buf_printf(&m->tensors, " stride [1, %d]", extents[0]);
    fv_buf_printf(&m->tensors, "%s%s\n", tail, chance(m, 50) ? " padded" : "");
}
static void names(const maker *m, const int *a, int n, fv_buf *out) {
    for (int j = 0; j < n; j++) fv_buf_printf(out, "%s%s", j ? ", " : "", m->axis[a[j]].name);
}
static void read_tensor(maker *m, const int *a, int n, bool gathers, fv_buf *out) {
    char name[16];
    int dims[MAX_AXES] = {0}, e[MAX_AXES] = {0}, k = pick(m, a, n, dims, 3);
    snprintf(name, sizeof name, "T%d", m->n_tensors++);
    int odd = k ? below(m, k) : -1, how = below(m, 6);
    for (int j = 0; j < k; j++) e[j] = m->axis[dims[j]].limit;
    if (k && gathers && how == 0) { /* through a table */
        char idx[16], range[32];
        int two[2] = {5, 3};
        snprintf(idx, sizeof idx, "I%d", m->n_tensors++);
        snprintf(range, sizeof range, " range 0..5");
        tensor(m, idx, "in", "i32", e, k, range);
        tensor(m, name, "in", "f32", two, 2, "");
        fv_buf_printf(out, "%s[%s[", name, idx);
        names(m, dims, k, out);
        fv_buf_puts(out, "], 1]");
        return;
    }
    fv_buf_printf(out, "%s[", name);
    for (int j = 0; j < k; j++) {
        const axis *x = &m->axis[dims[j]];
        if (j) fv_buf_puts(out, ", ");
        if (j == odd && how == 1) fv_buf_printf(out, "%d-%s", x->limit - 1, x->name);
        else if (j == odd && how == 2) {
            fv_buf_printf(out, "%s//3", x->name);
            e[j] = (x->limit + 2) / 3;
        } else if (j == odd && how == 3) {
            fv_buf_printf(out, "%s*2", x->name);
            e[j] = 2 * x->limit - 1;
        } else if (j == odd && how == 4) fv_buf_printf(out, "%s+%d", x->name, below(m, 4) - 2);
        else fv_buf_puts(out, x->name);
    }
    fv_buf_puts(out, "]");
    if (odd >= 0 && how == 4) fv_buf_puts(out, chance(m, 50) ? "?0.0" : "?0.5");
    tensor(m, name, "in", "f32", e, k, "");
}
static void read_any(maker *m, const int *a, int n, bool gathers, fv_buf *out) {
    for (int tries = 0; tries < 4 && m->n_buffers && chance(m, 50); tries++) {
        int j = below(m, m->n_buffers);
        const buffer *b = &m->buffer[j];
        if (j == m->banned || !within(b->axis, b->n, a, n)) continue;
        fv_buf_printf(out, "%s[", b->name);
        names(m, b->axis, b->n, out);
        fv_buf_puts(out, "]");
        return;
    }
    read_tensor(m, a, n, gathers, out);
}
static void value(maker *m, const int *a, int n, int depth, fv_buf *out) {
    int how = depth ? below(m, 7) : 0;
    if (how < 2) {
        read_any(m, a, n, true, out);
        return;
    }
    if (how == 2 && n) {
        fv_buf_printf(out, "0.05*%s", m->axis[a[below(m, n)]].name);
        return;
    }
    fv_buf_puts(out, how == 3 ? "max(" : how == 4 ? "exp2(-abs(" : how == 5 && n ? "where(" : "(");
    if (how == 5 && n) fv_buf_printf(out, "%s%%3 == 1, ", m->axis[a[below(m, n)]].name);
    value(m, a, n, depth - 1, out);
    if (how == 4) {
        fv_buf_puts(out, "))");
        return;
    }
    fv_buf_puts(out, how == 3 || (how == 5 && n) ? ", " : how == 6 ? "*" : "+");
    value(m, a, n, depth - 1, out);
    fv_buf_puts(out, ")");
}
static void condition(maker *m, const int *a, int n, fv_buf *out) {
    if (!n) {
        fv_buf_puts(out, "true");
        return;
    }
    const char *x = m->axis[a[below(m, n)]].name, *y = m->axis[a[below(m, n)]].name;
    switch (below(m, 4)) {
    case 0: fv_buf_printf(out, "%s <= %s+1", x, y); break;
    case 1: fv_buf_printf(out, "%s%%2 == 0 or %s < 3", x, y); break;
    case 2: fv_buf_printf(out, "%s < %d and %s >= 1", x, 1 + below(m, 9), y); break;
    default: read_any(m, a, n, false, out); fv_buf_puts(out, " < 0.4");
    }
}
static const buffer *new_buffer(maker *m, const int *a, int n) {
    buffer *b = &m->buffer[m->n_buffers];
    snprintf(b->name, sizeof b->name, "b%d", m->made++);
    b->n = n;
    memcpy(b->axis, a, sizeof *a * (size_t)n);
    return b;
}
static void target(maker *m, const buffer *b, const char *write) {
    fv_buf_printf(&m->body, "s%d: %s[", m->n_labels, b->name);
    names(m, b->axis, b->n, &m->body);
    fv_buf_printf(&m->body, "] %s ", write);
}
static void schedule(maker *m, const int *a, int n) {
    int left[MAX_AXES];
    if (!chance(m, 35) || !n) {
        m->n_labels++;
        return;
    }
    fv_buf_printf(&m->schedule, " nest.s%d=", m->n_labels++);
    memcpy(left, a, sizeof *a * (size_t)n);
    for (int k = n; k; k--) {
        int j = below(m, k), x = left[j], most = m->axis[x].tile < 5 ? m->axis[x].tile : 5;
        left[j] = left[k - 1];
        fv_buf_printf(&m->schedule, "%s%s", k < n ? "," : "", m->axis[x].name);
        if (chance(m, 35)) fv_buf_printf(&m->schedule, "/%d!", 1 + below(m, most));
    }
}

/* -- Statements
 * -------------------------------------------------------------------------------------------------------------- */
static void map_or_scan(maker *m, const int *all, int n) {
    int f[MAX_AXES], k = pick(m, all, n, f, 3);
    const buffer *b = new_buffer(m, f, k);
    bool scan = k && chance(m, 20);
    target(m, b, scan ? (chance(m, 50) ? "= scan sum" : "= scan max") : "=");
    value(m, f, k, 2, &m->body);
    if (scan) fv_buf_printf(&m->body, " along %s", m->axis[f[below(m, k)]].name);
    else if (chance(m, 25)) {
        fv_buf_puts(&m->body, " where ");
        condition(m, f, k, &m->body);
        fv_buf_puts(&m->body, " else 0.5");
    }
    fv_buf_puts(&m->body, "\n");
    if (scan) m->n_labels++;
    else schedule(m, f, k);
    m->n_buffers++;
}
static void reduction(maker *m, const int *all, int n) {
    int f[MAX_AXES], r[MAX_AXES], rest[MAX_AXES], both[MAX_AXES], k = pick(m, all, n, f, 3), n_rest = 0;
    for (int j = 0; j < n; j++)
        if (!within(&all[j], 1, f, k)) rest[n_rest++] = all[j];
    int n_red = pick(m, rest, n_rest, r, 2);
    if (!n_red) return;
    memcpy(both, f, sizeof *f * (size_t)k);
    memcpy(both + k, r, sizeof *r * (size_t)n_red);
    bool product = chance(m, 60);
    const char *write = product || chance(m, 50) ? "=sum" : chance(m, 50) ? "=max" : "=min";
    const buffer *b = new_buffer(m, f, k);
    target(m, b, write);
    if (product) {
        read_any(m, both, k + n_red, false, &m->body);
        fv_buf_puts(&m->body, "*");
        read_any(m, both, k + n_red, false, &m->body);
    } else value(m, both, k + n_red, 2, &m->body);
    fv_buf_puts(&m->body, " over ");
    names(m, r, n_red, &m->body);
    bool some = chance(m, 30);
    if (some) {
        fv_buf_puts(&m->body, " where ");
        condition(m, both, k + n_red, &m->body);
    }
    fv_buf_puts(&m->body, "\n");
    schedule(m, both, k + n_red);
    m->n_buffers++;
    if (!strcmp(write, "=sum")) return;
    m->n_buffers--; /* no point may take part: keep the infinity out of what follows */
    target(m, b, "=");
    fv_buf_printf(&m->body, "max(min(%s[", b->name);
    names(m, f, k, &m->body);
    fv_buf_puts(&m->body, "], 9.0), -9.0)\n");
    m->n_labels++;
    m->n_buffers++;
}
static void loop(maker *m, const int *all, int n) {
    int f[MAX_AXES], k = pick(m, all, n, f, 2), inner[MAX_AXES], acc = m->n_buffers;
    const buffer *b = new_buffer(m, f, k);
    fv_buf_printf(&m->body, "alloc %s[", b->name);
    names(m, f, k, &m->body);
    fv_buf_puts(&m->body, "] = 0.25\n");
    m->n_buffers++;
    axis *x = &m->axis[m->n_axes];
    *x = (axis){.tile = extent(m)};
    snprintf(x->name, sizeof x->name, "k%d", m->made++);
    x->limit = x->tile + below(m, 2 * x->tile);
    fv_buf_printf(&m->body, "for %s:%d in 0..%d {\n", x->name, x->tile, x->limit);
    memcpy(inner, all, sizeof *all * (size_t)n);
    inner[n] = m->n_axes++;
    reduction(m, inner, n + 1);
    int with[MAX_AXES];
    memcpy(with, f, sizeof *f * (size_t)k);
    with[k] = inner[n];
    m->banned = acc;
    target(m, &m->buffer[acc], "+=");
    read_any(m, with, k + 1, false, &m->body);
    fv_buf_puts(&m->body, "*");
    read_any(m, with, k + 1, false, &m->body);
    fv_buf_printf(&m->body, " over %s\n}\n", x->name);
    m->banned = -1;
    m->n_labels++;
    m->n_buffers = acc + 1; /* what the loop made holds its last tile only */
    m->n_axes--;
}
static void border(maker *m, const int *all, int n) {
    const axis *x = &m->axis[all[below(m, n)]];
    int e[2] = {x->limit, 3}, at = (int)(x - m->axis);
    char t[16], w[16];
    snprintf(t, sizeof t, "G%d", m->n_tensors++);
    snprintf(w, sizeof w, "W%d", m->n_tensors++);
    tensor(m, t, "in", "f32", e, 1, "");
    tensor(m, w, "in", "f32", &e[1], 1, "");
    target(m, new_buffer(m, &at, 1), "=sum");
    fv_buf_printf(&m->body, "%s[%s+v-1]*%s[v] over v where 0 <= %s+v-1 and %s+v-1 < %d\n", t, x->name, w, x->name,
                  x->name, x->limit);
    m->n_labels++;
    m->n_buffers++;
}
static void lane_map(maker *m, const int *all, int n) {
    const axis *x = &m->axis[all[below(m, n)]];
    int e = x->limit + 2, at = (int)(x - m->axis);
    char t[16];
    snprintf(t, sizeof t, "L%d", m->n_tensors++);
    tensor(m, t, "in", "f32", &e, 1, "");
    fv_buf_printf(&m->body, "mp%d: sx%d[%s] : i32 = max(%s-%d, 0)\n", m->n_labels, m->n_labels, x->name, x->name,
                  below(m, 3));
    target(m, new_buffer(m, &at, 1), "=sum");
    fv_buf_printf(&m->body, "%s[sx%d[%s]+v]*%s[sx%d[%s]+v] over v\n", t, m->n_labels, x->name, t, m->n_labels, x->name);
    m->n_labels++;
    m->n_buffers++;
}
static void stores(maker *m, const int *all, int n) {
    int f[MAX_AXES], k = 0, e[MAX_AXES + 1];
    for (int j = 0; j < n; j++)
        if (m->axis[all[j]].grid || (k < 3 && chance(m, 40))) f[k++] = all[j];
    for (int j = 0; j < k; j++) e[j] = m->axis[f[j]].limit;
    e[k] = 2;
    tensor(m, "O", "out", "f32", e, k + 1, "");
    fv_buf_printf(&m->body, "s%d: O[", m->n_labels++);
    names(m, f, k, &m->body);
    fv_buf_printf(&m->body, "%sg] = ", k ? ", " : "");
    value(m, f, k, 1, &m->body);
    for (int j = 0; j < m->n_buffers; j++) {
        if (!within(m->buffer[j].axis, m->buffer[j].n, f, k)) continue;
        fv_buf_printf(&m->body, "+0.125*%s[", m->buffer[j].name);
        names(m, m->buffer[j].axis, m->buffer[j].n, &m->body);
        fv_buf_puts(&m->body, "]");
    }
    fv_buf_puts(&m->body, "\n");
}
static char *make(maker *m) {
    int all[MAX_AXES], n = 0;
    fv_buf text = {0}, grid = {0};
    fv_buf_puts(&grid, "  grid g<2");
    for (int j = 0, q = below(m, 3); j < q + 3; j++) {
        axis *x = &m->axis[m->n_axes];
        x->grid = j < q;
        snprintf(x->name, sizeof x->name, "%c%d", x->grid ? 'q' : 'p', j);
        x->tile = extent(m);
        x->limit = x->grid ? 1 + below(m, 2 * x->tile) : x->tile;
        if (x->grid) fv_buf_printf(&grid, ", %s:%d<%d", x->name, x->tile, x->limit);
        else if (chance(m, 30))
            fv_buf_printf(&m->axes, "  axis %s:%d @ 0..%d\n", x->name, x->tile, x->limit = 1 + below(m, x->tile));
        else fv_buf_printf(&m->axes, "  axis %s:%d\n", x->name, x->tile);
        all[n++] = m->n_axes++;
    }
    axis *e = &m->axis[m->n_axes];
    snprintf(e->name, sizeof e->name, "e");
    e->tile = extent(m);
    e->limit = e->tile;
    fv_buf_printf(&m->body, "axis e:%d @ 0..g*%d\n", e->tile, 1 + below(m, e->tile)); /* empty in the first programs */
    all[n++] = m->n_axes++;
    fv_buf_puts(&m->axes, "  axis v:3\n");
    m->banned = -1;
    for (int j = 0; j < 5; j++) {
        int how = below(m, 10);
        if (how < 3) map_or_scan(m, all, n);
        else if (how < 7) reduction(m, all, n);
        else if (how == 7) loop(m, all, n);
        else if (how == 8) border(m, all, n);
        else lane_map(m, all, n);
    }
    stores(m, all, n);
    fv_buf_printf(&text, "kernel random {\n%s%s%s {\n%s}\n}\n", m->tensors.text, m->axes.text, grid.text, m->body.text);
    fv_buf_dispose(&grid);
    return text.text;
}

/* -- Trial
 * ---------------------------------------------------------------------------------------------------------------------
 */
static double worst_difference(const fv_tensor *t, const double *got, const double *want) {
    double e = 0, m = 1;
    for (int64_t i = 0; i < fv_tensor_elements(t); i++) {
        if (isnan(want[i])) continue; /* never stored */
        double d = fabs(got[i] - want[i]);
        if (!(d <= e)) e = isnan(d) ? (double)INFINITY : d;
        if (fabs(want[i]) > m) m = fabs(want[i]);
    }
    return e / m;
}
/* 1: compared, 0: not a legal kernel, or a schedule that is refused. */
static int trial(uint32_t seed, const fv_target *t, bool scheduled) {
    maker m = {.seed = seed * 7919u + 1};
    fv_ctx *ctx = fv_ctx_new();
    fv_buf_puts(&m.axes, "");
    fv_buf_puts(&m.schedule, "");
    char *text = make(&m);
    fv_kernel *k = fv_kernel_parse(ctx, "random", text);
    cr_assert(k, "seed %u: %s\n%s", seed, fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "", text);
    double *want[64], *got[64];
    fv_interp_options o = {.check_poison = true};
    int done = 0;
    uint32_t state = seed;
    for (int j = 0; j < k->n_tensors; j++) {
        int64_t n = fv_tensor_elements(k->tensor[j]);
        want[j] = calloc((size_t)n + 1, sizeof(double));
        got[j] = calloc((size_t)n + 1, sizeof(double));
        for (int64_t i = 0; i < n; i++) {
            state = state * 1664525u + 1013904223u;
            double v = (double)(state >> 8) / 8388608.0 - 1.0;
            if (k->tensor[j]->obj.type == FV_I32) v = (double)(state >> 20) - 5 * floor((double)(state >> 20) / 5);
            want[j][i] = got[j][i] = k->tensor[j]->role == FV_ROLE_IN ? v : (double)NAN;
        }
    }
    if (!fv_kernel_verify(k) && fv_kernel_interpret(k, want, &o)) {
        fv_schedule *s = fv_schedule_parse(ctx, "schedule", scheduled ? m.schedule.text : "");
        fv_flat_kernel *f = fv_flatten_cpu(k, s, t);
        cr_assert(f || fv_diag_at(ctx, 0)->code == FV_E_SCHEDULE, "seed %u: %s", seed,
                  fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
        cr_assert(f || scheduled, "seed %u: the default schedule is refused: %s", seed, fv_diag_at(ctx, 0)->text);
        if (f) {
            cr_assert_eq(fv_flat_verify(f), 0, "seed %u: %s\n%s", seed, fv_diag_at(ctx, 0)->text, text);
            cr_assert(fv_flat_interpret(f, got, 0, f->programs, seed), "seed %u on %s with '%s': %s\n%s", seed, t->name,
                      scheduled ? m.schedule.text : "", fv_diag_at(ctx, 0)->text, text);
            for (int j = 0; j < k->n_tensors; j++) {
                if (k->tensor[j]->role == FV_ROLE_IN) continue;
                double e = worst_difference(k->tensor[j], got[j], want[j]);
                cr_expect(e <= 2e-5, "seed %u on %s with '%s': error %.3g\n%s", seed, t->name,
                          scheduled ? m.schedule.text : "", e, text);
            }
            done = 1;
        }
    }
    for (int j = 0; j < k->n_tensors; j++) {
        free(want[j]);
        free(got[j]);
    }
    free(text);
    fv_buf_dispose(&m.tensors);
    fv_buf_dispose(&m.axes);
    fv_buf_dispose(&m.body);
    fv_buf_dispose(&m.schedule);
    fv_ctx_dispose(ctx);
    return done;
}
Test(flatten_random, default_schedules) {
    static const fv_target *const T[] = {&fv_target_avx512, &fv_target_avx2, &fv_target_neon};
    int done = 0;
    for (uint32_t s = 0; s < N_KERNELS; s++) done += trial(s, T[s % 3], false);
    cr_expect(done > N_KERNELS / 2, "only %d of %d kernels were compared", done, N_KERNELS);
}
Test(flatten_random, random_schedules) {
    static const fv_target *const T[] = {&fv_target_avx512, &fv_target_avx2, &fv_target_neon};
    int done = 0;
    for (uint32_t s = 0; s < N_KERNELS; s++) done += trial(1000 + s, T[s % 3], true);
    cr_expect(done > N_KERNELS / 3, "only %d of %d kernels were compared", done, N_KERNELS);
}
