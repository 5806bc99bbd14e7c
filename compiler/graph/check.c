/* Checks shared by all nodes: axes, stored orders and expressions over values. */
#include "graph/private.h"

#include <string.h>

/* A name that the text of a graph can hold: see fv_lex_name; words of expressions are taken. */
static bool lexable(const char *s) {
    static const char *const taken[] = {"and", "or", "not", "inf", "nan", "true", "false"};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.'";
    enum { FIRST = 53 };                                /* how many of them may stand first */
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) if (!strcmp(s, taken[i])) return false;
    const char *first = strchr(letters, s[0]);
    bool dots = !strstr(s, "..") && (!*s || s[strlen(s) - 1] != '.');
    return first && first - letters < FIRST && strspn(s, letters) == strlen(s) && dots;
}
bool fv_check_name(fv_graph *g, fv_loc loc, const char *what, fv_str name) {
    const char *s = fv_cstr(g->ctx, name);
    bool fine = *s != 0;
    for (const char *c = s; *c; c++) fine = fine && *c != '"' && *c != '\\' && (unsigned char)*c >= 32;
    if (!fine)
        fv_error(g->ctx, FV_E_ARGUMENT, loc, "%s: a name is not empty and has no quote, backslash or control", what);
    return fine;
}

static bool check_axes(fv_graph *g, fv_loc loc, const char *what, const fv_axis *axis, int n, int64_t limit) {
    fv_ctx *ctx = g->ctx;
    if (n < 0 || n > FV_MAX_AXES) {
        fv_error(ctx, FV_E_AXIS, loc, "%s: %d axes; a tensor has at most %d", what, n, FV_MAX_AXES);
        return false;
    }
    int64_t count = 1;
    for (int i = 0; i < n; i++) {
        const char *name = fv_cstr(ctx, axis[i].name);
        if (!axis[i].name.i) {
            fv_error(ctx, FV_E_AXIS, loc, "%s: an axis has no name", what);
            return false;
        }
        if (!lexable(name)) {
            fv_error(ctx, FV_E_AXIS, loc, "%s: '%s' cannot name an axis: a letter, then letters, digits, _ . and '",
                     what, name);
            return false;
        }
        if (name[0] == '_' && strspn(name + 1, "0123456789") == strlen(name + 1)) {
            fv_error(ctx, FV_E_AXIS, loc, "%s: '%s' names a value, not an axis", what, name);
            return false;
        }
        if (axis[i].extent < 1 || axis[i].extent > INT32_MAX) {
            fv_error(ctx, FV_E_AXIS, loc, "%s: axis '%s' has extent %lld; it must be 1 to %d", what, name,
                     (long long)axis[i].extent,
                     INT32_MAX);
            return false;
        }
        if (fv_axis_find(axis, i, axis[i].name) >= 0) {
            fv_error(ctx, FV_E_AXIS, loc, "%s: axis '%s' is there twice: %s", what, name, fv_axes_text(ctx, axis, n));
            return false;
        }
        if (count > limit / axis[i].extent) {
            fv_error(ctx, FV_E_AXIS, loc, "%s: more than %lld elements: %s", what, (long long)limit,
                     fv_axes_text(ctx, axis, n));
            return false;
        }
        count *= axis[i].extent;
    }
    return true;
}
bool fv_check_axes(fv_graph *g, fv_loc loc, const char *what, const fv_axis *axis, int n) {
    return check_axes(g, loc, what, axis, n, FV_MAX_COUNT);
}
bool fv_check_points(fv_graph *g, fv_loc loc, const char *what, const fv_axis *axis, int n) {
    return check_axes(g, loc, what, axis, n, FV_MAX_POINTS);
}

bool fv_check_stored(fv_graph *g, fv_loc loc, const char *what, const fv_axis *axis, int n, const fv_stored *s) {
    int seen[FV_MAX_AXES] = {0};
    bool fine = s->rank >= 0 && s->rank <= FV_MAX_AXES;
    for (int i = 0; fine && i < s->rank; i++) {
        fine = s->dim[i].n >= 0 && s->dim[i].n <= FV_MAX_AXES;
        for (int j = 0; fine && j < s->dim[i].n; j++) {
            int a = s->dim[i].axis[j];
            fine = a >= 0 && a < n && !seen[a]++;
        }
    }
    for (int i = 0; fine && i < n; i++) fine = seen[i] == 1;
    if (!fine)
        fv_error(g->ctx, FV_E_GRAPH, loc, "%s: the stored order does not name each axis once: %s", what,
                 fv_axes_text(g->ctx, axis, n));
    return fine;
}

/* -- Expressions -------------------------------------------------------------------------------------------------- */
typedef struct {
    fv_graph *g;
    fv_loc loc;
    const char *what;
    const fv_axis *axis;
    int n;
    const fv_facts *facts;
} checker;

static bool bad_leaf(const checker *c, const fv_expr *e) {
    if (e->op == FV_X_AXIS && fv_axis_find(c->axis, c->n, e->name) < 0) {
        fv_error(c->g->ctx, FV_E_AXIS, c->loc, "%s: the coordinate '%s' is not among its axes: %s", c->what,
                 fv_cstr(c->g->ctx, e->name),
                 fv_axes_text(c->g->ctx, c->axis, c->n));
        return true;
    }
    if (e->op == FV_X_VAR || e->op >= FV_X_ANY || e->lanes > 1) {
        fv_error(c->g->ctx, FV_E_GRAPH, c->loc, "%s: '%s' does not belong in a graph", c->what,
                 e->op == FV_X_VAR ? fv_cstr(c->g->ctx, e->name) : fv_op_spelling(e->op));
        return true;
    }
    return false;
}

static bool bad_index(const checker *c, const fv_value *v, int a, const fv_expr *index, bool filled) {
    fv_ctx *ctx = c->g->ctx;
    fv_str name = v->axis[a].name;
    if (fv_type_is_float(index->type)) {
        fv_error(ctx, FV_E_ARGUMENT, c->loc, "%s: axis '%s' is read at a float; use floor. Read is %s", c->what,
                 fv_cstr(ctx, name),
                 fv_value_text(c->g, v));
        return true;
    }
    if (filled) return false;
    int at = index->op == FV_X_AXIS && fv_str_eq(index->name, name) ? fv_axis_find(c->axis, c->n, name) : -1;
    if (at >= 0 && c->axis[at].extent != v->axis[a].extent) {
        fv_error(ctx, FV_E_AXIS, c->loc, "%s: axis '%s' is %lld here and %lld there; here: %s; there: %s", c->what,
                 fv_cstr(ctx, name),
                 (long long)c->axis[at].extent, (long long)v->axis[a].extent, fv_axes_text(ctx, c->axis, c->n),
                     fv_value_text(c->g, v));
        return true;
    }
    if (at >= 0 || fv_expr_within(ctx, c->facts, index, 0, v->axis[a].extent - 1)) return false;
    fv_range r = fv_range_of(c->facts, index);
    fv_buf b = {0};
    fv_expr_print(ctx, index, &b);
    fv_error(ctx, FV_E_BORDER, c->loc,
             "%s: axis '%s' of extent %lld is read at %s, which may be %lld to %lld. Read is %s", c->what,
             fv_cstr(ctx, name), (long long)v->axis[a].extent, b.text ? b.text : "", (long long)r.lo, (long long)r.hi,
             fv_value_text(c->g, v));
    fv_buf_dispose(&b);
    return true;
}

static bool bad_read(const checker *c, const fv_expr *e) {
    const fv_value *v = e->ref && e->ref->kind == FV_OBJ_VALUE ? fv_value_of(e->ref) : NULL;
    if (!v || v->id < 0 || v->id >= c->g->n_values || c->g->value[v->id] != v) {
        fv_error(c->g->ctx, FV_E_GRAPH, c->loc, "%s: it reads something that is not a value of this graph", c->what);
        return true;
    }
    if (e->n != v->obj.rank + (e->i ? 1 : 0)) {
        fv_error(c->g->ctx, FV_E_GRAPH, c->loc, "%s: %d indices for %s", c->what, e->n, fv_value_text(c->g, v));
        return true;
    }
    for (int i = 0; i < v->obj.rank; i++) if (bad_index(c, v, i, e->arg[i], e->i != 0)) return true;
    return false;
}

static bool bad_exact(const checker *c, const fv_expr *e) {
    if (e->op != FV_X_EXACT || (!fv_type_is_float(e->arg[0]->type) && !fv_type_is_float(e->arg[1]->type))) return false;
    fv_error(c->g->ctx, FV_E_GRAPH, c->loc, "%s: exact divides whole numbers", c->what);
    return true;
}
static bool bad_expr(const fv_expr *e, void *user) {
    const checker *c = user;
    return bad_leaf(c, e) || bad_exact(c, e) || (e->op == FV_X_READ && bad_read(c, e));
}
bool fv_check_expr(fv_graph *g, fv_loc loc, const char *what, const fv_expr *e, const fv_axis *axis, int n,
                   const fv_facts *facts) {
    checker c = {.g = g, .loc = loc, .what = what, .axis = axis, .n = n, .facts = facts};
    return !e || !fv_visit(e, bad_expr, &c);
}
