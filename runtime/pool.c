/* The thread pool. One atomic word is the whole protocol between the caller and its workers:
 *
 *     state = epoch << 17 | open << 16 | active
 *
 * The caller writes the job, then opens it with a new epoch. A worker joins by adding 1 to `active` while the job is
 * open, and leaves by subtracting 1. When the caller has no work left it closes the job and waits until `active` is
 * 0: whoever has not joined by then never sees the job. Invariant: the job's fields change only while the state is
 * closed and active is 0.
 *
 * Who has waited for SPINS polls sleeps: it counts itself in `sleepers` (or sets `caller_sleeps`) under the lock,
 * looks at the state once more, and waits. Who changes the state looks at that count afterwards. Both sides are
 * sequentially consistent, so one of the two sees the other and no wake-up is lost. */
#define _POSIX_C_SOURCE 200809L
#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

enum { SPINS = 2000 };
static const uint64_t OPEN = UINT64_C(1) << 16, EPOCH = UINT64_C(1) << 17, ACTIVE = UINT64_C(0xffff);

typedef struct { fovea_pool *pool; pthread_t id; int32_t index; } worker;
struct fovea_pool {
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) _Atomic int32_t sleepers;
    _Atomic bool caller_sleeps, quit;
    fovea_body *body;
    void *arg;
    int32_t limit;                     /* threads of this job; workers of a higher index stay out */
    int32_t threads, started;
    pthread_mutex_t turn, lock;        /* turn: one job at a time; lock: with the two conditions */
    pthread_cond_t work, done;
    worker *workers;
};

static void pause_once(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits for a job that is not of the epoch `seen`, or for the end; returns the state that it saw. */
static uint64_t wait_for_work(fovea_pool *p, uint64_t seen) {
    for (int i = 0; i < SPINS; i++) {
        uint64_t s = atomic_load(&p->state);
        if (s / EPOCH != seen || atomic_load(&p->quit)) return s;
        pause_once();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->state) / EPOCH == seen && !atomic_load(&p->quit)) pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return atomic_load(&p->state);
}

static void leave(fovea_pool *p) {
    uint64_t s = atomic_fetch_sub(&p->state, 1) - 1;
    if ((s & (OPEN | ACTIVE)) != 0 || !atomic_load(&p->caller_sleeps)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg) {
    worker *w = arg;
    fovea_pool *p = w->pool;
    uint64_t seen = 0;
    for (;;) {
        uint64_t s = wait_for_work(p, seen);
        if (atomic_load(&p->quit)) return NULL;
        seen = s / EPOCH;
        while ((s & OPEN) && !atomic_compare_exchange_weak(&p->state, &s, s + 1)) seen = s / EPOCH;
        if (!(s & OPEN)) continue;
        seen = s / EPOCH;
        if (w->index < p->limit) p->body(p->arg, w->index);
        leave(p);
    }
}

static void wait_until_left(fovea_pool *p) {
    for (int i = 0; i < SPINS; i++) {
        if ((atomic_load(&p->state) & ACTIVE) == 0) return;
        pause_once();
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true);
    while ((atomic_load(&p->state) & ACTIVE) != 0) pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->caller_sleeps, false);
    pthread_mutex_unlock(&p->lock);
}

void fovea_pool_parallel(void *user, int32_t threads, fovea_body *body, void *arg) {
    fovea_pool *p = user;
    if (threads <= 1 || p->threads == 1) {
        body(arg, 0);
        return;
    }
    pthread_mutex_lock(&p->turn);
    p->body = body;
    p->arg = arg;
    p->limit = threads;
    atomic_fetch_add(&p->state, EPOCH + OPEN);
    if (atomic_load(&p->sleepers) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->work);
        pthread_mutex_unlock(&p->lock);
    }
    body(arg, 0);
    atomic_fetch_sub(&p->state, OPEN);
    wait_until_left(p);
    pthread_mutex_unlock(&p->turn);
}

static fovea_status start_workers(fovea_pool *p, fovea_error *err) {
    for (int32_t i = 0; i < p->threads - 1; i++) {
        worker *w = &p->workers[i];
        *w = (worker){.pool = p, .index = i + 1};
        int code = pthread_create(&w->id, NULL, worker_main, w);
        if (code != 0)
            return fovea_fail(err, FOVEA_E_THREAD, "thread %d of %d cannot be started: %s", i + 1, p->threads,
                              strerror(code));
        p->started++;
    }
    return FOVEA_OK;
}

fovea_status fovea_pool_new(int32_t threads, fovea_pool **out, fovea_error *err) {
    *out = NULL;
    if (threads < 1 || threads > FOVEA_POOL_MAX)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "a pool has 1 to %d threads, not %d", FOVEA_POOL_MAX, threads);
    fovea_pool *p = aligned_alloc(64, sizeof *p);
    worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!p || !workers) {
        free(p);
        free(workers);
        return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a pool of %d threads", threads);
    }
    memset(p, 0, sizeof *p);
    p->threads = threads;
    p->workers = workers;
    if (threads > 1) {
        pthread_mutex_init(&p->turn, NULL);
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->work, NULL);
        pthread_cond_init(&p->done, NULL);
        fovea_status status = start_workers(p, err);
        if (status != FOVEA_OK) {
            fovea_pool_dispose(p);
            return status;
        }
    }
    *out = p;
    return FOVEA_OK;
}

void fovea_pool_dispose(fovea_pool *p) {
    if (!p) return;
    if (p->threads > 1) {
        pthread_mutex_lock(&p->lock);
        atomic_store(&p->quit, true);
        pthread_cond_broadcast(&p->work);
        pthread_mutex_unlock(&p->lock);
        for (int32_t i = 0; i < p->started; i++) pthread_join(p->workers[i].id, NULL);
        pthread_cond_destroy(&p->done);
        pthread_cond_destroy(&p->work);
        pthread_mutex_destroy(&p->lock);
        pthread_mutex_destroy(&p->turn);
    }
    free(p->workers);
    free(p);
}

int32_t fovea_pool_threads(const fovea_pool *pool) { return pool->threads; }
