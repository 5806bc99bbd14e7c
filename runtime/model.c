/* Load, share, dispose: everything that a model ever allocates, except the conversions of bind. A block is laid out as
 * prepared | arena | scratch of each thread, all multiples of 64, the last two each closed by a guard. */
#define _DEFAULT_SOURCE /* madvise */
#include "model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"

/* -- Sizes ---- */
static bool add_rounded(int64_t *io_sum, int64_t bytes) {
    int64_t rounded;
    return !__builtin_add_overflow(bytes, FOVEA_ALIGN - 1, &rounded) &&
           !__builtin_add_overflow(*io_sum, rounded / FOVEA_ALIGN * FOVEA_ALIGN, io_sum);
}

/* The first form that programs were compiled with. Fields are appended only, and zero means the default. */
enum { LEAST_OPTIONS = offsetof(fovea_options, parallel_user) + sizeof(void *) };

fovea_status fovea_options_take(const fovea_options *given, fovea_options *out, fovea_error *err) {
    *out = (fovea_options){0};
    if (!given) return FOVEA_OK;
    size_t bytes = given->bytes ? given->bytes : sizeof *given, own = bytes < sizeof *out ? bytes : sizeof *out;
    if (bytes < LEAST_OPTIONS)
        return fovea_fail(err, FOVEA_E_ARGUMENT,
                          "options of %zu bytes: this library takes %zu to %zu; the program was compiled with the "
                          "header of another one, or options.bytes is not sizeof(fovea_options)",
                          bytes, (size_t)LEAST_OPTIONS, sizeof *out);
    for (size_t i = own; i < bytes; i++)
        if (((const char *)given)[i])
            return fovea_fail(err, FOVEA_E_ARGUMENT,
                              "options of %zu bytes set something that this library, which knows %zu, does not have: "
                              "the program was compiled with a later header",
                              bytes, sizeof *out);
    memcpy(out, given, own);
    for (size_t i = 0; i < sizeof out->reserved / sizeof *out->reserved; i++)
        if (out->reserved[i])
            return fovea_fail(err, FOVEA_E_ARGUMENT,
                              "options.reserved is not 0: the options were not set to zero, or the program was compiled "
                              "with a later header");
    return FOVEA_OK;
}

static int32_t threads_of(const fovea_options *o) {
    return o->threads > 0 ? o->threads : fovea_threads_available();
}

static int64_t most_scratch(const fovea_program *p, fovea_stage stage) {
    int32_t n;
    int64_t most = 0;
    const fovea_launch *l = fovea_stage_launches(p, stage, &n);
    for (int32_t i = 0; i < n; i++) most = l[i].scratch_bytes > most ? l[i].scratch_bytes : most;
    return most;
}
/* Of several shapes: what the programs need that runs within the options' extents may use. */
static fovea_status needs(const fovea_program *p, const fovea_options *o, int64_t *arena, int64_t *scratch,
                          fovea_error *err) {
    const fovea_shapes *s = p->shapes;
    int64_t run = most_scratch(p, FOVEA_STAGE_RUN);
    *arena = p->arena_bytes;
    *scratch = most_scratch(p, FOVEA_STAGE_PREPARE);
    if (o->extents && (!s || o->n_extents != s->n_extents))
        return fovea_fail(err, FOVEA_E_ARGUMENT, "%d extents where the library has %d%s%s", o->n_extents,
                          s ? s->n_extents : 0, s ? ": " : "", s ? s->bounds : "");
    fovea_status status = o->extents ? fovea_extents_check(s, o->extents, err) : FOVEA_OK;
    if (s) *arena = run = 0;
    for (int32_t i = 0; s && !status && i < s->n_programs; i++) {
        if (o->extents && !fovea_part_within(s, o->extents, i)) continue;
        int64_t own = most_scratch(&s->programs[i], FOVEA_STAGE_RUN);
        if (own > run) run = own;
        if (s->programs[i].arena_bytes > *arena) *arena = s->programs[i].arena_bytes;
    }
    if (run > *scratch) *scratch = run;
    return status;
}
static fovea_status measure(const fovea_program *p, const fovea_options *o, bool with_prepared, fovea_workspace *w,
                            fovea_error *err) {
    *w = (fovea_workspace){.threads = threads_of(o)};
    if (o->threads < 0 || w->threads > FOVEA_POOL_MAX)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "threads must be in 0..%d, not %d", FOVEA_POOL_MAX, o->threads);
    int64_t arena, most, all = 0;
    fovea_status status = needs(p, o, &arena, &most, err);
    if (status) return status;
    bool fits = add_rounded(&w->prepared, with_prepared ? p->prepared_bytes : 0) && add_rounded(&w->arena, arena) && add_rounded(&w->arena, FOVEA_GUARD_BYTES) &&
                add_rounded(&w->scratch_per_thread, most) && add_rounded(&w->scratch_per_thread, FOVEA_GUARD_BYTES) &&
                !__builtin_mul_overflow(w->scratch_per_thread, (int64_t)w->threads, &all) &&
                add_rounded(&w->total, w->prepared) && add_rounded(&w->total, w->arena) && add_rounded(&w->total, all);
    return fits ? FOVEA_OK : fovea_fail(err, FOVEA_E_PROGRAM, "the workspace does not fit an address");
}

fovea_status fovea_workspace_measure(const fovea_program *program, const fovea_options *options, fovea_workspace *out,
                                     fovea_error *err) {
    fovea_status status = fovea_program_check(program, err);
    if (status == FOVEA_OK && !out) status = fovea_fail(err, FOVEA_E_ARGUMENT, "nowhere to write the sizes");
    fovea_options own;
    if (status == FOVEA_OK) status = fovea_options_take(options, &own, err);
    return status == FOVEA_OK ? measure(program, &own, true, out, err) : status;
}

/* -- Parts ---- */
/* Large blocks lie on large pages where the system has them: a first run then waits for few of them. */
static void *block(int64_t bytes) {
    enum { LARGE = 2 << 20 };
    void *p;
    bool large = bytes >= LARGE;
    size_t round = large ? LARGE : FOVEA_ALIGN, size = ((size_t)bytes + round - 1) / round * round;
    if (posix_memalign(&p, round, size)) return NULL;
#ifdef MADV_HUGEPAGE
    if (large) (void)madvise(p, size, MADV_HUGEPAGE);
#endif
    return p;
}

static fovea_status make_block(fovea_model *m, fovea_error *err) {
    const fovea_options *o = &m->options;
    int64_t total = m->space.total;
    if (m->program->executor) return FOVEA_OK;
    if (o->memory) {
        if ((uintptr_t)o->memory % FOVEA_ALIGN != 0)
            return fovea_fail(err, FOVEA_E_MEMORY, "the block given is not aligned to %d bytes", FOVEA_ALIGN);
        if (o->memory_bytes < total)
            return fovea_fail(err, FOVEA_E_MEMORY, "the block given has %" PRId64 " bytes, the model needs %" PRId64,
                              o->memory_bytes, total);
        m->block = o->memory;
    } else if (!(m->block = block(total))) {
        return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a workspace of %" PRId64 " bytes", total);
    }
    m->prepared = m->block;
    m->arena = m->prepared + m->space.prepared;
    m->scratch = m->arena + m->space.arena;
    fovea_guards_close_blocks(m);
    return FOVEA_OK;
}

static fovea_status make_threads(fovea_model *m, fovea_error *err) {
    m->parallel = m->options.parallel;
    m->parallel_user = m->options.parallel_user;
    if (m->parallel || m->space.threads == 1 || m->program->executor) return FOVEA_OK;
    fovea_status status = fovea_pool_new(m->space.threads, &m->pool, err);
    m->parallel = fovea_pool_parallel;
    m->parallel_user = m->pool;
    return status;
}

/* The const data of a program is never written: kernels take all their arrays as void *. */
static void *without_const(const void *p) { return (void *)(uintptr_t)p; }

static void set_bases(const fovea_model *m, const fovea_face *f) {
    for (int32_t i = 0; i < f->program->n_arrays; i++) {
        const fovea_array *a = &f->program->arrays[i];
        if (a->place == FOVEA_CONST) f->base[i] = without_const(a->data);
        if (f->program->executor && !m->prepared) continue;
        if (a->place == FOVEA_PREPARED) f->base[i] = m->prepared + a->offset;
        if (a->place == FOVEA_ARENA && m->arena) f->base[i] = m->arena + a->offset;
    }
}
static fovea_status first_extents(fovea_model *m, fovea_error *err) {
    if (!m->shapes) return FOVEA_OK;
    int64_t extents[FOVEA_MAX_EXTENTS];
    fovea_extents_most(m->shapes, extents);
    const int64_t *want = m->options.extents ? m->options.extents : extents;
    fovea_status status = fovea_model_resize(m, want, m->shapes->n_extents, err);
    m->options.extents = NULL; /* the caller's */
    return status;
}

/* Options of a library that has the model in several forms, come to a form that is not the one asked for. */
static fovea_status check_backend(const fovea_program *p, const fovea_options *o, fovea_error *err) {
    const char *name = p->name ? p->name : "?";
    if (o->backend < FOVEA_BACKEND_AUTO || o->backend > FOVEA_BACKEND_OPENCL)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "options.backend is %d, which is no fovea_backend", (int)o->backend);
    if (o->backend == FOVEA_BACKEND_OPENCL && !p->executor)
        return fovea_fail(err, FOVEA_E_DEVICE, "\"%s\" is code for this processor: it does not run on OpenCL", name);
    if (o->backend == FOVEA_BACKEND_CPU && p->executor)
        return fovea_fail(err, FOVEA_E_DEVICE, "\"%s\" is made for a device: it does not run on this processor", name);
    return FOVEA_OK;
}

fovea_status fovea_model_make(const fovea_program *p, const fovea_options *o, char *prepared, const fovea_model *beside,
                              fovea_model **out, fovea_error *err) {
    fovea_model *m = calloc(1, sizeof *m);
    if (!m) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a model");
    m->program = p;
    m->shared = prepared != NULL;
    fovea_status status = fovea_options_take(o, &m->options, err);
    if (status == FOVEA_OK) status = check_backend(p, &m->options, err);
    if (status == FOVEA_OK) status = measure(p, &m->options, !prepared, &m->space, err);
    if (status == FOVEA_OK) status = fovea_faces_make(m, err);
    if (status == FOVEA_OK) status = make_block(m, err);
    if (status == FOVEA_OK) status = make_threads(m, err);
    if (status == FOVEA_OK) status = first_extents(m, err);
    if (status != FOVEA_OK) {
        fovea_model_dispose(m);
        return status;
    }
    if (prepared) m->prepared = prepared;
    for (int32_t i = 0; i < m->n_faces; i++) set_bases(m, &m->faces[i]);
    memcpy(m->backend, "cpu", sizeof "cpu");
    if (p->executor)
        status = p->executor->open(p, &m->options, prepared != NULL, beside ? beside->device : NULL, &m->device, err);
    if (m->device) p->executor->describe(m->device, m->backend, sizeof m->backend);
    m->options.device = NULL; /* the caller's, for this call */
    if (status == FOVEA_OK) *out = m;
    else fovea_model_dispose(m);
    return status;
}

fovea_status fovea_model_load(const fovea_program *program, const fovea_options *options, fovea_model **out,
                              fovea_error *err) {
    if (!out) return fovea_fail(err, FOVEA_E_ARGUMENT, "nowhere to write the model");
    *out = NULL;
    fovea_status status = fovea_program_check(program, err);
    if (status == FOVEA_OK) status = fovea_model_make(program, options, NULL, NULL, out, err);
    if (status != FOVEA_OK || (*out)->n_params > 0) return status;
    status = fovea_model_bind(*out, NULL, 0, err);
    if (status != FOVEA_OK) {
        fovea_model_dispose(*out);
        *out = NULL;
    }
    return status;
}

fovea_status fovea_model_share(const fovea_model *bound, const fovea_options *options, fovea_model **out,
                               fovea_error *err) {
    if (!bound || !out) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model to share, or nowhere to write the new one");
    *out = NULL;
    if (!bound->bound) return fovea_fail(err, FOVEA_E_STATE, "the model to share has no weights bound");
    const fovea_face *of = &bound->faces[0]; /* the one in use may change meanwhile */
    fovea_status status = fovea_model_make(of->program, options, bound->prepared, bound, out, err);
    if (status != FOVEA_OK) return status;
    fovea_model *m = *out;
    m->shared = true;
    memcpy(m->backend, bound->backend, sizeof m->backend);
    for (int32_t i = 0; i < m->n_params; i++) m->base[m->params[i]] = of->base[of->params[i]];
    fovea_faces_share(m);
    if (m->program->executor) status = fovea_stage_run(m, FOVEA_STAGE_PREPARE, NULL, err); /* its own copy there */
    m->bound = status == FOVEA_OK;
    if (!m->bound) {
        fovea_model_dispose(m);
        *out = NULL;
    }
    return status;
}

void fovea_model_dispose(fovea_model *m) {
    if (!m) return;
    if (m->device) m->program->executor->close(m->device);
    fovea_pool_dispose(m->pool);
    if (!m->options.memory) free(m->block);
    if (m->map) munmap(m->map, m->map_bytes);
    free(m->converted);
    fovea_faces_free(m);
    free(m);
}

/* -- Questions ---- */
const fovea_array *fovea_model_input(const fovea_model *m, int32_t i) {
    return i >= 0 && i < m->n_inputs ? fovea_face_shown(m, i) : NULL;
}
const fovea_array *fovea_model_output(const fovea_model *m, int32_t i) {
    return i >= 0 && i < m->n_outputs ? fovea_face_shown(m, m->n_inputs + i) : NULL;
}
const fovea_array *fovea_model_param(const fovea_model *m, int32_t i) {
    return i >= 0 && i < m->n_params ? &m->program->arrays[m->params[i]] : NULL;
}

static int32_t index_of(const fovea_model *m, const int32_t *list, int32_t n, const char *name) {
    for (int32_t i = 0; i < n; i++)
        if (strcmp(m->program->arrays[list[i]].name, name) == 0) return i;
    return -1;
}
int32_t fovea_model_input_index(const fovea_model *m, const char *name) {
    return index_of(m, m->inputs, m->n_inputs, name);
}
int32_t fovea_model_output_index(const fovea_model *m, const char *name) {
    return index_of(m, m->outputs, m->n_outputs, name);
}
int32_t fovea_model_threads(const fovea_model *m) { return m->space.threads; }
const char *fovea_model_backend(const fovea_model *m) { return m->backend; }
void fovea_model_profile(fovea_model *m, int64_t *ns) { m->ns = ns; }
