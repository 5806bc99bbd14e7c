/* build: codes → keys → cached objects; the others are flattened on the calling thread (a context serves one
 * thread), then turned into objects on several, each with its own LLVM context and code generator. */
#define _GNU_SOURCE
#include "backends/llvm/build.h"
#include "backends/llvm/cache.h"

#include <dlfcn.h>
#include <llvm-c/Core.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- Keys -------------------------------------------------------------------------------------- */
/* What this compiler is: a build differs from another in the file that holds this function. */
void fv_build_version(fv_buf *b) {
    Dl_info info;
    struct stat st;
    union { void (*f)(fv_buf *); void *p; } here = { fv_build_version };
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    fv_buf_printf(b, "llvm %u.%u.%u\n", major, minor, patch);
    if (dladdr(here.p, &info) && info.dli_fname && stat(info.dli_fname, &st) == 0)
        fv_buf_printf(b, "build %lld %lld.%09ld\n", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                      st.st_mtim.tv_nsec);
}

static void put_tensor(const fv_ctx *ctx, const fv_tensor *t, fv_buf *b) {
    fv_buf_printf(b, "%s %s %d%d", fv_cstr(ctx, t->obj.name), fv_type_name(t->obj.type), (int)t->role, t->padded);
    for (int i = 0; i < t->obj.rank; i++)
        fv_buf_printf(b, " %lld*%lld", (long long)t->extent[i], (long long)t->stride[i]);
    if (t->obj.ranged) fv_buf_printf(b, " %lld..%lld", (long long)t->obj.lo, (long long)t->obj.hi);
    fv_buf_puts(b, "\n");
}

void fv_build_key(fv_module *m, fv_built *c, const char *version) {
    const fv_kernel *k = c->launch->kernel;
    fv_buf b = { 0 };
    fv_buf_printf(&b, "%starget %s %d %s %s %s\nnoalias %d\n", version, m->machine.facts->name, m->machine.facts->registers,
                  m->machine.triple, m->machine.cpu, m->machine.features, c->noalias);
    for (int i = 0; i < k->n_tensors; i++) put_tensor(m->ctx, k->tensor[i], &b);
    if (c->launch->schedule) fv_schedule_print(m->ctx, c->launch->schedule, &b);
    fv_buf_puts(&b, "\n");
    fv_kernel_print(k, &b);
    c->key_bytes = b.len;
    c->key = b.text;
    char name[33];
    fv_cache_name(c->key, c->key_bytes, name);
    snprintf(c->symbol, sizeof c->symbol, "fovea_%s", name);
}

/* -- Codes ------------------------------------------------------------------------------------- */
static bool writes_shared(const fv_launch *l) {
    for (int i = 0; i < l->n_args; i++)
        for (int j = 0; j < i; j++) {
            bool written = l->kernel->tensor[i]->role != FV_ROLE_IN || l->kernel->tensor[j]->role != FV_ROLE_IN;
            if (written && l->arg[i] == l->arg[j]) return true;
        }
    return false;
}

void fv_built_dispose(fv_built *c) {
    free(c->key);
    fv_buf_dispose(&c->object);
}

bool fv_build_codes(fv_module *m) {
    const fv_plan *p = m->plan;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < p->n_launches[w]; i++)
            if (p->launch[w][i]->code >= m->n) m->n = p->launch[w][i]->code + 1;
    m->code = calloc((size_t)m->n + 1, sizeof *m->code);
    FV_ASSERT(m->code, "out of memory");
    for (int i = 0; i < m->n; i++) m->code[i].noalias = true;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < p->n_launches[w]; i++) {
            const fv_launch *l = p->launch[w][i];
            fv_built *c = &m->code[l->code];
            if (!c->launch) c->launch = l;
            if (writes_shared(l)) c->noalias = false;
        }
    fv_buf version = { 0 };
    fv_build_version(&version);
    for (int i = 0; i < m->n; i++)
        if (m->code[i].launch) fv_build_key(m, &m->code[i], version.text);
    fv_buf_dispose(&version);
    return true;
}

fv_flat_kernel *fv_built_flat(fv_module *m, fv_built *c) {
    if (c->flat) return c->flat;
    fv_flat_kernel *k = fv_flatten_chosen(c->launch->kernel, c->launch->schedule, m->machine.facts);
    if (!k) return NULL;
    c->scratch_bytes = k->scratch_bytes;
    c->programs = k->programs;
    fv_flat_expand_math(k, m->machine.facts);
    return c->flat = k;
}

/* -- Objects ----------------------------------------------------------------------------------- */
typedef struct { fv_module *m; atomic_int next; } work;

static bool wanted(const fv_built *c) {
    return c->launch && !c->cached;
}

static void *worker(void *user) {
    work *w = user;
    LLVMTargetMachineRef tm = NULL;
    for (int i; (i = atomic_fetch_add(&w->next, 1)) < w->m->n;) {
        fv_built *c = &w->m->code[i];
        if (!wanted(c)) continue;
        fv_code_unit unit = { c->flat, c->symbol, c->noalias };
        if (!tm) tm = fv_machine_codegen(&w->m->machine, c->why, sizeof c->why);
        c->failed = !tm || !fv_codegen(&unit, 1, &w->m->machine, &tm, FV_CODE_OBJECT, &c->object, c->why,
                                       sizeof c->why);
    }
    if (tm) LLVMDisposeTargetMachine(tm);
    return NULL;
}

static void run_workers(fv_module *m, int threads, int jobs) {
    enum { MAX_THREADS = 16 };
    work w = { m, 0 };
    pthread_t id[MAX_THREADS];
    int started = 0;
    if (threads <= 0) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > jobs) threads = jobs;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    while (started < threads - 1 && pthread_create(&id[started], NULL, worker, &w) == 0) started++;
    worker(&w);
    for (int i = 0; i < started; i++) pthread_join(id[i], NULL);
}

static bool load_cached(fv_built *c, const char *dir) {
    fv_cache_facts f;
    if (!dir || !fv_cache_load(dir, c->key, c->key_bytes, &c->object, &f)) return false;
    c->scratch_bytes = f.scratch_bytes;
    c->programs = f.programs;
    return true;
}

bool fv_build_objects(fv_module *m, const fv_compile_options *o) {
    const char *dir = m->machine.simulated ? NULL : o->cache_dir; /* simulated: addresses of this process */
    int jobs = 0;
    bool ok = true;
    for (int i = 0; i < m->n; i++) {
        fv_built *c = &m->code[i];
        if (!c->launch) continue;
        c->cached = load_cached(c, dir);
        if (c->cached) m->stats.from_cache++;
        else if (fv_built_flat(m, c)) jobs++;
        else ok = false;
    }
    if (!ok) return false;
    if (jobs) run_workers(m, o->threads, jobs);
    for (int i = 0; i < m->n; i++) {
        fv_built *c = &m->code[i];
        if (!wanted(c)) continue;
        if (c->failed) {
            fv_error(m->ctx, FV_E_BACKEND, c->launch->loc, "kernel '%s': %s", fv_cstr(m->ctx, c->launch->kernel->name),
                     c->why);
            ok = false;
            continue;
        }
        m->stats.compiled++;
        fv_cache_facts facts = { c->scratch_bytes, c->programs };
        if (dir) fv_cache_save(dir, c->key, c->key_bytes, &c->object, &facts);
    }
    return ok;
}

bool fv_build_load(fv_module *m) {
    char why[512];
    if (!(m->jit = fv_jit_new(why, sizeof why))) {
        fv_error(m->ctx, FV_E_BACKEND, (fv_loc){ { 0 }, 0 }, "code cannot be loaded: %s", why);
        return false;
    }
    for (int i = 0; i < m->n; i++) {
        fv_built *c = &m->code[i];
        if (!c->launch) continue;
        void *at = NULL;
        if (fv_jit_add(m->jit, &c->object, why, sizeof why)) at = fv_jit_find(m->jit, c->symbol, why, sizeof why);
        if (!at) {
            fv_error(m->ctx, FV_E_BACKEND, c->launch->loc, "kernel '%s' cannot be loaded: %s",
                     fv_cstr(m->ctx, c->launch->kernel->name), why);
            return false;
        }
        c->entry = (fovea_kernel *)(uintptr_t)at;
        m->stats.code_bytes += (int64_t)c->object.len;
    }
    return true;
}
