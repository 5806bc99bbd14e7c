/* flat: the kernel level, flat stage. Serial, group, item and parallel loops; vectors are types; memory spaces global,
 * local and register; nothing of attention is left. A backend prints it; the interpreter executes it.
 *
 * Scalars and vectors are `fv_expr` trees with `lanes`; VAR leaves are loop variables (i32) and names bound by LET. A
 * tree is evaluated where its statement stands: what must be loaded once is bound by a LET. Offsets are in elements and
 * may exceed 2^31: backends compute them in 64 bits.
 *
 *   LOAD(ref)      args (offset)                          element, or `lanes` consecutive elements
 *                  args (offset, mask, fill)              lanes where mask is false are not touched and read `fill`
 *                  i != 0: args (base, offset, guard)     guard (a scalar bool) ? ref[base + offset ...] : 0, nothing
 * read otherwise. `base` holds what is invariant; `offset` is in 0..i-1: a backend may select a pointer to i + lanes
 * zeros instead PERMLOAD(ref)  args (offset, perm)                    `lanes` elements from offset, then lane l takes
 * element perm[l] (an i32 vector, 0 <= perm < lanes) GATHER(ref)    args (offsets[, mask, fill])           lane l takes
 * ref[offsets[l]] SHUFFLE        args (a, b, constant indices…)         as LLVM's shufflevector over a ++ b arithmetic
 * lanewise; both operands have the same lanes (SPLAT makes a vector); a shift of types is CONVERT
 *
 * Fragments are values of a matrix unit in numbered registers, eight of them: C (f32, rows x 16), A (bf16, rows x 32),
 * B (bf16, 16 rows of 16 pairs). Nothing reaches their elements but loads and stores. What a FRAG statement does:
 *   CONFIG(rows, a, b)       registers below a are C, below b are A, others B; all become zero. A and C get `rows` rows
 *   ZERO(c)
 *   LOAD(reg) memory[offset] stride     row i starts at offset + i * stride, 64 bytes (a multiple of them apart)
 *   DOT(c, a, b)             c[m, n] += sum over k of a[m, 2k] * b[k, 2n] + a[m, 2k+1] * b[k, 2n+1]
 *   STORE(c) memory[offset] stride
 *   END                      no fragment is in use: what is not ended holds the unit
 *
 * MMA is a product of 16 x 16 x 16 that a sub-group of items makes together (OpenCL): c[m, n] += sum over k of a[m, k] *
 * b[k, n]. A and B lie in local memory, 16-bit, row m (k) at offset + m * stride; `turned`: column n of B at offset + n *
 * stride. Of C an item holds its part, `elements` floats of a memory in FV_SPACE_FRAG at the offset: the fv_unit says
 * where they stand. A may also be a fragment of such sums, rounded to `rounded`. All items of the group come together.
 *
 * ROWS(sum or max) memory[offset]: of an item's private element in slot offset % row_wrap, over the items of the
 * sub-group that have a part of the same row: each of them gets the result.
 */
#ifndef FV_FLAT_H
#define FV_FLAT_H
#include "kernel/tile.h"
#include "schedule/schedule.h"

/* Memory of a flat kernel. */
typedef enum {
    FV_SPACE_GLOBAL,  /* a tensor parameter */
    FV_SPACE_LOCAL,   /* CPU: the thread's scratch block, at a fixed offset; OpenCL: __local */
    FV_SPACE_FAR,     /* OpenCL: what local memory has no room for: a block of the group's own in global memory */
    FV_SPACE_PRIVATE, /* OpenCL: private arrays of an item, indexed at run time */
    FV_SPACE_REG,
    FV_SPACE_FRAG /* OpenCL: an item's parts of sums on a matrix unit; else like PRIVATE */
} fv_space; /* registers: every index is constant (verified) */
typedef struct {
    fv_obj obj; /* FV_OBJ_BUFFER (rank 1) */
    fv_space space;
    int lanes;            /* REG: of each register; else 1 */
    int64_t count;        /* elements (REG: registers) */
    int64_t offset_bytes; /* LOCAL, FAR: in the scratch block, in the group's far block */
} fv_memory;
/* Does the whole group have it? */
static inline bool fv_space_shared(fv_space s) { return s == FV_SPACE_LOCAL || s == FV_SPACE_FAR; }

typedef enum {
    FV_LOOP_SERIAL,
    FV_LOOP_PROGRAMS, /* CPU: begin..end of the flattened grid, the outermost loop */
    FV_LOOP_GROUP,
    FV_LOOP_ITEM
} fv_loop_kind;
typedef enum { FV_L_FOR, FV_L_IF, FV_L_LET, FV_L_ALLOC, FV_L_STORE, FV_L_BARRIER, FV_L_ASSERT, FV_L_FRAG, FV_L_MMA, FV_L_ROWS, FV_L_COPY } fv_flat_kind;
typedef enum { FV_FRAG_CONFIG, FV_FRAG_ZERO, FV_FRAG_LOAD, FV_FRAG_DOT, FV_FRAG_STORE, FV_FRAG_END } fv_frag_op;
enum { FV_FRAG_REGISTERS = 8, FV_FRAG_ROWS = 16, FV_FRAG_COLS = 16, FV_FRAG_PAIRS = 16 };

/* A matrix unit of sub-groups: element i of C of item `lane` (0 .. sub - 1) stands at
 *   row = lane // row_lane * row_step + i // row_every % row_wrap * row_far
 *   col = lane % col_lane * col_step + i % col_wrap + i // col_every * col_far */
enum { FV_UNIT_TILE = 16, FV_COPY_ELEMENTS = 8 }; /* COPY moves so many 16-bit elements, 16 bytes */
typedef struct {
    const char *name;  /* "emu" "nv" "cdna" "rdna" "intel": the texts of backends/opencl/preludes */
    int sub, elements; /* items of a sub-group; of C per item */
    int keys;          /* points of a second product's sum whose fragments registers hold beside all else */
    int row_lane, row_step, row_every, row_wrap, row_far;
    int col_lane, col_step, col_wrap, col_every, col_far;
} fv_unit;
extern const fv_unit fv_units[]; /* the last has no name */
const fv_unit *fv_unit_find(const char *name); /* NULL: there is none */
static inline int fv_unit_row(const fv_unit *u, int lane, int i) {
    return lane / u->row_lane * u->row_step + i / u->row_every % u->row_wrap * u->row_far;
}
/* Rows that an item has a part of are row_wrap slots; element i is in this one. */
static inline int fv_unit_slot(const fv_unit *u, int i) { return i / u->row_every % u->row_wrap; }
static inline int fv_unit_col(const fv_unit *u, int lane, int i) {
    return lane % u->col_lane * u->col_step + i % u->col_wrap + i / u->col_every * u->col_far;
}

typedef struct fv_flat fv_flat;
struct fv_flat {
    fv_flat_kind kind;
    fv_loc loc;
    fv_str label; /* statement of the tile kernel it came from, for profiles and comments */
    fv_flat *next, *body, *orelse;
    fv_str name; /* FOR: loop variable; LET: the name bound */
    fv_loop_kind loop;
    int dim;                 /* GROUP: 0..2 */
    const fv_expr *lo, *hi;  /* FOR; trip count may be 0 */
    int64_t step;            /* > 0 */
    const fv_expr *expr;     /* LET and STORE value, IF and ASSERT condition (scalar bool) */
    fv_memory *memory;       /* ALLOC; STORE to a buffer; FRAG load and store; C of an MMA; to where a COPY goes */
    const fv_tensor *tensor; /* the same of a tensor (memory NULL); what a COPY reads, from part[0].offset */
    const fv_expr *offset;   /* STORE: elements (REG: constant register number) */
    const fv_expr *mask;     /* STORE: NULL, or a bool vector (scalar stores: scalar bool) */
    const fv_expr *scatter; /* STORE: NULL, or an i32 vector of offsets added lane by lane (lanes written one by one) */
    fv_frag_op frag;        /* FRAG; `expr`: rows of a CONFIG, a scalar i32 */
    int reg[3];             /* FRAG: the register; DOT: c, a, b; CONFIG: the first of A, the first of B */
    int64_t stride;         /* FRAG load and store: elements from row to row */
    struct {
        fv_memory *memory;
        const fv_expr *offset;
        int64_t stride;
    } part[2];   /* MMA: A, B */
    bool turned;     /* MMA */
    fv_type rounded; /* MMA whose A is a fragment: bf16 or f16 */
    bool max;        /* ROWS: the greatest; else the sum */
};

/* What a register holds under a CONFIG. */
enum { FV_FRAG_C, FV_FRAG_A, FV_FRAG_B };
static inline int fv_frag_role(const fv_flat *config, int reg) {
    return (reg >= config->reg[0]) + (reg >= config->reg[1]);
}

typedef struct {
    fv_ctx *ctx;
    fv_str name;
    int n_tensors;
    fv_tensor **tensor;
    fv_flat *body;
    int64_t programs;      /* of the flattened grid */
    int64_t scratch_bytes; /* LOCAL memory in all */
    int64_t far_bytes;     /* FAR memory of a group in all */
    int64_t group_size;    /* OpenCL items per group */
    const fv_unit *unit;   /* OpenCL: what MMA runs on; NULL: none is used */
    const char *remarks;   /* lines on what the lowering left to other ways, and why; NULL: none. Not part of the text */
    int max_live;          /* vector registers live at once, as counted by the lowering */
} fv_flat_kernel;

/* What lowering to the flat stage may know of a target. */
typedef struct {
    const char *name; /* "avx512" "avx2" "neon" "opencl" */
    int lanes;        /* f32 lanes of a vector: 16, 8, 4 */
    int registers;    /* vector registers: 32, 16 */
    bool masks;       /* masked loads and stores are cheap */
    bool permute;     /* one-instruction lane permutation of a whole vector by an index vector */
    bool scalef;
    bool dot2;        /* one instruction adds the products of pairs of bf16 to f32 lanes */
    bool fragments;   /* a matrix unit as described above */
    bool items;       /* kernels are cut into work items (fv_flatten_opencl) */
    const fv_unit *unit; /* a matrix unit of sub-groups; NULL: none */
    int64_t l1_bytes, l2_bytes;
} fv_target;
extern const fv_target fv_target_avx512_bf16; /* the same with dot2 */
extern const fv_target fv_target_amx;         /* the same with fragments */
extern const fv_target fv_target_avx512, fv_target_avx2, fv_target_neon;
extern const fv_target fv_target_opencl; /* l1_bytes: local memory of a group; registers: private words of an item */

/* -- Passes
 * -------------------------------------------------------------------------------------------------------------------
 */
/* Tile to flat for CPUs: lanes, packs, joining, nests, guards, tails (docs/ir.md). schedule: fv_schedule *; NULL: all
 * defaults. Returns NULL after recording SCHEDULE or KERNEL errors that say which limit refused it. */

fv_flat_kernel *fv_flatten_cpu(const fv_kernel *k, const fv_schedule *s, const fv_target *t);
/* The same for a schedule that nobody asked for: nests that do not fit the target's registers are taken out of it, in
 * place, so that what is shown is what runs. */
fv_flat_kernel *fv_flatten_chosen(const fv_kernel *k, fv_schedule *io_schedule, const fv_target *t);
/* Tile to flat for OpenCL: items, private and local memory, barriers. */
fv_flat_kernel *fv_flatten_opencl(const fv_kernel *k, const fv_schedule *s, const fv_target *t);
/* EXP2 with i > 0: by a polynomial of about this degree: exp2<2> within 1.8e-3, exp2<3> within 7.6e-5.
 * Expands EXP, EXP2, LOG, LOG2, ERF, TANH, SIN, COS, RSQRT, POW, SAFE into arithmetic, RINT, SCALEF, MANTISSA and
 * EXPONENT (errors in docs/numerics.md). */
void fv_flat_expand_math(fv_flat_kernel *k, const fv_target *t);

/* -- Text, laws, meaning
 * -------------------------------------------------------------------------------------------------------- */
void fv_flat_print(const fv_flat_kernel *k, fv_buf *out);
fv_flat_kernel *fv_flat_parse(fv_ctx *ctx, const char *file, const char *text);
int fv_flat_verify(fv_flat_kernel *k);
/* Executes programs begin..end-1 (GROUP loops: all groups), f32 arithmetic, with poison and bounds checks; items run in
 * random order between barriers and conflicting accesses are errors (TRAP). data[i]: elements of tensor i in memory
 * order, as double. */
bool fv_flat_interpret(const fv_flat_kernel *k, double **data, int64_t begin, int64_t end, uint64_t seed);

/* -- Building
 * -------------------------------------------------------------------------------------------------------------------
 */
fv_flat *fv_flat_new(fv_ctx *ctx, fv_flat_kind kind);
typedef struct {
    fv_flat *first, *last;
} fv_flats;
fv_flat *fv_flats_add(fv_flats *list, fv_flat *s);
#endif
