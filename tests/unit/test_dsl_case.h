/* A golden case: its shapes for the spec, its tensors for the reference, and the comparison. Format and seeded rule:
 * tests/goldens/README.md. */
#ifndef FV_TEST_DSL_CASE_H
#define FV_TEST_DSL_CASE_H
#include "dsl/dsl.h"
#include "backends/reference/reference.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASE_MAX = 4000 };
typedef struct { char name[160], dtype[8], rule[64]; int rank; int64_t shape[16]; double *data; } case_tensor;
typedef struct {
    fv_ctx *ctx;                                        /* of the run: set before case_source is used */
    json_t *meta;
    int n_inputs, n_params, n_expect;
    case_tensor input[32], *param, expect[64];
    char *config;
    double tolerance;
    uint64_t seed;
} golden_case;

static inline int64_t case_count(const case_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

/* The seeded rule. */
static inline void case_make(case_tensor *t, uint64_t seed) {
    const uint64_t golden = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (const char *p = t->name; *p; p++) h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001B3);
    h ^= seed * golden;
    char kind[16] = "";
    double a = 0, b = 0;
    sscanf(t->rule, "%15[a-z]:%lf:%lf", kind, &a, &b);
    bool real = t->dtype[0] == 'F';
    int64_t n = case_count(t);
    t->data = malloc((size_t)(n + 1) * sizeof *t->data);
    for (int64_t i = 0; i < n; i++) {
        uint64_t x = h + (uint64_t)(i + 1) * golden;
        x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
        x ^= x >> 31;
        uint64_t fields = (x & 0xFFFF) + ((x >> 16) & 0xFFFF) + ((x >> 32) & 0xFFFF) + ((x >> 48) & 0xFFFF);
        double z = ((double)fields - 131070.0) / 37837.2;
        double u = (double)(x >> 11) * 0x1p-53, y = a;
        if (!strcmp(kind, "normal")) y = z * a;
        else if (!strcmp(kind, "around")) y = a + z * b;
        else if (!strcmp(kind, "uniform")) y = a + u * (b - a);
        else if (!strcmp(kind, "ints")) y = floor(a + u * (b - a));
        t->data[i] = real ? (double)(float)y : trunc(y);
    }
}

static inline char *case_slurp(const char *folder, const char *name, size_t *out_n) {
    char path[1000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *s = malloc((size_t)n + 1);
    *out_n = fread(s, 1, (size_t)n, f);
    s[*out_n] = 0;
    fclose(f);
    return s;
}

static inline double case_element(const char *dtype, const unsigned char *p) {
    float f; double d; int64_t l; int32_t i;
    if (!strcmp(dtype, "F32")) { memcpy(&f, p, 4); return (double)f; }
    if (!strcmp(dtype, "F64")) { memcpy(&d, p, 8); return d; }
    if (!strcmp(dtype, "I64")) { memcpy(&l, p, 8); return (double)l; }
    if (!strcmp(dtype, "I32")) { memcpy(&i, p, 4); return (double)i; }
    return (double)*p;
}

/* Reads a safetensors file made by the goldens' own writer (trusted) into list; returns how many. */
static inline int case_safetensors(const char *folder, const char *file, case_tensor *list, int cap) {
    size_t len;
    char *s = case_slurp(folder, file, &len);
    if (!s) return 0;
    uint64_t head;
    memcpy(&head, s, 8);
    json_t *j = json_loadb(s + 8, (size_t)head, 0, NULL), *item;
    const char *name;
    int n = 0;
    json_object_foreach(j, name, item) {
        if (!strcmp(name, "__metadata__") || n == cap) continue;
        case_tensor *t = &list[n++];
        memset(t, 0, sizeof *t);
        snprintf(t->name, sizeof t->name, "%s", name);
        snprintf(t->dtype, sizeof t->dtype, "%s", json_string_value(json_object_get(item, "dtype")));
        json_t *shape = json_object_get(item, "shape");
        t->rank = (int)json_array_size(shape);
        for (int i = 0; i < t->rank; i++) t->shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
        json_t *offsets = json_object_get(item, "data_offsets");
        const unsigned char *p = (const unsigned char *)s + 8 + head + json_integer_value(json_array_get(offsets, 0));
        int64_t count = case_count(t);
        size_t size = !strcmp(t->dtype, "F32") || !strcmp(t->dtype, "I32") ? 4 : t->dtype[1] == '6' ? 8 : 1;
        t->data = malloc((size_t)(count + 1) * sizeof *t->data);
        for (int64_t i = 0; i < count; i++) t->data[i] = case_element(t->dtype, p + (size_t)i * size);
    }
    json_decref(j);
    free(s);
    return n;
}

static inline void case_params(golden_case *c, const char *folder) {
    size_t len;
    char *s = case_slurp(folder, "params.tsv", &len), *save = NULL;
    c->param = calloc(CASE_MAX, sizeof *c->param);
    for (char *line = s ? strtok_r(s, "\n", &save) : NULL; line && c->n_params < CASE_MAX; line = strtok_r(NULL, "\n",
        &save)) {
        char shape[100] = "";
        case_tensor *t = &c->param[c->n_params];
        if (*line == '#') continue;
        char *field[4] = {line, NULL, NULL, NULL};
        for (int i = 1; i < 4; i++) if (field[i - 1] && (field[i] = strchr(field[i - 1], '\t'))) *field[i]++ = 0;
        if (!field[3]) continue;
        snprintf(t->name, sizeof t->name, "%s", field[0]);
        snprintf(t->dtype, sizeof t->dtype, "%s", field[1]);
        snprintf(shape, sizeof shape, "%s", field[2]);
        snprintf(t->rule, sizeof t->rule, "%s", field[3]);
        for (char *p = shape; *p && t->rank < 16; p += *p == ',') t->shape[t->rank++] = strtoll(p, &p, 10);
        c->n_params++;
    }
    free(s);
}

static inline bool case_open(golden_case *c, const char *folder) {
    memset(c, 0, sizeof *c);
    size_t len;
    char *s = case_slurp(folder, "case.json", &len);
    if (!s) return false;
    c->meta = json_loads(s, 0, NULL);
    free(s);
    c->config = json_dumps(json_object_get(c->meta, "config"), 0);
    c->tolerance = json_number_value(json_object_get(c->meta, "tolerance"));
    c->seed = (uint64_t)json_integer_value(json_object_get(c->meta, "seed"));
    case_tensor stored[32];
    int n_stored = case_safetensors(folder, "inputs.safetensors", stored, 32);
    json_t *inputs = json_object_get(c->meta, "inputs"), *item;
    size_t at;
    json_array_foreach(inputs, at, item) {
        case_tensor *t = &c->input[c->n_inputs++];
        snprintf(t->name, sizeof t->name, "%s", json_string_value(json_object_get(item, "name")));
        snprintf(t->dtype, sizeof t->dtype, "%s", json_string_value(json_object_get(item, "dtype")));
        snprintf(t->rule, sizeof t->rule, "%s", json_string_value(json_object_get(item, "rule")));
        json_t *shape = json_object_get(item, "shape");
        t->rank = (int)json_array_size(shape);
        for (int i = 0; i < t->rank; i++) t->shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
        for (int i = 0; i < n_stored; i++)
            if (!strcmp(stored[i].name, t->name)) { t->data = stored[i].data; stored[i].data = NULL; }
        if (!t->data) case_make(t, c->seed);
    }
    for (int i = 0; i < n_stored; i++) free(stored[i].data);
    case_params(c, folder);
    c->n_expect = case_safetensors(folder, "expect.safetensors", c->expect, 64);
    return true;
}

static inline void case_close(golden_case *c) {
    for (int i = 0; i < c->n_inputs; i++) free(c->input[i].data);
    for (int i = 0; i < c->n_params; i++) free(c->param[i].data);
    for (int i = 0; i < c->n_expect; i++) free(c->expect[i].data);
    free(c->param);
    free(c->config);
    json_decref(c->meta);
}

static inline case_tensor *case_find(case_tensor *list, int n, const char *name) {
    for (int i = 0; i < n; i++) if (!strcmp(list[i].name, name)) return &list[i];
    return NULL;
}
static inline bool case_info(case_tensor *t, fv_shape_info *out) {
    if (!t) return false;
    *out = (fv_shape_info){.name = t->name, .rank = t->rank};
    memcpy(out->shape, t->shape, sizeof t->shape);
    out->type = t->dtype[0] == 'B' ? FV_BOOL : t->dtype[0] == 'I' || t->dtype[0] == 'U' ? FV_I32 : FV_F32;
    return true;
}
static inline bool case_input_shape(void *user, const char *name, fv_shape_info *out) {
    golden_case *c = user;
    return case_info(case_find(c->input, c->n_inputs, name), out);
}
static inline bool case_param_shape(void *user, const char *name, fv_shape_info *out) {
    golden_case *c = user;
    return case_info(case_find(c->param, c->n_params, name), out);
}
/* fv_ref_source over a case. */
static inline bool case_source(void *user, const fv_node *leaf, double *out, int64_t count) {
    golden_case *c = user;
    const char *name = fv_cstr(c->ctx, leaf->u.leaf.name);
    bool input = leaf->op == FV_NODE_INPUT;
    case_tensor *t = case_find(input ? c->input : c->param, input ? c->n_inputs : c->n_params, name);
    if (!t || case_count(t) != count) return false;
    if (!t->data) case_make(t, c->seed);
    memcpy(out, t->data, (size_t)count * sizeof *out);
    return true;
}

/* Runs a spec on a case. Fills `report` with one line per output of the case that the spec answers, or with
 * diagnostics. Returns the
 * number of outputs that are right, or -1 after any wrong one or a failure; *out_missing: outputs of the case not
 * answered. */
static inline int case_run(golden_case *c, const char *spec_path, const char *case_name, const char *spec_dir,
                           fv_buf *report, int *out_missing) {
    fv_ctx *ctx = c->ctx = fv_ctx_new();
    fv_spec_options o = {.config_json = c->config, .case_name = case_name, .input_shape = case_input_shape,
        .param_shape = case_param_shape,
        .user = c, .spec_dir = spec_dir};
    fv_spec spec;
    double **out = NULL;
    int right = 0;
    *out_missing = c->n_expect;
    bool good = fv_spec_load(ctx, spec_path, NULL, &o, &spec);
    if (good) {
        out = calloc((size_t)spec.graph->n_outputs + 1, sizeof *out);
        good = fv_reference_run(spec.graph, (fv_str){0}, case_source, c, out, NULL, NULL);
    }
    for (int i = 0; good && i < spec.graph->n_outputs; i++) {
        const fv_output *x = &spec.graph->output[i];
        case_tensor *want = case_find(c->expect, c->n_expect, fv_cstr(ctx, x->name));
        if (!want) continue;
        --*out_missing;
        int64_t n = fv_value_count(x->value), differ = 0;
        double worst = 0, scale = 0;
        if (n != case_count(want)) {
            fv_buf_printf(report, "  %s: %lld elements, wanted %lld\n", want->name, (long long)n,
                          (long long)case_count(want));
            right = -1;
            break;
        }
        for (int64_t e = 0; e < n; e++) {
            double d = fabs(out[i][e] - want->data[e]);
            if (!(d <= worst)) worst = isnan(d) ? INFINITY : d;
            if (fabs(want->data[e]) > scale) scale = fabs(want->data[e]);
            differ += out[i][e] != want->data[e];
        }
        bool real = want->dtype[0] == 'F', fine = real ? worst <= c->tolerance * fmax(scale, 1e-30) : differ == 0;
        if (real)
            fv_buf_printf(report, "  %s: %.2e of the largest%s\n", want->name, worst / fmax(scale, 1e-30), fine ? ""
                          : "  WRONG");
        else
            fv_buf_printf(report, "  %s: %lld integers differ%s\n", want->name, (long long)differ, fine ? ""
                          : "  WRONG");
        right = !fine || right < 0 ? -1 : right + 1;
    }
    if (!good) { fv_diag_render(ctx, report); right = -1; }
    for (int i = 0; out && i < spec.graph->n_outputs; i++) free(out[i]);
    free(out);
    fv_ctx_dispose(ctx);
    return right;
}
#endif
