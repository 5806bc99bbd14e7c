/* Shared by flat_verify.c and flat_verify_expr.c only. */
#ifndef FV_FLAT_VERIFY_H
#define FV_FLAT_VERIFY_H
#include "kernel/flat_internal.h"

/* A name in scope: a variable (obj NULL), or a memory. `varies`: differs from item to item. */
typedef struct { fv_str name; fv_type type; int lanes; const fv_obj *obj; bool varies; } fv_fv_name;
typedef struct {
    fv_ctx *ctx;
    const fv_flat_kernel *k;
    int faults, n_names, cap_names;
    fv_fv_name *name;
    const fv_flat *at;                                  /* the statement being looked at */
    bool in_programs, in_item, divergent;               /* divergent: items may disagree on reaching this place */
    unsigned groups;                                    /* dimensions of the group loops around */
    int depth;
    const fv_flat *config; /* of the fragments in use; NULL: none */
} fv_fv;

/* at most 20 are recorded, all are counted */
void fv_fv_fault(fv_fv *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
const fv_fv_name *fv_fv_find(const fv_fv *v, fv_str name, bool object);
void fv_fv_expr(fv_fv *v, const fv_expr *e);                       /* NULL is fine */
bool fv_fv_varies(const fv_fv *v, const fv_expr *e);               /* may the items of a group see different values? */
/* Faults if an access of `lanes` at the offset cannot be right: registers need constant numbers, constants must lie
 * within. */
void fv_fv_access(fv_fv *v, const fv_obj *ref, const fv_expr *offset, int lanes, const char *what);
/* flat_verify_mma.c: memory of sums on a matrix unit; a product on it */
void fv_fv_sums(fv_fv *v, const fv_memory *m);
void fv_fv_mma(fv_fv *v, const fv_flat *s);
void fv_fv_rows(fv_fv *v, const fv_flat *s);
void fv_fv_copy(fv_fv *v, const fv_flat *s);
#endif
