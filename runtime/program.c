/* The checks of a compiled program: indices, shapes, offsets and names fit each other. After them the rest of the
 * runtime trusts the program. */
#include <inttypes.h>
#include <string.h>

#include "error.h"
#include "model.h"
#include "tensor.h"

static const char *place_name(fovea_place place) {
    static const char *const names[] = {"input", "output", "param", "const", "prepared array", "arena array"};
    return (unsigned)place < sizeof names / sizeof *names ? names[place] : "unknown place";
}

static bool in_block(const fovea_array *a, int64_t block) {
    return a->offset >= 0 && a->offset % FOVEA_ALIGN == 0 && block >= FOVEA_GUARD_BYTES &&
           a->bytes <= block - FOVEA_GUARD_BYTES && a->offset <= block - FOVEA_GUARD_BYTES - a->bytes;
}

static fovea_status check_named(const fovea_program *p, int32_t i, fovea_error *err) {
    const fovea_array *a = &p->arrays[i];
    const char *place = place_name(a->place);
    if (!a->name || !*a->name) return fovea_fail(err, FOVEA_E_PROGRAM, "array %d: an %s needs a name", i, place);
    if (a->rank < 0 || a->rank > FOVEA_MAX_RANK)
        return fovea_fail(err, FOVEA_E_PROGRAM, "%s \"%s\": rank %d is not in 0..%d", place, a->name, a->rank,
                          FOVEA_MAX_RANK);
    int64_t size = fovea_dtype_size(a->dtype), count = fovea_shape_count(a->shape, a->rank, size);
    char shape[256];
    if (count < 0 || count * size != a->bytes)
        return fovea_fail(err, FOVEA_E_PROGRAM, "%s \"%s\": shape %s of %s is not %" PRId64 " bytes", place, a->name,
                          fovea_shape_text(shape, sizeof shape, a->shape, a->rank), fovea_dtype_name(a->dtype),
                              a->bytes);
    for (int32_t j = 0; j < i; j++)
        if (p->arrays[j].place == a->place && strcmp(p->arrays[j].name, a->name) == 0)
            return fovea_fail(err, FOVEA_E_PROGRAM, "two arrays are the %s \"%s\"", place, a->name);
    return FOVEA_OK;
}

static fovea_status check_array(const fovea_program *p, int32_t i, fovea_error *err) {
    const fovea_array *a = &p->arrays[i];
    const char *name = a->name ? a->name : "";
    if (fovea_dtype_size(a->dtype) == 0)
        return fovea_fail(err, FOVEA_E_PROGRAM, "array %d \"%s\": unknown dtype", i, name);
    if (a->bytes < 0)
        return fovea_fail(err, FOVEA_E_PROGRAM, "array %d \"%s\": has %" PRId64 " bytes", i, name, a->bytes);
    switch (a->place) {
    case FOVEA_INPUT: case FOVEA_OUTPUT: case FOVEA_PARAM: return check_named(p, i, err);
    case FOVEA_CONST:
        if (a->bytes > 0 && !a->data) return fovea_fail(err, FOVEA_E_PROGRAM, "const %d \"%s\" has no data", i, name);
        return FOVEA_OK;
    case FOVEA_PREPARED: case FOVEA_ARENA: {
        int64_t block = a->place == FOVEA_ARENA ? p->arena_bytes : p->prepared_bytes;
        if (in_block(a, block)) return FOVEA_OK;
        return fovea_fail(err, FOVEA_E_PROGRAM,
                          "%s %d \"%s\": %" PRId64 " bytes at offset %" PRId64 " and a guard of %d do not fit "
                          "a block of %" PRId64 " bytes at a multiple of %d", place_name(a->place), i, name, a->bytes,
                          a->offset, FOVEA_GUARD_BYTES, block, FOVEA_ALIGN);
    }
    }
    return fovea_fail(err, FOVEA_E_PROGRAM, "array %d \"%s\": unknown place %d", i, name, (int)a->place);
}

static fovea_status check_launch(const fovea_program *p, fovea_stage stage, const fovea_launch *l, fovea_error *err) {
    const char *label = l->label ? l->label : "?", *where = l->where ? l->where : "?";
    bool code = l->kernel || (p->executor && l->code);
    if (!code || l->programs < 0 || l->scratch_bytes < 0 || l->n_args < 0 || (l->n_args > 0 && !l->args))
        return fovea_fail(err, FOVEA_E_PROGRAM, "kernel %s (%s): no code, or a negative size", label, where);
    for (int32_t k = 0; k < l->n_args; k++) {
        int32_t a = l->args[k];
        if (a < 0 || a >= p->n_arrays)
            return fovea_fail(err, FOVEA_E_PROGRAM, "kernel %s (%s): argument %d is array %d of %d", label, where, k, a,
                              p->n_arrays);
        fovea_place place = p->arrays[a].place;
        if (stage == FOVEA_STAGE_PREPARE && (place == FOVEA_INPUT || place == FOVEA_OUTPUT))
            return fovea_fail(err, FOVEA_E_PROGRAM, "kernel %s (%s): runs at prepare but uses the %s \"%s\"", label,
                              where, place_name(place), p->arrays[a].name);
    }
    return FOVEA_OK;
}

/* What a run reads in the prepared block has to come from prepare. */
static fovea_status check_prepared(const fovea_program *p, fovea_error *err) {
    for (int32_t i = 0; i < p->n_run; i++)
        for (int32_t k = 0; k < p->run[i].n_args; k++) {
            int32_t a = p->run[i].args[k];
            bool found = p->arrays[a].place != FOVEA_PREPARED;
            for (int32_t j = 0; j < p->n_prepare && !found; j++)
                for (int32_t q = 0; q < p->prepare[j].n_args && !found; q++) found = p->prepare[j].args[q] == a;
            if (!found)
                return fovea_fail(err, FOVEA_E_PROGRAM,
                                  "kernel %s (%s): uses prepared array %d, which prepare does not make",
                                  p->run[i].label ? p->run[i].label : "?", p->run[i].where ? p->run[i].where : "?", a);
        }
    return FOVEA_OK;
}

static fovea_status check_one(const fovea_program *p, fovea_error *err) {
    if (p->n_arrays < 0 || p->n_prepare < 0 || p->n_run < 0 || p->arena_bytes < 0 || p->prepared_bytes < 0 ||
        (p->n_arrays > 0 && !p->arrays) || (p->n_prepare > 0 && !p->prepare) || (p->n_run > 0 && !p->run))
        return fovea_fail(err, FOVEA_E_PROGRAM, "a count is negative or a list is absent");
    for (int32_t i = 0; i < p->n_arrays; i++) {
        fovea_status status = check_array(p, i, err);
        if (status != FOVEA_OK) return status;
    }
    for (int stage = 0; stage < FOVEA_STAGES; stage++) {
        int32_t n;
        const fovea_launch *launches = fovea_stage_launches(p, (fovea_stage)stage, &n);
        for (int32_t i = 0; i < n; i++) {
            fovea_status status = check_launch(p, (fovea_stage)stage, &launches[i], err);
            if (status != FOVEA_OK) return status;
        }
    }
    return check_prepared(p, err);
}

fovea_status fovea_program_check(const fovea_program *p, fovea_error *err) {
    if (!p) return fovea_fail(err, FOVEA_E_ARGUMENT, "no program");
    fovea_status status = check_one(p, err);
    for (int32_t i = 0; p->shapes && p->shapes->programs && !status && i < p->shapes->n_programs; i++)
        if (p != &p->shapes->programs[i]) status = check_one(&p->shapes->programs[i], err);
    return p->shapes && !status ? fovea_shapes_check(p->shapes, err) : status;
}
