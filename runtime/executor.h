/* An executor runs the launches of a program somewhere else than on this processor. A model whose program names one
 * keeps no block of memory of its own: arrays live where the executor puts them; inputs, outputs, parameters and what an
 * image has prepared (image.h) are given by address and copied. Plain C11. */
#ifndef FOVEA_EXECUTOR_H
#define FOVEA_EXECUTOR_H
#include "fovea.h"

/* Source of the one kernel of a launch. Arguments: the arrays of the launch in order, then, where far_bytes is not 0,
 * groups * far_bytes bytes of global memory that hold nothing before and after. */
typedef struct fovea_device_code {
    const char *entry, *source; /* kept by reference; equal sources are built once */
    int64_t groups, items;      /* groups to start, items of each */
    int64_t local_bytes;        /* of a group */
    int64_t far_bytes;          /* of a group, in global memory */
} fovea_device_code;

typedef struct fovea_executor {
    /* Is the program made for the device that options, environment and program name? FOVEA_OK and *out; FOVEA_E_DEVICE:
     * there is none. gpu: one that nobody names has to be a GPU. Starts nothing. */
    fovea_status (*suits)(const fovea_program *program, const fovea_options *options, bool gpu, bool *out,
                          fovea_error *err);
    /* Makes everything ready that needs no weights: device, memory, kernels. prepared: what prepare makes will be given
     * with the parameters, its kernels are not needed. beside: of a model whose device it shall take; NULL: the one named.
     * *out is kept by the model. */
    fovea_status (*open)(const fovea_program *program, const fovea_options *options, bool prepared, const void *beside,
                         void **out, fovea_error *err);
    /* base: per array, its host address (inputs, outputs, params and consts; prepared arrays where they are given; NULL
     * for others, and for parameters that no run reads where prepared arrays are given). Stage 0 takes the parameters
     * and prepares, or takes what is prepared; stage 1 is one run. ns: NULL, or nanoseconds per launch. A device that
     * was lost is taken again by the next call. */
    fovea_status (*run)(void *state, int32_t stage, void *const *base, int64_t *ns, fovea_error *err);
    void (*close)(void *state);                              /* NULL is fine */
    void (*describe)(const void *state, char *out, int cap); /* "opencl: NAME (PLATFORM, driver VERSION)" */
} fovea_executor;
#endif
