/* Counting allocations: the program's own malloc and the rest stand before the system's, for libraries that it loads
 * too. */
#define _GNU_SOURCE
#include "cli/verify.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FOREIGN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define FOREIGN 1
#endif
#endif
static _Atomic long calls;
static _Atomic bool counting;

#if defined(__GLIBC__) && !defined(FOREIGN)
/* glibc exports its own for this purpose. */
void *__libc_malloc(size_t n);
void *memalign(size_t align, size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
static void note(void) {
    if (atomic_load_explicit(&counting, memory_order_relaxed)) atomic_fetch_add(&calls, 1);
}
void *malloc(size_t n) {
    note();
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
    note();
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
    note();
    return __libc_realloc(p, n);
}
void *memalign(size_t align, size_t n) {
    note();
    return __libc_memalign(align, n);
}
void *aligned_alloc(size_t align, size_t n) {
    note();
    return __libc_memalign(align, n);
}
int posix_memalign(void **out, size_t align, size_t n) {
    note();
    void *p = __libc_memalign(align, n);
    if (p) *out = p;
    return p ? 0 : ENOMEM;
}
enum { COUNTED = 1 };
#else
enum { COUNTED = 0 };
#endif

bool verify_count_start(void) {
    atomic_store(&calls, 0);
    atomic_store(&counting, true);
    return COUNTED;
}
long verify_count_stop(void) {
    atomic_store(&counting, false);
    return atomic_load(&calls);
}
