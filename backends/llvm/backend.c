/* backend: the CPU backend's table of functions over a module of compiled codes. */
#define _POSIX_C_SOURCE 200809L
#include "backends/llvm/llvm.h"
#include "backends/llvm/build.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool cpu_available(fv_buf *why) {
    fv_machine m;
    char text[256];
    unsigned major, minor, patch;
    if (!fv_machine_find(NULL, &m, text, sizeof text)) {
        fv_buf_puts(why, text);
        return false;
    }
    LLVMGetVersion(&major, &minor, &patch);
    fv_buf_printf(why, "LLVM %u.%u.%u for %s, %s: %d lanes of f32, %d vector registers", major, minor, patch, m.cpu,
                  m.facts->name, m.facts->lanes, m.facts->registers);
    return true;
}

static const fv_target *cpu_target(const char *name) {
    fv_machine m;
    char why[256];
    return fv_machine_find(name, &m, why, sizeof why) ? m.facts : NULL;
}

static const char *cpu_reason(fv_ctx *ctx, const char *name) {
    fv_machine m;
    char why[256];
    return fv_machine_find(name, &m, why, sizeof why) ? NULL : fv_strdup(ctx, why);
}

/* The processor's name as it says itself; LLVM's name for its kind where it says none. */
static void processor_name(fv_buf *out) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !out->len && fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
        if (colon) fv_buf_putn(out, colon + 2, strcspn(colon + 2, "\n"));
    }
    if (f) fclose(f);
    char *kind = out->len ? NULL : LLVMGetHostCPUName();
    if (kind) fv_buf_puts(out, kind);
    if (kind) LLVMDisposeMessage(kind);
}
static bool cpu_place(const char *target, const char *device, fv_buf *name, fv_buf *driver, fv_buf *compiler) {
    unsigned major, minor, patch;
    (void)target, (void)device, (void)driver;
    LLVMGetVersion(&major, &minor, &patch);
    fv_buf_printf(compiler, "LLVM %u.%u.%u", major, minor, patch);
    processor_name(name);
    return true;
}

static void cpu_dispose(fv_module *m) {
    if (!m) return;
    fv_jit_dispose(m->jit);
    for (int i = 0; i < m->n; i++) fv_built_dispose(&m->code[i]);
    free(m->code);
    free(m);
}

static fv_module *cpu_compile(fv_ctx *ctx, const fv_plan *plan, const fv_compile_options *o) {
    static const fv_compile_options defaults = { 0 };
    double start = now();
    char why[256];
    if (!o) o = &defaults;
    fv_module *m = calloc(1, sizeof *m);
    FV_ASSERT(m, "out of memory");
    m->ctx = ctx;
    m->plan = plan;
    bool ok = fv_machine_find(o->target, &m->machine, why, sizeof why);
    if (!ok) fv_error(ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "%s", why);
    ok = ok && fv_build_codes(m) && fv_build_objects(m, o) &&
         (!o->code_bytes || fv_build_shrink(m, o)) && (!m->machine.native || fv_build_load(m));
    if (!ok) {
        cpu_dispose(m);
        return NULL;
    }
    m->stats.seconds = now() - start;
    return m;
}

static fv_built *code_of(fv_module *m, int which, int i) {
    bool there = which >= 0 && which < 2 && i >= 0 && i < m->plan->n_launches[which];
    return there ? &m->code[m->plan->launch[which][i]->code] : NULL;
}

static fovea_kernel *cpu_entry(fv_module *m, int which, int i) {
    const fv_built *c = code_of(m, which, i);
    return c ? c->entry : NULL;
}

static int64_t cpu_scratch_bytes(fv_module *m, int which, int i) {
    const fv_built *c = code_of(m, which, i);
    return c ? c->scratch_bytes : 0;
}

static int64_t cpu_programs(fv_module *m, int which, int i) {
    const fv_built *c = code_of(m, which, i);
    return c ? c->programs : 0;
}

/* -- Text and objects -------------------------------------------------------------------------- */
static bool generate(fv_module *m, const fv_code_unit *unit, int n, fv_code_form form, fv_buf *out) {
    char why[512];
    LLVMTargetMachineRef tm = fv_machine_codegen(&m->machine, why, sizeof why);
    bool ok = tm && fv_codegen(unit, n, &m->machine, &tm, form, out, why, sizeof why);
    if (tm) LLVMDisposeTargetMachine(tm);
    if (!ok) fv_error(m->ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "%s", why);
    return ok;
}

static const char *number_symbol(fv_module *m, const char *prefix, int code) {
    return fv_printf(m->ctx, "%s%d", prefix, code);
}

static bool cpu_text(fv_module *m, int which, int i, const char *stage, fv_buf *out) {
    fv_built *c = code_of(m, which, i);
    bool llvm = strcmp(stage, "llvm") == 0;
    if (!c) return false;
    if (strcmp(stage, "flat") == 0) {
        const fv_flat_kernel *k = fv_flatten_cpu(c->launch->kernel, c->launch->schedule, m->machine.facts);
        if (k) fv_flat_print(k, out);
        return k != NULL;
    }
    if (!llvm && strcmp(stage, "asm") != 0 && strcmp(stage, "math") != 0) return false;
    const fv_flat_kernel *k = fv_built_flat(m, c);
    if (!k) return false;
    if (strcmp(stage, "math") == 0) {
        fv_flat_print(k, out);
        return true;
    }
    fv_code_unit unit = { k, number_symbol(m, "fovea_k", (int)(c - m->code)), c->noalias };
    return generate(m, &unit, 1, llvm ? FV_CODE_IR : FV_CODE_ASSEMBLY, out);
}

static bool cpu_object(fv_module *m, const char *prefix, fv_buf *out) {
    fv_code_unit *unit = FV_NEWN(m->ctx, fv_code_unit, m->n + 1);
    int n = 0;
    for (int i = 0; i < m->n; i++) {
        fv_built *c = &m->code[i];
        if (!c->launch) continue;
        const fv_flat_kernel *k = fv_built_flat(m, c);
        if (!k) return false;
        unit[n++] = (fv_code_unit){ k, number_symbol(m, prefix, i), c->noalias };
    }
    return generate(m, unit, n, FV_CODE_OBJECT, out);
}

static fv_compile_stats cpu_stats(fv_module *m) {
    return m->stats;
}

const fv_backend fv_backend_cpu = {
    .name = "cpu",
    .summary = "this processor, by LLVM",
    .available = cpu_available,
    .target = cpu_target,
    .compile = cpu_compile,
    .entry = cpu_entry,
    .scratch_bytes = cpu_scratch_bytes,
    .programs = cpu_programs,
    .text = cpu_text,
    .object = cpu_object,
    .dispose = cpu_dispose,
    .stats = cpu_stats,
    .reason = cpu_reason,
    .pairs_pay = fv_llvm_pairs_pay,
    .rates = fv_llvm_rates,
    .unexpanded = fv_flatten_chosen,
    .place = cpu_place,
};

const char *fv_llvm_cache_dir(fv_ctx *ctx) {
    const char *own = getenv("FOVEA_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own) return *own ? fv_strdup(ctx, own) : NULL;
    if (xdg && *xdg) return fv_printf(ctx, "%s/fovea", xdg);
    return home && *home ? fv_printf(ctx, "%s/.cache/fovea", home) : NULL;
}
