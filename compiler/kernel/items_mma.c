/* items_mma: the products that items_product.c found, on the matrix unit of sub-groups. For a piece of the reduced
 * axes after the other all items copy both operands to local memory, rounded to 16 bits, with 0 where a point is
 * invalid or excluded; then every sub-group multiplies its fragments. Sums start from 0 or from the target, and go back
 * to it, element by element. Invariant: fragments of all sub-groups lie within the copies, which are as large as whole
 * fragments, so that all items come to every product. */
#include "kernel/items_unit.h"

/* -- Products ------------------------------------------------------------------------------------ */
static const fv_expr *wave(it *f) { return it_let(f, "sub", it_quotient(f, f->item, f->unit->sub)); }
/* The first row (column) of fragments of a sub-group. */
static const fv_expr *first(it *f, const it_product *p, const fv_expr *sub, int which) {
    const fv_expr *at = which ? it_rest(f, sub, p->wave_cols) : it_quotient(f, sub, p->wave_cols);
    return it_simple(f, fv_muli(f->ctx, at, which ? p->cols : p->rows));
}
/* Where the fragments of both operands start, and how far they lie apart. */
typedef struct {
    const fv_expr *start[2];
    int64_t stride[2], step[2], along[2]; /* from row to row, fragment to fragment, k to k */
} places;
/* One step of k for all fragments of a sub-group. */
static void step_of(it *f, const it_product *p, const places *x, int half, const fv_expr *k) {
    fv_memory *sums = it_has_home(f, p) ? it_find_buffer(f, p->s->target)->mem : f->sums;
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t c = 0; c < p->cols; c++) {
            fv_flat *s = it_emit(f, FV_L_MMA);
            s->memory = sums;
            s->offset = it_num(f, (r * p->cols + c) * f->unit->elements);
            for (int i = 0; i < 2; i++) {
                if (!i && p->from >= 0) { /* all of A's fragments of the row, numbered as in its way */
                    const fv_expr *t = fv_addi(f->ctx, k, r * (p->chunk / FV_UNIT_TILE));
                    s->part[0].memory = f->values;
                    s->part[0].offset = fv_muli(f->ctx, t, f->unit->elements);
                    s->rounded = f->mma_type;
                    continue;
                }
                const fv_expr *at = fv_add(f->ctx, x->start[i], fv_muli(f->ctx, k, x->along[i]));
                s->part[i].memory = f->stage[half][i];
                s->part[i].offset = fv_addi(f->ctx, at, (i ? c : r) * x->step[i]);
                s->part[i].stride = x->stride[i];
            }
            s->turned = !p->across[1];
        }
}
static void multiply(it *f, const it_product *p, int half, const fv_expr *cond) {
    places x = {.start = {NULL}};
    int facts = f->facts.n;
    int64_t steps = p->chunk / FV_UNIT_TILE;
    it_leaf(f);
    it_if(f, cond);
    const fv_expr *sub = wave(f);
    for (int i = p->from >= 0; i < 2; i++) {
        bool plain = i && p->across[1];
        x.stride[i] = it_product_stride(p, i);
        x.step[i] = FV_UNIT_TILE * (plain ? 1 : x.stride[i]);
        x.along[i] = FV_UNIT_TILE * (plain ? x.stride[i] : 1);
        x.start[i] = it_let(f, i ? "cols" : "rows", it_simple(f, fv_muli(f->ctx, first(f, p, sub, i), x.step[i])));
    }
    /* fragments in registers have constant numbers */
    if (p->from >= 0 || steps == 1)
        for (int64_t k = 0; k < steps; k++) step_of(f, p, &x, half, it_num(f, k));
    else step_of(f, p, &x, half, it_counter(f, "k", steps));
    it_end(f, 0);
    f->facts.n = facts;
    for (int i = p->from >= 0; i < 2; i++) it_touch(f, f->stage_object[half][i], false, IT_SHARED);
}

/* -- Sums -------------------------------------------------------------------------------------- */
static const fv_expr *unit_row(it *f, const fv_expr *lane, const fv_expr *i) {
    const fv_unit *u = f->unit;
    const fv_expr *far = fv_muli(f->ctx, it_rest(f, it_quotient(f, i, u->row_every), u->row_wrap), u->row_far);
    return fv_add(f->ctx, fv_muli(f->ctx, it_quotient(f, lane, u->row_lane), u->row_step), far);
}
static const fv_expr *unit_col(it *f, const fv_expr *lane, const fv_expr *i) {
    const fv_unit *u = f->unit;
    const fv_expr *far =
        fv_add(f->ctx, it_rest(f, i, u->col_wrap), fv_muli(f->ctx, it_quotient(f, i, u->col_every), u->col_far));
    return fv_add(f->ctx, fv_muli(f->ctx, it_rest(f, lane, u->col_lane), u->col_step), far);
}
static void clear(it *f, const it_product *p, fv_memory *sums) {
    it_leaf(f);
    int facts = f->facts.n;
    it_put(f, sums, it_counter(f, "i", p->rows * p->cols * f->unit->elements), fv_float(f->ctx, 0));
    it_end(f, 0);
    f->facts.n = facts;
}
static const fv_expr *sum_at(it *f, const fv_expr *at) {
    return fv_make(f->ctx, FV_X_LOAD, FV_F32, 1, 0, &f->sums->obj, &at, 1);
}
/* -- An item's elements and rows --------------------------------------------------------------- */
/* Loops over the elements of a product's C; rows and columns are decoded, what a valid point needs is returned. */
static const fv_expr *elements(it *f, const it_product *p, const fv_str *col_axes, int n_col) {
    const fv_expr *sub = wave(f), *lane = it_let(f, "lane", it_rest(f, f->item, f->unit->sub)), *valid = NULL;
    const fv_expr *row0 = it_let(f, "row.0", first(f, p, sub, 0)), *col0 = it_let(f, "col.0", first(f, p, sub, 1));
    const fv_expr *r = it_counter(f, "r", p->rows), *c = it_counter(f, "c", p->cols),
                  *i = it_counter(f, "i", f->unit->elements);
    const fv_expr *t = fv_add(f->ctx, fv_muli(f->ctx, r, p->cols), c);
    const fv_expr *row = fv_muli(f->ctx, fv_add(f->ctx, row0, r), FV_UNIT_TILE),
                  *col = fv_muli(f->ctx, fv_add(f->ctx, col0, c), FV_UNIT_TILE);
    f->slot = fv_add(f->ctx, fv_muli(f->ctx, t, f->unit->elements), i);
    f->row_slot = fv_add(f->ctx, fv_muli(f->ctx, r, f->unit->row_wrap),
                         it_rest(f, it_quotient(f, i, f->unit->row_every), f->unit->row_wrap));
    row = it_let(f, "row", fv_add(f->ctx, row, unit_row(f, lane, i)));
    col = it_let(f, "col", fv_add(f->ctx, col, unit_col(f, lane, i)));
    it_decode(f, p->row, p->n_row, row, true, &valid);
    it_decode(f, col_axes, n_col, col, true, &valid);
    return valid;
}
static const fv_expr *own_rows(it *f, const it_product *p) {
    const fv_unit *u = f->unit;
    const fv_expr *sub = wave(f), *lane = it_let(f, "lane", it_rest(f, f->item, u->sub)), *valid = NULL;
    const fv_expr *row0 = it_let(f, "row.0", first(f, p, sub, 0)), *r = it_counter(f, "r", p->rows),
                  *s = it_counter(f, "s", u->row_wrap), *row = fv_muli(f->ctx, fv_add(f->ctx, row0, r), FV_UNIT_TILE);
    f->row_slot = fv_add(f->ctx, fv_muli(f->ctx, r, u->row_wrap), s);
    f->first = fv_op2(f->ctx, FV_X_EQ, it_rest(f, lane, u->col_lane), it_num(f, 0));
    if (fv_is_true(f->first)) f->first = NULL;
    row = fv_add(f->ctx, row, fv_muli(f->ctx, it_quotient(f, lane, u->row_lane), u->row_step));
    row = it_let(f, "row", fv_add(f->ctx, row, fv_muli(f->ctx, s, u->row_far)));
    it_decode(f, p->row, p->n_row, row, true, &valid);
    return valid;
}
void it_open_fragments(it *f, const it_way *way) {
    const it_product *p = &f->product[way->product];
    it_if(f, way->kind == IT_ELEMENTS ? elements(f, p, p->col, p->n_col) : own_rows(f, p));
    it_assume(f, way->axis, way->n);
}
/* To the target, or from it. */
static void transfer(it *f, const it_product *p, bool write) {
    it_buffer *b = it_find_buffer(f, p->s->target);
    int facts = f->facts.n;
    it_leaf(f);
    const fv_expr *valid = elements(f, p, p->col, p->n_col), *at = f->slot;
    f->slot = NULL;
    if (!write) it_put(f, f->sums, at, fv_float(f->ctx, 0));
    it_if(f, valid);
    it_assume(f, p->row, p->n_row);
    it_assume(f, p->col, p->n_col);
    if (write) it_store_buffer(f, b, sum_at(f, at));
    else it_put(f, f->sums, at, it_convert(f, it_load_buffer(f, b), FV_F32));
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
    it_put(f, f->values, at, fv_float(f->ctx, 0));
    it_if(f, valid);
    it_assume(f, f->way[p->from].axis, f->way[p->from].n);
    it_if(f, p->a_where ? it_value(f, p->a_where) : NULL);
    it_put(f, f->values, at, it_convert(f, it_value(f, p->a), FV_F32));
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
    it_put(f, part, it_counter(f, "s", n), it_neutral(f, s, FV_F32));
    it_end(f, 0);
    f->way_now = way;
    it_if(f, elements(f, p, p->col, p->n_col));
    it_assume(f, w->axis, w->n);
    const fv_expr *at = f->row_slot, *old = fv_make(f->ctx, FV_X_LOAD, FV_F32, 1, 0, &part->obj, &at, 1);
    it_if(f, s->where ? it_value(f, s->where) : NULL);
    it_put(f, part, at, it_combine(f, s, old, it_convert(f, it_value(f, s->expr), FV_F32)));
    it_end(f, 0);
    it_leaf(f);
    for (int64_t i = 0; i < n; i++) {
        fv_flat *l = it_emit(f, FV_L_ROWS);
        l->memory = part;
        l->offset = it_num(f, i);
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
static void operands(it *f, const it_product *p, int half, const fv_expr *from, const fv_expr *cond) {
    if (p->from >= 0) values(f, p);
    else it_copy_operand(f, p, 0, half, from, cond);
    it_copy_operand(f, p, 1, half, from, cond);
}
static const fv_expr *unless_sure(it *f, const fv_expr *cond) {
    return fv_prove(f->ctx, &f->facts, cond) == 1 ? NULL : cond;
}
/* The pieces of the reduced axes one after the other. With two halves of local memory the next piece is under way while
 * one is multiplied, and a piece has one barrier. */
static void pieces(it *f, const it_product *p) {
    int facts = f->facts.n;
    const fv_expr *count;
    it_units body, *outer;
    if (f->halves) operands(f, p, 0, it_num(f, 0), NULL);
    it_leaf(f);
    it_axes_count(f, it_find_axis(f, p->over[0]), &count);
    count = it_let(f, "count", fv_muli(f->ctx, count, p->k / it_find_axis(f, p->over[0])->tile));
    int64_t step = p->chunk * (f->halves ? 2 : 1);
    fv_flat *loop = fv_flat_new(f->ctx, FV_L_FOR);
    loop->name = it_fresh(f, "piece");
    loop->lo = it_num(f, 0);
    loop->hi = it_simple(f, fv_op2(f->ctx, FV_X_FLOORDIV, fv_addi(f->ctx, count, step - 1), it_num(f, step)));
    loop->step = 1;
    const fv_expr *n = fv_var(f->ctx, loop->name, FV_I32), *from = fv_muli(f->ctx, n, step);
    fv_facts_add(f->ctx, &f->facts, n, 0, (p->k - 1) / step);
    it_units_in(f, loop, &body, &outer);
    if (!f->halves) {
        operands(f, p, 0, from, NULL);
        if (!f->failed) multiply(f, p, 0, NULL);
    } else {
        const fv_expr *second = fv_addi(f->ctx, from, p->chunk), *next = fv_addi(f->ctx, from, step),
                      *is_second = unless_sure(f, fv_op2(f->ctx, FV_X_LT, second, count)),
                      *is_next = unless_sure(f, fv_op2(f->ctx, FV_X_LT, next, count));
        operands(f, p, 1, second, is_second);
        if (!f->failed) multiply(f, p, 0, NULL);
        operands(f, p, 0, next, is_next);
        if (!f->failed) multiply(f, p, 1, is_second);
    }
    f->units = outer;
    f->units->last->body = body.first;
    f->facts.n = facts;
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
    if (p->chunk < p->k) pieces(f, p);
    else {
        operands(f, p, 0, it_num(f, 0), NULL);
        if (!f->failed) multiply(f, p, 0, NULL);
    }
    if (!f->failed && !home) transfer(f, p, true);
}
fv_memory *it_mma_memory(it *f, int which) {
    static const char *const stem[] = {"stage.a", "stage.b", "next.a", "next.b", "sums", "values"};
    if (which / 2 == 1 && !f->halves) return NULL;
    int64_t count = which < 4 ? it_stage_count(f, which % 2) : which == 4 ? it_sums_count(f) : it_values_count(f);
    if (!count) return NULL;
    fv_memory *m = FV_NEW(f->ctx, fv_memory);
    *m = (fv_memory){.obj = {.kind = FV_OBJ_BUFFER,
                             .name = it_fresh(f, stem[which]),
                             .type = which < 4 ? f->mma_type : FV_F32,
                             .rank = 1},
                     .space = which < 4 ? FV_SPACE_LOCAL : FV_SPACE_FRAG,
                     .lanes = 1,
                     .count = count};
    if (which == 4) return f->sums = m;
    if (which == 5) return f->values = m;
    m->offset_bytes = (f->out->scratch_bytes + 63) / 64 * 64;
    f->out->scratch_bytes = m->offset_bytes + 2 * m->count;
    f->stage_object[which / 2][which % 2] = f->n_objects++;
    return f->stage[which / 2][which % 2] = m;
}
