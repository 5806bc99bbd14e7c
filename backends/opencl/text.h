/* Shared by opencl_c.c and opencl_expr.c only. */
#ifndef FV_OPENCL_TEXT_H
#define FV_OPENCL_TEXT_H
#include "backends/opencl/opencl.h"

typedef struct { fv_str name; bool object; const char *text; } fv_cl_name;
typedef struct {
    fv_ctx *ctx;
    const fv_flat_kernel *k;
    fv_buf *out;
    bool lines, failed;
    int indent, n_names, cap_names;
    fv_cl_name *name;                                   /* flat names and their C names, each C name once */
    /* ranges of loop variables: / and % of what is not negative need no helper */
    fv_facts facts;
    const fv_flat *at;
} fv_cl;

bool fv_cl_fail(fv_cl *p, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* records once; false */
const char *fv_cl_name_of(fv_cl *p, fv_str name, bool object);
void fv_cl_expr(fv_cl *p, const fv_expr *e);
/* "name[offset]", or the C variable of a register. */
void fv_cl_element(fv_cl *p, const fv_obj *ref, const fv_expr *offset);
const char *fv_cl_type(fv_type t);                      /* of variables: bool is int, 16-bit floats are ushort */
const char *fv_cl_storage(fv_type t);                   /* of memory: bool is uchar */
#endif
