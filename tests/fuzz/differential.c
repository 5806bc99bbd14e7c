/* See differential.h. Invariant: arrays given to models and interpreters are this file's own and hold the same numbers.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/differential.h"
#include "cli/check_bound.h"
#include "kernel/flat.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- Leaves -- */
static bool rounded(void *user, const fv_node *leaf, double *out, int64_t count) {
    fv_diff *d = user;
    if (!d->source(d->user, leaf, out, count)) return false;
    if (fv_type_is_float(leaf->result[0]->obj.type))
        for (int64_t i = 0; i < count; i++) out[i] = (double)(float)out[i];
    return true;
}
static const fv_node *leaf_of(const fv_diff *d, const char *name) {
    for (int i = 0; i < d->graph->n_nodes; i++) {
        const fv_node *n = d->graph->node[i];
        if ((n->op == FV_NODE_INPUT || n->op == FV_NODE_PARAM) && !strcmp(fv_cstr(d->ctx, n->u.leaf.name), name))
            return n;
    }
    return NULL;
}
static int output_of(const fv_diff *d, const char *name) {
    for (int i = 0; i < d->graph->n_outputs; i++)
        if (!strcmp(fv_cstr(d->ctx, d->graph->output[i].name), name)) return i;
    return -1;
}

static void diagnostics(fv_diff *d) {
    fv_diag_render(d->ctx, &d->report);
    fv_diag_clear(d->ctx);
}
static void allow(fv_diff *d, fv_type storage) {
    const cli_bound *bound = d->bound;
    for (int i = 0; i < d->graph->n_outputs; i++) {
        bool exact =
            !fv_type_is_float(d->graph->output[i].value->obj.type) || (d->whole && cli_exact(&bound[i], storage));
        d->tolerance[i] = exact ? 0 : 4 * cli_tolerance(&bound[i], storage, d->most[i]);
        double largest = 0;
        for (int64_t e = 0; d->limit > 0 && e < fv_value_count(d->graph->output[i].value); e++)
            if (isfinite(d->want[i][e])) largest = fmax(largest, fabs(d->want[i][e]));
        if (d->limit > 0) d->tolerance[i] = fmin(d->tolerance[i], d->limit * largest);
    }
}
bool fv_diff_open(fv_diff *d, fv_ctx *ctx, fv_graph *g, fv_ref_source *source, void *user, bool whole) {
    *d = (fv_diff){.ctx = ctx, .graph = g, .source = source, .user = user, .whole = whole};
    fv_buf_puts(&d->report, "");
    int n = g->n_outputs;
    d->want = FV_NEWN(ctx, double *, n + 1);
    d->tolerance = FV_NEWN(ctx, double, n + 1);
    d->length = FV_NEWN(ctx, double, n + 1);
    d->most = FV_NEWN(ctx, double, n + 1);
    if (!fv_reference_run(g, (fv_str){0}, rounded, d, d->want, NULL, NULL)) {
        diagnostics(d);
        return false;
    }
    cli_bound *bound = FV_NEWN(ctx, cli_bound, n + 1);
    cli_bounds(g, bound);
    d->bound = bound;
    for (int i = 0; i < n; i++) {
        double most = 1;
        for (int64_t e = 0; e < fv_value_count(g->output[i].value); e++)
            if (isfinite(d->want[i][e])) most = fmax(most, fabs(d->want[i][e]));
        d->length[i] = bound[i].length * most;
        d->most[i] = most;
    }
    allow(d, FV_F32);
    return true;
}
void fv_diff_close(fv_diff *d) {
    for (int i = 0; d->want && i < d->graph->n_outputs; i++) free(d->want[i]);
    fv_buf_dispose(&d->report);
}

/* -- Comparing -- */
static bool same(double got, double want, double tolerance) {
    return got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= tolerance;
}
static bool compare(fv_diff *d, const char *level, int o, const double *got, double tolerance) {
    int64_t n = fv_value_count(d->graph->output[o].value), bad = 0, first = -1;
    for (int64_t e = 0; e < n; e++)
        if (!same(got[e], d->want[o][e], tolerance)) {
            bad++;
            if (first < 0) first = e;
        }
    if (bad)
        fv_buf_printf(&d->report,
                      "%s: output %s: %lld of %lld differ, first at %lld: got %.9g, want %.9g (tolerance %.3g)\n",
                      level, fv_cstr(d->ctx, d->graph->output[o].name), (long long)bad, (long long)n, (long long)first,
                      got[first], d->want[o][first], tolerance);
    return !bad;
}

/* -- Interpreters -- */
static double **plan_memory(fv_diff *d, const fv_plan *p, bool own) {
    double **data = calloc((size_t)p->n_tensors + 1, sizeof *data);
    for (int t = 0; data && t < p->n_tensors; t++) {
        const fv_plan_tensor *x = p->tensor[t];
        int64_t n = fv_plan_tensor_elements(x);
        bool given = x->kind == FV_MEM_INPUT || x->kind == FV_MEM_PARAM;
        if (!own && !given && x->kind != FV_MEM_OUTPUT) continue;
        data[t] = malloc(sizeof(double) * (size_t)(n + 1));
        for (int64_t i = 0; i < n; i++) data[t][i] = (double)NAN;
        const fv_node *leaf = given ? leaf_of(d, fv_cstr(d->ctx, x->name)) : NULL;
        if (leaf) rounded(d, leaf, data[t], n);
        if (x->kind == FV_MEM_CONST)
            memcpy(data[t], x->data, sizeof(double) * (size_t)n); /* dense, as the driver lays it out */
    }
    return data;
}
static bool sixteen(fv_type storage) { return storage == FV_BF16 || storage == FV_F16; }
static bool compare_plan(fv_diff *d, const char *level, const fv_plan *p, double **data, bool f64) {
    bool fine = true;
    for (int t = 0; t < p->n_tensors; t++) {
        if (p->tensor[t]->kind != FV_MEM_OUTPUT) continue;
        int o = output_of(d, fv_cstr(d->ctx, p->tensor[t]->name));
        double tolerance = o < 0 || d->tolerance[o] == 0 ? 0
                           : f64 && !sixteen(d->storage) ? 1e-9 * d->length[o]
                                                         : d->tolerance[o];
        if (o < 0) fv_buf_printf(&d->report, "%s: the plan has an output that the graph lacks\n", level);
        fine = o >= 0 && compare(d, level, o, data[t], tolerance) && fine;
    }
    return fine;
}
static void free_memory(const fv_plan *p, double **data) {
    for (int t = 0; t < p->n_tensors; t++) free(data[t]);
    free(data);
}
static bool tile_level(fv_diff *d, const fv_plan *p) {
    double **data = plan_memory(d, p, false);
    fv_interp_options o = {.check_poison = true};
    bool fine = fv_plan_interpret(p, data, &o);
    if (!fine) {
        fv_buf_puts(&d->report, "tile interpreter: ");
        diagnostics(d);
    } else fine = compare_plan(d, "tile interpreter (lowering)", p, data, true);
    free_memory(p, data);
    return fine;
}
static bool flat_launch(const fv_launch *l, const fv_target *target, double **memory) {
    double *args[64];
    fv_flat_kernel *f = fv_flatten_cpu(l->kernel, l->schedule, target);
    if (!f || l->n_args > 64) return false;
    for (int j = 0; j < l->n_args; j++) args[j] = memory[l->arg[j]];
    return fv_flat_interpret(f, args, 0, f->programs, 1);
}
static bool flat_level(fv_diff *d, const fv_compiled *c) {
    double **data = plan_memory(d, c->plan, true);
    bool fine = true;
    for (int w = 0; w < 2; w++)
        for (int i = 0; fine && i < c->plan->n_launches[w]; i++) {
            fine = flat_launch(c->plan->launch[w][i], c->target, data);
            if (!fine)
                fv_buf_printf(&d->report,
                              "flat interpreter, kernel %s: ", fv_cstr(d->ctx, c->plan->launch[w][i]->kernel->name));
        }
    if (!fine) diagnostics(d);
    else fine = compare_plan(d, "flat interpreter (flattening)", c->plan, data, false);
    free_memory(c->plan, data);
    return fine;
}

/* -- Compiled code -- */
typedef struct {
    fovea_model *model;
    int32_t n_in, n_out, n_weights;
    DLTensor in[64], out[64];
    fovea_named_tensor weight[256];
} live;

static void *elements(fv_diff *d, const fovea_array *a) {
    const fv_node *leaf = leaf_of(d, a->name);
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++) n *= a->shape[i];
    double *x = malloc(sizeof(double) * (size_t)(n + 1));
    char *p = aligned_alloc(64, ((size_t)n * (size_t)fovea_dtype_size(a->dtype) + 127) / 64 * 64);
    if (leaf && x && p && rounded(d, leaf, x, n))
        for (int64_t i = 0; i < n; i++) {
            if (a->dtype == FOVEA_F32) ((float *)(void *)p)[i] = (float)x[i];
            else if (a->dtype == FOVEA_I32) ((int32_t *)(void *)p)[i] = (int32_t)x[i];
            else p[i] = x[i] != 0;
        }
    free(x);
    return p;
}
static DLTensor tensor_of(const fovea_array *a, void *data) {
    return fovea_tensor(data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape);
}
static bool load(fv_diff *d, const fovea_program *p, int threads, live *l) {
    fovea_error e = {.text = "no memory"};
    fovea_options o = {.threads = threads, .check = threads == 1};
    if (fovea_model_load(p, &o, &l->model, &e)) goto failed;
    for (const fovea_array *a; (a = fovea_model_param(l->model, l->n_weights)) && l->n_weights < 256; l->n_weights++)
        l->weight[l->n_weights] = (fovea_named_tensor){a->name, tensor_of(a, elements(d, a))};
    for (const fovea_array *a; (a = fovea_model_input(l->model, l->n_in)) && l->n_in < 64; l->n_in++)
        l->in[l->n_in] = tensor_of(a, elements(d, a));
    for (const fovea_array *a; (a = fovea_model_output(l->model, l->n_out)) && l->n_out < 64; l->n_out++) {
        size_t bytes = ((size_t)a->bytes + 127) / 64 * 64;
        void *room = aligned_alloc(64, bytes);
        if (room) memset(room, 0x5a, bytes);
        l->out[l->n_out] = tensor_of(a, room);
    }
    if (fovea_model_bind(l->model, l->weight, l->n_weights, &e) ||
        fovea_model_run(l->model, l->in, l->n_in, l->out, l->n_out, &e))
        goto failed;
    return true;
failed:
    fv_buf_printf(&d->report, "runtime, %d threads: %s\n", threads, e.text);
    return false;
}
static void unload(live *l) {
    fovea_model_dispose(l->model);
    for (int i = 0; i < l->n_weights; i++) free(l->weight[i].tensor.data);
    for (int i = 0; i < l->n_in; i++) free(l->in[i].data);
    for (int i = 0; i < l->n_out; i++) free(l->out[i].data);
    free(l);
}
static bool compare_live(fv_diff *d, const live *l) {
    bool fine = l->n_out > 0;
    for (int i = 0; i < l->n_out; i++) {
        const fovea_array *a = fovea_model_output(l->model, i);
        int o = output_of(d, a->name);
        int64_t n = o < 0 ? 0 : fv_value_count(d->graph->output[o].value);
        double *got = malloc(sizeof(double) * (size_t)(n + 1));
        const void *p = l->out[i].data;
        for (int64_t e = 0; e < n; e++)
            got[e] = a->dtype == FOVEA_F32   ? (double)((const float *)p)[e]
                     : a->dtype == FOVEA_I32 ? (double)((const int32_t *)p)[e]
                                             : (double)((const unsigned char *)p)[e];
        fine = o >= 0 && compare(d, "compiled code", o, got, d->tolerance[o]) && fine;
        free(got);
    }
    return fine;
}
static bool same_bits(fv_diff *d, const live *a, const live *b, int threads) {
    for (int i = 0; i < a->n_out; i++)
        if (memcmp(a->out[i].data, b->out[i].data, (size_t)fovea_model_output(a->model, i)->bytes)) {
            fv_buf_printf(&d->report, "output %s has other bits on %d threads than on one\n",
                          fovea_model_output(a->model, i)->name, threads);
            return false;
        }
    return true;
}
static bool code_level(fv_diff *d, const fv_compiled *c) {
    static const int threads[] = {2, 5, 16};
    live *one = calloc(1, sizeof *one);
    bool fine = load(d, &c->program, 1, one) && compare_live(d, one);
    for (int t = 0; fine && t < 3 && !c->backend->executor; t++) {
        live *many = calloc(1, sizeof *many);
        fine = load(d, &c->program, threads[t], many) && same_bits(d, one, many, threads[t]);
        unload(many);
    }
    unload(one);
    return fine;
}

/* -- One variant -- */
static bool only_refusals(const fv_ctx *ctx) {
    int n = fv_diag_count(ctx);
    for (int i = 0; i < n; i++) {
        const fv_diag *x = fv_diag_at(ctx, i);
        if (!x->is_note && x->code != FV_E_NOT_LOWERED && x->code != FV_E_DECLINED) return false;
    }
    return n > 0;
}
static bool flat_laws(fv_diff *d, const fv_compiled *c) {
    int faults = 0, seen = 0;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < c->plan->n_launches[w]; i++) {
            const fv_launch *l = c->plan->launch[w][i];
            if (l->code < seen) continue;
            seen = l->code + 1;
            fv_flat_kernel *f = fv_flatten_cpu(l->kernel, l->schedule, c->target);
            int here = f ? fv_flat_verify(f) : 1;
            if (here)
                fv_buf_printf(&d->report, "flat verify: %d faults in %s\n", here, fv_cstr(d->ctx, l->kernel->name));
            faults += here;
        }
    if (faults) diagnostics(d);
    return faults == 0;
}
fv_diff_verdict fv_diff_run(fv_diff *d, const fv_diff_variant *v) {
    fv_driver_options o = v->driver;
    o.verify = true;
    allow(d, d->storage = v->rounds ? v->rounds : o.storage);
    const fv_backend *b = fv_backend_find(o.backend ? o.backend : "cpu");
    if (v->if_here && (!b || !b->target(o.target))) {
        fv_buf_printf(&d->report, "no target %s here\n", o.target);
        return FV_DIFF_REFUSED;
    }
    fv_compiled c;
    bool good = v->compile ? fv_compile(d->ctx, d->graph, (fv_str){0}, &o, &c)
                           : fv_compile_plan(d->ctx, d->graph, (fv_str){0}, &o, &c);
    fv_diff_verdict verdict = FV_DIFF_AGREES;
    if (!good) {
        bool refused = only_refusals(d->ctx);
        bool lowered = c.plan != NULL;
        if (!refused) fv_buf_puts(&d->report, lowered ? "compile: " : "lower: ");
        diagnostics(d);
        verdict = refused ? FV_DIFF_REFUSED : FV_DIFF_WRONG;
    } else {
        bool fine = !v->interpret || tile_level(d, c.plan);
        if (!c.backend->executor) fine = flat_laws(d, &c) && fine; /* others verify what they flatten themselves */
        if (v->flat) fine = flat_level(d, &c) && fine;
        if (v->compile && fine) fine = code_level(d, &c);
        if (fv_diag_count(d->ctx)) {
            diagnostics(d);
            fine = false;
        }
        verdict = fine ? FV_DIFF_AGREES : FV_DIFF_WRONG;
    }
    fv_compiled_dispose(&c);
    return verdict;
}

/* -- A process of its own -- */
static _Noreturn void child(fv_diff_body *body, void *user, int seconds, int to) {
    fv_buf b = {0};
    alarm((unsigned)seconds);
    fv_diff_verdict v = body(user, &b);
    for (size_t at = 0; at < b.len;) {
        ssize_t n = write(to, b.text + at, b.len - at);
        if (n <= 0) break;
        at += (size_t)n;
    }
    fflush(NULL);
    _exit((int)v);
}
fv_diff_verdict fv_diff_isolated(fv_diff_body *body, void *user, int seconds, fv_buf *report) {
    int pipe_of[2], status = 0;
    fflush(NULL);
    if (pipe(pipe_of)) {
        fv_buf_puts(report, "no pipe\n");
        return FV_DIFF_WRONG;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pipe_of[0]);
        child(body, user, seconds, pipe_of[1]);
    }
    close(pipe_of[1]);
    char chunk[4096];
    for (ssize_t n; (n = read(pipe_of[0], chunk, sizeof chunk)) > 0;) fv_buf_putn(report, chunk, (size_t)n);
    close(pipe_of[0]);
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        fv_buf_puts(report, "no process\n");
        return FV_DIFF_WRONG;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= FV_DIFF_WRONG) return (fv_diff_verdict)WEXITSTATUS(status);
    if (WIFSIGNALED(status))
        fv_buf_printf(report, "%s (signal %d)\n", WTERMSIG(status) == SIGALRM ? "took too long" : "crashed",
                      WTERMSIG(status));
    else fv_buf_printf(report, "ended with status %d\n", WEXITSTATUS(status));
    return FV_DIFF_WRONG;
}
