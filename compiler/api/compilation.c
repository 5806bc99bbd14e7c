/* Compilations: see fovea_compiler.h. Invariant: whatever failed, a compilation can be asked for its remarks and
 * disposed. */
#include "api/fovea_compiler.h"
#include "api/given.h"
#include "api/records.h"
#include "driver/driver.h"
#include "dsl/dsl.h"
#include "io/weights.h"
#include "runtime/error.h"

#include <stdlib.h>
#include <string.h>

struct fovea_compilation {
    fv_ctx *ctx;
    bool ok;
    fv_spec spec;
    fv_weights *weights;
    fv_compiled compiled;
    const char *tuned;
    void **converted; /* parameters of a file that is not read in place; one block each */
    fovea_named_tensor *named;
    int32_t n_named;
};
typedef struct {
    const fovea_compile_options *o;
    const fv_weights *weights;
} source;

int32_t fovea_compiler_interface(void) { return FOVEA_COMPILER_INTERFACE; }
const char *fovea_compiler_version(void) { return FOVEA_VERSION; }

/* -- What the spec is given ---- */
static fv_type type_of(fovea_dtype t) {
    switch (t) {
    case FOVEA_F32:
    case FOVEA_F16:
    case FOVEA_BF16:
    case FOVEA_F64: return FV_F32;
    case FOVEA_BOOL: return FV_BOOL;
    case FOVEA_I32:
    case FOVEA_I64:
    case FOVEA_U8: break;
    }
    return FV_I32;
}
static bool find_shape(const fovea_shape *list, int32_t n, const char *name, fv_shape_info *out) {
    for (int32_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) != 0) continue;
        *out = (fv_shape_info){.name = name, .rank = list[i].rank, .type = type_of(list[i].dtype)};
        for (int d = 0; d < list[i].rank; d++) out->shape[d] = list[i].shape[d];
        return true;
    }
    return false;
}
static bool input_shape(void *user, const char *name, fv_shape_info *out) {
    const source *g = user;
    return find_shape(g->o->inputs, g->o->n_inputs, name, out);
}
static bool param_shape(void *user, const char *name, fv_shape_info *out) {
    const source *g = user;
    return g->weights ? fv_given_shape(fv_weights_find(g->weights, name), name, out)
                      : find_shape(g->o->params, g->o->n_params, name, out);
}
static bool usage(fv_ctx *ctx, const char *text) {
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%s", text);
    return false;
}
static bool shapes_fit(fv_ctx *ctx, const fovea_shape *list, int32_t n) {
    if (n < 0 || (n > 0 && !list)) return usage(ctx, "options: a count without its list");
    for (int32_t i = 0; i < n; i++)
        if (!list[i].name || list[i].rank < 0 || list[i].rank > FV_SPEC_MAX_RANK || (list[i].rank && !list[i].shape))
            return usage(ctx, "options: a shape has a name and at most 16 extents");
    return true;
}
static bool read_options(fv_ctx *ctx, const fovea_compile_options *o, fv_spec_options *s, fv_driver_options *d) {
    if (!shapes_fit(ctx, o->inputs, o->n_inputs) || !shapes_fit(ctx, o->params, o->n_params)) return false;
    if (o->n_settings < 0 || o->n_extents < 0 || (o->n_settings && !o->settings) || (o->n_extents && !o->extents))
        return usage(ctx, "options: a count without its list");
    const char **keys = FV_NEWN(ctx, const char *, o->n_settings + 1);
    const char **values = FV_NEWN(ctx, const char *, o->n_settings + 1);
    for (int32_t i = 0; i < o->n_settings; i++) {
        char *key = fv_strdup(ctx, o->settings[i]), *equals = strchr(key, '=');
        if (!equals || equals == key) return usage(ctx, "options: a setting is key=value");
        *equals = 0;
        keys[i] = key;
        values[i] = equals + 1;
    }
    const char **axes = FV_NEWN(ctx, const char *, o->n_extents + 1);
    int64_t *extents = FV_NEWN(ctx, int64_t, o->n_extents + 1);
    for (int32_t i = 0; i < o->n_extents; i++) {
        if (!o->extents[i].axis || o->extents[i].extent < 1) return usage(ctx, "options: an extent is at least 1");
        axes[i] = o->extents[i].axis;
        extents[i] = o->extents[i].extent;
    }
    s->config_json = o->config;
    s->set_key = keys;
    s->set_value = values;
    s->n_sets = o->n_settings;
    s->shape_name = axes;
    s->shape_value = extents;
    s->n_shapes = o->n_extents;
    s->spec_dir = o->specs;
    if (o->n_inputs) s->input_shape = input_shape;
    *d = (fv_driver_options){.backend = o->backend, .target = o->target, .device = o->device, .cache_dir = o->cache};
    d->storage = o->dtype ? fv_given_storage(o->dtype) : FV_F32;
    return d->storage != FV_VOID || usage(ctx, "options: dtype is f32, bf16 or f16");
}

/* -- Compiling: text NULL: the file at path ---- */
static bool trace(fovea_compilation *c, const char *path, const char *text, size_t n, const fovea_compile_options *o,
                  fv_driver_options *driver) {
    source g = {.o = o};
    fv_spec_options s = {.user = &g};
    if (!read_options(c->ctx, o, &s, driver)) return false;
    if (o->weights) {
        g.weights = c->weights = fv_weights_open(c->ctx, o->weights);
        if (!c->weights) return false;
    }
    if (c->weights || o->n_params) s.param_shape = param_shape;
    else s.declare = true;
    bool fine = text ? fv_spec_load_text(c->ctx, path, text, n, o->variant, &s, &c->spec)
                     : fv_spec_load(c->ctx, path, o->variant, &s, &c->spec);
    fine = fine && fv_given_axes(c->ctx, c->spec.graph, &s, "the extent ");
    if (c->weights && !fine) fv_given_misfits(c->ctx, c->weights, path, text, n, o->variant, s);
    return fine && (!c->weights || fv_given_weights(c->ctx, c->weights, c->spec.graph));
}
static fovea_compilation *compile(const char *path, const char *text, size_t n, const fovea_compile_options *given) {
    fovea_compile_options o = {0};
    fovea_compilation *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->ctx = fv_ctx_new();
    if (given) memcpy(&o, given, given->bytes < sizeof o ? given->bytes : sizeof o);
    fv_driver_options driver;
    fv_records records = {.said = ""};
    c->ok = path ? trace(c, path, text, n, &o, &driver) : usage(c->ctx, "no path");
    if (c->ok && o.records) c->ok = fv_records_open(c->ctx, o.records, o.threads, &records, &driver);
    c->ok = c->ok && fv_compile(c->ctx, c->spec.graph, (fv_str){0}, &driver, &c->compiled);
    fv_records_close(&records);
    c->tuned = records.said;
    return c;
}
fovea_compilation *fovea_compile_text(const char *name, const char *text, size_t bytes,
                                      const fovea_compile_options *options) {
    return compile(name && *name ? name : "spec", text ? text : "", text ? bytes : 0, options);
}
fovea_compilation *fovea_compile_file(const char *path, const fovea_compile_options *options) {
    return compile(path, NULL, 0, options);
}
void fovea_compilation_dispose(fovea_compilation *c) {
    if (!c) return;
    fv_compiled_dispose(&c->compiled);
    for (int32_t i = 0; i < c->n_named; i++) free(c->converted[i]);
    free(c->converted);
    free(c->named);
    fv_weights_close(c->weights);
    fv_ctx_dispose(c->ctx);
    free(c);
}

/* -- What it says ---- */
bool fovea_compilation_ok(const fovea_compilation *c) { return c && c->ok; }
int32_t fovea_compilation_remarks(const fovea_compilation *c) { return c ? fv_diag_count(c->ctx) : 0; }
fovea_remark fovea_compilation_remark(const fovea_compilation *c, int32_t i) {
    if (i < 0 || i >= fovea_compilation_remarks(c)) return (fovea_remark){.file = "", .text = "", .remedy = ""};
    const fv_diag *d = fv_diag_at(c->ctx, i);
    const char *remedy = d->is_note ? NULL : fv_code_remedy((int)d->code);
    return (fovea_remark){.note = d->is_note,
                          .code = d->is_note ? 0 : (int32_t)d->code,
                          .line = d->loc.line,
                          .file = fv_cstr(c->ctx, d->loc.file),
                          .text = d->text,
                          .remedy = remedy ? remedy : ""};
}
const fovea_program *fovea_compilation_program(const fovea_compilation *c) {
    return fovea_compilation_ok(c) ? &c->compiled.program : NULL;
}
const char *fovea_compilation_preprocess(const fovea_compilation *c) { return c ? c->spec.preprocess_json : NULL; }
const char *fovea_compilation_classes(const fovea_compilation *c) { return c ? c->spec.labels_json : NULL; }
const char *fovea_compilation_printed(const fovea_compilation *c) {
    return c && c->spec.printed ? c->spec.printed : "";
}
const char *fovea_compilation_tuned(const fovea_compilation *c) { return c && c->tuned ? c->tuned : ""; }
const char *fovea_compilation_target(const fovea_compilation *c) {
    return fovea_compilation_ok(c) ? c->compiled.target->name : "";
}

/* -- Models ---- */
/* The parameters of a file that is not safetensors, or whose names are others: converted once, by the first
 * model. */
static fovea_status convert(fovea_compilation *c, fovea_model *m, fovea_error *err) {
    int32_t n = 0;
    while (fovea_model_param(m, n)) n++;
    if (!c->converted) c->converted = calloc((size_t)n + 1, sizeof *c->converted);
    if (!c->named) c->named = calloc((size_t)n + 1, sizeof *c->named);
    if (!c->converted || !c->named) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for %d parameters", n);
    for (; c->n_named < n; c->n_named++) {
        const fovea_array *a = fovea_model_param(m, c->n_named);
        const fovea_stored *t = fv_weights_find(c->weights, a->name);
        void *data = malloc((size_t)a->bytes + 1);
        if (!data) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for the parameter %s", a->name);
        c->converted[c->n_named] = data;
        if (!t || t->count * fovea_dtype_size(a->dtype) != a->bytes || !fovea_stored_convert(t, a->dtype, data, NULL)) {
            free(data);
            return fovea_fail(err, FOVEA_E_WEIGHTS, "parameter \"%s\": an element does not become %s", a->name,
                              fovea_dtype_name(a->dtype));
        }
        c->named[c->n_named] =
            (fovea_named_tensor){a->name, fovea_tensor(data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape)};
    }
    return FOVEA_OK;
}
static fovea_status bind(fovea_compilation *c, fovea_model *m, fovea_error *err) {
    const fovea_safetensors *file = fv_weights_file(c->weights);
    if (file) return fovea_model_bind_file(m, file, err);
    fovea_status status = convert(c, m, err);
    return status ? status : fovea_model_bind(m, c->named, c->n_named, err);
}
fovea_status fovea_compilation_load(fovea_compilation *c, const fovea_options *options, fovea_model **out,
                                    fovea_error *err) {
    if (out) *out = NULL;
    if (!fovea_compilation_ok(c) || !out) return fovea_fail(err, FOVEA_E_ARGUMENT, "nothing was compiled");
    const fovea_program *p = &c->compiled.program;
    for (int i = 0; i < p->n_run; i++)
        if (!p->executor && !p->run[i].kernel)
            return fovea_fail(err, FOVEA_E_PROGRAM, "code of backend '%s' for '%s' cannot run in this process",
                              c->compiled.backend->name, c->compiled.target->name);
    fovea_status status = fovea_model_load(p, options, out, err);
    if (!status && c->weights) status = bind(c, *out, err);
    if (status) {
        fovea_model_dispose(*out);
        *out = NULL;
    }
    return status;
}
