/* Products of 16-bit pairs on a matrix unit. Where the target has one, the sum of flatten_pair.c whose rows, columns
 * and pairs fill fragments goes through them: blocks of two by two fragments (or as the
 * schedule says: `mma`) over all of the reduced axes, columns outside, so that a panel of B serves all rows; sums are
 * stored to the target's buffer, where the tails read them. Rows are cut into equal fragments whose last starts early
 * enough to end at the last valid row: it repeats sums, never reads further. A condition of the sum (the border of a
 * convolution) may hold for some rows of a fragment only: it then goes through a copy whose other rows are zero.
 * Invariant: everything that a fragment reads lies in its tensor; offsets and strides are multiples of 64 bytes. */
#include "kernel/flatten_nest.h"

#include <string.h>

enum { BLOCK = 2, PAIR_BYTES_UNIT = 32 };

typedef struct {
    fl *f;
    const fl_group *g;
    const fv_stmt *s;
    const fv_expr *a, *b;
    fl_axis *row, *lane, *two;
    fl_buffer *to;
    int64_t a_stride, b_stride, c_stride;
    int n_other;
    fl_axis *other[FV_MAX_AXES];
    const fv_expr *rows; /* of every fragment of A and C */
    int n_row, n_col;    /* fragments */
    int rows_of_block, cols_of_block;
    fv_memory *copy; /* of one fragment of A; NULL: the sum has no condition */
} frags;

/* Registers: sums, then fragments of A, then of B. */
static int first_a(const frags *x) { return x->rows_of_block * x->cols_of_block; }
static int first_b(const frags *x) { return first_a(x) + x->rows_of_block; }
static bool in_units(int64_t c) { return c >= 0 && c % PAIR_BYTES_UNIT == 0; }

/* -- Does it fit? ------------------------------------------------------------------------------------------------ */
/* All that an offset adds beside the axes of a fragment is a multiple of 64 bytes. */
static bool aligned_rest(const frags *x, const fv_expr *offset) {
    fv_affine a;
    const fv_expr *own[4] = {fl_symbol(x->f, x->row), fl_symbol(x->f, x->two), fl_symbol(x->f, x->g->pair),
                             x->f->lane_leaf};
    if (!fv_affine_of(offset, &a) || a.constant % PAIR_BYTES_UNIT) return false;
    for (int j = 0; j < a.n; j++) {
        bool mine = false;
        for (int i = 0; i < 4; i++) mine |= a.term[j].atom == own[i];
        if (!mine && a.term[j].coef % PAIR_BYTES_UNIT) return false;
    }
    return true;
}
static int64_t row_fragments(const frags *x) { return (x->row->tile + FV_FRAG_ROWS - 1) / FV_FRAG_ROWS; }
/* Rows that two fragments share are added to what the buffer holds in one block, or there are none. */
static bool adds_once(const frags *x) {
    int64_t n = row_fragments(x);
    return x->s->write == FV_W_SUM || n <= x->rows_of_block || (x->row->whole && x->row->tile % n == 0);
}
static bool find_axes(frags *x, const fv_expr *oa, const fv_expr *ob) {
    const fl_group *g = x->g;
    for (int j = 0; j < g->n_axes; j++) {
        fl_axis *a = g->axis[j];
        if (a == g->pair || a == x->lane) continue;
        int64_t ca = fl_coefficient(x->f, oa, fl_symbol(x->f, a)), cb = fl_coefficient(x->f, ob, fl_symbol(x->f, a));
        if (j < g->n_free) {
            if (x->row || !in_units(ca) || ca == 0 || cb != 0) return false;
            x->row = a;
            x->a_stride = ca;
        } else if (!a->whole) return false;
        else if (ca == 2 && in_units(cb) && cb > 0 && !x->two && a->tile % FV_FRAG_PAIRS == 0) {
            x->two = a;
            x->b_stride = cb;
        } else if (!in_units(ca) || !in_units(cb)) return false;
        else x->other[x->n_other++] = a;
    }
    return x->row && x->two && x->row->tile > 1 && adds_once(x);
}
/* Conditions hold no axis of columns or pairs, read nothing, and hold for one run of rows. */
static bool is_read(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ;
}
static bool one_run(const frags *x, const fv_expr *e) {
    const fv_expr *row = fl_symbol(x->f, x->row), *rest;
    int64_t c;
    if (!fv_uses(e, row)) return true;
    if (e->op == FV_X_AND) return one_run(x, e->arg[0]) && one_run(x, e->arg[1]);
    return (e->op == FV_X_LT || e->op == FV_X_LE) && fv_split_affine(x->f->ctx, e->arg[0], row, &c, &rest) &&
           fv_split_affine(x->f->ctx, e->arg[1], row, &c, &rest);
}
static bool conditions_fit(const frags *x) {
    const fl_member *m = &x->g->body[0];
    for (int j = 0; j < m->n_where; j++) {
        const fv_expr *w = m->where[j];
        if (fv_visit(w, is_read, NULL) || fv_uses_axis(w, x->lane->name) || fv_uses_axis(w, x->two->name) ||
            fv_uses_axis(w, x->g->pair->name) || !one_run(x, fl_symbolic_index(x->f, w, NULL)))
            return false;
    }
    return true;
}
static int64_t elements(fl *f, const fv_obj *o) {
    return o->kind == FV_OBJ_BUFFER ? fl_buffer_find(f, o)->mem->count : fv_tensor_elements((const fv_tensor *)o);
}
/* Rows of buffers are padded to whole fragments. */
static int64_t columns(const frags *x) { return (x->lane->tile + FV_FRAG_COLS - 1) / FV_FRAG_COLS; }
/* The last fragment of B lies in its tensor, for every program. */
static bool inside(const frags *x) {
    fl *f = x->f;
    const fv_expr *each[FV_MAX_AXES];
    for (int j = 0; j < x->g->n_axes; j++) x->g->axis[j]->off = fv_int(f->ctx, 0);
    for (int j = 0; j < x->n_other; j++) x->other[j]->off = fv_int(f->ctx, x->other[j]->tile - 1);
    x->two->off = fv_int(f->ctx, x->two->tile - FV_FRAG_PAIRS);
    x->lane->off = fv_int(f->ctx, (columns(x) - 1) * FV_FRAG_COLS);
    fv_flats scrap = {0};
    fl_mark m = fl_enter(f, &scrap, true);
    fv_range r = fl_range(f, fl_offset(f, x->b->ref, x->b->arg, each));
    fl_leave(f, m);
    for (int j = 0; j < x->g->n_axes; j++) x->g->axis[j]->off = NULL;
    return r.lo >= 0 && r.hi + (FV_FRAG_PAIRS - 1) * x->b_stride + 2 * FV_FRAG_COLS <= elements(f, x->b->ref);
}
static bool fits(frags *x) {
    fl *f = x->f;
    const fl_group *g = x->g;
    x->s = g->body[0].s;
    if (!f->t->fragments || !g->pair || g->n_free != 2 || x->s->otherwise || x->s->target->type != FV_F32) return false;
    x->lane = g->lane;
    const fv_expr *o[2];
    for (int j = 0; j < 2; j++) o[j] = fl_symbolic_offset(f, x->s->expr->arg[j]->ref, x->s->expr->arg[j]->arg, x->lane);
    int b = fl_coefficient(f, o[1], f->lane_leaf) == 2;
    x->a = x->s->expr->arg[!b];
    x->b = x->s->expr->arg[b];
    bool whole = x->lane->tile % FV_FRAG_COLS == 0 || x->b->ref->kind == FV_OBJ_BUFFER;
    if (!whole || !find_axes(x, o[!b], o[b]) || !aligned_rest(x, o[!b]) || !aligned_rest(x, o[b]) || !conditions_fit(x))
        return false;
    x->to = fl_buffer_find(f, x->s->target);
    for (int j = 0; j < x->to->b->obj.rank; j++) {
        if (fv_str_eq(x->to->b->axis[j], x->row->name)) x->c_stride = x->to->stride[j];
        else if (!fv_str_eq(x->to->b->axis[j], x->lane->name) || x->to->stride[j] != 1) return false;
    }
    return x->c_stride > 0 && x->c_stride % FV_FRAG_COLS == 0 && inside(x);
}

/* -- Statements -------------------------------------------------------------------------------------------------- */
static fv_flat *frag(const frags *x, fv_frag_op op, int reg) {
    fv_flat *s = fl_emit(x->f, FV_L_FRAG);
    s->frag = op;
    s->reg[0] = reg;
    return s;
}
static void row_at(const frags *x, int i) {
    fv_ctx *c = x->f->ctx;
    const fv_expr *at = fv_mul(c, x->rows, fv_int(c, i));
    x->row->off = i ? fl_simple(x->f, fv_op2(c, FV_X_MIN, at, fv_sub(c, x->row->count, x->rows))) : fv_int(c, 0);
}
static void col_at(const frags *x, int j) { x->lane->off = fv_int(x->f->ctx, j * FV_FRAG_COLS); }
static void operand(const frags *x, int reg, const fv_expr *read, int64_t stride) {
    const fv_expr *each[FV_MAX_AXES], *at = fl_offset(x->f, read->ref, read->arg, each);
    fv_flat *s = frag(x, FV_FRAG_LOAD, reg);
    if (read->ref->kind == FV_OBJ_BUFFER) s->memory = fl_buffer_find(x->f, read->ref)->mem;
    else s->tensor = (const fv_tensor *)read->ref;
    s->offset = at;
    s->stride = stride;
}
/* -- Fragments of A under a condition ---------------------------------------------------------------------------- */
static fv_memory *copy_of_a(fl *f) {
    fv_buffer *b = FV_NEW(f->ctx, fv_buffer);
    b->obj = (fv_obj){.kind = FV_OBJ_BUFFER, .name = fl_fresh(f, "rows"), .type = FV_BF16, .rank = 1};
    b->extent[0] = FV_FRAG_ROWS * 2 * FV_FRAG_PAIRS;
    fl_buffer *own = FV_NEW(f->ctx, fl_buffer);
    own->b = b;
    own->mem = FV_NEW(f->ctx, fv_memory);
    own->mem->obj = b->obj;
    own->mem->space = FV_SPACE_LOCAL;
    own->mem->lanes = 1;
    own->mem->count = b->extent[0];
    fv_push(f->ctx, f->buffer, f->n_buffers, f->cap_buffers, own);
    return own->mem;
}
static void copy_row(const frags *x, const fv_expr *at, const fv_expr *v) {
    fv_flat *s = fl_emit(x->f, FV_L_STORE);
    s->memory = x->copy;
    s->offset = at;
    s->expr = v;
}
static const fv_expr *row_of_a(const frags *x) {
    const fv_expr *each[FV_MAX_AXES], *at = fl_offset(x->f, x->a->ref, x->a->arg, each);
    const fv_obj *mem = x->a->ref->kind == FV_OBJ_BUFFER ? &fl_buffer_find(x->f, x->a->ref)->mem->obj : x->a->ref;
    return fv_make(x->f->ctx, FV_X_LOAD, FV_BF16, 2 * FV_FRAG_PAIRS, 0, mem, &at, 1);
}
static const fv_expr *zeros(fv_ctx *c) {
    const fv_expr *z = fv_float(c, 0);
    z = fv_make(c, FV_X_CONVERT, FV_BF16, 1, 0, NULL, &z, 1);
    return fv_make(c, FV_X_SPLAT, FV_BF16, 2 * FV_FRAG_PAIRS, 0, NULL, &z, 1);
}
typedef void arm(const frags *x, const void *user);
static void either(const frags *x, const fv_expr *c, arm *yes, arm *no, const void *user) {
    fv_flat *l = fl_emit(x->f, FV_L_IF);
    l->expr = c;
    for (int side = 0; side < 2; side++) {
        fv_flats body = {0};
        fl_mark m = fl_enter(x->f, &body, false);
        (side ? no : yes)(x, user);
        fl_leave(x->f, m);
        *(side ? &l->orelse : &l->body) = body.first;
    }
}
typedef struct {
    int reg;
    const fv_expr *start, *row; /* where the fragment starts; the row being copied */
} part;
static const fv_expr *condition(const frags *x) { return fl_conjunction(x->f, &x->g->body[0]); }
static void direct(const frags *x, const void *user) {
    const part *p = user;
    x->row->off = p->start;
    operand(x, p->reg, x->a, x->a_stride);
}
static void taken(const frags *x, const void *user) {
    const part *p = user;
    copy_row(x, fv_muli(x->f->ctx, p->row, 2 * FV_FRAG_PAIRS), row_of_a(x));
}
static void left_out(const frags *x, const void *user) {
    const part *p = user;
    copy_row(x, fv_muli(x->f->ctx, p->row, 2 * FV_FRAG_PAIRS), zeros(x->f->ctx));
}
static void copied(const frags *x, const void *user) {
    fl *f = x->f;
    part p = *(const part *)user;
    fv_flat *l = fl_emit(f, FV_L_FOR);
    l->name = fl_fresh(f, "row");
    l->lo = fv_int(f->ctx, 0);
    l->hi = x->rows;
    p.row = fv_var(f->ctx, l->name, FV_I32);
    fl_fact(f, p.row, 0, FV_FRAG_ROWS - 1);
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    x->row->off = fv_add(f->ctx, p.start, p.row);
    either(x, condition(x), taken, left_out, &p);
    fl_leave(f, m);
    l->body = body.first;
    fv_flat *s = frag(x, FV_FRAG_LOAD, p.reg);
    s->memory = x->copy;
    s->offset = fv_int(f->ctx, 0);
    s->stride = 2 * FV_FRAG_PAIRS;
}
static void load_a(const frags *x, int reg) {
    part p = {reg, x->row->off, NULL};
    if (!x->copy) {
        direct(x, &p);
        return;
    }
    const fv_expr *first = condition(x);
    x->row->off = fv_addi(x->f->ctx, fv_add(x->f->ctx, p.start, x->rows), -1);
    const fv_expr *all = fl_simple(x->f, fv_and(x->f->ctx, first, condition(x)));
    if (fv_is_true(all)) direct(x, &p);
    else either(x, all, direct, copied, &p);
}

static void sums(const frags *x, int i0, int j0, int mi, int nj, bool store) {
    for (int i = 0; i < mi; i++)
        for (int j = 0; j < nj; j++) {
            row_at(x, i0 + i);
            col_at(x, j0 + j);
            bool afresh = x->s->write == FV_W_SUM && !store;
            const fv_expr *at = afresh ? NULL : fl_buffer_offset(x->f, x->to);
            fv_flat *s = frag(x,
                              afresh  ? FV_FRAG_ZERO
                              : store ? FV_FRAG_STORE
                                      : FV_FRAG_LOAD,
                              i * x->cols_of_block + j);
            if (afresh) continue;
            s->memory = x->to->mem;
            s->offset = at;
            s->stride = x->c_stride;
        }
}
static void products(const frags *x, int i0, int j0, int mi, int nj) {
    x->g->pair->off = fv_int(x->f->ctx, 0);
    for (int i = 0; i < mi; i++) {
        row_at(x, i0 + i);
        col_at(x, j0);
        load_a(x, first_a(x) + i);
    }
    for (int j = 0; j < nj; j++) {
        col_at(x, j0 + j);
        operand(x, first_b(x) + j, x->b, x->b_stride);
    }
    for (int i = 0; i < mi; i++)
        for (int j = 0; j < nj; j++) {
            fv_flat *s = frag(x, FV_FRAG_DOT, i * x->cols_of_block + j);
            s->reg[1] = first_a(x) + i;
            s->reg[2] = first_b(x) + j;
        }
}
/* Loops over the reduced axes from number `at` on, pairs innermost. */
static void reduce(const frags *x, int at, int i0, int j0, int mi, int nj) {
    fl *f = x->f;
    bool last = at == x->n_other;
    fl_axis *a = last ? x->two : x->other[at];
    fv_flat *l = fl_emit(f, FV_L_FOR);
    l->name = fl_fresh(f, fv_cstr(f->ctx, a->name));
    l->lo = fv_int(f->ctx, 0);
    l->hi = fv_int(f->ctx, a->tile);
    l->step = last ? FV_FRAG_PAIRS : 1;
    a->off = fv_var(f->ctx, l->name, FV_I32);
    fl_fact(f, a->off, 0, a->tile - (last ? FV_FRAG_PAIRS : 1));
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    if (last) products(x, i0, j0, mi, nj);
    else reduce(x, at + 1, i0, j0, mi, nj);
    fl_leave(f, m);
    l->body = body.first;
}
static int at_most(int n, int most) { return n < most ? n : most; }

/* `mma.LABEL=none`: no fragments; `=m16n16k32,2,2`: their shape, and rows and columns of a block of them. false: none.
 * What cannot be is refused. */
static bool wanted(frags *x, bool *asked) {
    fl *f = x->f;
    fv_str label = x->g->body[0].s->label;
    const fv_sched_entry *e = label.i ? fv_schedule_get(f->s, FV_F_MMA, label) : NULL;
    x->rows_of_block = x->cols_of_block = BLOCK;
    *asked = false;
    if (!e) return true;
    const char *shape = e->n && e->item[0].name.i ? fv_cstr(f->ctx, e->item[0].name) : "";
    if (e->n == 1 && !strcmp(shape, "none")) return false;
    int64_t rows = e->n > 1 ? e->item[1].step : BLOCK, cols = e->n > 2 ? e->item[2].step : BLOCK;
    *asked = true;
    if (strcmp(shape, "m16n16k32") != 0 || !f->t->fragments)
        fl_refuse(f, "mma.%s: %s is no fragment of %s%s", fv_cstr(f->ctx, label), *shape ? shape : "this", f->t->name,
                  f->t->fragments ? ", which has m16n16k32" : ", which has no matrix unit");
    else if (rows < 1 || cols < 1 || rows > 8 || cols > 8 || rows * cols + rows + cols > FV_FRAG_REGISTERS)
        fl_refuse(f, "mma.%s: a block of %lld x %lld fragments takes %lld registers of %d", fv_cstr(f->ctx, label),
                  (long long)rows, (long long)cols, (long long)(rows * cols + rows + cols), (int)FV_FRAG_REGISTERS);
    x->rows_of_block = (int)rows;
    x->cols_of_block = (int)cols;
    return !f->failed;
}
bool fl_fragments(fl *f, const fl_group *g) {
    frags x = {.f = f, .g = g};
    bool asked;
    if (!wanted(&x, &asked) || !fits(&x)) {
        if (asked && !f->failed)
            fl_refuse(f, "mma.%s: the statement is no product of pairs that fills fragments",
                      fv_cstr(f->ctx, g->body[0].s->label));
        return false;
    }
    f->lane = NULL;
    f->valid = NULL;
    x.n_row = (int)row_fragments(&x);
    x.n_col = (int)columns(&x);
    x.rows = fl_simple(
        f, fv_op2(f->ctx, FV_X_FLOORDIV, fv_addi(f->ctx, x.row->count, x.n_row - 1), fv_int(f->ctx, x.n_row)));
    if (!fv_is_int(x.rows, NULL)) x.rows = fl_let(f, "rows", x.rows);
    if (g->body[0].n_where) x.copy = copy_of_a(f);
    fv_flat *config = frag(&x, FV_FRAG_CONFIG, first_a(&x));
    config->expr = x.rows;
    config->reg[1] = first_b(&x);
    for (int j = 0; j < x.n_col; j += x.cols_of_block)
        for (int i = 0; i < x.n_row; i += x.rows_of_block) {
            int mi = at_most(x.n_row - i, x.rows_of_block), nj = at_most(x.n_col - j, x.cols_of_block);
            sums(&x, i, j, mi, nj, false);
            reduce(&x, 0, i, j, mi, nj);
            sums(&x, i, j, mi, nj, true);
        }
    frag(&x, FV_FRAG_END, 0);
    fl_forget(f, &x.to->mem->obj);
    for (int j = 0; j < g->n_axes; j++) g->axis[j]->off = NULL;
    return true;
}
