/* Records as JSON lines: what machines hand to one another. */
#include "tune/database_inside.h"

#include "io/json.h"
#include <string.h>

enum { FORM = 1 }; /* of a line */

static void text(fv_buf *out, const char *key, const char *value) {
    fv_buf_printf(out, ",\"%s\":", key);
    fv_json_quote(out, value ? value : "");
}
static void real(fv_buf *out, const char *key, double value) {
    fv_buf_printf(out, ",\"%s\":", key);
    fv_buf_double(out, value);
}
void fv_tune_line(const fv_tune_record *r, fv_buf *out) {
    fv_buf_printf(out, "{\"fovea_tune\":%d", FORM);
    text(out, "kernel", r->kernel);
    text(out, "schedule", r->schedule);
    text(out, "status", r->status);
    text(out, "reason", r->reason);
    real(out, "seconds", r->seconds);
    real(out, "seconds_min", r->seconds_min);
    real(out, "default_seconds", r->default_seconds);
    real(out, "ratio", r->ratio);
    real(out, "predicted", r->predicted);
    fv_buf_printf(out, ",\"pairs\":%d,\"unix_time\":%lld", r->pairs, (long long)r->unix_time);
    text(out, "origin", r->origin);
    text(out, "dtype", r->key.dtype);
    text(out, "device", r->key.device);
    text(out, "driver", r->key.driver);
    text(out, "compiler", r->key.compiler);
    fv_buf_printf(out, ",\"threads\":%d", r->key.threads);
    text(out, "group", r->key.group);
    fv_buf_puts(out, "}\n");
}

/* -- Reading ---- */
typedef struct {
    const char *key;
    fv_json_kind kind; /* a whole number is a real too */
    void *out;
} field;
static bool fill(fv_ctx *ctx, fv_loc loc, const fv_json *o, const field *f, int n) {
    for (int i = 0; i < n; i++) {
        const fv_json *v = fv_json_get(o, f[i].key);
        bool fits = v && (v->kind == f[i].kind || (f[i].kind == FV_JSON_REAL && v->kind == FV_JSON_INT));
        if (!v) fv_error(ctx, FV_E_FORMAT, loc, "the tuning record lacks \"%s\"", f[i].key);
        else if (!fits)
            fv_error(ctx, FV_E_FORMAT, loc, "\"%s\" is %s, not %s", f[i].key, fv_json_kind_name(v->kind),
                     fv_json_kind_name(f[i].kind));
        if (!fits) return false;
        if (f[i].kind == FV_JSON_STRING) *(const char **)f[i].out = v->text;
        else if (f[i].kind == FV_JSON_REAL) *(double *)f[i].out = v->real;
        else *(int64_t *)f[i].out = v->integer;
    }
    for (int i = 0; i < o->n; i++) {
        bool known = false;
        for (int j = 0; j < n; j++) known = known || !strcmp(o->keys[i], f[j].key);
        if (known) continue;
        fv_error(ctx, FV_E_FORMAT, loc, "the tuning record has a key that is not known: \"%s\"", o->keys[i]);
        return false;
    }
    return true;
}
bool fv_tune_line_read(fv_ctx *ctx, const char *file, int line, const char *begin, size_t n, fv_tune_record *out) {
    fv_loc loc = {fv_intern(ctx, file), line};
    int before = fv_diag_count(ctx);
    const fv_json *o = fv_json_parse(ctx, file, begin, n);
    if (!o) {
        const char *why = fv_strdup(ctx, fv_diag_at(ctx, before)->text);
        fv_diag_rewind(ctx, before);
        fv_error(ctx, FV_E_FORMAT, loc, "no JSON: %s", why);
        return false;
    }
    int64_t form = 0, pairs = 0, threads = 0;
    fv_tune_record r = {0};
    const fv_json *mark = fv_json_get(o, "fovea_tune");
    if (!mark || mark->kind != FV_JSON_INT || mark->integer < 1) {
        fv_error(ctx, FV_E_FORMAT, loc, "no tuning record: {\"fovea_tune\":%d, …} is one", FORM);
        return false;
    }
    if (mark->integer > FORM) {
        fv_error(ctx, FV_E_FORMAT, loc, "a newer Fovea wrote this: its records have form %lld, this one reads %d",
                 (long long)mark->integer, FORM);
        return false;
    }
    const field fields[] = {{"fovea_tune", FV_JSON_INT, &form},
                            {"kernel", FV_JSON_STRING, &r.kernel},
                            {"schedule", FV_JSON_STRING, &r.schedule},
                            {"status", FV_JSON_STRING, &r.status},
                            {"reason", FV_JSON_STRING, &r.reason},
                            {"seconds", FV_JSON_REAL, &r.seconds},
                            {"seconds_min", FV_JSON_REAL, &r.seconds_min},
                            {"default_seconds", FV_JSON_REAL, &r.default_seconds},
                            {"ratio", FV_JSON_REAL, &r.ratio},
                            {"predicted", FV_JSON_REAL, &r.predicted},
                            {"pairs", FV_JSON_INT, &pairs},
                            {"unix_time", FV_JSON_INT, &r.unix_time},
                            {"origin", FV_JSON_STRING, &r.origin},
                            {"dtype", FV_JSON_STRING, &r.key.dtype},
                            {"device", FV_JSON_STRING, &r.key.device},
                            {"driver", FV_JSON_STRING, &r.key.driver},
                            {"compiler", FV_JSON_STRING, &r.key.compiler},
                            {"threads", FV_JSON_INT, &threads},
                            {"group", FV_JSON_STRING, &r.key.group}};
    if (!fill(ctx, loc, o, fields, (int)(sizeof fields / sizeof *fields))) return false;
    if (pairs < INT32_MIN || pairs > INT32_MAX || threads < INT32_MIN || threads > INT32_MAX) {
        fv_error(ctx, FV_E_FORMAT, loc, "\"pairs\" or \"threads\" is out of range");
        return false;
    }
    r.pairs = (int)pairs;
    r.key.threads = (int)threads;
    if (!fv_tune_record_check(ctx, loc, &r)) return false;
    *out = r;
    return true;
}

/* -- Whole files ---- */
static bool put(void *user, const fv_tune_record *r) {
    fv_tune_line(r, user);
    return true;
}
bool fv_tune_db_export(fv_tune_db *db, fv_buf *out) { return fv_tune_db_each(db, NULL, put, out); }

/* Takes over what another context recorded. */
static void take_errors(fv_ctx *to, const fv_ctx *from) {
    for (int i = 0; i < fv_diag_count(from); i++) {
        const fv_diag *d = fv_diag_at(from, i);
        fv_error(to, d->code, (fv_loc){fv_intern(to, fv_cstr(from, d->loc.file)), d->loc.line}, "%s", d->text);
    }
}
static bool blank(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') return false;
    return true;
}
bool fv_tune_db_import(fv_tune_db *db, const char *file, const char *begin, size_t n, fv_tune_merged *out) {
    *out = (fv_tune_merged){0};
    if (!fv_tune_db_begin(db)) return false;
    bool fine = true;
    int line = 1;
    for (const char *at = begin, *end = begin + n; fine && at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop ? stop : end) - at);
        if (!blank(at, length)) {
            fv_ctx *one = fv_ctx_new(); /* a line's tree goes when it has been added */
            fv_tune_record r;
            bool added = false;
            fine = fv_tune_line_read(one, file, line, at, length, &r);
            if (!fine) take_errors(db->ctx, one);
            fine = fine && fv_tune_db_insert(db, &r, &added);
            fv_ctx_dispose(one);
            if (fine && added) out->added++;
            else if (fine) out->known++;
        }
        at += length + 1;
    }
    return fv_tune_db_end(db, fine);
}
