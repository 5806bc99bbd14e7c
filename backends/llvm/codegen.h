/* codegen: flat kernels to machine code or text, through one LLVM module. */
#ifndef FV_LLVM_CODEGEN_H
#define FV_LLVM_CODEGEN_H
#include "backends/llvm/machine.h"

typedef enum { FV_CODE_OBJECT, FV_CODE_ASSEMBLY, FV_CODE_IR } fv_code_form;
typedef struct {
    const fv_flat_kernel *k;                            /* math expanded */
    const char *symbol;
    bool noalias;                                       /* no tensor shares memory with one that the kernel writes */
} fv_code_unit;

/* Appends one relocatable object, assembly text or IR text (after the passes) with all units to out. tm: from
 * fv_machine_codegen, used by one thread at a time; after a fault inside LLVM it is spoilt: *io_tm is then replaced by
 * NULL. false: why says the reason. */
bool fv_codegen(const fv_code_unit *unit, int n, const fv_machine *m, LLVMTargetMachineRef *io_tm, fv_code_form form,
                fv_buf *out, char *why, size_t why_size);
#endif
