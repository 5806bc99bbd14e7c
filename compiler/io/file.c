/* Reading and writing whole files. Sizes come from the user's disk, so memory is asked for with malloc, which may
 * say no. */
#define _POSIX_C_SOURCE 200809L
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(fv_ctx *ctx, const char *path, const char *why) {
    fv_error(ctx, FV_E_FILE, (fv_loc){0}, "%s: %s", path, why);
    return false;
}

/* Until n bytes are there; short when the file ends or an error comes (errno). */
static size_t read_fully(int fd, unsigned char *to, size_t n) {
    size_t used = 0;
    while (used < n) {
        ssize_t got = read(fd, to + used, n - used);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        used += (size_t)got;
    }
    return used;
}

static bool read_open(fv_ctx *ctx, int fd, const char *path, size_t cap, fv_bytes *out) {
    struct stat info;
    if (fstat(fd, &info) != 0) return fail(ctx, path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return fail(ctx, path, "is not a regular file");
    if ((uint64_t)info.st_size > cap) {
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "%s: has %lld bytes, the limit is %zu", path, (long long)info.st_size,
                 cap);
        return false;
    }
    out->n = (size_t)info.st_size;
    out->data = malloc(out->n + 1);
    if (!out->data) return fail(ctx, path, "no memory to read it");
    errno = 0;
    if (read_fully(fd, out->data, out->n) != out->n)
        return fail(ctx, path, errno ? strerror(errno) : "became shorter while read");
    out->data[out->n] = 0;
    return true;
}

bool fv_file_read(fv_ctx *ctx, const char *path, size_t cap, fv_bytes *out) {
    *out = (fv_bytes){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(ctx, path, strerror(errno));
    bool good = read_open(ctx, fd, path, cap, out);
    close(fd);
    if (!good) fv_bytes_dispose(out);
    return good;
}

void fv_bytes_dispose(fv_bytes *b) {
    free(b->data);
    *b = (fv_bytes){0};
}

static bool write_fully(int fd, const unsigned char *p, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return fchmod(fd, 0644) == 0;
}

bool fv_file_write(fv_ctx *ctx, const char *path, const void *data, size_t n) {
    char *beside = fv_printf(ctx, "%s.XXXXXX", path);
    int fd = mkstemp(beside);
    bool good = fd >= 0 && write_fully(fd, data, n);
    int code = errno;
    if (fd >= 0 && close(fd) != 0 && good) {
        good = false;
        code = errno;
    }
    if (good && rename(beside, path) != 0) {
        good = false;
        code = errno;
    }
    if (!good && fd >= 0) unlink(beside);
    return good || fail(ctx, path, strerror(code));
}
