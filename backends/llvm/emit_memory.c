/* emit_memory: loads and stores. An address is a pointer that changes only with outer loops, plus what the current one
 * adds, plus a constant; alignment is that of the element. A guarded load selects its pointer, so that nothing out of
 * bounds is read and no lane is masked. */
#include "backends/llvm/emit.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

typedef struct { LLVMValueRef at; int level; bool reads; } pointer;

static LLVMTypeRef element_of(const fv_emit *e, const fv_emit_place *p) {
    return fv_emit_memory_type(e, p->obj->type, 1);
}

static LLVMValueRef step(fv_emit *e, LLVMTypeRef element, LLVMValueRef at, LLVMValueRef by) {
    return LLVMBuildGEP2(e->b, element, at, &by, 1, "");
}

/* -- Addresses --------------------------------------------------------------------------------- */
enum { MAX_TERMS = 48 };
typedef struct { fv_emitted term[MAX_TERMS]; int n; int64_t constant; } terms;

static void collect(fv_emit *e, const fv_expr *x, terms *t, int room) {
    if (x->op == FV_X_INT && x->lanes == 1) t->constant += x->i;
    else if (x->op == FV_X_ADD && x->type == FV_I32 && x->lanes == 1 && t->n + 2 <= room) {
        collect(e, x->arg[0], t, room - 1);
        collect(e, x->arg[1], t, room);
    } else {
        fv_emitted v = fv_emit_expr(e, x);
        if (x->type != FV_I32 || x->lanes != 1) fv_emit_fail(e, "an offset is not an integer scalar");
        t->term[t->n++] = v;
    }
}

/* Sum of the terms at levels lo..hi, added where each becomes known; v NULL: none. */
static fv_emitted sum_of(fv_emit *e, const terms *t, int lo, int hi) {
    fv_emitted r = { NULL, 0, false };
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    for (int level = lo; level <= hi; level++)
        for (int i = 0; i < t->n; i++) {
            if (t->term[i].level != level) continue;
            fv_emit_at_level(e, level);
            r.v = r.v ? LLVMBuildNSWAdd(e->b, r.v, t->term[i].v, "") : t->term[i].v;
            fv_emit_back(e, here);
            r.level = level;
            r.reads |= t->term[i].reads;
        }
    return r;
}

/* base + offset (elements). whole: the constant part is added with the rest, else where the builder stands. */
static pointer advance(fv_emit *e, LLVMTypeRef element, pointer base, const fv_expr *offset, bool whole) {
    terms t = { .n = 0 };
    collect(e, offset, &t, MAX_TERMS);
    if (e->failed) return base;
    int now = e->n_scopes - 1;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    fv_emitted outer = sum_of(e, &t, 0, now - 1), inner = sum_of(e, &t, now, now);
    pointer p = { base.at, base.level, base.reads || outer.reads || inner.reads };
    if (outer.v) {
        p.level = outer.level > base.level ? outer.level : base.level;
        fv_emit_at_level(e, p.level);
        p.at = step(e, element, p.at, outer.v);
        fv_emit_back(e, here);
    }
    if (inner.v) {
        p.at = step(e, element, p.at, inner.v);
        p.level = now;
    }
    if (t.constant) {
        if (whole) fv_emit_at_level(e, p.level);
        p.at = step(e, element, p.at, fv_emit_int(e, t.constant));
        fv_emit_back(e, here);
        if (!whole) p.level = now;
    }
    return p;
}

static pointer address(fv_emit *e, const fv_emit_place *p, const fv_expr *offset) {
    return advance(e, element_of(e, p), (pointer){ p->pointer, 0, false }, offset, false);
}

LLVMValueRef fv_emit_address(fv_emit *e, const fv_obj *obj, const fv_expr *offset) {
    const fv_emit_place *p = fv_emit_place_of(e, obj);
    if (!p || p->reg) {
        fv_emit_fail(e, "'%s' is no memory here", fv_cstr(e->k->ctx, obj->name));
        return NULL;
    }
    pointer at = address(e, p, offset);
    return e->failed ? NULL : at.at;
}

/* -- The zeros that guarded loads read --------------------------------------------------------- */
static LLVMValueRef zeros(fv_emit *e, int64_t bytes) {
    if (bytes <= e->zeros_bytes) return e->zeros;
    LLVMTypeRef t = LLVMArrayType2(e->i8, (uint64_t)bytes);
    LLVMValueRef z = LLVMAddGlobal(e->module, t, "zeros");
    LLVMSetInitializer(z, LLVMConstNull(t));
    LLVMSetGlobalConstant(z, 0); /* never written; so it takes no room in a file */
    LLVMSetLinkage(z, LLVMInternalLinkage);
    LLVMSetAlignment(z, 64);
    if (e->zeros) {                                     /* the larger one serves all */
        LLVMReplaceAllUsesWith(e->zeros, z);
        LLVMDeleteGlobal(e->zeros);
    }
    e->zeros = z;
    e->zeros_bytes = bytes;
    return z;
}

/* -- Aliasing ---------------------------------------------------------------------------------- */
static bool overlap(const fv_memory *a, const fv_memory *b) {
    int64_t ea = a->offset_bytes + a->count * fv_type_bytes(a->obj.type);
    int64_t eb = b->offset_bytes + b->count * fv_type_bytes(b->obj.type);
    return a->offset_bytes < eb && b->offset_bytes < ea;
}

static bool alone(const fv_emit *e, int i) {
    const fv_emit_place *p = &e->place[i];
    if (!p->memory || p->memory->space != FV_SPACE_LOCAL) return false;
    for (int j = 0; j < e->n_places; j++) {
        const fv_memory *m = e->place[j].memory;
        if (j != i && m && m->space == FV_SPACE_LOCAL && overlap(p->memory, m)) return false;
    }
    return true;
}

static LLVMMetadataRef own_node(fv_emit *e, LLVMMetadataRef second, const char *name) {
    LLVMMetadataRef temp = LLVMTemporaryMDNode(e->c, NULL, 0);
    LLVMMetadataRef part[3] = { temp, second, NULL };
    int n = second ? 2 : 1;
    part[n++] = LLVMMDStringInContext2(e->c, name, strlen(name));
    LLVMMetadataRef node = LLVMMDNodeInContext2(e->c, part, (size_t)n);
    LLVMMetadataReplaceAllUsesWith(temp, node);
    return node;
}

/* Local buffers are pieces of one block: LLVM cannot tell them apart, so each that shares no byte with another gets an
 * alias scope. */
void fv_emit_alias_scopes(fv_emit *e) {
    enum { MAX = 32 };
    LLVMMetadataRef scope[MAX], list[MAX];
    int who[MAX], n = 0;
    for (int i = 0; i < e->n_places && n < MAX; i++)
        if (alone(e, i)) who[n++] = i;
    if (n < 2) return;
    LLVMMetadataRef domain = own_node(e, NULL, "local");
    for (int i = 0; i < n; i++) scope[i] = own_node(e, domain, fv_cstr(e->k->ctx, e->place[who[i]].obj->name));
    for (int i = 0; i < n; i++) {
        size_t m = 0;
        for (int j = 0; j < n; j++)
            if (j != i) list[m++] = scope[j];
        e->place[who[i]].scope = LLVMMetadataAsValue(e->c, LLVMMDNodeInContext2(e->c, &scope[i], 1));
        e->place[who[i]].others = LLVMMetadataAsValue(e->c, LLVMMDNodeInContext2(e->c, list, m));
    }
}

static LLVMValueRef marked(fv_emit *e, const fv_emit_place *p, LLVMValueRef access, bool plain) {
    if (plain) LLVMSetAlignment(access, (unsigned)fv_type_bytes(p->obj->type));
    if (p->scope) {
        LLVMSetMetadata(access, LLVMGetMDKindIDInContext(e->c, "alias.scope", 11), p->scope);
        LLVMSetMetadata(access, LLVMGetMDKindIDInContext(e->c, "noalias", 7), p->others);
    }
    return access;
}

/* -- Loads ------------------------------------------------------------------------------------- */
static LLVMValueRef plain_load(fv_emit *e, const fv_emit_place *p, LLVMValueRef at, int lanes) {
    return marked(e, p, LLVMBuildLoad2(e->b, fv_emit_memory_type(e, p->obj->type, lanes), at, ""), true);
}

static LLVMValueRef alignment(fv_emit *e, const fv_emit_place *p) {
    return LLVMConstInt(e->i32, (unsigned long long)fv_type_bytes(p->obj->type), 0);
}

static LLVMValueRef masked_load(fv_emit *e, const fv_emit_place *p, const fv_expr *x, bool *reads) {
    LLVMValueRef mask = fv_emit_as(e, x->arg[1], FV_BOOL, x->lanes);
    LLVMValueRef fill = fv_emit_to_memory(e, fv_emit_as(e, x->arg[2], p->obj->type, x->lanes), p->obj->type, x->lanes);
    pointer at = address(e, p, x->arg[0]);
    *reads |= at.reads;
    LLVMTypeRef t[2] = { fv_emit_memory_type(e, p->obj->type, x->lanes), e->ptr };
    if (x->lanes == 1) {
        LLVMValueRef from = LLVMBuildSelect(e->b, mask, at.at, zeros(e, 16), "");
        return LLVMBuildSelect(e->b, mask, plain_load(e, p, from, 1), fill, "");
    }
    LLVMValueRef arg[4] = { at.at, alignment(e, p), mask, fill };
    return marked(e, p, fv_emit_call(e, "llvm.masked.load", t, 2, arg, 4), false);
}

/* guard ? ref[base + offset …] : 0. The choice is made where base and guard are known. */
static LLVMValueRef guarded_load(fv_emit *e, const fv_emit_place *p, const fv_expr *x, bool *reads) {
    LLVMTypeRef element = element_of(e, p);
    fv_emitted guard = fv_emit_expr(e, x->arg[2]);
    pointer base = advance(e, element, (pointer){ p->pointer, 0, false }, x->arg[0], true);
    if (x->arg[2]->lanes != 1 || x->arg[2]->type != FV_BOOL) fv_emit_fail(e, "a guard is not a bool scalar");
    if (e->failed) return LLVMGetPoison(fv_emit_memory_type(e, p->obj->type, x->lanes));
    LLVMValueRef none = zeros(e, (x->i + x->lanes) * fv_type_bytes(p->obj->type));
    base.level = guard.level > base.level ? guard.level : base.level;
    LLVMBasicBlockRef here = fv_emit_at_level(e, base.level);
    base.at = LLVMBuildSelect(e->b, guard.v, base.at, none, "");
    fv_emit_back(e, here);
    pointer at = advance(e, element, base, x->arg[1], false);
    *reads |= at.reads || guard.reads;
    return plain_load(e, p, at.at, x->lanes);
}

/* AVX2's instruction, for 4 or 8 elements of 4 bytes: LLVM would write out a load for each lane, with a branch under a
 * mask. */
static LLVMValueRef gather_avx2(fv_emit *e, const fv_emit_place *p, LLVMValueRef index, LLVMValueRef mask,
                                LLVMValueRef fill, int lanes) {
    LLVMTypeRef floats = LLVMVectorType(e->f32, (unsigned)lanes), words = LLVMVectorType(e->i32, (unsigned)lanes);
    LLVMValueRef sign = LLVMBuildBitCast(e->b, LLVMBuildSExt(e->b, mask, words, ""), floats, "");
    LLVMValueRef scale = LLVMConstInt(e->i8, 4, 0);
    LLVMValueRef arg[5] = { LLVMBuildBitCast(e->b, fill, floats, ""), p->pointer, index, sign, scale };
    const char *name = lanes == 8 ? "llvm.x86.avx2.gather.d.ps.256" : "llvm.x86.avx2.gather.d.ps";
    LLVMValueRef v = fv_emit_call(e, name, NULL, 0, arg, 5);
    return LLVMBuildBitCast(e->b, v, LLVMTypeOf(fill), "");
}

/* Where no gather can mask, lanes that the mask leaves out read the first element, which every tensor has, and get
 * their fill afterwards. */
static LLVMValueRef gather_unmasked(fv_emit *e, const fv_emit_place *p, LLVMValueRef index, LLVMValueRef mask,
                                    LLVMValueRef fill, int lanes) {
    index = LLVMBuildSelect(e->b, mask, index, LLVMConstNull(LLVMTypeOf(index)), "");
    LLVMValueRef at = step(e, element_of(e, p), p->pointer, index), v;
    if (lanes == 1) v = plain_load(e, p, at, 1);
    else {
        LLVMTypeRef overload[2] = { LLVMTypeOf(fill), LLVMTypeOf(at) };
        LLVMValueRef all = LLVMConstAllOnes(LLVMTypeOf(mask)), none = LLVMConstNull(LLVMTypeOf(fill));
        LLVMValueRef arg[4] = { at, alignment(e, p), all, none };
        v = marked(e, p, fv_emit_call(e, "llvm.masked.gather", overload, 2, arg, 4), false);
    }
    return LLVMBuildSelect(e->b, mask, v, fill, "");
}

static LLVMValueRef gather(fv_emit *e, const fv_emit_place *p, const fv_expr *x) {
    fv_type t = p->obj->type;
    int lanes = x->lanes;
    LLVMTypeRef type = fv_emit_memory_type(e, t, lanes);
    LLVMValueRef index = fv_emit_as(e, x->arg[0], FV_I32, lanes);
    LLVMValueRef mask = LLVMConstAllOnes(fv_emit_vector_of(e->i1, lanes)), fill = LLVMConstNull(type);
    if (x->n > 1) {
        mask = fv_emit_as(e, x->arg[1], FV_BOOL, lanes);
        fill = fv_emit_to_memory(e, fv_emit_as(e, x->arg[2], t, lanes), t, lanes);
    }
    bool word = (t == FV_F32 || t == FV_I32) && (lanes == 4 || lanes == 8);
    if (e->m->avx2 && !e->m->avx512 && word) return gather_avx2(e, p, index, mask, fill, lanes);
    if (!e->m->avx512 || lanes == 1) return gather_unmasked(e, p, index, mask, fill, lanes);
    LLVMValueRef at = step(e, element_of(e, p), p->pointer, index);
    LLVMTypeRef overload[2] = { type, LLVMTypeOf(at) };
    LLVMValueRef arg[4] = { at, alignment(e, p), mask, fill };
    return marked(e, p, fv_emit_call(e, "llvm.masked.gather", overload, 2, arg, 4), false);
}

static LLVMValueRef permuted_load(fv_emit *e, const fv_emit_place *p, const fv_expr *x, bool *reads) {
    LLVMValueRef index = fv_emit_as(e, x->arg[1], FV_I32, x->lanes);
    pointer at = address(e, p, x->arg[0]);
    *reads |= at.reads;
    LLVMValueRef v = plain_load(e, p, at.at, x->lanes);
    return x->lanes == 1 ? v : fv_emit_permute(e, v, index, x->lanes);
}

static LLVMValueRef register_of(fv_emit *e, const fv_emit_place *p, const fv_expr *offset) {
    int64_t i = -1;
    if (!fv_is_int(offset, &i) || i < 0 || i >= p->memory->count) {
        fv_emit_fail(e, "a register of '%s' is not named by a constant in 0..%lld", fv_cstr(e->k->ctx, p->obj->name),
                     (long long)p->memory->count - 1);
        return NULL;
    }
    return p->reg[i];
}

static LLVMValueRef load_register(fv_emit *e, const fv_emit_place *p, const fv_expr *x) {
    LLVMValueRef r = register_of(e, p, x->arg[0]);
    if (r && (x->op != FV_X_LOAD || x->lanes != p->memory->lanes || x->n != 1))
        fv_emit_fail(e, "a register of '%s' is not read as it is: %d lanes, register of %d",
                     fv_cstr(e->k->ctx, p->obj->name), x->lanes, p->memory->lanes);
    LLVMTypeRef t = fv_emit_type(e, p->obj->type, x->lanes);
    return e->failed ? LLVMGetPoison(t) : LLVMBuildLoad2(e->b, t, r, "");
}

fv_emitted fv_emit_load(fv_emit *e, const fv_expr *x) {
    fv_emitted r = { LLVMGetPoison(fv_emit_type(e, x->type, x->lanes)), e->n_scopes - 1, false };
    const fv_emit_place *p = x->ref ? fv_emit_place_of(e, x->ref) : NULL;
    if (!p) {
        const char *name = x->ref ? fv_cstr(e->k->ctx, x->ref->name) : "?";
        fv_emit_fail(e, "'%s' is read and is neither a tensor nor allocated", name);
        return r;
    }
    r.reads = p->writable || p->shared;
    LLVMValueRef v;
    if (p->reg) {
        v = load_register(e, p, x);
        r.v = fv_emit_convert(e, v, p->obj->type, x->type, x->lanes);
        return r;
    }
    if (x->op == FV_X_GATHER) v = gather(e, p, x);
    else if (x->op == FV_X_PERMLOAD) v = permuted_load(e, p, x, &r.reads);
    else if (x->i) v = guarded_load(e, p, x, &r.reads);
    else if (x->n == 3) v = masked_load(e, p, x, &r.reads);
    else {
        pointer at = address(e, p, x->arg[0]);
        r.reads |= at.reads;
        v = plain_load(e, p, at.at, x->lanes);
    }
    if (e->failed) return r;
    r.v = fv_emit_convert(e, fv_emit_from_memory(e, v, p->obj->type, x->lanes), p->obj->type, x->type, x->lanes);
    return r;
}

/* -- Stores ------------------------------------------------------------------------------------ */
static void store_register(fv_emit *e, const fv_emit_place *p, const fv_flat *s) {
    int lanes = p->memory->lanes;
    LLVMValueRef v = fv_emit_as(e, s->expr, p->obj->type, lanes), r = register_of(e, p, s->offset);
    if (!r || e->failed) return;
    if (s->mask) {
        LLVMValueRef old = LLVMBuildLoad2(e->b, LLVMTypeOf(v), r, "");
        v = LLVMBuildSelect(e->b, fv_emit_as(e, s->mask, FV_BOOL, lanes), v, old, "");
    }
    LLVMBuildStore(e->b, v, r);
}

static void store_if(fv_emit *e, const fv_emit_place *p, LLVMValueRef v, LLVMValueRef at, LLVMValueRef mask) {
    LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(e->c, e->fn, "store");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(e->c, e->fn, "stored");
    LLVMBuildCondBr(e->b, mask, then, after);
    LLVMPositionBuilderAtEnd(e->b, then);
    marked(e, p, LLVMBuildStore(e->b, v, at), true);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

static void store_vector(fv_emit *e, const fv_emit_place *p, const fv_flat *s, LLVMValueRef v, LLVMValueRef at,
                         LLVMValueRef mask) {
    int lanes = s->expr->lanes;
    if (!s->scatter && !mask) {
        marked(e, p, LLVMBuildStore(e->b, v, at), true);
        return;
    }
    if (!mask) mask = LLVMConstAllOnes(fv_emit_vector_of(e->i1, lanes));
    if (s->scatter) at = step(e, element_of(e, p), at, fv_emit_as(e, s->scatter, FV_I32, lanes));
    LLVMTypeRef t[2] = { LLVMTypeOf(v), LLVMTypeOf(at) };
    LLVMValueRef arg[4] = { v, at, alignment(e, p), mask };
    marked(e, p, fv_emit_call(e, s->scatter ? "llvm.masked.scatter" : "llvm.masked.store", t, 2, arg, 4), false);
}

void fv_emit_store(fv_emit *e, const fv_flat *s) {
    const fv_obj *obj = s->memory ? &s->memory->obj : &s->tensor->obj;
    const fv_emit_place *p = fv_emit_place_of(e, obj);
    if (!p || !p->writable) {
        fv_emit_fail(e, "'%s' is stored to and is neither allocated nor a tensor that may be written",
                     fv_cstr(e->k->ctx, obj->name));
        return;
    }
    if (p->reg) {
        store_register(e, p, s);
        e->epoch++;
        return;
    }
    int lanes = s->expr->lanes;
    LLVMValueRef mask = s->mask ? fv_emit_as(e, s->mask, FV_BOOL, lanes) : NULL;
    LLVMValueRef v = fv_emit_to_memory(e, fv_emit_as(e, s->expr, obj->type, lanes), obj->type, lanes);
    pointer at = address(e, p, s->offset);
    if (lanes == 1 && s->scatter) at.at = step(e, element_of(e, p), at.at, fv_emit_as(e, s->scatter, FV_I32, 1));
    if (e->failed) return;
    if (lanes > 1) store_vector(e, p, s, v, at.at, mask);
    else if (mask) store_if(e, p, v, at.at, mask);
    else marked(e, p, LLVMBuildStore(e->b, v, at.at), true);
    e->epoch++;
}
