/* Stores are injective over grid x axes: no element by two programs, nor by two points of one statement. Indices that
 * share leaves are tried
 * together by enumeration; groups of indices that share none are independent. What is too large to enumerate is
 * accepted: the interpreter
 * checks every store. Invariant: a fault is reported only with two assignments that store to one element. */
#include "kernel/tile_verify.h"

#include <stdlib.h>
#include <string.h>

/* -- Programs that no index tells apart ---------------------------------------------------------------------------- */

static bool conditions_mention(const fv_verifier *v, const fv_stmt *s, const fv_expr *leaf) {
    if (s->where) return true;                          /* may pick one program: left to the interpreter */
    for (int j = 0; j < v->p.n_conds; j++)
        if (fv_uses(v->p.cond[j], leaf)) return true;
    return false;
}

static bool any_read(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ || e->op == FV_X_ANY || e->op == FV_X_ALL;
}

static bool conditions_unknown(const fv_verifier *v) {
    for (int j = 0; j < v->p.n_conds; j++)
        if (fv_visit(v->p.cond[j], any_read, NULL)) return true;
    return false;
}

/* Is some index an expression of the leaf, or of a leaf whose bounds depend on it (the positions of a tile on their
 * base)? */
static bool tells_apart(fv_verifier *v, const fv_stmt *s, const fv_domain *d, const fv_expr *const *index) {
    for (int j = 0; j < s->target->rank; j++) {
        if (fv_uses(index[j], d->leaf)) return true;
        for (int i = 0; i < v->p.n; i++) {
            const fv_domain *o = &v->p.domain[i];
            if (fv_uses(index[j], o->leaf) && (fv_uses(o->lo, d->leaf) || fv_uses(o->hi, d->leaf))) return true;
        }
    }
    return false;
}

static bool every_program_differs(fv_verifier *v, const fv_stmt *s, const fv_expr *const *index) {
    if (conditions_unknown(v)) return true;
    for (int j = 0; j < v->p.n; j++) {
        const fv_domain *d = &v->p.domain[j];
        if (!d->program || tells_apart(v, s, d, index) || conditions_mention(v, s, d->leaf)) continue;
        fv_range hi = fv_range_of(&v->p.facts, d->hi);
        if (hi.lo > d->step)                            /* two values for certain */
            return fv_tv_fault(v,
                               "programs that differ in '%s' store to the same elements of %s: no index depends on it",
                               fv_cstr(v->ctx, d->leaf->name), fv_cstr(v->ctx, s->target->name));
    }
    return true;
}

/* -- Enumeration of a group of indices ----------------------------------------------------------------------------- */
enum { MAX_POINTS = 1 << 16 };
typedef struct { int64_t key; int64_t value[FV_PROVE_LEAVES]; } stored;
typedef struct {
    const fv_expr *index[FV_MAX_AXES];
    const fv_tensor *t;
    int axis[FV_MAX_AXES], n_index;
    stored *point;
    int n;
    bool too_many;
} collect;

static bool collect_point(fv_enumeration *n, void *user) {
    collect *c = user;
    int64_t key = 0;
    for (int j = 0; j < c->n_index; j++) {
        double x = fv_enumerate_eval(n, c->index[j]);
        if (!(x >= 0 && x < (double)c->t->extent[c->axis[j]])) return false;   /* reported elsewhere */
        key = key * c->t->extent[c->axis[j]] + (int64_t)x;
    }
    if (c->n == MAX_POINTS) return c->too_many = true;
    stored *p = &c->point[c->n++];
    p->key = key;
    for (int j = 0; j < n->n; j++) p->value[j] = n->p->domain[n->leaf[j]].value;
    return false;
}

static int by_key(const void *a, const void *b) {
    int64_t x = ((const stored *)a)->key, y = ((const stored *)b)->key;
    return (x > y) - (x < y);
}

/* Same element: a fault unless both come from one program at different turns of its loops. */
static bool conflict(const fv_enumeration *n, const stored *a, const stored *b) {
    bool program = false, point = false, turn = false;
    for (int j = 0; j < n->n; j++) {
        const fv_domain *d = &n->p->domain[n->leaf[j]];
        if (a->value[j] == b->value[j]) continue;
        if (d->program || (d->wide_hi && n->wide[j])) program = true;
        else if (d->leaf->op == FV_X_AXIS) point = true;
        else turn = true;
    }
    return program || (point && !turn);
}

static bool report(fv_verifier *v, const fv_stmt *s, const fv_enumeration *n, const stored *a, const stored *b) {
    fv_buf text = {0};
    for (int j = 0; j < n->n; j++)
        if (a->value[j] != b->value[j])
            fv_buf_printf(&text, " %s=%lld and %lld", fv_cstr(v->ctx, n->p->domain[n->leaf[j]].leaf->name),
                          (long long)a->value[j], (long long)b->value[j]);
    fv_tv_fault(v, "an element of %s is stored twice:%s", fv_cstr(v->ctx, s->target->name), text.text ? text.text : "");
    fv_buf_dispose(&text);
    return false;
}

static bool group_is_injective(fv_verifier *v, const fv_stmt *s, collect *c) {
    fv_enumeration n;
    fv_enumerate_init(&n, &v->p, c->index, c->n_index, s->where, true);
    if (n.unknown || n.dropped || n.n == 0) return true;
    c->point = malloc(sizeof *c->point * MAX_POINTS);
    FV_ASSERT(c->point, "out of memory");
    fv_enumerate(&n, collect_point, c);
    bool ok = true;
    if (!c->too_many && n.budget >= 0) {
        qsort(c->point, (size_t)c->n, sizeof *c->point, by_key);
        for (int j = 1; ok && j < c->n; j++)
            for (int i = j - 1; ok && i >= 0 && c->point[i].key == c->point[j].key; i--)
                if (conflict(&n, &c->point[i], &c->point[j])) ok = report(v, s, &n, &c->point[i], &c->point[j]);
    }
    free(c->point);
    return ok;
}

/* -- Groups -------------------------------------------------------------------------------------------------------- */
typedef struct { uint64_t set[8]; } leaf_set;             /* of the first 512 domains */
static bool same_group(const leaf_set *a, const leaf_set *b) {
    for (int j = 0; j < 8; j++)
        if (a->set[j] & b->set[j]) return true;
    return false;
}

static leaf_set leaves_of(fv_verifier *v, const fv_expr *e) {
    fv_enumeration n;
    leaf_set s = {{0}};
    fv_enumerate_init(&n, &v->p, &e, 1, NULL, false);
    for (int j = 0; j < n.n; j++)
        if (n.leaf[j] < 512) s.set[n.leaf[j] / 64] |= UINT64_C(1) << (n.leaf[j] % 64);
    return s;
}

/* One leaf, once, with a coefficient: injective by itself. */
static bool is_plain(fv_verifier *v, const fv_expr *e) {
    fv_affine a;
    (void)v;
    return fv_affine_of(e, &a) && a.n == 1 && (a.term[0].atom->op == FV_X_AXIS || a.term[0].atom->op == FV_X_VAR);
}

bool fv_tv_injective(fv_verifier *v, const fv_stmt *s) {
    int rank = s->target->rank;
    const fv_expr *index[FV_MAX_AXES];
    leaf_set set[FV_MAX_AXES];
    bool done[FV_MAX_AXES] = {false};
    for (int j = 0; j < rank; j++) {
        index[j] = fv_prover_inline(&v->p, s->index[j]);
        set[j] = leaves_of(v, index[j]);
    }
    if (!every_program_differs(v, s, index)) return false;
    for (int j = 0; j < rank; j++) {
        if (done[j]) continue;
        collect c = {.t = (const fv_tensor *)s->target};
        leaf_set all = set[j];
        for (bool grew = true; grew;) {
            grew = false;
            for (int i = j; i < rank; i++) {
                if (done[i] || (i != j && !same_group(&all, &set[i]))) continue;
                done[i] = grew = true;
                for (int b = 0; b < 8; b++) all.set[b] |= set[i].set[b];
                c.axis[c.n_index] = i;
                c.index[c.n_index++] = index[i];
            }
        }
        if (!(c.n_index == 1 && is_plain(v, c.index[0])) && !group_is_injective(v, s, &c)) return false;
    }
    return true;
}
