/* Executes a plan with the tile interpreter: all of prepare, then all of run. Memory of tensors that the plan owns
 * starts as poison (NaN), and
 * every tensor has memory of its own: what the arena pass lays on top of each other is tested by running compiled
 * code. */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void fv_plan_lay(const fv_plan_tensor *t, fv_plan_element *value, const void *user, double *memory) {
    int64_t index[FV_MAX_AXES] = {0}, at = 0;
    for (int d = 0; d < t->rank; d++)
        if (t->extent[d] == 0) return;
    for (int64_t n = 0;; n++) {
        memory[at] = value(user, n);
        int j = t->rank - 1;
        for (; j >= 0; j--) {
            at += t->stride[j];
            if (++index[j] < t->extent[j]) break;
            at -= index[j] * t->stride[j];
            index[j] = 0;
        }
        if (j < 0) return;
    }
}
static double constant(const void *data, int64_t number) { return ((const double *)data)[number]; }
void fv_plan_lay_const(const fv_plan_tensor *t, double *memory) { fv_plan_lay(t, constant, t->data, memory); }

static bool is_own(const fv_plan_tensor *t) { return fv_mem_is_ours(t->kind) || t->kind == FV_MEM_CONST; }

static double *own_memory(const fv_plan_tensor *t) {
    int64_t n = fv_plan_tensor_elements(t);
    double *m = malloc(sizeof *m * (size_t)(n ? n : 1));
    FV_ASSERT(m, "out of memory");
    for (int64_t j = 0; j < n; j++) m[j] = (double)NAN;
    if (t->kind == FV_MEM_CONST) fv_plan_lay_const(t, m);
    return m;
}

static bool launch(const fv_launch *l, double **memory, const fv_interp_options *o) {
    double **data = malloc(sizeof *data * (size_t)(l->n_args ? l->n_args : 1));
    FV_ASSERT(data, "out of memory");
    for (int j = 0; j < l->n_args; j++) data[j] = memory[l->arg[j]];
    bool ok = fv_kernel_interpret(l->kernel, data, o);
    free(data);
    return ok;
}

bool fv_plan_interpret(const fv_plan *p, double **data, const fv_interp_options *o) {
    double **memory = malloc(sizeof *memory * (size_t)(p->n_tensors ? p->n_tensors : 1));
    FV_ASSERT(memory, "out of memory");
    for (int t = 0; t < p->n_tensors; t++) memory[t] = is_own(p->tensor[t]) ? own_memory(p->tensor[t]) : data[t];
    bool ok = true;
    for (int which = 0; which < 2; which++)
        for (int j = 0; ok && j < p->n_launches[which]; j++) ok = launch(p->launch[which][j], memory, o);
    for (int t = 0; t < p->n_tensors; t++)
        if (is_own(p->tensor[t])) free(memory[t]);
    free(memory);
    return ok;
}
