/* cache: file = magic, six 64-bit words (key bytes, object bytes, scratch, programs, checksum of all the rest, 0), key,
 * object. Any mismatch is a miss. */
#define _POSIX_C_SOURCE 200809L
#include "backends/llvm/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "FOVEAOB1";
typedef struct { uint64_t key_bytes, object_bytes; int64_t scratch_bytes, programs; uint64_t sum, zero; } header;
enum { MAX_PATH = 4096 };

void fv_cache_name(const char *key, size_t n, char out[33]) {
    uint64_t a = fv_hash(key, n, FV_HASH_SEED), b = fv_hash(key, n, a ^ UINT64_C(0x9e3779b97f4a7c15));
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

static bool path_of(const char *dir, const char *key, size_t n, char *out) {
    char name[33];
    fv_cache_name(key, n, name);
    return snprintf(out, MAX_PATH, "%s/%s.o", dir, name) < MAX_PATH;
}

static uint64_t sum_of(const header *h, const char *key, const char *object) {
    header clean = *h;
    clean.sum = 0;
    uint64_t s = fv_hash(&clean, sizeof clean, FV_HASH_SEED);
    s = fv_hash(key, (size_t)h->key_bytes, s);
    return fv_hash(object, (size_t)h->object_bytes, s);
}

/* The whole file; NULL: unreadable. The caller frees it. */
static char *read_file(const char *path, size_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0) return NULL;
    char *data = NULL;
    bool fits = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < (INT64_C(1) << 30);
    if (fits) data = malloc((size_t)st.st_size);
    size_t got = 0, want = data ? (size_t)st.st_size : 0;
    while (got < want) {
        ssize_t r = read(fd, data + got, want - got);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) break;
        got += (size_t)r;
    }
    close(fd);
    if (data && got < want) {
        free(data);
        data = NULL;
    }
    *size = got;
    return data;
}

bool fv_cache_load(const char *dir, const char *key, size_t n, fv_buf *out, fv_cache_facts *facts) {
    char path[MAX_PATH];
    size_t size = 0, head = sizeof magic + sizeof(header);
    char *data = path_of(dir, key, n, path) ? read_file(path, &size) : NULL;
    header h = { 0 };
    bool ok = data && size >= head && memcmp(data, magic, sizeof magic) == 0;
    if (ok) memcpy(&h, data + sizeof magic, sizeof h);
    ok = ok && h.key_bytes == n && h.object_bytes == size - head - n && size >= head + n &&
         memcmp(data + head, key, n) == 0;
    ok = ok && h.sum == sum_of(&h, key, data + head + n);
    if (ok) {
        fv_buf_putn(out, data + head + n, (size_t)h.object_bytes);
        *facts = (fv_cache_facts){ h.scratch_bytes, h.programs };
    }
    free(data);
    return ok;
}

static bool make_dirs(const char *dir) {
    char path[MAX_PATH];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path) return false;
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        if (mkdir(path, 0700) && errno != EEXIST) return false;
        *at = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool write_all(int fd, const void *data, size_t n) {
    const char *p = data;
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

void fv_cache_save(const char *dir, const char *key, size_t n, const fv_buf *object, const fv_cache_facts *facts) {
    char path[MAX_PATH], temp[MAX_PATH];
    if (!make_dirs(dir) || !path_of(dir, key, n, path)) return;
    if (snprintf(temp, sizeof temp, "%s/new.XXXXXX", dir) >= (int)sizeof temp) return;
    int fd = mkstemp(temp);
    if (fd < 0) return;
    header h = { n, object->len, facts->scratch_bytes, facts->programs, 0, 0 };
    h.sum = sum_of(&h, key, object->text);
    bool ok = write_all(fd, magic, sizeof magic) && write_all(fd, &h, sizeof h) && write_all(fd, key, n) &&
              write_all(fd, object->text, object->len);
    ok = close(fd) == 0 && ok;
    if (!ok || rename(temp, path)) unlink(temp);
}
