/* emit_vector: operations across lanes, and SCALEF. Horizontal reductions fold halves, so that their order, and with it
 * every bit, is fixed. */
#include "backends/llvm/emit.h"

/* -- Reductions -------------------------------------------------------------------------------- */
static LLVMValueRef combine(fv_emit *e, const fv_expr *x, LLVMValueRef a, LLVMValueRef b) {
    fv_type t = x->arg[0]->type;
    if (x->op == FV_X_HSUM) return fv_type_is_float(t) ? LLVMBuildFAdd(e->b, a, b, "") : LLVMBuildAdd(e->b, a, b, "");
    bool max = x->op == FV_X_HMAX;
    if (fv_type_is_float(t)) return fv_emit_float_minmax(e, max, a, b, false, false);
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef v[2] = { a, b };
    return fv_emit_call(e, max ? "llvm.smax" : "llvm.smin", &type, 1, v, 2);
}

static LLVMValueRef fold_lanes(fv_emit *e, const fv_expr *x, LLVMValueRef v, int lanes) {
    int low[64], high[64];
    for (; lanes > 1 && lanes % 2 == 0; lanes /= 2) {
        for (int i = 0; i < lanes / 2; i++) {
            low[i] = i;
            high[i] = lanes / 2 + i;
        }
        if (lanes == 2) break;
        v = combine(e, x, fv_emit_shuffle(e, v, NULL, low, lanes / 2), fv_emit_shuffle(e, v, NULL, high, lanes / 2));
    }
    LLVMValueRef r = LLVMBuildExtractElement(e->b, v, fv_emit_int(e, 0), "");
    for (int i = 1; i < lanes; i++) r = combine(e, x, r, LLVMBuildExtractElement(e->b, v, fv_emit_int(e, i), ""));
    return r;
}

LLVMValueRef fv_emit_reduce(fv_emit *e, const fv_expr *x, LLVMValueRef v) {
    const fv_expr *a = x->arg[0];
    if (a->lanes == 1) return v;
    if (x->op == FV_X_HANY) {
        LLVMTypeRef bits = LLVMIntTypeInContext(e->c, (unsigned)a->lanes);
        return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, v, bits, ""), LLVMConstNull(bits), "");
    }
    if (a->type == FV_BOOL || a->type == FV_F16 || a->type == FV_BF16) {
        fv_emit_fail(e, "'%s' of %s cannot be emitted", fv_op_spelling(x->op), fv_type_name(a->type));
        return LLVMGetPoison(fv_emit_type(e, x->type, 1));
    }
    v = fold_lanes(e, x, v, a->lanes);
    return x->type == FV_I32 ? LLVMBuildSExt(e->b, v, e->i64, "") : v;
}

/* -- Permutation by an index vector ------------------------------------------------------------ */
static LLVMValueRef half_of(fv_emit *e, LLVMValueRef v, int lanes, bool upper) {
    int index[64];
    for (int i = 0; i < lanes / 2; i++) index[i] = i + (upper ? lanes / 2 : 0);
    return fv_emit_shuffle(e, v, NULL, index, lanes / 2);
}

static LLVMValueRef joined(fv_emit *e, LLVMValueRef a, LLVMValueRef b, int lanes) {
    int index[64];
    for (int i = 0; i < lanes; i++) index[i] = i;
    return fv_emit_shuffle(e, a, b, index, lanes);
}

/* f32 elements; NULL where no instruction does it. */
static LLVMValueRef permute_native(fv_emit *e, LLVMValueRef v, LLVMValueRef index, int lanes) {
    LLVMValueRef arg[2] = { v, index };
    if (lanes == 16 && e->m->avx512) return fv_emit_call(e, "llvm.x86.avx512.permvar.sf.512", NULL, 0, arg, 2);
    if (lanes == 8 && e->m->avx2) return fv_emit_call(e, "llvm.x86.avx2.permps", NULL, 0, arg, 2);
    if (lanes == 4 && e->m->avx2) return fv_emit_call(e, "llvm.x86.avx.vpermilvar.ps", NULL, 0, arg, 2);
    if (lanes != 16 || !e->m->avx2) return NULL;
    LLVMValueRef lo = half_of(e, v, 16, false), hi = half_of(e, v, 16, true), part[2];
    for (int i = 0; i < 2; i++) {
        LLVMValueRef at = half_of(e, index, 16, i);
        LLVMValueRef a = permute_native(e, lo, at, 8), b = permute_native(e, hi, at, 8);
        LLVMValueRef upper = LLVMBuildICmp(e->b, LLVMIntSGT, at, fv_emit_const_i32(e, 7, 8), "");
        part[i] = LLVMBuildSelect(e->b, upper, b, a, "");
    }
    return joined(e, part[0], part[1], 16);
}

static LLVMValueRef permute_by_lanes(fv_emit *e, LLVMValueRef v, LLVMValueRef index, int lanes) {
    LLVMValueRef r = LLVMGetPoison(LLVMTypeOf(v));
    for (int i = 0; i < lanes; i++) {
        LLVMValueRef at = LLVMBuildExtractElement(e->b, index, fv_emit_int(e, i), "");
        r = LLVMBuildInsertElement(e->b, r, LLVMBuildExtractElement(e->b, v, at, ""), fv_emit_int(e, i), "");
    }
    return r;
}

LLVMValueRef fv_emit_permute(fv_emit *e, LLVMValueRef v, LLVMValueRef index, int lanes) {
    LLVMTypeRef type = LLVMTypeOf(v), element = LLVMGetElementType(type);
    LLVMTypeRef words = LLVMVectorType(e->i32, (unsigned)lanes);
    bool narrow = element == e->i8 || element == e->i16, word = element == e->i32 || element == e->f32;
    if (!narrow && !word) return permute_by_lanes(e, v, index, lanes);
    LLVMValueRef w = narrow ? LLVMBuildZExt(e->b, v, words, "") : v;
    LLVMTypeRef floats = LLVMVectorType(e->f32, (unsigned)lanes);
    LLVMValueRef r = permute_native(e, LLVMBuildBitCast(e->b, w, floats, ""), index, lanes);
    if (!r) return permute_by_lanes(e, v, index, lanes);
    r = LLVMBuildBitCast(e->b, r, narrow ? words : type, "");
    return narrow ? LLVMBuildTrunc(e->b, r, type, "") : r;
}

/* -- SCALEF ------------------------------------------------------------------------------------ */
static LLVMValueRef scalef_native(fv_emit *e, LLVMValueRef a, LLVMValueRef n, int lanes) {
    LLVMValueRef rounding = LLVMConstInt(e->i32, 4, 0);             /* the current one */
    LLVMValueRef arg[5] = { a, n, a, LLVMConstAllOnes(lanes == 16 ? e->i16 : e->i8), rounding };
    const char *name = lanes == 16 ? "llvm.x86.avx512.mask.scalef.ps.512"
                     : lanes == 8 ? "llvm.x86.avx512.mask.scalef.ps.256" : "llvm.x86.avx512.mask.scalef.ps.128";
    return fv_emit_call(e, name, NULL, 0, arg, lanes == 16 ? 5 : 4);
}

static LLVMValueRef padded(fv_emit *e, LLVMValueRef v, int lanes, int to) {
    int index[64];
    LLVMTypeRef wide = LLVMVectorType(e->f32, (unsigned)to);
    if (lanes == 1) return LLVMBuildInsertElement(e->b, LLVMConstNull(wide), v, fv_emit_int(e, 0), "");
    for (int i = 0; i < to; i++) index[i] = i < lanes ? i : -1;
    return fv_emit_shuffle(e, v, NULL, index, to);
}

/* (2 a) * 2^(n-1) with n cut to -126..128: 0 at the lower end, inf at the upper for |a| >= 1. */
static LLVMValueRef scalef_portable(fv_emit *e, LLVMValueRef a, LLVMValueRef n, int lanes) {
    LLVMTypeRef t = LLVMTypeOf(a);
    n = fv_emit_float_minmax(e, true, fv_emit_const_f32(e, -126, lanes), n, true, false);
    n = fv_emit_float_minmax(e, false, fv_emit_const_f32(e, 128, lanes), n, true, false);
    LLVMValueRef number = LLVMBuildFCmp(e->b, LLVMRealORD, n, n, "");
    n = LLVMBuildSelect(e->b, number, n, LLVMConstNull(t), "");
    LLVMValueRef whole = LLVMBuildFPToSI(e->b, n, fv_emit_vector_of(e->i32, lanes), "");
    LLVMValueRef bits = LLVMBuildAdd(e->b, whole, fv_emit_const_i32(e, 126, lanes), "");
    bits = LLVMBuildShl(e->b, bits, fv_emit_const_i32(e, 23, lanes), "");
    LLVMValueRef power = LLVMBuildBitCast(e->b, bits, t, "");
    return LLVMBuildFMul(e->b, LLVMBuildFAdd(e->b, a, a, ""), power, "");
}

LLVMValueRef fv_emit_scalef(fv_emit *e, LLVMValueRef a, LLVMValueRef n, int lanes) {
    LLVMTypeRef element = lanes == 1 ? LLVMTypeOf(a) : LLVMGetElementType(LLVMTypeOf(a));
    if (element != e->f32) {
        fv_emit_fail(e, "scalef is of f32 only");
        return a;
    }
    if (!e->m->avx512) return scalef_portable(e, a, n, lanes);
    if (lanes > 16) {
        if (lanes % 2) return scalef_portable(e, a, n, lanes);
        LLVMValueRef half[2];
        for (int i = 0; i < 2; i++) half[i] = fv_emit_scalef(e, half_of(e, a, lanes, i), half_of(e, n, lanes, i),
                                                             lanes / 2);
        return joined(e, half[0], half[1], lanes);
    }
    int width = lanes > 8 ? 16 : lanes > 4 ? 8 : 4, index[64];
    if (width == lanes) return scalef_native(e, a, n, lanes);
    LLVMValueRef r = scalef_native(e, padded(e, a, lanes, width), padded(e, n, lanes, width), width);
    if (lanes == 1) return LLVMBuildExtractElement(e->b, r, fv_emit_int(e, 0), "");
    for (int i = 0; i < lanes; i++) index[i] = i;
    return fv_emit_shuffle(e, r, NULL, index, lanes);
}
