/* Lowers, compiles and lays out a program for the runtime: see driver.h. */
#define _POSIX_C_SOURCE 200809L
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

double fv_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static fovea_dtype dtype_of(fv_type t) {
    switch (t) {
    case FV_BOOL: return FOVEA_BOOL;
    case FV_I32: return FOVEA_I32;
    case FV_F16: return FOVEA_F16;
    case FV_BF16: return FOVEA_BF16;
    case FV_F64: return FOVEA_F64;
    case FV_F32:
    case FV_VOID:
    case FV_TYPE_COUNT: break;
    }
    return FOVEA_F32;
}
static fovea_place place_of(fv_mem_kind k) {
    switch (k) {
    case FV_MEM_INPUT: return FOVEA_INPUT;
    case FV_MEM_OUTPUT: return FOVEA_OUTPUT;
    case FV_MEM_PARAM: return FOVEA_PARAM;
    case FV_MEM_CONST: return FOVEA_CONST;
    case FV_MEM_PREPARED: return FOVEA_PREPARED;
    case FV_MEM_SCRATCH: break;
    }
    return FOVEA_ARENA;
}
static const void *constant(fv_ctx *ctx, const fv_plan_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->extent[i];
    char *p = fv_alloc(ctx, (size_t)t->bytes + FOVEA_GUARD_BYTES);
    for (int64_t i = 0; i < n; i++) {
        if (t->type == FV_BOOL) p[i] = t->data[i] != 0;
        else if (t->type == FV_I32) ((int32_t *)(void *)p)[i] = (int32_t)t->data[i];
        else ((float *)(void *)p)[i] = (float)t->data[i];
    }
    return p;
}
static void fill_arrays(fv_ctx *ctx, const fv_plan *p, fovea_array *a) {
    for (int i = 0; i < p->n_tensors; i++) {
        const fv_plan_tensor *t = p->tensor[i];
        a[i] = (fovea_array){.name = fv_cstr(ctx, t->name),
                             .dtype = dtype_of(t->type),
                             .place = place_of(t->kind),
                             .rank = t->rank,
                             .offset = t->offset,
                             .bytes = t->bytes,
                             .index_bound = t->index_bound};
        for (int j = 0; j < t->rank && j < FOVEA_MAX_RANK; j++) a[i].shape[j] = t->extent[j];
        if (t->kind == FV_MEM_CONST) a[i].data = constant(ctx, t);
    }
}
/* Launches first .. first+n-1; arguments from `from` on stand `skip` places before. */
typedef struct {
    int first, n, from, skip;
} slice;
static fovea_launch *fill_launches(fv_ctx *ctx, fv_compiled *c, int which, slice s) {
    const fv_plan *p = c->plan;
    fovea_launch *list = FV_NEWN(ctx, fovea_launch, s.n + 1);
    for (int i = s.first; i < s.first + s.n; i++) {
        const fv_launch *l = p->launch[which][i];
        int32_t *args = FV_NEWN(ctx, int32_t, l->n_args + 1);
        for (int j = 0; j < l->n_args; j++) args[j] = l->arg[j] < s.from ? l->arg[j] : l->arg[j] - s.skip;
        const char *where = l->loc.line ? fv_printf(ctx, "%s:%d", fv_cstr(ctx, l->loc.file), l->loc.line) : "";
        list[i - s.first] = (fovea_launch){.kernel = c->backend->entry(c->module, which, i),
                                           .programs = c->backend->programs(c->module, which, i),
                                           .args = args,
                                           .n_args = l->n_args,
                                           .scratch_bytes = c->backend->scratch_bytes(c->module, which, i),
                                           .label = fv_cstr(ctx, l->kernel->name),
                                           .where = where,
                                           .code = c->backend->code ? c->backend->code(c->module, which, i) : NULL,
                                           .flops = l->flops,
                                           .bytes = l->bytes};
    }
    return list;
}

bool fv_compile_plan(fv_ctx *ctx, fv_graph *g, fv_str entry, const fv_driver_options *o, fv_compiled *out) {
    *out = (fv_compiled){0};
    const fv_backend *first = fv_backend_default();
    const char *name = o->backend ? o->backend : first ? first->name : "cpu";
    out->backend = fv_backend_find(name);
    if (!out->backend) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "there is no backend '%s' in this build", name);
        return false;
    }
    out->target = out->backend->device_target ? out->backend->device_target(o->target, o->device)
                                              : out->backend->target(o->target);
    if (!out->target) {
        const char *why = out->backend->reason ? out->backend->reason(ctx, o->target) : NULL;
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "backend '%s' does not know the target '%s'%s%s", name,
                 o->target ? o->target : "host", why ? ": " : "", why ? why : "");
        return false;
    }
    out->lower = (fv_lower_options){.target = out->target,
                                    .attend_strategy = o->attend_strategy,
                                    .no_row_sharing = o->no_row_sharing,
                                    .storage = o->storage,
                                    .storage_small = o->storage_small,
                                    .no_pairs = o->no_pairs,
                                    .wish = o->wish,
                                    .n_wish = o->n_wish};
    if (o->storage == FV_BF16 && out->target->dot2 && !o->no_pairs && out->backend->pairs_pay)
        out->lower.no_pairs = !out->backend->pairs_pay(o->target, o->cache_dir);
    double begin = fv_now();
    out->plan = fv_lower(g, entry, &out->lower);
    if (out->plan && o->replan) out->plan = o->replan(o->replan_user, g, entry, &out->lower, out->plan);
    out->lower_seconds = fv_now() - begin;
    if (!out->plan) return false;
    int faults = 0;
    for (int w = 0; o->verify && w < 2; w++)
        for (int i = 0; i < out->plan->n_launches[w]; i++) faults += fv_kernel_verify(out->plan->launch[w][i]->kernel);
    if (o->verify) faults += fv_plan_verify(out->plan);
    return faults == 0;
}
bool fv_compile(fv_ctx *ctx, fv_graph *g, fv_str entry, const fv_driver_options *o, fv_compiled *out) {
    return fv_compile_plan(ctx, g, entry, o, out) && fv_compile_code(ctx, fv_cstr(ctx, g->name), o, out);
}
static bool compile(fv_ctx *ctx, const fv_driver_options *o, int programs, fv_compiled *out) {
    fv_compile_options co = {.target = o->target,
                             .cache_dir = o->cache_dir,
                             .device = o->device,
                             .portable = o->portable,
                             .keep_text = o->keep_text,
                             .code_bytes = o->code_bytes * programs};
    double begin = fv_now();
    out->module = out->backend->compile(ctx, out->plan, &co);
    out->compile_seconds += fv_now() - begin;
    if (out->module && out->backend->stats) out->stats = out->backend->stats(out->module);
    return out->module != NULL;
}
static fovea_program program_of(fv_ctx *ctx, const char *name, fv_compiled *c, fovea_array *arrays, int n_arrays,
                                slice run) {
    slice prepare = {0, c->plan->n_launches[0], n_arrays, 0};
    fovea_program p = {.name = name,
                       .arrays = arrays,
                       .n_arrays = n_arrays,
                       .prepare = fill_launches(ctx, c, 0, prepare),
                       .run = fill_launches(ctx, c, 1, run),
                       .n_prepare = prepare.n,
                       .n_run = run.n,
                       .arena_bytes = c->plan->arena_bytes,
                       .prepared_bytes = c->plan->prepared_bytes,
                       .executor = c->backend->executor};
    if (c->backend->executor_user) p.executor_user = c->backend->executor_user(c->module);
    return p;
}
bool fv_compile_code(fv_ctx *ctx, const char *name, const fv_driver_options *o, fv_compiled *out) {
    if (!compile(ctx, o, 1, out)) return false;
    const fv_plan *p = out->plan;
    fovea_array *arrays = FV_NEWN(ctx, fovea_array, p->n_tensors + 1);
    fill_arrays(ctx, p, arrays);
    out->program = program_of(ctx, name, out, arrays, p->n_tensors, (slice){0, p->n_launches[1], p->n_tensors, 0});
    return true;
}
bool fv_compile_family(fv_ctx *ctx, const char *name, const fv_driver_options *o, const fv_compiled *planned,
                       const char *const *label, const fovea_shapes *shapes, fv_compiled *out) {
    int n = shapes->n_programs, common = 0;
    fv_plan **plans = FV_NEWN(ctx, fv_plan *, n + 1);
    fv_plan_part *part = FV_NEWN(ctx, fv_plan_part, n + 1);
    fovea_program *programs = FV_NEWN(ctx, fovea_program, n + 1);
    *out = planned[0];
    for (int i = 0; i < n; i++) plans[i] = planned[i].plan;
    out->plan = fv_plan_join(ctx, plans, label, n, &common, part);
    if (!out->plan || !compile(ctx, o, n, out)) return false;
    out->family = FV_NEW(ctx, fv_family);
    *out->family = (fv_family){.shapes = *shapes, .part = part};
    out->family->shapes.programs = programs;
    fovea_array *all = FV_NEWN(ctx, fovea_array, out->plan->n_tensors + 1);
    fill_arrays(ctx, out->plan, all);
    for (int i = 0; i < n; i++) {
        const fv_plan_part *x = &part[i];
        fovea_array *arrays = FV_NEWN(ctx, fovea_array, common + x->n_tensors + 1);
        memcpy(arrays, all, sizeof *all * (size_t)common);
        memcpy(arrays + common, all + x->first_tensor, sizeof *all * (size_t)x->n_tensors);
        programs[i] = program_of(ctx, name, out, arrays, common + x->n_tensors,
                                 (slice){x->first_launch, x->n_launches, common, x->first_tensor - common});
        programs[i].prepare = programs[0].prepare;
        programs[i].arena_bytes = x->arena_bytes;
        programs[i].shapes = &out->family->shapes;
    }
    out->program = programs[0];
    return true;
}
void fv_compiled_dispose(fv_compiled *c) {
    if (c->module) c->backend->dispose(c->module);
    free(c->memory);
    *c = (fv_compiled){0};
}
