/* Shared by the flat_interp*.c files only. A kernel is turned into nodes, one per statement, each with a tape: its
 * expressions as a line of operators over slots, every distinct node computed once. All of a tape is computed before
 * the statement acts: what may not be read must be guarded or masked. */
#ifndef FV_FLAT_INTERP_H
#define FV_FLAT_INTERP_H
#include "kernel/flat_internal.h"

#include <math.h>

typedef struct {                                        /* a tensor or a memory */
    const fv_obj *obj;
    const fv_tensor *tensor;
    const fv_memory *memory;
    fv_space space;
    int64_t count, readable;                            /* elements; what may be read (poison past `count`) */
    double *data;
    int64_t per_item;                                   /* private, registers: distance between the copies of items */
    /* local memory and written tensors: who touched an element last, and since which barrier */
    uint32_t *epoch_w, *item_w, *epoch_r, *item_r;
    uint32_t *program_w, *program_r;                    /* written tensors: which program did */
    int number;                                         /* of memory of a group, from 1: owner marks in its blocks */
} fv_fi_mem;

/* first: of its arguments' slots in `arg` */
typedef struct { const fv_expr *e; int out, first; fv_fi_mem *mem; int var; } fv_fi_op;
enum { FV_FI_LO, FV_FI_HI, FV_FI_EXPR, FV_FI_OFFSET, FV_FI_MASK, FV_FI_SCATTER, FV_FI_A, FV_FI_B, FV_FI_RESULTS };
/* result: slot, -1: no such expression */
typedef struct { int n; fv_fi_op *op; int *arg; int result[FV_FI_RESULTS]; } fv_fi_tape;

typedef struct fv_fi_node fv_fi_node;
struct fv_fi_node {
    const fv_flat *s;
    fv_fi_node *next, *body, *orelse;
    fv_fi_tape tape;
    fv_fi_mem *mem, *part[2];                           /* ALLOC, STORE, MMA; A and B of an MMA */
    int var;                                            /* FOR, LET: where its value goes in an environment */
    bool syncs;                                         /* a barrier stands inside */
};

/* The matrix unit: what its registers hold, by row. */
typedef struct {
    const fv_flat *config;
    int rows;
    float reg[FV_FRAG_REGISTERS][FV_FRAG_ROWS][2 * FV_FRAG_COLS];
} fv_fi_frag;

typedef struct {
    fv_ctx *ctx;
    fv_arena *arena;
    const fv_flat_kernel *k;
    fv_fi_mem *mem[1024];
    int n_mem;
    int *var_of, *slot_of;                              /* by id of the expression; slot_of: stamped */
    uint32_t *stamp_of, stamp, n_ids;
    double *slot;
    int n_slots;                                        /* of the largest tape */
    double *env;                                        /* environments of all items, env_size each */
    int env_size;
    int n_items, item;                                  /* item being run, 0 outside of item loops */
    int *order;
    uint32_t epoch, program;                            /* program + 1 */
    /* by byte of local memory: number of the memory that wrote it last */
    uint16_t *owner;
    int64_t begin, end;
    uint64_t random;
    const fv_flat *at;
    fv_fi_frag frag;
    bool failed;
} fv_fi;

/* What memory holds before it is written. */
static inline double fv_fi_poison(fv_type t) {
    return t == FV_I32 ? (double)INT32_MIN : t == FV_BOOL ? 1.0 : (double)NAN; }
bool fv_fi_trap(fv_fi *m, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* records once; false */
void fv_fi_track(fv_fi *m, fv_fi_mem *x);              /* watch who touches its elements */
fv_fi_node *fv_fi_compile(fv_fi *m, const fv_flat *s);
bool fv_fi_fragment(fv_fi *m, const fv_fi_node *n);     /* flat_interp_frag.c; its tape is evaluated */
bool fv_fi_copy(fv_fi *m, const fv_fi_node *n);         /* flat_interp_mma.c */
bool fv_fi_mma(fv_fi *m, const fv_fi_node *n);          /* flat_interp_mma.c; the current item's elements */
/* The same of what items give to each other: for all items at once. */
bool fv_fi_mma_all(fv_fi *m, const fv_fi_node *n);
bool fv_fi_rows_all(fv_fi *m, const fv_fi_node *n);
bool fv_fi_eval(fv_fi *m, const fv_fi_tape *t);         /* fills the slots; false after a trap */
/* The element at `index` of m, for reading or writing by the current item; NULL after a trap. */
double *fv_fi_element(fv_fi *m, fv_fi_mem *mem, int64_t index, bool write, double *poison);
#endif
