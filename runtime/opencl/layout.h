/* Where the arrays of a program lie in the memory of a device: a few blocks, each one buffer. */
#ifndef FOVEA_OPENCL_LAYOUT_H
#define FOVEA_OPENCL_LAYOUT_H
#include "runtime/fovea.h"

typedef enum {
    FOVEA_CL_WEIGHTS, /* parameters, constants, prepared arrays: filled once per weights */
    FOVEA_CL_ENDS,    /* inputs and outputs */
    FOVEA_CL_WORK,    /* the arena: arrays that are never alive together share bytes */
    FOVEA_CL_FAR,     /* groups' memory beyond local memory: of one launch at a time */
    FOVEA_CL_BLOCKS
} fovea_cl_block;

typedef struct {
    int64_t bytes[FOVEA_CL_BLOCKS];
    fovea_cl_block *block; /* per array */
    int64_t *offset;       /* per array: bytes from the block's begin, a multiple of the alignment */
} fovea_cl_layout;

/* The program's own offsets are multiples of 64; devices ask for more, so the arena is laid out again by lifetimes.
 * Each array is followed by its guard. prepared: what no run uses takes no room (its offset is -1). false: no
 * memory. */
bool fovea_cl_layout_make(const fovea_program *p, int64_t alignment, bool prepared, fovea_cl_layout *out);
void fovea_cl_layout_free(fovea_cl_layout *l);
const char *fovea_cl_block_name(fovea_cl_block b);
#endif
