/* Work in pieces: see pool.h. Apart from the pool, since a library without threads has it too. */
#include <stdatomic.h>

#include "pool.h"

void fovea_range_init(fovea_range *r, int64_t n, int32_t threads) {
    atomic_init(&r->next, 0);
    r->n = n;
    r->threads = threads > 0 ? threads : 1;
}

bool fovea_range_take(fovea_range *r, int64_t *begin, int64_t *end) {
    int64_t at = atomic_load_explicit(&r->next, memory_order_relaxed), piece;
    do {
        if (at >= r->n) return false;
        piece = r->threads == 1 ? r->n : (r->n - at) / (2 * r->threads);
        if (piece < 1) piece = 1;
    } while (!atomic_compare_exchange_weak_explicit(&r->next, &at, at + piece, memory_order_relaxed,
                                                    memory_order_relaxed));
    *begin = at;
    *end = at + piece;
    return true;
}
