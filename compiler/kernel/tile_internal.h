/* Shared by the tile_*.c files only. */
#ifndef FV_TILE_INTERNAL_H
#define FV_TILE_INTERNAL_H
#include "kernel/tile.h"

/* Is the statement kind the one that its text alone gives? (A sum over axes is a contraction iff fv_contract_parts
 * finds its two refs.) */
fv_stmt_kind fv_stmt_kind_of_text(fv_ctx *ctx, fv_write write, const fv_expr *value, const fv_str *over, int n_over);

/* -- Names in scope, for parser and verifier ----------------------------------------------------------------------- */
typedef enum { FV_NAME_TENSOR, FV_NAME_BUFFER, FV_NAME_AXIS, FV_NAME_SCALAR } fv_name_kind;
typedef struct {
    fv_str name;
    fv_name_kind kind;
    fv_type type;                                       /* SCALAR */
    int64_t tile;                                       /* AXIS */
    const fv_obj *obj;                                  /* TENSOR, BUFFER */
    bool gone;                                          /* its scope ended; the name stays taken */
} fv_name;
typedef struct { fv_ctx *ctx; fv_name *item; int n, cap; } fv_names;
fv_name *fv_names_find(const fv_names *t, fv_str name);             /* in scope; NULL if not */
bool fv_names_taken(const fv_names *t, fv_str name);                /* also those whose scope ended */
void fv_names_add(fv_names *t, fv_name item);
/* axes and scalars added since `mark` go out of scope; buffers stay */
void fv_names_leave(fv_names *t, int mark);
const char *fv_names_nearest(const fv_names *t, fv_str name);       /* "; did you mean ..." */
#endif
