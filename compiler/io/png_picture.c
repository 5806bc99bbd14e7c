/* PNG through libpng. libpng reports an error by jumping to a point set before: everything that has to be released
 * then lives in one struct outside the function that sets the point, and no local is changed after it. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "io/picture.h"

typedef struct {
    const unsigned char *data;
    size_t n, at;
    fv_picture *out;
    png_bytep *rows;
    char *why;                           /* 256 bytes */
    const char *refused;                 /* by us, not by libpng */
} reader;

static void keep_text(char *why, const char *text) {
    strncpy(why, text, 255);
    why[255] = '\0';
}
static void on_error(png_structp png, png_const_charp text) {
    keep_text(((reader *)png_get_error_ptr(png))->why, text);
    png_longjmp(png, 1);
}
static void on_warning(png_structp png, png_const_charp text) { (void)png; (void)text; }

static void on_read(png_structp png, png_bytep to, png_size_t n) {
    reader *r = png_get_io_ptr(png);
    if (n > r->n - r->at) png_error(png, "ends early");
    memcpy(to, r->data + r->at, n);
    r->at += n;
}

/* Everything becomes 8-bit RGB: palettes and small greys are expanded, the low byte of 16 bits and the alpha are
 * dropped. */
static void set_transforms(png_structp png, png_infop info) {
    int colour = png_get_color_type(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_bit_depth(png, info) == 16) png_set_strip_16(png);
    if (!(colour & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

static void read_all(png_structp png, png_infop info, reader *r) {
    png_read_info(png, info);
    r->refused = fv_picture_alloc(r->out, png_get_image_width(png, info), png_get_image_height(png, info));
    if (r->refused) png_error(png, r->refused);
    set_transforms(png, info);
    if (png_get_rowbytes(png, info) != (size_t)r->out->width * 3)
        png_error(png, "is of a kind that does not become RGB");
    r->rows = malloc((size_t)r->out->height * sizeof *r->rows);
    if (!r->rows) png_error(png, "no memory for its rows");
    for (int32_t y = 0; y < r->out->height; y++) r->rows[y] = r->out->rgb + (size_t)y * (size_t)r->out->width * 3;
    png_read_image(png, r->rows);
    png_read_end(png, NULL);
}

static bool guarded_read(png_structp png, png_infop info, reader *r) {
    if (setjmp(png_jmpbuf(png))) return false;
    read_all(png, info, r);
    return true;
}

const char *fv_png_decode(const unsigned char *data, size_t n, fv_picture *out, char *why) {
    reader r = {.data = data, .n = n, .out = out, .why = why};
    keep_text(why, "cannot be decoded");
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    if (!png) return "no memory to decode it";
    png_infop info = png_create_info_struct(png);
    bool good = false;
    if (info) {
        png_set_read_fn(png, &r, on_read);
        png_set_user_limits(png, FV_PICTURE_SIDE_CAP, FV_PICTURE_SIDE_CAP);
        png_set_chunk_cache_max(png, 128);
        png_set_chunk_malloc_max(png, 8 << 20);
        good = guarded_read(png, info, &r);
    }
    png_destroy_read_struct(&png, &info, NULL);
    free(r.rows);
    return good ? NULL : why;
}

/* -- Writing ---- */
typedef struct { reader error; fv_buf text; const fv_picture *p; } writer;

static void on_write(png_structp png, png_bytep from, png_size_t n) {
    fv_buf_putn(&((writer *)png_get_io_ptr(png))->text, (const char *)from, n);
}
static void on_flush(png_structp png) { (void)png; }

static bool guarded_write(png_structp png, png_infop info, writer *w) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_IHDR(png, info, (png_uint_32)w->p->width, (png_uint_32)w->p->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int32_t y = 0; y < w->p->height; y++) png_write_row(png, w->p->rgb + (size_t)y * (size_t)w->p->width * 3);
    png_write_end(png, NULL);
    return true;
}

bool fv_picture_write_png(fv_ctx *ctx, const char *path, const fv_picture *p) {
    char why[256] = "no memory to encode it";
    writer w = {.error = {.why = why}, .p = p};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w.error, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    bool good = false;
    if (info) {
        png_set_write_fn(png, &w, on_write, on_flush);
        good = guarded_write(png, info, &w);
    }
    png_destroy_write_struct(&png, &info);
    if (!good) fv_error(ctx, FV_E_PICTURE, (fv_loc){0}, "%s: %s", path, why);
    else good = fv_file_write(ctx, path, w.text.text, w.text.len);
    fv_buf_dispose(&w.text);
    return good;
}
