/* tables: see tables.h. What is read was written with the library: nothing of it is doubted. */
#include "tables.h"

#include <string.h>

#include "fovea.h"

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
static const char *text(const unsigned char **at) {
    const char *s = (const char *)*at;
    *at += strlen(s) + 1;
    return s;
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
static void launches(const unsigned char **at, fovea_launch *to, int32_t n, const int32_t *kernels, int32_t **args,
                     int32_t *before) {
    for (fovea_launch *l = to; l < to + n; l++) {
        uint64_t kernel = number(at);
        if (kernel) l->kernel = (fovea_kernel *)((uintptr_t)kernels + (uintptr_t)(intptr_t)kernels[kernel - 1]);
        l->programs = (int64_t)number(at);
        l->scratch_bytes = (int64_t)number(at);
        l->n_args = (int32_t)number(at);
        for (int32_t k = 0; k < l->n_args; k++) (*args)[k] = *before += (int32_t)signed_number(at);
        l->args = *args;
        *args += l->n_args;
        l->flops = real(at);
        l->bytes = real(at);
        l->label = text(at);
        l->where = text(at);
    }
}
const unsigned char *fovea_tables_read(const unsigned char *from, const fovea_program *p, const fovea_tables *to) {
    int64_t offset[FOVEA_ARENA + 1] = {0};
    int32_t *args = to->args, before = 0;
    for (fovea_array *a = to->arrays; a < to->arrays + p->n_arrays; a++) {
        a->name = text(&from);
        a->dtype = (fovea_dtype)(*from & 15);
        a->place = (fovea_place)(*from++ >> 4);
        a->rank = (int32_t)number(&from);
        int64_t bytes = fovea_dtype_size(a->dtype);
        for (int32_t d = 0; d < a->rank; d++) bytes *= a->shape[d] = (int64_t)number(&from);
        a->offset = offset[a->place] += signed_number(&from);
        a->bytes = bytes + signed_number(&from);
        a->index_bound = (int64_t)number(&from);
    }
    launches(&from, to->prepare, p->n_prepare, to->kernels, &args, &before);
    launches(&from, to->run, p->n_run, to->kernels, &args, &before);
    return from;
}
