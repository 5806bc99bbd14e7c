/* Opening a safetensors file: the map, the length of the header, and what entries must be like together - distinct
 * names, and data without holes, overlaps or a rest. */
#define _POSIX_C_SOURCE 200809L
#include "safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "stored.h"

static int by_data(const void *a, const void *b) {
    const fovea_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}
static int by_key(const void *a, const void *b) {
    const fovea_pair *x = a, *y = b;
    int c = strcmp(x->key, y->key);
    return c ? c : x->at < y->at ? -1 : x->at > y->at;
}

/* Merge sort of indices by name: qsort has no argument for the entries. spare has n places as well. */
static void sort_names(const fovea_entry *e, int32_t *v, int32_t *spare, int32_t n) {
    if (n < 2) return;
    int32_t half = n / 2, i = 0, j = half, k = 0;
    sort_names(e, v, spare, half);
    sort_names(e, v + half, spare, n - half);
    while (i < half && j < n) spare[k++] = strcmp(e[v[j]].t.name, e[v[i]].t.name) < 0 ? v[j++] : v[i++];
    while (i < half) spare[k++] = v[i++];
    memcpy(v, spare, (size_t)k * sizeof *v);
}

static fovea_status check_data(fovea_safetensors *f, size_t header, fovea_error *err) {
    int64_t reached = 0, size = (int64_t)(f->size - 8 - header);
    if (f->n > 0) qsort(f->entries, (size_t)f->n, sizeof *f->entries, by_data);
    for (int32_t i = 0; i < f->n; i++) {
        fovea_entry *e = &f->entries[i];
        if (e->begin != reached)
            return fovea_fail(err, FOVEA_E_FORMAT,
                              "%s: byte %zu: \"%s\" begins at %" PRId64 " of the data, %s %" PRId64,
                              f->label, e->at + 8, e->t.name, e->begin,
                              e->begin < reached ? "inside another tensor that ends at" : "a hole after", reached);
        if (e->end > size)
            return fovea_fail(err, FOVEA_E_FORMAT,
                              "%s: byte %zu: \"%s\" ends at %" PRId64 " of the data, but the file has only %" PRId64
                              " bytes of it", f->label, e->at + 8, e->t.name, e->end, size);
        reached = e->end;
        e->t.data = f->bytes + 8 + header + e->begin;
    }
    if (reached != size)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: byte %" PRId64 ": %" PRId64 " bytes belong to no tensor", f->label,
                          (int64_t)(8 + header) + reached, size - reached);
    return FOVEA_OK;
}

static fovea_status check_names(fovea_safetensors *f, fovea_error *err) {
    size_t n = (size_t)f->n;
    f->by_name = malloc((2 * n + 1) * sizeof *f->by_name);
    if (!f->by_name) return fovea_fail(err, FOVEA_E_MEMORY, "%s: no memory for its header", f->label);
    for (int32_t i = 0; i < f->n; i++) f->by_name[i] = i;
    sort_names(f->entries, f->by_name, f->by_name + n, f->n);
    for (int32_t i = 1; i < f->n; i++) {
        const fovea_entry *a = &f->entries[f->by_name[i - 1]], *b = &f->entries[f->by_name[i]];
        if (strcmp(a->t.name, b->t.name) == 0)
            return fovea_fail(err, FOVEA_E_FORMAT, "%s: byte %zu: \"%s\" is already at byte %zu", f->label,
                              (a->at > b->at ? a->at : b->at) + 8, a->t.name, (a->at > b->at ? b->at : a->at) + 8);
    }
    if (f->n_pairs > 0) qsort(f->pairs, (size_t)f->n_pairs, sizeof *f->pairs, by_key);
    for (int32_t i = 1; i < f->n_pairs; i++)
        if (strcmp(f->pairs[i - 1].key, f->pairs[i].key) == 0)
            return fovea_fail(err, FOVEA_E_FORMAT,
                              "%s: byte %zu: the key \"%s\" of __metadata__ is already at byte %zu", f->label,
                              f->pairs[i].at + 8, f->pairs[i].key, f->pairs[i - 1].at + 8);
    return FOVEA_OK;
}

static fovea_status read_all(fovea_safetensors *f, fovea_error *err) {
    if (f->size < 8)
        return fovea_fail(err, FOVEA_E_FORMAT,
                          "%s: byte 0: %zu bytes are no safetensors file, which begins with 8 of length", f->label,
                              f->size);
    uint64_t header = 0;
    for (int i = 7; i >= 0; i--) header = header << 8 | f->bytes[i];
    if (header > FOVEA_HEADER_MAX)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: byte 0: a header of %" PRIu64 " bytes is beyond the limit of %d",
                          f->label, header, FOVEA_HEADER_MAX);
    if (header > f->size - 8)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: byte 0: a header of %" PRIu64 " bytes does not fit a file of %zu",
                          f->label, header, f->size);
    fovea_status status = fovea_header_parse(f, (const char *)f->bytes + 8, (size_t)header, err);
    if (status == FOVEA_OK) status = check_data(f, (size_t)header, err);
    if (status == FOVEA_OK) status = check_names(f, err);
    return status;
}

fovea_status fovea_safetensors_parse(const void *data, size_t bytes, const char *label, fovea_safetensors **out,
                                     fovea_error *err) {
    if (!out || (bytes > 0 && !data))
        return fovea_fail(err, FOVEA_E_ARGUMENT, "no data, or nowhere to write the result");
    *out = NULL;
    fovea_safetensors *f = calloc(1, sizeof *f);
    if (!f) return fovea_fail(err, FOVEA_E_MEMORY, "no memory");
    f->label = label ? label : "memory";
    f->bytes = data;
    f->size = bytes;
    fovea_status status = read_all(f, err);
    if (status == FOVEA_OK) *out = f;
    else fovea_safetensors_close(f);
    return status;
}

/* An empty file cannot be mapped; it is refused as too short like any other. */
static fovea_status map(int fd, fovea_safetensors *f, fovea_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0) return fovea_fail(err, FOVEA_E_FILE, "%s: %s", f->label, strerror(errno));
    if (!S_ISREG(info.st_mode)) return fovea_fail(err, FOVEA_E_FILE, "%s: is not a regular file", f->label);
    f->size = (size_t)info.st_size;
    if (f->size == 0) return FOVEA_OK;
    void *at = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) return fovea_fail(err, FOVEA_E_FILE, "%s: cannot be mapped: %s", f->label, strerror(errno));
    f->map = at;
    f->bytes = at;
    return FOVEA_OK;
}

fovea_status fovea_safetensors_open(const char *path, fovea_safetensors **out, fovea_error *err) {
    if (!out || !path) return fovea_fail(err, FOVEA_E_ARGUMENT, "no path, or nowhere to write the result");
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fovea_fail(err, FOVEA_E_FILE, "%s: %s", path, strerror(errno));
    fovea_safetensors *f = calloc(1, sizeof *f);
    if (f) f->label = f->owned_label = strdup(path);
    fovea_status status = f && f->label ? map(fd, f, err) : fovea_fail(err, FOVEA_E_MEMORY, "%s: no memory", path);
    close(fd);
    if (status == FOVEA_OK) status = read_all(f, err);
    if (status == FOVEA_OK) *out = f;
    else fovea_safetensors_close(f);
    return status;
}

void fovea_safetensors_close(fovea_safetensors *f) {
    if (!f) return;
    if (f->map) munmap(f->map, f->size);
    free(f->owned_label);
    free(f->entries);
    free(f->by_name);
    free(f->pairs);
    free(f->pool);
    free(f);
}

int32_t fovea_safetensors_count(const fovea_safetensors *f) { return f->n; }
const fovea_stored *fovea_safetensors_at(const fovea_safetensors *f, int32_t i) {
    return i >= 0 && i < f->n ? &f->entries[i].t : NULL;
}
const fovea_stored *fovea_safetensors_find(const fovea_safetensors *f, const char *name) {
    int32_t low = 0, high = f->n;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        const fovea_stored *t = &f->entries[f->by_name[middle]].t;
        int c = strcmp(name, t->name);
        if (c == 0) return t;
        if (c < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}
const char *fovea_safetensors_metadata(const fovea_safetensors *f, const char *key) {
    fovea_pair wanted = {.key = key};
    for (int32_t i = 0; i < f->n_pairs; i++)
        if (strcmp(f->pairs[i].key, wanted.key) == 0) return f->pairs[i].value;
    return NULL;
}
