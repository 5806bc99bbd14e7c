/* machine: for which processor code is made, and the process-wide state of LLVM. */
#ifndef FV_LLVM_MACHINE_H
#define FV_LLVM_MACHINE_H
#include "kernel/flat.h"

#include <llvm-c/TargetMachine.h>
#include <setjmp.h>

/* A processor: what LLVM is told, and what the emitter may use. Text members live in the struct. */
typedef struct {
    const fv_target *facts;
    bool native;                                        /* code runs in this process */
    bool avx512, avx2, fma, neon;
    bool bf16;                                          /* vdpbf16ps */
    bool tiles;                                         /* AMX tiles with bf16 */
    bool simulated;                                     /* tiles are functions of this process (tiles.h), for tests */
    char triple[96], cpu[64], features[2048];
} fv_machine;

/* name: NULL (FOVEA_TARGET of the environment, else the host), "amx", "avx512", "avx2", "sse2", "neon", "amx-simulated"
 * (tests: code of this process only), or "TRIPLE:FEATURES" with LLVM's names ("aarch64-linux-gnu:+neon"). false:
 * unknown, or LLVM was built without that processor; why says which. */
bool fv_machine_find(const char *name, fv_machine *out, char *why, size_t why_size);

/* A new code generator (position independent, default optimisation); NULL: why says the reason. The caller disposes
 * it. */
LLVMTargetMachineRef fv_machine_codegen(const fv_machine *m, char *why, size_t why_size);

/* LLVM ends the process on some faults in generated code; between enter and leave such a fault returns to the setjmp
 * of `trap` instead. What LLVM held is then lost (leaked) and must not be touched again. One trap per thread, not
 * nested:
 *     fv_llvm_trap trap;
 *     if (setjmp(trap.to)) → failed, trap.text says why
 *     fv_llvm_trap_enter(&trap); …; fv_llvm_trap_leave(); */
typedef struct { jmp_buf to; char text[512]; } fv_llvm_trap;
void fv_llvm_trap_enter(fv_llvm_trap *trap);
void fv_llvm_trap_leave(void);
#endif
