/* Progress on a terminal, remarks, and errors of the runtime as diagnostics. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"

#include <stdlib.h>
#include <unistd.h>

void cli_progress(const char *fmt, ...) {
    if (!isatty(STDERR_FILENO)) return;
    va_list ap;
    va_start(ap, fmt);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, fmt, ap);
    fflush(stderr);
    va_end(ap);
}
void cli_progress_done(void) {
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}
void cli_say(const char *fmt, ...) {
    va_list ap;
    cli_progress_done();
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}
bool cli_runtime_error(fv_ctx *ctx, fv_code code, const fovea_error *e) {
    fv_error(ctx, code, (fv_loc){0}, "%s", e->text);
    return false;
}
const char *cli_cache_dir(fv_ctx *ctx) {
    const char *c = getenv("FOVEA_CACHE"), *home = getenv("HOME");
    if (c) return *c ? c : NULL; /* set and empty: no cache */
    return home && *home ? fv_printf(ctx, "%s/.cache/fovea", home) : NULL;
}
