/* SHA-256 (FIPS 180-4), in the form that sha256sum prints. */
#ifndef FV_SHA256_H
#define FV_SHA256_H
#include "base/base.h"

enum { FV_SHA256_TEXT = 65 }; /* 64 hexadecimal digits and NUL */
void fv_sha256(const void *data, size_t n, char out[FV_SHA256_TEXT]);
/* Of a file. false: FV_E_FILE was recorded. */
bool fv_sha256_file(fv_ctx *ctx, const char *path, char out[FV_SHA256_TEXT]);
#endif
