/* Shared by the flat_*.c and items_*.c files only. */
#ifndef FV_FLAT_INTERNAL_H
#define FV_FLAT_INTERNAL_H
#include "kernel/flat.h"

/* Words of the flat text that no variable may be called (grammar: flat_print.c). */
bool fv_flat_reserved(const char *name);
/* The memory (tensor) that an access names; NULL: it is a tensor (a memory). */
static inline fv_memory *fv_flat_memory_of(const fv_obj *ref) {
    return ref && ref->kind == FV_OBJ_BUFFER ? (fv_memory *)(uintptr_t)ref : NULL; }
static inline fv_tensor *fv_flat_tensor_of(const fv_obj *ref) {
    return ref && ref->kind == FV_OBJ_TENSOR ? (fv_tensor *)(uintptr_t)ref : NULL; }
/* Rounds to a storage type: f32, f16, bf16 (nearest, ties to even); i32 and bool as they are. */
double fv_flat_round(fv_type type, double v);
/* One pointwise operator as f32 code computes it (f64 if `type` is FV_F64): flat_interp.c's arithmetic. */
double fv_flat_apply(const fv_expr *e, const double *arg);
#endif
