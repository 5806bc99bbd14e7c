/* The making of fovea compile (NAME.o, NAME.so, NAME.h) and fovea build (NAME.a, NAME.so, NAME.h, NAME.pc, NAME.json,
 * NAME.weights). Invariant: all is made in a folder of its own and moved to its place at the end, when everything was
 * tried: nothing is half-written. */
#define _XOPEN_SOURCE 700
#include "cli/artefact.h"
#include "cli/artefact_opencl.h"
#include "cli/tuned.h"
#include "cli/precision.h"
#include "io/file.h"
#include "io/sha256.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CODE_KILOBYTES = 170 };

typedef struct {
    fv_ctx *ctx;
    const cli_args *args;
    const char *folder, *out; /* folder: temporary; out: path without suffix */
    const char *cc, *objcopy, *ar;
    bool build;
    int64_t code_bytes; /* of a level's kernels; 0: any number */
    cli_artefact a;
} job;

static const char *in_folder(job *j, const char *tail) {
    return fv_printf(j->ctx, "%s/%s%s", j->folder, j->a.name, tail);
}
static void remove_folder(job *j) {
    DIR *d = opendir(j->folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) unlink(fv_printf(j->ctx, "%s/%s", j->folder, e->d_name));
    if (d) closedir(d);
    rmdir(j->folder);
}

/* -- What is asked for ---- */
static bool choose_name(job *j, const cli_args *args, const cli_session *s) {
    const char *given = cli_value(args, "o");
    char *name = fv_strdup(j->ctx, given        ? given
                                   : s->variant ? fv_printf(j->ctx, "%s_%s", s->path, s->variant)
                                                : s->path);
    char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    if (!given) { /* swin.lua, tiny -> swin_tiny */
        char *dot = strstr(base, ".lua");
        if (dot) memmove(dot, dot + 4, strlen(dot + 4) + 1);
        for (char *c = base; *c; c++)
            if (!isalnum((unsigned char)*c)) *c = '_';
    }
    bool fine = isalpha((unsigned char)*base) || *base == '_';
    for (char *c = base; *c; c++) fine = fine && (isalnum((unsigned char)*c) || *c == '_');
    if (!fine || strlen(base) > 64) {
        fv_error(j->ctx, FV_E_USAGE, (fv_loc){0},
                 "-o: '%s' has to end in a C identifier of at most 64 letters: it names the functions of the library",
                 base);
        return false;
    }
    if (!strcmp(base, "fovea") || !strncmp(base, "fovea_", 6)) {
        fv_error(j->ctx, FV_E_USAGE, (fv_loc){0},
                 "-o: '%s': names that begin with fovea_ are the runtime's; choose another", base);
        return false;
    }
    char *upper = fv_strdup(j->ctx, base);
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    j->a.name = base;
    j->a.upper = upper;
    j->out = given ? given : base;
    return true;
}
/* $CC and $OBJCOPY, else those of the target's triple, else the system's. */
static bool find_tools(job *j) {
    static const char *const names[] = {"gcc", "objcopy", "ar"}, *const variables[] = {"CC", "OBJCOPY", "AR"},
                             *const plain[] = {"cc", "objcopy", "ar"};
    const char *found[3];
#ifdef __x86_64__
    bool native = j->a.level[0].x86;
#else
    bool native = !j->a.level[0].x86;
#endif
    for (int i = 0; i < 2 + j->build; i++) {
        const char *want = getenv(variables[i]);
        if (!want || !*want) {
            const char *target = j->a.level[0].target, *colon = target ? strchr(target, ':') : NULL;
            want = native || !colon ? plain[i] : fv_printf(j->ctx, "%.*s-%s", (int)(colon - target), target, names[i]);
        }
        found[i] = cli_find_program(j->ctx, want);
        if (found[i]) continue;
        fv_error(j->ctx, FV_E_FILE, (fv_loc){0},
                 "'%s' is not on PATH: the kernels are joined with the runtime by %s C compiler and binutils; %s names "
                 "another",
                 want, native ? "the system's" : "the target's", variables[i]);
        if (!native) fv_note(j->ctx, (fv_loc){0}, "Debian has them in the packages gcc-TRIPLE and binutils-TRIPLE");
        return false;
    }
    j->cc = found[0];
    j->objcopy = found[1];
    j->ar = j->build ? found[2] : NULL;
    return true;
}

/* -- Making ---- */
static bool write_object(job *j, const cli_level *l, int number) {
    const fv_compiled *c = &l->compiled;
    fv_buf object = {0};
    bool fine = c->backend->object && c->backend->object(c->module, fv_printf(j->ctx, "fovea_k%d_", number), &object);
    if (!fine && !fv_error_count(j->ctx))
        fv_error(j->ctx, FV_E_BACKEND, (fv_loc){0}, "backend '%s' makes no objects", c->backend->name);
    fine = fine && fv_file_write(j->ctx, cli_artefact_file(j->ctx, j->folder, l, "kernels.o"), object.text, object.len);
    fv_buf_dispose(&object);
    return fine;
}
static bool write_parts(job *j) {
    fv_buf program = {0}, header = {0};
    bool fine = true;
    for (int i = 0; i < j->a.n_levels && fine; i++) fine = write_object(j, &j->a.level[i], i);
    fine = fine && cli_artefact_runtime(j->ctx, &j->a) && cli_artefact_header(j->ctx, &j->a, &header) &&
           cli_opencl_files(j->ctx, &j->a, j->folder);
    if (fine) cli_artefact_program(&j->a, j->folder, &program);
    fine = fine && fv_file_write(j->ctx, in_folder(j, "_program.c"), program.text, program.len) &&
           fv_file_write(j->ctx, in_folder(j, ".h"), header.text, header.len);
    fv_buf_dispose(&program);
    fv_buf_dispose(&header);
    return fine;
}
static int sources_of(job *j, const char *folder, const char **out, int cap) {
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) && n < cap;) {
        size_t len = strlen(e->d_name);
        bool threads = !strcmp(e->d_name, "pool.c") || !strcmp(e->d_name, "threads.c");
        bool other = (threads && j->a.single) || !strcmp(e->d_name, "probe.c"); /* probes are of fovea devices */
        if (len > 2 && !strcmp(e->d_name + len - 2, ".c") && !other)
            out[n++] = fv_printf(j->ctx, "%s/%s", folder, e->d_name);
    }
    if (d) closedir(d);
    return n;
}
static int runtime_sources(job *j, const char **out, int cap) {
    const char *folder = cli_runtime_folder(j->ctx);
    int n = sources_of(j, folder, out, cap);
    if (n && j->a.n_devices) n += sources_of(j, fv_printf(j->ctx, "%s/opencl", folder), out + n, cap - n);
    if (n && n < cap && j->a.single) out[n++] = fv_printf(j->ctx, "%s/single/pool.c", folder);
    if (!n)
        fv_error(j->ctx, FV_E_FILE, (fv_loc){0},
                 "the runtime's sources are not at %s; FOVEA_RUNTIME names their folder", folder);
    return n;
}
static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }
static bool add_opencl_headers(job *j) {
    char *whole = realpath(cli_runtime_folder(j->ctx), NULL);
    bool linked = whole && symlink(whole, fv_printf(j->ctx, "%s/runtime", j->folder)) == 0;
    free(whole);
    if (linked && access(FOVEA_OPENCL_HEADERS "/CL/cl_icd.h", R_OK) == 0) return true;
    if (!linked) fv_error(j->ctx, FV_E_FILE, (fv_loc){0}, "cannot make a link in %s", j->folder);
    else
        fv_error(j->ctx, FV_E_FILE, (fv_loc){0},
                 "the headers of OpenCL are not at " FOVEA_OPENCL_HEADERS " (Debian: the package opencl-headers)");
    return false;
}
/* Tables, runtime and kernels become one object that shows NAME_… and nothing else (fovea_library is weak): several
 * models, of several versions of the runtime, can be linked into one program. */
static bool join(job *j) {
    const char *source[64], *log = in_folder(j, ".log"), *all = in_folder(j, "_all.o"), *object = in_folder(j, ".o"),
                            *library = in_folder(j, ".so");
    int n = runtime_sources(j, source, 64), k = 0;
    if (!n) return false;
    qsort(source, (size_t)n, sizeof *source, by_name);
    const char *compile[128];
    static const char *const flags[] = {
        "-std=c11",  "-Os", "-fPIC", "-w", "-ffp-contract=off", "-fno-asynchronous-unwind-tables",
        "-nostdlib", "-r",  "-I"};
    compile[k++] = j->cc;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) compile[k++] = flags[i];
    compile[k++] = cli_runtime_folder(j->ctx);
    if (j->a.n_devices) { /* there, headers are named from above the runtime's folder, whatever that is called */
        if (!add_opencl_headers(j)) return false;
        compile[k++] = "-I";
        compile[k++] = j->folder;
        compile[k++] = "-idirafter";
        compile[k++] = FOVEA_OPENCL_HEADERS;
    }
    compile[k++] = "-o";
    compile[k++] = all;
    compile[k++] = in_folder(j, "_program.c");
    for (int i = 0; i < j->a.n_levels; i++)
        compile[k++] = cli_artefact_file(j->ctx, j->folder, &j->a.level[i], "kernels.o");
    for (int i = 0; i < n; i++) compile[k++] = source[i];
    compile[k++] = "-lgcc"; /* what asks the processor for its features */
    compile[k] = NULL;
    const char *local[2 * CLI_EXPORTS + 16];
    k = 0;
    local[k++] = j->objcopy;
    local[k++] = "--wildcard";
    for (int i = 0; i < j->a.n_exports; i++)
        if (j->a.export[i].shown) {
            local[k++] = "--redefine-sym";
            local[k++] = fv_printf(j->ctx, "%s=%s", j->a.export[i].from, j->a.export[i].to);
        }
    local[k++] = fv_printf(j->ctx, "--keep-global-symbol=%s_*", j->a.name);
    local[k++] = "--keep-global-symbol=fovea_library";
    local[k++] = "--weaken-symbol=fovea_library";
    local[k++] = "--localize-hidden";
    local[k++] = all;
    local[k++] = object;
    local[k] = NULL;
    const char *link[] = {j->cc,
                          "-shared",
                          "-s",
                          "-Wl,-z,defs",
                          "-Wl,-z,noexecstack",
                          "-Wl,-z,noseparate-code", /* no padding to pages between code and constants */
                          "-Wl,-Bsymbolic",
                          fv_printf(j->ctx, "-Wl,-soname,%s.so", j->a.name),
                          "-o",
                          library,
                          object,
                          "-lm",
                          j->a.single ? NULL : "-lpthread",
                          NULL};
    cli_progress("compiling the runtime for %s", j->a.name);
    if (!cli_run_tool(j->ctx, (char *const *)(uintptr_t)compile, log)) return false;
    cli_progress("linking %s", j->a.name);
    return cli_run_tool(j->ctx, (char *const *)(uintptr_t)local, log) &&
           cli_run_tool(j->ctx, (char *const *)(uintptr_t)link, log);
}
/* What fovea verify finds files by: their SHA-256. NULL after recording an error. */
static const char *sums(job *j) {
    const char *text = "{";
    const char *const tails[] = {"so", "a", j->a.image && !j->a.embedded ? "weights" : NULL};
    for (int i = 0; i < 3 && tails[i]; i++) {
        char sum[FV_SHA256_TEXT];
        if (!fv_sha256_file(j->ctx, in_folder(j, fv_printf(j->ctx, ".%s", tails[i])), sum)) return NULL;
        text = fv_printf(j->ctx, "%s%s\n    \"%s\": \"%s\"", text, i ? "," : "", tails[i], sum);
    }
    return fv_printf(j->ctx, "%s\n  }", text);
}
/* The archive, the pkg-config file and the manifest. */
static bool write_deployed(job *j) {
    const char *log = in_folder(j, ".log");
    const char *archive[] = {j->ar, "rcs", in_folder(j, ".a"), in_folder(j, ".o"), NULL};
    fv_buf pc = {0}, manifest = {0};
    cli_artefact_pc(&j->a, &pc);
    const char *files = cli_run_tool(j->ctx, (char *const *)(uintptr_t)archive, log) ? sums(j) : NULL;
    if (files) cli_artefact_manifest(&j->a, files, &manifest);
    bool fine = files && fv_file_write(j->ctx, in_folder(j, ".pc"), pc.text, pc.len) &&
                fv_file_write(j->ctx, in_folder(j, ".json"), manifest.text, manifest.len);
    fv_buf_dispose(&pc);
    fv_buf_dispose(&manifest);
    return fine;
}
/* The example of the header is compiled as a user would, and answers what this process answered, at every level that
 * runs here, for every shape that is tried. */
static bool same_answers(job *j, const cli_level *l, int shape, const char *binary) {
    const char *got = in_folder(j, "_got"), *log = in_folder(j, ".log");
    const char *inputs = cli_artefact_tried(j->ctx, j->folder, l, shape, "inputs");
    const char *with[] = {binary, inputs, got, j->a.embedded ? NULL : j->a.image, NULL},
               *without[] = {binary, inputs, inputs, got, NULL}, **run = j->a.image ? with : without;
    fv_bytes want = {0}, have = {0};
    setenv("FOVEA_LEVEL", l->name, 1);
    bool fine =
        cli_run_tool(j->ctx, (char *const *)(uintptr_t)run, log) &&
        fv_file_read(j->ctx, cli_artefact_tried(j->ctx, j->folder, l, shape, "answers"), (size_t)1 << 31, &want) &&
        fv_file_read(j->ctx, got, (size_t)1 << 31, &have);
    unsetenv("FOVEA_LEVEL");
    if (fine && (want.n != have.n || memcmp(want.data, have.data, want.n) != 0)) {
        fv_error(j->ctx, FV_E_INTERNAL, (fv_loc){0}, "the library %s answers other bits than this process at level %s",
                 j->a.name, l->name);
        fine = false;
    }
    fv_bytes_dispose(&want);
    fv_bytes_dispose(&have);
    return fine;
}
static bool try_example(job *j) {
    static const char begin[] = "#if 0  /* An example", end[] = "#endif  /* end";
    const char *log = in_folder(j, ".log"), *program = in_folder(j, "_main.c"), *binary = in_folder(j, "_main");
    fv_bytes header = {0};
    bool fine = fv_file_read(j->ctx, in_folder(j, ".h"), 1 << 24, &header);
    char *from = fine ? strstr((char *)header.data, begin) : NULL, *to = from ? strstr(from, end) : NULL;
    from = from ? strchr(from, '\n') : NULL;
    const char *compile[] = {j->cc,   "-std=c11",
                             "-I",    j->folder,
                             "-o",    binary,
                             program, in_folder(j, j->build ? ".a" : ".o"),
                             "-lm",   j->a.single ? NULL : "-lpthread",
                             NULL};
    cli_progress("trying the example of %s.h", j->a.name);
    fine = fine && from && to && fv_file_write(j->ctx, program, from + 1, (size_t)(to - from) - 1) &&
           cli_run_tool(j->ctx, (char *const *)(uintptr_t)compile, log);
    setenv("FOVEA_BACKEND", "cpu", 1); /* what is compared to the bit */
    for (int i = 0; i < j->a.n_levels && fine; i++) {
        const cli_level *l = &j->a.level[i];
        for (int k = 0; l->answered && fine && k < j->a.n_tried; k++) fine = same_answers(j, l, k, binary);
        if (!cli_level_runs_here(l)) cli_say("%s: made, and not tried: this processor does not run it", l->name);
    }
    unsetenv("FOVEA_BACKEND");
    fv_bytes_dispose(&header);
    return fine;
}
static bool deliver(job *j) {
    static const char *const compiled[] = {".o", ".so", ".h", NULL};
    static const char *const built[] = {".a", ".so", ".h", ".pc", ".json", NULL};
    enum { MOST = 6 };
    const char *tails[MOST];
    fv_bytes part[MOST] = {{0}};
    int n = 0;
    for (const char *const *t = j->build ? built : compiled; *t; t++) tails[n++] = *t;
    if (j->build && j->a.image && !j->a.embedded) tails[n++] = ".weights";
    bool fine = true;
    for (int i = 0; i < n && fine; i++) fine = fv_file_read(j->ctx, in_folder(j, tails[i]), (size_t)1 << 33, &part[i]);
    int written = 0;
    for (; written < n && fine; written++)
        fine = fv_file_write(j->ctx, fv_printf(j->ctx, "%s%s", j->out, tails[written]), part[written].data,
                             part[written].n);
    if (!fine) /* what came before the one that failed */
        for (int i = 0; i + 1 < written; i++) unlink(fv_printf(j->ctx, "%s%s", j->out, tails[i]));
    cli_progress_done();
    for (int i = 0; i < n && fine; i++) printf("%s%s  %.1f kB\n", j->out, tails[i], 1e-3 * (double)part[i].n);
    for (int i = 0; i < n; i++) fv_bytes_dispose(&part[i]);
    return fine;
}
/* What a user sees of the library does not depend on the level. */
static bool levels_agree(job *j) {
    for (int i = 1; i < cli_artefact_forms(&j->a); i++) {
        const fovea_program *p = &j->a.level[0].compiled.program, *q = &j->a.level[i].compiled.program;
        for (fovea_place place = FOVEA_INPUT; place <= FOVEA_PARAM; place++)
            for (int32_t x = 0, y = 0; x < p->n_arrays || y < q->n_arrays; x++, y++) {
                while (x < p->n_arrays && p->arrays[x].place != place) x++;
                while (y < q->n_arrays && q->arrays[y].place != place) y++;
                if (x >= p->n_arrays && y >= q->n_arrays) break;
                if (x < p->n_arrays && y < q->n_arrays && !strcmp(p->arrays[x].name, q->arrays[y].name) &&
                    p->arrays[x].bytes == q->arrays[y].bytes)
                    continue;
                fv_error(j->ctx, FV_E_INTERNAL, (fv_loc){0}, "the levels %s and %s differ in what they take or give",
                         j->a.level[0].name, j->a.level[i].name);
                return false;
            }
    }
    return true;
}
/* A library holds no path of the machine that built it. */
static void shorten_places(fv_ctx *ctx, const fovea_launch *of, int32_t n) {
    fovea_launch *list = (fovea_launch *)(uintptr_t)of; /* the context's */
    for (int32_t i = 0; i < n; i++) list[i].where = cli_artefact_place(ctx, of[i].where);
}
static bool compile_levels(job *j, cli_session *s) {
    for (int i = 0; i < cli_artefact_forms(&j->a); i++) {
        cli_level *l = &j->a.level[i];
        fv_driver_options o = {.target = l->target,
                               .cache_dir = cli_cache_dir(j->ctx),
                               .storage = s->storage,
                               .code_bytes = l->opencl ? 0 : j->code_bytes};
        if (l->opencl) {
            o.backend = "opencl";
            o.portable = true;
        }
        l->same = -1;
        cli_tuned tuned = {0};
        bool fine = l->opencl || cli_tuned_open(j->ctx, j->args, 0, &tuned, &o); /* records are of one device */
        cli_progress("compiling %s for %s", s->name, l->name);
        if (j->a.bounds.n) fine = fine && cli_artefact_family(j->ctx, s, &j->a, &o, &l->compiled);
        else fine = fine && fv_compile(j->ctx, s->spec.graph, (fv_str){0}, &o, &l->compiled);
        if (!l->opencl) cli_tuned_close(&tuned);
        if (!fine) return false;
        shorten_places(j->ctx, l->compiled.program.prepare, l->compiled.program.n_prepare);
        shorten_places(j->ctx, l->compiled.program.run, l->compiled.program.n_run);
    }
    j->a.shown = cli_artefact_shown(j->ctx, &j->a);
    return levels_agree(j);
}
static bool make(job *j, cli_session *s) {
    const char *tmp = getenv("TMPDIR");
    char *folder = fv_printf(j->ctx, "%s/fovea-compile-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    j->a.model = cli_artefact_place(j->ctx, s->name);
    j->a.preprocess = s->spec.preprocess_json;
    j->a.classes = s->spec.labels_json;
    j->a.deployed = j->build;
    bool fine = compile_levels(j, s);
    if (fine && !mkdtemp(folder)) {
        fv_error(j->ctx, FV_E_FILE, (fv_loc){0}, "cannot make a folder like %s", folder);
        fine = false;
    }
    j->folder = folder;
    if (fine) {
        bool image = j->build && (s->weights || j->a.embedded);
        fine = image ? cli_artefact_images(j->ctx, s, &j->a, folder) : cli_artefact_answers(j->ctx, s, &j->a, folder);
        fine = fine && write_parts(j) && join(j) && (!j->build || write_deployed(j)) && try_example(j) && deliver(j);
        remove_folder(j);
    }
    for (int i = 0; i < cli_artefact_forms(&j->a); i++) fv_compiled_dispose(&j->a.level[i].compiled);
    return fine;
}

/* What 16-bit storage costs is measured on this processor, whatever the target. */
static bool choose_storage(job *j, const cli_args *a, cli_session *s) {
    fv_driver_options o = {.cache_dir = cli_cache_dir(j->ctx)};
    cli_precision precision;
    if (!cli_precision_choose(j->ctx, a, s, &o, &precision)) return false;
    j->a.storage = s->storage;
    j->a.storage_error = precision.measured ? precision.error : -1;
    return true;
}
static bool read_bounds(job *j) {
    if (!cli_bounds_read(j->ctx, j->args, &j->a.bounds)) return false;
    if (!j->a.bounds.n) return true;
    j->a.n_tried = j->a.bounds.n_tried;
    if (j->a.n_devices) {
        fv_error(j->ctx, FV_E_USAGE, (fv_loc){0},
                 "opencl: its programs are of one shape, and --shape %s asks for several: build a library for each",
                 j->a.bounds.text);
        return false;
    }
    if (!cli_value(j->args, "input")) return true;
    fv_error(j->ctx, FV_E_USAGE, (fv_loc){0}, "--input has one shape, and --shape %s asks for several: leave it out",
             j->a.bounds.text);
    return false;
}
int cli_artefact_make(fv_ctx *ctx, const cli_args *a, bool build) {
    static cli_session s;
    static job j;
    j = (job){.ctx = ctx, .args = a, .build = build, .a.n_tried = 1};
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%s takes one spec, %d given; see fovea %s --help",
                 build ? "build" : "compile", a->n_words, build ? "build" : "compile");
        return CLI_USER;
    }
    static const char *const forms[] = {"pool", "none", NULL};
    const char *threads = NULL;
    j.a.embedded = build && cli_flag(a, "embed");
    if (build && !cli_choice(ctx, a, "threads", forms, &threads)) return CLI_USER;
    j.a.single = threads && !strcmp(threads, "none");
    int64_t kilobytes = build ? CODE_KILOBYTES : 0;
    if (build && !cli_int(ctx, a, "code-kb", 0, &kilobytes)) return CLI_USER;
    j.code_bytes = 1000 * kilobytes;
    bool fine = cli_artefact_levels(ctx, a, &j.a) && (!build || read_bounds(&j)) && find_tools(&j) &&
                cli_session_open(ctx, a, a->word[0], &s) && choose_name(&j, a, &s) &&
                (!build || choose_storage(&j, a, &s)) && make(&j, &s);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
