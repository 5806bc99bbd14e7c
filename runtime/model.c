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
    return o && o->threads > 0 ? o->threads : fovea_threads_available();
}

static fovea_status measure(const fovea_program *p, const fovea_options *o, bool with_prepared, fovea_workspace *w,
                            fovea_error *err) {
    *w = (fovea_workspace){.threads = threads_of(o)};
    if ((o && o->threads < 0) || w->threads > FOVEA_POOL_MAX)
        return fovea_fail(err, FOVEA_E_ARGUMENT, "threads must be in 0..%d, not %d", FOVEA_POOL_MAX, o->threads);
    int64_t most = 0, all = 0;
    for (int stage = 0; stage < FOVEA_STAGES; stage++) {
        int32_t n;
        const fovea_launch *l = fovea_stage_launches(p, (fovea_stage)stage, &n);
        for (int32_t i = 0; i < n; i++) most = l[i].scratch_bytes > most ? l[i].scratch_bytes : most;
    }
    bool fits = add_rounded(&w->prepared, with_prepared ? p->prepared_bytes : 0) &&
                add_rounded(&w->arena, p->arena_bytes) && add_rounded(&w->arena, FOVEA_GUARD_BYTES) &&
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
static int32_t list_place(const fovea_program *p, fovea_place place, int32_t *out) {
    int32_t n = 0;
    for (int32_t i = 0; i < p->n_arrays; i++)
        if (p->arrays[i].place == place) out[n++] = i;
    return n;
}

static fovea_status make_lists(fovea_model *m, fovea_error *err) {
    const fovea_program *p = m->program;
    size_t n = (size_t)p->n_arrays + 1, longest = 1; /* one more, so that no size is 0 */
    for (int stage = 0; stage < FOVEA_STAGES; stage++) {
        int32_t count;
        const fovea_launch *l = fovea_stage_launches(p, (fovea_stage)stage, &count);
        for (int32_t i = 0; i < count; i++) longest = (size_t)l[i].n_args > longest ? (size_t)l[i].n_args : longest;
    }
    m->base = calloc(n, sizeof *m->base);
    m->args = calloc(longest, sizeof *m->args);
    m->inputs = calloc(3 * n, sizeof *m->inputs);
    m->spans[0] = calloc(2 * n, sizeof *m->spans[0]);
    if (!m->base || !m->args || !m->inputs || !m->spans[0])
        return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a model's tables");
    m->spans[1] = m->spans[0] + n;
    m->outputs = m->inputs + n;
    m->params = m->outputs + n;
    m->n_inputs = list_place(p, FOVEA_INPUT, m->inputs);
    m->n_outputs = list_place(p, FOVEA_OUTPUT, m->outputs);
    m->n_params = list_place(p, FOVEA_PARAM, m->params);
    fovea_spans_fill(m);
    return m->options.check ? fovea_layout_check(m, err) : FOVEA_OK;
}

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

static void set_bases(fovea_model *m) {
    for (int32_t i = 0; i < m->program->n_arrays; i++) {
        const fovea_array *a = &m->program->arrays[i];
        if (a->place == FOVEA_CONST) m->base[i] = without_const(a->data);
        if (m->program->executor) continue;
        if (a->place == FOVEA_PREPARED) m->base[i] = m->prepared + a->offset;
        if (a->place == FOVEA_ARENA) m->base[i] = m->arena + a->offset;
    }
}

fovea_status fovea_model_make(const fovea_program *p, const fovea_options *o, char *prepared, fovea_model **out,
                              fovea_error *err) {
    fovea_model *m = calloc(1, sizeof *m);
    if (!m) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a model");
    m->program = p;
    m->shared = prepared != NULL;
    fovea_status status = fovea_options_take(o, &m->options, err);
    if (status == FOVEA_OK) status = measure(p, &m->options, !prepared, &m->space, err);
    if (status == FOVEA_OK) status = make_lists(m, err);
    if (status == FOVEA_OK) status = make_block(m, err);
    if (status == FOVEA_OK) status = make_threads(m, err);
    if (status != FOVEA_OK) {
        fovea_model_dispose(m);
        return status;
    }
    if (prepared) m->prepared = prepared;
    set_bases(m);
    if (p->executor) status = p->executor->open(p, &m->options, &m->device, err);
    if (status == FOVEA_OK) *out = m;
    else fovea_model_dispose(m);
    return status;
}

fovea_status fovea_model_load(const fovea_program *program, const fovea_options *options, fovea_model **out,
                              fovea_error *err) {
    if (!out) return fovea_fail(err, FOVEA_E_ARGUMENT, "nowhere to write the model");
    *out = NULL;
    fovea_status status = fovea_program_check(program, err);
    if (status == FOVEA_OK) status = fovea_model_make(program, options, NULL, out, err);
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
    fovea_status status = fovea_model_make(bound->program, options, bound->prepared, out, err);
    if (status != FOVEA_OK) return status;
    fovea_model *m = *out;
    m->shared = true;
    for (int32_t i = 0; i < m->n_params; i++) m->base[m->params[i]] = bound->base[m->params[i]];
    if (m->program->executor) status = fovea_stage_run(m, FOVEA_STAGE_PREPARE, NULL, err); /* its own copy */
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
    free(m->base);
    free(m->args);
    free(m->inputs);
    free(m->spans[0]);
    free(m);
}

/* -- Questions ---- */
static const fovea_array *nth(const fovea_model *m, const int32_t *list, int32_t n, int32_t i) {
    return i >= 0 && i < n ? &m->program->arrays[list[i]] : NULL;
}
const fovea_array *fovea_model_input(const fovea_model *m, int32_t i) { return nth(m, m->inputs, m->n_inputs, i); }
const fovea_array *fovea_model_output(const fovea_model *m, int32_t i) { return nth(m, m->outputs, m->n_outputs, i); }
const fovea_array *fovea_model_param(const fovea_model *m, int32_t i) { return nth(m, m->params, m->n_params, i); }

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
void fovea_model_profile(fovea_model *m, int64_t *ns) { m->ns = ns; }
