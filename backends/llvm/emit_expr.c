/* emit_expr: trees to values: the memo, hoisting of integer scalars, operand conversion, and the operators that are
 * neither arithmetic nor memory. Invariant: the builder stands at the end of the block being emitted before and
 * after. */
#include "backends/llvm/emit.h"

static bool is_int(fv_type t) {
    return t == FV_I32 || t == FV_BOOL;
}

static fv_emitted nothing(fv_emit *e, const fv_expr *x) {
    return (fv_emitted){ LLVMGetPoison(fv_emit_type(e, x->type, x->lanes)), e->n_scopes - 1, false };
}

static LLVMValueRef widen(fv_emit *e, LLVMValueRef v, fv_type t, int lanes) {
    if (t == FV_I32) v = LLVMBuildTrunc(e->b, v, e->i32, "");
    return fv_emit_splat(e, v, lanes);
}

/* An emitted operand brought to a type and number of lanes; the builder stands where that is wanted. */
static LLVMValueRef fit(fv_emit *e, const fv_expr *x, LLVMValueRef v, fv_type t, int lanes) {
    v = fv_emit_convert(e, v, x->type, t, x->lanes);
    if (x->lanes == lanes) return v;
    if (x->lanes != 1) {
        fv_emit_fail(e, "an operand of '%s' has %d lanes where %d are wanted", fv_op_spelling(x->op), x->lanes, lanes);
        return LLVMGetPoison(fv_emit_type(e, t, lanes));
    }
    return widen(e, v, t, lanes);
}

LLVMValueRef fv_emit_as(fv_emit *e, const fv_expr *x, fv_type t, int lanes) {
    LLVMValueRef v = fv_emit_value(e, x);
    return fit(e, x, v, t, lanes);
}

LLVMValueRef fv_emit_value(fv_emit *e, const fv_expr *x) {
    return fv_emit_expr(e, x).v;
}

/* -- Sums of integer scalars: outer terms first, so that what an inner loop adds is least ------ */
enum { MAX_SUM = 48 };
typedef struct { fv_emitted term[MAX_SUM]; int n; int64_t constant; } sum;

static bool is_sum(const fv_expr *x) {
    return x->op == FV_X_ADD && x->type == FV_I32 && x->lanes == 1;
}

static void collect(fv_emit *e, const fv_expr *x, sum *s, int room) {
    if (x->op == FV_X_INT) s->constant += x->i;
    else if (is_sum(x) && s->n + 2 <= room) {
        collect(e, x->arg[0], s, room - 1);
        collect(e, x->arg[1], s, room);
    } else {
        fv_emitted t = fv_emit_expr(e, x);
        if (x->type == FV_BOOL) t.v = LLVMBuildZExt(e->b, t.v, e->i64, ""), t.level = e->n_scopes - 1;
        s->term[s->n++] = t;
    }
}

static void sort_by_level(sum *s) {
    for (int i = 1; i < s->n; i++) {
        fv_emitted t = s->term[i];
        int j = i;
        for (; j > 0 && s->term[j - 1].level > t.level; j--) s->term[j] = s->term[j - 1];
        s->term[j] = t;
    }
}

static fv_emitted emit_sum(fv_emit *e, const fv_expr *x) {
    sum s = { .n = 0 };
    collect(e, x, &s, MAX_SUM);
    sort_by_level(&s);
    if (!s.n) return (fv_emitted){ fv_emit_int(e, s.constant), 0, false };
    fv_emitted r = s.term[0];
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    for (int i = 1; i < s.n; i++) {
        fv_emit_at_level(e, s.term[i].level);
        r.v = LLVMBuildNSWAdd(e->b, r.v, s.term[i].v, "");
        r.level = s.term[i].level;
        r.reads |= s.term[i].reads;
        fv_emit_back(e, here);
    }
    fv_emit_at_level(e, r.level);
    if (s.constant) r.v = LLVMBuildNSWAdd(e->b, r.v, fv_emit_int(e, s.constant), "");
    fv_emit_back(e, here);
    return r;
}

/* -- Operators --------------------------------------------------------------------------------- */
static fv_type common_type(const fv_expr *a, const fv_expr *b) {
    if (a->type == FV_F64 || b->type == FV_F64) return FV_F64;
    if (!is_int(a->type) || !is_int(b->type)) return FV_F32;
    return a->type == FV_BOOL && b->type == FV_BOOL ? FV_BOOL : FV_I32;
}

static fv_type float_of(fv_type t) {
    return t == FV_F64 ? FV_F64 : FV_F32;
}

/* The type that operand i of x is wanted in. */
static fv_type operand_type(const fv_expr *x, int i) {
    switch (x->op) {
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE: return common_type(x->arg[0], x->arg[1]);
    case FV_X_AND: case FV_X_OR: case FV_X_NOT: case FV_X_HANY: return FV_BOOL;
    case FV_X_WHERE: return i ? x->type : FV_BOOL;
    case FV_X_FLOOR: case FV_X_ISNAN: return float_of(x->arg[0]->type);
    case FV_X_EXTRACT: case FV_X_INSERT: return i == x->n - 1 ? FV_I32 : x->type;
    case FV_X_SHUFFLE: return i < 2 ? x->type : FV_I32;
    case FV_X_DOT2: return i < 2 ? FV_BF16 : FV_F32;
    case FV_X_TOFLOAT: case FV_X_CONVERT: return x->arg[0]->type;
    default: return x->type;
    }
}

static int operand_lanes(const fv_expr *x, int i) {
    switch (x->op) {
    case FV_X_SPLAT: return 1;
    case FV_X_HSUM: case FV_X_HMAX: case FV_X_HMIN: case FV_X_HANY: case FV_X_SHUFFLE: case FV_X_EXTRACT:
    case FV_X_DOT2:
        return x->arg[i]->lanes;
    case FV_X_INSERT: return i == 0 ? x->lanes : 1;
    default: return x->lanes;
    }
}

static LLVMValueRef emit_shuffle(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    int index[64], lanes = x->arg[0]->lanes;
    if (x->n - 2 != x->lanes || x->arg[1]->lanes != lanes || lanes == 1) {
        fv_emit_fail(e, "a shuffle of %d and %d lanes to %d with %d indices", lanes, x->arg[1]->lanes, x->lanes,
                     x->n - 2);
        return nothing(e, x).v;
    }
    for (int i = 0; i < x->lanes; i++) {
        int64_t at = -1;
        bool good = fv_is_int(x->arg[i + 2], &at) && at >= 0 && at < 2 * lanes;
        if (!good) fv_emit_fail(e, "a shuffle index is not a constant in range");
        index[i] = (int)at;
    }
    if (e->failed) return nothing(e, x).v;
    if (x->lanes == 1) {
        LLVMValueRef r = LLVMBuildExtractElement(e->b, v[index[0] >= lanes], fv_emit_int(e, index[0] % lanes), "");
        return x->type == FV_I32 ? LLVMBuildSExt(e->b, r, e->i64, "") : r;
    }
    return fv_emit_shuffle(e, v[0], v[1], index, x->lanes);
}

static LLVMValueRef emit_lane(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    if (x->op == FV_X_EXTRACT) {
        if (x->arg[0]->lanes == 1) return v[0];
        LLVMValueRef r = LLVMBuildExtractElement(e->b, v[0], v[1], "");
        return x->type == FV_I32 ? LLVMBuildSExt(e->b, r, e->i64, "") : r;
    }
    if (x->lanes == 1) return v[1];
    LLVMValueRef s = x->type == FV_I32 ? LLVMBuildTrunc(e->b, v[1], e->i32, "") : v[1];
    return LLVMBuildInsertElement(e->b, v[0], s, v[2], "");
}

static LLVMValueRef emit_iota(fv_emit *e, const fv_expr *x) {
    LLVMValueRef all[64];
    if (x->lanes == 1) return fv_emit_int(e, 0);
    for (int i = 0; i < x->lanes; i++) all[i] = LLVMConstInt(e->i32, (unsigned long long)i, 0);
    LLVMValueRef v = LLVMConstVector(all, (unsigned)x->lanes);
    return fv_emit_convert(e, v, FV_I32, x->type, x->lanes);
}

/* v: operands in the wanted types. */
static LLVMValueRef apply(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    switch (x->op) {
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE:
        return fv_emit_compare(e, x->op, fv_type_is_float(operand_type(x, 0)), v[0], v[1]);
    case FV_X_AND: return LLVMBuildAnd(e->b, v[0], v[1], "");
    case FV_X_OR: return LLVMBuildOr(e->b, v[0], v[1], "");
    case FV_X_NOT: return LLVMBuildNot(e->b, v[0], "");
    case FV_X_WHERE: return LLVMBuildSelect(e->b, v[0], v[1], v[2], "");
    case FV_X_ISNAN: return LLVMBuildFCmp(e->b, LLVMRealUNO, v[0], v[0], "");
    case FV_X_TOFLOAT: case FV_X_CONVERT: return fv_emit_convert(e, v[0], x->arg[0]->type, x->type, x->lanes);
    case FV_X_SPLAT: return x->lanes == 1 ? v[0] : widen(e, v[0], x->type, x->lanes);
    case FV_X_IOTA: return emit_iota(e, x);
    case FV_X_HSUM: case FV_X_HMAX: case FV_X_HMIN: case FV_X_HANY: return fv_emit_reduce(e, x, v[0]);
    case FV_X_SHUFFLE: return emit_shuffle(e, x, v);
    case FV_X_EXTRACT: case FV_X_INSERT: return emit_lane(e, x, v);
    case FV_X_FLOOR: return fv_emit_float_op(e, x, v);
    default: break;
    }
    if (x->type == FV_BOOL) {
        fv_emit_fail(e, "'%s' gives no bool", fv_op_spelling(x->op));
        return nothing(e, x).v;
    }
    return x->type == FV_I32 ? fv_emit_int_op(e, x, v) : fv_emit_float_op(e, x, v);
}

/* Pure arithmetic of integer scalars may run earlier than it stands: it cannot trap. */
static bool hoistable(const fv_expr *x) {
    if (x->lanes != 1 || !is_int(x->type) || x->op < FV_X_ADD || x->op > FV_X_WHERE) return false;
    for (int i = 0; i < x->n; i++)
        if (x->arg[i]->lanes != 1 || !is_int(x->arg[i]->type)) return false;
    return true;
}

static fv_emitted emit_operator(fv_emit *e, const fv_expr *x) {
    enum { MAX_ARGS = 66 };
    LLVMValueRef v[MAX_ARGS];
    if (x->n > MAX_ARGS) {
        fv_emit_fail(e, "'%s' has %d operands", fv_op_spelling(x->op), x->n);
        return nothing(e, x);
    }
    fv_emitted r = { NULL, 0, false };
    for (int i = 0; i < x->n; i++) {
        fv_emitted a = fv_emit_expr(e, x->arg[i]);
        v[i] = a.v;
        r.reads |= a.reads;
        if (a.level > r.level) r.level = a.level;
    }
    if (!hoistable(x)) r.level = e->n_scopes - 1;
    LLVMBasicBlockRef here = fv_emit_at_level(e, r.level);
    for (int i = 0; i < x->n && !e->failed; i++)
        v[i] = fit(e, x->arg[i], v[i], operand_type(x, i), operand_lanes(x, i));
    r.v = e->failed ? nothing(e, x).v : apply(e, x, v);
    fv_emit_back(e, here);
    return r;
}

static fv_emitted emit_new(fv_emit *e, const fv_expr *x) {
    switch (x->op) {
    case FV_X_LOAD: case FV_X_PERMLOAD: case FV_X_GATHER: return fv_emit_load(e, x);
    case FV_X_READ: case FV_X_AXIS: case FV_X_EXACT: case FV_X_ANY: case FV_X_ALL:
        fv_emit_fail(e, "'%s' does not belong in a flat kernel",
                     x->op == FV_X_READ ? "read" : x->op == FV_X_AXIS ? "axis" : fv_op_spelling(x->op));
        return nothing(e, x);
    default: return is_sum(x) ? emit_sum(e, x) : emit_operator(e, x);
    }
}

static fv_emitted emit_variable(fv_emit *e, const fv_expr *x) {
    const fv_emit_var *v = fv_emit_var_of(e, x->name);
    bool same = v && LLVMTypeOf(v->value) == fv_emit_type(e, x->type, x->lanes);
    if (same) return (fv_emitted){ v->value, v->level, false };
    fv_emit_fail(e, v ? "'%s' is used with another type than it was bound with" : "'%s' is not bound",
                 fv_cstr(e->k->ctx, x->name));
    return nothing(e, x);
}

fv_emitted fv_emit_expr(fv_emit *e, const fv_expr *x) {
    bool sane = x->lanes >= 1 && x->lanes <= 64;
    if (!sane) fv_emit_fail(e, "a vector of %d lanes", x->lanes);
    if (e->failed) return (fv_emitted){ LLVMGetPoison(fv_emit_type(e, x->type, sane ? x->lanes : 1)), 0, false };
    if (x->op == FV_X_VAR) return emit_variable(e, x);
    if (x->op == FV_X_INT) {
        LLVMValueRef c = x->type == FV_BOOL ? LLVMConstInt(e->i1, x->i != 0, 0) : fv_emit_int(e, x->i);
        return (fv_emitted){ x->lanes == 1 ? c : widen(e, c, x->type, x->lanes), 0, false };
    }
    if (x->op == FV_X_FLOAT) {
        LLVMValueRef c = x->type == FV_F64 ? LLVMConstReal(e->f64, x->f) : LLVMConstReal(e->f32, (double)(float)x->f);
        c = fv_emit_convert(e, c, float_of(x->type), x->type, 1);
        return (fv_emitted){ fv_emit_splat(e, c, x->lanes), 0, false };
    }
    const fv_emit_memo *known = fv_emit_recall(e, x);
    if (known) return (fv_emitted){ known->value, known->level, known->reads };
    if (e->depth >= FV_EMIT_MAX_DEPTH) {
        fv_emit_fail(e, "an expression is more than %d operators deep", FV_EMIT_MAX_DEPTH);
        return nothing(e, x);
    }
    e->depth++;
    fv_emitted r = emit_new(e, x);
    e->depth--;
    if (!e->failed) fv_emit_remember(e, x, r);
    return r;
}
