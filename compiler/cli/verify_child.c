/* The checks of a library in a process of their own: see verify.h. Invariant: memory that the library must not touch
 * lies on pages that cannot be touched. */
#define _GNU_SOURCE
#include "cli/verify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* -- One answer, with every block at the edge of pages that cannot be touched ---- */
typedef struct {
    char *map, *data;
    size_t map_bytes, lead; /* bytes before data that must stay as they are */
} walled;
enum { LEAD = 0xC3, MOST = 320 };

static bool wall(walled *w, size_t bytes, size_t align) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    if (!body) body = page;
    w->map_bytes = body + 2 * page;
    w->map = mmap(NULL, w->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (w->map == MAP_FAILED || mprotect(w->map + page, body, PROT_READ | PROT_WRITE)) {
        w->map = w->map == MAP_FAILED ? NULL : w->map;
        return false;
    }
    w->lead = (body - bytes) / align * align;
    w->data = w->map + page + w->lead;
    memset(w->map + page, LEAD, body);
    return true;
}
static bool intact(const walled *w) {
    for (size_t i = 0; i < w->lead; i++)
        if ((unsigned char)w->data[-1 - (long)i] != LEAD) return false;
    return true;
}
typedef struct {
    walled memory, tensor[MOST];
    DLTensor in[MOST], out[MOST];
    int n_in, n_out;
    fovea_model *model;
} setting;

static bool add(verify_library *c, setting *s, const fovea_array *a, bool input) {
    int k = s->n_in + s->n_out;
    if (k == MOST || !wall(&s->tensor[k], (size_t)a->bytes, (size_t)fovea_dtype_size(a->dtype))) {
        say(c, "bad no memory for %s", a->name);
        return false;
    }
    if (input) fovea_pattern_fill(a, 1, s->tensor[k].data);
    DLTensor t = fovea_tensor(s->tensor[k].data, a->dtype, a->rank, (int64_t *)(uintptr_t)a->shape);
    if (input) s->in[s->n_in++] = t;
    else s->out[s->n_out++] = t;
    return true;
}
static bool add_tensors(verify_library *c, setting *s) {
    const fovea_array *a;
    for (int i = 0; (a = c->library->input(s->model, i)); i++)
        if (!add(c, s, a, true)) return false;
    for (int i = 0; (a = c->library->output(s->model, i)); i++)
        if (!add(c, s, a, false)) return false;
    return true;
}
/* Bytes of the caller's block, as declared; -1 after saying what contradicts. */
static int64_t declared(verify_library *c, int threads) {
    fovea_workspace w;
    fovea_options o = {.threads = threads, .extents = verify_opened(c), .n_extents = c->n_extents};
    const fovea_program *p = c->library->program();
    if (c->library->measure(p, &o, &w, &c->err)) {
        verify_bad(c, "workspace");
        return -1;
    }
    if (o.extents) return w.total - (c->job->prepared ? w.prepared : 0); /* the most of all is declared */
    int64_t want = c->library->workspace_bytes(threads), bytes = w.total - (c->job->prepared ? w.prepared : 0);
    /* of several levels the most is declared */
    if (w.total - w.prepared == want || (c->job->level && w.total - w.prepared < want)) return bytes;
    say(c, "bad workspace: declared with %lld bytes for %d threads, the runtime takes %lld", (long long)want, threads,
        (long long)(w.total - w.prepared));
    return -1;
}
static bool set_up(verify_library *c, setting *s, int threads, bool check) {
    *s = (setting){0};
    int64_t bytes = declared(c, threads);
    if (bytes < 0) return false;
    if (!wall(&s->memory, (size_t)bytes, 64)) {
        say(c, "bad no memory for a workspace of %lld bytes", (long long)bytes);
        return false;
    }
    fovea_options o = {.threads = threads,
                       .check = check,
                       .memory = s->memory.data,
                       .memory_bytes = bytes,
                       .extents = verify_opened(c),
                       .n_extents = c->n_extents};
    return verify_model(c, &o, &s->model) && add_tensors(c, s);
}
static void tear_down(verify_library *c, setting *s) {
    c->library->dispose(s->model);
    for (int i = 0; i < s->n_in + s->n_out; i++) munmap(s->tensor[i].map, s->tensor[i].map_bytes);
    if (s->memory.map) munmap(s->memory.map, s->memory.map_bytes);
}
static uint64_t first[CLI_MAX_TRIED][MOST]; /* bits of the outputs of the first run, by shape */
static bool known[CLI_MAX_TRIED];

/* Runs once; the bits have to be those of the first run of all, and nothing outside the outputs written. */
static bool answer(verify_library *c, setting *s, const char *how) {
    const fovea_array *a;
    for (int i = 0; i < s->n_out; i++) memset(s->out[i].data, 0x5A, (size_t)c->library->output(s->model, i)->bytes);
    if (c->library->run_tensors(s->model, s->in, s->n_in, s->out, s->n_out, &c->err)) return verify_bad(c, how);
    for (int i = 0; (a = c->library->output(s->model, i)); i++) {
        uint64_t bits = fovea_bits(s->out[i].data, a->bytes);
        if (!known[c->shape]) first[c->shape][i] = bits;
        if (bits == first[c->shape][i]) continue;
        say(c, "bad %s: output \"%s\" has other bits than in the first run", how, a->name);
        return false;
    }
    if (!known[c->shape]) known[c->shape] = true;
    if (!intact(&s->memory)) {
        say(c, "bad %s: something wrote before the workspace", how);
        return false;
    }
    for (int i = 0; i < s->n_in + s->n_out; i++)
        if (!intact(&s->tensor[i])) {
            say(c, "bad %s: something wrote before a tensor", how);
            return false;
        }
    return true;
}
static bool with_threads(verify_library *c, int threads, bool *counted) {
    static setting s;
    char how[64];
    snprintf(how, sizeof how, "a run on %d thread%s", threads, threads == 1 ? "" : "s");
    verify_say(c->job, "step %s", how);
    bool fine = set_up(c, &s, threads, false) && answer(c, &s, how);
    *counted = verify_count_start();
    fine = fine && answer(c, &s, how);
    long calls = verify_count_stop();
    if (fine && calls) {
        say(c, "bad %s allocates: %ld calls", how, calls);
        fine = false;
    }
    tear_down(c, &s);
    return fine;
}
/* Memory is poisoned before each kernel, and what lies behind every array is looked at after it; a block that is one
 * byte short is refused. */
static bool with_guards(verify_library *c) {
    static setting s;
    say(c, "step a run with poisoned memory and guards");
    bool fine = set_up(c, &s, 1, true) && answer(c, &s, "a run with poisoned memory");
    if (fine && c->library->check_guards(s.model, &c->err)) fine = verify_bad(c, "guards");
    tear_down(c, &s);
    fovea_options o = {.threads = 1, .memory = s.memory.data, .extents = verify_opened(c), .n_extents = c->n_extents};
    fovea_model *m = NULL;
    o.memory_bytes = declared(c, 1) - 1;
    if (!fine) return false;
    fovea_status status =
        c->job->prepared ? c->library->open(c->job->weights, &o, &m, &c->err) : c->library->load(&o, &m, &c->err);
    if (status == FOVEA_E_MEMORY) return true;
    say(c, "bad workspace: a block that is one byte short is not refused (status %d)", (int)status);
    return false;
}

/* -- Models that share weights, at the same time ---- */
enum { SHARED = 4, ROUNDS = 3 };
typedef struct {
    verify_library library;
    setting s;
    bool fine;
} sharer;
static void *run_shared(void *arg) {
    sharer *x = arg;
    for (int i = 0; x->fine && i < ROUNDS; i++)
        x->fine = answer(&x->library, &x->s, "models that share weights, at the same time");
    return NULL;
}
static bool at_the_same_time(verify_library *c) {
    static sharer x[SHARED];
    pthread_t id[SHARED];
    fovea_workspace w;
    fovea_options o = {.threads = 1, .extents = verify_opened(c), .n_extents = c->n_extents};
    int made = 0, started = 0;
    say(c, "step models that share weights, at the same time");
    bool fine = c->library->measure(c->library->program(), &o, &w, &c->err) ? verify_bad(c, "workspace") : true;
    for (; fine && made < SHARED; made++) {
        setting *s = &x[made].s;
        *s = (setting){0};
        fine = made ? wall(&s->memory, (size_t)(w.total - w.prepared), 64) : set_up(c, s, 1, false);
        if (!made) continue;
        o.memory = s->memory.data;
        o.memory_bytes = w.total - w.prepared;
        if (fine && c->library->share(x[0].s.model, &o, &s->model, &c->err)) fine = verify_bad(c, "sharing");
        fine = fine && add_tensors(c, s);
    }
    for (int i = 0; i < made; i++) x[i].library = *c, x[i].fine = true;
    for (; fine && started < made; started++)
        if (pthread_create(&id[started], NULL, run_shared, &x[started])) {
            say(c, "bad no thread for a shared model");
            fine = false;
            break;
        }
    for (int i = 0; i < started; i++) {
        pthread_join(id[i], NULL);
        fine = fine && x[i].fine;
    }
    for (int i = made - 1; i >= 0; i--) tear_down(c, &x[i].s);
    return fine;
}
static bool self_test(verify_library *c) {
    if (!c->library->selftest) {
        say(c, "ok answers: (built without weights, so none are known)");
        return true;
    }
    say(c, "step the self-test");
    if (c->library->selftest(c->job->weights, NULL, &c->err)) return verify_bad(c, "self-test");
    say(c, "ok answers: %s", c->err.text);
    return true;
}
static bool one_shape(verify_library *c) {
    const char *name = verify_shape_name(c);
    bool counted = false;
    for (int t = 1; t <= c->job->threads; t++)
        if (!with_threads(c, t, &counted)) return false;
    say(c, "ok bits: %sthe same twice with 1 to %d threads", name, c->job->threads);
    if (counted) say(c, "ok allocations: %snone in a run", name);
    else say(c, "ok allocations: (they cannot be counted in this build of fovea)");
    if (!at_the_same_time(c)) return false;
    say(c, "ok sharing: %s%d models over the same weights at the same time, the same bits", name, SHARED);
    if (!with_guards(c)) return false;
    say(c, "ok memory: %s%lld bytes of workspace for 1 thread, exact; nothing outside it is touched", name,
        (long long)declared(c, 1));
    return true;
}
/* One model of the largest extents takes all shapes, up and down, with the bits of models made for them; and nothing
 * outside the bounds. */
static bool resized(verify_library *c) {
    static setting s;
    const fovea_bounds *bounds = c->library->program()->shapes->extents;
    int64_t outside[FOVEA_MAX_EXTENTS];
    c->all = true;
    say(c, "step one model of all shapes");
    bool fine = set_up(c, &s, 1, true);
    for (int i = 0; fine && i < 2 * c->n_tried; i++) {
        for (int k = 0; k < s.n_in + s.n_out; k++) munmap(s.tensor[k].map, s.tensor[k].map_bytes);
        s.n_in = s.n_out = 0;
        c->shape = i < c->n_tried ? i : 2 * c->n_tried - 1 - i;
        if (c->library->resize(s.model, verify_extents(c), c->n_extents, &c->err)) fine = verify_bad(c, "resizing");
        fine = fine && add_tensors(c, &s) && answer(c, &s, verify_shape_name(c));
        if (fine && c->library->check_guards(s.model, &c->err)) fine = verify_bad(c, "guards");
    }
    for (int32_t i = 0; fine && i < 2 * c->n_extents; i++) {
        memcpy(outside, c->tried, (size_t)c->n_extents * sizeof *outside);
        outside[i / 2] = i % 2 ? bounds[i / 2].least - 1 : bounds[i / 2].most + 1;
        if (c->library->resize(s.model, outside, c->n_extents, &c->err) == FOVEA_E_SHAPE) continue;
        say(c, "bad %s=%lld is outside the bounds and is not refused", bounds[i / 2].name, (long long)outside[i / 2]);
        fine = false;
    }
    tear_down(c, &s);
    if (fine)
        say(c, "ok shapes: one model takes %s, with the same bits, and nothing else",
            c->library->program()->shapes->bounds);
    return fine;
}
/* On a device: memory and threads are its driver's, so that answers are what can be asked for. */
static bool device_answers(verify_library *c, setting *s, setting *shared) {
    fovea_options o = {.threads = 1};
    fovea_status status = c->job->prepared ? c->library->open(c->job->weights, &o, &s->model, &c->err) : FOVEA_OK;
    if (status == FOVEA_E_DEVICE) {
        say(c, "none %s", c->err.text);
        return false;
    }
    if (status) return verify_bad(c, "opening");
    if (!c->job->prepared && !verify_model(c, &o, &s->model)) return false;
    say(c, "ok device: %s", c->library->backend(s->model));
    say(c, "step runs on the device");
    if (!add_tensors(c, s) || !answer(c, s, "a run") || !answer(c, s, "a second run") || !self_test(c)) return false;
    say(c, "step a model that shares weights on the device");
    if (c->library->share(s->model, &o, &shared->model, &c->err)) return verify_bad(c, "sharing");
    return add_tensors(c, shared) && answer(c, shared, "a model that shares weights");
}
static int device_child(verify_library *c) {
    static setting s, shared;
    bool fine = device_answers(c, &s, &shared);
    tear_down(c, &shared);
    tear_down(c, &s);
    if (fine) say(c, "ok bits: the same twice, and of a second model over the same weights");
    return fine ? 0 : 1;
}
int verify_child(const verify_job *job) {
    static verify_library c;
    c.job = job;
    say(&c, "step opening %s", job->library);
    if (!verify_open(&c)) return 1;
    if (job->device) return device_child(&c);
    if (!self_test(&c)) return 1;
    for (c.shape = 0; c.shape < c.n_tried; c.shape++)
        if (!one_shape(&c)) return 1;
    return c.n_extents && !resized(&c) ? 1 : 0;
}
