/* Prepare for a processor that is not this one: see fv_compile_prepare. What prepare does is move and convert values of
 * parameters: where it puts them stands in the plan, and how it moves them may be chosen anew. */
#include "driver/driver.h"

#include <string.h>

/* Compiling takes out of a schedule what does not fit the processor: each processor has its own copy. */
static fv_schedule *copy(fv_ctx *ctx, const fv_schedule *s) {
    if (!s) return NULL;
    fv_schedule *c = FV_NEW(ctx, fv_schedule);
    *c = *s;
    c->cap = s->n;
    c->entry = FV_NEWN(ctx, fv_sched_entry, s->n + 1);
    if (s->n) memcpy(c->entry, s->entry, sizeof *s->entry * (size_t)s->n);
    return c;
}
static const fv_backend *of_this_process(const fv_backend *b) {
    for (int i = 0; b->executor && fv_backends[i]; i++)
        if (!fv_backends[i]->executor) return fv_backends[i];
    return b;
}
static void never_run(void *const *args, int64_t begin, int64_t end, void *scratch) {
    (void)args, (void)begin, (void)end, (void)scratch;
}
/* The program with this prepare, and with runs that are not for here. */
static fovea_program only_prepares(fv_ctx *ctx, const fovea_program *of, const fovea_launch *prepare) {
    fovea_program p = *of;
    fovea_launch *run = FV_NEWN(ctx, fovea_launch, p.n_run + 1);
    for (int i = 0; i < p.n_run; i++) {
        run[i] = of->run[i];
        run[i].kernel = never_run;
    }
    p.prepare = prepare;
    p.run = run;
    p.executor = NULL;
    p.executor_user = NULL;
    return p;
}
bool fv_compile_prepare(fv_ctx *ctx, const fv_compiled *of, const char *cache_dir, fv_compiled *out) {
    fv_plan *plan = FV_NEW(ctx, fv_plan);
    int n = of->plan->n_launches[0];
    *plan = *of->plan;
    plan->n_launches[1] = 0;
    plan->launch[0] = FV_NEWN(ctx, fv_launch *, n + 1);
    for (int i = 0; i < n; i++) {
        plan->launch[0][i] = FV_NEW(ctx, fv_launch);
        *plan->launch[0][i] = *of->plan->launch[0][i];
        plan->launch[0][i]->schedule = copy(ctx, plan->launch[0][i]->schedule);
    }
    *out = (fv_compiled){.backend = of_this_process(of->backend), .plan = plan, .program = of->program};
    out->target = out->backend->target(NULL);
    out->module = out->backend->compile(ctx, plan, &(fv_compile_options){.cache_dir = cache_dir});
    if (!out->module) return false;
    fovea_launch *prepare = FV_NEWN(ctx, fovea_launch, n + 1);
    for (int i = 0; i < n; i++) {
        prepare[i] = of->program.prepare[i];
        prepare[i].kernel = out->backend->entry(out->module, 0, i);
        prepare[i].programs = out->backend->programs(out->module, 0, i);
        prepare[i].scratch_bytes = out->backend->scratch_bytes(out->module, 0, i);
        if (!prepare[i].kernel) {
            fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "backend '%s' has no code that prepares in this process",
                     out->backend->name);
            return false;
        }
    }
    out->program = only_prepares(ctx, &of->program, prepare);
    if (!of->family) return true;
    const fovea_shapes *shapes = &of->family->shapes;
    fovea_program *programs = FV_NEWN(ctx, fovea_program, shapes->n_programs + 1);
    out->family = FV_NEW(ctx, fv_family);
    *out->family = *of->family;
    out->family->shapes.programs = programs;
    for (int i = 0; i < shapes->n_programs; i++) {
        programs[i] = only_prepares(ctx, &shapes->programs[i], prepare);
        programs[i].shapes = &out->family->shapes;
    }
    out->program = programs[0];
    return true;
}
