/* The sandbox: allocation under a cap, steps under a limit, a clock, and the functions that are left of Lua's own.
 * Invariant: once a limit is reached nothing of the spec runs on, whatever it catches; every C function here is
 * bounded. */
#define _POSIX_C_SOURCE 200809L
#include "dsl/dsl_core.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HOOK_STEPS = 1000, MAX_ITEMS = 1000000, MAX_PRINTED = 1 << 16 };
static const char RAISED[] = "raised";                  /* its address is the error value of what is recorded already */

/* -- Limits -------------------------------------------------------------------------------------------------------- */
void *dsl_allocate(void *user, void *p, size_t old, size_t size) {
    dsl *d = user;
    if (!p) old = 0;                                    /* then it is a type */
    if (!size) { free(p); d->memory -= old; return NULL; }
    if (size > old && d->memory + (size - old) > d->memory_cap) {
        if (d->L) d->last = dsl_loc(d->L);              /* reads frames, allocates nothing of Lua's */
        return NULL;
    }
    void *q = realloc(p, size);
    if (q) d->memory += size - old;
    return q;
}

double dsl_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void dsl_hook(lua_State *L, lua_Debug *at) {
    (void)at;
    dsl *d = dsl_of(L);
    if (d->tripped) dsl_raise(L);
    dsl_charge(L, HOOK_STEPS);
}

void dsl_charge(lua_State *L, int64_t steps) {
    dsl *d = dsl_of(L);
    d->steps += steps;
    if (d->steps > d->step_cap) dsl_trip(L, "the number of instructions");
    if (dsl_now() > d->deadline) dsl_trip(L, "the time");
}

/* -- Mistakes ------------------------------------------------------------------------------------------------------ */
fv_loc dsl_loc(lua_State *L) {
    dsl *d = dsl_of(L);
    lua_Debug at;
    for (int level = 0; level < 200 && lua_getstack(L, level, &at); level++) {
        if (!lua_getinfo(L, "Sl", &at) || at.currentline < 1 || at.source[0] != '@') continue;
        return (fv_loc){fv_intern(d->ctx, at.source + 1), at.currentline};
    }
    return (fv_loc){fv_intern(d->ctx, d->path), 0};
}

void dsl_raise(lua_State *L) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)RAISED);
    lua_error(L);
    abort();                                            /* lua_error does not return */
}
bool dsl_is_raised(lua_State *L, int at) { return lua_touserdata(L, at) == (const void *)RAISED; }

void dsl_fail(lua_State *L, fv_code code, const char *fmt, ...) {
    dsl *d = dsl_of(L);
    char text[2000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fv_error(d->ctx, code, dsl_loc(L), "%s", text);
    dsl_raise(L);
}

void dsl_trip(lua_State *L, const char *limit) {
    dsl *d = dsl_of(L);
    if (!d->tripped) {
        d->tripped = limit;
        fv_error(d->ctx, FV_E_LIMIT, dsl_loc(L),
                 "the spec reached the limit of %s (%.0f s, %zu MB, %lld million instructions, %lld nodes)",
                 limit, d->o->seconds > 0 ? d->o->seconds : 20.0, d->memory_cap >> 20,
                 (long long)(d->step_cap / 1000000), (long long)d->node_cap);
        lua_sethook(L, dsl_hook, LUA_MASKCOUNT, 1);
    }
    dsl_raise(L);
}

/* -- What replaces Lua's own --------------------------------------------------------------------------------------- */
/* pcall(f, ...): catches what error() raised, and plain Lua errors; never a limit nor a mistake in the language. */
static int safe_pcall(lua_State *L) {
    dsl *d = dsl_of(L);
    luaL_checkany(L, 1);
    int scoped = d->scoped;
    scan_frame *scan = d->scan;
    fv_str entry = d->entry;
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    if (status == LUA_OK) return lua_gettop(L);
    if (status == LUA_ERRMEM) dsl_trip(L, "memory");
    if (d->tripped || dsl_is_raised(L, -1)) dsl_raise(L);
    d->scoped = scoped;
    d->scan = scan;
    d->entry = entry;
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int safe_setmetatable(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        static const char *const refused[] = {"__gc", "__close", "__mode"};
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
            lua_pushstring(L, refused[i]);
            if (lua_rawget(L, 2) != LUA_TNIL)
                return luaL_error(L, "a metatable with %s is not allowed in a spec", refused[i]);
            lua_pop(L, 1);
        }
    }
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int safe_rep(lua_State *L) {
    size_t a, b;
    luaL_checklstring(L, 1, &a);
    lua_Integer n = luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &b);
    if (n > MAX_ITEMS || (n > 0 && (a + b) > (size_t)DSL_MAX_TEXT / (size_t)n))
        return luaL_error(L, "rep: the text would be too long");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* table.*: of plain tables and short ranges, since a loop in C sees no hook. upvalue 1: Lua's function. */
static int safe_table(lua_State *L) {
    int n = lua_gettop(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    static const char *const events[] = {"__index", "__newindex", "__len"};
    for (int i = 1; i <= n; i += 4)                     /* the table, and where move puts things */
        for (size_t e = 0; e < 3; e++) {
            if (lua_type(L, i) == LUA_TTABLE && luaL_getmetafield(L, i, events[e]) != LUA_TNIL)
                return luaL_error(L, "a table with a metatable cannot be used here");
            lua_settop(L, n);
        }
    if (lua_toboolean(L, lua_upvalueindex(2)))          /* concat, unpack, move: numbers are positions */
        for (int i = 2; i <= n; i++)
            if (lua_type(L, i) == LUA_TNUMBER && !(lua_tonumber(L, i) >= -MAX_ITEMS && lua_tonumber(L, i) <= MAX_ITEMS))
                return luaL_error(L, "positions are limited to %d", (int)MAX_ITEMS);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, LUA_MULTRET);
    return lua_gettop(L);
}

static int safe_print(lua_State *L) {
    dsl *d = dsl_of(L);
    int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        size_t len;
        const char *s = luaL_tolstring(L, i, &len);
        if (d->printed.len + len < MAX_PRINTED) {
            if (i > 1) fv_buf_puts(&d->printed, "\t");
            fv_buf_putn(&d->printed, s, len);
        }
        lua_pop(L, 1);
    }
    if (d->printed.len + 1 < MAX_PRINTED) fv_buf_puts(&d->printed, "\n");
    return 0;
}

/* -- Setting up ---------------------------------------------------------------------------------------------------- */
/* Copies the named fields of the table at -2 into the table on top. */
static void copy(lua_State *L, const char *const *names) {
    for (; *names; names++) {
        lua_getfield(L, -2, *names);
        lua_setfield(L, -2, *names);
    }
}
/* original at -2, target on top */
static void wrap(lua_State *L, const char *name, lua_CFunction f, bool positions) {
    lua_getfield(L, -2, name);
    lua_pushboolean(L, positions);
    lua_pushcclosure(L, f, 2);
    lua_setfield(L, -2, name);
}

static void open_string(lua_State *L, int globals) {
    static const char *const kept[] = {"byte", "char", "format", "len", "lower", "upper", "reverse", "sub", NULL};
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
    lua_newtable(L);
    copy(L, kept);
    wrap(L, "rep", safe_rep, false);
    dsl_open_strings(L);
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    lua_setfield(L, globals, "string");
    lua_pop(L, 1);
}

void dsl_open_sandbox(lua_State *L) {
    static const char *const base[] = {"assert", "error", "ipairs", "select", "tonumber", "tostring", "type",
        "rawequal", "rawlen", "rawget", "rawset", "getmetatable", NULL};
    static const char *const math[] = {"abs", "ceil", "floor", "max", "min", "fmod", "modf", "sqrt", "exp", "log",
        "sin", "cos", "tan",
        "asin", "acos", "atan", "pi", "huge", "maxinteger", "mininteger", "tointeger", "type", "ult", NULL};
    static const char *const table[] = {"insert", "remove", "sort", NULL};
    static const char *const ranges[] = {"concat", "unpack", "move", NULL};
    static const char *const pack[] = {"pack", NULL};
    lua_newtable(L);
    int globals = lua_gettop(L);
    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    lua_pushvalue(L, globals);
    copy(L, base);
    lua_settop(L, globals);
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
    lua_newtable(L);
    copy(L, math);
    lua_setfield(L, globals, "math");
    lua_settop(L, globals);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
    lua_newtable(L);
    copy(L, pack);
    for (int i = 0; table[i]; i++) wrap(L, table[i], safe_table, false);
    for (int i = 0; ranges[i]; i++) wrap(L, ranges[i], safe_table, true);
    lua_setfield(L, globals, "table");
    lua_settop(L, globals);
    open_string(L, globals);
    static const luaL_Reg own[] = {{"pcall", safe_pcall}, {"setmetatable", safe_setmetatable}, {"print", safe_print},
        {NULL, NULL}};
    luaL_setfuncs(L, own, 0);
    lua_pushnil(L);                                     /* forget the full libraries */
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}
