/* Walk of a tile kernel's structures: the grid becomes one loop over programs, `for` a serial loop, conditions are made
 * uniform. Invariant: what fv_flatten_cpu returns stores every element of every target exactly as the tile kernel's
 * meaning says, up to rounding. */
#include "kernel/flatten.h"

#include <stdarg.h>

void fl_refuse(fl *f, const char *format, ...) {
    fv_buf b = {0};
    va_list a;
    char text[512];
    va_start(a, format);
    vsnprintf(text, sizeof text, format, a);
    va_end(a);
    fv_buf_puts(&b, text);
    fv_error(f->ctx, FV_E_SCHEDULE, f->loc, "kernel %s: %s", fv_cstr(f->ctx, f->k->name), b.text);
    fv_buf_dispose(&b);
    f->failed = true;
}

/* -- Grid -------------------------------------------------------------------------------------------------------- */
static void let(fl *f, fv_str name, const fv_expr *e) {
    fv_flat *l = fl_emit(f, FV_L_LET);
    l->name = name;
    l->expr = fl_simple(f, e);
}
/* What stands before the grid in the text is done by every program: the loop over programs is the outermost. */
static void structure(fl *f, const fv_stmt *s);
static void prelude(fl *f, const fv_stmt *until) {
    for (const fv_stmt *s = f->k->body; s && s != until; s = s->next) structure(f, s);
}
static void grid(fl *f, const fv_stmt *s) {
    int64_t count[FV_MAX_AXES];
    fv_ctx *ctx = f->ctx;
    f->out->programs = fv_kernel_programs(f->k, count, FV_MAX_AXES);
    fv_flat *loop = fl_emit(f, FV_L_FOR);
    loop->loop = FV_LOOP_PROGRAMS;
    loop->name = fl_fresh(f, "program");
    loop->lo = fv_int(ctx, 0);
    loop->hi = fv_int(ctx, f->out->programs);
    const fv_expr *p = fv_var(ctx, loop->name, FV_I32), *inside = NULL;
    fv_facts_add(ctx, &f->facts, p, 0, f->out->programs > 0 ? f->out->programs - 1 : 0);
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    prelude(f, s);
    int64_t below = 1;
    for (int j = 0; j < s->n_axes; j++) below *= count[j] > 0 ? count[j] : 1;
    for (int j = 0; j < s->n_axes; j++) {
        const fv_tile_axis *t = &s->axis[j];
        below /= count[j] > 0 ? count[j] : 1;
        const fv_expr *at = fv_op2(ctx, FV_X_FLOORDIV, p, fv_int(ctx, below));
        if (j) at = fv_op2(ctx, FV_X_MOD, at, fv_int(ctx, count[j] > 0 ? count[j] : 1));
        let(f, t->tile ? fv_internf(ctx, "%s.t", fv_cstr(ctx, t->name)) : t->name, at);
        fl_define_bounds(f, t);
        const fv_expr *from = t->tile ? fl_axis_find(f, t->name)->base : fv_var(ctx, t->name, FV_I32);
        inside = fv_and(ctx, inside, fl_simple(f, fv_op2(ctx, FV_X_LT, from, fl_upper(f, t))));
    }
    if (inside && fv_is_true(fl_simple(f, inside))) inside = NULL;
    fv_flats rest = {0};
    fl_mark m2 = {0};
    fv_flat *branch = NULL;
    if (inside) {
        branch = fl_emit(f, FV_L_IF);
        branch->expr = fl_simple(f, inside);
        m2 = fl_enter(f, &rest, false);
    }
    for (int j = 0; j < s->n_axes; j++)
        if (s->axis[j].tile) fl_count(f, fl_axis_find(f, s->axis[j].name));
    fl_statements(f, s->body);
    if (inside) {
        fl_leave(f, m2);
        branch->body = rest.first;
    }
    fl_leave(f, m);
    loop->body = body.first;
}

/* -- Loops ------------------------------------------------------------------------------------------------------- */
static void loop(fl *f, const fv_stmt *s) {
    const fv_tile_axis *t = &s->axis[0];
    fl_define_bounds(f, t);
    const fv_expr *lo = fl_lower(f, t), *hi = fl_upper(f, t);
    fl_axis *a = t->tile ? fl_axis_find(f, t->name) : NULL;
    fv_flat *l = fl_emit(f, FV_L_FOR);
    if (a) {
        const fv_expr *n = fv_addi(f->ctx, fv_sub(f->ctx, hi, lo), t->tile - 1);
        l->name = fv_internf(f->ctx, "%s.t", fv_cstr(f->ctx, t->name));
        l->lo = fv_int(f->ctx, 0);
        l->hi = fl_simple(f, fv_op2(f->ctx, FV_X_FLOORDIV, n, fv_int(f->ctx, t->tile)));
    } else {
        l->name = t->name;
        l->lo = fl_simple(f, lo);
        l->hi = fl_simple(f, hi);
    }
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    if (a) fl_count(f, a);
    fl_statements(f, s->body);
    fl_leave(f, m);
    l->body = body.first;
}

/* -- Scalars, conditions ----------------------------------------------------------------------------------------- */
typedef struct {
    const fv_expr *p;
    fv_memory *flag;
    bool all;
} flag_job;
static void flag_point(fl *f, void *user) {
    flag_job *j = user;
    const fv_expr *p = fl_value(f, j->p), *old = fl_reg(f, j->flag, 0), *valid = fl_valid(f);
    if (j->all) p = fv_op1(f->ctx, FV_X_NOT, p);
    if (valid) p = fv_op2(f->ctx, FV_X_AND, p, valid);
    fl_set_reg(f, j->flag, 0, fv_op2(f->ctx, FV_X_OR, old, p));
}
/* any(p): or over all valid points; all(p) is not any(not p). */
static const fv_expr *over_points(fl *f, const fv_expr *e) {
    fv_str names[FV_MAX_AXES];
    fl_axis *axes[FV_MAX_AXES], *lane = NULL;
    int n = fv_axes_of(e->arg[0], names, 0, FV_MAX_AXES);
    for (int j = 0; j < n; j++) axes[j] = fl_axis_find(f, names[j]);
    for (int j = 0; j < n && f->vl > 1; j++)
        if (axes[j]->tile > 1 && (!lane || axes[j]->tile > lane->tile)) lane = axes[j];
    int lanes = lane ? f->vl : 1;
    flag_job job = {e->arg[0], fl_registers(f, "flag", FV_BOOL, lanes, 1), e->op == FV_X_ALL};
    fl_set_reg(f, job.flag, 0, fv_op2(f->ctx, FV_X_AND, fv_bool(f->ctx, false), fv_bool(f->ctx, false)));
    fl_each(f, axes, n, lane, flag_point, &job);
    const fv_expr *v = fl_let(f, "any", fv_op1(f->ctx, FV_X_HANY, fl_reg(f, job.flag, 0)));
    return job.all ? fv_op1(f->ctx, FV_X_NOT, v) : v;
}
static const fv_expr *bind_flag(fv_ctx *ctx, const fv_expr *e, void *user) {
    (void)ctx;
    return e->op == FV_X_ANY || e->op == FV_X_ALL ? over_points(user, e) : e;
}
/* What all points share: any() and all() in it are bound first, wherever they stand. */
static const fv_expr *uniform(fl *f, const fv_expr *e) {
    const fv_expr *v = fl_value(f, fv_rewrite(f->ctx, e, bind_flag, f));
    FV_ASSERT(v->lanes == 1, "a scalar is the same in all lanes");
    return v;
}
static void scalar(fl *f, const fv_stmt *s) {
    const fv_expr *v = uniform(f, s->expr);
    fv_flat *l = fl_emit(f, FV_L_LET);
    l->name = s->name;
    l->expr = v;
}
static void branch(fl *f, const fv_stmt *s) {
    const fv_expr *c = uniform(f, s->expr);
    if (c->op == FV_X_INT && !c->i) return;
    if (c->op == FV_X_INT) {
        fl_statements(f, s->body);
        return;
    }
    fv_flat *l = fl_emit(f, FV_L_IF);
    l->expr = c;
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, false);
    fl_statements(f, s->body);
    fl_leave(f, m);
    l->body = body.first;
}

/* -- Statements -------------------------------------------------------------------------------------------------- */
static void group(fl *f, fl_group *g) {
    if (g->n_body && !fl_nest(f, g)) f->failed = true;
}
static void alloc(fl *f, const fv_stmt *s) {
    fv_stmt *map = fv_stmt_new(f->ctx, FV_S_MAP, s->loc);
    map->label = s->buffer->obj.name;
    map->target = &s->buffer->obj;
    map->expr = s->expr;
    fl_group *g = FV_NEW(f->ctx, fl_group);
    fl_join(f, map, g);
    group(f, g);
}
static const fv_stmt *statement(fl *f, const fv_stmt *s) {
    f->loc = s->loc;
    if (s->kind == FV_S_SCAN || s->kind == FV_S_TOPK) {
        f->label = s->label;
        if (!fl_special(f, s)) f->failed = true;
        return s->next;
    }
    fl_group *g = FV_NEW(f->ctx, fl_group);
    const fv_stmt *next = fl_join(f, s, g);
    group(f, g);
    return next;
}
static void structure(fl *f, const fv_stmt *s) {
    f->loc = s->loc;
    f->label = s->label;
    switch (s->kind) {
    case FV_S_GRID: grid(f, s); break;
    case FV_S_FOR: loop(f, s); break;
    case FV_S_AXIS:
        for (int j = 0; j < s->n_axes; j++) {
            fl_define_bounds(f, &s->axis[j]);
            fl_count(f, fl_axis_find(f, s->axis[j].name));
        }
        break;
    case FV_S_LET: scalar(f, s); break;
    case FV_S_IF: branch(f, s); break;
    case FV_S_ALLOC: alloc(f, s); break;
    default: break;
    }
}
void fl_statements(fl *f, const fv_stmt *s) {
    while (s && !f->failed) {
        if (fv_stmt_is_op(s)) {
            s = statement(f, s);
            continue;
        }
        structure(f, s);
        s = s->next;
    }
}

/* -- Entry ------------------------------------------------------------------------------------------------------- */
static fl *start(const fv_kernel *k, const fv_schedule *s, const fv_target *t) {
    fv_ctx *ctx = k->ctx;
    fl *f = FV_NEW(ctx, fl);
    f->ctx = ctx;
    f->k = k;
    f->s = s;
    f->t = t;
    f->vl = t->lanes > 0 ? t->lanes : 1;
    int64_t vector = fv_schedule_int(s, FV_F_VECTOR, (fv_str){0}, f->vl);
    if (vector < 1 || vector > f->vl || (vector & (vector - 1)))
        fl_refuse(f, "vector=%lld: a power of two is meant, at most the %d lanes of %s", (long long)vector, f->vl,
                  t->name);
    else f->vl = (int)vector;
    f->out = FV_NEW(ctx, fv_flat_kernel);
    f->out->ctx = ctx;
    f->out->name = k->name;
    f->out->n_tensors = k->n_tensors;
    f->out->tensor = k->tensor;
    f->out->programs = 1;
    f->lane_leaf = fv_var(ctx, fv_intern(ctx, "lane"), FV_I32);
    fv_facts_add(ctx, &f->facts, f->lane_leaf, 0, f->vl - 1);
    if (fl_scope(f)) fl_choose_lanes(f);
    return f;
}
/* The axes that the schedule fuses; then pairs that make vectors fuller, if that is cheaper. */
static fl *fuse(fl *f) {
    bool asked = false;
    for (int j = 0; j < f->s->n && !f->failed; j++) {
        const fv_sched_entry *e = &f->s->entry[j];
        fv_str names[FV_MAX_AXES];
        if (e->field != FV_F_FUSE) continue;
        asked = true;
        for (int i = 0; i < e->n && i < FV_MAX_AXES; i++) names[i] = e->item[i].name;
        const fv_kernel *k = fl_fuse(f, names, e->n);
        if (k) f = start(k, f->s, f->t);
        else
            fl_refuse(f, "fuse.%s: its axes do not always occur together, or one has a ragged tile",
                      fv_cstr(f->ctx, e->subject));
    }
    for (fv_str pair[2]; f->vl > 1 && !asked && !f->failed && fl_fuse_candidate(f, pair);) {
        const fv_kernel *k = fl_fuse(f, pair, 2);
        fl *g = k ? start(k, f->s, f->t) : NULL;
        if (!g || g->failed || fl_cost(g) >= fl_cost(f)) break;
        f = g;
    }
    return f;
}
static fl *pack(fl *f) {
    enum { MAX_PACKS = 8 };
    for (int n = 0; n < MAX_PACKS && !f->failed; n++) {
        f->packs = n;
        const fv_kernel *k = fl_pack(f);
        if (!k) break;
        f = start(k, f->s, f->t);
    }
    return f;
}
fv_flat_kernel *fv_flatten_cpu(const fv_kernel *k, const fv_schedule *s, const fv_target *t) {
    fl *f = pack(fuse(start(k, s ? s : fv_schedule_new(k->ctx, ""), t)));
    fv_flats body = {0};
    f->list = &body;
    for (const fv_stmt *g = f->k->body; g && !f->failed; g = g->next)
        if (g->kind == FV_S_GRID) structure(f, g);
    if (f->failed) return NULL;
    f->out->body = body.first;
    fl_clean(f);
    return f->out;
}
