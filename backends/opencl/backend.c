/* backend: OpenCL as a backend. Kernels do not run in this process's address space, so there are no entries: texts are
 * made here, and run by the executor of runtime/opencl. Invariant: launches of one code share one flat kernel and one
 * text, whatever their kernels are called. */
#include "backends/opencl/shape.h"
#include "runtime/opencl/device.h"
#include "runtime/opencl/opencl.h"

#include <string.h>
#include <time.h>

typedef struct {
    int number; /* fv_launch.code */
    fv_flat_kernel *flat;
    fv_buf text, entry;
    fovea_device_code device;
} code;
struct fv_module {
    fv_ctx *ctx;
    int *of[2], n[2]; /* code of each launch */
    code **code;
    int n_codes, cap_codes;
    fovea_opencl_options options;
    fv_compile_stats stats;
};

static void dispose_code(code *c) {
    fv_buf_dispose(&c->text);
    fv_buf_dispose(&c->entry);
}
static int code_of(fv_module *m, const fv_launch *l, const fv_target *t, bool lines) {
    for (int i = 0; i < m->n_codes; i++)
        if (m->code[i]->number == l->code) return i;
    code *c = FV_NEW(m->ctx, code);
    *c = (code){.number = l->code, .flat = fv_opencl_flatten(l->kernel, l->schedule, t)};
    if (!c->flat || fv_flat_verify(c->flat) || !fv_opencl_print(c->flat, lines, &c->text)) {
        dispose_code(c);
        return -1;
    }
    fv_opencl_entry(c->flat, &c->entry);
    fv_opencl_facts(c->flat, &c->device);
    c->device.entry = c->entry.text;
    c->device.source = c->text.text;
    m->stats.compiled++;
    m->stats.code_bytes += (int64_t)c->text.len;
    fv_push(m->ctx, m->code, m->n_codes, m->cap_codes, c);
    return m->n_codes - 1;
}
static void dispose(fv_module *m) {
    for (int i = 0; m && i < m->n_codes; i++) dispose_code(m->code[i]);
}
static const fv_target *target(const char *name) { return fv_opencl_shape(name, NULL); }

static fv_module *compile(fv_ctx *ctx, const fv_plan *plan, const fv_compile_options *o) {
    struct timespec a, b;
    const fv_target *t = fv_opencl_shape(o->target, o->device);
    if (!t) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "no OpenCL target '%s'", o->target ? o->target : "");
        return NULL;
    }
    fv_module *m = FV_NEW(ctx, fv_module);
    m->ctx = ctx;
    m->options = (fovea_opencl_options){.device = o->device ? fv_strdup(ctx, o->device) : NULL,
                                        .cache_dir = o->cache_dir ? fv_strdup(ctx, o->cache_dir) : NULL};
    timespec_get(&a, TIME_UTC);
    fv_target fitted = o->portable ? *t : fv_opencl_fit(t, o->device);
    for (int which = 0; which < 2; which++) {
        m->n[which] = plan->n_launches[which];
        m->of[which] = FV_NEWN(ctx, int, m->n[which] + 1);
        for (int i = 0; i < m->n[which]; i++) {
            if ((m->of[which][i] = code_of(m, plan->launch[which][i], &fitted, !o->portable)) >= 0) continue;
            dispose(m);
            return NULL;
        }
    }
    timespec_get(&b, TIME_UTC);
    m->stats.seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    return m;
}
static const code *find(const fv_module *m, int which, int i) {
    return which < 0 || which > 1 || i < 0 || i >= m->n[which] ? NULL : m->code[m->of[which][i]];
}
static fovea_kernel *entry(fv_module *m, int which, int i) {
    (void)m, (void)which, (void)i;
    return NULL;
}
static int64_t scratch_bytes(fv_module *m, int which, int i) { /* of this process's memory */
    (void)m, (void)which, (void)i;
    return 0;
}
static int64_t programs(fv_module *m, int which, int i) {
    const code *c = find(m, which, i);
    return c ? c->flat->programs : 0;
}
static bool text(fv_module *m, int which, int i, const char *stage, fv_buf *out) {
    const code *c = find(m, which, i);
    if (!c) return false;
    if (!strcmp(stage, "flat")) fv_flat_print(c->flat, out);
    else if (!strcmp(stage, "declined")) fv_buf_puts(out, c->flat->remarks ? c->flat->remarks : "");
    else if (!strcmp(stage, "opencl")) fv_buf_puts(out, c->text.text);
    else return false;
    return true;
}
static bool object(fv_module *m, const char *prefix, fv_buf *out) {
    (void)m, (void)prefix, (void)out;
    return false;
}
static fv_compile_stats stats(fv_module *m) { return m->stats; }
static const void *executor_user(fv_module *m) { return &m->options; }
static const fovea_device_code *device_code(fv_module *m, int which, int i) {
    const code *c = find(m, which, i);
    return c ? &c->device : NULL;
}

static bool place(const char *name, const char *device, fv_buf *out, fv_buf *driver, fv_buf *compiler) {
    fv_device_facts f;
    (void)name, (void)compiler; /* the compiler is the driver's */
    if (!fv_opencl_facts_of(device, &f)) return false;
    fv_buf_puts(out, f.name);
    fv_buf_puts(driver, f.driver);
    return true;
}
static fv_flat_kernel *flatten(fv_ctx *ctx, const fv_launch *l, const fv_target *t, const char *device) {
    fv_device_facts f;
    fovea_device_code c;
    fv_target fitted = fv_opencl_fit(t, device);
    fv_flat_kernel *k = fv_opencl_flatten(l->kernel, l->schedule, &fitted);
    if (!k || !fv_opencl_facts_of(device, &f)) return k;
    fv_opencl_facts(k, &c);
    if (c.items > f.max_group)
        fv_error(ctx, FV_E_SCHEDULE, l->loc, "%s: %lld items in a group, %s has %lld", fv_cstr(ctx, k->name),
                 (long long)c.items, f.name, (long long)f.max_group);
    else if (c.local_bytes > f.local_memory)
        fv_error(ctx, FV_E_SCHEDULE, l->loc, "%s: %lld bytes of local memory, %s has %lld", fv_cstr(ctx, k->name),
                 (long long)c.local_bytes, f.name, (long long)f.local_memory);
    else return k;
    return NULL;
}

const fv_backend fv_backend_opencl = {
    .name = "opencl",
    .summary = "OpenCL C 1.2 for GPUs and other devices",
    .available = fv_opencl_available,
    .target = target,
    .unexpanded = fv_opencl_flatten_unplaced,
    .device_target = fv_opencl_shape,
    .compile = compile,
    .entry = entry,
    .scratch_bytes = scratch_bytes,
    .programs = programs,
    .text = text,
    .object = object,
    .dispose = dispose,
    .stats = stats,
    .executor = &fovea_opencl_executor,
    .executor_user = executor_user,
    .code = device_code,
    .place = place,
    .learn = fv_opencl_learn,
    .remember = fv_opencl_remember,
    .flatten = flatten,
};
