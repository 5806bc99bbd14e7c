/* emit_frag: fragments as AMX tiles in explicit registers: LLVM neither allocates nor preserves them, and no function
 * is called between a configuration and its end. For tests the same statements call tiles.h. */
#include "backends/llvm/emit.h"
#include "backends/llvm/tiles.h"

#include <string.h>

static LLVMValueRef number(const fv_emit *e, int64_t v) {
    return LLVMConstInt(e->m->simulated ? e->i64 : e->i8, (unsigned long long)v, 0);
}
typedef union {
    void (*fn)(void);
    uintptr_t at;
} function;

/* The intrinsic, or the function of this process with the same arguments. */
static void call(fv_emit *e, const char *intrinsic, function simulated, LLVMValueRef *arg, int n) {
    if (!e->m->simulated) {
        fv_emit_call(e, intrinsic, NULL, 0, arg, n);
        return;
    }
    LLVMTypeRef type[3];
    for (int i = 0; i < n; i++) type[i] = LLVMTypeOf(arg[i]);
    LLVMTypeRef t = LLVMFunctionType(LLVMVoidTypeInContext(e->c), type, (unsigned)n, 0);
    LLVMValueRef at = LLVMConstIntToPtr(LLVMConstInt(e->i64, simulated.at, 0), e->ptr);
    LLVMBuildCall2(e->b, t, at, arg, (unsigned)n, "");
}
#define CALL(name, f, arg, n) call(e, "llvm.x86." name, (function){.fn = (void (*)(void))(f)}, arg, n)

/* 64 bytes of the entry block. */
static LLVMValueRef table(fv_emit *e) {
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b), entry = LLVMGetEntryBasicBlock(e->fn);
    LLVMPositionBuilderBefore(e->b, LLVMGetFirstInstruction(entry));
    LLVMValueRef t = LLVMBuildAlloca(e->b, LLVMArrayType2(e->i8, 64), "tiles");
    LLVMSetAlignment(t, 64);
    LLVMPositionBuilderAtEnd(e->b, here);
    return t;
}
static void put(fv_emit *e, LLVMValueRef at, int64_t byte, LLVMValueRef v) {
    LLVMValueRef index = fv_emit_int(e, byte);
    LLVMSetAlignment(LLVMBuildStore(e->b, v, LLVMBuildGEP2(e->b, e->i8, at, &index, 1, "")), 1);
}
/* Asks the system for tiles, which it gives to a process that asks (0.1 us): whoever loads this code need not know. */
static void ask(fv_emit *e) {
    static const char text[] = "syscall", operands[] = "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}";
    enum { SYS_ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    if (!strstr(e->m->triple, "linux")) return;
    LLVMTypeRef type[3] = {e->i64, e->i64, e->i64}, t = LLVMFunctionType(e->i64, type, 3, 0);
    LLVMValueRef arg[3] = {fv_emit_int(e, SYS_ARCH_PRCTL), fv_emit_int(e, ARCH_REQ_XCOMP_PERM),
                           fv_emit_int(e, XFEATURE_XTILEDATA)};
    LLVMValueRef f =
        LLVMGetInlineAsm(t, text, sizeof text - 1, operands, sizeof operands - 1, 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMBuildCall2(e->b, t, f, arg, 3, "");
}
static void config(fv_emit *e, const fv_flat *s) {
    LLVMValueRef rows = fv_emit_as(e, s->expr, FV_I32, 1), t = table(e);
    if (e->failed) return;
    rows = LLVMBuildTrunc(e->b, rows, e->i8, "");
    for (int i = 0; i < 64; i += 8) put(e, t, i, fv_emit_int(e, 0));
    put(e, t, 0, LLVMConstInt(e->i8, 1, 0)); /* the palette */
    for (int i = 0; i < FV_FRAG_REGISTERS; i++) {
        put(e, t, 16 + 2 * i, LLVMConstInt(e->i16, 64, 0)); /* bytes of a row */
        put(e, t, 48 + i, i < s->reg[1] ? rows : LLVMConstInt(e->i8, FV_FRAG_PAIRS, 0));
    }
    if (!e->m->simulated) ask(e);
    CALL("ldtilecfg", fv_tiles_config, &t, 1);
}
static void transfer(fv_emit *e, const fv_flat *s) {
    const fv_obj *obj = s->memory ? &s->memory->obj : &s->tensor->obj;
    LLVMValueRef at = fv_emit_address(e, obj, s->offset);
    if (!at) return;
    LLVMValueRef arg[3] = {number(e, s->reg[0]), at, fv_emit_int(e, s->stride * fv_type_bytes(obj->type))};
    if (s->frag == FV_FRAG_LOAD) CALL("tileloadd64", fv_tiles_load, arg, 3);
    else CALL("tilestored64", fv_tiles_store, arg, 3);
}
void fv_emit_frag(fv_emit *e, const fv_flat *s) {
    LLVMValueRef arg[3];
    if (!e->m->tiles) {
        fv_emit_fail(e, "fragments need AMX tiles with bf16");
        return;
    }
    for (int i = 0; i < 3; i++) arg[i] = number(e, s->reg[i]);
    switch (s->frag) {
    case FV_FRAG_CONFIG: config(e, s); break;
    case FV_FRAG_ZERO: CALL("tilezero", fv_tiles_zero, arg, 1); break;
    case FV_FRAG_DOT: CALL("tdpbf16ps", fv_tiles_dot, arg, 3); break;
    case FV_FRAG_END: CALL("tilerelease", fv_tiles_release, arg, 0); break;
    default: transfer(e, s);
    }
    e->epoch++;
}
