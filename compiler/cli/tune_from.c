/* Reading starting schedules: see tune.h. */
#include "cli/tuning.h"
#include "io/file.h"

#include <ctype.h>
#include <string.h>

static bool wrong(fv_ctx *ctx, const char *file, int line, const char *text) {
    fv_error(ctx, FV_E_FORMAT, (fv_loc){fv_intern(ctx, file), line}, "%s", text);
    return false;
}
static char *trim(char *s) {
    while (isspace((unsigned char)*s)) s++;
    for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]);) s[--n] = 0;
    return s;
}
static bool add(fv_ctx *ctx, cli_tune_starts *out, const char *file, int line, const char *kernel, const char *text) {
    for (int i = 0; i < out->n; i++)
        if (!strcmp(out->of[i].kernel, kernel))
            return wrong(ctx, file, line,
                         fv_printf(ctx, "%s is given twice, first in line %d", kernel, out->of[i].line));
    cli_tune_start s = {.kernel = kernel, .file = file, .line = line};
    int mark = fv_diag_count(ctx);
    s.wish = fv_schedule_parse(ctx, file, text);
    if (!s.wish) {
        const char *why = fv_strdup(ctx, fv_diag_at(ctx, mark)->text);
        fv_diag_rewind(ctx, mark);
        return wrong(ctx, file, line, why);
    }
    fv_push(ctx, out->of, out->n, out->cap, s);
    return true;
}
static bool read_line(fv_ctx *ctx, const char *file, int line, char *text, const char **name, cli_tune_starts *out) {
    char *comment = strchr(text, '#');
    if (comment) *comment = 0;
    text = trim(text);
    if (!*text) return true;
    bool title = !strncmp(text, "-- launch", 9); /* "-- launch 1: contract0 (run), …" */
    char *colon = strchr(text, ':');
    if (title) {
        char *end = colon ? strstr(colon, " (") : NULL;
        if (!end) return wrong(ctx, file, line, "expected '-- launch N: KERNEL (…)'");
        *name = fv_printf(ctx, "%.*s", (int)(end - colon - 2), colon + 2);
        return true;
    }
    if (*name) {
        const char *kernel = *name;
        *name = NULL;
        return add(ctx, out, file, line, kernel, text);
    }
    char *equals = strchr(text, '=');
    if (!colon || (equals && equals < colon)) return wrong(ctx, file, line, "expected 'KERNEL: SCHEDULE'");
    *colon = 0;
    char *kernel = trim(text);
    if (!*kernel) return wrong(ctx, file, line, "no kernel before the ':'");
    return add(ctx, out, file, line, fv_strdup(ctx, kernel), trim(colon + 1));
}
bool cli_tune_read_starts(fv_ctx *ctx, const char *file, cli_tune_starts *out) {
    fv_bytes bytes;
    *out = (cli_tune_starts){0};
    if (!fv_file_read(ctx, file, 16 << 20, &bytes)) return false;
    char *copy = fv_alloc(ctx, bytes.n + 1);
    memcpy(copy, bytes.data, bytes.n);
    fv_bytes_dispose(&bytes);
    const char *name = NULL;
    int line = 1;
    bool fine = true;
    for (char *s = copy; fine && *s; line++) {
        char *end = strchr(s, '\n'), *next = end ? end + 1 : s + strlen(s);
        if (end) *end = 0;
        fine = read_line(ctx, file, line, s, &name, out);
        s = next;
    }
    return fine && (out->n || wrong(ctx, file, 1, "no schedule in the file"));
}
cli_tune_start *cli_tune_start_of(fv_ctx *ctx, cli_tune_starts *s, const char *kernel, const char *strategy) {
    cli_tune_start *any = NULL;
    for (int i = 0; i < s->n; i++) {
        if (!strcmp(s->of[i].kernel, kernel)) return &s->of[i];
        const char *word = fv_cstr(ctx, s->of[i].wish->strategy);
        if (!strcmp(s->of[i].kernel, "*") && (!*word || !strcmp(word, strategy))) any = &s->of[i];
    }
    return any;
}
