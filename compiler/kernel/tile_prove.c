/* What is in scope and known, and proofs that an index stays in its extent: by intervals first, then by enumerating
 * the few leaves that the
 * index depends on (extents are constants, so this is exact as long as conditions are integer expressions).
 * Invariant: sound: an index is accepted only if no assignment of the leaves that satisfies the conditions leaves the
 * extent. */
#include "kernel/tile_prove.h"

#include <math.h>

enum { BUDGET = 1 << 19 };

/* -- Scope --------------------------------------------------------------------------------------------------------- */
fv_prover_mark fv_prover_enter(const fv_prover *p) {
    return (fv_prover_mark){p->n, p->facts.n, p->n_inlined, p->n_conds};
}

void fv_prover_leave(fv_prover *p, fv_prover_mark m) {
    p->n = m.n;
    p->facts.n = m.n_facts;
    p->n_inlined = m.n_inlined;
    p->n_conds = m.n_conds;
}

static void add_domain(fv_prover *p, fv_domain d) {
    fv_range lo = fv_range_of(&p->facts, d.lo), hi = fv_range_of(&p->facts, d.hi);
    if (d.wide_hi) {
        fv_range w = fv_range_of(&p->facts, d.wide_hi);
        if (w.hi < hi.hi) hi.hi = w.hi;
    }
    if (lo.lo > FV_RANGE_MIN || hi.hi < FV_RANGE_MAX)
        fv_facts_add(p->ctx, &p->facts, d.leaf, lo.lo, hi.hi > lo.lo ? hi.hi - 1 : lo.lo);
    fv_push(p->ctx, p->domain, p->n, p->cap, d);
}

static void inline_as(fv_prover *p, const fv_expr *leaf, const fv_expr *e) {
    fv_push(p->ctx, p->inlined, p->n_inlined, p->cap_inlined, ((fv_binding){leaf, e}));
}

/* The offset of axis `a` in its tile, as a leaf of its own. */
static const fv_expr *offset_leaf(fv_ctx *ctx, fv_str a) {
    return fv_var(ctx, fv_internf(ctx, "%s'", fv_cstr(ctx, a)), FV_I32);
}

void fv_prover_axis(fv_prover *p, const fv_stmt *owner, const fv_tile_axis *a) {
    fv_ctx *c = p->ctx;
    const fv_expr *zero = fv_int(c, 0);
    const fv_expr *lo = a->base ? fv_prover_inline(p, a->base) : zero;
    const fv_expr *hi = a->limit ? fv_prover_inline(p, a->limit) : NULL;
    bool grid = owner->kind == FV_S_GRID;
    if (!a->tile) {
        add_domain(p, (fv_domain){.leaf = fv_var(c, a->name, FV_I32), .lo = lo, .hi = hi, .step = 1, .program = grid});
        return;
    }
    const fv_expr *base = fv_var(c, fv_base_name(c, a->name), FV_I32), *at = base;
    if (owner->kind == FV_S_AXIS) {
        inline_as(p, base, lo);
        at = lo;
    } else {
        add_domain(p, (fv_domain){.leaf = base, .lo = lo, .hi = hi, .step = a->tile, .program = grid});
    }
    const fv_expr *end = fv_addi(c, at, a->tile);
    if (hi) end = fv_op2(c, FV_X_MIN, hi, end);
    add_domain(p, (fv_domain){.leaf = fv_axis_ref(c, a->name), .lo = at, .hi = end, .step = 1,
                              .wide_lo = owner->kind == FV_S_AXIS ? NULL : lo,
                              .wide_hi = owner->kind == FV_S_AXIS ? NULL : hi});
    add_domain(p, (fv_domain){.leaf = offset_leaf(c, a->name), .lo = zero, .hi = fv_int(c, a->tile), .step = 1});
}

static bool is_read(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ || e->op == FV_X_ANY || e->op == FV_X_ALL;
}
static bool has_read(const fv_expr *e) { return fv_visit(e, is_read, NULL); }

void fv_prover_let(fv_prover *p, const fv_stmt *let) {
    const fv_expr *leaf = fv_var(p->ctx, let->name, let->expr->type), *e = fv_prover_inline(p, let->expr);
    if (!has_read(e)) inline_as(p, leaf, e);
    else if (let->ranged)
        add_domain(p, (fv_domain){.leaf = leaf, .lo = fv_int(p->ctx, let->lo), .hi = fv_int(p->ctx, let->hi + 1),
                                  .step = 1});
    else if (e->op == FV_X_READ && e->ref->ranged)
        add_domain(p, (fv_domain){.leaf = leaf, .lo = fv_int(p->ctx, e->ref->lo), .hi = fv_int(p->ctx, e->ref->hi + 1),
                                  .step = 1});
}

static void split(fv_prover *p, const fv_expr *e, const fv_expr **list, int *n) {
    if (e->op == FV_X_AND) {
        split(p, e->arg[0], list, n);
        split(p, e->arg[1], list, n);
    } else if (*n < FV_PROVE_CONDS) list[(*n)++] = e;
}

void fv_prover_cond(fv_prover *p, const fv_expr *cond) { split(p, fv_prover_inline(p, cond), p->cond, &p->n_conds); }

void fv_prover_define(fv_prover *p, const fv_buffer *b, const fv_expr *value) {
    for (int j = 0; j < p->n_defs; j++)
        if (p->def[j].buffer == b) {
            p->def[j].value = NULL;
            return;
        }
    const fv_expr *e = value ? fv_prover_inline(p, value) : NULL;
    if (e && has_read(e)) e = NULL;
    fv_push(p->ctx, p->def, p->n_defs, p->cap_defs, ((fv_buffer_def){b, e}));
}

/* -- Inlining ------------------------------------------------------------------------------------------------------ */
static const fv_expr *inline_node(fv_ctx *ctx, const fv_expr *e, void *user) {
    fv_prover *p = user;
    (void)ctx;
    if (e->op == FV_X_VAR) {
        for (int j = p->n_inlined - 1; j >= 0; j--)
            if (p->inlined[j].from == e) return p->inlined[j].to;
        return e;
    }
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_BUFFER) return e;
    const fv_buffer *b = (const fv_buffer *)e->ref;
    for (int j = 0; j < p->n_defs; j++) {
        if (p->def[j].buffer != b || !p->def[j].value) continue;
        bool own = true;                                /* read at its own axes: offset and position go together */
        for (int i = 0; i < b->obj.rank; i++)
            own = own && e->arg[i]->op == FV_X_AXIS && fv_str_eq(e->arg[i]->name, b->axis[i]);
        if (own) return p->def[j].value;
    }
    return e;
}

const fv_expr *fv_prover_inline(fv_prover *p, const fv_expr *e) { return fv_rewrite(p->ctx, e, inline_node, p); }

/* -- Enumeration --------------------------------------------------------------------------------------------------- */
static int domain_of(const fv_prover *p, const fv_expr *leaf) {
    for (int j = p->n - 1; j >= 0; j--)
        if (p->domain[j].leaf == leaf) return j;
    return -1;
}

/* The position is the offset where an axis starts at 0: conditions on it then hold for the offset too. */
static const fv_expr *to_offset(fv_ctx *ctx, const fv_expr *e, void *user) {
    const fv_prover *p = user;
    if (e->op != FV_X_AXIS) return e;
    int d = domain_of(p, e);
    bool from_zero = d >= 0 && p->domain[d].lo->op == FV_X_INT && !p->domain[d].lo->i && !p->domain[d].wide_lo;
    return from_zero ? e : offset_leaf(ctx, e->name);
}

typedef struct { fv_enumeration *n; bool other; } leaves;

static bool listed(const fv_enumeration *n, int d) {
    for (int j = 0; j < n->n; j++)
        if (n->leaf[j] == d) return true;
    return false;
}

/* Adds the leaves of a node; `other`: it holds something that is no leaf with a domain. */
static bool add_leaf(const fv_expr *e, void *user) {
    leaves *l = user;
    if (e->op == FV_X_READ || e->op == FV_X_ANY || e->op == FV_X_ALL) l->other = true;
    if (e->op != FV_X_AXIS && e->op != FV_X_VAR) return false;
    int d = domain_of(l->n->p, e);
    if (d < 0) l->other = true;
    else if (!listed(l->n, d)) {
        if (l->n->n == FV_PROVE_LEAVES) l->other = true;
        else l->n->leaf[l->n->n++] = d;
    }
    return false;
}

static bool add_leaves(fv_enumeration *n, const fv_expr *e) {
    leaves l = {n, false};
    fv_visit(e, add_leaf, &l);
    return !l.other;
}

/* Is every leaf of e listed already? some: is any? */
typedef struct { const fv_enumeration *n; bool all, some, other; } coverage;
static bool cover(const fv_expr *e, void *user) {
    coverage *c = user;
    if (e->op == FV_X_READ || e->op == FV_X_ANY || e->op == FV_X_ALL) c->other = true;
    if (e->op != FV_X_AXIS && e->op != FV_X_VAR) return false;
    int d = domain_of(c->n->p, e);
    if (d < 0) c->other = true;
    else if (listed(c->n, d)) c->some = true;
    else c->all = false;
    return false;
}

/* Leaves that bounds depend on. A position leaf whose base nothing else needs runs over its wide range. */
static void close_leaves(fv_enumeration *n) {
    for (int j = 0; j < n->n; j++) {
        const fv_domain *d = &n->p->domain[n->leaf[j]];
        int base = d->wide_hi ? domain_of(n->p, d->lo) : -1;
        n->wide[j] = base >= 0 && !listed(n, base);
        if (!add_leaves(n, n->wide[j] ? d->wide_lo : d->lo) || !add_leaves(n, n->wide[j] ? d->wide_hi : d->hi))
            n->unknown = true;
    }
    for (int j = 0; j < n->n; j++) {                    /* a base that came in later takes the wide range back */
        const fv_domain *d = &n->p->domain[n->leaf[j]];
        if (!n->wide[j] || !listed(n, domain_of(n->p, d->lo))) continue;
        n->wide[j] = false;
        if (!add_leaves(n, d->lo) || !add_leaves(n, d->hi)) n->unknown = true;
    }
    for (int j = 1; j < n->n; j++)                      /* order of declaration */
        for (int i = j; i > 0 && n->leaf[i] < n->leaf[i - 1]; i--) {
            int t = n->leaf[i];
            bool w = n->wide[i];
            n->leaf[i] = n->leaf[i - 1];
            n->wide[i] = n->wide[i - 1];
            n->leaf[i - 1] = t;
            n->wide[i - 1] = w;
        }
}

static bool add_condition(fv_enumeration *n, const fv_expr *e, bool wider) {
    coverage c = {n, true, false, false};
    fv_visit(e, cover, &c);
    if (c.other || (!c.all && !(wider && c.some)) || n->n_conds == FV_PROVE_CONDS) {
        n->dropped = n->dropped || c.some || c.other;
        return false;
    }
    add_leaves(n, e);
    n->cond[n->n_conds++] = e;
    return true;
}

void fv_enumerate_init(fv_enumeration *n, fv_prover *p, const fv_expr *const *e, int count, const fv_expr *where,
                       bool wider) {
    const fv_expr *list[FV_PROVE_CONDS];
    int k = 0;
    *n = (fv_enumeration){.p = p, .budget = BUDGET};
    for (int j = 0; j < count; j++)
        if (!add_leaves(n, e[j])) n->unknown = true;
    for (int j = 0; j < p->n_conds && k < FV_PROVE_CONDS; j++) list[k++] = p->cond[j];
    if (where) split(p, fv_prover_inline(p, where), list, &k);
    for (int j = 0; j < k; j++) add_condition(n, list[j], wider);
    close_leaves(n);
}

static double leaf_value(const fv_expr *e, void *user) {
    fv_enumeration *n = user;
    int d = domain_of(n->p, e);
    return d < 0 ? (double)NAN : (double)n->p->domain[d].value;
}

double fv_enumerate_eval(fv_enumeration *n, const fv_expr *e) {
    n->budget--;
    return fv_eval(e, leaf_value, n);
}

static bool holds(fv_enumeration *n) {
    for (int j = 0; j < n->n_conds; j++) {
        double v = fv_enumerate_eval(n, n->cond[j]);
        if (!(v < 0) && !(v > 0)) return false;
    }
    return true;
}

static bool enumerate(fv_enumeration *n, int j, fv_assignment_fn *fn, void *user) {
    if (n->budget < 0) return false;
    if (j == n->n) return holds(n) && fn(n, user);
    fv_domain *d = &n->p->domain[n->leaf[j]];
    int64_t lo = (int64_t)fv_enumerate_eval(n, n->wide[j] ? d->wide_lo : d->lo);
    int64_t hi = (int64_t)fv_enumerate_eval(n, n->wide[j] ? d->wide_hi : d->hi);
    int64_t last = hi > lo ? lo + (hi - 1 - lo) / d->step * d->step : lo - 1;
    int64_t step = n->ends[j] && last > lo ? last - lo : d->step;
    for (int64_t v = lo; v <= last; v += step) {
        n->p->domain[n->leaf[j]].value = v;
        if (enumerate(n, j + 1, fn, user)) return true;
        if (n->budget < 0) return false;
    }
    return false;
}

bool fv_enumerate(fv_enumeration *n, fv_assignment_fn *fn, void *user) { return enumerate(n, 0, fn, user); }

void fv_enumerate_show(const fv_enumeration *n, fv_buf *out) {
    for (int j = 0; j < n->n; j++) {
        const fv_domain *d = &n->p->domain[n->leaf[j]];
        fv_buf_printf(out, "%s%s=%lld", j ? " " : " at ", fv_cstr(n->p->ctx, d->leaf->name), (long long)d->value);
    }
}

/* -- Indices ------------------------------------------------------------------------------------------------------- */
typedef struct { const fv_expr *e; int64_t extent, value; } index_goal;

static bool leaves_extent(fv_enumeration *n, void *user) {
    index_goal *g = user;
    double v = fv_enumerate_eval(n, g->e);
    if (v >= 0 && v < (double)g->extent) return false;
    g->value = v == v ? (int64_t)v : INT64_MIN;
    return true;
}

/* Leaves in which the index is monotone and that nothing else depends on: their first and last values are enough. */
static void mark_ends(fv_enumeration *n, const fv_expr *e) {
    for (int j = 0; j < n->n; j++) {
        const fv_expr *leaf = n->p->domain[n->leaf[j]].leaf;
        bool used = fv_monotone(&n->p->facts, e, leaf) == 2;
        for (int i = 0; i < n->n_conds; i++) used = used || fv_uses(n->cond[i], leaf);
        for (int i = 0; i < n->n; i++) {
            const fv_domain *d = &n->p->domain[n->leaf[i]];
            used = used || fv_uses(n->wide[i] ? d->wide_lo : d->lo, leaf) ||
                fv_uses(n->wide[i] ? d->wide_hi : d->hi, leaf);
        }
        n->ends[j] = !used;
    }
}

static bool by_conditions(fv_prover *p, const fv_expr *e, int64_t extent, const fv_expr *where) {
    const fv_expr *list[FV_PROVE_CONDS];
    int k = 0;
    for (int j = 0; j < p->n_conds && k < FV_PROVE_CONDS; j++) list[k++] = p->cond[j];
    if (where) split(p, fv_prover_inline(p, where), list, &k);
    return fv_prove_by_sums(p, e, extent, list, k);
}
/* 1 proved, 0 refuted (text), -1 unknown. */
static int by_enumeration(fv_prover *p, const fv_expr *e, int64_t extent, const fv_expr *where, bool wider,
                          const char **text) {
    fv_enumeration n;
    fv_enumerate_init(&n, p, &e, 1, where, wider);
    if (n.unknown) return -1;
    mark_ends(&n, e);
    index_goal g = {.e = e, .extent = extent};
    bool found = fv_enumerate(&n, leaves_extent, &g);
    if (n.budget < 0 && !found) return -1;
    if (!found) return 1;
    fv_buf b = {0};
    fv_buf_printf(&b, "can be %lld", (long long)g.value);
    fv_enumerate_show(&n, &b);
    fv_buf_printf(&b, ", outside 0..%lld", (long long)extent);
    *text = fv_strdup(p->ctx, b.text);
    fv_buf_dispose(&b);
    return 0;
}

const char *fv_prove_index(fv_prover *p, const fv_expr *e, int64_t extent, bool offsets, const fv_expr *where) {
    fv_ctx *c = p->ctx;
    e = fv_prover_inline(p, e);
    if (offsets) e = fv_rewrite(c, e, to_offset, p);
    fv_range r = fv_range_of(&p->facts, e);
    if (r.lo >= 0 && r.hi < extent) return NULL;
    if (fv_prove(c, &p->facts, fv_op2(c, FV_X_LE, fv_int(c, 0), e)) == 1 &&
        fv_prove(c, &p->facts, fv_op2(c, FV_X_LT, e, fv_int(c, extent))) == 1)
        return NULL;
    if (by_conditions(p, e, extent, where)) return NULL;
    const char *text = NULL;
    for (int wider = 0; wider < 2; wider++) {
        int known = by_enumeration(p, e, extent, where, wider, &text);
        if (known == 1) return NULL;
        if (known < 0)
            return text ? text : "cannot be proved to stay in its extent; give it a fill (?v), a where, or a range";
    }
    return text;
}
