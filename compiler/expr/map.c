/* Map keyed by node (hashed by id: the same in every run): open addressing, grows at half full. */
#include "expr/expr_internal.h"

#include <stdlib.h>
#include <string.h>

void fv_map_init(fv_map *m) {
    m->n = 0;
    m->cap = sizeof m->own / sizeof m->own[0];
    m->slot = m->own;
    for (uint32_t j = 0; j < m->cap; j++) m->own[j].key = NULL;
}
void fv_map_free(fv_map *m) { if (m->slot != m->own) free(m->slot); }
static uint32_t start(const fv_expr *key, uint32_t cap) { return (key->id * UINT32_C(2654435769)) & (cap - 1); }
static fv_map_slot *seek(fv_map_slot *slot, uint32_t cap, const fv_expr *key) {
    uint32_t at = start(key, cap);
    while (slot[at].key && slot[at].key != key) at = (at + 1) & (cap - 1);
    return &slot[at];
}
fv_map_slot *fv_map_find(const fv_map *m, const fv_expr *key) {
    fv_map_slot *s = seek(m->slot, m->cap, key);
    return s->key ? s : NULL;
}
static void grow(fv_map *m) {
    uint32_t cap = m->cap * 4;
    fv_map_slot *slot = calloc(cap, sizeof *slot);
    FV_ASSERT(slot, "out of memory");
    for (uint32_t j = 0; j < m->cap; j++) if (m->slot[j].key) *seek(slot, cap, m->slot[j].key) = m->slot[j];
    fv_map_free(m);
    m->slot = slot;
    m->cap = cap;
}
fv_map_slot *fv_map_put(fv_map *m, const fv_expr *key) {
    fv_map_slot *s = seek(m->slot, m->cap, key);
    if (s->key) return s;
    if (++m->n * 2 > m->cap) { grow(m); s = seek(m->slot, m->cap, key); }
    s->key = key;
    memset(&s->v, 0, sizeof s->v);
    return s;
}
