/* Building of tile kernels: tensors, buffers, statements; and the small questions that every reader of a kernel asks.
 * Invariant: everything is allocated in the kernel's context; nothing here judges a kernel (tile_verify.c does). */
#include "kernel/tile.h"

#include <string.h>

fv_kernel *fv_kernel_new(fv_ctx *ctx, fv_str name) {
    fv_kernel *k = FV_NEW(ctx, fv_kernel);
    k->ctx = ctx;
    k->name = name;
    return k;
}

fv_tensor *fv_kernel_tensor(fv_kernel *k, fv_str name, fv_type type, fv_role role, const fv_str *dim,
                            const int64_t *extent, int rank) {
    FV_ASSERT(rank >= 0 && rank <= FV_MAX_AXES, "rank of a tensor");
    fv_tensor *t = FV_NEW(k->ctx, fv_tensor);
    t->obj = (fv_obj){.kind = FV_OBJ_TENSOR, .name = name, .type = type, .rank = rank};
    t->role = role;
    int64_t stride = 1;
    for (int j = rank - 1; j >= 0; j--) {
        t->dim[j] = dim[j];
        t->extent[j] = extent[j];
        t->stride[j] = stride;
        stride *= extent[j];
    }
    fv_push(k->ctx, k->tensor, k->n_tensors, k->cap_tensors, t);
    return t;
}

fv_buffer *fv_buffer_new(fv_ctx *ctx, fv_str name, fv_type type, const fv_str *axis, const int64_t *extent, int rank) {
    FV_ASSERT(rank >= 0 && rank <= FV_MAX_AXES, "rank of a buffer");
    fv_buffer *b = FV_NEW(ctx, fv_buffer);
    b->obj = (fv_obj){.kind = FV_OBJ_BUFFER, .name = name, .type = type, .rank = rank};
    for (int j = 0; j < rank; j++) {
        b->axis[j] = axis[j];
        b->extent[j] = extent[j];
    }
    return b;
}

fv_stmt *fv_stmt_new(fv_ctx *ctx, fv_stmt_kind kind, fv_loc loc) {
    fv_stmt *s = FV_NEW(ctx, fv_stmt);
    s->kind = kind;
    s->loc = loc;
    return s;
}

fv_stmt *fv_stmts_add(fv_stmts *list, fv_stmt *s) {
    if (list->last) list->last->next = s;
    else list->first = s;
    list->last = s;
    return s;
}

fv_str fv_base_name(fv_ctx *ctx, fv_str axis) { return fv_internf(ctx, "%s0", fv_cstr(ctx, axis)); }

int64_t fv_tensor_elements(const fv_tensor *t) {
    int64_t n = 1;
    for (int j = 0; j < t->obj.rank; j++) {
        if (t->extent[j] <= 0) return 0;
        n += (t->extent[j] - 1) * t->stride[j];
    }
    return n;
}

/* -- Questions -------------------------------------------------------------------------------------------------- */
int fv_stmt_free(const fv_stmt *s, fv_str *names) {
    int n = 0;
    if (s->kind == FV_S_STORE) {
        for (int j = 0; j < s->target->rank; j++) n = fv_axes_of(s->index[j], names, n, FV_MAX_AXES);
        return n;
    }
    const fv_buffer *b = (const fv_buffer *)s->target;
    for (int j = 0; b && j < b->obj.rank; j++) names[n++] = b->axis[j];
    return n;
}

bool fv_stmts_visit(fv_stmt *list, fv_stmt_visit_fn *fn, void *user) {
    for (fv_stmt *s = list; s; s = s->next)
        if (fn(s, user) || fv_stmts_visit(s->body, fn, user)) return true;
    return false;
}

typedef struct { fv_str name; const fv_tile_axis *axis; const fv_stmt *owner; } axis_search;

static bool find_axis(fv_stmt *s, void *user) {
    axis_search *f = user;
    for (int j = 0; j < s->n_axes; j++)
        if (fv_str_eq(s->axis[j].name, f->name)) {
            f->axis = &s->axis[j];
            f->owner = s;
            return true;
        }
    return false;
}

const fv_tile_axis *fv_kernel_axis(const fv_kernel *k, fv_str name, const fv_stmt **owner) {
    axis_search f = {.name = name};
    fv_stmts_visit(k->body, find_axis, &f);
    if (owner) *owner = f.owner;
    return f.axis;
}

/* -- Contractions ------------------------------------------------------------------------------------------------ */
enum { MAX_FACTORS = 16 };
typedef struct { const fv_expr *item[MAX_FACTORS]; int n; bool full; } factors;

static void add_factor(fv_ctx *ctx, factors *f, const fv_expr *e) {
    if (e->op == FV_X_MUL) {
        add_factor(ctx, f, e->arg[0]);
        add_factor(ctx, f, e->arg[1]);
        return;
    }
    int64_t one;
    if (e->op == FV_X_DIV && !(fv_is_int(e->arg[0], &one) && one == 1) &&
        !(e->arg[0]->op == FV_X_FLOAT && e->arg[0]->f >= 1.0 && e->arg[0]->f <= 1.0)) {
        add_factor(ctx, f, e->arg[0]);
        add_factor(ctx, f, fv_op2(ctx, FV_X_DIV, fv_float(ctx, 1.0), e->arg[1]));
        return;
    }
    if (f->n == MAX_FACTORS) f->full = true;
    else f->item[f->n++] = e;
}

static bool uses_any(const fv_expr *e, const fv_str *axis, int n) {
    for (int j = 0; j < n; j++)
        if (fv_uses_axis(e, axis[j])) return true;
    return false;
}

bool fv_contract_parts(fv_ctx *ctx, const fv_expr *e, const fv_str *over, int n_over, const fv_expr **x,
                       const fv_expr **y,
                       const fv_expr **factor) {
    *x = *y = *factor = NULL;
    if (!fv_type_is_float(e->type)) return false;
    factors f = {.n = 0};
    add_factor(ctx, &f, e);
    if (f.full) return false;
    for (int j = 0; j < f.n; j++) {
        const fv_expr *a = f.item[j];
        bool ref = a->op == FV_X_READ && uses_any(a, over, n_over);
        if (ref && !*x) *x = a;
        else if (ref && !*y) *y = a;
        else *factor = *factor ? fv_mul(ctx, *factor, a) : a;
    }
    return *x && *y;
}

/* An index inside a contraction is affine, uniform, or a lane map: an i32 buffer read at one axis. Others are gathers,
 * and belong in a map. */
static bool gathers(const fv_expr *e, void *user) {
    fv_str names[FV_MAX_AXES];
    (void)user;
    if (e->op != FV_X_READ) return false;
    int n = fv_axes_of(e, names, 0, FV_MAX_AXES);
    bool lane_map = e->ref->kind == FV_OBJ_BUFFER && e->ref->rank == 1 && e->arg[0]->op == FV_X_AXIS;
    return n > 0 && !lane_map;
}
static bool within(const fv_expr *e, const fv_expr *ref) {
    fv_str names[FV_MAX_AXES];
    int n = fv_axes_of(e, names, 0, FV_MAX_AXES);
    for (int j = 0; j < n; j++)
        if (!fv_uses_axis(ref, names[j])) return false;
    return true;
}
/* The factor that has a reduced axis and fits neither operand; NULL: none. */
static const fv_expr *misfit(const fv_expr *f, const fv_str *over, int n, const fv_expr *x, const fv_expr *y) {
    if (f->op == FV_X_MUL) {
        const fv_expr *a = misfit(f->arg[0], over, n, x, y);
        return a ? a : misfit(f->arg[1], over, n, x, y);
    }
    return !uses_any(f, over, n) || within(f, x) || within(f, y) ? NULL : f;
}
fv_contract_fault fv_contract_law(fv_ctx *ctx, const fv_expr *e, const fv_str *over, int n_over,
                                  const fv_expr **culprit) {
    const fv_expr *part[2], *factor;
    *culprit = NULL;
    if (!fv_contract_parts(ctx, e, over, n_over, &part[0], &part[1], &factor)) return FV_CONTRACT_FORM;
    for (int o = 0; o < 2; o++)
        for (int j = 0; j < part[o]->ref->rank; j++)
            if (fv_visit(part[o]->arg[j], gathers, NULL)) {
                *culprit = part[o];
                return FV_CONTRACT_GATHERS;
            }
    if (factor) *culprit = misfit(factor, over, n_over, part[0], part[1]);
    return *culprit ? FV_CONTRACT_FACTOR : FV_CONTRACT_OK;
}
