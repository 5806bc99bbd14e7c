/* fovea verify: a built library against its manifest, its symbols, and, in a child process, what it does when it runs.
 */
#define _GNU_SOURCE
#include "cli/elf_symbols.h"
#include "cli/verify.h"
#include "io/file.h"
#include "io/json.h"
#include "io/sha256.h"

#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    fv_ctx *ctx;
    const char *library, *stem, *weights, *manifest_text;
    const fv_json *manifest;
    bool embedded, prepared; /* weights: inside; made by the build */
    bool single;             /* built with --threads none */
    int64_t threads, seconds;
} verify;

static bool refuse(verify *v, const char *path, const char *fmt, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fv_error(v->ctx, FV_E_VERIFY, (fv_loc){0}, "%s: %s", path, text);
    return false;
}

/* -- The manifest ---- */
static bool read_manifest(verify *v, const char *weights) {
    size_t n = strlen(v->library);
    if (n < 4 || strcmp(v->library + n - 3, ".so") != 0) {
        fv_error(v->ctx, FV_E_USAGE, (fv_loc){0}, "verify takes the NAME.so that fovea build wrote, not '%s'",
                 v->library);
        return false;
    }
    v->stem = fv_printf(v->ctx, "%.*s", (int)(n - 3), v->library);
    const char *path = fv_printf(v->ctx, "%s.json", v->stem);
    fv_bytes text;
    if (!fv_file_read(v->ctx, path, 1 << 24, &text)) return false;
    v->manifest_text = fv_strdup(v->ctx, (const char *)text.data);
    fv_bytes_dispose(&text);
    v->manifest = fv_json_parse(v->ctx, path, v->manifest_text, strlen(v->manifest_text));
    const fv_json *own = fv_json_get(v->manifest, "weights");
    int64_t bytes = 0;
    if (!v->manifest || !fv_json_get_int(v->ctx, path, own, "bytes", true, &bytes) ||
        !fv_json_get_bool(v->ctx, path, own, "inside", true, &v->embedded))
        return false;
    if (!fv_json_get(v->manifest, "files"))
        return refuse(v, path, "it lists no files: an older fovea built this library, build it again");
    const fv_json *threads = fv_json_get(v->manifest, "threads");
    v->single = threads && threads->kind == FV_JSON_STRING && !strcmp(threads->text, "none");
    if (v->single) v->threads = 1;
    v->prepared = bytes > 0;
    v->weights = weights ? weights : v->prepared && !v->embedded ? fv_printf(v->ctx, "%s.weights", v->stem) : NULL;
    return true;
}
static bool same_file(verify *v, const char *suffix, const char *path) {
    char got[FV_SHA256_TEXT];
    const char *label = fv_printf(v->ctx, "%s.json: files", v->stem), *want = NULL;
    const fv_json *files = fv_json_get(v->manifest, "files");
    if (!fv_json_get_text(v->ctx, label, files, suffix, true, &want) || !fv_sha256_file(v->ctx, path, got))
        return false;
    if (!strcmp(got, want)) return true;
    return refuse(v, path, "not the file that was built: its SHA-256 is %s, the manifest says %s", got, want);
}
static bool check_files(verify *v) {
    const char *archive = fv_printf(v->ctx, "%s.a", v->stem);
    bool fine = same_file(v, "so", v->library), other = same_file(v, "a", archive);
    bool with = v->prepared && !v->embedded;
    if (with) other &= same_file(v, "weights", v->weights);
    if (!fine || !other) return false;
    printf("ok  files: %s, %s%s%s are those that were built\n", v->library, archive, with ? ", " : "",
           with ? v->weights : "");
    return true;
}

/* -- Symbols ---- */
static bool needs(verify *v, const char *path, int *count, cli_elf *e) {
    fv_bytes f;
    bool fine = true;
    if (!fv_file_read(v->ctx, path, (size_t)1 << 36, &f)) return false;
    const char *bad = cli_elf_read(v->ctx, f.data, f.n, e);
    fv_bytes_dispose(&f);
    if (bad) return refuse(v, path, "%s", bad);
    for (int i = 0; i < e->n; i++)
        if (v->single && !strncmp(e->name[i], "pthread_", 8))
            fine = refuse(v, path, "needs %s, and was built with --threads none", e->name[i]);
        else if (!cli_elf_provided(e->name[i]))
            fine = refuse(v, path, "needs %s, which libc, libm and pthreads do not have", e->name[i]);
    for (int i = 0; i < e->n_libraries; i++)
        if (!strstr("libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2", e->library[i]) &&
            strncmp(e->library[i], "ld-linux", 8))
            fine = refuse(v, path, "needs the library %s, which is none of libc (with libdl), libm and pthreads",
                          e->library[i]);
    *count = e->n;
    return fine;
}
static bool check_symbols(verify *v) {
    cli_elf shared, archive;
    int a, b;
    const char *path = fv_printf(v->ctx, "%s.a", v->stem);
    bool fine = needs(v, v->library, &a, &shared);
    if (!needs(v, path, &b, &archive) || !fine) return false;
    if (!cli_elf_defines(&shared, "fovea_library"))
        return refuse(v, v->library, "no library of fovea build: it has no symbol fovea_library");
#ifdef __x86_64__
    enum { HERE = EM_X86_64 };
#else
    enum { HERE = EM_AARCH64 };
#endif
    printf("ok  symbols: %s needs %d and %s %d, all of libc%s\n", v->library, a, path, b,
           v->single ? " and libm" : ", libm and pthreads");
    if (shared.machine == HERE) return true;
    return refuse(v, v->library, "made for another processor (ELF machine %d): verify it there", shared.machine);
}

/* -- Running it ---- */
static bool read_lines(verify *v, FILE *from, char *step, size_t cap, bool *none) {
    static char line[4096];
    bool fine = true;
    *none = false;
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "step ", 5)) snprintf(step, cap, "%.500s", line + 5);
        else if (!strncmp(line, "ok ", 3)) printf("ok  %s\n", line + 3);
        else if ((*none = !strncmp(line, "none ", 5))) printf("--  not run here: %s\n", line + 5);
        else fine = refuse(v, v->library, "%s", strncmp(line, "bad ", 4) ? line : line + 4);
    }
    return fine;
}
static bool judge(verify *v, int status, const char *step, bool fine) {
    if (!WIFSIGNALED(status)) {
        if (fine && (!WIFEXITED(status) || WEXITSTATUS(status))) return refuse(v, v->library, "%s: it failed", step);
        return fine;
    }
    int sig = WTERMSIG(status);
    if (sig == SIGALRM) return refuse(v, v->library, "%s: not done after %lld s", step, (long long)v->seconds);
    return refuse(v, v->library, "%s: ended by signal %d (%s)%s", step, sig, strsignal(sig),
                  sig == SIGSEGV || sig == SIGBUS ? ": memory outside its blocks was touched" : "");
}
static bool run_child(verify *v, const char *level, bool device, int *levels) {
    int ends[2], status = 0;
    bool none = false;
    char step[512] = "starting";
    const char *path = strchr(v->library, '/') ? v->library : fv_printf(v->ctx, "./%s", v->library);
    fflush(stdout);
    if (pipe(ends)) return refuse(v, v->library, "no pipe to a child process");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        alarm((unsigned)v->seconds);
        verify_job job = {.ctx = v->ctx,
                          .library = path,
                          .weights = v->weights,
                          .prepared = v->prepared,
                          .manifest = v->manifest_text,
                          .level = level,
                          .device = device,
                          .threads = (int)v->threads,
                          .out = ends[1]};
        _exit(verify_child(&job));
    }
    close(ends[1]);
    FILE *from = pid > 0 ? fdopen(ends[0], "r") : NULL;
    bool fine = from && read_lines(v, from, step, sizeof step, &none);
    if (from) fclose(from);
    else close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return refuse(v, v->library, "no child process");
    if (none && fine && WIFEXITED(status)) return true;
    if (!judge(v, status, step, fine)) return false;
    ++*levels;
    return true;
}
/* Every level of processor that this one has. */
static bool run_levels(verify *v) {
    const fv_json *levels = fv_json_get(v->manifest, "levels");
    int run = 0;
    bool several = levels && levels->kind == FV_JSON_ARRAY && levels->n > 1;
    if (!several && !run_child(v, NULL, false, &run)) return false;
    for (int i = 0; several && i < levels->n; i++) {
        const char *name = NULL, *label = fv_printf(v->ctx, "%s.json: levels", v->stem);
        if (!fv_json_get_text(v->ctx, label, fv_json_at(levels, i), "name", true, &name)) return false;
        printf("level %s\n", name);
        if (!run_child(v, name, false, &run)) return false;
    }
    const fv_json *devices = fv_json_get(v->manifest, "devices");
    if (devices && devices->kind == FV_JSON_ARRAY && devices->n) {
        printf("OpenCL\n");
        if (!run_child(v, NULL, true, &run)) return false;
    }
    return run ? true : refuse(v, v->library, "this processor can run none of its code: verify it elsewhere");
}
static int run(fv_ctx *ctx, const cli_args *a) {
    verify v = {.ctx = ctx, .threads = 4, .seconds = 600};
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "verify takes one NAME.so, %d given; see fovea verify --help",
                 a->n_words);
        return CLI_USER;
    }
    v.library = a->word[0];
    bool fine = cli_int(ctx, a, "threads", 1, &v.threads) && cli_int(ctx, a, "seconds", 1, &v.seconds);
    if (fine && (v.threads > 1024 || v.seconds > 1000000)) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--threads is at most 1024, --seconds at most 1000000");
        fine = false;
    }
    /* No code of files that are not the build's is run. */
    fine = fine && read_manifest(&v, cli_value(a, "weights")) && check_files(&v) && check_symbols(&v) && run_levels(&v);
    if (fine) printf("%s is sound\n", v.library);
    return fine ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    {"weights", "FILE",
     "the weights of the build (default: NAME.weights beside the library); of a library that was built without: a "
     "checkpoint (default: seeded numbers)",
     CLI_VALUE},
    {"threads", "N", "run with 1 to N threads (default 4)", CLI_VALUE},
    {"seconds", "T", "give up after so long (default 600)", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_verify = {"verify", "verify NAME.so [--weights FILE] [options]",
                                "check a built library: files, symbols, answers, memory, threads", options, run};
