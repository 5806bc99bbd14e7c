/* Pictures in, pictures out: see picture_answer.h. Invariant: at most one model is loaded at a time, and a size of
 * tile is compiled once. */
#include "api/given.h"
#include "cli/picture_answer.h"
#include "cli/host.h"
#include "cli/live.h"
#include "cli/pictures.h"
#include "cli/shapes.h"
#include "io/json.h"
#include "io/picture.h"
#include "runtime/tiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool refuse(fv_ctx *ctx, const char *text) {
    fv_error(ctx, FV_E_CONFIG, (fv_loc){0}, "preprocess: %s", text);
    return false;
}
bool cli_picture_answer_read(fv_ctx *ctx, const cli_session *s, cli_picture_answer *out) {
    *out = (cli_picture_answer){.multiple = 1};
    if (!s->spec.preprocess_json) return true;
    const char *label = "preprocess", *fit = "crop";
    const fv_json *j = fv_json_parse(ctx, label, s->spec.preprocess_json, strlen(s->spec.preprocess_json));
    int64_t size = 0, pad = 0, multiple = 1;
    if (!j || !fv_json_get_text(ctx, label, j, "fit", false, &fit) ||
        !fv_json_get_text(ctx, label, j, "answer", false, &out->output))
        return false;
    bool own = !strcmp(fit, "own");
    if (!own && strcmp(fit, "crop") != 0 && strcmp(fit, "squash") != 0)
        return refuse(ctx, "fit is \"crop\", \"squash\" or \"own\"");
    if (own != (out->output != NULL)) return refuse(ctx, "fit = \"own\" and answer = NAME go together");
    const fv_json *tile = fv_json_get(j, "tile");
    if (!tile) return true;
    label = "preprocess.tile";
    if (!fv_json_get_int(ctx, label, tile, "size", false, &size) ||
        !fv_json_get_int(ctx, label, tile, "pad", false, &pad) ||
        !fv_json_get_int(ctx, label, tile, "multiple", false, &multiple))
        return false;
    if (size < 0 || pad < 0 || multiple < 1 || size > FV_PICTURE_SIDE_CAP || pad > FV_PICTURE_SIDE_CAP ||
        multiple > FV_PICTURE_SIDE_CAP || size % multiple || pad % multiple) {
        fv_error(ctx, FV_E_CONFIG, (fv_loc){0},
                 "tiles of %lld with an overlap of %lld: both have to be multiples of %lld, from 0 to %d",
                 (long long)size, (long long)pad, (long long)multiple, FV_PICTURE_SIDE_CAP);
        return false;
    }
    out->size = (int32_t)size;
    out->pad = (int32_t)pad;
    out->multiple = (int32_t)multiple;
    return true;
}
bool cli_output_suffix(fv_ctx *ctx, const char *path, const cli_picture_answer *p) {
    const char *dot = strrchr(path, '.');
    bool png = dot && !strcmp(dot, ".png");
    if (dot && (!strcmp(dot, ".npy") || !strcmp(dot, ".safetensors"))) return true;
    if (png && p->output) return true;
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--output %s: %s", path,
             png ? "this spec does not answer with a picture; write a .npy or .safetensors file"
                 : "the name has to end with .npy, .safetensors or, where the answer is a picture, .png");
    return false;
}

bool cli_picture_write(fv_ctx *ctx, const char *path, const fovea_stored *t) {
    if (t->rank != 4 || t->shape[0] != 1 || t->shape[1] != 3 || t->storage != FOVEA_ST_F32) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%s: '%s' is no f32 [1, 3, height, width]", path, t->name);
        return false;
    }
    fv_picture p;
    const char *why = fv_picture_alloc(&p, (uint64_t)t->shape[3], (uint64_t)t->shape[2]);
    if (why) {
        fv_error(ctx, FV_E_PICTURE, (fv_loc){0}, "%s: %s", path, why);
        return false;
    }
    const float *x = t->data;
    int64_t n = t->shape[2] * t->shape[3];
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < 3; c++) {
            float v = x[c * n + i];
            p.rgb[3 * i + c] = (uint8_t)(v > 0 ? rintf((v < 1 ? v : 1) * 255) : 0);
        }
    bool fine = fv_picture_write_png(ctx, path, &p);
    fv_picture_dispose(&p);
    return fine;
}

/* -- Running ---- */
typedef struct {
    fv_ctx *ctx;
    cli_session *s;
    const cli_picture_answer *p;
    fv_spec_options given;
    const char *axis[3]; /* of the input: batch, height, width */
    int32_t height, width, scale;
    float *map, *answer;
    const fv_driver_options *driver;
    const fovea_options *run;
    cli_live *live; /* of the tiles being run */
    bool recorded;  /* what failed is in the context already */
} job;

/* The one input and the declared output, and by how much the output is larger. */
static bool look(job *w) {
    const fv_graph *g = w->s->spec.graph;
    const fv_node *in = NULL;
    const fv_output *out = NULL;
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->op == FV_NODE_INPUT) in = n++ ? in : g->node[i];
    for (int i = 0; i < g->n_outputs; i++)
        if (!strcmp(fv_cstr(w->ctx, g->output[i].name), w->p->output)) out = &g->output[i];
    if (n != 1 || in->u.leaf.stored.rank != 4 || !out || out->stored.rank != 4)
        return refuse(w->ctx, "a picture as answer needs one input and an output of that name, of four axes each");
    int64_t from[FV_MAX_AXES], to[FV_MAX_AXES];
    fv_given_extents(in, from);
    cli_output_shape(out, to);
    for (int d = 0, k = 0; d < 4; d++) {
        if (in->u.leaf.stored.dim[d].n != 1) return refuse(w->ctx, "each dimension of the picture is one axis");
        if (d != 1) w->axis[k++] = fv_cstr(w->ctx, in->result[0]->axis[in->u.leaf.stored.dim[d].axis[0]].name);
    }
    w->scale = (int32_t)(to[2] / from[2]);
    if (from[1] != 3 || to[1] != 3 || to[2] % from[2] || to[3] % from[3] || to[2] / from[2] != to[3] / from[3] ||
        w->scale < 1 || w->scale > 64)
        return refuse(w->ctx, "input and answer have three channels, and the answer is 1 to 64 times as large");
    for (int i = 0; i < w->given.n_shapes; i++)
        for (int k = 0; k < 3; k++)
            if (!strcmp(w->given.shape_name[i], w->axis[k]) && (k > 0 || w->given.shape_value[i] != 1)) {
                fv_error(w->ctx, FV_E_USAGE, (fv_loc){0}, "--shape %s=%lld: the picture says that extent", w->axis[k],
                         (long long)w->given.shape_value[i]);
                return false;
            }
    return true;
}
static bool sizes(job *w, bool png) {
    const char *path = w->s->picture[0];
    int64_t s = w->scale, h = w->height * s, v = w->width * s;
    if (png && (h > FV_PICTURE_SIDE_CAP || v > FV_PICTURE_SIDE_CAP || h * v > FV_PICTURE_PIXEL_CAP)) {
        fv_error(w->ctx, FV_E_PICTURE, (fv_loc){0},
                 "%s: the answer has %lld x %lld pixels; a picture has sides of at most %d and %d million pixels", path,
                 (long long)v, (long long)h, FV_PICTURE_SIDE_CAP, FV_PICTURE_PIXEL_CAP / 1000000);
        return false;
    }
    return true;
}
static bool fits_memory(job *w, const cli_live *l, const fovea_options *run, int32_t height, int32_t width) {
    fovea_workspace need;
    fovea_error e;
    cli_host host;
    if (fovea_workspace_measure(&l->compiled.program, run, &need, &e)) return cli_runtime_error(w->ctx, FV_E_RUN, &e);
    cli_host_read(&host);
    double bytes = (double)need.total + 12.0 * w->height * w->scale * w->width * w->scale; /* and the answer's */
    if (!host.available_bytes || bytes < 0.9 * (double)host.available_bytes) return true;
    fv_error(w->ctx, FV_E_RUN, (fv_loc){0}, "%d x %d pixels at once take %.1f GB, and %.1f GB are available%s", width,
             height, 1e-9 * bytes, 1e-9 * (double)host.available_bytes,
             w->p->multiple > 1 ? "; smaller tiles take less (--set tile=N)" : "");
    return false;
}
/* A fovea_tile_open: compiles for tiles of this size. What is wrong is recorded in the context. */
static fovea_status open_tile(void *user, int32_t height, int32_t width, fovea_model **out, fovea_error *err) {
    job *w = user;
    fv_spec_options with = w->given;
    cli_shapes_put(w->ctx, &with, w->axis[0], 1);
    cli_shapes_put(w->ctx, &with, w->axis[1], height);
    cli_shapes_put(w->ctx, &with, w->axis[2], width);
    cli_progress("compiling and running %s for %d x %d", w->s->name, width, height);
    bool fine = cli_session_trace(w->ctx, w->s, &with) &&
                fv_compile(w->ctx, w->s->spec.graph, (fv_str){0}, w->driver, &w->live->compiled) &&
                fits_memory(w, w->live, w->run, height, width) && cli_live_load(w->ctx, w->s, w->run, true, w->live);
    *out = w->live->model;
    *err = (fovea_error){.status = fine ? FOVEA_OK : FOVEA_E_STATE};
    w->recorded = !fine;
    return err->status;
}
static void close_tile(void *user, fovea_model *model) {
    (void)model;
    job *w = user;
    cli_live_close(w->live);
    *w->live = (cli_live){0};
}
/* Which of the spec's outputs is the answer. */
static int32_t output_index(const job *w) {
    const fv_graph *g = w->s->spec.graph;
    int32_t at = 0;
    while (at < g->n_outputs && strcmp(fv_cstr(w->ctx, g->output[at].name), w->p->output) != 0) at++;
    return at;
}
static bool run_all(job *w) {
    fovea_error e;
    cli_live live = {0};
    w->live = &live;
    const fovea_tiles tiles = {.planes = 3,
                               .height = w->height,
                               .width = w->width,
                               .planes_out = 3,
                               .scale = w->scale,
                               .size = w->p->size,
                               .pad = w->p->pad,
                               .multiple = w->p->multiple,
                               .output = output_index(w),
                               .open = open_tile,
                               .close = close_tile,
                               .user = w};
    bool fine = fovea_tiles_run(&tiles, w->map, w->answer, &e) == FOVEA_OK;
    if (!fine && !w->recorded) cli_runtime_error(w->ctx, FV_E_RUN, &e);
    cli_live_close(&live);
    return fine;
}
/* The picture as the model's numbers. */
static bool take_picture(job *w, bool png) {
    fovea_array as = {.name = "input", .rank = 4, .shape = {1, 3, 1, 1}};
    cli_preprocess pre;
    fv_picture picture;
    if (!cli_preprocess_read(w->ctx, w->s, &as, &pre) || !fv_picture_read(w->ctx, w->s->picture[0], &picture))
        return false;
    w->height = picture.height;
    w->width = picture.width;
    bool fine = sizes(w, png);
    size_t n = (size_t)w->height * (size_t)w->width * 3 * sizeof(float);
    if (fine) {
        w->map = malloc(n);
        w->answer = malloc(n * (size_t)w->scale * (size_t)w->scale);
        fine = w->map && w->answer;
        if (fine) fv_picture_to_f32(&picture, pre.mean, pre.std, w->map);
        else fv_error(w->ctx, FV_E_RUN, (fv_loc){0}, "not enough memory for %s and its answer", w->s->picture[0]);
    }
    fv_picture_dispose(&picture);
    return fine;
}
bool cli_picture_run(fv_ctx *ctx, cli_session *s, const cli_picture_answer *p, bool png, const fv_driver_options *o,
                     const fovea_options *run, fovea_stored *out) {
    job w = {.ctx = ctx, .s = s, .p = p, .given = s->options, .driver = o, .run = run};
    if (s->n_pictures != 1 || s->n_inputs) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "the answer is a picture: one picture at a time, %d given",
                 s->n_pictures);
        return false;
    }
    bool fine = look(&w) && take_picture(&w, png) && run_all(&w);
    free(w.map);
    if (!fine) {
        free(w.answer);
        return false;
    }
    *out = (fovea_stored){.name = p->output,
                          .storage = FOVEA_ST_F32,
                          .rank = 4,
                          .shape = {1, 3, (int64_t)w.height * w.scale, (int64_t)w.width * w.scale},
                          .count = (int64_t)3 * w.height * w.scale * w.width * w.scale,
                          .data = w.answer};
    return true;
}
