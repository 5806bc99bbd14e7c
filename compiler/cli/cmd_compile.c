/* fovea compile: NAME.o, NAME.so and NAME.h of a model. Invariant: all is made in a folder of its own and moved to its
 * place at the end: nothing is half-written. */
#define _POSIX_C_SOURCE 200809L
#include "cli/artefact.h"
#include "io/file.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define V2 "+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+popcnt,+movbe"
/* Instruction sets by name, as code that every processor with them runs. */
static const struct {
    const char *name, *target;
} levels[] = {
    {"avx512", "x86_64-linux-gnu:" V2 ",+avx512f,+avx512cd,+avx512vl,+avx512bw,+avx512dq"},
    {"avx2", "x86_64-linux-gnu:" V2},
    {"sse2", "x86_64-linux-gnu:+sse2"},
    {"neon", "aarch64-linux-gnu:+neon"},
};

typedef struct {
    fv_ctx *ctx;
    const char *target, *folder, *out; /* target for the backend; folder: temporary; out: path without suffix */
    const char *cc, *objcopy;
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
    char *upper = fv_strdup(j->ctx, base);
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    j->a.name = base;
    j->a.upper = upper;
    j->out = given ? given : base;
    return true;
}
static bool choose_target(job *j, const cli_args *args) {
    const char *t = cli_value(args, "target");
    const fv_backend *cpu = fv_backend_find("cpu");
    if (!cpu) {
        fv_error(j->ctx, FV_E_BACKEND, (fv_loc){0}, "compile needs the cpu backend, which this build leaves out");
        return false;
    }
    const fv_target *host = cpu->target(NULL);
    if (t && !strcmp(t, "cpu")) {
        j->target = NULL;
        j->a.target = fv_printf(j->ctx, "the processor it was compiled on (%s)", host->name);
    } else {
        const char *name = t ? t : host->name;
        j->target = name;
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
            if (!strcmp(levels[i].name, name)) j->target = levels[i].target;
        j->a.target = name;
    }
    const fv_target *facts = cpu->target(j->target);
    if (!facts) {
        fv_error(j->ctx, FV_E_BACKEND, (fv_loc){0},
                 "no target is called '%s': cpu, avx512, avx2, sse2, neon, or TRIPLE:FEATURES", t);
        return false;
    }
    j->a.avx512 = !strcmp(facts->name, "avx512");
    j->a.avx2 = !strcmp(facts->name, "avx2");
    j->a.x86 = strcmp(facts->name, "neon") != 0;
    return true;
}
/* $CC and $OBJCOPY, else those of the target's triple, else the system's. */
static bool find_tools(job *j) {
    static const char *const names[] = {"gcc", "objcopy"}, *const variables[] = {"CC", "OBJCOPY"},
                             *const plain[] = {"cc", "objcopy"};
    const char *found[2];
#ifdef __x86_64__
    bool native = j->a.x86;
#else
    bool native = !j->a.x86;
#endif
    for (int i = 0; i < 2; i++) {
        const char *want = getenv(variables[i]);
        if (!want || !*want) {
            const char *colon = j->target ? strchr(j->target, ':') : NULL;
            want = native || !colon ? plain[i]
                                    : fv_printf(j->ctx, "%.*s-%s", (int)(colon - j->target), j->target, names[i]);
        }
        found[i] = cli_find_program(j->ctx, want);
        if (found[i]) continue;
        fv_error(j->ctx, FV_E_FILE, (fv_loc){0},
                 "'%s' is not on PATH: compile joins the kernels with the runtime by the system's C compiler and "
                 "objcopy; %s names another",
                 want, variables[i]);
        return false;
    }
    j->cc = found[0];
    j->objcopy = found[1];
    return true;
}

/* -- Making ---- */
static bool write_parts(job *j, const fv_compiled *c) {
    fv_buf object = {0}, program = {0}, header = {0};
    bool fine = c->backend->object && c->backend->object(c->module, &object);
    if (!fine && !fv_error_count(j->ctx))
        fv_error(j->ctx, FV_E_BACKEND, (fv_loc){0}, "backend '%s' makes no objects", c->backend->name);
    if (fine) fine = cli_artefact_header(j->ctx, &j->a, &header);
    if (fine) cli_artefact_program(&j->a, &program);
    fine = fine && fv_file_write(j->ctx, in_folder(j, "_kernels.o"), object.text, object.len) &&
           fv_file_write(j->ctx, in_folder(j, "_program.c"), program.text, program.len) &&
           fv_file_write(j->ctx, in_folder(j, ".h"), header.text, header.len);
    fv_buf_dispose(&object);
    fv_buf_dispose(&program);
    fv_buf_dispose(&header);
    return fine;
}
static int runtime_sources(job *j, const char **out, int cap) {
    int n = 0;
    const char *folder = cli_runtime_folder(j->ctx);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) && n < cap;) {
        size_t len = strlen(e->d_name);
        if (len > 2 && !strcmp(e->d_name + len - 2, ".c")) out[n++] = fv_printf(j->ctx, "%s/%s", folder, e->d_name);
    }
    if (d) closedir(d);
    if (!n)
        fv_error(j->ctx, FV_E_FILE, (fv_loc){0},
                 "the runtime's sources are not at %s; FOVEA_RUNTIME names their folder", folder);
    return n;
}
static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }
/* Tables, runtime and kernels become one object whose only strong symbols are NAME_: several models can be linked into
 * one program. */
static bool join(job *j) {
    const char *source[64], *log = in_folder(j, ".log"), *all = in_folder(j, "_all.o"), *object = in_folder(j, ".o"),
                            *library = in_folder(j, ".so");
    int n = runtime_sources(j, source, 64), k = 0;
    if (!n) return false;
    qsort(source, (size_t)n, sizeof *source, by_name);
    const char *compile[96];
    static const char *const flags[] = {"-std=c11", "-O2", "-fPIC", "-w", "-ffp-contract=off", "-nostdlib", "-r", "-I"};
    compile[k++] = j->cc;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) compile[k++] = flags[i];
    compile[k++] = cli_runtime_folder(j->ctx);
    compile[k++] = "-o";
    compile[k++] = all;
    compile[k++] = in_folder(j, "_program.c");
    compile[k++] = in_folder(j, "_kernels.o");
    for (int i = 0; i < n; i++) compile[k++] = source[i];
    compile[k] = NULL;
    const char *local[] = {j->objcopy, "--wildcard", "--localize-symbol=fovea_k[0-9]*", "--weaken-symbol=fovea_*", all,
                           object,     NULL};
    const char *link[] = {j->cc,
                          "-shared",
                          "-Wl,-z,defs",
                          "-Wl,-z,noexecstack",
                          "-Wl,-Bsymbolic",
                          fv_printf(j->ctx, "-Wl,-soname,%s.so", j->a.name),
                          "-o",
                          library,
                          object,
                          "-lpthread",
                          "-lm",
                          NULL};
    cli_progress("compiling the runtime for %s", j->a.name);
    if (!cli_run_tool(j->ctx, (char *const *)(uintptr_t)compile, log)) return false;
    cli_progress("linking %s", j->a.name);
    return cli_run_tool(j->ctx, (char *const *)(uintptr_t)local, log) &&
           cli_run_tool(j->ctx, (char *const *)(uintptr_t)link, log);
}
static bool deliver(job *j) {
    static const char *const tails[] = {".o", ".so", ".h"};
    fv_bytes part[3] = {{0}, {0}, {0}};
    bool fine = true;
    for (int i = 0; i < 3 && fine; i++) fine = fv_file_read(j->ctx, in_folder(j, tails[i]), (size_t)1 << 31, &part[i]);
    for (int i = 0; i < 3 && fine; i++)
        fine = fv_file_write(j->ctx, fv_printf(j->ctx, "%s%s", j->out, tails[i]), part[i].data, part[i].n);
    cli_progress_done();
    for (int i = 0; i < 3 && fine; i++) printf("%s%s  %.1f kB\n", j->out, tails[i], 1e-3 * (double)part[i].n);
    for (int i = 0; i < 3; i++) fv_bytes_dispose(&part[i]);
    return fine;
}
static bool make(job *j, cli_session *s) {
    fv_compiled c;
    fv_driver_options o = {.target = j->target, .cache_dir = cli_cache_dir(j->ctx), .storage = s->storage};
    cli_progress("compiling %s", s->name);
    bool fine = fv_compile(j->ctx, s->spec.graph, (fv_str){0}, &o, &c);
    j->a.compiled = &c;
    j->a.model = s->name;
    const char *tmp = getenv("TMPDIR");
    char *folder = fv_printf(j->ctx, "%s/fovea-compile-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (fine && !mkdtemp(folder)) {
        fv_error(j->ctx, FV_E_FILE, (fv_loc){0}, "cannot make a folder like %s", folder);
        fine = false;
    }
    j->folder = folder;
    if (fine) {
        fine = write_parts(j, &c) && join(j) && deliver(j);
        remove_folder(j);
    }
    fv_compiled_dispose(&c);
    return fine;
}

static int run(fv_ctx *ctx, const cli_args *a) {
    static cli_session s;
    job j = {.ctx = ctx};
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "compile takes one spec, %d given; see fovea compile --help",
                 a->n_words);
        return CLI_USER;
    }
    bool fine = choose_target(&j, a) && find_tools(&j) && cli_session_open(ctx, a, a->word[0], &s) &&
                choose_name(&j, a, &s) && make(&j, &s);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    {"target", "NAME",
     "avx512, avx2, sse2, neon, TRIPLE:FEATURES, or cpu: exactly this one (default: this one's instruction set)",
     CLI_VALUE},
    {"o", "NAME",
     "NAME.o, NAME.so and NAME.h are written; its last part names the functions (default: the spec's name)", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_compile = {"compile", "compile SPEC|BACKBONE[:VARIANT] --shape … [options]",
                                 "a library and a header that need nothing but libc", options, run};
