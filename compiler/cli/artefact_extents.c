/* Libraries of several shapes: their programs, and what their headers and manifests say of extents. */
#include "cli/artefact.h"
#include "io/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* -- Programs ---- */
static bool trace(fv_ctx *ctx, cli_session *s, const cli_artefact *a, const int64_t *extents) {
    fv_spec_options o = s->options;
    cli_bounds_put(ctx, &a->bounds, extents, &o);
    return cli_session_trace(ctx, s, &o);
}
bool cli_artefact_retrace(fv_ctx *ctx, cli_session *s, const cli_artefact *a, int shape) {
    return trace(ctx, s, a, a->bounds.tried + (ptrdiff_t)shape * a->bounds.n);
}
bool cli_artefact_family(fv_ctx *ctx, cli_session *s, const cli_artefact *a, const fv_driver_options *o,
                         fv_compiled *out) {
    const cli_bounds *b = &a->bounds;
    fv_compiled *planned = FV_NEWN(ctx, fv_compiled, b->n_programs + 1);
    const char **label = FV_NEWN(ctx, const char *, b->n_programs + 1), *name = fv_cstr(ctx, s->spec.graph->name);
    const fv_graph *most = s->spec.graph;
    double seconds = 0;
    if (!cli_bounds_apart(ctx, b, most)) return false;
    for (int i = 0; i < b->n_programs; i++) {
        const int64_t *extents = b->program + (ptrdiff_t)i * b->n;
        label[i] = cli_bounds_name(ctx, b, extents);
        cli_progress("compiling %s for %s", s->name, label[i]);
        if (!trace(ctx, s, a, extents) || !cli_bounds_alike(ctx, b, most, s->spec.graph, extents) ||
            !fv_compile_plan(ctx, s->spec.graph, (fv_str){0}, o, &planned[i]))
            return false;
        seconds += planned[i].lower_seconds;
    }
    fovea_shapes shapes = {
        .bounds = b->text, .extents = b->extent, .at = b->program, .n_extents = b->n, .n_programs = b->n_programs};
    if (!fv_compile_family(ctx, name, o, planned, label, &shapes, out)) return false;
    out->lower_seconds = seconds;
    return cli_artefact_retrace(ctx, s, a, 0);
}
const fovea_program *cli_artefact_shown(fv_ctx *ctx, const cli_artefact *a) {
    const cli_bounds *b = &a->bounds;
    fovea_program *p = FV_NEW(ctx, fovea_program);
    *p = a->level[0].compiled.program;
    if (b->range < 0 || !b->n) return p;
    fovea_array *arrays = FV_NEWN(ctx, fovea_array, p->n_arrays + 1);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        arrays[i] = p->arrays[i];
        if (arrays[i].place > FOVEA_OUTPUT) continue;
        arrays[i].bytes = arrays[i].bytes / arrays[i].shape[0] * b->extent[b->range].most;
        arrays[i].shape[0] = b->extent[b->range].most;
    }
    p->arrays = arrays;
    return p;
}

/* -- Texts ---- */
static const char *upper(fv_ctx *ctx, const char *name) {
    char *s = fv_strdup(ctx, name);
    for (char *c = s; *c; c++) *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    return s;
}
void cli_artefact_extents_header(fv_ctx *ctx, const cli_artefact *a, fv_buf *b) {
    const cli_bounds *x = &a->bounds;
    const char *u = a->upper, *n = a->name;
    fv_buf_printf(b, "\n/* -- Extents: %s ---- */\n#define %s_EXTENTS %d\n", x->text, u, x->n);
    for (int i = 0; i < x->n; i++) {
        const fovea_bounds *e = &x->extent[i];
        const char *axis = upper(ctx, e->name);
        fv_buf_printf(b, "#define %s_EXTENT_%s %d\n#define %s_%s_MIN %" PRId64 "\n#define %s_%s_MAX %" PRId64 "\n", u,
                      axis, i, u, axis, e->least, u, axis, e->most);
        if (!e->sizes) continue;
        fv_buf_printf(b, "#define %s_%s_SIZES {", u, axis);
        for (int k = 0; k < e->n_sizes; k++) fv_buf_printf(b, "%s%" PRId64, k ? ", " : "", e->sizes[k]);
        fv_buf_puts(b, "}\n");
    }
    fv_buf_printf(b,
                  "/* A model is opened for the largest of them, and then takes every other. With less memory:\n *\n"
                  " *     int64_t extents[%s_EXTENTS] = {%" PRId64,
                  u, x->tried[0]);
    for (int i = 1; i < x->n; i++) fv_buf_printf(b, ", %" PRId64, x->tried[i]);
    fv_buf_printf(
        b,
        "};\n *     fovea_options options = {.extents = extents, .n_extents = %s_EXTENTS};\n"
        " *     %s_open(NULL, &options, &model, &err);   a model for these, or fewer of a range\n"
        " *     %s_resize(model, extents, %s_EXTENTS, &err);   from one run to another\n *\n"
        " * %s_measure(%s_program(), &options, …) says what such a model needs: total - prepared,\n"
        " * if it is opened with its weights. %s_input and %s_output say the shapes at present, which\n"
        " * %s_run takes; %s_run_dlpack goes by its inputs' shapes. Outside the bounds: FOVEA_E_SHAPE. Shapes\n"
        " * and bytes above are those of the largest extents. */\n",
        u, n, n, u, n, n, n, n, n, n);
}
void cli_artefact_extents_manifest(const cli_artefact *a, fv_buf *b) {
    const cli_bounds *x = &a->bounds;
    fv_buf_puts(b, "  \"bounds\": ");
    fv_json_quote(b, x->text);
    fv_buf_puts(b, ",\n  \"extents\": [");
    for (int i = 0; i < x->n; i++) {
        const fovea_bounds *e = &x->extent[i];
        fv_buf_puts(b, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        fv_json_quote(b, e->name);
        fv_buf_printf(b, ", \"least\": %" PRId64 ", \"most\": %" PRId64, e->least, e->most);
        for (int k = 0; k < e->n_sizes; k++) fv_buf_printf(b, "%s%" PRId64, k ? ", " : ", \"sizes\": [", e->sizes[k]);
        fv_buf_puts(b, e->sizes ? "]}" : "}");
    }
    fv_buf_puts(b, "\n  ],\n  \"tried\": [");
    for (int i = 0; i < x->n_tried; i++) {
        fv_buf_puts(b, i ? ", [" : "[");
        for (int k = 0; k < x->n; k++) fv_buf_printf(b, "%s%" PRId64, k ? ", " : "", x->tried[(ptrdiff_t)i * x->n + k]);
        fv_buf_puts(b, "]");
    }
    fv_buf_puts(b, "],\n");
}
