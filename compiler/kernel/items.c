/* items: tile kernels to flat kernels for OpenCL: one program of the grid is one group of items, structures become
 * uniform loops and branches, statements the loops of an item over its points. Invariant: everything that decides
 * whether a barrier is reached is computed from what all items share. */
#include "kernel/items.h"

void it_refuse(it *f, fv_code code, const char *format, ...) {
    char text[300];
    va_list ap;
    if (f->failed) return;
    f->failed = true;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const fv_stmt *s = f->stmt;
    bool labelled = s && s->label.i;
    fv_error(f->ctx, code, s ? s->loc : (fv_loc){ { 0 }, 0 }, "kernel %s%s%s: %s", fv_cstr(f->ctx, f->k->name),
             labelled ? ", " : "",
             labelled ? fv_cstr(f->ctx, s->label) : "", text);
}

/* -- Emitting ---------------------------------------------------------------------------------- */
fv_flat *it_emit(it *f, fv_flat_kind kind) {
    fv_flat *s = fv_flat_new(f->ctx, kind);
    s->label = f->label;
    s->loc = f->loc;
    return fv_flats_add(f->list, s);
}
fv_str it_fresh(it *f, const char *stem) { return fv_internf(f->ctx, "%s.%d", stem, f->names++); }
const fv_expr *it_let(it *f, const char *stem, const fv_expr *e) {
    if (e->op == FV_X_VAR || e->op == FV_X_INT || e->op == FV_X_FLOAT) return e;
    fv_flat *s = it_emit(f, FV_L_LET);
    s->name = it_fresh(f, stem);
    s->expr = e;
    const fv_expr *v = fv_var(f->ctx, s->name, e->type);
    if (e->type != FV_I32) return v;
    fv_range r = fv_range_of(&f->facts, e);
    if (r.lo > FV_RANGE_MIN || r.hi < FV_RANGE_MAX) fv_facts_add(f->ctx, &f->facts, v, r.lo, r.hi);
    return v;
}
void it_begin(it *f, fv_flat *frame) {
    FV_ASSERT(f->depth < IT_MAX_DEPTH, "loops of one statement are nested too deep");
    fv_flats *inner = FV_NEW(f->ctx, fv_flats);
    f->open[f->depth++] = (it_open){ frame, f->list, inner };
    f->list = inner;
}
void it_end(it *f, int depth) {
    while (f->depth > depth) {
        it_open *o = &f->open[--f->depth];
        o->frame->body = o->inner->first;
        f->list = o->outer;
    }
}
void it_if(it *f, const fv_expr *cond) {
    if (!cond || fv_is_true(cond)) return;
    fv_flat *s = it_emit(f, FV_L_IF);
    s->expr = cond;
    it_begin(f, s);
}
const fv_expr *it_for(it *f, const char *stem, const fv_expr *lo, const fv_expr *hi) {
    fv_flat *s = it_emit(f, FV_L_FOR);
    s->name = it_fresh(f, stem);
    s->lo = lo;
    s->hi = hi;
    it_begin(f, s);
    return fv_var(f->ctx, s->name, FV_I32);
}
fv_memory *it_register(it *f, const char *stem, fv_type type) {
    fv_memory *m = FV_NEW(f->ctx, fv_memory);
    *m = (fv_memory){ .obj = { .kind = FV_OBJ_BUFFER, .name = it_fresh(f, stem), .type = type, .rank = 1 },
            .space = FV_SPACE_REG, .lanes = 1, .count = 1 };
    it_emit(f, FV_L_ALLOC)->memory = m;
    return m;
}
const fv_expr *it_get(it *f, const fv_memory *m) {
    const fv_expr *zero = fv_int(f->ctx, 0);
    return fv_make(f->ctx, FV_X_LOAD, m->obj.type, 1, 0, &m->obj, &zero, 1);
}
void it_set(it *f, fv_memory *m, const fv_expr *v) {
    fv_flat *s = it_emit(f, FV_L_STORE);
    s->memory = m;
    s->offset = fv_int(f->ctx, 0);
    s->expr = v;
}

/* -- Units ------------------------------------------------------------------------------------- */
static it_unit *add_unit(it *f) {
    it_unit *u = FV_NEW(f->ctx, it_unit);
    if (f->units->last) f->units->last->next = u;
    else f->units->first = u;
    f->units->last = u;
    return u;
}
void it_leaf(it *f) {
    FV_ASSERT(f->depth == 0, "a leaf begins outside of loops");
    f->leaf = add_unit(f);
    f->list = &f->leaf->code;
    it_forget(f);
}
void it_touch(it *f, int object, bool write, int mark) {
    if (mark < IT_SHARED && f->mark[mark].way < IT_COOPERATIVE && f->way[f->mark[mark].way].kind == IT_ROWS)
        mark = IT_SHARED;                                   /* several items have the element */
    it_access a = { object, write, mark };
    for (int i = 0; i < f->leaf->n_access; i++)
        if (f->leaf->access[i].object == object && f->leaf->access[i].write == write && f->leaf->access[i].mark == mark)
            return;
    fv_push(f->ctx, f->leaf->access, f->leaf->n_access, f->leaf->cap_access, a);
}
/* The caller has filled the frame; units made until *outer is put back stand inside. */
void it_units_in(it *f, fv_flat *frame, it_units *body, it_units **outer) {
    it_unit *u = add_unit(f);
    frame->loc = f->loc;
    frame->label = f->label;
    u->frame = frame;
    *outer = f->units;
    f->units = body;
    *body = (it_units){ NULL, NULL };
}
static void leave(it *f, it_units *body, it_units *outer) {
    f->units = outer;
    f->units->last->body = body->first;
}

/* -- Structures -------------------------------------------------------------------------------- */
static void bind(it *f, fv_str name, fv_type type, const fv_expr *to) {
    fv_binding b = { fv_var(f->ctx, name, type), to };
    fv_push(f->ctx, f->bind, f->n_bind, f->cap_bind, b);
}
static void place_axis(it *f, const fv_tile_axis *a, const fv_expr *base, const fv_expr *limit) {
    it_axis *x = it_find_axis(f, a->name);
    x->base = base;
    x->limit = limit && !fv_prove_le(&f->facts, fv_addi(f->ctx, base, a->tile), limit, 0) ? limit : NULL;
    bind(f, fv_base_name(f->ctx, a->name), FV_I32, base);
}

static void statements(it *f, const fv_stmt *s);

static void inside(it *f, fv_flat *frame, const fv_stmt *body) {
    it_units units, *outer;
    int facts = f->facts.n, binds = f->n_bind;
    it_units_in(f, frame, &units, &outer);
    if (frame->kind == FV_L_IF) fv_facts_assume(f->ctx, &f->facts, frame->expr);
    statements(f, body);
    leave(f, &units, outer);
    f->facts.n = facts;
    f->n_bind = binds;
}

/* The loop counts tiles, so that addresses show what their base is a multiple of. */
static void tiles_from_0(it *f, const fv_stmt *s, fv_flat *loop, const fv_expr *hi) {
    const fv_tile_axis *a = &s->axis[0];
    const fv_expr *t = fv_var(f->ctx, loop->name, FV_I32), *base = fv_muli(f->ctx, t, a->tile);
    fv_range h = fv_range_of(&f->facts, hi);
    loop->hi = fv_simplify(f->ctx, &f->facts,
                           fv_op2(f->ctx, FV_X_FLOORDIV, fv_addi(f->ctx, hi, a->tile - 1), fv_int(f->ctx, a->tile)));
    loop->step = 1;
    fv_facts_add(f->ctx, &f->facts, t, 0, h.hi < FV_RANGE_MAX && h.hi > 0 ? (h.hi - 1) / a->tile : FV_RANGE_MAX);
    fv_facts_assume(f->ctx, &f->facts, fv_op2(f->ctx, FV_X_LT, base, hi));
    place_axis(f, a, base, hi);
    inside(f, loop, s->body);
}
static void lower_for(it *f, const fv_stmt *s) {
    const fv_tile_axis *a = &s->axis[0];
    int facts = f->facts.n, binds = f->n_bind;
    int64_t zero;
    it_leaf(f);
    const fv_expr *lo = it_let(f, "lo", it_condition(f, a->base)), *hi = it_let(f, "hi", it_condition(f, a->limit));
    fv_flat *loop = fv_flat_new(f->ctx, FV_L_FOR);
    loop->name = it_fresh(f, fv_cstr(f->ctx, a->tile ? fv_base_name(f->ctx, a->name) : a->name));
    loop->lo = lo;
    loop->hi = hi;
    loop->step = a->tile ? a->tile : 1;
    const fv_expr *var = fv_var(f->ctx, loop->name, FV_I32);
    if (f->n_products && a->tile > 1 && fv_is_int(lo, &zero) && zero == 0) {
        tiles_from_0(f, s, loop, hi);
        f->facts.n = facts;
        f->n_bind = binds;
        return;
    }
    fv_range l = fv_range_of(&f->facts, lo), h = fv_range_of(&f->facts, hi);
    int64_t last = h.hi - 1, from, to;
    if (fv_is_int(lo, &from) && fv_is_int(hi, &to)) last = to > from
        ? from + (to - 1 - from) / loop->step * loop->step : from;
    fv_facts_add(f->ctx, &f->facts, var, l.lo, last);
    fv_facts_assume(f->ctx, &f->facts, fv_op2(f->ctx, FV_X_LT, var, hi));
    if (a->tile) place_axis(f, a, var, hi);
    else bind(f, a->name, FV_I32, var);
    inside(f, loop, s->body);
    f->facts.n = facts;
    f->n_bind = binds;
}

static void lower_axes(it *f, const fv_stmt *s) {
    it_leaf(f);
    for (int i = 0; i < s->n_axes; i++) {
        const fv_tile_axis *a = &s->axis[i];
        const char *name = fv_cstr(f->ctx, a->name);
        const fv_expr *base = a->base ? it_let(f, fv_cstr(f->ctx, fv_base_name(f->ctx, a->name)),
                                               it_condition(f, a->base)) : fv_int(f->ctx, 0);
        const fv_expr *limit = a->limit ? it_let(f, fv_printf(f->ctx, "%s.end", name), it_condition(f, a->limit))
            : NULL;
        place_axis(f, a, base, limit);
    }
}

static void lower_let(it *f, const fv_stmt *s) {
    it_leaf(f);
    const fv_expr *v = it_let(f, fv_cstr(f->ctx, s->name), it_condition(f, s->expr));
    if (s->ranged) {
        const fv_expr *ok = fv_and(f->ctx, fv_op2(f->ctx, FV_X_LE, fv_int(f->ctx, s->lo), v),
                                   fv_op2(f->ctx, FV_X_LE, v, fv_int(f->ctx, s->hi)));
        if (!fv_is_true(ok)) it_emit(f, FV_L_ASSERT)->expr = ok;
        if (v->op == FV_X_VAR) fv_facts_add(f->ctx, &f->facts, v, s->lo, s->hi);
    }
    bind(f, s->name, s->expr->type, v);
}

static void lower_if(it *f, const fv_stmt *s) {
    it_leaf(f);
    const fv_expr *c = fv_simplify(f->ctx, &f->facts, it_condition(f, s->expr));
    if (fv_is_false(c)) return;
    fv_flat *branch = fv_flat_new(f->ctx, FV_L_IF);
    branch->expr = c;
    inside(f, branch, s->body);
}

static void statements(it *f, const fv_stmt *s) {
    for (; s && !f->failed; s = s->next) {
        f->stmt = s;
        f->label = s->label;
        f->loc = s->loc;
        switch (s->kind) {
        case FV_S_GRID: it_refuse(f, FV_E_KERNEL, "a grid inside of another structure"); break;
        case FV_S_FOR: lower_for(f, s); break;
        case FV_S_AXIS: lower_axes(f, s); break;
        case FV_S_LET: lower_let(f, s); break;
        case FV_S_IF: lower_if(f, s); break;
        case FV_S_ALLOC: it_alloc(f, s); break;
        default: it_statement(f, s); break;
        }
    }
}

/* -- Grid -------------------------------------------------------------------------------------- */
/* Programs count through the grid, its last axis fastest. A limit that depends on other axes counts with its greatest
 * value; surplus programs do nothing. */
static void lower_grid(it *f, const fv_stmt *s, const fv_expr *program) {
    const fv_expr *limit[FV_MAX_AXES], *at[FV_MAX_AXES], *var[FV_MAX_AXES], *run = NULL;
    int64_t count[FV_MAX_AXES], scale[FV_MAX_AXES], programs = 1;
    f->stmt = s;
    f->loc = s->loc;
    it_leaf(f);
    for (int i = 0; i < s->n_axes; i++) {
        const fv_tile_axis *a = &s->axis[i];
        int64_t tile = a->tile ? a->tile : 1;
        limit[i] = it_condition(f, a->limit);
        fv_range r = fv_range_of(&f->facts, limit[i]);
        if (r.hi >= FV_RANGE_MAX)
            it_refuse(f, FV_E_KERNEL, "the limit of the grid axis %s has no bound", fv_cstr(f->ctx, a->name));
        count[i] = r.hi > 0 ? (r.hi + tile - 1) / tile : 0;
        var[i] = fv_var(f->ctx, it_fresh(f, fv_cstr(f->ctx, a->tile ? fv_base_name(f->ctx, a->name) : a->name)), FV_I32);
        /* on a matrix unit the name is the tile's number, so that addresses show what their base is a multiple of */
        scale[i] = f->n_products ? tile : 1;
        at[i] = fv_muli(f->ctx, var[i], scale[i]);
        fv_facts_add(f->ctx, &f->facts, var[i], 0, count[i] ? (count[i] - 1) * tile / scale[i] : 0);
        fv_facts_assume(f->ctx, &f->facts, fv_op2(f->ctx, FV_X_LT, at[i], limit[i]));
        if (!a->tile) bind(f, a->name, FV_I32, at[i]);
        else place_axis(f, a, at[i], limit[i]);
        if (!fv_is_int(limit[i], NULL)) run = fv_and(f->ctx, run, fv_op2(f->ctx, FV_X_LT, at[i], limit[i]));
        if (count[i] && programs > INT32_MAX / count[i])
            it_refuse(f, FV_E_KERNEL, "the grid has more than %lld programs", (long long)INT32_MAX);
        programs *= count[i];
        if (f->failed) return;
    }
    f->out->programs = programs;
    const fv_expr *left = program;
    int64_t rest = programs;
    /* outermost first, so that limits may name the axes before them */
    for (int i = 0; i < s->n_axes; i++) {
        rest = count[i] ? rest / count[i] : 0;
        int64_t tile = s->axis[i].tile ? s->axis[i].tile : 1;
        const fv_expr *index = rest > 1 ? fv_op2(f->ctx, FV_X_FLOORDIV, left, fv_int(f->ctx, rest)) : rest ? left
            : fv_int(f->ctx, 0);
        fv_flat *let = it_emit(f, FV_L_LET);
        let->name = var[i]->name;
        let->expr = fv_muli(f->ctx, index, tile / scale[i]);
        if (i + 1 < s->n_axes) left = rest > 1 ? it_let(f, "g", fv_op2(f->ctx, FV_X_MOD, left, fv_int(f->ctx, rest)))
            : fv_int(f->ctx, 0);
    }
    if (!run) {
        statements(f, s->body);
        return;
    }
    fv_flat *branch = fv_flat_new(f->ctx, FV_L_IF);
    branch->expr = run;
    inside(f, branch, s->body);
}

/* -- The frame --------------------------------------------------------------------------------- */
static void make_memory(it *f, it_buffer *x) {
    const fv_buffer *b = x->b;
    fv_memory *m = x->mem = FV_NEW(f->ctx, fv_memory);
    bool local = x->mark == IT_SHARED;
    m->obj = (fv_obj){ .kind = FV_OBJ_BUFFER, .name = b->obj.name, .type = b->obj.type, .rank = 1 };
    m->lanes = 1;
    m->count = x->slot_stride;
    if (local) {
        int64_t *all = x->far ? &f->out->far_bytes : &f->out->scratch_bytes;
        m->space = x->far ? FV_SPACE_FAR : FV_SPACE_LOCAL;
        m->offset_bytes = (*all + 63) / 64 * 64;
        *all = m->offset_bytes + m->count * fv_type_bytes(b->obj.type);
        x->object = f->n_objects++;
        return;
    }
    const it_way *w = &f->way[f->mark[x->mark].way];
    m->count *= it_way_slots(f, f->mark[x->mark].way);
    bool fragments = w->kind == IT_ELEMENTS && b->obj.type == FV_F32;
    m->space = fragments ? FV_SPACE_FRAG : m->count == 1 && !w->kind ? FV_SPACE_REG : FV_SPACE_PRIVATE;
}

fv_memory *it_scratch(it *f, int which) {
    static const char *const stem[] = { "partial", "partial.i", "flags" };
    if (f->scratch[which]) return f->scratch[which];
    fv_memory *m = FV_NEW(f->ctx, fv_memory);
    int64_t count = f->group + (which == 2 ? f->group / 16 + 1 : 0);
    *m = (fv_memory){ .obj = { .kind = FV_OBJ_BUFFER, .name = it_fresh(f, stem[which]), .type = which ? FV_I32 : FV_F32,
            .rank = 1 },
                      .space = FV_SPACE_LOCAL, .lanes = 1, .count = count,
                          .offset_bytes = (f->out->scratch_bytes + 63) / 64 * 64 };
    f->out->scratch_bytes = m->offset_bytes + 4 * count;
    f->scratch_object[which] = f->n_objects++;
    return f->scratch[which] = m;
}

static void add_alloc(it *f, fv_flats *list, fv_memory *m) {
    fv_flats_add(list, fv_flat_new(f->ctx, FV_L_ALLOC))->memory = m; }

static void frame(it *f, it_unit *units) {
    fv_flats group = { 0 }, items = { 0 }, top = { 0 };
    it_barriers(f, units);
    for (int i = 0; i < f->n_buffers; i++)
        add_alloc(f, fv_space_shared(f->buffer[i]->mem->space) ? &group : &items, f->buffer[i]->mem);
    for (int i = 0; i < 3; i++)
        if (f->scratch[i]) add_alloc(f, &group, f->scratch[i]);
    if (f->n_products) {
        for (int i = 0; i < 4; i++)
            if (f->stage[i / 2][i % 2]) add_alloc(f, &group, f->stage[i / 2][i % 2]);
        if (f->sums) add_alloc(f, &items, f->sums);
        if (f->values) add_alloc(f, &items, f->values);
    }
    fv_flat *code = it_assemble(f, units);
    if (items.last) items.last->next = code;
    else items.first = code;
    fv_flat *item = fv_flats_add(&group, fv_flat_new(f->ctx, FV_L_FOR)),
        *outer = fv_flats_add(&top, fv_flat_new(f->ctx, FV_L_FOR));
    item->loop = FV_LOOP_ITEM;
    item->name = f->item->name;
    item->lo = outer->lo = fv_int(f->ctx, 0);
    item->hi = fv_int(f->ctx, f->group);
    item->body = items.first;
    outer->loop = FV_LOOP_GROUP;
    outer->name = fv_intern(f->ctx, "program.0");
    outer->hi = fv_int(f->ctx, f->out->programs);
    outer->body = group.first;
    f->out->body = top.first;
    f->out->group_size = f->group;
}

static void lower(it *f) {
    it_units units = { 0 };
    const fv_expr *program = fv_var(f->ctx, fv_intern(f->ctx, "program.0"), FV_I32);
    f->item = fv_var(f->ctx, fv_intern(f->ctx, "item.0"), FV_I32);
    f->names = 1;
    f->units = &units;
    fv_facts_add(f->ctx, &f->facts, f->item, 0, f->group - 1);
    for (int i = 0; i < f->k->n_tensors; i++) f->n_objects += f->k->tensor[i]->role == FV_ROLE_INOUT;
    for (int i = 0; i < f->n_buffers; i++) make_memory(f, f->buffer[i]);
    for (int i = 0; f->n_products && i < 6; i++) it_mma_memory(f, i);
    if (f->n_products) f->out->unit = f->unit;
    for (const fv_stmt *s = f->k->body; s && !f->failed; s = s->next) {
        f->stmt = s;
        f->loc = s->loc;
        f->label = (fv_str){ 0 };
        if (s->kind == FV_S_AXIS) lower_axes(f, s);
        else if (s->kind == FV_S_LET) lower_let(f, s);
        else if (s->kind == FV_S_GRID) lower_grid(f, s, program);
        else it_refuse(f, FV_E_KERNEL, "only axis and let stand before the grid");
    }
    f->stmt = NULL;
    if (!f->failed) frame(f, units.first);
}

fv_flat_kernel *fv_flatten_opencl(const fv_kernel *k, const fv_schedule *s, const fv_target *t) {
    it f = { .ctx = k->ctx, .k = k, .t = t ? t : &fv_target_opencl };
    f.out = FV_NEW(k->ctx, fv_flat_kernel);
    *f.out = (fv_flat_kernel){ .ctx = k->ctx, .name = k->name, .n_tensors = k->n_tensors, .tensor = k->tensor };
    if (!it_choose(&f, s)) return NULL;
    f.facts = fv_facts_copy(k->ctx, NULL);
    lower(&f);
    if (!f.failed && f.out->scratch_bytes > f.t->l1_bytes)
        it_refuse(&f, FV_E_SCHEDULE, "%lld bytes of local memory are needed, the target has %lld",
                  (long long)f.out->scratch_bytes, (long long)f.t->l1_bytes);
    return f.failed ? NULL : f.out;
}
