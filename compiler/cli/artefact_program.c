/* A compiled program as a C file: the tables of runtime/program.h, packed, and the functions that the header declares.
 * Invariant: the text depends on the program alone, so that equal programs give equal files. */
#include "cli/artefact.h"
#include "cli/artefact_opencl.h"
#include "io/tables.h"

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
/* Constants of all programs; the same numbers stand there once. */
typedef struct {
    const void *data;
    int64_t bytes;
} constant;
typedef struct {
    fv_buf *b;
    const cli_artefact *a;
    constant *known;
    int n, cap;
} writer;

/* Programs of a level: one, or one for each shape. */
static int programs_of(const cli_artefact *a) { return a->bounds.n ? a->bounds.n_programs : 1; }
static const fovea_program *program_at(const cli_artefact *a, int level, int i) {
    const fv_compiled *c = &a->level[level].compiled;
    return c->family ? &c->family->shapes.programs[i] : &c->program;
}
static const char *id_of(const cli_artefact *a, int level, int i) {
    fv_ctx *ctx = a->level[level].compiled.plan->ctx;
    return a->bounds.n ? fv_printf(ctx, "%d_%d", level, i) : fv_printf(ctx, "%d", level);
}
static int find(const writer *w, const fovea_array *a) {
    for (int i = 0; i < w->n; i++)
        if (w->known[i].bytes == a->bytes && !memcmp(w->known[i].data, a->data, (size_t)a->bytes)) return i;
    return -1;
}
static void constants(writer *w, const fovea_program *p) {
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place != FOVEA_CONST || find(w, a) >= 0) continue;
        const unsigned char *data = a->data;
        fv_buf_printf(w->b, "static const _Alignas(64) unsigned char constant_%d[%" PRId64 "] = {", w->n,
                      a->bytes + FOVEA_GUARD_BYTES);
        for (int64_t j = 0; j < a->bytes; j++) fv_buf_printf(w->b, "%s%u,", j % 32 ? "" : "\n    ", data[j]);
        fv_buf_puts(w->b, a->bytes ? "};\n" : "0};\n");
        if (w->n == w->cap) {
            w->cap = 2 * w->cap + 16;
            w->known = realloc(w->known, sizeof *w->known * (size_t)w->cap);
            FV_ASSERT(w->known, "out of memory");
        }
        w->known[w->n++] = (constant){a->data, a->bytes};
    }
}
/* Tables take much of a library where they stand in it as the runtime reads them: they stand in it packed
 * (runtime/tables.h) and are unpacked into memory of zeros before they are first asked for. */
static int codes(const fv_plan *p) {
    int n = 0;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < p->n_launches[k]; i++)
            if (p->launch[k][i]->code >= n) n = p->launch[k][i]->code + 1;
    return n;
}
/* Distances, which unlike addresses are known when the library is linked. */
static void kernels(const writer *w, int level) {
    const fv_plan *p = w->a->level[level].compiled.plan;
    const char *name = w->a->name;
    int n = codes(p);
    bool *used = FV_NEWN(p->ctx, bool, n + 1);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < p->n_launches[k]; i++) used[p->launch[k][i]->code] = true;
    fv_buf_printf(
        w->b,
        "extern const int32_t %s_kernels_%d[] __attribute__((visibility(\"hidden\")));\n__asm__(\".pushsection "
        ".rodata\\n.balign 4\\n%s_kernels_%d:\\n\"\n",
        name, level, name, level);
    for (int i = 0; i < n; i++)
        if (used[i]) fv_buf_printf(w->b, "    \".long fovea_k%d_%d - %s_kernels_%d\\n\"\n", level, i, name, level);
        else fv_buf_puts(w->b, "    \".long 0\\n\"\n");
    fv_buf_puts(w->b, "    \".popsection\");\n");
}
/* The memory of a program's tables, and how they come there. What prepares stands once for all programs of a level. */
static void tables(const writer *w, int level, int which, fv_buf *packed) {
    const fv_compiled *c = &w->a->level[level].compiled;
    const fovea_program *p = program_at(w->a, level, which);
    const char *id = id_of(w->a, level, which);
    fv_buf *b = w->b;
    int32_t *kernel[2], n[2] = {p->n_prepare, p->n_run}, args = 0;
    for (int k = 0; k < 2; k++) {
        int first = k && c->family ? c->family->part[which].first_launch : 0;
        kernel[k] = FV_NEWN(c->plan->ctx, int32_t, n[k] + 1);
        for (int32_t i = 0; i < n[k]; i++) {
            kernel[k][i] = c->plan->launch[k][first + i]->code;
            args += k ? p->run[i].n_args : p->prepare[i].n_args;
        }
    }
    size_t texts = fv_tables_write(p, (const int32_t *const *)kernel, packed);
    if (!which) fv_buf_printf(b, "static fovea_launch prepare_%d[%d];\n", level, n[0] + 1);
    fv_buf_printf(b,
                  "static fovea_array arrays_%s[%d];\nstatic fovea_launch run_%s[%d];\nstatic int32_t "
                  "args_%s[%d];\nstatic char texts_%s[%zu];\nstatic const unsigned char *unpack_%s(const unsigned char "
                  "*from, const fovea_program "
                  "*p) {\n    fovea_tables to = {arrays_%s, prepare_%d, run_%s, args_%s, texts_%s, ",
                  id, p->n_arrays + 1, id, n[1] + 1, id, args + 1, id, texts + 1, id, id, level, id, id, id);
    if (w->a->level[level].opencl) fv_buf_printf(b, "0, codes_%d};\n", level);
    else fv_buf_printf(b, "%s_kernels_%d, 0};\n", w->a->name, level);
    fv_buf_puts(b, "    from = fovea_tables_read(from, p, &to);\n");
    for (int32_t i = 0; i < p->n_arrays; i++) {
        const fovea_array *a = &p->arrays[i];
        if (a->place == FOVEA_CONST) fv_buf_printf(b, "    arrays_%s[%d].data = constant_%d;\n", id, i, find(w, a));
    }
    fv_buf_puts(b, "    return from;\n}\n");
}
static void unpacking(const writer *w, const fv_buf *packed) {
    fv_buf *b = w->b, brief = {0};
    int n = programs_of(w->a);
    fv_tables_shorten(packed->text, packed->len, &brief);
    fv_buf_printf(b, "static unsigned char tables[%zu];\nstatic const unsigned char packed[] = {", packed->len + 1);
    for (size_t i = 0; i < brief.len; i++)
        fv_buf_printf(b, "%s%u,", i % 32 ? "" : "\n    ", (unsigned)(unsigned char)brief.text[i]);
    fv_buf_puts(b, "};\nstatic void unpack(void) {\n    const unsigned char *from = tables;\n    "
                   "fovea_tables_lengthen(packed, tables);\n");
    for (int i = 0; i < cli_artefact_forms(w->a) * n; i++)
        fv_buf_printf(b, "    from = unpack_%s(from, &programs[%d]);\n", id_of(w->a, i / n, i % n), i);
    fv_buf_puts(b, "}\n");
    fv_buf_dispose(&brief);
}
/* Of several shapes: what the extents may be, and the programs of each level. */
static void bounds(const writer *w) {
    const cli_bounds *x = &w->a->bounds;
    fv_buf *b = w->b;
    for (int i = 0; i < x->n; i++) {
        if (!x->extent[i].sizes) continue;
        fv_buf_printf(b, "static const int64_t sizes_%d[] = {", i);
        for (int k = 0; k < x->extent[i].n_sizes; k++) fv_buf_printf(b, "%" PRId64 ", ", x->extent[i].sizes[k]);
        fv_buf_puts(b, "};\n");
    }
    fv_buf_printf(b, "static const fovea_bounds bounds[%d] = {\n", x->n);
    for (int i = 0; i < x->n; i++) {
        const fovea_bounds *e = &x->extent[i];
        fv_buf_puts(b, "    {");
        cli_quote(b, e->name);
        fv_buf_printf(b, ", %" PRId64 ", %" PRId64 ", ", e->least, e->most);
        if (e->sizes) fv_buf_printf(b, "sizes_%d, %d},\n", i, e->n_sizes);
        else fv_buf_puts(b, "0, 0},\n");
    }
    fv_buf_puts(b, "};\nstatic const int64_t at[] = {");
    for (int i = 0; i < x->n_programs * x->n; i++) fv_buf_printf(b, "%" PRId64 ", ", x->program[i]);
    fv_buf_puts(b, "};\n");
    fv_buf_printf(b,
                  "static const fovea_program programs[LEVELS * %d];\nstatic const fovea_shapes shapes[LEVELS] = {\n",
                  x->n_programs);
    for (int i = 0; i < w->a->n_levels; i++) {
        fv_buf_puts(b, "    {");
        cli_quote(b, x->text);
        fv_buf_printf(b, ", bounds, PROGRAM(%d), at, %d, %d},\n", i, x->n, x->n_programs);
    }
    fv_buf_puts(b, "};\n");
}
/* The programs of each level, and the levels as lists: names, and the numbers in the headers of their weights. */
static void programs(writer *w) {
    const cli_artefact *a = w->a;
    fv_buf packed = {0};
    int n = programs_of(a);
    for (int i = 0; i < cli_artefact_forms(a); i++) {
        if (!a->level[i].opencl) kernels(w, i);
        for (int k = 0; k < n; k++) {
            constants(w, program_at(a, i, k));
            tables(w, i, k, &packed);
        }
    }
    fv_buf_printf(w->b, "enum { LEVELS = %d };\n#define PROGRAM(level) (&programs[(level) * %d])\n", a->n_levels, n);
    if (a->bounds.n) bounds(w);
    fv_buf_puts(w->b, "static const fovea_program programs[] = {\n");
    for (int i = 0; i < cli_artefact_forms(a) * n; i++) {
        const fovea_program *p = program_at(a, i / n, i % n);
        const char *id = id_of(a, i / n, i % n);
        fv_buf_puts(w->b, "    {.name = ");
        cli_quote(w->b, p->name);
        fv_buf_printf(w->b,
                      ", .arrays = arrays_%s, .n_arrays = %d, .prepare = prepare_%d, .run = run_%s, .n_prepare = %d, "
                      ".n_run = %d, .arena_bytes = %" PRId64 ", .prepared_bytes = %" PRId64,
                      id, p->n_arrays, i / n, id, p->n_prepare, p->n_run, p->arena_bytes, p->prepared_bytes);
        if (a->bounds.n) fv_buf_printf(w->b, ", .shapes = &shapes[%d]", i / n);
        if (a->level[i / n].opencl)
            fv_buf_printf(w->b, ", .executor = &fovea_opencl_executor, .executor_user = &device_%d", i / n);
        fv_buf_puts(w->b, "},\n");
    }
    fv_buf_puts(w->b, "};\n");
    unpacking(w, &packed);
    fv_buf_dispose(&packed);
    fv_buf_puts(w->b, "static const char *const names[LEVELS] = {");
    for (int i = 0; i < a->n_levels; i++) {
        fv_buf_puts(w->b, i ? ", " : "");
        cli_quote(w->b, a->level[i].name);
    }
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
        "    static _Atomic int unpacked;\n    once(&unpacked, unpack);\n"
        "    const char *want = getenv(\"FOVEA_LEVEL\"), *missing = 0;\n    if (want && !*want) want = 0;\n"
        "    for (int i = 0; i < LEVELS; i++) {\n        if (want && strcmp(want, names[i])) continue;\n"
        "        missing = lacks(i);\n        if (!missing) return i;\n    }\n"
        "    if (!err) return -1;\n    err->status = FOVEA_E_PROCESSOR;\n"
        "    if (missing) snprintf(err->text, sizeof err->text, \"%s was compiled for %%s: this processor lacks %%s\", "
        "want ? want : target, missing);\n"
        "    else snprintf(err->text, sizeof err->text, \"FOVEA_LEVEL is %%s: %s was compiled for %%s\", want, "
        "target);\n    return -1;\n}\n",
        a->name, a->name);
}
static void functions(fv_buf *b, const cli_artefact *a) {
    const char *n = a->name;
    fv_buf_printf(b,
                  "const char *%s_level(void) {\n    int i = choose(0);\n    return i < 0 ? 0 : names[i];\n}\n"
                  "const fovea_program *%s_program(void) {\n    int i = choose(0);\n    return PROGRAM(i < 0 ? LEVELS "
                  "- 1 : i);\n}\n",
                  n, n);
    fv_buf_printf(b,
                  "fovea_status %s_load(const fovea_options *options, fovea_model **out, fovea_error *err) {\n"
                  "    fovea_error lacks;\n    int i = choose(&lacks);\n"
                  "    return fovea_forms_load(&forms, i, lacks.text, options, out, err);\n}\n",
                  n);
    fv_buf_printf(b,
                  "fovea_status %s_run(fovea_model *model, const void *const *inputs, void *const *outputs, "
                  "fovea_error *err) {\n",
                  n);
    const fovea_program *p = a->shown;
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
        ";\n#define DESCRIPTION {FOVEA_LIBRARY_VERSION, sizeof(fovea_description), \"%s\", manifest, %s_program, "
        "%s_load, fovea_model_bind_file, %s%s, %s_run, %s%s, %s%s, %s%s, fovea_model_share, fovea_model_dispose, "
        "fovea_model_input, fovea_model_output, fovea_model_param, fovea_model_threads, fovea_model_run, "
        "fovea_model_bind, fovea_workspace_measure, fovea_model_check_guards, fovea_safetensors_open, "
        "fovea_safetensors_close, fovea_model_resize, fovea_model_fit, fovea_model_extents, fovea_model_backend}\nconst "
        "fovea_description %s_library = DESCRIPTION;\n"
        "extern const fovea_description fovea_library;\nconst fovea_description fovea_library = "
        "DESCRIPTION;\n",
        n, n, n, a->deployed ? n : "0", a->deployed ? "_open" : "", n, a->deployed ? n : "0",
        a->deployed ? "_workspace_bytes" : "", a->known[0] ? n : "0", a->known[0] ? "_selftest" : "",
        a->deployed ? n : "0", a->deployed ? "_open_memory" : "", n);
}
void cli_artefact_program(const cli_artefact *a, const char *folder, fv_buf *b) {
    writer w = {.b = b, .a = a};
    fv_buf_printf(
        b,
        "/* Written by fovea %s. */\n#include <stdatomic.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include "
        "<string.h>\n#include \"forms.h\"\n#include \"library.h\"\n#include "
        "\"tables.h\"\n#include \"%s.h\"\n",
        FOVEA_VERSION, a->name);
    fv_buf_puts(b, "/* done: 1, by somebody, now; 2. Without pthreads, which may be absent. */\n"
                   "static void once(_Atomic int *done, void (*make)(void)) {\n    int untouched = 0;\n"
                   "    if (atomic_load(done) == 2) return;\n"
                   "    if (atomic_compare_exchange_strong(done, &untouched, 1)) make(), atomic_store(done, 2);\n"
                   "    else while (atomic_load(done) < 2) {}\n}\n");
    cli_opencl_program(a, folder, b);
    programs(&w);
    free(w.known);
    choose(b, a);
    if (a->known[0]) cli_known_write(a, b);
    cli_artefact_form_list(a, b);
    functions(b, a);
    if (a->deployed) cli_artefact_deploy_program(a, b);
    description(b, a);
}
