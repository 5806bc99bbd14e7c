/* A spec and what it is given: config, weights, inputs, extents, seed. */
#include "cli/cli.h"
#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/seed.h"

#include <stdlib.h>
#include <string.h>

static fv_type type_of(fovea_storage s) {
    switch (s) {
    case FOVEA_ST_F8_E5M2: case FOVEA_ST_F8_E4M3: case FOVEA_ST_F16: case FOVEA_ST_BF16: case FOVEA_ST_F32: case FOVEA_ST_F64: return FV_F32;
    case FOVEA_ST_BOOL: return FV_BOOL;
    case FOVEA_ST_U8: case FOVEA_ST_I8: case FOVEA_ST_U16: case FOVEA_ST_I16: case FOVEA_ST_U32: case FOVEA_ST_I32: case FOVEA_ST_U64: case FOVEA_ST_I64: case FOVEA_ST_COUNT: break;
    }
    return FV_I32;
}
static bool shape_info(const fovea_stored *t, const char *name, fv_shape_info *out) {
    if (!t || t->rank > FV_SPEC_MAX_RANK) return false;
    *out = (fv_shape_info){.name = name, .rank = t->rank, .type = type_of(t->storage)};
    for (int i = 0; i < t->rank; i++) out->shape[i] = t->shape[i];
    return true;
}
static const fovea_stored *given_input(const cli_session *s, const char *name) {
    for (int i = 0; i < s->n_inputs; i++) if (!*s->input[i].name || !strcmp(s->input[i].name, name)) return &s->input[i];
    return NULL;
}
static bool input_shape(void *user, const char *name, fv_shape_info *out) { return shape_info(given_input(user, name), name, out); }
static bool param_shape(void *user, const char *name, fv_shape_info *out) {
    const cli_session *s = user;
    return shape_info(fv_weights_find(s->weights, name), name, out);
}

static bool ends(const char *s, const char *tail) { size_t a = strlen(s), b = strlen(tail); return a >= b && !strcmp(s + a - b, tail); }
static bool read_input(fv_ctx *ctx, cli_session *s, const char *path) {
    if (ends(path, ".safetensors")) {
        fovea_error e;
        if (s->input_file) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "one safetensors file of inputs can be given"); return false; }
        if (fovea_safetensors_open(path, &s->input_file, &e)) return cli_runtime_error(ctx, e.status == FOVEA_E_FILE ? FV_E_FILE : FV_E_FORMAT, &e);
        for (int32_t i = 0; i < fovea_safetensors_count(s->input_file) && s->n_inputs < 64; i++) s->input[s->n_inputs++] = *fovea_safetensors_at(s->input_file, i);
        return true;
    }
    if (ends(path, ".npy")) {
        fv_npy *a = FV_NEW(ctx, fv_npy);
        if (!fv_npy_read(ctx, path, a) || s->n_keep == 64) return false;
        s->keep[s->n_keep++] = a;
        a->t.name = "";                                 /* any input of the spec */
        s->input[s->n_inputs++] = a->t;
        return true;
    }
    if (s->n_pictures == 4096) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "at most 4096 pictures"); return false; }
    s->picture[s->n_pictures++] = path;
    return true;
}
/* --shape b=1,h=56 */
static bool read_shapes(fv_ctx *ctx, const cli_args *a, const char ***names, int64_t **values, int *n) {
    const char *list[32];
    int count = cli_values(a, "shape", list, 32), cap = 0;
    *names = FV_NEWN(ctx, const char *, 64);
    *values = FV_NEWN(ctx, int64_t, 64);
    (void)cap;
    for (int i = 0; i < count; i++)
        for (char *p = fv_strdup(ctx, list[i]), *next; p && *p; p = next) {
            next = strchr(p, ',');
            if (next) *next++ = 0;
            char *eq = strchr(p, '='), *end = NULL;
            long long v = eq ? strtoll(eq + 1, &end, 10) : 0;
            if (!eq || eq == p || *end || v < 1 || *n == 64) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--shape takes axis=extent, separated by commas; '%s' is not that", p); return false; }
            *eq = 0;
            (*names)[*n] = p;
            (*values)[(*n)++] = v;
        }
    return true;
}
static bool read_sets(fv_ctx *ctx, const cli_args *a, const char ***keys, const char ***values, int *n) {
    const char *list[128];
    *n = cli_values(a, "set", list, 128);
    *keys = FV_NEWN(ctx, const char *, 128);
    *values = FV_NEWN(ctx, const char *, 128);
    for (int i = 0; i < *n; i++) {
        char *k = fv_strdup(ctx, list[i]), *eq = strchr(k, '=');
        if (!eq || eq == k) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--set takes name=value, not '%s'", list[i]); return false; }
        *eq = 0;
        (*keys)[i] = k;
        (*values)[i] = eq + 1;
    }
    return true;
}

bool cli_session_open(fv_ctx *ctx, const cli_args *a, const char *name, cli_session *s) {
    *s = (cli_session){.name = name, .seed = 1};
    char *file = fv_strdup(ctx, name), *colon = strrchr(file, ':');
    if (colon) { *colon = 0; s->variant = colon + 1; }
    s->path = cli_spec_path(ctx, file);
    if (!s->path || !cli_int(ctx, a, "seed", 0, &s->seed)) return false;
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
    const char **names, **keys, **values;
    int64_t *extents;
    if (!read_shapes(ctx, a, &names, &extents, &o.n_shapes) || !read_sets(ctx, a, &keys, &values, &o.n_sets)) return false;
    o.shape_name = names;
    o.shape_value = extents;
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
    for (int i = 0; i < n; i++) if (!read_input(ctx, s, inputs[i])) return false;
    if (s->n_inputs) o.input_shape = input_shape;
    double begin = fv_now();
    bool fine = fv_spec_load(ctx, s->path, s->variant, &o, &s->spec);
    s->trace_seconds = fv_now() - begin;
    return fine;
}
void cli_session_close(cli_session *s) {
    fv_weights_close(s->weights);
    fovea_safetensors_close(s->input_file);
    for (int i = 0; i < s->n_keep; i++) fv_npy_dispose(s->keep[i]);
}

/* Rank two and more: normal with the fan-in's deviation; norms around one; variances positive; the rest small. */
const char *cli_seed_rule(fv_ctx *ctx, const char *name, int rank, const int64_t *shape) {
    if (ends(name, "running_var")) return "uniform:0.5:1.5";
    double fan = 1;
    for (int i = 1; i < rank; i++) fan *= (double)shape[i];
    if (rank >= 2) {
        double d = 1 / (fan > 0 ? fan : 1), r = d > 1 ? d : 1;
        for (int i = 0; i < 60; i++) r = 0.5 * (r + d / r);             /* square root */
        return fv_printf(ctx, "normal:%.17g", r);
    }
    return ends(name, ".weight") || !strcmp(name, "weight") ? "around:1:0.2" : "normal:0.1";
}
static int64_t shape_of(const fv_node *leaf, int64_t *shape) {
    const fv_value *v = leaf->result[0];
    int64_t n = 1;
    for (int d = 0; d < leaf->u.leaf.stored.rank; d++) {
        shape[d] = 1;
        for (int j = 0; j < leaf->u.leaf.stored.dim[d].n; j++) shape[d] *= v->axis[leaf->u.leaf.stored.dim[d].axis[j]].extent;
        n *= shape[d];
    }
    return n;
}
bool cli_leaf(fv_ctx *ctx, cli_session *s, const fv_node *leaf, fovea_dtype dtype, void **out, int64_t *count) {
    int64_t shape[FV_MAX_AXES];
    const char *name = fv_cstr(ctx, leaf->u.leaf.name);
    int rank = leaf->u.leaf.stored.rank;
    *count = shape_of(leaf, shape);
    *out = calloc((size_t)(*count > 0 ? *count : 1) + 16, (size_t)fovea_dtype_size(dtype));
    if (!*out) { fv_error(ctx, FV_E_RUN, leaf->loc, "not enough memory for %s", name); return false; }
    const fovea_stored *t = leaf->op == FV_NODE_PARAM ? (s->weights ? fv_weights_find(s->weights, name) : NULL) : given_input(s, name);
    if (t) {
        bool fits = t->rank == rank;
        for (int i = 0; fits && i < rank; i++) fits = t->shape[i] == shape[i];
        int64_t bad;
        if (fits && fovea_stored_convert(t, dtype, *out, &bad)) return true;
        fv_error(ctx, leaf->op == FV_NODE_PARAM ? FV_E_WEIGHTS : FV_E_INPUT, leaf->loc, fits ? "%s: an element cannot be converted" : "%s does not have the shape that the spec gives it", name);
        return false;
    }
    if (leaf->op == FV_NODE_PARAM ? s->weights != NULL : s->n_inputs > 0) {
        fv_error(ctx, leaf->op == FV_NODE_PARAM ? FV_E_WEIGHTS : FV_E_INPUT, leaf->loc, "%s %s is not in the file given", leaf->op == FV_NODE_PARAM ? "the parameter" : "the input", name);
        return false;
    }
    fv_rule rule;
    const char *text = leaf->op == FV_NODE_PARAM ? cli_seed_rule(ctx, name, rank, shape) : dtype == FOVEA_F32 ? "normal:1" : "ints:0:2";
    if (leaf->op != FV_NODE_PARAM && leaf->result[0]->obj.ranged) text = fv_printf(ctx, "ints:0:%lld", (long long)leaf->result[0]->obj.hi + 1);
    return fv_rule_parse(ctx, leaf->loc, text, &rule) && fv_seed_fill(&rule, name, (uint64_t)s->seed, fovea_storage_of(dtype), *count, *out);
}
bool cli_bind(fv_ctx *ctx, cli_session *s, const fv_compiled *c, fovea_model *m) {
    fovea_error e;
    if (s->weights) return fovea_model_bind_file(m, fv_weights_file(s->weights), &e) ? cli_runtime_error(ctx, FV_E_WEIGHTS, &e) : true;
    const fv_graph *g = s->spec.graph;
    fovea_named_tensor *list = FV_NEWN(ctx, fovea_named_tensor, c->program.n_arrays + 1);
    int32_t n = 0;
    for (int32_t i = 0; fovea_model_param(m, i); i++) {
        const fovea_array *a = fovea_model_param(m, i);
        for (int j = 0; j < g->n_nodes; j++) {
            const fv_node *leaf = g->node[j];
            if (leaf->op != FV_NODE_PARAM || strcmp(fv_cstr(ctx, leaf->u.leaf.name), a->name) != 0) continue;
            void *data;
            int64_t count;
            if (!cli_leaf(ctx, s, leaf, a->dtype, &data, &count)) return false;
            int64_t *shape = FV_NEWN(ctx, int64_t, FOVEA_MAX_RANK);
            memcpy(shape, a->shape, sizeof a->shape);
            list[n++] = (fovea_named_tensor){a->name, fovea_tensor(data, a->dtype, a->rank, shape)};
            break;
        }
    }
    return fovea_model_bind(m, list, n, &e) ? cli_runtime_error(ctx, FV_E_WEIGHTS, &e) : true;
}
