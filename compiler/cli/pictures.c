/* Pictures in, classes out: see pictures.h. */
#include "cli/pictures.h"
#include "io/json.h"
#include "io/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool cli_preprocess_parse(fv_ctx *ctx, const fv_json *j, const fovea_array *input, cli_preprocess *p) {
    *p = (cli_preprocess){
        .crop_pct = 1, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}, .interpolation = "bicubic"};
    p->height = (int32_t)input->shape[2];
    p->width = (int32_t)input->shape[3];
    if (!j) return true;
    const char *label = "preprocess", *fit = "crop";
    double mean[3] = {p->mean[0], p->mean[1], p->mean[2]}, std[3] = {p->std[0], p->std[1], p->std[2]};
    if (!fv_json_get_real(ctx, label, j, "crop_pct", false, &p->crop_pct) ||
        !fv_json_get_reals(ctx, label, j, "mean", false, 3, mean) ||
        !fv_json_get_reals(ctx, label, j, "std", false, 3, std) ||
        !fv_json_get_text(ctx, label, j, "interpolation", false, &p->interpolation) ||
        !fv_json_get_text(ctx, label, j, "fit", false, &fit))
        return false;
    p->fit = strcmp(fit, "squash") ? FV_FIT_CROP : FV_FIT_SQUASH;
    for (int i = 0; i < 3; i++) {
        p->mean[i] = (float)mean[i];
        p->std[i] = (float)std[i];
    }
    return true;
}
bool cli_preprocess_read(fv_ctx *ctx, const cli_session *s, const fovea_array *input, cli_preprocess *p) {
    const char *text = s->spec.preprocess_json;
    if (input->rank != 4 || input->shape[1] != 3 || input->shape[0] != 1) {
        fv_error(ctx, FV_E_INPUT, (fv_loc){0},
                 "pictures need an input of shape [1, 3, height, width]; '%s' has another", input->name);
        return false;
    }
    const fv_json *j = text ? fv_json_parse(ctx, "preprocess", text, strlen(text)) : NULL;
    return (j || !text) && cli_preprocess_parse(ctx, j, input, p);
}
bool cli_preprocess_apply(fv_ctx *ctx, const cli_preprocess *p, const char *path, float *out) {
    fv_picture in = {0}, fit = {0};
    fv_filter filter;
    if (!fv_filter_parse(p->interpolation, &filter)) {
        fv_error(ctx, FV_E_CONFIG, (fv_loc){0},
                 "preprocess: '%s' is no interpolation; bilinear, bicubic and lanczos are", p->interpolation);
        return false;
    }
    if (!fv_picture_read(ctx, path, &in)) return false;
    bool fine = fv_picture_crop_centre(ctx, &in, p->width, p->height, p->crop_pct, p->fit, filter, &fit);
    if (fine) fv_picture_to_f32(&fit, p->mean, p->std, out);
    fv_picture_dispose(&in);
    fv_picture_dispose(&fit);
    return fine;
}
const char *const *cli_labels(fv_ctx *ctx, const cli_session *s, int *n) {
    *n = 0;
    if (!s->spec.labels_json) return NULL;
    const fv_json *j = fv_json_parse(ctx, "labels", s->spec.labels_json, strlen(s->spec.labels_json));
    if (!j || j->kind != FV_JSON_ARRAY) return NULL;
    const char **names = FV_NEWN(ctx, const char *, j->n + 1);
    for (int i = 0; i < j->n; i++) names[(*n)++] = j->items[i]->kind == FV_JSON_STRING ? j->items[i]->text : "?";
    return names;
}

void cli_best(const float *score, int64_t n, int top, int64_t *index, double *share) {
    double most = n ? score[0] : 0, sum = 0;
    for (int64_t c = 1; c < n; c++)
        if (score[c] > most) most = score[c];
    for (int64_t c = 0; c < n; c++) sum += exp((double)score[c] - most);
    for (int k = 0; k < top; k++) {
        int64_t best = -1;
        for (int64_t c = 0; c < n; c++) {
            bool taken = false;
            for (int j = 0; j < k; j++) taken = taken || index[j] == c;
            if (!taken && (best < 0 || score[c] > score[best])) best = c;
        }
        index[k] = best;
        if (share) share[k] = best >= 0 ? exp((double)score[best] - most) / sum : 0;
    }
}
bool cli_run_pictures(fv_ctx *ctx, cli_session *s, fovea_model *m, int top) {
    enum { MOST_TOP = 1000 };
    static int64_t best[MOST_TOP];
    static double share[MOST_TOP];
    if (top > MOST_TOP) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--topk %d: at most %d", top, MOST_TOP);
        return false;
    }
    const fovea_array *in = fovea_model_input(m, 0), *out = fovea_model_output(m, 0);
    cli_preprocess p;
    if (!in || !out || fovea_model_input(m, 1) || out->rank < 1) {
        fv_error(ctx, FV_E_INPUT, (fv_loc){0}, "pictures need a model of one input and a first output of class scores");
        return false;
    }
    if (!cli_preprocess_read(ctx, s, in, &p)) return false;
    int n_labels;
    const char *const *labels = cli_labels(ctx, s, &n_labels);
    int64_t classes = out->shape[out->rank - 1];
    float *x = aligned_alloc(64, ((size_t)in->bytes + 127) / 64 * 64);
    int n_out = 0;
    DLTensor results[64];
    for (const fovea_array *o; n_out < 64 && (o = fovea_model_output(m, n_out)); n_out++)
        results[n_out] = fovea_tensor(aligned_alloc(64, ((size_t)o->bytes + 127) / 64 * 64), o->dtype, o->rank,
                                      (int64_t *)(uintptr_t)o->shape);
    DLTensor input = fovea_tensor(x, in->dtype, in->rank, (int64_t *)(uintptr_t)in->shape);
    bool fine = true;
    for (int i = 0; i < s->n_pictures && fine; i++) {
        fovea_error e;
        fine = cli_preprocess_apply(ctx, &p, s->picture[i], x);
        if (fine && fovea_model_run(m, &input, 1, results, n_out, &e)) fine = cli_runtime_error(ctx, FV_E_RUN, &e);
        if (!fine) break;
        printf("%s\n", s->picture[i]);
        int k = top < classes ? top : (int)classes;
        cli_best(results[0].data, classes, k, best, share);
        for (int j = 0; j < k; j++)
            printf("  %5.1f %%  %s\n", 100 * share[j],
                   best[j] < n_labels ? labels[best[j]] : fv_printf(ctx, "class %lld", (long long)best[j]));
    }
    for (int i = 0; i < n_out; i++) free(results[i].data);
    free(x);
    return fine;
}
