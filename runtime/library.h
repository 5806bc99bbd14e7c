/* What a compiled library says about itself, for programs that open it while they run and know nothing of it:
 *
 *     void *file = dlopen("./digits.so", RTLD_NOW | RTLD_LOCAL);
 *     const fovea_description *d = dlsym(file, "fovea_library");
 *     if (!d || d->version < FOVEA_LIBRARY_VERSION) … it is none of Fovea's, or an older one
 *     fovea_status status = d->open("digits.weights", NULL, &model, &err);
 *
 *     d->dispose(model);
 *
 * Every library has it under two names: NAME_library, and fovea_library, which is weak: of several models that are
 * linked into one program it is one of them. */
#ifndef FOVEA_LIBRARY_H
#define FOVEA_LIBRARY_H
#include "safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FOVEA_LIBRARY_VERSION = 5 };
typedef struct {
    uint32_t version; /* FOVEA_LIBRARY_VERSION; grows when a field is added at the end, none is ever changed */
    uint32_t bytes;   /* of this struct */
    const char *name; /* NAME: a C identifier */
    /* JSON, the text of NAME.json less the files and the parameters (the program lists them): inputs, outputs, weights,
     * preprocess, classes (docs/deploy.md) */
    const char *manifest;
    const fovea_program *(*program)(void);                                                        /* NAME_program */
    fovea_status (*load)(const fovea_options *options, fovea_model **out, fovea_error *err);      /* NAME_load */
    fovea_status (*bind)(fovea_model *model, const fovea_safetensors *weights, fovea_error *err); /* NAME_bind */
    /* NAME_open; NULL in a library of fovea compile */
    fovea_status (*open)(const char *weights, const fovea_options *options, fovea_model **out, fovea_error *err);
    fovea_status (*run)(fovea_model *model, const void *const *inputs, void *const *outputs, fovea_error *err);
    /* Since version 2. NAME_workspace_bytes and NAME_selftest; NULL in a library of fovea compile, and the second one
     * where the build was given no weights */
    int64_t (*workspace_bytes)(int32_t threads);
    fovea_status (*selftest)(const char *weights, const fovea_options *options, fovea_error *err);
    /* Since version 3. The library's own runtime, of which no other symbol can be found: what it made
     * is given to these alone */
    fovea_status (*open_memory)(const void *weights, int64_t bytes, const fovea_options *options, fovea_model **out,
                                fovea_error *err); /* NULL as open */
    fovea_status (*share)(const fovea_model *bound, const fovea_options *options, fovea_model **out, fovea_error *err);
    void (*dispose)(fovea_model *model);
    const fovea_array *(*input)(const fovea_model *model, int32_t i);
    const fovea_array *(*output)(const fovea_model *model, int32_t i);
    const fovea_array *(*param)(const fovea_model *model, int32_t i);
    int32_t (*threads)(const fovea_model *model);
    fovea_status (*run_tensors)(fovea_model *model, const DLTensor *inputs, int32_t n_inputs, const DLTensor *outputs,
                                int32_t n_outputs, fovea_error *err); /* NAME_run over rows of tensors */
    fovea_status (*bind_tensors)(fovea_model *model, const fovea_named_tensor *weights, int32_t n, fovea_error *err);
    fovea_status (*measure)(const fovea_program *program, const fovea_options *options, fovea_workspace *out,
                            fovea_error *err);
    fovea_status (*check_guards)(const fovea_model *model, fovea_error *err);
    fovea_status (*safetensors_open)(const char *path, fovea_safetensors **out, fovea_error *err);
    void (*safetensors_close)(fovea_safetensors *file);
    /* Since version 4: of several shapes */
    fovea_status (*resize)(fovea_model *model, const int64_t *extents, int32_t n, fovea_error *err);
    fovea_status (*fit)(fovea_model *model, const DLTensor *inputs, int32_t n, fovea_error *err);
    const int64_t *(*extents)(const fovea_model *model);
    /* Since version 5 */
    const char *(*backend)(const fovea_model *model);
} fovea_description;

#ifdef __cplusplus
}
#endif
#endif
