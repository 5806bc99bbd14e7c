/* Mapping a file, reading numbers out of it, and refusing it at a byte. Invariant: a map that was opened is given back
 * by fv_map_close alone. */
#define _POSIX_C_SOURCE 200809L
#include "io/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(fv_ctx *ctx, const char *path, const char *why) {
    fv_error(ctx, FV_E_FILE, (fv_loc){0}, "%s: %s", path, why);
    return false;
}

static bool map_open(fv_ctx *ctx, int fd, const char *path, fv_map *out) {
    struct stat info;
    if (fstat(fd, &info) != 0) return fail(ctx, path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return fail(ctx, path, "is not a regular file");
    if (info.st_size == 0) return true;
    void *at = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) return fail(ctx, path, strerror(errno));
    *out = (fv_map){at, (size_t)info.st_size, at};
    return true;
}

bool fv_map_open(fv_ctx *ctx, const char *path, fv_map *out) {
    *out = (fv_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(ctx, path, strerror(errno));
    bool good = map_open(ctx, fd, path, out);
    close(fd);
    return good;
}

void fv_map_close(fv_map *m) {
    if (m->map) munmap(m->map, m->n);
    *m = (fv_map){0};
}

bool fv_refuse_bytes(fv_ctx *ctx, const char *label, uint64_t at, const char *fmt, ...) {
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fv_error(ctx, FV_E_FORMAT, (fv_loc){0}, "%s: byte %" PRIu64 ": %s", label, at, text);
    return false;
}

uint64_t fv_little(const unsigned char *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* Length of the UTF-8 sequence at s; 0: none. Overlong forms, surrogates and what is beyond U+10FFFF are none. */
static size_t sequence(const unsigned char *s, size_t n) {
    if (s[0] < 0x80) return 1;
    size_t need = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < need) return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)) return 0;
    return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90) ? 0 : need;
}

bool fv_name_is_plain(const char *s, size_t n) {
    const unsigned char *p = (const unsigned char *)s;
    for (size_t i = 0, k; i < n; i += k) {
        k = sequence(p + i, n - i);
        if (k == 0 || p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && p[i + 1] < 0xa0)) return false;
    }
    return true;
}
