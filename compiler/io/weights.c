/* Weights by name: one list of tensors over either kind of file. Invariant: the list's names are distinct, and are
 * those of the file without the prefix that was taken off. */
#define _POSIX_C_SOURCE 200809L
#include "io/weights.h"
#include "io/mapped.h"
#include "io/pth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct copy {
    struct copy *next;
    const fovea_stored *of;
    fovea_dtype dtype;
    void *data;
} copy;
struct fv_weights {
    const char *path, *key; /* of FILE#KEY; NULL: no key */
    fv_map map;
    fovea_safetensors *file; /* NULL: a checkpoint of torch.save */
    fv_pth pth;
    fovea_stored *tensor; /* in the order of the data */
    const fovea_stored **by_name;
    fv_unread *unread;
    int32_t n, n_unread;
    bool renamed;
    const char **note;
    int n_notes, cap_notes;
    copy *copies;
};

/* -- Opening ---- */
/* What is found most often where weights should be. */
static const char *mistaken(const unsigned char *b, size_t n) {
    static const struct {
        const char *begin, *is;
    } known[] = {{"version https://git-lfs", "a Git LFS pointer: the file itself was not fetched"},
                 {"<!DOCTYPE", "a web page"},
                 {"<!doctype", "a web page"},
                 {"<html", "a web page"},
                 {"GGUF", "a GGUF file, which is not read"},
                 {"\x1f\x8b", "compressed by gzip: unpack it first"},
                 {"\x89HDF\r\n", "an HDF5 file, which is not read"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= strlen(known[i].begin) && !memcmp(b, known[i].begin, strlen(known[i].begin))) return known[i].is;
    return NULL;
}
static bool open_safetensors(fv_ctx *ctx, fv_weights *w) {
    fovea_error err = {0};
    const char *is = mistaken(w->map.at, w->map.n);
    if (is) return fv_refuse_bytes(ctx, w->path, 0, "this is %s", is);
    if (w->key) return fv_refuse_bytes(ctx, w->path, 0, "#%s names a dict, and this is no file of torch.save", w->key);
    fovea_status status = fovea_safetensors_parse(w->map.at, w->map.n, w->path, &w->file, &err);
    if (status != FOVEA_OK) {
        fv_error(ctx, status == FOVEA_E_FORMAT ? FV_E_FORMAT : FV_E_FILE, (fv_loc){0}, "%s", err.text);
        return false;
    }
    w->n = fovea_safetensors_count(w->file);
    w->tensor = FV_NEWN(ctx, fovea_stored, w->n + 1);
    for (int32_t i = 0; i < w->n; i++) w->tensor[i] = *fovea_safetensors_at(w->file, i);
    return true;
}
static bool open_pth(fv_ctx *ctx, fv_weights *w) {
    if (!fv_pth_read(ctx, w->path, w->map.at, w->map.n, w->key, &w->pth)) return false;
    w->n = w->pth.n;
    w->tensor = w->pth.tensor;
    w->n_unread = w->pth.n_unread;
    w->unread = w->pth.unread;
    for (int32_t i = 0; i < w->pth.n_notes; i++) fv_push(ctx, w->note, w->n_notes, w->cap_notes, w->pth.note[i]);
    return true;
}

/* Averaging in PyTorch counts its steps beside the module that it wraps. */
static bool exempt(const fovea_stored *t) { return t->count == 1 && !strcmp(t->name, "n_averaged"); }
static bool all_begin(const fv_weights *w, const char *prefix) {
    size_t k = strlen(prefix);
    int32_t found = 0;
    for (int32_t i = 0; i < w->n; i++) {
        if (exempt(&w->tensor[i])) continue;
        if (strncmp(w->tensor[i].name, prefix, k) || !w->tensor[i].name[k]) return false;
        found++;
    }
    for (int32_t i = 0; i < w->n_unread; i++)
        if (strncmp(w->unread[i].name, prefix, k) || !w->unread[i].name[k]) return false;
    return found > 0;
}
static bool strip(fv_ctx *ctx, fv_weights *w, const char *prefix) {
    if (!all_begin(w, prefix)) return false;
    size_t k = strlen(prefix);
    for (int32_t i = 0; i < w->n; i++)
        if (!exempt(&w->tensor[i])) w->tensor[i].name += k;
    for (int32_t i = 0; i < w->n_unread; i++) w->unread[i].name += k;
    w->renamed = true;
    fv_push(ctx, w->note, w->n_notes, w->cap_notes,
            fv_printf(ctx, "the prefix \"%s\" was taken off every name", prefix));
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const fovea_stored *const *)a)->name, (*(const fovea_stored *const *)b)->name);
}
static bool sort(fv_ctx *ctx, fv_weights *w) {
    w->by_name = FV_NEWN(ctx, const fovea_stored *, w->n + 1);
    for (int32_t i = 0; i < w->n; i++) w->by_name[i] = &w->tensor[i];
    if (w->n > 1) qsort(w->by_name, (size_t)w->n, sizeof *w->by_name, by_name);
    for (int32_t i = 1; i < w->n; i++)
        if (!strcmp(w->by_name[i - 1]->name, w->by_name[i]->name)) {
            fv_error(ctx, FV_E_FORMAT, (fv_loc){0}, "%s: two tensors have the name \"%s\"", w->path,
                     w->by_name[i]->name);
            return false;
        }
    return true;
}

/* FILE#KEY, unless there is a file of the whole name. */
static void split_key(fv_weights *w, char *path) {
    char *hash = strrchr(path, '#');
    w->path = path;
    if (!hash || !hash[1] || access(path, F_OK) == 0) return;
    *hash = 0;
    w->key = hash + 1;
}

fv_weights *fv_weights_open(fv_ctx *ctx, const char *path) {
    fv_weights *w = FV_NEW(ctx, fv_weights);
    split_key(w, fv_strdup(ctx, path));
    if (!fv_map_open(ctx, w->path, &w->map)) return NULL;
    bool good = fv_pth_is(w->map.at, w->map.n) ? open_pth(ctx, w) : open_safetensors(ctx, w);
    for (int i = 0; good && i < 4 && (strip(ctx, w, "module.") || strip(ctx, w, "_orig_mod.")); i++) {}
    if (good && sort(ctx, w)) return w;
    fv_weights_close(w);
    return NULL;
}

void fv_weights_close(fv_weights *w) {
    if (!w) return;
    for (copy *c = w->copies, *next; c; c = next) {
        next = c->next;
        free(c->data);
        free(c);
    }
    fovea_safetensors_close(w->file);
    fv_pth_dispose(&w->pth);
    fv_map_close(&w->map);
    w->copies = NULL;
    w->file = NULL;
    w->n = w->n_unread = 0;
}

/* -- Answers ---- */
int32_t fv_weights_count(const fv_weights *w) { return w->n; }
const fovea_stored *fv_weights_at(const fv_weights *w, int32_t i) { return i >= 0 && i < w->n ? &w->tensor[i] : NULL; }
const fovea_stored *fv_weights_find(const fv_weights *w, const char *name) {
    fovea_stored wanted = {.name = name};
    const fovea_stored *key = &wanted;
    const fovea_stored **found = w->n ? bsearch(&key, w->by_name, (size_t)w->n, sizeof key, by_name) : NULL;
    return found ? *found : NULL;
}
const fovea_safetensors *fv_weights_file(const fv_weights *w) { return w->renamed ? NULL : w->file; }
const char *fv_weights_path(const fv_weights *w) { return w->path; }
const char *fv_weights_note(const fv_weights *w, int32_t i) { return i >= 0 && i < w->n_notes ? w->note[i] : NULL; }
const char *fv_weights_unread(const fv_weights *w, const char *name) {
    for (int32_t i = 0; i < w->n_unread; i++)
        if (!strcmp(w->unread[i].name, name)) return w->unread[i].why;
    return NULL;
}

/* -- Elements ---- */
static void *convert(fv_ctx *ctx, fv_weights *w, const fovea_stored *t, fovea_dtype dtype) {
    copy *c = calloc(1, sizeof *c);
    void *data = t->count <= INT64_MAX / 4 ? malloc((size_t)t->count * 4 + 1) : NULL;
    int64_t bad = -1;
    if (c && data && fovea_stored_convert(t, dtype, data, &bad)) {
        *c = (copy){w->copies, t, dtype, data};
        w->copies = c;
        return data;
    }
    if (!c || !data)
        fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0}, "%s: \"%s\": no memory for %" PRId64 " elements", w->path, t->name,
                 t->count);
    else if (bad < 0)
        fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0}, "%s: \"%s\": stored as %s, which does not become %s", w->path, t->name,
                 fovea_storage_name(t->storage), fovea_dtype_name(dtype));
    else
        fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0}, "%s: \"%s\": element %" PRId64 " of the %s stored does not fit %s",
                 w->path, t->name, bad, fovea_storage_name(t->storage), fovea_dtype_name(dtype));
    free(c);
    free(data);
    return NULL;
}

static const void *elements(fv_ctx *ctx, fv_weights *w, const char *name, fovea_dtype dtype) {
    const fovea_stored *t = fv_weights_find(w, name);
    const char *why = t ? NULL : fv_weights_unread(w, name);
    if (!t) {
        if (why) fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0}, "%s: \"%s\" is %s, which is not read", w->path, name, why);
        else fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0}, "%s: has no tensor \"%s\"", w->path, name);
        return NULL;
    }
    if (t->storage == fovea_storage_of(dtype) && (uintptr_t)t->data % 4 == 0) return t->data;
    for (copy *c = w->copies; c; c = c->next)
        if (c->of == t && c->dtype == dtype) return c->data;
    return convert(ctx, w, t, dtype);
}
const float *fv_weights_f32(fv_ctx *ctx, fv_weights *w, const char *name) { return elements(ctx, w, name, FOVEA_F32); }
const int32_t *fv_weights_i32(fv_ctx *ctx, fv_weights *w, const char *name) {
    return elements(ctx, w, name, FOVEA_I32);
}
