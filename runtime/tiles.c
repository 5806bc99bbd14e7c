/* The procedure of tiles: see tiles.h. */
#define _POSIX_C_SOURCE 200809L
#include "tiles.h"
#include "error.h"

#include <stdlib.h>
#include <string.h>

bool fovea_tile_at(int32_t extent, int32_t size, int32_t pad, int32_t i, fovea_tile *out) {
    if (size <= 0 || size > extent) size = extent;
    if (i < 0 || size < 1 || i >= extent / size + (extent % size > 0)) return false;
    int32_t own = i * size, end = extent - own > size ? own + size : extent;
    int32_t from = own > pad ? own - pad : 0, to = extent - end > pad ? end + pad : extent;
    *out = (fovea_tile){.from = from, .size = to - from, .skip = own - from, .keep = end - own};
    return true;
}
static int32_t reflected(int32_t i, int32_t extent) { return i < extent ? i : 2 * extent - 2 - i; }

void fovea_tile_cut(const float *map, int32_t planes, int32_t height, int32_t width, fovea_tile y, fovea_tile x,
                    float *out) {
    for (int32_t p = 0; p < planes; p++)
        for (int32_t i = 0; i < y.size; i++) {
            const float *row = map + ((int64_t)p * height + reflected(y.from + i, height)) * width;
            for (int32_t j = 0; j < x.size; j++) *out++ = row[reflected(x.from + j, width)];
        }
}
static int32_t kept(fovea_tile t, int32_t extent) {
    int32_t left = extent - (t.from + t.skip);
    return t.keep < left ? t.keep : left;
}
void fovea_tile_paste(const float *answer, int32_t planes, int32_t scale, fovea_tile y, fovea_tile x, int32_t height,
                      int32_t width, float *out) {
    int64_t s = scale, rows = kept(y, height) * s, columns = kept(x, width) * s;
    if (columns <= 0) return;
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < rows; i++)
            memcpy(out + ((p * height + y.from + y.skip) * s + i) * width * s + (x.from + x.skip) * s,
                   answer + ((p * y.size + y.skip) * s + i) * x.size * s + x.skip * s, (size_t)columns * sizeof *out);
}

/* -- The whole ---- */
enum { MOST_OUTPUTS = 64, MOST_EXTENT = 1 << 29 /* twice that is an int32_t */ };
typedef struct {
    const fovea_tiles *t;
    const float *map;
    float *answer;
    int32_t height, width; /* reflected up to the multiple */
    fovea_model *model;
    float *in;
    DLTensor out[MOST_OUTPUTS];
    int32_t n_out;
} walk;

static int32_t up(int32_t n, int32_t multiple) { return (n + multiple - 1) / multiple * multiple; }

static void *room(int64_t bytes) {
    void *p = NULL;
    return posix_memalign(&p, 64, (size_t)(bytes > 0 ? bytes : 1)) ? NULL : p;
}
static bool is_map(const fovea_array *a, int64_t planes, int64_t height, int64_t width) {
    return a && a->dtype == FOVEA_F32 && a->rank == 4 && a->shape[0] == 1 && a->shape[1] == planes &&
           a->shape[2] == height && a->shape[3] == width;
}
static void leave(walk *w) {
    for (int32_t i = 0; i < w->n_out; i++) free(w->out[i].data);
    free(w->in);
    if (w->model && w->t->close) w->t->close(w->t->user, w->model);
    w->model = NULL;
    w->in = NULL;
    w->n_out = 0;
}
static fovea_status enter(walk *w, int32_t height, int32_t width, fovea_error *err) {
    const fovea_tiles *t = w->t;
    fovea_status bad = t->open(t->user, height, width, &w->model, err);
    if (bad) return bad;
    const fovea_array *a = fovea_model_input(w->model, 0);
    int64_t s = t->scale;
    if (!is_map(a, t->planes, height, width) || fovea_model_input(w->model, 1))
        return fovea_fail(err, FOVEA_E_TENSOR, "tiles: the model's one input has to be f32 [1, %d, %d, %d]", t->planes,
                          height, width);
    if (t->output < 0 || !is_map(fovea_model_output(w->model, t->output), t->planes_out, height * s, width * s))
        return fovea_fail(err, FOVEA_E_TENSOR, "tiles: the model's output %d has to be f32 [1, %d, %lld, %lld]",
                          t->output, t->planes_out, (long long)(height * s), (long long)(width * s));
    w->in = room(a->bytes);
    for (const fovea_array *o; w->n_out < MOST_OUTPUTS && (o = fovea_model_output(w->model, w->n_out)); w->n_out++) {
        void *data = room(o->bytes);
        if (!data) return fovea_fail(err, FOVEA_E_MEMORY, "tiles: %lld bytes for an answer", (long long)o->bytes);
        w->out[w->n_out] = fovea_tensor(data, o->dtype, o->rank, (int64_t *)(uintptr_t)o->shape);
    }
    if (!w->in) return fovea_fail(err, FOVEA_E_MEMORY, "tiles: %lld bytes for a tile", (long long)a->bytes);
    return FOVEA_OK;
}
static fovea_status one(walk *w, fovea_tile y, fovea_tile x, fovea_error *err) {
    const fovea_tiles *t = w->t;
    int64_t shape[4] = {1, t->planes, y.size, x.size};
    fovea_tile_cut(w->map, t->planes, t->height, t->width, y, x, w->in);
    DLTensor input = fovea_tensor(w->in, FOVEA_F32, 4, shape);
    fovea_status bad = fovea_model_run(w->model, &input, 1, w->out, w->n_out, err);
    if (!bad) fovea_tile_paste(w->out[t->output].data, t->planes_out, t->scale, y, x, t->height, t->width, w->answer);
    return bad;
}
/* Whether tile i of an axis is the first of its size. */
static bool first_of_size(const fovea_tiles *t, int32_t extent, int32_t i, fovea_tile *out) {
    fovea_tile k;
    fovea_tile_at(extent, t->size, t->pad, i, out);
    for (int32_t j = 0; j < i && fovea_tile_at(extent, t->size, t->pad, j, &k); j++)
        if (k.size == out->size) return false;
    return true;
}
/* All tiles of the sizes of tile (i, j), if it is the first of these sizes. */
static fovea_status alike(walk *w, int32_t i, int32_t j, fovea_error *err) {
    const fovea_tiles *t = w->t;
    fovea_tile fy, fx, y, x;
    if (!first_of_size(t, w->height, i, &fy) || !first_of_size(t, w->width, j, &fx)) return FOVEA_OK;
    fovea_status bad = enter(w, fy.size, fx.size, err);
    for (int32_t r = i; !bad && fovea_tile_at(w->height, t->size, t->pad, r, &y); r++)
        for (int32_t c = j; !bad && fovea_tile_at(w->width, t->size, t->pad, c, &x); c++)
            if (y.size == fy.size && x.size == fx.size) bad = one(w, y, x, err);
    leave(w);
    return bad;
}
fovea_status fovea_tiles_run(const fovea_tiles *t, const float *map, float *answer, fovea_error *err) {
    if (!t || !map || !answer || !t->open || t->planes < 1 || t->planes_out < 1 || t->height < 1 || t->width < 1 ||
        t->scale < 1 || t->size < 0 || t->pad < 0 || t->multiple < 1)
        return fovea_fail(err, FOVEA_E_ARGUMENT,
                          "tiles: maps, extents, scale and multiple are at least 1, size and pad at least 0");
    if (t->height > MOST_EXTENT || t->width > MOST_EXTENT || t->multiple > MOST_EXTENT)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "tiles: height, width and multiple are at most %d", MOST_EXTENT);
    walk w = {.t = t, .map = map, .answer = answer, .height = t->height, .width = t->width};
    if (t->size > 0) {
        if (t->size % t->multiple || t->pad % t->multiple)
            return fovea_fail(err, FOVEA_E_ARGUMENT, "tiles of %d with an overlap of %d: both are multiples of %d",
                              t->size, t->pad, t->multiple);
        w.height = up(t->height, t->multiple);
        w.width = up(t->width, t->multiple);
        if (w.height >= 2 * t->height || w.width >= 2 * t->width)
            return fovea_fail(err, FOVEA_E_ARGUMENT,
                              "tiles: %d x %d is too small to be reflected up to multiples of %d", t->width, t->height,
                              t->multiple);
    }
    fovea_tile tile;
    fovea_status bad = FOVEA_OK;
    for (int32_t i = 0; !bad && fovea_tile_at(w.height, t->size, t->pad, i, &tile); i++)
        for (int32_t j = 0; !bad && fovea_tile_at(w.width, t->size, t->pad, j, &tile); j++) bad = alike(&w, i, j, err);
    return bad;
}
