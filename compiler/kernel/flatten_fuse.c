/* Fusing axes: several whole axes that always occur together become one mixed-radix axis, so that the lanes (or rows)
 * of a vector run through all their points. A rewriting of the tile text: the fused axis carries the name of the first
 * member; a member stands for its digit. Invariant: the rewritten kernel computes the same values; buffers and
 * reductions have the fused axis in place of its members. */
#include "kernel/flatten.h"

enum { MAX_MEMBERS = 4 };
typedef struct {
    fv_ctx *ctx;
    int n;
    fv_str member[MAX_MEMBERS], renamed[MAX_MEMBERS];
    int64_t tile[MAX_MEMBERS], stride[MAX_MEMBERS], points;
    int n_buffers, cap_buffers;
    struct fl_pair {
        const fv_buffer *old;
        fv_buffer *now;
    } *buffer;
    const fv_stmt *last; /* the structure that declares the last member */
    bool failed;
} fusion;

static int member_of(const fusion *u, fv_str name) {
    for (int j = 0; j < u->n; j++)
        if (fv_str_eq(u->member[j], name)) return j;
    return -1;
}

/* -- Buffers ----------------------------------------------------------------------------------------------------- */
static int members_in(const fusion *u, const fv_str *name, int n) {
    int m = 0;
    for (int j = 0; j < n; j++) m += member_of(u, name[j]) >= 0;
    return m;
}
static fv_buffer *buffer_now(fusion *u, const fv_buffer *b) {
    for (int j = 0; j < u->n_buffers; j++)
        if (u->buffer[j].old == b) return u->buffer[j].now;
    fv_buffer *now = (fv_buffer *)(uintptr_t)b;
    int m = members_in(u, b->axis, b->obj.rank);
    if (m && m < u->n) u->failed = true;
    if (m == u->n) {
        fv_str axis[FV_MAX_AXES];
        int64_t extent[FV_MAX_AXES];
        int rank = 0;
        bool done = false;
        for (int j = 0; j < b->obj.rank; j++) {
            bool is_member = member_of(u, b->axis[j]) >= 0;
            if (is_member && done) continue;
            axis[rank] = is_member ? u->member[0] : b->axis[j];
            extent[rank++] = is_member ? u->points : b->extent[j];
            done |= is_member;
        }
        now = fv_buffer_new(u->ctx, b->obj.name, b->obj.type, axis, extent, rank);
        now->obj.ranged = b->obj.ranged;
        now->obj.lo = b->obj.lo;
        now->obj.hi = b->obj.hi;
    }
    fv_push(u->ctx, u->buffer, u->n_buffers, u->cap_buffers, ((struct fl_pair){b, now}));
    return now;
}

/* -- Expressions ------------------------------------------------------------------------------------------------- */
static const fv_expr *rewrite(fusion *u, const fv_expr *e, bool offsets);
static const fv_expr *digit(fusion *u, int j, bool offsets) {
    fv_ctx *c = u->ctx;
    const fv_expr *e = fv_op2(c, FV_X_FLOORDIV, fv_axis_ref(c, u->member[0]), fv_int(c, u->stride[j]));
    if (j) e = fv_op2(c, FV_X_MOD, e, fv_int(c, u->tile[j]));
    return offsets ? e : fv_add(c, fv_var(c, fv_base_name(c, u->renamed[j]), FV_I32), e);
}
static const fv_expr *read_now(fusion *u, const fv_expr *e) {
    const fv_expr *index[FV_MAX_AXES], *old[FV_MAX_AXES];
    bool is_buffer = e->ref->kind == FV_OBJ_BUFFER;
    int rank = e->ref->rank, n = 0;
    for (int j = 0; j < rank; j++) old[j] = rewrite(u, e->arg[j], is_buffer);
    const fv_expr *fill = e->i ? rewrite(u, e->arg[rank], false) : NULL;
    if (!is_buffer) return fv_read(u->ctx, e->ref, old, rank, fill);
    const fv_buffer *b = (const fv_buffer *)e->ref;
    fv_buffer *now = buffer_now(u, b);
    if (now == b) return fv_read(u->ctx, e->ref, old, rank, fill);
    u->failed |= fill != NULL;
    const fv_expr *sum = fv_int(u->ctx, 0);
    int at = -1;
    for (int j = 0; j < rank; j++) {
        int m = member_of(u, b->axis[j]);
        if (m >= 0) sum = fv_add(u->ctx, sum, fv_muli(u->ctx, old[j], u->stride[m]));
        if (m < 0) index[n++] = old[j];
        else if (at < 0) at = n++;
    }
    index[at] = sum;
    return fv_read(u->ctx, &now->obj, index, n, NULL);
}
static const fv_expr *rewrite(fusion *u, const fv_expr *e, bool offsets) {
    const fv_expr *arg[3];
    if (!e) return NULL;
    if (e->op == FV_X_AXIS) {
        int j = member_of(u, e->name);
        return j < 0 ? e : digit(u, j, offsets);
    }
    if (e->op == FV_X_VAR) {
        for (int j = 0; j < u->n; j++)
            if (fv_str_eq(fv_base_name(u->ctx, u->member[j]), e->name))
                return fv_var(u->ctx, fv_base_name(u->ctx, u->renamed[j]), FV_I32);
        return e;
    }
    if (e->op == FV_X_READ) return read_now(u, e);
    for (int j = 0; j < e->n && j < 3; j++) arg[j] = rewrite(u, e->arg[j], offsets);
    return e->n ? fv_rebuild(u->ctx, e, arg) : e;
}

/* -- Statements -------------------------------------------------------------------------------------------------- */
/* Members occur all in one role, or not at all. */
static void check_roles(fusion *u, const fv_stmt *s) {
    fv_str names[FV_MAX_AXES];
    int n = fv_stmt_free(s, names), free_members = members_in(u, names, n), red = members_in(u, s->over, s->n_over);
    if ((free_members && free_members < u->n) || (red && red < u->n)) u->failed = true;
    if (s->kind == FV_S_SCAN && red) u->failed = true;
    if (s->write == FV_W_ARGMAX && red) u->failed = true;
}
static void over_now(fusion *u, fv_stmt *s) {
    int n = 0;
    bool done = false;
    for (int j = 0; j < s->n_over; j++) {
        bool is_member = member_of(u, s->over[j]) >= 0;
        if (is_member && done) continue;
        s->over[n++] = is_member ? u->member[0] : s->over[j];
        done |= is_member;
    }
    s->n_over = n;
}
static void structure_now(fusion *u, fv_stmt *s) {
    if (!s->n_axes) return;
    fv_tile_axis *axis = FV_NEWN(u->ctx, fv_tile_axis, s->n_axes);
    for (int j = 0; j < s->n_axes; j++) {
        int m = member_of(u, s->axis[j].name);
        axis[j] = s->axis[j];
        if (m >= 0) axis[j].name = u->renamed[m];
        axis[j].base = rewrite(u, axis[j].base, false);
        axis[j].limit = rewrite(u, axis[j].limit, false);
    }
    s->axis = axis;
}
static fv_stmt *fused_axis(const fusion *u) {
    fv_stmt *s = fv_stmt_new(u->ctx, FV_S_AXIS, u->last->loc);
    s->n_axes = 1;
    s->axis = FV_NEW(u->ctx, fv_tile_axis);
    s->axis[0] = (fv_tile_axis){.name = u->member[0], .tile = u->points};
    return s;
}
static fv_stmt *list_now(fusion *u, const fv_stmt *s) {
    fv_stmts out = {0};
    for (; s; s = s->next) {
        fv_stmt *now = fv_stmts_add(&out, FV_NEW(u->ctx, fv_stmt));
        fv_str label = s->label;
        *now = *s;
        now->next = NULL;
        now->label = label;
        if (fv_stmt_is_op(s)) check_roles(u, s);
        structure_now(u, now);
        now->expr = rewrite(u, s->expr, false);
        now->expr2 = rewrite(u, s->expr2, false);
        now->where = rewrite(u, s->where, false);
        now->otherwise = rewrite(u, s->otherwise, false);
        for (int j = 0; s->kind == FV_S_STORE && j < s->target->rank; j++)
            now->index[j] = rewrite(u, s->index[j], false);
        if (s->kind == FV_S_ALLOC) now->buffer = buffer_now(u, s->buffer);
        else if (s->target && s->target->kind == FV_OBJ_BUFFER)
            now->target = &buffer_now(u, (const fv_buffer *)s->target)->obj;
        if (s->target2) now->target2 = buffer_now(u, s->target2);
        over_now(u, now);
        now->body = list_now(u, s->body);
        if (s != u->last) continue;
        if (s->kind == FV_S_AXIS) fv_stmts_add(&out, fused_axis(u));
        else {
            fv_stmt *a = fused_axis(u);
            a->next = now->body;
            now->body = a;
        }
    }
    return out.first;
}
/* The structure among the declarations that stands last in the text. */
typedef struct {
    fusion *u;
} finder;
static bool find_last(fv_stmt *s, void *user) {
    fusion *u = ((finder *)user)->u;
    for (int j = 0; j < s->n_axes; j++)
        if (member_of(u, s->axis[j].name) >= 0) u->last = s;
    return false;
}
fv_kernel *fl_fuse(fl *f, const fv_str *names, int n) {
    fusion u = {.ctx = f->ctx, .n = n, .points = 1};
    if (n < 2 || n > MAX_MEMBERS) return NULL;
    for (int j = 0; j < n; j++) {
        const fl_axis *a = fl_axis_find(f, names[j]);
        if (!a || !a->whole || member_of(&u, names[j]) >= 0) return NULL;
        u.member[j] = names[j];
        u.renamed[j] = fv_internf(f->ctx, "%s'", fv_cstr(f->ctx, names[j]));
        u.tile[j] = a->tile;
    }
    for (int j = n - 1; j >= 0; j--) {
        u.stride[j] = u.points;
        u.points *= u.tile[j];
    }
    finder find = {&u};
    fv_stmts_visit(f->k->body, find_last, &find);
    fv_kernel *k = FV_NEW(f->ctx, fv_kernel);
    *k = *f->k;
    k->body = list_now(&u, f->k->body);
    return u.failed ? NULL : k;
}

/* -- Without being asked ----------------------------------------------------------------------------------------- */
typedef struct {
    fl *f;
    const fl_axis *a, *b;
    bool apart;
} couple;
static bool has(const fv_str *names, int n, fv_str x) {
    for (int j = 0; j < n; j++)
        if (fv_str_eq(names[j], x)) return true;
    return false;
}
static bool stands_apart(fv_stmt *s, void *user) {
    couple *c = user;
    fv_str names[FV_MAX_AXES];
    if (s->kind == FV_S_ALLOC)
        c->apart |= has(s->buffer->axis, s->buffer->obj.rank, c->a->name) !=
                    has(s->buffer->axis, s->buffer->obj.rank, c->b->name);
    if (!fv_stmt_is_op(s)) return c->apart;
    int n = fv_stmt_free(s, names);
    c->apart |= has(names, n, c->a->name) != has(names, n, c->b->name);
    c->apart |= has(s->over, s->n_over, c->a->name) || has(s->over, s->n_over, c->b->name);
    return c->apart;
}
/* A nest of the schedule speaks of single axes. */
static bool in_nest(const fl *f, fv_str axis) {
    for (int j = 0; j < f->s->n; j++)
        for (int i = 0; f->s->entry[j].field == FV_F_NEST && i < f->s->entry[j].n; i++)
            if (fv_str_eq(f->s->entry[j].item[i].name, axis)) return true;
    return false;
}
/* Two whole axes that always occur together, are never reduced, and fill vectors better as one. */
bool fl_fuse_candidate(fl *f, fv_str *pair) {
    for (int i = 0; i < f->n_axes; i++)
        for (int j = 0; j < f->n_axes; j++) {
            couple c = {f, f->axis[i], f->axis[j], i == j};
            if (!c.a->whole || !c.b->whole || c.a->tile < 2 || c.b->tile < 2 || c.a->base->op != FV_X_INT ||
                c.b->base->op != FV_X_INT)
                continue;
            int64_t apart = c.a->tile * fl_vectors(f, c.b), one = (c.a->tile * c.b->tile + f->vl - 1) / f->vl;
            if (i > j || one >= apart || one * f->vl > 4096) continue;
            fv_stmts_visit(f->k->body, stands_apart, &c);
            if (c.apart || in_nest(f, c.a->name) || in_nest(f, c.b->name)) continue;
            pair[0] = c.a->name;
            pair[1] = c.b->name;
            return true;
        }
    return false;
}
