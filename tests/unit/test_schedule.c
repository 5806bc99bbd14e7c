/* Schedules: the record and its text are one; setting replaces; what a reader asks for is what was set. */
#include "schedule/nearest.h"
#include "schedule/schedule.h"

#include <criterion/criterion.h>
#include <string.h>

static char *text_of(fv_ctx *c, const fv_schedule *s) {
    fv_buf b = {0};
    fv_schedule_print(c, s, &b);
    char *t = fv_strdup(c, b.text ? b.text : "");
    fv_buf_dispose(&b);
    return t;
}

Test(schedule, set_get_print_parse) {
    fv_ctx *c = fv_ctx_new();
    fv_schedule *s = fv_schedule_new(c, "attend.box");
    fv_str q = fv_intern(c, "q"), qk = fv_intern(c, "qk"), none = fv_intern(c, "");
    fv_schedule_set_int(c, s, FV_F_TILE, "q", 64);
    fv_schedule_set_names(c, s, FV_F_LANE, NULL, "q,dv");
    fv_schedule_set_names(c, s, FV_F_NEST, "qk", "q~,k/6!,d");
    fv_schedule_set_names(c, s, FV_F_ITEM, NULL, "");
    cr_expect_str_eq(text_of(c, s), "attend.box tile.q=64 lane=q,dv nest.qk=q~,k/6!,d item=");
    fv_schedule_set_int(c, s, FV_F_TILE, "q", 32);
    cr_expect_eq(s->n, 4, "setting again replaces");
    cr_expect_eq(fv_schedule_int(s, FV_F_TILE, q, 7), 32);
    cr_expect_eq(fv_schedule_int(s, FV_F_TILE, qk, 7), 7);
    cr_expect_eq(fv_schedule_int(s, FV_F_LANE, none, 7), 7, "names are no number");
    const fv_sched_entry *e = fv_schedule_get(s, FV_F_NEST, qk);
    cr_assert(e && e->n == 3);
    cr_expect(e->item[0].lanes && !e->item[0].unroll && e->item[0].step == 0);
    cr_expect(!e->item[1].lanes && e->item[1].unroll && e->item[1].step == 6);
    cr_expect(!e->item[2].lanes && !e->item[2].unroll);
    cr_expect_eq(fv_schedule_get(s, FV_F_ITEM, none)->n, 0, "an empty list is given, not absent");
    cr_expect_null(fv_schedule_get(s, FV_F_SUB, none));
    fv_schedule *again = fv_schedule_parse(c, "t", text_of(c, s));
    cr_assert(again);
    cr_expect_str_eq(text_of(c, again), text_of(c, s));
    cr_expect_str_eq(text_of(c, fv_schedule_parse(c, "t", "")), "");
    fv_ctx_dispose(c);
}

Test(schedule, nearest_names) {
    static const char *const NAME[] = {"softmax", "scores", "value", "query", "key"};
    fv_ctx *c = fv_ctx_new();
    cr_expect_str_eq(fv_nearest(c, "sofmax", NAME, 5), "; did you mean softmax?");
    cr_expect_str_eq(fv_nearest(c, "qeury", NAME, 5), "; known: softmax, scores, value, query, key");
    cr_expect_str_eq(fv_nearest(c, "scorse2", NAME, 0), "");
    fv_ctx_dispose(c);
}

static uint32_t state = 3;
static uint32_t next(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

Test(schedule, damaged_texts) {
    const char *whole = "attend.box tile.q=64 lane=q,dv lane.acc=dv nest.qk=q~,k/6!,d place.K=local:2+8,async "
                        "exp.ex=5 item= softmax=online";
    static const char CHARS[] = "=.,/!~ 019abk:+\n\"'#";
    for (int j = 0; j < 20000; j++) {
        char t[256];
        fv_ctx *c = fv_ctx_new();
        strcpy(t, whole);
        for (uint32_t m = 1 + next(3); m > 0; m--) {
            size_t n = strlen(t), at = next((uint32_t)n);
            if (next(2)) memmove(t + at, t + at + 1, n - at);
            else t[at] = CHARS[next(sizeof CHARS - 1)];
        }
        fv_schedule *s = fv_schedule_parse(c, "t", t);
        cr_expect(s || fv_error_count(c) > 0, "no error for %s", t);
        if (s) {
            char *once = text_of(c, s);
            fv_schedule *again = fv_schedule_parse(c, "t", once);
            cr_expect(again && !strcmp(text_of(c, again), once), "%s becomes %s", t, once);
        }
        fv_ctx_dispose(c);
    }
}
