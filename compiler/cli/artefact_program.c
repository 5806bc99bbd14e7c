/* A compiled program as a C file: the tables of runtime/program.h as constant data, and the functions that the header
 * declares. Invariant: the text depends on the program alone, so that equal programs give equal files. */
#include "cli/artefact.h"

#include <inttypes.h>
#include <stdlib.h>
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
/* Constants of all levels; the same numbers stand there once. */
typedef struct {
    int level, array;
    const void *data;
    int64_t bytes;
} constant;
typedef struct {
    fv_buf *b;
    const cli_artefact *a;
    constant *known;
    int n, cap;
} writer;

static const constant *find(const writer *w, const fovea_array *a) {
    for (int i = 0; i < w->n; i++)
        if (w->known[i].bytes == a->bytes && !memcmp(w->known[i].data, a->data, (size_t)a->bytes)) return &w->known[i];
    return NULL;
}
static void constants(writer *w, int level) {
    const fovea_program *p = &w->a->level[level].compiled.program;
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place != FOVEA_CONST || find(w, a)) continue;
        const unsigned char *data = a->data;
        fv_buf_printf(w->b, "static const _Alignas(64) unsigned char constant_%d_%d[%" PRId64 "] = {", level, i,
                      a->bytes + FOVEA_GUARD_BYTES);
        for (int64_t j = 0; j < a->bytes; j++) fv_buf_printf(w->b, "%s%u,", j % 32 ? "" : "\n    ", data[j]);
        fv_buf_puts(w->b, a->bytes ? "};\n" : "0};\n");
        if (w->n == w->cap) {
            w->cap = 2 * w->cap + 16;
            w->known = realloc(w->known, sizeof *w->known * (size_t)w->cap);
            FV_ASSERT(w->known, "out of memory");
        }
        w->known[w->n++] = (constant){level, i, a->data, a->bytes};
    }
}
/* The arrays of a program take most of a library's tables: they stand in it packed, names and shapes in pools, and are
 * unpacked into memory of zeros before they are first asked for. */
static int64_t pool_shape(fv_buf *pool, int64_t *n, const fovea_array *a) {
    int64_t at = 0, run = 0;
    const int64_t *have = (const int64_t *)(const void *)pool->text;
    for (; at + a->rank <= *n; at++) {
        for (run = 0; run < a->rank && have[at + run] == a->shape[run]; run++) {}
        if (run == a->rank) return at;
    }
    fv_buf_putn(pool, (const char *)a->shape, sizeof *a->shape * (size_t)a->rank);
    *n += a->rank;
    return *n - a->rank;
}
static void arrays(const writer *w, int level) {
    const fovea_program *p = &w->a->level[level].compiled.program;
    fv_buf *b = w->b, shapes = {0};
    int64_t n_shapes = 0;
    size_t name = 0;
    fv_buf_printf(b, "static fovea_array arrays_%d[%d];\nstatic const char names_%d[] =\n", level,
                  p->n_arrays > 0 ? p->n_arrays : 1, level);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        fv_buf_puts(b, "    ");
        cli_quote(b, p->arrays[i].name);
        fv_buf_puts(b, "\"\\0\"\n");
    }
    fv_buf_printf(b, "    \"\";\nstatic const packed packed_%d[] = {\n", level);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        fv_buf_printf(b, "    {%zu, %" PRId64 ", %d, %d, %d, 0, %" PRId64 ", %" PRId64 "},\n", name,
                      pool_shape(&shapes, &n_shapes, a), (int)a->dtype, (int)a->place, a->rank, a->offset, a->bytes);
        name += strlen(a->name) + 1;
    }
    fv_buf_printf(b, "    {0}};\nstatic const int64_t shapes_%d[] = {", level);
    for (int64_t i = 0; i < n_shapes; i++)
        fv_buf_printf(b, "%" PRId64 ", ", ((const int64_t *)(const void *)shapes.text)[i]);
    fv_buf_printf(b, "0};\nstatic void unpack_%d(void) {\n    unpack(arrays_%d, packed_%d, %d, names_%d, shapes_%d);\n",
                  level, level, level, p->n_arrays, level, level);
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        const constant *c = a->place == FOVEA_CONST ? find(w, a) : NULL;
        if (c) fv_buf_printf(b, "    arrays_%d[%d].data = constant_%d_%d;\n", level, i, c->level, c->array);
        if (a->index_bound)
            fv_buf_printf(b, "    arrays_%d[%d].index_bound = INT64_C(%" PRId64 ");\n", level, i, a->index_bound);
    }
    fv_buf_puts(b, "}\n");
    fv_buf_dispose(&shapes);
}
static void unpacking(fv_buf *b) {
    fv_buf_puts(
        b,
        "typedef struct { uint32_t name, shape; uint8_t dtype, place, rank, zero; int64_t offset, bytes; } packed;\n"
        "static void unpack(fovea_array *to, const packed *from, int n, const char *names, const int64_t *shapes) {\n"
        "    for (int i = 0; i < n; i++) {\n"
        "        to[i].name = names + from[i].name;\n"
        "        to[i].dtype = (fovea_dtype)from[i].dtype;\n"
        "        to[i].place = (fovea_place)from[i].place;\n"
        "        to[i].rank = from[i].rank;\n"
        "        for (int d = 0; d < from[i].rank; d++) to[i].shape[d] = shapes[from[i].shape + d];\n"
        "        to[i].offset = from[i].offset;\n"
        "        to[i].bytes = from[i].bytes;\n"
        "    }\n}\n");
}
static void launches(const writer *w, int level, int which) {
    const fv_compiled *c = &w->a->level[level].compiled;
    const fovea_program *p = &c->program;
    const fovea_launch *list = which ? p->run : p->prepare;
    int n = which ? p->n_run : p->n_prepare;
    const char *name = fv_printf(c->plan->ctx, "%s_%d", which ? "run" : "prepare", level);
    fv_buf *b = w->b;
    for (int i = 0; i < n; i++) {
        fv_buf_printf(b, "static const int32_t %s_%d[%d] = {", name, i, list[i].n_args > 0 ? list[i].n_args : 1);
        for (int j = 0; j < list[i].n_args; j++) fv_buf_printf(b, "%s%d", j ? ", " : "", list[i].args[j]);
        fv_buf_puts(b, list[i].n_args ? "};\n" : "0};\n");
    }
    fv_buf_printf(b, "static const fovea_launch %s[%d] = {\n", name, n > 0 ? n : 1);
    for (int i = 0; i < n; i++) {
        const fovea_launch *l = &list[i];
        fv_buf_printf(b,
                      "    {.kernel = fovea_k%d_%d, .programs = %" PRId64
                      ", .args = %s_%d, .n_args = %d, .scratch_bytes = %" PRId64
                      ", .flops = %.17g, .bytes = %.17g, .label = ",
                      level, c->plan->launch[which][i]->code, l->programs, name, i, l->n_args, l->scratch_bytes,
                      l->flops, l->bytes);
        cli_quote(b, l->label);
        fv_buf_puts(b, ", .where = ");
        cli_quote(b, l->where);
        fv_buf_puts(b, "},\n");
    }
    fv_buf_puts(b, n ? "};\n" : "    {0}};\n");
}
static void kernels(const writer *w, int level) {
    const fv_plan *p = w->a->level[level].compiled.plan;
    int next = 0;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < p->n_launches[k]; i++)
            if (p->launch[k][i]->code >= next) {
                next = p->launch[k][i]->code + 1;
                fv_buf_printf(w->b, "extern fovea_kernel fovea_k%d_%d;\n", level, next - 1);
            }
}
/* The program of each level, and the levels as lists: names, and the numbers in the headers of their weights. */
static void programs(writer *w) {
    const cli_artefact *a = w->a;
    unpacking(w->b);
    for (int i = 0; i < a->n_levels; i++) {
        kernels(w, i);
        constants(w, i);
        arrays(w, i);
        launches(w, i, 0);
        launches(w, i, 1);
    }
    fv_buf_printf(w->b, "enum { LEVELS = %d };\nstatic const fovea_program programs[LEVELS] = {\n", a->n_levels);
    for (int i = 0; i < a->n_levels; i++) {
        const fovea_program *p = &a->level[i].compiled.program;
        fv_buf_puts(w->b, "    {.name = ");
        cli_quote(w->b, p->name);
        fv_buf_printf(w->b,
                      ", .arrays = arrays_%d, .n_arrays = %d, .prepare = prepare_%d, .run = run_%d, .n_prepare = %d, "
                      ".n_run = %d, .arena_bytes = %" PRId64 ", .prepared_bytes = %" PRId64 "},\n",
                      i, p->n_arrays, i, i, p->n_prepare, p->n_run, p->arena_bytes, p->prepared_bytes);
    }
    fv_buf_puts(w->b, "};\nstatic void unpack_all(void) {\n");
    for (int i = 0; i < a->n_levels; i++) fv_buf_printf(w->b, "    unpack_%d();\n", i);
    fv_buf_puts(w->b, "}\nstatic const char *const names[LEVELS] = {");
    for (int i = 0; i < a->n_levels; i++) {
        fv_buf_puts(w->b, i ? ", " : "");
        cli_quote(w->b, a->level[i].name);
    }
    fv_buf_puts(w->b, "};\n");
    if (!a->deployed) return;
    fv_buf_puts(w->b, "static const uint64_t numbers[LEVELS] = {");
    for (int i = 0; i < a->n_levels; i++)
        fv_buf_printf(w->b, "%sUINT64_C(%" PRIu64 ")", i ? ", " : "", a->level[i].number);
    fv_buf_puts(w->b, "};\n");
}
/* What the code was made for is asked of the processor before any of it runs. */
static void choose(fv_buf *b, const cli_artefact *a) {
    bool x86 = false, amx = false;
    for (int i = 0; i < a->n_levels; i++) {
        x86 = x86 || *a->level[i].needs;
        amx = amx || a->level[i].amx;
    }
    if (amx) fv_buf_puts(b, "extern long syscall(long number, ...);\n");
    fv_buf_puts(b, "static const char *lacks(int level) {\n");
    if (x86) fv_buf_puts(b, "    __builtin_cpu_init();\n");
    for (int i = 0; i < a->n_levels; i++) {
        const cli_level *l = &a->level[i];
        if (!*l->needs && !l->amx) continue;
        fv_buf_printf(b, "    if (level == %d) {\n", i);
        for (const char *s = l->needs; *s; s += strcspn(s, " ") + 1) {
            int n = (int)strcspn(s, " ");
            fv_buf_printf(b, "        if (!__builtin_cpu_supports(\"%.*s\")) return \"%.*s\";\n", n, s, n, s);
        }
        if (l->amx)
            fv_buf_puts(b, "        if (!__builtin_cpu_supports(\"amx-tile\") || "
                           "!__builtin_cpu_supports(\"amx-bf16\")) return \"AMX tiles with bf16\";\n"
                           "        if (syscall(158, 0x1023, 18)) return \"the permission to use AMX tiles\";  /* "
                           "arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA */\n");
        fv_buf_puts(b, "    }\n");
    }
    fv_buf_puts(b, "    (void)level;\n    return 0;\n}\nstatic const char target[] = ");
    cli_quote(b, a->target);
    fv_buf_printf(
        b,
        ";\n/* The best level that this processor has, or the one that FOVEA_LEVEL names; -1: none. */\n"
        "static int choose(fovea_error *err) {\n"
        "    static _Atomic int unpacked;  /* 1: by somebody, now; 2: done. Without pthreads, which may be absent */\n"
        "    int untouched = 0;\n"
        "    if (atomic_load(&unpacked) < 2) {\n"
        "        if (atomic_compare_exchange_strong(&unpacked, &untouched, 1)) unpack_all(), atomic_store(&unpacked, "
        "2);\n"
        "        else while (atomic_load(&unpacked) < 2) {}\n    }\n"
        "    const char *want = getenv(\"FOVEA_LEVEL\"), *missing = 0;\n    if (want && !*want) want = 0;\n"
        "    for (int i = 0; i < LEVELS; i++) {\n        if (want && strcmp(want, names[i])) continue;\n"
        "        missing = lacks(i);\n        if (!missing) return i;\n    }\n"
        "    if (!err) return -1;\n    err->status = FOVEA_E_PROGRAM;\n"
        "    if (missing) snprintf(err->text, sizeof err->text, \"%s was compiled for %%s: this processor lacks %%s\", "
        "want ? want : target, missing);\n"
        "    else snprintf(err->text, sizeof err->text, \"FOVEA_LEVEL is %%s: %s was compiled for %%s\", want, "
        "target);\n    return -1;\n}\n",
        a->name, a->name);
}
static void functions(fv_buf *b, const cli_artefact *a) {
    const char *n = a->name;
    fv_buf_printf(
        b,
        "const char *%s_level(void) {\n    int i = choose(0);\n    return i < 0 ? 0 : names[i];\n}\n"
        "const fovea_program *%s_program(void) {\n    int i = choose(0);\n    return &programs[i < 0 ? LEVELS "
        "- 1 : i];\n}\n",
        n, n);
    fv_buf_printf(
        b,
        "fovea_status %s_load(const fovea_options *options, fovea_model **out, fovea_error *err) {\n"
        "    int i = choose(err);\n    if (i >= 0) return fovea_model_load(&programs[i], options, out, err);\n"
        "    if (out) *out = 0;\n    return FOVEA_E_PROGRAM;\n}\n",
        n);
    fv_buf_printf(b,
                  "fovea_status %s_bind(fovea_model *model, const fovea_safetensors *weights, fovea_error *err) { "
                  "return fovea_model_bind_file(model, weights, err); }\n",
                  n);
    fv_buf_printf(b,
                  "fovea_status %s_run(fovea_model *model, const void *const *inputs, void *const *outputs, "
                  "fovea_error *err) {\n",
                  n);
    const fovea_program *p = &a->level[0].compiled.program;
    int count[2] = {0, 0};
    for (int32_t i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].place <= FOVEA_OUTPUT) count[p->arrays[i].place]++;
    fv_buf_printf(b,
                  "    DLTensor in[%d], out[%d];\n    int n = 0, k = 0;\n    const fovea_array *a;\n"
                  "    if (!inputs || !outputs) {\n        if (err) {\n            err->status = FOVEA_E_ARGUMENT;\n"
                  "            snprintf(err->text, sizeof err->text, \"no list of %%s\", inputs ? \"outputs\" : "
                  "\"inputs\");\n        }\n        return FOVEA_E_ARGUMENT;\n    }\n"
                  "    for (; model && (a = fovea_model_input(model, n)); n++)\n        in[n] = fovea_tensor((void "
                  "*)(uintptr_t)inputs[n], a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape);\n"
                  "    for (; model && (a = fovea_model_output(model, k)); k++)\n        out[k] = "
                  "fovea_tensor(outputs[k], a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape);\n"
                  "    return fovea_model_run(model, in, n, out, k, err);\n}\n",
                  count[0] ? count[0] : 1, count[1] ? count[1] : 1);
}
static void description(fv_buf *b, const cli_artefact *a) {
    const char *n = a->name;
    fv_buf manifest = {0};
    cli_artefact_manifest(a, NULL, &manifest);
    fv_buf_puts(b, "static const char manifest[] = ");
    cli_quote(b, manifest.text);
    fv_buf_dispose(&manifest);
    fv_buf_printf(
        b,
        ";\n#define DESCRIPTION {FOVEA_LIBRARY_VERSION, sizeof(fovea_description), \"%s\", manifest, "
        "%s_program, %s_load, %s_bind, %s%s, %s_run, %s%s, %s%s}\nconst fovea_description %s_library = DESCRIPTION;\n"
        "extern const fovea_description fovea_library;\nconst fovea_description fovea_library = "
        "DESCRIPTION;\n",
        n, n, n, n, a->deployed ? n : "0", a->deployed ? "_open" : "", n, a->deployed ? n : "0",
        a->deployed ? "_workspace_bytes" : "", a->known ? n : "0", a->known ? "_selftest" : "", n);
}
void cli_artefact_program(const cli_artefact *a, fv_buf *b) {
    writer w = {.b = b, .a = a};
    fv_buf_printf(
        b,
        "/* Written by fovea %s. */\n#include <stdatomic.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include "
        "<string.h>\n#include \"%s.h\"\n",
        FOVEA_VERSION, a->name);
    programs(&w);
    free(w.known);
    choose(b, a);
    functions(b, a);
    if (a->deployed) cli_artefact_deploy_program(a, b);
    description(b, a);
}
