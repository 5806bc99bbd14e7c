/* jit: a thin layer over ORC. What ORC reports goes to the caller's text instead of stderr. */
#include "backends/llvm/jit.h"

#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <stdlib.h>

struct fv_jit { LLVMOrcLLJITRef orc; char said[256]; };

static bool explain(LLVMErrorRef error, const char *said, char *why, size_t why_size) {
    if (!error) return true;
    char *message = LLVMGetErrorMessage(error);
    snprintf(why, why_size, "%s%s%s", message, said && *said ? ": " : "", said ? said : "");
    LLVMDisposeErrorMessage(message);
    return false;
}

static void on_report(void *user, LLVMErrorRef error) {
    fv_jit *j = user;
    char *message = LLVMGetErrorMessage(error);
    snprintf(j->said, sizeof j->said, "%s", message);
    LLVMDisposeErrorMessage(message);
}

fv_jit *fv_jit_new(char *why, size_t why_size) {
    fv_jit *j = calloc(1, sizeof *j);
    FV_ASSERT(j, "out of memory");
    if (!explain(LLVMOrcCreateLLJIT(&j->orc, NULL), NULL, why, why_size)) {
        free(j);
        return NULL;
    }
    LLVMOrcExecutionSessionSetErrorReporter(LLVMOrcLLJITGetExecutionSession(j->orc), on_report, j);
    return j;
}

bool fv_jit_add(fv_jit *j, const fv_buf *object, char *why, size_t why_size) {
    LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object->text, object->len, "kernel");
    LLVMErrorRef error = LLVMOrcLLJITAddObjectFile(j->orc, LLVMOrcLLJITGetMainJITDylib(j->orc), copy);
    return explain(error, j->said, why, why_size);
}

void *fv_jit_find(fv_jit *j, const char *symbol, char *why, size_t why_size) {
    LLVMOrcExecutorAddress at = 0;
    j->said[0] = 0;
    if (!explain(LLVMOrcLLJITLookup(j->orc, &at, symbol), j->said, why, why_size)) return NULL;
    return (void *)(uintptr_t)at;
}

void fv_jit_dispose(fv_jit *j) {
    if (!j) return;
    LLVMConsumeError(LLVMOrcDisposeLLJIT(j->orc));
    free(j);
}
