/* The pool of a library that was built with --threads none, in place of pool.c and threads.c: one thread, and nothing
 * of pthreads is asked for. A caller's own threads (options.parallel) do not come through here. */
#include <stdlib.h>

#include "error.h"
#include "pool.h"

struct fovea_pool {
    int32_t threads;
};

fovea_status fovea_pool_new(int32_t threads, fovea_pool **out, fovea_error *err) {
    *out = NULL;
    if (threads < 1 || threads > FOVEA_POOL_MAX)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "a pool has 1 to %d threads, not %d", FOVEA_POOL_MAX, threads);
    if (threads > 1)
        return fovea_fail(err, FOVEA_E_THREAD,
                          "%d threads in a library that was built with --threads none: it takes 1, or the caller's own "
                          "(options.parallel)",
                          threads);
    *out = malloc(sizeof **out);
    if (!*out) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a pool");
    (*out)->threads = 1;
    return FOVEA_OK;
}
void fovea_pool_dispose(fovea_pool *pool) { free(pool); }
int32_t fovea_pool_threads(const fovea_pool *pool) { return pool->threads; }
void fovea_pool_parallel(void *pool, int32_t threads, fovea_body *body, void *arg) {
    (void)pool, (void)threads; /* the body takes its work until there is none left */
    body(arg, 0);
}
int32_t fovea_threads_available(void) { return 1; }
