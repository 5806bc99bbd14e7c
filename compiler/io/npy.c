/* .npy: a magic number, a length, a Python dictionary of exactly three keys, then the elements. The dictionary is
 * parsed as what NumPy writes - quoted keys, one quoted dtype, True or False, a tuple of whole numbers - in any
 * order, and nothing else. */
#include "io/npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NPY_CAP_GIB = 16 };
typedef struct { char kind, size; fovea_storage storage; } npy_type;
static const npy_type types[] = {
    {'f', 2, FOVEA_ST_F16}, {'f', 4, FOVEA_ST_F32}, {'f', 8, FOVEA_ST_F64}, {'i', 1, FOVEA_ST_I8},
    {'i', 2, FOVEA_ST_I16}, {'i', 4, FOVEA_ST_I32}, {'i', 8, FOVEA_ST_I64}, {'u', 1, FOVEA_ST_U8},
    {'u', 2, FOVEA_ST_U16}, {'u', 4, FOVEA_ST_U32}, {'u', 8, FOVEA_ST_U64}, {'b', 1, FOVEA_ST_BOOL},
};
enum { N_TYPES = sizeof types / sizeof *types };

typedef struct { fv_ctx *ctx; const char *path, *s; size_t at, end; bool fortran; fovea_stored *t; } parser;

static bool refuse(const parser *p, size_t at, const char *what) {
    fv_error(p->ctx, FV_E_FORMAT, (fv_loc){0}, "%s: byte %zu: %s", p->path, at, what);
    return false;
}
static void skip(parser *p) {
    while (p->at < p->end && (p->s[p->at] == ' ' || p->s[p->at] == '\n')) p->at++;
}
static bool take(parser *p, char c) {
    skip(p);
    if (p->at >= p->end || p->s[p->at] != c) return false;
    p->at++;
    return true;
}
static bool take_word(parser *p, const char *word) {
    size_t n = strlen(word);
    skip(p);
    if (p->end - p->at < n || memcmp(p->s + p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}
static bool take_quoted(parser *p, const char **text, size_t *n) {
    skip(p);
    char quote = p->at < p->end ? p->s[p->at] : '\0';
    if (quote != '\'' && quote != '"') return false;
    const char *first = p->s + p->at + 1, *last = memchr(first, quote, p->end - p->at - 1);
    if (!last) return false;
    *text = first;
    *n = (size_t)(last - first);
    p->at += *n + 2;
    return true;
}

static bool descr(parser *p) {
    const char *text;
    size_t n, start = p->at;
    if (!take_quoted(p, &text, &n))
        return refuse(p, p->at, "descr must be one type in quotes (structured types are not read)");
    if (n == 3 && text[0] == '>' && text[2] > '1') return refuse(p, start, "big-endian elements are not read");
    bool order = n == 3 && (text[0] == '<' || text[0] == '|' || text[0] == '=' || text[0] == '>');
    for (int i = 0; order && i < N_TYPES; i++)
        if (types[i].kind == text[1] && types[i].size == text[2] - '0') {
            p->t->storage = types[i].storage;
            return true;
        }
    fv_error(p->ctx, FV_E_FORMAT, (fv_loc){0}, "%s: byte %zu: elements of type '%.*s' are not read", p->path, start,
             n < 40 ? (int)n : 40, text);
    return false;
}

static bool shape(parser *p) {
    if (!take(p, '(')) return refuse(p, p->at, "shape must be a tuple");
    p->t->rank = 0;
    while (!take(p, ')')) {
        if (p->t->rank == FOVEA_MAX_RANK) return refuse(p, p->at, "more than 16 dimensions");
        int64_t v = 0;
        size_t start = p->at;
        for (; p->at < p->end && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++)
            if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, p->s[p->at] - '0', &v))
                return refuse(p, start, "an extent is too large");
        if (p->at == start) return refuse(p, p->at, "expected an extent");
        p->t->shape[p->t->rank++] = v;
        bool more = take(p, ',');
        skip(p);
        if (!more && (p->at >= p->end || p->s[p->at] != ')' || p->t->rank == 1))
            return refuse(p, p->at, "expected ',' in a shape");
    }
    return true;
}

static bool header(parser *p) {
    static const char *const names[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    if (!take(p, '{')) return refuse(p, p->at, "expected '{'");
    while (!take(p, '}')) {
        const char *text;
        size_t n, start = p->at;
        unsigned which = 0;
        if (!take_quoted(p, &text, &n)) return refuse(p, p->at, "expected a key in quotes");
        while (which < 3 && (strlen(names[which]) != n || memcmp(names[which], text, n) != 0)) which++;
        if (which == 3 || (seen >> which & 1))
            return refuse(p, start, "expected descr, fortran_order and shape, once each");
        seen |= 1u << which;
        if (!take(p, ':')) return refuse(p, p->at, "expected ':'");
        if (which == 0 && !descr(p)) return false;
        if (which == 1) {
            p->fortran = take_word(p, "True");
            if (!p->fortran && !take_word(p, "False")) return refuse(p, p->at, "fortran_order must be True or False");
        }
        if (which == 2 && !shape(p)) return false;
        bool more = take(p, ',');
        skip(p);
        if (!more && (p->at >= p->end || p->s[p->at] != '}')) return refuse(p, p->at, "expected ',' or '}'");
    }
    skip(p);
    if (seen != 7) return refuse(p, p->at, "descr, fortran_order or shape is missing");
    return p->at == p->end || refuse(p, p->at, "something follows the header's dictionary");
}

/* Bytes of t, or -1. */
static int64_t bytes_of(fovea_stored *t) {
    int64_t n = fovea_storage_size(t->storage);
    bool empty = n == 0;
    for (int32_t d = 0; d < t->rank; d++) {
        if (t->shape[d] < 0) return -1;
        if (t->shape[d] == 0) empty = true;
        else if (__builtin_mul_overflow(n, t->shape[d], &n)) return -1;
    }
    t->bytes = empty ? 0 : n;
    t->count = empty ? 0 : n / fovea_storage_size(t->storage);
    return t->bytes;
}

/* From first-index-fastest to last-index-fastest: walks the C order and steps through the other. */
static bool to_c_order(const parser *p, fv_npy *a) {
    fovea_stored *t = &a->t;
    size_t size = (size_t)fovea_storage_size(t->storage);
    unsigned char *to = malloc((size_t)t->bytes + 1);
    if (!to) return refuse(p, 0, "no memory to transpose it");
    int64_t at[FOVEA_MAX_RANK] = {0}, step[FOVEA_MAX_RANK], from = 0;
    for (int32_t d = 0; d < t->rank; d++) step[d] = d ? step[d - 1] * t->shape[d - 1] : 1;
    for (int64_t i = 0; i < t->count; i++) {
        memcpy(to + (size_t)i * size, (const unsigned char *)t->data + (size_t)from * size, size);
        for (int32_t d = t->rank - 1; d >= 0; d--) {
            from += step[d];
            if (++at[d] < t->shape[d]) break;
            from -= step[d] * t->shape[d];
            at[d] = 0;
        }
    }
    free(a->memory.data);
    a->memory = (fv_bytes){to, (size_t)t->bytes};
    t->data = to;
    return true;
}

static bool parse(parser *p, fv_npy *a) {
    const unsigned char *b = a->memory.data;
    size_t n = a->memory.n;
    if (n < 10 || memcmp(b, "\x93NUMPY", 6) != 0) return refuse(p, 0, "is not an .npy file");
    if (b[6] < 1 || b[6] > 3 || b[7] != 0)
        return refuse(p, 6, "this version of .npy is not known (1.0, 2.0 and 3.0 are)");
    size_t start = b[6] == 1 ? 10 : 12;
    if (n < start) return refuse(p, 8, "the file ends inside its header");
    size_t length = b[8] | (size_t)b[9] << 8;
    if (b[6] > 1) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > n - start) return refuse(p, 8, "the file ends inside its header");
    p->s = (const char *)b;
    p->at = start;
    p->end = start + length;
    if (!header(p)) return false;
    int64_t bytes = bytes_of(p->t);
    if (bytes < 0) return refuse(p, start, "the extents multiply beyond 64 bits");
    if ((uint64_t)bytes != n - p->end) {
        fv_error(p->ctx, FV_E_FORMAT, (fv_loc){0},
                 "%s: byte %zu: the header promises %" PRId64 " bytes of elements, the file has %zu",
                 p->path, p->end, bytes, n - p->end);
        return false;
    }
    memmove(a->memory.data, b + p->end, (size_t)bytes);           /* now aligned as malloc does it */
    p->t->data = a->memory.data;
    return !p->fortran || p->t->rank < 2 || to_c_order(p, a);
}

bool fv_npy_read(fv_ctx *ctx, const char *path, fv_npy *out) {
    *out = (fv_npy){0};
    if (!fv_file_read(ctx, path, (size_t)NPY_CAP_GIB << 30, &out->memory)) return false;
    out->t.name = fv_strdup(ctx, path);
    parser p = {.ctx = ctx, .path = path, .t = &out->t};
    if (parse(&p, out)) return true;
    fv_npy_dispose(out);
    return false;
}

void fv_npy_dispose(fv_npy *a) {
    fv_bytes_dispose(&a->memory);
    *a = (fv_npy){0};
}

bool fv_npy_write(fv_ctx *ctx, const char *path, const fovea_stored *t) {
    fovea_stored sized = *t;
    int type = 0;
    while (type < N_TYPES && types[type].storage != t->storage) type++;
    if (type == N_TYPES || t->rank < 0 || t->rank > FOVEA_MAX_RANK || bytes_of(&sized) < 0) {
        fv_error(ctx, FV_E_FORMAT, (fv_loc){0}, "%s: .npy cannot hold %s of rank %d and this shape", path,
                 fovea_storage_name(t->storage), t->rank);
        return false;
    }
    fv_buf b = {0};
    fv_buf_putn(&b, "\x93NUMPY\1\0\0\0", 10);
    fv_buf_printf(&b, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (", types[type].size == 1 ? '|' : '<',
                  types[type].kind, types[type].size);
    for (int32_t d = 0; d < t->rank; d++) fv_buf_printf(&b, d ? ", %" PRId64 : "%" PRId64, t->shape[d]);
    fv_buf_puts(&b, t->rank == 1 ? ",), }" : "), }");
    while (b.len % 64 != 63) fv_buf_puts(&b, " ");
    fv_buf_puts(&b, "\n");
    b.text[8] = (char)((b.len - 10) & 255);
    b.text[9] = (char)((b.len - 10) >> 8);
    if (sized.bytes > 0) fv_buf_putn(&b, t->data, (size_t)sized.bytes);
    bool good = fv_file_write(ctx, path, b.text, b.len);
    fv_buf_dispose(&b);
    return good;
}
