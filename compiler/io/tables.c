/* tables: see tables.h. Shortening looks for the longest copy among the latest places that begin with the same four
 * bytes, and puts it off by a byte where a longer one begins there. */
#include "io/tables.h"
#include "runtime/fovea.h"

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
static void text(fv_buf *b, const char *s) { fv_buf_putn(b, s ? s : "", s ? strlen(s) + 1 : 1); }

void fv_tables_write(const fovea_program *p, const int32_t *const kernel[2], fv_buf *b) {
    int64_t offset[FOVEA_ARENA + 1] = {0}, before = 0;
    for (const fovea_array *a = p->arrays; a < p->arrays + p->n_arrays; a++) {
        int64_t bytes = fovea_dtype_size(a->dtype);
        text(b, a->name);
        byte(b, (unsigned)a->dtype | (unsigned)a->place << 4);
        number(b, (uint64_t)a->rank);
        for (int32_t d = 0; d < a->rank; d++) {
            number(b, (uint64_t)a->shape[d]);
            bytes *= a->shape[d];
        }
        signed_number(b, a->offset - offset[a->place]);
        signed_number(b, a->bytes - bytes);
        number(b, (uint64_t)a->index_bound);
        offset[a->place] = a->offset;
    }
    for (int stage = 0; stage < 2; stage++)
        for (int32_t i = 0; i < (stage ? p->n_run : p->n_prepare); i++) {
            const fovea_launch *l = stage ? &p->run[i] : &p->prepare[i];
            number(b, kernel[stage][i] < 0 ? 0 : (uint64_t)kernel[stage][i] + 1);
            number(b, (uint64_t)l->programs);
            number(b, (uint64_t)l->scratch_bytes);
            number(b, (uint64_t)l->n_args);
            for (int32_t k = 0; k < l->n_args; k++) {
                signed_number(b, l->args[k] - before);
                before = l->args[k];
            }
            real(b, l->flops);
            real(b, l->bytes);
            text(b, l->label);
            text(b, l->where);
        }
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
