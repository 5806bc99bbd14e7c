/* fovea devices: the backends of this build and what they find here. fovea doctor: the machine, measured, and what will
 * be used. */
#include "cli/artefact.h"
#include "cli/host.h"
#ifdef FOVEA_HAVE_OPENCL
#include "cli/device_report.h"
#endif

#include <stdlib.h>
#include <string.h>

static bool say_backends(void) {
    bool any = false;
    for (int i = 0; fv_backends[i]; i++) {
        const fv_backend *b = fv_backends[i];
        fv_buf why = {0};
        bool here = !b->available || b->available(&why);
        any = any || here;
        printf("%-10s %-10s %s: %s\n", b->name, here ? "here" : "not here", b->summary, why.len ? why.text : "ready");
        fv_buf_dispose(&why);
    }
    printf("%-10s %-10s %s\n", "reference", "here",
           "the f64 evaluator that the others are compared with (slow on purpose)");
#ifndef FOVEA_HAVE_LLVM
    printf("%-10s %-10s %s\n", "cpu", "left out", "this build was configured with FOVEA_LLVM=OFF");
#endif
#ifndef FOVEA_HAVE_OPENCL
    printf("%-10s %-10s %s\n", "opencl", "left out", "this build was configured with FOVEA_OPENCL=OFF");
#endif
    return any;
}
static int devices(fv_ctx *ctx, const cli_args *a) {
    if (a->n_words) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "devices takes no argument");
        return CLI_USER;
    }
#ifdef FOVEA_HAVE_OPENCL
    int64_t seconds = 30;
    const char *probe = cli_value(a, "probe");
    if (probe) return cli_probe_child(ctx, probe);
    if (!cli_int(ctx, a, "limit", 1, &seconds)) return CLI_USER;
#endif
    say_backends();
#ifdef FOVEA_HAVE_OPENCL
    cli_device_report(ctx, !cli_flag(a, "no-probes"), (double)seconds);
#endif
    return CLI_OK;
}

static void size_text(int64_t bytes, char out[24]) {
    if (!bytes) snprintf(out, 24, "unknown");
    else if (bytes >= 1 << 20) snprintf(out, 24, "%lld MiB", (long long)bytes >> 20);
    else snprintf(out, 24, "%lld KiB", (long long)bytes >> 10);
}
static void say_threads(const cli_host *h) {
    printf("processors   %d online, %d by affinity, ", h->online, h->affinity);
    if (h->quota) printf("%d by the control group's quota\n", h->quota);
    else printf("no quota\n");
    const char *why = h->quota && h->quota < h->affinity ? "the quota"
                      : h->affinity < h->online          ? "the affinity mask"
                                                         : "all processors";
    printf("threads      %d will be used (%s)%s; --threads overrides it\n", h->threads, why,
           h->smt ? ", some of which share a core" : "");
}
static void say_memory(const cli_host *h) {
    char l1[24], l2[24], l3[24];
    size_text(h->cache[1], l1);
    size_text(h->cache[2], l2);
    size_text(h->cache[3], l3);
    printf("caches       L1 data %s, L2 %s, L3 %s\n", l1, l2, l3);
    if (h->memory_bytes)
        printf("memory       %.1f GiB, %.1f GiB available\n", (double)h->memory_bytes / (1 << 30),
               (double)h->available_bytes / (1 << 30));
}
static int doctor(fv_ctx *ctx, const cli_args *a) {
    if (a->n_words) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "doctor takes no argument");
        return CLI_USER;
    }
    cli_host h;
    cli_host_read(&h);
    printf("processor    %s\n", *h.processor ? h.processor : "unknown");
    say_threads(&h);
    say_memory(&h);
    if (*h.governor) printf("governor     %s\n", h.governor);
    if (h.load >= 0)
        printf("load         %.2f runnable on average%s\n", h.load,
               h.load > 0.5 * h.online ? ": others are busy here, times will vary" : "");
    printf("\n");
    bool any = say_backends();
    cli_progress("measuring");
    double peak = cli_peak(NULL), ymm = h.avx512 ? cli_peak("avx2") : 0, bandwidth = peak > 0 ? cli_bandwidth() : 0,
           noise = cli_timing_noise();
    cli_progress_done();
    printf("\n");
    if (peak > 0)
        printf("peak         %.1f GFLOP/s of f32 multiply-adds on one thread%s\n", peak, h.avx512 ? " (AVX-512)" : "");
    if (ymm > 0) printf("             %.1f GFLOP/s with AVX2\n", ymm);
    double pairs = peak > 0 ? cli_pair_peak() : 0;
    if (pairs > 0)
        printf("             %.1f GFLOP/s of products of bf16 pairs\n", pairs);
    double tiles = peak > 0 ? cli_tile_peak() : 0;
    if (tiles > 0) printf("             %.1f GFLOP/s of bf16 on AMX tiles\n", tiles);
    if (bandwidth > 0)
        printf("read         %.1f GB/s from memory on one thread; %.0f operations per byte to be bound by arithmetic\n",
               bandwidth, peak / bandwidth);
    printf("noise        %.1f %%: by how much the mean time of a fixed loop exceeds its least%s\n", 100 * noise,
           noise > 0.1 ? "; compare minima, not medians" : "");
    const char *cache = cli_cache_dir(ctx);
    printf("cache        %s\n", cache ? cache : "none (FOVEA_CACHE is empty)");
    printf("specs        %s\n", cli_spec_dir());
    printf("compiler     %s\n", cli_find_program(ctx, getenv("CC") && *getenv("CC") ? getenv("CC") : "cc")
                                    ? "a C compiler is here: fovea compile can link libraries"
                                    : "no C compiler: fovea compile needs one to link");
    printf("\n%s\n", peak > 0 ? "models run on the cpu backend"
                     : any    ? "models run on another backend than the cpu"
                              : "only the reference runs here");
    return CLI_OK;
}
static const cli_option options[] = {{NULL, NULL, NULL, CLI_FLAG}};
#ifdef FOVEA_HAVE_OPENCL
static const cli_option device_options[] = {
    {"no-probes", NULL, "do not ask devices what they can do", CLI_FLAG},
    {"limit", "S", "seconds that a question may take; each is asked in a process of its own (default 30)", CLI_VALUE},
    {"probe", "D:NAME", "ask device D one question in this process", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
#else
#define device_options options
#endif
const cli_command cli_devices = {"devices", "devices", "the backends of this build, devices and what they can do",
                                 device_options, devices};
const cli_command cli_doctor = {
    "doctor", "doctor", "what this machine is, what it does at best, what will be used and why", options, doctor};
