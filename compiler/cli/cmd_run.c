/* fovea run: a spec or backbone on inputs or pictures, with weights or seeded numbers. */
#include "backends/reference/reference.h"
#include "cli/cli.h"
#include "cli/pictures.h"
#include "io/npy.h"

#include <stdlib.h>
#include <string.h>

typedef struct { fv_ctx *ctx; cli_session *s; } source;
static bool reference_leaf(void *user, const fv_node *leaf, double *out, int64_t count) {
    source *u = user;
    void *data;
    int64_t n;
    fv_type t = leaf->result[0]->obj.type;
    if (!cli_leaf(u->ctx, u->s, leaf, fv_type_is_float(t) ? FOVEA_F32 : FOVEA_I32, &data, &n)) { free(data); return false; }
    for (int64_t i = 0; i < count && i < n; i++) out[i] = fv_type_is_float(t) ? (double)((float *)data)[i] : (double)((int32_t *)data)[i];
    free(data);
    return true;
}
static void reference_progress(int done, int total, void *user) { (void)user; cli_progress("evaluating %d of %d nodes", done, total); }

typedef struct { int n; fovea_stored tensor[256]; } answers;
static int64_t output_shape(const fv_output *o, fovea_stored *t) {
    t->rank = o->stored.rank;
    t->count = 1;
    for (int d = 0; d < t->rank; d++) {
        t->shape[d] = 1;
        for (int j = 0; j < o->stored.dim[d].n; j++) t->shape[d] *= o->value->axis[o->stored.dim[d].axis[j]].extent;
        t->count *= t->shape[d];
    }
    return t->count;
}
static bool run_reference(fv_ctx *ctx, cli_session *s, answers *out) {
    fv_graph *g = s->spec.graph;
    double **results = FV_NEWN(ctx, double *, g->n_outputs + 1);
    source u = {ctx, s};
    if (!fv_reference_run(g, (fv_str){0}, reference_leaf, &u, results, reference_progress, NULL)) return false;
    for (int i = 0; i < g->n_outputs && out->n < 256; i++) {
        fovea_stored *t = &out->tensor[out->n++];
        bool f = fv_type_is_float(g->output[i].value->obj.type);
        *t = (fovea_stored){.name = fv_cstr(ctx, g->output[i].name), .storage = f ? FOVEA_ST_F32 : FOVEA_ST_I32};
        int64_t n = output_shape(&g->output[i], t);
        char *data = fv_alloc(ctx, (size_t)n * 4 + 4);
        for (int64_t j = 0; j < n; j++) if (f) ((float *)(void *)data)[j] = (float)results[i][j]; else ((int32_t *)(void *)data)[j] = (int32_t)results[i][j];
        t->data = data;
        free(results[i]);
    }
    return true;
}

static const fv_node *find_input(const fv_ctx *ctx, const fv_graph *g, const char *name) {
    for (int i = 0; i < g->n_nodes; i++) if (g->node[i]->op == FV_NODE_INPUT && !strcmp(fv_cstr(ctx, g->node[i]->u.leaf.name), name)) return g->node[i];
    return NULL;
}
static bool run_compiled(fv_ctx *ctx, const cli_args *a, cli_session *s, answers *out, int top) {
    fv_driver_options o = {.backend = cli_value(a, "backend"), .cache_dir = cli_cache_dir(ctx), .attend_strategy = cli_value(a, "attend"), .verify = cli_flag(a, "verify")};
    fv_compiled c;
    fovea_error e;
    fovea_model *m = NULL;
    bool fine = false;
    cli_progress("compiling %s", s->name);
    int64_t threads = 0;
    if (!cli_int(ctx, a, "threads", 1, &threads) || !fv_compile(ctx, s->spec.graph, (fv_str){0}, &o, &c)) return false;
    fovea_options ro = {.threads = (int32_t)threads, .check = cli_flag(a, "verify")};
    if (fovea_model_load(&c.program, &ro, &m, &e)) { cli_runtime_error(ctx, FV_E_RUN, &e); goto done; }
    cli_progress("preparing %s", s->name);
    if (!cli_bind(ctx, s, &c, m)) goto done;
    if (s->n_pictures) { fine = cli_run_pictures(ctx, s, m, top); goto done; }
    DLTensor in[64], results[256];
    int32_t n_in = 0, n_out = 0;
    for (const fovea_array *x; n_in < 64 && (x = fovea_model_input(m, n_in)); n_in++) {
        void *data;
        int64_t count;
        const fv_node *leaf = find_input(ctx, s->spec.graph, x->name);
        if (!leaf || !cli_leaf(ctx, s, leaf, x->dtype, &data, &count)) goto done;
        in[n_in] = fovea_tensor(data, x->dtype, x->rank, (int64_t *)(uintptr_t)x->shape);
    }
    for (const fovea_array *x; n_out < 256 && (x = fovea_model_output(m, n_out)); n_out++) {
        fovea_stored *t = &out->tensor[out->n++];
        *t = (fovea_stored){.name = x->name, .storage = fovea_storage_of(x->dtype), .rank = x->rank, .count = 1};
        for (int d = 0; d < x->rank; d++) { t->shape[d] = x->shape[d]; t->count *= x->shape[d]; }
        void *data = aligned_alloc(64, ((size_t)x->bytes + 127) / 64 * 64);
        t->data = data;
        results[n_out] = fovea_tensor(data, x->dtype, x->rank, (int64_t *)(uintptr_t)x->shape);
    }
    cli_progress("running %s", s->name);
    if (fovea_model_run(m, in, n_in, results, n_out, &e)) { cli_runtime_error(ctx, FV_E_RUN, &e); goto done; }
    fine = true;
done:
    cli_progress_done();
    fovea_model_dispose(m);
    fv_compiled_dispose(&c);
    return fine;
}

static bool write_answers(fv_ctx *ctx, const char *path, const answers *out) {
    size_t n = strlen(path);
    if (n > 4 && !strcmp(path + n - 4, ".npy")) {
        if (out->n != 1) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "%d outputs do not fit into one .npy file; write a .safetensors file", out->n); return false; }
        return fv_npy_write(ctx, path, &out->tensor[0]);
    }
    fovea_error e;
    if (fovea_safetensors_write(path, out->tensor, out->n, NULL, &e)) return cli_runtime_error(ctx, FV_E_FILE, &e);
    return true;
}
static void say(const answers *out) {
    for (int i = 0; i < out->n; i++) {
        const fovea_stored *t = &out->tensor[i];
        printf("%-16s %s[", t->name, fovea_storage_name(t->storage));
        for (int d = 0; d < t->rank; d++) printf("%s%lld", d ? ", " : "", (long long)t->shape[d]);
        printf("]");
        double least = 1e300, most = -1e300, sum = 0;
        for (int64_t j = 0; j < t->count; j++) {
            double v = t->storage == FOVEA_ST_F32 ? (double)((const float *)t->data)[j] : t->storage == FOVEA_ST_BOOL ? ((const unsigned char *)t->data)[j] : ((const int32_t *)t->data)[j];
            least = v < least ? v : least;
            most = v > most ? v : most;
            sum += v;
        }
        if (t->count) printf("  min %.6g  mean %.6g  max %.6g", least, sum / (double)t->count, most);
        printf("\n");
    }
}

static int run(fv_ctx *ctx, const cli_args *a) {
    if (a->n_words != 1) { fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "run takes one spec, %d given; see fovea run --help", a->n_words); return CLI_USER; }
    static cli_session s;
    static answers out;
    int64_t top = 5;
    bool fine = cli_int(ctx, a, "topk", 1, &top) && cli_session_open(ctx, a, a->word[0], &s);
    const char *backend = cli_value(a, "backend"), *output = cli_value(a, "output");
    if (fine) fine = backend && !strcmp(backend, "reference") ? run_reference(ctx, &s, &out) : run_compiled(ctx, a, &s, &out, (int)top);
    cli_progress_done();
    if (fine && output && !s.n_pictures) fine = write_answers(ctx, output, &out);
    else if (fine && !s.n_pictures) say(&out);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    {"weights", "W.safetensors", "parameters by their checkpoint names; without: seeded numbers", CLI_VALUE},
    {"input", "FILE…", "inputs: a safetensors file, .npy files, or PNG and JPEG pictures", CLI_LIST},
    {"output", "FILE", "write the outputs to a safetensors or .npy file", CLI_VALUE},
    {"backend", "NAME", "cpu (default), reference, or another of fovea devices", CLI_VALUE},
    {"threads", "N", "threads; default: what affinity and quota allow", CLI_VALUE},
    {"topk", "K", "classes shown per picture (default 5)", CLI_VALUE},
    {"attend", "STRATEGY", "force a strategy of attend: box or offset", CLI_VALUE},
    {"verify", NULL, "verify every kernel between the levels and guard bytes after each launch", CLI_FLAG},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_run = {"run", "run SPEC|BACKBONE[:VARIANT] [options]", "run a spec or a backbone on inputs or pictures", options, run};
