/* Guards: FOVEA_GUARD_BYTES of a pattern behind every array of a block. Arrays share the block over time, so a guard
 * means something only while its array holds something: it is written before the first launch that uses the array
 * and verified after each launch that does. */
#include <inttypes.h>
#include <string.h>

#include "error.h"
#include "model.h"
#include "tensor.h"

enum { PATTERN = 0xA5, POISON = 0xFF };    /* poison is a NaN in every float type */

void fovea_spans_fill(fovea_model *m) {
    const fovea_program *p = m->program;
    for (int stage = 0; stage < FOVEA_STAGES; stage++) fovea_stage_spans(p, (fovea_stage)stage, m->spans[stage]);
    for (int32_t a = 0; a < p->n_arrays; a++) {                   /* what run uses stays until the next prepare */
        if (p->arrays[a].place != FOVEA_PREPARED || m->spans[FOVEA_STAGE_RUN][a].first < 0) continue;
        m->spans[FOVEA_STAGE_PREPARE][a].last = INT32_MAX;
        m->spans[FOVEA_STAGE_RUN][a] = (fovea_span){0, INT32_MAX};
    }
}

static bool in_blocks(const fovea_array *a) { return a->place == FOVEA_ARENA || a->place == FOVEA_PREPARED; }

static bool share_bytes(const fovea_array *a, const fovea_array *b) {
    return a->place == b->place && a->offset < b->offset + b->bytes + FOVEA_GUARD_BYTES &&
           b->offset < a->offset + a->bytes + FOVEA_GUARD_BYTES;
}

/* The result of an elementwise launch may take the place of what it reads. */
static bool in_place(const fovea_array *a, fovea_span s, const fovea_array *b, fovea_span t) {
    return a->offset == b->offset && a->bytes == b->bytes && (s.last == t.first || t.last == s.first);
}

fovea_status fovea_layout_check(const fovea_model *m, fovea_error *err) {
    const fovea_program *p = m->program;
    for (int stage = 0; stage < FOVEA_STAGES; stage++) {
        const fovea_span *spans = m->spans[stage];
        for (int32_t i = 0; i < p->n_arrays; i++) {
            const fovea_array *a = &p->arrays[i];
            if (!in_blocks(a) || spans[i].first < 0) continue;
            for (int32_t j = 0; j < i; j++) {
                const fovea_array *b = &p->arrays[j];
                if (!in_blocks(b) || !fovea_spans_meet(spans[i], spans[j]) || !share_bytes(a, b) ||
                    in_place(a, spans[i], b, spans[j])) continue;
                return fovea_fail(err, FOVEA_E_PROGRAM,
                                  "arrays %d (%" PRId64 " bytes at %" PRId64 ", launches %d..%d) and %d (%" PRId64
                                  " bytes at %" PRId64 ", launches %d..%d) share memory at the same time",
                                  j, b->bytes, b->offset, spans[j].first, spans[j].last, i, a->bytes, a->offset,
                                  spans[i].first, spans[i].last);
            }
        }
    }
    return FOVEA_OK;
}

static bool guard_intact(const char *guard) {
    for (int k = 0; k < FOVEA_GUARD_BYTES; k++)
        if ((unsigned char)guard[k] != PATTERN) return false;
    return true;
}

static bool takes_a_place(const fovea_model *m, fovea_stage stage, int32_t launch, int32_t array) {
    const fovea_array *a = &m->program->arrays[array];
    for (int32_t j = 0; j < m->program->n_arrays; j++) {
        fovea_span s = m->spans[stage][j];
        if (j != array && s.first >= 0 && s.first < launch && s.last >= launch && in_blocks(&m->program->arrays[j]) &&
            share_bytes(a, &m->program->arrays[j])) return true;
    }
    return false;
}

static char *scratch_guard(const fovea_model *m, const fovea_launch *l, int32_t thread) {
    return m->scratch + thread * m->space.scratch_per_thread + l->scratch_bytes;
}

void fovea_guards_open(fovea_model *m, fovea_stage stage, int32_t i) {
    int32_t n;
    const fovea_launch *l = &fovea_stage_launches(m->program, stage, &n)[i];
    for (int32_t k = 0; k < l->n_args; k++) {
        const fovea_array *a = &m->program->arrays[l->args[k]];
        bool begins = m->spans[stage][l->args[k]].first == i;
        if (!in_blocks(a) || !begins || (a->place == FOVEA_PREPARED && stage == FOVEA_STAGE_RUN)) continue;
        char *data = m->base[l->args[k]];
        if (m->options.check && !takes_a_place(m, stage, i, l->args[k])) memset(data, POISON, (size_t)a->bytes);
        memset(data + a->bytes, PATTERN, FOVEA_GUARD_BYTES);
    }
    for (int32_t t = 0; t < m->space.threads; t++) {
        char *guard = scratch_guard(m, l, t);
        if (m->options.check) memset(guard - l->scratch_bytes, POISON, (size_t)l->scratch_bytes);
        memset(guard, PATTERN, FOVEA_GUARD_BYTES);
    }
}

static fovea_status broken(const fovea_launch *l, const char *what, int32_t index, const char *name, fovea_error *err) {
    return fovea_fail(err, FOVEA_E_GUARD, "kernel %s (%s): wrote behind %s %d%s%s%s", l->label ? l->label : "?",
                      l->where ? l->where : "?", what, index, name ? " \"" : "", name ? name : "", name ? "\"" : "");
}

fovea_status fovea_guards_verify(const fovea_model *m, fovea_stage stage, int32_t i, fovea_error *err) {
    int32_t n;
    const fovea_launch *l = &fovea_stage_launches(m->program, stage, &n)[i];
    for (int32_t k = 0; k < l->n_args; k++) {
        const fovea_array *a = &m->program->arrays[l->args[k]];
        if (in_blocks(a) && !guard_intact((char *)m->base[l->args[k]] + a->bytes))
            return broken(l, "array", l->args[k], a->name, err);
    }
    for (int32_t t = 0; t < m->space.threads; t++)
        if (!guard_intact(scratch_guard(m, l, t))) return broken(l, "the scratch of thread", t, NULL, err);
    return FOVEA_OK;
}

void fovea_guards_keep(fovea_model *m) {
    const fovea_program *p = m->program;
    if (p->executor) return;
    for (int32_t a = 0; a < p->n_arrays; a++)
        if (p->arrays[a].place == FOVEA_PREPARED && fovea_faces_read(m, a))
            memset((char *)m->base[a] + p->arrays[a].bytes, PATTERN, FOVEA_GUARD_BYTES);
}

void fovea_guards_close_blocks(fovea_model *m) {
    memset(m->arena + m->space.arena - FOVEA_GUARD_BYTES, PATTERN, FOVEA_GUARD_BYTES);
    for (int32_t t = 0; t < m->space.threads; t++)
        memset(m->scratch + (t + 1) * m->space.scratch_per_thread - FOVEA_GUARD_BYTES, PATTERN, FOVEA_GUARD_BYTES);
}

fovea_status fovea_model_check_guards(const fovea_model *m, fovea_error *err) {
    if (!m) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model");
    if (!m->bound) return fovea_fail(err, FOVEA_E_STATE, "the model has no weights bound");
    const fovea_program *p = m->program;
    if (p->executor) return FOVEA_OK; /* its memory is not seen from here */
    for (int32_t a = 0; a < p->n_arrays; a++) {
        bool kept = p->arrays[a].place == FOVEA_PREPARED && fovea_faces_read(m, a);
        if (kept && !guard_intact((char *)m->base[a] + p->arrays[a].bytes))
            return fovea_fail(err, FOVEA_E_GUARD, "something wrote behind prepared array %d \"%s\"", a,
                              p->arrays[a].name ? p->arrays[a].name : "");
    }
    if (!guard_intact(m->arena + m->space.arena - FOVEA_GUARD_BYTES))
        return fovea_fail(err, FOVEA_E_GUARD, "something wrote behind the arena of %" PRId64 " bytes", p->arena_bytes);
    for (int32_t t = 0; t < m->space.threads; t++)
        if (!guard_intact(m->scratch + (t + 1) * m->space.scratch_per_thread - FOVEA_GUARD_BYTES))
            return fovea_fail(err, FOVEA_E_GUARD, "something wrote behind the scratch of thread %d", t);
    if (!m->options.check || !m->ran || p->n_run == 0) return FOVEA_OK;
    return fovea_guards_verify(m, FOVEA_STAGE_RUN, p->n_run - 1, err);
}
