/* items_place: distribution of every statement, and private, local or far for every buffer; sizes. Nothing is emitted here,
 * so that many distributions can be compared. Invariant: a private element is touched by one item only. */
#include "kernel/items.h"

#include <string.h>

it_axis *it_find_axis(const it *f, fv_str name) {
    for (int i = 0; i < f->n_axes; i++)
        if (fv_str_eq(f->axis[i]->name, name)) return f->axis[i];
    return NULL;
}
it_buffer *it_find_buffer(const it *f, const fv_obj *b) {
    for (int i = 0; i < f->n_buffers; i++)
        if (&f->buffer[i]->b->obj == b) return f->buffer[i];
    return NULL;
}
int64_t it_tile(const it *f, fv_str axis) {
    const it_axis *a = it_find_axis(f, axis);
    return a ? a->tile : 1;
}
int64_t it_points(const it *f, const fv_str *axes, int n) {
    int64_t points = 1;
    for (int i = 0; i < n; i++) points *= it_tile(f, axes[i]);
    return points;
}

/* -- Ways -------------------------------------------------------------------------------------- */
static bool holds(const fv_str *axes, int n, fv_str a) {
    for (int i = 0; i < n; i++)
        if (fv_str_eq(axes[i], a)) return true;
    return false;
}
static bool usable(const it *f, int way) { return f->way[way].kind != IT_ROWS || !f->no_rows; }
int it_way_of(const it *f, const fv_str *axes, int n) {
    for (int w = 0; w < f->n_ways; w++) {
        int found = 0;
        while (found < f->way[w].n && holds(axes, n, f->way[w].axis[found])) found++;
        if (f->way[w].kind == IT_PLAIN ? found == f->way[w].n : found == n && n == f->way[w].n && usable(f, w)) return w;
    }
    return -1;
}
int it_any_way_of(it *f, const fv_str *axes, int n) {
    int way = it_way_of(f, axes, n), i = 0;
    if (way >= 0) return way;
    it_way own = { .n = n };
    memcpy(own.axis, axes, sizeof *axes * (size_t)n);
    while (i < f->n_shared_ways && memcmp(&f->shared_way[i], &own, sizeof own) != 0) i++;
    if (i == IT_MAX_WAYS) return -1;
    if (i == f->n_shared_ways) f->shared_way[f->n_shared_ways++] = own;
    return IT_COOPERATIVE + i;
}
int it_stmt_axes(const fv_stmt *s, fv_str *axes) {
    fv_str all[FV_MAX_AXES];
    int n = fv_stmt_free(s, all), m = 0;
    for (int i = 0; i < n; i++) {
        bool own = s->kind == FV_S_TOPK ? i == 0 : s->kind == FV_S_SCAN && s->n_over && fv_str_eq(all[i], s->over[0]);
        if (!own) axes[m++] = all[i];
    }
    return m;
}
bool it_where_is_free(const fv_stmt *s) {
    for (int i = 0; i < s->n_over; i++)
        if (s->where && fv_uses_axis(s->where, s->over[i])) return false;
    return true;
}
bool it_is_tree(const it *f, const fv_stmt *s) {
    fv_str axes[FV_MAX_AXES];
    if ((s->kind != FV_S_REDUCE && s->kind != FV_S_CONTRACT) || s->write == FV_W_ARGMAX || s->otherwise
        || f->group == 1) return false;
    int n = it_stmt_axes(s, axes);
    if (it_way_of(f, axes, n) >= 0 || it_product_of(f, s)) return false;
    return it_points(f, axes, n) * 4 <= f->group && it_points(f, s->over, s->n_over) >= 16;
}

/* -- Marks ------------------------------------------------------------------------------------- */
static int place_of(const fv_expr *const *index, const fv_buffer *b, fv_str axis) {
    for (int j = 0; j < b->obj.rank; j++)
        if (index ? index[j]->op == FV_X_AXIS && fv_str_eq(index[j]->name, axis) : fv_str_eq(b->axis[j], axis))
            return j;
    return -1;
}
/* What depends on the rows of elements only lies with the rows. */
static int rows_mark(it *f, const fv_expr *const *index, const fv_buffer *b, const it_way *w) {
    if (w->kind != IT_ELEMENTS || f->no_rows) return IT_SHARED;
    for (int i = f->way[w->rows].n; i < w->n; i++)
        for (int j = 0; j < b->obj.rank; j++)
            if (index ? fv_uses_axis(index[j], w->axis[i]) : fv_str_eq(b->axis[j], w->axis[i])) return IT_SHARED;
    return it_mark_of(f, index, b, w->rows);
}
int it_mark_of(it *f, const fv_expr *const *index, const fv_buffer *b, int way) {
    if (way < 0) return IT_SHARED;
    it_mark m = { .way = way };
    const it_way *w = way >= IT_COOPERATIVE ? &f->shared_way[way - IT_COOPERATIVE] : &f->way[way];
    for (int i = 0; i < w->n; i++)
        if ((m.place[i] = place_of(index, b, w->axis[i])) < 0) return rows_mark(f, index, b, w);
    for (int i = 0; i < f->n_marks; i++)
        if (f->mark[i].way == way && !memcmp(f->mark[i].place, m.place, sizeof m.place)) return i;
    if (f->n_marks == IT_MAX_MARKS) return IT_SHARED;
    f->mark[f->n_marks] = m;
    return f->n_marks++;
}

static void touch(it *f, const fv_buffer *b, const fv_expr *const *index, int way) {
    it_buffer *x = it_find_buffer(f, &b->obj);
    if (!x) {
        x = FV_NEW(f->ctx, it_buffer);
        *x = (it_buffer){ .b = b, .mark = -1, .object = -1 };
        fv_push(f->ctx, f->buffer, f->n_buffers, f->cap_buffers, x);
    }
    int mark = it_mark_of(f, index, b, way);
    x->mark = x->mark == -1 || x->mark == mark ? mark : IT_SHARED;
    x->by_rows |= way >= 0 && way < IT_COOPERATIVE && !index && f->way[way].kind == IT_ROWS;
}

typedef struct { it *f; int way; } toucher;
static bool touch_read(const fv_expr *e, void *user) {
    toucher *t = user;
    if (e->op == FV_X_READ && e->ref->kind == FV_OBJ_BUFFER) touch(t->f, (const fv_buffer *)e->ref, e->arg, t->way);
    return false;
}
static void touch_all(it *f, const fv_expr *e, int way) {
    toucher t = { f, way };
    if (e) fv_visit(e, touch_read, &t);
}
/* Scalars: what stands inside ANY and ALL is distributed by their axes, the rest is read by all items. */
static void touch_scalar(it *f, const fv_expr *e) {
    fv_str axes[FV_MAX_AXES];
    if (!e) return;
    if (e->op == FV_X_ANY || e->op == FV_X_ALL) {
        int n = fv_axes_of(e, axes, 0, FV_MAX_AXES);
        touch_all(f, e->arg[0], it_way_of(f, axes, n));
        return;
    }
    if (e->op == FV_X_READ) touch_all(f, e, -1);
    for (int i = 0; i < e->n; i++) touch_scalar(f, e->arg[i]);
}

/* -- Walk -------------------------------------------------------------------------------------- */
static void add_axis(it *f, const fv_tile_axis *a) {
    if (!a->tile || it_find_axis(f, a->name)) return;
    it_axis *x = FV_NEW(f->ctx, it_axis);
    *x = (it_axis){ .name = a->name, .leaf = fv_axis_ref(f->ctx, a->name), .tile = a->tile };
    fv_push(f->ctx, f->axis, f->n_axes, f->cap_axes, x);
}
static bool add_axes(fv_stmt *s, void *user) {
    for (int i = 0; i < s->n_axes; i++) add_axis(user, &s->axis[i]);
    return false;
}
static void touch_product(it *f, const it_product *p) {
    touch_all(f, p->a, p->from);
    touch_all(f, p->a_where, p->from);
    touch_all(f, p->b, -1);
    touch_all(f, p->b_where, -1);
    touch(f, (const fv_buffer *)p->s->target, NULL, p->way);
}
static bool touch_stmt(fv_stmt *s, void *user) {
    it *f = user;
    fv_str axes[FV_MAX_AXES];
    for (int i = 0; i < s->n_axes; i++) {
        touch_scalar(f, s->axis[i].base);
        touch_scalar(f, s->axis[i].limit);
    }
    if (s->kind == FV_S_LET || s->kind == FV_S_IF) touch_scalar(f, s->expr);
    if (s->kind == FV_S_ALLOC) {
        int way = it_way_of(f, s->buffer->axis, s->buffer->obj.rank);
        touch(f, s->buffer, NULL, way);
        touch_all(f, s->expr, way);
    }
    if (!fv_stmt_is_op(s)) return false;
    if (it_product_of(f, s)) {
        touch_product(f, it_product_of(f, s));
        return false;
    }
    int way = it_way_of(f, axes, it_stmt_axes(s, axes)), over = it_rows_over(f, s);
    if (over >= 0) {
        touch_all(f, s->expr, over);
        touch_all(f, s->where, over);
        touch(f, (const fv_buffer *)s->target, NULL, f->way[over].rows);
        return false;
    }
    const fv_expr *all[] = { s->expr, s->expr2, s->where, s->otherwise };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) touch_all(f, all[i], way);
    if (s->kind == FV_S_STORE) {
        for (int j = 0; j < s->target->rank; j++) touch_all(f, s->index[j], way);
        return false;
    }
    touch(f, (const fv_buffer *)s->target, NULL, way);
    if (s->target2) touch(f, s->target2, NULL, way);
    return false;
}

int64_t it_way_slots(const it *f, int way) {
    const it_way *w = &f->way[way];
    const it_product *p = w->kind ? &f->product[w->product] : NULL;
    if (w->kind == IT_ELEMENTS) return p->rows * p->cols * f->unit->elements;
    if (w->kind == IT_ROWS) return p->rows * f->unit->row_wrap;
    return (it_points(f, w->axis, w->n) + f->group - 1) / f->group;
}
/* Words of registers: of sub-groups of 32 items, whatever the unit, so that all units get the same kernels. */
static int64_t words(const it *f, int way) {
    const it_way *w = &f->way[way];
    const it_product *p = w->kind ? &f->product[w->product] : NULL;
    return w->kind == IT_ELEMENTS ? 8 * p->rows * p->cols : w->kind == IT_ROWS ? 2 * p->rows : it_way_slots(f, way);
}

static void size_buffer(it *f, it_buffer *x) {
    const fv_buffer *b = x->b;
    int64_t n = 1;
    bool local = x->mark == IT_SHARED;
    for (int j = b->obj.rank - 1; j >= 0; j--) {
        bool of_way = false;
        for (int i = 0; !local && i < f->way[f->mark[x->mark].way].n; i++) of_way |= f->mark[x->mark].place[i] == j;
        x->stride[j] = of_way ? 0 : n;
        if (!of_way) n *= b->extent[j];
    }
    x->slot_stride = n;
    x->far = false;
    if (!local) f->private_words += (n * words(f, f->mark[x->mark].way) * fv_type_bytes(b->obj.type) + 3) / 4;
}

/* Scratch of trees and of conditions: one element an item, each kind once (items_tree.c). */
static bool is_any(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_ANY || e->op == FV_X_ALL;
}
typedef struct { it *f; bool need[3]; } scratches;
static bool count_scratch(fv_stmt *s, void *user) {
    scratches *c = user;
    if (c->f->group == 1) return false;
    if (fv_stmt_is_op(s)) {
        if (it_is_tree(c->f, s)) c->need[it_acc_type(s) == FV_I32] = true;
    } else if (s->expr && s->kind != FV_S_ALLOC && fv_visit(s->expr, is_any, NULL)) c->need[2] = true;
    return false;
}

static int64_t bytes_of(const it_buffer *x) { return x->slot_stride * fv_type_bytes(x->b->obj.type); }
static int64_t local_bytes(const it *f, const bool *need) {
    int64_t all = 0;
    for (int i = 0; i < f->n_buffers; i++)
        if (f->buffer[i]->mark == IT_SHARED && !f->buffer[i]->far) all = (all + 63) / 64 * 64 + bytes_of(f->buffer[i]);
    for (int i = 0; f->n_products && i < 2; i++) all = (all + 63) / 64 * 64 + 2 * it_stage_count(f, i);
    for (int i = 0; i < 3; i++)
        if (need[i]) all = (all + 63) / 64 * 64 + 4 * (f->group + (i == 2 ? f->group / 16 + 1 : 0));
    return all;
}
static it_buffer *largest_local(const it *f) {
    it_buffer *found = NULL;
    for (int i = 0; i < f->n_buffers; i++) {
        it_buffer *x = f->buffer[i];
        if (x->mark == IT_SHARED && !x->far && (!found || bytes_of(x) > bytes_of(found))) found = x;
    }
    return found;
}

static void touch_kernel(it *f) {
    f->n_marks = 0;
    for (int i = 0; i < f->n_buffers; i++) {
        f->buffer[i]->mark = -1;
        f->buffer[i]->by_rows = false;
    }
    fv_stmts_visit(f->k->body, touch_stmt, f);
}
void it_place(it *f) {
    scratches c = { .f = f };
    bool inout = false, shared = false;
    f->private_words = 0;
    if (!f->n_axes) fv_stmts_visit(f->k->body, add_axes, f);
    for (int i = 0; i < f->k->n_tensors; i++) inout |= f->k->tensor[i]->role == FV_ROLE_INOUT;
    f->no_rows = inout;
    touch_kernel(f);
    for (int i = 0; i < f->n_buffers; i++) shared |= f->buffer[i]->by_rows && f->buffer[i]->mark == IT_SHARED;
    if (shared) {                                           /* several items would write an element */
        f->no_rows = true;
        touch_kernel(f);
    }
    for (int i = 0; i < f->n_buffers; i++) size_buffer(f, f->buffer[i]);
    fv_stmts_visit(f->k->body, count_scratch, &c);
    f->local_bytes = local_bytes(f, c.need);
    for (it_buffer *x; f->spill && f->local_bytes > f->t->l1_bytes && (x = largest_local(f));) {
        x->far = true;
        f->local_bytes = local_bytes(f, c.need);
    }
}

bool it_fits(const it *f) { return f->local_bytes <= f->t->l1_bytes && f->private_words <= f->t->registers; }
