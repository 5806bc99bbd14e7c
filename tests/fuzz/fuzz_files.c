/* Mutated files: safetensors, what torch.save wrote, npy, JSON, PNG, JPEG. Ordinary input from anywhere: it is read or
 * refused with a reason, and what was read is inside the file. */
#define _POSIX_C_SOURCE 200809L
#include "io/json.h"
#include "io/npy.h"
#include "io/picture.h"
#include "io/pth.h"
#include "io/weights.h"
#include "runtime/safetensors.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TENSORS, NPY, JSON, PICTURE, PTH, KINDS };
static fv_corpus corpus[KINDS];

static void add_npy(const char *descr, const char *shape, const char *fortran, size_t bytes) {
    char file[512] = "\x93NUMPY\x01\x00\x76\x00", head[128];
    memset(file + 10, ' ', 118);
    int n = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, fortran, shape);
    memcpy(file + 10, head, (size_t)n);
    file[6] = 1;
    file[7] = 0;
    file[8] = 118;
    file[9] = 0;
    file[127] = '\n';
    for (size_t i = 0; i < bytes; i++) file[128 + i] = (char)(i * 37);
    fv_corpus_add(&corpus[NPY], descr, file, 128 + bytes);
}
static void fill(void) {
    fv_corpus_add_files(&corpus[TENSORS], FOVEA_TESTS_DIR "/goldens/attention-basics", ".safetensors", 4000);
    fv_corpus_add_files(&corpus[TENSORS], FOVEA_TESTS_DIR "/goldens/relation-detr", ".safetensors", 0);
    fv_corpus_add_files(&corpus[JSON], FOVEA_TESTS_DIR "/goldens/attention-basics", ".json", 0);
    fv_corpus_add_files(&corpus[PICTURE], FOVEA_TESTS_DIR "/data/pictures", "g", 0);
    fv_corpus_add_files(&corpus[PTH], FOVEA_TESTS_DIR "/data/pth", ".pth", 0);
    add_npy("<f4", "(3, 4)", "False", 48);
    add_npy("<f4", "(3, 4)", "True", 48);
    add_npy("<i8", "(5,)", "False", 40);
    add_npy("|b1", "()", "False", 1);
    add_npy("<f2", "(2, 3, 4)", "True", 48);
}
static unsigned touch(const void *p, size_t n) {
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((const unsigned char *)p)[i];
    return sum;
}
static volatile unsigned sink; /* what was read is read: sanitizers see it */

static bool tensors(const char *data, size_t n, fv_buf *why) {
    char *aligned = aligned_alloc(64, (n + 127) / 64 * 64);
    fovea_safetensors *f = NULL;
    fovea_error e = {.text = ""};
    bool fine = true;
    memcpy(aligned, data, n);
    fovea_status s = fovea_safetensors_parse(aligned, n, "fuzz", &f, &e);
    if (s) fine = e.text[0] != 0 && f == NULL;
    for (int32_t i = 0; !s && i < fovea_safetensors_count(f); i++) {
        const fovea_stored *t = fovea_safetensors_at(f, i);
        const char *p = t->data;
        if (t->bytes && (p < aligned || p + t->bytes > aligned + n)) fine = false;
        sink += touch(p, (size_t)t->bytes);
    }
    if (!fine) fv_buf_puts(why, s ? "refused without a reason" : "a tensor leaves the file");
    fovea_safetensors_close(f);
    free(aligned);
    return fine;
}
static bool by_path(int kind, const char *data, size_t n, fv_buf *why) {
    char path[200];
    fv_ctx *ctx = fv_ctx_new();
    snprintf(path, sizeof path, "/tmp/fovea-fuzz-%ld.bin", (long)getpid());
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(data, 1, n, f);
        fclose(f);
    }
    bool good;
    if (kind == NPY) {
        fv_npy a;
        good = fv_npy_read(ctx, path, &a);
        if (good) sink += touch(a.t.data, (size_t)a.t.bytes);
        fv_npy_dispose(&a);
    } else {
        fv_weights *w = fv_weights_open(ctx, path);
        good = w != NULL;
        for (int32_t i = 0; good && i < fv_weights_count(w) && i < 8; i++)
            if (!fv_weights_f32(ctx, w, fv_weights_at(w, i)->name)) fv_diag_clear(ctx);
        fv_weights_close(w);
    }
    bool fine = good || fv_error_count(ctx) > 0;
    if (!fine) fv_buf_puts(why, "refused without a reason");
    fv_ctx_dispose(ctx);
    unlink(path);
    return fine;
}
/* The bytes are as long as their allocation: sanitizers see a read behind them. */
static bool checkpoint(const char *data, size_t n, fv_buf *why) {
    fv_ctx *ctx = fv_ctx_new();
    unsigned char *exact = malloc(n ? n : 1);
    fv_pth p;
    memcpy(exact, data, n);
    sink += fv_pth_is(exact, n);
    bool good = fv_pth_read(ctx, "fuzz", exact, n, NULL, &p), fine = good || fv_error_count(ctx) > 0;
    for (int32_t i = 0; i < p.n; i++) sink += touch(p.tensor[i].data, (size_t)p.tensor[i].bytes);
    if (!fine) fv_buf_puts(why, "refused without a reason");
    else if (!good && p.n > 0) fv_buf_puts(why, "refused, and tensors are left");
    fine = fine && (good || p.n == 0);
    fv_pth_dispose(&p);
    free(exact);
    fv_ctx_dispose(ctx);
    return fine;
}
static bool in_memory(int kind, const char *data, size_t n, fv_buf *why) {
    fv_ctx *ctx = fv_ctx_new();
    bool good;
    if (kind == JSON) good = fv_json_parse(ctx, "fuzz", data, n) != NULL;
    else {
        fv_picture p = {0};
        good = fv_picture_decode(ctx, "fuzz", (const unsigned char *)data, n, &p);
        if (good) sink += touch(p.rgb, 3 * (size_t)p.width * (size_t)p.height);
        fv_picture_dispose(&p);
    }
    bool fine = good || fv_error_count(ctx) > 0;
    if (!fine) fv_buf_puts(why, "refused without a reason");
    fv_ctx_dispose(ctx);
    return fine;
}
static bool one(uint64_t seed, fv_buf *why) {
    fv_random r = fv_random_start(seed);
    int kind = fv_random_below(&r, KINDS);
    const fv_corpus *c = &corpus[kind];
    size_t n;
    char *data = fv_mutate(&r, c, &c->item[fv_random_below(&r, c->n)], kind == JSON, &n);
    bool fine = kind == TENSORS ? tensors(data, n, why) && by_path(kind, data, n, why)
                : kind == NPY   ? by_path(kind, data, n, why)
                : kind == PTH   ? checkpoint(data, n, why)
                                : in_memory(kind, data, n, why);
    free(data);
    return fine;
}
int main(int argc, char **argv) {
    fill();
    return fv_fuzz_main(argc, argv, "files", one);
}
