/* Packs: an operand of a contraction that would be gathered in its inner loop is copied first, into a buffer whose
 * lanes are those of the contraction, at the outermost place where its index does not change. A rewriting of the tile
 * text. Invariant: the copy reads what the contraction would read (in range by its own proof), memory that the kernel
 * does not write. */
#include "kernel/flatten.h"

typedef struct {
    fl *f;
    fv_stmt *s;
    const fv_expr *read;
} want;

static bool in_range(fl *f, const fv_expr *read) {
    const fv_tensor *t = (const fv_tensor *)read->ref;
    const fv_expr *off;
    for (int j = 0; j < read->ref->rank; j++) {
        off = fl_symbolic_index(f, read->arg[j], NULL);
        fv_range r = fl_range(f, off);
        if (r.lo < 0 || r.hi >= t->extent[j]) return false;
    }
    return true;
}
bool fl_pack_pays(fl *f, const fv_stmt *s, const fv_expr *read) {
    if (s->kind != FV_S_CONTRACT || read->op != FV_X_READ || read->i || read->ref->kind != FV_OBJ_TENSOR) return false;
    if (((const fv_tensor *)read->ref)->role != FV_ROLE_IN || fv_type_bytes(read->ref->type) == 0 ||
        !fv_type_is_float(read->ref->type))
        return false;
    fl_axis *axes[FV_MAX_AXES];
    int n_free, n = fl_stmt_axes(f, s, axes, &n_free);
    int64_t reuse = 1, points = 1;
    for (int j = 0; j < n; j++)
        if (fv_uses_axis(read, axes[j]->name)) points *= axes[j]->tile;
        else reuse *= axes[j]->tile;
    return reuse >= 4 && points <= 65536 && in_range(f, read);
}
static bool wanted(fv_stmt *s, void *user) {
    want *w = user;
    const fv_expr *part[2], *factor;
    if (s->kind != FV_S_CONTRACT ||
        !fv_contract_parts(w->f->ctx, s->expr, s->over, s->n_over, &part[0], &part[1], &factor))
        return false;
    fl_axis *lane = fl_stmt_lane(w->f, s);
    if (lane && fl_pair_axis(w->f, s, lane)) return false;
    for (int j = 0; j < 2 && lane; j++) {
        if (!fv_uses_axis(part[j], lane->name) || fl_operand_class(w->f, part[j], lane) < FL_STRIDED ||
            !fl_pack_pays(w->f, s, part[j]))
            continue;
        w->s = s;
        w->read = part[j];
        return true;
    }
    return false;
}

/* -- Where the copy goes ----------------------------------------------------------------------------------------- */
static bool names_it(const fv_expr *e, void *user) {
    return (e->op == FV_X_VAR || e->op == FV_X_AXIS) && fv_str_eq(e->name, *(const fv_str *)user);
}
static bool uses(const fv_expr *e, fv_str name) { return fv_visit(e, names_it, &name); }
static bool defines(fv_ctx *ctx, const fv_stmt *s, const fv_expr *read) {
    if (s->kind == FV_S_LET && uses(read, s->name)) return true;
    for (int j = 0; j < s->n_axes; j++)
        if (uses(read, s->axis[j].name) || (s->axis[j].tile && uses(read, fv_base_name(ctx, s->axis[j].name))))
            return true;
    return false;
}
static bool holds(const fv_stmt *s, const fv_stmt *x) {
    for (; s; s = s->next)
        if (s == x || holds(s->body, x)) return true;
    return false;
}
/* Copies the list; before the statement on the way to `at` that may follow all definitions, the map goes in. */
static fv_stmt *with_map(fl *f, const fv_stmt *list, const want *w, fv_stmt *map, const fv_expr *now, bool *placed) {
    fv_stmts out = {0};
    for (const fv_stmt *s = list; s; s = s->next) {
        bool on_way = s == w->s || holds(s->body, w->s);
        if (on_way && !*placed && s->kind != FV_S_GRID && s->kind != FV_S_IF) {
            bool later = s->kind == FV_S_FOR && defines(f->ctx, s, w->read);
            for (const fv_stmt *b = s->body; b && !later; b = b->next) {
                later = defines(f->ctx, b, w->read) || b->kind == FV_S_IF;
                for (const fv_stmt *c = b->body; c && !later; c = c->next)
                    later = defines(f->ctx, c, w->read) || c->kind == FV_S_IF;
            }
            if (!later) {
                fv_stmts_add(&out, map);
                *placed = true;
            }
        }
        fv_stmt *c = fv_stmts_add(&out, FV_NEW(f->ctx, fv_stmt));
        *c = *s;
        c->next = NULL;
        if (s == w->s) c->expr = now;
        else if (on_way) c->body = with_map(f, s->body, w, map, now, placed);
    }
    return out.first;
}
typedef struct {
    const fv_expr *from, *to;
} swap;
static const fv_expr *swapped(fv_ctx *ctx, const fv_expr *e, void *user) {
    (void)ctx;
    return e == ((swap *)user)->from ? ((swap *)user)->to : e;
}
fv_kernel *fl_pack(fl *f) {
    want w = {.f = f};
    if (!fv_stmts_visit(f->k->body, wanted, &w)) return NULL;
    fv_str axis[FV_MAX_AXES];
    const fv_expr *index[FV_MAX_AXES];
    int64_t extent[FV_MAX_AXES];
    int n = fv_axes_of(w.read, axis, 0, FV_MAX_AXES);
    for (int j = 0; j < n; j++) {
        extent[j] = fl_axis_find(f, axis[j])->tile;
        index[j] = fv_axis_ref(f->ctx, axis[j]);
    }
    fv_str name = fv_internf(f->ctx, "%s.pack%d", fv_cstr(f->ctx, w.s->label), f->packs);
    fv_buffer *b = fv_buffer_new(f->ctx, name, FV_F32, axis, extent, n);
    fv_stmt *map = fv_stmt_new(f->ctx, FV_S_MAP, w.s->loc);
    map->label = name;
    map->target = &b->obj;
    map->expr = w.read;
    swap x = {w.read, fv_read(f->ctx, &b->obj, index, n, NULL)};
    bool placed = false;
    fv_kernel *k = FV_NEW(f->ctx, fv_kernel);
    *k = *f->k;
    k->body = with_map(f, f->k->body, &w, map, fv_rewrite(f->ctx, w.s->expr, swapped, &x), &placed);
    return placed ? k : NULL;
}
