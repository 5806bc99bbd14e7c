/* Axes, scalars and buffers of a tile kernel as expressions of the flat text. Invariant: a tile axis' base is written
 * as tile * counter (plus the loop's lower bound), so that quotients and remainders by the tile fold; every name of the
 * tile text keeps its name. */
#include "kernel/flatten.h"

fv_str fl_fresh(fl *f, const char *stem) {
    fv_str name;
    do name = fv_internf(f->ctx, "%s.%d", stem, f->names++);
    while (fv_kernel_axis(f->k, name, NULL));           /* an axis may bear such a name */
    return name;
}
const fv_expr *fl_simple(fl *f, const fv_expr *e) { return fv_simplify(f->ctx, &f->facts, e); }
fv_range fl_range(fl *f, const fv_expr *e) { return fv_range_of(&f->facts, e); }

fl_axis *fl_axis_find(const fl *f, fv_str name) {
    for (int j = 0; j < f->n_axes; j++)
        if (fv_str_eq(f->axis[j]->name, name)) return f->axis[j];
    return NULL;
}
fl_buffer *fl_buffer_find(const fl *f, const fv_obj *b) {
    for (int j = 0; j < f->n_buffers; j++)
        if (&f->buffer[j]->b->obj == b) return f->buffer[j];
    return NULL;
}
const fv_expr *fl_bound_var(const fl *f, const fv_expr *var) {
    for (int j = f->n_bind - 1; j >= 0; j--)
        if (f->bind[j].from == var) return f->bind[j].to;
    return var;
}
static void bind(fl *f, fv_str name, const fv_expr *to) {
    fv_binding b = {fv_var(f->ctx, name, FV_I32), to};
    fv_push(f->ctx, f->bind, f->n_bind, f->cap_bind, b);
}
static bool is_read(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ;
}
/* A bound in flat names. One that reads memory is a name of its own, which `fl_define_bounds` binds where the structure
 * stands. */
static const fv_expr *bound(fl *f, const fv_expr *e, fv_str axis, const char *suffix) {
    if (!fv_visit(e, is_read, NULL)) return fl_simple(f, fl_index(f, e, false));
    const fv_expr *v = fv_var(f->ctx, fv_internf(f->ctx, "%s.%s", fv_cstr(f->ctx, axis), suffix), FV_I32);
    fv_range r = fv_range_of(&f->facts, e);
    fv_facts_add(f->ctx, &f->facts, v, r.lo, r.hi);
    return v;
}
static void define(fl *f, const fv_expr *e, fv_str axis, const char *suffix) {
    if (!e || !fv_visit(e, is_read, NULL)) return;
    const fv_expr *v = fl_simple(f, fl_index(f, e, false));
    fv_flat *l = fl_emit(f, FV_L_LET);
    l->name = fv_internf(f->ctx, "%s.%s", fv_cstr(f->ctx, axis), suffix);
    l->expr = v;
}
const fv_expr *fl_lower(fl *f, const fv_tile_axis *t) {
    return t->base ? bound(f, t->base, t->name, "lo") : fv_int(f->ctx, 0);
}
const fv_expr *fl_upper(fl *f, const fv_tile_axis *t) { return bound(f, t->limit, t->name, "hi"); }
void fl_define_bounds(fl *f, const fv_tile_axis *t) {
    define(f, t->base, t->name, "lo");
    define(f, t->limit, t->name, "hi");
}

static fl_axis *declare(fl *f, const fv_tile_axis *t) {
    fl_axis *a = FV_NEW(f->ctx, fl_axis);
    a->name = t->name;
    a->leaf = fv_axis_ref(f->ctx, t->name);
    a->tile = t->tile;
    fv_push(f->ctx, f->axis, f->n_axes, f->cap_axes, a);
    fv_facts_add(f->ctx, &f->facts, fl_symbol(f, a), 0, t->tile - 1);
    return a;
}
/* Values of min(tile, limit - base) for bases lo, lo + tile, … below a constant limit. */
static void known_counts(fl *f, fl_axis *a, int64_t span) {
    if (span <= 0) return;
    if (span >= a->tile) a->known[a->n_known++] = a->tile;
    if (span % a->tile) a->known[a->n_known++] = span % a->tile;
    a->whole = a->n_known == 1 && a->known[0] == a->tile;
    int64_t least = a->known[a->n_known - 1];
    a->count = a->n_known == 1 ? fv_int(f->ctx, a->known[0])
                               : fv_var(f->ctx, fv_internf(f->ctx, "%s.n", fv_cstr(f->ctx, a->name)), FV_I32);
    if (a->n_known == 2) fv_facts_add(f->ctx, &f->facts, a->count, least, a->tile);
}
static void unknown_count(fl *f, fl_axis *a, int64_t least) {
    a->count = fv_var(f->ctx, fv_internf(f->ctx, "%s.n", fv_cstr(f->ctx, a->name)), FV_I32);
    fv_facts_add(f->ctx, &f->facts, a->count, least, a->tile);
}
static void grid_axis(fl *f, const fv_tile_axis *t) {
    const fv_expr *limit = bound(f, t->limit, t->name, "hi");
    fv_range r = fl_range(f, limit);
    int64_t most = r.hi < FV_RANGE_MAX ? r.hi : INT32_MAX, step = t->tile ? t->tile : 1, n = (most + step - 1) / step;
    if (!t->tile) {
        fv_facts_add(f->ctx, &f->facts, fv_var(f->ctx, t->name, FV_I32), 0, n > 0 ? n - 1 : 0);
        return;
    }
    fl_axis *a = declare(f, t);
    const fv_expr *counter = fv_var(f->ctx, fv_internf(f->ctx, "%s.t", fv_cstr(f->ctx, t->name)), FV_I32);
    fv_facts_add(f->ctx, &f->facts, counter, 0, n > 0 ? n - 1 : 0);
    a->base = fl_simple(f, fv_muli(f->ctx, counter, t->tile));
    a->limit = limit;
    bind(f, fv_base_name(f->ctx, t->name), a->base);
    int64_t c;
    if (fv_is_int(limit, &c)) known_counts(f, a, c);
    if (!a->count) unknown_count(f, a, 1);
}
static void for_axis(fl *f, const fv_tile_axis *t) {
    const fv_expr *lo = bound(f, t->base, t->name, "lo"), *hi = bound(f, t->limit, t->name, "hi");
    fv_range rl = fl_range(f, lo), rh = fl_range(f, hi);
    if (!t->tile) {
        fv_facts_add(f->ctx, &f->facts, fv_var(f->ctx, t->name, FV_I32), rl.lo,
                     rh.hi >= FV_RANGE_MAX ? FV_RANGE_MAX : rh.hi - 1);
        return;
    }
    fl_axis *a = declare(f, t);
    const fv_expr *counter = fv_var(f->ctx, fv_internf(f->ctx, "%s.t", fv_cstr(f->ctx, t->name)), FV_I32);
    fv_range span = fl_range(f, fv_sub(f->ctx, hi, lo));
    int64_t n = span.hi >= FV_RANGE_MAX ? FV_RANGE_MAX : (span.hi + t->tile - 1) / t->tile;
    fv_facts_add(f->ctx, &f->facts, counter, 0, n >= FV_RANGE_MAX ? n : n > 0 ? n - 1 : 0);
    a->base = fl_simple(f, fv_add(f->ctx, lo, fv_muli(f->ctx, counter, t->tile)));
    a->limit = hi;
    bind(f, fv_base_name(f->ctx, t->name), a->base);
    int64_t c;
    if (fv_is_int(fv_sub(f->ctx, hi, lo), &c)) known_counts(f, a, c);
    if (!a->count) unknown_count(f, a, 1);
}
static void plain_axis(fl *f, const fv_tile_axis *t) {
    fl_axis *a = declare(f, t);
    a->base = t->base ? bound(f, t->base, t->name, "lo") : fv_int(f->ctx, 0);
    bind(f, fv_base_name(f->ctx, t->name), a->base);
    a->whole = true;
    a->count = fv_int(f->ctx, t->tile);
    if (!t->limit) return;
    a->limit = bound(f, t->limit, t->name, "hi");
    fv_range span = fl_range(f, fl_simple(f, fv_sub(f->ctx, a->limit, a->base)));
    if (span.lo >= t->tile) return;
    a->whole = false;
    if (span.lo == span.hi && span.lo > 0) {
        a->known[a->n_known++] = span.lo;
        a->count = fv_int(f->ctx, span.lo);
        return;
    }
    unknown_count(f, a, span.lo > 0 ? span.lo : 0);
}
static void note_buffer(fl *f, const fv_obj *o, const fv_stmt *by) {
    if (!o || o->kind != FV_OBJ_BUFFER) return;
    fl_buffer *b = fl_buffer_find(f, o);
    if (!b) {
        b = FV_NEW(f->ctx, fl_buffer);
        b->b = (const fv_buffer *)o;
        b->lane = o->rank - 1;
        b->mem = FV_NEW(f->ctx, fv_memory);
        b->mem->obj = (fv_obj){.kind = FV_OBJ_BUFFER,
                               .name = o->name,
                               .type = o->type,
                               .rank = 1,
                               .ranged = o->ranged,
                               .lo = o->lo,
                               .hi = o->hi};
        b->mem->space = FV_SPACE_LOCAL;
        b->mem->lanes = 1;
        fv_push(f->ctx, f->buffer, f->n_buffers, f->cap_buffers, b);
    }
    b->writers++;
    b->writer = b->writers == 1 ? by : NULL;
}
static void let_fact(fl *f, const fv_stmt *s) {
    if (s->expr->type != FV_I32 && s->expr->type != FV_BOOL) return;
    const fv_expr *var = fv_var(f->ctx, s->name, s->expr->type);
    if (s->ranged) {
        fv_facts_add(f->ctx, &f->facts, var, s->lo, s->hi);
        return;
    }
    const fv_expr *e = s->expr;
    fv_range r = fv_range_of(&f->facts, fv_subst(f->ctx, e, f->bind, f->n_bind));
    if (r.lo > FV_RANGE_MIN || r.hi < FV_RANGE_MAX) fv_facts_add(f->ctx, &f->facts, var, r.lo, r.hi);
}
static bool visit(fv_stmt *s, void *user) {
    fl *f = user;
    f->loc = s->loc;
    switch (s->kind) {
    case FV_S_GRID:
        for (int j = 0; j < s->n_axes; j++) grid_axis(f, &s->axis[j]);
        break;
    case FV_S_FOR: for_axis(f, &s->axis[0]); break;
    case FV_S_AXIS:
        for (int j = 0; j < s->n_axes; j++) plain_axis(f, &s->axis[j]);
        break;
    case FV_S_LET: let_fact(f, s); break;
    case FV_S_ALLOC: note_buffer(f, &s->buffer->obj, s); break;
    case FV_S_IF: break;
    default:
        note_buffer(f, s->target, s);
        if (s->target2) note_buffer(f, &s->target2->obj, s);
    }
    return f->failed;
}
bool fl_scope(fl *f) {
    fv_stmts_visit(f->k->body, visit, f);
    return !f->failed;
}
void fl_fact(fl *f, const fv_expr *var, int64_t lo, int64_t hi) {
    fv_facts_add(f->ctx, &f->facts, var, lo, hi);
    fv_facts_add(f->ctx, &f->late, var, lo, hi);
}
void fl_position_fact(fl *f, const fl_axis *a, const fv_expr *off, int64_t points) {
    if (a->whole || !a->limit) return;
    const fv_expr *at = fv_add(f->ctx, a->base, off);
    fv_range limit = fl_range(f, a->limit), now = fl_range(f, at);
    int64_t hi = limit.hi >= FV_RANGE_MAX ? limit.hi : limit.hi - points;
    if (at->op == FV_X_INT || hi >= now.hi || hi < now.lo) return;
    fv_facts_add(f->ctx, &f->facts, at, now.lo, hi);
}
void fl_count(fl *f, fl_axis *a) {
    if (a->whole || a->count->op == FV_X_INT) return;
    fv_flat *l = fl_emit(f, FV_L_LET);
    l->name = a->count->name;
    const fv_expr *left = fv_sub(f->ctx, a->limit, a->base);
    left = fv_op2(f->ctx, FV_X_MIN, left, fv_int(f->ctx, a->tile));
    l->expr = fl_simple(f, fv_op2(f->ctx, FV_X_MAX, left, fv_int(f->ctx, 0)));
}
int fl_stmt_axes(const fl *f, const fv_stmt *s, fl_axis **out, int *n_free) {
    fv_str names[FV_MAX_AXES];
    int n = fv_stmt_free(s, names), m = 0;
    if (s->kind == FV_S_STORE) { /* axes that only the value reads cannot be: law (i) */
        n = 0;
        for (int j = 0; j < s->target->rank; j++) n = fv_axes_of(s->index[j], names, n, FV_MAX_AXES);
    }
    for (int j = 0; j < n; j++) {
        fl_axis *a = fl_axis_find(f, names[j]);
        FV_ASSERT(a, "a statement's axis is in scope");
        out[m++] = a;
    }
    *n_free = m;
    if (s->kind == FV_S_SCAN || s->kind == FV_S_MAP || s->kind == FV_S_STORE) return m;
    for (int j = 0; j < s->n_over; j++) out[m++] = fl_axis_find(f, s->over[j]);
    return m;
}
