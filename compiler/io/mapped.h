/* A file's bytes, read-only, as the system maps them; and what readers of bytes say about them. */
#ifndef FV_MAPPED_H
#define FV_MAPPED_H
#include "base/base.h"

typedef struct { const unsigned char *at; size_t n; void *map; } fv_map;     /* map: NULL if the file is empty */

/* Maps a regular file. false: FV_E_FILE was recorded and *out is empty. The file must not be truncated by another
 * process while it is mapped. Close it when nothing reads it any more; closing an empty one is fine. */
bool fv_map_open(fv_ctx *ctx, const char *path, fv_map *out);
void fv_map_close(fv_map *m);

/* Records FV_E_FORMAT "label: byte N: text" and returns false. */
bool fv_refuse_bytes(fv_ctx *ctx, const char *label, uint64_t at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Little-endian numbers of 2, 4 and 8 bytes at p. */
uint64_t fv_little(const unsigned char *p, int bytes);

/* UTF-8 without control characters: what may stand in a name that messages show. */
bool fv_name_is_plain(const char *s, size_t n);
#endif
