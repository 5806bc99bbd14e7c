/* Reading an attend node, and choosing its strategy: see attend.h. */
#include "lower/attend.h"

#include <string.h>

fv_str lower_value_axis_name(fv_ctx *c, fv_str e) { return fv_internf(c, "%s.v", fv_cstr(c, e)); }

static bool refuse(lower *l, const fv_node *n, const char *why) {
    fv_error(l->ctx, FV_E_NOT_LOWERED, n->loc, "attend: %s (not lowered yet; the reference runs it)", why);
    l->failed = true;
    return false;
}
/* Every axis of `list` that e reads must be one of the pair's. */
static bool steps_over_keys(const fv_attend_node *a) {
    for (int i = 0; i < a->n_steps; i++) {
        if (!a->step[i].n_axes) continue;
        if (a->n_sets != 1 || a->step[i].n_axes != a->set[0].n_over) return false;
        for (int j = 0; j < a->step[i].n_axes; j++) {
            bool in = false;
            for (int k = 0; k < a->set[0].n_over; k++) in |= fv_str_eq(a->set[0].over[k].name, a->step[i].axis[j]);
            if (!in) return false;
        }
    }
    return true;
}
static bool reads_placeholder(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ && e->ref->kind == FV_OBJ_VALUE && fv_value_of(e->ref)->node->op == FV_NODE_PLACEHOLDER;
}
static bool inner_reduction(const lower *l, const fv_node *anchor) {
    for (int i = 0; i < anchor->id; i++) {
        const fv_node *n = l->g->node[i];
        if (l->node[i].role != LOWER_INNER || l->node[i].owner != anchor->id) continue;
        if (n->op != FV_NODE_PLACEHOLDER && n->op != FV_NODE_READ && n->op != FV_NODE_CONCAT &&
            !(n->op == FV_NODE_COMPUTE && n->u.compute.monoid == FV_MONOID_NONE))
            return true;
    }
    return false;
}
static bool read_set(attend *x, const fv_attend_set *s, attend_set *out) {
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    out->set = s;
    for (int i = 0; i < x->n_q; i++) fv_facts_add(c, &out->facts, fv_axis_ref(c, x->q[i].name), 0, x->q[i].extent - 1);
    for (int i = 0; i < s->n_over; i++)
        fv_facts_add(c, &out->facts, fv_axis_ref(c, s->over[i].name), 0, s->over[i].extent - 1);
    for (int i = 0; i < x->a->n_dot; i++)
        fv_facts_add(c, &out->facts, fv_axis_ref(c, x->a->dot[i].name), 0, x->a->dot[i].extent - 1);
    if (s->k) {
        out->k = lower_value_at_self(l, &out->facts, s->k);
        out->exists = fv_and(c, out->exists, out->k.exists);
    }
    if (s->v) {
        fv_facts f = {0}; /* value axes may bear the names of dot axes, with other extents */
        for (int i = 0; i < out->facts.n; i++)
            fv_facts_add(c, &f, out->facts.item[i].leaf, out->facts.item[i].range.lo, out->facts.item[i].range.hi);
        for (int i = 0; i < x->n_e; i++) fv_facts_add(c, &f, fv_axis_ref(c, x->e[i].name), 0, x->e[i].extent - 1);
        out->v = lower_value_at_self(l, &f, s->v);
        if (out->v.exists) {
            for (int i = 0; i < x->n_e; i++)
                if (fv_uses_axis(out->v.exists, x->e[i].name))
                    return refuse(l, x->anchor, "whether a key exists depends on a value axis");
            out->exists = fv_and(c, out->exists, out->v.exists);
        }
    }
    if (s->only) {
        lower_pair o = lower_value_at_self(l, &out->facts, s->only);
        const fv_expr *yes = o.value->type == FV_BOOL ? o.value : fv_op2(c, FV_X_NE, o.value, fv_int(c, 0));
        out->exists = fv_and(c, out->exists, fv_and(c, o.exists, yes));
    }
    if (s->n_scores > ATTEND_MAX_SCORES) return refuse(l, x->anchor, "more scores than three");
    out->n_scores = s->n_scores;
    for (int i = 0; i < s->n_scores; i++) {             /* a pair without one of its scores is no pair */
        lower_pair p = lower_value_at_self(l, &out->facts, s->score[i]);
        out->score[i] = p.value;
        out->exists = fv_and(c, out->exists, p.exists);
    }
    if (s->weight) {
        lower_pair p = lower_value_at_self(l, &out->facts, s->weight);
        if (p.exists) return refuse(l, x->anchor, "a weight may be absent where its pair is not");
        out->weight = p.value;
    }
    if (out->exists) out->exists = fv_simplify(c, &out->facts, out->exists);
    if (fv_is_true(out->exists)) out->exists = NULL;
    if (out->exists && fv_visit(out->exists, reads_placeholder, NULL))
        return refuse(l, x->anchor, "whether a pair exists depends on its score");
    return true;
}
bool lower_attend_read(lower *l, const fv_node *anchor, const fv_node *final, attend *x) {
    *x = (attend){.l = l, .anchor = anchor, .final = final, .a = &anchor->u.attend, .out = anchor->result[0]};
    const fv_attend_node *a = x->a;
    if (!steps_over_keys(a)) return refuse(l, anchor, "a normaliser step over query axes");
    if (a->n_sets > ATTEND_MAX_SETS) return refuse(l, anchor, "more key sets than sixteen");
    if (inner_reduction(l, anchor)) return refuse(l, anchor, "a reduction inside score or weight");
    const fv_value *lead = a->q ? a->q : a->set[0].s;
    for (int i = 0; i < x->out->obj.rank; i++) {
        const fv_axis *axis = &x->out->axis[i];
        bool dot = false;
        for (int j = 0; j < a->n_dot; j++) dot |= fv_str_eq(a->dot[j].name, axis->name);
        bool q = fv_value_axis(lead, axis->name) >= 0 && !dot;
        if (q) x->q[x->n_q++] = *axis;
        else x->e[x->n_e++] = *axis;
    }
    if (a->q) {
        fv_facts f = {0};
        fv_value_facts(l->ctx, a->q, &f);
        lower_pair p = lower_value_at_self(l, &f, a->q);
        if (p.exists) return refuse(l, anchor, "q may have absent elements");
        x->query = p.value;
    }
    x->n_sets = a->n_sets;
    for (int i = 0; i < a->n_sets; i++) {
        if (!read_set(x, &a->set[i], &x->set[i])) return false;
        lower_attend_list_taps(x, &x->set[i]);
    }
    return true;
}

/* Does any key or value index, or the existence of one by a border, read query axis a? The score and `only` do not
 * matter: they are evaluated per pair. */
typedef struct {
    const fv_expr *leaf;
    bool used;
} index_walk;
static bool index_reads(const fv_expr *e, void *user) {
    index_walk *w = user;
    if (e->op != FV_X_READ) return false;
    for (int i = 0; i < e->n && !w->used; i++) w->used = fv_uses(e->arg[i], w->leaf);
    return w->used;
}
bool lower_attend_enumerates(const attend *x, const fv_axis *a) {
    index_walk w = {fv_axis_ref(x->l->ctx, a->name), false};
    for (int i = 0; i < x->n_sets; i++) {
        if (x->set[i].k.value) fv_visit(x->set[i].k.value, index_reads, &w);
        if (x->set[i].v.value) fv_visit(x->set[i].v.value, index_reads, &w);
    }
    return w.used;
}
/* Every read of keys and values that mentions the axis mentions it alone, or beside axes that are no query's and no
 * key's (a head of merged channels: head * d + channel). */
typedef struct {
    const attend *x;
    const attend_set *set;
    const fv_expr *leaf;
    bool inside;
} alone_walk;
static bool beside(const alone_walk *w, const fv_expr *e) {
    int64_t coef;
    const fv_expr *rest;
    if (w->set->listed || !fv_split_affine(w->x->l->ctx, e, w->leaf, &coef, &rest)) return true;
    for (int i = 0; i < w->x->n_q; i++)
        if (fv_uses_axis(rest, w->x->q[i].name)) return true;
    for (int i = 0; i < w->set->set->n_over; i++)
        if (fv_uses_axis(rest, w->set->set->over[i].name)) return true;
    return false;
}
static bool index_mixes(const fv_expr *e, void *user) {
    alone_walk *w = user;
    if (e->op != FV_X_READ) return false;
    for (int i = 0; i < e->n; i++)
        if (e->arg[i] != w->leaf && fv_uses(e->arg[i], w->leaf) && beside(w, e->arg[i])) w->inside = true;
    return w->inside;
}
bool lower_attend_batch(const attend *x, const fv_axis *a) {
    if (!lower_attend_enumerates(x, a)) return false;
    alone_walk w = {.x = x, .leaf = fv_axis_ref(x->l->ctx, a->name)};
    for (int i = 0; i < x->n_sets; i++) {
        w.set = &x->set[i];
        if (x->set[i].k.value) fv_visit(x->set[i].k.value, index_mixes, &w);
        if (x->set[i].v.value) fv_visit(x->set[i].v.value, index_mixes, &w);
    }
    return !w.inside;
}

bool lower_plain_scale(const attend_set *s, double *factor) {
    const fv_expr *e = s->score[0];
    *factor = 1;
    for (; e->op == FV_X_MUL;) {
        int c = e->arg[0]->op == FV_X_FLOAT ? 0 : e->arg[1]->op == FV_X_FLOAT ? 1 : -1;
        if (c < 0) return false;
        *factor *= e->arg[c]->f;
        e = e->arg[1 - c];
    }
    return s->n_scores == 1 && s->set->raw && e->op == FV_X_READ && e->ref == &s->set->raw->obj;
}

void lower_box_test(lower *l, const fv_facts *f, const fv_expr *pred, const fv_expr *const *leaf,
                    const fv_expr *const *lo, const fv_expr *const *hi, int n, const fv_expr **always,
                    const fv_expr **never) {
    fv_ctx *c = l->ctx;
    *always = *never = NULL;
    const fv_expr *a0, *n0, *a1, *n1, *min, *max;
    switch (pred->op) {
    case FV_X_AND:
    case FV_X_OR: {
        lower_box_test(l, f, pred->arg[0], leaf, lo, hi, n, &a0, &n0);
        lower_box_test(l, f, pred->arg[1], leaf, lo, hi, n, &a1, &n1);
        const fv_expr **both = pred->op == FV_X_AND ? always : never, **any = pred->op == FV_X_AND ? never : always;
        const fv_expr *b0 = pred->op == FV_X_AND ? a0 : n0, *b1 = pred->op == FV_X_AND ? a1 : n1,
                      *o0 = pred->op == FV_X_AND ? n0 : a0, *o1 = pred->op == FV_X_AND ? n1 : a1;
        *both = b0 && b1 ? fv_op2(c, FV_X_AND, b0, b1) : NULL;
        *any = o0 && o1 ? fv_op2(c, FV_X_OR, o0, o1) : o0 ? o0 : o1;
        return;
    }
    case FV_X_NOT: lower_box_test(l, f, pred->arg[0], leaf, lo, hi, n, never, always); return;
    case FV_X_LT:
    case FV_X_LE: {
        if (pred->arg[0]->type != FV_I32 || pred->arg[1]->type != FV_I32) return;
        const fv_expr *d = fv_sub(c, pred->arg[1], pred->arg[0]); /* a < b: b - a >= 1; a <= b: b - a >= 0 */
        if (!fv_bounds(c, f, d, leaf, lo, hi, n, &min, &max)) return;
        const fv_expr *need = fv_int(c, pred->op == FV_X_LT ? 1 : 0);
        *always = fv_simplify(c, f, fv_op2(c, FV_X_LE, need, min));
        *never = fv_simplify(c, f, fv_op2(c, FV_X_LT, max, need));
        return;
    }
    default: return;
    }
}

double lower_attend_flops(const attend *x) {
    double pairs = 1, d = 1, e = 1, work = 0;
    for (int i = 0; i < x->n_q; i++) pairs *= (double)x->q[i].extent;
    for (int i = 0; i < x->a->n_dot; i++) d *= (double)x->a->dot[i].extent;
    for (int i = 0; i < x->n_e; i++) e *= (double)x->e[i].extent;
    for (int i = 0; i < x->n_sets; i++) {
        double keys = 1;
        for (int j = 0; j < x->set[i].set->n_over; j++) keys *= (double)x->set[i].set->over[j].extent;
        work += 2 * pairs * keys * lower_attend_share(x, &x->set[i]) * ((x->set[i].k.value ? d : 0) + e);
    }
    return work;
}

static const struct {
    const char *name;
    const char *(*emit)(attend *);
} strategies[] = {
    {"box", lower_attend_box},
    {"offset", lower_attend_offset},
};
const char *lower_attend_asked(const lower *l) {
    const fv_schedule *wish = lower_wish(l);
    const char *word = wish && wish->strategy.i ? fv_cstr(l->ctx, wish->strategy) : NULL;
    if (!word) return l->o->attend_strategy;
    return strncmp(word, "attend.", 7) ? word : word + 7;
}
void lower_emit_attend(lower *l, const fv_node *anchor, const fv_node *final) {
    attend x;
    if (!lower_attend_read(l, anchor, final, &x)) return;
    x.flops = lower_attend_flops(&x);
    const char *reasons[sizeof strategies / sizeof *strategies], *asked = lower_attend_asked(l);
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        reasons[i] = NULL;
        if (asked && strcmp(asked, strategies[i].name) != 0) {
            reasons[i] = "not the strategy asked for";
            continue;
        }
        reasons[i] = strategies[i].emit(&x);
        lower_consider(l, anchor, strategies[i].name, !reasons[i], "%s", reasons[i] ? reasons[i] : "fits");
        if (!reasons[i] || l->failed) return;
    }
    fv_error(l->ctx, FV_E_DECLINED, anchor->loc, "no strategy lowers this attend");
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++)
        fv_note(l->ctx, anchor->loc, "%s: %s", strategies[i].name, reasons[i]);
    l->failed = true;
}
