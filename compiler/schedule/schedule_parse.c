/* Text of a schedule to its record:  [strategy] { field[.subject] = [item {, item}] }  on any number of lines.
 * item = integer | word [/ integer] { ~ | ! };  word = letters, digits and _ . : + ' (so `local:2+8` and `16x16x32`
 * are words). */
#include "schedule/nearest.h"
#include "schedule/schedule.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What a field takes. subject: '-' none, '!' required, '?' optional. */
typedef struct { const char *spelling, *subject, *value; } field_row;
static const field_row FIELD[] = {
#define X(name, spelling, subject, value, doc) {spelling, subject, value},
#include "schedule/sched_fields.def"
#undef X
};

static bool subject_optional(fv_field f) {
    return f == FV_F_SPLITS || f == FV_F_LANE || f == FV_F_SOFTMAX || f == FV_F_ORDER;
}

/* Integers of a field; words that a field is limited to (NULL: any). */
static const struct { fv_field field; int64_t lo, hi; } INT_RANGE[] = {
    {FV_F_TILE, 1, 65536}, {FV_F_SPLITS, 1, 65536}, {FV_F_GROUP, 1, 1024}, {FV_F_EXP, 2, 5}, {FV_F_VECTOR, 1, 16},
};
static const struct { fv_field field; const char *words; } WORDS[] = {
    {FV_F_SOFTMAX, "online resident"},
    {FV_F_EPI, "after inline"},
    {FV_F_PLACE, "reg local direct strip packed grid program async"},
    {FV_F_ORDER, "ascending descending longest"},
};

typedef struct {
    fv_ctx *ctx;
    fv_loc loc;
    const char *at;
} reader;

static bool fail(const reader *r, fv_code code, const char *text) {
    fv_error(r->ctx, code, r->loc, "%s", text);
    return false;
}

static void skip_space(reader *r) {
    while (*r->at && isspace((unsigned char)*r->at)) {
        if (*r->at == '\n') r->loc.line++;
        r->at++;
    }
}

static bool word_char(char c) { return isalnum((unsigned char)c) || (c && strchr("_.:+'", c)); }

static fv_str read_word(reader *r) {
    const char *from = r->at;
    while (word_char(*r->at)) r->at++;
    return fv_intern_n(r->ctx, from, (size_t)(r->at - from));
}

static bool read_number(reader *r, int64_t *out) {
    char *end;
    if (!isdigit((unsigned char)*r->at)) return fail(r, FV_E_SYNTAX, "expected a whole number in a schedule");
    long long v = strtoll(r->at, &end, 10);
    if (v > INT32_MAX) return fail(r, FV_E_SCHEDULE, "a number in a schedule is too large");
    *out = v;
    r->at = end;
    return true;
}

static bool all_digits(const char *s) {
    for (; *s; s++)
        if (!isdigit((unsigned char)*s)) return false;
    return true;
}

static bool read_item(reader *r, fv_sched_item *it) {
    *it = (fv_sched_item){.step = 0};
    const char *from = r->at;
    fv_str word = read_word(r);
    if (!word.i) return fail(r, FV_E_SYNTAX,
                             fv_printf(r->ctx, "expected a name or a number in a schedule, found '%.8s'", r->at));
    if (all_digits(fv_cstr(r->ctx, word))) {
        r->at = from;
        return read_number(r, &it->step);
    }
    it->name = word;
    if (*r->at == '/') {
        r->at++;
        if (!read_number(r, &it->step)) return false;
        if (it->step < 1) return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "the step of %s is %lld: at least 1",
                                                                  fv_cstr(r->ctx, word), (long long)it->step));
    }
    for (; *r->at == '~' || *r->at == '!'; r->at++) *(*r->at == '~' ? &it->lanes : &it->unroll) = true;
    return true;
}

static bool word_allowed(const char *words, const char *w) {
    size_t n = strcspn(w, ":+");                                    /* local:2+8 is a local */
    for (const char *p = words; *p; p += strspn(p, " ")) {
        size_t m = strcspn(p, " ");
        if (m == n && memcmp(p, w, n) == 0) return true;
        p += m;
    }
    return false;
}

static bool check_entry(const reader *r, fv_field f, fv_str subject, const fv_sched_item *item, int n) {
    const field_row *row = &FIELD[f];
    bool none = row->subject[0] == '-';
    if (subject.i && none)
        return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "%s takes no subject, but '%s' is given", row->spelling,
                                                fv_cstr(r->ctx, subject)));
    if (!subject.i && !none && !subject_optional(f))
        return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "%s needs a subject: %s.%s=...", row->spelling, row->spelling,
                                                row->subject));
    if (strcmp(row->value, "int") == 0 && (n != 1 || item[0].name.i))
        return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "%s takes one whole number", row->spelling));
    for (size_t j = 0; j < sizeof INT_RANGE / sizeof *INT_RANGE; j++)
        if (INT_RANGE[j].field == f && (item[0].step < INT_RANGE[j].lo || item[0].step > INT_RANGE[j].hi))
            return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "%s is %lld: it lies in %lld to %lld", row->spelling,
                                                    (long long)item[0].step,
                                                    (long long)INT_RANGE[j].lo, (long long)INT_RANGE[j].hi));
    for (size_t j = 0; j < sizeof WORDS / sizeof *WORDS; j++)
        for (int i = 0; WORDS[j].field == f && i < n; i++)
            if (!item[i].name.i || !word_allowed(WORDS[j].words, fv_cstr(r->ctx, item[i].name)))
                return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "%s knows no '%s'; known: %s", row->spelling,
                                                        item[i].name.i ? fv_cstr(r->ctx, item[i].name) : "number",
                                                            WORDS[j].words));
    return true;
}

static bool find_field(const reader *r, const char *name, size_t len, fv_field *out) {
    const char *known[FV_F_COUNT];
    for (int f = 0; f < FV_F_COUNT; f++) {
        known[f] = FIELD[f].spelling;
        if (strlen(known[f]) == len && memcmp(known[f], name, len) == 0) {
            *out = (fv_field)f;
            return true;
        }
    }
    const char *word = fv_printf(r->ctx, "%.*s", (int)len, name);
    return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "no field '%s'%s", word,
                                            fv_nearest(r->ctx, word, known, FV_F_COUNT)));
}

/* The items after `=`: none, or a comma list without spaces. */
static fv_sched_item *read_items(reader *r, int *n) {
    fv_sched_item *list = FV_NEW(r->ctx, fv_sched_item), it;
    int cap = 0;
    *n = 0;
    if (!*r->at || isspace((unsigned char)*r->at)) return list;
    list = NULL;
    do {
        if (!read_item(r, &it)) return NULL;
        fv_push(r->ctx, list, *n, cap, it);
    } while (*r->at == ',' && r->at++);
    if (*r->at && !isspace((unsigned char)*r->at)) {
        fail(r, FV_E_SYNTAX, fv_printf(r->ctx, "unexpected '%.8s' in a schedule", r->at));
        return NULL;
    }
    return list;
}

static bool read_entry(reader *r, fv_schedule *s, fv_str word) {
    const char *w = fv_cstr(r->ctx, word);
    size_t len = strcspn(w, ".");
    fv_field f = FV_F_COUNT;
    if (!find_field(r, w, len, &f)) return false;
    fv_str subject = fv_intern(r->ctx, w[len] == '.' ? w + len + 1 : "");
    if (w[len] == '.' && !subject.i) return fail(r, FV_E_SYNTAX, fv_printf(r->ctx, "no subject after '%s'", w));
    if (fv_schedule_get(s, f, subject)) return fail(r, FV_E_SCHEDULE, fv_printf(r->ctx, "%s is given twice", w));
    int n;
    fv_sched_item *item = read_items(r, &n);
    if (!item || !check_entry(r, f, subject, item, n)) return false;
    fv_schedule_set(r->ctx, s, f, subject, item, n);
    return true;
}

fv_schedule *fv_schedule_parse(fv_ctx *ctx, const char *file, const char *text) {
    reader r = {.ctx = ctx, .loc = {fv_intern(ctx, file ? file : ""), 1}, .at = text};
    fv_schedule *s = fv_schedule_new(ctx, "");
    for (bool first = true; skip_space(&r), *r.at; first = false) {
        fv_str word = read_word(&r);
        if (word.i && *r.at == '=') {
            r.at++;
            if (!read_entry(&r, s, word)) return NULL;
        } else if (word.i && first && (!*r.at || isspace((unsigned char)*r.at))) {
            s->strategy = word;
        } else {
            fail(&r, FV_E_SYNTAX, fv_printf(ctx, "expected field=value in a schedule, found '%s%.8s'",
                                            fv_cstr(ctx, word), r.at));
            return NULL;
        }
    }
    return s;
}

void fv_schedule_set_names(fv_ctx *ctx, fv_schedule *s, fv_field f, const char *subject, const char *list) {
    reader r = {.ctx = ctx, .at = list};
    int n;
    fv_sched_item *item = read_items(&r, &n);
    FV_ASSERT(item && !*r.at, "a list of schedule items in the compiler's own code");
    fv_schedule_set(ctx, s, f, fv_intern(ctx, subject ? subject : ""), item, n);
}
