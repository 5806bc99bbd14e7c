/* What a node's results are, and the rules that its contents obey (docs/language.md A1-A6, R1-R16): leaves, reads,
 * joins, computes. attend, topk and scan: infer_attend.c, infer_many.c. */
#include "graph/private.h"

#include <math.h>
#include <string.h>

static fv_shape *one(fv_graph *g, int *count) {
    *count = 1;
    return FV_NEW(g->ctx, fv_shape);
}

/* -- Leaves ------------------------------------------------------------------------------------------------------- */
static bool element_type(fv_graph *g, const fv_node *n, fv_type t) {
    if (t > FV_VOID && t < FV_TYPE_COUNT) return true;
    fv_error(g->ctx, FV_E_GRAPH, n->loc, "%s: its elements have no type", fv_node_op_name(n->op));
    return false;
}
static fv_shape *infer_leaf(fv_graph *g, const fv_node *n, const fv_shape *d, int *count) {
    const char *what = fv_printf(g->ctx, "%s \"%s\"", fv_node_op_name(n->op), fv_cstr(g->ctx, n->u.leaf.name));
    if (!fv_check_name(g, n->loc, fv_node_op_name(n->op), n->u.leaf.name)) return NULL;
    if (!element_type(g, n, d->type) || !element_type(g, n, n->u.leaf.stored_type) ||
        !fv_check_axes(g, n->loc, what, d->axis, d->rank)) return NULL;
    if (!fv_check_stored(g, n->loc, what, d->axis, d->rank, &n->u.leaf.stored)) return NULL;
    for (int i = 0; i < g->n_nodes && n->op != FV_NODE_PARAM; i++) {
        const fv_node *o = g->node[i];
        if (o == n) break;
        if (o->op != n->op || !fv_str_eq(o->u.leaf.name, n->u.leaf.name)) continue;
        fv_error(g->ctx, FV_E_ARGUMENT, n->loc, "%s is declared twice", what);
        return NULL;
    }
    fv_shape *s = one(g, count);
    *s = *d;
    s->partial = s->free_form = false;
    return s;
}

static fv_shape *infer_const(fv_graph *g, const fv_node *n, const fv_shape *d, int *count) {
    if (!element_type(g, n, d->type) || !fv_check_axes(g, n->loc, "const", d->axis, d->rank)) return NULL;
    const fv_const_node *c = &n->u.constant;
    int64_t want = 1;
    for (int i = 0; i < d->rank; i++) want *= d->axis[i].extent;
    if (want != c->count) {
        fv_error(g->ctx, FV_E_ARGUMENT, n->loc, "const: %lld numbers for %s", (long long)c->count,
                 fv_axes_text(g->ctx, d->axis, d->rank));
        return NULL;
    }
    double lo = c->data[0], hi = c->data[0];
    for (int64_t i = 0; i < want; i++) {
        double x = c->data[i];
        bool fits = fv_type_is_float(d->type) || (d->type == FV_BOOL ? x == 0 || x == 1
                                                                     : x == floor(x) && x >= INT32_MIN &&
                                                                         x <= INT32_MAX);
        if (!fits) {
            fv_error(g->ctx, FV_E_ARGUMENT, n->loc, "const: number %lld is %g, which is no %s", (long long)i, x,
                     fv_type_name(d->type));
            return NULL;
        }
        lo = x < lo ? x : lo;
        hi = x > hi ? x : hi;
    }
    fv_shape *s = one(g, count);
    *s = *d;
    s->partial = false;
    s->free_form = true;
    s->ranged = d->type == FV_I32;
    s->lo = s->ranged ? (int64_t)lo : 0;
    s->hi = s->ranged ? (int64_t)hi : 0;
    return s;
}

static fv_shape *infer_placeholder(fv_graph *g, const fv_node *n, const fv_shape *d, int *count) {
    if (!fv_check_name(g, n->loc, "placeholder", n->u.placeholder.what)) return NULL;
    if (!element_type(g, n, d->type) || !fv_check_axes(g, n->loc, "placeholder", d->axis, d->rank)) return NULL;
    fv_shape *s = one(g, count);
    *s = *d;
    s->free_form = false;
    return s;
}

/* -- Read --------------------------------------------------------------------------------------------------------- */
static bool border_fits(fv_graph *g, const fv_node *n, const fv_facts *f, int a) {
    const fv_read_node *r = &n->u.read;
    const fv_axis *x = &r->src->axis[a];
    int64_t low = r->border == FV_BORDER_REFLECT ? 1 - x->extent : 0;
    int64_t high = r->border == FV_BORDER_REFLECT ? 2 * (x->extent - 1) : x->extent - 1;
    if ((r->border != FV_BORDER_NONE && r->border != FV_BORDER_REFLECT) ||
        fv_expr_within(g->ctx, f, r->index[a], low, high)) return true;
    fv_range range = fv_range_of(f, r->index[a]);
    fv_buf b = {0};
    fv_expr_print(g->ctx, r->index[a], &b);
    fv_error(g->ctx, FV_E_BORDER, n->loc,
             "axis '%s' of extent %lld is read at %s, which may be %lld to %lld%s. Read is %s",
             fv_cstr(g->ctx, x->name), (long long)x->extent, b.text ? b.text : "", (long long)range.lo,
                 (long long)range.hi,
             r->border == FV_BORDER_REFLECT ? "; one reflection does not bring it inside" : "",
                 fv_value_text(g, r->src));
    fv_buf_dispose(&b);
    return false;
}
static bool border_number_fits(fv_graph *g, const fv_node *n) {
    const fv_read_node *r = &n->u.read;
    fv_type t = r->src->obj.type;
    if (r->border != FV_BORDER_NUMBER || fv_type_is_float(t)) return true;
    if (t == FV_BOOL ? r->number == 0 || r->number == 1 : r->number == floor(r->number) && fabs(r->number) < INT32_MAX)
        return true;
    fv_error(g->ctx, FV_E_BORDER, n->loc, "border %g is no %s. Read is %s", r->number, fv_type_name(t),
             fv_value_text(g, r->src));
    return false;
}
static bool check_bool(fv_graph *g, fv_loc loc, const char *what, const fv_expr *e) {
    if (!e || e->type == FV_BOOL) return true;
    fv_error(g->ctx, FV_E_ARGUMENT, loc, "%s is %s; it must be bool", what, fv_type_name(e->type));
    return false;
}

static fv_shape *infer_read(fv_graph *g, const fv_node *n, const fv_shape *d, int *count) {
    const fv_read_node *r = &n->u.read;
    if (!fv_check_axes(g, n->loc, "read", d->axis, d->rank)) return NULL;
    fv_facts f = {0};
    fv_axes_facts(g->ctx, d->axis, d->rank, &f);
    fv_shape *s = one(g, count);
    *s = *d;
    s->type = r->src->obj.type;
    s->partial = r->src->partial || fv_expr_partial(r->only) || (r->only && !fv_is_true(r->only));
    s->free_form = r->src->free_form && fv_expr_free(r->only);
    bool inside = true;
    for (int a = 0; a < r->src->obj.rank; a++) {
        const fv_axis *x = &r->src->axis[a];
        const char *what = fv_printf(g->ctx, "index of '%s'", fv_cstr(g->ctx, x->name));
        if (!fv_check_expr(g, n->loc, what, r->index[a], d->axis, d->rank, &f)) return NULL;
        if (fv_type_is_float(r->index[a]->type)) {
            fv_error(g->ctx, FV_E_ARGUMENT, n->loc, "%s is a float; use floor. Read is %s", what,
                     fv_value_text(g, r->src));
            return NULL;
        }
        if (!border_fits(g, n, &f, a)) return NULL;
        s->partial = s->partial || fv_expr_partial(r->index[a]);
        s->free_form = s->free_form && fv_expr_free(r->index[a]);
        inside = inside && fv_expr_within(g->ctx, &f, r->index[a], 0, x->extent - 1);
    }
    if (!border_number_fits(g, n)) return NULL;
    if (!fv_check_expr(g, n->loc, "only", r->only, d->axis, d->rank, &f) || !check_bool(g, n->loc, "only", r->only))
        return NULL;
    s->partial = s->partial || (r->border == FV_BORDER_CUT && !inside);
    if (r->src->obj.ranged) {
        int64_t b = r->border == FV_BORDER_NUMBER && !inside ? (int64_t)r->number : r->src->obj.lo;
        s->ranged = true;
        s->lo = b < r->src->obj.lo ? b : r->src->obj.lo;
        s->hi = b > r->src->obj.hi ? b : r->src->obj.hi;
    } else {
        s->ranged = false;
    }
    return s;
}

/* -- Concat ------------------------------------------------------------------------------------------------------- */
static fv_type wider(fv_type a, fv_type b) {            /* the type both convert to */
    if (a == b) return a;
    if (fv_type_is_float(a) && fv_type_is_float(b)) return a == FV_F64 || b == FV_F64 ? FV_F64 : FV_F32;
    if (fv_type_is_float(a)) return a;
    if (fv_type_is_float(b)) return b;
    return FV_I32;
}
static bool concat_part(fv_graph *g, const fv_node *n, const fv_value *p, int *at, fv_shape *s) {
    const fv_concat_node *c = &n->u.concat;
    int own = fv_value_axis(p, c->axis);
    if (own < 0) {
        fv_error(g->ctx, FV_E_AXIS, n->loc, "concat over '%s': a part lacks it: %s", fv_cstr(g->ctx, c->axis),
                 fv_value_text(g, p));
        return false;
    }
    for (int i = 0; i < p->obj.rank; i++) {
        int j = fv_axis_find(s->axis, s->rank, p->axis[i].name);
        if (j < 0 && s->rank == FV_MAX_AXES) {
            fv_error(g->ctx, FV_E_AXIS, n->loc, "concat: more than %d axes", FV_MAX_AXES);
            return false;
        }
        if (j < 0) {
            if (i == own) *at = s->rank;
            s->axis[s->rank++] = p->axis[i];
        } else if (i == own) {
            s->axis[j].extent += p->axis[i].extent;
            s->axis[j].symbol = (fv_str){0};
        } else if (s->axis[j].extent != p->axis[i].extent) {
            fv_error(g->ctx, FV_E_AXIS, n->loc, "concat: axis '%s' is %lld in one part and %lld in another: %s; %s",
                     fv_cstr(g->ctx, p->axis[i].name), (long long)s->axis[j].extent, (long long)p->axis[i].extent,
                     fv_value_text(g, c->part[0]), fv_value_text(g, p));
            return false;
        }
    }
    return true;
}
static fv_shape *infer_concat(fv_graph *g, const fv_node *n, int *count) {
    const fv_concat_node *c = &n->u.concat;
    fv_shape *s = one(g, count);
    int at = -1;
    for (int i = 0; i < c->n; i++) {
        const fv_value *p = c->part[i];
        if (!concat_part(g, n, p, &at, s)) return NULL;
        bool first = i == 0, ranged = p->obj.ranged || p->obj.type == FV_BOOL;
        int64_t lo = p->obj.type == FV_BOOL ? 0 : p->obj.lo, hi = p->obj.type == FV_BOOL ? 1 : p->obj.hi;
        s->type = first ? p->obj.type : wider(s->type, p->obj.type);
        s->partial = s->partial || p->partial;
        s->free_form = (first || s->free_form) && p->free_form;
        s->ranged = (first || s->ranged) && ranged;
        s->lo = first || lo < s->lo ? lo : s->lo;
        s->hi = first || hi > s->hi ? hi : s->hi;
    }
    if (s->type != FV_I32) s->ranged = false;
    if (!s->ranged) s->lo = s->hi = 0;
    return fv_check_axes(g, n->loc, "concat", s->axis, s->rank) ? s : NULL;
}

/* -- Compute ------------------------------------------------------------------------------------------------------ */
static fv_type reduced_type(fv_monoid m, fv_type t) {
    bool half = t == FV_F16 || t == FV_BF16;
    switch (m) {
    case FV_MONOID_NONE: return t;
    case FV_MONOID_SUM: return t == FV_BOOL ? FV_I32 : half ? FV_F32 : t;
    case FV_MONOID_MEAN: return t == FV_F64 ? FV_F64 : FV_F32;
    case FV_MONOID_MAX:
    case FV_MONOID_MIN: return t == FV_BOOL ? FV_I32 : t;
    case FV_MONOID_COUNT: return FV_I32;
    case FV_MONOID_ANY:
    case FV_MONOID_ALL: return FV_BOOL;
    }
    return t;
}
/* The range of an i32 result; sets ranged. */
static void reduced_range(const fv_compute_node *c, const fv_facts *f, bool absent, int64_t points, fv_shape *s) {
    int64_t lo = 0, hi = 0;
    s->ranged = false;
    if (s->type != FV_I32) return;
    if (c->monoid == FV_MONOID_COUNT) { s->ranged = points < INT32_MAX; s->hi = points; return; }
    if (!fv_expr_bound(f, c->body, &lo, &hi)) return;
    if (c->monoid == FV_MONOID_SUM) {
        lo = points > INT32_MAX ? INT32_MIN : (absent && lo > 0 ? 0 : lo * points);
        hi = points > INT32_MAX ? INT32_MAX : (absent && hi < 0 ? 0 : hi * points);
    } else if (c->monoid != FV_MONOID_NONE && absent) return;
    if (c->otherwise) {
        int64_t a, b;
        if (!fv_expr_bound(f, c->otherwise, &a, &b)) return;
        lo = a < lo ? a : lo;
        hi = b > hi ? b : hi;
    }
    if (lo <= INT32_MIN || hi >= INT32_MAX) return;
    s->ranged = true;
    s->lo = lo;
    s->hi = hi;
}
static bool compute_shape_fits(fv_graph *g, const fv_node *n) {
    const fv_compute_node *c = &n->u.compute;
    const char *word = fv_monoid_name(c->monoid);
    if (c->monoid == FV_MONOID_NONE && c->n_over) {
        fv_error(g->ctx, FV_E_GRAPH, n->loc, "a map reduces no axis; over: %s",
                 fv_axes_text(g->ctx, c->over, c->n_over));
        return false;
    }
    if (c->monoid != FV_MONOID_NONE && c->otherwise) {
        fv_error(g->ctx, FV_E_GRAPH, n->loc, "%s: otherwise belongs to maps", word);
        return false;
    }
    if (c->otherwise && fv_expr_partial(c->otherwise)) {
        fv_error(g->ctx, FV_E_ABSENT, n->loc, "otherwise may itself be absent");
        return false;
    }
    if ((c->monoid == FV_MONOID_ANY || c->monoid == FV_MONOID_ALL) && c->body->type != FV_BOOL) {
        fv_error(g->ctx, FV_E_ARGUMENT, n->loc, "%s reduces bools; this is %s", word, fv_type_name(c->body->type));
        return false;
    }
    return check_bool(g, n->loc, "only", c->only);
}
static fv_shape *infer_compute(fv_graph *g, const fv_node *n, const fv_shape *d, int *count) {
    const fv_compute_node *c = &n->u.compute;
    const char *what = fv_compute_word(c);
    fv_axis all[FV_MAX_AXES];
    if (d->rank + c->n_over > FV_MAX_AXES) {
        fv_error(g->ctx, FV_E_AXIS, n->loc, "%s: more than %d axes", what, FV_MAX_AXES);
        return NULL;
    }
    int total = d->rank + c->n_over;
    memcpy(all, d->axis, sizeof(fv_axis) * (size_t)d->rank);
    memcpy(all + d->rank, c->over, sizeof(fv_axis) * (size_t)c->n_over);
    if (!fv_check_axes(g, n->loc, what, d->axis, d->rank) || !fv_check_points(g, n->loc, what, all, total)) return NULL;
    fv_facts f = {0};
    fv_axes_facts(g->ctx, all, total, &f);
    if (!fv_check_expr(g, n->loc, what, c->body, all, total, &f) ||
        !fv_check_expr(g, n->loc, "only", c->only, all, total, &f) ||
        !fv_check_expr(g, n->loc, "otherwise", c->otherwise, d->axis, d->rank, &f) ||
            !compute_shape_fits(g, n)) return NULL;
    bool absent = fv_expr_partial(c->body) || fv_expr_partial(c->only) || (c->only && !fv_is_true(c->only));
    int64_t points = 1;
    for (int i = 0; i < c->n_over; i++) points *= c->over[i].extent;
    fv_shape *s = one(g, count);
    *s = *d;
    fv_type t = c->otherwise ? wider(c->body->type, c->otherwise->type) : c->body->type;
    s->type = reduced_type(c->monoid, t);
    s->partial = c->monoid == FV_MONOID_NONE && absent && !c->otherwise;
    s->free_form = c->monoid == FV_MONOID_NONE && fv_expr_free(c->body) && fv_expr_free(c->only) &&
        fv_expr_free(c->otherwise);
    reduced_range(c, &f, absent, points, s);
    return s;
}

fv_shape *fv_node_infer(fv_graph *g, const fv_node *n, const fv_shape *declared, int *count) {
    switch (n->op) {
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_STATE: return infer_leaf(g, n, declared, count);
    case FV_NODE_CONST: return infer_const(g, n, declared, count);
    case FV_NODE_PLACEHOLDER: return infer_placeholder(g, n, declared, count);
    case FV_NODE_READ: return infer_read(g, n, declared, count);
    case FV_NODE_CONCAT: return infer_concat(g, n, count);
    case FV_NODE_COMPUTE: return infer_compute(g, n, declared, count);
    case FV_NODE_ATTEND: return fv_attend_infer(g, n, count);
    case FV_NODE_TOPK: return fv_topk_infer(g, n, count);
    case FV_NODE_SCAN: return fv_scan_infer(g, n, count);
    case FV_NODE_COUNT: break;
    }
    fv_error(g->ctx, FV_E_GRAPH, n->loc, "node %d has no operator", n->id);
    return NULL;
}
