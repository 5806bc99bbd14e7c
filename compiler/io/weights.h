/* Weights by name: a checkpoint as the compiler sees it, whichever kind of file it comes from. */
#ifndef FV_WEIGHTS_H
#define FV_WEIGHTS_H
#include "base/base.h"
#include "runtime/safetensors.h"

typedef struct fv_weights fv_weights;

/* Opens a safetensors file or a checkpoint of torch.save (see pth.h); the content decides which, not the name.
 * FILE#KEY asks for the tensors under a key of what was saved, where the rules would take others or none. Where
 * every name begins with "module." or "_orig_mod.", as wrappers of PyTorch put it there, that prefix is taken off
 * (a scalar "n_averaged" beside them does not count). NULL: FV_E_FILE or FV_E_FORMAT was recorded. Close it when no
 * tensor of it is used any more. */
fv_weights *fv_weights_open(fv_ctx *ctx, const char *path);
void fv_weights_close(fv_weights *w);                            /* NULL is fine */

int32_t fv_weights_count(const fv_weights *w);
const fovea_stored *fv_weights_at(const fv_weights *w, int32_t i);        /* in the order of the data */
const fovea_stored *fv_weights_find(const fv_weights *w, const char *name);   /* shape, storage, raw data; NULL: none */
/* For fovea_model_bind_file. NULL: the names or the file are others (a prefix was taken off, or it is no safetensors
 * file); then tensors are bound one by one. */
const fovea_safetensors *fv_weights_file(const fv_weights *w);

/* What was decided while opening, as lines for people: which of several dicts was taken, which prefix was taken off,
 * which tensors are not read. NULL beyond the last. */
const char *fv_weights_note(const fv_weights *w, int32_t i);
/* Why a tensor that is in the file is not among the tensors ("a complex tensor"); NULL: it is, or is not there. */
const char *fv_weights_unread(const fv_weights *w, const char *name);

/* The elements of a tensor as f32 (or i32), converted once and kept as long as w. NULL: FV_E_WEIGHTS was recorded
 * (no such tensor, or elements that do not fit). An empty tensor gives a pointer that must not be read. */
const float *fv_weights_f32(fv_ctx *ctx, fv_weights *w, const char *name);
const int32_t *fv_weights_i32(fv_ctx *ctx, fv_weights *w, const char *name);

/* Compares with what a model wants. Stored tensors that nobody wants are listed, not errors. false: one FV_E_WEIGHTS
 * with the counts was recorded, whose notes are those of opening, then the first ten missing ones with the nearest
 * names (of the same shape, if there are such), the first ten misshapen ones with both shapes, how many more of each
 * there are, and the prefix that would make missing ones found, if there is one. */
typedef struct { const char *name; int32_t rank; const int64_t *shape; fv_loc loc; } fv_wanted;   /* extent -1: any */
typedef struct { int32_t missing, misshapen, n_extra; const char **extra; } fv_weights_report;
bool fv_weights_check(fv_ctx *ctx, const fv_weights *w, const fv_wanted *wanted, int32_t n, fv_weights_report *report);
const char *fv_weights_path(const fv_weights *w);

/* Edits (insert, delete, replace one byte) between two texts, at most `most` + 1. */
int fv_edit_distance(const char *a, const char *b, int most);
/* The nearest of n names within a third of the length of `name`, the same name not counted; NULL: none. */
const char *fv_nearest_name(const char *name, const char *const *names, int n);
#endif
