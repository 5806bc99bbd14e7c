/* What fovea build adds to fovea compile: a library that has its weights, as they are after prepare, and says in its
 * header, its manifest and its pkg-config file what a program has to know. */
#include "cli/artefact.h"
#include "io/json.h"

#include <inttypes.h>

/* -- Texts ---- */
void cli_artefact_deploy_header(const cli_artefact *a, fv_buf *b) {
    const char *n = a->name;
    fv_buf_printf(
        b,
        "/* A model that is ready to run, over the weights as they are after prepare: nothing is converted, packed or\n"
        " * copied. weights: the file %s.weights, which is mapped; NULL: those inside the library (FOVEA_E_ARGUMENT "
        "if\n"
        " * there are none). All of them are checked, by the threads of the model, as fast as memory is read "
        "(fovea_options.unchecked:\n"
        " * they are not): FOVEA_E_FORMAT, they are cut or damaged; FOVEA_E_WEIGHTS, they "
        "are\n"
        " * of another model, build or level of processor. FOVEA_E_PROCESSOR: this processor lacks what the code "
        "needs.\n"
        " * FOVEA_E_FILE, FOVEA_E_MEMORY, FOVEA_E_THREAD, FOVEA_E_ARGUMENT: as their names say. Of several levels the\n"
        " * best that this processor has is taken, and of the file only its weights are mapped. Free it with "
        "%s_dispose.\n"
        " * On failure *out is NULL.%s */\n"
        "fovea_status %s_open(const char *weights, const fovea_options *options, fovea_model **out, fovea_error "
        "*err);\n"
        "/* The same over the bytes of %s.weights in memory, aligned to 64 (else FOVEA_E_ARGUMENT); they outlive the\n"
        " * model. */\n"
        "fovea_status %s_open_memory(const void *weights, int64_t bytes, const fovea_options *options, fovea_model "
        "**out,\n"
        "                            fovea_error *err);\n"
        "int64_t %s_workspace_bytes(int32_t threads); /* what %s_OPEN_BYTES says */\n"
        "int64_t %s_weight_bytes(void);               /* what %s_WEIGHT_BYTES says */\n",
        n, n,
        a->n_devices
            ? "\n * Besides code for processors the library has OpenCL programs; options->backend says where the "
              "model\n * runs, and the function backend where it does and why. On a device its kernels are built when "
              "it is "
              "first opened\n * there, and kept in the user's cache; the weights are copied. FOVEA_E_DEVICE: the "
              "device asked for is\n * absent or refuses; while it runs: it was lost, and the next run takes it "
              "again."
            : "",
        n, n, n, n, a->upper, n, a->upper);
    if (a->known[0])
        fv_buf_printf(
            b,
            "/* Opens the model, runs it on inputs that are made by rule, and compares with what the build answered: "
            "bit\n"
            " * for bit where the same code runs, within a tolerance on other processors. FOVEA_OK: err->text says how "
            "well\n"
            " * they agree. FOVEA_E_ANSWER: they do not, and it names the output and the element; else the errors of\n"
            " * %s_open and %s_run. Allocates. */\n"
            "fovea_status %s_selftest(const char *weights, const fovea_options *options, fovea_error *err);\n",
            n, n, n);
}
void cli_incbin(fv_buf *b, const char *symbol, const char *path) {
    fv_buf_printf(b, "__asm__(\".pushsection .rodata\\n.balign 64\\n%s:\\n.incbin \\\"", symbol);
    for (const char *s = path; *s; s++) fv_buf_printf(b, *s == '"' || *s == '\\' ? "\\\\\\%c" : "%c", *s);
    fv_buf_puts(b, "\\\"\\n.popsection\");\n");
}
void cli_artefact_form_list(const cli_artefact *a, fv_buf *b) {
    bool inside = a->embedded && a->image;
    for (int i = 0; inside && i < cli_artefact_forms(a); i++) {
        if (a->level[i].same >= 0) continue;
        const char *symbol = fv_printf(a->level[0].compiled.plan->ctx, "%s_weights_%d", a->name, i);
        fv_buf_printf(b, "extern const unsigned char %s[] __attribute__((visibility(\"hidden\")));\n", symbol);
        cli_incbin(b, symbol, a->level[i].image);
    }
    fv_buf_puts(b, "static const fovea_form form_list[] = {\n");
    for (int i = 0; i < cli_artefact_forms(a); i++) {
        const cli_level *l = &a->level[i];
        fv_buf_printf(b, "    {PROGRAM(%d), UINT64_C(%" PRIu64 "), ", i, l->number);
        if (inside)
            fv_buf_printf(b, "%s_weights_%d, INT64_C(%" PRId64 ")},\n", a->name, l->same < 0 ? i : l->same,
                          l->image_bytes);
        else fv_buf_puts(b, "0, 0},\n");
    }
    fv_buf_printf(b, "};\nstatic const fovea_forms forms = {\"%s\", form_list, %d, %d, %s};\n", a->name, a->n_levels,
                  a->n_devices, a->known[0] ? "known" : "0");
}
void cli_artefact_deploy_program(const cli_artefact *a, fv_buf *b) {
    const char *n = a->name;
    fv_buf_printf(b,
                  "fovea_status %s_open(const char *weights, const fovea_options *options, fovea_model **out, "
                  "fovea_error *err) {\n    fovea_error lacks;\n    int i = choose(&lacks);\n"
                  "    return fovea_forms_open(&forms, i, lacks.text, &(fovea_weights){.file = weights}, options, out, "
                  "err);\n}\n",
                  n);
    fv_buf_printf(
        b,
        "fovea_status %s_open_memory(const void *weights, int64_t bytes, const fovea_options *options, "
        "fovea_model **out, fovea_error *err) {\n    fovea_error lacks;\n    int i = choose(&lacks);\n"
        "    return fovea_forms_open(&forms, i, lacks.text, &(fovea_weights){.in_memory = 1, .data = weights, "
        ".bytes = bytes}, options, out, err);\n}\n"
        "int64_t %s_workspace_bytes(int32_t threads) { return %s_OPEN_BYTES(threads); }\n"
        "int64_t %s_weight_bytes(void) { return %s_WEIGHT_BYTES; }\n",
        n, n, a->upper, n, a->upper);
    if (!a->known[0]) return;
    fv_buf_printf(b,
                  "fovea_status %s_selftest(const char *weights, const fovea_options *options, fovea_error *err) {\n"
                  "    fovea_model *model;\n    fovea_status status = %s_open(weights, options, &model, err);\n"
                  "    if (status) return status;\n    for (int i = 0; !status && i < %d; i++) status = "
                  "fovea_model_selftest(model, &known[i], err);\n"
                  "    fovea_model_dispose(model);\n    return status;\n}\n",
                  n, n, a->n_tried);
}
void cli_artefact_pc(const cli_artefact *a, fv_buf *b) {
    fv_buf_printf(
        b,
        "prefix=${pcfiledir}\nName: %s\nDescription: %s, compiled by fovea for %s\nVersion: %s\nCflags: -I${prefix}\n"
        "Libs: -L${prefix} -l:%s.a%s -lm%s\n",
        a->name, a->model, a->target, FOVEA_VERSION, a->name, a->single ? "" : " -lpthread",
        a->n_devices ? " -ldl" : "");
}
static void arrays(const cli_artefact *a, fovea_place place, const char *key, fv_buf *b) {
    const fovea_program *p = a->shown;
    int n = 0;
    fv_buf_printf(b, "  \"%s\": [", key);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *x = &p->arrays[i];
        if (x->place != place) continue;
        fv_buf_puts(b, n++ ? ",\n    {\"name\": " : "\n    {\"name\": ");
        fv_json_quote(b, x->name);
        fv_buf_printf(b, ", \"dtype\": \"%s\", \"shape\": [", fovea_dtype_name(x->dtype));
        for (int32_t d = 0; d < x->rank; d++) fv_buf_printf(b, "%s%" PRId64, d ? ", " : "", x->shape[d]);
        fv_buf_printf(b, "], \"bytes\": %" PRId64, x->bytes);
        if (x->index_bound) fv_buf_printf(b, ", \"index_bound\": %" PRId64, x->index_bound);
        fv_buf_puts(b, "}");
    }
    fv_buf_puts(b, n ? "\n  ],\n" : "],\n");
}
void cli_artefact_manifest(const cli_artefact *a, const char *files, fv_buf *b) {
    const struct {
        const char *key, *value;
    } texts[] = {{"name", a->name}, {"model", a->model}, {"target", a->target}, {"fovea", FOVEA_VERSION}};
    fv_buf_puts(b, "{\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fv_buf_printf(b, "  \"%s\": ", texts[i].key);
        fv_json_quote(b, texts[i].value);
        fv_buf_puts(b, ",\n");
    }
    if (files) fv_buf_printf(b, "  \"files\": %s,\n", files);
    fv_buf_printf(b, "  \"interface\": %d,\n  \"threads\": \"%s\",\n", CLI_INTERFACE, a->single ? "none" : "pool");
    if (a->bounds.n) cli_artefact_extents_manifest(a, b);
    arrays(a, FOVEA_INPUT, "inputs", b);
    arrays(a, FOVEA_OUTPUT, "outputs", b);
    if (files) arrays(a, FOVEA_PARAM, "parameters", b);
    fv_buf_printf(b, "  \"storage\": \"%s\",\n", fv_type_name(a->storage));
    if (a->storage_error >= 0) fv_buf_printf(b, "  \"storage_error\": %.3g,\n", a->storage_error);
    fv_buf_puts(b, "  \"levels\": [");
    for (int i = 0; i < a->n_levels; i++) {
        const cli_level *l = &a->level[i];
        fv_buf_puts(b, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        fv_json_quote(b, l->name);
        fv_buf_printf(b,
                      ", \"launches\": %d, \"arena_bytes\": %" PRId64 ", \"prepared_bytes\": %" PRId64
                      ", \"weight_bytes\": %" PRId64 "}",
                      l->compiled.program.n_run, l->compiled.program.arena_bytes, l->compiled.program.prepared_bytes,
                      a->image ? l->image_bytes : 0);
    }
    fv_buf_puts(b, "\n  ],\n  \"devices\": [");
    for (int i = a->n_levels; i < cli_artefact_forms(a); i++) {
        const cli_level *l = &a->level[i];
        fv_buf_printf(b, "%s\n    {\"name\": \"%s\", \"launches\": %d, \"weight_bytes\": %" PRId64 ", \"weights_of\": ",
                      i > a->n_levels ? "," : "", l->name, l->compiled.program.n_run, a->image ? l->image_bytes : 0);
        if (a->image && l->same >= 0) fv_json_quote(b, a->level[l->same].name);
        else fv_buf_puts(b, "null");
        fv_buf_printf(b, ", \"binaries\": %d}", a->n_binaries && a->binary_form == i ? a->n_binaries : 0);
    }
    fv_buf_puts(b, a->n_devices ? "\n  ],\n" : "],\n");
    if (a->device_name) {
        fv_buf_puts(b, "  \"binaries_for\": ");
        fv_json_quote(b, a->device_name);
        fv_buf_puts(b, ",\n");
    }
    fv_buf_printf(b,
                  "  \"weights\": {\"bytes\": %" PRId64 ", \"inside\": %s},\n  \"preprocess\": %s,\n  \"classes\": "
                  "%s\n}\n",
                  a->image ? a->image_bytes : 0, a->embedded ? "true" : "false", a->preprocess ? a->preprocess : "null",
                  a->classes ? a->classes : "null");
}
