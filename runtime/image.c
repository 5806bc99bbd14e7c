/* Weights after prepare as one block: see image.h. Invariant: nothing of an image is used before all of it was checked.
 */
#define _POSIX_C_SOURCE 200809L
#include "image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model.h"
#include "tensor.h"

static const char magic[8] = {'F', 'O', 'V', 'E', 'A', 'I', 'M', 'G'};

/* -- Hashes: FNV-1a over 64-bit words; the content in pieces of eight lanes, so that memory is the limit ---- */
static const uint64_t seed = 0xCBF29CE484222325u, prime = 0x100000001B3u;
static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * prime;
    return h ^ h >> 29;
}
static uint64_t mix_text(uint64_t h, const char *s) {
    for (; s && *s; s++) h = mix(h, (unsigned char)*s);
    return mix(h, 0);
}
static inline uint64_t word(const char *at) {
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}
static uint64_t piece_hash(const char *p, int64_t bytes) {
    uint64_t a = seed, b = seed + 1, c = seed + 2, d = seed + 3, e = seed + 4, f = seed + 5, g = seed + 6, h = seed + 7;
    for (const char *end = p + bytes; p < end; p += 64) {
        a = mix(a, word(p)), b = mix(b, word(p + 8)), c = mix(c, word(p + 16)), d = mix(d, word(p + 24));
        e = mix(e, word(p + 32)), f = mix(f, word(p + 40)), g = mix(g, word(p + 48)), h = mix(h, word(p + 56));
    }
    return mix(mix(mix(mix(mix(mix(mix(mix(seed, a), b), c), d), e), f), g), h);
}
/* Pieces in any order, by any number of threads: the sum of what each gives is the hash. */
enum { PIECE = 1 << 20 };
typedef struct {
    fovea_range range;
    const char *data;
    int64_t bytes;
    _Atomic uint64_t sum;
} content;
static void add_pieces(void *arg, int32_t thread) {
    content *c = arg;
    (void)thread;
    for (int64_t i, end; fovea_range_take(&c->range, &i, &end);)
        for (; i < end; i++) {
            int64_t rest = c->bytes - i * PIECE;
            c->sum += mix(piece_hash(c->data + i * PIECE, rest < PIECE ? rest : PIECE), (uint64_t)i);
        }
}
static uint64_t content_hash(const fovea_model *m, const void *data, int64_t bytes) {
    content c = {.data = data, .bytes = bytes};
    bool alone = !m || !m->parallel;
    fovea_range_init(&c.range, (bytes + PIECE - 1) / PIECE, alone ? 1 : m->space.threads);
    if (alone) add_pieces(&c, 0);
    else m->parallel(m->parallel_user, m->space.threads, add_pieces, &c);
    return mix(c.sum, (uint64_t)bytes);
}
uint64_t fovea_content_hash(const void *data, int64_t bytes) { return content_hash(NULL, data, bytes); }
static bool read_by_run(const fovea_program *p, int32_t array) {
    for (int32_t i = 0; i < p->n_run; i++)
        for (int32_t k = 0; k < p->run[i].n_args; k++)
            if (p->run[i].args[k] == array) return true;
    return false;
}
static bool read_by_runs(const fovea_program *p, int32_t array) {
    bool read = read_by_run(p, array);
    for (int32_t i = 0; p->shapes && !read && i < p->shapes->n_programs; i++)
        read = read_by_run(&p->shapes->programs[i], array);
    return read;
}
static uint64_t mix_array(uint64_t h, const fovea_array *a) {
    h = mix_text(mix(mix(h, (uint64_t)a->dtype), (uint64_t)a->place), a->name);
    for (int32_t d = 0; d < a->rank; d++) h = mix(h, (uint64_t)a->shape[d]);
    return mix(mix(h, (uint64_t)a->offset), (uint64_t)a->bytes);
}
uint64_t fovea_program_hash(const fovea_program *p) {
    uint64_t h = mix_text(seed, p->name);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place == FOVEA_PARAM || a->place == FOVEA_PREPARED) h = mix(mix_array(h, a), read_by_runs(p, i));
    }
    for (int32_t i = 0; i < p->n_prepare; i++) {
        h = mix_text(h, p->prepare[i].label);
        for (int32_t k = 0; k < p->prepare[i].n_args; k++) h = mix_array(h, &p->arrays[p->prepare[i].args[k]]);
    }
    return mix(h, (uint64_t)p->prepared_bytes);
}

/* -- Making ---- */
static bool run_reads(const fovea_model *m, int32_t array) { return fovea_faces_read(m, array); }

/* What an executor prepares is not in this process. */
static fovea_status run_here(const fovea_program *p, fovea_error *err) {
    if (!p->executor) return FOVEA_OK;
    return fovea_fail(err, FOVEA_E_PROGRAM, "images are made of programs that run on this processor");
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
    h.content = fovea_content_hash(image + table, at - table);
    memcpy(image, &h, sizeof h);
    *bytes = at;
    return FOVEA_OK;
}

/* -- Using ---- */
static fovea_status damaged(const char *label, fovea_error *err) {
    return fovea_fail(err, FOVEA_E_FORMAT, "%s: damaged: its bytes are not those that were written", label);
}
/* All that can be said without reading the whole. */
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
    if (h->prepared_bytes != p->prepared_bytes || h->prepared != end || end < table + 8 * (int64_t)h->n_params)
        return damaged(label, err);
    return FOVEA_OK;
}
static fovea_status take(fovea_model *m, char *image, const fovea_image_header *h, const char *label,
                         fovea_error *err) {
    const fovea_program *p = m->program;
    char *table = image + fovea_aligned((int64_t)sizeof *h);
    if (!m->options.unchecked && content_hash(m, table, h->bytes - (table - image)) != h->content)
        return damaged(label, err);
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
    fovea_faces_share(m);
    m->bound = true;
    return FOVEA_OK;
}
fovea_status fovea_image_use(const fovea_program *p, uint64_t level, const fovea_options *options, const void *image,
                             int64_t bytes, const char *label, fovea_model **out, fovea_error *err) {
    fovea_image_header h;
    fovea_status bad = fovea_program_check(p, err);
    if (!bad) bad = check(p, level, image, bytes, label, &h, err);
    char *data = (char *)(uintptr_t)image; /* never written: kernels take all their arrays as void * */
    if (!bad) bad = fovea_model_make(p, options, data + h.prepared, NULL, out, err);
    if (!bad) bad = take(*out, data, &h, label, err);
    if (!bad && p->executor) bad = fovea_stage_run(*out, FOVEA_STAGE_PREPARE, NULL, err); /* copied to the device */
    if (bad && *out) {
        fovea_model_dispose(*out);
        *out = NULL;
    }
    return bad;
}
