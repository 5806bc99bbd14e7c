/* The thread pool: every index once, any number of threads, many jobs in a row, several callers; and counting
 * processors. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/pool.h"

typedef struct { fovea_range range; _Atomic uint32_t *hits; _Atomic int32_t busy[8]; _Atomic int32_t clashes; } job;

static void count(void *arg, int32_t thread) {
    job *j = arg;
    if (atomic_fetch_add(&j->busy[thread], 1) != 0) atomic_fetch_add(&j->clashes, 1);
    int64_t begin, end;
    while (fovea_range_take(&j->range, &begin, &end))
        for (int64_t i = begin; i < end; i++) atomic_fetch_add(&j->hits[i], 1);
    atomic_fetch_sub(&j->busy[thread], 1);
}

static void run_jobs(fovea_pool *pool, int32_t threads, int jobs, int64_t n) {
    _Atomic uint32_t *hits = calloc((size_t)n + 1, sizeof *hits);
    for (int k = 1; k <= jobs; k++) {
        job j = {.hits = hits};
        fovea_range_init(&j.range, n, threads);
        fovea_pool_parallel(pool, threads, count, &j);
        for (int64_t i = 0; i < n; i++)
            cr_assert(eq(u32, atomic_load(&hits[i]), (uint32_t)k), "job %d index %d", k, (int)i);
        cr_assert(eq(int, j.clashes, 0));
        if (k % 50 == 0) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);   /* long enough that workers sleep */
    }
    free((void *)hits);
}

Test(runtime_pool, every_index_once) {
    for (int32_t threads = 1; threads <= 8; threads += threads < 4 ? 1 : 4) {
        fovea_pool *pool;
        fovea_error err = {0};
        cr_assert(eq(int, fovea_pool_new(threads, &pool, &err), FOVEA_OK), "%s", err.text);
        cr_expect(eq(int, fovea_pool_threads(pool), threads));
        run_jobs(pool, threads, 200, 1);
        run_jobs(pool, threads, 200, 13);
        run_jobs(pool, threads, 20, 5000);
        run_jobs(pool, threads > 1 ? threads - 1 : 1, 20, 100);
        run_jobs(pool, threads, 3, 0);
        fovea_pool_dispose(pool);
    }
}

typedef struct { fovea_pool *pool; pthread_t id; } caller;
static void *call(void *arg) {
    run_jobs(((caller *)arg)->pool, 3, 200, 40);
    return NULL;
}
Test(runtime_pool, several_callers_take_turns) {
    fovea_pool *pool;
    cr_assert(eq(int, fovea_pool_new(3, &pool, NULL), FOVEA_OK));
    caller c[3];
    for (int i = 0; i < 3; i++) {
        c[i].pool = pool;
        cr_assert(eq(int, pthread_create(&c[i].id, NULL, call, &c[i]), 0));
    }
    for (int i = 0; i < 3; i++) pthread_join(c[i].id, NULL);
    fovea_pool_dispose(pool);
}

Test(runtime_pool, starts_and_ends_at_once) {
    for (int k = 0; k < 100; k++) {
        fovea_pool *pool;
        cr_assert(eq(int, fovea_pool_new(4, &pool, NULL), FOVEA_OK));
        fovea_pool_dispose(pool);
    }
    fovea_pool *pool;
    fovea_error err;
    cr_expect(eq(int, fovea_pool_new(0, &pool, &err), FOVEA_E_ARGUMENT));
    cr_expect(eq(int, fovea_pool_new(FOVEA_POOL_MAX + 1, &pool, &err), FOVEA_E_ARGUMENT));
    cr_expect(pool == NULL);
    fovea_pool_dispose(NULL);
}

Test(runtime_pool, pieces_are_in_order_and_shrink) {
    fovea_range r;
    int64_t begin, end, reached = 0, last = INT64_MAX;
    fovea_range_init(&r, 1000, 4);
    while (fovea_range_take(&r, &begin, &end)) {
        cr_assert(eq(i64, begin, reached));
        cr_assert(end > begin && end - begin <= last);
        last = end - begin;
        reached = end;
    }
    cr_assert(eq(i64, reached, 1000));
    cr_assert(eq(i64, last, 1));
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        mkdir(path, 0755);
    }
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL, "%s", path);
    fputs(text, f);
    fclose(f);
}

Test(runtime_pool, control_groups_bound_the_processors) {
    char root[] = "/tmp/fovea-cgroup-XXXXXX", list[512];
    cr_assert(mkdtemp(root) != NULL);
    snprintf(list, sizeof list, "%s/cgroup", root);
    const struct { const char *cgroup, *file, *text; int32_t want; } cases[] = {
        {"0::/a/b\n", "a/b/cpu.max", "250000 100000\n", 2},
        {"0::/a/b\n", "a/cpu.max", "100000 100000\n", 1},         /* the group above is tighter */
        {"0::/a\n", "a/cpu.max", "max 100000\n", 0},
        {"0::/a\n", "a/cpu.max", "10000 100000\n", 1},
        {"0::/outside/name\n", "cpu.max", "300000 100000\n", 3},  /* a container: only the mount point is there */
        {"0::/\n", "cpu.max", "nonsense\n", 0},
        {"4:memory:/m\n3:cpu,cpuacct:/g\n", "cpu,cpuacct/g/cpu.cfs_quota_us", "400000\n", 4},
        {"3:cpu,cpuacct:/g\n", "cpu,cpuacct/g/cpu.cfs_quota_us", "-1\n", 0},
        {"3:cpuset:/g\n", "cpu/cpu.cfs_quota_us", "400000\n", 0},
        {"", "cpu.max", "100000 100000\n", 0},
    };
    write_file(root, "cpu,cpuacct/g/cpu.cfs_period_us", "100000\n");
    write_file(root, "cpu/cpu.cfs_period_us", "100000\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(root, "cgroup", cases[i].cgroup);
        write_file(root, cases[i].file, cases[i].text);
        cr_expect(eq(int, fovea_cgroup_processors(list, root), cases[i].want), "case %d", (int)i);
        if (i == 5) write_file(root, "cpu.max", "max 100000\n");
    }
    cr_expect(eq(int, fovea_cgroup_processors("/nowhere/at/all", root), 0));
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_expect(eq(int, system(command), 0));
}
