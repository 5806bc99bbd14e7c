/* Every golden case through the compiler: spec, plan, machine code of this processor, two threads; weights and inputs
 * made by io/seed.h as the command line makes them. What the published implementations answered decides. Operators and
 * procedures are compared always, whole nets in order of cost: the first ones always, all with FOVEA_TEST_NETS=1. (The
 * same cases through the reference: test_dsl_goldens.c.) A case that the compiler refuses must be refused as not
 * lowered, and few may be. */
#define _DEFAULT_SOURCE
#include "test_dsl_case.h"
#include "io/seed.h"
#include "tests/fuzz/differential.h"

#include <criterion/criterion.h>
#include <dirent.h>

static DLTensor tensor_of(const fovea_array *a, void *data) {
    return fovea_tensor(data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape);
}
/* Elements of a leaf as the model wants them: stored ones converted, others by their rule. NULL after a message. */
static void *leaf_data(golden_case *c, const fovea_array *a, fv_buf *report) {
    bool input = a->place == FOVEA_INPUT;
    case_tensor *t = case_find(input ? c->input : c->param, input ? c->n_inputs : c->n_params, a->name);
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++) n *= a->shape[i];
    if (!t || case_count(t) != n) {
        fv_buf_printf(report, "%s is not in the case, or has another shape\n", a->name);
        return NULL;
    }
    char *p = aligned_alloc(64, ((size_t)n * (size_t)fovea_dtype_size(a->dtype) + 127) / 64 * 64);
    fv_rule rule;
    fovea_storage as = a->dtype == FOVEA_F32 ? FOVEA_ST_F32 : a->dtype == FOVEA_I32 ? FOVEA_ST_I32 : FOVEA_ST_BOOL;
    if (!p) return NULL;
    if (*t->rule && strcmp(t->rule, "stored") && fv_rule_parse(c->ctx, (fv_loc){0}, t->rule, &rule)) {
        if (fv_seed_fill(&rule, t->name, c->seed, as, n, p)) return p;
        fv_buf_printf(report, "%s cannot be made by the rule %s\n", a->name, t->rule);
    } else fv_diag_clear(c->ctx);
    for (int64_t i = 0; t->data && i < n; i++) {
        if (as == FOVEA_ST_F32) ((float *)(void *)p)[i] = (float)t->data[i];
        else if (as == FOVEA_ST_I32) ((int32_t *)(void *)p)[i] = (int32_t)t->data[i];
        else p[i] = t->data[i] != 0;
    }
    return p;
}
typedef struct {
    fovea_named_tensor *weight;
    DLTensor in[64], out[64];
    int32_t n_weights, n_in, n_out;
} tensors;

static bool fill(golden_case *c, const fovea_model *m, tensors *t, fv_buf *report) {
    t->weight = calloc(CASE_MAX, sizeof *t->weight);
    for (const fovea_array *a; (a = fovea_model_param(m, t->n_weights)) && t->n_weights < CASE_MAX; t->n_weights++) {
        void *p = leaf_data(c, a, report);
        if (!p) return false;
        t->weight[t->n_weights] = (fovea_named_tensor){a->name, tensor_of(a, p)};
    }
    for (const fovea_array *a; (a = fovea_model_input(m, t->n_in)) && t->n_in < 64; t->n_in++) {
        void *p = leaf_data(c, a, report);
        if (!p) return false;
        t->in[t->n_in] = tensor_of(a, p);
    }
    for (const fovea_array *a; (a = fovea_model_output(m, t->n_out)) && t->n_out < 64; t->n_out++)
        t->out[t->n_out] = tensor_of(a, aligned_alloc(64, ((size_t)a->bytes + 127) / 64 * 64));
    return true;
}
static double element(const fovea_array *a, const void *p, int64_t i) {
    if (a->dtype == FOVEA_F32) return (double)((const float *)p)[i];
    return a->dtype == FOVEA_I32 ? (double)((const int32_t *)p)[i] : (double)((const unsigned char *)p)[i];
}
/* Largest error over largest magnitude for floats, number of differing elements for integers, against the tolerance. */
static bool compare(golden_case *c, const fovea_model *m, const tensors *t, fv_buf *report) {
    int compared = 0;
    bool fine = true;
    for (int o = 0; o < t->n_out; o++) {
        const fovea_array *a = fovea_model_output(m, o);
        case_tensor *want = case_find(c->expect, c->n_expect, a->name);
        if (!want) continue;
        double worst = 0, scale = 0;
        int64_t n = case_count(want), total = 1;
        for (int i = 0; i < a->rank; i++) total *= a->shape[i];
        bool real = want->dtype[0] == 'F', right = total == n;
        for (int64_t e = 0; right && e < n; e++) {
            double got = element(a, t->out[o].data, e), w = want->data[e],
                   d = got == w || (isnan(got) && isnan(w)) ? 0
                       : real                               ? fabs(got - w)
                                                            : 1;
            if (!(d <= worst)) worst = isnan(d) ? HUGE_VAL : d;
            if (isfinite(w) && fabs(w) > scale) scale = fabs(w);
        }
        right = right && worst <= (real ? c->tolerance * fmax(scale, 1e-30) : 0);
        if (!right)
            fv_buf_printf(report, "%s: off by %.3g of %.3g, tolerance %.3g\n", a->name, worst, scale,
                          c->tolerance * scale);
        fine = fine && right;
        compared++;
    }
    if (!compared) fv_buf_puts(report, "no output of the case is one of the spec's\n");
    return fine && compared > 0;
}
static bool run_model(golden_case *c, fv_compiled *code, fv_buf *report) {
    fovea_error e = {.text = ""};
    fovea_options o = {.threads = 2};
    fovea_model *m = NULL;
    tensors t = {0};
    bool fine = !fovea_model_load(&code->program, &o, &m, &e) && fill(c, m, &t, report) &&
                !fovea_model_bind(m, t.weight, t.n_weights, &e) &&
                !fovea_model_run(m, t.in, t.n_in, t.out, t.n_out, &e);
    if (!fine) fv_buf_printf(report, "runtime: %s\n", e.text);
    return fine && compare(c, m, &t, report); /* memory: the process ends here */
}

static const char *backend, *shape; /* NULL: the first backend; its own choice */
typedef struct {
    const char *folder, *spec, *variant;
    bool net;
} job;
static fv_diff_verdict one_case(void *user, fv_buf *report) {
    const job *j = user;
    golden_case c;
    if (!case_open(&c, j->folder)) {
        fv_buf_puts(report, "the case cannot be read\n");
        return FV_DIFF_WRONG;
    }
    fv_ctx *ctx = c.ctx = fv_ctx_new();
    fv_spec_options o = {.config_json = j->net ? NULL : c.config,
                         .input_shape = case_input_shape,
                         .param_shape = case_param_shape,
                         .user = &c,
                         .spec_dir = FOVEA_SPEC_DIR};
    fv_spec spec;
    fv_compiled code = {0};
    fv_driver_options d = {.backend = backend, .target = shape, .verify = !j->net};
    bool loaded = fv_spec_load(ctx, j->spec, j->variant, &o, &spec);
    if (loaded && fv_compile(ctx, spec.graph, (fv_str){0}, &d, &code))
        return run_model(&c, &code, report) ? FV_DIFF_AGREES : FV_DIFF_WRONG;
    fv_diff_verdict v = loaded ? FV_DIFF_REFUSED : FV_DIFF_WRONG;
    for (int i = 0; i < fv_diag_count(ctx); i++) {
        const fv_diag *x = fv_diag_at(ctx, i);
        if (!x->is_note && x->code != FV_E_NOT_LOWERED && x->code != FV_E_DECLINED) v = FV_DIFF_WRONG;
    }
    fv_diag_render(ctx, report);
    return v;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int ran, refused;

static void operator_case(const char *system, const char *name) {
    char folder[600], spec[600];
    snprintf(folder, sizeof folder, "%s/goldens/%s/%s", FOVEA_TESTS_DIR, system, name);
    snprintf(spec, sizeof spec, "%s/cases/%s.lua", FOVEA_TESTS_DIR, system);
    golden_case c;
    if (!case_open(&c, folder)) return;
    const char *kind = json_string_value(json_object_get(c.meta, "kind"));
    bool net = kind && !strcmp(kind, "net");
    case_close(&c);
    if (net) return;
    job j = {folder, spec, NULL, false};
    fv_buf report = {0};
    fv_diff_verdict v = fv_diff_isolated(one_case, &j, 120, &report);
    cr_expect(v != FV_DIFF_WRONG, "%s/%s: %s", system, name, report.text ? report.text : "");
    if (v == FV_DIFF_REFUSED && getenv("FOVEA_SHOW_REFUSED"))
        fprintf(stderr, "%s/%s refused: %s", system, name, report.text ? report.text : "");
    ran++;
    refused += v == FV_DIFF_REFUSED;
    fv_buf_dispose(&report);
}
static void each_entry(const char *path, void (*fn)(const char *, const char *), const char *first) {
    struct dirent **list;
    int n = scandir(path, &list, NULL, by_name);
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.' && list[i]->d_type == DT_DIR)
            fn(first ? first : list[i]->d_name, first ? list[i]->d_name : NULL);
        free(list[i]);
    }
    if (n >= 0) free(list);
}
static void system_cases(const char *system, const char *unused) {
    char folder[600];
    const char *only = getenv("FOVEA_GOLDEN");
    (void)unused;
    if (only && strcmp(only, system)) return;
    snprintf(folder, sizeof folder, "%s/goldens/%s", FOVEA_TESTS_DIR, system);
    each_entry(folder, operator_case, system);
}
Test(goldens, operators_on_cpu, .timeout = 600) {
    each_entry(FOVEA_TESTS_DIR "/goldens", system_cases, NULL);
    if (getenv("FOVEA_GOLDEN")) return;
    fprintf(stderr, "goldens: %d cases compiled, %d of them refused as not lowered\n", ran, refused);
    cr_expect(ran >= 170, "only %d cases were found", ran);
    cr_expect(refused <= ran / 4, "%d of %d cases are refused", refused, ran);
}

/* A part of them on an OpenCL device, in every shape. The driver is looked for in a child, as it is used in children:
 * drivers do not survive fork. */
static fv_diff_verdict device_here(void *user, fv_buf *report) {
    const fv_backend *b = fv_backend_find("opencl");
    (void)user;
    return b && b->available(report) ? FV_DIFF_AGREES : FV_DIFF_REFUSED;
}
static void on_opencl(const char *as) {
    static const char *const systems[] = {"attention-basics"};
    fv_buf why = {0};
    if (fv_diff_isolated(device_here, NULL, 60, &why) != FV_DIFF_AGREES) {
        fprintf(stderr, "SKIPPED: %s\n", why.text ? why.text : "no OpenCL in this build");
        cr_skip_test("no OpenCL device");
    }
    fv_buf_dispose(&why);
    backend = "opencl";
    shape = as;
    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) system_cases(systems[i], NULL);
    cr_expect(ran > 0 && refused <= ran / 4, "%d of %d cases are refused", refused, ran);
}
Test(goldens, operators_on_opencl_items, .timeout = 600) { on_opencl("scalar"); }
Test(goldens, operators_on_opencl_vectors, .timeout = 600) { on_opencl("cpu"); }

static const struct {
    const char *family, *variant, *folder;
} nets[] = {
    {"efficientnet", "b0", "efficientnet/efficientnet_b0"},
    {"nat", "mini", "neighborhood-attention/mini"},
    {"dinat", "mini", "neighborhood-attention/dinat-mini"},
    {"swin", "tiny_patch4_window7_224", "swin/swin_tiny_patch4_window7_224"},
    {"resnet", "50", "resnet/resnet50"},
    {"convnext", "tiny", "convnext/convnext_tiny"},
    {"vit", "base_patch16_224", "vit/vit_base_patch16_224"},
};
Test(goldens, nets_on_cpu, .timeout = 600) {
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        char folder[600], spec[600];
        snprintf(folder, sizeof folder, "%s/goldens/%s", FOVEA_TESTS_DIR, nets[i].folder);
        snprintf(spec, sizeof spec, "%s/backbones/%s.lua", FOVEA_SPEC_DIR, nets[i].family);
        job j = {folder, spec, nets[i].variant, true};
        fv_buf report = {0};
        double begin = fv_now();
        fv_diff_verdict v = fv_diff_isolated(one_case, &j, 300, &report);
        cr_expect(v == FV_DIFF_AGREES, "%s:%s: %s", nets[i].family, nets[i].variant, report.text ? report.text : "");
        if (getenv("FOVEA_SHOW_REFUSED"))
            fprintf(stderr, "%s:%s %.1f s %s\n", nets[i].family, nets[i].variant, fv_now() - begin,
                    report.text ? report.text : "");
        fv_buf_dispose(&report);
    }
}
