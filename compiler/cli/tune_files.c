/* fovea tune --export and --import: records as JSON lines, between machines; and --no-search. */
#include "cli/tune_files.h"
#include "io/file.h"
#include "tune/database.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 30 }; /* of a file of lines */

static bool export(fv_ctx *ctx, const cli_args *a, const char *path) {
    fv_tune_db *db = fv_tune_db_open(ctx, cli_value(a, "db"), false);
    fv_buf lines = {0};
    fv_buf_puts(&lines, "");
    bool fine = db && fv_tune_db_export(db, &lines);
    if (fine && !strcmp(path, "-")) {
        fine = fwrite(lines.text, 1, lines.len, stdout) == lines.len && !fflush(stdout);
        if (!fine) fv_error(ctx, FV_E_FILE, (fv_loc){0}, "the standard output cannot be written");
    } else if (fine) fine = fv_file_write(ctx, path, lines.text, lines.len);
    fv_buf_dispose(&lines);
    fv_tune_db_close(db);
    return fine;
}
static bool read_input(fv_ctx *ctx, fv_buf *out) {
    static char part[1 << 16];
    for (size_t n; (n = fread(part, 1, sizeof part, stdin)) > 0;) {
        fv_buf_putn(out, part, n);
        if (out->len <= MOST_BYTES) continue;
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "the standard input is longer than %d bytes", MOST_BYTES);
        return false;
    }
    if (ferror(stdin)) fv_error(ctx, FV_E_FILE, (fv_loc){0}, "the standard input cannot be read");
    return !ferror(stdin);
}
static bool import(fv_ctx *ctx, fv_tune_db *db, const char *path) {
    fv_tune_merged m;
    fv_bytes file = {0};
    fv_buf input = {0};
    bool std = !strcmp(path, "-");
    bool fine = std ? read_input(ctx, &input) : fv_file_read(ctx, path, MOST_BYTES, &file);
    fine = fine && fv_tune_db_import(db, std ? "standard input" : path, std ? input.text : (const char *)file.data,
                                     std ? input.len : file.n, &m);
    if (fine)
        printf("%s: %d record%s added, %d known already\n", std ? "standard input" : path, m.added,
               m.added == 1 ? "" : "s", m.known);
    fv_buf_dispose(&input);
    fv_bytes_dispose(&file);
    return fine;
}
static int report_only(fv_ctx *ctx, const cli_args *a) {
    static cli_session s;
    int64_t threads = 0;
    if (a->n_words != 1 || !cli_value(a, "report")) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--no-search takes one spec and --report FILE; see fovea tune --help");
        return CLI_USER;
    }
    bool fine = cli_tune_report_asked(ctx, a) && cli_int(ctx, a, "threads", 1, &threads) &&
                cli_session_open(ctx, a, a->word[0], &s) && cli_tune_report_of(ctx, a, &s, (int)threads);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
bool cli_tune_files(fv_ctx *ctx, const cli_args *a, int *code) {
    const char *out = cli_value(a, "export"), *list[CLI_MAX_WORDS];
    int n = cli_values(a, "import", list, CLI_MAX_WORDS);
    if (!out && !n) {
        if (!cli_flag(a, "no-search")) return false;
        *code = report_only(ctx, a);
        return true;
    }
    *code = CLI_USER;
    if (a->n_words) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--export and --import take no spec: they are about whole databases");
        return true;
    }
    bool fine = true;
    if (n) {
        fv_tune_db *db = fv_tune_db_open(ctx, cli_value(a, "db"), true);
        fine = db != NULL;
        for (int i = 0; i < n && fine; i++) fine = import(ctx, db, list[i]);
        fv_tune_db_close(db);
    }
    if (fine && out) fine = export(ctx, a, out);
    *code = fine ? CLI_OK : CLI_USER;
    return true;
}
