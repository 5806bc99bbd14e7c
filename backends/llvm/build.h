/* build: the kernels of a plan through flattening, the cache and the code generator. Internal to this folder. */
#ifndef FV_LLVM_BUILD_H
#define FV_LLVM_BUILD_H
#include "backends/backend.h"
#include "backends/llvm/codegen.h"
#include "backends/llvm/jit.h"

typedef struct {
    const fv_launch *launch;                            /* the first with this code; NULL: the number is not used */
    bool noalias;
    fv_flat_kernel *flat;                               /* math expanded; NULL until needed */
    char *key;
    size_t key_bytes;
    char symbol[40];
    fv_buf object;
    int64_t scratch_bytes, programs;
    bool cached, failed;
    char why[512];
    fovea_kernel *entry;
} fv_built;

struct fv_module {
    fv_ctx *ctx;
    const fv_plan *plan;
    fv_machine machine;
    int n;
    fv_built *code;                                      /* by launch code */
    fv_jit *jit;                                        /* NULL: not a native target */
    fv_compile_stats stats;
};

/* The kernel of a code, flattened and expanded (made at first use); NULL after recording errors. */
fv_flat_kernel *fv_built_flat(fv_module *m, fv_built *c);
void fv_built_dispose(fv_built *c);
void fv_build_version(fv_buf *out);                     /* what this compiler is */
void fv_build_key(fv_module *m, fv_built *c, const char *version); /* launch and noalias are set */
/* Fills code[] of a module whose ctx, plan and machine are set. false after recording errors. */
bool fv_build_codes(fv_module *m);
bool fv_build_objects(fv_module *m, const fv_compile_options *o);
/* After fv_build_objects: makes kernels smaller that hardly matter, until all take o->code_bytes or as near as that comes.
 * false after recording errors. */
bool fv_build_shrink(fv_module *m, const fv_compile_options *o);
bool fv_build_load(fv_module *m);
#endif
