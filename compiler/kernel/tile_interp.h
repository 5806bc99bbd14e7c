/* Shared by the files of the tile interpreter only. A kernel is compiled once: expressions become straight lines of
 * instructions over
 * registers (doubles), each at the level of the innermost loop of its statement that it depends on; then structures
 * are walked. */
#ifndef FV_TILE_INTERP_H
#define FV_TILE_INTERP_H
#include "kernel/tile_internal.h"

#include <math.h>
#include <string.h>

/* Poison is a NaN of its own: the low 29 bits are 0, so that it survives rounding to f32. Every operator passes it on.
 * */
#define FV_POISON_BITS UINT64_C(0x7ff85eada0000000)
static inline double fv_poison(void) {
    uint64_t b = FV_POISON_BITS;
    double v;
    memcpy(&v, &b, sizeof v);
    return v;
}
static inline bool fv_is_poison(double v) {
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b == FV_POISON_BITS;
}

/* -- Memory -------------------------------------------------------------------------------------------------------- */
typedef struct {                                        /* a tensor or a buffer */
    const fv_obj *obj;
    double *data;
    int64_t elements;
    const int64_t *extent;
    int64_t stride[FV_MAX_AXES];
    bool declared;                                      /* a buffer that its writer has been seen for */
    /* OUT, INOUT: program + 1 that wrote (read) an element; the statement execution that wrote it */
    uint32_t *writer, *stamp, *reader;
} fv_ti_mem;

typedef struct {                                        /* a tile axis */
    fv_str name;
    int64_t tile, base, valid;                          /* valid: points with position < limit, 0..tile */
    int pos, off, base_reg;                             /* registers; base_reg holds VAR q0 */
    bool in_scope;
} fv_ti_axis;

/* -- Code ---------------------------------------------------------------------------------------------------------- */
typedef struct { fv_ti_mem *mem; const fv_expr *expr; int index[FV_MAX_AXES]; int fill; } fv_ti_read;
typedef struct {
    fv_op op;
    fv_type arg_type;                                   /* of the operands of a comparison; else the result's */
    bool round;                                         /* a float result: rounded to f32 in f32 mode */
    int level, dst, a, b, c;
    fv_ti_read *read;
} fv_ti_ins;
enum { FV_TI_LEVELS = 2 * FV_MAX_AXES + 1 };
typedef struct {
    fv_ti_ins *ins;
    int n, cap;
    int first[FV_TI_LEVELS + 1];                        /* instructions of level l: first[l] .. first[l + 1] - 1 */
    int result, level;                                  /* register, and the level at which it is known */
    /* while running: the first read of this code that left its tensor */
    const fv_ti_ins *fault;
    int fault_level;
} fv_ti_code;

typedef struct { fv_ti_code *code; bool all; int reg, n_loops; fv_ti_axis *loop[FV_MAX_AXES]; } fv_ti_any;
typedef struct fv_ti_stmt fv_ti_stmt;
struct fv_ti_stmt {
    const fv_stmt *s;
    fv_ti_stmt *next, *body;
    fv_ti_code *base[FV_MAX_AXES], *limit[FV_MAX_AXES]; /* structures */
    fv_ti_axis *axis[FV_MAX_AXES];                      /* structures: theirs (NULL: a point axis, in `reg`) */
    int reg[FV_MAX_AXES];
    fv_ti_code *expr, *expr2, *where, *otherwise;       /* statements, LET, IF, ALLOC */
    /* LET, IF: ANY and ALL inside the value, ready before the rest */
    fv_ti_any *any;
    int n_any;
    int n_free, n_loops;                                /* loop order: free axes, then reduced ones */
    fv_ti_axis *loop[2 * FV_MAX_AXES];
    fv_ti_code *index[FV_MAX_AXES];                     /* STORE */
    fv_ti_mem *target, *target2;
};

typedef struct { int reg; double v; } fv_ti_constant;
typedef struct { fv_str name; int reg; bool in_scope; } fv_ti_scalar;
typedef struct {
    fv_ctx *ctx;
    const fv_kernel *k;
    fv_arena *arena;
    const fv_interp_options *options;
    double *reg;
    int n_regs, cap_regs;
    fv_ti_constant *constant;
    int n_constants, cap_constants;
    fv_ti_mem *mem;
    int n_mem, cap_mem;
    fv_ti_axis **axis;
    int n_axes, cap_axes;
    fv_ti_scalar *scalar;
    int n_scalars, cap_scalars;
    /* ANY, ALL met while compiling one value, and their registers */
    const fv_expr **any;
    int *any_reg, n_any, cap_any, cap_any_reg;
    uint32_t program, stamp;
    const fv_stmt *at;                                  /* statement being compiled or run, for messages */
    bool failed;
} fv_ti;

/* tile_interp_compile.c: NULL / false after recording an error. */
fv_ti_stmt *fv_ti_compile_block(fv_ti *m, const fv_stmt *s);
fv_ti_mem *fv_ti_mem_of(fv_ti *m, const fv_obj *obj);
/* tile_interp_code.c. ANY and ALL nodes become registers listed in m->any (in order of appearance), to be set before
 * the code runs. */
fv_ti_code *fv_ti_compile(fv_ti *m, const fv_expr *e, fv_ti_axis *const *loop, int n_loops);
/* tile_interp_eval.c */
void fv_ti_run_level(fv_ti *m, fv_ti_code *c, int level);
bool fv_ti_value(fv_ti *m, fv_ti_code *c, double *out);            /* code without loops; false after a fault */
bool fv_ti_report(fv_ti *m, const fv_ti_ins *fault);               /* "K[..] leaves ..."; returns false */
bool fv_ti_trap(fv_ti *m, const char *text);                       /* records once; returns false */
double fv_ti_round(const fv_ti *m, fv_type type, double v);        /* what a store to memory of this type keeps */
/* tile_interp_op.c */
bool fv_ti_run_op(fv_ti *m, fv_ti_stmt *t);
bool fv_ti_run_any(fv_ti *m, fv_ti_any *a);
void *fv_ti_alloc(fv_ti *m, size_t bytes);
void *fv_ti_grow(fv_ti *m, void *old, int n, int *cap, size_t size);
#define fv_ti_push(m, list, n, cap, item) \
    do { \
        if ((n) == (cap)) (list) = fv_ti_grow((m), (list), (n), &(cap), sizeof *(list)); \
        (list)[(n)++] = (item); \
    } while (0)
#endif
