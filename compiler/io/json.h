/* JSON files as trees: configurations, cases, reports read back. */
#ifndef FV_JSON_H
#define FV_JSON_H
#include "base/base.h"

typedef enum { FV_JSON_NULL, FV_JSON_BOOL, FV_JSON_INT, FV_JSON_REAL, FV_JSON_STRING, FV_JSON_ARRAY,
              FV_JSON_OBJECT } fv_json_kind;
typedef struct fv_json fv_json;
struct fv_json {
    fv_json_kind kind;
    bool truth;
    int64_t integer;
    double real;                         /* of INT too */
    const char *text;                    /* UTF-8 without NUL */
    int n;                               /* of an array or object */
    const char **keys;                   /* of an object, in the order of the file; distinct */
    const fv_json **items;
};

/* The tree is the context's. Duplicate keys, NaN, and anything after the value are refused; depth and size are
 * bounded. NULL: FV_E_FILE or FV_E_FORMAT was recorded, with file and line. */
const fv_json *fv_json_read(fv_ctx *ctx, const char *path);
const fv_json *fv_json_parse(fv_ctx *ctx, const char *label, const char *text, size_t n);

const char *fv_json_kind_name(fv_json_kind kind);                /* "an object", "a whole number", ... */
const fv_json *fv_json_get(const fv_json *object, const char *key);   /* NULL: no such key, or no object */
const fv_json *fv_json_at(const fv_json *array, int i);          /* NULL: outside, or no array */

/* object[key] of the kind wanted. A missing key leaves *out as it is and is fine unless `required`. false:
 * FV_E_CONFIG was recorded, starting with `label`. A whole number is a real too. */
bool fv_json_get_int(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                     int64_t *out);
bool fv_json_get_real(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                      double *out);
bool fv_json_get_bool(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required, bool *out);
bool fv_json_get_text(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required,
                      const char **out);
/* An array of exactly n numbers. */
bool fv_json_get_reals(fv_ctx *ctx, const char *label, const fv_json *object, const char *key, bool required, int n,
                       double *out);

/* Writes s as a JSON string with its quotes. */
void fv_json_quote(fv_buf *out, const char *s);
#endif
