/* Loading a spec from a text: it is written to a file, since diagnostics name one. */
#ifndef FV_TEST_DSL_SPEC_H
#define FV_TEST_DSL_SPEC_H
#include "dsl/dsl.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { fv_ctx *ctx; fv_spec spec; bool good; char *report; char path[64]; } loaded;

/* NULL options: weights declared by the spec, nothing else given. */
static inline loaded load_text(const char *text, size_t len, const fv_spec_options *o) {
    loaded l = {.ctx = fv_ctx_new()};
    snprintf(l.path, sizeof l.path, "/tmp/fovea_spec_XXXXXX.lua");
    int fd = mkstemps(l.path, 4);
    cr_assert(fd >= 0);
    FILE *f = fdopen(fd, "wb");
    cr_assert_eq(fwrite(text, 1, len, f), len);
    fclose(f);
    fv_spec_options none = {.declare = true};
    l.good = fv_spec_load(l.ctx, l.path, NULL, o ? o : &none, &l.spec);
    fv_buf b = {0};
    fv_diag_render(l.ctx, &b);
    l.report = b.text ? b.text : calloc(1, 1);
    unlink(l.path);
    return l;
}
static inline loaded load(const char *text) { return load_text(text, strlen(text), NULL); }
static inline void unload(loaded *l) { free(l->report); fv_ctx_dispose(l->ctx); }

/* The spec must fail with this code, on this line, with this text in its report. */
static inline void expect_error(const char *text, fv_code code, int line, const char *part) {
    loaded l = load(text);
    cr_expect(!l.good, "accepted: %s", text);
    cr_expect(fv_diag_count(l.ctx) > 0, "no diagnostic: %s", text);
    if (fv_diag_count(l.ctx) > 0) {
        const fv_diag *d = fv_diag_at(l.ctx, 0);
        cr_expect_eq(d->code, code, "E%d for: %s\n%s", (int)d->code, text, l.report);
        cr_expect_eq(d->loc.line, line, "line %d for: %s\n%s", d->loc.line, text, l.report);
        cr_expect(strstr(l.report, part) != NULL, "'%s' is not in: %s", part, l.report);
    }
    unload(&l);
}
#endif
