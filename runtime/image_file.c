/* Files of weights: one image, or a set of them of which one is mapped. See image.h. Invariant: of a set no byte
 * outside its table and the chosen image is read. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "image.h"
#include "model.h"

static const char magic[8] = {'F', 'O', 'V', 'E', 'A', 'S', 'E', 'T'};

/* A file, or the same bytes in memory. */
typedef struct {
    int file; /* data is NULL */
    const char *data;
    int64_t size;
    const char *label;
} source;

/* `bytes` from `from`; false: there are not so many. */
static bool read_at(const source *s, void *to, size_t bytes, int64_t from) {
    if (from > s->size || (int64_t)bytes > s->size - from) return false;
    if (s->data) memcpy(to, s->data + from, bytes);
    for (char *at = to; !s->data && bytes > 0;) {
        ssize_t n = pread(s->file, at, bytes, (off_t)from);
        if (n <= 0) return false;
        at += n;
        from += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* Where the image of the program and level lies in a set. */
static fovea_status choose(const source *s, const fovea_program *p, uint64_t level, int64_t *offset, int64_t *bytes,
                           fovea_error *err) {
    fovea_image_set h;
    if (!read_at(s, &h, sizeof h, 0) || h.version != FOVEA_IMAGE_VERSION)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: not a set of images of weights that this library reads", s->label);
    if (h.bytes != s->size)
        return fovea_fail(err, FOVEA_E_FORMAT,
                          "%s: has %" PRId64 " bytes where %" PRId64 " belong: it is cut, or more was appended",
                          s->label, s->size, h.bytes);
    fovea_image_entry table[FOVEA_IMAGE_MOST] = {{0}};
    size_t used = h.n <= FOVEA_IMAGE_MOST ? h.n * sizeof *table : 0;
    if (!used || !read_at(s, table, used, (int64_t)sizeof h) || fovea_content_hash(table, (int64_t)used) != h.content)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: damaged: its bytes are not those that were written", s->label);
    bool known = false;
    for (uint32_t i = 0; i < h.n; i++) {
        known = known || table[i].program == fovea_program_hash(p);
        if (table[i].level != level || table[i].program != fovea_program_hash(p)) continue;
        *offset = table[i].offset;
        *bytes = table[i].bytes;
        if (*offset > 0 && *offset % FOVEA_IMAGE_STEP == 0 && *bytes > 0 && *bytes <= s->size &&
            *offset <= s->size - *bytes)
            return FOVEA_OK;
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: an image lies outside", s->label);
    }
    if (known) return fovea_fail(err, FOVEA_E_WEIGHTS, "%s: weights packed for other levels of processor", s->label);
    return fovea_fail(err, FOVEA_E_WEIGHTS, "%s: weights of another model than \"%s\", or made by another build of it",
                      s->label, p->name ? p->name : "?");
}
/* Where the image lies: in a set, or all of it. */
static fovea_status find(const source *s, const fovea_program *p, uint64_t level, int64_t *offset, int64_t *bytes,
                         fovea_error *err) {
    char start[sizeof magic];
    *offset = 0;
    *bytes = s->size;
    if (s->size < (int64_t)sizeof(fovea_image_header) || !read_at(s, start, sizeof start, 0))
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: not an image of weights", s->label);
    return memcmp(start, magic, sizeof magic) ? FOVEA_OK : choose(s, p, level, offset, bytes, err);
}
fovea_status fovea_image_load(const fovea_program *p, uint64_t level, const fovea_options *options, const void *image,
                              int64_t bytes, fovea_model **out, fovea_error *err) {
    if (!out || !image || bytes < 0)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "no image, or nowhere to write the model");
    *out = NULL;
    if ((uintptr_t)image % FOVEA_ALIGN)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "the image is not aligned to %d bytes", FOVEA_ALIGN);
    source s = {.data = image, .size = bytes, .label = "the image"};
    int64_t from;
    fovea_status bad = find(&s, p, level, &from, &bytes, err);
    return bad ? bad : fovea_image_use(p, level, options, s.data + from, bytes, s.label, out, err);
}
fovea_status fovea_image_open(const fovea_program *p, uint64_t level, const fovea_options *options, const char *path,
                              fovea_model **out, fovea_error *err) {
    if (!out || !path) return fovea_fail(err, FOVEA_E_ARGUMENT, "no path, or nowhere to write the model");
    *out = NULL;
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) || !S_ISREG(about.st_mode)) {
        if (file >= 0) close(file);
        return fovea_fail(err, FOVEA_E_FILE, "%s: cannot be opened, or is no file", path);
    }
    source s = {.file = file, .size = (int64_t)about.st_size, .label = path};
    int64_t from, bytes;
    fovea_status bad = find(&s, p, level, &from, &bytes, err);
    void *map = bad ? MAP_FAILED : mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, file, (off_t)from);
    close(file);
    if (bad) return bad;
    if (map == MAP_FAILED) return fovea_fail(err, FOVEA_E_FILE, "%s: cannot be mapped", path);
    bad = fovea_image_use(p, level, options, map, bytes, path, out, err);
    if (bad) {
        munmap(map, (size_t)bytes);
        return bad;
    }
    (*out)->map = map;
    (*out)->map_bytes = (size_t)bytes;
    return FOVEA_OK;
}

/* -- Making ---- */
fovea_status fovea_image_join(const void *const *image, int32_t n, void **out, int64_t *bytes, fovea_error *err) {
    if (!image || !out || !bytes || n < 1 || n > FOVEA_IMAGE_MOST)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "a set has 1 to %d images", FOVEA_IMAGE_MOST);
    fovea_image_entry table[FOVEA_IMAGE_MOST];
    int64_t at = FOVEA_IMAGE_STEP, end = 0;
    for (int32_t i = 0; i < n; i++) {
        fovea_image_header h;
        memcpy(&h, image[i], sizeof h);
        table[i] = (fovea_image_entry){.level = h.level, .program = h.program, .offset = at, .bytes = h.bytes};
        end = at + h.bytes;
        at = (end + FOVEA_IMAGE_STEP - 1) / FOVEA_IMAGE_STEP * FOVEA_IMAGE_STEP;
    }
    char *set = calloc((size_t)end, 1);
    *out = set;
    if (!set) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a set of %" PRId64 " bytes", end);
    fovea_image_set h = {.version = FOVEA_IMAGE_VERSION, .n = (uint32_t)n, .bytes = end};
    memcpy(h.magic, magic, sizeof magic);
    h.content = fovea_content_hash(table, (int64_t)sizeof *table * n);
    memcpy(set, &h, sizeof h);
    memcpy(set + sizeof h, table, sizeof *table * (size_t)n);
    for (int32_t i = 0; i < n; i++) memcpy(set + table[i].offset, image[i], (size_t)table[i].bytes);
    *bytes = end;
    return FOVEA_OK;
}
