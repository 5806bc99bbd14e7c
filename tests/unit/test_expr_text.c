/* Printing and parsing round trips, the lexer's edges, and texts that must be refused. */
#include "expr_random.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

static fv_ctx *ctx;
static fv_obj table, mask;
static void setup(void) {
    ctx = fv_ctx_new();
    table = (fv_obj){.name = fv_intern(ctx, "tab.weight"), .type = FV_F32, .rank = 2};
    mask = (fv_obj){.name = fv_intern(ctx, "one"), .type = FV_I32, .rank = 0};
}
static void teardown(void) { fv_ctx_dispose(ctx); }
TestSuite(expr_text, .init = setup, .fini = teardown);

static const fv_expr *resolve(void *user, fv_ctx *c, fv_str name, const fv_obj **ref) {
    (void)user;
    const char *s = fv_cstr(c, name);
    if (!strcmp(s, "tab.weight")) { *ref = &table; return NULL; }
    if (!strcmp(s, "one")) { *ref = &mask; return NULL; }
    if (s[0] == 'u') return NULL;
    return s[0] == 'f' ? fv_var(c, name, FV_F32) : s[0] == 'p' ? fv_var(c, name, FV_BOOL) : fv_axis_ref(c, name);
}
static const fv_expr *parse_in(fv_ctx *c, const char *text) {
    fv_lexer lx;
    fv_lex_init(&lx, c, "test", text);
    const fv_expr *e = fv_expr_parse(&lx, resolve, NULL);
    return e && lx.kind == FV_T_END ? e : NULL;
}
static const char *text_in(fv_ctx *c, const fv_expr *e) {
    fv_buf b = {0};
    fv_expr_print(c, e, &b);
    char *s = fv_strdup(c, b.text);
    fv_buf_dispose(&b);
    return s;
}
static void prints(const char *from, const char *to) {
    const fv_expr *e = parse_in(ctx, from);
    cr_assert(e != NULL, "%s does not parse", from);
    const char *s = text_in(ctx, e);
    cr_expect(eq(str, (char *)s, (char *)to));
    cr_expect(parse_in(ctx, s) == e, "%s does not read back", s);
}
Test(expr_text, minimal_parentheses) {
    prints("((x) + (y*2))", "y*2 + x");
    prints("3 - x", "3 - x");
    prints("-x - y*2", "-y*2 - x");
    prints("-(x*y)", "-(x*y)");
    prints("(x + y)*(x + 1)", "(x + 1)*(x + y)");
    prints("x//3*3 - 4*((y%5)//2)", "x//3*3 - y%5//2*4");
    prints("(f - (f - 1.5)) - f", "f - (f - 1.5) - f");
    prints("f*(f/2)", "f*(f/2.0)");
    prints("f/f*f", "f/f*f");
    prints("(f^2)^-f", "(f^2.0)^-f");
    prints("f^f^2", "f^f^2.0");
    prints("-f^2", "-f^2.0");
    prints("(-f)^2", "(-f)^2.0");
    prints("(-1.5)^f", "(-1.5)^f");
    prints("f - -1.5", "f - -1.5");
    prints("not (p and (p1 or not p2))", "not (p and (p1 or not p2))");
    prints("(p or p1) and x < 3", "(p or p1) and x < 3");
    prints("p or p1 and x < 3", "p or p1 and x < 3");
    prints("p or (p1 or p2)", "p or (p1 or p2)");
    prints("(x < 3) == (y < 3)", "(x < 3) == (y < 3)");
    prints("where(x >= 3, true, p)", "where(3 <= x, true, p)");
    prints("tab.weight[x + 1, y'//2]?-inf", "tab.weight[x + 1, y'//2]?-inf");
    prints("tab.weight[x, 0]?(f + 1)", "tab.weight[x, 0]?(f + 1.0)");
    prints("one + one[]", "one[]*2");
    prints("min(f, f1, 2)*inf", "min(min(f, f1), 2.0)*inf");
    prints("nan + f", "nan + f");
    prints("1e-7*f + 1e30", "1e-07*f + 1e+30");
    prints("any(x < y) and all(p)", "any(x < y) and all(p)");
    prints("exact(x, 3)", "exact(x, 3)");
}
Test(expr_text, random_trees_read_back) {
    static world w;
    static sample s;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        fv_ctx *c = fv_ctx_new();
        world_start(&w, c, seed);
        if (seed % 2) random_int(&w, 1 + (int)(seed % 6), &s);
        else random_bool(&w, 1 + (int)(seed % 6), &s);
        const char *t = text_in(c, s.e);
        const fv_expr *e = parse_in(c, t);
        cr_assert(e == s.e, "seed %d: %s reads back as %s", (int)seed, t, e ? text_in(c, e) : "nothing");
        fv_ctx *other = fv_ctx_new();                  /* where the axes come in another order */
        fv_axis_ref(other, fv_intern(other, "z"));
        fv_axis_ref(other, fv_intern(other, "y"));
        const fv_expr *again = parse_in(other, t);
        cr_assert(again != NULL && !strcmp(text_in(other, again), t), "seed %d: %s prints elsewhere as %s",
            (int)seed, t, text_in(other, again));
        fv_ctx_dispose(other);
        fv_ctx_dispose(c);
    }
}
static const fv_expr *random_float(world *w, int depth) {
    static const fv_op two[] = {FV_X_ADD, FV_X_SUB, FV_X_MUL, FV_X_DIV, FV_X_POW, FV_X_MIN, FV_X_MAX,
        FV_X_FLOORDIV, FV_X_MOD};
    static const fv_op unary[] = {FV_X_NEG, FV_X_ABS, FV_X_EXP2, FV_X_SAFE, FV_X_TANH, FV_X_NEG};
    static const double numbers[] = {0.0, 1.0, -1.0, 0.5, -2.25, 1e-20, 3e20, 0.1};
    fv_ctx *c = w->ctx;
    sample *b = fv_alloc(c, sizeof *b);
    int what = depth <= 0 ? (int)pick(w, 0, 1) : (int)pick(w, 2, 20);
    if (what == 0) return fv_float(c, numbers[pick(w, 0, 7)]);
    if (what == 1) return fv_var(c, fv_internf(c, "f%d", (int)pick(w, 0, 2)), FV_F32);
    if (what < 13) return fv_op2(c, two[pick(w, 0, 8)], random_float(w, depth - 1), random_float(w, depth - 1));
    if (what < 17) return fv_op1(c, unary[pick(w, 0, 5)], random_float(w, depth - 1));
    if (what < 19) {
        random_bool(w, depth - 1, b);
        return fv_op3(c, FV_X_WHERE, b->e, random_float(w, depth - 1), random_float(w, depth - 1));
    }
    sample *a = fv_alloc(c, sizeof *a);
    random_int(w, depth - 1, a);
    random_int(w, depth - 1, b);
    const fv_expr *index[2] = {a->e, b->e};
    return fv_read(c, &table, index, 2, pick(w, 0, 1) ? random_float(w, depth - 1) : NULL);
}
Test(expr_text, random_float_trees_read_back) {
    static world w;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        fv_ctx *c = fv_ctx_new();
        table.name = fv_intern(c, "tab.weight");
        world_start(&w, c, seed);
        const fv_expr *e = random_float(&w, 1 + (int)(seed % 6));
        const char *t = text_in(c, e);
        cr_assert(parse_in(c, t) == e, "seed %d: %s", (int)seed, t);
        fv_ctx_dispose(c);
    }
}
Test(expr_text, refused_with_a_message) {
    static const char *const bad[] = {"", "x +", "(x", "x)", "f(x)", "min(x)", "min(x,)", "tab.weight[x]",
        "tab.weight", "x[1]", "1 < 2 < 3",
        "unknown", "and", "x and", "not", "99999999999999999999", "x ? 1", "\"text\"", "x + \x01", "where(p, 1)",
            "x é y", "^2", "splat(x)", "3x",
        "tab.weight[x, y]?", "where(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26)"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fv_lexer lx;
        fv_diag_clear(ctx);
        fv_lex_init(&lx, ctx, "test", bad[i]);
        const fv_expr *e = fv_expr_parse(&lx, resolve, NULL);
        bool refused = !e || lx.kind != FV_T_END;
        cr_expect(refused, "'%s' was taken", bad[i]);
        cr_expect(e || fv_error_count(ctx) == 1, "'%s': %d errors", bad[i], fv_error_count(ctx));
    }
}
static bool nested(const char *open, const char *close, int n) {
    fv_buf b = {0};
    for (int i = 0; i < n; i++) fv_buf_puts(&b, open);
    fv_buf_puts(&b, "f");
    for (int i = 0; i < n; i++) fv_buf_puts(&b, close);
    bool ok = parse_in(ctx, b.text) != NULL;
    fv_buf_dispose(&b);
    return ok;
}
Test(expr_text, deep_nesting_is_refused) {
    cr_expect(nested("(", ")", 150));
    cr_expect(nested("-", "", 300));
    fv_diag_clear(ctx);
    static const char *const pairs[][2] = {{"(", ")"}, {"-", ""}, {"not ", ""}, {"exp2(", ")"}, {"2^", ""},
        {"tab.weight[0, ", "]"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        cr_expect(not(nested(pairs[i][0], pairs[i][1], 200000)));
    cr_expect(gt(int, fv_error_count(ctx), 0));
}
Test(expr_text, long_chains_are_fine) {
    fv_buf b = {0};
    fv_buf_puts(&b, "f");
    for (int i = 0; i < 50000; i++) fv_buf_puts(&b, i % 2 ? " + f*f" : " - 1.5");
    const fv_expr *e = parse_in(ctx, b.text);
    cr_assert(e != NULL);
    cr_assert(parse_in(ctx, text_in(ctx, e)) == e);
    fv_buf_dispose(&b);
    for (int i = 0; i < 100000; i++) e = fv_op1(ctx, FV_X_EXP2, e);
    cr_assert(strstr(text_in(ctx, e), "(...)") != NULL);
}

/* -- Lexer -------------------------------------------------------------------------------------------------------- */
static char *lexed(const char *text, bool newlines) {
    static const char kinds[] = "$nifps|!";
    fv_buf b = {0};
    fv_lexer lx;
    fv_lex_init(&lx, ctx, "test", text);
    lx.newlines = newlines;
    for (; lx.kind != FV_T_END; fv_lex_next(&lx)) {
        if (b.len) fv_buf_puts(&b, " ");
        fv_buf_printf(&b, "%c:%.*s", kinds[lx.kind], (int)lx.len, lx.start);
    }
    char *s = fv_strdup(ctx, b.text ? b.text : "");
    fv_buf_dispose(&b);
    return s;
}
Test(expr_text, tokens) {
    cr_expect(eq(str, lexed("0..n q0..hi+1", false), "i:0 p:.. n:n n:q0 p:.. n:hi p:+ i:1"));
    cr_expect(eq(str, lexed("qkv.weight u.1 n' a_b.c'2", false), "n:qkv.weight n:u.1 n:n' n:a_b.c'2"));
    cr_expect(eq(str, lexed("1.5 2. 1e3 1e 3.x 4e-2", false), "f:1.5 f:2. f:1e3 i:1 n:e i:3 p:. n:x f:4e-2"));
    cr_expect(eq(str, lexed("a//b<=c>=d==e!=f+=g->h*=i<j>k=l", false),
                 "n:a p:// n:b p:<= n:c p:>= n:d p:== n:e p:!= n:f p:+= n:g p:-> n:h p:*= n:i p:< n:j p:> n:k p:= n:l"));
    cr_expect(eq(str, lexed("a # rest // of line\nb", false), "n:a n:b"));
    cr_expect(eq(str, lexed("\n\na\n\n # c\n b\n", true), "n:a |: n:b |:"));
    cr_expect(eq(str, lexed("\"a # b\" \"open", false), "s:a # b !:open"));
    cr_expect(eq(str, lexed("\xc3\xa9 %x $ ~", false), "!:\xc3\xa9 p:% n:x p:$ p:~"));
    cr_expect(eq(str, lexed("9223372036854775807 9223372036854775808", false),
        "i:9223372036854775807 !:9223372036854775808"));
}
Test(expr_text, positions_and_helpers) {
    fv_lexer lx;
    fv_str name;
    int64_t v = 0;
    fv_lex_init(&lx, ctx, "file.fov", "# head\n\nkernel k -12\n  ?");
    cr_expect(eq(int, fv_lex_loc(&lx).line, 3));
    cr_expect(fv_lex_accept(&lx, "kernel"));
    cr_expect(not(fv_lex_accept(&lx, "kern")));
    cr_expect(fv_lex_name(&lx, &name) && fv_str_eq(name, fv_intern(ctx, "k")));
    cr_expect(fv_lex_int(&lx, &v) && v == -12);
    cr_expect(eq(int, fv_lex_loc(&lx).line, 4));
    cr_expect(not(fv_lex_expect(&lx, "]")));
    cr_assert(eq(int, fv_error_count(ctx), 1));
    cr_expect(eq(str, (char *)fv_diag_at(ctx, 0)->text, "expected ']', found '?'"));
    fv_lex_next(&lx);
    fv_lex_next(&lx);
    cr_expect(eq(int, (int)lx.kind, FV_T_END));
}
Test(expr_text, random_bytes_never_crash) {
    static world w = {.state = 99};
    static const char alphabet[] = "xyfp 0123.+-*/%^()[]<>=!?,#\"'\nandorintwhere_\xc3";
    for (int round = 0; round < 20000; round++) {
        char text[32];
        int n = (int)pick(&w, 0, 30);
        for (int i = 0; i < n; i++) text[i] = alphabet[pick(&w, 0, (int64_t)sizeof alphabet - 2)];
        text[n] = 0;
        fv_diag_clear(ctx);
        fv_lexer lx;
        fv_lex_init(&lx, ctx, "test", text);
        const fv_expr *e = fv_expr_parse(&lx, resolve, NULL);
        if (e) { text_in(ctx, e); fv_range_of(NULL, e); fv_simplify(ctx, NULL, e); }
        else cr_assert(fv_error_count(ctx) > 0, "no message for: %s", text);
    }
}
Test(expr_text, shared_trees_print_in_bounded_time) {
    const fv_expr *e = fv_var(ctx, fv_intern(ctx, "f"), FV_F32), *i = fv_axis_ref(ctx, fv_intern(ctx, "x"));
    const fv_expr *p = fv_op2(ctx, FV_X_LT, e, fv_float(ctx, 1));
    for (int k = 0; k < 100; k++) {
        e = fv_mul(ctx, fv_addi(ctx, e, k), e);
        i = fv_op2(ctx, FV_X_MIN, fv_mul(ctx, i, i), fv_op2(ctx, FV_X_FLOORDIV, fv_addi(ctx, i, k), fv_int(ctx, 3)));
        p = fv_op2(ctx, FV_X_OR, fv_op2(ctx, FV_X_AND, p, fv_op2(ctx, FV_X_LT, fv_float(ctx, k), e)),
            fv_op1(ctx, FV_X_NOT, p));
    }
    cr_expect(strstr(text_in(ctx, e), "(...)") != NULL);
    cr_expect(strstr(text_in(ctx, i), "(...)") != NULL);
    cr_expect(eq(int, fv_prove(ctx, NULL, p), -1));
    cr_expect(fv_simplify(ctx, NULL, p) != NULL);
}
