/* peak: what this processor does at best with code of this backend: multiply-adds on independent registers, and reads
 * of a large array. Both kernels are flat kernels like any other. */
#define _DEFAULT_SOURCE /* madvise */
#include "backends/llvm/cache.h"
#include "backends/llvm/llvm.h"
#include "backends/llvm/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { CHAINS = 12, ROUNDS = 20000, TRIES = 12, READ_FLOATS = 24 << 20, READ_TRIES = 8, FUNCTION_ROUNDS = 4000 };

static const double PAYS = 1.2; /* times the multiply-add peak: below, conversions that are left eat the gain */

typedef struct { fv_ctx *ctx; const char *target; int lanes; fv_tensor *tensor; fv_memory *acc; fv_flats body; } build;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const fv_expr *acc(build *b, int i) {
    const fv_expr *at = fv_int(b->ctx, i);
    return fv_make(b->ctx, FV_X_LOAD, FV_F32, b->lanes, 0, &b->acc->obj, &at, 1);
}

static void set_acc(build *b, fv_flats *list, int i, const fv_expr *v) {
    fv_flat *s = fv_flats_add(list, fv_flat_new(b->ctx, FV_L_STORE));
    s->memory = b->acc;
    s->offset = fv_int(b->ctx, i);
    s->expr = v;
}

static const fv_expr *splat(build *b, double v) {
    const fv_expr *c = fv_float(b->ctx, v);
    return fv_make(b->ctx, FV_X_SPLAT, FV_F32, b->lanes, 0, NULL, &c, 1);
}

static build start(fv_ctx *ctx, const char *target, int lanes, int64_t floats, fv_role role) {
    build b = { .ctx = ctx, .target = target, .lanes = lanes };
    b.tensor = FV_NEW(ctx, fv_tensor);
    b.tensor->obj = (fv_obj){ .kind = FV_OBJ_TENSOR, .name = fv_intern(ctx, "x"), .type = FV_F32, .rank = 1 };
    b.tensor->role = role;
    b.tensor->dim[0] = fv_intern(ctx, "i");
    b.tensor->extent[0] = floats;
    b.tensor->stride[0] = 1;
    b.acc = FV_NEW(ctx, fv_memory);
    b.acc->obj = (fv_obj){ .kind = FV_OBJ_BUFFER, .name = fv_intern(ctx, "acc"), .type = FV_F32, .rank = 1 };
    b.acc->space = FV_SPACE_REG;
    b.acc->lanes = lanes;
    b.acc->count = CHAINS;
    fv_flats_add(&b.body, fv_flat_new(ctx, FV_L_ALLOC))->memory = b.acc;
    for (int i = 0; i < CHAINS; i++) set_acc(&b, &b.body, i, splat(&b, i));
    return b;
}

static fv_flats *add_loop(build *b, fv_flats *body, int64_t trips, int64_t step) {
    fv_flat *f = fv_flats_add(&b->body, fv_flat_new(b->ctx, FV_L_FOR));
    f->name = fv_intern(b->ctx, "k");
    f->lo = fv_int(b->ctx, 0);
    f->hi = fv_int(b->ctx, trips);
    f->step = step;
    f->body = body->first;
    return &b->body;
}

/* The sum of all registers goes to the tensor of results, so that nothing can be left out. */
static fv_llvm_kernel *finish(build *b, fv_tensor *result) {
    const fv_expr *sum = acc(b, 0);
    for (int i = 1; i < CHAINS; i++) sum = fv_op2(b->ctx, FV_X_ADD, sum, acc(b, i));
    fv_flat *s = fv_flats_add(&b->body, fv_flat_new(b->ctx, FV_L_STORE));
    s->tensor = result;
    s->offset = fv_int(b->ctx, 0);
    s->expr = sum;
    fv_flat_kernel *k = FV_NEW(b->ctx, fv_flat_kernel);
    k->ctx = b->ctx;
    k->name = fv_intern(b->ctx, "peak");
    k->n_tensors = result == b->tensor ? 1 : 2;
    k->tensor = FV_NEWN(b->ctx, fv_tensor *, 2);
    k->tensor[0] = b->tensor;
    k->tensor[1] = result;
    k->body = b->body.first;
    k->programs = 1;
    return fv_llvm_kernel_new(b->ctx, k, b->target, true);
}

/* The facts of a target by name (NULL: the host's); NULL: its code does not run here. */
static const fv_target *facts_of(const char *name) {
    fv_machine m;
    char why[128];
    return fv_machine_find(name, &m, why, sizeof why) && m.native ? m.facts : NULL;
}

static double best_time(const fv_llvm_kernel *k, void *const *args, int tries) {
    double best = 1e30;
    for (int t = 0; t < tries; t++) {
        double start_time = now();
        fv_llvm_kernel_entry(k)(args, 0, 1, NULL);
        double took = now() - start_time;
        if (took < best) best = took;
    }
    return best;
}

/* A product of the chain: one f32, or a pair of bf16, in each lane. */
static const fv_expr *product(build *b, int i) {
    return fv_op3(b->ctx, FV_X_FMA, acc(b, i), splat(b, 0.999), splat(b, 0.5));
}
static const fv_expr *product_of_pairs(build *b, int i) {
    const fv_expr *c = fv_float(b->ctx, 0.5);
    c = fv_make(b->ctx, FV_X_CONVERT, FV_BF16, 1, 0, NULL, &c, 1);
    c = fv_make(b->ctx, FV_X_SPLAT, FV_BF16, 2 * b->lanes, 0, NULL, &c, 1);
    return fv_make(b->ctx, FV_X_DOT2, FV_F32, b->lanes, 0, NULL, (const fv_expr *[]){c, c, acc(b, i)}, 3);
}
/* Steps a second of so many chains (up to CHAINS) side by side, in each lane; 0: no code can be made here. */
typedef const fv_expr *chain_step(build *b, int i);
static double chain_rate(const char *name, chain_step *step, int chains, int rounds) {
    fv_ctx *ctx = fv_ctx_new();
    const fv_target *target = facts_of(name);
    double rate = 0;
    if (target) {
        build b = start(ctx, name, target->lanes, 64, FV_ROLE_OUT);
        fv_flats body = {0};
        for (int i = 0; i < chains; i++) set_acc(&b, &body, i, step(&b, i));
        add_loop(&b, &body, rounds, 1);
        fv_llvm_kernel *k = finish(&b, b.tensor);
        _Alignas(64) float out[64];
        void *args[1] = {out};
        if (k) rate = 1.0 * chains * rounds * target->lanes / best_time(k, args, TRIES);
        fv_llvm_kernel_dispose(k);
    }
    fv_ctx_dispose(ctx);
    return rate;
}
static double product_peak(const char *name, bool pairs) {
    return pairs ? 4e-9 * chain_rate(name, product_of_pairs, CHAINS, ROUNDS) : 2e-9 * chain_rate(name, product, CHAINS, ROUNDS);
}
double fv_llvm_fma_peak(void) { return product_peak(NULL, false); }
static double pair_peak(const char *name) {
    const fv_target *target = facts_of(name);
    return target && target->dot2 ? product_peak(name, true) : 0;
}
double fv_llvm_pair_peak(void) { return pair_peak(NULL); }
static double tile_peak(const char *name) {
    static const char text[] =
        "flat peak { programs 1 tensor x out f32 [i 256*1] frag config 16, 4, 6 "
        "for k = 0 to 20000 { frag dot 0, 4, 6 frag dot 1, 4, 7 frag dot 2, 5, 6 frag dot 3, 5, 7 } "
        "frag store 0, x[0], 16 frag end }";
    const double flops = 20000.0 * 4 * 2 * FV_FRAG_ROWS * FV_FRAG_COLS * 2 * FV_FRAG_PAIRS;
    fv_machine m;
    char why[128];
    if (!fv_machine_find(name, &m, why, sizeof why) || !m.native || !m.tiles || m.simulated) return 0;
    fv_ctx *ctx = fv_ctx_new();
    fv_flat_kernel *flat = fv_flat_parse(ctx, "peak", text);
    fv_llvm_kernel *k = flat ? fv_llvm_kernel_new(ctx, flat, name, false) : NULL;
    _Alignas(64) float out[256];
    void *args[1] = {out};
    double peak = k ? 1e-9 * flops / best_time(k, args, TRIES) : 0;
    fv_llvm_kernel_dispose(k);
    fv_ctx_dispose(ctx);
    return peak;
}
double fv_llvm_tile_peak(void) { return tile_peak(NULL); }
bool fv_llvm_pairs_pay(const char *name, const char *cache_dir) {
    fv_machine m;
    char why[128], key[3 * sizeof m.features];
    double peak[2];
    if (!fv_machine_find(name, &m, why, sizeof why) || !m.facts->dot2) return false;
    if (!m.native || m.tiles) return true; /* tiles are faster than either */
    int n = snprintf(key, sizeof key, "peaks of products\n%s\n%s\n", m.cpu, m.features);
    fv_buf stored = { 0 };
    fv_cache_facts facts = { 0 };
    if (cache_dir && fv_cache_load(cache_dir, key, (size_t)n, &stored, &facts) && stored.len == sizeof peak)
        memcpy(peak, stored.text, sizeof peak);
    else {
        peak[0] = product_peak(NULL, false);
        peak[1] = product_peak(NULL, true);
        fv_buf_dispose(&stored);
        fv_buf_putn(&stored, (const char *)peak, sizeof peak);
        if (cache_dir) fv_cache_save(cache_dir, key, (size_t)n, &stored, &facts);
    }
    fv_buf_dispose(&stored);
    return peak[1] > PAYS * peak[0];
}

/* Like that of a model: no vector lies in two lines, large blocks have large pages where the system has them. */
static float *memory_of(size_t bytes) {
    enum { LARGE = 2 << 20 };
    size_t unit = bytes < LARGE ? 64 : LARGE;
    bytes = (bytes + unit - 1) / unit * unit;
    float *p = aligned_alloc(unit, bytes);
#ifdef MADV_HUGEPAGE
    if (p && unit == LARGE) (void)madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}
/* GB/s of reading, or of writing, `floats` elements again and again; or, 1e9 a second, of reading them one by one and
 * spreading them over small vectors, of which a processor adds as many as it loads. */
typedef enum { READ, WRITE, SPREAD } movement;
static double move_rate(const char *name, int64_t floats, movement what) {
    fv_ctx *ctx = fv_ctx_new();
    const fv_target *target = facts_of(name);
    float *data = memory_of((size_t)floats * sizeof *data);
    double rate = 0;
    if (target && data) {
        for (int64_t i = 0; i < floats; i++) data[i] = 1; /* zeros may be one page, mapped many times */
        int lanes = what == SPREAD ? 4 : target->lanes, each = what == SPREAD ? 1 : lanes;
        build b = start(ctx, name, lanes, floats, what == WRITE ? FV_ROLE_OUT : FV_ROLE_IN);
        build r = start(ctx, name, lanes, 64, FV_ROLE_OUT);
        r.tensor->obj.name = fv_intern(ctx, "y");
        fv_flats body = { 0 };
        const fv_expr *k0 = fv_var(ctx, fv_intern(ctx, "k"), FV_I32);
        for (int i = 0; i < CHAINS; i++) {
            const fv_expr *at = fv_addi(ctx, k0, i * each);
            if (what == WRITE) {
                fv_flat *s = fv_flats_add(&body, fv_flat_new(ctx, FV_L_STORE));
                s->tensor = b.tensor;
                s->offset = at;
                s->expr = acc(&b, i);
                continue;
            }
            const fv_expr *x = fv_make(ctx, FV_X_LOAD, FV_F32, each, 0, &b.tensor->obj, &at, 1);
            if (what == SPREAD) x = fv_make(ctx, FV_X_SPLAT, FV_F32, lanes, 0, NULL, &x, 1);
            set_acc(&b, &body, i, fv_op2(ctx, FV_X_ADD, acc(&b, i), x));
        }
        int64_t step = CHAINS * each, trips = floats / step * step, again = READ_FLOATS / floats;
        fv_flat *inner = fv_flat_new(ctx, FV_L_FOR);
        inner->name = fv_intern(ctx, "k");
        inner->lo = fv_int(ctx, 0);
        inner->hi = fv_int(ctx, trips);
        inner->step = step;
        inner->body = body.first;
        add_loop(&b, &(fv_flats){ inner, inner }, again, 1)->last->name = fv_intern(ctx, "again");
        fv_llvm_kernel *k = finish(&b, r.tensor);
        _Alignas(64) float out[64];
        void *args[2] = { data, out };
        if (k) rate = 1e-9 * (what == SPREAD ? 1.0 : 4.0) * (double)(trips * again) / best_time(k, args, READ_TRIES);
        fv_llvm_kernel_dispose(k);
    }
    free(data);
    fv_ctx_dispose(ctx);
    return rate;
}
double fv_llvm_read_bandwidth(void) { return move_rate(NULL, READ_FLOATS, READ); }

static const fv_expr *exponential(build *b, int i) {
    return fv_op1(b->ctx, FV_X_EXP2, fv_op1(b->ctx, FV_X_NEG, acc(b, i)));
}
static const fv_expr *logarithm(build *b, int i) {
    return fv_op1(b->ctx, FV_X_LOG, fv_op2(b->ctx, FV_X_ADD, acc(b, i), splat(b, 12)));
}
static const fv_expr *error(build *b, int i) { return fv_op1(b->ctx, FV_X_ERF, acc(b, i)); }
static const fv_expr *hyperbolic(build *b, int i) { return fv_op1(b->ctx, FV_X_TANH, acc(b, i)); }
static const fv_expr *sine(build *b, int i) { return fv_op1(b->ctx, FV_X_SIN, acc(b, i)); }
static const fv_expr *power(build *b, int i) {
    return fv_op2(b->ctx, FV_X_POW, fv_op2(b->ctx, FV_X_ADD, acc(b, i), splat(b, 2)), splat(b, 0.3));
}
bool fv_llvm_rates(const char *name, const char *cache_dir, const int64_t cache[4], fv_rates *out) {
    fv_machine m;
    char why[128], key[3 * sizeof m.features];
    *out = (fv_rates){ 0 };
    if (!fv_machine_find(name, &m, why, sizeof why)) return false;
    if (!m.native || m.simulated) return false;
    int n = snprintf(key, sizeof key, "rates of a thread\n%s\n%s\n", m.cpu, m.features);
    fv_buf stored = { 0 };
    fv_cache_facts facts = { 0 };
    if (cache_dir && fv_cache_load(cache_dir, key, (size_t)n, &stored, &facts) && stored.len == sizeof *out)
        memcpy(out, stored.text, sizeof *out);
    else {
        out->fma = product_peak(name, false);
        out->pairs = pair_peak(name);
        out->tiles = tile_peak(name);
        static chain_step *const function[FV_FUNCTION_COUNT] = {exponential, logarithm, error, hyperbolic, sine, power};
        for (int i = 0; i < FV_FUNCTION_COUNT; i++)
            out->functions[i] = 1e-9 * chain_rate(name, function[i], CHAINS, FUNCTION_ROUNDS);
        double chain = chain_rate(name, product, 1, ROUNDS);
        out->latency = chain > 0 ? m.facts->lanes / chain : 0;
        for (int i = 1; i < 4; i++) { /* a level is read with data that fill half of it */
            int64_t floats = cache[i] / 8;
            if (floats > READ_FLOATS) floats = READ_FLOATS;
            if (floats < CHAINS * m.facts->lanes) continue;
            out->read[i] = move_rate(name, floats, READ);
            out->write[i] = move_rate(name, floats, WRITE);
        }
        if (cache[1] > 0) out->scalars = move_rate(name, cache[1] / 8, SPREAD);
        out->write[4] = move_rate(name, READ_FLOATS, WRITE);
        out->read[4] = move_rate(name, READ_FLOATS, READ);
        fv_buf_dispose(&stored);
        fv_buf_putn(&stored, (const char *)out, sizeof *out);
        if (cache_dir) fv_cache_save(cache_dir, key, (size_t)n, &stored, &facts);
    }
    fv_buf_dispose(&stored);
    return out->fma > 0;
}
