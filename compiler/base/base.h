/* base: arenas, interned strings, text building and diagnostics. Knows nothing of tensors.
 *
 * Everything that lives as long as a compilation hangs on one `fv_ctx`: create it, compile, dispose it; nothing
 * allocated from it is freed one by one. Library code never prints and never exits: it records a diagnostic
 * (`fv_error`) and returns false or NULL. */
#ifndef FV_BASE_H
#define FV_BASE_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* -- Arena ------------------------------------------------------------------------------------------------- */
typedef struct fv_arena fv_arena;
fv_arena *fv_arena_new(void);
void fv_arena_dispose(fv_arena *a);              /* frees everything allocated from it; NULL is fine */
void *fv_arena_alloc(fv_arena *a, size_t bytes); /* zeroed, aligned to 16; never NULL (aborts when memory ends) */
size_t fv_arena_bytes(const fv_arena *a);        /* bytes handed out so far */

/* -- Context ----------------------------------------------------------------------------------------------- */
typedef struct fv_ctx fv_ctx;
fv_ctx *fv_ctx_new(void);
void fv_ctx_dispose(fv_ctx *ctx);
void *fv_alloc(fv_ctx *ctx, size_t bytes); /* from the context's arena, zeroed */
#define FV_NEW(ctx, T) ((T *)fv_alloc((ctx), sizeof(T)))
#define FV_NEWN(ctx, T, n) ((T *)fv_alloc((ctx), sizeof(T) * (size_t)(n)))
/* A slot for another folder's state that lives as long as the context (the expression pool). */
void **fv_ctx_slot(fv_ctx *ctx);

/* -- Interned strings: equality is equality of `.i`; {0} is the empty string --------------------------------- */
typedef struct {
    uint32_t i;
} fv_str;
fv_str fv_intern(fv_ctx *ctx, const char *s);
fv_str fv_intern_n(fv_ctx *ctx, const char *s, size_t n);
fv_str fv_internf(fv_ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *fv_cstr(const fv_ctx *ctx, fv_str s);
uint32_t fv_str_count(const fv_ctx *ctx); /* every string so far has a smaller .i: the size of a table over them */
static inline bool fv_str_eq(fv_str a, fv_str b) { return a.i == b.i; }

/* Text owned by the context. */
char *fv_strdup(fv_ctx *ctx, const char *s);
char *fv_printf(fv_ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -- Text builder ------------------------------------------------------------------------------------------ */
typedef struct {
    char *text;
    size_t len, cap;
} fv_buf; /* {0} is an empty one; text is NUL-terminated once written to */
void fv_buf_putn(fv_buf *b, const char *s, size_t n);
void fv_buf_puts(fv_buf *b, const char *s);
void fv_buf_printf(fv_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fv_buf_dispose(fv_buf *b);
/* The shortest decimal text that reads back as the same double; "inf", "-inf", "nan". A float text always holds one of
 * . e inf nan, so that it never reads back as an integer. */
void fv_buf_double(fv_buf *b, double v);

/* -- Source locations and diagnostics ----------------------------------------------------------------------- */
typedef struct {
    fv_str file;
    int line;
} fv_loc; /* {0}: none */

/* Error codes: `errors.def` rows X(name, number, "title", "remedy"). */
typedef enum {
#define X(name, number, title, remedy) FV_E_##name = (number),
#include "errors.def"
#undef X
} fv_code;

typedef struct {
    bool is_note; /* a note belongs to the error before it */
    fv_code code;
    fv_loc loc;
    const char *text;
} fv_diag;

void fv_error(fv_ctx *ctx, fv_code code, fv_loc loc, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void fv_note(fv_ctx *ctx, fv_loc loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int fv_error_count(const fv_ctx *ctx);
int fv_diag_count(const fv_ctx *ctx);
const fv_diag *fv_diag_at(const fv_ctx *ctx, int i);
/* Forgets what was recorded since the count was `n`: of a caller that tried something and goes another way. */
void fv_diag_rewind(fv_ctx *ctx, int n);
void fv_diag_clear(fv_ctx *ctx); /* forget all (a caller that tried something and recovered) */
/* Writes "file:line: error[E0103]: text", the source line (read from the file when it can be), and the notes. */
void fv_diag_render(const fv_ctx *ctx, fv_buf *out);
/* Title and remedy of a code; NULL if there is none. */
const char *fv_code_title(int number);
const char *fv_code_remedy(int number);

/* -- A broken invariant of the compiler itself: prints and aborts. Never for anything that a user can cause. ---- */
_Noreturn void fv_bug(const char *file, int line, const char *what);
#define FV_ASSERT(cond, what) ((cond) ? (void)0 : fv_bug(__FILE__, __LINE__, (what)))

/* -- FNV-1a, for keys --------------------------------------------------------------------------------------- */
uint64_t fv_hash(const void *data, size_t n, uint64_t seed);
#define FV_HASH_SEED UINT64_C(0xcbf29ce484222325)

/* -- Growable arrays in a context's arena:  fv_push(ctx, list, n, cap, item) ----------------------------------- */
void *fv_grow(fv_ctx *ctx, void *old, size_t used, int *io_cap, size_t size);
#define fv_push(ctx, list, n, cap, item)                                                                               \
    do {                                                                                                               \
        if ((n) == (cap)) (list) = fv_grow((ctx), (list), (size_t)(n), &(cap), sizeof *(list));                        \
        (list)[(n)++] = (item);                                                                                        \
    } while (0)
#endif
