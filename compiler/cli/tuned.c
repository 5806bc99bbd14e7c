/* What is tuned is used: see tuned.h. One line on the standard error says so. */
#define _POSIX_C_SOURCE 200809L
#include "cli/tuned.h"

#include <string.h>
#include <unistd.h>

static fv_plan *replan(void *user, fv_graph *g, fv_str entry, fv_lower_options *o, fv_plan *plain) {
    cli_tuned *t = user;
    fv_tune_use *u = &t->use;
    fv_buf line = {0};
    int before = fv_diag_count(t->ctx);
    fv_plan *p = fv_tune_replan(u, g, entry, o, plain);
    if (fv_diag_count(t->ctx) > before) { /* damage that opening did not meet */
        fv_buf_printf(&line, "not tuned: %s", fv_diag_at(t->ctx, before)->text);
        fv_diag_rewind(t->ctx, before);
    } else fv_tune_use_text(u, &line);
    if (line.len && strncmp(line.text, t->said, sizeof t->said - 1)) { /* once, however often it is compiled */
        cli_say("%s", line.text);
        snprintf(t->said, sizeof t->said, "%s", line.text);
    }
    fv_buf_dispose(&line);
    return p;
}
bool cli_tuned_open(fv_ctx *ctx, const cli_args *a, int threads, cli_tuned *t, fv_driver_options *io) {
    *t = (cli_tuned){.ctx = ctx};
    const char *file = cli_value(a, "db");
    int before = fv_diag_count(ctx);
    if (file && cli_flag(a, "no-tuned")) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--db names records to use and --no-tuned wants none: give one of them");
        return false;
    }
    if (cli_flag(a, "no-tuned") || io->attend_strategy) return true;
    t->use.where = (fv_tune_where){.backend = io->backend ? fv_backend_find(io->backend) : fv_backend_default(),
                                   .target = io->target,
                                   .device = io->device,
                                   .threads = threads ? threads : fovea_threads_available()};
    if (!t->use.where.backend) return true; /* compiling says so */
    const char *own = fv_tune_db_path(ctx);
    if (!file && (!own || access(own, F_OK))) return true;
    t->use.db = fv_tune_db_open(ctx, file, false);
    if (!t->use.db && file) return false;
    if (!t->use.db) {
        static bool told;
        if (!told) cli_say("not tuned: %s", fv_diag_at(ctx, before)->text);
        told = true;
        fv_diag_rewind(ctx, before);
        return true;
    }
    io->replan = replan;
    io->replan_user = t;
    return true;
}
void cli_tuned_close(cli_tuned *t) {
    fv_tune_db_close(t->use.db);
    t->use.db = NULL;
}
