/* Golden files: notes, then sections that start with a line --NAME--. One file is one test: --RUN-- says what to do
 * with --IN--; the result is
 * --OUT--, or --ERR-- if errors are expected. */
#ifndef FV_TEST_GOLDEN_H
#define FV_TEST_GOLDEN_H
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *text;                                         /* the whole file */
    char *run, *in, *want;                              /* copies; want: NULL if the file ends before --OUT-- */
    bool errors;                                        /* the last section is --ERR-- */
    size_t head;                                        /* bytes before the last section's marker */
} golden;

static inline char *golden_slurp(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fv_buf b = {0};
    char chunk[4096];
    fv_buf_puts(&b, "");
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;) fv_buf_putn(&b, chunk, n);
    fclose(f);
    return b.text;
}

/* From behind the marker's line to the next marker; with `lines`, as many newlines before it as lines stand above, so
 * that line numbers hold. */
static inline char *golden_section(const char *text, const char *marker, bool lines) {
    const char *at = strstr(text, marker);
    if (!at) return NULL;
    at += strlen(marker);
    if (*at == '\n') at++;
    const char *end = strstr(at, "\n--");
    end = end ? end + 1 : at + strlen(at);
    if (!strncmp(at, "--", 2)) end = at;
    fv_buf b = {0};
    fv_buf_puts(&b, "");
    for (const char *p = text; lines && p < at; p++)
        if (*p == '\n') fv_buf_puts(&b, "\n");
    fv_buf_putn(&b, at, (size_t)(end - at));
    return b.text;
}

static inline bool golden_read(const char *path, golden *g) {
    *g = (golden){.text = golden_slurp(path)};
    if (!g->text) return false;
    g->run = golden_section(g->text, "--RUN--", false);
    g->in = golden_section(g->text, "--IN--", true);
    const char *out = strstr(g->text, "\n--OUT--"), *err = strstr(g->text, "\n--ERR--");
    g->errors = err != NULL;
    g->want = golden_section(g->text, g->errors ? "--ERR--" : "--OUT--", false);
    const char *last = g->errors ? err : out;
    g->head = last ? (size_t)(last + 1 - g->text) : strlen(g->text);
    return g->run && g->in;
}

static inline void golden_free(golden *g) {
    free(g->text);
    free(g->run);
    free(g->in);
    free(g->want);
}
#endif
