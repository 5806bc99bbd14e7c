/* The sandbox: what a spec may try, and that each ends as one clean diagnostic, soon. */
#define _DEFAULT_SOURCE
#include "test_dsl_spec.h"

#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Must fail with `code`, within some seconds. */
static void attack(const char *text, fv_code code) {
    double begin = now();
    fv_spec_options o = {.declare = true, .memory_bytes = (size_t)64 << 20, .instructions = 3000000, .nodes = 5000,
        .seconds = 5};
    loaded l = load_text(text, strlen(text), &o);
    cr_expect(!l.good, "accepted: %s", text);
    cr_expect(fv_diag_count(l.ctx) > 0 && fv_diag_at(l.ctx, 0)->code == code, "another error for: %s\n%s", text,
              l.report);
    cr_expect(now() - begin < 8, "%.1f s for: %s", now() - begin, text);
    unload(&l);
}

Test(dsl_sandbox, loops_end) {
    attack("while true do end", FV_E_LIMIT);
    attack("local function f() return f() end f()", FV_E_LIMIT);
    attack("while true do pcall(function() while true do end end) end", FV_E_LIMIT);
    attack("pcall(function() while true do end end) output('y', axis('h', 2), 'h')", FV_E_LIMIT);
    attack("local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) local x = t[1]", FV_E_LUA);
    attack("local a, b = {}, {} setmetatable(a, { __index = b }) setmetatable(b, { __index = a }) local x = a.x",
           FV_E_LUA);
    attack("for i in ipairs(setmetatable({}, { __index = function() return 1 end })) do end", FV_E_LIMIT);
    attack("attend{ q = axis('n', 3) * 1.0, dot = '', k = axis('n', 3) * 1.0, v = axis('n', 3) * 1.0, over = 'n', "
           "score = function(s) while true do end end }", FV_E_LIMIT);
    attack("scan{ over = 'n=3', init = 0.0, step = function(s) while true do end end }", FV_E_LIMIT);
}

Test(dsl_sandbox, memory_ends) {
    attack("local t = {} for i = 1, 1e9 do t[i] = i end", FV_E_LIMIT);
    attack("local s = 'x' while true do s = s .. s end", FV_E_LIMIT);
    attack("local s = ('x'):rep(1e9)", FV_E_LUA);
    attack("local s = (''):rep(1e18)", FV_E_LUA);
    attack("local t = {} while true do t = { t, pcall(function() local s = 'x' while true do s = s .. s end end) } end",
           FV_E_LIMIT);
    attack("local x = axis('h', 9) * 1.5 local y = input('x', 'h=9') while true do y = y * x end", FV_E_LIMIT);
    attack("local x = axis('h', 9) while true do x = x * x + 1 end", FV_E_LIMIT);
    attack("local t = {} for i = 1, 1000 do t[i] = i end const('n=1000', t) const('n=100000000', t)", FV_E_ARGUMENT);
}

Test(dsl_sandbox, recursion_ends) {
    attack("local function f() return 1 + f() end f()", FV_E_LIMIT);      /* here the memory ends first */
    expect_error("local x = 1\nlocal function f() return 1 + f() end\nf()", FV_E_LUA, 2, "stack overflow");
    expect_error("local x = 1\nlocal s = 'x'\nwhile true do\ns = s .. s end", FV_E_LIMIT, 4, "memory");
    attack("local function f() pcall(f) end f() while true do end", FV_E_LIMIT);
    attack("local t = {} setmetatable(t, { __index = function(t, k) return t[k] end }) local x = t.y", FV_E_LUA);
    attack("local function f() local e = entry('e', f) end f()", FV_E_LUA);
    attack("local s = ('('):rep(100000) error(s:rep(2))", FV_E_LUA);
    attack("local function f() attend{ q = axis('n', 3) * 1.0, dot = '', k = axis('n', 3) * 1.0, v = 1, over = 'n', "
           "score = f } end f()", FV_E_LIMIT);
    char deep[9000] = "local x = ";
    for (int i = 0; i < 4000; i++) strcat(deep, "(");
    attack(deep, FV_E_LUA);
}

Test(dsl_sandbox, library_is_safe) {
    attack("return ('a'):rep(30):match(('a*'):rep(40) .. 'b')", FV_E_LUA);
    attack("local s = ('a'):rep(400) s:find(('.-'):rep(4) .. 'b')", FV_E_LUA);
    attack("local t = setmetatable({}, { __len = function() return 1 << 60 end }) table.insert(t, 1, 2)", FV_E_LUA);
    attack("table.concat({}, 'x', 1, 1 << 60)", FV_E_LUA);
    attack("table.move({}, 1, 1 << 60, 2)", FV_E_LUA);
    attack("table.unpack({}, 1, 1e7)", FV_E_LUA);
    attack("setmetatable({}, { __gc = function() end })", FV_E_LUA);
    attack("local d = string.dump(function() end)", FV_E_LUA);
    attack("coroutine.wrap(function() end)()", FV_E_LUA);
    attack("getmetatable('').__index = nil", FV_E_LUA);
    attack("('x'):dump()", FV_E_LUA);
    attack("getmetatable(axis('h', 2)).__add = nil", FV_E_LUA);
    attack("error({})", FV_E_LUA);
    attack("error(setmetatable({}, { __tostring = function() while true do end end }))", FV_E_LUA);
    attack("error()", FV_E_LUA);
    attack("local x = pcall(error)", FV_E_ARGUMENT);
}

Test(dsl_sandbox, nothing_outside_is_reached) {
    static const char *const gone[] = {"io", "os", "package", "debug", "load", "loadfile", "loadstring", "dofile",
        "collectgarbage", "coroutine",
        "utf8", "next", "string.dump", "string.gsub", "math.random"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        char text[200];
        snprintf(text, sizeof text, "if %s ~= nil then error('there is %s') end output('y', axis('h', 2), 'h')",
                 gone[i], gone[i]);
        loaded l = load(text);
        cr_expect(l.good, "%s", l.report);
        unload(&l);
    }
    static const char *const names[] = {"../x", "/etc/passwd", "a/../b", "..", "", ".", "a//b", "a/", "x y"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[200];
        snprintf(text, sizeof text, "require '%s'", names[i]);
        attack(text, FV_E_REQUIRE);
    }
}

Test(dsl_sandbox, only_text_is_loaded) {
    static const char binary[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
    loaded l = load_text(binary, sizeof binary, NULL);
    cr_expect(!l.good && fv_diag_at(l.ctx, 0)->code == FV_E_LUA, "%s", l.report);
    unload(&l);
    fv_ctx *ctx = fv_ctx_new();
    fv_spec spec;
    cr_expect(!fv_spec_load(ctx, "/nowhere/spec.lua", NULL, &(fv_spec_options){0}, &spec));
    cr_expect(!fv_spec_load(ctx, "/tmp", NULL, &(fv_spec_options){0}, &spec));
    cr_expect_eq(fv_error_count(ctx), 2);
    fv_ctx_dispose(ctx);
}

Test(dsl_sandbox, a_mistake_in_the_language_cannot_be_caught) {
    attack("pcall(function() return axis('h', 2) * 1.0 + axis('w', 3):along'b=2'{ z = 1 } end) output('y', axis('h', "
           "2), 'h')", FV_E_AXIS);
    loaded l = load("local ok, e = pcall(function() error('mine') end) print(ok, e) output('y', axis('h', 2), 'h')");
    cr_expect(l.good && strstr(l.spec.printed, "mine"), "%s", l.report);
    unload(&l);
}

Test(dsl_sandbox, runs_are_separate_and_the_same) {
    const char *text = "local t = {} for i = 1, 50 do t['k' .. i] = i end local s = '' for k, v in pairs(t) do s = s "
                       ".. k end print(s)\n"
        "leak = (leak or 0) + 1 print(leak) local x = input('x', 'h=8 w=8') output('y', x:window{ w = 'v=3', h = "
        "'u=3', border = 0 }:sum'u v', 'h w')";
    loaded a = load(text), b = load(text);
    cr_assert(a.good && b.good, "%s%s", a.report, b.report);
    cr_expect_str_eq(a.spec.printed, b.spec.printed);
    fv_buf ga = {0}, gb = {0};
    fv_graph_print(a.spec.graph, &ga);
    fv_graph_print(b.spec.graph, &gb);
    const char *body_a = strchr(ga.text, '{'), *body_b = strchr(gb.text, '{');
    cr_expect_str_eq(body_a, body_b);
    fv_buf_dispose(&ga);
    fv_buf_dispose(&gb);
    unload(&a);
    unload(&b);
}
