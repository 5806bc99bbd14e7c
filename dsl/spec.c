/* fv_spec_load: one fresh Lua state per spec, from its text to a graph.
 * Invariant: everything that can raise runs under one protected call; a failure leaves at least one diagnostic. */
#define _POSIX_C_SOURCE 200809L
#include "dsl/dsl_core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* -- The language: C primitives in `core`, Lua modules over them --------------------------------------------------- */
static int raw_next(lua_State *L) {                     /* for the modules only: its order depends on a hash */
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_next(L, 1)) return 2;
    lua_pushnil(L);
    return 1;
}
static int core_fail(lua_State *L) {                    /* fail(code, text): a mistake, at the author's line */
    static const struct { const char *name; fv_code code; } codes[] = {{"AXIS", FV_E_AXIS}, {"VIEW", FV_E_VIEW},
        {"ATTEND", FV_E_ATTEND},
        {"ARGUMENT", FV_E_ARGUMENT}, {"PARAM", FV_E_PARAM}, {"BORDER", FV_E_BORDER},
        {"CONFIG", FV_E_CONFIG}, {"UNKNOWN", FV_E_UNKNOWN}};
    const char *name = luaL_checkstring(L, 1);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (!strcmp(codes[i].name, name)) dsl_fail(L, codes[i].code, "%s", luaL_checkstring(L, 2));
    return luaL_error(L, "no code %s", name);
}
static int core_config(lua_State *L) { lua_getfield(L, LUA_REGISTRYINDEX, "fovea.config"); return 1; }

static void open_core(lua_State *L) {
    static const luaL_Reg own[] = {{"next", raw_next}, {"fail", core_fail}, {"config", core_config}, {NULL, NULL}};
    lua_newtable(L);
    luaL_setfuncs(L, own, 0);
    dsl_open_pointwise(L);
    dsl_open_access(L);
    dsl_open_order(L);
    dsl_open_leaf(L);
    dsl_open_attend(L);
    dsl_open_scan(L);
}

/* Runs Fovea's modules: each gets core, lib (the functions of the language) and the methods of tensors. */
int dsl_load_library(lua_State *L) {
    dsl_open_sandbox(L);
    dsl_tensor_open(L);
    open_core(L);
    int core = lua_gettop(L);
    lua_newtable(L);
    int lib = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "fovea.methods");
    int methods = lua_gettop(L);
    for (int i = 0; i < dsl_n_modules; i++) {
        const dsl_module *m = &dsl_modules[i];
        const char *chunk = fv_printf(dsl_of(L)->ctx, "=fovea/%s", m->name);
        if (luaL_loadbufferx(L, (const char *)m->text, m->len, chunk, "t") != LUA_OK) lua_error(L);
        lua_pushvalue(L, core);
        lua_pushvalue(L, lib);
        lua_pushvalue(L, methods);
        lua_call(L, 3, 0);
    }
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, lib); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_pushvalue(L, lib);
    dsl_open_require(L);
    lua_pop(L, 1);
    dsl_open_config(L);
    if (lua_touserdata(L, 1)) { lua_pushstring(L, lua_touserdata(L, 1)); lua_setfield(L, -2, "variant"); }
    return 0;
}

/* -- Errors that Lua itself raises --------------------------------------------------------------------------------- */
/* "file:line: text" less its place, where that is the place we name anyway. */
static const char *less_place(const fv_ctx *ctx, const char *text, fv_loc loc) {
    const char *file = fv_cstr(ctx, loc.file);
    size_t n = strlen(file);
    if (!n || strncmp(text, file, n) != 0 || text[n] != ':') return text;
    const char *p = text + n + 1;
    while (*p >= '0' && *p <= '9') p++;
    return *p == ':' && p[1] == ' ' ? p + 2 : text;
}
static int on_error(lua_State *L) {                     /* message handler: turns what is no diagnostic yet into one */
    dsl *d = dsl_of(L);
    if (dsl_is_raised(L, 1)) return 1;
    fv_loc loc = dsl_loc(L);
    if (lua_type(L, 1) == LUA_TSTRING)
        fv_error(d->ctx, FV_E_LUA, loc, "%s", less_place(d->ctx, lua_tostring(L, 1), loc));
    else
        fv_error(d->ctx, FV_E_LUA, loc, "the spec raised an error value of type %s (a text is wanted)",
                 luaL_typename(L, 1));
    return 1;
}

static void report(lua_State *L, dsl *d, int status, int errors_before) {
    if (fv_error_count(d->ctx) > errors_before) return;
    fv_loc loc = {fv_intern(d->ctx, d->path), 0};
    if (status == LUA_ERRMEM) {
        fv_error(d->ctx, FV_E_LIMIT, d->last.line ? d->last : loc, "the spec reached the limit of memory (%zu MB)",
                 d->memory_cap >> 20);
        return;
    }
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "the spec failed";
    fv_error(d->ctx, FV_E_LUA, loc, "%s", less_place(d->ctx, text, loc));
}

/* -- Running ------------------------------------------------------------------------------------------------------- */
typedef struct { const char *text; size_t len; } source;

static int run_spec(lua_State *L) {
    source *s = lua_touserdata(L, 1);
    dsl *d = dsl_of(L);
    const char *chunk = fv_printf(d->ctx, "@%s", d->path);
    if (luaL_loadbufferx(L, s->text, s->len, chunk, "t") != LUA_OK) {
        fv_loc loc = {fv_intern(d->ctx, d->path), 0};
        const char *text = luaL_optstring(L, -1, "it does not load"), *p = less_place(d->ctx, text, loc);
        if (p != text) loc.line = (int)strtol(text + strlen(d->path) + 1, NULL, 10);
        fv_error(d->ctx, FV_E_LUA, loc, "%s", p);
        dsl_raise(L);
    }
    lua_call(L, 0, 0);
    return 0;
}

/* Every --set must have been read: a misspelt name would otherwise change nothing, silently. */
static bool sets_read(dsl *d) {
    for (int i = 0; i < d->o->n_sets; i++) {
        const char *key = d->o->set_key[i];
        size_t n = strcspn(key, ".");
        bool read = false;
        for (int j = 0; j < d->n_read; j++) {
            const char *r = fv_cstr(d->ctx, d->read[j]);
            read = read || (strlen(r) == n && !memcmp(r, key, n));
        }
        if (read) continue;
        const char *list = "";
        for (int j = 0; j < d->spec->n_config_read; j++)
            list = fv_printf(d->ctx, "%s%s%s", list, j ? ", " : "", d->spec->config_read[j]);
        fv_error(d->ctx, FV_E_CONFIG, (fv_loc){fv_intern(d->ctx, d->path), 0},
                 "nothing reads the setting '%s'; this spec reads: %s", key,
                 *list ? list : "nothing");
        return false;
    }
    return true;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static bool finish(dsl *d) {
    fv_spec *out = d->spec;
    out->n_config_read = d->n_read;
    out->config_read = FV_NEWN(d->ctx, const char *, d->n_read + 1);
    for (int i = 0; i < d->n_read; i++) out->config_read[i] = fv_cstr(d->ctx, d->read[i]);
    if (d->n_read > 1) qsort(out->config_read, (size_t)d->n_read, sizeof *out->config_read, by_text);
    if (!sets_read(d)) return false;
    if (d->graph->n_outputs) return true;
    fv_error(d->ctx, FV_E_ARGUMENT, (fv_loc){fv_intern(d->ctx, d->path), 0},
             "the spec names no output: output(name, x, order)");
    return false;
}

static char *read_spec(fv_ctx *ctx, const char *path, size_t *out_n) {
    fv_loc loc = {fv_intern(ctx, path), 0};
    struct stat s;
    FILE *f = NULL;
    if (stat(path, &s) || !S_ISREG(s.st_mode) || !(f = fopen(path, "rb"))) {
        fv_error(ctx, FV_E_FILE, loc, "there is no readable file '%s'", path);
        return NULL;
    }
    char *text = NULL;
    if (s.st_size > DSL_MAX_TEXT)
        fv_error(ctx, FV_E_LIMIT, loc, "a spec has at most 1 MB, this has %lld bytes", (long long)s.st_size);
    else {
        text = fv_alloc(ctx, (size_t)s.st_size + 1);
        *out_n = fread(text, 1, (size_t)s.st_size, f);
    }
    fclose(f);
    return text;
}

bool fv_spec_load(fv_ctx *ctx, const char *path, const char *variant, const fv_spec_options *o, fv_spec *out) {
    *out = (fv_spec){.printed = ""};
    size_t n = 0;
    const char *text = read_spec(ctx, path, &n);
    return text && fv_spec_load_text(ctx, path, text, n, variant, o, out);
}
bool fv_spec_load_text(fv_ctx *ctx, const char *path, const char *text, size_t n, const char *variant,
                       const fv_spec_options *o, fv_spec *out) {
    *out = (fv_spec){.printed = ""};
    source s = {text, n};
    if (n > DSL_MAX_TEXT) {
        fv_error(ctx, FV_E_LIMIT, (fv_loc){fv_intern(ctx, path), 0}, "a spec has at most 1 MB, this has %zu bytes", n);
        return false;
    }
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    out->graph = fv_graph_new(ctx, fv_printf(ctx, "%.*s", (int)strcspn(name, "."), name));
    dsl d = {.ctx = ctx, .graph = out->graph, .o = o, .path = fv_strdup(ctx, path), .spec = out,
        .memory_cap = o->memory_bytes ? o->memory_bytes : (size_t)256 << 20,
        .step_cap = o->instructions > 0 ? o->instructions : 50000000,
        .node_cap = o->nodes > 0 ? o->nodes : 200000, .deadline = dsl_now() + (o->seconds > 0 ? o->seconds : 20.0)};
    int before = fv_error_count(ctx);
    lua_State *L = lua_newstate(dsl_allocate, &d);
    if (!L) {
        fv_error(ctx, FV_E_LIMIT, (fv_loc){fv_intern(ctx, path), 0}, "no memory to run the spec");
        return false;
    }
    *(dsl **)lua_getextraspace(L) = &d;
    lua_pushcfunction(L, on_error);
    lua_pushcfunction(L, dsl_load_library);
    lua_pushlightuserdata(L, variant ? fv_strdup(ctx, variant) : NULL);
    int status = lua_pcall(L, 1, 0, 1);
    if (status == LUA_OK) {
        lua_sethook(L, dsl_hook, LUA_MASKCOUNT, 1000);
        lua_pushcfunction(L, run_spec);
        lua_pushlightuserdata(L, &s);
        d.L = L;
        status = lua_pcall(L, 1, 0, 1);
        d.L = NULL;
    }
    if (status != LUA_OK) report(L, &d, status, before);
    lua_close(L);
    if (d.printed.len) out->printed = fv_strdup(ctx, d.printed.text);
    fv_buf_dispose(&d.printed);
    fv_buf_dispose(&d.scratch);
    return status == LUA_OK && fv_error_count(ctx) == before && finish(&d);
}
