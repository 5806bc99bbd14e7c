/* shrink: kernels that hardly matter are cut for a processor with few vector registers, whose blocks are small, where
 * all kernels together are larger than asked. Which these are depends on the plan alone, so that equal plans give equal
 * code. */
#include "backends/llvm/build.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Operations that take as long as a byte of compulsory traffic; kernels that take more than this share of a run's time
 * together keep their speed; tried at once. */
enum { BYTE_OPERATIONS = 8, SPARED_PERCENT = 95, BATCH = 16 };

typedef struct {
    int code;
    double weight; /* of its launches in a run, in operations; prepare runs once */
    int64_t bytes;
} candidate;

/* What an object adds to a library. */
static int64_t loaded_bytes(const fv_buf *object) {
    Elf64_Ehdr head;
    int64_t bytes = 0;
    if (object->len < sizeof head) return 0;
    memcpy(&head, object->text, sizeof head);
    for (int i = 0; i < head.e_shnum; i++) {
        Elf64_Shdr s;
        size_t at = (size_t)head.e_shoff + (size_t)i * sizeof s;
        if (at + sizeof s > object->len) return 0;
        memcpy(&s, object->text + at, sizeof s);
        if (s.sh_flags & SHF_ALLOC) bytes += (int64_t)s.sh_size;
    }
    return bytes;
}
static double weight_of(const fv_launch *l) { return l->flops + BYTE_OPERATIONS * l->bytes; }
static int by_worth(const void *a, const void *b) { /* the least time for the most bytes first */
    const candidate *x = a, *y = b;
    double p = x->weight * (double)y->bytes, q = y->weight * (double)x->bytes;
    return p != q ? (p > q) - (p < q) : (x->code > y->code) - (x->code < y->code);
}
static fv_schedule *copy_of(fv_ctx *ctx, const fv_schedule *s) {
    if (!s) return NULL;
    fv_schedule *r = FV_NEW(ctx, fv_schedule);
    *r = *s;
    r->cap = s->n;
    r->entry = FV_NEWN(ctx, fv_sched_entry, s->n + 1);
    memcpy(r->entry, s->entry, (size_t)s->n * sizeof *s->entry);
    return r;
}
/* A module of the candidates' kernels, compiled for `few`; code[i].launch is NULL where it cannot be. */
static bool compile_small(fv_module *m, const fv_compile_options *o, const fv_target *few, const candidate *c, int n,
                          fv_module *out) {
    *out = (fv_module){.ctx = m->ctx, .plan = m->plan, .machine = m->machine, .n = n};
    out->machine.facts = few;
    out->code = calloc((size_t)n + 1, sizeof *out->code);
    FV_ASSERT(out->code, "out of memory");
    fv_buf version = {0};
    fv_build_version(&version);
    for (int i = 0; i < n; i++) {
        const fv_built *from = &m->code[c[i].code];
        fv_built *to = &out->code[i];
        fv_launch *l = FV_NEW(m->ctx, fv_launch);
        *l = *from->launch;
        l->schedule = copy_of(m->ctx, from->launch->schedule);
        to->launch = l;
        to->noalias = from->noalias;
        fv_build_key(out, to, version.text);
        int mark = fv_diag_count(m->ctx);
        if (fv_built_flat(out, to)) continue;
        fv_diag_rewind(m->ctx, mark);
        to->launch = NULL;
    }
    fv_buf_dispose(&version);
    return fv_build_objects(out, o);
}
/* The smaller of two, if it is smaller by an eighth. Returns the bytes saved. */
static int64_t take_smaller(fv_built *old, fv_built *small) {
    int64_t saved = small->launch ? loaded_bytes(&old->object) - loaded_bytes(&small->object) : 0;
    if (8 * saved < loaded_bytes(&old->object)) return 0;
    const fv_launch *launch = old->launch;
    fv_built rest = *old;
    *old = *small;
    *small = rest;
    old->launch = launch;
    return saved;
}
bool fv_build_shrink(fv_module *m, const fv_compile_options *o) {
    fv_target few = *m->machine.facts;
    few.registers = few.registers * 3 / 8;
    candidate *c = FV_NEWN(m->ctx, candidate, m->n + 1);
    double all = 0, given = 0;
    int64_t bytes = 0;
    int n = 0;
    for (int i = 0; i < m->n; i++)
        if (m->code[i].launch) c[n++] = (candidate){i, 0, loaded_bytes(&m->code[i].object)};
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < m->plan->n_launches[1]; i++)
            if (m->plan->launch[1][i]->code == c[k].code) c[k].weight += weight_of(m->plan->launch[1][i]);
        all += c[k].weight;
        bytes += c[k].bytes;
    }
    qsort(c, (size_t)n, sizeof *c, by_worth);
    bool ok = true;
    for (int from = 0; ok && from < n && bytes > o->code_bytes; from += BATCH) {
        fv_module small;
        int count = n - from < BATCH ? n - from : BATCH;
        ok = compile_small(m, o, &few, c + from, count, &small);
        for (int i = 0; ok && i < count && bytes > o->code_bytes; i++) {
            const candidate *x = &c[from + i];
            if (100 * (given + x->weight) > (100 - SPARED_PERCENT) * all) continue;
            int64_t saved = take_smaller(&m->code[x->code], &small.code[i]);
            if (saved) given += x->weight;
            bytes -= saved;
        }
        for (int i = 0; i < count; i++) fv_built_dispose(&small.code[i]);
        free(small.code);
        m->stats.compiled += small.stats.compiled;
        m->stats.from_cache += small.stats.from_cache;
    }
    return ok;
}
