/* Whole files in memory, and files that appear whole or not at all. */
#ifndef FV_FILE_H
#define FV_FILE_H
#include "base/base.h"

typedef struct { unsigned char *data; size_t n; } fv_bytes;      /* owned; one NUL follows the n bytes */

/* Reads a regular file of at most `cap` bytes. false: FV_E_FILE was recorded and *out is empty. */
bool fv_file_read(fv_ctx *ctx, const char *path, size_t cap, fv_bytes *out);
void fv_bytes_dispose(fv_bytes *b);

/* Writes beside `path` and renames. false: FV_E_FILE was recorded, what was at `path` is as before. */
bool fv_file_write(fv_ctx *ctx, const char *path, const void *data, size_t n);
#endif
