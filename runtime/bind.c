/* Binding: every parameter of the program gets memory that holds it, then prepare runs once. Invariant: a model is
 * bound only after all of that succeeded; weights that do not fit leave it unbound. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model.h"
#include "safetensors.h"
#include "tensor.h"

/* Names of what is missing, as many as fit into a message. */
typedef struct { char text[FOVEA_ERROR_TEXT - 200]; size_t used; int32_t n, shown; } name_list;

static void list_add(name_list *l, const char *name) {
    size_t room = sizeof l->text - l->used, need = strlen(name) + 2;
    l->n++;
    if (need + 1 > room || l->shown != l->n - 1) return;
    l->used += (size_t)snprintf(l->text + l->used, room, "%s%s", l->shown ? ", " : "", name);
    l->shown++;
}

static fovea_status list_fail(const name_list *l, int32_t of, fovea_error *err) {
    return fovea_fail(err, FOVEA_E_WEIGHTS, "%d of %d parameters are missing from the weights: %s%s", l->n, of, l->text,
                      l->shown < l->n ? ", ..." : "");
}

static fovea_status begin(fovea_model *m, fovea_error *err) {
    if (!m) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model");
    if (m->shared)
        return fovea_fail(err, FOVEA_E_STATE,
                          "the weights are those of another model or of an image, and cannot be bound again");
    m->bound = m->ran = false;
    free(m->converted);
    m->converted = NULL;
    for (int32_t i = 0; i < m->n_params; i++) m->base[m->params[i]] = NULL;
    return FOVEA_OK;
}

static fovea_status finish(fovea_model *m, fovea_error *err) {
    for (int32_t i = 0; i < m->n_params; i++) {
        fovea_status status = fovea_index_check(&m->program->arrays[m->params[i]], m->base[m->params[i]], "parameter",
                                                FOVEA_E_WEIGHTS, err);
        if (status != FOVEA_OK) return status;
    }
    fovea_faces_share(m);
    fovea_status status = fovea_stage_run(m, FOVEA_STAGE_PREPARE, NULL, err);
    if (status == FOVEA_OK) fovea_guards_keep(m);
    m->bound = status == FOVEA_OK;
    return status;
}

static const DLTensor *find_named(const fovea_named_tensor *weights, int32_t n, const char *name) {
    for (int32_t i = 0; i < n; i++)
        if (weights[i].name && strcmp(weights[i].name, name) == 0) return &weights[i].tensor;
    return NULL;
}

fovea_status fovea_model_bind(fovea_model *m, const fovea_named_tensor *weights, int32_t n, fovea_error *err) {
    if (n < 0 || (n > 0 && !weights)) return fovea_fail(err, FOVEA_E_ARGUMENT, "no weights");
    fovea_status status = begin(m, err);
    if (status != FOVEA_OK) return status;
    name_list missing = {0};
    for (int32_t i = 0; i < m->n_params; i++) {
        const fovea_array *a = &m->program->arrays[m->params[i]];
        const DLTensor *t = find_named(weights, n, a->name);
        if (!t) list_add(&missing, a->name);
        else status = fovea_tensor_check(t, a, "parameter", FOVEA_E_WEIGHTS, &m->base[m->params[i]], err);
        if (status != FOVEA_OK) return status;
    }
    return missing.n > 0 ? list_fail(&missing, m->n_params, err) : finish(m, err);
}

static bool same_shape(const fovea_stored *t, const fovea_array *a) {
    return t->rank == a->rank && (t->rank == 0 || memcmp(t->shape, a->shape, (size_t)t->rank * sizeof *t->shape) == 0);
}

static bool needs_copy(const fovea_stored *t, const fovea_array *a) {
    return t->storage != fovea_storage_of(a->dtype) || (uintptr_t)t->data % (uintptr_t)fovea_dtype_size(a->dtype) != 0;
}

/* Shapes of all, and the bytes that conversions need. */
static fovea_status check_stored(const fovea_model *m, const fovea_safetensors *file, int64_t *bytes,
                                 fovea_error *err) {
    name_list missing = {0};
    char want[256], got[256];
    for (int32_t i = 0; i < m->n_params; i++) {
        const fovea_array *a = &m->program->arrays[m->params[i]];
        const fovea_stored *t = fovea_safetensors_find(file, a->name);
        if (!t) {
            list_add(&missing, a->name);
        } else if (!same_shape(t, a)) {
            return fovea_fail(err, FOVEA_E_WEIGHTS, "parameter \"%s\": must have shape %s, is stored with %s", a->name,
                              fovea_shape_text(want, sizeof want, a->shape, a->rank),
                                  fovea_shape_text(got, sizeof got, t->shape, t->rank));
        } else if (needs_copy(t, a) && __builtin_add_overflow(*bytes, fovea_aligned(a->bytes), bytes)) {
            return fovea_fail(err, FOVEA_E_MEMORY, "the parameters do not fit an address");
        }
    }
    return missing.n > 0 ? list_fail(&missing, m->n_params, err) : FOVEA_OK;
}

static fovea_status convert_one(const fovea_stored *t, const fovea_array *a, void *out, fovea_error *err) {
    int64_t bad = -1;
    if (fovea_stored_convert(t, a->dtype, out, &bad)) return FOVEA_OK;
    if (bad < 0)
        return fovea_fail(err, FOVEA_E_WEIGHTS, "parameter \"%s\": stored as %s, which does not become %s", a->name,
                          fovea_storage_name(t->storage), fovea_dtype_name(a->dtype));
    return fovea_fail(err, FOVEA_E_WEIGHTS, "parameter \"%s\": element %" PRId64 " of the %s stored does not fit %s",
                      a->name, bad, fovea_storage_name(t->storage), fovea_dtype_name(a->dtype));
}

/* The data of a mapped file is never written: kernels take all their arrays as void *. */
static void *without_const(const void *p) { return (void *)(uintptr_t)p; }

fovea_status fovea_model_bind_file(fovea_model *m, const fovea_safetensors *file, fovea_error *err) {
    if (!file) return fovea_fail(err, FOVEA_E_ARGUMENT, "no weights");
    fovea_status status = begin(m, err);
    int64_t bytes = 0;
    if (status == FOVEA_OK) status = check_stored(m, file, &bytes, err);
    if (status != FOVEA_OK) return status;
    if (bytes > 0 && !(m->converted = aligned_alloc(FOVEA_ALIGN, (size_t)bytes)))
        return fovea_fail(err, FOVEA_E_MEMORY, "no memory for %" PRId64 " bytes of converted parameters", bytes);
    char *next = m->converted;
    for (int32_t i = 0; i < m->n_params; i++) {
        const fovea_array *a = &m->program->arrays[m->params[i]];
        const fovea_stored *t = fovea_safetensors_find(file, a->name);
        m->base[m->params[i]] = without_const(t->data);
        if (!needs_copy(t, a)) continue;
        m->base[m->params[i]] = next;
        status = convert_one(t, a, next, err);
        if (status != FOVEA_OK) return status;
        next += fovea_aligned(a->bytes);
    }
    return finish(m, err);
}
