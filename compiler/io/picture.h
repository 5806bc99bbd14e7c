/* Pictures: reading PNG and JPEG into 8-bit RGB, resizing as Pillow does, and what a model is fed.
 * Files from anywhere are ordinary input: what cannot be decoded is FV_E_PICTURE, never a crash. */
#ifndef FV_PICTURE_H
#define FV_PICTURE_H
#include "io/file.h"

enum { FV_PICTURE_FILE_CAP = 256 << 20, FV_PICTURE_SIDE_CAP = 32768, FV_PICTURE_PIXEL_CAP = 100000000 };

/* rgb: height rows of width times R, G, B; owned */
typedef struct { int32_t width, height; uint8_t *rgb; } fv_picture;
void fv_picture_dispose(fv_picture *p);

/* PNG or JPEG, told apart by content. Grey, palette, CMYK and 16-bit pictures become 8-bit RGB; alpha is dropped,
 * orientation tags and colour profiles are not applied (as `Image.open(path).convert("RGB")`). A picture that ends
 * early is refused. */
bool fv_picture_read(fv_ctx *ctx, const char *path, fv_picture *out);
bool fv_picture_decode(fv_ctx *ctx, const char *label, const unsigned char *data, size_t n, fv_picture *out);
bool fv_picture_write_png(fv_ctx *ctx, const char *path, const fv_picture *p);

/* The two decoders behind fv_picture_decode: NULL and a filled picture, or why not (a text that `why`, of 256 bytes,
 * may hold). */
const char *fv_png_decode(const unsigned char *data, size_t n, fv_picture *out, char *why);
const char *fv_jpeg_decode(const unsigned char *data, size_t n, fv_picture *out, char *why);
/* Checks an announced size against the caps and allocates; NULL or why not. */
const char *fv_picture_alloc(fv_picture *p, uint64_t width, uint64_t height);

/* Resize of the whole picture, equal to Pillow's `resize((width, height), filter)` in every bit: separable,
 * antialiased (the filter widens by the ratio when shrinking), coefficients in fixed point of 22 bits, rounded to 8
 * bits after the horizontal and after the vertical pass. Bicubic is Keys' kernel with a = -1/2. */
typedef enum { FV_FILTER_BILINEAR, FV_FILTER_BICUBIC, FV_FILTER_LANCZOS } fv_filter;
bool fv_filter_parse(const char *name, fv_filter *out);           /* "bilinear", "bicubic", "lanczos" */
bool fv_picture_resize(fv_ctx *ctx, const fv_picture *in, int32_t width, int32_t height, fv_filter filter,
                       fv_picture *out);

/* The box of width x height whose corner is (left, top); it must lie inside. */
bool fv_picture_crop(fv_ctx *ctx, const fv_picture *in, int32_t left, int32_t top, int32_t width, int32_t height,
                     fv_picture *out);

/* What published image models are fed: width x height cut out of the middle (a half pixel rounds to the even corner) of
 * the resized picture. With box = floor(width / crop_pct) x floor(height / crop_pct), 0 < crop_pct <= 1:
 * FV_FIT_CROP keeps the picture's proportions: the smallest size that covers the box, its other side truncated;
 * FV_FIT_SQUASH does not: the picture becomes the box. */
typedef enum { FV_FIT_CROP, FV_FIT_SQUASH } fv_fit;
bool fv_picture_crop_centre(fv_ctx *ctx, const fv_picture *in, int32_t width, int32_t height, double crop_pct,
                            fv_fit fit, fv_filter filter, fv_picture *out);

/* out[c][y][x] = (v / 255 - mean[c]) / std[c], in f32; out has 3 * height * width elements. */
void fv_picture_to_f32(const fv_picture *p, const float mean[3], const float std[3], float *out);
#endif
