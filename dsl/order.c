/* Order strings: "(part=3 head d) c 1", "h=y w=x", "h = hb hi=7, w = wb wi". One tokenizer, so that no spec needs
 * patterns.
 * Invariant: what is returned points into the string that was given. */
#include "dsl/dsl_core.h"

#include <string.h>

static bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static const char *skip(const char *p) { while (space(*p)) p++; return p; }

/* A number as an extent: digits, perhaps with ".0" (a configuration may hold 4.0). */
static int64_t extent_of(lua_State *L, const char *s, const char *p, size_t n) {
    int64_t v = 0;
    size_t i = 0;
    while (i < n && p[i] >= '0' && p[i] <= '9' && v < INT32_MAX) v = v * 10 + (p[i++] - '0');
    bool digits = i > 0;
    if (i < n && p[i] == '.') { i++; while (i < n && p[i] == '0') i++; }
    if (!digits || i != n) dsl_fail(L, FV_E_ARGUMENT, "'%.*s' is no extent in '%s'", (int)(n < 60 ? n : 60), p, s);
    return v;
}

static int64_t size_from(lua_State *L, int sizes, const char *name, size_t n) {
    if (!sizes || lua_type(L, sizes) != LUA_TTABLE) return -1;
    lua_pushlstring(L, name, n);
    lua_rawget(L, sizes);
    int64_t v = -1;
    if (lua_isinteger(L, -1)) v = lua_tointeger(L, -1);
    else if (lua_type(L, -1) == LUA_TNUMBER) {
        double f = lua_tonumber(L, -1);
        if (f != (double)(int64_t)f)
            dsl_fail(L, FV_E_AXIS, "the extent of '%.*s' is %g, not a whole number", (int)n, name, f);
        v = (int64_t)f;
    } else if (!lua_isnil(L, -1))
        dsl_fail(L, FV_E_AXIS, "the extent of '%.*s' is %s, no number", (int)n, name, luaL_typename(L, -1));
    lua_pop(L, 1);
    return v;
}

/* One name with its extent: advances *p past "head=6" or "d". */
static void one_name(lua_State *L, const char *s, const char **p, int sizes, order_name *out) {
    const char *a = *p, *e = a;
    while (*e && !space(*e) && *e != '(' && *e != ')' && *e != '=' && *e != ',') e++;
    out->text = a;
    out->len = (size_t)(e - a);
    dsl_axis_name(L, a, out->len);
    out->extent = -1;
    if (*e == '=') {
        const char *n = ++e;
        while (*e && !space(*e) && *e != '(' && *e != ')' && *e != ',') e++;
        out->extent = dsl_extent(L, extent_of(L, s, n, (size_t)(e - n)), s);
        int64_t given = size_from(L, sizes, a, out->len);
        if (given >= 0 && given != out->extent)
            dsl_fail(L, FV_E_AXIS, "'%.*s' is %lld in '%s' and %lld beside it", (int)out->len, a,
                     (long long)out->extent, s, (long long)given);
    } else {
        int64_t given = size_from(L, sizes, a, out->len);
        if (given >= 0) out->extent = dsl_extent(L, given, s);
    }
    *p = e;
}

void dsl_order_parse(lua_State *L, const char *s, int sizes, order_list *out) {
    *out = (order_list){0};
    int names = 0;
    for (const char *p = skip(s); *p; p = skip(p)) {
        if (out->n == FV_MAX_AXES) dsl_fail(L, FV_E_AXIS, "more than %d dimensions in '%s'", (int)FV_MAX_AXES, s);
        order_group *g = &out->group[out->n++];
        if (*p == '1' && (!p[1] || space(p[1]))) { p++; continue; }
        bool many = *p == '(';
        if (many) p = skip(p + 1);
        while (*p && (many ? *p != ')' : g->n == 0)) {
            if (++names > FV_MAX_AXES) dsl_fail(L, FV_E_AXIS, "more than %d axes in '%s'", (int)FV_MAX_AXES, s);
            if (many && *p == '1' && (space(p[1]) || p[1] == ')')) { p = skip(p + 1); names--; continue; }
            one_name(L, s, &p, sizes, &g->name[g->n++]);
            if (many) p = skip(p);
        }
        if (many && *p++ != ')') dsl_fail(L, FV_E_ARGUMENT, "a parenthesis is not closed in '%s'", s);
    }
}

int dsl_words(lua_State *L, const char *s, fv_str *out) {
    int n = 0;
    for (const char *p = skip(s); *p; p = skip(p)) {
        const char *a = p;
        while (*p && !space(*p)) p++;
        if (n == FV_MAX_AXES) dsl_fail(L, FV_E_AXIS, "more than %d axes in '%s'", (int)FV_MAX_AXES, s);
        out[n++] = dsl_axis_name(L, a, (size_t)(p - a));
    }
    return n;
}

/* -- For the modules ----------------------------------------------------------------------------------------------- */
static const char *text_at(lua_State *L, int at, const char *what) {
    if (lua_type(L, at) != LUA_TSTRING)
        dsl_fail(L, FV_E_ARGUMENT, "%s: a string of axes is wanted, this is %s", what, luaL_typename(L, at));
    return lua_tostring(L, at);
}

static int words(lua_State *L) {                       /* words(s): { "h", "w" } */
    fv_str names[FV_MAX_AXES];
    int n = dsl_words(L, text_at(L, 1, "axes"), names);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) { lua_pushstring(L, fv_cstr(dsl_of(L)->ctx, names[i])); lua_rawseti(L, -2, i + 1); }
    return 1;
}

/* name, extent or false, into the list on top */
static void push_name(lua_State *L, const order_name *o, int *io_n) {
    lua_pushlstring(L, o->text, o->len);
    lua_rawseti(L, -2, ++*io_n);
    if (o->extent >= 0) lua_pushinteger(L, o->extent); else lua_pushboolean(L, 0);
    lua_rawseti(L, -2, ++*io_n);
}

static int axes(lua_State *L) {                        /* axes(s, sizes): { "b", 2, "c", false }; s may have groups */
    order_list o;
    dsl_order_parse(L, text_at(L, 1, "axes"), lua_istable(L, 2) ? 2 : 0, &o);
    lua_newtable(L);
    int n = 0;
    for (int i = 0; i < o.n; i++) for (int j = 0; j < o.group[i].n; j++) push_name(L, &o.group[i].name[j], &n);
    return 1;
}

static int renames(lua_State *L) {                     /* renames"h=y w=x": { "h", "y", "w", "x" } */
    const char *s = text_at(L, 1, "as");
    lua_newtable(L);
    int n = 0;
    for (const char *p = skip(s); *p; p = skip(p)) {
        const char *a = p, *eq;
        while (*p && !space(*p) && *p != '=') p++;
        eq = p;
        if (*p == '=') p++;
        while (*p && !space(*p)) p++;
        if (*eq != '=' || eq + 1 == p)
            dsl_fail(L, FV_E_VIEW, "'old=new' is wanted, not '%.*s' in '%s'", (int)(p - a), a, s);
        dsl_axis_name(L, a, (size_t)(eq - a));
        dsl_axis_name(L, eq + 1, (size_t)(p - eq - 1));
        lua_pushlstring(L, a, (size_t)(eq - a));
        lua_rawseti(L, -2, ++n);
        lua_pushlstring(L, eq + 1, (size_t)(p - eq - 1));
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* groups("h = hb hi=7, w = wb wi", sizes): { { "h", "hb", false, "hi", 7 }, ... } */
static int groups(lua_State *L) {
    const char *s = text_at(L, 1, "view");
    int sizes = lua_istable(L, 2) ? 2 : 0, n = 0;
    lua_newtable(L);
    for (const char *p = skip(s); *p; p = skip(p)) {
        const char *a = p;
        while (*p && !space(*p) && *p != '=' && *p != ',') p++;
        size_t len = (size_t)(p - a);
        p = skip(p);
        if (*p++ != '=') dsl_fail(L, FV_E_VIEW, "'axis = axes' is wanted in '%s'", s);
        dsl_axis_name(L, a, len);
        lua_newtable(L);
        lua_pushlstring(L, a, len);
        lua_rawseti(L, -2, 1);
        int k = 1;
        for (p = skip(p); *p && *p != ','; p = skip(p)) {
            if (*p == '(' || *p == ')') dsl_fail(L, FV_E_VIEW, "no parentheses here: '%s'", s);
            order_name o;
            one_name(L, s, &p, sizes, &o);
            push_name(L, &o, &k);
        }
        if (k == 1) dsl_fail(L, FV_E_VIEW, "'%.*s' gets no axes in '%s'", (int)len, a, s);
        lua_rawseti(L, -2, ++n);
        if (*p == ',') p++;
    }
    return 1;
}

static int fill(lua_State *L) {                        /* fill("c = g ci", {g = 2}): "c = g=2 ci" */
    const char *s = text_at(L, 1, "fill");
    luaL_Buffer b;
    if (!lua_istable(L, 2)) { lua_settop(L, 1); return 1; }
    lua_settop(L, 2);
    luaL_buffinit(L, &b);
    for (const char *p = s; *p;) {
        const char *a = p;
        while (*p && !space(*p) && !strchr("=,()", *p)) p++;
        luaL_addlstring(&b, a, (size_t)(p - a));
        const char *after = skip(p);
        bool value = a > s && a[-1] == '=';
        if (p > a && *after != '=' && !value) {
            lua_pushlstring(L, a, (size_t)(p - a));
            lua_rawget(L, 2);
            if (lua_isinteger(L, -1)) {
                char t[32];
                int n = snprintf(t, sizeof t, "=%lld", (long long)lua_tointeger(L, -1));
                lua_pop(L, 1);
                luaL_addlstring(&b, t, (size_t)n);
            } else lua_pop(L, 1);
        }
        if (*p) luaL_addchar(&b, *p++);
    }
    luaL_pushresult(&b);
    return 1;
}

void dsl_open_order(lua_State *L) {
    static const luaL_Reg functions[] = {{"words", words}, {"axes", axes}, {"renames", renames}, {"groups", groups},
        {"fill", fill}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
