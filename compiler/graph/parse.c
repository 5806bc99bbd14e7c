/* Reads the text of a graph (docs/ir.md) by calling the builders, so that every rule is checked on the way;
 * types, axes and absence that follow from a node are compared with what the text states. */
#include "graph/parse.h"

#include <math.h>
#include <string.h>

/* -- Pieces ------------------------------------------------------------------------------------------------------- */
static fv_value *named(fv_graph_parser *p, fv_str s) { return s.i < p->n_names ? p->by_name[s.i] : NULL; }
static void name_value(fv_graph_parser *p, fv_str s, fv_value *v) {
    if (s.i >= p->n_names) {
        uint32_t n = s.i * 2 + 64;
        fv_value **bigger = FV_NEWN(p->ctx, fv_value *, n);
        if (p->n_names) memcpy(bigger, p->by_name, sizeof *bigger * p->n_names);
        p->by_name = bigger;
        p->n_names = n;
    }
    p->by_name[s.i] = v;
}
static bool is_value_name(const fv_ctx *ctx, fv_str s) {
    const char *t = fv_cstr(ctx, s);
    return t[0] == '_' && t[1] && strspn(t + 1, "0123456789") == strlen(t + 1);
}
static bool fail_at(fv_graph_parser *p, const char *text) {
    fv_error(p->ctx, FV_E_SYNTAX, fv_lex_loc(&p->lx), "%s", text);
    return false;
}
bool fv_parse_value(fv_graph_parser *p, fv_value **out) {
    fv_str s;
    fv_loc loc = fv_lex_loc(&p->lx);
    if (!fv_lex_name(&p->lx, &s)) return false;
    *out = named(p, s);
    if (*out) return true;
    fv_error(p->ctx, FV_E_SYNTAX, loc, "'%s' is not a value defined above", fv_cstr(p->ctx, s));
    return false;
}
bool fv_parse_values(fv_graph_parser *p, fv_value **list, int cap, int *n) {
    *n = 0;
    do {
        if (*n == cap) return fail_at(p, "too many values");
        if (!fv_parse_value(p, &list[(*n)++])) return false;
    } while (fv_lex_accept(&p->lx, ","));
    return true;
}
bool fv_parse_int(fv_graph_parser *p, int64_t *out) { return fv_lex_int(&p->lx, out); }
bool fv_parse_number(fv_graph_parser *p, double *out) {
    double sign = fv_lex_accept(&p->lx, "-") ? -1 : 1;
    if (p->lx.kind == FV_T_INT) *out = (double)p->lx.i;
    else if (p->lx.kind == FV_T_FLOAT) *out = p->lx.f;
    else if (fv_lex_is(&p->lx, "inf")) *out = INFINITY;
    else if (fv_lex_is(&p->lx, "nan")) *out = NAN;
    else return fv_lex_fail(&p->lx, "a number");
    *out = sign * *out;
    fv_lex_next(&p->lx);
    return true;
}
bool fv_parse_string(fv_graph_parser *p, fv_str *out) {
    if (p->lx.kind != FV_T_STRING) return fv_lex_fail(&p->lx, "a string");
    *out = fv_intern_n(p->ctx, p->lx.start, p->lx.len);
    fv_lex_next(&p->lx);
    return true;
}
bool fv_parse_axes(fv_graph_parser *p, fv_axis *axis, int *n) {
    *n = 0;
    if (!fv_lex_expect(&p->lx, "[")) return false;
    while (!fv_lex_accept(&p->lx, "]")) {
        if (*n == FV_MAX_AXES) return fail_at(p, "too many axes");
        fv_axis *x = &axis[(*n)++];
        *x = (fv_axis){0};
        if (!fv_lex_name(&p->lx, &x->name) || !fv_lex_expect(&p->lx, "=") || !fv_parse_int(p, &x->extent)) return false;
        if (fv_lex_accept(&p->lx, ":") && !fv_lex_name(&p->lx, &x->symbol)) return false;
    }
    return true;
}
bool fv_parse_loc(fv_graph_parser *p) {
    int64_t line;
    if (!fv_lex_accept(&p->lx, "at")) return true;
    if (!fv_parse_string(p, &p->loc.file) || !fv_parse_int(p, &line)) return false;
    if (line < 0 || line > INT32_MAX) return fail_at(p, "a line number is out of range");
    p->loc.line = (int)line;
    return true;
}
/* "b (head d) 1" in terms of axes. */
static bool stored_order(fv_graph_parser *p, const char *text, const fv_axis *axis, int n, fv_stored *out) {
    *out = (fv_stored){0};
    bool grouped = false;
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, " ()");
        if (*s == ' ') { s++; continue; }
        if (!grouped && *s != ')') {
            if (out->rank == FV_MAX_AXES) return fail_at(p, "too many stored dimensions");
            out->rank++;
        }
        if (*s == '(' || *s == ')') {
            if (grouped == (*s == '(')) return fail_at(p, "unbalanced parentheses in a stored order");
            grouped = *s++ == '(';
            continue;
        }
        fv_stored_dim *d = &out->dim[out->rank - 1];
        int a = fv_axis_find(axis, n, fv_intern_n(p->ctx, s, len));
        bool unit = a < 0 && len == 1 && *s == '1' && !grouped;
        if (!unit && (a < 0 || d->n == FV_MAX_AXES))
            return fail_at(p, fv_printf(p->ctx, "stored \"%s\" does not fit the axes", text));
        if (!unit) d->axis[d->n++] = a;
        s += len;
    }
    return grouped ? fail_at(p, "unbalanced parentheses in a stored order") : true;
}
static bool parse_stored(fv_graph_parser *p, const fv_axis *axis, int n, fv_stored *out) {
    fv_str text;
    if (!fv_lex_accept(&p->lx, "stored")) {
        *out = fv_stored_plain(n);
        return true;
    }
    return fv_parse_string(p, &text) && stored_order(p, fv_cstr(p->ctx, text), axis, n, out);
}

/* Names in expressions: values are read, everything else is a coordinate (whose axis the builder checks). */
static const fv_expr *resolve(void *user, fv_ctx *ctx, fv_str name, const fv_obj **out_ref) {
    fv_graph_parser *p = user;
    fv_value *v = named(p, name);
    if (v) {
        *out_ref = &v->obj;
        return NULL;
    }
    return is_value_name(ctx, name) ? NULL : fv_axis_ref(ctx, name);
}
static const fv_expr *parse_expr(fv_graph_parser *p) { return fv_expr_parse(&p->lx, resolve, p); }
static bool optional_expr(fv_graph_parser *p, const char *word, const fv_expr **out) {
    *out = NULL;
    return !fv_lex_accept(&p->lx, word) || (*out = parse_expr(p)) != NULL;
}
static bool parse_bound(fv_graph_parser *p, bool *has, int64_t *lo, int64_t *hi) {
    *has = fv_lex_accept(&p->lx, "in");
    return !*has || (fv_parse_int(p, lo) && fv_lex_expect(&p->lx, "to") && fv_parse_int(p, hi));
}

/* -- Statements: each parses what follows "=", then builds -------------------------------------------------------- */
static fv_value *parse_leaf(fv_graph_parser *p, fv_node_op op) {
    const fv_declared *d = &p->declared[0];
    fv_str name;
    bool bounded;
    int64_t lo = 0, hi = 0;
    fv_stored stored;
    fv_type as = d->type;
    if (!fv_parse_string(p, &name) || !parse_bound(p, &bounded, &lo, &hi) || !parse_stored(p, d->axis, d->n, &stored))
        return NULL;
    if (fv_lex_accept(&p->lx, "as")) {
        fv_str t;
        if (!fv_lex_name(&p->lx, &t)) return NULL;
        if (!fv_type_parse(fv_cstr(p->ctx, t), &as)) { fail_at(p, "expected a type after 'as'"); return NULL; }
    }
    if (!fv_parse_loc(p)) return NULL;
    fv_value *v = op == FV_NODE_INPUT ? fv_graph_input(p->g, p->loc, name, d->type, d->axis, d->n, &stored)
                : op == FV_NODE_PARAM ? fv_graph_param(p->g, p->loc, name, d->type, d->axis, d->n, &stored)
                                      : fv_graph_state(p->g, p->loc, name, d->type, d->axis, d->n, &stored);
    if (!v) return NULL;
    v->node->u.leaf.stored_type = as;
    return !bounded || fv_value_bound(p->g, p->loc, v, lo, hi) ? v : NULL;
}
static fv_value *parse_const(fv_graph_parser *p) {
    const fv_declared *d = &p->declared[0];
    double *data = NULL;
    int n = 0, cap = 0;
    if (!fv_lex_expect(&p->lx, "{")) return NULL;
    while (!fv_lex_accept(&p->lx, "}")) {
        double x;
        if (!fv_parse_number(p, &x)) return NULL;
        fv_push(p->ctx, data, n, cap, x);
    }
    if (!fv_parse_loc(p) || !fv_check_axes(p->g, p->loc, "const", d->axis, d->n)) return NULL;
    int64_t want = 1;
    for (int i = 0; i < d->n; i++) want *= d->axis[i].extent;
    if (want == n) return fv_graph_const(p->g, p->loc, d->type, d->axis, d->n, data);
    fail_at(p, fv_printf(p->ctx, "a const of %lld elements has %d numbers", (long long)want, n));
    return NULL;
}
static fv_value *parse_placeholder(fv_graph_parser *p) {
    const fv_declared *d = &p->declared[0];
    fv_str what;
    bool bounded;
    int64_t lo = 0, hi = 0;
    if (!fv_parse_string(p, &what) || !parse_bound(p, &bounded, &lo, &hi) || !fv_parse_loc(p)) return NULL;
    fv_value *v = fv_graph_placeholder(p->g, p->loc, fv_cstr(p->ctx, what), d->type, d->axis, d->n, d->partial);
    return v && (!bounded || fv_value_bound(p->g, p->loc, v, lo, hi)) ? v : NULL;
}
static bool parse_border(fv_graph_parser *p, fv_border *border, double *number) {
    *border = FV_BORDER_NONE;
    *number = 0;
    if (!fv_lex_accept(&p->lx, "border")) return true;
    for (int b = FV_BORDER_CUT; b <= FV_BORDER_WRAP; b++)
        if (fv_lex_accept(&p->lx, fv_border_name((fv_border)b))) {
            *border = (fv_border)b;
            return true;
        }
    *border = FV_BORDER_NUMBER;
    return fv_parse_number(p, number);
}
static fv_value *parse_read(fv_graph_parser *p) {
    const fv_declared *d = &p->declared[0];
    fv_value *src;
    const fv_expr *index[FV_MAX_AXES] = {0}, *only;
    fv_border border;
    double number;
    if (!fv_parse_value(p, &src) || !fv_lex_expect(&p->lx, "{")) return NULL;
    for (int i = 0; i < src->obj.rank; i++) {
        fv_str name;
        if ((i && !fv_lex_expect(&p->lx, ",")) || !fv_lex_name(&p->lx, &name) || !fv_lex_expect(&p->lx, "="))
            return NULL;
        int a = fv_value_axis(src, name);
        if (a < 0 || index[a]) {
            fail_at(p, fv_printf(p->ctx, "'%s' is not an axis of _%d, or stands twice", fv_cstr(p->ctx, name),
                                 src->id));
            return NULL;
        }
        if (!(index[a] = parse_expr(p))) return NULL;
    }
    if (!fv_lex_expect(&p->lx, "}") || !parse_border(p, &border, &number) || !optional_expr(p, "only", &only) ||
        !fv_parse_loc(p)) return NULL;
    return fv_graph_read(p->g, p->loc, src, d->axis, d->n, index, border, number, only);
}
static fv_value *parse_concat(fv_graph_parser *p) {
    fv_str axis;
    fv_value **part = NULL;
    int n = 0, cap = 0;
    if (!fv_lex_name(&p->lx, &axis) || !fv_lex_expect(&p->lx, "of")) return NULL;
    do {
        fv_value *v;
        if (!fv_parse_value(p, &v)) return NULL;
        fv_push(p->ctx, part, n, cap, v);
    } while (fv_lex_accept(&p->lx, ","));
    return fv_parse_loc(p) ? fv_graph_concat(p->g, p->loc, axis, part, n) : NULL;
}
static fv_value *parse_compute(fv_graph_parser *p, fv_monoid m) {
    const fv_declared *d = &p->declared[0];
    fv_axis over[FV_MAX_AXES];
    int n_over = 0;
    const fv_expr *body, *only, *otherwise;
    if (fv_lex_accept(&p->lx, "over") && !fv_parse_axes(p, over, &n_over)) return NULL;
    if (!(body = parse_expr(p)) || !optional_expr(p, "only", &only) || !optional_expr(p, "otherwise", &otherwise) ||
        !fv_parse_loc(p)) return NULL;
    return fv_graph_compute(p->g, p->loc, m, d->axis, d->n, over, n_over, body, only, otherwise);
}

static fv_node *node_of(const fv_value *v) { return v ? v->node : NULL; }
static fv_node *parse_node(fv_graph_parser *p) {
    static const fv_node_op leaves[] = {FV_NODE_INPUT, FV_NODE_PARAM, FV_NODE_STATE};
    for (int i = 0; i < 3; i++)
        if (fv_lex_accept(&p->lx, fv_node_op_name(leaves[i]))) return node_of(parse_leaf(p, leaves[i]));
    if (fv_lex_accept(&p->lx, "const")) return node_of(parse_const(p));
    if (fv_lex_accept(&p->lx, "placeholder")) return node_of(parse_placeholder(p));
    if (fv_lex_accept(&p->lx, "read")) return node_of(parse_read(p));
    if (fv_lex_accept(&p->lx, "concat")) return node_of(parse_concat(p));
    if (fv_lex_accept(&p->lx, "attend")) return fv_parse_attend(p);
    if (fv_lex_accept(&p->lx, "topk")) return fv_parse_topk(p);
    if (fv_lex_accept(&p->lx, "scan")) return fv_parse_scan(p);
    if (fv_lex_accept(&p->lx, "contract")) return node_of(parse_compute(p, FV_MONOID_SUM));
    for (int m = 0; m <= FV_MONOID_ALL; m++)
        if (fv_lex_accept(&p->lx, fv_monoid_name((fv_monoid)m))) return node_of(parse_compute(p, (fv_monoid)m));
    fv_lex_fail(&p->lx, "an operator");
    return NULL;
}

/* -- Left of "=", and whether it is what came out ----------------------------------------------------------------- */
static bool parse_declared(fv_graph_parser *p) {
    p->n_declared = 0;
    do {
        fv_declared d = {0};
        fv_str type;
        if (!fv_lex_name(&p->lx, &d.name) || !fv_lex_expect(&p->lx, ":") || !fv_lex_name(&p->lx, &type)) return false;
        if (!is_value_name(p->ctx, d.name)) return fail_at(p, "a value is called _ and a number");
        if (named(p, d.name)) return fail_at(p, fv_printf(p->ctx, "'%s' is defined twice", fv_cstr(p->ctx, d.name)));
        if (!fv_type_parse(fv_cstr(p->ctx, type), &d.type))
            return fail_at(p, fv_printf(p->ctx, "'%s' is no type", fv_cstr(p->ctx, type)));
        if (!fv_parse_axes(p, d.axis, &d.n)) return false;
        d.partial = fv_lex_accept(&p->lx, "partial");
        fv_push(p->ctx, p->declared, p->n_declared, p->cap_declared, d);
    } while (fv_lex_accept(&p->lx, ","));
    return fv_lex_expect(&p->lx, "=");
}
static bool came_out(fv_graph_parser *p, const fv_node *n) {
    if (n->n_results != p->n_declared)
        return fail_at(p, fv_printf(p->ctx, "the node has %d results, the text names %d", n->n_results, p->n_declared));
    for (int i = 0; i < n->n_results; i++) {
        const fv_value *v = n->result[i];
        const fv_declared *d = &p->declared[i];
        if (v->obj.type != d->type || v->partial != d->partial || !fv_axes_same(v->axis, v->obj.rank, d->axis, d->n)) {
            fv_error(p->ctx, FV_E_GRAPH, p->loc, "%s is stated as %s %s%s, and is %s %s%s", fv_cstr(p->ctx, d->name),
                     fv_type_name(d->type),
                     fv_axes_text(p->ctx, d->axis, d->n), d->partial ? " partial" : "", fv_type_name(v->obj.type),
                     fv_axes_text(p->ctx, v->axis, v->obj.rank), v->partial ? " partial" : "");
            return false;
        }
        name_value(p, d->name, n->result[i]);
    }
    return true;
}
static bool parse_output(fv_graph_parser *p) {
    fv_str name, entry = {0};
    fv_value *v;
    fv_stored stored;
    if (!fv_parse_string(p, &name) || (fv_lex_accept(&p->lx, "of") && !fv_parse_string(p, &entry))) return false;
    if (!fv_lex_expect(&p->lx, "=") || !fv_parse_value(p, &v) || !parse_stored(p, v->axis, v->obj.rank, &stored) ||
        !fv_parse_loc(p)) return false;
    return fv_graph_output(p->g, p->loc, entry, name, v, &stored);
}
static bool parse_extent(fv_graph_parser *p) {
    static const char *const times[] = {"build", "bind", "call", "run"};
    fv_str name;
    int64_t value, multiple = 0;
    int t = 0;
    if (!fv_lex_name(&p->lx, &name) || !fv_lex_expect(&p->lx, "=") || !fv_parse_int(p, &value)) return false;
    while (t < 4 && !fv_lex_accept(&p->lx, times[t])) t++;
    if (t == 4) return fv_lex_fail(&p->lx, "build, bind, call or run");
    if (fv_lex_accept(&p->lx, "multiple") && !fv_parse_int(p, &multiple)) return false;
    return fv_graph_symbol(p->g, p->loc, name, (fv_binding_time)t, value, multiple);
}
static bool parse_statement(fv_graph_parser *p) {
    p->loc = fv_lex_loc(&p->lx);
    if (fv_lex_accept(&p->lx, "output")) return parse_output(p);
    if (fv_lex_accept(&p->lx, "extent")) return parse_extent(p);
    if (!parse_declared(p)) return false;
    const fv_node *n = parse_node(p);
    return n && came_out(p, n);
}
fv_graph *fv_graph_parse(fv_ctx *ctx, const char *file, const char *text) {
    fv_graph_parser *p = FV_NEW(ctx, fv_graph_parser);
    fv_str name;
    p->ctx = ctx;
    fv_lex_init(&p->lx, ctx, file, text);
    if (!fv_lex_expect(&p->lx, "graph") || !fv_parse_string(p, &name) || !fv_lex_expect(&p->lx, "{")) return NULL;
    p->g = fv_graph_new(ctx, fv_cstr(ctx, name));
    while (!fv_lex_accept(&p->lx, "}")) {
        int errors = fv_error_count(ctx);
        if (p->lx.kind == FV_T_END || p->lx.kind == FV_T_BAD) {
            fv_lex_fail(&p->lx, "a statement or '}'");
            return NULL;
        }
        if (parse_statement(p)) continue;
        if (fv_error_count(ctx) == errors) fail_at(p, "this statement cannot be understood");
        return NULL;
    }
    if (p->lx.kind != FV_T_END) {
        fv_lex_fail(&p->lx, "the end of the text");
        return NULL;
    }
    return p->g;
}
