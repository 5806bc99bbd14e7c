/* Pictures: every kind decoded as Pillow does, resized to the last bit, cropped, and hostile files refused. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/picture.h"

#define DATA FOVEA_TESTS_DIR "/data/"

static uint64_t hash_of(const void *data, size_t n) { return fv_hash(data, n, FV_HASH_SEED); }
static uint64_t hash_rgb(const fv_picture *p) { return hash_of(p->rgb, (size_t)p->width * (size_t)p->height * 3); }

static const char *first_error(fv_ctx *ctx) { return fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "no error"; }

Test(io_picture, reads_every_kind) {
    const struct { const char *name; int w, h; uint64_t hash; } cases[] = {     /* from tests/oracle/pictures.py */
        {"bits.png", 26, 19, 0x3e8896572eb30551},       {"cmyk.jpg", 26, 19, 0x9c2b1414530462f2},
        {"deep.png", 5, 7, 0x6fd97e65a3d38e05},         {"full.jpg", 26, 19, 0x4a38c319d3a7e0aa},
        {"grey-alpha.png", 13, 11, 0xc8c43b87a6f3da70}, {"grey.jpg", 26, 19, 0xc4d4e9b715ae13ab},
        {"grey.png", 26, 19, 0xc88e416ce609e490},       {"interlaced.png", 26, 19, 0xdd5c61f515eda761},
        {"palette.png", 26, 19, 0xcfbfe470701d76e7},    {"progressive.jpg", 26, 19, 0xb68d3e9ba3e6efdc},
        {"rgb.jpg", 26, 19, 0x46b6c1c6659f0282},        {"rgb.png", 26, 19, 0xdd5c61f515eda761},
        {"rgba.png", 13, 11, 0xe09cd222bd407a25},
    };
    fv_ctx *ctx = fv_ctx_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        fv_picture p;
        snprintf(path, sizeof path, DATA "pictures/%s", cases[i].name);
        cr_assert(fv_picture_read(ctx, path, &p), "%s: %s", path, first_error(ctx));
        cr_expect(eq(int, p.width, cases[i].w), "%s", cases[i].name);
        cr_expect(eq(int, p.height, cases[i].h), "%s", cases[i].name);
        cr_expect(eq(u64, hash_rgb(&p), cases[i].hash), "%s", cases[i].name);
        fv_picture_dispose(&p);
    }
    fv_ctx_dispose(ctx);
}

/* <source>_<filter>_<width>x<height>.png: all of them. */
Test(io_picture, resizes_to_the_last_bit) {
    fv_ctx *ctx = fv_ctx_new();
    DIR *folder = opendir(DATA "resize");
    cr_assert(folder != NULL);
    int seen = 0;
    for (struct dirent *e; (e = readdir(folder)) != NULL;) {
        char source[64], filter[64], path[1024];
        int w, h;
        if (sscanf(e->d_name, "%63[^_]_%63[^_]_%dx%d.png", source, filter, &w, &h) != 4) continue;
        fv_picture in, want, got;
        fv_filter f;
        cr_assert(fv_filter_parse(filter, &f), "%s", e->d_name);
        snprintf(path, sizeof path, DATA "resize/%s.png", source);
        cr_assert(fv_picture_read(ctx, path, &in), "%s", first_error(ctx));
        snprintf(path, sizeof path, DATA "resize/%s", e->d_name);
        cr_assert(fv_picture_read(ctx, path, &want), "%s", first_error(ctx));
        cr_assert(fv_picture_resize(ctx, &in, w, h, f, &got), "%s", first_error(ctx));
        cr_assert(got.width == w && got.height == h && want.width == w && want.height == h);
        cr_expect(eq(int, memcmp(got.rgb, want.rgb, (size_t)(w * h) * 3), 0), "%s", e->d_name);
        fv_picture_dispose(&in);
        fv_picture_dispose(&want);
        fv_picture_dispose(&got);
        seen++;
    }
    closedir(folder);
    cr_expect(seen >= 60, "%d pictures", seen);
    fv_ctx_dispose(ctx);
}

Test(io_picture, crops_as_published) {
    static const struct { fv_fit fit; int width, height; double pct; fv_filter filter; uint64_t hash; } cases[] = {
        /* from tests/oracle/crop.py */
        {FV_FIT_CROP, 224, 224, 0.875, FV_FILTER_BICUBIC, 0xb002bc2a30df66d7},
        {FV_FIT_CROP, 224, 224, 0.9, FV_FILTER_BICUBIC, 0x375cbb41c69c675e},
        {FV_FIT_CROP, 100, 100, 0.95, FV_FILTER_BILINEAR, 0xaad75f89be938a2f},
        {FV_FIT_CROP, 224, 224, 1.0, FV_FILTER_LANCZOS, 0x7e96bbe760a80a7c},
        {FV_FIT_SQUASH, 224, 224, 0.875, FV_FILTER_BICUBIC, 0x14b6ab4e891200a9},
        {FV_FIT_SQUASH, 384, 384, 1.0, FV_FILTER_BICUBIC, 0x252e927cb7d4e9cc},
        {FV_FIT_SQUASH, 97, 33, 0.9, FV_FILTER_BILINEAR, 0x8e60c3432ac17ea3},
        {FV_FIT_CROP, 97, 33, 0.9, FV_FILTER_BILINEAR, 0xc4c5a0343d43993c},
        {FV_FIT_CROP, 33, 97, 0.9, FV_FILTER_BICUBIC, 0xaf8870ebf4a45e68},
    };
    const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    fv_ctx *ctx = fv_ctx_new();
    fv_picture photo, crop;
    cr_assert(fv_picture_read(ctx, DATA "photo/china.jpg", &photo), "%s", first_error(ctx));
    cr_assert(eq(u64, hash_rgb(&photo), 0x610a8d619700df2b));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert(fv_picture_crop_centre(ctx, &photo, cases[i].width, cases[i].height, cases[i].pct, cases[i].fit,
                                         cases[i].filter, &crop),
                  "%s", first_error(ctx));
        cr_assert(crop.width == cases[i].width && crop.height == cases[i].height);
        cr_expect(eq(u64, hash_rgb(&crop), cases[i].hash), "case %zu", i);
        /* every 16th row and column of the normalised floats */
        if (i == 1) {
            static float all[3 * 224 * 224], some[3 * 14 * 14];
            fv_picture_to_f32(&crop, mean, std, all);
            for (int c = 0, n = 0; c < 3; c++)
                for (int y = 0; y < 224; y += 16)
                    for (int x = 0; x < 224; x += 16) some[n++] = all[(c * 224 + y) * 224 + x];
            cr_expect(eq(u64, hash_of(some, sizeof some), 0x66d0d4d99f0bba92));
        }
        fv_picture_dispose(&crop);
    }
    cr_expect(fv_picture_crop_centre(ctx, &photo, 0, 0, 0.9, FV_FIT_CROP, FV_FILTER_BICUBIC, &crop) == false);
    cr_expect(fv_picture_crop_centre(ctx, &photo, 224, 224, 0, FV_FIT_CROP, FV_FILTER_BICUBIC, &crop) == false);
    cr_expect(fv_picture_crop_centre(ctx, &photo, 224, 224, 1.5, FV_FIT_CROP, FV_FILTER_BICUBIC, &crop) == false);
    cr_expect(fv_picture_crop_centre(ctx, &photo, 2000000000, 2000000000, 1e-9, FV_FIT_CROP, FV_FILTER_BICUBIC,
                                     &crop) == false);
    cr_expect(fv_picture_crop(ctx, &photo, 400, 0, 81, 10, &crop) == false);
    cr_expect(fv_picture_crop(ctx, &photo, 2000000000, 0, 2000000000, 10, &crop) == false);
    cr_expect(fv_picture_resize(ctx, &photo, 0, 5, FV_FILTER_BICUBIC, &crop) == false);
    cr_expect(fv_picture_resize(ctx, &photo, 32768, 32768, FV_FILTER_BICUBIC, &crop) == false);
    cr_expect(eq(int, fv_error_count(ctx), 8));
    fv_picture_dispose(&photo);
    fv_ctx_dispose(ctx);
}

Test(io_picture, writes_png) {
    char path[] = "/tmp/fovea-test-XXXXXX";
    cr_assert(mkstemp(path) >= 0);
    fv_ctx *ctx = fv_ctx_new();
    fv_picture p = {0}, q;
    cr_assert(fv_picture_alloc(&p, 31, 17) == NULL);
    for (int i = 0; i < 31 * 17 * 3; i++) p.rgb[i] = (uint8_t)(i * 37 >> 1);
    cr_assert(fv_picture_write_png(ctx, path, &p), "%s", first_error(ctx));
    cr_assert(fv_picture_read(ctx, path, &q), "%s", first_error(ctx));
    cr_assert(q.width == 31 && q.height == 17);
    cr_expect(eq(int, memcmp(p.rgb, q.rgb, 31 * 17 * 3), 0));
    cr_expect(fv_picture_write_png(ctx, "/nowhere/at/all.png", &p) == false);
    cr_expect(eq(int, fv_diag_at(ctx, 0)->code, FV_E_FILE));
    fv_picture_dispose(&p);
    fv_picture_dispose(&q);
    fv_ctx_dispose(ctx);
    remove(path);
}

/* Every prefix is refused; any flipped byte gives a picture or an error. */
Test(io_picture, survives_hostile_files) {
    const char *const names[] = {"palette.png", "interlaced.png", "deep.png", "rgb.jpg", "progressive.jpg", "cmyk.jpg"};
    fv_ctx *ctx = fv_ctx_new();
    uint64_t state = 99;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        fv_bytes file;
        fv_picture p;
        snprintf(path, sizeof path, DATA "pictures/%s", names[i]);
        cr_assert(fv_file_read(ctx, path, 1 << 20, &file));
        for (size_t n = 0; n + 12 < file.n; n += 1 + n / 60) {
            unsigned char *exact = malloc(n ? n : 1);
            memcpy(exact, file.data, n);
            cr_expect(fv_picture_decode(ctx, "cut", exact, n, &p) == false, "%s cut to %zu", names[i], n);
            cr_expect(p.rgb == NULL);
            free(exact);
        }
        for (int k = 0; k < 400; k++) {
            unsigned char *copy = malloc(file.n);
            memcpy(copy, file.data, file.n);
            for (int j = 0; j < 3; j++) {
                state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                copy[(state >> 33) % file.n] = (unsigned char)(state >> 24);
            }
            if (fv_picture_decode(ctx, "flipped", copy, file.n, &p)) fv_picture_dispose(&p);
            else cr_expect(p.rgb == NULL);
            free(copy);
        }
        fv_bytes_dispose(&file);
    }
    fv_ctx_dispose(ctx);
}

Test(io_picture, refuses_sizes_beyond_the_limit) {
    fv_ctx *ctx = fv_ctx_new();
    fv_bytes file;
    fv_picture p;
    cr_assert(fv_file_read(ctx, DATA "pictures/full.jpg", 1 << 20, &file));
    unsigned char *frame = NULL;
    for (size_t i = 0; i + 9 < file.n && !frame; i++)
        if (file.data[i] == 0xff && file.data[i + 1] == 0xc0) frame = file.data + i;
    cr_assert(frame != NULL);
    memcpy(frame + 5, "\xff\x00\xff\x00", 4);                     /* 65280 x 65280 */
    cr_expect(fv_picture_decode(ctx, "huge", file.data, file.n, &p) == false);
    cr_expect(strstr(first_error(ctx), "32768") != NULL, "%s", first_error(ctx));
    memcpy(frame + 5, "\x7f\xff\x7f\xff", 4);
    fv_diag_clear(ctx);
    cr_expect(fv_picture_decode(ctx, "large", file.data, file.n, &p) == false);
    cr_expect(strstr(first_error(ctx), "100 million") != NULL, "%s", first_error(ctx));
    fv_diag_clear(ctx);
    cr_expect(fv_picture_decode(ctx, "text", (const unsigned char *)"GIF89a", 6, &p) == false);
    cr_expect(strstr(first_error(ctx), "neither PNG nor JPEG") != NULL);
    fv_bytes_dispose(&file);
    fv_ctx_dispose(ctx);
}
