/* Shared by the files of the CPU shape only: a flat kernel of vectors (fv_flatten_cpu) as OpenCL C. A group is one item
 * and runs one program; there are no barriers.
 *
 * Values. A scalar i32 is a long, so that addresses need no extension; a scalar bool is an int that is 0 or 1; a bool
 * vector is an int vector of 0 and -1; 16-bit floats are their bits in ushort. Nothing traps, so all operands are
 * evaluated whether they are selected or not; only masks and guards keep memory from being read. */
#ifndef FV_OPENCL_CPU_H
#define FV_OPENCL_CPU_H
#include "backends/opencl/text.h"

/* opencl_cpu_text.c ---------------------------------------------------------------------------- */
/* Helpers for vectors of the lanes of which bit log2(lanes) is set in `used`; doubles: with those for f64. */
void fv_cl_cpu_prelude(unsigned used, bool doubles, fv_buf *out);

/* opencl_cpu_expr.c ---------------------------------------------------------------------------- */
/* Of a value with lanes: "float16", "long". */
void fv_cl_cpu_type(fv_cl *p, fv_type t, int lanes);
/* Announces the expressions of one statement: those that are used more than once are bound to names, on lines of their
 * own, so that what is printed afterwards refers to them. NULL entries are fine. */
void fv_cl_cpu_share(fv_cl *p, const fv_expr *const *root, int n);
void fv_cl_cpu_expr(fv_cl *p, const fv_expr *e);
/* The same, splat to `lanes` if it is a scalar and a vector is wanted. */
void fv_cl_cpu_value(fv_cl *p, const fv_expr *e, int lanes);
/* opencl_cpu_memory.c -------------------------------------------------------------------------- */
bool fv_cl_cpu_is_register(const fv_expr *e);    /* does it read one? */
void fv_cl_cpu_load(fv_cl *p, const fv_expr *e); /* LOAD, PERMLOAD, GATHER */
/* "name + outer terms + inner terms": what inner loops leave alone is added first. */
void fv_cl_cpu_address(fv_cl *p, const fv_obj *ref, const fv_expr *offset);
const char *fv_cl_cpu_space(const fv_cl *p, const fv_obj *ref); /* "__global", "__local" or "__private" */
/* C name of register i. */
void fv_cl_cpu_register(fv_cl *p, const fv_memory *m, int64_t i);
char fv_cl_cpu_code(fv_type t); /* of memory, in names of helpers: f d i b, h for 16 bits */
#endif
