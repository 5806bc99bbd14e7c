/* JPEG through libjpeg. Its errors jump as libpng's do (see there). It only warns where a file ends early and fills
 * in grey: here that is an error. The number of scans is bounded, since each costs a pass over the whole picture. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
/* after jpeglib.h */
#include <jerror.h>

#include "io/picture.h"

enum { MAX_SCANS = 500 };

typedef struct {
    struct jpeg_error_mgr manager;       /* first: libjpeg hands back its address */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf jump;
    fv_picture *out;
    unsigned char *row;                  /* of a CMYK picture */
    char *why;
} reader;

static void fail(reader *r, const char *why) {
    strncpy(r->why, why, 255);
    r->why[255] = '\0';
    longjmp(r->jump, 1);
}
static void on_error(j_common_ptr c) {
    char text[JMSG_LENGTH_MAX];
    (*c->err->format_message)(c, text);
    fail((reader *)c->err, text);
}
static void on_message(j_common_ptr c, int level) {
    if (level >= 0) return;
    c->err->num_warnings++;
    if (c->err->msg_code == JWRN_JPEG_EOF) fail((reader *)c->err, "ends early");
}
static void on_output(j_common_ptr c) { (void)c; }
static void on_progress(j_common_ptr c) {
    if (c->is_decompressor && ((j_decompress_ptr)c)->input_scan_number > MAX_SCANS)
        fail((reader *)c->err, "has more than 500 scans");
}

/* rounded, for v up to 255 * 255 */
static unsigned divide_255(unsigned v) { return (v + 128 + ((v + 128) >> 8)) >> 8; }

/* Printers' files store the inverted inks: a channel is what is left of white after ink and black. */
static void from_cmyk(const unsigned char *in, uint8_t *out, int32_t width) {
    for (int32_t x = 0; x < width; x++, in += 4, out += 3)
        for (int c = 0; c < 3; c++) {
            int v = in[3] - (int)divide_255((unsigned)(255 - in[c]) * in[3]);
            out[c] = (uint8_t)(v < 0 ? 0 : v);
        }
}

static void read_all(reader *r, const unsigned char *data, size_t n) {
    struct jpeg_decompress_struct *j = &r->jpeg;
    jpeg_create_decompress(j);
    j->progress = &r->progress;
    jpeg_mem_src(j, data, (unsigned long)n);
    jpeg_read_header(j, TRUE);
    bool cmyk = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
    j->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    const char *refused = fv_picture_alloc(r->out, j->image_width, j->image_height);
    if (refused) fail(r, refused);
    r->row = cmyk ? malloc((size_t)j->image_width * 4) : NULL;
    if (cmyk && !r->row) fail(r, "no memory for a row");
    jpeg_start_decompress(j);
    while (j->output_scanline < j->output_height) {
        uint8_t *to = r->out->rgb + (size_t)j->output_scanline * (size_t)r->out->width * 3;
        JSAMPROW row = cmyk ? r->row : to;
        if (jpeg_read_scanlines(j, &row, 1) != 1) fail(r, "ends early");
        if (cmyk) from_cmyk(r->row, to, r->out->width);
    }
    jpeg_finish_decompress(j);
}

static bool guarded_read(reader *r, const unsigned char *data, size_t n) {
    if (setjmp(r->jump)) return false;
    read_all(r, data, n);
    return true;
}

const char *fv_jpeg_decode(const unsigned char *data, size_t n, fv_picture *out, char *why) {
    reader *r = calloc(1, sizeof *r);
    if (!r) return "no memory to decode it";
    r->out = out;
    r->why = why;
    r->jpeg.err = jpeg_std_error(&r->manager);
    r->manager.error_exit = on_error;
    r->manager.emit_message = on_message;
    r->manager.output_message = on_output;
    r->progress.progress_monitor = on_progress;
    bool good = guarded_read(r, data, n);
    jpeg_destroy_decompress(&r->jpeg);
    free(r->row);
    free(r);
    return good ? NULL : why;
}
