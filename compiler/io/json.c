/* JSON through jansson, copied into a tree of the context so that nobody else counts references. */
#include "io/json.h"

#include <jansson.h>
#include <string.h>

#include "io/file.h"

enum { JSON_CAP = 4 << 20 };

/* jansson bounds the depth (2048), and so this recursion. */
static const fv_json *copy(fv_ctx *ctx, json_t *from) {
    fv_json *to = FV_NEW(ctx, fv_json);
    switch (json_typeof(from)) {
    case JSON_NULL: break;
    case JSON_TRUE: case JSON_FALSE:
        to->kind = FV_JSON_BOOL;
        to->truth = json_is_true(from);
        break;
    case JSON_INTEGER:
        to->kind = FV_JSON_INT;
        to->integer = json_integer_value(from);
        to->real = (double)to->integer;
        break;
    case JSON_REAL:
        to->kind = FV_JSON_REAL;
        to->real = json_real_value(from);
        break;
    case JSON_STRING:
        to->kind = FV_JSON_STRING;
        to->text = fv_strdup(ctx, json_string_value(from));
        break;
    case JSON_ARRAY:
        to->kind = FV_JSON_ARRAY;
        to->n = (int)json_array_size(from);
        to->items = FV_NEWN(ctx, const fv_json *, to->n);
        for (int i = 0; i < to->n; i++) to->items[i] = copy(ctx, json_array_get(from, (size_t)i));
        break;
    case JSON_OBJECT:
        to->kind = FV_JSON_OBJECT;
        to->n = (int)json_object_size(from);
        to->keys = FV_NEWN(ctx, const char *, to->n);
        to->items = FV_NEWN(ctx, const fv_json *, to->n);
        int i = 0;
        for (void *at = json_object_iter(from); at; at = json_object_iter_next(from, at), i++) {
            to->keys[i] = fv_strdup(ctx, json_object_iter_key(at));
            to->items[i] = copy(ctx, json_object_iter_value(at));
        }
        break;
    }
    return to;
}

const fv_json *fv_json_parse(fv_ctx *ctx, const char *label, const char *text, size_t n) {
    json_error_t error;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        fv_loc loc = {fv_intern(ctx, label), error.line > 0 ? error.line : 0};
        fv_error(ctx, FV_E_FORMAT, loc, "column %d: %s", error.column, error.text);
        return NULL;
    }
    const fv_json *tree = copy(ctx, root);
    json_decref(root);
    return tree;
}

const fv_json *fv_json_read(fv_ctx *ctx, const char *path) {
    fv_bytes file;
    if (!fv_file_read(ctx, path, JSON_CAP, &file)) return NULL;
    const fv_json *tree = fv_json_parse(ctx, path, (const char *)file.data, file.n);
    fv_bytes_dispose(&file);
    return tree;
}

const char *fv_json_kind_name(fv_json_kind kind) {
    static const char *const names[] = {"null", "true or false", "a whole number", "a number", "a text", "an array",
                                        "an object"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

const fv_json *fv_json_get(const fv_json *object, const char *key) {
    if (!object || object->kind != FV_JSON_OBJECT) return NULL;
    for (int i = 0; i < object->n; i++)
        if (strcmp(object->keys[i], key) == 0) return object->items[i];
    return NULL;
}
const fv_json *fv_json_at(const fv_json *array, int i) {
    return array && array->kind == FV_JSON_ARRAY && i >= 0 && i < array->n ? array->items[i] : NULL;
}

/* The value if it is there and of the kind (or one more); otherwise NULL and *good says whether that is fine. */
static const fv_json *typed(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                            fv_json_kind kind, fv_json_kind also, bool *good) {
    const fv_json *v = fv_json_get(object, key);
    *good = v ? v->kind == kind || v->kind == also : !required;
    if (*good) return v;
    if (v)
        fv_error(ctx, FV_E_CONFIG, (fv_loc){0}, "%s: \"%s\" must be %s, is %s", label, key, fv_json_kind_name(kind),
                 fv_json_kind_name(v->kind));
    else fv_error(ctx, FV_E_CONFIG, (fv_loc){0}, "%s: \"%s\" is missing", label, key);
    return NULL;
}

bool fv_json_get_int(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                     int64_t *out) {
    bool good;
    const fv_json *v = typed(ctx, label, object, key, required, FV_JSON_INT, FV_JSON_INT, &good);
    if (v) *out = v->integer;
    return good;
}
bool fv_json_get_real(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                      double *out) {
    bool good;
    const fv_json *v = typed(ctx, label, object, key, required, FV_JSON_REAL, FV_JSON_INT, &good);
    if (v) *out = v->real;
    return good;
}
bool fv_json_get_bool(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                      bool *out) {
    bool good;
    const fv_json *v = typed(ctx, label, object, key, required, FV_JSON_BOOL, FV_JSON_BOOL, &good);
    if (v) *out = v->truth;
    return good;
}
bool fv_json_get_text(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                      const char **out) {
    bool good;
    const fv_json *v = typed(ctx, label, object, key, required, FV_JSON_STRING, FV_JSON_STRING, &good);
    if (v) *out = v->text;
    return good;
}

bool fv_json_get_reals(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required, int n,
                       double *out) {
    bool good;
    const fv_json *v = typed(ctx, label, object, key, required, FV_JSON_ARRAY, FV_JSON_ARRAY, &good);
    if (!v) return good;
    bool numbers = v->n == n;
    for (int i = 0; numbers && i < n; i++)
        numbers = v->items[i]->kind == FV_JSON_REAL || v->items[i]->kind == FV_JSON_INT;
    if (!numbers) {
        fv_error(ctx, FV_E_CONFIG, (fv_loc){0}, "%s: \"%s\" must be an array of %d numbers", label, key, n);
        return false;
    }
    for (int i = 0; i < n; i++) out[i] = v->items[i]->real;
    return true;
}

void fv_json_quote(fv_buf *out, const char *s) {
    fv_buf_puts(out, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') fv_buf_printf(out, "\\%c", c);
        else if (c < 0x20) fv_buf_printf(out, "\\u%04x", c);
        else fv_buf_putn(out, s, 1);
    }
    fv_buf_puts(out, "\"");
}
