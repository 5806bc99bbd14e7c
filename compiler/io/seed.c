/* Seeded numbers (seed.h). Every step is one rounding of f64, in the order written, so that the bits are the same
 * everywhere: compiled without contraction. */
#include "io/seed.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

static const uint64_t GOLDEN = UINT64_C(0x9E3779B97F4A7C15);

uint64_t fv_seed_key(const char *name, uint64_t seed) {
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) h = (h ^ *p) * UINT64_C(0x100000001B3);
    return h ^ seed * GOLDEN;
}

static uint64_t word(uint64_t key, int64_t i) {
    uint64_t x = key + ((uint64_t)i + 1) * GOLDEN;
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

double fv_seed_value(const fv_rule *r, uint64_t key, int64_t i) {
    if (r->kind == FV_RULE_CONST) return r->a;
    uint64_t w = word(key, i);
    if (r->kind == FV_RULE_NORMAL || r->kind == FV_RULE_AROUND) {
        uint64_t sum = (w & 0xffff) + (w >> 16 & 0xffff) + (w >> 32 & 0xffff) + (w >> 48);
        double z = ((double)sum - 131070.0) / 37837.2;
        return r->kind == FV_RULE_NORMAL ? z * r->a : r->a + z * r->b;
    }
    double u = (double)(w >> 11) * 0x1p-53, v = r->a + u * (r->b - r->a);
    return r->kind == FV_RULE_INTS ? floor(v) : v;
}

bool fv_rule_parse(fv_ctx *ctx, fv_loc loc, const char *text, fv_rule *out) {
    static const struct { const char *name; fv_rule_kind kind; int args; } rules[] = {
        {"normal", FV_RULE_NORMAL, 1}, {"around", FV_RULE_AROUND, 2}, {"uniform", FV_RULE_UNIFORM, 2},
        {"ints", FV_RULE_INTS, 2},     {"const", FV_RULE_CONST, 1},
    };
    const char *colon = strchr(text, ':');
    for (size_t i = 0; colon && i < sizeof rules / sizeof *rules; i++) {
        if (strlen(rules[i].name) != (size_t)(colon - text) ||
            strncmp(rules[i].name, text, (size_t)(colon - text)) != 0) continue;
        double args[2] = {0, 0};
        const char *p = colon;
        int n = 0;
        while (n < rules[i].args && *p == ':') {
            char *end;
            args[n] = strtod(p + 1, &end);
            if (end == p + 1 || !isfinite(args[n])) break;
            p = end;
            n++;
        }
        if (n != rules[i].args || *p) break;
        *out = (fv_rule){rules[i].kind, args[0], args[1]};
        return true;
    }
    fv_error(ctx, FV_E_FORMAT, loc, "'%s' is no rule: normal:S, around:M:S, uniform:A:B, ints:A:B or const:V", text);
    return false;
}

/* -- Filling ---- */
static int64_t whole(double v, double low, double high) {        /* high: exactly representable, or 2^63 */
    if (!(v > low)) return (int64_t)low;
    if (v >= high) return high >= 0x1p63 ? INT64_MAX : (int64_t)high;
    return (int64_t)v;
}

static bool store(fovea_storage s, double v, unsigned char *out) {
    float f = (float)v;
    int64_t wide;
    uint64_t natural;
    uint16_t half;
    switch (s) {
    case FOVEA_ST_F64: memcpy(out, &v, 8); return true;
    case FOVEA_ST_F32: memcpy(out, &f, 4); return true;
    case FOVEA_ST_F16: half = fovea_f16_from_double(v); memcpy(out, &half, 2); return true;
    case FOVEA_ST_BF16: half = fovea_bf16_from_double(v); memcpy(out, &half, 2); return true;
    case FOVEA_ST_BOOL: *out = v != 0; return true;
    case FOVEA_ST_I64: wide = whole(v, -0x1p63, 0x1p63); memcpy(out, &wide, 8); return true;
    /* the low bytes come first */
    case FOVEA_ST_I32: wide = whole(v, -0x1p31, 0x1p31 - 1); memcpy(out, &wide, 4); return true;
    case FOVEA_ST_I16: wide = whole(v, -0x1p15, 0x1p15 - 1); memcpy(out, &wide, 2); return true;
    case FOVEA_ST_I8: wide = whole(v, -128, 127); memcpy(out, &wide, 1); return true;
    case FOVEA_ST_U8: wide = whole(v, 0, 255); memcpy(out, &wide, 1); return true;
    case FOVEA_ST_U16: wide = whole(v, 0, 65535); memcpy(out, &wide, 2); return true;
    case FOVEA_ST_U32: wide = whole(v, 0, 0x1p32 - 1); memcpy(out, &wide, 4); return true;
    case FOVEA_ST_U64:
        natural = !(v > 0) ? 0 : v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
        memcpy(out, &natural, 8);
        return true;
    default: return false;
    }
}

bool fv_seed_fill(const fv_rule *rule, const char *name, uint64_t seed, fovea_storage storage, int64_t count,
                  void *out) {
    uint64_t key = fv_seed_key(name, seed);
    int64_t size = fovea_storage_size(storage);
    unsigned char *p = out;
    for (int64_t i = 0; i < count; i++, p += size)
        if (!store(storage, fv_seed_value(rule, key, i), p)) return false;
    return true;
}

/* -- Tables ---- */
enum { TABLE_CAP = 64 << 20 };

static bool parse_shape(const char *text, fovea_stored *t) {
    int64_t n = fovea_storage_size(t->storage);
    bool empty = false;
    for (const char *p = text; *p;) {
        char *end;
        if (*p < '0' || *p > '9' || t->rank == FOVEA_MAX_RANK) return false;
        long long v = strtoll(p, &end, 10);
        if (*end == ',') end++;
        else if (*end) return false;
        p = end;
        t->shape[t->rank++] = v;
        if (v == 0) empty = true;
        else if (__builtin_mul_overflow(n, (int64_t)v, &n)) return false;
    }
    t->bytes = empty ? 0 : n;
    t->count = empty ? 0 : n / fovea_storage_size(t->storage);
    return t->bytes < INT64_C(1) << 40;
}

typedef struct { fv_seeded *out; fv_rule *rules; int n, cap, cap_rules; int64_t bytes; } table;

static bool add_line(fv_ctx *ctx, fv_loc loc, char *line, table *t) {
    char *fields[4] = {line, NULL, NULL, NULL};
    for (int k = 1; k < 4; k++) {
        char *tab = fields[k - 1] ? strchr(fields[k - 1], '\t') : NULL;
        if (!tab) {
            fv_error(ctx, FV_E_FORMAT, loc, "expected name, dtype, shape and rule with tabs between");
            return false;
        }
        *tab = '\0';
        fields[k] = tab + 1;
    }
    fovea_stored one = {.name = fv_strdup(ctx, fields[0])};
    fv_rule rule;
    if (!fovea_storage_parse(fields[1], strlen(fields[1]), &one.storage) || one.storage == FOVEA_ST_F8_E4M3 ||
        one.storage == FOVEA_ST_F8_E5M2) {
        fv_error(ctx, FV_E_FORMAT, loc, "'%s' is no dtype that a rule can fill", fields[1]);
        return false;
    }
    if (!parse_shape(fields[2], &one) || t->bytes > (INT64_C(1) << 40) - one.bytes) {
        fv_error(ctx, FV_E_FORMAT, loc, "'%s' is no shape, or a too large one", fields[2]);
        return false;
    }
    if (!fv_rule_parse(ctx, loc, fields[3], &rule)) return false;
    int n_rules = t->n;
    t->bytes += (one.bytes + 63) / 64 * 64;
    fv_push(ctx, t->rules, n_rules, t->cap_rules, rule);
    fv_push(ctx, t->out->tensors, t->n, t->cap, one);
    return true;
}

static bool fill_all(fv_ctx *ctx, const char *path, uint64_t seed, const table *t) {
    unsigned char *next = malloc((size_t)t->bytes + 1);
    if (!next) {
        fv_error(ctx, FV_E_FILE, (fv_loc){0}, "%s: no memory for %" PRId64 " bytes of tensors", path, t->bytes);
        return false;
    }
    t->out->memory = next;
    t->out->n = t->n;
    for (int i = 0; i < t->n; i++) {
        fovea_stored *one = &t->out->tensors[i];
        fv_seed_fill(&t->rules[i], one->name, seed, one->storage, one->count, next);
        one->data = next;
        next += (one->bytes + 63) / 64 * 64;
    }
    return true;
}

bool fv_seed_table(fv_ctx *ctx, const char *path, uint64_t seed, fv_seeded *out) {
    *out = (fv_seeded){0};
    fv_bytes file;
    if (!fv_file_read(ctx, path, TABLE_CAP, &file)) return false;
    table t = {.out = out};
    fv_loc loc = {fv_intern(ctx, path), 0};
    bool good = true;
    for (char *line = (char *)file.data; good && *line;) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : line + strlen(line);
        if (end) *end = '\0';
        loc.line++;
        if (*line && *line != '#') good = add_line(ctx, loc, line, &t);
        line = next;
    }
    good = good && fill_all(ctx, path, seed, &t);
    fv_bytes_dispose(&file);
    if (!good) fv_seeded_dispose(out);
    return good;
}

void fv_seeded_dispose(fv_seeded *s) {
    free(s->memory);
    *s = (fv_seeded){0};
}
