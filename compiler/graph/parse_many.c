/* The nodes whose text spans lines or has several results: attend, topk, scan. */
#include "graph/parse.h"

static bool too_many(fv_graph_parser *p, const char *what) {
    fv_error(p->ctx, FV_E_SYNTAX, fv_lex_loc(&p->lx), "too many %s", what);
    return false;
}

/* -- attend ------------------------------------------------------------------------------------------------------- */
static bool value_after(fv_graph_parser *p, const char *word, fv_value **out) {
    return !fv_lex_accept(&p->lx, word) || fv_parse_value(p, out);
}
static bool values_after(fv_graph_parser *p, const char *word, fv_value ***out, int *n) {
    fv_value *list[FV_MAX_RESULTS];
    if (!fv_lex_accept(&p->lx, word)) return true;
    if (!fv_parse_values(p, list, FV_MAX_RESULTS, n)) return false;
    *out = FV_NEWN(p->ctx, fv_value *, *n + 1);
    for (int i = 0; i < *n; i++) (*out)[i] = list[i];
    return true;
}
static bool parse_set(fv_graph_parser *p, fv_attend_set *s) {
    int n_p = 0;
    if (!fv_lex_expect(&p->lx, "over") || !fv_parse_axes(p, s->over, &s->n_over)) return false;
    if (!value_after(p, "k", &s->k) || !value_after(p, "s", &s->s) || !fv_lex_expect(&p->lx, "v")) return false;
    if (p->lx.kind == FV_T_NAME && !fv_lex_is(&p->lx, "inf") && !fv_lex_is(&p->lx, "nan")) {
        if (!fv_parse_value(p, &s->v)) return false;
    } else if (!fv_parse_number(p, &s->v_number)) {
        return false;
    }
    if (!value_after(p, "only", &s->only) || !value_after(p, "raw", &s->raw) ||
        !values_after(p, "score", &s->score, &s->n_scores) ||
        !values_after(p, "p", &s->p, &n_p) || !value_after(p, "weight", &s->weight)) return false;
    if (s->p && n_p != s->n_scores) {
        fv_error(p->ctx, FV_E_SYNTAX, fv_lex_loc(&p->lx), "%d scores and %d arguments of weight", s->n_scores, n_p);
        return false;
    }
    return true;
}
static bool parse_names(fv_graph_parser *p, fv_str *name, int *n) {
    if (!fv_lex_expect(&p->lx, "[")) return false;
    while (!fv_lex_accept(&p->lx, "]")) {
        if (*n == FV_MAX_AXES) return too_many(p, "axes");
        if (!fv_lex_name(&p->lx, &name[(*n)++])) return false;
    }
    return true;
}
static bool parse_step(fv_graph_parser *p, fv_attend_step *t) {
    if (fv_lex_accept(&p->lx, "over") && !parse_names(p, t->axis, &t->n_axes)) return false;
    if (!t->ratio) return true;
    if (fv_lex_accept(&p->lx, "floor")) {
        t->has_floor = true;
        return fv_parse_number(p, &t->floor);
    }
    return fv_lex_expect(&p->lx, "eps") && fv_parse_number(p, &t->eps);
}
fv_node *fv_parse_attend(fv_graph_parser *p) {
    fv_attend_node a = {0};
    int cap_sets = 0, cap_steps = 0;
    fv_value *lse;
    if (!value_after(p, "q", &a.q)) return NULL;
    if (fv_lex_accept(&p->lx, "dot") && !fv_parse_axes(p, a.dot, &a.n_dot)) return NULL;
    a.lse = fv_lex_accept(&p->lx, "lse");
    if (!fv_lex_expect(&p->lx, "{")) return NULL;
    while (!fv_lex_accept(&p->lx, "}")) {
        if (fv_lex_accept(&p->lx, "set")) {
            fv_attend_set s = {0};
            if (!parse_set(p, &s)) return NULL;
            fv_push(p->ctx, a.set, a.n_sets, cap_sets, s);
            continue;
        }
        fv_attend_step t = {.ratio = fv_lex_accept(&p->lx, "ratio")};
        if ((!t.ratio && !fv_lex_expect(&p->lx, "softmax")) || !parse_step(p, &t)) return NULL;
        fv_push(p->ctx, a.step, a.n_steps, cap_steps, t);
    }
    if (!fv_parse_loc(p)) return NULL;
    fv_value *v = fv_graph_attend(p->g, p->loc, &a, &lse);
    return v ? v->node : NULL;
}

/* -- topk, scan --------------------------------------------------------------------------------------------------- */
fv_node *fv_parse_topk(fv_graph_parser *p) {
    fv_value *src;
    fv_str over[FV_MAX_AXES], name;
    int n = 0;
    int64_t k;
    if (!fv_parse_value(p, &src) || !fv_lex_expect(&p->lx, "over") || !parse_names(p, over, &n)) return NULL;
    if (!fv_lex_expect(&p->lx, "name") || !fv_lex_name(&p->lx, &name) || !fv_lex_expect(&p->lx, "=") ||
        !fv_parse_int(p, &k)) return NULL;
    bool ascending = fv_lex_accept(&p->lx, "ascending");
    return fv_parse_loc(p) ? fv_graph_topk(p->g, p->loc, src, over, n, k, name, ascending) : NULL;
}

typedef struct { fv_value *a, *b, *c; } triple;
fv_node *fv_parse_scan(fv_graph_parser *p) {
    fv_axis over[FV_MAX_AXES];
    fv_scan_node s = {0};
    triple *states = NULL, *elements = NULL;
    int n = 0, cap_states = 0, cap_elements = 0;
    if (!fv_lex_expect(&p->lx, "over") || !fv_parse_axes(p, over, &n)) return NULL;
    if (n != 1) {
        fv_error(p->ctx, FV_E_SYNTAX, p->loc, "scan over %d axes; it takes one", n);
        return NULL;
    }
    s.over = over[0];
    s.reverse = fv_lex_accept(&p->lx, "reverse");
    if (!fv_lex_expect(&p->lx, "{")) return NULL;
    while (!fv_lex_accept(&p->lx, "}")) {
        triple t = {0};
        if (fv_lex_accept(&p->lx, "element")) {
            if (!fv_parse_value(p, &t.a) || !fv_lex_expect(&p->lx, "of") || !fv_parse_value(p, &t.b)) return NULL;
            fv_push(p->ctx, elements, s.n_elements, cap_elements, t);
        } else if (fv_lex_accept(&p->lx, "state")) {
            if (!fv_parse_value(p, &t.a) || !fv_lex_expect(&p->lx, "first") || !fv_parse_value(p, &t.b) ||
                !fv_lex_expect(&p->lx, "next") ||
                !fv_parse_value(p, &t.c)) return NULL;
            fv_push(p->ctx, states, s.n_states, cap_states, t);
        } else if (!fv_lex_expect(&p->lx, "output") || !fv_parse_value(p, &s.output)) {
            return NULL;
        }
    }
    s.state = FV_NEWN(p->ctx, fv_value *, s.n_states + 1);
    s.init = FV_NEWN(p->ctx, fv_value *, s.n_states + 1);
    s.next = FV_NEWN(p->ctx, fv_value *, s.n_states + 1);
    s.element = FV_NEWN(p->ctx, fv_value *, s.n_elements + 1);
    s.element_src = FV_NEWN(p->ctx, fv_value *, s.n_elements + 1);
    for (int i = 0; i < s.n_states; i++) { s.state[i] = states[i].a; s.init[i] = states[i].b; s.next[i] = states[i].c; }
    for (int i = 0; i < s.n_elements; i++) { s.element[i] = elements[i].a; s.element_src[i] = elements[i].b; }
    return fv_parse_loc(p) ? fv_graph_scan(p->g, p->loc, &s) : NULL;
}
