/* Pictures as the rest sees them: limits, which decoder, crops, and the step to floats. */
#include "io/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void fv_picture_dispose(fv_picture *p) {
    free(p->rgb);
    *p = (fv_picture){0};
}

const char *fv_picture_alloc(fv_picture *p, uint64_t width, uint64_t height) {
    *p = (fv_picture){0};
    if (width == 0 || height == 0) return "has no pixels";
    if (width > FV_PICTURE_SIDE_CAP || height > FV_PICTURE_SIDE_CAP) return "has a side of more than 32768 pixels";
    if (width * height > FV_PICTURE_PIXEL_CAP) return "has more than 100 million pixels";
    p->rgb = calloc((size_t)(width * height), 3);
    if (!p->rgb) return "no memory for its pixels";
    p->width = (int32_t)width;
    p->height = (int32_t)height;
    return NULL;
}

static bool fail(fv_ctx *ctx, const char *label, const char *why) {
    fv_error(ctx, FV_E_PICTURE, (fv_loc){0}, "%s: %s", label, why);
    return false;
}

bool fv_picture_decode(fv_ctx *ctx, const char *label, const unsigned char *data, size_t n, fv_picture *out) {
    char text[256];
    const char *why = "is neither PNG nor JPEG";
    *out = (fv_picture){0};
    if (n >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) why = fv_png_decode(data, n, out, text);
    else if (n >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0) why = fv_jpeg_decode(data, n, out, text);
    if (!why) return true;
    fv_picture_dispose(out);
    return fail(ctx, label, why);
}

bool fv_picture_read(fv_ctx *ctx, const char *path, fv_picture *out) {
    fv_bytes file;
    *out = (fv_picture){0};
    if (!fv_file_read(ctx, path, FV_PICTURE_FILE_CAP, &file)) return false;
    bool good = fv_picture_decode(ctx, path, file.data, file.n, out);
    fv_bytes_dispose(&file);
    return good;
}

bool fv_picture_crop(fv_ctx *ctx, const fv_picture *in, int32_t left, int32_t top, int32_t width, int32_t height,
                     fv_picture *out) {
    *out = (fv_picture){0};
    if (left < 0 || top < 0 || width <= 0 || height <= 0 || left > in->width - width || top > in->height - height) {
        fv_error(ctx, FV_E_PICTURE, (fv_loc){0}, "a crop of %dx%d at (%d, %d) does not lie in a picture of %dx%d",
                 width, height, left, top, in->width, in->height);
        return false;
    }
    const char *why = fv_picture_alloc(out, (uint64_t)width, (uint64_t)height);
    if (why) return fail(ctx, "crop", why);
    for (int32_t y = 0; y < height; y++)
        memcpy(out->rgb + (size_t)y * (size_t)width * 3,
               in->rgb + ((size_t)(top + y) * (size_t)in->width + (size_t)left) * 3, (size_t)width * 3);
    return true;
}

/* The longer side is truncated after one division in f64, as the published code does it. */
static int64_t proportional(int32_t shorter, int32_t longer, int64_t to) {
    return (int64_t)((double)(to * longer) / (double)shorter);
}

bool fv_picture_crop_centre(fv_ctx *ctx, const fv_picture *in, int32_t width, int32_t height, double crop_pct,
                            fv_fit fit, fv_filter filter, fv_picture *out) {
    *out = (fv_picture){0};
    int32_t longer = width > height ? width : height;
    if (width <= 0 || height <= 0 || !(crop_pct > 0 && crop_pct <= 1) ||
        longer / crop_pct > (double)FV_PICTURE_SIDE_CAP) {
        fv_error(ctx, FV_E_PICTURE, (fv_loc){0},
                 "a crop to %d x %d with crop_pct %g: both sides must be positive, crop_pct above 0 and at most 1, "
                 "the longer side / crop_pct at most %d",
                 width, height, crop_pct, FV_PICTURE_SIDE_CAP);
        return false;
    }
    int64_t across = (int64_t)floor(width / crop_pct), down = (int64_t)floor(height / crop_pct);
    if (fit == FV_FIT_CROP && in->width * down <= in->height * across)
        down = proportional(in->width, in->height, across);
    else if (fit == FV_FIT_CROP) across = proportional(in->height, in->width, down);
    if (across > FV_PICTURE_SIDE_CAP || down > FV_PICTURE_SIDE_CAP)
        return fail(ctx, "crop", "a picture as long and thin as this one becomes too large");
    fv_picture resized;
    if (!fv_picture_resize(ctx, in, (int32_t)across, (int32_t)down, filter, &resized)) return false;
    int32_t left = (int32_t)rint((double)(across - width) / 2), top = (int32_t)rint((double)(down - height) / 2);
    bool good = fv_picture_crop(ctx, &resized, left, top, width, height, out);
    fv_picture_dispose(&resized);
    return good;
}

void fv_picture_to_f32(const fv_picture *p, const float mean[3], const float std[3], float *out) {
    size_t n = (size_t)p->width * (size_t)p->height;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++) out[c * n + i] = ((float)p->rgb[3 * i + c] / 255.0f - mean[c]) / std[c];
}
