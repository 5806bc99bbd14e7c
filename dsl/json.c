/* JSON to Lua values and back: configurations, --set values, what preprocess declares.
 * Invariant: depth and size are bounded; an object's keys are written in sorted order. */
#include "dsl/dsl_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32 };
typedef struct { lua_State *L; const char *at; const char *error; int depth; } reader;

static bool value(reader *r);
static void skip(reader *r) { while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r') r->at++; }
static bool fail(reader *r, const char *what) { if (!r->error) r->error = what; return false; }

static int hex4(const char *p) {
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        static const char digits[] = "0123456789abcdef          ABCDEF";
        const char *d = c && c != ' ' ? strchr(digits, c) : NULL;
        if (!d) return -1;
        v = v * 16 + (int)(d - digits) % 16;
    }
    return v;
}
static void add_utf8(luaL_Buffer *b, unsigned c) {
    char t[4];
    size_t n = 0;
    if (c < 0x80) t[n++] = (char)c;
    else if (c < 0x800) { t[n++] = (char)(0xC0 | (c >> 6)); t[n++] = (char)(0x80 | (c & 63)); }
    else if (c < 0x10000) {
        t[n++] = (char)(0xE0 | (c >> 12));
        t[n++] = (char)(0x80 | ((c >> 6) & 63));
        t[n++] = (char)(0x80 | (c & 63));
    }
    else {
        t[n++] = (char)(0xF0 | (c >> 18));
        t[n++] = (char)(0x80 | ((c >> 12) & 63));
        t[n++] = (char)(0x80 | ((c >> 6) & 63));
        t[n++] = (char)(0x80 | (c & 63));
    }
    luaL_addlstring(b, t, n);
}

static bool escape(reader *r, luaL_Buffer *b) {         /* after the backslash */
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *p = *r->at ? strchr(from, *r->at) : NULL;
    if (p) { luaL_addchar(b, to[p - from]); r->at++; return true; }
    if (*r->at != 'u') return fail(r, "a bad escape in a string");
    int c = hex4(r->at + 1);
    if (c < 0) return fail(r, "a bad \\u escape");
    r->at += 5;
    if (c >= 0xD800 && c < 0xDC00 && r->at[0] == '\\' && r->at[1] == 'u') {
        int low = hex4(r->at + 2);
        if (low >= 0xDC00 && low < 0xE000) { c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00); r->at += 6; }
    }
    add_utf8(b, (unsigned)c);
    return true;
}

static bool string(reader *r) {
    luaL_Buffer b;
    luaL_buffinit(r->L, &b);
    for (r->at++; *r->at != '"';) {
        if (!*r->at || (unsigned char)*r->at < 0x20) {
            luaL_pushresult(&b);
            lua_pop(r->L, 1);
            return fail(r, "a string is not closed");
        }
        if (*r->at != '\\') { luaL_addchar(&b, *r->at++); continue; }
        r->at++;
        if (!escape(r, &b)) { luaL_pushresult(&b); lua_pop(r->L, 1); return false; }
    }
    r->at++;
    luaL_pushresult(&b);
    return true;
}

static bool number(reader *r) {
    const char *p = r->at;
    bool whole = true, digits = false;
    if (*p == '-') p++;
    for (; (*p >= '0' && *p <= '9') || (*p && strchr("+-.eE", *p)); p++) {
        if (*p >= '0' && *p <= '9') digits = true; else whole = false;
    }
    if (!digits || p - r->at > 60) return fail(r, "a number, string, object, array, true, false or null is wanted");
    char t[64];
    memcpy(t, r->at, (size_t)(p - r->at));
    t[p - r->at] = 0;
    char *end;
    double f = strtod(t, &end);
    if (*end) return fail(r, "a number is malformed");
    if (whole && fabs(f) < 9e15) lua_pushinteger(r->L, (lua_Integer)strtoll(t, NULL, 10)); else lua_pushnumber(r->L, f);
    r->at = p;
    return true;
}

static bool array(reader *r) {
    lua_newtable(r->L);
    r->at++;
    skip(r);
    if (*r->at == ']') { r->at++; return true; }
    for (lua_Integer i = 1;; i++) {
        if (!value(r)) return false;
        lua_rawseti(r->L, -2, i);
        skip(r);
        if (*r->at == ']') { r->at++; return true; }
        if (*r->at++ != ',') return fail(r, "',' or ']' is wanted in an array");
    }
}

static bool object(reader *r) {
    lua_newtable(r->L);
    r->at++;
    skip(r);
    if (*r->at == '}') { r->at++; return true; }
    for (;;) {
        skip(r);
        if (*r->at != '"') return fail(r, "a key is wanted in an object");
        if (!string(r)) return false;
        skip(r);
        if (*r->at++ != ':') return fail(r, "':' is wanted after a key");
        if (!value(r)) return false;
        lua_rawset(r->L, -3);
        skip(r);
        if (*r->at == '}') { r->at++; return true; }
        if (*r->at++ != ',') return fail(r, "',' or '}' is wanted in an object");
    }
}

static bool word(reader *r, const char *w) {
    size_t n = strlen(w);
    if (strncmp(r->at, w, n) != 0) return false;
    r->at += n;
    return true;
}

static bool value(reader *r) {
    if (!lua_checkstack(r->L, 8) || ++r->depth > MAX_DEPTH) return fail(r, "it is nested too deeply");
    skip(r);
    bool ok = true;
    if (*r->at == '{') ok = object(r);
    else if (*r->at == '[') ok = array(r);
    else if (*r->at == '"') ok = string(r);
    else if (word(r, "true")) lua_pushboolean(r->L, 1);
    else if (word(r, "false")) lua_pushboolean(r->L, 0);
    else if (word(r, "null")) lua_pushnil(r->L);
    else ok = number(r);
    r->depth--;
    return ok;
}

bool dsl_json_push(lua_State *L, const char *text, const char **out_error) {
    reader r = {.L = L, .at = text};
    int top = lua_gettop(L);
    bool ok = value(&r);
    if (ok) { skip(&r); if (*r.at) ok = fail(&r, "there is text after the value"); }
    if (ok) return true;
    lua_settop(L, top);
    *out_error = r.error;
    return false;
}

/* -- Writing ------------------------------------------------------------------------------------------------------- */
static void write_string(const char *s, fv_buf *out) {
    fv_buf_puts(out, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') fv_buf_printf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20) fv_buf_printf(out, "\\u%04x", (unsigned)(unsigned char)*s);
        else fv_buf_putn(out, s, 1);
    }
    fv_buf_puts(out, "\"");
}

static const char *next_key(lua_State *L, int at, const char *after) {   /* the least string key above `after` */
    const char *best = NULL;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) continue;
        const char *k = lua_tostring(L, -2);
        if ((!after || strcmp(k, after) > 0) && (!best || strcmp(k, best) < 0)) best = k;
    }
    return best;
}

static void write_table(lua_State *L, int at, fv_buf *out, int depth) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, at);
    const char *key = next_key(L, at, NULL), *comma = "";
    if (n > 10000 || (n > 0 && key))
        dsl_fail(L, FV_E_ARGUMENT, "a table is a list or has names, not both (and a list has at most 10000 entries)");
    if (!key) {
        fv_buf_puts(out, "[");
        for (lua_Integer i = 1; i <= n; i++, comma = ", ") {
            fv_buf_puts(out, comma);
            lua_rawgeti(L, at, i);
            dsl_json_write(L, lua_gettop(L), out, depth + 1);
            lua_pop(L, 1);
        }
        fv_buf_puts(out, "]");
        return;
    }
    fv_buf_puts(out, "{");
    for (int count = 0; key; key = next_key(L, at, key), comma = ", ") {
        if (++count > 1000) dsl_fail(L, FV_E_ARGUMENT, "a table with names has at most 1000 of them");
        fv_buf_puts(out, comma);
        write_string(key, out);
        fv_buf_puts(out, ": ");
        lua_getfield(L, at, key);
        dsl_json_write(L, lua_gettop(L), out, depth + 1);
        lua_pop(L, 1);
    }
    fv_buf_puts(out, "}");
}

void dsl_json_write(lua_State *L, int at, fv_buf *out, int depth) {
    luaL_checkstack(L, 8, "too deep");
    if (depth > MAX_DEPTH || out->len > DSL_MAX_TEXT)
        dsl_fail(L, FV_E_ARGUMENT, "the table is too deep or too large to be kept");
    switch (lua_type(L, at)) {
    case LUA_TNIL: fv_buf_puts(out, "null"); return;
    case LUA_TBOOLEAN: fv_buf_puts(out, lua_toboolean(L, at) ? "true" : "false"); return;
    case LUA_TSTRING: write_string(lua_tostring(L, at), out); return;
    case LUA_TNUMBER:
        if (lua_isinteger(L, at)) fv_buf_printf(out, "%lld", (long long)lua_tointeger(L, at));
        else if (isfinite(lua_tonumber(L, at))) fv_buf_double(out, lua_tonumber(L, at));
        else dsl_fail(L, FV_E_ARGUMENT, "a number that is not finite cannot be kept");
        return;
    case LUA_TTABLE: write_table(L, at, out, depth); return;
    default: dsl_fail(L, FV_E_ARGUMENT, "a value of type %s cannot be kept", luaL_typename(L, at));
    }
}
