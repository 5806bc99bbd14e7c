/* emit: from a flat kernel to an LLVM module. Internal to this folder.
 *
 * Values. bool is i1; i32 is i64 as a scalar (no overflow, no extension at addresses) and i32 in a vector; f16 and bf16
 * are kept as i16 bits; f32 and f64 are themselves. Memory holds bool as a byte and i32 as 32 bits. Registers are one
 * alloca each; mem2reg makes them SSA.
 *
 * Scopes. Every structured body is a scope with a level. An integer scalar is emitted at the end of the outermost scope
 * in which its leaves are known ("hoisted"), so that inner loops keep one address per operand; what may trap or read
 * memory stays where it is. A memo maps trees to values; an entry is good while its scope is open, and, if it reads
 * writable memory, until the next store. */
#ifndef FV_LLVM_EMIT_H
#define FV_LLVM_EMIT_H
#include "backends/llvm/machine.h"

#include <llvm-c/Core.h>

typedef struct { fv_str name; LLVMValueRef value; int level; int64_t lo, hi; } fv_emit_var;
typedef struct {
    const fv_obj *obj;
    const fv_memory *memory;                            /* NULL: a tensor */
    LLVMValueRef pointer;
    LLVMValueRef *reg;                                  /* REG: one alloca per register */
    LLVMValueRef scope, others;  /* LOCAL: alias.scope and noalias lists; NULL: shares bytes with another */
    bool writable;                                      /* may be stored to */
    bool shared;                                        /* what is stored elsewhere may show here */
} fv_emit_place;
typedef struct { const fv_expr *key; LLVMValueRef value; uint32_t scope, epoch; int level; bool reads; } fv_emit_memo;
/* anchor: the terminator that opened the next scope; NULL in the innermost */
typedef struct { uint32_t id; LLVMValueRef anchor; } fv_emit_scope;

enum { FV_EMIT_MAX_SCOPES = 128, FV_EMIT_MAX_DEPTH = 4000 };

typedef struct {
    const fv_flat_kernel *k;
    const fv_machine *m;
    LLVMContextRef c;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMValueRef fn;
    LLVMBasicBlockRef entry;                            /* of allocas only */
    LLVMValueRef zeros;                                 /* what guarded loads read instead; NULL until the first one */
    int64_t zeros_bytes;
    int n_vars, cap_vars, n_places, cap_places, n_scopes, depth;
    fv_emit_var *var;
    fv_emit_place *place;
    fv_emit_scope scope[FV_EMIT_MAX_SCOPES];
    uint32_t n_memo, cap_memo, next_scope, epoch;
    fv_emit_memo *memo;
    uint8_t *open;                                      /* by scope id */
    uint32_t cap_open;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, half, ptr;
    bool failed;
    char why[256];
} fv_emit;

/* A value with what is known of it. */
typedef struct { LLVMValueRef v; int level; bool reads; } fv_emitted;

/* emit_kernel.c -------------------------------------------------------------------------------- */
/* Adds `void symbol(void *const *args, i64 begin, i64 end, void *scratch)` to the module. noalias: no tensor shares
 * memory with one that is written. false: why says what cannot be emitted. */
bool fv_emit_kernel(const fv_flat_kernel *k, const fv_machine *m, LLVMModuleRef module, const char *symbol,
                    bool noalias, char *why, size_t why_size);

/* emit_scope.c: failures, scopes, variables, memo, ranges -------------------------------------- */
void fv_emit_fail(fv_emit *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* anchor: the terminator just emitted in the current scope */
void fv_emit_push_scope(fv_emit *e, LLVMValueRef anchor);
void fv_emit_pop_scope(fv_emit *e, int n_vars);                 /* and forgets variables beyond n_vars */
void fv_emit_bind(fv_emit *e, fv_str name, LLVMValueRef v, int level, int64_t lo, int64_t hi);
const fv_emit_var *fv_emit_var_of(const fv_emit *e, fv_str name);
const fv_emit_place *fv_emit_place_of(const fv_emit *e, const fv_obj *obj);
fv_emit_memo *fv_emit_recall(fv_emit *e, const fv_expr *x);     /* NULL: not emitted, or no longer good */
void fv_emit_remember(fv_emit *e, const fv_expr *x, fv_emitted r);
fv_range fv_emit_range(const fv_emit *e, const fv_expr *x);     /* of an integer scalar; sound */
/* Moves the builder to the end of the scope at `level` / back to where code is being emitted. */
LLVMBasicBlockRef fv_emit_at_level(fv_emit *e, int level);
void fv_emit_back(fv_emit *e, LLVMBasicBlockRef here);

/* emit_type.c: types, constants, conversions --------------------------------------------------- */
LLVMTypeRef fv_emit_type(const fv_emit *e, fv_type t, int lanes);          /* of values */
LLVMTypeRef fv_emit_memory_type(const fv_emit *e, fv_type t, int lanes);   /* in memory */
LLVMTypeRef fv_emit_vector_of(LLVMTypeRef element, int lanes);             /* the element itself for one lane */
LLVMValueRef fv_emit_int(const fv_emit *e, int64_t v);                     /* i64 */
LLVMValueRef fv_emit_const_f32(const fv_emit *e, double v, int lanes);
LLVMValueRef fv_emit_const_i32(const fv_emit *e, int64_t v, int lanes);    /* i32, even for one lane */
LLVMValueRef fv_emit_splat(fv_emit *e, LLVMValueRef v, int lanes);         /* an LLVM scalar to a vector of its type */
LLVMValueRef fv_emit_convert(fv_emit *e, LLVMValueRef v, fv_type from, fv_type to, int lanes);
LLVMValueRef fv_emit_from_memory(fv_emit *e, LLVMValueRef v, fv_type t, int lanes);
LLVMValueRef fv_emit_to_memory(fv_emit *e, LLVMValueRef v, fv_type t, int lanes);
LLVMValueRef fv_emit_fast(LLVMValueRef v);                                 /* allows contraction to FMA */
LLVMValueRef fv_emit_call(fv_emit *e, const char *intrinsic, LLVMTypeRef *overload, int n_overload, LLVMValueRef *arg,
                          int n);
LLVMValueRef fv_emit_shuffle(fv_emit *e, LLVMValueRef a, LLVMValueRef b, const int *index, int n);   /* index -1: any */

/* emit_expr.c ---------------------------------------------------------------------------------- */
fv_emitted fv_emit_expr(fv_emit *e, const fv_expr *x);
LLVMValueRef fv_emit_value(fv_emit *e, const fv_expr *x);                  /* of its own type */
/* converted, and splat if a vector is wanted */
LLVMValueRef fv_emit_as(fv_emit *e, const fv_expr *x, fv_type t, int lanes);

/* emit_int.c, emit_float.c, emit_vector.c: operators over emitted operands --------------------- */
LLVMValueRef fv_emit_int_op(fv_emit *e, const fv_expr *x, LLVMValueRef *v);
LLVMValueRef fv_emit_float_op(fv_emit *e, const fv_expr *x, LLVMValueRef *v);
LLVMValueRef fv_emit_compare(fv_emit *e, fv_op op, bool is_float, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef fv_emit_float_minmax(fv_emit *e, bool max, LLVMValueRef a, LLVMValueRef b, bool a_number, bool b_number);
LLVMValueRef fv_emit_reduce(fv_emit *e, const fv_expr *x, LLVMValueRef v);
LLVMValueRef fv_emit_permute(fv_emit *e, LLVMValueRef v, LLVMValueRef index, int lanes);   /* i32 or f32 elements */
LLVMValueRef fv_emit_scalef(fv_emit *e, LLVMValueRef a, LLVMValueRef n, int lanes);

/* emit_memory.c -------------------------------------------------------------------------------- */
fv_emitted fv_emit_load(fv_emit *e, const fv_expr *x);                     /* LOAD, PERMLOAD, GATHER */
void fv_emit_store(fv_emit *e, const fv_flat *s);
/* Of an element, where the builder stands; NULL after a failure. */
LLVMValueRef fv_emit_address(fv_emit *e, const fv_obj *obj, const fv_expr *offset);
void fv_emit_frag(fv_emit *e, const fv_flat *s);                           /* emit_frag.c */
void fv_emit_alias_scopes(fv_emit *e);                                     /* once places are known */
#endif
