/* Several shapes of one model: see shapes.h. A run over a range is cut greedily: the largest program first. */
#include "shapes.h"

#include <inttypes.h>
#include <string.h>

#include "error.h"

int32_t fovea_range_extent(const fovea_shapes *s) {
    for (int32_t i = 0; i < s->n_extents; i++)
        if (!s->extents[i].sizes) return i;
    return -1;
}
static const int64_t *at(const fovea_shapes *s, int32_t program) { return s->at + (int64_t)program * s->n_extents; }

/* -- Extents ---- */
static bool sizes_equal(const fovea_shapes *s, const int64_t *extents, int32_t program) {
    for (int32_t i = 0; i < s->n_extents; i++)
        if (s->extents[i].sizes && at(s, program)[i] != extents[i]) return false;
    return true;
}
fovea_status fovea_extents_check(const fovea_shapes *s, const int64_t *extents, fovea_error *err) {
    bool fits = false;
    for (int32_t i = 0; i < s->n_extents; i++) {
        const fovea_bounds *e = &s->extents[i];
        bool known = !e->sizes && extents[i] >= e->least && extents[i] <= e->most;
        for (int32_t k = 0; k < e->n_sizes; k++) known = known || e->sizes[k] == extents[i];
        if (!known)
            return fovea_fail(err, FOVEA_E_SHAPE, "%s=%" PRId64 " is outside of what this library was built for: %s",
                              e->name, extents[i], s->bounds);
    }
    for (int32_t p = 0; p < s->n_programs && !fits; p++) fits = sizes_equal(s, extents, p);
    return fits ? FOVEA_OK
                : fovea_fail(err, FOVEA_E_SHAPE, "these sizes do not go together; this library was built for %s",
                             s->bounds);
}
void fovea_extents_most(const fovea_shapes *s, int64_t *extents) {
    int32_t range = fovea_range_extent(s), best = 0;
    for (int32_t p = 1; p < s->n_programs; p++) { /* the first size is compared first */
        int32_t i = 0;
        while (i + 1 < s->n_extents && (i == range || at(s, p)[i] == at(s, best)[i])) i++;
        if (i != range && at(s, p)[i] > at(s, best)[i]) best = p;
    }
    for (int32_t i = 0; i < s->n_extents; i++) extents[i] = i == range ? s->extents[i].most : at(s, best)[i];
}

/* -- Parts of a run ---- */
bool fovea_part_within(const fovea_shapes *s, const int64_t *extents, int32_t i) {
    int32_t range = fovea_range_extent(s);
    return sizes_equal(s, extents, i) && (range < 0 || at(s, i)[range] <= extents[range]);
}
int32_t fovea_next_part(const fovea_shapes *s, const int64_t *extents, int64_t done, int64_t *count) {
    int32_t range = fovea_range_extent(s), best = -1;
    int64_t left = range < 0 ? 1 - done : extents[range] - done;
    *count = 0;
    for (int32_t i = 0; left > 0 && i < s->n_programs; i++) {
        int64_t n = range < 0 ? 1 : at(s, i)[range];
        if (!sizes_equal(s, extents, i) || n > left || n <= *count) continue;
        *count = n;
        best = i;
    }
    return best;
}

/* -- Checks ---- */
static fovea_status fault(const fovea_shapes *s, int32_t program, const char *what, fovea_error *err) {
    return fovea_fail(err, FOVEA_E_PROGRAM, "program %d of %d of several shapes: %s", program, s->n_programs, what);
}
static bool held(fovea_place p) { return p == FOVEA_PARAM || p == FOVEA_PREPARED; }
static bool same_held(const fovea_array *a, const fovea_array *b) {
    return a->place == b->place && a->offset == b->offset && a->bytes == b->bytes && a->dtype == b->dtype &&
           (a->place == FOVEA_PREPARED || strcmp(a->name, b->name) == 0);
}
static const fovea_array *next_of(const fovea_program *p, fovea_place place, int32_t *io) {
    while (*io < p->n_arrays && p->arrays[*io].place != place) ++*io;
    return *io < p->n_arrays ? &p->arrays[(*io)++] : NULL;
}
/* Inputs or outputs of program i are those of program 0 at other extents; elements of the range lie outermost. */
static fovea_status check_tensors(const fovea_shapes *s, int32_t i, fovea_place place, fovea_error *err) {
    int32_t range = fovea_range_extent(s), x = 0, y = 0;
    for (;;) {
        const fovea_array *a = next_of(&s->programs[0], place, &x), *b = next_of(&s->programs[i], place, &y);
        if (!a && !b) return FOVEA_OK;
        if (!a || !b || strcmp(a->name, b->name) != 0 || a->dtype != b->dtype || a->rank != b->rank)
            return fault(s, i, "its inputs or outputs are others", err);
        if (range >= 0 && (b->rank < 1 || b->shape[0] != at(s, i)[range] || b->bytes % b->shape[0] != 0))
            return fault(s, i, "a range does not lie outermost", err);
    }
}
static fovea_status check_held(const fovea_shapes *s, int32_t i, fovea_error *err) {
    const fovea_program *p = &s->programs[0], *q = &s->programs[i];
    int32_t more = p->n_arrays > q->n_arrays ? p->n_arrays : q->n_arrays;
    if (q->prepare != p->prepare || q->n_prepare != p->n_prepare || q->prepared_bytes != p->prepared_bytes)
        return fault(s, i, "it is prepared in another way", err);
    for (int32_t k = 0; k < more; k++) {
        const fovea_array *a = k < p->n_arrays ? &p->arrays[k] : NULL, *b = k < q->n_arrays ? &q->arrays[k] : NULL;
        bool any = (a && held(a->place)) || (b && held(b->place));
        if (any && (!a || !b || !same_held(a, b))) return fault(s, i, "its weights are others", err);
    }
    return FOVEA_OK;
}
fovea_status fovea_shapes_check(const fovea_shapes *s, fovea_error *err) {
    int32_t ranges = 0;
    if (s->n_extents < 1 || s->n_extents > FOVEA_MAX_EXTENTS || s->n_programs < 1 || !s->extents || !s->programs ||
        !s->at || !s->bounds)
        return fovea_fail(err, FOVEA_E_PROGRAM, "several shapes: a count is wrong or a list is absent");
    for (int32_t i = 0; i < s->n_extents; i++) {
        const fovea_bounds *e = &s->extents[i];
        if (!e->name || e->least < 1 || e->most < e->least || (e->sizes != NULL) != (e->n_sizes > 0))
            return fovea_fail(err, FOVEA_E_PROGRAM, "several shapes: extent %d has no bounds", i);
        ranges += !e->sizes;
    }
    if (ranges > 1) return fovea_fail(err, FOVEA_E_PROGRAM, "several shapes: at most one extent is a range");
    for (int32_t i = 0; i < s->n_programs; i++) {
        if (s->programs[i].shapes != s || s->programs[i].executor) return fault(s, i, "it is of others", err);
        for (int32_t e = 0; e < s->n_extents; e++)
            if (at(s, i)[e] < 1) return fault(s, i, "an extent is less than 1", err);
        fovea_status status = check_held(s, i, err);
        if (!status) status = check_tensors(s, i, FOVEA_INPUT, err);
        if (!status) status = check_tensors(s, i, FOVEA_OUTPUT, err);
        if (status) return status;
    }
    return FOVEA_OK;
}
