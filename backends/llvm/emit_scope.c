/* emit_scope: the bookkeeping of the emitter: failures, scopes, variables, the memo, integer ranges. Invariant: a memo
 * entry is used only while the scope that holds its instruction is open, so that the value dominates the use. */
#include "backends/llvm/emit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void fv_emit_fail(fv_emit *e, const char *fmt, ...) {
    if (e->failed) return;
    e->failed = true;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->why, sizeof e->why, fmt, ap);
    va_end(ap);
}

static void *grown(void *old, size_t n, size_t size) {
    void *p = realloc(old, n * size);
    FV_ASSERT(p, "out of memory");
    return p;
}

/* -- Scopes ------------------------------------------------------------------------------------ */
void fv_emit_push_scope(fv_emit *e, LLVMValueRef anchor) {
    if (e->n_scopes) e->scope[e->n_scopes - 1].anchor = anchor;
    uint32_t id = e->next_scope++;
    if (id >= e->cap_open) {
        e->cap_open = e->cap_open ? e->cap_open * 2 : 256;
        e->open = grown(e->open, e->cap_open, 1);
    }
    e->open[id] = 1;
    e->scope[e->n_scopes++] = (fv_emit_scope){ id, NULL };
    e->epoch++;
}

void fv_emit_pop_scope(fv_emit *e, int n_vars) {
    e->open[e->scope[--e->n_scopes].id] = 0;
    if (e->n_scopes) e->scope[e->n_scopes - 1].anchor = NULL;
    e->n_vars = n_vars;
    e->epoch++;
}

LLVMBasicBlockRef fv_emit_at_level(fv_emit *e, int level) {
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    if (level < e->n_scopes - 1) LLVMPositionBuilderBefore(e->b, e->scope[level].anchor);
    return here;
}

void fv_emit_back(fv_emit *e, LLVMBasicBlockRef here) {
    LLVMPositionBuilderAtEnd(e->b, here);
}

/* -- Variables and places ---------------------------------------------------------------------- */
void fv_emit_bind(fv_emit *e, fv_str name, LLVMValueRef v, int level, int64_t lo, int64_t hi) {
    if (fv_emit_var_of(e, name)) {  /* the name changes its meaning: trees with it are no longer what they were */
        e->n_memo = 0;
        if (e->memo) memset(e->memo, 0, e->cap_memo * sizeof *e->memo);
    }
    if (e->n_vars == e->cap_vars) {
        e->cap_vars = e->cap_vars ? e->cap_vars * 2 : 64;
        e->var = grown(e->var, (size_t)e->cap_vars, sizeof *e->var);
    }
    e->var[e->n_vars++] = (fv_emit_var){ name, v, level, lo, hi };
}

const fv_emit_var *fv_emit_var_of(const fv_emit *e, fv_str name) {
    for (int i = e->n_vars - 1; i >= 0; i--)
        if (fv_str_eq(e->var[i].name, name)) return &e->var[i];
    return NULL;
}

const fv_emit_place *fv_emit_place_of(const fv_emit *e, const fv_obj *obj) {
    for (int i = 0; i < e->n_places; i++)
        if (e->place[i].obj == obj) return &e->place[i];
    return NULL;
}

/* -- Memo -------------------------------------------------------------------------------------- */
static fv_emit_memo *seek(fv_emit_memo *memo, uint32_t cap, const fv_expr *x) {
    uint32_t at = (x->id * UINT32_C(2654435769)) & (cap - 1);
    while (memo[at].key && memo[at].key != x) at = (at + 1) & (cap - 1);
    return &memo[at];
}

fv_emit_memo *fv_emit_recall(fv_emit *e, const fv_expr *x) {
    if (!e->n_memo) return NULL;
    fv_emit_memo *s = seek(e->memo, e->cap_memo, x);
    bool good = s->key && e->open[s->scope] && (!s->reads || s->epoch == e->epoch);
    return good ? s : NULL;
}

void fv_emit_remember(fv_emit *e, const fv_expr *x, fv_emitted r) {
    if (e->n_memo * 2 >= e->cap_memo) {
        uint32_t cap = e->cap_memo ? e->cap_memo * 2 : 1024;
        fv_emit_memo *memo = calloc(cap, sizeof *memo);
        FV_ASSERT(memo, "out of memory");
        for (uint32_t i = 0; i < e->cap_memo; i++)
            if (e->memo[i].key && e->open[e->memo[i].scope]) *seek(memo, cap, e->memo[i].key) = e->memo[i];
        free(e->memo);
        e->memo = memo;
        e->cap_memo = cap;
        e->n_memo = 0;
        for (uint32_t i = 0; i < cap; i++) e->n_memo += memo[i].key != NULL;
    }
    fv_emit_memo *s = seek(e->memo, e->cap_memo, x);
    if (!s->key) e->n_memo++;
    *s = (fv_emit_memo){ x, r.v, e->scope[r.level].id, e->epoch, r.level, r.reads };
}

/* -- Ranges ------------------------------------------------------------------------------------ */
static int64_t clamp(int64_t v) {
    return v < FV_RANGE_MIN ? FV_RANGE_MIN : v > FV_RANGE_MAX ? FV_RANGE_MAX : v;
}

static int64_t clamped_product(int64_t a, int64_t b) {
    double p = (double)a * (double)b;
    return p > (double)FV_RANGE_MAX ? FV_RANGE_MAX : p < (double)FV_RANGE_MIN ? FV_RANGE_MIN : clamp(a * b);
}

static fv_range product(fv_range a, fv_range b) {
    int64_t p[4] = { clamped_product(a.lo, b.lo), clamped_product(a.lo, b.hi),
                     clamped_product(a.hi, b.lo), clamped_product(a.hi, b.hi) };
    fv_range r = { p[0], p[0] };
    for (int i = 1; i < 4; i++) {
        if (p[i] < r.lo) r.lo = p[i];
        if (p[i] > r.hi) r.hi = p[i];
    }
    return r;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static const fv_range unknown = { FV_RANGE_MIN, FV_RANGE_MAX };

static fv_range range_at(const fv_emit *e, const fv_expr *x, int depth) {
    if (x->lanes != 1 || depth > 24) return unknown;
    if (x->type == FV_BOOL && x->op != FV_X_INT) return (fv_range){ 0, 1 };
    if (x->op == FV_X_INT) return (fv_range){ clamp(x->i), clamp(x->i) };
    if (x->op == FV_X_VAR) {
        const fv_emit_var *v = fv_emit_var_of(e, x->name);
        return v ? (fv_range){ v->lo, v->hi } : unknown;
    }
    if (x->op == FV_X_LOAD && x->ref->ranged) return (fv_range){ clamp(x->ref->lo), clamp(x->ref->hi) };
    if (x->n < 2 || x->type != FV_I32 || x->op > FV_X_WHERE || x->op < FV_X_ADD) return unknown;
    fv_range a = range_at(e, x->arg[x->op == FV_X_WHERE], depth + 1);
    fv_range b = range_at(e, x->arg[x->op == FV_X_WHERE ? 2 : 1], depth + 1);
    switch (x->op) {
    case FV_X_ADD: return (fv_range){ clamp(a.lo + b.lo), clamp(a.hi + b.hi) };
    case FV_X_SUB: return (fv_range){ clamp(a.lo - b.hi), clamp(a.hi - b.lo) };
    case FV_X_MUL: return product(a, b);
    case FV_X_FLOORDIV:
        if (b.lo != b.hi || b.lo <= 0 || a.lo == FV_RANGE_MIN || a.hi == FV_RANGE_MAX)
            return a.lo >= 0 && b.lo > 0 ? (fv_range){ 0, a.hi } : unknown;
        return (fv_range){ floor_div(a.lo, b.lo), floor_div(a.hi, b.lo) };
    case FV_X_MOD: return b.lo > 0 ? (fv_range){ 0, b.hi - 1 } : unknown;
    case FV_X_MIN: return (fv_range){ a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi };
    case FV_X_MAX: return (fv_range){ a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
    case FV_X_WHERE: return (fv_range){ a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
    default: return unknown;
    }
}

fv_range fv_emit_range(const fv_emit *e, const fv_expr *x) {
    return range_at(e, x, 0);
}
