/* The verifier of the tile stage: structures, scopes and expressions. Statements: tile_verify_op.c. Laws: docs/ir.md.
 * Invariant: a kernel without faults has every name in scope with its type, and every read proved to stay in its
 * tensor or filled. */
#include "kernel/tile_verify.h"

#include <string.h>

bool fv_tv_fault(fv_verifier *v, const char *fmt, ...) {
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    bool label = v->at && v->at->label.i;
    fv_error(v->ctx, FV_E_KERNEL, v->at ? v->at->loc : (fv_loc){{0}, 0}, "kernel %s%s%s: %s",
             fv_cstr(v->ctx, v->k->name), label ? ", " : "",
             label ? fv_cstr(v->ctx, v->at->label) : "", text);
    v->faults++;
    return false;
}

const char *fv_tv_text(fv_verifier *v, const fv_expr *e) {
    fv_buf b = {0};
    fv_expr_print(v->ctx, e, &b);
    const char *t = fv_printf(v->ctx, "%.200s", b.text ? b.text : "");
    fv_buf_dispose(&b);
    return t;
}

/* -- Expressions --------------------------------------------------------------------------------------------------- */
typedef struct { fv_verifier *v; const fv_str *axis; int n; bool conditions; } scan;

static bool bad_axis(scan *s, const fv_expr *e) {
    const fv_name *n = fv_names_find(&s->v->names, e->name);
    const char *name = fv_cstr(s->v->ctx, e->name);
    if (!n || n->kind != FV_NAME_AXIS)
        return !fv_tv_fault(s->v, "no axis '%s' is in scope%s", name, fv_names_nearest(&s->v->names, e->name));
    for (int j = 0; j < s->n; j++)
        if (fv_str_eq(s->axis[j], e->name)) return false;
    if (s->v->at && fv_stmt_is_op(s->v->at))
        return !fv_tv_fault(s->v, "axis '%s' is neither an axis of the target nor reduced", name);
    return !fv_tv_fault(s->v, "axis '%s' stands in a value that must be uniform", name);
}

static bool bad_scalar(scan *s, const fv_expr *e) {
    const fv_name *n = fv_names_find(&s->v->names, e->name);
    if (!n || n->kind != FV_NAME_SCALAR)
        return !fv_tv_fault(s->v, "no scalar '%s' is in scope%s", fv_cstr(s->v->ctx, e->name),
                            fv_names_nearest(&s->v->names, e->name));
    return n->type != e->type && !fv_tv_fault(s->v, "scalar '%s' is read with another type than it was given",
                                              fv_cstr(s->v->ctx, e->name));
}

static bool bad_read(scan *s, const fv_expr *e) {
    const fv_name *n = fv_names_find(&s->v->names, e->ref->name);
    const char *name = fv_cstr(s->v->ctx, e->ref->name);
    if (!n || n->obj != e->ref) {
        if (e->ref->kind == FV_OBJ_BUFFER)
            return !fv_tv_fault(s->v, "buffer '%s' is read before any statement writes it", name);
        return !fv_tv_fault(s->v, "'%s' is no tensor of this kernel", name);
    }
    if (e->ref->kind == FV_OBJ_TENSOR && ((const fv_tensor *)e->ref)->role == FV_ROLE_OUT)
        return !fv_tv_fault(s->v, "the output '%s' is read; declare it inout", name);
    if (e->n - (e->i != 0) != e->ref->rank)
        return !fv_tv_fault(s->v, "'%s' has %d axes and is read with %d indices", name, e->ref->rank, e->n);
    for (int j = 0; j < e->ref->rank; j++)
        if (e->arg[j]->type != FV_I32)
            return !fv_tv_fault(s->v, "index %d of '%s' is %s, not i32", j, name, fv_type_name(e->arg[j]->type));
    return false;
}

static bool bad_node(const fv_expr *e, void *user) {
    scan *s = user;
    if (e->op == FV_X_READ) return bad_read(s, e);
    if (e->op == FV_X_AXIS) return bad_axis(s, e);
    if (e->op == FV_X_VAR) return bad_scalar(s, e);
    bool any = e->op == FV_X_ANY || e->op == FV_X_ALL;
    if (any && s->conditions) return false;
    if (e->op >= FV_X_LOAD || e->op == FV_X_EXACT || e->lanes != 1 || any)
        return !fv_tv_fault(s->v, "'%s' has no place here", fv_op_spelling(e->op));
    return false;
}

/* ANY and ALL bring their own axes: every axis in scope is allowed beneath them. */
static bool bad_condition(const fv_expr *e, void *user) {
    scan *s = user;
    if (e->op != FV_X_ANY && e->op != FV_X_ALL) return false;
    scan inside = {.v = s->v};
    fv_str names[FV_MAX_AXES];
    inside.n = fv_axes_of(e->arg[0], names, 0, FV_MAX_AXES);
    inside.axis = names;
    return fv_visit(e->arg[0], bad_node, &inside);
}

static const fv_expr *hide_any(fv_ctx *ctx, const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_ANY || e->op == FV_X_ALL ? fv_bool(ctx, true) : e;
}

bool fv_tv_expr(fv_verifier *v, const fv_expr *e, const fv_str *axis, int n, bool conditions) {
    scan s = {v, axis, n, conditions};
    if (!e) return true;
    if (conditions) {
        if (fv_visit(e, bad_condition, &s)) return false;
        e = fv_rewrite(v->ctx, e, hide_any, NULL);
    }
    return !fv_visit(e, bad_node, &s);
}

typedef struct { fv_verifier *v; const fv_expr *where; } range_scan;

static bool out_of_range(const fv_expr *e, void *user) {
    range_scan *s = user;
    if (e->op != FV_X_READ || e->i) return false;
    bool buffer = e->ref->kind == FV_OBJ_BUFFER;
    const int64_t *extent = buffer ? ((const fv_buffer *)e->ref)->extent : ((const fv_tensor *)e->ref)->extent;
    for (int j = 0; j < e->ref->rank; j++) {
        const char *why = fv_prove_index(&s->v->p, e->arg[j], extent[j], buffer, s->where);
        if (why) return !fv_tv_fault(s->v, "%s: index %d, %s, %s", fv_tv_text(s->v, e), j, fv_tv_text(s->v, e->arg[j]),
                                     why);
    }
    return false;
}

bool fv_tv_ranges(fv_verifier *v, const fv_expr *e, const fv_expr *where) {
    range_scan s = {v, where};
    return !e || !fv_visit(e, out_of_range, &s);
}

/* -- Names --------------------------------------------------------------------------------------------------------- */
static bool declare(fv_verifier *v, fv_name n) {
    if (!n.name.i) return fv_tv_fault(v, "something has no name");
    if (fv_names_taken(&v->names, n.name))
        return fv_tv_fault(v, "the name '%s' is used twice", fv_cstr(v->ctx, n.name));
    fv_names_add(&v->names, n);
    return true;
}

static bool uniform(fv_verifier *v, const fv_expr *e, fv_type type) {
    if (!e) return true;
    if (!fv_tv_expr(v, e, NULL, 0, false) || !fv_tv_ranges(v, e, NULL)) return false;
    return e->type == type || fv_tv_fault(v, "%s is %s, not %s", fv_tv_text(v, e), fv_type_name(e->type),
                                          fv_type_name(type));
}

/* -- Structures ---------------------------------------------------------------------------------------------------- */
static bool one_axis(fv_verifier *v, const fv_stmt *s, const fv_tile_axis *a) {
    bool loop = s->kind != FV_S_AXIS;
    if (loop && (!a->limit || (s->kind == FV_S_FOR) != (a->base != NULL)))
        return fv_tv_fault(v, "axis '%s' lacks a bound, or has one too many", fv_cstr(v->ctx, a->name));
    if (a->tile < 0 || (!loop && !a->tile))
        return fv_tv_fault(v, "the extent of axis '%s' is at least 1", fv_cstr(v->ctx, a->name));
    if (!uniform(v, a->base, FV_I32) || !uniform(v, a->limit, FV_I32)) return false;
    fv_name n = {.name = a->name, .kind = a->tile ? FV_NAME_AXIS : FV_NAME_SCALAR, .type = FV_I32, .tile = a->tile};
    if (!declare(v, n)) return false;
    if (a->tile && !declare(v, (fv_name){.name = fv_base_name(v->ctx, a->name), .kind = FV_NAME_SCALAR,
                                         .type = FV_I32}))
        return false;
    fv_prover_axis(&v->p, s, a);
    return true;
}

static bool block(fv_verifier *v, const fv_stmt *s);

static bool axes_and_body(fv_verifier *v, const fv_stmt *s) {
    int mark = v->names.n;
    fv_prover_mark m = fv_prover_enter(&v->p);
    bool ok = true;
    for (int j = 0; ok && j < s->n_axes; j++) ok = one_axis(v, s, &s->axis[j]);
    if (!ok || s->kind == FV_S_AXIS) return ok;
    ok = block(v, s->body);
    fv_names_leave(&v->names, mark);
    fv_prover_leave(&v->p, m);
    return ok;
}

static bool grid(fv_verifier *v, const fv_stmt *s) {
    if (v->in_grid) return fv_tv_fault(v, "a grid stands once, at the top");
    if (s->next) return fv_tv_fault(v, "something stands after the grid");
    v->in_grid = true;
    return axes_and_body(v, s);
}

static bool reads_buffer(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ && e->ref->kind == FV_OBJ_BUFFER;
}

static bool let(fv_verifier *v, const fv_stmt *s) {
    fv_type t = s->expr->type;
    if (t != FV_I32 && t != FV_BOOL)
        return fv_tv_fault(v, "'%s' is %s: a let is i32 or bool", fv_cstr(v->ctx, s->name), fv_type_name(t));
    if (s->ranged && t != FV_I32)
        return fv_tv_fault(v, "'%s' is no integer and has no range", fv_cstr(v->ctx, s->name));
    if (!fv_tv_expr(v, s->expr, NULL, 0, true)) return false;
    const fv_expr *plain = fv_rewrite(v->ctx, s->expr, hide_any, NULL);
    if (fv_visit(plain, reads_buffer, NULL))
        return fv_tv_fault(v, "'%s' reads a buffer: a let reads tensors only", fv_cstr(v->ctx, s->name));
    if (!fv_tv_ranges(v, s->expr, NULL) || !declare(v, (fv_name){.name = s->name, .kind = FV_NAME_SCALAR, .type = t}))
        return false;
    fv_prover_let(&v->p, s);
    return true;
}

static bool condition(fv_verifier *v, const fv_stmt *s) {
    if (s->expr->type != FV_BOOL) return fv_tv_fault(v, "a condition is bool, not %s", fv_type_name(s->expr->type));
    if (!fv_tv_expr(v, s->expr, NULL, 0, true) || !fv_tv_ranges(v, s->expr, NULL)) return false;
    fv_prover_mark m = fv_prover_enter(&v->p);
    int mark = v->names.n;
    fv_prover_cond(&v->p, s->expr);
    bool ok = block(v, s->body);
    fv_names_leave(&v->names, mark);
    fv_prover_leave(&v->p, m);
    return ok;
}

static bool alloc(fv_verifier *v, const fv_stmt *s) {
    const fv_buffer *b = s->buffer;
    for (int j = 0; j < b->obj.rank; j++) {
        const fv_name *n = fv_names_find(&v->names, b->axis[j]);
        if (!n || n->kind != FV_NAME_AXIS || n->tile != b->extent[j])
            return fv_tv_fault(v, "buffer '%s': axis '%s' is not in scope with extent %lld",
                               fv_cstr(v->ctx, b->obj.name),
                               fv_cstr(v->ctx, b->axis[j]), (long long)b->extent[j]);
    }
    if (!fv_tv_expr(v, s->expr, NULL, 0, false) || !fv_tv_ranges(v, s->expr, NULL)) return false;
    if (b->obj.type == FV_I32 && s->expr->type != FV_I32)
        return fv_tv_fault(v, "buffer '%s' is i32 and starts as %s", fv_cstr(v->ctx, b->obj.name),
                                                                            fv_type_name(s->expr->type));
    if (b->obj.type == FV_I32) fv_prover_define(&v->p, b, NULL);
    return declare(v, (fv_name){.name = b->obj.name, .kind = FV_NAME_BUFFER, .type = b->obj.type, .obj = &b->obj});
}

static bool one(fv_verifier *v, const fv_stmt *s) {
    v->at = s;
    if (!v->in_grid && s->kind != FV_S_AXIS && s->kind != FV_S_LET && s->kind != FV_S_GRID)
        return fv_tv_fault(v, "only axes and lets stand before the grid");
    if (!s->expr && s->kind >= FV_S_LET) return fv_tv_fault(v, "a statement has no value");
    switch (s->kind) {
    case FV_S_GRID: return grid(v, s);
    case FV_S_FOR: return s->n_axes == 1 ? axes_and_body(v, s) : fv_tv_fault(v, "a for has one axis");
    case FV_S_AXIS: return axes_and_body(v, s);
    case FV_S_LET: return let(v, s);
    case FV_S_IF: return condition(v, s);
    case FV_S_ALLOC: return alloc(v, s);
    default: return fv_tv_op(v, s);
    }
}

/* Statements go on after a fault of one of them; a structure that failed ends its block, whose names would be missing.
 * */
static bool block(fv_verifier *v, const fv_stmt *s) {
    bool ok = true;
    for (; s; s = s->next)
        if (!one(v, s)) {
            ok = false;
            if (!fv_stmt_is_op(s)) return false;
        }
    return ok;
}

/* -- Tensors ------------------------------------------------------------------------------------------------------- */
static bool tensor(fv_verifier *v, const fv_tensor *t) {
    const char *name = fv_cstr(v->ctx, t->obj.name);
    if (t->obj.type == FV_VOID || t->obj.type >= FV_TYPE_COUNT) return fv_tv_fault(v, "tensor '%s' has no type", name);
    if (t->obj.ranged && (t->obj.type != FV_I32 || t->obj.hi < t->obj.lo))
        return fv_tv_fault(v, "the range of '%s' is empty, or it is no i32", name);
    for (int j = 0; j < t->obj.rank; j++) {
        if (t->extent[j] < 0 || t->stride[j] < 0)
            return fv_tv_fault(v, "tensor '%s' has a negative extent or stride", name);
        if (t->role != FV_ROLE_IN && t->extent[j] > 1 && t->stride[j] == 0)
            return fv_tv_fault(v, "the output '%s' has stride 0 along '%s': its elements overlap", name,
                               fv_cstr(v->ctx, t->dim[j]));
    }
    return declare(v, (fv_name){.name = t->obj.name, .kind = FV_NAME_TENSOR, .type = t->obj.type, .obj = &t->obj});
}

int fv_kernel_verify(fv_kernel *k) {
    fv_verifier v = {.ctx = k->ctx, .k = k};
    v.names.ctx = v.p.ctx = k->ctx;
    bool ok = true;
    for (int j = 0; j < k->n_tensors; j++) ok = tensor(&v, k->tensor[j]) && ok;
    if (ok) ok = block(&v, k->body);
    v.at = NULL;
    if (ok && !v.in_grid) fv_tv_fault(&v, "a kernel has a grid");
    return v.faults;
}
