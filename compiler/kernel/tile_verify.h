/* Shared by the tile_verify*.c files only. */
#ifndef FV_TILE_VERIFY_H
#define FV_TILE_VERIFY_H
#include "kernel/tile_prove.h"

typedef struct {
    fv_ctx *ctx;
    fv_kernel *k;
    fv_names names;
    fv_str *label;
    int n_labels, cap_labels;
    fv_prover p;
    const fv_stmt *at;
    bool in_grid;
    int faults;
} fv_verifier;

/* Counts and records "kernel K, label: text"; returns false. */
bool fv_tv_fault(fv_verifier *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Names, types, ranks and scopes of an expression: axes must be among free[0..n-1]; `conditions`: ANY and ALL may
 * stand here. */
bool fv_tv_expr(fv_verifier *v, const fv_expr *e, const fv_str *axis, int n, bool conditions);
/* Every read in e stays in its extent, or has a fill. where: what holds at the points that are evaluated. */
bool fv_tv_ranges(fv_verifier *v, const fv_expr *e, const fv_expr *where);
bool fv_tv_op(fv_verifier *v, const fv_stmt *s);        /* a statement: all of its laws */
bool fv_tv_injective(fv_verifier *v, const fv_stmt *s); /* STORE: no element by two points, or two programs */
const char *fv_tv_text(fv_verifier *v, const fv_expr *e);
#endif
