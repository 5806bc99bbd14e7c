/* items_barrier: barriers by a forward pass over structured code. State: which local objects were written and read
 * since the last barrier, and by which mark; an access that another item may have raced with gets a barrier before its
 * leaf. Loop bodies are walked until the state before them no longer grows. Invariant: accesses of one mark are to
 * elements that the item has to itself. */
#include "kernel/items.h"

#include <string.h>

typedef struct { uint32_t *wrote, *read; } state;           /* by object: bits of marks */

static state make(it *f) {
    size_t n = (size_t)(f->n_objects ? f->n_objects : 1);
    return (state){ FV_NEWN(f->ctx, uint32_t, n), FV_NEWN(f->ctx, uint32_t, n) };
}
static void copy(const it *f, state to, state from) {
    memcpy(to.wrote, from.wrote, sizeof(uint32_t) * (size_t)f->n_objects);
    memcpy(to.read, from.read, sizeof(uint32_t) * (size_t)f->n_objects);
}
static bool join(const it *f, state to, state from) {       /* did it grow? */
    bool grew = false;
    for (int i = 0; i < f->n_objects; i++) {
        grew |= (from.wrote[i] & ~to.wrote[i]) || (from.read[i] & ~to.read[i]);
        to.wrote[i] |= from.wrote[i];
        to.read[i] |= from.read[i];
    }
    return grew;
}

static bool races(const it_access *a, state s) {
    uint32_t same = a->mark == IT_SHARED ? 0 : UINT32_C(1) << a->mark;
    uint32_t seen = s.wrote[a->object] | (a->write ? s.read[a->object] : 0);
    return (seen & ~same) != 0;
}
static void leaf(it *f, it_unit *u, state s) {
    for (int i = 0; i < u->n_access; i++) u->barrier |= races(&u->access[i], s);
    if (u->barrier) {
        memset(s.wrote, 0, sizeof(uint32_t) * (size_t)f->n_objects);
        memset(s.read, 0, sizeof(uint32_t) * (size_t)f->n_objects);
    }
    for (int i = 0; i < u->n_access; i++) {
        const it_access *a = &u->access[i];
        uint32_t bit = UINT32_C(1) << a->mark;
        if (a->write) s.wrote[a->object] |= bit;
        else s.read[a->object] |= bit;
    }
}
static void unmark(it_unit *u) {
    for (; u; u = u->next) {
        u->barrier = false;
        unmark(u->body);
    }
}
static void walk(it *f, it_unit *u, state s) {
    for (; u; u = u->next) {
        if (!u->frame) {
            leaf(f, u, s);
            continue;
        }
        state before = make(f), body = make(f);
        copy(f, before, s);
        do {                                                /* marks of an earlier round may have become needless */
            unmark(u->body);
            copy(f, body, before);
            walk(f, u->body, body);
        } while (u->frame->kind == FV_L_FOR && join(f, before, body));
        join(f, s, body);
        if (u->frame->kind == FV_L_FOR) join(f, s, before);
    }
}

void it_barriers(it *f, it_unit *units) {
    if (f->group > 1) walk(f, units, make(f));
}

fv_flat *it_assemble(it *f, it_unit *u) {
    fv_flats list = { 0 };
    for (; u; u = u->next) {
        if (u->barrier) fv_flats_add(&list, fv_flat_new(f->ctx, FV_L_BARRIER));
        if (u->frame) {
            u->frame->body = it_assemble(f, u->body);
            fv_flats_add(&list, u->frame);
        } else if (u->code.first) {
            fv_flats_add(&list, u->code.first);
            list.last = u->code.last;
        }
    }
    return list.first;
}
