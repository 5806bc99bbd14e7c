/* attend: which axes play which role, and the rules of language.md section 4 (R4, R5). Q: axes of q less dot, or of the
 * logits less the keys; T: the key axes of a set; E: axes of v in neither. */
#include "graph/private.h"

#include <string.h>

typedef struct {
    fv_graph *g;
    const fv_node *n;
    const fv_attend_node *a;
    fv_axis q[FV_MAX_AXES], e[FV_MAX_AXES];
    int nq, ne;
    bool have_e;
} roles;

static bool fail(const roles *r, int set, const char *text) {
    if (set >= 0 && r->a->n_sets > 1) fv_error(r->g->ctx, FV_E_ATTEND, r->n->loc, "attend, set %d: %s", set + 1, text);
    else fv_error(r->g->ctx, FV_E_ATTEND, r->n->loc, "attend: %s", text);
    return false;
}
#define FAIL(r, set, ...) fail((r), (set), fv_printf((r)->g->ctx, __VA_ARGS__))
static const char *name_of(const roles *r, fv_str s) { return fv_cstr(r->g->ctx, s); }
static const char *text_of(const roles *r, const fv_value *v) { return fv_value_text(r->g, v); }

/* The value's axis of that name has this extent (or is absent when it may be). */
static bool same_extent(const roles *r, int set, const char *what, const fv_value *v, const fv_axis *x, bool required) {
    int i = fv_value_axis(v, x->name);
    if (i < 0 && required) return FAIL(r, set, "%s lacks the axis '%s': %s", what, name_of(r, x->name), text_of(r, v));
    if (i >= 0 && v->axis[i].extent != x->extent)
        return FAIL(r, set, "axis '%s' is %lld, and %lld in %s: %s", name_of(r, x->name), (long long)x->extent,
                    (long long)v->axis[i].extent, what, text_of(r, v));
    return true;
}

/* -- Query axes --------------------------------------------------------------------------------------------------- */
static bool is_key_of_any(const fv_attend_node *a, fv_str name) {
    for (int i = 0; i < a->n_sets; i++) if (fv_axis_find(a->set[i].over, a->set[i].n_over, name) >= 0) return true;
    return false;
}
static bool find_q(roles *r) {
    const fv_attend_node *a = r->a;
    const fv_value *lead = a->q ? a->q : a->set[0].s;
    if (!lead) return FAIL(r, 0, "neither q nor logits are given");
    if (lead->partial) {
        fv_error(r->g->ctx, FV_E_ABSENT, r->n->loc, "attend: elements of %s may be absent: %s", a->q ? "q"
                 : "the logits", text_of(r, lead));
        return false;
    }
    if (a->n_dot < 0 || a->n_dot > FV_MAX_AXES || (!a->q && a->n_dot)) return FAIL(r, -1, "dot needs q");
    for (int i = 0; i < a->n_dot; i++) {
        if (fv_axis_find(a->dot, i, a->dot[i].name) >= 0)
            return FAIL(r, -1, "'%s' is twice in dot", name_of(r, a->dot[i].name));
        if (!same_extent(r, -1, "q", a->q, &a->dot[i], true)) return false;
    }
    for (int i = 0; i < lead->obj.rank; i++) {
        fv_str name = lead->axis[i].name;
        bool gone = a->q ? fv_axis_find(a->dot, a->n_dot, name) >= 0 : is_key_of_any(a, name);
        if (!gone) r->q[r->nq++] = lead->axis[i];
    }
    return true;
}

/* -- One set ------------------------------------------------------------------------------------------------------ */
static const fv_axis *pair_axis(const roles *r, const fv_attend_set *s, fv_str name) {
    int i = fv_axis_find(s->over, s->n_over, name);
    if (i >= 0) return &s->over[i];
    i = fv_axis_find(r->q, r->nq, name);
    return i >= 0 ? &r->q[i] : NULL;
}
/* Every axis of v is one of the pair's. */
static bool over_pair(const roles *r, int i, const char *what, const fv_value *v, bool dot_too) {
    const fv_attend_set *s = &r->a->set[i];
    for (int j = 0; j < v->obj.rank; j++) {
        const fv_axis *x = pair_axis(r, s, v->axis[j].name);
        int d = dot_too ? fv_axis_find(r->a->dot, r->a->n_dot, v->axis[j].name) : -1;
        if (!x && d >= 0) x = &r->a->dot[d];
        if (!x)
            return FAIL(r, i, "axis '%s' of %s is neither an axis of the query nor in over%s: %s",
                        name_of(r, v->axis[j].name), what,
                            dot_too ? " nor in dot (a forgotten over?)" : "", text_of(r, v));
        if (!same_extent(r, i, what, v, x, true)) return false;
    }
    return true;
}
static bool check_over(const roles *r, int i) {
    const fv_attend_set *s = &r->a->set[i];
    if (s->n_over < 0 || s->n_over + r->nq > FV_MAX_AXES) return FAIL(r, i, "more than %d axes of a pair", FV_MAX_AXES);
    for (int j = 0; j < s->n_over; j++) {
        fv_str name = s->over[j].name;
        if (fv_axis_find(s->over, j, name) >= 0) return FAIL(r, i, "'%s' is twice in over", name_of(r, name));
        if (fv_axis_find(r->q, r->nq, name) >= 0)
            return FAIL(r, i, "key axis '%s' is an axis of the query", name_of(r, name));
        if (fv_axis_find(r->a->dot, r->a->n_dot, name) >= 0)
            return FAIL(r, i, "'%s' is in dot and in over", name_of(r, name));
        if (s->over[j].extent < 1) return FAIL(r, i, "key axis '%s' has no extent", name_of(r, name));
    }
    return true;
}
static bool check_keys(const roles *r, int i) {
    const fv_attend_set *s = &r->a->set[i];
    if (!s->k == !s->s) return FAIL(r, i, "a set has either k or logits s");
    if (s->k && !r->a->q) return FAIL(r, i, "k without q");
    const fv_value *k = s->k ? s->k : s->s;
    const char *what = s->k ? "k" : "s";
    if (s->s && s->s->partial) {
        fv_error(r->g->ctx, FV_E_ABSENT, r->n->loc, "attend: elements of the logits may be absent: %s",
                 text_of(r, s->s));
        return false;
    }
    for (int j = 0; j < s->n_over; j++) if (!same_extent(r, i, what, k, &s->over[j], true)) return false;
    for (int j = 0; s->k && j < r->a->n_dot; j++) if (!same_extent(r, i, what, k, &r->a->dot[j], true)) return false;
    return over_pair(r, i, what, k, s->k != NULL);
}
static bool check_v(roles *r, int i) {
    const fv_attend_set *s = &r->a->set[i];
    if (!s->v) return true;
    for (int j = 0; j < s->n_over; j++) if (!same_extent(r, i, "v", s->v, &s->over[j], true)) return false;
    fv_axis e[FV_MAX_AXES];
    int ne = 0;
    for (int j = 0; j < s->v->obj.rank; j++) {
        const fv_axis *x = pair_axis(r, s, s->v->axis[j].name);
        if (!x) e[ne++] = s->v->axis[j];
        else if (!same_extent(r, i, "v", s->v, x, true)) return false;
    }
    if (r->have_e && !fv_axes_same(e, ne, r->e, r->ne))
        return FAIL(r, i, "the value axes are {%s}, and {%s} in an earlier set", fv_axes_text(r->g->ctx, e, ne),
                    fv_axes_text(r->g->ctx, r->e, r->ne));
    if (!r->have_e) {
        memcpy(r->e, e, sizeof(fv_axis) * (size_t)ne);
        r->ne = ne;
        r->have_e = true;
    }
    return true;
}
/* A placeholder over exactly the pair's axes. */
static bool check_placeholder(const roles *r, int i, const char *what, const fv_value *v) {
    const fv_attend_set *s = &r->a->set[i];
    fv_axis pair[FV_MAX_AXES];
    memcpy(pair, r->q, sizeof(fv_axis) * (size_t)r->nq);
    memcpy(pair + r->nq, s->over, sizeof(fv_axis) * (size_t)s->n_over);
    if (!v || v->node->op != FV_NODE_PLACEHOLDER) return FAIL(r, i, "%s is not a placeholder", what);
    if (!fv_axes_same(pair, r->nq + s->n_over, v->axis, v->obj.rank))
        return FAIL(r, i, "%s must have the axes %s: %s", what, fv_axes_text(r->g->ctx, pair, r->nq + s->n_over),
                    text_of(r, v));
    const fv_node *o = fv_placeholder_owner(r->g, v);
    if (o && o != r->n) return FAIL(r, i, "%s belongs to another node already (line %d)", what, o->loc.line);
    if (fv_node_owns(r->n, v) != 1) return FAIL(r, i, "%s is bound twice: %s", what, text_of(r, v));
    return true;
}
static bool check_score(const roles *r, int i) {
    const fv_attend_set *s = &r->a->set[i];
    if (s->n_scores < 1 || s->n_scores > FV_MAX_RESULTS - 1)
        return FAIL(r, i, "%d scores; 1 to %d", s->n_scores, FV_MAX_RESULTS - 1);
    if (s->n_scores != r->a->set[0].n_scores)
        return FAIL(r, i, "%d scores, and %d in the first set", s->n_scores, r->a->set[0].n_scores);
    if (!s->k != !s->raw) return FAIL(r, i, "the raw score belongs to k");
    if (s->raw && !check_placeholder(r, i, "the raw score", s->raw)) return false;
    for (int j = 0; j < s->n_scores; j++) if (!over_pair(r, i, "the score", s->score[j], false)) return false;
    if (!s->weight != !s->p) return FAIL(r, i, "a weight and its arguments come together");
    for (int j = 0; s->weight && j < s->n_scores; j++)
        if (!check_placeholder(r, i, "an argument of weight", s->p[j])) return false;
    return !s->weight || over_pair(r, i, "the weight", s->weight, false);
}
static bool check_only(const roles *r, int i) {
    const fv_value *only = r->a->set[i].only;
    if (!only) return true;
    if (only->obj.type != FV_BOOL)
        return FAIL(r, i, "only is %s; it must be bool: %s", fv_type_name(only->obj.type), text_of(r, only));
    return over_pair(r, i, "only", only, false);
}

/* -- Steps, results ----------------------------------------------------------------------------------------------- */
static bool check_steps(const roles *r) {
    const fv_attend_node *a = r->a;
    for (int i = 0; i < a->n_steps; i++) {
        const fv_attend_step *t = &a->step[i];
        if (t->n_axes < 0 || t->n_axes > FV_MAX_AXES) return FAIL(r, -1, "step %d: too many axes", i + 1);
        if (t->n_axes && a->n_sets > 1)
            return FAIL(r, -1, "step %d: a step over named axes takes one set; there are %d", i + 1, a->n_sets);
        for (int j = 0; j < t->n_axes; j++) {
            if (!pair_axis(r, &a->set[0], t->axis[j]))
                return FAIL(r, -1, "step %d: no axis '%s'", i + 1, name_of(r, t->axis[j]));
            for (int k = 0; k < j; k++)
                if (fv_str_eq(t->axis[k], t->axis[j]))
                    return FAIL(r, -1, "step %d: axis '%s' twice", i + 1, name_of(r, t->axis[j]));
        }
        if (!t->ratio && (t->has_floor || t->eps != 0))
            return FAIL(r, -1, "step %d: floor and eps belong to ratio", i + 1);
    }
    if (a->lse && (a->n_steps != 1 || a->step[0].ratio || a->step[0].n_axes))
        return FAIL(r, -1, "lse needs one step, softmax over the keys");
    return true;
}
fv_shape *fv_attend_infer(fv_graph *g, const fv_node *n, int *count) {
    const fv_attend_node *a = &n->u.attend;
    roles *r = FV_NEW(g->ctx, roles);
    r->g = g;
    r->n = n;
    r->a = a;
    if (a->n_sets < 1 || a->n_sets > FV_MAX_SETS) {
        FAIL(r, -1, "%d sets; 1 to %d", a->n_sets, FV_MAX_SETS);
        return NULL;
    }
    if (!find_q(r)) return NULL;
    for (int i = 0; i < a->n_sets; i++)
        if (!check_over(r, i) || !check_keys(r, i) || !check_v(r, i) || !check_only(r, i) || !check_score(r, i))
            return NULL;
    if (!check_steps(r)) return NULL;
    if (r->nq + r->ne > FV_MAX_AXES) {
        FAIL(r, -1, "more than %d axes", FV_MAX_AXES);
        return NULL;
    }
    *count = 1 + (a->lse ? a->set[0].n_scores : 0);
    fv_shape *s = FV_NEWN(g->ctx, fv_shape, *count);
    for (int i = 0; i < *count; i++) {
        s[i].type = FV_F32;
        s[i].rank = r->nq;
        memcpy(s[i].axis, r->q, sizeof(fv_axis) * (size_t)r->nq);
    }
    memcpy(s[0].axis + r->nq, r->e, sizeof(fv_axis) * (size_t)r->ne);
    s[0].rank += r->ne;
    return fv_check_axes(g, n->loc, "attend", s[0].axis, s[0].rank) ? s : NULL;
}
