/* Fovea's runtime: what a deployed model carries. Plain C11 and pthreads.
 *
 *     fovea_model *model = NULL;
 *     fovea_error err;
 *     fovea_safetensors *file = NULL;
 *     if (fovea_model_load(&program, NULL, &model, &err) || fovea_safetensors_open("w.safetensors", &file, &err) ||
 *         fovea_model_bind_file(model, file, &err) ||
 *         fovea_model_run(model, &image, 1, &logits, 1, &err)) fprintf(stderr, "%s\n", err.text);
 *     fovea_model_dispose(model);
 *     fovea_safetensors_close(file);
 *
 * Tensors are DLPack's DLTensor on the CPU. They must be dense row-major in the stored order of the model, aligned
 * to their element, and of exactly the dtype and shape that the model names; anything else is refused with a
 * message.
 *
 * Errors. Every function that can fail returns a status, FOVEA_OK being 0, and writes a text into `err` when it is
 * not NULL. Nothing prints, exits or aborts.
 *
 * Threads. A model may be used by one thread at a time. `fovea_model_share` makes further models that read the same
 * bound weights, and each of these may run at the same time as the others. Results are bit for bit the same for
 * every number of threads: how the work is cut never changes what a program of a kernel computes. Kernels run in the
 * default floating-point environment, whatever that of the calling thread is. A pool does not survive fork: load the
 * model in the child.
 *
 * Memory. Load and bind allocate; run does not. */
#ifndef FOVEA_H
#define FOVEA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dlpack.h"
#include "program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- Status and errors --------------------------------------------------------------------------------------------- */
typedef enum {
    FOVEA_OK = 0,
    FOVEA_E_ARGUMENT,  /* a call was made with what no call may be made with: NULL, a negative count */
    FOVEA_E_MEMORY,    /* there is not enough: the system has no more, or the caller's block is too small, or not aligned */
    FOVEA_E_PROGRAM,   /* the compiled program contradicts itself */
    FOVEA_E_TENSOR,    /* an input or output does not fit: dtype, shape, strides, alignment, aliasing, index bound */
    FOVEA_E_WEIGHTS,   /* parameters are missing or do not fit */
    FOVEA_E_FILE,      /* a file cannot be opened, read or written */
    FOVEA_E_FORMAT,    /* a file is not what it claims to be */
    FOVEA_E_STATE,     /* the model has not been bound */
    FOVEA_E_GUARD,     /* a kernel wrote outside its array (found when options.check is set) */
    FOVEA_E_THREAD,    /* threads cannot be started */
    FOVEA_E_DEVICE,    /* a device is absent, refuses a kernel, or was lost; the next call takes it again */
    FOVEA_E_ANSWER,    /* the self-test gave another answer than the build */
    FOVEA_E_PROCESSOR, /* this processor runs none of the levels that the code was compiled for and FOVEA_LEVEL allows */
    FOVEA_E_SHAPE      /* extents outside the bounds that the library was built for */
} fovea_status;

enum { FOVEA_ERROR_TEXT = 1024 };
typedef struct { fovea_status status; char text[FOVEA_ERROR_TEXT]; } fovea_error;
const char *fovea_status_text(fovea_status status);              /* a short constant text; never NULL */

/* -- Tensors ------------------------------------------------------------------------------------------------------- */
int64_t fovea_dtype_size(fovea_dtype dtype);                     /* bytes of one element */
const char *fovea_dtype_name(fovea_dtype dtype);                 /* "f32", "i32", ... */
DLDataType fovea_dtype_dlpack(fovea_dtype dtype);
/* A dense CPU tensor. shape is kept by reference: it has to live as long as the tensor. */
DLTensor fovea_tensor(void *data, fovea_dtype dtype, int32_t rank, int64_t *shape);

/* -- Models -------------------------------------------------------------------------------------------------------- */
typedef struct fovea_model fovea_model;
typedef struct fovea_safetensors fovea_safetensors;              /* a checkpoint (safetensors.h) */

/* Runs body(arg, i) for i in 0..threads-1, at the same time or not, each i once at most and at least one of them,
 * and returns when all calls have returned. The work is taken by whoever calls first. body neither blocks nor
 * allocates. */
typedef void fovea_body(void *arg, int32_t thread);
typedef void fovea_parallel(void *user, int32_t threads, fovea_body *body, void *arg);

/* Where a library that has OpenCL programs beside code for processors (fovea build --target …,opencl) runs a model:
 * the environment's FOVEA_BACKEND (auto, cpu, opencl) says it where the options do not. */
typedef enum {
    FOVEA_BACKEND_AUTO,  /* on the device named; with none named on the first GPU that OpenCL has; if its kernels build
                            and it answers the self-test, else on this processor: fovea_model_backend says why. On this
                            processor too if `memory` or `parallel` are given */
    FOVEA_BACKEND_CPU,   /* on this processor */
    FOVEA_BACKEND_OPENCL /* on the device named; with none named on the first GPU, else the first device. Without it:
                            FOVEA_E_DEVICE, also of a library that has no OpenCL programs */
} fovea_backend;

typedef struct {
    int32_t threads;           /* 0: fovea_threads_available() */
    bool check;                /* poison new arrays, verify guards after every launch; slow, for tests */
    uint16_t bytes;            /* sizeof(fovea_options) where the caller was compiled; 0: as in the library. For programs
                                  that open a library made later: options that one side does not know are refused */
    void *memory;              /* NULL: allocated. Otherwise the caller's block, aligned to 64; it outlives the model */
    int64_t memory_bytes;      /* of it: at least the total of fovea_workspace_measure */
    fovea_parallel *parallel;  /* NULL: a pool of the model's own. fovea_pool_parallel shares one */
    void *parallel_user;
    bool unchecked;            /* of open: the bytes of the weights are not all read first. The caller vouches for them, as
                                  after a check of the file's SHA-256: what is damaged is not found */
    int32_t n_extents;         /* of a program of several shapes, in the order of its fovea_bounds: the shape at first, */
    const int64_t *extents;    /* and the largest that memory is made ready for. NULL: the largest of all */
    fovea_backend backend;
    const char *device;        /* of OpenCL: its number, or a part of its name in any case; NULL: what the environment's
                                  FOVEA_OPENCL_DEVICE says, else none is named */
    int64_t reserved[5];       /* 0 */
} fovea_options;               /* all zero is the default */

typedef struct {
    int64_t prepared, arena, scratch_per_thread, total;
    int32_t threads, reserved[7]; /* 0 */
} fovea_workspace;
/* What a model loaded with these options needs: `prepared` is filled once per weights, `arena` is worked in by every
 * run, each thread has its scratch; total is the size of the block that holds them all. Bytes. */
fovea_status fovea_workspace_measure(const fovea_program *program, const fovea_options *options, fovea_workspace *out,
                                     fovea_error *err);

/* Checks the program, makes its memory ready and starts its threads. The program is kept by reference and must
 * outlive the model. A program without parameters is bound at once. On failure *out is NULL. */
fovea_status fovea_model_load(const fovea_program *program, const fovea_options *options, fovea_model **out,
                              fovea_error *err);

/* A further model over the same program that reads the parameters and the prepared block of `bound`, which must be
 * bound, outlive it, and not be bound again meanwhile. Only arena, scratch and threads are its own. */
fovea_status fovea_model_share(const fovea_model *bound, const fovea_options *options, fovea_model **out,
                               fovea_error *err);
void fovea_model_dispose(fovea_model *model);                    /* NULL is fine */

typedef struct { const char *name; DLTensor tensor; } fovea_named_tensor;

/* Finds every parameter by name, checks it, and runs `prepare`. Tensors that the model does not name are ignored.
 * May be called again with other weights. On failure the model is unbound.
 * Tensors: dtype and shape exactly as the model's; memory is kept by reference until the model is disposed or bound
 * again.
 * A file: F16, BF16, F64 and integers are converted to the model's dtype (I64 to i32 only if every element fits);
 * tensors that need no conversion are read in the mapped file, which must stay open as long. */
fovea_status fovea_model_bind(fovea_model *model, const fovea_named_tensor *weights, int32_t n, fovea_error *err);
fovea_status fovea_model_bind_file(fovea_model *model, const fovea_safetensors *file, fovea_error *err);

/* One answer. inputs and outputs come in the order of fovea_model_input / _output. Outputs are written by the call
 * and may overlap neither each other nor an input nor a parameter. Elements of an i32 input that index must be
 * inside the bound. */
fovea_status fovea_model_run(fovea_model *model, const DLTensor *inputs, int32_t n_inputs, const DLTensor *outputs,
                             int32_t n_outputs, fovea_error *err);

/* The same for tensors that come as pointers, as other programs hand them over in DLPack (&managed->dl_tensor): one per
 * input and output, in order. They are read and written in place; what is not as the model has it is refused
 * (FOVEA_E_TENSOR): another device than the CPU, dtype, shape, strides that are not dense row-major, data that is not
 * aligned to its element. Whose memory it is does not change: the caller calls the deleters. */
fovea_status fovea_model_run_dlpack(fovea_model *model, const DLTensor *const *inputs, const DLTensor *const *outputs,
                                    fovea_error *err);

/* What the model takes and gives: NULL beyond the last; index: -1 if there is none of that name. */
const fovea_array *fovea_model_input(const fovea_model *model, int32_t i);
const fovea_array *fovea_model_output(const fovea_model *model, int32_t i);
const fovea_array *fovea_model_param(const fovea_model *model, int32_t i);
int32_t fovea_model_input_index(const fovea_model *model, const char *name);
int32_t fovea_model_output_index(const fovea_model *model, const char *name);
int32_t fovea_model_threads(const fovea_model *model);
/* Where it runs, and why there: "cpu", "cpu: OpenCL: no driver was found (…)", "opencl: NAME (PLATFORM, driver
 * VERSION)". Lives as long as the model. */
const char *fovea_model_backend(const fovea_model *model);

/* -- Several shapes: a program with `shapes`. For others these say FOVEA_E_SHAPE if anything is to change ---- */
/* From now on the model takes inputs of these extents. What fovea_model_input and _output gave before is changed, and
 * stays valid. FOVEA_E_SHAPE: outside the bounds, which the text names. FOVEA_E_MEMORY: the model was loaded for less.
 * Allocates nothing. */
fovea_status fovea_model_resize(fovea_model *model, const int64_t *extents, int32_t n, fovea_error *err);
/* The same, by the shapes of its inputs. fovea_model_run calls it. */
fovea_status fovea_model_fit(fovea_model *model, const DLTensor *inputs, int32_t n, fovea_error *err);
const int64_t *fovea_model_extents(const fovea_model *model);    /* at present; NULL: a program of one shape */

/* From now on every run writes the nanoseconds of launch i into ns[i], i below program->n_run; NULL: no more.
 * Of a program of several shapes nothing is written. */
void fovea_model_profile(fovea_model *model, int64_t *ns);

/* Verifies the guard bytes behind the prepared arrays, the arena, every thread's scratch and, with options.check,
 * behind the arrays that the last launch used. FOVEA_E_GUARD names the array. */
fovea_status fovea_model_check_guards(const fovea_model *model, fovea_error *err);

/* Processors that this process may use: affinity, bounded by the quota of its control groups (v1 and v2); at least
 * 1. */
int32_t fovea_threads_available(void);

#ifdef __cplusplus
}
#endif
#endif
