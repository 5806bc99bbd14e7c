/* Weights by name: a checkpoint as the compiler sees it. */
#ifndef FV_WEIGHTS_H
#define FV_WEIGHTS_H
#include "base/base.h"
#include "runtime/safetensors.h"

typedef struct fv_weights fv_weights;

/* Opens a safetensors file. NULL: FV_E_FILE or FV_E_FORMAT was recorded. Close it when no tensor of it is used any
 * more. */
fv_weights *fv_weights_open(fv_ctx *ctx, const char *path);
void fv_weights_close(fv_weights *w);                            /* NULL is fine */

int32_t fv_weights_count(const fv_weights *w);
const fovea_stored *fv_weights_at(const fv_weights *w, int32_t i);        /* in the order of the data */
const fovea_stored *fv_weights_find(const fv_weights *w, const char *name);   /* shape, storage, raw data; NULL: none */
const fovea_safetensors *fv_weights_file(const fv_weights *w);   /* for fovea_model_bind_file */

/* The elements of a tensor as f32 (or i32), converted once and kept as long as w. NULL: FV_E_WEIGHTS was recorded
 * (no such tensor, or elements that do not fit). An empty tensor gives a pointer that must not be read. */
const float *fv_weights_f32(fv_ctx *ctx, fv_weights *w, const char *name);
const int32_t *fv_weights_i32(fv_ctx *ctx, fv_weights *w, const char *name);

/* Compares with what a model wants. Stored tensors that nobody wants are listed, not errors. false: one FV_E_WEIGHTS
 * was recorded, whose notes list the missing ones with the nearest names and the misshapen ones with both shapes
 * (the first 16 of each). */
typedef struct { const char *name; int32_t rank; const int64_t *shape; fv_loc loc; } fv_wanted;   /* extent -1: any */
typedef struct { int32_t missing, misshapen, n_extra; const char **extra; } fv_weights_report;
bool fv_weights_check(fv_ctx *ctx, const fv_weights *w, const fv_wanted *wanted, int32_t n, fv_weights_report *report);

/* Edits (insert, delete, replace one byte) between two texts, at most `most` + 1. */
int fv_edit_distance(const char *a, const char *b, int most);
/* The nearest of n names within a third of the length of `name`, the same name not counted; NULL: none. */
const char *fv_nearest_name(const char *name, const char *const *names, int n);
#endif
