/* A pool of threads that run one body at the same time. Between jobs workers spin for a bounded time, then sleep. */
#ifndef FOVEA_POOL_H
#define FOVEA_POOL_H
#include "fovea.h"

typedef struct fovea_pool fovea_pool;

/* threads counts the calling thread: a pool of 1 starts none and takes no lock. Owned by the caller. Errors:
 * FOVEA_E_ARGUMENT (threads outside 1..FOVEA_POOL_MAX), FOVEA_E_MEMORY, FOVEA_E_THREAD (then nothing was left
 * running). */
enum { FOVEA_POOL_MAX = 1024 };
fovea_status fovea_pool_new(int32_t threads, fovea_pool **out, fovea_error *err);
void fovea_pool_dispose(fovea_pool *pool);                       /* joins the threads; NULL is fine */
int32_t fovea_pool_threads(const fovea_pool *pool);

/* A fovea_parallel over a pool (user: the pool). The calling thread is thread 0. Several threads may call at the
 * same time: one job after the other. A worker that wakes after the job is done is not waited for, so the body has
 * to take its work from the job (fovea_range_take) and must not count on being called for every thread. */
void fovea_pool_parallel(void *pool, int32_t threads, fovea_body *body, void *arg);

/* Work in pieces: 0..n-1 handed out in order, large pieces first, single ones at the end (guided self-scheduling). */
typedef struct { _Alignas(64) _Atomic int64_t next; int64_t n, threads; } fovea_range;
void fovea_range_init(fovea_range *range, int64_t n, int32_t threads);
/* The next piece in *begin..*end-1; false when there is none left. Any number of threads. */
bool fovea_range_take(fovea_range *range, int64_t *begin, int64_t *end);

/* For tests of fovea_threads_available: processors that the control groups listed in `cgroup_file` (as
 * /proc/self/cgroup) allow below `mount` (as /sys/fs/cgroup); 0: no limit. A quota of 2.5 counts as 2, one below 1
 * as 1. */
int32_t fovea_cgroup_processors(const char *cgroup_file, const char *mount);
#endif
