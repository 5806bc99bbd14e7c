/* find, match and gmatch: Lua's patterns less %b, %f and back references, matched by a matcher that counts its steps.
 * Invariant: a match takes at most MAX_STEPS character tests, whatever the pattern (Lua's own can take hours, and no
 * hook sees it). */
#include "dsl/dsl_core.h"

#include <ctype.h>
#include <string.h>

enum { MAX_STEPS = 200000, MAX_PATTERN = 200, MAX_CAPTURES = 16, OPEN = -1 };
typedef struct {
    lua_State *L;
    const char *text, *end, *pend;
    int64_t steps;
    int level;
    struct { const char *at; ptrdiff_t len; } capture[MAX_CAPTURES];
} matcher;

static bool class_has(unsigned char c, char kind) {
    bool r;
    switch (tolower((unsigned char)kind)) {
    case 'a': r = isalpha(c) != 0; break;
    case 'd': r = isdigit(c) != 0; break;
    case 'l': r = islower(c) != 0; break;
    case 's': r = isspace(c) != 0; break;
    case 'u': r = isupper(c) != 0; break;
    case 'w': r = isalnum(c) != 0; break;
    case 'x': r = isxdigit(c) != 0; break;
    case 'p': r = ispunct(c) != 0; break;
    case 'c': r = iscntrl(c) != 0; break;
    default: return kind == (char)c;
    }
    return isupper((unsigned char)kind) ? !r : r;
}

/* The end of the single-character item at p; raises where it is malformed or of a kind that is left out. */
static const char *item_end(matcher *m, const char *p) {
    if (*p == '%') {
        if (p + 1 >= m->pend) luaL_error(m->L, "a pattern ends with '%%'");
        if (p[1] == 'b' || p[1] == 'f' || (p[1] >= '0' && p[1] <= '9'))
            luaL_error(m->L, "patterns have no %%%c in a spec", p[1]);
        return p + 2;
    }
    if (*p != '[') return p + 1;
    const char *q = p + 1;
    if (q < m->pend && *q == '^') q++;
    do {
        if (q >= m->pend) luaL_error(m->L, "']' is missing in a pattern");
        if (*q == '%' && q + 1 < m->pend) q++;
        q++;
    } while (q >= m->pend || *q != ']');
    return q + 1;
}

static bool set_has(unsigned char c, const char *p, const char *last) {   /* p: '[', last: ']' */
    bool inverse = p[1] == '^';
    for (p += inverse ? 2 : 1; p < last; p++) {
        if (*p == '%' && p + 1 < last) { if (class_has(c, *++p)) return !inverse; continue; }
        if (p + 2 < last && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) return !inverse;
            p += 2;
            continue;
        }
        if ((unsigned char)*p == c) return !inverse;
    }
    return inverse;
}

static bool one(matcher *m, const char *s, const char *p, const char *ep) {
    if (++m->steps > MAX_STEPS) luaL_error(m->L, "a pattern takes too many steps");
    if (s >= m->end) return false;
    unsigned char c = (unsigned char)*s;
    switch (*p) {
    case '.': return true;
    case '%': return class_has(c, p[1]);
    case '[': return set_has(c, p, ep - 1);
    default: return (unsigned char)*p == c;
    }
}

static const char *match(matcher *m, const char *s, const char *p);

static const char *repeat(matcher *m, const char *s, const char *p, const char *ep, char q) {
    if (q == '-') {
        for (;; s++) {
            const char *r = match(m, s, ep + 1);
            if (r) return r;
            if (!one(m, s, p, ep)) return NULL;
        }
    }
    const char *least = q == '+' ? s + 1 : s, *most = s;
    while ((q != '?' || most == s) && one(m, most, p, ep)) most++;
    for (; most >= least; most--) {
        const char *r = match(m, most, ep + 1);
        if (r) return r;
    }
    return NULL;
}

/* recursion: at most once per item of the pattern */
static const char *match(matcher *m, const char *s, const char *p) {
    while (p < m->pend) {
        if (*p == '(') {
            if (m->level == MAX_CAPTURES) luaL_error(m->L, "too many captures in a pattern");
            m->capture[m->level].at = s;
            m->capture[m->level++].len = OPEN;
            const char *r = match(m, s, p + 1);
            if (!r) m->level--;
            return r;
        }
        if (*p == ')') {
            int l = m->level;
            while (--l >= 0 && m->capture[l].len != OPEN) {}
            if (l < 0) luaL_error(m->L, "')' without '(' in a pattern");
            m->capture[l].len = s - m->capture[l].at;
            const char *r = match(m, s, p + 1);
            if (!r) m->capture[l].len = OPEN;
            return r;
        }
        if (*p == '$' && p + 1 == m->pend) return s == m->end ? s : NULL;
        const char *ep = item_end(m, p);
        if (ep < m->pend && strchr("*+-?", *ep)) return repeat(m, s, p, ep, *ep);
        if (!one(m, s, p, ep)) return NULL;
        s++;
        p = ep;
    }
    return s;
}

static int push_captures(matcher *m, const char *s, const char *e, bool whole) {
    int n = m->level == 0 && whole ? 1 : m->level;
    luaL_checkstack(m->L, n, "too many captures");
    if (m->level == 0 && whole) lua_pushlstring(m->L, s, (size_t)(e - s));
    for (int i = 0; i < m->level; i++) {
        if (m->capture[i].len == OPEN) return luaL_error(m->L, "a capture is not closed in a pattern");
        lua_pushlstring(m->L, m->capture[i].at, (size_t)m->capture[i].len);
    }
    return n;
}

/* Finds the first match from `s` on; NULL if there is none. */
static const char *search(matcher *m, const char **io_s, const char *p) {
    bool anchored = p < m->pend && *p == '^';
    for (const char *s = *io_s; s <= m->end; s++) {
        m->level = 0;
        const char *e = match(m, s, anchored ? p + 1 : p);
        if (e) { *io_s = s; return e; }
        if (anchored) break;
    }
    return NULL;
}

static void start(lua_State *L, matcher *m, const char **out_pattern) {
    size_t n, np;
    m->L = L;
    m->steps = 0;
    m->text = luaL_checklstring(L, 1, &n);
    m->end = m->text + n;
    *out_pattern = luaL_checklstring(L, 2, &np);
    m->pend = *out_pattern + np;
    if (np > MAX_PATTERN) luaL_error(L, "a pattern is longer than %d characters", (int)MAX_PATTERN);
}

static int find_or_match(lua_State *L, bool find) {
    matcher m;
    const char *p;
    start(L, &m, &p);
    lua_Integer init = luaL_optinteger(L, 3, 1), len = m.end - m.text;
    if (init < 0) init = -init > len ? 1 : len + init + 1;
    if (init < 1) init = 1;
    if (init > len + 1) { lua_pushnil(L); return 1; }
    const char *s = m.text + init - 1, *e;
    if (find && lua_toboolean(L, 4)) {                  /* plain */
        size_t np = (size_t)(m.pend - p);
        for (; s + np <= m.end && memcmp(s, p, np) != 0; s++) {}
        e = s + np <= m.end ? s + np : NULL;
        m.level = 0;
    } else e = search(&m, &s, p);
    dsl_charge(L, m.steps);
    if (!e) { lua_pushnil(L); return 1; }
    if (!find) return push_captures(&m, s, e, true);
    lua_pushinteger(L, s - m.text + 1);
    lua_pushinteger(L, e - m.text);
    return 2 + push_captures(&m, s, e, false);
}
static int string_find(lua_State *L) { return find_or_match(L, true); }
static int string_match(lua_State *L) { return find_or_match(L, false); }

static int gmatch_next(lua_State *L) {                 /* upvalues: text, pattern, offset of the next try */
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    matcher m;
    const char *p;
    start(L, &m, &p);
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
    if (at > m.end - m.text) return 0;
    const char *s = m.text + at, *e = search(&m, &s, p);
    dsl_charge(L, m.steps);
    if (!e) return 0;
    lua_pushinteger(L, (e == s ? e + 1 : e) - m.text);
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(&m, s, e, true);
}
static int string_gmatch(lua_State *L) {
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

void dsl_open_strings(lua_State *L) {
    static const luaL_Reg functions[] = {{"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch},
        {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
