/* plan: what a model is made of after lowering: tensors in memory, and launches of kernels in order. Two plans per
 * model: prepare (once per weights) and run. */
#ifndef FV_PLAN_H
#define FV_PLAN_H
#include "kernel/tile.h"
#include "schedule/schedule.h"

/* Bytes after every tensor of the plan's own that nothing owns: loads may run over them, and tests find stray stores
 * there. */
#define FOVEA_GUARD_BYTES 64

typedef enum { FV_MEM_INPUT, FV_MEM_OUTPUT, FV_MEM_PARAM, FV_MEM_CONST, FV_MEM_PREPARED, FV_MEM_SCRATCH } fv_mem_kind;

typedef struct {
    fv_str name; /* inputs, outputs, params: as the spec calls it; others: for reading */
    fv_mem_kind kind;
    fv_type type;
    int rank; /* physical dimensions, outermost first; stored order for inputs, outputs, params */
    fv_str dim[FV_MAX_AXES];
    int64_t extent[FV_MAX_AXES];
    int64_t stride[FV_MAX_AXES]; /* elements */
    int64_t bytes;               /* without guard */
    const double *data;          /* CONST: row-major; rounded to `type` when written out */
    int64_t index_bound;         /* i32 inputs that index; 0: none */
    int64_t offset;              /* PREPARED, SCRATCH: set by the arena pass, bytes */
    fv_loc loc;
} fv_plan_tensor;

/* A tile size that the lowering chose: it could have been another, at most the extent (a lane axis: whole vectors). */
typedef struct {
    fv_str axis;
    int64_t tile, extent;
} fv_tile_size;

typedef struct {
    fv_kernel *kernel;
    fv_schedule *schedule;
    int n_args;
    int *arg;            /* plan tensor of each kernel tensor */
    fv_loc loc;          /* of the anchor node */
    double flops, bytes; /* useful operations, compulsory traffic */
    int code;            /* set by `share`: launches with equal code run one compiled kernel */
    /* Ids of nodes. group: whose kernel it is, under which a wished schedule is filed; -1: prepares and copies. owner:
     * for whose kernel it was emitted, copies too; -1: prepares. */
    int group, owner;
    int n_tiles;
    const fv_tile_size *tile;
} fv_launch;

typedef struct fv_plan_step fv_plan_step;
struct fv_plan_step {
    int64_t repeat;
    int launch;
    fv_plan_step *body;
    int n_body;
}; /* repeat 0: a launch; else the body that many times */

typedef struct {
    fv_ctx *ctx;
    int n_tensors, cap_tensors;
    fv_plan_tensor **tensor;
    int n_launches[2], cap_launches[2]; /* [0] prepare, [1] run */
    fv_launch **launch[2];
    int64_t arena_bytes, prepared_bytes;
} fv_plan;

fv_plan *fv_plan_new(fv_ctx *ctx);
int fv_plan_add_tensor(fv_plan *p,
                       const fv_plan_tensor *t); /* copied; bytes computed from strides when 0; returns its number */
void fv_plan_add_launch(fv_plan *p, int which, const fv_launch *l);
/* Row-major strides for the given dims. */
void fv_plan_tensor_dense(fv_plan_tensor *t);
int64_t
fv_plan_tensor_elements(const fv_plan_tensor *t); /* memory spanned by its strides, in elements; 0 if an extent is 0 */
void fv_plan_print(const fv_plan *p, fv_buf *out,
                   bool kernels); /* canonical text; with the tile text of every distinct kernel */
fv_plan *fv_plan_parse(fv_ctx *ctx, const char *file, const char *text);
int fv_plan_verify(fv_plan *p);
/* Equal for launches that can run one compiled kernel: kernel and schedule under neutral names; the context's. */
char *fv_launch_key(fv_ctx *c, const fv_launch *l);
/* The strategy, every tile size, and the entries of the launch's schedule: what a wish must say to get the same. */
fv_schedule *fv_launch_schedule(fv_ctx *c, const fv_launch *l);
/* Merges launches whose kernel text and schedule are equal: sets `code` (dense numbers per plan); returns the number of
 * distinct codes. */
int fv_plan_share(fv_plan *p);
/* Lays PREPARED tensors out one after another and SCRATCH tensors by lifetime (first to last launch that touches them),
 * 64-byte aligned, guard after each. */
void fv_plan_arena(fv_plan *p);
/* Plans of one model for several extents as one. Its first n_common tensors are the parameters, and what prepare makes
 * and reads: each made once. Behind them stand those of each part. Its runs are those of the parts, one after another,
 * each with its own arena, whose offsets are as they were. Kernels of equal code are shared. `label` says in messages
 * what a plan is for. NULL after recording an error: parameters of different shapes. */
typedef struct {
    int first_tensor, n_tensors, first_launch, n_launches; /* of run */
    int64_t arena_bytes;
} fv_plan_part;
fv_plan *fv_plan_join(fv_ctx *ctx, fv_plan *const *plan, const char *const *label, int n, int *n_common,
                      fv_plan_part *out);
/* Lays the elements of a tensor, which `value` gives by their numbers in row-major order, out by its strides. */
typedef double fv_plan_element(const void *user, int64_t number);
void fv_plan_lay(const fv_plan_tensor *t, fv_plan_element *value, const void *user, double *memory);
void fv_plan_lay_const(const fv_plan_tensor *t, double *memory); /* those of a CONST tensor */
/* Executes both plans with the tile interpreter. data[i]: memory of tensor i as double, allocated by the caller for
 * INPUT, OUTPUT, PARAM; others by itself. */
bool fv_plan_interpret(const fv_plan *p, double **data, const fv_interp_options *o);
#endif
