/* items_mma: the products that items_product.c found, on the matrix unit of sub-groups. For a piece of the reduced
 * axes after the other all items copy both operands to local memory, rounded to 16 bits, with 0 where a point is
 * invalid or excluded; then every sub-group multiplies its fragments. Sums start from 0 or from the target, and go back
 * to it, element by element. Invariant: fragments of all sub-groups lie within the copies, which are as large as whole
 * fragments, so that all items come to every product. */
#include "kernel/items.h"

static const fv_expr *num(it *f, int64_t v) { return fv_int(f->ctx, v); }
static const fv_expr *simple(it *f, const fv_expr *e) { return fv_simplify(f->ctx, &f->facts, e); }
static const fv_expr *quotient(it *f, const fv_expr *e, int64_t by) {
    return by == 1 ? e : simple(f, fv_op2(f->ctx, FV_X_FLOORDIV, e, num(f, by)));
}
static const fv_expr *rest(it *f, const fv_expr *e, int64_t by) {
    return by == 1 ? num(f, 0) : simple(f, fv_op2(f->ctx, FV_X_MOD, e, num(f, by)));
}
static const fv_expr *counter(it *f, const char *stem, int64_t n) {
    const fv_expr *v = it_for(f, stem, num(f, 0), num(f, n));
    fv_facts_add(f->ctx, &f->facts, v, 0, n - 1);
    return v;
}
static const fv_expr *below(it *f, const fv_expr *e, int64_t n) {
    const fv_expr *c = fv_op2(f->ctx, FV_X_LT, e, num(f, n));
    return fv_prove(f->ctx, &f->facts, c) == 1 ? NULL : c;
}

/* Offsets of the axes from their number x, the last fastest; what a valid point needs is added to *valid. */
static void decode(it *f, const fv_str *axes, int n, const fv_expr *x, const fv_expr **valid) {
    int64_t left = it_points(f, axes, n);
    *valid = fv_and(f->ctx, *valid, below(f, x, left));
    for (int i = 0; i < n; i++) {
        it_axis *a = it_find_axis(f, axes[i]);
        left /= a->tile;
        const fv_expr *at = quotient(f, x, left);
        a->off = it_let(f, fv_cstr(f->ctx, a->name), i ? rest(f, at, a->tile) : at);
        if (a->limit)
            *valid = fv_and(f->ctx, *valid, fv_op2(f->ctx, FV_X_LT, fv_add(f->ctx, a->base, a->off), a->limit));
    }
}
static void assume(it *f, const fv_str *axes, int n) {
    for (int i = 0; i < n; i++) it_know(f, it_find_axis(f, axes[i]));
}
static fv_flat *put(it *f, fv_memory *m, const fv_expr *at, const fv_expr *v) {
    fv_flat *s = it_emit(f, FV_L_STORE);
    s->memory = m;
    s->offset = at;
    s->expr = v;
    return s;
}

/* -- Operands ---------------------------------------------------------------------------------- */
/* which: 0 A, 1 B. */
static void copy(it *f, const it_product *p, int which, const fv_expr *from) {
    int64_t rows = it_product_rows(p, which), total = rows * p->chunk, stride = it_product_stride(p, which);
    int facts = f->facts.n;
    it_leaf(f);
    const fv_expr *z = f->item;
    if (total > f->group) {
        const fv_expr *slot = counter(f, "slot", (total + f->group - 1) / f->group);
        z = it_let(f, "z", fv_add(f->ctx, fv_muli(f->ctx, slot, f->group), z));
    }
    const fv_expr *in = below(f, z, total);
    it_if(f, in);
    if (in) fv_facts_assume(f->ctx, &f->facts, in);
    bool across = p->across[which];
    const fv_expr *row = it_let(f, "row", across ? rest(f, z, rows) : quotient(f, z, p->chunk)),
                  *k = it_let(f, "k", across ? quotient(f, z, rows) : rest(f, z, p->chunk)), *valid = NULL;
    fv_memory *x = it_register(f, "x", FV_F32);
    it_set(f, x, fv_float(f->ctx, 0));
    int depth = f->depth;
    decode(f, which ? p->col : p->row, which ? p->n_col : p->n_row, row, &valid);
    decode(f, p->over, p->n_k, it_let(f, "at", fv_add(f->ctx, from, k)), &valid);
    it_if(f, valid);
    assume(f, which ? p->col : p->row, which ? p->n_col : p->n_row);
    assume(f, p->over, p->n_k);
    const fv_expr *where = which ? p->b_where : p->a_where;
    it_if(f, where ? it_value(f, where) : NULL);
    it_set(f, x, it_convert(f, it_value(f, which ? p->b : p->a), FV_F32));
    it_end(f, depth);
    bool plain = which && across; /* rows of the copy are the reduced axes */
    const fv_expr *at = fv_add(f->ctx, fv_muli(f->ctx, plain ? k : row, stride), plain ? row : k);
    put(f, f->stage[which], at, it_convert(f, it_get(f, x), f->mma_type));
    it_touch(f, f->stage_object[which], true, IT_SHARED);
    it_end(f, 0);
    f->facts.n = facts;
}
static const fv_expr *wave(it *f) { return it_let(f, "sub", quotient(f, f->item, f->unit->sub)); }
/* The first row (column) of fragments of a sub-group. */
static const fv_expr *first(it *f, const it_product *p, const fv_expr *sub, int which) {
    const fv_expr *at = which ? rest(f, sub, p->wave_cols) : quotient(f, sub, p->wave_cols);
    return simple(f, fv_muli(f->ctx, at, which ? p->cols : p->rows));
}
/* Where the fragments of both operands start, and how far they lie apart. */
typedef struct {
    const fv_expr *start[2];
    int64_t stride[2], step[2], along[2]; /* from row to row, fragment to fragment, k to k */
} places;
/* One step of k for all fragments of a sub-group. */
static void step_of(it *f, const it_product *p, const places *x, const fv_expr *k) {
    fv_memory *sums = it_has_home(f, p) ? it_find_buffer(f, p->s->target)->mem : f->sums;
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t c = 0; c < p->cols; c++) {
            fv_flat *s = it_emit(f, FV_L_MMA);
            s->memory = sums;
            s->offset = num(f, (r * p->cols + c) * f->unit->elements);
            for (int i = 0; i < 2; i++) {
                if (!i && p->from >= 0) { /* all of A's fragments of the row, numbered as in its way */
                    const fv_expr *t = fv_addi(f->ctx, k, r * (p->chunk / FV_UNIT_TILE));
                    s->part[0].memory = f->values;
                    s->part[0].offset = fv_muli(f->ctx, t, f->unit->elements);
                    s->rounded = f->mma_type;
                    continue;
                }
                const fv_expr *at = fv_add(f->ctx, x->start[i], fv_muli(f->ctx, k, x->along[i]));
                s->part[i].memory = f->stage[i];
                s->part[i].offset = fv_addi(f->ctx, at, (i ? c : r) * x->step[i]);
                s->part[i].stride = x->stride[i];
            }
            s->turned = !p->across[1];
        }
}
static void multiply(it *f, const it_product *p) {
    places x = {.start = {NULL}};
    int facts = f->facts.n;
    int64_t steps = p->chunk / FV_UNIT_TILE;
    it_leaf(f);
    const fv_expr *sub = wave(f);
    for (int i = p->from >= 0; i < 2; i++) {
        bool plain = i && p->across[1];
        x.stride[i] = it_product_stride(p, i);
        x.step[i] = FV_UNIT_TILE * (plain ? 1 : x.stride[i]);
        x.along[i] = FV_UNIT_TILE * (plain ? x.stride[i] : 1);
        x.start[i] = it_let(f, i ? "cols" : "rows", simple(f, fv_muli(f->ctx, first(f, p, sub, i), x.step[i])));
    }
    /* fragments in registers have constant numbers */
    if (p->from >= 0 || steps == 1)
        for (int64_t k = 0; k < steps; k++) step_of(f, p, &x, num(f, k));
    else step_of(f, p, &x, counter(f, "k", steps));
    it_end(f, 0);
    f->facts.n = facts;
    for (int i = p->from >= 0; i < 2; i++) it_touch(f, f->stage_object[i], false, IT_SHARED);
}

/* -- Sums -------------------------------------------------------------------------------------- */
static const fv_expr *unit_row(it *f, const fv_expr *lane, const fv_expr *i) {
    const fv_unit *u = f->unit;
    const fv_expr *far = fv_muli(f->ctx, rest(f, quotient(f, i, u->row_every), u->row_wrap), u->row_far);
    return fv_add(f->ctx, fv_muli(f->ctx, quotient(f, lane, u->row_lane), u->row_step), far);
}
static const fv_expr *unit_col(it *f, const fv_expr *lane, const fv_expr *i) {
    const fv_unit *u = f->unit;
    const fv_expr *far =
        fv_add(f->ctx, rest(f, i, u->col_wrap), fv_muli(f->ctx, quotient(f, i, u->col_every), u->col_far));
    return fv_add(f->ctx, fv_muli(f->ctx, rest(f, lane, u->col_lane), u->col_step), far);
}
static void clear(it *f, const it_product *p, fv_memory *sums) {
    it_leaf(f);
    int facts = f->facts.n;
    put(f, sums, counter(f, "i", p->rows * p->cols * f->unit->elements), fv_float(f->ctx, 0));
    it_end(f, 0);
    f->facts.n = facts;
}
static const fv_expr *sum_at(it *f, const fv_expr *at) {
    return fv_make(f->ctx, FV_X_LOAD, FV_F32, 1, 0, &f->sums->obj, &at, 1);
}
/* -- An item's elements and rows --------------------------------------------------------------- */
/* Loops over the elements of a product's C; rows and columns are decoded, what a valid point needs is returned. */
static const fv_expr *elements(it *f, const it_product *p, const fv_str *col_axes, int n_col) {
    const fv_expr *sub = wave(f), *lane = it_let(f, "lane", rest(f, f->item, f->unit->sub)), *valid = NULL;
    const fv_expr *row0 = it_let(f, "row.0", first(f, p, sub, 0)), *col0 = it_let(f, "col.0", first(f, p, sub, 1));
    const fv_expr *r = counter(f, "r", p->rows), *c = counter(f, "c", p->cols), *i = counter(f, "i", f->unit->elements);
    const fv_expr *t = fv_add(f->ctx, fv_muli(f->ctx, r, p->cols), c);
    const fv_expr *row = fv_muli(f->ctx, fv_add(f->ctx, row0, r), FV_UNIT_TILE),
                  *col = fv_muli(f->ctx, fv_add(f->ctx, col0, c), FV_UNIT_TILE);
    f->slot = fv_add(f->ctx, fv_muli(f->ctx, t, f->unit->elements), i);
    f->row_slot = fv_add(f->ctx, fv_muli(f->ctx, r, f->unit->row_wrap),
                         rest(f, quotient(f, i, f->unit->row_every), f->unit->row_wrap));
    row = it_let(f, "row", fv_add(f->ctx, row, unit_row(f, lane, i)));
    col = it_let(f, "col", fv_add(f->ctx, col, unit_col(f, lane, i)));
    decode(f, p->row, p->n_row, row, &valid);
    decode(f, col_axes, n_col, col, &valid);
    return valid;
}
static const fv_expr *own_rows(it *f, const it_product *p) {
    const fv_unit *u = f->unit;
    const fv_expr *sub = wave(f), *lane = it_let(f, "lane", rest(f, f->item, u->sub)), *valid = NULL;
    const fv_expr *row0 = it_let(f, "row.0", first(f, p, sub, 0)), *r = counter(f, "r", p->rows),
                  *s = counter(f, "s", u->row_wrap), *row = fv_muli(f->ctx, fv_add(f->ctx, row0, r), FV_UNIT_TILE);
    f->row_slot = fv_add(f->ctx, fv_muli(f->ctx, r, u->row_wrap), s);
    f->first = fv_op2(f->ctx, FV_X_EQ, rest(f, lane, u->col_lane), num(f, 0));
    if (fv_is_true(f->first)) f->first = NULL;
    row = fv_add(f->ctx, row, fv_muli(f->ctx, quotient(f, lane, u->row_lane), u->row_step));
    row = it_let(f, "row", fv_add(f->ctx, row, fv_muli(f->ctx, s, u->row_far)));
    decode(f, p->row, p->n_row, row, &valid);
    return valid;
}
void it_open_fragments(it *f, const it_way *way) {
    const it_product *p = &f->product[way->product];
    it_if(f, way->kind == IT_ELEMENTS ? elements(f, p, p->col, p->n_col) : own_rows(f, p));
    assume(f, way->axis, way->n);
}
/* To the target, or from it. */
static void transfer(it *f, const it_product *p, bool write) {
    it_buffer *b = it_find_buffer(f, p->s->target);
    int facts = f->facts.n;
    it_leaf(f);
    const fv_expr *valid = elements(f, p, p->col, p->n_col), *at = f->slot;
    f->slot = NULL;
    if (!write) put(f, f->sums, at, fv_float(f->ctx, 0));
    it_if(f, valid);
    assume(f, p->row, p->n_row);
    assume(f, p->col, p->n_col);
    if (write) it_store_buffer(f, b, sum_at(f, at));
    else put(f, f->sums, at, it_convert(f, it_load_buffer(f, b), FV_F32));
    it_end(f, 0);
    f->facts.n = facts;
}
/* A's elements, 0 where a point is invalid or excluded. */
static void values(it *f, const it_product *p) {
    const it_product *of = &f->product[f->way[p->from].product];
    int facts = f->facts.n;
    it_leaf(f);
    f->way_now = p->from;
    const fv_expr *valid = elements(f, of, of->col, of->n_col), *at = f->slot;
    put(f, f->values, at, fv_float(f->ctx, 0));
    it_if(f, valid);
    assume(f, f->way[p->from].axis, f->way[p->from].n);
    it_if(f, p->a_where ? it_value(f, p->a_where) : NULL);
    put(f, f->values, at, it_convert(f, it_value(f, p->a), FV_F32));
    it_end(f, 0);
    f->facts.n = facts;
    f->way_now = -1;
    f->slot = f->row_slot = NULL;
}
/* Partial results of an item's elements, then over the items of the row, then to the target. */
void it_rows_reduce(it *f, const fv_stmt *s, int way) {
    const it_way *w = &f->way[way];
    const it_product *p = &f->product[w->product];
    it_buffer *b = it_find_buffer(f, s->target);
    int facts = f->facts.n;
    bool max = s->write == FV_W_MAX || s->write == FV_W_MAXIN, adds = s->write == FV_W_ADD || s->write == FV_W_MAXIN;
    int64_t n = p->rows * f->unit->row_wrap;
    fv_memory *part = FV_NEW(f->ctx, fv_memory);
    *part = (fv_memory){.obj = {.kind = FV_OBJ_BUFFER, .name = it_fresh(f, "rows"), .type = FV_F32, .rank = 1},
                        .space = FV_SPACE_PRIVATE,
                        .lanes = 1,
                        .count = n};
    it_leaf(f);
    it_emit(f, FV_L_ALLOC)->memory = part;
    put(f, part, counter(f, "s", n), it_neutral(f, s, FV_F32));
    it_end(f, 0);
    f->way_now = way;
    it_if(f, elements(f, p, p->col, p->n_col));
    assume(f, w->axis, w->n);
    const fv_expr *at = f->row_slot, *old = fv_make(f->ctx, FV_X_LOAD, FV_F32, 1, 0, &part->obj, &at, 1);
    it_if(f, s->where ? it_value(f, s->where) : NULL);
    put(f, part, at, it_combine(f, s, old, it_convert(f, it_value(f, s->expr), FV_F32)));
    it_end(f, 0);
    it_leaf(f);
    for (int64_t i = 0; i < n; i++) {
        fv_flat *l = it_emit(f, FV_L_ROWS);
        l->memory = part;
        l->offset = num(f, i);
        l->max = max;
    }
    it_leaf(f);
    f->way_now = w->rows;
    it_open_fragments(f, &f->way[w->rows]);
    at = f->row_slot;
    const fv_expr *v = fv_make(f->ctx, FV_X_LOAD, FV_F32, 1, 0, &part->obj, &at, 1);
    if (adds) v = it_combine(f, s, it_convert(f, it_load_buffer(f, b), FV_F32), v);
    it_store_buffer(f, b, v);
    it_end(f, 0);
    f->facts.n = facts;
    f->way_now = -1;
    f->slot = f->row_slot = NULL;
}

/* -- The statement ----------------------------------------------------------------------------- */
static void piece(it *f, const it_product *p, const fv_expr *from) {
    if (p->from >= 0) values(f, p);
    else copy(f, p, 0, from);
    copy(f, p, 1, from);
    if (!f->failed) multiply(f, p);
}
static bool in_scope(it *f, const fv_str *axes, int n) {
    for (int i = 0; i < n; i++)
        if (!it_find_axis(f, axes[i])->base) {
            it_refuse(f, FV_E_KERNEL, "the axis %s is not in scope", fv_cstr(f->ctx, axes[i]));
            return false;
        }
    return true;
}
void it_mma(it *f, const it_product *p) {
    f->way_now = -1;
    f->slot = NULL;
    if (!in_scope(f, p->row, p->n_row) || !in_scope(f, p->col, p->n_col) || !in_scope(f, p->over, p->n_k)) return;
    bool home = it_has_home(f, p);
    fv_memory *sums = home ? it_find_buffer(f, p->s->target)->mem : f->sums;
    if (p->s->write == FV_W_SUM) clear(f, p, sums);
    else if (!home) transfer(f, p, false);
    if (p->chunk >= p->k) piece(f, p, num(f, 0));
    else {
        int facts = f->facts.n;
        const fv_expr *count;
        it_units body, *outer;
        it_leaf(f);
        it_axes_count(f, it_find_axis(f, p->over[0]), &count);
        fv_flat *loop = fv_flat_new(f->ctx, FV_L_FOR);
        loop->name = it_fresh(f, "from");
        loop->lo = num(f, 0);
        loop->hi = it_let(f, "count", fv_muli(f->ctx, count, p->k / it_find_axis(f, p->over[0])->tile));
        loop->step = p->chunk;
        const fv_expr *from = fv_var(f->ctx, loop->name, FV_I32);
        fv_facts_add(f->ctx, &f->facts, from, 0, (p->k - 1) / p->chunk * p->chunk);
        it_units_in(f, loop, &body, &outer);
        piece(f, p, from);
        f->units = outer;
        f->units->last->body = body.first;
        f->facts.n = facts;
    }
    if (!f->failed && !home) transfer(f, p, true);
}
fv_memory *it_mma_memory(it *f, int which) {
    static const char *const stem[] = {"stage.a", "stage.b", "sums", "values"};
    int64_t count = which < 2 ? it_stage_count(f, which) : which == 2 ? it_sums_count(f) : it_values_count(f);
    if (!count) return NULL;
    fv_memory *m = FV_NEW(f->ctx, fv_memory);
    *m = (fv_memory){.obj = {.kind = FV_OBJ_BUFFER,
                             .name = it_fresh(f, stem[which]),
                             .type = which < 2 ? f->mma_type : FV_F32,
                             .rank = 1},
                     .space = which < 2 ? FV_SPACE_LOCAL : FV_SPACE_FRAG,
                     .lanes = 1,
                     .count = count};
    if (which == 2) return f->sums = m;
    if (which == 3) return f->values = m;
    m->offset_bytes = (f->out->scratch_bytes + 63) / 64 * 64;
    f->out->scratch_bytes = m->offset_bytes + 2 * m->count;
    f->stage_object[which] = f->n_objects++;
    return f->stage[which] = m;
}
