/* llvm_kit: short names for building flat kernels by hand and running them on every instruction set that this machine
 * has. Tests of backends/llvm only. */
#ifndef LLVM_KIT_H
#define LLVM_KIT_H
#include "backends/llvm/llvm.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef const fv_expr *E;
typedef struct { fv_ctx *ctx; fv_flat_kernel *k; fv_flats top; fv_flats *at; } kit;

static const char *const kit_targets[] = { "avx512", "avx2", "sse2" };
enum { KIT_TARGETS = 3 };

static inline kit kit_new(void) {
    kit t = { fv_ctx_new(), NULL, { NULL, NULL }, NULL };
    t.k = FV_NEW(t.ctx, fv_flat_kernel);
    t.k->ctx = t.ctx;
    t.k->name = fv_intern(t.ctx, "hand");
    t.k->programs = 1;
    t.k->tensor = FV_NEWN(t.ctx, fv_tensor *, 8);
    return t;
}

static inline const fv_tensor *kit_tensor(kit *t, const char *name, fv_type type, fv_role role, int64_t count) {
    fv_tensor *x = FV_NEW(t->ctx, fv_tensor);
    x->obj = (fv_obj){ .kind = FV_OBJ_TENSOR, .name = fv_intern(t->ctx, name), .type = type, .rank = 1 };
    x->role = role;
    x->dim[0] = fv_intern(t->ctx, "i");
    x->extent[0] = count;
    x->stride[0] = 1;
    return t->k->tensor[t->k->n_tensors++] = x;
}

static inline fv_flat *kit_add(kit *t, fv_flat_kind kind) {
    return fv_flats_add(t->at ? t->at : &t->top, fv_flat_new(t->ctx, kind));
}

static inline fv_memory *kit_alloc(kit *t, const char *name, fv_space space, fv_type type, int lanes, int64_t count,
                                   int64_t offset) {
    fv_memory *m = FV_NEW(t->ctx, fv_memory);
    m->obj = (fv_obj){ .kind = FV_OBJ_BUFFER, .name = fv_intern(t->ctx, name), .type = type, .rank = 1 };
    m->space = space;
    m->lanes = lanes;
    m->count = count;
    m->offset_bytes = offset;
    kit_add(t, FV_L_ALLOC)->memory = m;
    int64_t end = offset + count * fv_type_bytes(type);
    if (space == FV_SPACE_LOCAL && end > t->k->scratch_bytes) t->k->scratch_bytes = end;
    return m;
}

static inline E kit_load(kit *t, const fv_obj *ref, int lanes, E offset) {
    return fv_make(t->ctx, FV_X_LOAD, ref->type, lanes, 0, ref, &offset, 1);
}

static inline E kit_make(kit *t, fv_op op, fv_type type, int lanes, E a, E b, E c) {
    E arg[3] = { a, b, c };
    return fv_make(t->ctx, op, type, lanes, 0, NULL, arg, c ? 3 : b ? 2 : a ? 1 : 0);
}

static inline E kit_splat(kit *t, E a, int lanes) {
    return lanes == 1 ? a : kit_make(t, FV_X_SPLAT, a->type, lanes, a, NULL, NULL);
}

static inline fv_flat *kit_store(kit *t, const fv_tensor *x, fv_memory *m, E offset, E value) {
    fv_flat *s = kit_add(t, FV_L_STORE);
    s->tensor = x;
    s->memory = m;
    s->offset = offset;
    s->expr = value;
    return s;
}

static inline E kit_let(kit *t, const char *name, E value) {
    fv_flat *s = kit_add(t, FV_L_LET);
    s->name = fv_intern(t->ctx, name);
    s->expr = value;
    return fv_var_n(t->ctx, s->name, value->type, value->lanes);
}

static inline E kit_i(kit *t, int64_t v) { return fv_int(t->ctx, v); }
static inline E kit_f(kit *t, double v) { return fv_float(t->ctx, v); }
static inline E kit_var(kit *t, const char *name) { return fv_var(t->ctx, fv_intern(t->ctx, name), FV_I32); }

/* Statements added until the matching kit_end go into the loop. */
static inline fv_flats *kit_for(kit *t, const char *name, E lo, E hi, int64_t step, fv_flats *body) {
    fv_flats *outer = t->at;
    fv_flat *f = kit_add(t, FV_L_FOR);
    f->name = fv_intern(t->ctx, name);
    f->lo = lo;
    f->hi = hi;
    f->step = step;
    *body = (fv_flats){ NULL, NULL };
    t->at = body;
    return outer;
}

static inline void kit_end(kit *t, fv_flats *outer, fv_flat **into) {
    *into = t->at->first;
    t->at = outer;
}

static inline fv_flat *kit_last(kit *t) { return (t->at ? t->at : &t->top)->last; }

/* Runs programs begin..end on one target. false: this machine cannot run it (only then). math: expand functions. */
static inline bool kit_run(kit *t, const char *target, bool math, void *const *args, int64_t begin, int64_t end) {
    t->k->body = t->top.first;
    fv_llvm_kernel *k = fv_llvm_kernel_new(t->ctx, t->k, target, math);
    if (!k) {
        fv_buf text = { 0 };
        fv_diag_render(t->ctx, &text);
        bool cannot = strstr(text.text, "cannot run code") != NULL;
        cr_assert(cannot, "%s: %s", target, text.text);
        fv_buf_dispose(&text);
        fv_diag_clear(t->ctx);
        return false;
    }
    char *scratch = aligned_alloc(64, (size_t)(t->k->scratch_bytes / 64 + 2) * 64);
    fv_llvm_kernel_entry(k)(args, begin, end, scratch);
    free(scratch);
    fv_llvm_kernel_dispose(k);
    return true;
}

static inline void kit_done(kit *t) { fv_ctx_dispose(t->ctx); }
#endif
