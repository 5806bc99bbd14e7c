/* tile: the kernel level, tile stage. A kernel is a grid of independent programs over tensors with named axes; there
 * are no tile values: a tile is a buffer, and everything else is an expression per point. docs/ir.md has the grammar
 * and the laws; schedules (schedule/schedule.h) say how a kernel runs and never what it computes.
 *
 * In a READ of a tensor, an AXIS leaf is its POSITION (base + offset); in a READ of a buffer, its OFFSET in the tile;
 * elsewhere its position. VAR leaves are scalars: a point axis of the grid or of a `for`, a `let`, or the base of a
 * tile axis (named axis + "0": q0, k0). */
#ifndef FV_TILE_H
#define FV_TILE_H
#include "expr/expr.h"

/* A tensor parameter of a kernel. Element address = sum of index * stride (in elements). */
typedef enum { FV_ROLE_IN, FV_ROLE_OUT, FV_ROLE_INOUT } fv_role;
typedef struct {
    fv_obj obj; /* FV_OBJ_TENSOR; rank <= FV_MAX_AXES */
    fv_role role;
    fv_str dim[FV_MAX_AXES]; /* names of its axes, for reading the text; not tied to kernel axes */
    int64_t extent[FV_MAX_AXES];
    int64_t stride[FV_MAX_AXES]; /* elements, >= 0; row-major over the order given unless stated */
    bool padded; /* loads may run up to 64 bytes past its end (plan-owned memory: arena, packed weights) */
} fv_tensor;

/* A buffer of the kernel: named axes of constant extent. Made by `alloc`, or by the first statement that writes it. */
typedef struct {
    fv_obj obj; /* FV_OBJ_BUFFER */
    fv_str axis[FV_MAX_AXES];
    int64_t extent[FV_MAX_AXES];
} fv_buffer;

typedef enum {
    /* structures */
    FV_S_GRID,  /* grid_axis[n]: independent programs, body inside; only at the top, once */
    FV_S_FOR,   /* one loop: axis[0] with lo..hi; tile 0: a point (VAR axis), else base VAR axis0 and an axis of that
                   extent */
    FV_S_AXIS,  /* axis[n]: further axes of constant extent, base and limit given */
    FV_S_LET,   /* name = expr: scalar integer (or bool) */
    FV_S_IF,    /* cond (uniform, or ANY/ALL over axes), body */
    FV_S_ALLOC, /* buffer with an initial value */
    /* statements */
    FV_S_MAP,
    FV_S_REDUCE,
    FV_S_CONTRACT,
    FV_S_SCAN,
    FV_S_TOPK,
    FV_S_STORE
} fv_stmt_kind;

/* How a statement writes its target. SET: =, =sum, =max, =min, =argmax. ADD: +=. MAX: max=. MIN: min=. */
typedef enum {
    FV_W_SET,
    FV_W_SUM,
    FV_W_MAX,
    FV_W_MIN,
    FV_W_ARGMAX,
    FV_W_ADD,
    FV_W_MAXIN,
    FV_W_MININ,
    FV_W_TOPK,
    FV_W_SCANSUM,
    FV_W_SCANMAX
} fv_write;

/* An axis as a structure declares it. Position = base + offset; a point is valid iff position < limit. */
typedef struct {
    fv_str name;
    int64_t tile;         /* extent of the tile; 0: a point axis (a scalar VAR of that name) */
    const fv_expr *base;  /* AXIS: base (NULL: 0). FOR: lower bound. GRID: NULL */
    const fv_expr *limit; /* GRID and FOR: upper bound (exclusive). AXIS: NULL means base + tile */
} fv_tile_axis;

typedef struct fv_stmt fv_stmt;
struct fv_stmt {
    fv_stmt_kind kind;
    fv_loc loc;   /* of the author's spec */
    fv_str label; /* of statements: unique in the kernel; schedules name it */
    fv_stmt *next, *body;
    int n_axes; /* GRID, FOR, AXIS */
    fv_tile_axis *axis;
    fv_str name;         /* LET */
    const fv_expr *expr; /* LET value, IF condition, ALLOC initial value, statement's value */
    bool ranged;         /* LET: value known (or checked) to lie in lo..hi */
    int64_t lo, hi;
    fv_buffer *buffer; /* ALLOC */
    /* statements */
    fv_write write;
    const fv_obj *target;              /* buffer (MAP, REDUCE, CONTRACT, SCAN, TOPK: values) or tensor (STORE) */
    const fv_expr *index[FV_MAX_AXES]; /* STORE: one per tensor axis; buffers are written at their own axes (NULL) */
    const fv_buffer *target2;          /* TOPK: the index buffer (target: the values) */
    const fv_expr *expr2;              /* TOPK: the key's index */
    int n_over;
    fv_str over[FV_MAX_AXES]; /* reduced axes; SCAN: the one axis; TOPK: the axes ranked */
    bool exclusive, reverse;  /* SCAN */
    const fv_expr
        *where; /* NULL: all points. Reduce: excluded points contribute the neutral element; map: get `otherwise` */
    const fv_expr *otherwise; /* NULL: excluded points keep poison (map) or are not stored */
};

typedef struct {
    fv_ctx *ctx;
    fv_str name;
    int n_tensors, cap_tensors;
    fv_tensor **tensor; /* parameters, in argument order */
    fv_stmt *body;      /* AXIS and LET statements that precede the grid, then GRID */
} fv_kernel;

/* -- Building
 * --------------------------------------------------------------------------------------------------------------- */
fv_kernel *fv_kernel_new(fv_ctx *ctx, fv_str name);
/* Row-major strides; the caller may change them. */
fv_tensor *fv_kernel_tensor(fv_kernel *k, fv_str name, fv_type type, fv_role role, const fv_str *dim,
                            const int64_t *extent, int rank);
fv_buffer *fv_buffer_new(fv_ctx *ctx, fv_str name, fv_type type, const fv_str *axis, const int64_t *extent, int rank);
fv_stmt *fv_stmt_new(fv_ctx *ctx, fv_stmt_kind kind, fv_loc loc);
/* A list under construction: append returns the statement. */
typedef struct {
    fv_stmt *first, *last;
} fv_stmts;
fv_stmt *fv_stmts_add(fv_stmts *list, fv_stmt *s);
fv_str fv_base_name(fv_ctx *ctx, fv_str axis); /* "q" -> "q0" */
int64_t fv_tensor_elements(
    const fv_tensor *t); /* memory spanned by its strides: 1 + sum of (extent - 1) * stride; 0 if an extent is 0 */

/* -- Questions
 * -------------------------------------------------------------------------------------------------------------- */
static inline bool fv_stmt_is_op(const fv_stmt *s) { return s->kind >= FV_S_MAP; } /* a statement, not a structure */
/* Free axes F of a statement: those of its target buffer, or (STORE) those that occur in its index. At most FV_MAX_AXES
 * names; the count. */
int fv_stmt_free(const fv_stmt *s, fv_str *names);
/* The declaration of an axis that is in scope anywhere in the kernel (GRID, FOR or AXIS); NULL if none. owner: the
 * structure. */
const fv_tile_axis *fv_kernel_axis(const fv_kernel *k, fv_str name, const fv_stmt **owner);
/* Reads a product as a contraction: two READ factors that depend on reduced axes (x, y; in their order), and the
 * product of all other factors (NULL: none; a / b counts as a times 1 / b). false: it is not of that form. Source of
 * the rule: kernel law "contract". */
bool fv_contract_parts(fv_ctx *ctx, const fv_expr *e, const fv_str *over, int n_over, const fv_expr **x,
                       const fv_expr **y, const fv_expr **factor);
/* The law of a contraction's value: OK, or which part of it breaks (culprit: the expression that does; NULL for FORM).
 */
typedef enum { FV_CONTRACT_OK, FV_CONTRACT_FORM, FV_CONTRACT_GATHERS, FV_CONTRACT_FACTOR } fv_contract_fault;
fv_contract_fault fv_contract_law(fv_ctx *ctx, const fv_expr *e, const fv_str *over, int n_over,
                                  const fv_expr **culprit);
/* Calls fn for every statement and structure, outer before inner; stops and returns true as soon as fn does. */
typedef bool fv_stmt_visit_fn(fv_stmt *s, void *user);
bool fv_stmts_visit(fv_stmt *list, fv_stmt_visit_fn *fn, void *user);

/* -- Text, laws, meaning
 * ------------------------------------------------------------------------------------------------------ */
/* argmax: the position along its one reduced axis of the first greatest element (NaN is least); -1 where no point takes
 * part. topk: a pair (value, index) enters the list before (v, i) iff value > v, or v is NaN and value is not, or they
 * are equal (or both NaN) and index < i: a list that starts as (nan, 2147483647) takes every element. The list axis is
 * the first of both buffers. */
void fv_kernel_print(const fv_kernel *k, fv_buf *out);                       /* canonical: print(parse(t)) == t */
fv_kernel *fv_kernel_parse(fv_ctx *ctx, const char *file, const char *text); /* one kernel */
int fv_kernel_parse_all(fv_ctx *ctx, const char *file, const char *text, fv_kernel **out,
                        int cap); /* several; -1 on an error */
fv_kernel *
fv_kernel_parse_from(fv_lexer *lx); /* one kernel in the middle of another text (plans); stands after its } */
int fv_kernel_verify(fv_kernel *k); /* laws (i)-(v), ranges; number of faults, each recorded */
/* Number of programs of the grid (product over grid axes of ceil(limit / tile); where a limit depends on other grid
 * axes: its maximum; the surplus programs do nothing), and the grid's per-axis counts. */
int64_t fv_kernel_programs(const fv_kernel *k, int64_t *count, int cap);

/* Executes a kernel, f64 arithmetic unless `f32` is set; buffers start as poison (NaN, INT_MIN); a read out of bounds,
 * a read of poison that is used, a store twice to one element by different programs: errors (TRAP). data[i]: elements
 * of tensor i, in memory order by its strides, as f64. */
typedef struct {
    bool f32;
    bool check_poison;
} fv_interp_options;
bool fv_kernel_interpret(const fv_kernel *k, double **data, const fv_interp_options *o);
#endif
