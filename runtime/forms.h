/* The forms in which a library has one model: code for several levels of processor, of which this processor takes one,
 * and programs for devices. Opening chooses between them, as fovea_options.backend says. */
#ifndef FOVEA_FORMS_H
#define FOVEA_FORMS_H
#include "image.h"
#include "selftest.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const fovea_program *program; /* of a device: it names an executor */
    uint64_t level;               /* in the header of its image */
    const void *image;            /* inside the library; NULL: its weights lie in a file */
    int64_t image_bytes;
} fovea_form;

typedef struct {
    const char *name;         /* of the library */
    const fovea_form *forms;  /* those of processors first */
    int32_t n_levels, n_devices;
    const fovea_known *known; /* what a device has to answer to be taken unasked; NULL: not known */
} fovea_forms;

/* Of the build: a file (fovea_image_open), or data in memory (fovea_image_load); neither: those inside. */
typedef struct {
    const char *file;
    bool in_memory;
    const void *data;
    int64_t bytes;
} fovea_weights;

/* NAME_open: a model over the weights of the build. level: the form that
 * this processor takes; negative: none, `lacks` says why. Errors: those of fovea_image_open; FOVEA_E_DEVICE, the device
 * asked for cannot be had; FOVEA_E_PROCESSOR, neither can this processor; FOVEA_E_ARGUMENT, there are no weights inside,
 * or FOVEA_BACKEND says nothing known. */
fovea_status fovea_forms_open(const fovea_forms *forms, int32_t level, const char *lacks,
                              const fovea_weights *weights, const fovea_options *options, fovea_model **out,
                              fovea_error *err);
/* NAME_load: the same without weights (fovea_model_load), so that no device is asked for known answers. */
fovea_status fovea_forms_load(const fovea_forms *forms, int32_t level, const char *lacks, const fovea_options *options,
                              fovea_model **out, fovea_error *err);

#ifdef __cplusplus
}
#endif
#endif
