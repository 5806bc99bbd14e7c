/* The directory of a zip archive (APPNOTE.TXT 6.3: 4.3.7 local headers, 4.3.12 directory, 4.3.14-16 its end).
 * Invariant: an entry that is handed out lies inside the bytes before the directory, and no two share a byte. */
#include "io/zip.h"
#include "io/mapped.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOCAL = 30,
    CENTRAL = 46,
    END = 22,
    END64 = 56,
    LOCATOR = 20,
    LOCAL_MARK = 0x04034b50,
    CENTRAL_MARK = 0x02014b50
};
enum {
    FLAG_ENCRYPTED = 1 << 0,
    FLAG_TRAILER = 1 << 3,
    FLAG_PATCH = 1 << 5,
    FLAG_STRONG = 1 << 6,
    FLAG_MASKED = 1 << 13
};
enum { MOST_ENTRIES = 1 << 20 };

typedef struct {
    fv_ctx *ctx;
    fv_arena *arena;
    const char *label;
    const unsigned char *b;
    uint64_t n;
    uint64_t directory, bytes, entries; /* where the directory begins, how long it is, what it lists */
} reader;

#define REFUSE(r, at, ...) fv_refuse_bytes((r)->ctx, (r)->label, (at), __VA_ARGS__)

static uint64_t u16(const reader *r, uint64_t at) { return fv_little(r->b + at, 2); }
static uint64_t u32(const reader *r, uint64_t at) { return fv_little(r->b + at, 4); }
static uint64_t u64(const reader *r, uint64_t at) { return fv_little(r->b + at, 8); }

bool fv_zip_is(const unsigned char *b, size_t n) {
    return n >= 9 && (fv_little(b, 4) == LOCAL_MARK || fv_little(b, 4) == 0x06054b50) && b[8] != '{';
}

/* -- The end of the directory ---- */
static bool read_end64(reader *r, uint64_t locator) {
    uint64_t at = u64(r, locator + 8);
    if (locator < END64 || at > locator - END64 || u32(r, at) != 0x06064b50)
        return REFUSE(r, locator, "the ZIP64 end of the directory is not at byte %" PRIu64, at);
    if (u64(r, at + 4) != locator - at - 12)
        return REFUSE(r, at, "the ZIP64 end of the directory does not reach its locator");
    if (u32(r, locator + 4) != 0 || u32(r, locator + 16) > 1 || u32(r, at + 16) != 0 || u32(r, at + 20) != 0 ||
        u64(r, at + 24) != u64(r, at + 32))
        return REFUSE(r, at, "an archive of several disks is not read");
    uint64_t end = locator + LOCATOR, entries = u64(r, at + 32), bytes = u64(r, at + 40), directory = u64(r, at + 48);
    if ((r->entries != entries && r->entries != 0xffff) || (r->bytes != bytes && r->bytes != 0xffffffff) ||
        (r->directory != directory && r->directory != 0xffffffff))
        return REFUSE(r, end, "the end of the directory and its ZIP64 form disagree");
    r->entries = entries;
    r->bytes = bytes;
    r->directory = directory;
    if (directory > at || at - directory != bytes)
        return REFUSE(r, at, "a directory of %" PRIu64 " bytes at byte %" PRIu64 " does not end here", bytes,
                      directory);
    return true;
}

static bool read_end(reader *r) {
    if (r->n < END) return REFUSE(r, 0, "%" PRIu64 " bytes are no zip archive", r->n);
    uint64_t at = r->n - END;
    if (u32(r, at) != 0x06054b50 || u16(r, at + 20) != 0)
        return REFUSE(r, at, "the archive does not end in the end of its directory: cut off, or something follows it");
    if (u16(r, at + 4) != 0 || u16(r, at + 6) != 0 || u16(r, at + 8) != u16(r, at + 10))
        return REFUSE(r, at, "an archive of several disks is not read");
    r->entries = u16(r, at + 10);
    r->bytes = u32(r, at + 12);
    r->directory = u32(r, at + 16);
    if (at >= LOCATOR && u32(r, at - LOCATOR) == 0x07064b50) return read_end64(r, at - LOCATOR);
    if (r->directory > at || at - r->directory != r->bytes)
        return REFUSE(r, at, "a directory of %" PRIu64 " bytes at byte %" PRIu64 " does not end here", r->bytes,
                      r->directory);
    return true;
}

/* -- Entries ---- */
typedef struct {
    uint64_t packed, size, head, flags, method, name_n;
} numbers;

/* The ZIP64 extra field holds, in this order, those of size, packed and head that the record gives as all ones. */
static bool read_extra(const reader *r, uint64_t at, uint64_t n, numbers *v) {
    for (uint64_t end = at + n; at < end;) {
        if (end - at < 4 || u16(r, at + 2) > end - at - 4)
            return REFUSE(r, at, "an extra field reaches beyond its record");
        uint64_t kind = u16(r, at), left = u16(r, at + 2), p = at + 4;
        at = p + left;
        if (kind != 1) continue;
        uint64_t *want[] = {&v->size, &v->packed, &v->head};
        for (int i = 0; i < 3; i++) {
            if (*want[i] != 0xffffffff) continue;
            if (left < 8) return REFUSE(r, p, "the ZIP64 field lacks a number");
            *want[i] = u64(r, p);
            p += 8;
            left -= 8;
        }
    }
    return true;
}

static bool check_kind(const reader *r, uint64_t at, const char *name, const numbers *v) {
    if (v->flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED)) return REFUSE(r, at, "\"%s\" is encrypted", name);
    if (v->flags & FLAG_PATCH) return REFUSE(r, at, "\"%s\" is patched data", name);
    if (v->method != 0)
        return REFUSE(r, at, "\"%s\" is compressed (method %" PRIu64 "): only stored entries are read", name,
                      v->method);
    if (v->packed != v->size)
        return REFUSE(r, at, "\"%s\" is stored, but has %" PRIu64 " bytes of %" PRIu64, name, v->packed, v->size);
    return true;
}

/* The local header has to say the same as the directory; sizes may be left out, or follow the data. */
static bool check_local(const reader *r, fv_zip_entry *e, const numbers *v) {
    uint64_t at = e->head;
    if (r->directory < LOCAL || at > r->directory - LOCAL || u32(r, at) != LOCAL_MARK)
        return REFUSE(r, at < r->n ? at : r->n, "\"%s\" has no header here", e->name);
    numbers own = {.flags = u16(r, at + 6),
                   .method = u16(r, at + 8),
                   .packed = u32(r, at + 18),
                   .size = u32(r, at + 22),
                   .name_n = u16(r, at + 26)};
    uint64_t extra = u16(r, at + 28), room = r->directory - at - LOCAL;
    if (own.name_n != v->name_n || own.name_n + extra > room ||
        memcmp(r->b + at + LOCAL, e->name, (size_t)own.name_n) != 0)
        return REFUSE(r, at, "the header of \"%s\" has another name", e->name);
    if (own.method != v->method || own.flags != v->flags)
        return REFUSE(r, at, "the header of \"%s\" has another method or other flags than the directory", e->name);
    bool later = own.flags & FLAG_TRAILER && own.packed == 0 && own.size == 0;
    if (!later &&
        ((own.packed != v->packed && own.packed != 0xffffffff) || (own.size != v->size && own.size != 0xffffffff)))
        return REFUSE(r, at, "the header of \"%s\" has another size than the directory", e->name);
    e->at = at + LOCAL + own.name_n + extra;
    e->n = v->size;
    if (e->n > r->directory - e->at)
        return REFUSE(r, at, "\"%s\" has %" PRIu64 " bytes, but only %" PRIu64 " come before the directory", e->name,
                      e->n, r->directory - e->at);
    e->data = r->b + e->at;
    return true;
}

/* One record of the directory at *at, which ends at `end`. */
static bool read_entry(const reader *r, uint64_t *at, uint64_t end, fv_zip_entry *e) {
    uint64_t p = *at;
    if (end - p < CENTRAL || u32(r, p) != CENTRAL_MARK) return REFUSE(r, p, "a record of the directory was expected");
    numbers v = {.flags = u16(r, p + 8),
                 .method = u16(r, p + 10),
                 .packed = u32(r, p + 20),
                 .size = u32(r, p + 24),
                 .name_n = u16(r, p + 28),
                 .head = u32(r, p + 42)};
    uint64_t extra = u16(r, p + 30), comment = u16(r, p + 32);
    if (v.name_n + extra + comment > end - p - CENTRAL) return REFUSE(r, p, "a record reaches beyond the directory");
    const char *name = (const char *)r->b + p + CENTRAL;
    if (v.name_n == 0 || !fv_name_is_plain(name, (size_t)v.name_n))
        return REFUSE(r, p, "the name of an entry is empty, not UTF-8 or has control characters");
    char *copy = fv_arena_alloc(r->arena, (size_t)v.name_n + 1);
    memcpy(copy, name, (size_t)v.name_n);
    e->name = copy;
    if (u16(r, p + 34) != 0) return REFUSE(r, p, "\"%s\" is on another disk", copy);
    if (!read_extra(r, p + CENTRAL + v.name_n, extra, &v) || !check_kind(r, p, copy, &v)) return false;
    e->head = v.head;
    *at = p + CENTRAL + v.name_n + extra + comment;
    return check_local(r, e, &v);
}

static int by_head(const void *a, const void *b) {
    const fv_zip_entry *x = a, *y = b;
    return x->head < y->head ? -1 : x->head > y->head;
}
static int by_name(const void *a, const void *b) {
    const fv_zip_entry *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : by_head(a, b);
}

static bool check_together(const reader *r, fv_zip *z) {
    if (z->n > 1) qsort(z->entry, (size_t)z->n, sizeof *z->entry, by_head);
    for (int32_t i = 1; i < z->n; i++) {
        const fv_zip_entry *a = &z->entry[i - 1], *b = &z->entry[i];
        if (b->head < a->at + a->n)
            return REFUSE(r, b->head, "\"%s\" begins inside \"%s\", which ends at byte %" PRIu64, b->name, a->name,
                          a->at + a->n);
    }
    if (z->n > 1) qsort(z->entry, (size_t)z->n, sizeof *z->entry, by_name);
    for (int32_t i = 1; i < z->n; i++)
        if (strcmp(z->entry[i - 1].name, z->entry[i].name) == 0)
            return REFUSE(r, z->entry[i].head, "\"%s\" is there twice", z->entry[i].name);
    return true;
}

bool fv_zip_read(fv_ctx *ctx, fv_arena *arena, const char *label, const unsigned char *bytes, size_t n, fv_zip *out) {
    reader r = {.ctx = ctx, .arena = arena, .label = label, .b = bytes, .n = n};
    *out = (fv_zip){0};
    if (!read_end(&r)) return false;
    if (r.entries > MOST_ENTRIES || r.entries > r.bytes / CENTRAL)
        return REFUSE(&r, r.directory, "a directory of %" PRIu64 " bytes does not list %" PRIu64 " entries", r.bytes,
                      r.entries);
    fv_zip z = {fv_arena_alloc(arena, ((size_t)r.entries + 1) * sizeof *z.entry), (int32_t)r.entries};
    uint64_t at = r.directory, end = r.directory + r.bytes;
    for (int32_t i = 0; i < z.n; i++)
        if (!read_entry(&r, &at, end, &z.entry[i])) return false;
    if (at != end) return REFUSE(&r, at, "%" PRIu64 " bytes of the directory belong to no entry", end - at);
    if (!check_together(&r, &z)) return false;
    *out = z;
    return true;
}

const fv_zip_entry *fv_zip_find(const fv_zip *z, const char *name) {
    int32_t low = 0, high = z->n;
    while (low < high) {
        int32_t middle = low + (high - low) / 2, c = strcmp(name, z->entry[middle].name);
        if (c == 0) return &z->entry[middle];
        if (c < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}
