/* Schedules over the defaults: what a wish says about the kernel under construction, and what in it fits nothing.
 * Invariant: every entry of a wish is heeded, by the strategy or by the flattening, or it is an error that says why
 * not. */
#include "lower/internal.h"

#include <string.h>

const fv_schedule *lower_wish(const lower *l) {
    return l->group >= 0 && l->group < l->o->n_wish && l->o->wish ? l->o->wish[l->group] : NULL;
}

static void refuse(lower_kernel *k, const char *text) {
    lower *l = k->l;
    if (!l->failed) fv_error(l->ctx, FV_E_SCHEDULE, k->loc, "%s: %s", fv_cstr(l->ctx, k->k->name), text);
    l->failed = true;
}

void lower_kernel_own(lower_kernel *k) {
    if (k->prepare) return;
    k->group = k->l->group;
    k->wish = lower_wish(k->l);
    if (!k->wish) return;
    fv_ctx *c = k->l->ctx;
    if (k->wish->n > (int)(sizeof k->used / sizeof *k->used)) {
        refuse(k, "the schedule has more entries than any kernel");
        k->wish = NULL;
    } else if (k->wish->strategy.i && !fv_str_eq(k->wish->strategy, k->schedule->strategy))
        refuse(k, fv_printf(c, "the schedule is for %s, this is %s", fv_cstr(c, k->wish->strategy),
                            fv_cstr(c, k->schedule->strategy)));
}

const fv_sched_entry *lower_wish_entry(lower_kernel *k, fv_field f, fv_str subject) {
    const fv_sched_entry *e = fv_schedule_get(k->wish, f, subject);
    if (e) k->used[e - k->wish->entry] = true;
    return e;
}

int64_t lower_tile(lower_kernel *k, fv_str axis, int64_t otherwise, int64_t extent) {
    const fv_sched_entry *e = lower_wish_entry(k, FV_F_TILE, axis);
    int64_t tile = e ? e->item[0].step : otherwise, most = extent > otherwise ? extent : otherwise;
    if (tile > most) {
        refuse(k, fv_printf(k->l->ctx, "tile.%s is %lld: the axis has %lld points", fv_cstr(k->l->ctx, axis),
                            (long long)tile, (long long)extent));
        tile = otherwise;
    }
    FV_ASSERT(k->n_tiles < FV_MAX_AXES, "tile sizes of a kernel");
    k->tile[k->n_tiles++] = (fv_tile_size){axis, tile, extent};
    return tile;
}

/* -- What the flattening heeds ------------------------------------------------------------------------------------- */
/* Is this the label of a statement, or (buffers) the name of a buffer that one writes? Lists the labels met. */
static bool find_subject(const fv_ctx *c, const fv_stmt *list, fv_str name, bool buffers, fv_buf *known) {
    for (const fv_stmt *s = list; s; s = s->next) {
        if (s->label.i && fv_str_eq(s->label, name)) return true;
        if (buffers && s->target && s->target->kind == FV_OBJ_BUFFER && fv_str_eq(s->target->name, name)) return true;
        if (s->label.i) fv_buf_printf(known, "%s%s", known->len ? ", " : "", fv_cstr(c, s->label));
        if (find_subject(c, s->body, name, buffers, known)) return true;
    }
    return false;
}

static bool heeded(lower_kernel *k, const fv_sched_entry *e) {
    fv_ctx *c = k->l->ctx;
    fv_buf known = {0};
    switch (e->field) {
    case FV_F_VECTOR:
    case FV_F_FUSE:
    case FV_F_ITEM:
    case FV_F_GROUP: return true;
    case FV_F_LANE:
    case FV_F_NEST:
    case FV_F_EXP:
    case FV_F_MMA:
        if (!e->subject.i || find_subject(c, k->k->body, e->subject, e->field == FV_F_LANE, &known)) break;
        refuse(k, fv_printf(c, "the schedule names %s, which is nothing here; the statements are %s",
                            fv_cstr(c, e->subject), known.text ? known.text : "none"));
        break;
    case FV_F_TILE: {
        for (int i = 0; i < k->n_tiles; i++) fv_buf_printf(&known, "%s%s", i ? ", " : "", fv_cstr(c, k->tile[i].axis));
        refuse(k, fv_printf(c, "the schedule sets tile.%s, which this kernel does not choose; it chooses %s",
                            fv_cstr(c, e->subject), known.text ? known.text : "none"));
        break;
    }
    case FV_F_SPLITS:
    case FV_F_PLACE:
    case FV_F_SUB:
    case FV_F_SOFTMAX:
    case FV_F_EPI:
    case FV_F_ORDER:
    case FV_F_OVERLAP:
    case FV_F_COUNT:
        refuse(k, fv_printf(c, "the schedule sets %s, which %s does not heed", fv_field_name(e->field),
                            fv_cstr(c, k->schedule->strategy)));
        break;
    }
    fv_buf_dispose(&known);
    return !k->l->failed;
}

void lower_wish_apply(lower_kernel *k) {
    fv_ctx *c = k->l->ctx;
    for (int i = 0; k->wish && i < k->wish->n && !k->l->failed; i++) {
        const fv_sched_entry *e = &k->wish->entry[i];
        if (k->used[i] && e->field == FV_F_TILE) continue;
        if (k->used[i] || heeded(k, e)) fv_schedule_set(c, k->schedule, e->field, e->subject, e->item, e->n);
    }
}
