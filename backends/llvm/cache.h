/* cache: compiled objects on disk, one file each, named by a hash of the key and holding the whole key. */
#ifndef FV_LLVM_CACHE_H
#define FV_LLVM_CACHE_H
#include "base/base.h"

typedef struct { int64_t scratch_bytes, programs; } fv_cache_facts;

/* 32 hexadecimal digits of a key, NUL-terminated. */
void fv_cache_name(const char *key, size_t n, char out[33]);
/* Appends the stored object to out; false: none, another key's, or a damaged file (out is then as before). */
bool fv_cache_load(const char *dir, const char *key, size_t n, fv_buf *out, fv_cache_facts *facts);
/* Makes dir if need be; writes to a temporary name, then renames. A failure is no error: the next run compiles
 * again. */
void fv_cache_save(const char *dir, const char *key, size_t n, const fv_buf *object, const fv_cache_facts *facts);
#endif
