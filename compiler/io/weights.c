/* Weights by name, and what to say when they do not fit. */
#include "io/weights.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct copy { struct copy *next; const fovea_stored *of; fovea_dtype dtype; void *data; } copy;
struct fv_weights {
    const char *path;
    fovea_safetensors *file;
    copy *copies;
};

fv_weights *fv_weights_open(fv_ctx *ctx, const char *path) {
    fovea_error err = {0};
    fovea_safetensors *file;
    fovea_status status = fovea_safetensors_open(path, &file, &err);
    if (status != FOVEA_OK) {
        fv_error(ctx, status == FOVEA_E_FORMAT ? FV_E_FORMAT : FV_E_FILE, (fv_loc){0}, "%s", err.text);
        return NULL;
    }
    fv_weights *w = FV_NEW(ctx, fv_weights);
    w->path = fv_strdup(ctx, path);
    w->file = file;
    return w;
}

void fv_weights_close(fv_weights *w) {
    if (!w) return;
    for (copy *c = w->copies, *next; c; c = next) {
        next = c->next;
        free(c->data);
        free(c);
    }
    fovea_safetensors_close(w->file);
    w->copies = NULL;
    w->file = NULL;
}

int32_t fv_weights_count(const fv_weights *w) { return fovea_safetensors_count(w->file); }
const fovea_stored *fv_weights_at(const fv_weights *w, int32_t i) { return fovea_safetensors_at(w->file, i); }
const fovea_stored *fv_weights_find(const fv_weights *w, const char *name) {
    return fovea_safetensors_find(w->file, name);
}
const fovea_safetensors *fv_weights_file(const fv_weights *w) { return w->file; }

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
    if (!t) {
        fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0}, "%s: has no tensor \"%s\"", w->path, name);
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

/* -- Names ---- */
enum { LONGEST = 255 };

int fv_edit_distance(const char *a, const char *b, int most) {
    size_t n = strlen(a), m = strlen(b);
    size_t gap = n > m ? n - m : m - n;
    if (n > LONGEST || m > LONGEST || gap > (size_t)most) return most + 1;
    int row[LONGEST + 1];
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0], least = row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
            if (best < least) least = best;
        }
        if (least > most) return most + 1;
    }
    return row[m] <= most ? row[m] : most + 1;
}

const char *fv_nearest_name(const char *name, const char *const *names, int n) {
    size_t length = strlen(name);
    int most = length < 3 ? 1 : (int)((length < LONGEST ? length : LONGEST) / 3);
    const char *best = NULL;
    for (int i = 0; i < n && most > 0; i++) {
        int d = fv_edit_distance(name, names[i], most);
        if (d == 0 || d > most) continue;
        best = names[i];
        most = d - 1;
    }
    return best;
}

/* -- Comparing ---- */
enum { SHOWN = 16, SEARCHED = 20000 };

static const char *shape_text(fv_ctx *ctx, const int64_t *shape, int32_t rank) {
    fv_buf b = {0};
    fv_buf_puts(&b, "[");
    for (int32_t d = 0; d < rank; d++) {
        if (d) fv_buf_puts(&b, ", ");
        if (shape[d] < 0) fv_buf_puts(&b, "any");
        else fv_buf_printf(&b, "%" PRId64, shape[d]);
    }
    fv_buf_puts(&b, "]");
    const char *text = fv_strdup(ctx, b.text);
    fv_buf_dispose(&b);
    return text;
}

static bool fits(const fovea_stored *t, const fv_wanted *w) {
    if (t->rank != w->rank) return false;
    for (int32_t d = 0; d < t->rank; d++)
        if (w->shape[d] >= 0 && w->shape[d] != t->shape[d]) return false;
    return true;
}

typedef struct { const char *name; int32_t i; } sorted_name;
static int by_name(const void *a, const void *b) {
    return strcmp(((const sorted_name *)a)->name, ((const sorted_name *)b)->name);
}

static void list_extra(fv_ctx *ctx, const fv_weights *w, const fv_wanted *wanted, int32_t n, fv_weights_report *r) {
    sorted_name *names = FV_NEWN(ctx, sorted_name, n + 1);
    for (int32_t i = 0; i < n; i++) names[i] = (sorted_name){wanted[i].name, i};
    if (n > 1) qsort(names, (size_t)n, sizeof *names, by_name);
    r->extra = FV_NEWN(ctx, const char *, fv_weights_count(w) + 1);
    for (int32_t i = 0; i < fv_weights_count(w); i++) {
        sorted_name key = {fv_weights_at(w, i)->name, 0};
        if (n == 0 || !bsearch(&key, names, (size_t)n, sizeof *names, by_name)) r->extra[r->n_extra++] = key.name;
    }
}

/* Names that nobody wanted come first: a missing name is most likely one of these, spelled differently. */
static void note_missing(fv_ctx *ctx, const fv_weights *w, const fv_wanted *one, const fv_weights_report *r) {
    int32_t n = fv_weights_count(w) < SEARCHED ? fv_weights_count(w) : SEARCHED;
    const char *near = fv_nearest_name(one->name, r->extra, r->n_extra < SEARCHED ? r->n_extra : SEARCHED);
    if (!near) {
        const char **names = FV_NEWN(ctx, const char *, n + 1);
        for (int32_t i = 0; i < n; i++) names[i] = fv_weights_at(w, i)->name;
        near = fv_nearest_name(one->name, names, n);
    }
    const char *shape = shape_text(ctx, one->shape, one->rank);
    if (near) fv_note(ctx, one->loc, "\"%s\" %s is missing; the nearest name is \"%s\"", one->name, shape, near);
    else fv_note(ctx, one->loc, "\"%s\" %s is missing; no name is near", one->name, shape);
}

bool fv_weights_check(fv_ctx *ctx, const fv_weights *w, const fv_wanted *wanted, int32_t n, fv_weights_report *report) {
    fv_weights_report own, *r = report ? report : &own;
    *r = (fv_weights_report){0};
    list_extra(ctx, w, wanted, n, r);
    for (int32_t i = 0; i < n; i++) {
        const fovea_stored *t = fv_weights_find(w, wanted[i].name);
        if (!t) r->missing++;
        else if (!fits(t, &wanted[i])) r->misshapen++;
    }
    if (r->missing == 0 && r->misshapen == 0) return true;
    fv_error(ctx, FV_E_WEIGHTS, (fv_loc){0},
             "%s: of %d parameters, %d are missing and %d have another shape (%d stored tensors are not used)",
             w->path, n, r->missing, r->misshapen, r->n_extra);
    for (int32_t i = 0, missing = 0, misshapen = 0; i < n; i++) {
        const fovea_stored *t = fv_weights_find(w, wanted[i].name);
        if (!t && missing++ < SHOWN) note_missing(ctx, w, &wanted[i], r);
        if (t && !fits(t, &wanted[i]) && misshapen++ < SHOWN)
            fv_note(ctx, wanted[i].loc, "\"%s\" must have shape %s, is stored with %s", wanted[i].name,
                    shape_text(ctx, wanted[i].shape, wanted[i].rank), shape_text(ctx, t->shape, t->rank));
    }
    return false;
}
