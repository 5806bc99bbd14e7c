/* tables: see tables.h. Shortening looks for the longest copy among the latest places that begin with the same four
 * bytes, and puts it off by a byte where a longer one begins there. */
#include "io/tables.h"
#include "runtime/fovea.h"
#include "runtime/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void byte(fv_buf *b, unsigned v) {
    char c = (char)(unsigned char)v;
    fv_buf_putn(b, &c, 1);
}
static void number(fv_buf *b, uint64_t v) {
    for (; v >= 128; v >>= 7) byte(b, (unsigned)(v & 127) | 128);
    byte(b, (unsigned)v);
}
static void signed_number(fv_buf *b, int64_t v) { number(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0)); }
static void real(fv_buf *b, double d) {
    bool whole = d >= 0 && d < 0x1p53 && floor(d) == d && !signbit(d);
    number(b, whole ? (uint64_t)d << 1 : 1);
    if (!whole) fv_buf_putn(b, (const char *)&d, sizeof d);
}
static void text(fv_buf *b, const char *s, size_t length) {
    fv_buf_putn(b, s, length);
    byte(b, 0);
}
/* The length of what comes before a text's decimal number, which has no zero in front; that of all if there is none. */
static size_t stem(const char *s, int64_t *value) {
    size_t n = strlen(s), from = n;
    while (from && s[from - 1] >= '0' && s[from - 1] <= '9') from--;
    if (from == n || n - from > 15 || (s[from] == '0' && n - from > 1)) return n;
    *value = strtoll(s + from, NULL, 10);
    return from;
}
static const char *or_none(const char *s) { return s ? s : ""; }

/* As in runtime/tables.c. */
typedef struct {
    fv_buf *b;
    int64_t numbered;
    size_t texts; /* bytes of those that are numbered */
} sink;
static void numbered(sink *s, const char *whole, int64_t value) {
    signed_number(s->b, value - s->numbered);
    s->numbered = value;
    s->texts += strlen(whole) + 1;
}
static void arrays(sink *s, const fovea_program *p) {
    int64_t end[FOVEA_ARENA + 1] = {0};
    fv_buf *b = s->b;
    for (const fovea_array *a = p->arrays; a < p->arrays + p->n_arrays; a++) {
        int64_t bytes = fovea_dtype_size(a->dtype), value = 0;
        const char *name = or_none(a->name);
        size_t length = a->place < FOVEA_CONST ? strlen(name) : stem(name, &value);
        byte(b, (unsigned)a->dtype | (unsigned)a->place << 4 | (name[length] ? 128 : 0));
        text(b, name, length);
        if (name[length]) numbered(s, name, value);
        number(b, (uint64_t)a->rank);
        for (int32_t d = 0; d < a->rank; d++) {
            number(b, (uint64_t)a->shape[d]);
            bytes *= a->shape[d];
        }
        signed_number(b, a->offset - end[a->place]);
        signed_number(b, a->bytes - bytes);
        number(b, (uint64_t)a->index_bound);
        end[a->place] = fovea_tables_end(a);
    }
}
static bool same_kind(const fovea_launch *l, int32_t kernel, const fovea_launch *m, int32_t other) {
    int64_t value;
    const char *a = or_none(l->label), *b = or_none(m->label);
    size_t length = stem(a, &value);
    return kernel == other && l->programs == m->programs && l->scratch_bytes == m->scratch_bytes &&
           l->n_args == m->n_args && !memcmp(&l->flops, &m->flops, sizeof l->flops) &&
           !memcmp(&l->bytes, &m->bytes, sizeof l->bytes) && !strcmp(or_none(l->where), or_none(m->where)) &&
           stem(b, &value) == length && !memcmp(a, b, length) && !a[length] == !b[length];
}
static void kind(fv_buf *b, const fovea_launch *l, int32_t kernel) {
    number(b, kernel < 0 ? 0 : (uint64_t)kernel + 1);
    number(b, (uint64_t)l->programs);
    number(b, (uint64_t)l->scratch_bytes);
    number(b, (uint64_t)l->n_args);
    real(b, l->flops);
    real(b, l->bytes);
    text(b, or_none(l->where), strlen(or_none(l->where)));
}
static const fovea_launch *launch_of(const fovea_program *p, int32_t i) {
    return i < p->n_prepare ? &p->prepare[i] : &p->run[i - p->n_prepare];
}
static int32_t kernel_of(const fovea_program *p, const int32_t *const kernel[2], int32_t i) {
    return i < p->n_prepare ? kernel[0][i] : kernel[1][i - p->n_prepare];
}
size_t fv_tables_write(const fovea_program *p, const int32_t *const kernel[2], fv_buf *b) {
    sink s = {.b = b};
    int32_t n = p->n_prepare + p->n_run;
    arrays(&s, p);
    for (int32_t i = 0; i < n; i++) {
        const fovea_launch *l = launch_of(p, i), *other = NULL;
        int32_t own = kernel_of(p, kernel, i), same = i;
        while (--same >= 0)
            if (same_kind(l, own, other = launch_of(p, same), kernel_of(p, kernel, same))) break;
        int64_t value = 0;
        const char *label = or_none(l->label);
        size_t length = stem(label, &value);
        number(b, 2 * (uint64_t)(same < 0 ? 0 : i - same) + (label[length] != 0));
        if (same < 0) {
            kind(b, l, own);
            text(b, label, length);
        }
        if (label[length]) numbered(&s, label, value);
        for (int32_t k = 0; k < l->n_args; k++) signed_number(b, l->args[k] - (same < 0 ? 0 : other->args[k]));
    }
    return s.texts;
}

/* -- Shortening ---- */
enum { LEAST = 4, HASH_BITS = 14, TRIES = 256 };
typedef struct {
    const unsigned char *data;
    size_t n;
    int64_t *first, *next; /* by hash the latest place; by place the one before it with the same hash */
} finder;
static unsigned hash(const unsigned char *s) {
    uint32_t v;
    memcpy(&v, s, sizeof v);
    return (unsigned)(v * UINT32_C(2654435761) >> (32 - HASH_BITS));
}
static size_t longest(const finder *f, size_t at, size_t *distance) {
    size_t best = 0;
    if (at + LEAST > f->n) return 0;
    int64_t from = f->first[hash(f->data + at)];
    for (int tries = 0; from >= 0 && tries < TRIES; tries++, from = f->next[from]) {
        size_t len = 0;
        while (at + len < f->n && f->data[(size_t)from + len] == f->data[at + len]) len++;
        if (len <= best) continue;
        best = len;
        *distance = at - (size_t)from;
    }
    return best < LEAST ? 0 : best;
}
static void enter(finder *f, size_t at) {
    if (at + LEAST > f->n) return;
    int64_t *first = &f->first[hash(f->data + at)];
    f->next[at] = *first;
    *first = (int64_t)at;
}
static void sequence(fv_buf *b, const unsigned char *literals, size_t n, size_t copied, size_t distance) {
    size_t half = copied ? copied - 3 : 0;
    byte(b, (unsigned)((n < 15 ? n : 15) << 4 | (half < 15 ? half : 15)));
    if (n >= 15) number(b, n - 15);
    fv_buf_putn(b, (const char *)literals, n);
    if (half >= 15) number(b, half - 15);
    if (copied) number(b, distance);
}
void fv_tables_shorten(const void *data, size_t n, fv_buf *b) {
    finder f = {data, n, malloc(sizeof(int64_t) << HASH_BITS), calloc(n + 1, sizeof(int64_t))};
    FV_ASSERT(f.first && f.next, "out of memory");
    for (size_t i = 0; i < (size_t)1 << HASH_BITS; i++) f.first[i] = -1;
    size_t begin = 0, at = 0, distance = 0, later = 0;
    while (at < n) {
        size_t len = longest(&f, at, &distance);
        enter(&f, at);
        if (!len || longest(&f, at + 1, &later) > len) {
            at++;
            continue;
        }
        sequence(b, f.data + begin, at - begin, len, distance);
        for (size_t end = at++ + len; at < end; at++) enter(&f, at);
        begin = at;
    }
    sequence(b, f.data + begin, n - begin, 0, 0);
    free(f.first);
    free(f.next);
}
