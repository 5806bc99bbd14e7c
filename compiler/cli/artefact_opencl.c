/* The OpenCL part of a library: see artefact_opencl.h. Texts and binaries stand in files that the assembler takes in;
 * texts in their short form (runtime/tables.h), which is lengthened when a device is first opened.
 * Invariant: the order of texts depends on the programs alone, so that whoever asks finds the same offsets. */
#include "cli/artefact_opencl.h"
#include "io/file.h"
#include "io/tables.h"
#include "runtime/executor.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
    const char *source;
    int64_t offset;
} text;
typedef struct {
    text *list;
    int n, cap;
    int64_t bytes;
} texts;
static int64_t place(fv_ctx *ctx, texts *t, const char *source) {
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->list[i].source, source)) return t->list[i].offset;
    text one = {source, t->bytes};
    fv_push(ctx, t->list, t->n, t->cap, one);
    t->bytes += (int64_t)strlen(source) + 1;
    return one.offset;
}
/* The code of number `code` in a form; NULL: no launch has it. */
static const fovea_device_code *find(const cli_level *l, int code) {
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < l->compiled.plan->n_launches[w]; i++)
            if (l->compiled.plan->launch[w][i]->code == code)
                return (w ? l->compiled.program.run : l->compiled.program.prepare)[i].code;
    return NULL;
}
static int codes(const cli_level *l) {
    int n = 0;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < l->compiled.plan->n_launches[w]; i++)
            if (l->compiled.plan->launch[w][i]->code >= n) n = l->compiled.plan->launch[w][i]->code + 1;
    return n;
}
static fv_ctx *memory(const cli_artefact *a) { return a->level[0].compiled.plan->ctx; }
static texts gather(const cli_artefact *a) {
    texts t = {0};
    for (int f = a->n_levels; f < cli_artefact_forms(a); f++)
        for (int i = 0; i < codes(&a->level[f]); i++) {
            const fovea_device_code *c = find(&a->level[f], i);
            if (c) place(memory(a), &t, c->source);
        }
    return t;
}
static const char *file(fv_ctx *ctx, const char *folder, const char *what) {
    return fv_printf(ctx, "%s/opencl_%s", folder, what);
}
bool cli_opencl_files(fv_ctx *ctx, cli_artefact *a, const char *folder) {
    if (!a->n_devices) return true;
    texts t = gather(a);
    fv_buf all = {0}, brief = {0}, binaries = {0};
    for (int i = 0; i < t.n; i++) fv_buf_putn(&all, t.list[i].source, strlen(t.list[i].source) + 1);
    fv_tables_shorten(all.text, all.len, &brief);
    bool fine = fv_file_write(ctx, file(ctx, folder, "texts"), brief.text, brief.len);
#ifdef FOVEA_HAVE_OPENCL
    if (fine && a->device)
        fine = cli_opencl_build(ctx, a, &binaries) &&
               fv_file_write(ctx, file(ctx, folder, "binaries"), binaries.text, binaries.len);
#endif
    fv_buf_dispose(&all);
    fv_buf_dispose(&brief);
    fv_buf_dispose(&binaries);
    return fine;
}

/* -- As C ---- */
static void take_in(fv_buf *b, const cli_artefact *a, const char *folder, const char *what) {
    fv_buf_printf(b, "extern const char %s_opencl_%s[] __attribute__((visibility(\"hidden\")));\n", a->name, what);
    cli_incbin(b, fv_printf(memory(a), "%s_opencl_%s", a->name, what), file(memory(a), folder, what));
}
static void form(fv_buf *b, const cli_artefact *a, int f, texts *t) {
    const cli_level *l = &a->level[f];
    fv_buf_printf(b, "static const fovea_device_code codes_%d[] = {\n", f);
    for (int i = 0; i < codes(l); i++) {
        const fovea_device_code *c = find(l, i);
        if (!c) {
            fv_buf_puts(b, "    {0},\n");
            continue;
        }
        fv_buf_puts(b, "    {");
        cli_quote(b, c->entry);
        fv_buf_printf(b, ", texts + %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "},\n",
                      place(memory(a), t, c->source), c->groups, c->items, c->local_bytes, c->far_bytes);
    }
    fv_buf_puts(b, "    {0}};\n");
    bool with = a->n_binaries && a->binary_form == f;
    if (with) {
        fv_buf_printf(b, "static const fovea_opencl_binary binaries_%d[] = {\n", f);
        for (int i = 0; i < a->n_binaries; i++) {
            const cli_opencl_binary *x = &a->binary[i];
            fv_buf_puts(b, "    {");
            cli_quote(b, x->key);
            fv_buf_printf(b,
                          ", texts + %" PRId64 ", (const unsigned char *)%s_opencl_binaries + %" PRId64
                          ", INT64_C(%" PRId64 ")},\n",
                          place(memory(a), t, x->source), a->name, x->offset, x->bytes);
        }
        fv_buf_puts(b, "};\n");
    }
    fv_buf_printf(
        b,
        "static const fovea_opencl_options device_%d = {.own_cache = 1, .ready = texts_ready, .kind = FOVEA_OPENCL_%s",
        f, l->vectors ? "VECTORS" : "ITEMS");
    if (with) fv_buf_printf(b, ", .binaries = binaries_%d, .n_binaries = %d", f, a->n_binaries);
    fv_buf_puts(b, "};\n");
}
void cli_opencl_program(const cli_artefact *a, const char *folder, fv_buf *b) {
    if (!a->n_devices) return;
    texts t = gather(a);
    fv_buf_puts(b, "#include \"opencl/opencl.h\"\n");
    take_in(b, a, folder, "texts");
    fv_buf_printf(b,
                  "static char texts[%" PRId64
                  "];\nstatic void lengthen(void) {\n    fovea_tables_lengthen((const unsigned char "
                  "*)%s_opencl_texts, (unsigned char *)texts);\n}\nstatic void texts_ready(void) {\n    static _Atomic "
                  "int ready;\n    once(&ready, lengthen);\n}\n",
                  t.bytes + 1, a->name);
    if (a->n_binaries) take_in(b, a, folder, "binaries");
    for (int f = a->n_levels; f < cli_artefact_forms(a); f++) form(b, a, f, &t);
}
