/* Schedules of the database over those by default: see apply.h. */
#include "tune/apply.h"
#include "tune/group.h"

#include <string.h>

bool fv_tune_place(fv_ctx *ctx, const fv_tune_where *w, const fv_target *facts, fv_type storage, fv_tune_key *out) {
    fv_buf name = {0}, driver = {0}, compiler = {0};
    bool here = !w->backend->place || w->backend->place(w->target, w->device, &name, &driver, &compiler);
    *out = (fv_tune_key){.group = "",
                         .dtype = fv_type_name(storage == FV_VOID ? FV_F32 : storage),
                         .device = fv_printf(ctx, "%s, %d lane%s%s%s, %s", w->backend->name, facts->lanes,
                                             facts->lanes == 1 ? "" : "s", facts->unit ? ", unit " : "",
                                             facts->unit ? facts->unit->name : "", name.len ? name.text : "unnamed"),
                         .driver = fv_strdup(ctx, driver.len ? driver.text : ""),
                         .compiler = fv_printf(ctx, "fovea %s%s%s", FOVEA_VERSION, compiler.len ? ", " : "",
                                               compiler.len ? compiler.text : ""),
                         .threads = w->backend->executor ? 0 : w->threads};
    fv_buf_dispose(&name);
    fv_buf_dispose(&driver);
    fv_buf_dispose(&compiler);
    return here;
}

typedef struct {
    fv_ctx *ctx;
    fv_graph *g;
    fv_str entry;
    fv_lower_options *o;
    int n;
    const fv_schedule **wish; /* by group */
} attempt;

/* NULL: it does not fit; *why: the error, which is forgotten. */
static fv_plan *lower_with(const attempt *a, const fv_schedule *const *wish, const char **why) {
    int before = fv_diag_count(a->ctx);
    fv_lower_options o = *a->o;
    o.wish = wish;
    o.n_wish = a->n;
    o.n_considered = o.cap_considered = 0;
    o.considered = NULL;
    fv_plan *p = fv_lower(a->g, a->entry, &o);
    if (p) {
        *a->o = o;
        return p;
    }
    if (!*why && fv_diag_count(a->ctx) > before) *why = fv_strdup(a->ctx, fv_diag_at(a->ctx, before)->text);
    fv_diag_rewind(a->ctx, before);
    return NULL;
}
static const fv_schedule *parse(fv_ctx *ctx, const fv_tune_record *r, const char **why) {
    int before = fv_diag_count(ctx);
    const fv_schedule *s = fv_schedule_parse(ctx, "the tuning record", r->schedule);
    if (!s && !*why && fv_diag_count(ctx) > before) *why = fv_strdup(ctx, fv_diag_at(ctx, before)->text);
    if (!s) fv_diag_rewind(ctx, before);
    return s;
}
/* Leaves the wishes that fit when they stand alone. */
static void sift(const attempt *a, fv_tune_use *u) {
    const fv_schedule **alone = FV_NEWN(a->ctx, const fv_schedule *, a->n);
    fv_lower_options kept = *a->o;
    for (int i = 0; i < a->n; i++) {
        if (!a->wish[i]) continue;
        alone[i] = a->wish[i];
        if (!lower_with(a, alone, &u->reason)) {
            a->wish[i] = NULL;
            u->refused++;
        }
        alone[i] = NULL;
        *a->o = kept;
    }
}
static int count(const attempt *a, const fv_plan *p) {
    int n = 0;
    for (int i = 0; i < p->n_launches[1]; i++) {
        int group = p->launch[1][i]->group;
        n += group >= 0 && group < a->n && a->wish[group];
    }
    return n;
}
void fv_tune_use_text(const fv_tune_use *u, fv_buf *out) {
    if (!u->tuned && !u->refused) return;
    fv_buf_printf(out, "tuned: %d of %d kernels, %s", u->tuned, u->kernels, fv_tune_db_file(u->db));
    if (u->refused)
        fv_buf_printf(out, "; %d record%s not fit any more (%s)", u->refused, u->refused == 1 ? " of it does" : "s of it do",
                      u->reason ? u->reason : "no reason was given");
}
fv_plan *fv_tune_replan(void *user, fv_graph *g, fv_str entry, fv_lower_options *o, fv_plan *plain) {
    fv_tune_use *u = user;
    fv_ctx *ctx = g->ctx;
    fv_tune_key key;
    u->kernels = plain->n_launches[1];
    u->tuned = u->refused = 0;
    u->reason = NULL;
    if (!fv_tune_place(ctx, &u->where, o->target, o->storage, &key) || !fv_tune_db_any(u->db, &key)) return plain;
    attempt a = {.ctx = ctx, .g = g, .entry = entry, .o = o};
    for (int i = 0; i < plain->n_launches[1]; i++)
        if (plain->launch[1][i]->group >= a.n) a.n = plain->launch[1][i]->group + 1;
    a.wish = FV_NEWN(ctx, const fv_schedule *, a.n + 1);
    for (int i = 0; i < plain->n_launches[1]; i++) {
        const fv_launch *l = plain->launch[1][i];
        fv_tune_record r;
        key.group = fv_tune_group_text(ctx, l);
        if (!key.group || !fv_tune_db_best(u->db, &key, &r) || !*r.schedule) continue;
        a.wish[l->group] = parse(ctx, &r, &u->reason);
        u->refused += !a.wish[l->group];
    }
    if (!count(&a, plain)) return plain;
    fv_plan *p = lower_with(&a, a.wish, &u->reason);
    if (!p) {
        sift(&a, u);
        p = lower_with(&a, a.wish, &u->reason);
    }
    if (!p) u->refused += count(&a, plain);
    u->tuned = p ? count(&a, p) : 0;
    return p ? p : plain;
}
