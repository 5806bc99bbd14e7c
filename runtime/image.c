/* Weights after prepare as one block: see image.h. Invariant: nothing of an image is used before all of it was checked.
 */
#define _POSIX_C_SOURCE 200809L
#include "image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "model.h"
#include "tensor.h"

static const char magic[8] = {'F', 'O', 'V', 'E', 'A', 'I', 'M', 'G'};

/* -- Hashes: FNV-1a over 64-bit words; the content in eight lanes, so that memory is the limit ---- */
static const uint64_t seed = 0xCBF29CE484222325u, prime = 0x100000001B3u;
static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * prime;
    return h ^ h >> 29;
}
static uint64_t mix_text(uint64_t h, const char *s) {
    for (; s && *s; s++) h = mix(h, (unsigned char)*s);
    return mix(h, 0);
}
static uint64_t content_hash(const void *data, int64_t bytes) { /* bytes: a multiple of 64 */
    const char *at = data;
    uint64_t h[8], v[8], all = seed;
    for (int k = 0; k < 8; k++) h[k] = seed + (uint64_t)k;
    for (int64_t i = 0; i < bytes; i += 64) {
        memcpy(v, at + i, 64);
        for (int k = 0; k < 8; k++) h[k] = mix(h[k], v[k]);
    }
    for (int k = 0; k < 8; k++) all = mix(all, h[k]);
    return mix(all, (uint64_t)bytes);
}
uint64_t fovea_program_hash(const fovea_program *p) {
    uint64_t h = mix_text(seed, p->name);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        h = mix_text(mix(mix(h, (uint64_t)a->dtype), (uint64_t)a->place), a->name);
        for (int32_t d = 0; d < a->rank; d++) h = mix(h, (uint64_t)a->shape[d]);
        h = mix(mix(h, (uint64_t)a->offset), (uint64_t)a->bytes);
    }
    for (int stage = 0; stage < FOVEA_STAGES; stage++) {
        int32_t n;
        const fovea_launch *l = fovea_stage_launches(p, (fovea_stage)stage, &n);
        for (int32_t i = 0; i < n; i++) {
            h = mix(mix_text(h, l[i].label), (uint64_t)l[i].programs);
            for (int32_t k = 0; k < l[i].n_args; k++) h = mix(h, (uint64_t)l[i].args[k]);
        }
    }
    return mix(mix(h, (uint64_t)p->prepared_bytes), (uint64_t)p->arena_bytes);
}

/* -- Making ---- */
static bool run_reads(const fovea_model *m, int32_t array) { return m->spans[FOVEA_STAGE_RUN][array].first >= 0; }

/* What an executor prepares is not in this process. */
static fovea_status run_here(const fovea_program *p, fovea_error *err) {
    if (!p->executor) return FOVEA_OK;
    return fovea_fail(err, FOVEA_E_PROGRAM, "images are of programs that run on this processor");
}

fovea_status fovea_image_make(const fovea_model *m, uint64_t level, void **out, int64_t *bytes, fovea_error *err) {
    if (!m || !out || !bytes) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model, or nowhere to write its image");
    *out = NULL;
    if (!m->bound) return fovea_fail(err, FOVEA_E_STATE, "the model has no weights bound");
    const fovea_program *p = m->program;
    fovea_status elsewhere = run_here(p, err);
    if (elsewhere) return elsewhere;
    int64_t table = fovea_aligned((int64_t)sizeof(fovea_image_header));
    int64_t at = table + fovea_aligned(8 * (int64_t)m->n_params), prepared;
    for (int32_t i = 0; i < m->n_params; i++)
        if (run_reads(m, m->params[i])) at += fovea_aligned(p->arrays[m->params[i]].bytes);
    prepared = at;
    at += fovea_aligned(p->prepared_bytes);
    if (posix_memalign(out, FOVEA_ALIGN, (size_t)at)) {
        *out = NULL;
        return fovea_fail(err, FOVEA_E_MEMORY, "no memory for an image of %" PRId64 " bytes", at);
    }
    char *image = *out;
    memset(image, 0, (size_t)at);
    int64_t next = table + fovea_aligned(8 * (int64_t)m->n_params);
    for (int32_t i = 0; i < m->n_params; i++) {
        const fovea_array *a = &p->arrays[m->params[i]];
        int64_t place = run_reads(m, m->params[i]) ? next : -1;
        memcpy(image + table + 8 * (int64_t)i, &place, sizeof place);
        if (place < 0) continue;
        memcpy(image + next, m->base[m->params[i]], (size_t)a->bytes);
        next += fovea_aligned(a->bytes);
    }
    for (int32_t i = 0; i < p->n_arrays; i++) { /* only what runs read: the rest of the block is not defined */
        const fovea_array *a = &p->arrays[i];
        if (a->place == FOVEA_PREPARED && run_reads(m, i))
            memcpy(image + prepared + a->offset, m->base[i], (size_t)a->bytes + FOVEA_GUARD_BYTES);
    }
    fovea_image_header h = {.version = FOVEA_IMAGE_VERSION,
                            .n_params = (uint32_t)m->n_params,
                            .program = fovea_program_hash(p),
                            .bytes = at,
                            .prepared = prepared,
                            .prepared_bytes = p->prepared_bytes,
                            .level = level};
    memcpy(h.magic, magic, sizeof magic);
    h.content = content_hash(image + table, at - table);
    memcpy(image, &h, sizeof h);
    *bytes = at;
    return FOVEA_OK;
}

/* -- Using ---- */
static fovea_status check(const fovea_program *p, uint64_t level, const void *image, int64_t bytes, const char *label,
                          fovea_image_header *h, fovea_error *err) {
    int64_t table = fovea_aligned((int64_t)sizeof *h);
    if (bytes < table || memcmp(image, magic, sizeof magic) != 0)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: not an image of weights", label);
    memcpy(h, image, sizeof *h);
    if (h->version != FOVEA_IMAGE_VERSION)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: version %" PRIu32 " of the format; this library reads %d", label,
                          h->version, FOVEA_IMAGE_VERSION);
    if (h->bytes != bytes || bytes % FOVEA_ALIGN)
        return fovea_fail(err, FOVEA_E_FORMAT,
                          "%s: has %" PRId64 " bytes where %" PRId64 " belong: it is cut, or more was appended", label,
                          bytes, h->bytes);
    if (h->program != fovea_program_hash(p))
        return fovea_fail(err, FOVEA_E_WEIGHTS,
                          "%s: weights of another model than \"%s\", or made by another build of it", label,
                          p->name ? p->name : "?");
    if (h->level != level)
        return fovea_fail(err, FOVEA_E_WEIGHTS, "%s: weights packed for another level of processor", label);
    int64_t end = bytes - fovea_aligned(p->prepared_bytes);
    if (h->prepared_bytes != p->prepared_bytes || h->prepared != end || end < table + 8 * (int64_t)h->n_params ||
        content_hash((const char *)image + table, bytes - table) != h->content)
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: damaged: its bytes are not those that were written", label);
    return FOVEA_OK;
}
static fovea_status take(fovea_model *m, char *image, const fovea_image_header *h, const char *label,
                         fovea_error *err) {
    const fovea_program *p = m->program;
    char *table = image + fovea_aligned((int64_t)sizeof *h);
    if ((int32_t)h->n_params != m->n_params)
        return fovea_fail(err, FOVEA_E_WEIGHTS, "%s: %" PRIu32 " parameters where %d belong", label, h->n_params,
                          m->n_params);
    for (int32_t i = 0; i < m->n_params; i++) {
        const fovea_array *a = &p->arrays[m->params[i]];
        int64_t at;
        memcpy(&at, table + 8 * (int64_t)i, sizeof at);
        if (at < 0 && !run_reads(m, m->params[i])) continue;
        if (at < 0 || at % FOVEA_ALIGN || at > h->prepared - a->bytes)
            return fovea_fail(err, FOVEA_E_FORMAT, "%s: parameter \"%s\" lies outside", label, a->name);
        m->base[m->params[i]] = image + at;
        fovea_status bad = fovea_index_check(a, image + at, "parameter", FOVEA_E_WEIGHTS, err);
        if (bad) return bad;
    }
    m->bound = true;
    return FOVEA_OK;
}
static fovea_status load(const fovea_program *p, uint64_t level, const fovea_options *options, const void *image,
                         int64_t bytes, const char *label, fovea_model **out, fovea_error *err) {
    fovea_image_header h;
    fovea_status bad = fovea_program_check(p, err);
    if (!bad) bad = run_here(p, err);
    if (!bad) bad = check(p, level, image, bytes, label, &h, err);
    char *data = (char *)(uintptr_t)image; /* never written: kernels take all their arrays as void * */
    if (!bad) bad = fovea_model_make(p, options, data + h.prepared, out, err);
    if (!bad && (bad = take(*out, data, &h, label, err))) {
        fovea_model_dispose(*out);
        *out = NULL;
    }
    return bad;
}
fovea_status fovea_image_load(const fovea_program *p, uint64_t level, const fovea_options *options, const void *image,
                              int64_t bytes, fovea_model **out, fovea_error *err) {
    if (!out || !image) return fovea_fail(err, FOVEA_E_ARGUMENT, "no image, or nowhere to write the model");
    *out = NULL;
    if ((uintptr_t)image % FOVEA_ALIGN)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "the image is not aligned to %d bytes", FOVEA_ALIGN);
    return load(p, level, options, image, bytes, "the image", out, err);
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
    if (about.st_size < (off_t)sizeof(fovea_image_header)) {
        close(file);
        return fovea_fail(err, FOVEA_E_FORMAT, "%s: not an image of weights", path);
    }
    void *map = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (map == MAP_FAILED) return fovea_fail(err, FOVEA_E_FILE, "%s: cannot be mapped", path);
    fovea_status bad = load(p, level, options, map, (int64_t)about.st_size, path, out, err);
    if (bad) {
        munmap(map, (size_t)about.st_size);
        return bad;
    }
    (*out)->map = map;
    (*out)->map_bytes = (size_t)about.st_size;
    return FOVEA_OK;
}
