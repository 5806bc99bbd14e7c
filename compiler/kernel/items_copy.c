/* items_copy: operands of products on a matrix unit, copied to local memory. What the product needs, and how an operand
 * is addressed, is known per element; where eight elements that follow each other in the copy do so in a 16-bit tensor
 * as well, starting at 16 bytes, and are all valid or none is, they are moved as they are. Everything else is converted
 * element by element. Invariant: what is proved is proved of the very expressions that are emitted. */
#include "kernel/items_unit.h"

const fv_expr *it_num(it *f, int64_t v) { return fv_int(f->ctx, v); }
const fv_expr *it_simple(it *f, const fv_expr *e) { return fv_simplify(f->ctx, &f->facts, e); }
const fv_expr *it_quotient(it *f, const fv_expr *e, int64_t by) {
    return by == 1 ? e : it_simple(f, fv_op2(f->ctx, FV_X_FLOORDIV, e, it_num(f, by)));
}
const fv_expr *it_rest(it *f, const fv_expr *e, int64_t by) {
    return by == 1 ? it_num(f, 0) : it_simple(f, fv_op2(f->ctx, FV_X_MOD, e, it_num(f, by)));
}
const fv_expr *it_counter(it *f, const char *stem, int64_t n) {
    const fv_expr *v = it_for(f, stem, it_num(f, 0), it_num(f, n));
    fv_facts_add(f->ctx, &f->facts, v, 0, n - 1);
    return v;
}
const fv_expr *it_below(it *f, const fv_expr *e, int64_t n) {
    const fv_expr *c = fv_op2(f->ctx, FV_X_LT, e, it_num(f, n));
    return fv_prove(f->ctx, &f->facts, c) == 1 ? NULL : c;
}

void it_decode(it *f, const fv_str *axes, int n, const fv_expr *x, bool named, const fv_expr **valid) {
    int64_t left = it_points(f, axes, n);
    *valid = fv_and(f->ctx, *valid, it_below(f, x, left));
    for (int i = 0; i < n; i++) {
        it_axis *a = it_find_axis(f, axes[i]);
        left /= a->tile;
        const fv_expr *at = it_quotient(f, x, left);
        a->off = i ? it_rest(f, at, a->tile) : at;
        if (named) a->off = it_let(f, fv_cstr(f->ctx, a->name), a->off);
        if (a->limit)
            *valid = fv_and(f->ctx, *valid, fv_op2(f->ctx, FV_X_LT, fv_add(f->ctx, a->base, a->off), a->limit));
    }
}
void it_assume(it *f, const fv_str *axes, int n) {
    for (int i = 0; i < n; i++) it_know(f, it_find_axis(f, axes[i]));
}
fv_flat *it_put(it *f, fv_memory *m, const fv_expr *at, const fv_expr *v) {
    fv_flat *s = it_emit(f, FV_L_STORE);
    s->memory = m;
    s->offset = at;
    s->expr = v;
    return s;
}

/* -- Numbering --------------------------------------------------------------------------------- */
/* An item's number among `total`, in a loop if there are more than items. */
static const fv_expr *number(it *f, int64_t total) {
    const fv_expr *z = f->item;
    if (total > f->group) {
        const fv_expr *slot = it_counter(f, "slot", (total + f->group - 1) / f->group);
        z = it_let(f, "z", fv_add(f->ctx, fv_muli(f->ctx, slot, f->group), z));
    }
    const fv_expr *in = it_below(f, z, total);
    it_if(f, in);
    if (in) fv_facts_assume(f->ctx, &f->facts, in);
    return z;
}
/* Rows of the copy are the reduced axes. */
static bool plain(const it_product *p, int which) { return which && p->across[1]; }
static const fv_expr *place(it *f, const it_product *p, int which, const fv_expr *row, const fv_expr *k) {
    const fv_expr *line = plain(p, which) ? k : row, *at = plain(p, which) ? row : k;
    return fv_add(f->ctx, fv_muli(f->ctx, line, it_product_stride(p, which)), at);
}
static void decode(it *f, const it_product *p, int which, const fv_expr *row, const fv_expr *k, bool named,
                   const fv_expr **valid) {
    *valid = NULL;
    it_decode(f, which ? p->col : p->row, which ? p->n_col : p->n_row, row, named, valid);
    it_decode(f, p->over, p->n_k, named ? it_let(f, "at", k) : k, named, valid);
}

/* -- Eight at a time --------------------------------------------------------------------------- */
/* Where element `row`, k of the operand stands in its tensor; NULL: it is not simply read. */
static const fv_expr *address(it *f, const it_product *p, int which, const fv_expr *row, const fv_expr *k,
                              const fv_expr **valid, const fv_tensor **tensor) {
    it_forget(f);
    decode(f, p, which, row, k, false, valid);
    it_assume(f, which ? p->col : p->row, which ? p->n_col : p->n_row);
    it_assume(f, p->over, p->n_k);
    const fv_expr *e = it_value(f, which ? p->b : p->a);
    while (e->op == FV_X_CONVERT) e = e->arg[0];
    if (e->op != FV_X_LOAD || e->n != 1 || e->type != f->mma_type || e->ref->kind != FV_OBJ_TENSOR) return NULL;
    *tensor = (const fv_tensor *)e->ref;
    return it_simple(f, e->arg[0]);
}
static bool multiple(const fv_expr *e, int64_t of) {
    fv_affine a;
    if (!fv_affine_of(e, &a) || a.constant % of) return false;
    for (int i = 0; i < a.n; i++)
        if (a.term[i].coef % of) return false;
    return true;
}
/* Copies eight elements from `row`, k of the piece on, where they are valid; zeros elsewhere. */
static bool eight(it *f, const it_product *p, int which, fv_memory *to, const fv_expr *from_k, const fv_expr *row,
                  const fv_expr *k) {
    const fv_expr *valid, *other, *at = place(f, p, which, row, k);
    const fv_tensor *tensor, *same;
    bool rows = plain(p, which);
    int facts = f->facts.n;
    k = fv_add(f->ctx, from_k, k);
    const fv_expr *from = address(f, p, which, row, k, &valid, &tensor);
    bool fits = from && multiple(from, FV_COPY_ELEMENTS) && multiple(at, FV_COPY_ELEMENTS);
    if (valid) fv_facts_assume(f->ctx, &f->facts, valid);
    for (int i = 1; fits && i < FV_COPY_ELEMENTS; i++) {
        const fv_expr *next =
            address(f, p, which, rows ? fv_addi(f->ctx, row, i) : row, rows ? k : fv_addi(f->ctx, k, i), &other, &same);
        fits = next && same == tensor && it_simple(f, fv_sub(f->ctx, next, from)) == it_num(f, i) &&
               (!other || fv_prove(f->ctx, &f->facts, other) == 1);
    }
    f->facts.n = facts;
    if (!fits) return false;
    fv_flats yes = {0}, no = {0}, *outer = f->list;
    f->list = &yes;
    fv_flat *s = it_emit(f, FV_L_COPY);
    s->memory = to;
    s->offset = at;
    s->tensor = tensor;
    s->part[0].offset = from;
    f->list = &no;
    for (int i = 0; valid && i < FV_COPY_ELEMENTS; i++)
        it_put(f, to, fv_addi(f->ctx, at, i), fv_float_of(f->ctx, f->mma_type, 0));
    f->list = outer;
    if (!valid) {
        fv_flats_add(f->list, yes.first);
        return true;
    }
    fv_flat *branch = it_emit(f, FV_L_IF);
    branch->expr = valid;
    branch->body = yes.first;
    branch->orelse = no.first;
    return true;
}
static bool as_it_is(it *f, const it_product *p, int which, fv_memory *to, const fv_expr *from) {
    int64_t rows = it_product_rows(p, which), along = plain(p, which) ? rows : p->chunk,
            pieces = along / FV_COPY_ELEMENTS;
    if ((which ? p->b_where : p->a_where) || (!which && p->across[0])) return false;
    const fv_expr *z = number(f, rows * p->chunk / FV_COPY_ELEMENTS);
    const fv_expr *line = it_quotient(f, z, pieces), *at = fv_muli(f->ctx, it_rest(f, z, pieces), FV_COPY_ELEMENTS);
    return plain(p, which) ? eight(f, p, which, to, from, at, line) : eight(f, p, which, to, from, line, at);
}

/* -- One by one -------------------------------------------------------------------------------- */
static void one_by_one(it *f, const it_product *p, int which, fv_memory *to, const fv_expr *from) {
    int64_t rows = it_product_rows(p, which);
    const fv_expr *z = number(f, rows * p->chunk), *valid;
    bool across = p->across[which];
    const fv_expr *row = it_let(f, "row", across ? it_rest(f, z, rows) : it_quotient(f, z, p->chunk)),
                  *k = it_let(f, "k", across ? it_quotient(f, z, rows) : it_rest(f, z, p->chunk));
    fv_memory *x = it_register(f, "x", FV_F32);
    it_set(f, x, fv_float(f->ctx, 0));
    int depth = f->depth;
    decode(f, p, which, row, fv_add(f->ctx, from, k), true, &valid);
    it_if(f, valid);
    it_assume(f, which ? p->col : p->row, which ? p->n_col : p->n_row);
    it_assume(f, p->over, p->n_k);
    const fv_expr *where = which ? p->b_where : p->a_where;
    it_if(f, where ? it_value(f, where) : NULL);
    it_set(f, x, it_convert(f, it_value(f, which ? p->b : p->a), FV_F32));
    it_end(f, depth);
    it_put(f, to, place(f, p, which, row, k), it_convert(f, it_get(f, x), f->mma_type));
}
void it_copy_operand(it *f, const it_product *p, int which, int half, const fv_expr *from, const fv_expr *cond) {
    int facts = f->facts.n;
    for (int way = 0; way < 2; way++) {
        it_leaf(f);
        it_unit *leaf = f->leaf;
        it_if(f, cond);
        if (cond) fv_facts_assume(f->ctx, &f->facts, cond);
        bool made = true;
        if (way) one_by_one(f, p, which, f->stage[half][which], from);
        else made = as_it_is(f, p, which, f->stage[half][which], from);
        it_end(f, 0);
        f->facts.n = facts;
        if (made) break;
        leaf->code = (fv_flats){0}; /* the attempt leaves nothing */
        leaf->n_access = 0;
    }
    it_touch(f, f->stage_object[half][which], true, IT_SHARED);
}
