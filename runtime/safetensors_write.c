/* Writing a safetensors file: beside its place, flushed to the disk, then renamed, so that a reader sees the old
 * file or the whole new one. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "safetensors.h"
#include "stored.h"
#include "tensor.h"

typedef struct { char *s; size_t n, cap; bool failed; } text;

static void put(text *t, const char *s, size_t n) {
    if (t->failed) return;
    if (t->cap - t->n < n) {
        size_t cap = t->cap * 2 + n + 256;
        char *larger = realloc(t->s, cap);
        if (!larger) { t->failed = true; return; }
        t->s = larger;
        t->cap = cap;
    }
    memcpy(t->s + t->n, s, n);
    t->n += n;
}
static void puts_text(text *t, const char *s) { put(t, s, strlen(s)); }
static void put_number(text *t, int64_t v) {
    char digits[32];
    put(t, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, v));
}

static bool put_string(text *t, const char *s) {                  /* false: not UTF-8 */
    put(t, "\"", 1);
    for (size_t n = strlen(s); n > 0;) {
        size_t k = fovea_utf8_length((const unsigned char *)s, n);
        unsigned char c = (unsigned char)*s;
        char code[8];
        if (k == 0) return false;
        if (c == '"' || c == '\\') { put(t, "\\", 1); put(t, s, 1); }
        else if (c < 0x20) put(t, code, (size_t)snprintf(code, sizeof code, "\\u%04x", c));
        else put(t, s, k);
        s += k;
        n -= k;
    }
    put(t, "\"", 1);
    return true;
}

static fovea_status put_tensor(text *t, const char *path, const fovea_stored *s, int64_t *io_end, fovea_error *err) {
    int64_t size = fovea_storage_size(s->storage), begin = *io_end;
    bool known = s->rank >= 0 && s->rank <= FOVEA_MAX_RANK && size > 0;
    int64_t count = known ? fovea_shape_count(s->shape, s->rank, size) : -1;
    if (count < 0 || __builtin_add_overflow(*io_end, count * size, io_end) || (count > 0 && !s->data))
        return fovea_fail(err, FOVEA_E_ARGUMENT, "%s: \"%s\": a shape or dtype that cannot be stored, or no data", path,
                          s->name);
    if (!put_string(t, s->name))
        return fovea_fail(err, FOVEA_E_ARGUMENT, "%s: the name of a tensor is not UTF-8", path);
    puts_text(t, ":{\"dtype\":\"");
    puts_text(t, fovea_storage_name(s->storage));
    puts_text(t, "\",\"shape\":[");
    for (int32_t d = 0; d < s->rank; d++) {
        if (d) put(t, ",", 1);
        put_number(t, s->shape[d]);
    }
    puts_text(t, "],\"data_offsets\":[");
    put_number(t, begin);
    put(t, ",", 1);
    put_number(t, *io_end);
    puts_text(t, "]}");
    return FOVEA_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static fovea_status check_names(const char *path, const fovea_stored *tensors, int32_t n, fovea_error *err) {
    const char **names = malloc(((size_t)n + 1) * sizeof *names);
    if (!names) return fovea_fail(err, FOVEA_E_MEMORY, "%s: no memory for its header", path);
    fovea_status status = FOVEA_OK;
    for (int32_t i = 0; i < n && status == FOVEA_OK; i++) {
        names[i] = tensors[i].name;
        if (!names[i] || strcmp(names[i], "__metadata__") == 0)
            status = fovea_fail(err, FOVEA_E_ARGUMENT, "%s: tensor %d has no name, or that of the metadata", path, i);
    }
    if (status == FOVEA_OK && n > 1) qsort(names, (size_t)n, sizeof *names, by_name);
    for (int32_t i = 1; i < n && status == FOVEA_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = fovea_fail(err, FOVEA_E_ARGUMENT, "%s: two tensors are \"%s\"", path, names[i]);
    free(names);
    return status;
}

static fovea_status make_header(text *t, const char *path, const fovea_stored *tensors, int32_t n,
                                const char *const *metadata, fovea_error *err) {
    int64_t end = 0;
    put(t, "{", 1);
    if (metadata && metadata[0]) {
        puts_text(t, "\"__metadata__\":{");
        for (int i = 0; metadata[i] && metadata[i + 1]; i += 2) {
            if (i) put(t, ",", 1);
            bool good = put_string(t, metadata[i]);
            put(t, ":", 1);
            if (!good || !put_string(t, metadata[i + 1]))
                return fovea_fail(err, FOVEA_E_ARGUMENT, "%s: metadata is not UTF-8", path);
        }
        puts_text(t, n > 0 ? "}," : "}");
    }
    for (int32_t i = 0; i < n; i++) {
        if (i) put(t, ",", 1);
        fovea_status status = put_tensor(t, path, &tensors[i], &end, err);
        if (status != FOVEA_OK) return status;
    }
    put(t, "}", 1);
    while (t->n % 8 != 0 && !t->failed) put(t, " ", 1);
    if (t->failed) return fovea_fail(err, FOVEA_E_MEMORY, "%s: no memory for its header", path);
    if (t->n > FOVEA_HEADER_MAX)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "%s: a header of %zu bytes is beyond the limit", path, t->n);
    return FOVEA_OK;
}

static bool write_fully(int fd, const void *data, size_t n) {
    const char *p = data;
    while (n > 0) {
        ssize_t done = write(fd, p, n < ((size_t)1 << 30) ? n : (size_t)1 << 30);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static bool write_file(int fd, const text *header, const fovea_stored *tensors, int32_t n) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(header->n >> (8 * i) & 255);
    if (!write_fully(fd, length, 8) || !write_fully(fd, header->s, header->n)) return false;
    for (int32_t i = 0; i < n; i++) {
        int64_t size = fovea_storage_size(tensors[i].storage);
        int64_t bytes = fovea_shape_count(tensors[i].shape, tensors[i].rank, size) * size;
        if (!write_fully(fd, tensors[i].data, (size_t)bytes)) return false;
    }
    return fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

static fovea_status replace(const char *path, const text *header, const fovea_stored *tensors, int32_t n,
                            fovea_error *err) {
    size_t length = strlen(path);
    char *beside = malloc(length + 8);
    if (!beside) return fovea_fail(err, FOVEA_E_MEMORY, "%s: no memory", path);
    memcpy(beside, path, length);
    memcpy(beside + length, ".XXXXXX", 8);
    int fd = mkstemp(beside);
    bool good = fd >= 0 && write_file(fd, header, tensors, n);
    int code = errno;
    if (fd >= 0 && close(fd) != 0 && good) { good = false; code = errno; }
    if (good && rename(beside, path) != 0) { good = false; code = errno; }
    if (!good && fd >= 0) unlink(beside);
    free(beside);
    return good ? FOVEA_OK : fovea_fail(err, FOVEA_E_FILE, "%s: cannot be written: %s", path, strerror(code));
}

fovea_status fovea_safetensors_write(const char *path, const fovea_stored *tensors, int32_t n,
                                     const char *const *metadata, fovea_error *err) {
    if (!path || n < 0 || (n > 0 && !tensors)) return fovea_fail(err, FOVEA_E_ARGUMENT, "no path, or no tensors");
    text header = {0};
    fovea_status status = check_names(path, tensors, n, err);
    if (status == FOVEA_OK) status = make_header(&header, path, tensors, n, metadata, err);
    if (status == FOVEA_OK) status = replace(path, &header, tensors, n, err);
    free(header.s);
    return status;
}
