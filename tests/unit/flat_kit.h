/* Tile kernels through a lowering and an executor, against the tile interpreter. Kernels come from the golden files or
 * are given as text. Tests of the flat stage and of OpenCL only. */
#ifndef FV_TEST_FLAT_KIT_H
#define FV_TEST_FLAT_KIT_H
#define _DEFAULT_SOURCE
#include "golden.h"
#include "kernel/flat.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdint.h>

enum { KIT_KERNELS = 4, KIT_TENSORS = 16 };

static uint32_t kit_state = 1;
static inline double kit_random(void) {                 /* -1..1, exact in f32 */
    kit_state = kit_state * 1664525u + 1013904223u;
    return (double)(kit_state >> 8) / 8388608.0 - 1.0;
}
static inline int64_t kit_below(int64_t n) { return (int64_t)((kit_random() + 1) / 2 * (double)n) % n; }

static inline const char *kit_error(fv_ctx *ctx) {
    return fv_diag_count(ctx) ? fv_diag_at(ctx, fv_diag_count(ctx) - 1)->text : "no diagnostic";
}

/* data[i]: a fresh array for tensor i; inputs are random, outputs NaN. */
static inline void kit_fill(const fv_kernel *k, double **data) {
    for (int i = 0; i < k->n_tensors; i++) {
        const fv_tensor *t = k->tensor[i];
        int64_t n = fv_tensor_elements(t);
        data[i] = malloc(sizeof(double) * (size_t)(n + 1));
        for (int64_t j = 0; j < n; j++) {
            if (t->role == FV_ROLE_OUT) data[i][j] = t->obj.type == FV_I32 ? -77 : (double)NAN;
            else if (t->obj.type == FV_BOOL) data[i][j] = kit_below(2);
            else if (t->obj.type == FV_I32)
                data[i][j] = t->obj.ranged ? (double)(t->obj.lo + kit_below(t->obj.hi - t->obj.lo + 1))
                    : (double)kit_below(9);
            else if (t->obj.type == FV_F16 || t->obj.type == FV_BF16) data[i][j] = (double)(kit_below(257) - 128) / 64;
            else data[i][j] = kit_random();
        }
    }
}
static inline void kit_copy(const fv_kernel *k, double *const *from, double **to) {
    for (int i = 0; i < k->n_tensors; i++) {
        size_t bytes = sizeof(double) * (size_t)(fv_tensor_elements(k->tensor[i]) + 1);
        to[i] = memcpy(malloc(bytes), from[i], bytes);
    }
}
static inline void kit_free(const fv_kernel *k, double **data) {
    for (int i = 0; i < k->n_tensors; i++) free(data[i]);
}

/* Largest difference of what the kernel writes, over the largest magnitude; a NaN on one side only counts as infinite.
 * */
static inline double kit_difference(const fv_kernel *k, double *const *a, double *const *b) {
    double worst = 0;
    for (int i = 0; i < k->n_tensors; i++) {
        double e = 0, m = 1e-30;
        if (k->tensor[i]->role == FV_ROLE_IN) continue;
        for (int64_t j = 0; j < fv_tensor_elements(k->tensor[i]); j++) {
            double x = a[i][j], y = b[i][j];
            if ((x != x) != (y != y)) return (double)INFINITY;
            if (x != x || (isinf(x) && isinf(y) && (x < 0) == (y < 0))) continue;
            if (fabs(x - y) > e) e = fabs(x - y);
            if (fabs(x) > m) m = fabs(x);
        }
        if (e / m > worst) worst = e / m;
    }
    return worst;
}

/* Calls fn for every kernel of every golden file. */
typedef void kit_fn(fv_ctx *ctx, fv_kernel *k, const char *file);
static inline void kit_goldens(kit_fn *fn) {
    struct dirent **entry = NULL;
    char dir[1024], path[2048];
    int seen = 0;
    snprintf(dir, sizeof dir, "%s/golden/kernel", FOVEA_TESTS_DIR);
    int n = scandir(dir, &entry, NULL, alphasort);
    cr_assert(n > 0, "%s cannot be read", dir);
    for (int i = 0; i < n; i++) {
        golden g;
        fv_kernel *k[KIT_KERNELS];
        snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name);
        if (strlen(path) > 3 && !strcmp(path + strlen(path) - 3, ".ft") && golden_read(path, &g)) {
            fv_ctx *ctx = fv_ctx_new();
            int count = g.errors ? 0 : fv_kernel_parse_all(ctx, entry[i]->d_name, g.in, k, KIT_KERNELS);
            for (int j = 0; j < count; j++, seen++) fn(ctx, k[j], entry[i]->d_name);
            fv_ctx_dispose(ctx);
            golden_free(&g);
        }
        free(entry[i]);
    }
    free(entry);
    cr_assert(seen >= 10, "only %d golden kernels were found", seen);
}

/* The same, one shape of each kernel: those of equal names differ in shape only. */
static kit_fn *kit_once_fn;
static inline void kit_once(fv_ctx *ctx, fv_kernel *k, const char *file) {
    static char seen[64][32];
    static int n;
    const char *name = fv_cstr(ctx, k->name);
    for (int i = 0; i < n; i++)
        if (!strcmp(seen[i], name)) return;
    cr_assert(n < 64);
    snprintf(seen[n++], 32, "%.31s", name);
    kit_once_fn(ctx, k, file);
}
static inline void kit_shapes(kit_fn *fn) {              /* once in a process: criterion runs each test in its own */
    kit_once_fn = fn;
    kit_goldens(kit_once);
}

/* What the tile interpreter makes of the data, in f32. */
static inline void kit_expect(fv_ctx *ctx, fv_kernel *k, const char *file, double *const *data, double **want) {
    fv_interp_options o = { .f32 = true, .check_poison = true };
    kit_copy(k, data, want);
    cr_assert(fv_kernel_interpret(k, want, &o), "%s: tile: %s", file, kit_error(ctx));
}

/* Kernels with what the golden files lack. */
static const char *const kit_extra[] = {
    /* argmax, min, an i32 sum, max over bool, else of a reduction, an empty reduction */
    "kernel reductions { in X : f32[r=13, c=21]  in J : i32[r=13, c=21] range 0..100  out A : i32[r=13]  out M : "
    "f32[r=13]  out S : i32[r=13]\n"
    " out N : f32[r=13]  axis c:21  grid r:8<13 {\n"
    "  am: a[r] : i32 =argmax where(c % 4 == r % 2, nan, X[r,c]) over c where c != 3   mi: m[r] =min X[r,c] over c "
    "where X[r,c] > -0.5\n"
    "  su: s[r] : i32 =sum J[r,c] over c   em: n[r] =sum X[r,c] over c where r % 3 != 0 else 7.0\n"
    "  oa: A[r] = a[r]  om: M[r] = m[r]  os: S[r] = s[r]  on: N[r] = n[r] } }\n",
    /* one sum over everything: a tree of all items; accumulated over a loop; min and max by trees; two rows */
    "kernel trees { in X : f32[g=3, n=500]  out S : f32[g=3]  out L : f32[g=3]  out H : f32[g=3, t=2]  axis u:2  "
    "grid g<3 {\n"
    "  alloc s[] = 0.0, h[u] = -inf\n  for n:100 in 0..500 {\n   ac: s[] += X[g,n] over n where n != 7  mm: h[u] "
    "max= X[g,n] over n where n % 2 == u }\n"
    "  axis e:500  lo: l[] =min X[g,e] over e\n  os: S[g] = s[]  ol: L[g] = l[]  oh: H[g,u] = h[u] } }\n",
    /* scans: forward, exclusive, reverse, max, with a predicate; a ragged axis */
    "kernel scans { in X : f32[r=5, t=19]  out A : f32[r=5, t=19]  out B : f32[r=5, t=19]  out C : f32[r=5, t=19]  "
    "out D : f32[r=5, t=19]  grid r:4<5 {\n"
    "  axis t:24 @ 0..19\n  sa: a[r,t] = scan sum X[r,t] along t  sb: b[r,t] = scan sum X[r,t] along t exclusive\n"
    "  sc: c[r,t] = scan sum X[r,t] along t reverse where X[r,t] > 0.0  sd: d[r,t] = scan max X[r,t] along t "
    "exclusive reverse\n"
    "  oa: A[r,t] = a[r,t]  ob: B[r,t] = b[r,t]  oc: C[r,t] = c[r,t]  od: D[r,t] = d[r,t] } }\n",
    /* conditions over items that agree and that do not; a predicate with else in maps and stores */
    "kernel conditions { in X : f32[r=30, c=6]  out O : f32[r=30, c=6]  axis c:6  grid r:10<30 {\n"
    "  ld: x[r,c] = X[r,c]  mx: m[r] =max x[r,c] over c\n"
    "  if any(m[r] > 0.9) { sc: x[r,c] = x[r,c] * 2.0 }\n  if all(x[r,c] < 1.5) { of: x[r,c] = x[r,c] + m[r] where c "
    "% 2 == 0 else m[r] }\n"
    "  let big = any(x[r,c] > 2.0)  if big { ng: x[r,c] = -x[r,c] }\n  ot: O[r,c] = x[r,c] where c < 4 else 0.25 } }\n",
    /* inout: read, transformed across items, written */
    "kernel update { inout X : f32[b=3, n=40]  in Y : f32[b=3, n=40]  grid b<3 {\n"
    "  axis n:40, k:40\n  ld: x[n] = X[b,n]  dt: d[n] =sum x[k]*Y[b,k]*Y[b,n] over k  ot: X[b,n] = x[n] - d[n] } }\n",
    /* 16-bit tensors and buffers, bool tensors, integer division of negative numbers, float to index */
    "kernel types { in H : f16[n=37]  in G : bf16[n=37]  in B : bool[n=37]  in I : i32[n=37] range -50..50  out OH : "
    "f16[n=37]  out OG : bf16[n=37]\n"
    " out OI : i32[n=37]  out OB : bool[n=37]  grid n:16<37 {\n"
    "  a: h[n] : f16 = H[n] * 1.25 + G[n]  b: OH[n] = h[n] * h[n]  c: OG[n] = where(B[n], G[n] * 3.0, h[n])\n"
    "  d: i[n] : i32 = I[n] // 7 * 10 + I[n] % 7  e: OI[n] = i[n]  f: OB[n] = h[n] > 0.5 and B[n] or I[n] == 3 } }\n",
    /* fills that are not 0, nested reads, clamps from floats, a guarded branch */
    "kernel borders { in X : f32[y=9, x=11]  in T : i32[x=11] range 0..11  out O : f32[y=9, x=11]  out P : f32[y=9, "
    "x=11]  grid y:4<9, x:8<11 {\n"
    "  a: O[y,x] = X[y-2,x+1]?1.5 + X[y,T[x]] * X[y+3,x]?-2.0\n"
    "  b: P[y,x] = where(y > 0, X[max(y-1,0),x], 0.5) + X[min(max(floor(X[y,x]*6.0)+4,0),8), x] } }\n",
    /* every function */
    "kernel functions { in X : f32[n=64]  out O : f32[f=14, n=64]  grid n:32<64 {\n"
    "  a: O[0,n] = exp(X[n])  b: O[1,n] = exp2(X[n]*8.0)  c: O[2,n] = log(abs(X[n])+0.1)  d: O[3,n] = "
    "log2(abs(X[n])+0.1)  e: O[4,n] = sin(X[n]*3.0)\n"
    "  f: O[5,n] = cos(X[n]*3.0)  g: O[6,n] = sqrt(abs(X[n]))  h: O[7,n] = rsqrt(abs(X[n])+0.5)  i: O[8,n] = "
    "erf(X[n]*2.0)  j: O[9,n] = tanh(X[n]*4.0)\n"
    "  k: O[10,n] = (abs(X[n])+0.2)^1.7  l: O[11,n] = safe(where(X[n] > 0.0, X[n], -inf))  m: O[12,n] = "
    "where(isnan(X[n]/0.0*0.0), 1.0, 0.0)\n"
    "  o: O[13,n] = max(min(X[n], 0.25), -0.25) } }\n",
    /* a run of programs larger than the tensors: limits that depend on other grid axes */
    "kernel phases { in X : f32[n=23]  out O : f32[n=23]  grid g<3, i:4<(25-g)//3 { a: O[3*i+g] = X[3*i+g] * 2.0 } }\n",
};
enum { KIT_EXTRA = sizeof kit_extra / sizeof kit_extra[0] };
static inline void kit_extras(kit_fn *fn) {
    for (int i = 0; i < KIT_EXTRA; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_kernel *k = fv_kernel_parse(ctx, "extra", kit_extra[i]);
        cr_assert(k, "extra kernel %d: %s", i, kit_error(ctx));
        fn(ctx, k, fv_cstr(ctx, k->name));
        fv_ctx_dispose(ctx);
    }
}
#endif
