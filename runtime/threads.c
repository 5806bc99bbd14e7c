/* How many processors this process may use: its affinity mask, bounded by the CPU quota of its control groups. A
 * file that is absent or unreadable means no limit; the answer is at least 1. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool.h"

enum { PATH_CAP = 4096, FILE_CAP = 16384 };

/* Reads at most cap-1 bytes of a small file; false if it cannot be opened. */
static bool read_text(const char *path, char *out, size_t cap) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t used = 0;
    for (;;) {
        ssize_t got = used < cap - 1 ? read(fd, out + used, cap - 1 - used) : 0;
        if (got <= 0) break;
        used += (size_t)got;
    }
    close(fd);
    out[used] = '\0';
    return true;
}

static int64_t read_number(const char *path) {                    /* -1: none */
    char text[64];
    if (!read_text(path, text, sizeof text)) return -1;
    char *end;
    long long v = strtoll(text, &end, 10);
    return end == text ? -1 : (int64_t)v;
}

static int32_t smaller(int32_t a, int32_t b) { return a == 0 ? b : b == 0 ? a : a < b ? a : b; }

static int32_t from_quota(int64_t quota, int64_t period) {
    if (quota <= 0 || period <= 0) return 0;
    int64_t whole = quota / period;
    return whole < 1 ? 1 : whole > FOVEA_POOL_MAX ? FOVEA_POOL_MAX : (int32_t)whole;
}

/* The limit written in one folder; version 2: "QUOTA PERIOD" or "max PERIOD" in cpu.max. */
static int32_t limit_of_folder(const char *folder, bool version2) {
    char path[PATH_CAP + 32], text[128];
    int64_t quota, period;
    if (version2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!read_text(path, text, sizeof text) || sscanf(text, "%" SCNd64 " %" SCNd64, &quota, &period) != 2) return 0;
        return from_quota(quota, period);
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    quota = read_number(path);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return from_quota(quota, read_number(path));
}

/* The smallest limit of a group and of the groups above it, up to the mount point. A container often sees its own
 * group as the root while /proc names it from outside: then the folders do not exist, and only the mount point
 * counts. */
static int32_t limit_of_group(const char *mount, const char *group, bool version2) {
    char folder[PATH_CAP];
    int n = snprintf(folder, sizeof folder, "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
    if (n < 0 || n >= (int)sizeof folder) return 0;
    int32_t limit = 0;
    size_t root = strlen(mount);
    for (;;) {
        limit = smaller(limit, limit_of_folder(folder, version2));
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= root || !slash) return limit;
        *(slash < folder + root ? folder + root : slash) = '\0';
    }
}

static bool lists_cpu(const char *controllers) {
    for (const char *p = controllers; *p;) {
        size_t n = strcspn(p, ",");
        if (n == 3 && memcmp(p, "cpu", 3) == 0) return true;
        p += n + (p[n] == ',');
    }
    return false;
}

/* Lines of /proc/self/cgroup: "0::/group" (version 2), "3:cpu,cpuacct:/group" (version 1). */
int32_t fovea_cgroup_processors(const char *cgroup_file, const char *mount) {
    char text[FILE_CAP], path[PATH_CAP];
    if (!read_text(cgroup_file, text, sizeof text)) return 0;
    int32_t limit = 0;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        if (!controllers) continue;
        char *group = strchr(++controllers, ':');
        if (!group) continue;
        *group++ = '\0';
        if (*controllers == '\0') {
            limit = smaller(limit, limit_of_group(mount, group, true));
        } else if (lists_cpu(controllers)) {
            snprintf(path, sizeof path, "%s/%s", mount, controllers);
            limit = smaller(limit, limit_of_group(path, group, false));
            snprintf(path, sizeof path, "%s/cpu", mount);
            limit = smaller(limit, limit_of_group(path, group, false));
        }
    }
    return limit;
}

/* The mask may be larger than a cpu_set_t: double it until the kernel accepts the size. */
static int32_t affinity(void) {
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set) return 1;
        size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count < FOVEA_POOL_MAX ? count : FOVEA_POOL_MAX;
    }
    return 1;
}

int32_t fovea_threads_available(void) {
    return smaller(affinity(), fovea_cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup"));
}
