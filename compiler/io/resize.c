/* Resize equal to Pillow's for 8-bit pictures. Each output pixel is a weighted sum of the input pixels under the
 * filter, whose weights are normalised in f64 and then rounded to 22 fractional bits (8 bits of value and 2 of
 * headroom remain in an int32); the sum starts at one half and is shifted, which rounds. The horizontal pass stores
 * 8 bits, then the vertical one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/picture.h"

enum { PRECISION = 32 - 8 - 2 };

static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}
static double bicubic(double x) {                                 /* R. Keys, 1981, a = -1/2 */
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}
static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}
static double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

static const struct { const char *name; double (*weight)(double); double support; } filters[] = {
    [FV_FILTER_BILINEAR] = {"bilinear", bilinear, 1.0},
    [FV_FILTER_BICUBIC] = {"bicubic", bicubic, 2.0},
    [FV_FILTER_LANCZOS] = {"lanczos", lanczos, 3.0},
};
enum { N_FILTERS = sizeof filters / sizeof *filters };

bool fv_filter_parse(const char *name, fv_filter *out) {
    for (int i = 0; i < N_FILTERS; i++)
        if (strcmp(name, filters[i].name) == 0) {
            *out = (fv_filter)i;
            return true;
        }
    return false;
}

/* For output i: inputs first[i] .. first[i]+count[i]-1 with the weights at k + i * taps. */
typedef struct { int32_t *first, *count, *k; double *exact; size_t taps; } weights;

static void weights_dispose(weights *w) {
    free(w->first);
    free(w->count);
    free(w->k);
    free(w->exact);
}

static void weigh_one(weights *w, int32_t i, int32_t in, double scale, double filter_scale, double support,
                      fv_filter f) {
    double center = (i + 0.5) * scale, sum = 0.0, step = 1.0 / filter_scale;
    int32_t low = (int32_t)(center - support + 0.5), high = (int32_t)(center + support + 0.5);
    if (low < 0) low = 0;
    if (high > in) high = in;
    w->first[i] = low;
    w->count[i] = high - low;
    for (int32_t x = 0; x < high - low; x++) {
        w->exact[x] = filters[f].weight((x + low - center + 0.5) * step);
        sum += w->exact[x];
    }
    int32_t *k = w->k + (size_t)i * w->taps;
    for (int32_t x = 0; x < high - low; x++) {
        double v = (sum != 0.0 ? w->exact[x] / sum : w->exact[x]) * (1 << PRECISION);
        k[x] = (int32_t)(v < 0 ? -0.5 + v : 0.5 + v);
    }
}

static bool weights_make(weights *w, int32_t in, int32_t out, fv_filter f) {
    double scale = (double)in / out, filter_scale = scale < 1.0 ? 1.0 : scale;
    double support = filters[f].support * filter_scale;
    *w = (weights){.taps = (size_t)ceil(support) * 2 + 1};
    w->first = calloc((size_t)out, sizeof *w->first);
    w->count = calloc((size_t)out, sizeof *w->count);
    w->k = calloc((size_t)out * w->taps, sizeof *w->k);
    w->exact = calloc(w->taps, sizeof *w->exact);
    if (!w->first || !w->count || !w->k || !w->exact) return false;
    for (int32_t i = 0; i < out; i++) weigh_one(w, i, in, scale, filter_scale, support, f);
    return true;
}

static uint8_t clip(int32_t sum) {
    int32_t v = sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* One sum per channel over `count` pixels that lie `stride` bytes apart. */
static void weigh_pixel(const uint8_t *in, size_t stride, const int32_t *k, int32_t count, uint8_t *out) {
    int32_t sum[3] = {1 << (PRECISION - 1), 1 << (PRECISION - 1), 1 << (PRECISION - 1)};
    for (int32_t i = 0; i < count; i++, in += stride)
        for (int c = 0; c < 3; c++) sum[c] += in[c] * k[i];
    for (int c = 0; c < 3; c++) out[c] = clip(sum[c]);
}

static void across(const fv_picture *in, const weights *w, fv_picture *out) {
    for (int32_t y = 0; y < out->height; y++)
        for (int32_t x = 0; x < out->width; x++)
            weigh_pixel(in->rgb + ((size_t)y * (size_t)in->width + (size_t)w->first[x]) * 3, 3,
                        w->k + (size_t)x * w->taps, w->count[x],
                        out->rgb + ((size_t)y * (size_t)out->width + (size_t)x) * 3);
}
static void down(const fv_picture *in, const weights *w, fv_picture *out) {
    size_t row = (size_t)in->width * 3;
    for (int32_t y = 0; y < out->height; y++)
        for (int32_t x = 0; x < out->width; x++)
            weigh_pixel(in->rgb + (size_t)w->first[y] * row + (size_t)x * 3, row,
                        w->k + (size_t)y * w->taps, w->count[y], out->rgb + (size_t)y * row + (size_t)x * 3);
}

static bool fail(fv_ctx *ctx, const char *why) {
    fv_error(ctx, FV_E_PICTURE, (fv_loc){0}, "resize: %s", why);
    return false;
}

/* One pass: horizontal if the width changes, else vertical. */
static bool pass(fv_ctx *ctx, const fv_picture *in, int32_t width, int32_t height, fv_filter f, fv_picture *out) {
    bool horizontal = width != in->width;
    const char *why = fv_picture_alloc(out, (uint64_t)width, (uint64_t)height);
    if (why) return fail(ctx, why);
    weights w;
    bool good = weights_make(&w, horizontal ? in->width : in->height, horizontal ? width : height, f);
    if (good) (horizontal ? across : down)(in, &w, out);
    weights_dispose(&w);
    if (good) return true;
    fv_picture_dispose(out);
    return fail(ctx, "no memory for the weights");
}

bool fv_picture_resize(fv_ctx *ctx, const fv_picture *in, int32_t width, int32_t height, fv_filter f, fv_picture *out) {
    *out = (fv_picture){0};
    if (width <= 0 || height <= 0 || (unsigned)f >= N_FILTERS) return fail(ctx, "a size must be positive");
    if (width == in->width && height == in->height) return fv_picture_crop(ctx, in, 0, 0, width, height, out);
    if (width == in->width || height == in->height) return pass(ctx, in, width, height, f, out);
    fv_picture between;
    if (!pass(ctx, in, width, in->height, f, &between)) return false;
    bool good = pass(ctx, &between, width, height, f, out);
    fv_picture_dispose(&between);
    return good;
}
