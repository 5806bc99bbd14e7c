/* NumPy's .npy files: versions 1, 2 and 3, little-endian, of one number per element. */
#ifndef FV_NPY_H
#define FV_NPY_H
#include "io/file.h"
#include "runtime/safetensors.h"

typedef struct { fovea_stored t; fv_bytes memory; } fv_npy;      /* t.data lies in memory; t.name is the path given */

/* f2 f4 f8, i1 i2 i4 i8, u1 u2 u4 u8, b1; of at most FOVEA_MAX_RANK dimensions. Fortran order is transposed into C
 * order. false: FV_E_FILE or FV_E_FORMAT was recorded, with the byte, and *out is empty. */
bool fv_npy_read(fv_ctx *ctx, const char *path, fv_npy *out);
void fv_npy_dispose(fv_npy *a);

/* Writes t (storage, rank, shape, data; count and bytes are computed) as version 1. BF16 and F8 have no NumPy type:
 * FV_E_FORMAT. The file appears whole or not at all. */
bool fv_npy_write(fv_ctx *ctx, const char *path, const fovea_stored *t);
#endif
