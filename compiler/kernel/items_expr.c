/* items_expr: expressions of the tile text at one point of one item, as scalar flat trees; loads and stores of buffers
 * and tensors. A read inside a branch of `where` is guarded by the branch's condition. Invariant: every access to
 * shared memory is recorded with the leaf that it stands in. */
#include "kernel/items.h"

typedef struct { bool offsets; const fv_expr *guard; } context;
static const fv_expr *lower(it *f, const fv_expr *e, context c);

void it_forget(it *f) { f->n_memo = 0; }

/* -- Addresses --------------------------------------------------------------------------------- */
/* Element of a buffer at flat indices; NULL: at the point. */
static const fv_expr *buffer_offset(it *f, const it_buffer *b, const fv_expr *const *index) {
    const fv_expr *sum = fv_int(f->ctx, 0);
    for (int j = 0; j < b->b->obj.rank; j++) {
        if (!b->stride[j] || b->b->extent[j] == 1) continue;
        const fv_expr *x = index ? index[j] : it_find_axis(f, b->b->axis[j])->off;
        sum = fv_add(f->ctx, sum, fv_muli(f->ctx, x, b->stride[j]));
    }
    const fv_expr *slot = f->slot;
    if (b->mark != IT_SHARED && f->way[f->mark[b->mark].way].kind == IT_ROWS) slot = f->row_slot;
    if (b->mark != IT_SHARED && slot) sum = fv_add(f->ctx, sum, fv_muli(f->ctx, slot, b->slot_stride));
    return sum;
}
static const fv_expr *tensor_offset(it *f, const fv_tensor *t, const fv_expr *const *index) {
    const fv_expr *sum = fv_int(f->ctx, 0);
    for (int j = 0; j < t->obj.rank; j++) sum = fv_add(f->ctx, sum, fv_muli(f->ctx, index[j], t->stride[j]));
    return fv_simplify(f->ctx, &f->facts, sum);
}
/* Tensors that are read and written may need barriers too: they have the first object numbers. */
static void touch_tensor(it *f, const fv_obj *t, bool write) {
    for (int i = 0, n = 0; i < f->k->n_tensors; i++) {
        if (f->k->tensor[i]->role != FV_ROLE_INOUT) continue;
        if (&f->k->tensor[i]->obj == t) it_touch(f, n, write, IT_SHARED);
        n++;
    }
}

/* -- Loads ------------------------------------------------------------------------------------- */
static const fv_expr *computed(it *f, const fv_expr *v) {   /* 16-bit floats are computed with as f32 */
    if (v->type != FV_F16 && v->type != FV_BF16) return v;
    return fv_make(f->ctx, FV_X_CONVERT, FV_F32, 1, 0, NULL, &v, 1);
}
static const fv_expr *load(it *f, const fv_obj *ref, const fv_expr *offset, const fv_expr *guard) {
    const fv_expr *arg[3] = { offset, fv_int(f->ctx, 0), guard };
    bool guarded = guard && !fv_is_true(guard);
    return computed(f, fv_make(f->ctx, FV_X_LOAD, ref->type, 1, guarded, ref, arg, guarded ? 3 : 1));
}
/* Holds where every index is within its extent; NULL: proved. */
static const fv_expr *within(it *f, const fv_expr *const *index, const int64_t *extent, int rank) {
    const fv_expr *all = NULL;
    for (int j = 0; j < rank; j++) {
        const fv_expr *lo = fv_op2(f->ctx, FV_X_LE, fv_int(f->ctx, 0), index[j]),
            *hi = fv_op2(f->ctx, FV_X_LT, index[j], fv_int(f->ctx, extent[j]));
        if (fv_prove(f->ctx, &f->facts, lo) != 1) all = fv_and(f->ctx, all, lo);
        if (fv_prove(f->ctx, &f->facts, hi) != 1) all = fv_and(f->ctx, all, hi);
    }
    return all;
}
/* Is the read of an element that exists whatever a guard says? */
static bool is_plain(const fv_expr *e) {
    const fv_buffer *b = (const fv_buffer *)e->ref;
    if (e->ref->kind != FV_OBJ_BUFFER) return false;
    for (int j = 0; j < e->ref->rank; j++)
        if (e->arg[j]->op != FV_X_AXIS || !fv_str_eq(e->arg[j]->name, b->axis[j])) return false;
    return true;
}
static const fv_expr *read(it *f, const fv_expr *e, context c) {
    const fv_expr *index[FV_MAX_AXES], *fill = NULL, *guard = c.guard, *ok = NULL, *offset, *v;
    bool buffer = e->ref->kind == FV_OBJ_BUFFER;
    int rank = e->ref->rank;
    context inner = { .offsets = buffer, .guard = c.guard };
    for (int j = 0; j < rank; j++) index[j] = fv_simplify(f->ctx, &f->facts, lower(f, e->arg[j], inner));
    it_buffer *b = buffer ? it_find_buffer(f, e->ref) : NULL;
    if (e->i) {
        ok = within(f, index, buffer ? b->b->extent : ((const fv_tensor *)e->ref)->extent, rank);
        fill = ok ? lower(f, e->arg[rank], c) : NULL;
        guard = ok ? fv_and(f->ctx, guard, ok) : guard;
    } else if (is_plain(e)) guard = NULL;
    if (buffer) {
        int mark = it_mark_of(f, e->arg, b->b, f->way_now);
        if (b->mark == IT_SHARED) it_touch(f, b->object, false, mark);
        offset = buffer_offset(f, b, index);
        v = load(f, &b->mem->obj, offset, b->mem->space == FV_SPACE_REG ? NULL : guard);
    } else {
        touch_tensor(f, e->ref, false);
        offset = tensor_offset(f, (const fv_tensor *)e->ref, index);
        v = load(f, e->ref, offset, guard);
    }
    return ok ? fv_op3(f->ctx, FV_X_WHERE, ok, v, fill) : v;
}

/* -- Trees ------------------------------------------------------------------------------------- */
static const fv_expr *where(it *f, const fv_expr *e, context c) {
    const fv_expr *p = fv_simplify(f->ctx, &f->facts, lower(f, e->arg[0], c));
    if (p->op == FV_X_INT) return lower(f, e->arg[p->i ? 1 : 2], c);
    context yes = c, no = c;
    yes.guard = fv_and(f->ctx, c.guard, p);
    no.guard = fv_and(f->ctx, c.guard, fv_op1(f->ctx, FV_X_NOT, p));
    const fv_expr *a = lower(f, e->arg[1], yes), *b = lower(f, e->arg[2], no);
    return fv_op3(f->ctx, FV_X_WHERE, p, a, b);
}
static const fv_expr *axis(it *f, const fv_expr *e, context c) {
    const it_axis *a = it_find_axis(f, e->name);
    if (!a || !a->off || !a->base) {
        it_refuse(f, FV_E_KERNEL, "the axis %s is neither free nor reduced here", fv_cstr(f->ctx, e->name));
        return fv_int(f->ctx, 0);
    }
    return c.offsets ? a->off : fv_add(f->ctx, a->base, a->off);
}
static const fv_expr *scalar(it *f, const fv_expr *e) {
    for (int i = f->n_bind - 1; i >= 0; i--)
        if (f->bind[i].from == e) return f->bind[i].to;
    it_refuse(f, FV_E_KERNEL, "%s is not bound here", fv_cstr(f->ctx, e->name));
    return e;
}
static const fv_expr *fresh(it *f, const fv_expr *e, context c) {
    const fv_expr *arg[3];
    switch (e->op) {
    case FV_X_INT: case FV_X_FLOAT: return e;
    case FV_X_AXIS: return axis(f, e, c);
    case FV_X_VAR: return scalar(f, e);
    case FV_X_READ: return read(f, e, c);
    case FV_X_WHERE: return where(f, e, c);
    default: break;
    }
    if (e->n > 3 || e->op >= FV_X_ANY) {
        it_refuse(f, FV_E_KERNEL, "'%s' has no meaning here", fv_op_spelling(e->op));
        return fv_int(f->ctx, 0);
    }
    for (int i = 0; i < e->n; i++) arg[i] = lower(f, e->arg[i], c);
    return fv_rebuild(f->ctx, e, arg);
}
static const fv_expr *lower(it *f, const fv_expr *e, context c) {
    for (int i = f->n_memo - 1; i >= 0; i--)
        if (f->memo[i].e == e && f->memo[i].offsets == c.offsets && f->memo[i].guard == c.guard)
            return f->memo[i].result;
    const fv_expr *r = fresh(f, e, c);
    it_memo m = { e, c.guard, r, c.offsets };
    fv_push(f->ctx, f->memo, f->n_memo, f->cap_memo, m);
    return r;
}

/* -- Sharing ----------------------------------------------------------------------------------- */
/* A tree is printed as it stands, so what occurs in it more than once is bound first. */
typedef struct { const fv_expr *e, *to; int uses; } part;
typedef struct { it *f; int n, cap; part *part; } parts;

static part *find_part(const parts *p, const fv_expr *e) {
    for (int i = 0; i < p->n; i++)
        if (p->part[i].e == e) return &p->part[i];
    return NULL;
}
static bool collect(const fv_expr *e, void *user) {         /* arguments come before their users */
    parts *p = user;
    part own = { e, e, 0 };
    for (int i = 0; i < e->n; i++) find_part(p, e->arg[i])->uses++;
    fv_push(p->f->ctx, p->part, p->n, p->cap, own);
    return false;
}
static bool is_small(const fv_expr *e) {
    return e->n == 0 || (e->op == FV_X_LOAD && fv_flat_memory_of(e->ref)
                         && fv_flat_memory_of(e->ref)->space == FV_SPACE_REG) ||
           (e->type == FV_I32 && e->n == 2 && e->arg[0]->n == 0 && e->arg[1]->n == 0 && e->op <= FV_X_MUL)
               || e->op == FV_X_NOT;
}
static const fv_expr *share(it *f, const fv_expr *e) {
    parts p = { .f = f };
    const fv_expr *arg[3];
    fv_visit(e, collect, &p);
    for (int i = 0; i < p.n; i++) {
        part *x = &p.part[i];
        for (int j = 0; j < x->e->n; j++) arg[j] = find_part(&p, x->e->arg[j])->to;
        if (x->e->n) x->to = fv_rebuild(f->ctx, x->e, arg);
        if (x->uses > 1 && !is_small(x->to)) x->to = it_let(f, "v", x->to);
    }
    return p.n ? p.part[p.n - 1].to : e;
}
const fv_expr *it_value(it *f, const fv_expr *e) {
    return share(f, lower(f, e, (context){ .offsets = false }));
}

/* -- Stores ------------------------------------------------------------------------------------ */
const fv_expr *it_convert(it *f, const fv_expr *v, fv_type to) {
    if (v->type == to) return v;
    if (to == FV_BOOL) return fv_to_bool(f->ctx, v);
    if (to == FV_I32) return v->type == FV_BOOL ? fv_to_i32(f->ctx, v) : fv_op1(f->ctx, FV_X_FLOOR, v);
    if (!fv_type_is_float(v->type)) v = fv_op1(f->ctx, FV_X_TOFLOAT, v);
    return v->type == to ? v : fv_make(f->ctx, FV_X_CONVERT, to, 1, 0, NULL, &v, 1);
}
void it_store_buffer(it *f, it_buffer *b, const fv_expr *v) {
    v = it_convert(f, v, b->b->obj.type);
    if (b->mark == IT_SHARED) it_touch(f, b->object, true, it_mark_of(f, NULL, b->b, f->way_now));
    fv_flat *s = it_emit(f, FV_L_STORE);
    s->memory = b->mem;
    s->offset = buffer_offset(f, b, NULL);
    s->expr = v;
}
const fv_expr *it_load_buffer(it *f, it_buffer *b) {
    if (b->mark == IT_SHARED) it_touch(f, b->object, false, it_mark_of(f, NULL, b->b, f->way_now));
    return load(f, &b->mem->obj, buffer_offset(f, b, NULL), NULL);
}
void it_store_tensor(it *f, const fv_stmt *s, const fv_expr *v) {
    const fv_tensor *t = (const fv_tensor *)s->target;
    const fv_expr *index[FV_MAX_AXES];
    for (int j = 0; j < t->obj.rank; j++)
        index[j] = fv_simplify(f->ctx, &f->facts, lower(f, s->index[j], (context){ .offsets = false }));
    touch_tensor(f, s->target, true);
    v = it_convert(f, v, t->obj.type);
    fv_flat *st = it_emit(f, FV_L_STORE);
    st->tensor = t;
    st->offset = share(f, tensor_offset(f, t, index));
    st->expr = v;
    if (f->way_now >= 0 && f->way_now < IT_COOPERATIVE && f->way[f->way_now].kind == IT_ROWS) st->mask = f->first;
}
