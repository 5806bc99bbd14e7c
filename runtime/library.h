/* What a compiled library says about itself, for programs that open it while they run and know nothing of it:
 *
 *     void *file = dlopen("./digits.so", RTLD_NOW | RTLD_LOCAL);
 *     const fovea_description *d = dlsym(file, "fovea_library");
 *     if (!d || d->version < 1) … it is none of Fovea's
 *     fovea_status status = d->open("digits.weights", NULL, &model, &err);
 *
 * Every library has it under two names: NAME_library, and fovea_library, which is weak: of several models that are
 * linked into one program it is one of them. */
#ifndef FOVEA_LIBRARY_H
#define FOVEA_LIBRARY_H
#include "safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FOVEA_LIBRARY_VERSION = 2 };
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
} fovea_description;

#ifdef __cplusplus
}
#endif
#endif
