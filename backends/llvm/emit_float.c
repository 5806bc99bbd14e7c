/* emit_float: arithmetic of f32 and f64. Products and sums may contract to FMA; nothing else is relaxed. MIN and MAX
 * give NaN if either operand is one. What flat_math leaves (f64 functions) becomes calls of the C library, lane by
 * lane. */
#include "backends/llvm/emit.h"

#include <math.h>

static LLVMValueRef unary(fv_emit *e, const char *intrinsic, LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    return fv_emit_call(e, intrinsic, &t, 1, &v, 1);
}

/* -- MIN and MAX ------------------------------------------------------------------------------- */
/* select(a > b, a, b) is one instruction on x86 (vmaxps), which gives b when they are unordered: right unless a alone
 * is a NaN. */
LLVMValueRef fv_emit_float_minmax(fv_emit *e, bool max, LLVMValueRef a, LLVMValueRef b, bool a_number, bool b_number) {
    LLVMTypeRef t = LLVMTypeOf(a);
    if (e->m->neon) {
        LLVMValueRef arg[2] = { a, b };
        return fv_emit_call(e, max ? "llvm.maximum" : "llvm.minimum", &t, 1, arg, 2);
    }
    if (b_number && !a_number) {
        LLVMValueRef swap = a;
        a = b;
        b = swap;
        a_number = true;
    }
    LLVMValueRef r = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, max ? LLVMRealOGT : LLVMRealOLT, a, b, ""), a, b, "");
    if (a_number) return r;
    return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealORD, a, a, ""), r, a, "");
}

/* Is this never a NaN? */
static bool is_number(const fv_expr *x) {
    switch (x->op) {
    case FV_X_FLOAT: return !isnan(x->f);
    case FV_X_TOFLOAT: return true;
    case FV_X_CONVERT: return x->arg[0]->type == FV_I32 || x->arg[0]->type == FV_BOOL;
    case FV_X_SPLAT: return is_number(x->arg[0]);
    default: return false;
    }
}

/* -- Rounding and exponents -------------------------------------------------------------------- */
/* To the nearest whole number, ties to even. Without the instruction (SSE2): adding 2^23 with the sign of v and taking
 * it away leaves just that. */
static LLVMValueRef nearest(fv_emit *e, const fv_expr *x, LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    if (x->type != FV_F32 || e->m->avx2 || e->m->neon) return unary(e, "llvm.roundeven", v);
    LLVMValueRef limit = fv_emit_const_f32(e, 8388608.0, x->lanes), pair[2] = { limit, v };
    LLVMValueRef magic = fv_emit_call(e, "llvm.copysign", &t, 1, pair, 2);
    LLVMValueRef r = LLVMBuildFSub(e->b, LLVMBuildFAdd(e->b, v, magic, ""), magic, "");
    LLVMValueRef small = LLVMBuildFCmp(e->b, LLVMRealOLT, unary(e, "llvm.fabs", v), limit, "");
    return LLVMBuildSelect(e->b, small, r, v, "");
}

static LLVMValueRef bits_op(fv_emit *e, const fv_expr *x, LLVMValueRef v) {
    int n = x->lanes;
    if (x->type != FV_F32) {
        fv_emit_fail(e, "'%s' is of f32 only", fv_op_spelling(x->op));
        return v;
    }
    LLVMValueRef b = LLVMBuildBitCast(e->b, v, fv_emit_vector_of(e->i32, n), "");
    if (x->op == FV_X_MANTISSA) {
        b = LLVMBuildAnd(e->b, b, fv_emit_const_i32(e, 0x7fffff, n), "");
        b = LLVMBuildOr(e->b, b, fv_emit_const_i32(e, 0x3f800000, n), "");
        return LLVMBuildBitCast(e->b, b, LLVMTypeOf(v), "");
    }
    b = LLVMBuildSub(e->b, LLVMBuildLShr(e->b, b, fv_emit_const_i32(e, 23, n), ""), fv_emit_const_i32(e, 127, n), "");
    return LLVMBuildSIToFP(e->b, b, LLVMTypeOf(v), "");
}

static LLVMValueRef fma3(fv_emit *e, LLVMValueRef *v) {
    LLVMTypeRef t = LLVMTypeOf(v[0]);
    if (e->m->fma) return fv_emit_call(e, "llvm.fma", &t, 1, v, 3);
    return LLVMBuildFAdd(e->b, LLVMBuildFMul(e->b, v[0], v[1], ""), v[2], "");
}

/* Pairs of bf16 as one i32 in each lane of the result. */
static LLVMValueRef pairs(fv_emit *e, LLVMValueRef v, int in, int lanes) {
    if (in == 2 && lanes > 1) {
        v = LLVMBuildBitCast(e->b, v, e->i32, "");
        return fv_emit_splat(e, v, lanes);
    }
    return LLVMBuildBitCast(e->b, v, fv_emit_vector_of(e->i32, lanes), "");
}
static LLVMValueRef half_of_pairs(fv_emit *e, LLVMValueRef v, bool second, int lanes) {
    v = second ? LLVMBuildAnd(e->b, v, fv_emit_const_i32(e, (int64_t)0xffff0000, lanes), "")
               : LLVMBuildShl(e->b, v, fv_emit_const_i32(e, 16, lanes), "");
    return LLVMBuildBitCast(e->b, v, fv_emit_vector_of(e->f32, lanes), "");
}
static LLVMValueRef dot2(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    LLVMValueRef p[2];
    for (int i = 0; i < 2; i++) p[i] = pairs(e, v[i], x->arg[i]->lanes, x->lanes);
    if (e->m->bf16 && (x->lanes == 4 || x->lanes == 8 || x->lanes == 16)) {
        LLVMTypeRef t = LLVMVectorType(LLVMBFloatTypeInContext(e->c), 2 * (unsigned)x->lanes);
        LLVMValueRef arg[3] = {v[2], LLVMBuildBitCast(e->b, p[0], t, ""), LLVMBuildBitCast(e->b, p[1], t, "")};
        return fv_emit_call(e, x->lanes == 16  ? "llvm.x86.avx512bf16.dpbf16ps.512"
                               : x->lanes == 8 ? "llvm.x86.avx512bf16.dpbf16ps.256"
                                               : "llvm.x86.avx512bf16.dpbf16ps.128", NULL, 0, arg, 3);
    }
    LLVMValueRef sum = v[2];
    for (int i = 0; i < 2; i++) {
        LLVMValueRef arg[3] = {half_of_pairs(e, p[0], i, x->lanes), half_of_pairs(e, p[1], i, x->lanes), sum};
        sum = fma3(e, arg);
    }
    return sum;
}

static LLVMValueRef floored_quotient(fv_emit *e, LLVMValueRef *v) {
    return unary(e, "llvm.floor", LLVMBuildFDiv(e->b, v[0], v[1], ""));
}

/* -- The C library ----------------------------------------------------------------------------- */
static const char *library_name(fv_op op) {
    switch (op) {
    case FV_X_EXP: return "exp";
    case FV_X_EXP2: return "exp2";
    case FV_X_LOG: return "log";
    case FV_X_LOG2: return "log2";
    case FV_X_SIN: return "sin";
    case FV_X_COS: return "cos";
    case FV_X_ERF: return "erf";
    case FV_X_TANH: return "tanh";
    case FV_X_POW: return "pow";
    default: return NULL;
    }
}

static LLVMValueRef one_call(fv_emit *e, const char *name, LLVMValueRef *v, int n) {
    LLVMTypeRef arg[2] = { e->f64, e->f64 }, type = LLVMFunctionType(e->f64, arg, (unsigned)n, 0);
    LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
    if (!f) f = LLVMAddFunction(e->module, name, type);
    for (int i = 0; i < n; i++)
        if (LLVMTypeOf(v[i]) != e->f64) v[i] = LLVMBuildFPExt(e->b, v[i], e->f64, "");
    return LLVMBuildCall2(e->b, type, f, v, (unsigned)n, "");
}

static LLVMValueRef library_call(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    const char *name = library_name(x->op);
    LLVMTypeRef element = x->type == FV_F64 ? e->f64 : e->f32, type = fv_emit_type(e, x->type, x->lanes);
    LLVMValueRef r = LLVMGetPoison(type);
    if (!name) {
        fv_emit_fail(e, "'%s' of floats cannot be emitted", fv_op_spelling(x->op));
        return r;
    }
    for (int lane = 0; lane < x->lanes; lane++) {
        LLVMValueRef a[2] = { NULL, NULL };
        for (int i = 0; i < x->n; i++)
            a[i] = x->lanes == 1 ? v[i] : LLVMBuildExtractElement(e->b, v[i], fv_emit_int(e, lane), "");
        LLVMValueRef y = one_call(e, name, a, x->n);
        if (element != e->f64) y = LLVMBuildFPTrunc(e->b, y, element, "");
        r = x->lanes == 1 ? y : LLVMBuildInsertElement(e->b, r, y, fv_emit_int(e, lane), "");
    }
    return r;
}

static LLVMValueRef safe(fv_emit *e, LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    LLVMTypeRef element = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
    LLVMValueRef inf = LLVMConstReal(element, -(double)INFINITY);
    if (element != t) inf = fv_emit_splat(e, inf, (int)LLVMGetVectorSize(t));
    return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOEQ, v, inf, ""), LLVMConstNull(t), v, "");
}

LLVMValueRef fv_emit_float_op(fv_emit *e, const fv_expr *x, LLVMValueRef *v) {
    if (x->type == FV_F16 || x->type == FV_BF16) {
        fv_emit_fail(e, "'%s' in %s: 16-bit floats are for storage", fv_op_spelling(x->op), fv_type_name(x->type));
        return LLVMGetPoison(fv_emit_type(e, x->type, x->lanes));
    }
    switch (x->op) {
    case FV_X_ADD: return fv_emit_fast(LLVMBuildFAdd(e->b, v[0], v[1], ""));
    case FV_X_SUB: return fv_emit_fast(LLVMBuildFSub(e->b, v[0], v[1], ""));
    case FV_X_MUL: return fv_emit_fast(LLVMBuildFMul(e->b, v[0], v[1], ""));
    case FV_X_DIV: return LLVMBuildFDiv(e->b, v[0], v[1], "");
    case FV_X_FLOORDIV: return floored_quotient(e, v);
    case FV_X_MOD: return LLVMBuildFSub(e->b, v[0], LLVMBuildFMul(e->b, v[1], floored_quotient(e, v), ""), "");
    case FV_X_MIN: case FV_X_MAX:
        return fv_emit_float_minmax(e, x->op == FV_X_MAX, v[0], v[1], is_number(x->arg[0]), is_number(x->arg[1]));
    case FV_X_NEG: return LLVMBuildFNeg(e->b, v[0], "");
    case FV_X_ABS: return unary(e, "llvm.fabs", v[0]);
    case FV_X_SQRT: return unary(e, "llvm.sqrt", v[0]);
    case FV_X_RSQRT: {
        LLVMValueRef one = fv_emit_convert(e, fv_emit_const_f32(e, 1, x->lanes), FV_F32, x->type, x->lanes);
        return LLVMBuildFDiv(e->b, one, unary(e, "llvm.sqrt", v[0]), "");
    }
    case FV_X_FLOOR: return fv_emit_convert(e, unary(e, "llvm.floor", v[0]), FV_F32, FV_I32, x->lanes);
    case FV_X_FMA: return fma3(e, v);
    case FV_X_DOT2: return dot2(e, x, v);
    case FV_X_RINT: return nearest(e, x, v[0]);
    case FV_X_SCALEF: return fv_emit_scalef(e, v[0], v[1], x->lanes);
    case FV_X_MANTISSA: case FV_X_EXPONENT: return bits_op(e, x, v[0]);
    case FV_X_SAFE: return safe(e, v[0]);
    default: return library_call(e, x, v);
    }
}
