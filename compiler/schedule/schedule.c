/* Schedules as data: entries {field, subject, items}, at most one per field and subject, in order of first setting.
 * Invariant: what the text holds is what the record holds; ranges are checked where text or numbers come in. */
#include "schedule/schedule.h"

#include <string.h>

fv_schedule *fv_schedule_new(fv_ctx *ctx, const char *strategy) {
    fv_schedule *s = FV_NEW(ctx, fv_schedule);
    s->strategy = fv_intern(ctx, strategy ? strategy : "");
    return s;
}

static fv_sched_entry *find(const fv_schedule *s, fv_field f, fv_str subject) {
    for (int j = 0; s && j < s->n; j++)
        if (s->entry[j].field == f && fv_str_eq(s->entry[j].subject, subject)) return &s->entry[j];
    return NULL;
}

void fv_schedule_set(fv_ctx *ctx, fv_schedule *s, fv_field f, fv_str subject, const fv_sched_item *item, int n) {
    fv_sched_entry *e = find(s, f, subject);
    if (!e) {
        fv_push(ctx, s->entry, s->n, s->cap, ((fv_sched_entry){.field = f, .subject = subject}));
        e = &s->entry[s->n - 1];
    }
    e->n = n;
    e->item = FV_NEWN(ctx, fv_sched_item, n ? n : 1);
    if (n) memcpy(e->item, item, sizeof *item * (size_t)n);
}

void fv_schedule_set_int(fv_ctx *ctx, fv_schedule *s, fv_field f, const char *subject, int64_t v) {
    fv_sched_item item = {.step = v};
    fv_schedule_set(ctx, s, f, fv_intern(ctx, subject ? subject : ""), &item, 1);
}

const fv_sched_entry *fv_schedule_get(const fv_schedule *s, fv_field f, fv_str subject) { return find(s, f, subject); }

int64_t fv_schedule_int(const fv_schedule *s, fv_field f, fv_str subject, int64_t otherwise) {
    const fv_sched_entry *e = find(s, f, subject);
    return e && e->n == 1 && e->item[0].name.i == 0 ? e->item[0].step : otherwise;
}

/* -- Print --------------------------------------------------------------------------------------------------------- */
static const char *const SPELLING[] = {
#define X(name, spelling, subject, value, doc) spelling,
#include "schedule/sched_fields.def"
#undef X
};

const char *fv_field_name(fv_field f) { return f >= 0 && f < FV_F_COUNT ? SPELLING[f] : ""; }

static void print_item(const fv_ctx *ctx, const fv_sched_item *it, fv_buf *out) {
    if (it->name.i == 0) {
        fv_buf_printf(out, "%lld", (long long)it->step);
        return;
    }
    fv_buf_puts(out, fv_cstr(ctx, it->name));
    if (it->step) fv_buf_printf(out, "/%lld", (long long)it->step);
    if (it->lanes) fv_buf_puts(out, "~");
    if (it->unroll) fv_buf_puts(out, "!");
}

void fv_schedule_print(const fv_ctx *ctx, const fv_schedule *s, fv_buf *out) {
    fv_buf_puts(out, s->strategy.i ? fv_cstr(ctx, s->strategy) : "");
    for (int j = 0; j < s->n; j++) {
        const fv_sched_entry *e = &s->entry[j];
        fv_buf_printf(out, "%s%s%s%s=", j || s->strategy.i ? " " : "", SPELLING[e->field], e->subject.i ? "." : "",
                      e->subject.i ? fv_cstr(ctx, e->subject) : "");
        for (int i = 0; i < e->n; i++) {
            if (i) fv_buf_puts(out, ",");
            print_item(ctx, &e->item[i], out);
        }
    }
}
