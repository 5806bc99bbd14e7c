/* What a library's header says as constants of pictures and classes: how a picture becomes the input, what the scores
 * are of. From the spec's `preprocess` and `labels`; nothing where it has none. */
#include "cli/artefact.h"
#include "cli/pictures.h"
#include "io/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const fovea_array *nth(const cli_artefact *a, fovea_place place, int n) {
    const fovea_program *p = &a->level[0].compiled.program;
    for (int32_t i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].place == place && n-- == 0) return &p->arrays[i];
    return NULL;
}
/* The shortest decimal that is this float. */
static void number(fv_buf *b, float v) {
    char text[48];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        float back = strtof(text, NULL);
        if (!memcmp(&back, &v, sizeof v)) break;
    }
    fv_buf_printf(b, "%s%sf", text, strpbrk(text, ".e") ? "" : ".0");
}
static void three(fv_buf *b, const char *upper, const char *what, const float v[3]) {
    fv_buf_printf(b, "#define %s_PICTURE_%s {", upper, what);
    for (int i = 0; i < 3; i++) {
        fv_buf_puts(b, i ? ", " : "");
        number(b, v[i]);
    }
    fv_buf_puts(b, "}\n");
}
/* Pictures are the first input where it is [1, 3, height, width] of f32 and the spec says how they get there. */
static bool picture(fv_ctx *ctx, const cli_artefact *a, const fv_json *j, fv_buf *b) {
    const fovea_array *in = nth(a, FOVEA_INPUT, 0);
    const char *u = a->upper, *fit = "crop";
    cli_preprocess p;
    if (!in || in->rank != 4 || in->shape[0] != 1 || in->shape[1] != 3 || in->dtype != FOVEA_F32) return true;
    if (!cli_preprocess_parse(ctx, j, in, &p) || !fv_json_get_text(ctx, "preprocess", j, "fit", false, &fit))
        return false;
    bool own = !strcmp(fit, "own");
    fv_buf_printf(b, "\n/* How a picture becomes input 0, \"%s\":\n", cli_comment(ctx, in->name));
    if (own) fv_buf_puts(b, " * it keeps its size, which is that of the input;\n");
    else if (p.fit == FV_FIT_CROP)
        fv_buf_puts(
            b, " * with box = floor(WIDTH / CROP) x floor(HEIGHT / CROP) it is resized, keeping its proportions, to "
               "the smallest size\n * that covers the box, the other side truncated;\n");
    else fv_buf_puts(b, " * it is resized to floor(WIDTH / CROP) x floor(HEIGHT / CROP), whatever its proportions;\n");
    if (!own)
        fv_buf_puts(b,
                    " * WIDTH x HEIGHT are cut out of the middle (half a pixel rounds to the even corner);\n"
                    " * resizing is Pillow's: output x has its centre at (x + 1/2) * in / out, the filter (bilinear: a "
                    "triangle of radius 1;\n * bicubic: Keys' with a = -1/2; lanczos: radius 3) widens by in / out "
                    "where that is above 1, weights beyond the border\n * are left out and the others sum to 1, values "
                    "are rounded to 8 bits after the pass across and after the pass down;\n");
    fv_buf_printf(
        b,
        " * element [0][c][y][x] = (value / 255 - MEAN[c]) / STD[c], value 0..255 of red, green or blue (c = 0, "
        "1, 2), y from the top.\n * %s_PREPROCESS, below, is what the model's author wrote. */\n",
        u);
    fv_buf_printf(b,
                  "#define %s_PICTURE_HEIGHT %" PRId32 "\n#define %s_PICTURE_WIDTH %" PRId32
                  "\n#define %s_PICTURE_CHANNELS 3 /* red, green, blue: one plane after the other */\n",
                  u, p.height, u, p.width, u);
    if (!own) {
        fv_buf_printf(b, "#define %s_PICTURE_CROP %.17g\n#define %s_PICTURE_FIT ", u, p.crop_pct, u);
        cli_quote(b, fit);
        fv_buf_printf(b, "\n#define %s_PICTURE_INTERPOLATION ", u);
        cli_quote(b, p.interpolation);
        fv_buf_puts(b, "\n");
    }
    three(b, u, "MEAN", p.mean);
    three(b, u, "STD", p.std);
    return true;
}
static void classes(const cli_artefact *a, const fv_json *labels, bool pictures, fv_buf *b) {
    const fovea_array *out = nth(a, FOVEA_OUTPUT, 0);
    const char *u = a->upper;
    bool list = labels && labels->kind == FV_JSON_ARRAY;
    if (!list && (!(pictures || labels) || !out || out->rank < 1)) return;
    fv_buf_printf(b, "\n/* Classes: output 0 has a score of each, in this order. */\n#define %s_CLASSES %" PRId64 "\n",
                  u, list ? labels->n : out->shape[out->rank - 1]);
    if (labels && labels->kind == FV_JSON_STRING) {
        fv_buf_printf(b, "#define %s_CLASS_LIST ", u);
        cli_quote(b, labels->text);
        fv_buf_puts(b, " /* the name of a list that everybody knows */\n");
    }
    if (!list) return;
    fv_buf_printf(b, "#define %s_CLASS_NAMES {", u);
    for (int i = 0; i < labels->n; i++) {
        fv_buf_puts(b, i ? ", " : "");
        cli_quote(b, labels->items[i]->kind == FV_JSON_STRING ? labels->items[i]->text : "");
    }
    fv_buf_puts(b, "}\n");
}
bool cli_artefact_facts(fv_ctx *ctx, const cli_artefact *a, fv_buf *b) {
    const fv_json *j = a->preprocess ? fv_json_parse(ctx, "preprocess", a->preprocess, strlen(a->preprocess)) : NULL;
    const fv_json *l = a->classes ? fv_json_parse(ctx, "labels", a->classes, strlen(a->classes)) : NULL;
    if ((a->preprocess && !j) || (a->classes && !l) || (j && !picture(ctx, a, j, b))) return false;
    classes(a, l, j && !fv_json_get(j, "answer"), b);
    if (!a->preprocess) return true;
    fv_buf_printf(b, "#define %s_PREPROCESS ", a->upper);
    cli_quote(b, a->preprocess);
    fv_buf_puts(b, "\n");
    return true;
}
