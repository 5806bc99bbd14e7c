/* Checkpoints that torch.save writes (PyTorch 1.6 and later: .pth, .pt, .bin), read without running anything of them.
 *
 * Such a file is a zip archive of stored entries: NAME/data.pkl says in pickle what was saved, NAME/data/KEY are the
 * elements. The pickle is read by an inert machine (pickle.h). Of the classes and functions that it names, those that
 * rebuild tensors and dicts are understood (pth_tensor.c has the list); all others stay what they are, names, and
 * are refused only where tensors have to be. Layout of the archive and arguments of the functions:
 * torch/serialization.py and torch/_utils.py of PyTorch 1.6 to 2.x.
 *
 * Bounds of every tensor are checked against its entry. Tensors whose strides are not row-major are copied into order;
 * the others are read where they lie. */
#ifndef FV_PTH_H
#define FV_PTH_H
#include "base/base.h"
#include "runtime/safetensors.h"

typedef struct { const char *name, *why; } fv_unread;            /* a tensor that is there, and why it is not read */
typedef struct {
    fv_arena *arena;                     /* names and lists */
    fovea_stored *tensor;                /* in the order of the checkpoint; data in the file's bytes, or a copy */
    int32_t n, cap;
    fv_unread *unread;                   /* complex, quantised, sparse ... tensors */
    int32_t n_unread, cap_unread;
    const char **note;                   /* what was decided: which dict was taken */
    int32_t n_notes, cap_notes;
    void **copy;
    int32_t n_copies, cap_copies;
} fv_pth;

/* Whether the bytes begin as something that PyTorch writes, readable or not. */
bool fv_pth_is(const unsigned char *bytes, size_t n);

/* The bytes have to outlive the result. key: under which key of the saved dict the tensors are; NULL: averaged weights
 * before the raw ones, and so on (pth_choose.c). false: FV_E_FORMAT was recorded (FV_E_FILE: no memory), and *out is
 * empty. */
bool fv_pth_read(fv_ctx *ctx, const char *label, const unsigned char *bytes, size_t n, const char *key, fv_pth *out);
void fv_pth_dispose(fv_pth *p);                                  /* an empty one is fine */
#endif
