/* The globals config, case and variant. config remembers which keys the spec asked for, so that a --set that nothing
 * read is an error.
 * Invariant: `fovea.config` in the registry is the table itself; what the spec sees is a proxy of its top level. */
#include "dsl/dsl_core.h"

#include <stdlib.h>
#include <string.h>

static const char REAL[] = "fovea.config";

static void note_read(dsl *d, const char *key) {
    fv_str s = fv_intern(d->ctx, key);
    for (int i = 0; i < d->n_read; i++) if (fv_str_eq(d->read[i], s)) return;
    fv_push(d->ctx, d->read, d->n_read, d->cap_read, s);
}

static int config_get(lua_State *L) {
    if (lua_type(L, 2) == LUA_TSTRING) note_read(dsl_of(L), lua_tostring(L, 2));
    lua_getfield(L, LUA_REGISTRYINDEX, REAL);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}
static int config_put(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, REAL);
    luaL_checkany(L, 3);
    if (lua_isnil(L, 2)) return luaL_error(L, "config: the key is nil");
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    return 0;
}

/* Steps into the table under `key` (a whole number names a list's entry, from 0), making it where it is missing. */
static void step_into(lua_State *L, const char *key, size_t n, bool make) {
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)n, key);
    char *end;
    long i = strtol(text, &end, 10);
    if (n && !*end) lua_pushinteger(L, i + 1); else lua_pushlstring(L, key, n);
    if (!make) return;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_remove(L, -2);
    lua_remove(L, -2);
}

/* Sets `key` (dotted) of the table on top. */
static void overlay(lua_State *L, const char *key, const char *text) {
    lua_pushvalue(L, -1);
    const char *p = key, *dot;
    for (; (dot = strchr(p, '.')) != NULL; p = dot + 1) step_into(L, p, (size_t)(dot - p), true);
    step_into(L, p, strlen(p), false);
    const char *error;
    if (text[0] == '{' || !dsl_json_push(L, text, &error)) lua_pushstring(L, text);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void dsl_open_config(lua_State *L) {                    /* the table of globals is on top */
    dsl *d = dsl_of(L);
    const char *error = NULL;
    if (!d->o->config_json) lua_newtable(L);
    else if (!dsl_json_push(L, d->o->config_json, &error))
        dsl_fail(L, FV_E_CONFIG, "the configuration is no JSON: %s", error);
    const char *first = d->o->config_json ? d->o->config_json + strspn(d->o->config_json, " \t\r\n") : "{";
    if (*first != '{') dsl_fail(L, FV_E_CONFIG, "the configuration must be a JSON object");
    for (int i = 0; i < d->o->n_sets; i++) {
        if (!d->o->set_key[i][0]) dsl_fail(L, FV_E_CONFIG, "--set takes name=value");
        overlay(L, d->o->set_key[i], d->o->set_value[i]);
    }
    lua_getfield(L, -1, "case");
    if (d->o->case_name) { lua_pop(L, 1); lua_pushstring(L, d->o->case_name); }
    else if (lua_type(L, -1) != LUA_TSTRING) { lua_pop(L, 1); lua_pushliteral(L, ""); }
    lua_setfield(L, -3, "case");
    lua_setfield(L, LUA_REGISTRYINDEX, REAL);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, config_get);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, config_put);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "config");
}
