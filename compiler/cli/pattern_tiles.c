/* Which blocks of keys a compiled attend kernel goes through for one query: its loops and tile axes, evaluated for the
 * program that holds the query. */
#include "cli/pattern.h"

#include <math.h>
#include <string.h>

enum { MOST_FACTS = 256 };
typedef struct {
    fv_ctx *c;
    const fv_kernel *k;
    const fv_axis *axis;
    const int64_t *at;
    int n, n_known, n_out, cap;
    struct {
        fv_str name;
        double value;
    } known[MOST_FACTS];
    cli_block *out;
} walk;

static double leaf(const fv_expr *e, void *user) {
    const walk *w = user;
    if (e->op == FV_X_VAR)
        for (int i = w->n_known - 1; i >= 0; i--)
            if (fv_str_eq(w->known[i].name, e->name)) return w->known[i].value;
    return NAN; /* reads and coordinates are not known here */
}
static double value(walk *w, const fv_expr *e) { return e ? fv_eval(e, leaf, w) : 0; }
static void know(walk *w, fv_str name, double v) {
    if (w->n_known < MOST_FACTS) {
        w->known[w->n_known].name = name;
        w->known[w->n_known++].value = v;
    }
}
static void add(walk *w, fv_str axis, double lo, double hi, bool skipped) {
    if (w->n_out < w->cap && isfinite(lo) && isfinite(hi) && lo <= hi)
        w->out[w->n_out++] = (cli_block){axis, (int64_t)lo, (int64_t)hi, skipped};
}
static void grid(walk *w, const fv_stmt *s) {
    for (int i = 0; i < s->n_axes; i++) {
        const fv_tile_axis *a = &s->axis[i];
        int64_t at = 0;
        for (int j = 0; j < w->n; j++)
            if (fv_str_eq(w->axis[j].name, a->name)) at = w->at[j];
        if (a->tile) know(w, fv_base_name(w->c, a->name), (double)(at / a->tile * a->tile));
        else know(w, a->name, (double)at);
    }
}
static void list(walk *w, const fv_stmt *s);
/* A loop over keys: each block once; a block whose whole work stands under a condition that does not hold is skipped.
 */
static void loop(walk *w, const fv_stmt *s) {
    const fv_tile_axis *a = &s->axis[0];
    double lo = value(w, a->base), hi = value(w, a->limit);
    int64_t step = a->tile ? a->tile : 1;
    fv_str name = a->tile ? fv_base_name(w->c, a->name) : a->name;
    if (!isfinite(lo) || !isfinite(hi)) return;
    for (double at = lo; at < hi && w->n_out < w->cap; at += (double)step) {
        int known = w->n_known;
        bool skipped = false;
        know(w, name, at);
        for (const fv_stmt *b = s->body; b; b = b->next) {
            if (b->kind == FV_S_LET) know(w, b->name, value(w, b->expr));
            if (b->kind == FV_S_IF && !b->next) skipped = value(w, b->expr) == 0;
        }
        double last = at + (double)step < hi ? at + (double)step : hi;
        add(w, a->name, at, last - 1, skipped);
        w->n_known = known;
    }
}
static void list(walk *w, const fv_stmt *s) {
    for (; s; s = s->next) {
        if (s->kind == FV_S_GRID) {
            grid(w, s);
            list(w, s->body);
        }
        if (s->kind == FV_S_LET) know(w, s->name, value(w, s->expr));
        if (s->kind == FV_S_IF && value(w, s->expr) != 0) list(w, s->body);
        if (s->kind == FV_S_FOR) loop(w, s);
        if (s->kind == FV_S_AXIS)
            for (int i = 0; i < s->n_axes; i++) {
                const fv_tile_axis *a = &s->axis[i];
                double lo = value(w, a->base), hi = a->limit ? value(w, a->limit) : lo + (double)a->tile;
                know(w, fv_base_name(w->c, a->name), lo);
                if (a->base && a->base->op != FV_X_INT)
                    add(w, a->name, lo, (hi < lo + (double)a->tile ? hi : lo + (double)a->tile) - 1, false);
            }
    }
}
int cli_blocks(fv_ctx *ctx, const fv_plan *plan, const fv_node *attend, const fv_axis *axis, const int64_t *at, int n,
               cli_block *out, int cap, const char **strategy) {
    for (int i = 0; i < plan->n_launches[1]; i++) {
        const fv_launch *l = plan->launch[1][i];
        const char *name = l->schedule ? fv_cstr(ctx, l->schedule->strategy) : "";
        if (l->loc.line != attend->loc.line || !fv_str_eq(l->loc.file, attend->loc.file) ||
            strncmp(name, "attend", 6) != 0)
            continue;
        walk w = {.c = ctx, .k = l->kernel, .axis = axis, .at = at, .n = n, .out = out, .cap = cap};
        *strategy = name;
        list(&w, l->kernel->body);
        return w.n_out;
    }
    return 0;
}
