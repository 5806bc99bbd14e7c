/* emit_type: LLVM types of values and of memory, constants, and conversions between them. f16 and bf16 values are their
 * bits in i16. */
#include "backends/llvm/emit.h"

#include <math.h>
#include <string.h>

static LLVMTypeRef scalar(const fv_emit *e, fv_type t, int lanes) {
    switch (t) {
    case FV_BOOL: return e->i1;
    case FV_I32: return lanes == 1 ? e->i64 : e->i32;
    case FV_F64: return e->f64;
    case FV_F16: case FV_BF16: return e->i16;
    default: return e->f32;
    }
}

LLVMTypeRef fv_emit_vector_of(LLVMTypeRef element, int lanes) {
    return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

LLVMTypeRef fv_emit_type(const fv_emit *e, fv_type t, int lanes) {
    return fv_emit_vector_of(scalar(e, t, lanes), lanes);
}

LLVMTypeRef fv_emit_memory_type(const fv_emit *e, fv_type t, int lanes) {
    return fv_emit_vector_of(t == FV_BOOL ? e->i8 : t == FV_I32 ? e->i32 : scalar(e, t, 1), lanes);
}

LLVMValueRef fv_emit_int(const fv_emit *e, int64_t v) {
    return LLVMConstInt(e->i64, (unsigned long long)v, 1);
}

static LLVMValueRef splat_constant(LLVMValueRef c, int lanes) {
    enum { MAX = 64 };
    LLVMValueRef all[MAX];
    if (lanes == 1) return c;
    for (int i = 0; i < lanes && i < MAX; i++) all[i] = c;
    return LLVMConstVector(all, (unsigned)(lanes < MAX ? lanes : MAX));
}

LLVMValueRef fv_emit_const_f32(const fv_emit *e, double v, int lanes) {
    return splat_constant(LLVMConstReal(e->f32, (double)(float)v), lanes);
}

LLVMValueRef fv_emit_const_i32(const fv_emit *e, int64_t v, int lanes) {
    return splat_constant(LLVMConstInt(e->i32, (unsigned long long)v, 1), lanes);
}

LLVMValueRef fv_emit_splat(fv_emit *e, LLVMValueRef v, int lanes) {
    if (lanes == 1) return v;
    if (LLVMIsConstant(v)) return splat_constant(v, lanes);
    LLVMTypeRef t = LLVMVectorType(LLVMTypeOf(v), (unsigned)lanes);
    LLVMValueRef any = LLVMGetPoison(t);
    LLVMValueRef one = LLVMBuildInsertElement(e->b, any, v, LLVMConstInt(e->i64, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, one, any, LLVMConstNull(LLVMVectorType(e->i32, (unsigned)lanes)), "");
}

LLVMValueRef fv_emit_shuffle(fv_emit *e, LLVMValueRef a, LLVMValueRef b, const int *index, int n) {
    enum { MAX = 64 };
    LLVMValueRef mask[MAX];
    for (int i = 0; i < n && i < MAX; i++)
        mask[i] = index[i] < 0 ? LLVMGetPoison(e->i32) : LLVMConstInt(e->i32, (unsigned long long)index[i], 0);
    if (!b) b = LLVMGetPoison(LLVMTypeOf(a));
    return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(mask, (unsigned)n), "");
}

LLVMValueRef fv_emit_fast(LLVMValueRef v) {
    if (LLVMIsAInstruction(v) && LLVMCanValueUseFastMathFlags(v)) LLVMSetFastMathFlags(v, LLVMFastMathAllowContract);
    return v;
}

LLVMValueRef fv_emit_call(fv_emit *e, const char *intrinsic, LLVMTypeRef *overload, int n_overload, LLVMValueRef *arg,
                          int n) {
    unsigned id = LLVMLookupIntrinsicID(intrinsic, strlen(intrinsic));
    FV_ASSERT(id, "an intrinsic that this LLVM does not have");
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, overload, (size_t)n_overload);
    LLVMTypeRef t = LLVMIntrinsicGetType(e->c, id, overload, (size_t)n_overload);
    return LLVMBuildCall2(e->b, t, f, arg, (unsigned)n, "");
}

/* -- Conversions ------------------------------------------------------------------------------- */
/* f32 to bf16 bits, nearest even; a NaN stays one. The instruction takes numbers below 2^-126 as 0. */
static LLVMValueRef to_bf16(fv_emit *e, LLVMValueRef v, int lanes) {
    if (e->m->bf16 && (lanes == 8 || lanes == 16)) {
        const char *name = lanes == 16 ? "llvm.x86.avx512bf16.cvtneps2bf16.512" : "llvm.x86.avx512bf16.cvtneps2bf16.256";
        return LLVMBuildBitCast(e->b, fv_emit_call(e, name, NULL, 0, &v, 1), fv_emit_vector_of(e->i16, lanes), "");
    }
    LLVMTypeRef wide = fv_emit_vector_of(e->i32, lanes), narrow = fv_emit_vector_of(e->i16, lanes);
    LLVMValueRef x = LLVMBuildBitCast(e->b, v, wide, ""), sixteen = fv_emit_const_i32(e, 16, lanes);
    LLVMValueRef odd = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, x, sixteen, ""), fv_emit_const_i32(e, 1, lanes), "");
    LLVMValueRef sum = LLVMBuildAdd(e->b, x, LLVMBuildAdd(e->b, odd, fv_emit_const_i32(e, 0x7fff, lanes), ""), "");
    LLVMValueRef quiet = LLVMBuildOr(e->b, x, fv_emit_const_i32(e, 0x400000, lanes), "");
    LLVMValueRef is_nan = LLVMBuildFCmp(e->b, LLVMRealUNO, v, v, "");
    x = LLVMBuildSelect(e->b, is_nan, quiet, sum, "");
    return LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, x, sixteen, ""), narrow, "");
}

static LLVMValueRef from_bf16(fv_emit *e, LLVMValueRef v, int lanes) {
    LLVMValueRef x = LLVMBuildZExt(e->b, v, fv_emit_vector_of(e->i32, lanes), "");
    x = LLVMBuildShl(e->b, x, fv_emit_const_i32(e, 16, lanes), "");
    return LLVMBuildBitCast(e->b, x, fv_emit_vector_of(e->f32, lanes), "");
}

static LLVMValueRef to_half(fv_emit *e, LLVMValueRef v, int lanes) {
    v = LLVMBuildFPTrunc(e->b, v, fv_emit_vector_of(e->half, lanes), "");
    return LLVMBuildBitCast(e->b, v, fv_emit_vector_of(e->i16, lanes), "");
}

static LLVMValueRef from_half(fv_emit *e, LLVMValueRef v, int lanes) {
    v = LLVMBuildBitCast(e->b, v, fv_emit_vector_of(e->half, lanes), "");
    return LLVMBuildFPExt(e->b, v, fv_emit_vector_of(e->f32, lanes), "");
}

/* Truncating and saturating; NaN gives 0. */
static LLVMValueRef float_to_int(fv_emit *e, LLVMValueRef v, int lanes) {
    LLVMTypeRef t[2] = { fv_emit_vector_of(e->i32, lanes), LLVMTypeOf(v) };
    v = fv_emit_call(e, "llvm.fptosi.sat", t, 2, &v, 1);
    return lanes == 1 ? LLVMBuildSExt(e->b, v, e->i64, "") : v;
}

static LLVMValueRef to_bool(fv_emit *e, LLVMValueRef v, fv_type from) {
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(v));
    return fv_type_is_float(from) ? LLVMBuildFCmp(e->b, LLVMRealUNE, v, zero, "")
                                  : LLVMBuildICmp(e->b, LLVMIntNE, v, zero, "");
}

LLVMValueRef fv_emit_convert(fv_emit *e, LLVMValueRef v, fv_type from, fv_type to, int lanes) {
    if (from == to) return v;
    if ((from == FV_F16 || from == FV_BF16)) {
        v = from == FV_F16 ? from_half(e, v, lanes) : from_bf16(e, v, lanes);
        return fv_emit_convert(e, v, FV_F32, to, lanes);
    }
    LLVMTypeRef t = fv_emit_type(e, to, lanes);
    if (to == FV_BOOL) return to_bool(e, v, from);
    if (to == FV_F16 || to == FV_BF16) {
        v = fv_emit_convert(e, v, from, FV_F32, lanes);
        return to == FV_F16 ? to_half(e, v, lanes) : to_bf16(e, v, lanes);
    }
    if (from == FV_BOOL) return to == FV_I32 ? LLVMBuildZExt(e->b, v, t, "") : LLVMBuildUIToFP(e->b, v, t, "");
    if (from == FV_I32) return LLVMBuildSIToFP(e->b, v, t, "");
    if (to == FV_I32) return float_to_int(e, v, lanes);
    return to == FV_F64 ? LLVMBuildFPExt(e->b, v, t, "") : LLVMBuildFPTrunc(e->b, v, t, "");
}

LLVMValueRef fv_emit_from_memory(fv_emit *e, LLVMValueRef v, fv_type t, int lanes) {
    if (t == FV_BOOL) return to_bool(e, v, FV_I32);
    return t == FV_I32 && lanes == 1 ? LLVMBuildSExt(e->b, v, e->i64, "") : v;
}

LLVMValueRef fv_emit_to_memory(fv_emit *e, LLVMValueRef v, fv_type t, int lanes) {
    if (t == FV_BOOL) return LLVMBuildZExt(e->b, v, fv_emit_memory_type(e, t, lanes), "");
    return t == FV_I32 && lanes == 1 ? LLVMBuildTrunc(e->b, v, e->i32, "") : v;
}
