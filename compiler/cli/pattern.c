/* The pattern of an attend: the chain of reads from a key back to the tensor it comes from is composed into one index
 * per axis of that tensor and one condition of existence; the reference evaluates both for every pair. Invariant:
 * nothing here looks at a name beyond telling axes apart. */
#include "cli/pattern.h"
#include "cli/live.h"
#include "backends/reference/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    fv_ctx *c;
    fv_graph *g;
    const fv_value *source;
    const fv_expr *index[FV_MAX_AXES]; /* by axis of source, over the axes of the value that the chain began with */
    const fv_expr *exists, *inside;    /* NULL: always */
} chain;

static const fv_expr *between(fv_ctx *c, const fv_expr *e, int64_t extent) {
    return fv_and(c, fv_op2(c, FV_X_LE, fv_int(c, 0), e), fv_op2(c, FV_X_LE, e, fv_int(c, extent - 1)));
}
static const fv_expr *clamped(fv_ctx *c, const fv_expr *e, int64_t extent) {
    return fv_op2(c, FV_X_MAX, fv_op2(c, FV_X_MIN, e, fv_int(c, extent - 1)), fv_int(c, 0));
}
static const fv_expr *bordered(chain *x, const fv_read_node *r, const fv_expr *e, int64_t extent) {
    fv_ctx *c = x->c;
    int64_t period = extent > 1 ? 2 * (extent - 1) : 1;
    switch (r->border) {
    case FV_BORDER_CUT: x->exists = fv_and(c, x->exists, between(c, e, extent)); return clamped(c, e, extent);
    case FV_BORDER_NUMBER: x->inside = fv_and(c, x->inside, between(c, e, extent)); return clamped(c, e, extent);
    case FV_BORDER_CLAMP: return clamped(c, e, extent);
    case FV_BORDER_WRAP: return fv_op2(c, FV_X_MOD, e, fv_int(c, extent));
    case FV_BORDER_REFLECT:
        e = fv_op2(c, FV_X_MOD, e, fv_int(c, period));
        return fv_op2(c, FV_X_MIN, e, fv_sub(c, fv_int(c, period), e));
    case FV_BORDER_NONE: break;
    }
    return e;
}
static void bindings(const chain *x, fv_binding *b) {
    for (int i = 0; i < x->source->obj.rank; i++)
        b[i] = (fv_binding){fv_axis_ref(x->c, x->source->axis[i].name), x->index[i]};
}
static void through_read(chain *x, const fv_read_node *r) {
    fv_binding b[FV_MAX_AXES];
    const fv_expr *next[FV_MAX_AXES];
    int n = x->source->obj.rank;
    bindings(x, b);
    if (r->only) x->exists = fv_and(x->c, x->exists, fv_to_bool(x->c, fv_subst(x->c, r->only, b, n)));
    for (int j = 0; j < r->src->obj.rank; j++)
        next[j] = bordered(x, r, fv_subst(x->c, r->index[j], b, n), r->src->axis[j].extent);
    memcpy(x->index, next, sizeof next);
    x->source = r->src;
}
/* A map over one tensor of the same axes (a bias, a norm's scale) moves no element. */
typedef struct {
    const fv_value *of, *found;
} same_axes;
static void find_same(const fv_value *v, void *user) {
    same_axes *s = user;
    if (v->obj.rank != s->of->obj.rank || s->found) return;
    for (int i = 0; i < v->obj.rank; i++)
        if (fv_value_axis(s->of, v->axis[i].name) < 0) return;
    s->found = v;
}
static bool through_map(chain *x) {
    const fv_node *n = x->source->node;
    if (n->op != FV_NODE_COMPUTE || n->u.compute.monoid != FV_MONOID_NONE || n->u.compute.otherwise ||
        n->u.compute.only)
        return false;
    same_axes s = {x->source, NULL};
    fv_expr_values(n->u.compute.body, find_same, &s);
    if (!s.found || s.found->node->op != FV_NODE_READ) return false;
    const fv_expr *next[FV_MAX_AXES];
    for (int j = 0; j < s.found->obj.rank; j++) next[j] = x->index[fv_value_axis(x->source, s.found->axis[j].name)];
    memcpy(x->index, next, sizeof next);
    x->source = s.found;
    return true;
}
static chain follow(fv_graph *g, const fv_value *v) {
    chain x = {.c = g->ctx, .g = g, .source = v};
    for (int i = 0; i < v->obj.rank; i++) x.index[i] = fv_axis_ref(x.c, v->axis[i].name);
    for (;;) {
        if (x.source->node->op == FV_NODE_READ) through_read(&x, &x.source->node->u.read);
        else if (!through_map(&x)) return x;
    }
}
/* The source may have absent elements of its own: 1 or 2 where it exists, 0 where not. */
static const fv_expr *source_exists(chain *x) {
    fv_value *v = (fv_value *)(uintptr_t)x->source;
    if (!v->partial) return NULL;
    const fv_expr *self = fv_value_at_self(x->c, v),
                  *zero = fv_type_is_float(v->obj.type) ? fv_float(x->c, 0) : fv_int(x->c, 0);
    const fv_expr *one = fv_op3(x->c, FV_X_WHERE, fv_op2(x->c, FV_X_LT, self, zero), fv_int(x->c, 1), fv_int(x->c, 2));
    fv_value *e =
        fv_graph_compute(x->g, v->node->loc, FV_MONOID_NONE, v->axis, v->obj.rank, NULL, 0, one, NULL, fv_int(x->c, 0));
    if (!e) return NULL;
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < e->obj.rank; i++) at[i] = x->index[fv_value_axis(v, e->axis[i].name)];
    return fv_op2(x->c, FV_X_LT, fv_int(x->c, 0), fv_read(x->c, &e->obj, at, e->obj.rank, NULL));
}
static const fv_expr *only_holds(fv_graph *g, fv_value *only) {
    fv_ctx *c = g->ctx;
    fv_value *v = only;
    const fv_expr *self = fv_to_bool(c, fv_value_at_self(c, only));
    if (only->partial)
        v = fv_graph_compute(g, only->node->loc, FV_MONOID_NONE, only->axis, only->obj.rank, NULL, 0, self, NULL,
                             fv_bool(c, false));
    return v ? fv_to_bool(c, fv_value_at_self(c, v)) : NULL;
}

/* -- Which query axes matter ---- */
typedef struct {
    chain key;
    const fv_expr *exists;
    const fv_attend_set *set;
    fv_axis q[FV_MAX_AXES];
    int n_q;
    bool batch[FV_MAX_AXES];
} parts;

static void query_axes(const fv_attend_node *a, parts *p) {
    const fv_value *lead = a->q ? a->q : a->set[0].s;
    for (int i = 0; i < lead->obj.rank; i++) {
        const fv_axis *x = &lead->axis[i];
        bool other = fv_axis_find(a->dot, a->n_dot, x->name) >= 0;
        for (int s = 0; s < a->n_sets; s++)
            other = other || fv_axis_find(a->set[s].over, a->set[s].n_over, x->name) >= 0;
        if (!other) p->q[p->n_q++] = *x;
    }
}
static bool moves_keys(const parts *p, int source_axis) {
    for (int i = 0; i < p->set->n_over; i++)
        if (fv_uses(p->key.index[source_axis], fv_axis_ref(p->key.c, p->set->over[i].name))) return true;
    return false;
}
/* Where every query sees the same keys, the longest axes that no index reads stand for the queries: as many as keys
 * have axes. */
static void draw_free(parts *p) {
    int wanted = 0;
    for (int j = 0; j < p->key.source->obj.rank; j++) wanted += moves_keys(p, j);
    for (int best = 0; wanted > 0 && best >= 0; wanted--) {
        best = -1;
        for (int i = 0; i < p->n_q; i++) {
            bool used = !p->batch[i] || p->q[i].extent == 1;
            for (int j = 0; j < p->key.source->obj.rank; j++)
                used = used || fv_uses(p->key.index[j], fv_axis_ref(p->key.c, p->q[i].name));
            if (!used && (best < 0 || p->q[i].extent >= p->q[best].extent)) best = i;
        }
        if (best >= 0) p->batch[best] = false;
    }
}
/* A query axis that reaches the keys as it is, or not at all, selects among equal patterns: the first stands for all.
 */
static void find_batch(parts *p) {
    int kept = 0;
    for (int i = 0; i < p->n_q; i++) {
        const fv_expr *leaf = fv_axis_ref(p->key.c, p->q[i].name);
        bool inside = (p->exists && fv_uses(p->exists, leaf)) || (p->key.inside && fv_uses(p->key.inside, leaf));
        for (int j = 0; j < p->key.source->obj.rank; j++)
            inside = inside || (p->key.index[j] != leaf && fv_uses(p->key.index[j], leaf));
        p->batch[i] = !inside;
        kept += inside;
    }
    if (!kept) draw_free(p);
}

static bool given_query(fv_ctx *c, const cli_args *a, const parts *p, int64_t *at) {
    const char *list[16];
    int n = a ? cli_values(a, "query", list, 16) : 0;
    for (int i = 0; i < p->n_q; i++) at[i] = p->batch[i] ? 0 : p->q[i].extent / 2;
    for (int i = 0; i < n; i++)
        for (char *s = fv_strdup(c, list[i]), *next; s && *s; s = next) {
            next = strchr(s, ',');
            if (next) *next++ = 0;
            char *eq = strchr(s, '='), *end = NULL;
            long long v = eq ? strtoll(eq + 1, &end, 10) : -1;
            int axis = -1;
            if (eq) *eq = 0;
            for (int j = 0; j < p->n_q; j++)
                if (!strcmp(fv_cstr(c, p->q[j].name), s)) axis = j;
            if (axis < 0 || !end || *end || v < 0 || v >= p->q[axis].extent) {
                fv_buf b = {0};
                for (int j = 0; j < p->n_q; j++)
                    fv_buf_printf(&b, "%s%s=0..%lld", j ? ", " : "", fv_cstr(c, p->q[j].name),
                                  (long long)p->q[j].extent - 1);
                fv_error(c, FV_E_USAGE, (fv_loc){0}, "--query: '%s' names no query; axes of this attend: %s", list[i],
                         b.text ? b.text : "none");
                fv_buf_dispose(&b);
                return false;
            }
            at[axis] = v;
        }
    return true;
}

/* -- Evaluation ---- */
static bool evaluate(cli_session *s, fv_graph *g, fv_loc loc, const fv_axis *axis, int n, const fv_expr *body,
                     double **out) {
    static int number;
    fv_ctx *c = g->ctx;
    fv_str entry = fv_internf(c, "pattern.%d", number++);
    fv_value *v = fv_graph_compute(g, loc, FV_MONOID_NONE, axis, n, NULL, 0, body, NULL, NULL);
    if (!v) return false;
    fv_stored stored = {.rank = n};
    for (int i = 0; i < n; i++) stored.dim[i] = (fv_stored_dim){.n = 1, .axis = {fv_value_axis(v, axis[i].name)}};
    if (!fv_graph_output(g, loc, entry, fv_intern(c, "code"), v, &stored)) return false;
    double **results = FV_NEWN(c, double *, g->n_outputs + 1);
    cli_leaf_source u = {c, s};
    if (!fv_reference_run(g, entry, cli_leaf_values, &u, results, NULL, NULL)) return false;
    *out = results[g->n_outputs - 1];
    return *out != NULL;
}
/* Where the chosen query stands: its own chain of reads, evaluated; an axis of the map that its source lacks stays
 * unknown. */
static void place_query(fv_graph *g, const fv_attend_node *a, const parts *p, const int64_t *at, cli_pattern_set *out) {
    for (int i = 0; i < out->n_map; i++) out->at[i] = -1;
    if (!a->q) return;
    chain x = follow(g, a->q);
    fv_binding b[FV_MAX_AXES];
    for (int i = 0; i < p->n_q; i++) b[i] = (fv_binding){fv_axis_ref(x.c, p->q[i].name), fv_int(x.c, at[i])};
    for (int i = 0; i < out->n_map; i++) {
        int j = fv_value_axis(x.source, out->map[i].name);
        int64_t v;
        if (j >= 0 && x.source->axis[j].extent == out->map[i].extent &&
            fv_is_int(fv_subst(x.c, x.index[j], b, p->n_q), &v))
            out->at[i] = v;
    }
    bool any = false;
    for (int i = 0; i < out->n_map; i++) any = any || out->at[i] >= 0;
    if (!any && out->n_map == 1 && out->n_query == 1 && out->map[0].extent == out->query[0].extent)
        out->at[0] = out->chosen[0];
}
static bool pattern_of(fv_ctx *c, const cli_args *args, cli_session *s, const fv_node *attend, int number,
                       cli_pattern_set *out) {
    fv_graph *g = s->spec.graph;
    const fv_attend_node *a = &attend->u.attend;
    const fv_attend_set *set = &a->set[number];
    parts p = {.set = set};
    const fv_value *from = set->k ? set->k : set->v ? set->v : set->s;
    p.key = follow(g, from);
    p.exists = fv_and(c, p.key.exists, source_exists(&p.key));
    if (set->v && set->v != from) p.exists = fv_and(c, p.exists, follow(g, set->v).exists);
    if (set->only) p.exists = fv_and(c, p.exists, only_holds(g, set->only));
    query_axes(a, &p);
    find_batch(&p);
    *out = (cli_pattern_set){.attend = attend, .number = number, .n_cells = 1, .n_queries = 1, .n_keys = 1};
    int64_t at[FV_MAX_AXES];
    if (!given_query(c, args, &p, at)) return false;
    const fv_node *leaf = p.key.source->node;
    out->source = leaf->op == FV_NODE_INPUT || leaf->op == FV_NODE_PARAM
                      ? fv_printf(c, "%s", fv_cstr(c, leaf->u.leaf.name))
                      : fv_printf(c, "a tensor made at %s:%d", fv_cstr(c, leaf->loc.file), leaf->loc.line);
    for (int i = 0; i < p.n_q; i++)
        if (!p.batch[i]) {
            out->chosen[out->n_query] = at[i];
            out->query[out->n_query++] = p.q[i];
            out->n_queries *= p.q[i].extent;
        }
    for (int i = 0; i < set->n_over; i++) out->n_keys *= set->over[i].extent;
    /* The map: axes of the source that differ between keys or between the queries drawn. */
    const fv_expr *code = fv_int(c, 0);
    for (int j = 0; j < p.key.source->obj.rank; j++) {
        bool moves = false;
        for (int i = 0; i < set->n_over; i++)
            moves = moves || fv_uses(p.key.index[j], fv_axis_ref(c, set->over[i].name));
        for (int i = 0; i < out->n_query; i++)
            moves = moves || fv_uses(p.key.index[j], fv_axis_ref(c, out->query[i].name));
        if (!moves) continue;
        out->map[out->n_map++] = p.key.source->axis[j];
        out->n_cells *= p.key.source->axis[j].extent;
        code = fv_add(c, fv_muli(c, code, p.key.source->axis[j].extent), p.key.index[j]);
    }
    if (p.key.inside) code = fv_op3(c, FV_X_WHERE, p.key.inside, code, fv_int(c, PATTERN_OUTSIDE));
    if (p.exists) code = fv_op3(c, FV_X_WHERE, p.exists, code, fv_int(c, PATTERN_ABSENT));
    out->whole = out->n_queries * out->n_keys <= PATTERN_MOST_PAIRS;
    fv_binding b[FV_MAX_AXES];
    int nb = 0;
    fv_axis axis[FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < p.n_q; i++) {
        if (p.batch[i] || !out->whole) b[nb++] = (fv_binding){fv_axis_ref(c, p.q[i].name), fv_int(c, at[i])};
        else axis[n++] = p.q[i];
    }
    for (int i = 0; i < a->n_dot; i++) b[nb++] = (fv_binding){fv_axis_ref(c, a->dot[i].name), fv_int(c, 0)};
    for (int i = 0; i < set->n_over; i++) axis[n++] = set->over[i];
    place_query(g, a, &p, at, out);
    return evaluate(s, g, attend->loc, axis, n, fv_subst(c, code, b, nb), &out->code);
}

int64_t cli_pattern_index(const cli_pattern_set *p) {
    int64_t i = 0;
    for (int d = 0; d < p->n_query && p->whole; d++) i = i * p->query[d].extent + p->chosen[d];
    return i;
}
int64_t cli_pattern_counts(const cli_pattern_set *p, int *counts, int64_t *outside) {
    const double *row = p->code + cli_pattern_index(p) * p->n_keys;
    int64_t exist = 0;
    *outside = 0;
    for (int64_t i = 0; i < p->n_keys; i++) {
        int64_t cell = (int64_t)row[i];
        exist += cell != PATTERN_ABSENT;
        if (cell == PATTERN_OUTSIDE) ++*outside;
        if (cell >= 0 && cell < p->n_cells) counts[cell]++;
    }
    return exist;
}

static void blocks_text(fv_ctx *c, const fv_plan *plan, const cli_pattern_set *p) {
    cli_block b[256];
    const char *strategy = NULL;
    int n = cli_blocks(c, plan, p->attend, p->query, p->chosen, p->n_query, b, 256, &strategy), shown = 0, skipped = 0;
    if (!strategy) return;
    printf("  computed by %s", strategy);
    for (int i = 0; i < n; i++) {
        if (b[i].skipped) {
            skipped++;
            continue;
        }
        if (shown++ < 12)
            printf("%s %s %lld..%lld", shown == 1 ? "; goes through" : ",", fv_cstr(c, b[i].axis), (long long)b[i].lo,
                   (long long)b[i].hi);
    }
    if (shown > 12) printf(" … (%d blocks)", shown);
    if (skipped) printf("; %d blocks skipped", skipped);
    printf("\n");
}
bool cli_pattern_equal(const cli_pattern_set *a, const cli_pattern_set *b) {
    if (!a->code || a->n_map != b->n_map || a->n_query != b->n_query || a->n_keys != b->n_keys ||
        a->whole != b->whole || a->n_queries != b->n_queries || a->n_cells != b->n_cells)
        return false;
    for (int i = 0; i < a->n_map; i++)
        if (a->map[i].extent != b->map[i].extent) return false;
    return !memcmp(a->code, b->code, sizeof *a->code * (size_t)((a->whole ? a->n_queries : 1) * a->n_keys));
}
/* Draws a pattern, unless it is that of the attend before. */
typedef struct {
    cli_pattern_set last;
    int again;
} drawn;
static void say_again(drawn *d) {
    if (d->again) printf("  and %d more attend%s of the same pattern\n", d->again, d->again == 1 ? "" : "s");
    d->again = 0;
}
static void draw(fv_ctx *ctx, drawn *d, const fv_plan *plan, const cli_pattern_set *p) {
    cli_progress_done();
    if (cli_pattern_equal(&d->last, p)) {
        free(p->code);
        d->again++;
        return;
    }
    say_again(d);
    free(d->last.code);
    d->last = *p;
    cli_pattern_text(ctx, p);
    if (plan && p->number == 0) blocks_text(ctx, plan, p);
}
bool cli_pattern_each(fv_ctx *ctx, const cli_args *a, cli_session *s, cli_pattern_visit *visit, void *user) {
    fv_graph *g = s->spec.graph;
    int n = g->n_nodes; /* evaluating adds nodes */
    for (int i = 0; i < n; i++)
        for (int k = 0; g->node[i]->op == FV_NODE_ATTEND && k < g->node[i]->u.attend.n_sets; k++) {
            cli_pattern_set p;
            if (!pattern_of(ctx, a, s, g->node[i], k, &p)) return false;
            bool more = visit(user, &p);
            free(p.code);
            if (!more) return true;
        }
    return true;
}
bool cli_pattern(fv_ctx *ctx, const cli_args *a, cli_session *s) {
    fv_graph *g = s->spec.graph;
    int attends = 0, n = g->n_nodes;
    fv_driver_options o = {
        .target = cli_value(a, "target"), .attend_strategy = cli_value(a, "attend"), .storage = s->storage};
    fv_compiled plan = {0};
    drawn d = {0};
    if (!fv_compile_plan(ctx, g, (fv_str){0}, &o, &plan))
        fv_diag_clear(ctx); /* not lowered yet: the pattern is still the graph's */
    const char *picture = cli_value(a, "o");
    bool fine = true;
    for (int i = 0; i < n && fine; i++) {
        const fv_node *attend = g->node[i];
        if (attend->op != FV_NODE_ATTEND || (attends++ && picture)) continue; /* one picture: of the first */
        for (int k = 0; k < attend->u.attend.n_sets && fine; k++) {
            cli_pattern_set p;
            fine = pattern_of(ctx, a, s, attend, k, &p);
            if (fine && picture && k == 0) fine = cli_pattern_picture(ctx, &p, picture);
            if (fine) draw(ctx, &d, plan.plan, &p);
        }
    }
    say_again(&d);
    free(d.last.code);
    fv_compiled_dispose(&plan);
    if (!attends) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%s has no attend: there is no pattern to draw", s->name);
        return false;
    }
    return fine;
}
