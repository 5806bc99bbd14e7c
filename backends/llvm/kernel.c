/* kernel: one flat kernel, compiled and loaded by itself: for measurements and tests. */
#include "backends/llvm/llvm.h"
#include "backends/llvm/build.h"

#include <stdlib.h>
#include <string.h>

struct fv_llvm_kernel { fv_jit *jit; fovea_kernel *entry; };

static bool refuse(fv_ctx *ctx, const char *why) {
    fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "%s", why);
    return false;
}

static bool generate(fv_ctx *ctx, const fv_flat_kernel *k, const fv_machine *m, fv_code_form form, fv_buf *out) {
    char why[512];
    fv_code_unit unit = { k, "fovea_kernel_of_one", true };
    LLVMTargetMachineRef tm = fv_machine_codegen(m, why, sizeof why);
    bool ok = tm && fv_codegen(&unit, 1, m, &tm, form, out, why, sizeof why);
    if (tm) LLVMDisposeTargetMachine(tm);
    return ok || refuse(ctx, why);
}

fv_llvm_kernel *fv_llvm_kernel_new(fv_ctx *ctx, fv_flat_kernel *k, const char *target, bool math) {
    char why[512];
    fv_machine m;
    fv_buf object = { 0 };
    if (!fv_machine_find(target, &m, why, sizeof why)) {
        refuse(ctx, why);
        return NULL;
    }
    if (!m.native) {
        refuse(ctx, "this machine cannot run code for that target");
        return NULL;
    }
    if (math) fv_flat_expand_math(k, m.facts);
    if (!generate(ctx, k, &m, FV_CODE_OBJECT, &object)) {
        fv_buf_dispose(&object);
        return NULL;
    }
    fv_llvm_kernel *r = calloc(1, sizeof *r);
    FV_ASSERT(r, "out of memory");
    void *at = NULL;
    r->jit = fv_jit_new(why, sizeof why);
    if (r->jit && fv_jit_add(r->jit, &object, why, sizeof why))
        at = fv_jit_find(r->jit, "fovea_kernel_of_one", why, sizeof why);
    fv_buf_dispose(&object);
    if (at) {
        r->entry = (fovea_kernel *)(uintptr_t)at;
        return r;
    }
    refuse(ctx, why);
    fv_llvm_kernel_dispose(r);
    return NULL;
}

fovea_kernel *fv_llvm_kernel_entry(const fv_llvm_kernel *k) {
    return k->entry;
}

void fv_llvm_kernel_dispose(fv_llvm_kernel *k) {
    if (!k) return;
    fv_jit_dispose(k->jit);
    free(k);
}

bool fv_llvm_kernel_text(fv_ctx *ctx, const fv_flat_kernel *k, const char *target, const char *stage, fv_buf *out) {
    char why[512];
    fv_machine m;
    if (!fv_machine_find(target, &m, why, sizeof why)) return refuse(ctx, why);
    if (strcmp(stage, "llvm") == 0) return generate(ctx, k, &m, FV_CODE_IR, out);
    if (strcmp(stage, "asm") == 0) return generate(ctx, k, &m, FV_CODE_ASSEMBLY, out);
    if (strcmp(stage, "object") == 0) return generate(ctx, k, &m, FV_CODE_OBJECT, out);
    return refuse(ctx, "stages are llvm, asm and object");
}
