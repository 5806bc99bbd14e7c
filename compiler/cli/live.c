/* Models made ready to run: see live.h. Invariant: close works on whatever open has left. */
#include "cli/live.h"
#include "backends/reference/reference.h"
#include "runtime/selftest.h"

#include <stdlib.h>
#include <string.h>

static bool add_inputs(fv_ctx *ctx, cli_session *s, cli_live *l) {
    for (const fovea_array *x; (x = fovea_model_input(l->model, l->n_in)); l->n_in++) {
        if (l->n_in == CLI_MAX_INPUTS) {
            fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "more than %d inputs", CLI_MAX_INPUTS);
            return false;
        }
        const fv_node *leaf = cli_find_leaf(s->spec.graph, FV_NODE_INPUT, x->name);
        int64_t count;
        const void *data = leaf ? cli_leaf(ctx, s, leaf, x->dtype, &count) : NULL;
        if (!data) return false;
        l->input[l->n_in] = x;
        l->in[l->n_in] = fovea_tensor((void *)(uintptr_t)data, x->dtype, x->rank, (int64_t *)(uintptr_t)x->shape);
    }
    return true;
}
static bool add_outputs(fv_ctx *ctx, cli_live *l) {
    for (const fovea_array *x; (x = fovea_model_output(l->model, l->n_out)); l->n_out++) {
        void *data = l->n_out < CLI_MAX_OUTPUTS ? aligned_alloc(64, ((size_t)x->bytes + 127) / 64 * 64) : NULL;
        if (!data) {
            fv_error(ctx, FV_E_RUN, (fv_loc){0}, "not enough memory for the output %s", x->name);
            return false;
        }
        l->output[l->n_out] = x;
        l->out[l->n_out] = fovea_tensor(data, x->dtype, x->rank, (int64_t *)(uintptr_t)x->shape);
    }
    return true;
}
bool cli_live_load(fv_ctx *ctx, cli_session *s, const fovea_options *run, bool pictures, cli_live *l) {
    fovea_error e;
    for (int i = 0; i < l->compiled.program.n_run; i++)
        if (!l->compiled.program.executor && !l->compiled.program.run[i].kernel) {
            fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "code of backend '%s' for '%s' cannot run in this process",
                     l->compiled.backend->name, l->compiled.target->name);
            return false;
        }
    if (fovea_model_load(&l->compiled.program, run, &l->model, &e)) return cli_runtime_error(ctx, FV_E_RUN, &e);
    cli_progress("preparing %s", s->name);
    double begin = fv_now();
    if (!cli_bind(ctx, s, &l->compiled, l->model)) return false;
    l->prepare_seconds = fv_now() - begin;
    return (pictures || add_inputs(ctx, s, l)) && add_outputs(ctx, l);
}
bool cli_live_open(fv_ctx *ctx, cli_session *s, const fv_driver_options *o, const fovea_options *run, bool pictures,
                   cli_live *out) {
    *out = (cli_live){0};
    cli_progress("compiling %s", s->name);
    return fv_compile(ctx, s->spec.graph, (fv_str){0}, o, &out->compiled) && cli_live_load(ctx, s, run, pictures, out);
}
bool cli_live_run(fv_ctx *ctx, cli_live *l) {
    fovea_error e;
    return fovea_model_run(l->model, l->in, l->n_in, l->out, l->n_out, &e) ? cli_runtime_error(ctx, FV_E_RUN, &e)
                                                                           : true;
}
fovea_stored cli_stored(const fovea_array *a, const void *data) {
    fovea_stored t = {
        .name = a->name, .storage = fovea_storage_of(a->dtype), .rank = a->rank, .count = 1, .data = data};
    for (int d = 0; d < a->rank; d++) {
        t.shape[d] = a->shape[d];
        t.count *= a->shape[d];
    }
    return t;
}
static void drop_tensors(cli_live *l) {
    for (int i = 0; i < l->n_out; i++) free(l->out[i].data);
    l->n_in = l->n_out = 0;
}
bool cli_live_resize(fv_ctx *ctx, cli_session *s, const int64_t *extents, int32_t n, cli_live *l) {
    fovea_error e;
    drop_tensors(l);
    if (fovea_model_resize(l->model, extents, n, &e)) return cli_runtime_error(ctx, FV_E_RUN, &e);
    return add_inputs(ctx, s, l) && add_outputs(ctx, l);
}
void cli_live_unload(cli_live *l) {
    fovea_model_dispose(l->model);
    l->model = NULL;
    drop_tensors(l);
}
void cli_live_close(cli_live *l) {
    cli_live_unload(l);
    fv_compiled_dispose(&l->compiled);
}

/* -- The reference ---- */
bool cli_leaf_values(void *user, const fv_node *leaf, double *out, int64_t count) {
    cli_leaf_source *u = user;
    int64_t n;
    fovea_dtype t = cli_leaf_dtype(leaf);
    const void *data = cli_leaf(u->ctx, u->s, leaf, t, &n);
    for (int64_t i = 0; data && i < count && i < n; i++) out[i] = fovea_element(data, t, i);
    return data != NULL;
}
static void reference_progress(int done, int total, void *user) {
    (void)user;
    cli_progress("reference: node %d of %d", done, total);
}
bool cli_reference(fv_ctx *ctx, cli_session *s, double **results) {
    cli_leaf_source u = {ctx, s};
    return fv_reference_run(s->spec.graph, (fv_str){0}, cli_leaf_values, &u, results, reference_progress, NULL);
}
int64_t cli_output_shape(const fv_output *o, int64_t *shape) {
    int64_t n = 1;
    for (int d = 0; d < o->stored.rank; d++) {
        shape[d] = 1;
        for (int j = 0; j < o->stored.dim[d].n; j++) shape[d] *= o->value->axis[o->stored.dim[d].axis[j]].extent;
        n *= shape[d];
    }
    return n;
}
