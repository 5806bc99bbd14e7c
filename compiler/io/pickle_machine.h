/* Inside the pickle machine: a stack of nodes, a stack of marks, a memo. What returns false or NULL has recorded
 * FV_E_FORMAT, with the opcode and its byte. */
#ifndef FV_PICKLE_MACHINE_H
#define FV_PICKLE_MACHINE_H
#include "io/mapped.h"
#include "io/pickle.h"

enum { FV_PICKLE_MARKS = 1000 };
typedef struct {
    fv_ctx *ctx;
    fv_arena *arena;
    const char *label;
    const unsigned char *b;
    size_t n, at, op;                    /* op: the byte of the opcode at work */
    fv_pv **stack, **memo;
    size_t n_stack, cap_stack, n_memo, cap_memo;
    size_t marks[FV_PICKLE_MARKS];
    int n_marks;
    int64_t values;
} fv_pickle_machine;

#define FV_PM_REFUSE(m, ...) fv_refuse_bytes((m)->ctx, (m)->label, (m)->op, __VA_ARGS__)
const char *fv_pickle_op_name(unsigned char op);                 /* "REDUCE"; NULL: no opcode */
const char *fv_pm_op_name(const fv_pickle_machine *m);           /* of the opcode at work */

/* The operand's next n bytes; or a number of `bytes` bytes, then as many bytes as it says. */
bool fv_pm_take(fv_pickle_machine *m, uint64_t n, const unsigned char **p);
bool fv_pm_take_counted(fv_pickle_machine *m, int bytes, const unsigned char **p, uint64_t *n);

fv_pv *fv_pm_make(fv_pickle_machine *m, fv_pv_kind kind);
bool fv_pm_extend(fv_pickle_machine *m, fv_pv_list *l, fv_pv *const *v, size_t n);
bool fv_pm_push(fv_pickle_machine *m, fv_pv *v);                 /* NULL: false */
fv_pv *fv_pm_pop(fv_pickle_machine *m);                          /* nothing below the last mark */
fv_pv *fv_pm_top(fv_pickle_machine *m);
size_t fv_pm_floor(const fv_pickle_machine *m);                  /* values below the last mark */
/* Takes the last mark and what is above it; the values stay readable until something is pushed. */
bool fv_pm_pop_mark(fv_pickle_machine *m, fv_pv ***v, size_t *n);
/* The memo: what is on top is put at i; what was put at i is pushed. */
bool fv_pm_put(fv_pickle_machine *m, uint64_t i);
bool fv_pm_get(fv_pickle_machine *m, uint64_t i);
#endif
