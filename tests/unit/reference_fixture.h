/* Shared by the tests of the reference: made-up tensors, and running a graph written as text. */
#ifndef FV_REFERENCE_FIXTURE_H
#define FV_REFERENCE_FIXTURE_H
#include "backends/reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct { fv_ctx *ctx; fv_graph *g; double *out[32]; } fixture;

/* Element i of the input of that name: -1..1. */
static inline double value(const char *name, int64_t i) {
    uint64_t h = fv_hash(&i, sizeof i, fv_hash(name, strlen(name), FV_HASH_SEED));
    return (double)(int64_t)(h >> 11) / (double)(INT64_C(1) << 52) - 1;
}
static inline double whole(const char *name, int64_t i, int64_t lo, int64_t hi) {
    return (double)lo + floor((value(name, i) + 1) / 2 * (double)(hi - lo + 1));
}
/* user: the context. An input called "missing" is not known. */
static inline bool source(void *user, const fv_node *leaf, double *out, int64_t count) {
    const fv_obj *o = &leaf->result[0]->obj;
    const char *name = fv_cstr(user, leaf->u.leaf.name);
    if (!strcmp(name, "missing")) return false;
    for (int64_t i = 0; i < count; i++)
        out[i] = o->type == FV_I32 ? whole(name, i, o->ranged ? o->lo : -9, o->ranged ? o->hi : 9)
               : o->type == FV_BOOL ? (double)(value(name, i) < 0) : value(name, i);
    return true;
}
static inline void show(const fv_ctx *ctx) {
    fv_buf b = {0};
    fv_diag_render(ctx, &b);
    if (b.text) fprintf(stderr, "%s", b.text);
    fv_buf_dispose(&b);
}
static inline fv_graph *parse_text(fv_ctx *ctx, const char *text) {
    fv_graph *g = fv_graph_parse(ctx, "", text);
    if (!g) show(ctx);
    cr_assert(g != NULL, "the text does not parse");
    return g;
}
/* Parses, runs and keeps all outputs in their stored order. */
static inline fixture run_text_with(const char *text, fv_ref_source *from) {
    fixture f = {.ctx = fv_ctx_new()};
    f.g = parse_text(f.ctx, text);
    bool fine = fv_reference_run(f.g, (fv_str){0}, from, f.ctx, f.out, NULL, NULL);
    if (!fine) show(f.ctx);
    cr_assert(fine, "the reference failed");
    return f;
}
static inline fixture run_text(const char *text) { return run_text_with(text, source); }
static inline void done(fixture *f) {
    for (int i = 0; i < f->g->n_outputs; i++) free(f->out[i]);
    fv_ctx_dispose(f->ctx);
}
static inline void near_at(int line, double got, double want) {
    bool fine = got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= 1e-12 * (1 + fabs(want));
    cr_assert(fine, "line %d: got %.17g, want %.17g", line, got, want);
}
#define near_to(got, want) near_at(__LINE__, (got), (want))
#endif
