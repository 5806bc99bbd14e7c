/* jit: loads relocatable objects into this process and finds symbols in them. */
#ifndef FV_LLVM_JIT_H
#define FV_LLVM_JIT_H
#include "base/base.h"

typedef struct fv_jit fv_jit;
fv_jit *fv_jit_new(char *why, size_t why_size);                     /* NULL: why says the reason */
bool fv_jit_add(fv_jit *j, const fv_buf *object, char *why, size_t why_size);
void *fv_jit_find(fv_jit *j, const char *symbol, char *why, size_t why_size);   /* NULL: why */
void fv_jit_dispose(fv_jit *j);                                     /* the code is gone; NULL is fine */
#endif
