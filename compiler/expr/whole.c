/* What f32 does to an expression: how many of its operations round, and whether whole numbers stay whole: see expr.h.
 */
#include "expr/expr.h"

#include <math.h>

static bool count_float(const fv_expr *e, void *user) {
    if (fv_op_arity(e->op) > 0 && fv_type_is_float(e->type)) ++*(double *)user;
    return false;
}
double fv_float_operations(const fv_expr *e) {
    double n = 0;
    if (e) fv_visit(e, count_float, &n);
    return n;
}

/* Of operand i. */
static double of(const fv_expr *e, int i, fv_whole_leaf *leaf, void *user) {
    return fv_whole_magnitude(e->arg[i], leaf, user);
}
double fv_whole_magnitude(const fv_expr *e, fv_whole_leaf *leaf, void *user) {
    if (!e) return 0;
    double m = HUGE_VAL;
    switch (e->op) {
    case FV_X_FLOAT: m = floor(e->f) == e->f ? fabs(e->f) : HUGE_VAL; break;
    case FV_X_INT: m = fabs((double)e->i); break;
    case FV_X_READ:
    case FV_X_TOFLOAT: m = leaf(e, user); break;
    case FV_X_NEG:
    case FV_X_ABS:
    case FV_X_NOT: m = of(e, 0, leaf, user); break;
    case FV_X_ADD:
    case FV_X_SUB: m = of(e, 0, leaf, user) + of(e, 1, leaf, user); break;
    case FV_X_MUL: m = of(e, 0, leaf, user) * of(e, 1, leaf, user); break;
    case FV_X_MIN:
    case FV_X_MAX: m = fmax(of(e, 0, leaf, user), of(e, 1, leaf, user)); break;
    case FV_X_WHERE:
        if (of(e, 0, leaf, user) != HUGE_VAL) m = fmax(of(e, 1, leaf, user), of(e, 2, leaf, user));
        break;
    case FV_X_LT:
    case FV_X_LE:
    case FV_X_EQ:
    case FV_X_NE:
    case FV_X_AND:
    case FV_X_OR: m = of(e, 0, leaf, user) != HUGE_VAL && of(e, 1, leaf, user) != HUGE_VAL ? 1 : HUGE_VAL; break;
    default: break;
    }
    if (m >= FV_WHOLE_LIMIT && !fv_type_is_float(e->type) && e->op != FV_X_READ) { /* coordinates have no roundings */
        fv_range r = fv_range_of(NULL, e);
        if (e->type == FV_BOOL) m = 1;
        else if (r.lo > -FV_WHOLE_LIMIT && r.hi < FV_WHOLE_LIMIT) m = fmax(fabs((double)r.lo), fabs((double)r.hi));
    }
    return m < FV_WHOLE_LIMIT ? m : HUGE_VAL;
}
