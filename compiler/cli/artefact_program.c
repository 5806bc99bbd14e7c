/* A compiled program as a C file: the tables of runtime/program.h as constant data, and the functions that the header
 * declares. Invariant: the text depends on the program alone, so that equal programs give equal files. */
#include "cli/artefact.h"

#include <inttypes.h>
#include <string.h>

void cli_quote(fv_buf *b, const char *s) {
    fv_buf_puts(b, "\"");
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') fv_buf_printf(b, "\\%c", c);
        else if (c < 32 || c > 126 || c == '?') fv_buf_printf(b, "\\%03o", c);
        else fv_buf_putn(b, s, 1);
    }
    fv_buf_puts(b, "\"");
}
static void constants(fv_buf *b, const fovea_program *p) {
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place != FOVEA_CONST) continue;
        const unsigned char *data = a->data;
        fv_buf_printf(b, "static const _Alignas(64) unsigned char constant_%d[%" PRId64 "] = {", i,
                      a->bytes + FOVEA_GUARD_BYTES);
        for (int64_t j = 0; j < a->bytes; j++) fv_buf_printf(b, "%s%u,", j % 32 ? "" : "\n    ", data[j]);
        fv_buf_puts(b, a->bytes ? "};\n" : "0};\n");
    }
}
static void arrays(fv_buf *b, const fovea_program *p) {
    static const char *const places[] = {"FOVEA_INPUT", "FOVEA_OUTPUT",   "FOVEA_PARAM",
                                         "FOVEA_CONST", "FOVEA_PREPARED", "FOVEA_ARENA"};
    static const char *const types[] = {"FOVEA_F32", "FOVEA_F16", "FOVEA_BF16", "FOVEA_F64",
                                        "FOVEA_I32", "FOVEA_I64", "FOVEA_U8",   "FOVEA_BOOL"};
    fv_buf_printf(b, "static const fovea_array arrays[%d] = {\n", p->n_arrays > 0 ? p->n_arrays : 1);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        fv_buf_puts(b, "    {.name = ");
        cli_quote(b, a->name);
        fv_buf_printf(b, ", .dtype = %s, .place = %s, .rank = %d, .shape = {", types[a->dtype], places[a->place],
                      a->rank);
        for (int d = 0; d < a->rank; d++) fv_buf_printf(b, "%s%" PRId64, d ? ", " : "", a->shape[d]);
        fv_buf_printf(b, "%s}, .offset = %" PRId64 ", .bytes = %" PRId64 ", .index_bound = %" PRId64,
                      a->rank ? "" : "0", a->offset, a->bytes, a->index_bound);
        if (a->place == FOVEA_CONST) fv_buf_printf(b, ", .data = constant_%d", i);
        fv_buf_puts(b, "},\n");
    }
    fv_buf_puts(b, p->n_arrays ? "};\n" : "    {0}};\n");
}
static void launches(fv_buf *b, const cli_artefact *a, int which) {
    const fovea_program *p = &a->compiled->program;
    const fovea_launch *list = which ? p->run : p->prepare;
    int n = which ? p->n_run : p->n_prepare;
    const char *name = which ? "run" : "prepare";
    for (int i = 0; i < n; i++) {
        fv_buf_printf(b, "static const int32_t %s_%d[%d] = {", name, i, list[i].n_args > 0 ? list[i].n_args : 1);
        for (int j = 0; j < list[i].n_args; j++) fv_buf_printf(b, "%s%d", j ? ", " : "", list[i].args[j]);
        fv_buf_puts(b, list[i].n_args ? "};\n" : "0};\n");
    }
    fv_buf_printf(b, "static const fovea_launch %s[%d] = {\n", name, n > 0 ? n : 1);
    for (int i = 0; i < n; i++) {
        const fovea_launch *l = &list[i];
        fv_buf_printf(b,
                      "    {.kernel = fovea_k%d, .programs = %" PRId64
                      ", .args = %s_%d, .n_args = %d, .scratch_bytes = %" PRId64
                      ", .flops = %.17g, .bytes = %.17g, .label = ",
                      a->compiled->plan->launch[which][i]->code, l->programs, name, i, l->n_args, l->scratch_bytes,
                      l->flops, l->bytes);
        cli_quote(b, l->label);
        fv_buf_puts(b, ", .where = ");
        cli_quote(b, l->where);
        fv_buf_puts(b, "},\n");
    }
    fv_buf_puts(b, n ? "};\n" : "    {0}};\n");
}
static void kernels(fv_buf *b, const cli_artefact *a) {
    const fv_plan *p = a->compiled->plan;
    int next = 0;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < p->n_launches[w]; i++)
            if (p->launch[w][i]->code >= next) {
                next = p->launch[w][i]->code + 1;
                fv_buf_printf(b, "extern fovea_kernel fovea_k%d;\n", next - 1);
            }
}
/* What the code was made for is asked of the processor before any of it runs. */
static void fits(fv_buf *b, const cli_artefact *a) {
    static const char *const wide[] = {"avx512f", "avx512vl", "avx512bw", "avx512dq"}, *const narrow[] = {"avx2",
                                                                                                          "fma"};
    if (a->amx) fv_buf_puts(b, "extern long syscall(long number, ...);\n");
    fv_buf_puts(b, "static const char *lacks(void) {\n");
    if (a->x86 && (a->avx512 || a->avx2)) {
        fv_buf_puts(b, "    __builtin_cpu_init();\n");
        for (int i = 0; i < 2; i++)
            fv_buf_printf(b, "    if (!__builtin_cpu_supports(\"%s\")) return \"%s\";\n", narrow[i], narrow[i]);
        for (int i = 0; a->avx512 && i < 4; i++)
            fv_buf_printf(b, "    if (!__builtin_cpu_supports(\"%s\")) return \"%s\";\n", wide[i], wide[i]);
    }
    if (a->amx)
        fv_buf_puts(b, "    if (!__builtin_cpu_supports(\"avx512bf16\") || !__builtin_cpu_supports(\"amx-tile\") ||\n"
                       "        !__builtin_cpu_supports(\"amx-bf16\")) return \"AMX tiles with bf16\";\n"
                       "    if (syscall(158, 0x1023, 18)) return \"the permission to use AMX tiles\";  /* arch_prctl, "
                       "ARCH_REQ_XCOMP_PERM, XTILEDATA */\n");
    fv_buf_puts(b, "    return 0;\n}\n");
}
static void functions(fv_buf *b, const cli_artefact *a) {
    const fovea_program *p = &a->compiled->program;
    const char *n = a->name;
    fv_buf_puts(b, "static const char target[] = ");
    cli_quote(b, a->target);
    fv_buf_puts(b, ";\n");
    fv_buf_printf(b, "const fovea_program *%s_program(void) { return &program; }\n", n);
    fv_buf_printf(
        b,
        "fovea_status %s_load(const fovea_options *options, fovea_model **out, fovea_error *err) {\n    const char "
        "*missing = lacks();\n    if (!missing) return fovea_model_load(&program, options, out, err);\n"
        "    *out = 0;\n    if (err) {\n        err->status = FOVEA_E_PROGRAM;\n        snprintf(err->text, sizeof "
        "err->text, \"%s was compiled for %%s: this processor lacks %%s\", target, missing);\n    }\n    return "
        "FOVEA_E_PROGRAM;\n}\n",
        n, n);
    fv_buf_printf(b,
                  "fovea_status %s_bind(fovea_model *model, const fovea_safetensors *weights, fovea_error *err) { "
                  "return fovea_model_bind_file(model, weights, err); }\n",
                  n);
    fv_buf_printf(b,
                  "fovea_status %s_run(fovea_model *model, const void *const *inputs, void *const *outputs, "
                  "fovea_error *err) {\n",
                  n);
    int count[2] = {0, 0};
    for (int32_t i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].place <= FOVEA_OUTPUT) count[p->arrays[i].place]++;
    fv_buf_printf(b,
                  "    DLTensor in[%d], out[%d];\n    int n[2] = {0, 0};\n    for (int i = 0; i < program.n_arrays; "
                  "i++) {\n        const fovea_array *a = &arrays[i];\n"
                  "        int64_t *shape = (int64_t *)(uintptr_t)a->shape;\n"
                  "        if (a->place == FOVEA_INPUT) { in[n[0]] = fovea_tensor((void *)(uintptr_t)inputs[n[0]], "
                  "a->dtype, a->rank, shape); n[0]++; }\n"
                  "        if (a->place == FOVEA_OUTPUT) { out[n[1]] = fovea_tensor(outputs[n[1]], a->dtype, a->rank, "
                  "shape); n[1]++; }\n    }\n"
                  "    return fovea_model_run(model, in, n[0], out, n[1], err);\n}\n",
                  count[0] ? count[0] : 1, count[1] ? count[1] : 1);
}
static void description(fv_buf *b, const cli_artefact *a) {
    const char *n = a->name;
    fv_buf manifest = {0};
    cli_artefact_manifest(a, false, &manifest);
    fv_buf_puts(b, "static const char manifest[] = ");
    cli_quote(b, manifest.text);
    fv_buf_dispose(&manifest);
    fv_buf_printf(b,
                  ";\n#define DESCRIPTION {FOVEA_LIBRARY_VERSION, sizeof(fovea_description), \"%s\", manifest, "
                  "%s_program, %s_load, %s_bind, %s%s, %s_run}\nconst fovea_description %s_library = DESCRIPTION;\n"
                  "extern const fovea_description fovea_library;\nconst fovea_description fovea_library = "
                  "DESCRIPTION;\n",
                  n, n, n, n, a->deployed ? n : "0", a->deployed ? "_open" : "", n, n);
}
void cli_artefact_program(const cli_artefact *a, fv_buf *b) {
    const fovea_program *p = &a->compiled->program;
    fv_buf_printf(b, "/* Written by fovea %s. */\n#include <stdio.h>\n#include \"%s.h\"\n", FOVEA_VERSION, a->name);
    kernels(b, a);
    constants(b, p);
    arrays(b, p);
    launches(b, a, 0);
    launches(b, a, 1);
    fv_buf_puts(b, "static const fovea_program program = {.name = ");
    cli_quote(b, p->name);
    fv_buf_printf(b,
                  ", .arrays = arrays, .n_arrays = %d, .prepare = prepare, .run = run, .n_prepare = %d, .n_run = %d, "
                  ".arena_bytes = %" PRId64 ", .prepared_bytes = %" PRId64 "};\n",
                  p->n_arrays, p->n_prepare, p->n_run, p->arena_bytes, p->prepared_bytes);
    fits(b, a);
    functions(b, a);
    if (a->deployed) cli_artefact_deploy_program(a, b);
    description(b, a);
}
