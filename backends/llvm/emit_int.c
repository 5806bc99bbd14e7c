/* emit_int: integer arithmetic and comparisons. Quotients and remainders round to minus infinity; by 0 they are 0. */
#include "backends/llvm/emit.h"

static LLVMValueRef zero_of(LLVMValueRef v) {
    return LLVMConstNull(LLVMTypeOf(v));
}

LLVMValueRef fv_emit_compare(fv_emit *e, fv_op op, bool is_float, LLVMValueRef a, LLVMValueRef b) {
    if (is_float) {
        LLVMRealPredicate p = op == FV_X_LT ? LLVMRealOLT : op == FV_X_LE ? LLVMRealOLE
                            : op == FV_X_EQ ? LLVMRealOEQ : LLVMRealUNE;
        return LLVMBuildFCmp(e->b, p, a, b, "");
    }
    LLVMIntPredicate p = op == FV_X_LT ? LLVMIntSLT : op == FV_X_LE ? LLVMIntSLE
                       : op == FV_X_EQ ? LLVMIntEQ : LLVMIntNE;
    return LLVMBuildICmp(e->b, p, a, b, "");
}

static LLVMValueRef minmax(fv_emit *e, const char *intrinsic, LLVMValueRef *v) {
    LLVMTypeRef t = LLVMTypeOf(v[0]);
    return fv_emit_call(e, intrinsic, &t, 1, v, 2);
}

/* A positive constant divisor, also under a splat; 0: not one. */
static int64_t constant_divisor(const fv_expr *d) {
    if (d->op == FV_X_SPLAT) d = d->arg[0];
    return d->op == FV_X_INT && d->i > 0 ? d->i : 0;
}

/* floor of a / b, and a - b * that: from the truncated quotient, one less where the remainder's sign differs from the
 * divisor's. */
static LLVMValueRef floored(fv_emit *e, bool want_quotient, LLVMValueRef a, LLVMValueRef b, bool divisor_may_be_zero) {
    LLVMTypeRef t = LLVMTypeOf(a);
    LLVMValueRef zero = zero_of(a);
    LLVMValueRef one = t == e->i64 ? fv_emit_int(e, 1) : fv_emit_const_i32(e, 1, (int)LLVMGetVectorSize(t));
    LLVMValueRef is_zero = divisor_may_be_zero ? LLVMBuildICmp(e->b, LLVMIntEQ, b, zero, "") : NULL;
    /* Frozen, since LLVM 19 divides by each arm of a select by itself, and drops the arm in which any lane is 0. */
    LLVMValueRef safe = is_zero ? LLVMBuildFreeze(e->b, LLVMBuildSelect(e->b, is_zero, one, b, ""), "") : b;
    LLVMValueRef q = LLVMBuildSDiv(e->b, a, safe, "");
    LLVMValueRef r = LLVMBuildSub(e->b, a, LLVMBuildMul(e->b, q, safe, ""), "");
    LLVMValueRef differs = LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildXor(e->b, r, safe, ""), zero, "");
    LLVMValueRef off = LLVMBuildAnd(e->b, differs, LLVMBuildICmp(e->b, LLVMIntNE, r, zero, ""), "");
    LLVMValueRef v = want_quotient ? LLVMBuildSelect(e->b, off, LLVMBuildSub(e->b, q, one, ""), q, "")
                                   : LLVMBuildSelect(e->b, off, LLVMBuildAdd(e->b, r, safe, ""), r, "");
    return is_zero ? LLVMBuildSelect(e->b, is_zero, zero, v, "") : v;
}

static LLVMValueRef divmod(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    bool quotient = x->op == FV_X_FLOORDIV;
    int64_t d = constant_divisor(x->arg[1]);
    if (d && (d & (d - 1)) == 0) {
        int shift = 0;
        while ((INT64_C(1) << shift) < d) shift++;
        LLVMTypeRef t = LLVMTypeOf(v[0]);
        bool vector = t != e->i64;
        int64_t n = quotient ? shift : d - 1;
        LLVMValueRef c = vector ? fv_emit_const_i32(e, n, x->lanes) : fv_emit_int(e, n);
        return quotient ? LLVMBuildAShr(e->b, v[0], c, "") : LLVMBuildAnd(e->b, v[0], c, "");
    }
    fv_range a = fv_emit_range(e, x->arg[0]), b = fv_emit_range(e, x->arg[1]);
    if (x->lanes == 1 && a.lo >= 0 && b.lo > 0)
        return quotient ? LLVMBuildUDiv(e->b, v[0], v[1], "") : LLVMBuildURem(e->b, v[0], v[1], "");
    return floored(e, quotient, v[0], v[1], !d && b.lo <= 0 && b.hi >= 0);
}

LLVMValueRef fv_emit_int_op(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    switch (x->op) {
    case FV_X_ADD: return LLVMBuildNSWAdd(e->b, v[0], v[1], "");
    case FV_X_SUB: return LLVMBuildNSWSub(e->b, v[0], v[1], "");
    case FV_X_MUL: return LLVMBuildNSWMul(e->b, v[0], v[1], "");
    case FV_X_FLOORDIV: case FV_X_MOD: return divmod(e, x, v);
    case FV_X_MIN: return minmax(e, "llvm.smin", v);
    case FV_X_MAX: return minmax(e, "llvm.smax", v);
    case FV_X_NEG: return LLVMBuildNSWNeg(e->b, v[0], "");
    case FV_X_ABS: {
        LLVMValueRef negative = LLVMBuildICmp(e->b, LLVMIntSLT, v[0], zero_of(v[0]), "");
        return LLVMBuildSelect(e->b, negative, LLVMBuildNSWNeg(e->b, v[0], ""), v[0], "");
    }
    default:
        fv_emit_fail(e, "'%s' of integers cannot be emitted", fv_op_spelling(x->op));
        return LLVMGetPoison(fv_emit_type(e, x->type, x->lanes));
    }
}
