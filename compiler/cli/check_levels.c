/* Executing a plan by interpreters: see check_levels.h. Invariant: every tensor has memory of its own,
 * poisoned where the plan writes it. */
#include "cli/check_levels.h"
#include "kernel/flat.h"
#include "runtime/selftest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const void *data;
    fovea_dtype type;
} given;
static double element(const void *user, int64_t number) {
    const given *g = user;
    return fovea_element(g->data, g->type, number);
}
static bool fill(fv_ctx *ctx, cli_session *s, const fv_plan_tensor *t, double *memory) {
    int64_t n = fv_plan_tensor_elements(t), count;
    for (int64_t j = 0; j < n; j++) memory[j] = (double)NAN;
    if (t->kind == FV_MEM_CONST) {
        fv_plan_lay_const(t, memory);
        return true;
    }
    if (t->kind != FV_MEM_INPUT && t->kind != FV_MEM_PARAM) return true;
    const fv_node *leaf =
        cli_find_leaf(s->spec.graph, t->kind == FV_MEM_INPUT ? FV_NODE_INPUT : FV_NODE_PARAM, fv_cstr(ctx, t->name));
    fovea_dtype type = t->type == FV_I32 ? FOVEA_I32 : t->type == FV_BOOL ? FOVEA_BOOL : FOVEA_F32;
    if (leaf && type == FOVEA_F32) type = cli_leaf_dtype(leaf);
    const void *data = leaf ? cli_leaf(ctx, s, leaf, type, &count) : NULL;
    if (data) fv_plan_lay(t, element, &(given){data, type}, memory);
    return data != NULL;
}
static bool launch(const fv_compiled *c, const fv_launch *l, double **memory, bool flat) {
    fv_interp_options o = {.f32 = true};
    double **data = malloc(sizeof *data * (size_t)(l->n_args + 1));
    fv_flat_kernel *f = flat ? fv_flatten_cpu(l->kernel, l->schedule, c->target) : NULL;
    for (int j = 0; data && j < l->n_args; j++) data[j] = memory[l->arg[j]];
    bool fine =
        data && (flat ? f && fv_flat_interpret(f, data, 0, f->programs, 1) : fv_kernel_interpret(l->kernel, data, &o));
    free(data);
    return fine;
}
static bool execute(const fv_compiled *c, double **memory, cli_executor by) {
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < c->plan->n_launches[w]; i++)
            if (!launch(c, c->plan->launch[w][i], memory, by == CLI_BY_FLAT)) return false;
    return true;
}
static bool take_outputs(fv_ctx *ctx, const fv_graph *g, const fv_plan *p, double **memory, double **out) {
    for (int o = 0; o < g->n_outputs; o++) {
        int64_t shape[FV_MAX_AXES], n = cli_output_shape(&g->output[o], shape);
        for (int t = 0; t < p->n_tensors && !out[o]; t++) {
            if (p->tensor[t]->kind != FV_MEM_OUTPUT || !fv_str_eq(p->tensor[t]->name, g->output[o].name)) continue;
            out[o] = malloc(sizeof **out * (size_t)(n + 1));
            if (out[o]) memcpy(out[o], memory[t], sizeof **out * (size_t)n);
        }
        if (!out[o]) {
            fv_error(ctx, FV_E_RUN, (fv_loc){0}, "the plan does not compute the output %s",
                     fv_cstr(ctx, g->output[o].name));
            return false;
        }
    }
    return true;
}
bool cli_plan_outputs(fv_ctx *ctx, cli_session *s, const fv_compiled *c, cli_executor by, double **out) {
    const fv_plan *p = c->plan;
    double **memory = calloc((size_t)p->n_tensors + 1, sizeof *memory);
    bool fine = memory != NULL;
    for (int o = 0; o < s->spec.graph->n_outputs; o++) out[o] = NULL;
    for (int t = 0; t < p->n_tensors && fine; t++) {
        memory[t] = malloc(sizeof **memory * (size_t)(fv_plan_tensor_elements(p->tensor[t]) + FOVEA_GUARD_BYTES));
        fine = memory[t] && fill(ctx, s, p->tensor[t], memory[t]);
    }
    fine = fine && execute(c, memory, by) && take_outputs(ctx, s->spec.graph, p, memory, out);
    for (int t = 0; memory && t < p->n_tensors; t++) free(memory[t]);
    free(memory);
    for (int o = 0; o < s->spec.graph->n_outputs && !fine; o++) {
        free(out[o]);
        out[o] = NULL;
    }
    return fine;
}
double cli_plan_work(const fv_plan *p) {
    double work = 0;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < p->n_launches[w]; i++) work += p->launch[w][i]->flops;
    return work;
}
