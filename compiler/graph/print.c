/* Canonical text of a graph: one statement a node, values named _0, _1, ... in order. Grammar: docs/ir.md;
 * parse.c reads it back: print(parse(t)) == t for every t that this writes. */
#include "graph/private.h"

#include <string.h>

typedef struct { const fv_graph *g; fv_buf *out; bool locations; } printer;
#define PUT(p, ...) fv_buf_printf((p)->out, __VA_ARGS__)
static const char *str(const printer *p, fv_str s) { return fv_cstr(p->g->ctx, s); }

static void put_axes(const printer *p, const fv_axis *axis, int n) {
    PUT(p, "[");
    for (int i = 0; i < n; i++) {
        PUT(p, "%s%s=%lld", i ? " " : "", str(p, axis[i].name), (long long)axis[i].extent);
        if (axis[i].symbol.i) PUT(p, ":%s", str(p, axis[i].symbol));
    }
    PUT(p, "]");
}
static void put_names(const printer *p, const fv_str *name, int n) {
    for (int i = 0; i < n; i++) PUT(p, "%s%s", i ? " " : " over [", str(p, name[i]));
    PUT(p, "]");
}
static void put_expr(const printer *p, const char *before, const fv_expr *e) {
    if (!e) return;
    PUT(p, "%s", before);
    fv_expr_print(p->g->ctx, e, p->out);
}
static void put_value(const printer *p, const char *before,
                      const fv_value *v) { if (v) PUT(p, "%s_%d", before, v->id); }
static void put_values(const printer *p, const char *before, fv_value *const *v, int n) {
    for (int i = 0; i < n; i++) PUT(p, "%s_%d", i ? ", " : before, v[i]->id);
}
static void put_stored(const printer *p, const fv_axis *axis, const fv_stored *s) {
    PUT(p, " stored \"");
    for (int i = 0; i < s->rank; i++) {
        const fv_stored_dim *d = &s->dim[i];
        PUT(p, "%s", i ? " " : "");
        if (d->n == 0) PUT(p, "1");
        if (d->n > 1) PUT(p, "(");
        for (int j = 0; j < d->n; j++) PUT(p, "%s%s", j ? " " : "", str(p, axis[d->axis[j]].name));
        if (d->n > 1) PUT(p, ")");
    }
    PUT(p, "\"");
}

/* -- The node after "=" ------------------------------------------------------------------------------------------- */
static void put_leaf(const printer *p, const fv_node *n) {
    const fv_obj *o = &n->result[0]->obj;
    PUT(p, "%s \"%s\"", fv_node_op_name(n->op), str(p, n->u.leaf.name));
    if (o->ranged) PUT(p, " in %lld to %lld", (long long)o->lo, (long long)o->hi);
    put_stored(p, n->result[0]->axis, &n->u.leaf.stored);
    if (n->u.leaf.stored_type != o->type) PUT(p, " as %s", fv_type_name(n->u.leaf.stored_type));
}
static void put_const(const printer *p, const fv_node *n) {
    bool whole = !fv_type_is_float(n->result[0]->obj.type);
    PUT(p, "const {");
    for (int64_t i = 0; i < n->u.constant.count; i++) {
        PUT(p, " ");
        if (whole) PUT(p, "%lld", (long long)n->u.constant.data[i]);
        else fv_buf_double(p->out, n->u.constant.data[i]);
    }
    PUT(p, " }");
}
static void put_placeholder(const printer *p, const fv_node *n) {
    const fv_obj *o = &n->result[0]->obj;
    PUT(p, "placeholder \"%s\"", str(p, n->u.placeholder.what));
    if (o->ranged) PUT(p, " in %lld to %lld", (long long)o->lo, (long long)o->hi);
}
static void put_read(const printer *p, const fv_read_node *r) {
    PUT(p, "read _%d {", r->src->id);
    for (int i = 0; i < r->src->obj.rank; i++) {
        PUT(p, "%s%s = ", i ? ", " : " ", str(p, r->src->axis[i].name));
        put_expr(p, "", r->index[i]);
    }
    PUT(p, " }");
    if (r->border == FV_BORDER_NUMBER) {
        PUT(p, " border ");
        fv_buf_double(p->out, r->number);
    } else if (r->border != FV_BORDER_NONE) {
        PUT(p, " border %s", fv_border_name(r->border));
    }
    put_expr(p, " only ", r->only);
}
static void put_compute(const printer *p, const fv_compute_node *c) {
    PUT(p, "%s", fv_compute_word(c));
    if (c->n_over) {
        PUT(p, " over ");
        put_axes(p, c->over, c->n_over);
    }
    put_expr(p, " ", c->body);
    put_expr(p, " only ", c->only);
    put_expr(p, " otherwise ", c->otherwise);
}
static void put_step(const printer *p, const fv_attend_step *t) {
    PUT(p, "    %s", t->ratio ? "ratio" : "softmax");
    if (t->n_axes) put_names(p, t->axis, t->n_axes);
    if (t->ratio) {
        PUT(p, t->has_floor ? " floor " : " eps ");
        fv_buf_double(p->out, t->has_floor ? t->floor : t->eps);
    }
    PUT(p, "\n");
}
static void put_set(const printer *p, const fv_attend_set *s) {
    PUT(p, "    set over ");
    put_axes(p, s->over, s->n_over);
    put_value(p, " k ", s->k);
    put_value(p, " s ", s->s);
    if (s->v) put_value(p, " v ", s->v);
    else {
        PUT(p, " v ");
        fv_buf_double(p->out, s->v_number);
    }
    put_value(p, " only ", s->only);
    put_value(p, " raw ", s->raw);
    put_values(p, " score ", s->score, s->n_scores);
    if (s->p) put_values(p, " p ", s->p, s->n_scores);
    put_value(p, " weight ", s->weight);
    PUT(p, "\n");
}
static void put_attend(const printer *p, const fv_attend_node *a) {
    PUT(p, "attend");
    put_value(p, " q ", a->q);
    if (a->n_dot) {
        PUT(p, " dot ");
        put_axes(p, a->dot, a->n_dot);
    }
    PUT(p, "%s {\n", a->lse ? " lse" : "");
    for (int i = 0; i < a->n_sets; i++) put_set(p, &a->set[i]);
    for (int i = 0; i < a->n_steps; i++) put_step(p, &a->step[i]);
    PUT(p, "  }");
}
static void put_topk(const printer *p, const fv_topk_node *t) {
    PUT(p, "topk _%d", t->src->id);
    put_names(p, t->over, t->n_over);
    PUT(p, " name %s = %lld%s", str(p, t->name), (long long)t->k, t->ascending ? " ascending" : "");
}
static void put_scan(const printer *p, const fv_scan_node *s) {
    PUT(p, "scan over ");
    put_axes(p, &s->over, 1);
    PUT(p, "%s {\n", s->reverse ? " reverse" : "");
    for (int i = 0; i < s->n_elements; i++)
        PUT(p, "    element _%d of _%d\n", s->element[i]->id, s->element_src[i]->id);
    for (int i = 0; i < s->n_states; i++)
        PUT(p, "    state _%d first _%d next _%d\n", s->state[i]->id, s->init[i]->id, s->next[i]->id);
    if (s->output) PUT(p, "    output _%d\n", s->output->id);
    PUT(p, "  }");
}

static void put_node(const printer *p, const fv_node *n) {
    for (int i = 0; i < n->n_results; i++) {
        const fv_value *v = n->result[i];
        PUT(p, "%s_%d : %s", i ? ", " : "  ", v->id, fv_type_name(v->obj.type));
        put_axes(p, v->axis, v->obj.rank);
        if (v->partial) PUT(p, " partial");
    }
    PUT(p, " = ");
    switch (n->op) {
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_STATE: put_leaf(p, n); break;
    case FV_NODE_CONST: put_const(p, n); break;
    case FV_NODE_PLACEHOLDER: put_placeholder(p, n); break;
    case FV_NODE_READ: put_read(p, &n->u.read); break;
    case FV_NODE_CONCAT:
        PUT(p, "concat %s", str(p, n->u.concat.axis));
        put_values(p, " of ", n->u.concat.part, n->u.concat.n);
        break;
    case FV_NODE_COMPUTE: put_compute(p, &n->u.compute); break;
    case FV_NODE_ATTEND: put_attend(p, &n->u.attend); break;
    case FV_NODE_TOPK: put_topk(p, &n->u.topk); break;
    case FV_NODE_SCAN: put_scan(p, &n->u.scan); break;
    case FV_NODE_COUNT: break;
    }
}
static void put_loc(const printer *p, fv_loc loc) {
    if (p->locations && loc.line && loc.file.i && !strpbrk(str(p, loc.file), "\"\n"))
        PUT(p, " at \"%s\" %d", str(p, loc.file), loc.line);
    PUT(p, "\n");
}
static const char *const time_names[] = {"build", "bind", "call", "run"};

static void print(const fv_graph *g, fv_buf *out, bool locations) {
    printer p = {.g = g, .out = out, .locations = locations};
    PUT(&p, "graph \"%s\" {\n", str(&p, g->name));
    for (int i = 0; i < g->n_symbols; i++) {
        const fv_symbol *s = &g->symbol[i];
        PUT(&p, "  extent %s = %lld %s", str(&p, s->name), (long long)s->value, time_names[s->time]);
        if (s->multiple_of > 1) PUT(&p, " multiple %lld", (long long)s->multiple_of);
        PUT(&p, "\n");
    }
    for (int i = 0; i < g->n_nodes; i++) {
        put_node(&p, g->node[i]);
        put_loc(&p, g->node[i]->loc);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        const fv_output *o = &g->output[i];
        PUT(&p, "  output \"%s\"", str(&p, o->name));
        if (o->entry.i) PUT(&p, " of \"%s\"", str(&p, o->entry));
        PUT(&p, " = _%d", o->value->id);
        put_stored(&p, o->value->axis, &o->stored);
        put_loc(&p, o->loc);
    }
    PUT(&p, "}\n");
}
void fv_graph_print(const fv_graph *g, fv_buf *out) { print(g, out, false); }
void fv_graph_print_located(const fv_graph *g, fv_buf *out) { print(g, out, true); }
