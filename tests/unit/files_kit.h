/* A context and an empty folder per test, removed after it, and what an error has to say. Tests name open_all and
 * close_all as .init and .fini. Needs _POSIX_C_SOURCE 200809L before the first header. */
#ifndef FV_FILES_KIT_H
#define FV_FILES_KIT_H
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static char folder[] = "/tmp/fovea-test-XXXXXX";
static fv_ctx *ctx;
static inline void open_all(void) {
    cr_assert(mkdtemp(folder) != NULL);
    ctx = fv_ctx_new();
}
static inline void close_all(void) {
    char command[100];
    fv_ctx_dispose(ctx);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_expect(eq(int, system(command), 0));
}
static inline const char *first_error(void) { return fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "no error"; }
static inline void expect_error(bool refused, fv_code code, const char *part) {
    cr_assert(refused, "accepted what lacks \"%s\"", part);
    cr_assert(fv_diag_count(ctx) > 0);
    cr_expect(eq(int, fv_diag_at(ctx, 0)->code, code));
    cr_expect(strstr(first_error(), part) != NULL, "\"%s\" lacks \"%s\"", first_error(), part);
    fv_diag_clear(ctx);
}
#endif
