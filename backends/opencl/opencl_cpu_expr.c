/* opencl_cpu_expr: expressions of the CPU shape. Every operator's operands are primaries in the text: names, calls, or
 * in parentheses. A tree is a graph: what is used twice in a statement is bound first (fv_cl_cpu_share). */
#include "backends/opencl/cpu.h"

#include <math.h>

static void put(fv_cl *p, const char *s) { fv_buf_puts(p->out, s); }
static void expr(fv_cl *p, const fv_expr *e);

/* -- Types ------------------------------------------------------------------------------------- */
char fv_cl_cpu_code(fv_type t) {
    return t == FV_F32 ? 'f' : t == FV_F64 ? 'd' : t == FV_I32 ? 'i' : t == FV_BOOL ? 'b' : 'h';
}
void fv_cl_cpu_type(fv_cl *p, fv_type t, int lanes) {
    if (lanes == 1) put(p, t == FV_I32 ? "long" : fv_cl_type(t));
    else if (lanes == 2 || lanes == 4 || lanes == 8 || lanes == 16) fv_buf_printf(p->out, "%s%d", fv_cl_type(t), lanes);
    else fv_cl_fail(p, "a vector of %d lanes: OpenCL C has those of 2, 4, 8 and 16", lanes);
}
static void lanes_of(fv_cl *p, int lanes) { /* the end of a helper's name */
    if (lanes > 1) fv_buf_printf(p->out, "%d", lanes);
}

/* -- What is used more than once --------------------------------------------------------------- */
static fv_cl_node *node_of(fv_cl *p, const fv_expr *e) {
    for (int i = 0; i < p->n_nodes; i++)
        if (p->node[i].e == e) return &p->node[i];
    return NULL;
}
static bool is_leaf(const fv_expr *e) { return e->op == FV_X_INT || e->op == FV_X_FLOAT || e->op == FV_X_VAR; }
/* Components are taken of these operands, so that they must have names. */
static bool taken_apart(const fv_expr *e, int i) {
    return (e->op == FV_X_SHUFFLE && i < 2) || (e->op == FV_X_INSERT && i == 0) || (e->op == FV_X_EXTRACT && i == 0);
}
static bool note(const fv_expr *e, void *user) {
    fv_cl *p = user;
    if (node_of(p, e)) return false;
    for (int i = 0; i < e->n; i++) {
        fv_cl_node *a = node_of(p, e->arg[i]);
        if (a) a->uses += taken_apart(e, i) ? 2 : 1;
    }
    fv_cl_node n = {e, 0, NULL};
    fv_push(p->ctx, p->node, p->n_nodes, p->cap_nodes, n);
    return false;
}
static bool worth_a_name(const fv_expr *e) {
    return !is_leaf(e) && (e->lanes > 1 || fv_type_is_float(e->type) || e->ref || fv_expr_size(e) > 8);
}
void fv_cl_cpu_share(fv_cl *p, const fv_expr *const *root, int n) {
    p->n_nodes = 0;
    for (int i = 0; i < n; i++) {
        if (!root[i]) continue;
        fv_visit(root[i], note, p);
        fv_cl_node *r = node_of(p, root[i]);
        r->uses++;
    }
    for (int i = 0; i < p->n_nodes && !p->failed; i++) { /* arguments stand before what they are used in */
        fv_cl_node *a = &p->node[i];
        if (a->uses < 2 || !worth_a_name(a->e) || fv_cl_cpu_is_register(a->e)) continue;
        /* no text has a name with this character */
        const char *name = fv_cl_name_of(p, fv_internf(p->ctx, "\1%d", p->shared++), false);
        put(p, "const ");
        fv_cl_cpu_type(p, a->e->type, a->e->lanes);
        fv_buf_printf(p->out, " %s = ", name);
        expr(p, a->e);
        fv_buf_printf(p->out, ";\n%*s", 4 * p->indent, "");
        p->node[i].text = name;
    }
}

/* -- Constants --------------------------------------------------------------------------------- */
static void constant(fv_cl *p, const fv_expr *e) {
    if (e->op == FV_X_INT) {
        if (e->i < 0) fv_buf_printf(p->out, "(%lldL)", (long long)e->i);
        else fv_buf_printf(p->out, "%lld", (long long)e->i);
    } else if (e->type == FV_F16 || e->type == FV_BF16) {
        uint16_t bits = 0;
        fv_opencl_pack(e->type, &e->f, 1, &bits);
        fv_buf_printf(p->out, "(ushort)%u", (unsigned)bits);
    } else {
        bool wrap = signbit(e->f) || e->f != e->f;
        if (wrap) put(p, "(");
        fv_cl_float(p, e);
        if (wrap) put(p, ")");
    }
}
void fv_cl_cpu_value(fv_cl *p, const fv_expr *e, int lanes) {
    if (lanes == e->lanes) {
        expr(p, e);
        return;
    }
    if (e->lanes != 1) fv_cl_fail(p, "%d lanes where %d are wanted", e->lanes, lanes);
    put(p, "(");
    fv_cl_cpu_type(p, e->type, lanes);
    put(p, e->type == FV_I32 ? ")((int)(" : e->type == FV_BOOL ? ")(-(" : ")((");
    expr(p, e);
    put(p, "))");
}

/* -- Calls ------------------------------------------------------------------------------------- */
static void arguments(fv_cl *p, const fv_expr *e) {
    put(p, "(");
    for (int i = 0; i < e->n; i++) {
        if (i) put(p, ", ");
        expr(p, e->arg[i]);
    }
    put(p, ")");
}
static void helper(fv_cl *p, const char *name, const fv_expr *e, bool is_double) {
    put(p, name);
    if (is_double) put(p, "_d");
    lanes_of(p, e->lanes);
    arguments(p, e);
}
static const char *builtin(fv_op op) { return op == FV_X_RSQRT ? "1.0f / sqrt" : fv_cl_builtin(op); }
static const char *helper_of(const fv_expr *e) {
    bool real = fv_type_is_float(e->type);
    switch (e->op) {
    case FV_X_MIN: return real ? "fv_min" : "fv_imin";
    case FV_X_MAX: return real ? "fv_max" : "fv_imax";
    case FV_X_FLOORDIV: return real ? NULL : "fv_floordiv";
    case FV_X_MOD: return real ? NULL : "fv_mod";
    case FV_X_ABS: return real ? NULL : "fv_iabs";
    case FV_X_SAFE: return "fv_safe";
    case FV_X_FLOOR: return "fv_floor";
    case FV_X_SCALEF: return "fv_scalef";
    case FV_X_MANTISSA: return "fv_mantissa";
    case FV_X_EXPONENT: return "fv_exponent";
    default: return NULL;
    }
}
static bool f32_only(fv_op op) { return op == FV_X_SCALEF || op == FV_X_MANTISSA || op == FV_X_EXPONENT; }

static void to_float(fv_cl *p, const fv_expr *e) { /* of i32 or bool */
    const fv_expr *a = e->arg[0];
    if (e->lanes == 1) fv_buf_printf(p->out, "(%s)(", fv_cl_type(e->type));
    else put(p, a->type == FV_BOOL ? "FV_CONVERT(-" : "FV_CONVERT(");
    expr(p, a);
    if (e->lanes > 1) fv_buf_printf(p->out, ", %s%d", fv_cl_type(e->type), e->lanes);
    put(p, ")");
}
static void convert(fv_cl *p, const fv_expr *e) {
    const fv_expr *a = e->arg[0];
    fv_type from = a->type, to = e->type;
    bool half_from = from == FV_F16 || from == FV_BF16, half_to = to == FV_F16 || to == FV_BF16;
    const char *name = NULL;
    if (from == to) {
        expr(p, a);
        return;
    }
    if (half_from && to == FV_F32) name = from == FV_F16 ? "fv_half" : "fv_bfloat";
    else if (from == FV_F32 && half_to) name = to == FV_F16 ? "fv_to_half" : "fv_to_bfloat";
    else if (to == FV_I32 && (from == FV_F32 || from == FV_F64)) name = from == FV_F32 ? "fv_toint" : "fv_toint_d";
    if (name) helper(p, name, e, false);
    else if (half_from || half_to) fv_cl_fail(p, "conversion of %s to %s", fv_type_name(from), fv_type_name(to));
    else to_float(p, e);
}

/* -- Operators --------------------------------------------------------------------------------- */
static const char *infix_of(const fv_expr *e) {
    switch (e->op) {
    case FV_X_ADD: return " + ";
    case FV_X_SUB: return " - ";
    case FV_X_MUL: return " * ";
    case FV_X_DIV: return " / ";
    case FV_X_LT: return " < ";
    case FV_X_LE: return " <= ";
    case FV_X_EQ: return " == ";
    case FV_X_NE: return " != ";
    case FV_X_AND: return " & ";
    case FV_X_OR: return " | ";
    default: return NULL;
    }
}
static void infix(fv_cl *p, const fv_expr *e, const char *text) {
    bool wide = e->type == FV_BOOL && e->arg[0]->type == FV_F64 && e->lanes > 1;
    put(p, wide ? "FV_CONVERT(" : "(");
    expr(p, e->arg[0]);
    put(p, text);
    expr(p, e->arg[1]);
    if (wide) fv_buf_printf(p->out, ", int%d", e->lanes);
    put(p, ")");
}
/* // and % by what is known to be positive, of what is known not to be negative, or by a power of two */
static bool quotient(fv_cl *p, const fv_expr *e) {
    bool div = e->op == FV_X_FLOORDIV;
    int64_t n = 0;
    if ((!div && e->op != FV_X_MOD) || e->type != FV_I32) return false;
    const fv_expr *d = e->arg[1]->op == FV_X_SPLAT ? e->arg[1]->arg[0] : e->arg[1];
    if (fv_is_int(d, &n) && n > 0 && (n & (n - 1)) == 0) {
        int shift = 0;
        while ((INT64_C(1) << shift) < n) shift++;
        put(p, "(");
        expr(p, e->arg[0]);
        fv_buf_printf(p->out, div ? " >> %lld)" : " & %lld)", div ? (long long)shift : (long long)(n - 1));
        return true;
    }
    if (e->lanes != 1 || fv_range_of(&p->facts, e->arg[0]).lo < 0 || fv_range_of(&p->facts, e->arg[1]).lo <= 0)
        return false;
    put(p, "(");
    expr(p, e->arg[0]);
    put(p, div ? " / " : " % ");
    expr(p, e->arg[1]);
    put(p, ")");
    return true;
}
static void where(fv_cl *p, const fv_expr *e) {
    bool cast = e->lanes > 1 && e->type != FV_F32 && e->type != FV_I32 && e->type != FV_BOOL;
    put(p, cast ? "(FV_CONVERT(" : "(");
    expr(p, e->arg[0]);
    if (cast) fv_buf_printf(p->out, ", %s%d)", e->type == FV_F64 ? "long" : "short", e->lanes);
    put(p, " ? ");
    expr(p, e->arg[1]);
    put(p, " : ");
    expr(p, e->arg[2]);
    put(p, ")");
}
static void component(fv_cl *p, const fv_expr *vector, int64_t lane) {
    expr(p, vector);
    if (vector->lanes > 1) fv_buf_printf(p->out, ".s%llx", (long long)lane);
}
static void shuffle(fv_cl *p, const fv_expr *e) {
    int n = e->arg[0]->lanes;
    if (e->lanes > 1) {
        put(p, "(");
        fv_cl_cpu_type(p, e->type, e->lanes);
        put(p, ")(");
    }
    for (int i = 0; i < e->lanes; i++) {
        int64_t at = e->arg[i + 2]->i;
        if (i) put(p, ", ");
        component(p, e->arg[at >= n], at % n);
    }
    if (e->lanes > 1) put(p, ")");
}
static void insert(fv_cl *p, const fv_expr *e) {
    if (e->lanes == 1) {
        expr(p, e->arg[1]);
        return;
    }
    put(p, "(");
    fv_cl_cpu_type(p, e->type, e->lanes);
    put(p, ")(");
    for (int i = 0; i < e->lanes; i++) {
        if (i) put(p, ", ");
        if (i != e->arg[2]->i) component(p, e->arg[0], i);
        else {
            put(p, e->type == FV_I32 ? "(int)(" : e->type == FV_BOOL ? "-(" : "(");
            expr(p, e->arg[1]);
            put(p, ")");
        }
    }
    put(p, ")");
}
static void horizontal(fv_cl *p, const fv_expr *e) {
    const fv_expr *a = e->arg[0];
    if (a->lanes == 1) {
        expr(p, a);
        return;
    }
    if (e->op == FV_X_HANY) fv_buf_printf(p->out, "fv_any%d(", a->lanes);
    else
        fv_buf_printf(p->out, "fv_h%s_%c%d(",
                      e->op == FV_X_HSUM   ? "sum"
                      : e->op == FV_X_HMAX ? "max"
                                           : "min",
                      fv_cl_cpu_code(a->type), a->lanes);
    expr(p, a);
    put(p, ")");
}
static void iota(fv_cl *p, const fv_expr *e) {
    if (e->lanes == 1) {
        put(p, "0");
        return;
    }
    fv_buf_printf(p->out, "(int%d)(", e->lanes);
    for (int i = 0; i < e->lanes; i++) fv_buf_printf(p->out, i ? ", %d" : "%d", i);
    put(p, ")");
}
static void rounded(fv_cl *p, const fv_expr *e) { /* "floor(" a / b ")" of floats */
    bool vector = e->lanes > 1 && e->type == FV_F32;
    if (e->op == FV_X_MOD) {
        put(p, "(");
        expr(p, e->arg[0]);
        put(p, " - ");
        expr(p, e->arg[1]);
        put(p, " * ");
    }
    if (vector) fv_buf_printf(p->out, "fv_down%d(", e->lanes);
    else put(p, "floor(");
    expr(p, e->arg[0]);
    put(p, " / ");
    expr(p, e->arg[1]);
    put(p, e->op == FV_X_MOD ? "))" : ")");
}
static void by_form(fv_cl *p, const fv_expr *e) {
    const char *name = helper_of(e);
    bool real = fv_type_is_float(e->type),
         is_double = e->op == FV_X_FLOOR ? e->arg[0]->type == FV_F64 : e->type == FV_F64;
    if (name) {
        if (is_double && f32_only(e->op)) fv_cl_fail(p, "'%s' of f64", fv_op_spelling(e->op));
        helper(p, name, e, is_double);
    } else if ((name = builtin(e->op)) != NULL) {
        put(p, "(");
        put(p, name);
        arguments(p, e);
        put(p, ")");
    } else if (e->op == FV_X_ABS && (e->lanes == 1 || e->type == FV_F64)) {
        put(p, "fabs");
        arguments(p, e);
    } else if (e->op == FV_X_ABS) helper(p, "fv_abs", e, false);
    else if (e->op == FV_X_RINT && e->lanes > 1 && e->type == FV_F32) helper(p, "fv_rint", e, false);
    else if (e->op == FV_X_RINT) {
        put(p, "rint");
        arguments(p, e);
    } else if (real && (e->op == FV_X_FLOORDIV || e->op == FV_X_MOD)) rounded(p, e);
    else fv_cl_fail(p, "'%s' of %s", fv_op_spelling(e->op), fv_type_name(e->type));
}
static void operator(fv_cl *p, const fv_expr *e) {
    const char *text = infix_of(e);
    if (text) {
        infix(p, e, text);
        return;
    }
    if (quotient(p, e)) return;
    switch (e->op) {
    case FV_X_NEG:
        put(p, "(-");
        expr(p, e->arg[0]);
        put(p, ")");
        return;
    case FV_X_NOT:
        put(p, e->lanes > 1 ? "(~" : "(!");
        expr(p, e->arg[0]);
        put(p, ")");
        return;
    case FV_X_WHERE: where(p, e); return;
    case FV_X_TOFLOAT: to_float(p, e); return;
    case FV_X_CONVERT: convert(p, e); return;
    case FV_X_ISNAN:
        put(p, e->lanes > 1 && e->arg[0]->type == FV_F64 ? "FV_CONVERT(isnan(" : "isnan(");
        expr(p, e->arg[0]);
        if (e->lanes > 1 && e->arg[0]->type == FV_F64) fv_buf_printf(p->out, "), int%d)", e->lanes);
        else put(p, ")");
        return;
    case FV_X_SPLAT: fv_cl_cpu_value(p, e->arg[0], e->lanes); return;
    case FV_X_IOTA: iota(p, e); return;
    case FV_X_HSUM:
    case FV_X_HMAX:
    case FV_X_HMIN:
    case FV_X_HANY: horizontal(p, e); return;
    case FV_X_SHUFFLE: shuffle(p, e); return;
    case FV_X_EXTRACT: component(p, e->arg[0], e->arg[1]->i); return;
    case FV_X_INSERT: insert(p, e); return;
    default: by_form(p, e);
    }
}
static void expr(fv_cl *p, const fv_expr *e) {
    if (p->failed) return;
    const fv_cl_node *n = node_of(p, e);
    if (n && n->text) put(p, n->text);
    else if (e->op == FV_X_VAR) put(p, fv_cl_name_of(p, e->name, false));
    else if ((e->op == FV_X_INT || e->op == FV_X_FLOAT) && e->lanes == 1) constant(p, e);
    else if (e->op == FV_X_LOAD || e->op == FV_X_PERMLOAD || e->op == FV_X_GATHER) fv_cl_cpu_load(p, e);
    else operator(p, e);
}
void fv_cl_cpu_expr(fv_cl *p, const fv_expr *e) { expr(p, e); }
