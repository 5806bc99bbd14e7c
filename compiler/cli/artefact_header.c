/* The header of a compiled model: what it takes and gives, how much memory, an example that compiles, and the runtime's
 * own declarations, so that one header and one library are all a user needs. Invariant: headers of several models can
 * be included together. */
#include "cli/artefact.h"
#include "io/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *cli_runtime_folder(fv_ctx *ctx) {
    const char *e = getenv("FOVEA_RUNTIME");
    return e && *e ? e : fv_printf(ctx, "%s/runtime", FOVEA_SOURCE_DIR);
}
const char *cli_comment(fv_ctx *ctx, const char *text) {
    char *copy = fv_strdup(ctx, text);
    for (char *s = copy; *s; s++)
        if ((unsigned char)*s < 32 || (*s == '/' && s > copy && s[-1] == '*') ||
            (*s == '*' && s > copy && s[-1] == '/'))
            *s = '_';
    return copy;
}
/* A runtime header without the lines that include its neighbours: they are all here, in order, each under its own
 * guard. */
static bool embed(fv_ctx *ctx, const char *name, fv_buf *out) {
    fv_bytes text;
    if (!fv_file_read(ctx, fv_printf(ctx, "%s/%s", cli_runtime_folder(ctx), name), 1 << 20, &text)) return false;
    for (char *s = (char *)text.data, *next; s && *s; s = next) {
        next = strchr(s, '\n');
        size_t n = next ? (size_t)(next++ - s) : strlen(s);
        if (strncmp(s, "#include \"", 10) != 0) {
            fv_buf_putn(out, s, n);
            fv_buf_puts(out, "\n");
        }
    }
    fv_bytes_dispose(&text);
    return true;
}
static void tensors(fv_ctx *ctx, fv_buf *b, const fovea_program *p, fovea_place place, const char *title, int most) {
    int n = 0, shown = 0;
    for (int32_t i = 0; i < p->n_arrays; i++) n += p->arrays[i].place == place;
    fv_buf_printf(b, " * %s: %d%s\n", title, n, n ? "" : " (none)");
    for (int32_t i = 0; i < p->n_arrays && shown < most; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place != place) continue;
        fv_buf_printf(b, " *   %3d  %-32s %s[", shown++, cli_comment(ctx, a->name), fovea_dtype_name(a->dtype));
        for (int d = 0; d < a->rank; d++) fv_buf_printf(b, "%s%" PRId64, d ? ", " : "", a->shape[d]);
        fv_buf_puts(b, "]");
        if (a->index_bound) fv_buf_printf(b, "  elements in 0..%" PRId64, a->index_bound - 1);
        fv_buf_puts(b, "\n");
    }
    if (n > shown) fv_buf_printf(b, " *   … and %d more: %s\n", n - shown, "fovea_program.arrays lists all");
}
static void example(fv_buf *b, const cli_artefact *a) {
    static const char *const lines[] = {
        "#include <stdio.h>",
        "#include <stdlib.h>",
        "#include <string.h>",
        "#include \"@.h\"",
        "",
        "?int main(int argc, char **argv) {                      /* inputs.safetensors outputs.safetensors [weights "
        "of this library] */",
        "!int main(int argc, char **argv) {                      /* weights.safetensors inputs.safetensors "
        "outputs.safetensors */",
        "?    fovea_error err = {FOVEA_OK, \"two or three files are needed\"};",
        "?    fovea_safetensors *given = NULL;",
        "!    fovea_error err = {FOVEA_OK, \"three files are needed\"};",
        "!    fovea_safetensors *weights = NULL, *given = NULL;",
        "    fovea_model *model = NULL;",
        "    const void *in[$_INPUTS + 1];",
        "    void *out[$_OUTPUTS + 1];",
        "    fovea_stored result[$_OUTPUTS + 1];",
        "    const fovea_array *x;",
        "    memset(result, 0, sizeof result);",
        "?    if (argc < 3 || @_open(argc > 3 ? argv[3] : NULL, NULL, &model, &err) || fovea_safetensors_open(argv[1], "
        "&given, &err)) goto failed;",
        "!    if (argc != 4 || @_load(NULL, &model, &err) || fovea_safetensors_open(argv[1], &weights, &err) || "
        "@_bind(model, weights, &err) ||",
        "!        fovea_safetensors_open(argv[2], &given, &err)) goto failed;",
        "    for (int i = 0; (x = fovea_model_input(model, i)); i++) {",
        "        const fovea_stored *t = fovea_safetensors_find(given, x->name);",
        "        void *data = malloc((size_t)x->bytes + 1);",
        "        if (!t || t->bytes != x->bytes || !fovea_stored_convert(t, x->dtype, data, NULL)) goto failed;",
        "        in[i] = data;",
        "    }",
        "    for (int i = 0; (x = fovea_model_output(model, i)); i++) {",
        "        out[i] = malloc((size_t)x->bytes + 1);",
        "        result[i].name = x->name;",
        "        result[i].storage = fovea_storage_of(x->dtype);",
        "        result[i].rank = x->rank;",
        "        memcpy(result[i].shape, x->shape, sizeof x->shape);",
        "        result[i].data = out[i];",
        "    }",
        "?    if (@_run(model, in, out, &err) || fovea_safetensors_write(argv[2], result, $_OUTPUTS, NULL, &err)) goto "
        "failed;",
        "!    if (@_run(model, in, out, &err) || fovea_safetensors_write(argv[3], result, $_OUTPUTS, NULL, &err)) goto "
        "failed;",
        "    return 0;                                            /* the system takes the memory back */",
        "failed:",
        "    fprintf(stderr, \"%s\\n\", err.text);",
        "    return 1;",
        "}"};
    fv_buf_printf(b, "\n#if 0  /* An example. Save it as main.c, then: cc -std=c11 main.c %s.%s%s -lm -o main */\n",
                  a->name, a->deployed ? "a" : "o", a->single ? "" : " -lpthread");
    bool with = a->deployed && a->image;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *from = lines[i]; /* "?": of a library with its weights, "!": of one without */
        if (*from == (with ? '!' : '?')) continue;
        if (*from == (with ? '?' : '!')) from++;
        for (const char *s = from; *s; s++) {
            if (*s == '@') fv_buf_puts(b, a->name);
            else if (*s == '$') fv_buf_puts(b, a->upper);
            else fv_buf_putn(b, s, 1);
        }
        fv_buf_puts(b, "\n");
    }
    fv_buf_puts(b, "#endif  /* end of the example */\n");
}
/* Kernels of another processor have no address here; the size does not depend on them. */
static void stand_in(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)args, (void)begin, (void)end, (void)scratch;
}
static bool workspace(fv_ctx *ctx, const fovea_program *given, int32_t threads, fovea_workspace *w) {
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
    fovea_options o = {.threads = threads};
    fovea_error e;
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
bool cli_artefact_header(fv_ctx *ctx, const cli_artefact *a, fv_buf *b) {
    static const char *const headers[] = {"dlpack.h", "program.h",  "fovea.h",   "safetensors.h",
                                          "image.h",  "selftest.h", "library.h", "tiles.h"};
    const fovea_program *p = &a->level[0].compiled.program;
    const char *u = a->upper;
    cli_artefact_memory m;
    int count[3] = {0};
    int64_t bytes = 0;
    if (!cli_artefact_measure(ctx, a, &m)) return false;
    for (int32_t i = 0; i < p->n_arrays; i++) {
        if (p->arrays[i].place <= FOVEA_PARAM) count[p->arrays[i].place]++;
        if (p->arrays[i].place == FOVEA_PARAM) bytes += p->arrays[i].bytes;
    }
    fv_buf_printf(b, "/* %s: %s, compiled by fovea %s for %s.\n *\n", a->name, cli_comment(ctx, a->model),
                  FOVEA_VERSION, cli_comment(ctx, a->target));
    tensors(ctx, b, p, FOVEA_INPUT, "Inputs, in the order of run", 64);
    tensors(ctx, b, p, FOVEA_OUTPUT, "Outputs, in the order of run", 64);
    tensors(ctx, b, p, FOVEA_PARAM, "Parameters, found by name in the weights", 24);
    fv_buf_puts(b, " *\n * Tensors are dense, row-major, aligned to their element. Outputs overlap neither each other "
                   "nor an input nor a parameter; inputs may overlap. The library needs ");
    fv_buf_puts(b, a->single ? "libc and libm, and starts no threads.\n" : "libc, libm and pthreads.\n");
    fv_buf_puts(b, " * A model may be used by one thread at a time; the runtime's own rules stand below, with its "
                   "declarations. */\n");
    fv_buf_printf(b, "#ifndef %s_H\n#define %s_H\n\n", u, u);
    fv_buf_printf(b,
                  "#define %s_INPUTS %d\n#define %s_OUTPUTS %d\n#define %s_PARAMETERS %d\n#define %s_PARAMETER_BYTES "
                  "INT64_C(%" PRId64 ")\n",
                  u, count[0], u, count[1], u, count[2], u, bytes);
    for (int32_t place = 0, n; place < 2; place++) {
        n = 0;
        for (int32_t i = 0; i < p->n_arrays; i++)
            if ((int32_t)p->arrays[i].place == place)
                fv_buf_printf(b, "#define %s_%s_%d_BYTES INT64_C(%" PRId64 ")\n", u, place ? "OUTPUT" : "INPUT", n++,
                              p->arrays[i].bytes);
    }
    fv_buf_printf(b,
                  "/* What fovea_workspace_measure says%s; the block of fovea_options.memory. */\n#define "
                  "%s_PREPARED_BYTES INT64_C(%" PRId64 ")\n#define %s_ARENA_BYTES INT64_C(%" PRId64
                  ")\n#define %s_WORKSPACE_BYTES(threads) (INT64_C(%" PRId64
                  ") + ((int64_t)(threads) - 1) * INT64_C(%" PRId64 "))\n",
                  a->n_levels > 1 ? ", the most of all levels" : "", u, m.prepared, u, m.arena, u, m.total,
                  m.per_thread);
    example(b, a);
    fv_buf_puts(b, "\n");
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (!embed(ctx, headers[i], b)) return false;
    fv_buf_printf(b,
                  "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n/* The level of processor whose code this "
                  "processor gets (FOVEA_LEVEL of the environment names another that it has); NULL: it can run none. "
                  "*/\nconst char *%s_level(void);\n"
                  "/* The program of that level, which nobody changes. */\nconst fovea_program *%s_program(void);\n"
                  "/* fovea_model_load of it, after asking whether this processor can run its code (FOVEA_E_PROGRAM if "
                  "not). */\nfovea_status %s_load(const fovea_options *options, fovea_model **out, fovea_error *err);\n"
                  "/* Finds the parameters and prepares them; the file stays open as long as the model. A program "
                  "without parameters needs no call. */\nfovea_status %s_bind(fovea_model *model, const "
                  "fovea_safetensors *weights, fovea_error *err);\n"
                  "/* One answer: pointers to the tensors' elements, in the order above. */\nfovea_status "
                  "%s_run(fovea_model *model, const void *const *inputs, void *const *outputs, fovea_error "
                  "*err);\n/* All of this, for programs that open the library while they run; also as fovea_library. "
                  "*/\nextern const fovea_description %s_library;\n",
                  a->name, a->name, a->name, a->name, a->name, a->name);
    if (a->deployed) cli_artefact_deploy_header(a, &m, b);
    fv_buf_puts(b, "#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return true;
}
