/* Tile kernels whose contractions suit a matrix unit of work items, with inputs that 16 bits hold exactly. */
#ifndef FV_TEST_MMA_KIT_H
#define FV_TEST_MMA_KIT_H
#include "flat_kit.h"

/* products: how many statements go to the unit; exact: nothing but inputs is rounded to 16 bits. */
typedef struct {
    const char *text;
    int products;
    bool exact;
} mma_case;
static const mma_case mma_cases[] = {
    /* ragged rows, columns and sums, in more than one piece of the sums; an epilogue; weights [in, out] and [out, in]
     */
    {"kernel linear { in X : f32[m=45, c=72]  in W : f32[c=72, o=41]  in B : f32[o=41]  out Y : f32[m=45, o=41]\n"
     " axis c:72  grid m:32<45, o:32<41 { mm: acc[m,o] =sum X[m,c]*W[c,o] over c  st: Y[m,o] = max(acc[m,o] + B[o], "
     "0.0) } }",
     1, true},
    {"kernel turned { in X : f32[m=20, c=24]  in W : f32[o=17, c=24]  out Y : f32[m=20, o=17]\n"
     " axis c:24  grid m:20<20, o:17<17 { mm: acc[m,o] =sum X[m,c]*W[o,c]*0.5 over c  st: Y[m,o] = acc[m,o] } }",
     1, true},
    /* a convolution with a border, rows of two axes, three summed axes; 16-bit tensors */
    {"kernel conv { in X : bf16[y=7, x=5, c=8]  in W : bf16[u=3, v=3, c=8, o=20]  out Y : f32[y=7, x=5, o=20]\n"
     " axis u:3, v:3, c:8, o:20  grid y:4<7, x:5<5 {\n"
     "  mm: acc[y,x,o] =sum X[y+u-1,x+v-1,c]*W[u,v,c,o] over u, v, c where y+u >= 1 and y+u < 8 and x+v >= 1 and x+v < "
     "6\n"
     "  st: Y[y,x,o] = acc[y,x,o] } }",
     1, true},
    {"kernel halves { in X : f16[m=18, c=33]  in W : f16[c=33, o=24]  out Y : f32[m=18, o=24]\n"
     " axis c:33  grid m:16<18, o:24<24 { mm: acc[m,o] =sum X[m,c]*W[c,o] over c  st: Y[m,o] = acc[m,o] } }",
     1, true},
    /* sums that go on over a loop, a condition on columns, a second product of what the first one gave */
    {"kernel chained { in X : f32[m=24, c=50]  in W : f32[c=50, o=16]  in V : f32[o=16, p=9]  out Y : f32[m=24, p=9]\n"
     " axis o:16, p:9  grid m:24<24 { alloc acc[m,o] = 1.0\n"
     "  for c:20 in 0..50 { mm: acc[m,o] += X[m,c]*W[c,o] over c where o != 3 }\n"
     "  nn: z[m,p] =sum acc[m,o]*V[o,p] over o  st: Y[m,p] = z[m,p] } }",
     2, false},
    /* online softmax with a mask: scores and sums */
    {"kernel flash { in Q : f32[q=37, d=24]  in K : f32[k=41, d=24]  in V : f32[k=41, dv=40]  out O : f32[q=37, "
     "dv=40]\n"
     " axis d:24, dv:40  grid q:16<37 { let hi = min(q0 + 20, 41)  qs: qt[q,d] = Q[q,d]*0.25\n"
     "  alloc m[q] = -inf, l[q] = 0.0, acc[q,dv] = 0.0\n"
     "  for k:16 in 0..hi {\n"
     "   qk: s[q,k] =sum qt[q,d]*K[k,d] over d  mk: s[q,k] = where(k <= q + 4, s[q,k], -inf)\n"
     "   mx: t[q] =max s[q,k] over k  mn: t[q] = max(t[q], m[q])  al: a[q] = exp2(m[q] - safe(t[q]))\n"
     "   ex: s[q,k] = exp2(s[q,k] - safe(t[q]))  ls: c[q] =sum s[q,k] over k  lu: l[q] = l[q]*a[q] + c[q]\n"
     "   mu: m[q] = t[q]  rs: acc[q,dv] = acc[q,dv]*a[q]  pv: acc[q,dv] += s[q,k]*V[k,dv] over k }\n"
     "  ot: O[q,dv] = where(0.0 < l[q], acc[q,dv]/l[q], 0.0) } }",
     2, false},
    /* the same without a mask, in one pass, keys of several fragments, values wider than all else */
    {"kernel resident { in Q : f32[q=21, d=40]  in K : f32[k=70, d=40]  in V : f32[k=70, dv=72]  out O : f32[q=21, "
     "dv=72]  out L : f32[q=21]\n"
     " axis d:40, k:70, dv:72  grid q:32<21 {\n"
     "  qk: s[q,k] =sum Q[q,d]*K[k,d]*0.1 over d  mx: m[q] =max s[q,k] over k  ex: s[q,k] = exp2(s[q,k] - m[q])\n"
     "  ls: l[q] =sum s[q,k] over k where k != 3  pv: acc[q,dv] =sum s[q,k]*V[k,dv] over k where k != 3\n"
     "  ot: O[q,dv] = acc[q,dv]/l[q]  ol: L[q] = m[q] + log2(l[q]) } }",
     2, false},
    /* 16-bit tensors whose rows are whole pieces of 16 bytes: several pieces of the sums, ragged rows; weights both
     * ways; and with a number of pieces that is odd */
    {"kernel stored { in X : bf16[m=45, c=200]  in W : bf16[c=200, o=40]  out Y : f32[m=45, o=40]\n"
     " axis c:200  grid m:32<45, o:32<40 { mm: acc[m,o] =sum X[m,c]*W[c,o] over c  st: Y[m,o] = acc[m,o] } }",
     1, true},
    {"kernel stored_turned { in X : bf16[m=20, c=136]  in W : bf16[o=17, c=136]  out Y : f32[m=20, o=17]\n"
     " axis c:136  grid m:20<20, o:17<17 { mm: acc[m,o] =sum X[m,c]*W[o,c] over c  st: Y[m,o] = acc[m,o] } }",
     1, true},
    /* what does not fit: both operands have the rows, few columns, a condition on both, sums of integers */
    {"kernel others { in X : f32[m=16, c=16]  in W : f32[m=16, c=16, o=16]  in J : i32[c=16, o=16] range -3..4\n"
     "  out Y : f32[m=16, o=16]  out Z : f32[m=16, t=4]  out U : f32[m=16, o=16]  out I : i32[m=16, o=16]\n"
     " axis c:16, o:16, t:4  grid m:16<16 {\n"
     "  aa: a[m,o] =sum X[m,c]*W[m,c,o] over c  bb: b[m,t] =sum X[m,c]*W[0,c,t] over c\n"
     "  cc: e[m,o] =sum X[m,c]*W[0,c,o] over c where m != o  dd: i[m,o] : i32 =sum J[c,o]*J[c,m] over c\n"
     "  oa: Y[m,o] = a[m,o]  ob: Z[m,t] = b[m,t]  oc: U[m,o] = e[m,o]  od: I[m,o] = i[m,o] } }",
     0, true},
};
enum { MMA_CASES = sizeof mma_cases / sizeof *mma_cases };

static inline fv_target mma_target(const char *unit) {
    fv_target t = fv_target_opencl;
    t.unit = fv_unit_find(unit);
    return t;
}
/* Floats are multiples of 1/64 within 1.5 (7 bits). */
static inline void mma_fill(const fv_kernel *k, double **data) {
    kit_fill(k, data);
    for (int i = 0; i < k->n_tensors; i++)
        for (int64_t j = 0; k->tensor[i]->role == FV_ROLE_IN && j < fv_tensor_elements(k->tensor[i]); j++)
            if (fv_type_is_float(k->tensor[i]->obj.type)) data[i][j] = (double)(kit_below(191) - 95) / 64;
}
static inline double mma_allowed(const mma_case *c) { return c->exact ? 2e-6 : 1e-2; }
static inline int mma_kinds(const fv_flat *s, fv_flat_kind kind) { /* statements of a list */
    int n = 0;
    for (; s; s = s->next) n += (s->kind == kind) + mma_kinds(s->body, kind) + mma_kinds(s->orelse, kind);
    return n;
}
static inline int mma_count(const fv_flat *s) { return mma_kinds(s, FV_L_MMA); }
#endif
