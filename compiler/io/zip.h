/* Zip archives of stored entries, read where they lie: nothing is unpacked.
 *
 * Strict: one disk, no archive comment, no compression, no encryption, no entry twice, and no two entries share a
 * byte. ZIP64 is read. Sums (CRC-32) are not compared, as safetensors files have none. Names are UTF-8 without
 * control characters. */
#ifndef FV_ZIP_H
#define FV_ZIP_H
#include "base/base.h"

typedef struct {
    const char *name;                    /* ends in a NUL */
    const unsigned char *data;           /* in the bytes that were given */
    uint64_t n, at, head;                /* bytes of data; its first byte; the first byte of its local header */
} fv_zip_entry;
typedef struct { fv_zip_entry *entry; int32_t n; } fv_zip;               /* sorted by name */

/* Whether the bytes begin as a zip archive does. A safetensors file whose length happens to spell the same does not. */
bool fv_zip_is(const unsigned char *bytes, size_t n);

/* Reads the directory; entries and names live in `arena`. false: FV_E_FORMAT was recorded, with the byte. */
bool fv_zip_read(fv_ctx *ctx, fv_arena *arena, const char *label, const unsigned char *bytes, size_t n, fv_zip *out);
const fv_zip_entry *fv_zip_find(const fv_zip *z, const char *name);      /* NULL: none */
#endif
