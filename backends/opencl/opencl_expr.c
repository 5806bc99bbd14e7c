/* opencl_expr: expressions of flat kernels as OpenCL C. Invariant: a guarded or masked load is a conditional
 * expression, so nothing is read that must not be; a bool is an int that is 0 or 1; 16-bit floats are their bits until
 * CONVERT. */
#include "backends/opencl/text.h"

#include <math.h>

enum { P_WHERE = 1, P_OR, P_AND, P_EQ, P_LT, P_ADD, P_MUL, P_UNARY, P_PRIMARY };

const char *fv_cl_type(fv_type t) {
    switch (t) {
    case FV_F32: return "float";
    case FV_F64: return "double";
    case FV_F16: case FV_BF16: return "ushort";
    default: return "int";
    }
}
const char *fv_cl_storage(fv_type t) { return t == FV_BOOL ? "uchar" : fv_cl_type(t); }

static void put(fv_cl *p, const char *s) { fv_buf_puts(p->out, s); }
static void expr(fv_cl *p, const fv_expr *e, int above);

/* -- Constants --------------------------------------------------------------------------------- */
void fv_cl_float(fv_cl *p, const fv_expr *e) {
    char text[48];
    double v = e->type == FV_F64 ? e->f : (double)(float)e->f;
    const char *suffix = e->type == FV_F64 ? "" : "f";
    if ((e->type == FV_BF16 || e->type == FV_F16) && v == 0) { /* its bits: memory holds ushort */
        put(p, signbit(v) ? "0x8000" : "0");
        return;
    }
    if (e->type != FV_F64 && e->type != FV_F32) {
        fv_cl_fail(p, "a constant of type %s", fv_type_name(e->type));
        return;
    }
    if (v != v) {
        put(p, e->type == FV_F64 ? "(double)NAN" : "NAN");
        return;
    }
    if (isinf(v)) {
        fv_buf_printf(p->out, "%s%sINFINITY", v < 0 ? "-" : "", e->type == FV_F64 ? "(double)" : "");
        return;
    }
    snprintf(text, sizeof text, e->type == FV_F64 ? "%.17g" : "%.9g", v);
    bool dotted = false;
    for (const char *s = text; *s; s++) dotted |= *s == '.' || *s == 'e';
    fv_buf_printf(p->out, "%s%s%s", text, dotted ? "" : ".0", suffix);
}
static bool is_negative(const fv_expr *e) {
    return (e->op == FV_X_INT && e->i < 0) || (e->op == FV_X_FLOAT && signbit(e->f) && e->f == e->f);
}
static void put_int(fv_cl *p, const fv_expr *e) {
    if (e->i == INT32_MIN) put(p, "(-2147483647 - 1)");
    else fv_buf_printf(p->out, "%lld", (long long)e->i);
}

/* -- Memory ------------------------------------------------------------------------------------ */
void fv_cl_element(fv_cl *p, const fv_obj *ref, const fv_expr *offset) {
    const fv_memory *m = ref->kind == FV_OBJ_BUFFER ? (const fv_memory *)ref : NULL;
    if (m && m->space == FV_SPACE_FRAG) {
        fv_cl_sum(p, m, offset);
        return;
    }
    put(p, fv_cl_name_of(p, ref->name, true));
    if (m && m->space == FV_SPACE_REG) {
        if (m->count > 1) fv_buf_printf(p->out, "_r%lld", (long long)offset->i);
        return;
    }
    put(p, "[");
    expr(p, offset, 0);
    put(p, "]");
}
static void element(fv_cl *p, const fv_expr *e, const fv_expr *offset) {
    fv_cl_element(p, e->ref, offset);
    if (e->type == FV_BOOL) put(p, " != 0");
}
static void load(fv_cl *p, const fv_expr *e, int above) {
    bool wrap = (e->n == 3 && above >= P_WHERE) || (e->type == FV_BOOL && above > P_EQ);
    if (wrap) put(p, "(");
    if (e->n == 3 && e->i) {
        const fv_expr *offset = fv_add(p->ctx, e->arg[0], e->arg[1]);
        expr(p, e->arg[2], P_WHERE + 1);
        put(p, " ? ");
        element(p, e, offset);
        put(p, e->type == FV_F32 ? " : 0.0f" : " : 0");
    } else if (e->n == 3) {
        expr(p, e->arg[1], P_WHERE + 1);
        put(p, " ? ");
        element(p, e, e->arg[0]);
        put(p, " : ");
        expr(p, e->arg[2], P_WHERE);
    } else element(p, e, e->arg[0]);
    if (wrap) put(p, ")");
}

/* -- Calls ------------------------------------------------------------------------------------- */
static void call(fv_cl *p, const char *name, const fv_expr *e) {
    put(p, name);
    put(p, "(");
    for (int i = 0; i < e->n; i++) {
        if (i) put(p, ", ");
        expr(p, e->arg[i], 0);
    }
    put(p, ")");
}
static const char *convert_name(fv_type from, fv_type to) {
    if (to == FV_I32) return from == FV_F64 || from == FV_F32 ? "convert_int_sat_rtz" : NULL;
    if (to == FV_F16) return from == FV_F32 ? "fv_to_half" : NULL;
    if (to == FV_BF16) return from == FV_F32 ? "fv_to_bfloat" : NULL;
    if (from == FV_F16) return to == FV_F32 ? "fv_half" : NULL;
    if (from == FV_BF16) return to == FV_F32 ? "fv_bfloat" : NULL;
    return to == FV_F64 ? "convert_double" : to == FV_F32 ? "convert_float" : NULL;
}
const char *fv_cl_builtin(fv_op op) {
    switch (op) {
    case FV_X_POW: return "pow";
    case FV_X_EXP: return "exp";
    case FV_X_EXP2: return "exp2";
    case FV_X_LOG: return "log";
    case FV_X_LOG2: return "log2";
    case FV_X_SIN: return "sin";
    case FV_X_COS: return "cos";
    case FV_X_SQRT: return "sqrt";
    case FV_X_ERF: return "erf";
    case FV_X_TANH: return "tanh";
    case FV_X_FMA: return "fma";
    default: return NULL;
    }
}
/* Functions whose C name does not depend on types. */
static const char *function(fv_op op) {
    switch (op) {
    case FV_X_RSQRT: return "rsqrt";
    case FV_X_RINT: return "rint";
    case FV_X_ISNAN: return "isnan";
    case FV_X_FLOOR: return "fv_floor";
    case FV_X_SAFE: return "fv_safe";
    case FV_X_SCALEF: return "fv_scalef";
    case FV_X_MANTISSA: return "fv_mantissa";
    case FV_X_EXPONENT: return "fv_exponent";
    default: return fv_cl_builtin(op);
    }
}
static bool only_f32(fv_op op) { return op == FV_X_SAFE || op == FV_X_SCALEF || op == FV_X_MANTISSA
        || op == FV_X_EXPONENT; }

static bool not_negative(fv_cl *p, const fv_expr *e) { return fv_range_of(&p->facts, e).lo >= 0; }

/* -- Operators --------------------------------------------------------------------------------- */
typedef struct { int level; const char *text; } infix;
static infix infix_of(fv_cl *p, const fv_expr *e) {
    bool real = fv_type_is_float(e->type);
    switch (e->op) {
    case FV_X_ADD: return (infix){ P_ADD, " + " };
    case FV_X_SUB: return (infix){ P_ADD, " - " };
    case FV_X_MUL: return (infix){ P_MUL, " * " };
    case FV_X_DIV: return (infix){ P_MUL, " / " };
    case FV_X_FLOORDIV: case FV_X_MOD:
        if (real || !not_negative(p, e->arg[0]) || fv_range_of(&p->facts, e->arg[1]).lo <= 0) return (infix){ 0, NULL };
        return (infix){ P_MUL, e->op == FV_X_MOD ? " % " : " / " };
    case FV_X_LT: return (infix){ P_LT, " < " };
    case FV_X_LE: return (infix){ P_LT, " <= " };
    case FV_X_EQ: return (infix){ P_EQ, " == " };
    case FV_X_NE: return (infix){ P_EQ, " != " };
    case FV_X_AND: return (infix){ P_AND, " && " };
    case FV_X_OR: return (infix){ P_OR, " || " };
    default: return (infix){ 0, NULL };
    }
}
static void put_infix(fv_cl *p, const fv_expr *e, infix x, int above) {
    bool wrap = x.level < above;
    if (wrap) put(p, "(");
    expr(p, e->arg[0], x.level);
    put(p, x.text);
    expr(p, e->arg[1], x.level + 1);
    if (wrap) put(p, ")");
}
static void by_type(fv_cl *p, const fv_expr *e) {           /* functions named by type */
    bool real = fv_type_is_float(e->type);
    const char *name = NULL;
    if (e->op == FV_X_MIN) name = real ? "fv_min" : "min";
    else if (e->op == FV_X_MAX) name = real ? "fv_max" : "max";
    else if (e->op == FV_X_ABS) name = real ? "fabs" : "fv_abs";
    else if (e->op == FV_X_FLOORDIV) name = real ? "fv_ffloordiv" : "fv_floordiv";
    else if (e->op == FV_X_MOD) name = real ? "fv_fmod" : "fv_mod";
    if (!name || (real && e->type == FV_F64 && e->op != FV_X_ABS))
        fv_cl_fail(p, "'%s' of %s", fv_op_spelling(e->op), fv_type_name(e->type));
    else call(p, name, e);
}
static void other(fv_cl *p, const fv_expr *e, int above) {
    const char *name = function(e->op);
    bool wrap = above > P_UNARY || e->op == FV_X_NEG;
    if (name) {
        if (e->type == FV_F64 && only_f32(e->op)) fv_cl_fail(p, "'%s' of f64", fv_op_spelling(e->op));
        call(p, name, e);
        return;
    }
    switch (e->op) {
    case FV_X_CONVERT:
        name = e->type == e->arg[0]->type ? "" : convert_name(e->arg[0]->type, e->type);
        if (name) call(p, name, e);
        else fv_cl_fail(p, "conversion of %s to %s", fv_type_name(e->arg[0]->type), fv_type_name(e->type));
        return;
    case FV_X_NEG: case FV_X_NOT:
        if (wrap) put(p, "(");
        put(p, e->op == FV_X_NEG ? "-" : "!");
        expr(p, e->arg[0], P_PRIMARY);
        if (wrap) put(p, ")");
        return;
    case FV_X_TOFLOAT:
        fv_buf_printf(p->out, "(%s)", fv_cl_type(e->type));
        expr(p, e->arg[0], P_PRIMARY);
        return;
    case FV_X_WHERE:
        if (above >= P_WHERE) put(p, "(");
        expr(p, e->arg[0], P_WHERE + 1);
        put(p, " ? ");
        expr(p, e->arg[1], P_WHERE);
        put(p, " : ");
        expr(p, e->arg[2], P_WHERE);
        if (above >= P_WHERE) put(p, ")");
        return;
    default: by_type(p, e);
    }
}
static void expr(fv_cl *p, const fv_expr *e, int above) {
    infix x;
    if (p->failed) return;
    if (e->lanes != 1 && e->op != FV_X_INT) {
        fv_cl_fail(p, "a vector of %d lanes: OpenCL text is made of scalar code", e->lanes);
        return;
    }
    bool wrap = is_negative(e) && above >= P_ADD;
    if (wrap) put(p, "(");
    if (e->op == FV_X_INT) put_int(p, e);
    else if (e->op == FV_X_FLOAT) fv_cl_float(p, e);
    else if (e->op == FV_X_VAR) put(p, fv_cl_name_of(p, e->name, false));
    else if (e->op == FV_X_LOAD) load(p, e, above);
    else if (x = infix_of(p, e), x.text) put_infix(p, e, x, above);
    else other(p, e, above);
    if (wrap) put(p, ")");
}
void fv_cl_expr(fv_cl *p, const fv_expr *e) { expr(p, e, 0); }
