/* Facts of the machine: see host.h. Invariant: whatever cannot be read is left at "unknown"; nothing here fails. */
#define _GNU_SOURCE
#include "cli/host.h"
#include "runtime/pool.h"
#ifdef FOVEA_HAVE_LLVM
#include "backends/llvm/llvm.h"
#endif

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOISE_TRIES = 2000, NOISE_STEPS = 20000 };

static bool first_line(const char *path, char *out, size_t cap) {
    FILE *f = fopen(path, "r");
    bool fine = f && fgets(out, (int)cap, f);
    if (f) fclose(f);
    if (fine) out[strcspn(out, "\n")] = 0;
    return fine;
}
static void processor_name(cli_host *h) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[8192];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        if (!strncmp(line, "model name", 10) && !*h->processor) {
            snprintf(h->processor, sizeof h->processor, "%.*s", (int)sizeof h->processor - 1, colon + 2);
            h->processor[strcspn(h->processor, "\n")] = 0;
        }
        if (!strncmp(line, "flags", 5) && strstr(colon, " avx512f")) h->avx512 = true;
    }
    if (f) fclose(f);
}
static int64_t bytes_of(const char *text) {
    char *end;
    int64_t n = strtoll(text, &end, 10);
    return *end == 'K' ? n << 10 : *end == 'M' ? n << 20 : n;
}
static void caches(cli_host *h) {
    for (int i = 0; i < 8; i++) {
        char path[128], level[16], type[32], size[32];
        const char *base = "/sys/devices/system/cpu/cpu0/cache/index";
        snprintf(path, sizeof path, "%s%d/level", base, i);
        if (!first_line(path, level, sizeof level)) break;
        snprintf(path, sizeof path, "%s%d/type", base, i);
        if (!first_line(path, type, sizeof type) || !strcmp(type, "Instruction")) continue;
        snprintf(path, sizeof path, "%s%d/size", base, i);
        int n = atoi(level);
        if (first_line(path, size, sizeof size) && n >= 1 && n <= 3) h->cache[n] = bytes_of(size);
    }
}
static void memory(cli_host *h) {
    FILE *f = fopen("/proc/meminfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, "MemTotal:", 9)) h->memory_bytes = strtoll(line + 9, NULL, 10) << 10;
        if (!strncmp(line, "MemAvailable:", 13)) h->available_bytes = strtoll(line + 13, NULL, 10) << 10;
    }
    if (f) fclose(f);
}
void cli_host_read(cli_host *h) {
    *h = (cli_host){.load = -1};
    char text[64];
    cpu_set_t set;
    h->online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    h->affinity = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : h->online;
    h->quota = fovea_cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup");
    h->threads = fovea_threads_available();
    processor_name(h);
    caches(h);
    memory(h);
    h->smt = first_line("/sys/devices/system/cpu/smt/active", text, sizeof text) && *text == '1';
    if (!first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", h->governor, sizeof h->governor))
        h->governor[0] = 0;
    if (first_line("/proc/loadavg", text, sizeof text)) h->load = atof(text);
}

double cli_pair_peak(void) {
#ifdef FOVEA_HAVE_LLVM
    return fv_llvm_pair_peak();
#else
    return 0;
#endif
}
double cli_tile_peak(void) {
#ifdef FOVEA_HAVE_LLVM
    return fv_llvm_tile_peak();
#else
    return 0;
#endif
}
double cli_peak(const char *target) {
#ifdef FOVEA_HAVE_LLVM
    const char *was = getenv("FOVEA_TARGET");
    char *keep = was ? strdup(was) : NULL;
    if (target) setenv("FOVEA_TARGET", target, 1);
    double peak = fv_llvm_fma_peak();
    if (target && keep) setenv("FOVEA_TARGET", keep, 1);
    if (target && !keep) unsetenv("FOVEA_TARGET");
    free(keep);
    return peak;
#else
    (void)target;
    return 0;
#endif
}
double cli_bandwidth(void) {
#ifdef FOVEA_HAVE_LLVM
    return fv_llvm_read_bandwidth();
#else
    return 0;
#endif
}

double cli_timing_noise(void) {
    volatile double sink = 1;
    double least = 0, sum = 0;
    for (int i = 0; i < NOISE_TRIES; i++) {
        double begin = fv_now(), x = sink;
        for (int j = 0; j < NOISE_STEPS; j++) x = x * 0.999999 + 1e-6;
        sink = x;
        double t = fv_now() - begin;
        sum += t;
        if (i == 0 || t < least) least = t;
    }
    return least > 0 ? sum / NOISE_TRIES / least - 1 : 0;
}
