/* codegen: builds a module, verifies it, runs the few passes that pay, and has LLVM write it out. A fault inside LLVM
 * comes back as an error. */
#include "backends/llvm/codegen.h"
#include "backends/llvm/emit.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <string.h>

/* Registers become SSA (sroa); equal addresses and loads fall together; what is left that does not change leaves its
 * loop; the body moves into the kernel's entry (what does not alias still does not). default<O2> costs ten times as
 * long and makes some kernels slower. */
static const char passes[] = "function(sroa,early-cse<memssa>,loop-mssa(licm),early-cse),always-inline";

typedef struct {
    const fv_code_unit *unit;
    int n;
    const fv_machine *m;
    LLVMTargetMachineRef tm;
    fv_code_form form;
    fv_buf *out;
    char *why;
    size_t why_size;
    bool complained;
} job;

static void on_diagnostic(LLVMDiagnosticInfoRef d, void *user) {
    job *j = user;
    if (LLVMGetDiagInfoSeverity(d) != LLVMDSError || j->complained) return;
    char *text = LLVMGetDiagInfoDescription(d);
    snprintf(j->why, j->why_size, "%s", text);
    LLVMDisposeMessage(text);
    j->complained = true;
}

static bool fail_with(job *j, const char *what, char *message) {
    snprintf(j->why, j->why_size, "%s: %s", what, message ? message : "no reason given");
    return false;
}

static bool verify(job *j, LLVMModuleRef module) {
    char *message = NULL;
    bool ok = !LLVMVerifyModule(module, LLVMReturnStatusAction, &message);
    if (!ok) fail_with(j, "the module is not well formed", message);
    LLVMDisposeMessage(message);
    return ok;
}

static bool optimise(job *j, LLVMModuleRef module) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(module, passes, j->tm, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error) return true;
    char *message = LLVMGetErrorMessage(error);
    fail_with(j, "the passes failed", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

/* The code generator sees the 32-bit steps of a gather or scatter in its own block alone; else it computes addresses of
 * 64 bits and cuts the access in two. Those that left a loop are copied to where they are used. */
static void near_steps(LLVMValueRef access, LLVMBuilderRef b) {
    static const char *const names[] = { "llvm.masked.gather", "llvm.masked.scatter" };
    size_t n;
    for (unsigned i = 0; i < 2 && LLVMIsACallInst(access); i++) {
        if (strncmp(LLVMGetValueName2(LLVMGetCalledValue(access), &n), names[i], strlen(names[i])) != 0) continue;
        LLVMValueRef at = LLVMGetOperand(access, i);    /* the addresses come behind what a scatter stores */
        if (!LLVMIsAGetElementPtrInst(at) || LLVMGetInstructionParent(at) == LLVMGetInstructionParent(access)) return;
        LLVMPositionBuilderBefore(b, access);
        LLVMValueRef copy = LLVMInstructionClone(at);
        LLVMInsertIntoBuilder(b, copy);
        LLVMSetOperand(access, i, copy);
    }
}

static void near_all_steps(LLVMModuleRef module) {
    LLVMBuilderRef b = LLVMCreateBuilderInContext(LLVMGetModuleContext(module));
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef at = LLVMGetFirstBasicBlock(f); at; at = LLVMGetNextBasicBlock(at))
            for (LLVMValueRef i = LLVMGetFirstInstruction(at); i; i = LLVMGetNextInstruction(i)) near_steps(i, b);
    LLVMDisposeBuilder(b);
}

static bool write_out(job *j, LLVMModuleRef module) {
    if (j->form == FV_CODE_IR) {
        char *text = LLVMPrintModuleToString(module);
        fv_buf_puts(j->out, text);
        LLVMDisposeMessage(text);
        return true;
    }
    LLVMMemoryBufferRef buffer = NULL;
    char *message = NULL;
    LLVMCodeGenFileType type = j->form == FV_CODE_OBJECT ? LLVMObjectFile : LLVMAssemblyFile;
    if (LLVMTargetMachineEmitToMemoryBuffer(j->tm, module, type, &message, &buffer)) {
        fail_with(j, "the code generator failed", message);
        LLVMDisposeMessage(message);
        return false;
    }
    fv_buf_putn(j->out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}

static bool generate(job *j, LLVMModuleRef module) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(j->tm);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(module, j->m->triple);
    for (int i = 0; i < j->n; i++) {
        const fv_code_unit *u = &j->unit[i];
        if (!fv_emit_kernel(u->k, j->m, module, u->symbol, u->noalias, j->why, j->why_size)) return false;
    }
    if (!verify(j, module) || !optimise(j, module)) return false;
    near_all_steps(module);
    return write_out(j, module) && !j->complained;
}

static bool run(job *j) {
    LLVMContextRef c = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(c, on_diagnostic, j);
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("fovea", c);
    bool ok = generate(j, module);
    LLVMDisposeModule(module);
    LLVMContextDispose(c);
    return ok;
}

bool fv_codegen(const fv_code_unit *unit, int n, const fv_machine *m, LLVMTargetMachineRef *io_tm, fv_code_form form,
                fv_buf *out, char *why, size_t why_size) {
    job j = { unit, n, m, *io_tm, form, out, why, why_size, false };
    fv_llvm_trap trap;
    if (setjmp(trap.to)) {
        *io_tm = NULL;
        snprintf(why, why_size, "LLVM gave up: %s", trap.text);
        return false;
    }
    fv_llvm_trap_enter(&trap);
    bool ok = run(&j);
    fv_llvm_trap_leave();
    return ok;
}
