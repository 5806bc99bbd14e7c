/* layout: see layout.h. Invariant: two arrays of the arena that some launch of a stage finds alive together never share
 * a byte, guards included. */
#include "layout.h"
#include "runtime/executor.h"
#include "runtime/stages.h"

#include <stdlib.h>

typedef struct {
    int32_t array;
    fovea_span span[FOVEA_STAGES];
    int64_t bytes, offset;
} life;

static int64_t rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

const char *fovea_cl_block_name(fovea_cl_block b) {
    static const char *const names[] = {"weights", "inputs and outputs", "working memory", "memory of groups"};
    return (unsigned)b < FOVEA_CL_BLOCKS ? names[b] : "memory";
}
static void note_far(const fovea_program *p, fovea_stage stage, int64_t *most) {
    int32_t n;
    const fovea_launch *l = fovea_stage_launches(p, stage, &n);
    for (int32_t i = 0; i < n; i++) {
        int64_t bytes = l[i].code ? l[i].code->groups * l[i].code->far_bytes : 0;
        if (bytes > *most) *most = bytes;
    }
}
static bool meet(const life *a, const life *b) {
    for (int s = 0; s < FOVEA_STAGES; s++)
        if (fovea_spans_meet(a->span[s], b->span[s])) return true;
    return false;
}
static int by_size(const void *a, const void *b) {
    const life *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->array - y->array;
}
/* The lowest place where an array fits between those that it meets. */
static int64_t place(const life *placed, int32_t n, const life *x) {
    int64_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int32_t i = 0; i < n; i++) {
            const life *p = &placed[i];
            if (p->offset < at + x->bytes && at < p->offset + p->bytes && meet(p, x)) {
                at = p->offset + p->bytes;
                moved = true;
            }
        }
    }
    return at;
}
static void lay_arena(life *list, int32_t n, fovea_cl_layout *out) {
    qsort(list, (size_t)n, sizeof *list, by_size);
    for (int32_t i = 0; i < n; i++) {
        list[i].offset = place(list, i, &list[i]);
        out->offset[list[i].array] = list[i].offset;
        int64_t end = list[i].offset + list[i].bytes;
        if (end > out->bytes[FOVEA_CL_WORK]) out->bytes[FOVEA_CL_WORK] = end;
    }
}
bool fovea_cl_layout_make(const fovea_program *p, int64_t alignment, bool prepared, fovea_cl_layout *out) {
    size_t n = (size_t)p->n_arrays + 1;
    *out = (fovea_cl_layout){.block = calloc(n, sizeof *out->block), .offset = calloc(n, sizeof *out->offset)};
    life *of = calloc(n, sizeof *of), *arena = calloc(n, sizeof *arena);
    fovea_span *span = calloc(n, sizeof *span);
    int32_t n_arena = 0;
    bool fine = out->block && out->offset && of && arena && span;
    for (int32_t i = 0; fine && i < p->n_arrays; i++) {
        of[i].array = i;
        of[i].bytes = rounded(p->arrays[i].bytes + FOVEA_GUARD_BYTES, alignment);
        fovea_place place = p->arrays[i].place;
        out->block[i] = place == FOVEA_ARENA                            ? FOVEA_CL_WORK
                        : place == FOVEA_INPUT || place == FOVEA_OUTPUT ? FOVEA_CL_ENDS
                                                                        : FOVEA_CL_WEIGHTS;
    }
    if (fine) {
        for (int s = 0; s < FOVEA_STAGES; s++) {
            bool left_out = prepared && s == FOVEA_STAGE_PREPARE;
            fovea_stage_spans(p, (fovea_stage)s, span);
            for (int32_t i = 0; i < p->n_arrays; i++) of[i].span[s] = left_out ? (fovea_span){-1, -1} : span[i];
            if (!left_out) note_far(p, (fovea_stage)s, &out->bytes[FOVEA_CL_FAR]);
        }
        for (int32_t i = 0; i < p->n_arrays; i++) {
            if (prepared && of[i].span[FOVEA_STAGE_RUN].first < 0 && out->block[i] != FOVEA_CL_ENDS) {
                out->offset[i] = -1;
                continue;
            }
            if (out->block[i] == FOVEA_CL_WORK) {
                arena[n_arena++] = of[i];
                continue;
            }
            out->offset[i] = out->bytes[out->block[i]];
            out->bytes[out->block[i]] += of[i].bytes;
        }
        lay_arena(arena, n_arena, out);
    }
    free(of);
    free(arena);
    free(span);
    if (!fine) fovea_cl_layout_free(out);
    return fine;
}
void fovea_cl_layout_free(fovea_cl_layout *l) {
    free(l->block);
    free(l->offset);
    *l = (fovea_cl_layout){0};
}
