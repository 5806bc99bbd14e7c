/* Shared by the files that print OpenCL C only. */
#ifndef FV_OPENCL_TEXT_H
#define FV_OPENCL_TEXT_H
#include "backends/opencl/opencl.h"

typedef struct { fv_str name; bool object; const char *text; } fv_cl_name;
/* CPU shape: a node of the statement being printed, how often it is used there, and its name if it was bound. */
typedef struct { const fv_expr *e; int uses; const char *text; } fv_cl_node;
typedef struct { fv_str name; int level; } fv_cl_level;  /* CPU shape: how many loops are open where a name is bound */
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
    /* CPU shape */
    fv_cl_node *node;
    fv_cl_level *level;
    int n_nodes, cap_nodes, n_levels, cap_levels, loops, shared;
    int64_t zeros;                                      /* elements that guarded loads may read instead */
} fv_cl;

bool fv_cl_fail(fv_cl *p, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* records once; false */
const char *fv_cl_name_of(fv_cl *p, fv_str name, bool object);
void fv_cl_expr(fv_cl *p, const fv_expr *e);
/* "name[offset]", or the C variable of a register. */
void fv_cl_element(fv_cl *p, const fv_obj *ref, const fv_expr *offset);
void fv_cl_float(fv_cl *p, const fv_expr *e);            /* a constant of f32 or f64 */
void fv_cl_line(fv_cl *p, const fv_flat *s);            /* #line of the author's, if wanted; then the indent */
void fv_cl_end(fv_cl *p, const fv_flat *s);             /* the end of its line */
void fv_cl_know(fv_cl *p, fv_str name, fv_range r);     /* the range of a variable, from here on */
/* "for (type v = lo; v < hi; v += step) {", bounds printed by `expr`; the variable's range is known then. */
void fv_cl_for_head(fv_cl *p, const fv_flat *s, const char *type, void (*expr)(fv_cl *, const fv_expr *));
void fv_cl_parameters(fv_cl *p);                        /* name and parameters of the kernel, and "{" */
/* Of an IF whose "if (" and condition are printed: the rest, bodies by `block`. */
void fv_cl_branches(fv_cl *p, const fv_flat *s, void (*block)(fv_cl *, const fv_flat *));
/* __local variables stand in the outermost block of a kernel only: declares all of them, indented once. Where they stand
 * in the flat text, fv_cl_declared leaves a comment. */
void fv_cl_local_arrays(fv_cl *p, const fv_flat *s);
void fv_cl_declared(fv_cl *p, const fv_memory *m);
/* The loop over the programs of a kernel with far memory: "for (type v = …) {". */
void fv_cl_group_loop(fv_cl *p, const char *type, const char *v);
void fv_cl_far(fv_cl *p, const fv_memory *m);           /* "__global float *name = …;": its place in the group's block */
const char *fv_cl_builtin(fv_op op); /* OpenCL's function of every floating type and width; or NULL */
extern const char fv_cl_prelude_f32[], fv_cl_prelude_16[]; /* helpers of scalars: f32; 16-bit floats */
/* -- Matrix units: opencl_mma.c ---------------------------------------------------------------- */
typedef struct {
    const char *name, *text;
} fv_cl_prelude;
extern const fv_cl_prelude fv_cl_preludes[];            /* preludes/NAME.cl; the last has no name */
void fv_cl_prelude_text(fv_buf *out, const char *name); /* preludes/NAME.cl */
void fv_cl_unit_text(fv_buf *out, const char *unit);    /* all that a unit's functions need */
void fv_cl_unit(fv_cl *p);                              /* the same of the kernel's unit */
void fv_cl_bounce(fv_cl *p);                            /* local memory of fov_c2a, if it is called */
void fv_cl_sums(fv_cl *p, const fv_memory *m);          /* the declaration of sums, and one of them */
void fv_cl_sum(fv_cl *p, const fv_memory *m, const fv_expr *offset);
void fv_cl_rows(fv_cl *p, const fv_flat *s);            /* a ROWS statement */
void fv_cl_copy(fv_cl *p, const fv_flat *s);            /* a COPY statement */
void fv_cl_copied(fv_cl *p);                            /* before a barrier: waits for copies, if the kernel has some */
bool fv_cl_holds_sums(const fv_flat *s);                /* does a list touch sums, or private arrays? */
bool fv_cl_has_products(const fv_flat *s);
bool fv_cl_reads_sums(const fv_expr *e);
const fv_flat *fv_cl_products(fv_cl *p, const fv_flat *run); /* a run of MMA statements; the last of them */

const char *fv_cl_type(fv_type t);                      /* of variables: bool is int, 16-bit floats are ushort */
const char *fv_cl_storage(fv_type t);                   /* of memory: bool is uchar */
#endif
