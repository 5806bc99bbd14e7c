/* The launcher and the loader against a driver that fails on demand (fake_driver.c): every failure is one error that
 * names the kernel, the launch and the device; the context is dropped and made again; the process lives. */
#define _GNU_SOURCE
#include "runtime/opencl/device.h"
#include "runtime/opencl/layout.h"
#include "runtime/opencl/opencl.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int32_t args_prepare[] = {0, 1}, args_first[] = {2, 1, 3}, args_second[] = {3, 4};
static const fovea_device_code code[] = {{"fovea_a", "prepare source", 2, 8, 0, 0},
                                         {"fovea_b", "first source", 4, 8, 128, 0},
                                         {"fovea_c", "second source", 1, 1, 0, 0}};
static const fovea_array arrays[] = {
    {.name = "w", .dtype = FOVEA_F32, .place = FOVEA_PARAM, .rank = 1, .shape = {4}, .bytes = 16},
    {.dtype = FOVEA_F32, .place = FOVEA_PREPARED, .offset = 0, .bytes = 16},
    {.name = "x", .dtype = FOVEA_F32, .place = FOVEA_INPUT, .rank = 1, .shape = {4}, .bytes = 16},
    {.dtype = FOVEA_F32, .place = FOVEA_ARENA, .offset = 0, .bytes = 16},
    {.name = "y", .dtype = FOVEA_F32, .place = FOVEA_OUTPUT, .rank = 1, .shape = {4}, .bytes = 16},
};
static const fovea_launch prepare[] = {
    {.programs = 2, .args = args_prepare, .n_args = 2, .label = "pack0", .code = &code[0]}};
static const fovea_launch run[] = {
    {.programs = 4, .args = args_first, .n_args = 3, .label = "attend1", .where = "spec.lua:3", .code = &code[1]},
    {.programs = 1, .args = args_second, .n_args = 2, .label = "map2", .code = &code[2]}};
static const fovea_program program = {.name = "small",
                                      .arrays = arrays,
                                      .n_arrays = 5,
                                      .prepare = prepare,
                                      .run = run,
                                      .n_prepare = 1,
                                      .n_run = 2,
                                      .arena_bytes = 128,
                                      .prepared_bytes = 128,
                                      .executor = &fovea_opencl_executor};
static fovea_error error;
static float w[4], x[4], y[4];
static int64_t four = 4;

static void fail(const char *what, const char *times) {
    setenv("FOVEA_OPENCL_LIBRARY", FAKE_DRIVER, 1);
    if (what) setenv("FAKE_CL_FAIL", what, 1);
    else unsetenv("FAKE_CL_FAIL");
    if (times) setenv("FAKE_CL_TIMES", times, 1);
    else unsetenv("FAKE_CL_TIMES");
}
static fovea_status load(fovea_model **m) { return fovea_model_load(&program, NULL, m, &error); }
static fovea_status bind(fovea_model *m) {
    fovea_named_tensor t = {"w", fovea_tensor(w, FOVEA_F32, 1, &four)};
    return fovea_model_bind(m, &t, 1, &error);
}
static fovea_status go(fovea_model *m) {
    DLTensor in = fovea_tensor(x, FOVEA_F32, 1, &four), out = fovea_tensor(y, FOVEA_F32, 1, &four);
    return fovea_model_run(m, &in, 1, &out, 1, &error);
}
static void says(const char *part) { cr_expect(strstr(error.text, part), "'%s' is not in: %s", part, error.text); }
static int count(int which) {
    int (*counter)(int) = NULL;
    void *library = dlopen(FAKE_DRIVER, RTLD_NOW), *found = library ? dlsym(library, "fake_cl_count") : NULL;
    cr_assert(found);
    memcpy(&counter, &found, sizeof counter);
    return counter(which);
}

Test(opencl_host, runs_and_profiles) {
    fovea_model *m;
    int64_t ns[2] = {0};
    fail(NULL, NULL);
    cr_assert(load(&m) == FOVEA_OK && bind(m) == FOVEA_OK, "%s", error.text);
    fovea_model_profile(m, ns);
    cr_assert(go(m) == FOVEA_OK, "%s", error.text);
    cr_expect(ns[0] == 500 && ns[1] == 500 && count(2) == 3 && count(0) == 3);
    cr_assert(go(m) == FOVEA_OK);
    cr_expect(count(2) == 5 && count(0) == 3 && count(1) == 1, "prepare and builds happen once");
    fovea_model *other;
    cr_assert(fovea_model_share(m, NULL, &other, &error) == FOVEA_OK && go(other) == FOVEA_OK, "%s", error.text);
    fovea_model_dispose(other);
    fovea_model_dispose(m);
}
Test(opencl_host, refusals_at_load) {
    static const struct {
        const char *fail, *says[3];
    } table[] = {
        {"build",
         {"kernel pack0 does not build on Fake device", "spec.lua:7: nothing is right here", "the build failed"}},
        {"empty-build", {"kernel pack0 does not build on Fake device", "the build log is empty", "libnvidia-nvvm"}},
        {"context", {"making a context on Fake device", "not available", "(-2)"}},
        {"buffer", {"allocating", "Fake device", "out of device memory"}},
        {"first-use", {"for the first time on Fake device", "out of device memory", "bytes"}},
        {"group", {"kernel pack0 has groups of 8 items", "Fake device allows 3", ""}},
        {"local", {"kernel pack0 needs 1048576 bytes of local memory", "Fake device has 49152", ""}},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fovea_model *m;
        fail(table[i].fail, NULL);
        cr_expect(load(&m) == FOVEA_E_DEVICE && !m, "%s", table[i].fail);
        for (int j = 0; j < 3; j++) says(table[i].says[j]);
    }
}
/* A kernel that ends abnormally: the launch is named, and the next run is a good one on a new context. */
Test(opencl_host, lost_and_taken_again) {
    fovea_model *m;
    fail(NULL, NULL);
    cr_assert(load(&m) == FOVEA_OK && bind(m) == FOVEA_OK && go(m) == FOVEA_OK);
    int contexts = count(1);
    fail("finish", "1");
    cr_expect(go(m) == FOVEA_E_DEVICE);
    says("kernel attend1 (launch 0 of 2 of run, from spec.lua:3) on Fake device: out of resources");
    cr_expect(go(m) == FOVEA_OK, "%s", error.text);
    cr_expect(count(1) == contexts + 1);
    fail(NULL, NULL);
    cr_expect(go(m) == FOVEA_OK && count(1) == contexts + 1);
    fovea_model_dispose(m);
}
/* A device that goes for good: every run is one error; nothing else happens. */
Test(opencl_host, vanishes) {
    fovea_model *m;
    fail(NULL, NULL);
    cr_assert(load(&m) == FOVEA_OK && bind(m) == FOVEA_OK);
    fail("vanish", NULL);
    cr_expect(go(m) == FOVEA_E_DEVICE);
    says("kernel attend1 (launch 0 of 2 of run");
    cr_expect(go(m) == FOVEA_E_DEVICE);
    says("making a context on Fake device: the device is not available");
    fail(NULL, NULL);
    cr_expect(go(m) == FOVEA_OK, "%s", error.text);
    fovea_model_dispose(m);
}

/* -- The cache ---- */
static char folder[64];
static int files(bool spoil) {
    int n = 0;
    char path[512];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (spoil && truncate(path, 40)) n = -99;
    }
    if (d) closedir(d);
    return n;
}
static int builds_of_load(void) {
    fovea_opencl_options o = {.cache_dir = folder};
    fovea_program p = program;
    fovea_model *m;
    int before = count(0);
    p.executor_user = &o;
    cr_assert(fovea_model_load(&p, NULL, &m, &error) == FOVEA_OK, "%s", error.text);
    fovea_model_dispose(m);
    return count(0) - before;
}
Test(opencl_host, binaries_are_cached) {
    strcpy(folder, "/tmp/fovea-cl-test-XXXXXX");
    cr_assert(mkdtemp(folder));
    fail(NULL, NULL);
    count(0);
    cr_expect(builds_of_load() == 3 && files(false) == 3);
    cr_expect(builds_of_load() == 0, "all came from the cache");
    fail("binary", NULL);
    cr_expect(builds_of_load() == 3, "binaries that the driver refuses are misses");
    fail(NULL, NULL);
    files(true);
    cr_expect(builds_of_load() == 3, "cut files are misses");
    cr_expect(builds_of_load() == 0);
    setenv("FAKE_CL_VERSION", "1.1", 1);
    cr_expect(builds_of_load() == 3 && files(false) == 6, "another driver has binaries of its own");
    unsetenv("FAKE_CL_VERSION");
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_expect(system(command) == 0);
}

/* -- The loader ---- */
Test(opencl_host, libraries_that_are_none) {
    fovea_model *m;
    fail(NULL, NULL);
    setenv("FOVEA_OPENCL_LIBRARY", "/nowhere/libx.so", 1);
    cr_expect(load(&m) == FOVEA_E_DEVICE);
    says("/nowhere/libx.so: ");
    setenv("FOVEA_OPENCL_LIBRARY", "", 1);
    cr_expect(load(&m) == FOVEA_E_DEVICE);
    says("FOVEA_OPENCL_LIBRARY: is empty");
    setenv("FOVEA_OPENCL_LIBRARY", "libm.so.6", 1);
    cr_expect(load(&m) == FOVEA_E_DEVICE);
    says("libm.so.6: is not an OpenCL library");
    setenv("FOVEA_OPENCL_LIBRARY", "/nowhere/libx.so:" FAKE_DRIVER, 1);
    cr_expect(load(&m) == FOVEA_OK, "%s", error.text);
    fovea_model_dispose(m);
}
Test(opencl_host, devices_that_are_none) {
    fovea_cl_device d;
    fail(NULL, NULL);
    cr_expect(fovea_cl_find("fake DEV", &d, &error) && fovea_cl_find("0", &d, &error));
    cr_expect(d.alignment == 512 && d.local_memory == 48 << 10 && !fovea_cl_width(&d));
    cr_expect(!fovea_cl_find("1", &d, &error));
    says("there is no device '1'; there are 0: Fake device");
}

/* -- Memory ---- */
Test(opencl_host, layout) {
    enum { N = 40 };
    fovea_array a[N];
    fovea_launch l[N];
    int32_t args[N][3];
    for (int i = 0; i < N; i++) {
        a[i] = (fovea_array){.place = FOVEA_ARENA, .bytes = 1 + (i * 7919) % 5000};
        int32_t x3[3] = {i, i ? i - 1 : 0, i > 5 && i % 4 == 0 ? i - 5 : i};
        memcpy(args[i], x3, sizeof x3);
        l[i] = (fovea_launch){.args = args[i], .n_args = 3};
    }
    fovea_program p = {.arrays = a, .n_arrays = N, .run = l, .n_run = N};
    fovea_cl_layout at;
    cr_assert(fovea_cl_layout_make(&p, 512, false, &at));
    int64_t sum = 0;
    for (int i = 0; i < N; i++) {
        sum += a[i].bytes + FOVEA_GUARD_BYTES;
        cr_expect(at.offset[i] % 512 == 0 && at.offset[i] + a[i].bytes + FOVEA_GUARD_BYTES <= at.bytes[FOVEA_CL_WORK]);
        for (int j = 0; j < N; j++) /* arrays of one launch are alive together */
            for (int q = 0; q < 3; q++)
                for (int r = 0; r < 3; r++) {
                    int32_t u = args[j][q], v = args[j][r];
                    if (u == v) continue;
                    cr_expect(at.offset[u] + a[u].bytes + FOVEA_GUARD_BYTES <= at.offset[v] ||
                              at.offset[v] + a[v].bytes + FOVEA_GUARD_BYTES <= at.offset[u]);
                }
    }
    cr_expect(at.bytes[FOVEA_CL_WORK] < sum / 2, "memory is shared");
    fovea_cl_layout_free(&at);
}
