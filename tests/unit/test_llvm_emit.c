/* Every construct of the flat stage through hand-built kernels, on each instruction set that this machine runs, against
 * values computed here. */
#include "llvm_kit.h"

#define FOR_TARGETS(name) for (int name = 0; name < KIT_TARGETS; name++)

static uint32_t state = 1;
static float noise(void) {
    state = state * 1664525U + 1013904223U;
    return (float)(int32_t)state / 2147483648.0F;
}

/* -- Loops, registers, multiply-add ------------------------------------------------------------ */
enum { M = 5, K = 7, W = 16 };

/* c[i][0..15] = sum over k of a[i][k] * b[k][0..15]: registers over a serial loop, splats, programs as rows. */
Test(llvm_emit, product) {
    static float a[M * K], b[K * W], c[M * W];
    for (int i = 0; i < M * K; i++) a[i] = noise();
    for (int i = 0; i < K * W; i++) b[i] = noise();
    void *args[3] = { a, b, c };
    FOR_TARGETS(j) {
        kit t = kit_new();
        t.k->programs = M;
        const fv_tensor *ta = kit_tensor(&t, "a", FV_F32, FV_ROLE_IN, M * K),
            *tb = kit_tensor(&t, "b", FV_F32, FV_ROLE_IN, K * W);
        const fv_tensor *tc = kit_tensor(&t, "c", FV_F32, FV_ROLE_OUT, M * W);
        fv_memory *acc = kit_alloc(&t, "acc", FV_SPACE_REG, FV_F32, W, 1, 0);
        fv_flats rows, ks, *top = kit_for(&t, "row", NULL, NULL, 1, &rows);
        kit_store(&t, NULL, acc, kit_i(&t, 0), kit_splat(&t, kit_f(&t, 0), W));
        fv_flats *outer = kit_for(&t, "k", kit_i(&t, 0), kit_i(&t, K), 1, &ks);
        E row = kit_var(&t, "row"), k = kit_var(&t, "k");
        E x = kit_splat(&t, kit_load(&t, &ta->obj, 1, fv_add(t.ctx, fv_muli(t.ctx, row, K), k)), W);
        E y = kit_load(&t, &tb->obj, W, fv_muli(t.ctx, k, W));
        kit_store(&t, NULL, acc, kit_i(&t, 0),
                  kit_make(&t, FV_X_FMA, FV_F32, W, x, y, kit_load(&t, &acc->obj, W, kit_i(&t, 0))));
        t.at = outer;
        kit_last(&t)->body = ks.first;
        kit_store(&t, tc, NULL, fv_muli(t.ctx, row, W), kit_load(&t, &acc->obj, W, kit_i(&t, 0)));
        t.at = top;
        kit_last(&t)->loop = FV_LOOP_PROGRAMS;
        kit_last(&t)->body = rows.first;
        memset(c, 0xff, sizeof c);
        if (kit_run(&t, kit_targets[j], false, args, 1, 4))
            for (int i = 0; i < M * W; i++) {
                double want = 0;
                for (int q = 0; q < K; q++) want += (double)a[i / W * K + q] * (double)b[q * W + i % W];
                if (i / W < 1 || i / W >= 4) cr_expect(isnan(c[i]), "row %d is outside of begin..end and was written",
                                                       i / W);
                else cr_expect(fabs((double)c[i] - want) < 1e-6, "%s: c[%d] = %g, not %g", kit_targets[j], i,
                               (double)c[i], want);
            }
        kit_done(&t);
    }
}

/* Bounds known at run time only, steps, empty loops, and a condition with two arms. */
Test(llvm_emit, bounds_and_conditions) {
    int32_t limits[6] = { 0, 5, 3, 3, -4, 7 };
    float out[64];
    void *args[2] = { limits, out };
    FOR_TARGETS(j) {
        kit t = kit_new();
        const fv_tensor *tl = kit_tensor(&t, "limits", FV_I32, FV_ROLE_IN, 6),
            *to = kit_tensor(&t, "out", FV_F32, FV_ROLE_OUT, 64);
        for (int p = 0; p < 3; p++) {
            fv_flats body, then = { NULL, NULL }, other = { NULL, NULL };
            E lo = kit_let(&t, "lo", kit_load(&t, &tl->obj, 1, kit_i(&t, 2 * p)));
            E hi = kit_let(&t, "hi", kit_load(&t, &tl->obj, 1, kit_i(&t, 2 * p + 1)));
            fv_flats *outer = kit_for(&t, "i", lo, hi, 2, &body);
            E i = kit_var(&t, "i"), at = fv_addi(t.ctx, i, 8 + 16 * p);
            fv_flat *branch = kit_add(&t, FV_L_IF);
            branch->expr = fv_op2(t.ctx, FV_X_LT, i, kit_i(&t, 3));
            t.at = &then;
            kit_store(&t, to, NULL, at, fv_op1(t.ctx, FV_X_TOFLOAT, i));
            t.at = &other;
            kit_store(&t, to, NULL, at, kit_f(&t, -1));
            branch->body = then.first;
            branch->orelse = other.first;
            t.at = outer;
            kit_last(&t)->body = body.first;
        }
        for (int i = 0; i < 64; i++) out[i] = 99;
        if (kit_run(&t, kit_targets[j], false, args, 0, 1))
            for (int i = 0; i < 64; i++) {
                int p = i / 16, x = i - 8 - 16 * p;
                bool in = p < 3 && x >= limits[2 * p] && x < limits[2 * p + 1] && (x - limits[2 * p]) % 2 == 0;
                float want = !in ? 99 : x < 3 ? (float)x : -1;
                cr_expect(out[i] == want, "%s: out[%d] = %g, not %g", kit_targets[j], i, (double)out[i], (double)want);
            }
        kit_done(&t);
    }
}

/* -- Integers ---------------------------------------------------------------------------------- */
static const fv_op int_ops[] = { FV_X_ADD, FV_X_SUB, FV_X_MUL, FV_X_FLOORDIV, FV_X_MOD, FV_X_MIN, FV_X_MAX };
enum { INT_OPS = sizeof int_ops / sizeof int_ops[0], INTS = 16 };

static E int_op(kit *t, fv_op op, E a, E b) {
    return kit_make(t, op, FV_I32, a->lanes, a, b, NULL);
}

/* Operators on scalars and vectors, by variables and by constants (4 and 7 take different ways). */
Test(llvm_emit, integers) {
    int32_t a[INTS], b[INTS], out[INT_OPS * 3 * INTS];
    for (int i = 0; i < INTS; i++) {
        a[i] = (i - 7) * 13;
        b[i] = i % 5 - 2;
    }
    void *args[3] = { a, b, out };
    FOR_TARGETS(j)
        for (int lanes = 1; lanes <= 16; lanes = lanes == 1 ? 8 : lanes * 2) {
            kit t = kit_new();
            const fv_tensor *ta = kit_tensor(&t, "a", FV_I32, FV_ROLE_IN, INTS),
                *tb = kit_tensor(&t, "b", FV_I32, FV_ROLE_IN, INTS);
            const fv_tensor *to = kit_tensor(&t, "out", FV_I32, FV_ROLE_OUT, INT_OPS * 3 * INTS);
            for (int o = 0; o < INT_OPS; o++)
                for (int f = 0; f < 3; f++)
                    for (int i = 0; i < INTS; i += lanes) {
                        E x = kit_load(&t, &ta->obj, lanes, kit_i(&t, i));
                        E y = f == 0 ? kit_load(&t, &tb->obj, lanes, kit_i(&t, i))
                            : kit_splat(&t, kit_i(&t, f == 1 ? 4 : 7), lanes);
                        kit_store(&t, to, NULL, kit_i(&t, (o * 3 + f) * INTS + i), int_op(&t, int_ops[o], x, y));
                    }
            if (kit_run(&t, kit_targets[j], false, args, 0, 1))
                for (int i = 0; i < INT_OPS * 3 * INTS; i++) {
                    int o = i / (3 * INTS), f = i / INTS % 3, at = i % INTS;
                    double v[2] = { (double)a[at], f == 0 ? (double)b[at] : f == 1 ? 4 : 7 };
                    double want = fv_apply(int_ops[o], FV_I32, v);
                    cr_expect(out[i] == (int32_t)want, "%s x%d: %g %s %g = %d", kit_targets[j], lanes, v[0],
                              fv_op_spelling(int_ops[o]), v[1], (int)out[i]);
                }
            kit_done(&t);
        }
}

/* Quotients of a loop variable known not to be negative, sums with terms of several loops, offsets beyond 2^31. */
Test(llvm_emit, index_arithmetic) {
    enum { BIG = 1 << 20 };
    int64_t far = (INT64_C(1) << 33) + 3;
    float *memory = calloc(BIG, 4), out[60];
    for (int i = 0; i < BIG; i++) memory[i] = (float)i;
    void *args[2] = { (char *)memory - 4 * far, out };    /* element far + i is memory[i] */
    FOR_TARGETS(j) {
        kit t = kit_new();
        const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, far + BIG),
            *to = kit_tensor(&t, "out", FV_F32, FV_ROLE_OUT, 60);
        fv_flats a, b, *top = kit_for(&t, "i", kit_i(&t, 0), kit_i(&t, 6), 1, &a);
        fv_flats *mid = kit_for(&t, "j", kit_i(&t, 0), kit_i(&t, 10), 1, &b);
        E i = kit_var(&t, "i"), q = kit_var(&t, "j");
        E n = fv_add(t.ctx, fv_muli(t.ctx, i, 10), q);                                      /* 0..59 */
        E third = fv_op2(t.ctx, FV_X_FLOORDIV, n, kit_i(&t, 3)), rest = fv_op2(t.ctx, FV_X_MOD, n, kit_i(&t, 3));
        E at = fv_addi(t.ctx, fv_add(t.ctx, fv_muli(t.ctx, rest, 1000), fv_muli(t.ctx, third, 16)), far);
        kit_store(&t, to, NULL, n, kit_load(&t, &tx->obj, 1, at));
        t.at = mid;
        kit_last(&t)->body = b.first;
        t.at = top;
        kit_last(&t)->body = a.first;
        if (kit_run(&t, kit_targets[j], false, args, 0, 1))
            for (int k = 0; k < 60; k++)
                cr_expect(out[k] == (float)(k % 3 * 1000 + k / 3 * 16), "%s: out[%d] = %g", kit_targets[j], k,
                          (double)out[k]);
        kit_done(&t);
    }
    free(memory);
}

/* -- Loads and stores -------------------------------------------------------------------------- */
enum { LEN = 40 };

static E in_range(kit *t, E first, int lanes, int64_t limit) {
    E lane = kit_make(t, FV_X_IOTA, FV_I32, lanes, NULL, NULL, NULL);
    return kit_make(t, FV_X_LT, FV_BOOL, lanes, fv_op2(t->ctx, FV_X_ADD, lane, kit_splat(t, first, lanes)),
                    kit_splat(t, kit_i(t, limit), lanes), NULL);
}

/* The last vector of 37 elements: masked load with a fill, masked store. */
Test(llvm_emit, masks) {
    float x[LEN], y[LEN];
    for (int i = 0; i < LEN; i++) x[i] = noise();
    void *args[2] = { x, y };
    FOR_TARGETS(j)
        for (int lanes = 1; lanes <= 16; lanes *= 2) {
            kit t = kit_new();
            const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, 37),
                *ty = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, 37);
            for (int i = 0; i + lanes <= LEN; i += lanes) {
                E mask = in_range(&t, kit_i(&t, i), lanes, 33);
                E arg[3] = { kit_i(&t, i), mask, kit_splat(&t, kit_f(&t, -7), lanes) };
                E v = fv_make(t.ctx, FV_X_LOAD, FV_F32, lanes, 0, &tx->obj, arg, 3);
                fv_flat *s = kit_store(&t, ty, NULL, kit_i(&t, i), v);
                s->mask = in_range(&t, kit_i(&t, i), lanes, 36);
            }
            for (int i = 0; i < LEN; i++) y[i] = 99;
            if (kit_run(&t, kit_targets[j], false, args, 0, 1))
                for (int i = 0; i < LEN / lanes * lanes; i++) {
                    float want = i < 33 ? x[i] : i < 36 ? -7 : 99;
                    cr_expect(y[i] == want, "%s x%d: y[%d] = %g", kit_targets[j], lanes, i, (double)y[i]);
                }
            kit_done(&t);
        }
}

/* guard ? x[base + offset] : 0, with base far outside when the guard is false. */
Test(llvm_emit, guarded_loads) {
    float x[8 * W], y[10 * W];
    for (int i = 0; i < 8 * W; i++) x[i] = noise();
    void *args[2] = { x, y };
    FOR_TARGETS(j)
        for (int lanes = 1; lanes <= W; lanes *= 16) {
            kit t = kit_new();
            const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, 8 * W),
                *ty = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, 10 * W);
            fv_flats a, b, *top = kit_for(&t, "r", kit_i(&t, 0), kit_i(&t, 10), 1, &a);
            E r = kit_var(&t, "r"), row = fv_addi(t.ctx, r, -1);
            E guard = fv_op2(t.ctx, FV_X_AND, fv_op2(t.ctx, FV_X_LE, kit_i(&t, 0), row),
                             fv_op2(t.ctx, FV_X_LT, row, kit_i(&t, 8)));
            E base = fv_op3(t.ctx, FV_X_WHERE, guard, fv_muli(t.ctx, row, W), kit_i(&t, INT64_C(1) << 40));
            fv_flats *mid = kit_for(&t, "c", kit_i(&t, 0), kit_i(&t, W), lanes, &b);
            E c = kit_var(&t, "c"), arg[3] = { base, c, guard };
            kit_store(&t, ty, NULL, fv_add(t.ctx, fv_muli(t.ctx, r, W), c),
                      fv_make(t.ctx, FV_X_LOAD, FV_F32, lanes, W, &tx->obj, arg, 3));
            t.at = mid;
            kit_last(&t)->body = b.first;
            t.at = top;
            kit_last(&t)->body = a.first;
            memset(y, 0xff, sizeof y);
            if (kit_run(&t, kit_targets[j], false, args, 0, 1))
                for (int i = 0; i < 10 * W; i++) {
                    float want = i / W >= 1 && i / W <= 8 ? x[i - W] : 0;
                    cr_expect(y[i] == want, "%s x%d: y[%d] = %g", kit_targets[j], lanes, i, (double)y[i]);
                }
            kit_done(&t);
        }
}

/* Permuted loads and gathers of f32, i32, and of 16-bit storage, at every width. */
Test(llvm_emit, permutes_and_gathers) {
    float x[LEN], y[2 * W];
    int32_t n[LEN], m[2 * W], index[W];
    uint16_t h[LEN], g[2 * W];
    for (int i = 0; i < LEN; i++) {
        x[i] = (float)i;
        n[i] = 100 + i;
        h[i] = (uint16_t)(500 + i);
    }
    void *args[7] = { x, y, n, m, index, h, g };
    FOR_TARGETS(j)
        for (int lanes = 2; lanes <= W; lanes *= 2) {
            for (int i = 0; i < W; i++) index[i] = (i * 5 + 3) % lanes;
            kit t = kit_new();
            const fv_tensor *in[3], *out[3];
            in[0] = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, LEN);
            out[0] = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, 2 * W);
            in[1] = kit_tensor(&t, "n", FV_I32, FV_ROLE_IN, LEN);
            out[1] = kit_tensor(&t, "m", FV_I32, FV_ROLE_OUT, 2 * W);
            const fv_tensor *ti = kit_tensor(&t, "index", FV_I32, FV_ROLE_IN, W);
            in[2] = kit_tensor(&t, "h", FV_BF16, FV_ROLE_IN, LEN);
            out[2] = kit_tensor(&t, "g", FV_BF16, FV_ROLE_OUT, 2 * W);
            E perm = kit_let(&t, "perm", kit_load(&t, &ti->obj, lanes, kit_i(&t, 0)));
            for (int k = 0; k < 3; k++) {
                E arg[2] = { kit_i(&t, 9), perm };
                kit_store(&t, out[k], NULL, kit_i(&t, 0), fv_make(t.ctx, FV_X_PERMLOAD, in[k]->obj.type, lanes, 0,
                                                                  &in[k]->obj, arg, 2));
                E at = kit_make(&t, FV_X_ADD, FV_I32, lanes, perm, kit_splat(&t, kit_i(&t, 11), lanes), NULL);
                kit_store(&t, out[k], NULL, kit_i(&t, W),
                          fv_make(t.ctx, FV_X_GATHER, in[k]->obj.type, lanes, 0, &in[k]->obj, &at, 1));
            }
            if (kit_run(&t, kit_targets[j], false, args, 0, 1))
                for (int i = 0; i < lanes; i++) {
                    cr_expect(y[i] == (float)(9 + index[i]) && m[i] == 109 + index[i] && g[i] == 509 + index[i],
                              "%s x%d: permuted lane %d", kit_targets[j], lanes, i);
                    cr_expect(y[W + i] == (float)(11 + index[i]) && m[W + i] == 111 + index[i] &&
                              g[W + i] == 511 + index[i], "%s x%d: gathered lane %d", kit_targets[j], lanes, i);
                }
            kit_done(&t);
        }
}

/* Gather and scatter under masks; what the mask leaves out is neither read nor written. */
Test(llvm_emit, masked_gather_and_scatter) {
    float x[LEN], y[LEN];
    int32_t index[W];
    for (int i = 0; i < LEN; i++) x[i] = noise();
    for (int i = 0; i < W; i++) index[i] = i < 11 ? (i * 7) % 30 : INT32_MAX / 8;
    void *args[3] = { x, y, index };
    FOR_TARGETS(j)
        for (int lanes = 4; lanes <= W; lanes *= 2) {
            kit t = kit_new();
            const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, LEN),
                *ty = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, LEN);
            const fv_tensor *ti = kit_tensor(&t, "index", FV_I32, FV_ROLE_IN, W);
            for (int i = 0; i < W; i += lanes) {
                E at = kit_load(&t, &ti->obj, lanes, kit_i(&t, i)), mask = in_range(&t, kit_i(&t, i), lanes, 11);
                E arg[3] = { at, mask, kit_splat(&t, kit_f(&t, 5), lanes) };
                fv_flat *s = kit_store(&t, ty, NULL, kit_i(&t, 2),
                                       fv_make(t.ctx, FV_X_GATHER, FV_F32, lanes, 0, &tx->obj, arg, 3));
                s->mask = mask;
                s->scatter = at;
            }
            for (int i = 0; i < LEN; i++) y[i] = 99;
            if (kit_run(&t, kit_targets[j], false, args, 0, 1)) {
                float want[LEN];
                for (int i = 0; i < LEN; i++) want[i] = 99;
                for (int i = 0; i < 11; i++) want[2 + index[i]] = x[index[i]];
                cr_expect(memcmp(y, want, sizeof y) == 0, "%s x%d", kit_targets[j], lanes);
            }
            kit_done(&t);
        }
}

/* Two buffers of scratch: what one store does to a value already loaded, and to the next load. */
Test(llvm_emit, scratch_and_order) {
    float out[3 * W];
    void *args[1] = { out };
    FOR_TARGETS(j) {
        kit t = kit_new();
        const fv_tensor *to = kit_tensor(&t, "out", FV_F32, FV_ROLE_OUT, 3 * W);
        fv_memory *a = kit_alloc(&t, "a", FV_SPACE_LOCAL, FV_F32, 1, 64, 0),
            *b = kit_alloc(&t, "b", FV_SPACE_LOCAL, FV_F32, 1, 64, 256);
        fv_memory *r = kit_alloc(&t, "r", FV_SPACE_REG, FV_F32, W, 2, 0);
        fv_flats body, *top = kit_for(&t, "i", kit_i(&t, 0), kit_i(&t, 4), 1, &body);
        E i = kit_var(&t, "i"), at = fv_muli(t.ctx, i, W);
        kit_store(&t, NULL, a, at, kit_splat(&t, fv_op1(t.ctx, FV_X_TOFLOAT, i), W));
        kit_store(&t, NULL, b, at, kit_splat(&t, kit_f(&t, 100), W));
        t.at = top;
        kit_last(&t)->body = body.first;
        E first = kit_load(&t, &a->obj, W, kit_i(&t, 3 * W));  /* 3, and after the store 7: one tree, two values */
        kit_store(&t, NULL, r, kit_i(&t, 0), first);
        kit_store(&t, NULL, a, kit_i(&t, 3 * W), kit_splat(&t, kit_f(&t, 7), W));
        kit_store(&t, NULL, r, kit_i(&t, 1), first);
        kit_store(&t, NULL, r, kit_i(&t, 0), kit_make(&t, FV_X_ADD, FV_F32, W, kit_load(&t, &r->obj, W, kit_i(&t, 0)),
                                                      kit_load(&t, &b->obj, W, kit_i(&t, W)), NULL));
        kit_store(&t, to, NULL, kit_i(&t, 0), kit_load(&t, &r->obj, W, kit_i(&t, 0)));
        kit_store(&t, to, NULL, kit_i(&t, W), kit_load(&t, &r->obj, W, kit_i(&t, 1)));
        fv_flat *s = kit_store(&t, NULL, r, kit_i(&t, 1), kit_splat(&t, kit_f(&t, -1), W));
        s->mask = in_range(&t, kit_i(&t, 0), W, 5);
        kit_store(&t, to, NULL, kit_i(&t, 2 * W), kit_load(&t, &r->obj, W, kit_i(&t, 1)));
        if (kit_run(&t, kit_targets[j], false, args, 0, 1))
            for (int q = 0; q < W; q++)
                cr_expect(out[q] == 103 && out[W + q] == 7 && out[2 * W + q] == (q < 5 ? -1 : 7),
                    "%s: lane %d: %g %g %g", kit_targets[j], q, (double)out[q], (double)out[W + q],
                        (double)out[2 * W + q]);
        kit_done(&t);
    }
}

/* -- Across lanes ------------------------------------------------------------------------------ */
Test(llvm_emit, reductions_and_lanes) {
    float x[W], y[8];
    int32_t n[W], m[8];
    void *args[4] = { x, y, n, m };
    FOR_TARGETS(j)
        for (int lanes = 2; lanes <= W; lanes = lanes == 2 ? 3 : lanes == 3 ? 4 : lanes * 2)
            for (int bad = -1; bad < lanes; bad += lanes / 2) {
                double sum = 0, most = -INFINITY;
                int isum = 0, imin = 1 << 30;
                for (int i = 0; i < W; i++) {
                    x[i] = i == bad ? (float)NAN : noise();
                    n[i] = (int)(noise() * 100);
                    if (i < lanes) {
                        sum += (double)x[i];
                        most = isnan(x[i]) || isnan(most) ? (double)NAN : fmax(most, (double)x[i]);
                        isum += n[i];
                        imin = n[i] < imin ? n[i] : imin;
                    }
                }
                kit t = kit_new();
                const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, W),
                    *ty = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, 8);
                const fv_tensor *tn = kit_tensor(&t, "n", FV_I32, FV_ROLE_IN, W),
                    *tm = kit_tensor(&t, "m", FV_I32, FV_ROLE_OUT, 8);
                E v = kit_let(&t, "v", kit_load(&t, &tx->obj, lanes, kit_i(&t, 0))),
                    u = kit_let(&t, "u", kit_load(&t, &tn->obj, lanes, kit_i(&t, 0)));
                kit_store(&t, ty, NULL, kit_i(&t, 0), kit_make(&t, FV_X_HSUM, FV_F32, 1, v, NULL, NULL));
                kit_store(&t, ty, NULL, kit_i(&t, 1), kit_make(&t, FV_X_HMAX, FV_F32, 1, v, NULL, NULL));
                kit_store(&t, tm, NULL, kit_i(&t, 0), kit_make(&t, FV_X_HSUM, FV_I32, 1, u, NULL, NULL));
                kit_store(&t, tm, NULL, kit_i(&t, 1), kit_make(&t, FV_X_HMIN, FV_I32, 1, u, NULL, NULL));
                E nan = kit_make(&t, FV_X_ISNAN, FV_BOOL, lanes, v, NULL, NULL);
                kit_store(&t, tm, NULL, kit_i(&t, 2),
                    fv_op3(t.ctx, FV_X_WHERE, kit_make(&t, FV_X_HANY, FV_BOOL, 1, nan, NULL, NULL), kit_i(&t, 1),
                           kit_i(&t, 0)));
                kit_store(&t, tm, NULL, kit_i(&t, 3), kit_make(&t, FV_X_EXTRACT, FV_I32, 1, u, kit_i(&t, lanes - 1),
                                                               NULL));
                E changed = kit_make(&t, FV_X_INSERT, FV_I32, lanes, u, kit_i(&t, 1000), kit_i(&t, 1));
                kit_store(&t, tm, NULL, kit_i(&t, 4), kit_make(&t, FV_X_HSUM, FV_I32, 1, changed, NULL, NULL));
                if (kit_run(&t, kit_targets[j], false, args, 0, 1)) {
                    cr_expect(isnan(sum) ? isnan(y[0]) : fabs((double)y[0] - sum) < 1e-5, "%s x%d: sum %g",
                              kit_targets[j], lanes, (double)y[0]);
                    cr_expect(isnan(most) ? isnan(y[1]) : (double)y[1] == most, "%s x%d bad %d: max %g, not %g",
                              kit_targets[j], lanes, bad, (double)y[1], most);
                    cr_expect(m[0] == isum && m[1] == imin && m[2] == (bad >= 0) && m[3] == n[lanes - 1] &&
                              m[4] == isum - n[1] + 1000, "%s x%d integers", kit_targets[j], lanes);
                }
                kit_done(&t);
            }
}

Test(llvm_emit, shuffles) {
    float x[2 * W], y[W];
    for (int i = 0; i < 2 * W; i++) x[i] = (float)i;
    void *args[2] = { x, y };
    FOR_TARGETS(j) {
        kit t = kit_new();
        const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, 2 * W),
            *ty = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, W);
        E arg[2 + W] = { kit_load(&t, &tx->obj, W, kit_i(&t, 0)), kit_load(&t, &tx->obj, W, kit_i(&t, W)) };
        for (int i = 0; i < W; i++) arg[2 + i] = kit_i(&t, (i * 9 + 20) % (2 * W));
        kit_store(&t, ty, NULL, kit_i(&t, 0), fv_make(t.ctx, FV_X_SHUFFLE, FV_F32, W, 0, NULL, arg, 2 + W));
        if (kit_run(&t, kit_targets[j], false, args, 0, 1))
            for (int i = 0; i < W; i++) cr_expect(y[i] == (float)((i * 9 + 20) % (2 * W)), "%s lane %d", kit_targets[j],
                                                  i);
        kit_done(&t);
    }
}

/* -- Types ------------------------------------------------------------------------------------- */
static uint16_t bf16_of(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if (isnan(f)) return (uint16_t)((u | 0x400000) >> 16);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Products of bf16 pairs: by the instruction, and by two multiply-adds where there is none; one operand of every lane,
 * one pair for all. */
Test(llvm_emit, pairs_of_bf16) {
    uint16_t a[2 * W], b[2 * W];
    float c[W], wide[2][2 * W], out[2 * W];
    for (int i = 0; i < 2 * W; i++) {
        a[i] = bf16_of(noise());
        b[i] = bf16_of(noise());
        for (int j = 0; j < 2; j++) {
            uint32_t bits = (uint32_t)(j ? b : a)[i] << 16;
            memcpy(&wide[j][i], &bits, 4);
        }
        if (i < W) c[i] = noise();
    }
    void *args[4] = { a, b, c, out };
    FOR_TARGETS(j)
        for (int lanes = 4; lanes <= W; lanes *= 2) {
            kit t = kit_new();
            const fv_tensor *ta = kit_tensor(&t, "a", FV_BF16, FV_ROLE_IN, 2 * W),
                *tb = kit_tensor(&t, "b", FV_BF16, FV_ROLE_IN, 2 * W);
            const fv_tensor *tc = kit_tensor(&t, "c", FV_F32, FV_ROLE_IN, W),
                *to = kit_tensor(&t, "out", FV_F32, FV_ROLE_OUT, 2 * W);
            E x = kit_load(&t, &ta->obj, 2 * lanes, kit_i(&t, 0)), one = kit_load(&t, &ta->obj, 2, kit_i(&t, 2));
            E y = kit_load(&t, &tb->obj, 2 * lanes, kit_i(&t, 0)), z = kit_load(&t, &tc->obj, lanes, kit_i(&t, 0));
            kit_store(&t, to, NULL, kit_i(&t, 0), kit_make(&t, FV_X_DOT2, FV_F32, lanes, x, y, z));
            kit_store(&t, to, NULL, kit_i(&t, W), kit_make(&t, FV_X_DOT2, FV_F32, lanes, one, y, z));
            if (kit_run(&t, kit_targets[j], false, args, 0, 1))
                for (int i = 0; i < 2 * lanes; i++) {
                    int l = i % lanes, at = i < lanes ? 2 * l : 2;
                    double p = (double)wide[0][at] * (double)wide[1][2 * l],
                           q = (double)wide[0][at + 1] * (double)wide[1][2 * l + 1], want = p + q + (double)c[l];
                    double got = (double)out[(i < lanes ? 0 : W) + l];
                    cr_expect(fabs(got - want) <= 0x1p-22 * (fabs(p) + fabs(q) + fabs((double)c[l])),
                              "%s x%d: lane %d: %g, want %g", kit_targets[j], lanes, i, got, want);
                }
            kit_done(&t);
        }
}

/* f32 to bf16, f16, f64, i32 and bool, and back, at every width. */
Test(llvm_emit, conversions) {
    static const float special[] = { 0, -0.0F, 1, -1, 1.00390625F, 1.01171875F, 65504, 1e30F, -3.7F, 2.5F, 1e-8F, NAN,
        INFINITY, -INFINITY, 3e9F, 0.1F };
    float x[W], back[3][W];
    double d[W];
    int32_t n[W];
    uint16_t bf[W], hf[W];
    uint8_t flag[W];
    memcpy(x, special, sizeof x);
    void *args[9] = { x, bf, hf, d, n, flag, back[0], back[1], back[2] };
    FOR_TARGETS(j)
        for (int lanes = 1; lanes <= W; lanes = lanes == 1 ? 4 : lanes * 2) {
            static const fv_type type[] = { FV_BF16, FV_F16, FV_F64, FV_I32, FV_BOOL };
            static const char *const name[] = { "bf", "hf", "d", "n", "flag" };
            if (strcmp(kit_targets[j], "sse2") == 0) continue;          /* no instructions for f16 there */
            kit t = kit_new();
            const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, W), *to[5];
            t.k->tensor = FV_NEWN(t.ctx, fv_tensor *, 16);
            t.k->n_tensors = 0;
            t.k->tensor[t.k->n_tensors++] = (fv_tensor *)tx;
            for (int i = 0; i < 5; i++) to[i] = kit_tensor(&t, name[i], type[i], FV_ROLE_INOUT, W);
            const fv_tensor *tb[3] = { kit_tensor(&t, "b0", FV_F32, FV_ROLE_OUT, W),
                kit_tensor(&t, "b1", FV_F32, FV_ROLE_OUT, W), kit_tensor(&t, "b2", FV_F32, FV_ROLE_OUT, W) };
            for (int i = 0; i < W; i += lanes) {
                E v = kit_load(&t, &tx->obj, lanes, kit_i(&t, i));
                for (int k = 0; k < 4; k++) kit_store(&t, to[k], NULL, kit_i(&t, i),
                                                      kit_make(&t, FV_X_CONVERT, type[k], lanes, v, NULL, NULL));
                kit_store(&t, to[4], NULL, kit_i(&t, i),
                          kit_make(&t, FV_X_LT, FV_BOOL, lanes, v, kit_splat(&t, kit_f(&t, 1), lanes), NULL));
                for (int k = 0; k < 2; k++) kit_store(&t, tb[k], NULL, kit_i(&t, i),
                    kit_make(&t, FV_X_CONVERT, FV_F32, lanes, kit_load(&t, &to[k]->obj, lanes, kit_i(&t, i)), NULL,
                             NULL));
                E condition = kit_load(&t, &to[4]->obj, lanes, kit_i(&t, i));
                kit_store(&t, tb[2], NULL, kit_i(&t, i), kit_make(&t, FV_X_TOFLOAT, FV_F32, lanes, condition, NULL,
                                                                  NULL));
            }
            if (kit_run(&t, kit_targets[j], false, args, 0, 1))
                for (int i = 0; i < W; i++) {
                    double truncated = isnan(x[i]) ? 0 : fmin(fmax(trunc((double)x[i]), -2147483648.0), 2147483647.0);
                    uint32_t up = (uint32_t)bf[i] << 16;
                    float f;
                    memcpy(&f, &up, 4);
                    cr_expect(bf[i] == bf16_of(x[i]), "%s x%d: bf16 of %g", kit_targets[j], lanes, (double)x[i]);
                    cr_expect(isnan(x[i]) ? isnan(back[0][i]) : back[0][i] == f, "%s x%d: %g from bf16", kit_targets[j],
                              lanes, (double)x[i]);
                    double h = (double)back[1][i], tolerance = fabs((double)x[i]) * 0x1p-11 + 0x1p-25;
                    bool fits = isnan(x[i]) ? isnan(h) : fabs((double)x[i]) > 65520 ? isinf(h)
                        : fabs(h - (double)x[i]) <= tolerance;
                    cr_expect(fits, "%s x%d: %g by f16 is %g", kit_targets[j], lanes, (double)x[i], h);
                    cr_expect(isnan(x[i]) ? isnan(d[i]) : d[i] == (double)x[i], "%s x%d: f64 of %g", kit_targets[j],
                              lanes, (double)x[i]);
                    cr_expect(n[i] == (int32_t)truncated, "%s x%d: i32 of %g is %d", kit_targets[j], lanes,
                              (double)x[i], (int)n[i]);
                    cr_expect(flag[i] == (x[i] < 1) && back[2][i] == (x[i] < 1 ? 1.0F : 0.0F), "%s x%d: %g < 1",
                              kit_targets[j], lanes, (double)x[i]);
                }
            kit_done(&t);
        }
}

/* FLOOR saturates, RINT takes ties to even, ABS, NEG, SQRT, division, MOD of floats. */
Test(llvm_emit, float_operators) {
    static const fv_op ops[] = { FV_X_FLOOR, FV_X_RINT, FV_X_ABS, FV_X_NEG, FV_X_SQRT, FV_X_DIV, FV_X_MOD,
        FV_X_FLOORDIV };
    enum { OPS = sizeof ops / sizeof ops[0] };
    static const float values[W] = { 0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 3e9F, -3e9F, NAN, 1e10F, 7, -7, 0, 8388609, -0.3F,
        4194304.5F, INFINITY };
    float x[W], y[OPS * W];
    int32_t n[W];
    memcpy(x, values, sizeof x);
    void *args[3] = { x, y, n };
    FOR_TARGETS(j)
        for (int lanes = 1; lanes <= W; lanes = lanes == 1 ? 4 : lanes * 2) {
            kit t = kit_new();
            const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, W),
                *ty = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, OPS * W);
            const fv_tensor *tn = kit_tensor(&t, "n", FV_I32, FV_ROLE_OUT, W);
            for (int i = 0; i < W; i += lanes)
                for (int o = 0; o < OPS; o++) {
                    E v = kit_load(&t, &tx->obj, lanes, kit_i(&t, i)), two = o >= 5 ? kit_splat(&t, kit_f(&t, 2), lanes)
                        : NULL;
                    E r = kit_make(&t, ops[o], o ? FV_F32 : FV_I32, lanes, v, two, NULL);
                    kit_store(&t, o ? ty : tn, NULL, kit_i(&t, o * W * (o != 0) + i), r);
                }
            if (kit_run(&t, kit_targets[j], false, args, 0, 1))
                for (int i = 0; i < W; i++)
                    for (int o = 0; o < OPS; o++) {
                        double a[2] = { (double)x[i], 2 }, want = ops[o] == FV_X_RINT ? nearbyint(a[0])
                            : fv_apply(ops[o], o ? FV_F32 : FV_I32, a);
                        double got = o ? (double)y[o * W + i] : (double)n[i];
                        want = o ? (double)(float)want : want;
                        cr_expect(isnan(want) ? isnan(got) : got == want, "%s x%d: %s(%g) = %g, not %g", kit_targets[j],
                                  lanes, fv_op_spelling(ops[o]), a[0], got, want);
                    }
            kit_done(&t);
        }
}

/* f64 arithmetic and functions, which go to the C library. */
Test(llvm_emit, doubles) {
    static const fv_op ops[] = { FV_X_EXP, FV_X_LOG2, FV_X_ERF, FV_X_TANH, FV_X_SIN };
    double x[4] = { 0.1, 0.7, 1.3, 2.9 }, y[20];
    void *args[2] = { x, y };
    FOR_TARGETS(j) {
        kit t = kit_new();
        const fv_tensor *tx = kit_tensor(&t, "x", FV_F64, FV_ROLE_IN, 4),
            *ty = kit_tensor(&t, "y", FV_F64, FV_ROLE_OUT, 20);
        for (int o = 0; o < 5; o++) {
            E v = kit_load(&t, &tx->obj, 4, kit_i(&t, 0));
            kit_store(&t, ty, NULL, kit_i(&t, o * 4),
                      kit_make(&t, FV_X_MUL, FV_F64, 4, kit_make(&t, ops[o], FV_F64, 4, v, NULL, NULL), v, NULL));
        }
        if (kit_run(&t, kit_targets[j], true, args, 0, 1))
            for (int i = 0; i < 20; i++) cr_expect(fabs(y[i] - fv_apply(ops[i / 4], FV_F64, &x[i % 4]) *
                                                        x[i % 4]) < 1e-15, "%s: %g", kit_targets[j], y[i]);
        kit_done(&t);
    }
}

/* -- What must be refused ---------------------------------------------------------------------- */
static void refused(kit *t, const char *words) {
    fv_buf text = { 0 };
    t->k->body = t->top.first;
    fv_llvm_kernel *k = fv_llvm_kernel_new(t->ctx, t->k, NULL, false);
    fv_diag_render(t->ctx, &text);
    cr_expect(!k && text.text && strstr(text.text, words), "expected '%s', got '%s'", words, text.text ? text.text
              : "a kernel");
    fv_llvm_kernel_dispose(k);
    fv_buf_dispose(&text);
    kit_done(t);
}

Test(llvm_emit, refusals) {
    kit t = kit_new();
    const fv_tensor *y = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, 4);
    kit_store(&t, y, NULL, kit_i(&t, 0), fv_var(t.ctx, fv_intern(t.ctx, "nobody"), FV_F32));
    refused(&t, "'nobody' is not bound");

    t = kit_new();
    const fv_tensor *x = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, 4);
    kit_store(&t, x, NULL, kit_i(&t, 0), kit_f(&t, 1));
    refused(&t, "neither allocated nor a tensor that may be written");

    t = kit_new();
    fv_memory *r = kit_alloc(&t, "r", FV_SPACE_REG, FV_F32, 4, 2, 0);
    kit_store(&t, NULL, r, kit_i(&t, 2), kit_f(&t, 1));
    refused(&t, "a register of 'r'");

    t = kit_new();
    fv_memory *s = kit_alloc(&t, "s", FV_SPACE_LOCAL, FV_F32, 1, 4, 0);
    s->count = 400;
    refused(&t, "leaves the scratch block");

    t = kit_new();
    y = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, 4);
    fv_flats body, *top = kit_for(&t, "i", kit_i(&t, 0), kit_i(&t, 4), 1, &body);
    t.at = top;
    kit_last(&t)->loop = FV_LOOP_ITEM;
    refused(&t, "a loop over items");

    t = kit_new();
    fv_flats deep[200];
    fv_flats *outer[200];
    for (int i = 0; i < 200; i++) outer[i] = kit_for(&t, "i", kit_i(&t, 0), kit_i(&t, 1), 1, &deep[i]);
    for (int i = 199; i >= 0; i--) {
        t.at = outer[i];
        kit_last(&t)->body = deep[i].first;
    }
    refused(&t, "nested more than");
}
