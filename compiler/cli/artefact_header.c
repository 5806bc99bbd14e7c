/* The header of a compiled model: what it takes and gives, how much memory, an example that compiles, and the runtime's
 * declarations under the names of the library, so that one header and one library are all a user needs. Invariant:
 * headers of several models can be included together. */
#include "cli/artefact.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *cli_comment(fv_ctx *ctx, const char *text) {
    char *copy = fv_strdup(ctx, text);
    for (char *s = copy; *s; s++)
        if ((unsigned char)*s < 32 || (*s == '/' && s > copy && s[-1] == '*') ||
            (*s == '*' && s > copy && s[-1] == '/'))
            *s = '_';
    return copy;
}
static int64_t count(const fovea_program *p, fovea_place place, int64_t *bytes) {
    int64_t n = 0;
    *bytes = 0;
    for (int32_t i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].place == place) {
            n++;
            *bytes += p->arrays[i].bytes;
        }
    return n;
}
static void tensors(fv_ctx *ctx, fv_buf *b, const fovea_program *p, fovea_place place, bool sizes) {
    int n = 0;
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place != place) continue;
        fv_buf_printf(b, " *   %3d  %-32s %s[", n++, cli_comment(ctx, a->name), fovea_dtype_name(a->dtype));
        for (int d = 0; d < a->rank; d++) fv_buf_printf(b, "%s%" PRId64, d ? ", " : "", a->shape[d]);
        fv_buf_puts(b, "]");
        if (sizes) fv_buf_printf(b, "  %" PRId64 " bytes, aligned to %" PRId64, a->bytes, fovea_dtype_size(a->dtype));
        if (a->index_bound) fv_buf_printf(b, ", elements in 0..%" PRId64, a->index_bound - 1);
        fv_buf_puts(b, "\n");
    }
}
/* What processors each level is for. */
static void levels(fv_ctx *ctx, const cli_artefact *a, fv_buf *b) {
    fv_buf_printf(b, " *\n * Processor: %s, with code for:\n", a->level[0].x86 ? "x86-64" : "AArch64");
    for (int i = 0; i < a->n_levels; i++) {
        const cli_level *l = &a->level[i];
        fv_buf_printf(b, " *   %-8s needs%s", cli_comment(ctx, l->name), *l->needs || l->amx ? "" : " nothing more");
        for (const char *f = l->needs; *f; f += strcspn(f, " ") + 1) fv_buf_printf(b, " %.*s", (int)strcspn(f, " "), f);
        fv_buf_puts(b, l->amx ? " and AMX tiles with bf16, permitted by the system\n" : "\n");
    }
    fv_buf_printf(b,
                  " * %s_level() says which of them runs here. A processor that has none of them is refused "
                  "(FOVEA_E_PROCESSOR),\n * before any of its code is run.\n",
                  a->name);
}
/* Rules, in the names of this library. '@': the name, '$': in capitals. */
static void rules(const cli_artefact *a, fv_buf *b, const char *text) {
    for (const char *s = text; *s; s++) {
        if (*s == '@') fv_buf_puts(b, a->name);
        else if (*s == '$') fv_buf_puts(b, a->upper);
        else fv_buf_putn(b, s, 1);
    }
}
static void example(fv_buf *b, const cli_artefact *a) {
    static const char *const lines[] = {
        "#include <stdio.h>",
        "#include <stdlib.h>",
        "#include <string.h>",
        "#include \"@.h\"",
        "",
        "?/* inputs.safetensors outputs.safetensors [@.weights, where they are not inside] */",
        "!/* weights.safetensors inputs.safetensors outputs.safetensors */",
        "int main(int argc, char **argv) {",
        "?    fovea_error err = {FOVEA_OK, \"two or three files are needed\"};",
        "?    fovea_safetensors *given = NULL;",
        "!    fovea_error err = {FOVEA_OK, \"three files are needed\"};",
        "!    fovea_safetensors *weights = NULL, *given = NULL;",
        "    fovea_model *model = NULL;",
        "    const void *in[$_INPUTS + 1];",
        "    void *out[$_OUTPUTS + 1];",
        "    fovea_stored result[$_OUTPUTS + 1];",
        "    const fovea_array *x;",
        "%    DLTensor shape[$_INPUTS];",
        "    memset(result, 0, sizeof result);",
        "?    if (argc < 3 || @_open(argc > 3 ? argv[3] : NULL, NULL, &model, &err) ||",
        "?        @_safetensors_open(argv[1], &given, &err)) goto failed;",
        "!    if (argc != 4 || @_load(NULL, &model, &err) || @_safetensors_open(argv[1], &weights, &err) ||",
        "!        @_bind(model, weights, &err) || @_safetensors_open(argv[2], &given, &err)) goto failed;",
        "%    for (int i = 0; (x = @_input(model, i)); i++) {  /* extents as in the file */",
        "%        const fovea_stored *t = @_safetensors_find(given, x->name);",
        "%        snprintf(err.text, sizeof err.text, \"%s is not among the inputs\", x->name);",
        "%        if (!t) goto failed;",
        "%        shape[i] = @_tensor(0, x->dtype, t->rank, (int64_t *)t->shape);",
        "%    }",
        "%    if (@_fit(model, shape, $_INPUTS, &err)) goto failed;",
        "    for (int i = 0; (x = @_input(model, i)); i++) {",
        "        const fovea_stored *t = @_safetensors_find(given, x->name);",
        "        void *data = malloc((size_t)x->bytes + 1);",
        "        if (!t || t->bytes != x->bytes || !@_stored_convert(t, x->dtype, data, NULL)) {",
        "            snprintf(err.text, sizeof err.text, \"%s is not among the inputs, or not as it has to be\", "
        "x->name);",
        "            goto failed;",
        "        }",
        "        in[i] = data;",
        "    }",
        "    for (int i = 0; (x = @_output(model, i)); i++) {",
        "        out[i] = malloc((size_t)x->bytes + 1);",
        "        result[i].name = x->name;",
        "        result[i].storage = @_storage_of(x->dtype);",
        "        result[i].rank = x->rank;",
        "        memcpy(result[i].shape, x->shape, sizeof x->shape);",
        "        result[i].data = out[i];",
        "    }",
        "?    if (@_run(model, in, out, &err) ||",
        "?        @_safetensors_write(argv[2], result, $_OUTPUTS, NULL, &err)) goto failed;",
        "!    if (@_run(model, in, out, &err) ||",
        "!        @_safetensors_write(argv[3], result, $_OUTPUTS, NULL, &err)) goto failed;",
        "    return 0; /* the system takes the memory back */",
        "failed:",
        "    fprintf(stderr, \"%s\\n\", err.text);",
        "    return 1;",
        "}"};
    fv_buf_printf(b, "\n#if 0  /* An example. Save it as main.c, then: cc -std=c11 main.c %s.%s%s -lm -o main */\n",
                  a->name, a->deployed ? "a" : "o", a->single ? "" : " -lpthread");
    bool with = a->deployed && a->image;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *from = lines[i]; /* "?": of a library with its weights, "!": without, "%": of several shapes */
        if (*from == (with ? '!' : '?') || (*from == '%' && !a->bounds.n)) continue;
        if (*from == (with ? '?' : '!') || *from == '%') from++;
        rules(a, b, from);
        fv_buf_puts(b, "\n");
    }
    fv_buf_puts(b, "#endif  /* end of the example */\n");
}
/* Kernels of another processor have no address here; the size does not depend on them. */
static void stand_in(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)args, (void)begin, (void)end, (void)scratch;
}
static fovea_program with_stand_ins(fv_ctx *ctx, const fovea_program *given) {
    fovea_program p = *given;
    fovea_launch *list[2] = {FV_NEWN(ctx, fovea_launch, p.n_prepare + 1), FV_NEWN(ctx, fovea_launch, p.n_run + 1)};
    for (int i = 0; i < p.n_prepare; i++) {
        list[0][i] = p.prepare[i];
        list[0][i].kernel = stand_in;
    }
    for (int i = 0; i < p.n_run; i++) {
        list[1][i] = p.run[i];
        list[1][i].kernel = stand_in;
    }
    p.prepare = list[0];
    p.run = list[1];
    return p;
}
static bool workspace(fv_ctx *ctx, const fovea_program *given, int32_t threads, fovea_workspace *w) {
    fovea_program p = with_stand_ins(ctx, given);
    fovea_options o = {.threads = threads};
    fovea_shapes shapes;
    fovea_error e;
    if (p.shapes) {
        shapes = *p.shapes;
        fovea_program *programs = FV_NEWN(ctx, fovea_program, shapes.n_programs + 1);
        for (int32_t i = 0; i < shapes.n_programs; i++) {
            programs[i] = with_stand_ins(ctx, &p.shapes->programs[i]);
            programs[i].prepare = p.prepare;
            programs[i].shapes = &shapes;
        }
        shapes.programs = programs;
        p = programs[0];
    }
    return fovea_workspace_measure(&p, &o, w, &e) ? cli_runtime_error(ctx, FV_E_INTERNAL, &e) : true;
}
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
bool cli_artefact_measure(fv_ctx *ctx, const cli_artefact *a, cli_artefact_memory *out) {
    *out = (cli_artefact_memory){0};
    for (int i = 0; i < a->n_levels; i++) {
        const fovea_program *p = &a->level[i].compiled.program;
        fovea_workspace one, two, three;
        if (!workspace(ctx, p, 1, &one) || !workspace(ctx, p, 2, &two) || !workspace(ctx, p, 3, &three)) return false;
        if (three.total - two.total != two.total - one.total) {
            fv_error(ctx, FV_E_INTERNAL, (fv_loc){0}, "the workspace does not grow evenly with the threads");
            return false;
        }
        out->prepared = most(out->prepared, one.prepared);
        out->arena = most(out->arena, one.arena);
        out->total = most(out->total, one.total);
        out->opened = most(out->opened, one.total - one.prepared);
        out->per_thread = most(out->per_thread, two.total - one.total);
    }
    return true;
}
static void manual(fv_ctx *ctx, const cli_artefact *a, fv_buf *b) {
    const fovea_program *p = a->shown;
    int64_t bytes, n;
    fv_buf_printf(b, "/* %s: %s, compiled by fovea %s for %s. This header is the manual of its library.\n *\n", a->name,
                  cli_comment(ctx, a->model), FOVEA_VERSION, cli_comment(ctx, a->target));
    if (a->bounds.n)
        fv_buf_printf(b, " * Built for %s: see Extents below; shapes and bytes are those of the largest.\n",
                      a->bounds.text);
    n = count(p, FOVEA_INPUT, &bytes);
    fv_buf_printf(b, " * Inputs, in the order of run: %" PRId64 "\n", n);
    tensors(ctx, b, p, FOVEA_INPUT, true);
    n = count(p, FOVEA_OUTPUT, &bytes);
    fv_buf_printf(b, " * Outputs, in the order of run: %" PRId64 "\n", n);
    tensors(ctx, b, p, FOVEA_OUTPUT, true);
    n = count(p, FOVEA_PARAM, &bytes);
    fv_buf_printf(b, " * Parameters: %" PRId64 " of %" PRId64 " bytes%s\n", n, bytes,
                  n ? "; their names and shapes end this file." : ".");
    levels(ctx, a, b);
    rules(
        a, b,
        " *\n"
        " * Layout. Tensors are dense and row-major (the last extent lies closest), in this processor's order of "
        "bytes,\n"
        " * aligned to their element. Whatever is not so is refused (FOVEA_E_TENSOR).\n"
        " * Aliasing. An output overlaps neither another output nor an input nor a parameter: that is refused. Inputs\n"
        " * may overlap each other, and are never written.\n"
        " * Memory. Opening and binding allocate, or take the caller's block (fovea_options.memory, aligned to\n"
        " * $_MEMORY_ALIGN); run allocates nothing. The sizes stand below as constants.\n"
        " * Threads. A model may be used by one thread at a time. @_share makes further models over the same weights,\n"
        " * each of which may run at the same time as the others. ");
    rules(a, b,
          a->single
              ? "The library starts no threads: the work of a run\n * is done by the caller, or divided over its own "
                "threads (fovea_options.parallel).\n"
              : "The work of a run is divided over a small pool of\n * the model's own (fovea_options.threads), a "
                "pool that models share (@_pool_new), or the caller's threads\n * (fovea_options.parallel). A pool "
                "does not survive fork.\n");
    rules(
        a, b,
        " * The bits of an answer depend neither on the number of threads nor on the floating-point environment of "
        "the\n"
        " * caller.\n"
        " * Errors. Every function that can fail returns a status, FOVEA_OK being 0, and writes a text into `err` when "
        "it\n"
        " * is not NULL. Nothing prints, exits or aborts.\n"
        " * Versions. $_INTERFACE counts the functions @_…: they are added, never changed. fovea_options grows at its\n"
        " * end and says its size (`bytes`, which a program over libraries of several versions sets); fovea_workspace "
        "has\n"
        " * room; other structs that a caller makes never change.\n"
        " * What a function returns a pointer to may be longer than this header knows: ask for arrays one by one.\n"
        " * Names. The library shows @_… alone: several, of different versions, can be linked into one program, and\n"
        " * their headers included together. A model belongs to the functions of the library that made it.\n"
        " * Needs ");
    fv_buf_puts(b, a->single ? "libc and libm." : "libc, libm and pthreads.");
    fv_buf_puts(b, a->n_devices
                       ? " Drivers of OpenCL are looked for when a model is opened (with dlopen: before glibc 2.34\n"
                         " * link -ldl); it starts without any. */\n"
                       : " */\n");
}
static const char *type_constant(fovea_dtype t) {
    static const char *const names[] = {
        [FOVEA_F32] = "FOVEA_F32", [FOVEA_F16] = "FOVEA_F16", [FOVEA_BF16] = "FOVEA_BF16", [FOVEA_F64] = "FOVEA_F64",
        [FOVEA_I32] = "FOVEA_I32", [FOVEA_I64] = "FOVEA_I64", [FOVEA_U8] = "FOVEA_U8",     [FOVEA_BOOL] = "FOVEA_BOOL"};
    return names[t];
}
static void constants(const cli_artefact *a, const cli_artefact_memory *m, fv_buf *b) {
    const fovea_program *p = a->shown;
    const char *u = a->upper;
    int64_t inputs, outputs, params, n_in = count(p, FOVEA_INPUT, &inputs), n_out = count(p, FOVEA_OUTPUT, &outputs),
                                     n = count(p, FOVEA_PARAM, &params);
    fv_buf_printf(b,
                  "#define %s_INTERFACE %d\n#define %s_VERSION \"%s\" /* of the fovea that made it */\n"
                  "#define %s_INPUTS %" PRId64 "\n#define %s_OUTPUTS %" PRId64 "\n#define %s_PARAMETERS %" PRId64
                  "\n#define %s_PARAMETER_BYTES INT64_C(%" PRId64 ")\n",
                  u, CLI_INTERFACE, u, FOVEA_VERSION, u, n_in, u, n_out, u, n, u, params);
    for (int32_t place = 0; place < 2; place++) {
        int k = 0;
        for (int32_t i = 0; i < p->n_arrays; i++) {
            const fovea_array *x = &p->arrays[i];
            const char *what = place ? "OUTPUT" : "INPUT";
            if ((int32_t)x->place != place) continue;
            fv_buf_printf(b, "#define %s_%s_%d_NAME ", u, what, k);
            cli_quote(b, x->name);
            fv_buf_printf(b, "\n#define %s_%s_%d_TYPE %s\n#define %s_%s_%d_RANK %d\n", u, what, k,
                          type_constant(x->dtype), u, what, k, x->rank);
            if (x->rank) fv_buf_printf(b, "#define %s_%s_%d_SHAPE {", u, what, k);
            for (int d = 0; d < x->rank; d++) fv_buf_printf(b, "%s%" PRId64, d ? ", " : "", x->shape[d]);
            fv_buf_printf(b, "%s#define %s_%s_%d_BYTES INT64_C(%" PRId64 ")\n#define %s_%s_%d_ALIGN %" PRId64 "\n",
                          x->rank ? "}\n" : "", u, what, k, x->bytes, u, what, k, fovea_dtype_size(x->dtype));
            k++;
        }
    }
    fv_buf_printf(b, "#define %s_LEVELS %d\n#define %s_LEVEL_NAMES {", u, a->n_levels, u);
    for (int i = 0; i < a->n_levels; i++) {
        fv_buf_puts(b, i ? ", " : "");
        cli_quote(b, a->level[i].name);
    }
    fv_buf_printf(b,
                  "} /* the best first */\n\n"
                  "/* Memory of a model of %s_load%s: what is prepared once per weights, what a run works in,\n"
                  " * and the block of fovea_options.memory. */\n#define %s_MEMORY_ALIGN 64\n#define "
                  "%s_PREPARED_BYTES INT64_C(%" PRId64 ")\n#define %s_ARENA_BYTES INT64_C(%" PRId64
                  ")\n#define %s_WORKSPACE_BYTES(threads) (INT64_C(%" PRId64
                  ") + ((int64_t)(threads) - 1) * INT64_C(%" PRId64 "))\n",
                  a->name, a->n_levels > 1 ? ", the most of all levels" : "", u, u, m->prepared, u, m->arena, u,
                  m->total, m->per_thread);
    if (a->deployed)
        fv_buf_printf(
            b,
            "/* Of %s_open, where the weights lie prepared in their file: the block of fovea_options.memory. */\n"
            "#define %s_OPEN_BYTES(threads) (INT64_C(%" PRId64 ") + ((int64_t)(threads) - 1) * INT64_C(%" PRId64
            "))\n#define %s_WEIGHT_BYTES INT64_C(%" PRId64
            ") /* of the weights as they are after prepare; 0: built without */\n#define %s_WEIGHTS_INSIDE %d /* "
            "1: they are a part of the library */\n",
            a->name, u, m->opened, m->per_thread, u, a->image ? a->image_bytes : 0, u, a->embedded);
}
bool cli_artefact_header(fv_ctx *ctx, const cli_artefact *a, fv_buf *b) {
    const fovea_program *p = a->shown;
    const char *u = a->upper;
    cli_artefact_memory m;
    int64_t bytes;
    if (!cli_artefact_measure(ctx, a, &m)) return false;
    manual(ctx, a, b);
    fv_buf_printf(b, "#ifndef %s_H\n#define %s_H\n#include <stdint.h>\n\n", u, u);
    constants(a, &m, b);
    if (!cli_artefact_facts(ctx, a, b)) return false;
    if (a->bounds.n) cli_artefact_extents_header(ctx, a, b);
    example(b, a);
    fv_buf_printf(b, "\n/* -- Types, the same for every library ---- */\n%s", a->types);
    rules(a, b,
          "\n/* -- Functions ---- */\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n"
          "/* The level of processor whose code this processor gets (FOVEA_LEVEL of the environment names another that "
          "it "
          "has);\n * NULL: it can run none. */\nconst char *@_level(void);\n");
    if (a->deployed) cli_artefact_deploy_header(a, b);
    rules(a, b,
          "/* One answer: pointers to the tensors' elements, in the order above. Errors: FOVEA_E_STATE (no weights are "
          "bound),\n * FOVEA_E_TENSOR, FOVEA_E_GUARD (with options.check). */\nfovea_status @_run(fovea_model *model, "
          "const void *const *inputs, void *const *outputs, fovea_error *err);\n"
          "/* The program of that level, which nobody changes. */\nconst fovea_program *@_program(void);\n"
          "/* A model without weights, which @_bind or @_bind_tensors give: those of a checkpoint, by the published "
          "names. "
          "A\n * model without parameters needs none. FOVEA_E_PROCESSOR: this processor lacks what the code needs. */\n"
          "fovea_status @_load(const fovea_options *options, fovea_model **out, fovea_error *err);\n"
          "/* All of this, for programs that open the library while they run; also as fovea_library. */\n"
          "extern const fovea_description @_library;\n");
    fv_buf_printf(b, "%s#ifdef __cplusplus\n}\n#endif\n", a->functions);
    if (count(p, FOVEA_PARAM, &bytes)) {
        fv_buf_puts(b, "\n/* -- Parameters, found by name in a checkpoint ----\n");
        tensors(ctx, b, p, FOVEA_PARAM, false);
        fv_buf_puts(b, " */\n");
    }
    fv_buf_puts(b, "#endif\n");
    return true;
}
