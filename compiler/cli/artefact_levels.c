/* What a library is compiled for: --target, --levels and --device of fovea compile and fovea build. */
#include "cli/artefact.h"

#include <stdlib.h>
#include <string.h>

#define V2 "+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+popcnt,+movbe"
#define V4 ",+avx512f,+avx512cd,+avx512vl,+avx512bw,+avx512dq"
/* Instruction sets by name, as code that every processor with them runs; the best first. */
static const struct {
    const char *name, *target;
} levels[] = {
    {"amx", "x86_64-linux-gnu:" V2 V4 ",+avx512bf16,+amx-tile,+amx-bf16"},
    {"avx512", "x86_64-linux-gnu:" V2 V4},
    {"avx2", "x86_64-linux-gnu:" V2},
    {"sse2", "x86_64-linux-gnu:+sse2"},
    {"neon", "aarch64-linux-gnu:+neon"},
};
enum { N_LEVELS = sizeof levels / sizeof *levels };

/* Features that the compilers of libraries can ask a processor for. */
static const char *const askable[] = {"avx2",     "fma",        "avx512f",    "avx512cd",   "avx512vl",   "avx512bw",
                                      "avx512dq", "avx512bf16", "avx512vnni", "avx512vbmi", "avx512vbmi2"};

static const char *needs(fv_ctx *ctx, const char *features) {
    fv_buf b = {0};
    for (const char *f = features; *f;) {
        size_t n = strcspn(f, ",");
        for (size_t i = 0; *f == '+' && i < sizeof askable / sizeof *askable; i++)
            if (strlen(askable[i]) == n - 1 && !strncmp(askable[i], f + 1, n - 1)) fv_buf_printf(&b, "%s ", askable[i]);
        f += n + (f[n] == ',');
    }
    const char *text = b.text ? fv_strdup(ctx, b.text) : "";
    fv_buf_dispose(&b);
    return text;
}
static const fv_backend *cpu(fv_ctx *ctx) {
    const fv_backend *b = fv_backend_find("cpu");
    if (!b) fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "compile needs the cpu backend, which this build leaves out");
    return b;
}
static void unknown(fv_ctx *ctx, const char *option, const char *name, const char *more) {
    fv_buf b = {0};
    for (int i = 0; i < N_LEVELS; i++) fv_buf_printf(&b, "%s%s", i ? ", " : "", levels[i].name);
    fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "--%s: none is called '%s': %s%s", option, name, b.text, more);
    fv_buf_dispose(&b);
}
static bool add(fv_ctx *ctx, cli_artefact *a, const char *option, const char *name, const char *target, int rank) {
    const fv_backend *backend = cpu(ctx);
    const fv_target *facts = backend ? backend->target(target) : NULL;
    const char *why = backend && backend->reason && !facts ? backend->reason(ctx, target) : NULL;
    if (backend && !facts) fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "--%s %s: %s", option, name, why ? why : "unknown");
    if (!facts) return false;
    cli_level *l = &a->level[a->n_levels++];
    *l = (cli_level){.name = name, .target = target, .rank = rank};
    l->facts = facts;
    l->x86 = target ? !strncmp(target, "x86_64", 6) : strcmp(facts->name, "neon") != 0;
    l->amx = !strcmp(facts->name, "amx");
    const char *has = target && strchr(target, ':')    ? strchr(target, ':') + 1
                      : !strcmp(facts->name, "avx2")   ? V2
                      : facts->dot2                    ? V2 V4 ",+avx512bf16"
                      : !strcmp(facts->name, "avx512") ? V2 V4
                                                       : "";
    l->needs = l->x86 ? needs(ctx, has) : "";
    l->number = fv_hash(name, strlen(name), FV_HASH_SEED);
    return true;
}
static bool one(fv_ctx *ctx, const char *t, cli_artefact *a) {
    const fv_backend *backend = cpu(ctx);
    if (!backend) return false;
    const char *host = backend->target(NULL) ? backend->target(NULL)->name : "?";
    if (t && !strcmp(t, "cpu")) {
        a->target = fv_printf(ctx, "the processor it was compiled on (%s)", host);
        return add(ctx, a, "target", "cpu", NULL, 0);
    }
    a->target = t ? t : host;
    for (int i = 0; i < N_LEVELS; i++) {
        bool named = !strcmp(levels[i].name, a->target);
        size_t n = strcspn(levels[i].target, ":"); /* a triple alone: its first level */
        if (named || (strlen(a->target) == n && !strncmp(levels[i].target, a->target, n) && !strchr(a->target, ':') &&
                      strncmp(a->target, "x86_64", 6) != 0))
            return add(ctx, a, "target", levels[i].name, levels[i].target, N_LEVELS - i);
    }
    if (!strchr(a->target, ':')) {
        unknown(ctx, "target", a->target, ", cpu, or TRIPLE:FEATURES");
        return false;
    }
    return add(ctx, a, "target", a->target, a->target, 0);
}
static int better_first(const void *a, const void *b) {
    const cli_level *x = a, *y = b;
    return (x->rank < y->rank) - (x->rank > y->rank);
}
static bool several(fv_ctx *ctx, const char *list, cli_artefact *a) {
    a->target = list;
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        const char *name = fv_printf(ctx, "%.*s", (int)n, at);
        int which = -1;
        for (int i = 0; i < N_LEVELS; i++)
            if (!strcmp(levels[i].name, name)) which = i;
        if (which < 0) {
            unknown(ctx, "levels", name, "");
            return false;
        }
        for (int i = 0; i < a->n_levels; i++)
            if (!strcmp(a->level[i].name, name)) {
                fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--levels: %s stands there twice", name);
                return false;
            }
        if (!add(ctx, a, "levels", name, levels[which].target, N_LEVELS - which)) return false;
        if (a->level[0].x86 != a->level[a->n_levels - 1].x86) {
            fv_error(ctx, FV_E_USAGE, (fv_loc){0},
                     "--levels: %s and %s are of different processors: build one library "
                     "for each",
                     a->level[0].name, name);
            return false;
        }
        at += n + (at[n] == ',');
    }
    if (!a->n_levels) {
        unknown(ctx, "levels", "", "");
        return false;
    }
    qsort(a->level, (size_t)a->n_levels, sizeof *a->level, better_first);
    return true;
}

/* -- OpenCL ---- */
/* A list without its word "opencl"; NULL: nothing else stands there. */
static const char *without_opencl(fv_ctx *ctx, const char *list, bool *found) {
    const char *rest = NULL;
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        if (n == 6 && !strncmp(at, "opencl", n)) *found = true;
        else rest = rest ? fv_printf(ctx, "%s,%.*s", rest, (int)n, at) : fv_printf(ctx, "%.*s", (int)n, at);
        at += n + (at[n] == ',');
    }
    return *found ? rest : list;
}
/* A form for GPUs and other devices with items, and one for processors, whose vectors are as long as those of the best
 * level: then both often read the same weights. */
static bool add_devices(fv_ctx *ctx, const cli_args *args, cli_artefact *a) {
    const char *threads = cli_value(args, "threads"), *device = cli_value(args, "device");
    const fv_backend *backend = fv_backend_find("opencl");
    if (!backend) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0},
                 "opencl: this build of fovea leaves OpenCL out (it was configured with FOVEA_OPENCL=OFF)");
        return false;
    }
    if (threads && !strcmp(threads, "none")) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--threads none: what runs OpenCL needs pthreads, as its drivers do");
        return false;
    }
    const cli_level *best = &a->level[0];
    const char *const names[CLI_DEVICES] = {"opencl-items", "opencl-vectors"};
    const char *const shapes[CLI_DEVICES] = {"scalar", best->facts->lanes >= 16  ? "cpu16"
                                                       : best->facts->lanes >= 8 ? "cpu8"
                                                                                 : "cpu4"};
    for (int i = 0; i < CLI_DEVICES; i++)
        a->level[a->n_levels + a->n_devices++] =
            (cli_level){.name = names[i],
                        .target = shapes[i],
                        .opencl = true,
                        .vectors = i == 1,
                        .needs = "",
                        .number = fv_hash(shapes[i], strlen(shapes[i]), FV_HASH_SEED)};
    a->device = device;
    a->target = fv_printf(ctx, "%s, and OpenCL", a->target);
    return true;
}
bool cli_artefact_levels(fv_ctx *ctx, const cli_args *args, cli_artefact *a) {
    const char *list = cli_value(args, "levels"), *target = cli_value(args, "target");
    bool opencl = false;
    if (list && target) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--levels and --target: one of them says what the library is for");
        return false;
    }
    if (target) target = without_opencl(ctx, target, &opencl);
    if (list) list = without_opencl(ctx, list, &opencl);
    if (cli_value(args, "device") && !opencl) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--device names an OpenCL device: the library needs --target …,opencl");
        return false;
    }
    bool fine = list ? several(ctx, list, a) : one(ctx, target, a);
    return fine && (!opencl || add_devices(ctx, args, a));
}
