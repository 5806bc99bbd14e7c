/* What every opcode of the pickle machine works with. Invariant: nothing is taken that is not there, and every byte of
 * the stream makes at most a bounded amount of memory. */
#include "io/pickle_machine.h"

#include <string.h>

enum { MOST_STACK = 1 << 20, MEMO_GAP = 1 << 16 };

const char *fv_pm_op_name(const fv_pickle_machine *m) { return fv_pickle_op_name(m->b[m->op]); }

bool fv_pm_take(fv_pickle_machine *m, uint64_t n, const unsigned char **p) {
    if (n > m->n - m->at) return FV_PM_REFUSE(m, "the stream ends inside the operand of %s", fv_pm_op_name(m));
    *p = m->b + m->at;
    m->at += (size_t)n;
    return true;
}
/* A number of `bytes` bytes, then as many bytes as it says. */
bool fv_pm_take_counted(fv_pickle_machine *m, int bytes, const unsigned char **p, uint64_t *n) {
    if (!fv_pm_take(m, (uint64_t)bytes, p)) return false;
    *n = fv_little(*p, bytes);
    return fv_pm_take(m, *n, p);
}

fv_pv *fv_pm_make(fv_pickle_machine *m, fv_pv_kind kind) {
    if (++m->values > FV_PICKLE_VALUES) {
        FV_PM_REFUSE(m, "more than %d values", FV_PICKLE_VALUES);
        return NULL;
    }
    fv_pv *v = fv_arena_alloc(m->arena, sizeof *v);
    v->kind = kind;
    v->at = (uint32_t)m->op;
    return v;
}
bool fv_pm_push(fv_pickle_machine *m, fv_pv *v) {
    if (!v) return false;
    if (m->n_stack == MOST_STACK) return FV_PM_REFUSE(m, "more than %d values on the stack", MOST_STACK);
    if (m->n_stack == m->cap_stack) {
        size_t cap = m->cap_stack ? 2 * m->cap_stack : 64;
        fv_pv **grown = fv_arena_alloc(m->arena, cap * sizeof *grown);
        if (m->n_stack) memcpy(grown, m->stack, m->n_stack * sizeof *grown);
        m->stack = grown;
        m->cap_stack = cap;
    }
    m->stack[m->n_stack++] = v;
    return true;
}
/* Values above the last mark. */
size_t fv_pm_floor(const fv_pickle_machine *m) { return m->n_marks ? m->marks[m->n_marks - 1] : 0; }
fv_pv *fv_pm_pop(fv_pickle_machine *m) {
    if (m->n_stack == fv_pm_floor(m)) {
        FV_PM_REFUSE(m, "%s finds too few values on the stack", fv_pm_op_name(m));
        return NULL;
    }
    return m->stack[--m->n_stack];
}
fv_pv *fv_pm_top(fv_pickle_machine *m) {
    fv_pv *v = fv_pm_pop(m);
    if (v) m->n_stack++;
    return v;
}
/* Takes the last mark and what is above it; the values stay readable until something is pushed. */
bool fv_pm_pop_mark(fv_pickle_machine *m, fv_pv ***v, size_t *n) {
    if (m->n_marks == 0) return FV_PM_REFUSE(m, "%s finds no mark", fv_pm_op_name(m));
    size_t begin = m->marks[--m->n_marks];
    *v = m->stack + begin;
    *n = m->n_stack - begin;
    m->n_stack = begin;
    return true;
}
bool fv_pm_extend(fv_pickle_machine *m, fv_pv_list *l, fv_pv *const *v, size_t n) {
    m->values += (int64_t)n;
    if (m->values > FV_PICKLE_VALUES) return FV_PM_REFUSE(m, "more than %d values", FV_PICKLE_VALUES);
    if (n > (size_t)(l->cap - l->n)) {
        size_t cap = (size_t)l->n + n + (size_t)l->n / 2;
        fv_pv **grown = fv_arena_alloc(m->arena, cap * sizeof *grown);
        if (l->n) memcpy(grown, l->v, (size_t)l->n * sizeof *grown);
        l->v = grown;
        l->cap = (int32_t)cap;
    }
    if (n) memcpy(l->v + l->n, v, n * sizeof *v);
    l->n += (int32_t)n;
    return true;
}

/* -- The memo ---- */
/* Writers count what they put. Gaps are allowed, but not such that the memo grows without what fills it. */
bool fv_pm_put(fv_pickle_machine *m, uint64_t i) {
    fv_pv *v = fv_pm_top(m);
    if (!v) return false;
    if (i > m->n_memo + MEMO_GAP) return FV_PM_REFUSE(m, "%s puts far beyond what was put before", fv_pm_op_name(m));
    if (i >= m->cap_memo) {
        size_t cap = i < 32 ? 64 : 2 * (size_t)i;
        fv_pv **grown = fv_arena_alloc(m->arena, cap * sizeof *grown);
        if (m->cap_memo) memcpy(grown, m->memo, m->cap_memo * sizeof *grown);
        m->memo = grown;
        m->cap_memo = cap;
    }
    m->n_memo += m->memo[i] == NULL;
    m->memo[i] = v;
    return true;
}
bool fv_pm_get(fv_pickle_machine *m, uint64_t i) {
    if (i >= m->cap_memo || !m->memo[i]) return FV_PM_REFUSE(m, "%s gets what was never put", fv_pm_op_name(m));
    return fv_pm_push(m, m->memo[i]);
}
