/* backend: OpenCL as a backend. Kernels do not run in this process's address space, so there are no entries: texts are
 * made here, plans run by fv_opencl_run. Invariant: launches of one kernel under one schedule share one flat kernel and
 * one text. */
#include "backends/opencl/opencl.h"

#include <string.h>
#include <time.h>

typedef struct { const fv_kernel *kernel; const fv_schedule *schedule; fv_flat_kernel *flat; fv_buf text; } code;
struct fv_module {
    fv_ctx *ctx;
    int *of[2], n[2];                                   /* code of each launch */
    code *code;
    int n_codes, cap_codes;
    fv_compile_stats stats;
};

static int code_of(fv_module *m, const fv_launch *l, const fv_target *t) {
    for (int i = 0; i < m->n_codes; i++)
        if (m->code[i].kernel == l->kernel && m->code[i].schedule == l->schedule) return i;
    code c = { .kernel = l->kernel, .schedule = l->schedule, .flat = fv_flatten_opencl(l->kernel, l->schedule, t) };
    if (!c.flat || fv_flat_verify(c.flat) || !fv_opencl_print(c.flat, false, &c.text)) {
        fv_buf_dispose(&c.text);
        return -1;
    }
    m->stats.compiled++;
    m->stats.code_bytes += (int64_t)c.text.len;
    fv_push(m->ctx, m->code, m->n_codes, m->cap_codes, c);
    return m->n_codes - 1;
}
static void dispose(fv_module *m) {
    for (int i = 0; m && i < m->n_codes; i++) fv_buf_dispose(&m->code[i].text);
}
static const fv_target *target(const char *name) { return !name || !strcmp(name, "opencl") ? &fv_target_opencl : NULL; }

static fv_module *compile(fv_ctx *ctx, const fv_plan *plan, const fv_compile_options *o) {
    struct timespec a, b;
    const fv_target *t = target(o ? o->target : NULL);
    if (!t) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "no OpenCL target '%s': the one there is is called opencl",
                 o->target);
        return NULL;
    }
    fv_module *m = FV_NEW(ctx, fv_module);
    m->ctx = ctx;
    timespec_get(&a, TIME_UTC);
    for (int which = 0; which < 2; which++) {
        m->n[which] = plan->n_launches[which];
        m->of[which] = FV_NEWN(ctx, int, m->n[which] + 1);
        for (int i = 0; i < m->n[which]; i++) {
            if ((m->of[which][i] = code_of(m, plan->launch[which][i], t)) >= 0) continue;
            dispose(m);
            return NULL;
        }
    }
    timespec_get(&b, TIME_UTC);
    m->stats.seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    return m;
}
static const code *find(const fv_module *m, int which, int i) {
    return which < 0 || which > 1 || i < 0 || i >= m->n[which] ? NULL : &m->code[m->of[which][i]];
}
static fovea_kernel *entry(fv_module *m, int which, int i) {
    (void)m, (void)which, (void)i;
    return NULL;
}
static int64_t scratch_bytes(fv_module *m, int which, int i) {
    const code *c = find(m, which, i);
    return c ? c->flat->scratch_bytes : 0;
}
static int64_t programs(fv_module *m, int which, int i) {
    const code *c = find(m, which, i);
    return c ? c->flat->programs : 0;
}
static bool text(fv_module *m, int which, int i, const char *stage, fv_buf *out) {
    const code *c = find(m, which, i);
    if (!c) return false;
    if (!strcmp(stage, "flat")) fv_flat_print(c->flat, out);
    else if (!strcmp(stage, "opencl")) fv_buf_puts(out, c->text.text);
    else return false;
    return true;
}
static bool object(fv_module *m, fv_buf *out) {
    (void)m, (void)out;
    return false;
}
static fv_compile_stats stats(fv_module *m) { return m->stats; }

const fv_backend fv_backend_opencl = {
    .name = "opencl", .summary = "OpenCL C 1.2 for GPUs and other devices", .available = fv_opencl_available,
        .target = target, .compile = compile,
    .entry = entry, .scratch_bytes = scratch_bytes, .programs = programs, .text = text, .object = object,
        .dispose = dispose, .stats = stats,
};
