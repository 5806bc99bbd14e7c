/* Hoisting on the flat text. A name whose value does not change in a loop is bound before it; of an address, what does
 * not change is summed before the loop. Invariant: nothing is loaded that the loop would not load: where a loop may run
 * zero times, it and what was hoisted from it stand under an `if`. Vectors are hoisted out of innermost loops only, and
 * no more than registers are left. */
#include "kernel/flatten.h"

typedef struct {
    const fv_expr *sum, *var;
} summed;
typedef struct {
    fl *f;
    fv_flat *loop;
    int n_names, cap_names;
    fv_str *name; /* bound in the loop */
    int n_written, cap_written;
    const fv_obj **written;
    bool nested;       /* holds a loop */
    int64_t registers; /* vectors that live in registers in the loop */
    int64_t hoisted;
    fv_flats before;
    bool loads; /* something in `before` loads or divides */
    int n_base, cap_base;
    summed *base;
} hoist;

/* -- What changes in a loop -------------------------------------------------------------------------------------- */
static void wrote(hoist *h, const fv_obj *o) {
    for (int j = 0; j < h->n_written; j++)
        if (h->written[j] == o) return;
    fv_push(h->f->ctx, h->written, h->n_written, h->cap_written, o);
}
static void survey(hoist *h, const fv_flat *s) {
    for (; s; s = s->next) {
        if (s->kind == FV_L_LET || s->kind == FV_L_FOR) fv_push(h->f->ctx, h->name, h->n_names, h->cap_names, s->name);
        if (s->kind == FV_L_FOR) h->nested = true;
        if (s->kind == FV_L_FRAG && s->frag == FV_FRAG_STORE) wrote(h, s->memory ? &s->memory->obj : &s->tensor->obj);
        if (s->kind == FV_L_STORE) {
            const fv_obj *o = s->memory ? &s->memory->obj : &s->tensor->obj;
            bool known = false;
            for (int j = 0; j < h->n_written; j++) known |= h->written[j] == o;
            if (!known && s->memory && s->memory->space == FV_SPACE_REG && s->memory->lanes > 1)
                h->registers += s->memory->count;
            wrote(h, o);
        }
        survey(h, s->body);
        survey(h, s->orelse);
    }
}
static bool changes(const fv_expr *e, void *user) {
    const hoist *h = user;
    if (e->op == FV_X_VAR)
        for (int j = 0; j < h->n_names; j++)
            if (fv_str_eq(h->name[j], e->name)) return true;
    if (e->ref)
        for (int j = 0; j < h->n_written; j++)
            if (h->written[j] == e->ref) return true;
    return false;
}
static bool invariant(const hoist *h, const fv_expr *e) { return !fv_visit(e, changes, (void *)(uintptr_t)h); }
static bool may_fault(const fv_expr *e, void *user) {
    (void)user;
    return e->ref || ((e->op == FV_X_FLOORDIV || e->op == FV_X_MOD) && e->arg[1]->op != FV_X_INT);
}

/* -- Addresses --------------------------------------------------------------------------------------------------- */
static const fv_expr *base_of(hoist *h, const fv_affine *a) {
    const fv_expr *sum = fv_affine_expr(h->f->ctx, a);
    for (int j = 0; j < h->n_base; j++)
        if (h->base[j].sum == sum) return h->base[j].var;
    fv_flat *l = fv_flats_add(&h->before, fv_flat_new(h->f->ctx, FV_L_LET));
    l->name = fl_fresh(h->f, "base");
    l->expr = sum;
    l->label = h->loop->label;
    summed s = {sum, fv_var(h->f->ctx, l->name, FV_I32)};
    fv_push(h->f->ctx, h->base, h->n_base, h->cap_base, s);
    return s.var;
}
/* e = same + moving + constant; false if there is nothing to gain. */
static bool split(hoist *h, const fv_expr *e, const fv_expr **same, const fv_expr **moving) {
    fv_affine a, s = {0}, m = {0};
    if (e->type != FV_I32 || e->lanes != 1 || !fv_affine_of(e, &a)) return false;
    for (int j = 0; j < a.n; j++) {
        fv_affine *to = invariant(h, a.term[j].atom) ? &s : &m;
        to->term[to->n].atom = a.term[j].atom;
        to->term[to->n++].coef = a.term[j].coef;
    }
    for (int j = 0; j < s.n; j++)
        if (fv_visit(s.term[j].atom, may_fault, NULL)) return false;
    if (!s.n || (s.n == 1 && s.term[0].coef == 1 && s.term[0].atom->op == FV_X_VAR)) return false;
    *same = fv_addi(h->f->ctx, base_of(h, &s), a.constant);
    *moving = fv_affine_expr(h->f->ctx, &m);
    return true;
}
enum { GUARD_BOUND = 8192 };
static const fv_expr *split_load(fv_ctx *ctx, const fv_expr *e, void *user) {
    hoist *h = user;
    const fv_expr *same, *moving, *arg[3];
    if ((e->op != FV_X_LOAD && e->op != FV_X_PERMLOAD) || !e->ref) return e;
    if (!split(h, e->arg[0], &same, &moving)) return e;
    for (int j = 0; j < e->n; j++) arg[j] = e->arg[j];
    int64_t i = e->i;
    fv_range r = fl_range(h->f, moving);
    if (e->op == FV_X_LOAD && e->i && fv_is_int(e->arg[1], NULL) && r.lo >= 0 && r.hi < GUARD_BOUND) {
        arg[0] = same;
        arg[1] = moving;
        i = r.hi + 1;
    } else arg[0] = fv_add(ctx, same, moving);
    return fv_make(ctx, e->op, e->type, e->lanes, i, e->ref, arg, e->n);
}
static void split_statement(hoist *h, fv_flat *s) {
    const fv_expr *same, *moving;
    if (s->expr) s->expr = fv_rewrite(h->f->ctx, s->expr, split_load, h);
    if (s->kind == FV_L_LET && !invariant(h, s->expr) && split(h, s->expr, &same, &moving))
        s->expr = fv_add(h->f->ctx, same, moving);
    if ((s->kind == FV_L_STORE || s->kind == FV_L_FRAG) && s->offset && s->offset->op != FV_X_INT &&
        split(h, s->offset, &same, &moving))
        s->offset = fv_add(h->f->ctx, same, moving);
}
static void split_list(hoist *h, fv_flat *s) {
    for (; s; s = s->next) {
        if (s->kind == FV_L_FOR) continue; /* done already, inside out */
        split_statement(h, s);
        split_list(h, s->body);
        split_list(h, s->orelse);
    }
}

/* -- Names ------------------------------------------------------------------------------------------------------- */
static void forget_name(hoist *h, fv_str name) {
    for (int j = 0; j < h->n_names; j++)
        if (fv_str_eq(h->name[j], name)) {
            h->name[j] = h->name[--h->n_names];
            return;
        }
}
static bool fits(const hoist *h, const fv_flat *s) {
    if (s->expr->lanes == 1) return true;
    return !h->nested && h->registers + h->hoisted + 4 < h->f->t->registers;
}
static void hoist_names(hoist *h) {
    fv_flat **at = &h->loop->body;
    while (*at) {
        fv_flat *s = *at;
        if (s->kind != FV_L_LET || !invariant(h, s->expr) || !fits(h, s)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        s->next = NULL;
        forget_name(h, s->name);
        if (s->expr->lanes > 1) h->hoisted++;
        h->loads |= fv_visit(s->expr, may_fault, NULL);
        fv_flats_add(&h->before, s);
    }
}
static fv_flat *process(fl *f, fv_flat *s);
/* The statements that replace a loop: what was hoisted, then the loop. */
static fv_flat *process_loop(fl *f, fv_flat *loop) {
    hoist h = {.f = f, .loop = loop};
    loop->body = process(f, loop->body);
    if (loop->loop == FV_LOOP_PROGRAMS) return loop;
    fv_push(f->ctx, h.name, h.n_names, h.cap_names, loop->name);
    survey(&h, loop->body);
    split_list(&h, loop->body);
    hoist_names(&h);
    if (!h.before.first) return loop;
    h.before.last->next = loop;
    fv_range trips = fl_range(f, fv_sub(f->ctx, loop->hi, loop->lo));
    if (!h.loads || trips.lo >= 1) return h.before.first;
    fv_flat *guard = fv_flat_new(f->ctx, FV_L_IF);
    guard->label = loop->label;
    guard->expr = fv_op2(f->ctx, FV_X_LT, loop->lo, loop->hi);
    guard->body = h.before.first;
    return guard;
}
static fv_flat *process(fl *f, fv_flat *s) {
    fv_flat *first = NULL, **at = &first;
    while (s) {
        fv_flat *next = s->next;
        s->next = NULL;
        s->orelse = process(f, s->orelse);
        if (s->kind == FV_L_IF) s->body = process(f, s->body);
        *at = s->kind == FV_L_FOR ? process_loop(f, s) : s;
        while (*at) at = &(*at)->next;
        s = next;
    }
    return first;
}
void fl_clean(fl *f) {
    for (int j = 0; j < f->late.n; j++)
        fv_facts_add(f->ctx, &f->facts, f->late.item[j].leaf, f->late.item[j].range.lo, f->late.item[j].range.hi);
    fl_share_config(f);
    f->out->body = process(f, f->out->body);
    fl_sweep(f);
}
