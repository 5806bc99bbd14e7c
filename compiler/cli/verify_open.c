/* Opening a built library: everything is called through its description; its manifest and what it says of itself are
 * compared. */
#define _GNU_SOURCE
#include "cli/verify.h"
#include "io/json.h"
#include "io/seed.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void verify_say(const verify_job *job, const char *fmt, ...) {
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line - 1, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    if (n > (int)sizeof line - 2) n = (int)sizeof line - 2;
    for (int i = 0; i < n; i++)
        if (line[i] == '\n') line[i] = ' ';
    line[n] = '\n';
    if (write(job->out, line, (size_t)n + 1) < 0) _exit(3);
}
bool verify_bad(const verify_library *c, const char *what) {
    say(c, "bad %s: %s", what, c->err.text);
    return false;
}

/* -- Opening ---- */
/* What the library says of itself is what NAME.json says. */
static bool same_json(const fv_json *a, const fv_json *b) {
    if (!a || !b || a->kind != b->kind || a->n != b->n) return false;
    switch (a->kind) {
    case FV_JSON_NULL: return true;
    case FV_JSON_BOOL: return a->truth == b->truth;
    case FV_JSON_INT: return a->integer == b->integer;
    case FV_JSON_REAL: return a->real <= b->real && a->real >= b->real;
    case FV_JSON_STRING: return !strcmp(a->text, b->text);
    case FV_JSON_ARRAY:
    case FV_JSON_OBJECT: break;
    }
    for (int i = 0; i < a->n; i++)
        if (!same_json(a->items[i], a->keys ? fv_json_get(b, a->keys[i]) : b->items[i])) return false;
    return true;
}
static bool same_manifest(verify_library *c) {
    fv_ctx *ctx = c->job->ctx;
    const char *text = c->library->manifest;
    const fv_json *own = fv_json_parse(ctx, "the library's manifest", text, strlen(text)),
                  *file = fv_json_parse(ctx, "manifest", c->job->manifest, strlen(c->job->manifest));
    for (int i = 0; own && file && i < own->n; i++)
        if (!same_json(own->items[i], fv_json_get(file, own->keys[i]))) {
            say(c, "bad the manifest says other than the library: \"%s\"", own->keys[i]);
            return false;
        }
    if (!own || !file) say(c, "bad the library's manifest is no JSON");
    else say(c, "ok manifest: the library says the same of itself");
    return own && file;
}
/* The manifest lists what its build has tried. */
bool verify_shapes(verify_library *c) {
    fv_ctx *ctx = c->job->ctx;
    const fv_json *tried =
        fv_json_get(fv_json_parse(ctx, "manifest", c->job->manifest, strlen(c->job->manifest)), "tried");
    const fovea_shapes *s = c->library->program()->shapes;
    c->n_tried = 1;
    if (!tried && !s) return true;
    bool fine = tried && s && tried->kind == FV_JSON_ARRAY && tried->n >= 1 && tried->n <= CLI_MAX_TRIED;
    int64_t *list = FV_NEWN(ctx, int64_t, CLI_MAX_TRIED *FOVEA_MAX_EXTENTS);
    for (int i = 0; fine && i < tried->n; i++) {
        const fv_json *one = fv_json_at(tried, i);
        fine = one->kind == FV_JSON_ARRAY && one->n == s->n_extents;
        for (int k = 0; fine && k < one->n; k++) {
            fine = fv_json_at(one, k)->kind == FV_JSON_INT;
            list[i * s->n_extents + k] = fv_json_at(one, k)->integer;
        }
    }
    if (!fine) say(c, "bad the manifest and the library say different things of shapes");
    if (!fine) return false;
    c->n_tried = tried->n;
    c->tried = list;
    c->n_extents = s->n_extents;
    return true;
}
const char *verify_shape_name(const verify_library *c) {
    const int64_t *extents = verify_extents(c);
    const char *text = "";
    for (int32_t i = 0; extents && i < c->n_extents; i++)
        text = fv_printf(c->job->ctx, "%s%s%s=%lld", text, i ? "," : "for ",
                         c->library->program()->shapes->extents[i].name, (long long)extents[i]);
    return extents ? fv_printf(c->job->ctx, "%s: ", text) : "";
}
bool verify_open(verify_library *c) {
    if (c->job->level) setenv("FOVEA_LEVEL", c->job->level, 1);
    setenv("FOVEA_BACKEND", c->job->device ? "opencl" : "cpu", 1);
    c->so = dlopen(c->job->library, RTLD_NOW | RTLD_LOCAL);
    if (!c->so) {
        say(c, "bad %s", dlerror());
        return false;
    }
    c->library = dlsym(c->so, "fovea_library");
    if (!c->library) {
        say(c, "bad it has no symbol fovea_library");
        return false;
    }
    if (c->library->version < FOVEA_LIBRARY_VERSION || c->library->bytes < sizeof *c->library) {
        say(c, "bad its description has version %u, this program reads %d: an older fovea built it, build it again",
            c->library->version, FOVEA_LIBRARY_VERSION);
        return false;
    }
    if (!c->library->open || !c->library->workspace_bytes) {
        say(c, "bad made by fovea compile: verify checks libraries of fovea build");
        return false;
    }
    fovea_model *m = NULL;
    fovea_options o = {.threads = 1};
    if (!same_manifest(c) || !verify_shapes(c)) return false;
    if (c->job->device) return true; /* opening says whether there is one */
    if (c->library->load(&o, &m, &c->err) == FOVEA_E_PROCESSOR) {
        say(c, "none %s", c->err.text);
        return false;
    }
    c->library->dispose(m);
    return true;
}
/* Numbers for a library that has no weights. */
static bool seeded(verify_library *c, fovea_model *m) {
    static fovea_named_tensor *list;
    static int32_t n;
    const fovea_array *a;
    for (; (a = c->library->param(m, n)); n++) {
        if (!list) list = calloc((size_t)c->library->program()->n_arrays + 1, sizeof *list);
        void *data = list ? aligned_alloc(64, ((size_t)a->bytes + 127) / 64 * 64) : NULL;
        fv_rule rule;
        if (!data ||
            !fv_rule_parse(c->job->ctx, (fv_loc){0}, cli_seed_rule(c->job->ctx, a->name, a->rank, a->shape), &rule))
            return false;
        fv_seed_fill(&rule, a->name, 1, fovea_storage_of(a->dtype), a->bytes / fovea_dtype_size(a->dtype), data);
        list[n] = (fovea_named_tensor){a->name, fovea_tensor(data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape)};
    }
    return c->library->bind_tensors(m, list, n, &c->err) ? verify_bad(c, "seeded parameters") : true;
}
bool verify_model(verify_library *c, const fovea_options *o, fovea_model **out) {
    const verify_job *job = c->job;
    if (job->prepared) return c->library->open(job->weights, o, out, &c->err) ? verify_bad(c, "opening") : true;
    if (c->library->load(o, out, &c->err)) return verify_bad(c, "loading");
    if (!job->weights) return seeded(c, *out);
    if (!c->file && c->library->safetensors_open(job->weights, &c->file, &c->err)) return verify_bad(c, "weights");
    return c->library->bind(*out, c->file, &c->err) ? verify_bad(c, "binding") : true;
}
