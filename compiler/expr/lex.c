/* The lexer that all text parsers share. Comments run from # to the end of the line ("//" is floor division).
 * Invariant: after next, `start` and `len` cover the current token (a string without its quotes) and `at` stands
 * behind it. */
#include "expr/expr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '\''; }

static void token(fv_lexer *lx, fv_token_kind kind, const char *start, const char *end) {
    lx->kind = kind;
    lx->start = start;
    lx->len = (size_t)(end - start);
    lx->token_line = lx->line;
    lx->at = end;
}
/* Skips space and comments; true if a line ended. */
static bool skip_space(fv_lexer *lx) {
    bool ended = false;
    for (;; lx->at++) {
        if (*lx->at == '#') while (lx->at[0] && lx->at[0] != '\n') lx->at++;
        if (*lx->at == '\n') { lx->line++; ended = true; }
        else if (*lx->at != ' ' && *lx->at != '\t' && *lx->at != '\r') return ended;
    }
}
/* A dot belongs to a name only before another character of it: q0..hi is q0 .. hi. */
static const char *name_end(const char *s) {
    while (is_name_char(*s) || (*s == '.' && is_name_char(s[1]))) s++;
    return s;
}
static const char *digits_end(const char *s) { while (is_digit(*s)) s++; return s; }
static void number(fv_lexer *lx) {
    const char *start = lx->at, *end = digits_end(start);
    bool is_float = false;
    if (*end == '.' && end[1] != '.' && !is_letter(end[1])) { is_float = true; end = digits_end(end + 1); }
    if (*end == 'e' || *end == 'E') {
        const char *x = end + 1 + (end[1] == '+' || end[1] == '-');
        if (is_digit(*x)) { is_float = true; end = digits_end(x); }
    }
    char small[64], *text = small;
    size_t n = (size_t)(end - start);
    if (n >= sizeof small && !(text = malloc(n + 1))) FV_ASSERT(false, "out of memory");
    memcpy(text, start, n);
    text[n] = 0;
    errno = 0;
    if (is_float) lx->f = strtod(text, NULL);
    else lx->i = strtoll(text, NULL, 10);
    bool fits = is_float || errno == 0;
    if (text != small) free(text);
    token(lx, !fits ? FV_T_BAD : is_float ? FV_T_FLOAT : FV_T_INT, start, end);
}
static void string(fv_lexer *lx) {
    const char *start = lx->at + 1, *end = start;
    while (*end && *end != '"' && *end != '\n') end++;
    token(lx, *end == '"' ? FV_T_STRING : FV_T_BAD, start, end);
    if (*end == '"') lx->at++;
}
static void punctuation(fv_lexer *lx) {
    static const char pairs[][3] = {"..", "//", "<=", ">=", "==", "!=", "+=", "->", "*="};
    const char *s = lx->at;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (s[0] == pairs[i][0] && s[1] == pairs[i][1]) { token(lx, FV_T_PUNCT, s, s + 2); return; }
    bool visible = *s > ' ' && *s < 127;
    const char *end = s + 1;
    while (!visible && ((unsigned char)*end & 0xc0) == 0x80) end++;   /* the rest of a UTF-8 character */
    token(lx, visible ? FV_T_PUNCT : FV_T_BAD, s, end);
}
void fv_lex_next(fv_lexer *lx) {
    if (skip_space(lx) && lx->newlines && lx->kind != FV_T_NEWLINE) {
        token(lx, FV_T_NEWLINE, lx->at, lx->at);
        return;
    }
    char c = *lx->at;
    if (!c) token(lx, FV_T_END, lx->at, lx->at);
    else if (is_letter(c)) token(lx, FV_T_NAME, lx->at, name_end(lx->at));
    else if (is_digit(c)) number(lx);
    else if (c == '"') string(lx);
    else punctuation(lx);
}
void fv_lex_init(fv_lexer *lx, fv_ctx *ctx, const char *file, const char *text) {
    *lx = (fv_lexer){.ctx = ctx, .file = fv_intern(ctx, file ? file : ""), .at = text, .line = 1, .kind = FV_T_NEWLINE};
    fv_lex_next(lx);
}
bool fv_lex_is(const fv_lexer *lx, const char *text) {
    return (lx->kind == FV_T_NAME || lx->kind == FV_T_PUNCT) && strlen(text) == lx->len
        && !memcmp(lx->start, text, lx->len);
}
bool fv_lex_accept(fv_lexer *lx, const char *text) {
    if (!fv_lex_is(lx, text)) return false;
    fv_lex_next(lx);
    return true;
}
fv_loc fv_lex_loc(const fv_lexer *lx) { return (fv_loc){lx->file, lx->token_line}; }
bool fv_lex_fail(fv_lexer *lx, const char *what) {
    enum { SHOWN = 40 };
    int n = lx->len > SHOWN ? SHOWN : (int)lx->len;
    if (lx->kind == FV_T_END) fv_error(lx->ctx, FV_E_SYNTAX, fv_lex_loc(lx),
        "expected %s, found the end of the text", what);
    else if (lx->kind == FV_T_NEWLINE) fv_error(lx->ctx, FV_E_SYNTAX, fv_lex_loc(lx),
        "expected %s, found the end of the line", what);
    else if (lx->kind == FV_T_STRING) fv_error(lx->ctx, FV_E_SYNTAX, fv_lex_loc(lx),
        "expected %s, found \"%.*s\"", what, n, lx->start);
    else fv_error(lx->ctx, FV_E_SYNTAX, fv_lex_loc(lx), "expected %s, found '%.*s'", what, n, lx->start);
    return false;
}
bool fv_lex_expect(fv_lexer *lx, const char *text) {
    char what[64];
    if (fv_lex_accept(lx, text)) return true;
    snprintf(what, sizeof what, "'%s'", text);
    return fv_lex_fail(lx, what);
}
bool fv_lex_name(fv_lexer *lx, fv_str *out) {
    if (lx->kind != FV_T_NAME) return fv_lex_fail(lx, "a name");
    *out = fv_intern_n(lx->ctx, lx->start, lx->len);
    fv_lex_next(lx);
    return true;
}
bool fv_lex_int(fv_lexer *lx, int64_t *out) {
    bool negative = fv_lex_accept(lx, "-");
    if (lx->kind != FV_T_INT) return fv_lex_fail(lx, "an integer");
    *out = negative ? -lx->i : lx->i;
    fv_lex_next(lx);
    return true;
}
