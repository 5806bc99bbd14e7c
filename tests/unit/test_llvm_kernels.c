/* Whole kernels: each golden tile kernel through flattening, LLVM and this processor, against the tile interpreter; on
 * every instruction set that runs here, in two parts of the grid, with guards behind every array. Files that the
 * flattening refuses are counted, not hidden. */
#define _DEFAULT_SOURCE
#include "backends/llvm/llvm.h"
#include "plan/plan.h"
#include "tile_run.h"

#include <dirent.h>

enum { GUARD = 64 };
typedef struct { char *memory; int64_t bytes; } storage;

static fv_plan *plan_of(kit *s) {
    fv_plan *p = fv_plan_new(s->ctx);
    for (int j = 0; j < s->n_arrays; j++) {
        const fv_tensor *t = s->array[j].t;
        fv_plan_tensor pt = { .name = t->obj.name, .kind = t->role == FV_ROLE_IN ? FV_MEM_INPUT : FV_MEM_OUTPUT,
            .type = t->obj.type, .rank = t->obj.rank };
        for (int i = 0; i < t->obj.rank; i++) {
            pt.dim[i] = t->dim[i];
            pt.extent[i] = t->extent[i];
            pt.stride[i] = t->stride[i];
        }
        fv_plan_add_tensor(p, &pt);
    }
    for (int k = 0; k < s->n_kernels; k++) {
        fv_launch l = { .kernel = s->kernel[k], .n_args = s->kernel[k]->n_tensors };
        l.arg = FV_NEWN(s->ctx, int, l.n_args);
        for (int j = 0; j < l.n_args; j++) l.arg[j] = (int)(find(s, fv_cstr(s->ctx, l.kernel->tensor[j]->obj.name)) -
                                                            s->array);
        l.schedule = fv_schedule_new(s->ctx, "");
        fv_plan_add_launch(p, 1, &l);
    }
    fv_plan_share(p);
    return p;
}

static void put(const array *a, storage *m) {
    fv_type t = a->t->obj.type;
    m->bytes = a->n * fv_type_bytes(t);
    m->memory = aligned_alloc(64, (size_t)(m->bytes + GUARD + 63) / 64 * 64 + 64);
    memset(m->memory, 0x5a, (size_t)m->bytes + GUARD);
    for (int64_t i = 0; i < a->n; i++) {
        if (a->t->role != FV_ROLE_IN) break;
        if (t == FV_F32) ((float *)m->memory)[i] = (float)a->data[i];
        else if (t == FV_I32) ((int32_t *)m->memory)[i] = (int32_t)a->data[i];
        else if (t == FV_BOOL) m->memory[i] = a->data[i] != 0;
        else cr_assert_fail("%s: a tensor of %s", fv_type_name(t), fv_type_name(t));
    }
}

static double got(const array *a, const storage *m, int64_t i) {
    return a->t->obj.type == FV_F32 ? (double)((float *)m->memory)[i] : a->t->obj.type == FV_I32
        ? (double)((int32_t *)m->memory)[i] : (double)m->memory[i];
}

/* Worst error of all outputs over their largest magnitude. */
static double compare_with(kit *s, storage *m, const char *target) {
    double worst = 0;
    for (int j = 0; j < s->n_arrays; j++) {
        const array *a = &s->array[j];
        for (int i = 0; i < GUARD; i++)
            cr_assert(m[j].memory[m[j].bytes + i] == 0x5a, "%s on %s: bytes behind %s were written", s->file, target,
                      fv_cstr(s->ctx, a->t->obj.name));
        if (a->t->role == FV_ROLE_IN) continue;
        double most = 1e-30, error = 0;
        for (int64_t i = 0; i < a->n; i++) {
            if (isnan(a->data[i])) continue;            /* never written: gaps between strides */
            double d = fabs(got(a, &m[j], i) - a->data[i]);
            if (got(a, &m[j], i) == a->data[i]) d = 0;
            if (!(d <= error)) error = isnan(d) ? (double)INFINITY : d;
            if (isfinite(a->data[i]) && fabs(a->data[i]) > most) most = fabs(a->data[i]);
        }
        if (error / most > worst) worst = error / most;
    }
    return worst;
}

static void run_all(kit *s, fv_module *m, const fv_plan *p, storage *memory) {
    for (int k = 0; k < p->n_launches[1]; k++) {
        void *args[MAX_ARRAYS];
        for (int j = 0; j < p->launch[1][k]->n_args; j++) args[j] = memory[p->launch[1][k]->arg[j]].memory;
        int64_t bytes = fv_backend_cpu.scratch_bytes(m, 1, k), n = fv_backend_cpu.programs(m, 1, k), half = n / 2;
        char *scratch = aligned_alloc(64, (size_t)(bytes + GUARD + 63) / 64 * 64);
        memset(scratch, 0xff, (size_t)bytes + GUARD);
        fovea_kernel *f = fv_backend_cpu.entry(m, 1, k);
        cr_assert(f, "no entry");
        f(args, half, n, scratch);
        f(args, 0, half, scratch);
        for (int i = 0; i < GUARD; i++) cr_assert((unsigned char)scratch[bytes + i] == 0xff,
                                                  "%s: bytes behind the scratch block were written", s->file);
        free(scratch);
    }
}

/* false: the flattening refused it. */
static bool check(const char *file, const char *target) {
    kit *s = kit_open(file);
    for (int j = 0; j < s->n_arrays; j++) {             /* index tensors hold indices */
        array *a = &s->array[j];
        int64_t lo = a->t->obj.ranged ? a->t->obj.lo : 0, hi = a->t->obj.ranged ? a->t->obj.hi : 1;
        if (a->t->obj.type != FV_F32 && a->t->role == FV_ROLE_IN)
            for (int64_t i = 0; i < a->n; i++) a->data[i] =
                (double)(lo + (int64_t)((random_value() * 0.5 + 0.5) * (double)(hi - lo + 1)));
    }
    fv_plan *p = plan_of(s);
    fv_module *m = fv_backend_cpu.compile(s->ctx, p, &(fv_compile_options){ .target = target, .threads = 2 });
    if (!m) {
        fprintf(stderr, "%-26s %-6s refused: %s\n", file, target, fv_diag_count(s->ctx) ? fv_diag_at(s->ctx, 0)->text
                : "no reason");
        kit_close(s);
        return false;
    }
    storage memory[MAX_ARRAYS];
    for (int j = 0; j < s->n_arrays; j++) put(&s->array[j], &memory[j]);
    cr_assert(kit_run(s, false), "%s: the interpreter failed: %s", file, fv_diag_count(s->ctx)
              ? fv_diag_at(s->ctx, 0)->text : "");
    run_all(s, m, p, memory);
    double worst = compare_with(s, memory, target);
    fv_compile_stats st = fv_backend_cpu.stats(m);
    if (getenv("FOVEA_SHOW_ERRORS")) fprintf(stderr, "%-26s %-6s error %.1e  %5.1f ms  %lld bytes\n", file, target,
                                             worst, 1e3 * st.seconds, (long long)st.code_bytes);
    cr_expect(worst <= 3e-6, "%s on %s: error %.3g", file, target, worst);
    for (int j = 0; j < s->n_arrays; j++) free(memory[j].memory);
    fv_backend_cpu.dispose(m);
    kit_close(s);
    return true;
}

static void every_file(const char *target) {
    const fv_target *t = fv_backend_cpu.target(NULL);
    bool host512 = t && strcmp(t->name, "avx512") == 0;
    if (strcmp(target, "avx512") == 0 && !host512) return;
    struct dirent **list;
    char path[1024];
    const char *only = getenv("FOVEA_ONLY");
    snprintf(path, sizeof path, "%s/golden/kernel", FOVEA_TESTS_DIR);
    int n = scandir(path, &list, NULL, alphasort), ran = 0, declined = 0;
    cr_assert(n > 0);
    for (int i = 0; i < n; i++) {
        char *dot = strrchr(list[i]->d_name, '.');
        if (dot && strcmp(dot, ".ft") == 0) {
            *dot = 0;
            if (!only || strcmp(only, list[i]->d_name) == 0) {
                if (check(list[i]->d_name, target)) ran++;
                else declined++;
            }
        }
        free(list[i]);
    }
    free(list);
    cr_expect(ran > 0 && declined == 0, "%d kernels ran on %s, %d were refused", ran, target, declined);
}

Test(llvm_kernels, avx512) { every_file("avx512"); }
Test(llvm_kernels, avx2) { every_file("avx2"); }
Test(llvm_kernels, sse2) { every_file("sse2"); }
