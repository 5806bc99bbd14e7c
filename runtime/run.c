/* Executing launches. Nothing here allocates. Each launch gets pointers to its arrays, and its programs are handed
 * to threads in pieces; which thread computes a piece never changes what is computed, since programs of a kernel are
 * independent. */
#define _POSIX_C_SOURCE 200809L
#include <fenv.h>
#include <time.h>

#include "error.h"
#include "model.h"
#include "tensor.h"

typedef struct {
    fovea_range range;
    fovea_kernel *kernel;
    void *const *args;
    char *scratch;
    int64_t scratch_stride;
} job;

/* Rounding and denormals must not depend on the thread that happens to compute a piece. */
static void run_pieces(void *arg, int32_t thread) {
    job *j = arg;
    fenv_t saved;
    int64_t begin, end;
    if (!fovea_range_take(&j->range, &begin, &end)) return;
    fegetenv(&saved);
    fesetenv(FE_DFL_ENV);
    do j->kernel(j->args, begin, end, j->scratch + thread * j->scratch_stride);
    while (fovea_range_take(&j->range, &begin, &end));
    fesetenv(&saved);
}

static void launch(fovea_model *m, const fovea_launch *l) {
    int32_t threads = l->programs < m->space.threads ? (int32_t)l->programs : m->space.threads;
    for (int32_t k = 0; k < l->n_args; k++) m->args[k] = m->base[l->args[k]];
    job j = {.kernel = l->kernel, .args = m->args, .scratch = m->scratch,
             .scratch_stride = m->space.scratch_per_thread};
    fovea_range_init(&j.range, l->programs, threads);
    if (threads > 1) m->parallel(m->parallel_user, threads, run_pieces, &j);
    else run_pieces(&j, 0);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

fovea_status fovea_stage_run(fovea_model *m, fovea_stage stage, int64_t *ns, fovea_error *err) {
    int32_t n;
    const fovea_launch *launches = fovea_stage_launches(m->program, stage, &n);
    if (m->program->executor) return m->program->executor->run(m->device, (int32_t)stage, m->base, ns, err);
    bool guards = m->options.check;
    for (int32_t i = 0; i < n; i++) {
        if (guards) fovea_guards_open(m, stage, i);
        int64_t start = ns ? now_ns() : 0;
        launch(m, &launches[i]);
        if (ns) ns[i] = now_ns() - start;
        fovea_status status = guards ? fovea_guards_verify(m, stage, i, err) : FOVEA_OK;
        if (status != FOVEA_OK) return status;
    }
    return FOVEA_OK;
}

/* The caller's tensors: one after the other, or a list of pointers to them. */
typedef struct {
    const DLTensor *row;
    const DLTensor *const *list;
    int32_t n; /* of the row; a list has as many as the model asks for */
} given;
static const DLTensor *tensor_at(given g, int32_t i) { return g.list ? g.list[i] : &g.row[i]; }

/* Inputs begin at place 0 of those that the caller sees, outputs behind them. */
static fovea_status take_tensors(fovea_model *m, given g, int32_t first, int32_t n, const char *what,
                                 fovea_error *err) {
    if (!g.list && (g.n != n || (n > 0 && !g.row)))
        return fovea_fail(err, FOVEA_E_TENSOR, "the model has %d %s%s, not %d", n, what, n == 1 ? "" : "s",
                          g.row ? g.n : 0);
    for (int32_t i = 0; i < n; i++) {
        const fovea_array *a = fovea_face_shown(m, first + i);
        const DLTensor *t = tensor_at(g, i);
        if (!t) return fovea_fail(err, FOVEA_E_TENSOR, "%s \"%s\": no tensor is given", what, a->name);
        fovea_status status = fovea_tensor_check(t, a, what, FOVEA_E_TENSOR, &m->given[first + i], err);
        if (status == FOVEA_OK && a->place == FOVEA_INPUT)
            status = fovea_index_check(a, m->given[first + i], what, FOVEA_E_TENSOR, err);
        if (status != FOVEA_OK) return status;
    }
    return FOVEA_OK;
}

static fovea_status check_aliases(const fovea_model *m, fovea_error *err) {
    const fovea_program *p = m->program;
    int32_t n = m->n_inputs + m->n_outputs;
    for (int32_t i = m->n_inputs; i < n; i++) {
        const fovea_array *out = fovea_face_shown(m, i), *other = NULL;
        for (int32_t k = 0; k < n && !other; k++) {
            const fovea_array *a = fovea_face_shown(m, k);
            if (k != i && fovea_overlap(m->given[i], out->bytes, m->given[k], a->bytes)) other = a;
        }
        for (int32_t k = 0; k < m->n_params && !other; k++) {
            const fovea_array *a = &p->arrays[m->params[k]];
            if (fovea_overlap(m->given[i], out->bytes, m->base[m->params[k]], a->bytes)) other = a;
        }
        if (other)
            return fovea_fail(err, FOVEA_E_TENSOR, "output \"%s\" shares memory with %s \"%s\"", out->name,
                              other->place == FOVEA_INPUT ? "input"
                              : other->place == FOVEA_PARAM ? "parameter" : "output",
                              other->name);
    }
    return FOVEA_OK;
}

/* The program in use runs on elements `first` and following of the caller's tensors. */
static void place_tensors(fovea_model *m, int64_t first) {
    for (int32_t i = 0; i < m->n_inputs + m->n_outputs; i++) {
        int32_t array = i < m->n_inputs ? m->inputs[i] : m->outputs[i - m->n_inputs];
        const fovea_array *a = &m->program->arrays[array];
        m->base[array] = (char *)m->given[i] + (first > 0 ? first * (a->bytes / a->shape[0]) : 0);
    }
}
/* Of several shapes: one program after another. */
static fovea_status run_parts(fovea_model *m, fovea_error *err) {
    fovea_status status = FOVEA_OK;
    int64_t done = 0, count;
    for (int32_t part; !status && (part = fovea_next_part(m->shapes, m->extents, done, &count)) >= 0; done += count) {
        fovea_face_use(m, part);
        place_tensors(m, done);
        status = fovea_stage_run(m, FOVEA_STAGE_RUN, NULL, err);
    }
    return status;
}

/* Of several shapes: the extents are those of the inputs. */
static fovea_status fit(fovea_model *m, given inputs, fovea_error *err) {
    for (int32_t i = 0; i < m->n_inputs; i++) {
        if (!inputs.list && !inputs.row) return FOVEA_OK; /* said by take_tensors, as what follows */
        if (!tensor_at(inputs, i)) return FOVEA_OK;
        m->asked[i] = *tensor_at(inputs, i);
    }
    return fovea_model_fit(m, m->asked, m->n_inputs, err);
}
static fovea_status run(fovea_model *m, given inputs, given outputs, fovea_error *err) {
    if (!m) return fovea_fail(err, FOVEA_E_ARGUMENT, "no model");
    if (!m->bound) return fovea_fail(err, FOVEA_E_STATE, "the model has no weights bound");
    fovea_status status = m->shapes && (inputs.list || inputs.n == m->n_inputs) ? fit(m, inputs, err) : FOVEA_OK;
    if (status == FOVEA_OK) status = take_tensors(m, inputs, 0, m->n_inputs, "input", err);
    if (status == FOVEA_OK) status = take_tensors(m, outputs, m->n_inputs, m->n_outputs, "output", err);
    if (status == FOVEA_OK) status = check_aliases(m, err);
    if (status == FOVEA_OK && m->shapes) {
        status = run_parts(m, err);
    } else if (status == FOVEA_OK) {
        place_tensors(m, 0);
        status = fovea_stage_run(m, FOVEA_STAGE_RUN, m->ns, err);
    }
    m->ran = status == FOVEA_OK;
    return status;
}
fovea_status fovea_model_run(fovea_model *m, const DLTensor *inputs, int32_t n_inputs, const DLTensor *outputs,
                             int32_t n_outputs, fovea_error *err) {
    return run(m, (given){.row = inputs, .n = n_inputs}, (given){.row = outputs, .n = n_outputs}, err);
}
fovea_status fovea_model_run_dlpack(fovea_model *m, const DLTensor *const *inputs, const DLTensor *const *outputs,
                                    fovea_error *err) {
    if (m && ((m->n_inputs && !inputs) || (m->n_outputs && !outputs)))
        return fovea_fail(err, FOVEA_E_ARGUMENT, "no list of %s", m->n_inputs && !inputs ? "inputs" : "outputs");
    return run(m, (given){.list = inputs}, (given){.list = outputs}, err);
}
