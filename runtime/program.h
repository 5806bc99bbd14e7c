/* What a compiled model is made of: arrays, launches, and where everything lies in memory, which nobody changes. The
 * compiler fills one in memory to run a model at once, or writes one into a deployed library (tables.h); the runtime
 * executes both the same way. Plain C11, no dependency. */
#ifndef FOVEA_PROGRAM_H
#define FOVEA_PROGRAM_H
#include <stdint.h>

enum { FOVEA_MAX_RANK = 16, FOVEA_GUARD_BYTES = 64 };

typedef enum { FOVEA_F32, FOVEA_F16, FOVEA_BF16, FOVEA_F64, FOVEA_I32, FOVEA_I64, FOVEA_U8, FOVEA_BOOL } fovea_dtype;

/* Runs programs begin..end-1 of the kernel's flattened grid. args: one pointer per array, in the order of the launch;
 * scratch: scratch_bytes of the calling thread, aligned to 64. */
typedef void fovea_kernel(void *const *args, int64_t begin, int64_t end, void *scratch);

typedef enum {
    FOVEA_INPUT,    /* the caller's memory, dense row-major in the stored order */
    FOVEA_OUTPUT,   /* the caller's memory, dense row-major in the stored order */
    FOVEA_PARAM,    /* found by name in the weights, dense row-major in the stored order */
    FOVEA_CONST,    /* data of the program itself */
    FOVEA_PREPARED, /* at `offset` in the block that prepare fills once per weights */
    FOVEA_ARENA     /* at `offset` in the block that a run works in */
} fovea_place;

typedef struct {
    const char *name;  /* of inputs, outputs and params: as the spec and the checkpoint call it */
    fovea_dtype dtype; /* of the memory that kernels see */
    fovea_place place;
    int32_t rank; /* of the stored shape (inputs, outputs, params) */
    int64_t shape[FOVEA_MAX_RANK];
    int64_t offset, bytes; /* bytes excludes the guard; blocks keep FOVEA_GUARD_BYTES after each array */
    const void *data;      /* FOVEA_CONST */
    int64_t index_bound;   /* i32 inputs that index: every element must be in 0..index_bound-1; 0: no bound */
} fovea_array;

typedef struct {
    fovea_kernel *kernel;
    int64_t programs;    /* size of the flattened grid */
    const int32_t *args; /* indices into arrays */
    int32_t n_args;
    int64_t scratch_bytes; /* per thread */
    const char *label;     /* the kernel's name, for profiles */
    const char *where;     /* "file:line" of the node it came from */
    double flops, bytes;   /* useful operations and compulsory traffic, for reports */
    const struct fovea_device_code *code; /* for an executor (executor.h), which needs no kernel; else NULL */
} fovea_launch;

typedef struct fovea_program {
    const char *name;
    const fovea_array *arrays;
    int32_t n_arrays;
    const fovea_launch *prepare, *run; /* in order */
    int32_t n_prepare, n_run;
    int64_t arena_bytes, prepared_bytes;
    const struct fovea_executor *executor; /* NULL: this processor; else what runs the launches (executor.h) */
    const void *executor_user;             /* its options */
    const struct fovea_shapes *shapes;     /* NULL: one shape; else what this program is one of */
} fovea_program;

/* An extent of the inputs that is chosen when a model is opened, or from run to run. */
enum { FOVEA_MAX_EXTENTS = 8 };
typedef struct {
    const char *name;     /* of the axis, as the spec calls it */
    int64_t least, most;
    const int64_t *sizes; /* it is one of these, ascending; NULL: any number from least to most. Of such an axis, of
                             which there is one at most, the elements lie outermost in every input and output and are
                             computed apart: programs for 4, 2 and 1 of them are one after another one for 7 */
    int32_t n_sizes;
} fovea_bounds;

/* Programs of one model. Their parameters and prepared arrays are the same, with the same indices, and so is prepare. */
typedef struct fovea_shapes {
    const char *bounds; /* as text: "b=1..8,h=w=224/256" */
    const fovea_bounds *extents;
    const fovea_program *programs;
    const int64_t *at; /* per program its n_extents extents, in the order of `extents` */
    int32_t n_extents, n_programs;
} fovea_shapes;
#endif
