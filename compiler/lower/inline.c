/* A value at a point, as an expression over stored values: composes views and maps by substitution. The border of a
 * read guards the value read, whatever was inlined into it: f(0) is not 0. Existence (language.md A2) travels beside
 * the value and never inside it. */
#include "lower/internal.h"

/* One walk: what was expanded already, by node (trees are hash-consed: a READ of a value at an index is one pointer).
 */
typedef struct {
    const fv_expr *e;
    lower_pair p;
} memo;
typedef struct {
    lower *l;
    const fv_facts *f;
    memo *table;
    uint32_t n, cap;
} walk;
static lower_pair expand(walk *w, const fv_expr *e);
static lower_pair value_at(walk *w, const fv_value *v, const fv_expr *const *index);

static memo *memo_at(walk *w, const fv_expr *e) {
    uint32_t at = e->id * 2654435761u & (w->cap - 1);
    while (w->table[at].e && w->table[at].e != e) at = (at + 1) & (w->cap - 1);
    return &w->table[at];
}
static void remember(walk *w, const fv_expr *e, lower_pair p) {
    if (w->n * 2 >= w->cap) {
        walk old = *w;
        w->cap = old.cap ? old.cap * 2 : 64;
        w->table = FV_NEWN(w->l->ctx, memo, w->cap);
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.table[i].e) *memo_at(w, old.table[i].e) = old.table[i];
    }
    memo *m = memo_at(w, e);
    w->n += !m->e;
    *m = (memo){e, p};
}

bool lower_is_opaque(const lower *l, const fv_value *v) {
    switch (l->node[v->node->id].role) {
    case LOWER_LEAF:
    case LOWER_STORED:
    case LOWER_ABSORBED: return true;
    case LOWER_INNER: return v->node->op == FV_NODE_PLACEHOLDER;
    case LOWER_DEAD:
    case LOWER_INLINE: return false;
    }
    return false;
}

static const fv_expr *inside(walk *w, const fv_expr *e, int64_t n) { /* 0 <= e < n, simplified; NULL: proved */
    fv_ctx *c = w->l->ctx;
    const fv_expr *p =
        fv_simplify(c, w->f, fv_and(c, fv_op2(c, FV_X_LE, fv_int(c, 0), e), fv_op2(c, FV_X_LT, e, fv_int(c, n))));
    return fv_is_true(p) ? NULL : p;
}

/* A stored value. An index that is not provably inside was guarded by someone above: reading 0 there keeps the read
 * safe. */
static lower_pair stored(walk *w, const fv_value *v, const fv_expr *const *index) {
    fv_ctx *c = w->l->ctx;
    const fv_expr *at[FV_MAX_AXES] = {NULL};
    bool safe = true;
    for (int i = 0; i < v->obj.rank; i++) {
        at[i] = fv_simplify(c, w->f, index[i]);
        if (inside(w, at[i], v->axis[i].extent)) safe = false;
    }
    const fv_expr *zero = v->obj.type == FV_BOOL          ? fv_bool(c, false)
                          : fv_type_is_float(v->obj.type) ? fv_float(c, 0)
                                                          : fv_int(c, 0);
    return (lower_pair){fv_read(c, &v->obj, at, v->obj.rank, safe ? NULL : zero), NULL};
}

static const fv_expr *reflect(fv_ctx *c, const fv_expr *e, int64_t n) { /* one reflection at each end */
    const fv_expr *high = fv_sub(c, fv_int(c, 2 * (n - 1)), e);
    return fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_LT, e, fv_int(c, 0)), fv_op1(c, FV_X_NEG, e),
                  fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_LE, fv_int(c, n), e), high, e));
}

/* Is every conjunct of e one of given's? */
static bool implies(const fv_expr *given, const fv_expr *e) {
    if (e == given || fv_is_true(e)) return true;
    if (e->op == FV_X_AND) return implies(given, e->arg[0]) && implies(given, e->arg[1]);
    return given->op == FV_X_AND && (implies(given->arg[0], e) || implies(given->arg[1], e));
}

static lower_pair read_node(walk *w, const fv_node *n, const fv_expr *const *index) {
    fv_ctx *c = w->l->ctx;
    const fv_read_node *r = &n->u.read;
    const fv_value *out = n->result[0], *src = r->src;
    fv_binding b[FV_MAX_AXES];
    for (int i = 0; i < out->obj.rank; i++) b[i] = (fv_binding){fv_axis_ref(c, out->axis[i].name), index[i]};
    lower_pair p = {NULL, NULL};
    const fv_expr *at[FV_MAX_AXES] = {NULL}, *in = NULL;
    if (r->only) {
        lower_pair o = expand(w, fv_subst(c, r->only, b, out->obj.rank));
        p.exists = fv_and(c, o.exists, o.value);
    }
    for (int i = 0; i < src->obj.rank; i++) {
        lower_pair e = expand(w, fv_subst(c, r->index[i], b, out->obj.rank));
        p.exists = fv_and(c, p.exists, e.exists);
        at[i] = fv_simplify(c, w->f, e.value);
        int64_t len = src->axis[i].extent;
        const fv_expr *guard = r->border == FV_BORDER_NONE ? NULL : inside(w, at[i], len);
        if (!guard) continue;
        switch (r->border) {
        case FV_BORDER_CLAMP:
            at[i] =
                fv_simplify(c, w->f, fv_op2(c, FV_X_MAX, fv_op2(c, FV_X_MIN, at[i], fv_int(c, len - 1)), fv_int(c, 0)));
            break;
        case FV_BORDER_WRAP: at[i] = fv_simplify(c, w->f, fv_op2(c, FV_X_MOD, at[i], fv_int(c, len))); break;
        case FV_BORDER_REFLECT: at[i] = fv_simplify(c, w->f, reflect(c, at[i], len)); break;
        case FV_BORDER_CUT:
        case FV_BORDER_NUMBER: in = fv_and(c, in, guard); break;
        case FV_BORDER_NONE: break;
        }
    }
    lower_pair v = value_at(w, src, at);
    const fv_expr *selected = p.exists; /* by `only` and by the indices, whatever is read there */
    p.exists = fv_and(c, p.exists, v.exists);
    p.value = v.value;
    if (!in) return p;
    if (r->border == FV_BORDER_CUT) {
        p.exists = fv_and(c, p.exists, in);
        return p;
    }
    bool is_float = fv_type_is_float(src->obj.type);
    const fv_expr *number = is_float                   ? fv_float(c, r->number)
                            : src->obj.type == FV_BOOL ? fv_bool(c, r->number != 0)
                                                       : fv_int(c, (int64_t)r->number);
    /* A plain read of the source whose only unproved indices are these: the fill says it all. */
    if (v.value->op == FV_X_READ && v.value->ref == &src->obj && !p.exists) {
        p.value = fv_read(c, &src->obj, v.value->arg, src->obj.rank, number);
        return p;
    }
    p.value = fv_op3(c, FV_X_WHERE, in, p.value, number);
    if (v.exists && implies(in, fv_simplify(c, w->f, v.exists))) p.exists = selected;
    else if (v.exists) p.exists = fv_and(c, selected, fv_op3(c, FV_X_WHERE, in, v.exists, fv_bool(c, true)));
    return p;
}

static lower_pair concat_node(walk *w, const fv_node *n, const fv_expr *const *index) {
    fv_ctx *c = w->l->ctx;
    const fv_concat_node *k = &n->u.concat;
    const fv_value *out = n->result[0];
    int a = fv_value_axis(out, k->axis);
    int64_t end = out->axis[a].extent;
    lower_pair p = {NULL, NULL};
    for (int j = k->n - 1; j >= 0; j--) {
        const fv_value *v = k->part[j];
        int64_t len = v->axis[fv_value_axis(v, k->axis)].extent;
        const fv_expr *at[FV_MAX_AXES];
        for (int i = 0; i < v->obj.rank; i++) {
            int o = fv_value_axis(out, v->axis[i].name);
            at[i] = o == a ? fv_addi(c, index[a], -(end - len)) : index[o];
        }
        lower_pair q = value_at(w, v, at);
        end -= len;
        if (!p.value) {
            p = q;
            continue;
        }
        const fv_expr *here = fv_op2(c, FV_X_LT, index[a], fv_int(c, end + len));
        p.value = fv_op3(c, FV_X_WHERE, here, q.value, p.value);
        if (p.exists || q.exists) {
            const fv_expr *yes = fv_bool(c, true);
            p.exists = fv_op3(c, FV_X_WHERE, here, q.exists ? q.exists : yes, p.exists ? p.exists : yes);
        }
    }
    return p;
}

static lower_pair map_node(walk *w, const fv_node *n, const fv_expr *const *index) {
    fv_ctx *c = w->l->ctx;
    const fv_compute_node *m = &n->u.compute;
    const fv_value *out = n->result[0];
    fv_binding b[FV_MAX_AXES];
    for (int i = 0; i < out->obj.rank; i++) b[i] = (fv_binding){fv_axis_ref(c, out->axis[i].name), index[i]};
    lower_pair p = expand(w, fv_subst(c, m->body, b, out->obj.rank));
    if (m->only) {
        lower_pair o = expand(w, fv_subst(c, m->only, b, out->obj.rank));
        p.exists = fv_and(c, fv_and(c, o.exists, o.value), p.exists);
    }
    if (!m->otherwise) return p;
    lower_pair e = expand(w, fv_subst(c, m->otherwise, b, out->obj.rank));
    if (!p.exists) return p;
    return (lower_pair){fv_op3(c, FV_X_WHERE, p.exists, p.value, e.value),
                        e.exists ? fv_op2(c, FV_X_OR, p.exists, e.exists) : NULL};
}

static lower_pair value_at(walk *w, const fv_value *v, const fv_expr *const *index) {
    if (lower_is_opaque(w->l, v)) return stored(w, v, index);
    switch (v->node->op) {
    case FV_NODE_READ: return read_node(w, v->node, index);
    case FV_NODE_CONCAT: return concat_node(w, v->node, index);
    case FV_NODE_COMPUTE:
        if (v->node->u.compute.monoid == FV_MONOID_NONE) return map_node(w, v->node, index);
        break;
    default: break;
    }
    FV_ASSERT(false, "lower: a value that is neither stored nor a view or map");
    return (lower_pair){NULL, NULL};
}
static const fv_expr *join(fv_ctx *c, const fv_expr *cond, const fv_expr *a,
                           const fv_expr *b) { /* existence of where(cond, a, b) */
    if (!a && !b) return NULL;
    const fv_expr *yes = fv_bool(c, true);
    return fv_op3(c, FV_X_WHERE, cond, a ? a : yes, b ? b : yes);
}

static lower_pair expand_node(walk *w, const fv_expr *e) {
    fv_ctx *c = w->l->ctx;
    const fv_expr *arg[FV_MAX_AXES + 1], *exists[3] = {NULL, NULL, NULL}, *all = NULL;
    for (int i = 0; i < e->n; i++) {
        lower_pair p = expand(w, e->arg[i]);
        arg[i] = p.value;
        if (i < 3) exists[i] = p.exists;
        all = fv_and(c, all, p.exists);
    }
    if (e->op == FV_X_READ && e->ref->kind == FV_OBJ_VALUE) {
        lower_pair p = value_at(w, fv_value_of(e->ref), arg);
        p.exists = fv_and(c, all, p.exists);
        return p;
    }
    if (e->op == FV_X_WHERE)
        return (lower_pair){fv_rebuild(c, e, arg), fv_and(c, exists[0], join(c, arg[0], exists[1], exists[2]))};
    if (e->op == FV_X_EXACT) {
        const fv_expr *rest = fv_op2(c, FV_X_MOD, arg[0], arg[1]);
        return (lower_pair){fv_op2(c, FV_X_FLOORDIV, arg[0], arg[1]),
                            fv_and(c, all, fv_op2(c, FV_X_EQ, rest, fv_int(c, 0)))};
    }
    return (lower_pair){fv_rebuild(c, e, arg), all};
}

static lower_pair expand(walk *w, const fv_expr *e) {
    if (!e->n && e->op != FV_X_READ) return (lower_pair){e, NULL};
    if (w->cap) {
        memo *m = memo_at(w, e);
        if (m->e) return m->p;
    }
    lower_pair p = expand_node(w, e);
    remember(w, e, p);
    return p;
}

static lower_pair simplified(lower *l, const fv_facts *f, lower_pair p) {
    p.value = fv_simplify(l->ctx, f, p.value);
    if (p.exists) p.exists = fv_simplify(l->ctx, f, p.exists);
    if (fv_is_true(p.exists)) p.exists = NULL;
    return p;
}
lower_pair lower_value_at(lower *l, const fv_facts *f, const fv_value *v, const fv_expr *const *index) {
    walk w = {.l = l, .f = f};
    return simplified(l, f, value_at(&w, v, index));
}
lower_pair lower_expand(lower *l, const fv_facts *f, const fv_expr *e) {
    walk w = {.l = l, .f = f};
    return simplified(l, f, expand(&w, e));
}

lower_pair lower_value_at_self(lower *l, const fv_facts *f, const fv_value *v) {
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++) at[i] = fv_axis_ref(l->ctx, v->axis[i].name);
    return lower_value_at(l, f, v, at);
}

typedef struct {
    const fv_value *from;
    const fv_expr *with;
} replacement;
static const fv_expr *replace_read(fv_ctx *c, const fv_expr *e, void *user) {
    const replacement *r = user;
    (void)c;
    return e->op == FV_X_READ && e->ref->kind == FV_OBJ_VALUE && fv_value_of(e->ref) == r->from ? r->with : e;
}
const fv_expr *lower_replace_read(fv_ctx *c, const fv_expr *e, const fv_value *placeholder, const fv_expr *with) {
    replacement r = {placeholder, with};
    return fv_rewrite(c, e, replace_read, &r);
}
