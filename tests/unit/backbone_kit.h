/* Backbones under test: opening one without weights, its parameter count, and its agreement with a published checkpoint
 * and published logits. */
#ifndef FV_TEST_BACKBONE_KIT_H
#define FV_TEST_BACKBONE_KIT_H
#include "test_dsl_case.h"

#include <criterion/criterion.h>

typedef struct { fv_ctx *ctx; fv_spec spec; bool good; char *report; } net;

/* A spec of specs/`folder`; o NULL: declared without weights. */
static inline net open_spec(const char *folder, const char *name, const char *variant, const fv_spec_options *o) {
    net n = {.ctx = fv_ctx_new()};
    fv_spec_options given = o ? *o : (fv_spec_options){.declare = true};
    char path[600];
    snprintf(path, sizeof path, "%s/%s/%s.lua", FOVEA_SPEC_DIR, folder, name);
    given.spec_dir = FOVEA_SPEC_DIR;
    n.good = fv_spec_load(n.ctx, path, variant, &given, &n.spec);
    fv_buf b = {0};
    fv_buf_puts(&b, "");
    fv_diag_render(n.ctx, &b);
    n.report = b.text;
    return n;
}
static inline net open_net(const char *family, const char *variant, const fv_spec_options *o) {
    return open_spec("backbones", family, variant, o);
}
static inline void close_net(net *n) {
    free(n->report);
    fv_ctx_dispose(n->ctx);
}
static inline net with_sets(const char *family, const char *variant, int n, const char *const *keys,
                            const char *const *values) {
    fv_spec_options o = {.declare = true, .n_sets = n, .set_key = keys, .set_value = values};
    return open_net(family, variant, &o);
}

static inline int64_t stored_extent(const fv_node *leaf, int d) {
    const fv_stored_dim *dim = &leaf->u.leaf.stored.dim[d];
    int64_t n = 1;
    for (int j = 0; j < dim->n; j++) n *= leaf->result[0]->axis[dim->axis[j]].extent;
    return n;
}
static inline bool is_statistic(const char *name) {
    return strstr(name, "running_mean") || strstr(name, "running_var");
}
/* As published: without running statistics. */
static inline long long parameters(const net *n) {
    long long total = 0;
    for (int i = 0; i < n->spec.graph->n_nodes; i++) {
        const fv_node *p = n->spec.graph->node[i];
        if (p->op != FV_NODE_PARAM || is_statistic(fv_cstr(n->ctx, p->u.leaf.name))) continue;
        total += fv_value_count(p->result[0]);
    }
    return total;
}

/* Parameters exactly; macs, multiply-adds in G, within 2 %. */
static inline void expect_cost(const char *family, const char *variant, long long count, double macs) {
    net n = open_net(family, variant, NULL);
    cr_expect(n.good, "%s:%s\n%s", family, variant, n.report);
    if (n.good) {
        fv_cost cost;
        fv_graph_cost(n.spec.graph, &cost);
        cr_expect_eq(parameters(&n), count, "%s:%s has %lld parameters, not %lld", family, variant, parameters(&n),
                     count);
        cr_expect(fabs(cost.macs * 1e-9 / macs - 1) < 0.02, "%s:%s: %.4f G, not %.4f G", family, variant,
                  cost.macs * 1e-9, macs);
        cr_expect_eq(fv_graph_verify(n.spec.graph), 0, "%s:%s", family, variant);
    }
    close_net(&n);
}

/* A module as a spec of its own, declared without weights: its parameters exactly, one output. shapes: the extents. */
static inline void expect_module(const char *name, const char *config, const fv_spec_options *shapes, long long count) {
    fv_spec_options o = *shapes;
    o.declare = true;
    o.config_json = config;
    net n = open_spec("attention", name, NULL, &o);
    cr_expect(n.good, "%s: %s", name, n.report);
    if (n.good) {
        cr_expect_eq(fv_graph_verify(n.spec.graph), 0, "%s", name);
        cr_expect_eq(parameters(&n), count, "%s has %lld parameters, not %lld", name, parameters(&n), count);
        cr_expect_eq(n.spec.graph->n_outputs, 1, "%s", name);
    }
    close_net(&n);
}

/* Names and shapes: every tensor of the checkpoint and no other. */
static inline void expect_checkpoint(const char *family, const char *variant, const char *folder) {
    golden_case c;
    char path[800];
    snprintf(path, sizeof path, "%s/goldens/%s", FOVEA_TESTS_DIR, folder);
    cr_assert(case_open(&c, path), "%s", path);
    net n = open_net(family, variant, NULL);
    cr_assert(n.good, "%s", n.report);
    int found = 0;
    for (int i = 0; i < n.spec.graph->n_nodes; i++) {
        const fv_node *p = n.spec.graph->node[i];
        if (p->op != FV_NODE_PARAM) continue;
        const char *name = fv_cstr(n.ctx, p->u.leaf.name);
        const case_tensor *t = case_find(c.param, c.n_params, name);
        cr_expect(t != NULL, "%s:%s: '%s' is in no checkpoint", family, variant, name);
        if (!t) continue;
        found++;
        cr_expect_eq(t->rank, p->u.leaf.stored.rank, "%s: rank %d, stored %d", name, p->u.leaf.stored.rank, t->rank);
        for (int d = 0; d < t->rank && d < p->u.leaf.stored.rank; d++)
            cr_expect_eq(stored_extent(p, d), t->shape[d], "%s: dimension %d", name, d);
    }
    cr_expect_eq(found, c.n_params, "%s:%s declares %d of %d stored tensors", family, variant, found, c.n_params);
    cr_expect_eq(parameters(&n), json_integer_value(json_object_get(c.meta, "parameters")));
    close_net(&n);
    case_close(&c);
}

/* The logits of a golden case through the reference. */
static inline void expect_logits(const char *family, const char *variant, const char *folder) {
    golden_case c;
    char path[800];
    snprintf(path, sizeof path, "%s/goldens/%s", FOVEA_TESTS_DIR, folder);
    cr_assert(case_open(&c, path), "%s", path);
    fv_spec_options o = {.input_shape = case_input_shape, .param_shape = case_param_shape, .user = &c};
    net n = open_net(family, variant, &o);
    cr_assert(n.good, "%s", n.report);
    double *out = NULL, worst = 0, scale = 0;
    c.ctx = n.ctx;
    cr_assert(fv_reference_run(n.spec.graph, (fv_str){0}, case_source, &c, &out, NULL, NULL));
    for (int64_t i = 0; i < case_count(&c.expect[0]); i++) {
        double want = c.expect[0].data[i], error = fabs(out[i] - want);
        worst = error > worst || isnan(error) ? error : worst;
        scale = fmax(scale, fabs(want));
    }
    cr_expect(worst <= 1e-6 * scale, "%s:%s: off by %.3g of %.3g", family, variant, worst, scale);
    free(out);
    close_net(&n);
    case_close(&c);
}

/* Refused with this code and a message that holds `part`. key NULL: no setting. */
static inline void refused(const char *family, const char *variant, const char *key, const char *value, fv_code code,
                           const char *part) {
    net n = with_sets(family, variant, key != NULL, &key, &value);
    cr_expect(!n.good, "%s:%s with %s=%s is accepted", family, variant, key, value);
    cr_expect(fv_diag_count(n.ctx) > 0 && fv_diag_at(n.ctx, 0)->code == code, "%s:%s %s=%s: %s", family, variant, key,
              value, n.report);
    cr_expect(strstr(n.report, part) != NULL, "%s:%s %s=%s: '%s' is not in: %s", family, variant, key, value, part,
              n.report);
    close_net(&n);
}
#endif
