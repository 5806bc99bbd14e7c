/* Evaluation in f64. Small trees are evaluated straight; larger ones, which may share nodes, with a memo and an
 * explicit stack, so that neither depth nor sharing hurts. `where` looks only at the branch it takes. */
#include "expr/expr_internal.h"

#include <math.h>
#include <stdlib.h>

static double int_div(double a, double b) {
    if (b == 0 || !isfinite(a) || !isfinite(b)) return 0;
    if (fabs(a) < 0x1p62 && fabs(b) < 0x1p62) return (double)fv_floordiv((int64_t)a, (int64_t)b);
    return floor(a / b);
}
static double to_i32(double v) {                      /* saturating; NaN gives 0 */
    if (isnan(v)) return 0;
    v = floor(v);
    return v < (double)INT32_MIN ? (double)INT32_MIN : v > (double)INT32_MAX ? (double)INT32_MAX : v + 0.0;
}
static double binary(fv_op op, bool is_int, double a, double b) {
    switch (op) {
    case FV_X_ADD: return a + b;
    case FV_X_SUB: return a - b;
    case FV_X_MUL: return is_int ? a * b + 0.0 : a * b;               /* an integer has no -0 */
    case FV_X_DIV: return a / b;
    case FV_X_FLOORDIV: case FV_X_EXACT: return is_int ? int_div(a, b) : floor(a / b);
    case FV_X_MOD: return is_int ? (b == 0 ? 0 : a - int_div(a, b) * b) : a - floor(a / b) * b;
    case FV_X_POW: return pow(a, b);
    case FV_X_MIN: return isnan(a) || isnan(b) ? (double)NAN : a < b ? a : b;
    case FV_X_MAX: return isnan(a) || isnan(b) ? (double)NAN : a > b ? a : b;
    case FV_X_LT: return a < b;
    case FV_X_LE: return a <= b;
    case FV_X_EQ: return a == b;
    case FV_X_NE: return a != b;
    case FV_X_AND: return a != 0 && b != 0;
    default: return a != 0 || b != 0;                                 /* OR */
    }
}
static double unary(fv_op op, bool is_int, double a) {
    switch (op) {
    case FV_X_NEG: return is_int ? 0 - a : -a;
    case FV_X_ABS: return fabs(a);
    case FV_X_NOT: return a == 0;
    case FV_X_FLOOR: return to_i32(a);
    case FV_X_ISNAN: return isnan(a);
    case FV_X_EXP: return exp(a);
    case FV_X_EXP2: return exp2(a);
    case FV_X_LOG: return log(a);
    case FV_X_LOG2: return log2(a);
    case FV_X_SIN: return sin(a);
    case FV_X_COS: return cos(a);
    case FV_X_SQRT: return sqrt(a);
    case FV_X_RSQRT: return 1 / sqrt(a);
    case FV_X_ERF: return erf(a);
    case FV_X_TANH: return tanh(a);
    case FV_X_SAFE: return a == -(double)INFINITY ? 0 : a;
    default: return a;                                                /* TOFLOAT, ANY, ALL, SPLAT and H* of one lane */
    }
}
double fv_apply(fv_op op, fv_type type, const double *arg) {
    bool is_int = type == FV_I32;
    if (op == FV_X_WHERE) return arg[0] != 0 ? arg[1] : arg[2];
    if (op == FV_X_FMA) return fma(arg[0], arg[1], arg[2]);
    return fv_op_arity(op) == 2 ? binary(op, is_int, arg[0], arg[1]) : unary(op, is_int, arg[0]);
}

/* Is e answered by the caller? Leaves that are no constants, reads, and vectors. */
static bool is_leaf(const fv_expr *e) {
    return e->op == FV_X_AXIS || e->op == FV_X_VAR || fv_op_arity(e->op) < 0 || e->op == FV_X_IOTA;
}
static bool is_constant(const fv_expr *e) { return e->op == FV_X_INT || e->op == FV_X_FLOAT; }
static double constant(const fv_expr *e) { return e->op == FV_X_INT ? (double)e->i : e->f; }

typedef struct { fv_leaf_fn *leaf; void *user; int left; } walk;
static double eval_small(walk *w, const fv_expr *e) {
    if (is_constant(e)) return constant(e);
    if (--w->left < 0) return 0;
    if (is_leaf(e)) return w->leaf(e, w->user);
    double v[3];
    if (e->op == FV_X_WHERE) return eval_small(w, eval_small(w, e->arg[0]) != 0 ? e->arg[1] : e->arg[2]);
    for (int j = 0; j < e->n; j++) v[j] = eval_small(w, e->arg[j]);
    return fv_apply(e->op, e->type, v);
}

/* -- With a memo -------------------------------------------------------------------------------------------------- */
static bool known(const fv_map *m, const fv_expr *e, double *v) {
    if (is_constant(e)) { *v = constant(e); return true; }
    const fv_map_slot *s = fv_map_find(m, e);
    if (s) *v = s->v.f;
    return s != NULL;
}
/* The value of e if its arguments are known, else the first argument that is missing. */
static const fv_expr *step(const walk *w, const fv_map *m, const fv_expr *e, double *out) {
    double v[3];
    if (known(m, e, out)) return NULL;
    if (is_leaf(e)) { *out = w->leaf(e, w->user); return NULL; }
    if (e->op == FV_X_WHERE) {
        if (!known(m, e->arg[0], v)) return e->arg[0];
        const fv_expr *branch = v[0] != 0 ? e->arg[1] : e->arg[2];
        return known(m, branch, out) ? NULL : branch;
    }
    for (int j = 0; j < e->n; j++) if (!known(m, e->arg[j], &v[j])) return e->arg[j];
    *out = fv_apply(e->op, e->type, v);
    return NULL;
}
static double eval_memo(const walk *w, const fv_expr *root) {
    fv_map m;
    size_t n = 0, cap = 256;
    const fv_expr **stack = malloc(cap * sizeof *stack);
    FV_ASSERT(stack, "out of memory");
    double v = 0;
    fv_map_init(&m);
    stack[n++] = root;
    while (n) {
        const fv_expr *next = step(w, &m, stack[n - 1], &v);
        if (!next) { fv_map_put(&m, stack[--n])->v.f = v; continue; }
        if (n == cap) {
            const fv_expr **more = realloc(stack, (cap *= 2) * sizeof *stack);
            FV_ASSERT(more, "out of memory");
            stack = more;
        }
        stack[n++] = next;
    }
    free(stack);
    fv_map_free(&m);
    return v;
}
double fv_eval(const fv_expr *e, fv_leaf_fn *leaf, void *user) {
    enum { SMALL = 400 };                              /* visits; also bounds the recursion */
    walk w = {leaf, user, SMALL};
    double v = eval_small(&w, e);
    return w.left >= 0 ? v : eval_memo(&w, e);
}
