/* Tuning records for the library: see records.h. Invariant: an error of a database that was not named leaves no
 * diagnostic behind, only the line. */
#define _POSIX_C_SOURCE 200809L
#include "api/records.h"
#include "runtime/fovea.h"

#include <unistd.h>

static void not_tuned(fv_records *r, int before) {
    r->said = fv_printf(r->ctx, "not tuned: %s", fv_diag_at(r->ctx, before)->text);
    fv_diag_rewind(r->ctx, before);
}
static fv_plan *replan(void *user, fv_graph *g, fv_str entry, fv_lower_options *o, fv_plan *plain) {
    fv_records *r = user;
    fv_buf line = {0};
    int before = fv_diag_count(r->ctx);
    fv_plan *p = fv_tune_replan(&r->use, g, entry, o, plain);
    if (fv_diag_count(r->ctx) > before) not_tuned(r, before); /* damage that opening did not meet */
    else fv_tune_use_text(&r->use, &line);
    if (line.len) r->said = fv_strdup(r->ctx, line.text);
    fv_buf_dispose(&line);
    return p;
}
bool fv_records_open(fv_ctx *ctx, const char *path, int threads, fv_records *r, fv_driver_options *io) {
    *r = (fv_records){.ctx = ctx, .said = ""};
    r->use.where = (fv_tune_where){.backend = io->backend ? fv_backend_find(io->backend) : fv_backend_default(),
                                   .target = io->target,
                                   .device = io->device,
                                   .threads = threads ? threads : fovea_threads_available()};
    const char *cached = fv_tune_db_path(ctx);
    int before = fv_diag_count(ctx);
    if (!r->use.where.backend || (!*path && (!cached || access(cached, F_OK))))
        return true; /* compiling says so; none */
    r->use.db = fv_tune_db_open(ctx, *path ? path : NULL, false);
    if (!r->use.db && *path) return false;
    if (!r->use.db) {
        not_tuned(r, before);
        return true;
    }
    io->replan = replan;
    io->replan_user = r;
    return true;
}
void fv_records_close(fv_records *r) {
    fv_tune_db_close(r->use.db);
    r->use.db = NULL;
}
