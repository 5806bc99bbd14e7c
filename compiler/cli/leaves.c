/* The numbers of inputs and parameters: from the files given, or made from the session's seed. Invariant: a leaf is
 * read or made once per session and dtype, and every user of it sees the same memory. */
#include "api/given.h"
#include "cli/host.h"
#include "io/seed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 256 << 20 }; /* bytes from which the machine's memory is looked at */

static bool ends(const char *s, const char *tail) {
    size_t a = strlen(s), b = strlen(tail);
    return a >= b && !strcmp(s + a - b, tail);
}

/* Rank two and more: normal with the fan-in's deviation; norms around one; variances positive; the rest small. */
const char *cli_seed_rule(fv_ctx *ctx, const char *name, int rank, const int64_t *shape) {
    if (ends(name, "running_var")) return "uniform:0.5:1.5";
    double fan = 1;
    for (int i = 1; i < rank; i++) fan *= (double)shape[i];
    if (rank >= 2) return fv_printf(ctx, "normal:%.17g", sqrt(1 / (fan > 0 ? fan : 1)));
    return ends(name, ".weight") || !strcmp(name, "weight") ? "around:1:0.2" : "normal:0.1";
}
fovea_dtype cli_leaf_dtype(const fv_node *leaf) {
    if (!fv_type_is_float(leaf->result[0]->obj.type)) return FOVEA_I32;
    if (leaf->op == FV_NODE_INPUT && leaf->u.leaf.stored_type == FV_BF16) return FOVEA_BF16;
    return leaf->op == FV_NODE_INPUT && leaf->u.leaf.stored_type == FV_F16 ? FOVEA_F16 : FOVEA_F32;
}
static const char *rule_text(fv_ctx *ctx, const cli_session *s, const fv_node *leaf, bool real, const int64_t *shape) {
    const char *name = fv_cstr(ctx, leaf->u.leaf.name);
    const fv_obj *o = &leaf->result[0]->obj;
    if (leaf->op != FV_NODE_PARAM && o->ranged)
        return fv_printf(ctx, "ints:%lld:%lld", (long long)o->lo, (long long)o->hi + 1);
    if (s->whole_numbers && real) return ends(name, "running_var") ? "ints:1:4" : "ints:-2:3";
    if (leaf->op == FV_NODE_PARAM) return cli_seed_rule(ctx, name, leaf->u.leaf.stored.rank, shape);
    return real ? "normal:1" : "ints:0:2";
}
static bool fill(fv_ctx *ctx, cli_session *s, const fv_node *leaf, fovea_dtype dtype, const int64_t *shape,
                 int64_t count, void *out) {
    const char *name = fv_cstr(ctx, leaf->u.leaf.name);
    int rank = leaf->u.leaf.stored.rank;
    bool param = leaf->op == FV_NODE_PARAM;
    fv_code code = param ? FV_E_WEIGHTS : FV_E_INPUT;
    const fovea_stored *t = param ? (s->weights ? fv_weights_find(s->weights, name) : NULL) : cli_given_input(s, name);
    if (t) {
        bool fits = t->rank == rank;
        for (int i = 0; fits && i < rank; i++) fits = t->shape[i] == shape[i];
        int64_t bad;
        if (fits && fovea_stored_convert(t, dtype, out, &bad)) return true;
        fv_error(ctx, code, leaf->loc,
                 fits ? "%s: an element cannot be converted" : "%s does not have the shape that the spec gives it",
                 name);
        return false;
    }
    if (param ? s->weights != NULL : s->n_inputs > 0) {
        fv_error(ctx, code, leaf->loc, "%s %s is not in the file given", param ? "the parameter" : "the input", name);
        return false;
    }
    fv_rule rule;
    const char *text = rule_text(ctx, s, leaf, dtype == FOVEA_F32 || dtype == FOVEA_BF16 || dtype == FOVEA_F16, shape);
    return fv_rule_parse(ctx, leaf->loc, text, &rule) &&
           fv_seed_fill(&rule, name, (uint64_t)s->seed, fovea_storage_of(dtype), count, out);
}
/* Memory that is not there must not be asked for: the system hands it out and ends the process when it is used. */
static bool memory_left(fv_ctx *ctx, const fv_node *leaf, double bytes) {
    cli_host h;
    if (bytes < LARGE) return true;
    cli_host_read(&h);
    if (!h.available_bytes || bytes < 0.9 * (double)h.available_bytes) return true;
    fv_error(ctx, FV_E_RUN, leaf->loc, "%s takes %.1f GB, and %.1f GB are available", fv_cstr(ctx, leaf->u.leaf.name),
             1e-9 * bytes, 1e-9 * (double)h.available_bytes);
    return false;
}
const void *cli_leaf(fv_ctx *ctx, cli_session *s, const fv_node *leaf, fovea_dtype dtype, int64_t *count) {
    int64_t shape[FV_MAX_AXES];
    *count = fv_given_extents(leaf, shape);
    for (int i = 0; i < s->n_leaves; i++)
        if (s->leaf[i].node == leaf && s->leaf[i].dtype == dtype) return s->leaf[i].data;
    if (!memory_left(ctx, leaf, (double)*count * (double)fovea_dtype_size(dtype))) return NULL;
    void *data = calloc((size_t)(*count > 0 ? *count : 1) + 16, (size_t)fovea_dtype_size(dtype));
    if (s->n_leaves == s->cap_leaves) {
        int cap = s->cap_leaves ? 2 * s->cap_leaves : 64;
        void *grown = realloc(s->leaf, sizeof *s->leaf * (size_t)cap);
        if (grown) {
            s->leaf = grown;
            s->cap_leaves = cap;
        }
    }
    if (!data || s->n_leaves == s->cap_leaves)
        fv_error(ctx, FV_E_RUN, leaf->loc, "not enough memory for %s", fv_cstr(ctx, leaf->u.leaf.name));
    else if (fill(ctx, s, leaf, dtype, shape, *count, data)) {
        s->leaf[s->n_leaves++] = (cli_leaf_data){leaf, dtype, data};
        return data;
    }
    free(data);
    return NULL;
}
const fv_node *cli_find_leaf(const fv_graph *g, fv_node_op op, const char *name) {
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->op == op && !strcmp(fv_cstr(g->ctx, g->node[i]->u.leaf.name), name)) return g->node[i];
    return NULL;
}
bool cli_bind(fv_ctx *ctx, cli_session *s, const fv_compiled *c, fovea_model *m) {
    fovea_error e;
    const fovea_safetensors *file = s->weights ? fv_weights_file(s->weights) : NULL;
    if (file) return fovea_model_bind_file(m, file, &e) ? cli_runtime_error(ctx, FV_E_WEIGHTS, &e) : true;
    fovea_named_tensor *list = FV_NEWN(ctx, fovea_named_tensor, c->program.n_arrays + 1);
    int32_t n = 0;
    for (const fovea_array *a; (a = fovea_model_param(m, n)); n++) {
        const fv_node *leaf = cli_find_leaf(s->spec.graph, FV_NODE_PARAM, a->name);
        int64_t count;
        const void *data = leaf ? cli_leaf(ctx, s, leaf, a->dtype, &count) : NULL;
        if (!data) return false;
        list[n] = (fovea_named_tensor){
            a->name, fovea_tensor((void *)(uintptr_t)data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape)};
    }
    return fovea_model_bind(m, list, n, &e) ? cli_runtime_error(ctx, FV_E_WEIGHTS, &e) : true;
}
bool cli_leaves_write(fv_ctx *ctx, const cli_session *s, const char *path) {
    fovea_stored *list = FV_NEWN(ctx, fovea_stored, s->n_leaves + 1);
    for (int i = 0; i < s->n_leaves; i++) {
        const fv_node *n = s->leaf[i].node;
        list[i] = (fovea_stored){.name = fv_cstr(ctx, n->u.leaf.name),
                                 .storage = fovea_storage_of(s->leaf[i].dtype),
                                 .rank = n->u.leaf.stored.rank,
                                 .data = s->leaf[i].data};
        fv_given_extents(n, list[i].shape);
    }
    fovea_error e;
    if (fovea_safetensors_write(path, list, s->n_leaves, NULL, &e)) return cli_runtime_error(ctx, FV_E_FILE, &e);
    return true;
}
