/* The header of a safetensors file: one JSON object of known form, so there is no recursion and no tree. Every
 * string is decoded into one pool as long as the header, which cannot overflow: a decoded string is never longer
 * than its text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "stored.h"
#include "tensor.h"

typedef struct {
    fovea_safetensors *file;
    const char *s;
    size_t n, at, pool_used;
    fovea_error *err;
    fovea_status status;                 /* FOVEA_OK until the first error */
} parser;

static bool refuse_at(parser *p, size_t at, const char *what) {
    if (p->status == FOVEA_OK)
        p->status = fovea_fail(p->err, FOVEA_E_FORMAT, "%s: byte %zu: %s", p->file->label, at + 8, what);
    return false;
}
static bool refuse(parser *p, const char *what) { return refuse_at(p, p->at, what); }
static bool no_memory(parser *p) {
    p->status = fovea_fail(p->err, FOVEA_E_MEMORY, "%s: no memory for its header", p->file->label);
    return false;
}

static void skip_space(parser *p) {
    while (p->at < p->n && p->s[p->at] && strchr(" \n\t\r", p->s[p->at])) p->at++;
}
static bool next_is(parser *p, char c) {
    skip_space(p);
    if (p->at >= p->n || p->s[p->at] != c) return false;
    p->at++;
    return true;
}
static bool expect(parser *p, char c, const char *what) { return next_is(p, c) || refuse(p, what); }

/* -- Strings ---- */
size_t fovea_utf8_length(const unsigned char *s, size_t n) {
    if (n == 0) return 0;
    if (s[0] < 0x80) return 1;
    size_t need = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < need) return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0, too_large = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : need;
}

static bool four_digits(parser *p, uint32_t *v) {
    *v = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        char c = p->at < p->n ? p->s[p->at] : '\0';
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                   : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10 : 16;
        if (d == 16) return refuse(p, "\\u wants four hexadecimal digits");
        *v = *v * 16 + d;
    }
    return true;
}

static char *put_utf8(char *out, uint32_t c) {
    if (c < 0x80) { *out++ = (char)c; return out; }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 63));
        }
        *out++ = (char)(0x80 | (c >> 6 & 63));
    }
    *out++ = (char)(0x80 | (c & 63));
    return out;
}

static bool unicode_escape(parser *p, char **out) {
    uint32_t c, low;
    if (!four_digits(p, &c)) return false;
    if (c >= 0xdc00 && c < 0xe000) return refuse(p, "a low surrogate without a high one");
    if (c >= 0xd800 && c < 0xdc00) {
        if (p->n - p->at < 2 || p->s[p->at] != '\\' || p->s[p->at + 1] != 'u')
            return refuse(p, "a high surrogate without a low one");
        p->at += 2;
        if (!four_digits(p, &low)) return false;
        if (low < 0xdc00 || low >= 0xe000) return refuse(p, "a high surrogate without a low one");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c == 0) return refuse(p, "a string may not hold NUL");
    *out = put_utf8(*out, c);
    return true;
}

static bool escape(parser *p, char **out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = p->at < p->n ? p->s[p->at] : '\0';
    if (c == 'u') {
        p->at++;
        return unicode_escape(p, out);
    }
    const char *hit = c ? strchr(from, c) : NULL;
    if (!hit) return refuse(p, "an unknown escape in a string");
    *(*out)++ = to[hit - from];
    p->at++;
    return true;
}

static const char *string(parser *p, const char *what) {
    if (!expect(p, '"', what)) return NULL;
    char *start = p->file->pool + p->pool_used, *out = start;
    while (p->at < p->n && p->s[p->at] != '"') {
        unsigned char c = (unsigned char)p->s[p->at];
        if (c < 0x20) { refuse(p, "a control character in a string"); return NULL; }
        if (c == '\\') {
            p->at++;
            if (!escape(p, &out)) return NULL;
            continue;
        }
        size_t k = fovea_utf8_length((const unsigned char *)p->s + p->at, p->n - p->at);
        if (k == 0) { refuse(p, "a string that is not UTF-8"); return NULL; }
        memcpy(out, p->s + p->at, k);
        out += k;
        p->at += k;
    }
    if (p->at >= p->n) { refuse(p, "a string does not end"); return NULL; }
    p->at++;
    *out++ = '\0';
    p->pool_used = (size_t)(out - p->file->pool);
    return start;
}

/* -- Numbers ---- */
static bool whole(parser *p, int64_t *v) {
    skip_space(p);
    size_t start = p->at;
    *v = 0;
    for (; p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++)
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, p->s[p->at] - '0', v))
            return refuse_at(p, start, "a number is too large");
    if (p->at == start) return refuse(p, "expected a whole number that is not negative");
    if (p->s[start] == '0' && p->at - start > 1) return refuse_at(p, start, "a number starts with 0");
    if (p->at < p->n && (p->s[p->at] == '.' || p->s[p->at] == 'e' || p->s[p->at] == 'E'))
        return refuse(p, "expected a whole number");
    return true;
}

/* "[a, b, ...]" of at most cap numbers. */
static bool numbers(parser *p, int64_t *v, int32_t cap, int32_t *n, const char *too_many) {
    *n = 0;
    if (!expect(p, '[', "expected '['")) return false;
    if (next_is(p, ']')) return true;
    do {
        if (*n == cap) return refuse(p, too_many);
        if (!whole(p, &v[(*n)++])) return false;
    } while (next_is(p, ','));
    return expect(p, ']', "expected ',' or ']'");
}

/* -- Entries ---- */
static bool grow(parser *p, void **list, int32_t n, int32_t *cap, size_t size) {
    if (n < *cap) return true;
    int32_t more = *cap ? *cap * 2 : 64;
    void *larger = more > *cap ? realloc(*list, (size_t)more * size) : NULL;
    if (!larger) return no_memory(p);
    *list = larger;
    *cap = more;
    return true;
}

static bool metadata(parser *p) {
    fovea_safetensors *f = p->file;
    if (!expect(p, '{', "__metadata__ must be an object")) return false;
    if (next_is(p, '}')) return true;
    do {
        void *list = f->pairs;
        if (!grow(p, &list, f->n_pairs, &f->cap_pairs, sizeof *f->pairs)) return false;
        f->pairs = list;
        skip_space(p);
        fovea_pair *pair = &f->pairs[f->n_pairs];
        pair->at = p->at;
        if (!(pair->key = string(p, "expected a key of __metadata__")) || !expect(p, ':', "expected ':'") ||
            !(pair->value = string(p, "values of __metadata__ are strings"))) return false;
        f->n_pairs++;
    } while (next_is(p, ','));
    return expect(p, '}', "expected ',' or '}'");
}

static bool check_entry(parser *p, fovea_entry *e) {
    fovea_stored *t = &e->t;
    t->count = fovea_shape_count(t->shape, t->rank, fovea_storage_size(t->storage));
    if (t->count < 0) return refuse_at(p, e->at, "the extents of this tensor multiply beyond 64 bits");
    t->bytes = t->count * fovea_storage_size(t->storage);
    if (e->begin > e->end) return refuse_at(p, e->at, "data_offsets end before they begin");
    if (e->end - e->begin == t->bytes) return true;
    p->status = fovea_fail(p->err, FOVEA_E_FORMAT,
                           "%s: byte %zu: \"%s\": shape and dtype make %" PRId64 " bytes, data_offsets %" PRId64,
                           p->file->label, e->at + 8, t->name, t->bytes, e->end - e->begin);
    return false;
}

static bool field(parser *p, fovea_entry *e, unsigned *seen) {
    static const char *const names[] = {"dtype", "shape", "data_offsets"};
    skip_space(p);
    size_t at = p->at;
    const char *key = string(p, "expected \"dtype\", \"shape\" or \"data_offsets\"");
    if (!key) return false;
    unsigned which = 0;
    while (which < 3 && strcmp(key, names[which]) != 0) which++;
    if (which == 3) return refuse_at(p, at, "a tensor has only dtype, shape and data_offsets");
    if (*seen >> which & 1) return refuse_at(p, at, "this key appears twice");
    *seen |= 1u << which;
    if (!expect(p, ':', "expected ':'")) return false;
    if (which == 1) return numbers(p, e->t.shape, FOVEA_MAX_RANK, &e->t.rank, "more than 16 dimensions");
    if (which == 0) {
        skip_space(p);
        at = p->at;
        const char *name = string(p, "dtype must be a string");
        return name && (fovea_storage_parse(name, strlen(name), &e->t.storage) ||
                        refuse_at(p, at, "this dtype is not known"));
    }
    int64_t v[2];
    int32_t n;
    if (!numbers(p, v, 2, &n, "data_offsets are two numbers")) return false;
    if (n != 2) return refuse(p, "data_offsets are two numbers");
    e->begin = v[0];
    e->end = v[1];
    return true;
}

static bool tensor(parser *p, const char *name, size_t at) {
    fovea_safetensors *f = p->file;
    void *list = f->entries;
    if (!grow(p, &list, f->n, &f->cap, sizeof *f->entries)) return false;
    f->entries = list;
    fovea_entry *e = &f->entries[f->n];
    memset(e, 0, sizeof *e);
    e->t.name = name;
    e->at = at;
    unsigned seen = 0;
    if (!expect(p, '{', "a tensor must be an object")) return false;
    do {
        if (!field(p, e, &seen)) return false;
    } while (next_is(p, ','));
    if (!expect(p, '}', "expected ',' or '}'")) return false;
    if (seen != 7) return refuse_at(p, at, "this tensor lacks dtype, shape or data_offsets");
    f->n++;
    return check_entry(p, e);
}

static bool object(parser *p) {
    bool seen_metadata = false;
    if (p->n == 0 || p->s[0] != '{') return refuse(p, "the header must begin with '{'");
    p->at = 1;
    if (next_is(p, '}')) return true;
    do {
        skip_space(p);
        size_t at = p->at;
        const char *name = string(p, "expected the name of a tensor");
        if (!name || !expect(p, ':', "expected ':' after a name")) return false;
        if (strcmp(name, "__metadata__") == 0) {
            if (seen_metadata) return refuse_at(p, at, "__metadata__ appears twice");
            seen_metadata = true;
            if (!metadata(p)) return false;
        } else if (!tensor(p, name, at)) {
            return false;
        }
    } while (next_is(p, ','));
    return expect(p, '}', "expected ',' or '}'");
}

fovea_status fovea_header_parse(fovea_safetensors *f, const char *header, size_t n, fovea_error *err) {
    parser p = {.file = f, .s = header, .n = n, .err = err};
    f->pool = malloc(n + 1);
    if (!f->pool) return no_memory(&p), p.status;
    if (object(&p)) {
        skip_space(&p);
        if (p.at != n) refuse(&p, "something follows the header's object");
    }
    return p.status;
}
