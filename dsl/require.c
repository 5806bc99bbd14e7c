/* require: Fovea's modules, and Lua files beside the spec or under specs/. Invariant: no path leaves those two
 * folders. */
#define _POSIX_C_SOURCE 200809L
#include "dsl/dsl_core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char LOADED[] = "fovea.loaded";

/* Letters, digits, _ - and single slashes between names; a dot inside a name, never two. */
static bool good_name(const char *s, size_t n) {
    if (!n || n > 200 || strlen(s) != n || s[0] == '/' || s[0] == '.' || s[n - 1] == '/') return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!plain && !((c == '.' || c == '/') && s[i + 1] != '.' && s[i + 1] != '/')) return false;
    }
    return true;
}

/* The text of a regular file of at most 1 MB as a userdata on the stack; NULL (nothing pushed) if there is none. */
static const char *file_text(lua_State *L, const char *path, size_t *out_n) {
    struct stat s;
    if (stat(path, &s) || !S_ISREG(s.st_mode) || s.st_size > DSL_MAX_TEXT) return NULL;
    char *text = lua_newuserdatauv(L, (size_t)s.st_size + 1, 0);
    FILE *f = fopen(path, "rb");
    if (!f) { lua_pop(L, 1); return NULL; }
    *out_n = fread(text, 1, (size_t)s.st_size, f);
    fclose(f);
    return text;
}

static bool try_folder(lua_State *L, const char *folder, size_t n, const char *name) {
    dsl *d = dsl_of(L);
    const char *path = fv_printf(d->ctx, "%.*s%s%s.lua", (int)n, folder, n ? "/" : "", name);
    size_t len;
    const char *text = file_text(L, path, &len);
    if (!text) return false;
    if (luaL_loadbufferx(L, text, len, fv_printf(d->ctx, "@%s", path), "t") != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        dsl_fail(L, FV_E_REQUIRE, "%s", message ? message : "it does not load");
    }
    lua_remove(L, -2);
    return true;
}

static int op_require(lua_State *L) {                  /* upvalue 1: what Fovea's modules return */
    dsl *d = dsl_of(L);
    size_t n;
    const char *name = luaL_checklstring(L, 1, &n);
    lua_settop(L, 1);
    for (int i = 0; i < dsl_n_modules; i++)
        if (!strcmp(dsl_modules[i].name, name)) { lua_pushvalue(L, lua_upvalueindex(1)); return 1; }
    if (!good_name(name, n))
        dsl_fail(L, FV_E_REQUIRE,
                 "require: '%s' is no module name: a path below the spec's folder or specs/, without '..'", name);
    lua_getfield(L, LUA_REGISTRYINDEX, LOADED);
    if (lua_getfield(L, 2, name) != LUA_TNIL) {
        if (lua_islightuserdata(L, -1)) dsl_fail(L, FV_E_REQUIRE, "require: '%s' requires itself", name);
        return 1;
    }
    lua_pop(L, 1);
    lua_pushlightuserdata(L, d);                        /* being loaded */
    lua_setfield(L, 2, name);
    const char *slash = strrchr(d->path, '/');
    bool found = try_folder(L, d->path, slash ? (size_t)(slash - d->path) : 0, name);
    if (!found && d->o->spec_dir) found = try_folder(L, d->o->spec_dir, strlen(d->o->spec_dir), name);
    const char *folder = d->o->spec_dir ? d->o->spec_dir : "";
    if (!found)
        dsl_fail(L, FV_E_REQUIRE, "require: no module '%s' beside the spec%s%s", name, *folder ? " nor under " : "",
                 folder);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) { lua_pop(L, 1); lua_pushboolean(L, 1); }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* The globals are at -2, the functions of Fovea's modules on top. */
void dsl_open_require(lua_State *L) {
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LOADED);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, op_require, 1);
    lua_setfield(L, -3, "require");
}
