/* Shared by flat_parse.c and flat_parse_expr.c only. */
#ifndef FV_FLAT_PARSE_H
#define FV_FLAT_PARSE_H
#include "kernel/flat_internal.h"

enum { FV_FP_LANES = 64, FV_FP_DEPTH = 600 };
/* a variable, or (obj) a tensor or memory */
typedef struct { fv_str name; fv_type type; int lanes; const fv_obj *obj; } fv_fp_name;
typedef struct {
    fv_ctx *ctx;
    fv_lexer lx;
    fv_flat_kernel *kernel;
    int n_names, cap_names, cap_tensors;
    fv_fp_name *name;                                   /* in scope, the latest last */
    int depth, errors;
} fv_fp;

bool fv_fp_fail(fv_fp *p, fv_code code, const char *text);   /* records unless something was; returns false */
const fv_fp_name *fv_fp_find(const fv_fp *p, fv_str name, bool object);
bool fv_fp_type(fv_fp *p, fv_type *type, int *lanes);
bool fv_fp_lanes(fv_fp *p, int *lanes);                      /* "<" INT ">" */
const fv_obj *fv_fp_object(fv_fp *p);                        /* the name of a tensor or memory; NULL after an error */
const fv_expr *fv_fp_expr(fv_fp *p);
#endif
