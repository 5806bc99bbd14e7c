/* The tables that a model keeps of each of its programs, and the extents of models of several shapes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model.h"
#include "tensor.h"

/* -- Tables ---- */
static int32_t list_place(const fovea_program *p, fovea_place place, int32_t *out) {
    int32_t n = 0;
    for (int32_t i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].place == place) out[n++] = i;
    return n;
}
static bool make_one(fovea_face *f, const fovea_program *p, size_t *longest) {
    size_t n = (size_t)p->n_arrays + 1; /* one more, so that no size is 0 */
    for (int stage = 0; stage < FOVEA_STAGES; stage++) {
        int32_t count;
        const fovea_launch *l = fovea_stage_launches(p, (fovea_stage)stage, &count);
        for (int32_t i = 0; i < count; i++) *longest = (size_t)l[i].n_args > *longest ? (size_t)l[i].n_args : *longest;
    }
    f->program = p;
    f->base = calloc(n, sizeof *f->base);
    f->inputs = calloc(3 * n, sizeof *f->inputs);
    f->spans[0] = calloc(2 * n, sizeof *f->spans[0]);
    if (!f->base || !f->inputs || !f->spans[0]) return false;
    f->spans[1] = f->spans[0] + n;
    f->outputs = f->inputs + n;
    f->params = f->outputs + n;
    f->n_inputs = list_place(p, FOVEA_INPUT, f->inputs);
    f->n_outputs = list_place(p, FOVEA_OUTPUT, f->outputs);
    f->n_params = list_place(p, FOVEA_PARAM, f->params);
    return true;
}
fovea_status fovea_faces_make(fovea_model *m, fovea_error *err) {
    m->shapes = m->program->shapes;
    m->n_faces = m->shapes ? m->shapes->n_programs : 1;
    m->faces = calloc((size_t)m->n_faces, sizeof *m->faces);
    size_t longest = 1;
    bool fine = m->faces != NULL;
    for (int32_t i = 0; i < m->n_faces && fine; i++)
        fine = make_one(&m->faces[i], m->shapes ? &m->shapes->programs[i] : m->program, &longest);
    m->args = calloc(longest, sizeof *m->args);
    size_t tensors = fine ? (size_t)(m->faces[0].n_inputs + m->faces[0].n_outputs) + 1 : 1;
    m->given = calloc(tensors, sizeof *m->given);
    if (m->shapes) m->shown = calloc(tensors, sizeof *m->shown);
    if (m->shapes) m->asked = calloc(tensors, sizeof *m->asked);
    if (!fine || !m->args || !m->given || (m->shapes && (!m->shown || !m->asked)))
        return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a model's tables");
    for (int32_t i = 0; i < m->n_faces; i++) {
        fovea_face_use(m, i);
        fovea_spans_fill(m);
        fovea_status status = m->options.check ? fovea_layout_check(m, err) : FOVEA_OK;
        if (status) return status;
    }
    fovea_face_use(m, 0);
    return FOVEA_OK;
}
void fovea_faces_free(fovea_model *m) {
    for (int32_t i = 0; m->faces && i < m->n_faces; i++) {
        free(m->faces[i].base);
        free(m->faces[i].inputs);
        free(m->faces[i].spans[0]);
    }
    free(m->faces);
    free(m->args);
    free(m->given);
    free(m->shown);
    free(m->asked);
}
void fovea_face_use(fovea_model *m, int32_t i) {
    const fovea_face *f = &m->faces[i];
    m->program = f->program;
    m->base = f->base;
    m->inputs = f->inputs;
    m->outputs = f->outputs;
    m->params = f->params;
    m->n_inputs = f->n_inputs;
    m->n_outputs = f->n_outputs;
    m->n_params = f->n_params;
    memcpy(m->spans, f->spans, sizeof m->spans);
}
void fovea_faces_share(fovea_model *m) {
    for (int32_t i = 0; i < m->n_faces; i++)
        for (int32_t k = 0; k < m->n_params; k++) m->faces[i].base[m->params[k]] = m->base[m->params[k]];
}
bool fovea_faces_read(const fovea_model *m, int32_t array) {
    for (int32_t i = 0; i < m->n_faces; i++)
        if (m->faces[i].spans[FOVEA_STAGE_RUN][array].first >= 0) return true;
    return false;
}
const fovea_array *fovea_face_shown(const fovea_model *m, int32_t i) {
    if (m->shown) return &m->shown[i];
    return &m->program->arrays[i < m->n_inputs ? m->inputs[i] : m->outputs[i - m->n_inputs]];
}

/* -- Extents ---- */
/* Whether the memory of the model is enough for a run. */
static fovea_status holds(const fovea_model *m, const int64_t *extents, fovea_error *err) {
    int64_t count, done = 0;
    for (int32_t part; (part = fovea_next_part(m->shapes, extents, done, &count)) >= 0; done += count) {
        const fovea_program *p = m->faces[part].program;
        int64_t most = 0;
        for (int32_t i = 0; i < p->n_run; i++) most = p->run[i].scratch_bytes > most ? p->run[i].scratch_bytes : most;
        if (p->arena_bytes > m->space.arena - FOVEA_GUARD_BYTES ||
            most > m->space.scratch_per_thread - FOVEA_GUARD_BYTES)
            return fovea_fail(err, FOVEA_E_MEMORY,
                              "the model was loaded for smaller extents: its memory is not enough for these");
    }
    int32_t range = fovea_range_extent(m->shapes);
    if (done == (range < 0 ? 1 : extents[range])) return FOVEA_OK;
    return fovea_fail(err, FOVEA_E_PROGRAM, "no programs make up %" PRId64 " of %s", extents[range],
                      m->shapes->extents[range].name);
}
fovea_status fovea_model_resize(fovea_model *m, const int64_t *extents, int32_t n, fovea_error *err) {
    if (!m || !extents) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model, or no extents");
    if (!m->shapes) return fovea_fail(err, FOVEA_E_SHAPE, "the library was built for one shape");
    if (n != m->shapes->n_extents)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "%d extents where the library has %d: %s", n, m->shapes->n_extents,
                          m->shapes->bounds);
    fovea_status status = fovea_extents_check(m->shapes, extents, err);
    if (!status) status = holds(m, extents, err);
    if (status) return status;
    int32_t range = fovea_range_extent(m->shapes);
    int64_t count;
    memmove(m->extents, extents, (size_t)n * sizeof *extents);
    fovea_face_use(m, fovea_next_part(m->shapes, m->extents, 0, &count));
    for (int32_t i = 0; i < m->n_inputs + m->n_outputs; i++) {
        fovea_array *a = &m->shown[i];
        *a = m->program->arrays[i < m->n_inputs ? m->inputs[i] : m->outputs[i - m->n_inputs]];
        if (range < 0) continue;
        a->bytes = a->bytes / a->shape[0] * m->extents[range];
        a->shape[0] = m->extents[range];
    }
    m->ran = false;
    return FOVEA_OK;
}
const int64_t *fovea_model_extents(const fovea_model *m) { return m && m->shapes ? m->extents : NULL; }

/* Is the tensor an input of the program, but for the range? */
static bool like(const fovea_array *a, const DLTensor *t, bool range) {
    if (t->ndim != a->rank || (a->rank > 0 && !t->shape)) return false;
    for (int32_t d = range; d < a->rank; d++)
        if (t->shape[d] != a->shape[d]) return false;
    return true;
}
fovea_status fovea_model_fit(fovea_model *m, const DLTensor *inputs, int32_t n, fovea_error *err) {
    if (!m || (n > 0 && !inputs)) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model, or no inputs");
    const fovea_shapes *s = m->shapes;
    if (!s || n != m->n_inputs || n == 0) return FOVEA_OK; /* the run says what is wrong */
    int32_t range = fovea_range_extent(s);
    for (int32_t p = 0; p < s->n_programs; p++) {
        const fovea_face *f = &m->faces[p];
        bool fits = true;
        for (int32_t i = 0; i < n; i++) fits = fits && like(&f->program->arrays[f->inputs[i]], &inputs[i], range >= 0);
        if (!fits) continue;
        int64_t extents[FOVEA_MAX_EXTENTS];
        for (int32_t i = 0; i < s->n_extents; i++) extents[i] = s->at[(int64_t)p * s->n_extents + i];
        if (range >= 0) extents[range] = inputs[0].shape[0];
        if (memcmp(extents, m->extents, (size_t)s->n_extents * sizeof *extents) == 0) return FOVEA_OK;
        return fovea_model_resize(m, extents, s->n_extents, err);
    }
    char text[256];
    return fovea_fail(
        err, FOVEA_E_SHAPE, "no shape of this library has an input \"%s\" of shape %s; it was built for %s",
        fovea_face_shown(m, 0)->name,
        fovea_shape_text(text, sizeof text, inputs[0].shape, inputs[0].shape ? inputs[0].ndim : 0), s->bounds);
}
