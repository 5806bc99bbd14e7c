/* emit_kernel: a flat kernel as two functions: the entry, which loads the pointers of the arguments, and the body, to
 * which they are parameters that do not alias; the passes make them one. Loops are tested at the bottom; only the
 * induction variable is a phi. */
#include "backends/llvm/emit.h"

#include <stdlib.h>
#include <string.h>

static void emit_list(fv_emit *e, const fv_flat *s);

/* -- Statements -------------------------------------------------------------------------------- */
typedef struct { LLVMValueRef lo, hi; fv_range range; bool runs; } bounds;     /* runs: at least once */

static bounds bounds_of(fv_emit *e, const fv_flat *s) {
    bounds b = { NULL, NULL, { 0, e->k->programs > 0 ? e->k->programs - 1 : 0 }, false };
    if (s->loop == FV_LOOP_PROGRAMS) {
        unsigned n = (unsigned)e->k->n_tensors;
        b.lo = LLVMGetParam(e->fn, n);
        b.hi = LLVMGetParam(e->fn, n + 1);
        return b;
    }
    fv_range lo = fv_emit_range(e, s->lo), hi = fv_emit_range(e, s->hi);
    b.lo = fv_emit_as(e, s->lo, FV_I32, 1);
    b.hi = fv_emit_as(e, s->hi, FV_I32, 1);
    b.range = (fv_range){ lo.lo, hi.hi == FV_RANGE_MAX ? hi.hi : hi.hi - 1 };
    b.runs = lo.hi < hi.lo;
    return b;
}

static bool room(fv_emit *e) {
    if (e->n_scopes == FV_EMIT_MAX_SCOPES)
        fv_emit_fail(e, "loops and conditions are nested more than %d deep", FV_EMIT_MAX_SCOPES);
    return !e->failed;
}

static void emit_for(fv_emit *e, const fv_flat *s) {
    if (!room(e)) return;
    if (s->loop == FV_LOOP_ITEM || s->step <= 0) {
        fv_emit_fail(e, s->step <= 0 ? "a loop's step is not positive"
                     : "a loop over items does not belong in a kernel for a CPU");
        return;
    }
    bounds b = bounds_of(e, s);
    if (e->failed) return;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(e->c, e->fn, "loop");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(e->c, e->fn, "after");
    LLVMValueRef enter = b.runs ? LLVMBuildBr(e->b, body)
                                : LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, b.lo, b.hi, ""), body, after);
    int vars = e->n_vars;
    fv_emit_push_scope(e, enter);
    LLVMPositionBuilderAtEnd(e->b, body);
    LLVMValueRef i = LLVMBuildPhi(e->b, e->i64, fv_cstr(e->k->ctx, s->name));
    fv_emit_bind(e, s->name, i, e->n_scopes - 1, b.range.lo, b.range.hi);
    emit_list(e, s->body);
    LLVMValueRef next = LLVMBuildNSWAdd(e->b, i, fv_emit_int(e, s->step), "");
    LLVMBasicBlockRef last = LLVMGetInsertBlock(e->b), from[2] = { before, last };
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, b.hi, ""), body, after);
    LLVMValueRef in[2] = { b.lo, next };
    LLVMAddIncoming(i, in, from, 2);
    fv_emit_pop_scope(e, vars);
    LLVMPositionBuilderAtEnd(e->b, after);
}

static void emit_arm(fv_emit *e, const fv_flat *s, LLVMValueRef branch, LLVMBasicBlockRef at, LLVMBasicBlockRef after) {
    int vars = e->n_vars;
    fv_emit_push_scope(e, branch);
    LLVMPositionBuilderAtEnd(e->b, at);
    emit_list(e, s);
    LLVMBuildBr(e->b, after);
    fv_emit_pop_scope(e, vars);
}

static void emit_if(fv_emit *e, const fv_flat *s) {
    if (!room(e)) return;
    LLVMValueRef c = fv_emit_as(e, s->expr, FV_BOOL, 1);
    if (e->failed) return;
    if (LLVMIsAConstantInt(c)) {
        emit_list(e, LLVMConstIntGetZExtValue(c) ? s->body : s->orelse);
        return;
    }
    LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(e->c, e->fn, "then");
    LLVMBasicBlockRef other = s->orelse ? LLVMAppendBasicBlockInContext(e->c, e->fn, "else") : NULL;
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(e->c, e->fn, "after");
    LLVMValueRef branch = LLVMBuildCondBr(e->b, c, then, other ? other : after);
    emit_arm(e, s->body, branch, then, after);
    if (other) emit_arm(e, s->orelse, branch, other, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

static void emit_let(fv_emit *e, const fv_flat *s) {
    bool integer = s->expr->type == FV_I32 && s->expr->lanes == 1;
    fv_range r = integer ? fv_emit_range(e, s->expr) : (fv_range){ FV_RANGE_MIN, FV_RANGE_MAX };
    fv_emitted v = fv_emit_expr(e, s->expr);
    fv_emit_bind(e, s->name, v.v, v.level, r.lo, r.hi);
}

static void emit_list(fv_emit *e, const fv_flat *s) {
    for (; s && !e->failed; s = s->next) {
        switch (s->kind) {
        case FV_L_FOR: emit_for(e, s); break;
        case FV_L_IF: emit_if(e, s); break;
        case FV_L_LET: emit_let(e, s); break;
        case FV_L_STORE: fv_emit_store(e, s); break;
        case FV_L_FRAG: fv_emit_frag(e, s); break;
        case FV_L_ROWS:
        case FV_L_COPY:
        case FV_L_MMA: fv_emit_fail(e, "a product on the matrix unit of a sub-group"); break;
        case FV_L_ALLOC:                                /* places were made at the start */
        case FV_L_BARRIER:                              /* one thread runs a program */
        case FV_L_ASSERT: break;                        /* a statement for the interpreter and the verifier */
        }
    }
}

/* -- Places ------------------------------------------------------------------------------------ */
static fv_emit_place *new_place(fv_emit *e) {
    if (e->n_places == e->cap_places) {
        e->cap_places = e->cap_places ? e->cap_places * 2 : 32;
        e->place = realloc(e->place, (size_t)e->cap_places * sizeof *e->place);
        FV_ASSERT(e->place, "out of memory");
    }
    fv_emit_place *p = &e->place[e->n_places++];
    *p = (fv_emit_place){ 0 };
    return p;
}

static void make_registers(fv_emit *e, fv_emit_place *p) {
    enum { MAX_REGISTERS = 4096 };
    const fv_memory *m = p->memory;
    if (m->count < 1 || m->count > MAX_REGISTERS || m->lanes < 1 || m->lanes > 64) {
        fv_emit_fail(e, "'%s' has %lld registers of %d lanes", fv_cstr(e->k->ctx, m->obj.name), (long long)m->count,
                     m->lanes);
        return;
    }
    p->reg = malloc((size_t)m->count * sizeof(LLVMValueRef));
    FV_ASSERT(p->reg, "out of memory");
    LLVMTypeRef t = fv_emit_type(e, m->obj.type, m->lanes);
    for (int64_t i = 0; i < m->count; i++) p->reg[i] = LLVMBuildAlloca(e->b, t, "");
}

static void make_place(fv_emit *e, const fv_memory *m) {
    if (fv_emit_place_of(e, &m->obj)) return;
    fv_emit_place *p = new_place(e);
    p->obj = &m->obj;
    p->memory = m;
    p->writable = true;
    if (m->space == FV_SPACE_REG) make_registers(e, p);
    else if (m->space == FV_SPACE_LOCAL) {
        LLVMValueRef at = fv_emit_int(e, m->offset_bytes);
        p->pointer = LLVMBuildGEP2(e->b, e->i8, LLVMGetParam(e->fn, (unsigned)e->k->n_tensors + 2), &at, 1,
                                   fv_cstr(e->k->ctx, m->obj.name));
        if (m->offset_bytes < 0 || m->offset_bytes + m->count * fv_type_bytes(m->obj.type) > e->k->scratch_bytes)
            fv_emit_fail(e, "'%s' leaves the scratch block", fv_cstr(e->k->ctx, m->obj.name));
    } else fv_emit_fail(e, "'%s' is in a memory that a CPU does not have", fv_cstr(e->k->ctx, m->obj.name));
}

static void make_places(fv_emit *e, const fv_flat *s, int depth) {
    if (depth > FV_EMIT_MAX_SCOPES) return;             /* emit_list refuses it */
    for (; s && !e->failed; s = s->next) {
        if (s->kind == FV_L_ALLOC) make_place(e, s->memory);
        make_places(e, s->body, depth + 1);
        make_places(e, s->orelse, depth + 1);
    }
}

/* -- Functions --------------------------------------------------------------------------------- */
static void add_attribute(fv_emit *e, LLVMValueRef fn, unsigned at, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(fn, at, LLVMCreateEnumAttribute(e->c, kind, 0));
}

static void add_text_attribute(fv_emit *e, LLVMValueRef fn, const char *name, const char *value) {
    LLVMAttributeRef a = LLVMCreateStringAttribute(e->c, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

static void set_attributes(fv_emit *e, LLVMValueRef fn) {
    add_text_attribute(e, fn, "target-cpu", e->m->cpu);
    if (e->m->features[0]) add_text_attribute(e, fn, "target-features", e->m->features);
    if (e->m->avx512) add_text_attribute(e, fn, "prefer-vector-width", "512");
    add_attribute(e, fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind");
}

/* The body's parameters: one pointer per tensor, begin, end, scratch. */
static void start_body(fv_emit *e, const char *symbol, bool noalias) {
    unsigned n = (unsigned)e->k->n_tensors;
    LLVMTypeRef *type = malloc((n + 3) * sizeof *type);
    FV_ASSERT(type, "out of memory");
    for (unsigned i = 0; i < n + 3; i++) type[i] = i == n || i == n + 1 ? e->i64 : e->ptr;
    char name[160];
    snprintf(name, sizeof name, "%s.body", symbol);
    e->fn = LLVMAddFunction(e->module, name, LLVMFunctionType(LLVMVoidTypeInContext(e->c), type, n + 3, 0));
    free(type);
    LLVMSetLinkage(e->fn, LLVMInternalLinkage);
    set_attributes(e, e->fn);
    add_attribute(e, e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "alwaysinline");
    add_attribute(e, e->fn, n + 3, "noalias");
    for (unsigned i = 0; i < n; i++) {
        const fv_tensor *t = e->k->tensor[i];
        LLVMSetValueName2(LLVMGetParam(e->fn, i), fv_cstr(e->k->ctx, t->obj.name),
                          strlen(fv_cstr(e->k->ctx, t->obj.name)));
        if (noalias) add_attribute(e, e->fn, i + 1, "noalias");
        if (t->role == FV_ROLE_IN) add_attribute(e, e->fn, i + 1, "readonly");
        add_attribute(e, e->fn, i + 1, "nocapture");
        fv_emit_place *p = new_place(e);
        p->obj = &t->obj;
        p->pointer = LLVMGetParam(e->fn, i);
        p->writable = t->role != FV_ROLE_IN;
        p->shared = !noalias;
    }
}

static bool has_program_loop(const fv_flat *s) {
    for (; s; s = s->next)
        if (s->kind == FV_L_FOR && s->loop == FV_LOOP_PROGRAMS) return true;
    return false;
}

static void emit_body(fv_emit *e) {
    unsigned n = (unsigned)e->k->n_tensors;
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(e->c, e->fn, "entry");
    LLVMBasicBlockRef start = LLVMAppendBasicBlockInContext(e->c, e->fn, "start");
    LLVMPositionBuilderAtEnd(e->b, entry);
    make_places(e, e->k->body, 0);
    fv_emit_alias_scopes(e);
    LLVMBasicBlockRef none = NULL;
    if (!has_program_loop(e->k->body)) {                /* one program: it runs if it is asked for */
        none = LLVMAppendBasicBlockInContext(e->c, e->fn, "none");
        LLVMValueRef some = LLVMBuildICmp(e->b, LLVMIntSLT, LLVMGetParam(e->fn, n), LLVMGetParam(e->fn, n + 1), "");
        LLVMBuildCondBr(e->b, some, start, none);
        LLVMPositionBuilderAtEnd(e->b, none);
        LLVMBuildRetVoid(e->b);
    } else LLVMBuildBr(e->b, start);
    LLVMPositionBuilderAtEnd(e->b, start);
    fv_emit_push_scope(e, NULL);
    emit_list(e, e->k->body);
    LLVMBuildRetVoid(e->b);
}

static void emit_entry(fv_emit *e, const char *symbol) {
    unsigned n = (unsigned)e->k->n_tensors;
    LLVMTypeRef type[4] = { e->ptr, e->i64, e->i64, e->ptr };
    LLVMValueRef fn = LLVMAddFunction(e->module, symbol, LLVMFunctionType(LLVMVoidTypeInContext(e->c), type, 4, 0));
    set_attributes(e, fn);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, fn, "entry"));
    LLVMValueRef *arg = malloc((n + 3) * sizeof *arg);
    FV_ASSERT(arg, "out of memory");
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef at = fv_emit_int(e, (int64_t)i);
        arg[i] = LLVMBuildLoad2(e->b, e->ptr, LLVMBuildGEP2(e->b, e->ptr, LLVMGetParam(fn, 0), &at, 1, ""), "");
    }
    for (unsigned i = 0; i < 3; i++) arg[n + i] = LLVMGetParam(fn, i + 1);
    LLVMBuildCall2(e->b, LLVMGlobalGetValueType(e->fn), e->fn, arg, n + 3, "");
    LLVMBuildRetVoid(e->b);
    free(arg);
}

static void set_types(fv_emit *e) {
    e->i1 = LLVMInt1TypeInContext(e->c);
    e->i8 = LLVMInt8TypeInContext(e->c);
    e->i16 = LLVMInt16TypeInContext(e->c);
    e->i32 = LLVMInt32TypeInContext(e->c);
    e->i64 = LLVMInt64TypeInContext(e->c);
    e->f32 = LLVMFloatTypeInContext(e->c);
    e->f64 = LLVMDoubleTypeInContext(e->c);
    e->half = LLVMHalfTypeInContext(e->c);
    e->ptr = LLVMPointerTypeInContext(e->c, 0);
}

bool fv_emit_kernel(const fv_flat_kernel *k, const fv_machine *m, LLVMModuleRef module, const char *symbol,
                    bool noalias, char *why, size_t why_size) {
    fv_emit *e = calloc(1, sizeof *e);
    FV_ASSERT(e, "out of memory");
    e->k = k;
    e->m = m;
    e->module = module;
    e->c = LLVMGetModuleContext(module);
    e->b = LLVMCreateBuilderInContext(e->c);
    set_types(e);
    start_body(e, symbol, noalias);
    emit_body(e);
    if (!e->failed) emit_entry(e, symbol);
    bool ok = !e->failed;
    if (!ok) snprintf(why, why_size, "%s", e->why);
    for (int i = 0; i < e->n_places; i++) free(e->place[i].reg);
    free(e->place);
    free(e->var);
    free(e->memo);
    free(e->open);
    LLVMDisposeBuilder(e->b);
    free(e);
    return ok;
}
