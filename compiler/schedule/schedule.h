/* schedule: how a kernel runs, as plain data with a text form: "tile.q=64 lane=q,dv nest.qk=q~,k/6!,d". It never
 * changes what is computed beyond rounding. Fields are those of sched_fields.def; entries are {field, subject, values}.
 */
#ifndef FV_SCHEDULE_H
#define FV_SCHEDULE_H
#include "expr/expr.h"

typedef enum {
#define X(name, spelling, subject, value, doc) FV_F_##name,
#include "schedule/sched_fields.def"
#undef X
    FV_F_COUNT
} fv_field;

/* One item of a value list: a name with an optional step and flags, or an integer. nest: `q~` lanes, `k/6!` blocks of 6
 * unrolled, `d` serial. */
typedef struct {
    fv_str name;
    int64_t step;
    bool unroll, lanes;
} fv_sched_item; /* step 0: none given */
typedef struct {
    fv_field field;
    fv_str subject;
    int n;
    fv_sched_item *item;
} fv_sched_entry;
typedef struct {
    fv_str strategy;
    int n, cap;
    fv_sched_entry *entry;
} fv_schedule;

fv_schedule *fv_schedule_new(fv_ctx *ctx, const char *strategy);
void fv_schedule_set(fv_ctx *ctx, fv_schedule *s, fv_field f, fv_str subject, const fv_sched_item *item,
                     int n); /* replaces an entry with the same field and subject */
void fv_schedule_set_int(fv_ctx *ctx, fv_schedule *s, fv_field f, const char *subject, int64_t v);
void fv_schedule_set_names(fv_ctx *ctx, fv_schedule *s, fv_field f, const char *subject,
                           const char *list);                                            /* "q,dv" or "q~,k/6!,d" */
const fv_sched_entry *fv_schedule_get(const fv_schedule *s, fv_field f, fv_str subject); /* NULL: not given */
int64_t fv_schedule_int(const fv_schedule *s, fv_field f, fv_str subject, int64_t otherwise);
const char *fv_field_name(fv_field f); /* as it is spelled */
void fv_schedule_print(const fv_ctx *ctx, const fv_schedule *s, fv_buf *out);
fv_schedule *fv_schedule_parse(fv_ctx *ctx, const char *file, const char *text); /* NULL after recording an error */
#endif
