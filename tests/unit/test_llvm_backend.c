/* The CPU backend around the code: sharing, cache (hit, miss, damage), texts of the stages, whole objects, other
 * processors, refusals. */
#define _DEFAULT_SOURCE
#include "backends/llvm/cache.h"
#include "llvm_kit.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

static const char text[] = "kernel scaled {\n"
                           "  in X : f32[m=37, n=19]\n"
                           "  out Y : f32[m=37, n=19]\n"
                           "  grid m<37, n:16<19 {\n"
                           "    st: Y[m, n] = exp2(X[m, n]) + %d.0\n"
                           "  }\n"
                           "}\n";
enum { COUNT = 37 * 19 };
typedef struct { fv_ctx *ctx; fv_plan *plan; } model;

/* Three launches: two of one kernel, one of another; the last also in the prepare plan. */
static model model_new(int constant) {
    model m = { fv_ctx_new(), NULL };
    m.plan = fv_plan_new(m.ctx);
    const char *name[4] = { "a", "b", "c", "d" };
    for (int i = 0; i < 4; i++) {
        fv_plan_tensor t = { .name = fv_intern(m.ctx, name[i]), .kind = i ? FV_MEM_OUTPUT
            : FV_MEM_INPUT, .type = FV_F32, .rank = 2 };
        t.dim[0] = fv_intern(m.ctx, "m");
        t.dim[1] = fv_intern(m.ctx, "n");
        t.extent[0] = 37;
        t.extent[1] = 19;
        fv_plan_tensor_dense(&t);
        fv_plan_add_tensor(m.plan, &t);
    }
    for (int i = 0; i < 3; i++) {
        char source[512];
        snprintf(source, sizeof source, text, i < 2 ? constant : constant + 1);
        fv_launch l = { .kernel = fv_kernel_parse(m.ctx, "scaled", source), .n_args = 2,
            .schedule = fv_schedule_new(m.ctx, "") };
        cr_assert(l.kernel);
        l.arg = FV_NEWN(m.ctx, int, 2);
        l.arg[1] = i + 1;
        fv_plan_add_launch(m.plan, i == 2 ? 0 : 1, &l);
    }
    cr_assert(fv_plan_share(m.plan) == 2);
    return m;
}

static fv_module *compiled(model *m, const char *target, const char *dir) {
    fv_module *r = fv_backend_cpu.compile(m->ctx, m->plan, &(fv_compile_options){ .target = target, .cache_dir = dir,
        .threads = 2 });
    cr_assert(r, "%s", fv_diag_count(m->ctx) ? fv_diag_at(m->ctx, 0)->text : "no reason");
    return r;
}

static void check_values(fovea_kernel *f, int64_t programs, int constant) {
    float x[COUNT], y[COUNT];
    void *args[2] = { x, y };
    for (int i = 0; i < COUNT; i++) x[i] = (float)(i % 50) * 0.1F - 3;
    f(args, 0, programs, NULL);
    for (int i = 0; i < COUNT; i++) cr_assert(fabs((double)y[i] - exp2((double)x[i]) - constant) < 1e-5, "y[%d] = %g",
                                              i, (double)y[i]);
}

static void check_module(fv_module *m, int constant) {
    check_values(fv_backend_cpu.entry(m, 1, 0), fv_backend_cpu.programs(m, 1, 0), constant);
    check_values(fv_backend_cpu.entry(m, 0, 0), fv_backend_cpu.programs(m, 0, 0), constant + 1);
    cr_expect(fv_backend_cpu.entry(m, 1, 0) == fv_backend_cpu.entry(m, 1, 1), "equal launches share their code");
    cr_expect(fv_backend_cpu.entry(m, 0, 0) != fv_backend_cpu.entry(m, 1, 1));
    cr_expect(!fv_backend_cpu.entry(m, 1, 2) && !fv_backend_cpu.entry(m, 2, 0),
              "launches that do not exist have no entry");
}

/* -- Cache ------------------------------------------------------------------------------------- */
static void empty_dir(const char *dir) {
    DIR *d = opendir(dir);
    char path[512];
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static int files_in(const char *dir) {
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

/* Overwrites a byte of every file at a share of its length, or cuts the files there. */
static void damage(const char *dir, double where, bool cut) {
    DIR *d = opendir(dir);
    char path[512];
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        struct stat st;
        cr_assert(stat(path, &st) == 0);
        off_t at = (off_t)((double)st.st_size * where);
        if (cut) {
            cr_assert(truncate(path, at) == 0);
            continue;
        }
        FILE *f = fopen(path, "r+b");
        fseek(f, at, SEEK_SET);
        int c = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(c ^ 0x10, f);
        fclose(f);
    }
    if (d) closedir(d);
}

static void expect_stats(int constant, const char *dir, int from_cache, const char *what) {
    model m = model_new(constant);
    fv_module *c = compiled(&m, NULL, dir);
    fv_compile_stats st = fv_backend_cpu.stats(c);
    cr_expect(st.from_cache == from_cache && st.compiled == 2 - from_cache, "%s: %d from the cache, %d compiled", what,
              st.from_cache, st.compiled);
    check_module(c, constant);
    fv_buf flat = { 0 };
    cr_expect(fv_backend_cpu.text(c, 1, 0, "flat", &flat) && strstr(flat.text, "flat scaled"), "%s: no text", what);
    fv_buf_dispose(&flat);
    fv_backend_cpu.dispose(c);
    fv_ctx_dispose(m.ctx);
}

Test(llvm_backend, cache) {
    char base[] = "/tmp/fovea-test-XXXXXX", dir[64];
    cr_assert(mkdtemp(base));
    snprintf(dir, sizeof dir, "%s/new/objects", base);
    expect_stats(3, dir, 0, "empty");
    cr_expect(files_in(dir) == 2, "one file for each code");
    expect_stats(3, dir, 2, "again");
    expect_stats(4, dir, 1, "one kernel in common");
    cr_expect(files_in(dir) == 3);
    for (int i = 0; i < 5; i++) {
        damage(dir, 0.2 * i, false);
        expect_stats(3, dir, 0, "a byte changed");
        expect_stats(3, dir, 2, "repaired");
    }
    damage(dir, 0.5, true);
    expect_stats(3, dir, 0, "cut");
    damage(dir, 0, true);
    expect_stats(3, dir, 0, "emptied");
    setenv("FOVEA_TARGET", "sse2", 1);
    expect_stats(3, dir, 0, "another target");
    unsetenv("FOVEA_TARGET");
    expect_stats(3, "/proc/no/such/place", 0, "a directory that cannot be made");
    empty_dir(dir);
    snprintf(dir, sizeof dir, "%s/new", base);
    empty_dir(dir);
    empty_dir(base);
}

/* Another key under the same name is a miss: the whole key is compared. */
Test(llvm_backend, cache_keys) {
    char dir[] = "/tmp/fovea-test-XXXXXX", from[256], to[256], name[33];
    cr_assert(mkdtemp(dir));
    fv_buf object = { 0 }, out = { 0 };
    fv_cache_facts facts = { 7, 9 }, read = { 0, 0 };
    fv_buf_puts(&object, "object");
    fv_cache_save(dir, "one", 3, &object, &facts);
    cr_expect(fv_cache_load(dir, "one", 3, &out, &read) && out.len == 6 && read.scratch_bytes == 7 &&
              read.programs == 9);
    fv_cache_name("one", 3, name);
    snprintf(from, sizeof from, "%s/%s.o", dir, name);
    fv_cache_name("two", 3, name);
    snprintf(to, sizeof to, "%s/%s.o", dir, name);
    cr_assert(rename(from, to) == 0);
    cr_expect(!fv_cache_load(dir, "two", 3, &out, &read) && out.len == 6, "a file with another key was taken");
    fv_buf_dispose(&object);
    fv_buf_dispose(&out);
    empty_dir(dir);
}

/* -- Texts and objects ------------------------------------------------------------------------- */
Test(llvm_backend, stages) {
    model m = model_new(3);
    fv_module *c = compiled(&m, "avx2", NULL);
    static const char *const stage[] = { "flat", "math", "llvm", "asm" },
        *const has[] = { "exp2(", "scalef(", "define", "vfmadd" };
    for (int i = 0; i < 4; i++) {
        fv_buf b = { 0 }, again = { 0 };
        cr_expect(fv_backend_cpu.text(c, 1, 0, stage[i], &b) && strstr(b.text, has[i]), "%s lacks '%s'", stage[i],
                  has[i]);
        cr_expect(fv_backend_cpu.text(c, 1, 0, stage[i], &again) && strcmp(b.text, again.text) == 0,
                  "%s is not the same twice", stage[i]);
        fv_buf_dispose(&b);
        fv_buf_dispose(&again);
    }
    fv_buf b = { 0 };
    cr_expect(!fv_backend_cpu.text(c, 1, 0, "opencl", &b) && !b.len);
    fv_backend_cpu.dispose(c);
    fv_ctx_dispose(m.ctx);
}

/* One object with all kernels, linked by the system's linker and loaded. */
Test(llvm_backend, object) {
    char dir[] = "/tmp/fovea-test-XXXXXX", path[64], command[256];
    cr_assert(mkdtemp(dir));
    model m = model_new(3);
    fv_module *c = compiled(&m, NULL, NULL);
    fv_buf b = { 0 };
    cr_assert(fv_backend_cpu.object(c, "fovea_k", &b));
    snprintf(path, sizeof path, "%s/all.o", dir);
    FILE *f = fopen(path, "wb");
    cr_assert(fwrite(b.text, 1, b.len, f) == b.len && fclose(f) == 0);
    snprintf(command, sizeof command, "cc -shared -o %s/all.so %s/all.o", dir, dir);
    cr_assert(system(command) == 0);
    snprintf(path, sizeof path, "%s/all.so", dir);
    void *library = dlopen(path, RTLD_NOW);
    cr_assert(library, "%s", dlerror());
    for (int w = 0; w < 2; w++) {
        char symbol[32];
        snprintf(symbol, sizeof symbol, "fovea_k%d", m.plan->launch[w][0]->code);
        union { void *p; fovea_kernel *f; } at = { dlsym(library, symbol) };
        cr_assert(at.p, "no %s", symbol);
        check_values(at.f, fv_backend_cpu.programs(c, w, 0), w ? 3 : 4);
    }
    dlclose(library);
    empty_dir(dir);
    fv_buf_dispose(&b);
    fv_backend_cpu.dispose(c);
    fv_ctx_dispose(m.ctx);
}

/* Code for a processor that is not here: objects and text, no entries. */
Test(llvm_backend, cross) {
    static const char *const target[] = { "neon", "aarch64-linux-gnu:+neon" };
    for (int i = 0; i < 2; i++) {
        model m = model_new(3);
        fv_module *c = compiled(&m, target[i], NULL);
        fv_buf object = { 0 }, assembly = { 0 };
        cr_assert(fv_backend_cpu.object(c, "fovea_k", &object) && object.len > 64);
        cr_expect(memcmp(object.text, "\177ELF", 4) == 0 && (unsigned char)object.text[18] == 183,
                  "not an ELF object for AArch64");
        cr_assert(fv_backend_cpu.text(c, 1, 0, "asm", &assembly));
        cr_expect(strstr(assembly.text, "fmla") && strstr(assembly.text, ".4s"), "no vectors of four in:\n%s",
                  assembly.text);
        cr_expect(!fv_backend_cpu.entry(c, 1, 0));
        cr_expect(strcmp(fv_backend_cpu.target(target[i])->name, "neon") == 0);
        fv_buf_dispose(&object);
        fv_buf_dispose(&assembly);
        fv_backend_cpu.dispose(c);
        fv_ctx_dispose(m.ctx);
    }
}

Test(llvm_backend, unknown_targets) {
    static const char *const target[] = { "pentium", "nonsense-linux:+x", "nvptx64-nvidia-cuda:", ":" };
    for (int i = 0; i < 4; i++) {
        model m = model_new(3);
        fv_module *c = fv_backend_cpu.compile(m.ctx, m.plan, &(fv_compile_options){ .target = target[i] });
        cr_expect(!c && fv_error_count(m.ctx) == 1, "'%s' was taken", target[i]);
        cr_expect(!fv_backend_cpu.target(target[i]));
        fv_backend_cpu.dispose(c);
        fv_ctx_dispose(m.ctx);
    }
}

/* A fault inside LLVM, which would end the process, comes back as an error, on every compile thread; the next
 * compilation is not touched by it. */
Test(llvm_backend, faults_inside_llvm) {
    model m = model_new(3);
    fv_module *c = fv_backend_cpu.compile(m.ctx, m.plan, &(fv_compile_options){ .target = "x86_64-linux-gnu:-64bit",
        .threads = 2 });
    cr_expect(!c && fv_error_count(m.ctx) == 2 && strstr(fv_diag_at(m.ctx, 0)->text, "LLVM gave up"), "%d errors",
              fv_error_count(m.ctx));
    fv_diag_clear(m.ctx);
    c = compiled(&m, NULL, NULL);
    check_module(c, 3);
    fv_backend_cpu.dispose(c);
    fv_ctx_dispose(m.ctx);
}

/* Features that name no instruction set of ours still make code; too small a set of them makes four lanes. */
Test(llvm_backend, facts_follow_features) {
    const fv_target *t = fv_backend_cpu.target("x86_64-linux-gnu:+avx2,+fma,+f16c");
    cr_expect(t && strcmp(t->name, "avx2") == 0);
    t = fv_backend_cpu.target("x86_64-linux-gnu:+avx2");
    cr_expect(t && strcmp(t->name, "sse2") == 0 && t->lanes == 4);
    t = fv_backend_cpu.target("x86_64-linux-gnu:+avx2,+fma,+f16c,+avx512f,+avx512vl,+avx512bw");
    cr_expect(t && strcmp(t->name, "avx2") == 0, "AVX-512 without DQ is not taken for the whole");
}

Test(llvm_backend, peak) {
    double peak = fv_llvm_fma_peak(), rate = fv_llvm_read_bandwidth();
    cr_expect(peak > 1 && peak < 1000, "%g GFLOP/s", peak);
    cr_expect(rate > 0.5 && rate < 2000, "%g GB/s", rate);
}

/* -- Flat text --------------------------------------------------------------------------------- */
Test(llvm_backend, flat_text_comes_back) {
    model m = model_new(3);
    fv_module *c = compiled(&m, NULL, NULL);
    static const char *const stage[] = { "flat", "math" };
    for (int i = 0; i < 2; i++) {
        fv_buf first = { 0 }, second = { 0 };
        cr_assert(fv_backend_cpu.text(c, 1, 0, stage[i], &first));
        fv_flat_kernel *k = fv_flat_parse(m.ctx, "again", first.text);
        cr_assert(k, "%s", fv_diag_at(m.ctx, 0)->text);
        fv_flat_print(k, &second);
        cr_expect(strcmp(first.text, second.text) == 0, "%s became %s", first.text, second.text);
        fv_buf_dispose(&first);
        fv_buf_dispose(&second);
    }
    fv_backend_cpu.dispose(c);
    fv_ctx_dispose(m.ctx);
}
