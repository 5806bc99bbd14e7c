/* A spec and what it is given: config, weights, inputs, extents, seed. Invariant: what cli_session_open took is given
 * back by cli_session_close, whatever failed in between. */
#include "api/given.h"
#include "cli/cli.h"
#include "cli/shapes.h"
#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include <stdlib.h>
#include <string.h>

const fovea_stored *cli_given_input(const cli_session *s, const char *name) {
    for (int i = 0; i < s->n_inputs; i++)
        if (!*s->input[i].name || !strcmp(s->input[i].name, name)) return &s->input[i];
    return NULL;
}
static bool input_shape(void *user, const char *name, fv_shape_info *out) {
    return fv_given_shape(cli_given_input(user, name), name, out);
}
static bool param_shape(void *user, const char *name, fv_shape_info *out) {
    const cli_session *s = user;
    return fv_given_shape(fv_weights_find(s->weights, name), name, out);
}

static bool ends(const char *s, const char *tail) {
    size_t a = strlen(s), b = strlen(tail);
    return a >= b && !strcmp(s + a - b, tail);
}
static bool read_input(fv_ctx *ctx, cli_session *s, const char *path) {
    if (ends(path, ".safetensors")) {
        fovea_error e;
        if (s->input_file) {
            fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "one safetensors file of inputs can be given");
            return false;
        }
        if (fovea_safetensors_open(path, &s->input_file, &e))
            return cli_runtime_error(ctx, e.status == FOVEA_E_FILE ? FV_E_FILE : FV_E_FORMAT, &e);
        for (int32_t i = 0; i < fovea_safetensors_count(s->input_file) && s->n_inputs < 64; i++)
            s->input[s->n_inputs++] = *fovea_safetensors_at(s->input_file, i);
        return true;
    }
    if (ends(path, ".npy")) {
        fv_npy *a = FV_NEW(ctx, fv_npy);
        if (!fv_npy_read(ctx, path, a) || s->n_keep == 64) return false;
        s->keep[s->n_keep++] = a;
        a->t.name = ""; /* any input of the spec */
        s->input[s->n_inputs++] = a->t;
        return true;
    }
    if (s->n_pictures == 4096) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "at most 4096 pictures");
        return false;
    }
    s->picture[s->n_pictures++] = path;
    return true;
}
static bool read_sets(fv_ctx *ctx, const cli_args *a, const char ***keys, const char ***values, int *n) {
    const char *list[128];
    *n = cli_values(a, "set", list, 128);
    *keys = FV_NEWN(ctx, const char *, 128);
    *values = FV_NEWN(ctx, const char *, 128);
    for (int i = 0; i < *n; i++) {
        char *k = fv_strdup(ctx, list[i]), *eq = strchr(k, '=');
        if (!eq || eq == k) {
            fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--set takes name=value, not '%s'", list[i]);
            return false;
        }
        *eq = 0;
        (*keys)[i] = k;
        (*values)[i] = eq + 1;
    }
    return true;
}

bool cli_session_open(fv_ctx *ctx, const cli_args *a, const char *name, cli_session *s) {
    *s = (cli_session){.name = name, .seed = 1};
    char *file = fv_strdup(ctx, name), *colon = strrchr(file, ':');
    if (colon) {
        *colon = 0;
        s->variant = colon + 1;
    }
    s->path = cli_spec_path(ctx, file);
    if (!s->path || !cli_int(ctx, a, "seed", 0, &s->seed) || !cli_dtype(ctx, a, &s->storage)) return false;
    fv_spec_options o = {.user = s, .spec_dir = cli_spec_dir()};
    const char *config = cli_value(a, "config"), *weights = cli_value(a, "weights");
    if (config) {
        fv_bytes text;
        if (!fv_file_read(ctx, config, 64 << 20, &text)) return false;
        char *copy = fv_alloc(ctx, text.n + 1);
        memcpy(copy, text.data, text.n);
        fv_bytes_dispose(&text);
        if (!fv_json_parse(ctx, config, copy, strlen(copy))) return false;
        o.config_json = copy;
    }
    const char **keys, **values;
    if (!cli_shapes_read(ctx, a, &o) || !read_sets(ctx, a, &keys, &values, &o.n_sets)) return false;
    o.set_key = keys;
    o.set_value = values;
    if (weights) {
        s->weights = fv_weights_open(ctx, weights);
        if (!s->weights) return false;
        o.param_shape = param_shape;
    } else {
        s->seeded = true;
        o.declare = true;
    }
    const char *inputs[4096];
    int n = cli_values(a, "input", inputs, 4096);
    for (int i = 0; i < n; i++)
        if (!read_input(ctx, s, inputs[i])) return false;
    if (s->n_inputs) o.input_shape = input_shape;
    double begin = fv_now();
    bool fine = fv_spec_load(ctx, s->path, s->variant, &o, &s->spec);
    s->trace_seconds = fv_now() - begin;
    s->options = o;
    fine = fine && fv_given_axes(ctx, s->spec.graph, &o, "--shape ");
    if (weights && !fine) fv_given_misfits(ctx, s->weights, s->path, NULL, 0, s->variant, o);
    if (weights && fine) fine = fv_given_weights(ctx, s->weights, s->spec.graph);
    for (int i = 0; weights && fine && fv_weights_note(s->weights, i); i++)
        cli_say("%s: %s", weights, fv_weights_note(s->weights, i));
    return fine;
}
bool cli_session_trace(fv_ctx *ctx, cli_session *s, const fv_spec_options *o) {
    cli_session_forget(s);
    return fv_spec_load(ctx, s->path, s->variant, o, &s->spec);
}
bool cli_session_words(fv_ctx *ctx, const char *spec, int argc, char **argv, cli_session *s) {
    static const cli_option options[] = {CLI_SESSION_OPTIONS, {NULL, NULL, NULL, CLI_FLAG}};
    static cli_args a;
    *s = (cli_session){0};
    return cli_parse(ctx, "fovea", options, argc, argv, &a) && cli_session_open(ctx, &a, spec, s);
}
void cli_session_forget(cli_session *s) {
    for (int i = 0; i < s->n_leaves; i++) free(s->leaf[i].data);
    free(s->leaf);
    s->leaf = NULL;
    s->n_leaves = s->cap_leaves = 0;
}
void cli_session_close(cli_session *s) {
    cli_session_forget(s);
    fv_weights_close(s->weights);
    fovea_safetensors_close(s->input_file);
    for (int i = 0; i < s->n_keep; i++) fv_npy_dispose(s->keep[i]);
}
