/* tables: see tables.h. What is read was written with the library: nothing of it is doubted. */
#include "tables.h"

#include <string.h>

#include "executor.h"

static uint64_t number(const unsigned char **at) {
    uint64_t v = 0;
    int shift = 0;
    for (; **at & 128; shift += 7) v |= (uint64_t)(*(*at)++ & 127) << shift;
    return v | (uint64_t)*(*at)++ << shift;
}
static int64_t signed_number(const unsigned char **at) {
    uint64_t v = number(at);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}
static double real(const unsigned char **at) {
    uint64_t v = number(at);
    double d;
    if (!(v & 1)) return (double)(v >> 1);
    memcpy(&d, *at, sizeof d);
    *at += sizeof d;
    return d;
}
typedef struct {
    const unsigned char *at;
    char *texts;
    int64_t numbered; /* the number of the latest text that has one */
} source;
static const char *text(source *s) {
    const char *t = (const char *)s->at;
    s->at += strlen(t) + 1;
    return t;
}
static const char *with_number(source *s, const char *stem, size_t length) {
    char digits[20], *to = s->texts;
    int n = 0;
    memcpy(to, stem, length);
    s->texts += length;
    s->numbered += signed_number(&s->at);
    for (int64_t v = s->numbered; v || !n; v /= 10) digits[n++] = (char)('0' + v % 10);
    while (n) *s->texts++ = digits[--n];
    *s->texts++ = 0;
    return to;
}
void fovea_tables_lengthen(const unsigned char *from, unsigned char *to) {
    for (;;) {
        uint64_t literals = *from >> 4, copied = *from & 15;
        from++;
        if (literals == 15) literals += number(&from);
        memcpy(to, from, literals);
        from += literals;
        to += literals;
        if (!copied) return;
        if (copied == 15) copied += number(&from);
        const unsigned char *back = to - number(&from);
        for (copied += 3; copied; copied--) *to++ = *back++; /* they may overlap */
    }
}
static void launch(source *s, fovea_launch *l, const fovea_tables *to) {
    const int32_t *kernels = to->kernels;
    uint64_t kernel = number(&s->at);
    if (kernel && to->codes) l->code = &to->codes[kernel - 1];
    else if (kernel) l->kernel = (fovea_kernel *)((uintptr_t)kernels + (uintptr_t)(intptr_t)kernels[kernel - 1]);
    l->programs = (int64_t)number(&s->at);
    l->scratch_bytes = (int64_t)number(&s->at);
    l->n_args = (int32_t)number(&s->at);
    l->flops = real(&s->at);
    l->bytes = real(&s->at);
    l->where = text(s);
    l->label = text(s);
}
static size_t stem_length(const char *label) {
    size_t n = strlen(label);
    while (n && label[n - 1] >= '0' && label[n - 1] <= '9') n--;
    return n;
}
static void launches(source *s, const fovea_program *p, const fovea_tables *to) {
    int32_t *args = to->args;
    for (int32_t i = 0; i < p->n_prepare + p->n_run; i++) {
        fovea_launch *l = i < p->n_prepare ? &to->prepare[i] : &to->run[i - p->n_prepare];
        uint64_t first = number(&s->at);
        int32_t same = i - (int32_t)(first >> 1);
        const fovea_launch *kind = same < p->n_prepare ? &to->prepare[same] : &to->run[same - p->n_prepare];
        if (first >> 1) *l = *kind;
        else launch(s, l, to);
        if (first & 1) l->label = with_number(s, l->label, stem_length(l->label));
        for (int32_t k = 0; k < l->n_args; k++)
            args[k] = (int32_t)signed_number(&s->at) + (first >> 1 ? kind->args[k] : 0);
        l->args = args;
        args += l->n_args;
    }
}
const unsigned char *fovea_tables_read(const unsigned char *from, const fovea_program *p, const fovea_tables *to) {
    int64_t end[FOVEA_ARENA + 1] = {0};
    source s = {from, to->texts, 0};
    for (fovea_array *a = to->arrays; a < to->arrays + p->n_arrays; a++) {
        unsigned first = *s.at++;
        a->dtype = (fovea_dtype)(first & 15);
        a->place = (fovea_place)(first >> 4 & 7);
        a->name = text(&s);
        if (first & 128) a->name = with_number(&s, a->name, strlen(a->name));
        a->rank = (int32_t)number(&s.at);
        int64_t bytes = fovea_dtype_size(a->dtype);
        for (int32_t d = 0; d < a->rank; d++) bytes *= a->shape[d] = (int64_t)number(&s.at);
        a->offset = end[a->place] + signed_number(&s.at);
        a->bytes = bytes + signed_number(&s.at);
        a->index_bound = (int64_t)number(&s.at);
        end[a->place] = fovea_tables_end(a);
    }
    launches(&s, p, to);
    return s.at;
}
