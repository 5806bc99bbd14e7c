/* Arenas, interning, text and diagnostics: see base.h. */
#define _POSIX_C_SOURCE 200809L
#include "base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- Arena --------------------------------------------------------------------------------------------------- */
typedef struct chunk {
    struct chunk *next;
    size_t used, cap;
} chunk;
struct fv_arena {
    chunk *head;
    size_t bytes;
};
enum { CHUNK_BYTES = 1 << 16, ALIGN = 16 };
static size_t round_up(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

static void *must(void *p) {
    if (!p) {
        fputs("fovea: out of memory\n", stderr);
        abort();
    }
    return p;
}
fv_arena *fv_arena_new(void) { return must(calloc(1, sizeof(fv_arena))); }
void fv_arena_dispose(fv_arena *a) {
    if (!a) return;
    for (chunk *c = a->head, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}
void *fv_arena_alloc(fv_arena *a, size_t bytes) {
    bytes = round_up(bytes ? bytes : 1);
    if (!a->head || a->head->cap - a->head->used < bytes) {
        size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk *c = must(calloc(1, round_up(sizeof(chunk)) + cap));
        c->cap = cap;
        if (a->head && bytes > CHUNK_BYTES) {
            c->next = a->head->next;
            a->head->next = c;
            c->used = bytes;
            a->bytes += bytes;
            return (char *)c + round_up(sizeof(chunk));
        }
        c->next = a->head;
        a->head = c;
    }
    void *p = (char *)a->head + round_up(sizeof(chunk)) + a->head->used;
    a->head->used += bytes;
    a->bytes += bytes;
    return p;
}
size_t fv_arena_bytes(const fv_arena *a) { return a->bytes; }

/* -- Context ------------------------------------------------------------------------------------------------- */
enum { MAX_ERRORS = 20 };
struct fv_ctx {
    fv_arena *arena;
    void *slot;
    const char **strings; /* by index; [0] is "" */
    uint32_t *lengths;
    uint32_t n_strings, cap_strings;
    uint32_t *table, table_cap; /* open addressing; 0 = free */
    fv_diag *diags;
    int n_diags, cap_diags, n_errors;
};
fv_ctx *fv_ctx_new(void) {
    fv_ctx *c = must(calloc(1, sizeof *c));
    c->arena = fv_arena_new();
    c->cap_strings = 256;
    c->strings = must(malloc(c->cap_strings * sizeof *c->strings));
    c->lengths = must(malloc(c->cap_strings * sizeof *c->lengths));
    c->strings[0] = "";
    c->lengths[0] = 0;
    c->n_strings = 1;
    c->table_cap = 1024;
    c->table = must(calloc(c->table_cap, sizeof *c->table));
    return c;
}
void fv_ctx_dispose(fv_ctx *c) {
    if (!c) return;
    fv_arena_dispose(c->arena);
    free(c->strings);
    free(c->lengths);
    free(c->table);
    free(c);
}
void *fv_alloc(fv_ctx *ctx, size_t bytes) { return fv_arena_alloc(ctx->arena, bytes); }
void **fv_ctx_slot(fv_ctx *ctx) { return &ctx->slot; }
void *fv_grow(fv_ctx *ctx, void *old, size_t used, int *io_cap, size_t size) {
    int cap = *io_cap ? *io_cap * 2 : 8;
    void *p = fv_alloc(ctx, (size_t)cap * size);
    if (used) memcpy(p, old, used * size);
    *io_cap = cap;
    return p;
}

/* -- Strings ------------------------------------------------------------------------------------------------- */
uint64_t fv_hash(const void *data, size_t n, uint64_t seed) {
    uint64_t h = seed;
    for (const unsigned char *p = data, *e = p + n; p < e; p++) h = (h ^ *p) * UINT64_C(0x100000001b3);
    return h;
}
static void rehash(fv_ctx *c) {
    free(c->table);
    c->table_cap *= 2;
    c->table = must(calloc(c->table_cap, sizeof *c->table));
    for (uint32_t i = 1; i < c->n_strings; i++) {
        uint32_t at = (uint32_t)fv_hash(c->strings[i], c->lengths[i], FV_HASH_SEED) & (c->table_cap - 1);
        while (c->table[at]) at = (at + 1) & (c->table_cap - 1);
        c->table[at] = i;
    }
}
fv_str fv_intern_n(fv_ctx *c, const char *s, size_t n) {
    if (!n) return (fv_str){0};
    uint32_t at = (uint32_t)fv_hash(s, n, FV_HASH_SEED) & (c->table_cap - 1);
    for (; c->table[at]; at = (at + 1) & (c->table_cap - 1)) {
        uint32_t i = c->table[at];
        if (c->lengths[i] == n && !memcmp(c->strings[i], s, n)) return (fv_str){i};
    }
    if (c->n_strings == c->cap_strings) {
        c->cap_strings *= 2;
        c->strings = must(realloc(c->strings, c->cap_strings * sizeof *c->strings));
        c->lengths = must(realloc(c->lengths, c->cap_strings * sizeof *c->lengths));
    }
    char *copy = fv_alloc(c, n + 1);
    memcpy(copy, s, n);
    uint32_t i = c->n_strings++;
    c->strings[i] = copy;
    c->lengths[i] = (uint32_t)n;
    c->table[at] = i;
    if (c->n_strings * 2 > c->table_cap) rehash(c);
    return (fv_str){i};
}
fv_str fv_intern(fv_ctx *ctx, const char *s) { return fv_intern_n(ctx, s, strlen(s)); }
static char *vprint(fv_ctx *ctx, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = fv_alloc(ctx, (size_t)(n < 0 ? 0 : n) + 1);
    vsnprintf(p, (size_t)(n < 0 ? 0 : n) + 1, fmt, again);
    va_end(again);
    return p;
}
fv_str fv_internf(fv_ctx *ctx, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *p = vprint(ctx, fmt, ap);
    va_end(ap);
    return fv_intern(ctx, p);
}
uint32_t fv_str_count(const fv_ctx *ctx) { return ctx->n_strings; }
const char *fv_cstr(const fv_ctx *ctx, fv_str s) { return ctx->strings[s.i]; }
char *fv_strdup(fv_ctx *ctx, const char *s) {
    size_t n = strlen(s) + 1;
    char *p = fv_alloc(ctx, n);
    memcpy(p, s, n);
    return p;
}
char *fv_printf(fv_ctx *ctx, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *p = vprint(ctx, fmt, ap);
    va_end(ap);
    return p;
}

/* -- Text builder -------------------------------------------------------------------------------------------- */
void fv_buf_putn(fv_buf *b, const char *s, size_t n) {
    if (b->len + n + 1 > b->cap) {
        b->cap = (b->len + n + 1) * 2 + 64;
        b->text = must(realloc(b->text, b->cap));
    }
    memcpy(b->text + b->len, s, n);
    b->len += n;
    b->text[b->len] = 0;
}
void fv_buf_puts(fv_buf *b, const char *s) { fv_buf_putn(b, s, strlen(s)); }
void fv_buf_printf(fv_buf *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0) {
        char *p = must(malloc((size_t)n + 1));
        vsnprintf(p, (size_t)n + 1, fmt, again);
        fv_buf_putn(b, p, (size_t)n);
        free(p);
    }
    va_end(again);
}
void fv_buf_dispose(fv_buf *b) {
    free(b->text);
    *b = (fv_buf){0};
}
void fv_buf_double(fv_buf *b, double v) {
    if (isnan(v)) {
        fv_buf_puts(b, "nan");
        return;
    }
    if (isinf(v)) {
        fv_buf_puts(b, v < 0 ? "-inf" : "inf");
        return;
    }
    char t[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(t, sizeof t, "%.*g", digits, v);
        if (strtod(t, NULL) == v) break;
    }
    fv_buf_puts(b, t);
    if (!strpbrk(t, ".e")) fv_buf_puts(b, ".0");
}

/* -- Diagnostics --------------------------------------------------------------------------------------------- */
static const struct {
    int number;
    const char *title, *remedy;
} codes[] = {
#define X(name, number, title, remedy) {number, title, remedy},
#include "errors.def"
#undef X
};
const char *fv_code_title(int number) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].number == number) return codes[i].title;
    return NULL;
}
const char *fv_code_remedy(int number) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].number == number) return codes[i].remedy;
    return NULL;
}
void fv_error(fv_ctx *c, fv_code code, fv_loc loc, const char *fmt, ...) {
    if (c->n_errors++ >= MAX_ERRORS) return;
    va_list ap;
    va_start(ap, fmt);
    fv_diag d = {.code = code, .loc = loc, .text = vprint(c, fmt, ap)};
    va_end(ap);
    fv_push(c, c->diags, c->n_diags, c->cap_diags, d);
}
void fv_note(fv_ctx *c, fv_loc loc, const char *fmt, ...) {
    if (c->n_errors > MAX_ERRORS) return;
    va_list ap;
    va_start(ap, fmt);
    fv_diag d = {.is_note = true, .loc = loc, .text = vprint(c, fmt, ap)};
    va_end(ap);
    fv_push(c, c->diags, c->n_diags, c->cap_diags, d);
}
int fv_error_count(const fv_ctx *c) { return c->n_errors; }
int fv_diag_count(const fv_ctx *c) { return c->n_diags; }
const fv_diag *fv_diag_at(const fv_ctx *c, int i) { return &c->diags[i]; }
void fv_diag_rewind(fv_ctx *c, int n) {
    while (c->n_diags > n) c->n_errors -= !c->diags[--c->n_diags].is_note;
}
void fv_diag_clear(fv_ctx *c) { c->n_diags = c->n_errors = 0; }

static void source_line(const char *file, int line, fv_buf *out) {
    FILE *f = fopen(file, "r");
    if (!f) return;
    char text[400];
    for (int i = 1; fgets(text, sizeof text, f); i += strchr(text, '\n') != NULL) {
        if (i != line) continue;
        text[strcspn(text, "\n")] = 0;
        fv_buf_printf(out, "    %d | %s\n", line, text);
        break;
    }
    fclose(f);
}
void fv_diag_render(const fv_ctx *c, fv_buf *out) {
    for (int i = 0; i < c->n_diags; i++) {
        const fv_diag *d = &c->diags[i];
        const char *file = fv_cstr(c, d->loc.file);
        if (*file && d->loc.line) fv_buf_printf(out, "%s:%d: ", file, d->loc.line);
        else if (*file) fv_buf_printf(out, "%s: ", file);
        if (d->is_note) fv_buf_printf(out, "note: %s\n", d->text);
        else fv_buf_printf(out, "error[E%04d]: %s\n", (int)d->code, d->text);
        if (*file && d->loc.line) source_line(file, d->loc.line, out);
    }
    if (c->n_errors > MAX_ERRORS) fv_buf_printf(out, "(%d more errors)\n", c->n_errors - MAX_ERRORS);
}
void fv_bug(const char *file, int line, const char *what) {
    fprintf(stderr, "fovea: internal error at %s:%d: %s\n", file, line, what);
    abort();
}
