/* Inside a model: shared by model.c, bind.c, run.c, guard.c. */
#ifndef FOVEA_MODEL_H
#define FOVEA_MODEL_H
#include "executor.h"
#include "fovea.h"
#include "pool.h"
#include "shapes.h"
#include "stages.h"

enum { FOVEA_ALIGN = 64 };
static inline int64_t fovea_aligned(int64_t bytes) { return (bytes + FOVEA_ALIGN - 1) / FOVEA_ALIGN * FOVEA_ALIGN; }

/* What a model keeps of each of its programs: of several shapes there are several. */
typedef struct {
    const fovea_program *program;
    void **base;                       /* per array: its first byte, or NULL while unknown */
    int32_t *inputs, *outputs, *params, n_inputs, n_outputs, n_params;   /* indices into arrays */
    fovea_span *spans[FOVEA_STAGES];   /* per array */
} fovea_face;

struct fovea_model {
    const fovea_program *program;      /* that of the face in use, as base .. spans are */
    fovea_options options;
    fovea_workspace space;
    fovea_parallel *parallel;
    void *parallel_user;
    fovea_pool *pool;                  /* owned; NULL with one thread or the caller's parallel */
    void *block;                       /* owned unless options.memory is set */
    char *prepared, *arena, *scratch;  /* in the block; prepared in another model's block if shared */
    void **base;
    void **args;                       /* room for the longest list of a launch */
    int32_t *inputs, *outputs, *params, n_inputs, n_outputs, n_params;
    fovea_span *spans[FOVEA_STAGES];
    fovea_face *faces;                 /* owned */
    int32_t n_faces;
    const fovea_shapes *shapes;        /* NULL: one face */
    int64_t extents[FOVEA_MAX_EXTENTS];
    fovea_array *shown;                /* of several shapes: inputs and outputs at these extents; owned */
    void **given;                      /* the caller's inputs and outputs of this run; owned */
    DLTensor *asked;                   /* room for inputs; owned */
    char *converted;                   /* owned: parameters whose stored dtype is not the model's */
    int64_t *ns;
    void *map;                         /* owned: the file of its image (image.h) */
    size_t map_bytes;
    void *device;                      /* of the program's executor; then there is no block and no pool */
    char backend[FOVEA_ERROR_TEXT + 16]; /* what fovea_model_backend says */
    bool bound, shared, ran;
};

/* A program that contradicts itself is refused here, so that nothing after load has to doubt it. */
fovea_status fovea_program_check(const fovea_program *program, fovea_error *err);

/* What the caller's options say, in this library's form. NULL: the default. Errors: FOVEA_E_ARGUMENT. */
fovea_status fovea_options_take(const fovea_options *given, fovea_options *out, fovea_error *err);

/* A model that is not bound yet. prepared: a block that holds what prepare makes, in the program's layout, and outlives
 * the model; then its parameters are not its own (`shared`). NULL: a block of its own, which bind fills. beside: another
 * model of the program, whose device it takes if it needs one; or NULL. */
fovea_status fovea_model_make(const fovea_program *p, const fovea_options *o, char *prepared, const fovea_model *beside,
                              fovea_model **out, fovea_error *err);

/* -- Faces (faces.c) ---- */
fovea_status fovea_faces_make(fovea_model *m, fovea_error *err);
void fovea_faces_free(fovea_model *m);
void fovea_face_use(fovea_model *m, int32_t i);
/* Parameters lie in every face where they lie in the one in use. */
void fovea_faces_share(fovea_model *m);
bool fovea_faces_read(const fovea_model *m, int32_t array);   /* does a run read it? Parameters and prepared arrays */
/* Input i, or output i - n_inputs, as the caller sees it. */
const fovea_array *fovea_face_shown(const fovea_model *m, int32_t i);

/* A model over an image (image.h); `label` starts messages. */
fovea_status fovea_image_use(const fovea_program *p, uint64_t level, const fovea_options *options, const void *image,
                             int64_t bytes, const char *label, fovea_model **out, fovea_error *err);

/* Executes the launches of a stage in order. Every array that they use has a base. */
fovea_status fovea_stage_run(fovea_model *m, fovea_stage stage, int64_t *ns, fovea_error *err);

/* -- Guards (guard.c) ---- */
/* Fills spans; refuses two arrays that hold something at the same launch in the same bytes, guards included, unless
 * one takes the other's very place in the launch that reads it last. */
void fovea_spans_fill(fovea_model *m);
fovea_status fovea_layout_check(const fovea_model *m, fovea_error *err);
/* Before and after launch i: guards of the arrays that begin there are written (and with options.check their content is
 * poisoned); those of all its arrays, and of the scratch, are verified. */
void fovea_guards_open(fovea_model *m, fovea_stage stage, int32_t i);
/* Once: behind the prepared arrays that runs read (after prepare); behind the arena and the scratch (at load). */
void fovea_guards_keep(fovea_model *m);
void fovea_guards_close_blocks(fovea_model *m);
fovea_status fovea_guards_verify(const fovea_model *m, fovea_stage stage, int32_t i, fovea_error *err);
#endif
