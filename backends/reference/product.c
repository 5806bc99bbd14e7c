/* out += a * b over a box, summed over the axes that out lacks. Two ways: packed blocks (a matrix product for every
 * point of the axes that all three have) where both sides have enough rows, else plain loops with the best axis
 * innermost. The order of additions is fixed. */
#include "ref.h"

#include <stdlib.h>
#include <string.h>

enum { MR = 4, NR = 8, KC = 256 };

/* -- Plain loops -------------------------------------------------------------------------------------------------- */
static void inner(const double *a, int64_t sa, const double *b, int64_t sb, double *out, int64_t so, int64_t n) {
    if (so == 0) {
        double t0 = 0, t1 = 0, t2 = 0, t3 = 0;
        int64_t i = 0;
        for (; i + 4 <= n; i += 4) {
            t0 += a[i * sa] * b[i * sb];
            t1 += a[(i + 1) * sa] * b[(i + 1) * sb];
            t2 += a[(i + 2) * sa] * b[(i + 2) * sb];
            t3 += a[(i + 3) * sa] * b[(i + 3) * sb];
        }
        for (; i < n; i++) t0 += a[i * sa] * b[i * sb];
        *out += (t0 + t1) + (t2 + t3);
    } else if (sa == 1 && sb == 1 && so == 1) {
        for (int64_t i = 0; i < n; i++) out[i] += a[i] * b[i];
    } else if (sa == 0 && sb == 1 && so == 1) {
        double x = *a;
        for (int64_t i = 0; i < n; i++) out[i] += x * b[i];
    } else if (sa == 1 && sb == 0 && so == 1) {
        double x = *b;
        for (int64_t i = 0; i < n; i++) out[i] += x * a[i];
    } else {
        for (int64_t i = 0; i < n; i++) out[i * so] += a[i * sa] * b[i * sb];
    }
}
static void plain(const ref_box *box, const double *a, const int64_t *sa, const double *b, const int64_t *sb,
                  double *out, const int64_t *so) {
    int lane = 0;
    double best = -1;
    for (int x = 0; x < box->n; x++) {
        double extent = (double)box->axis[x].extent, good = (sa[x] <= 1) + (sb[x] <= 1) + (so[x] <= 1);
        double s = (extent > 16 ? 16 : extent) * (good * good + 1);
        if (s >= best) { best = s; lane = x; }
    }
    ref_box outer = *box;
    outer.axis[lane].extent = 1;
    ref_walk w = {.box = &outer, .n = 3, .stride = {sa, sb, so}};
    do inner(a + w.off[0], sa[lane], b + w.off[1], sb[lane], out + w.off[2], so[lane], box->axis[lane].extent);
    while (ref_next(&w));
}

/* -- Packed blocks ------------------------------------------------------------------------------------------------ */
/* Offsets of every point of the axes for which `take` holds, in two tensors. */
typedef struct { int64_t n, *x, *y; } offsets;
typedef enum { ROLE_BATCH, ROLE_M, ROLE_N, ROLE_K } role;
static ref_box part_of(const ref_box *box, const role *roles, role want, const int64_t *s, const int64_t *t,
                       int64_t *ps, int64_t *pt) {
    ref_box b = {0};
    for (int i = 0; i < box->n; i++) {
        if (roles[i] != want) continue;
        ps[b.n] = s[i];
        pt[b.n] = t[i];
        b.axis[b.n++] = box->axis[i];
    }
    return b;
}
static bool list_offsets(ref_run *r, const ref_box *box, const role *roles, role want, const int64_t *s,
                         const int64_t *t, offsets *out) {
    int64_t ps[2 * FV_MAX_AXES], pt[2 * FV_MAX_AXES];
    ref_box b = part_of(box, roles, want, s, t, ps, pt);
    out->n = ref_box_count(&b);
    out->x = malloc(sizeof(int64_t) * 2 * (size_t)out->n);
    if (!out->x) return ref_fail(r, "no memory for a product");
    out->y = out->x + out->n;
    ref_walk w = {.box = &b, .n = 2, .stride = {ps, pt}};
    int64_t i = 0;
    do {
        out->x[i] = w.off[0];
        out->y[i++] = w.off[1];
    } while (ref_next(&w));
    return true;
}
/* to[block][k][lanes]: rows of `from` in blocks, the last one padded with zeros. */
static void pack(double *to, const double *from, const int64_t *row, int64_t n, const int64_t *col, int64_t k0,
                 int64_t k1, int lanes) {
    for (int64_t i = 0; i < n; i += lanes)
        for (int64_t k = k0; k < k1; k++)
            for (int j = 0; j < lanes; j++) *to++ = i + j < n ? from[row[i + j] + col[k]] : 0;
}
static void tile(const double *restrict a, const double *restrict b, int64_t k, double acc[MR][NR]) {
    double c0[NR] = {0}, c1[NR] = {0}, c2[NR] = {0}, c3[NR] = {0};
    for (int64_t i = 0; i < k; i++, a += MR, b += NR) {
        double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
        for (int j = 0; j < NR; j++) c0[j] += a0 * b[j];
        for (int j = 0; j < NR; j++) c1[j] += a1 * b[j];
        for (int j = 0; j < NR; j++) c2[j] += a2 * b[j];
        for (int j = 0; j < NR; j++) c3[j] += a3 * b[j];
    }
    memcpy(acc[0], c0, sizeof c0);
    memcpy(acc[1], c1, sizeof c1);
    memcpy(acc[2], c2, sizeof c2);
    memcpy(acc[3], c3, sizeof c3);
}
typedef struct { offsets m, n, ka, kb; int64_t m_pad, n_pad; double *pa, *pb; } plan;
static void block(const plan *p, const double *a, const double *b, double *out) {
    for (int64_t k0 = 0; k0 < p->ka.n; k0 += KC) {
        int64_t k1 = k0 + KC < p->ka.n ? k0 + KC : p->ka.n, kn = k1 - k0;
        pack(p->pa, a, p->m.x, p->m.n, p->ka.x, k0, k1, MR);
        pack(p->pb, b, p->n.x, p->n.n, p->kb.x, k0, k1, NR);
        for (int64_t j = 0; j < p->n.n; j += NR)
            for (int64_t i = 0; i < p->m.n; i += MR) {
                double acc[MR][NR];
                tile(p->pa + i * kn, p->pb + j * kn, kn, acc);
                for (int ii = 0; ii < MR && i + ii < p->m.n; ii++)
                    for (int jj = 0; jj < NR && j + jj < p->n.n; jj++)
                        out[p->m.y[i + ii] + p->n.y[j + jj]] += acc[ii][jj];
            }
    }
}
static bool blocks(ref_run *r, const ref_box *box, const role *roles, const double *a, const int64_t *sa,
                   const double *b, const int64_t *sb,
                   double *out, const int64_t *so) {
    plan p = {0};
    bool fine = list_offsets(r, box, roles, ROLE_M, sa, so, &p.m) &&
        list_offsets(r, box, roles, ROLE_N, sb, so, &p.n) &&
                list_offsets(r, box, roles, ROLE_K, sa, sb, &p.ka);
    if (fine) {
        p.kb = (offsets){.n = p.ka.n, .x = p.ka.y, .y = NULL};
        p.m_pad = (p.m.n + MR - 1) / MR * MR;
        p.n_pad = (p.n.n + NR - 1) / NR * NR;
        int64_t deep = p.ka.n < KC ? p.ka.n : KC;
        p.pa = ref_doubles(r, p.m_pad * deep);
        p.pb = ref_doubles(r, p.n_pad * deep);
        fine = p.pa && p.pb;
    }
    if (fine) {
        int64_t ba[2 * FV_MAX_AXES], bb[2 * FV_MAX_AXES], bo[2 * FV_MAX_AXES];
        ref_box batch = part_of(box, roles, ROLE_BATCH, sa, sb, ba, bb);
        part_of(box, roles, ROLE_BATCH, so, so, bo, bo);
        ref_walk w = {.box = &batch, .n = 3, .stride = {ba, bb, bo}};
        do block(&p, a + w.off[0], b + w.off[1], out + w.off[2]);
        while (ref_next(&w));
    }
    free(p.m.x);
    free(p.n.x);
    free(p.ka.x);
    free(p.pa);
    free(p.pb);
    return fine;
}

bool ref_sum_product(ref_run *r, const ref_box *box, const double *a, const int64_t *sa, const double *b,
                     const int64_t *sb,
                     double *out, const int64_t *so) {
    role roles[2 * FV_MAX_AXES];
    double size[4] = {1, 1, 1, 1};
    for (int i = 0; i < box->n; i++) {
        roles[i] = so[i] == 0 ? ROLE_K : sa[i] && sb[i] ? ROLE_BATCH : sa[i] ? ROLE_M : sb[i] ? ROLE_N : ROLE_BATCH;
        size[roles[i]] *= (double)box->axis[i].extent;
    }
    if (size[ROLE_M] >= 3 && size[ROLE_N] >= 6 && size[ROLE_K] >= 4)
        return blocks(r, box, roles, a, sa, b, sb, out, so);
    if (size[ROLE_N] >= 3 && size[ROLE_M] >= 6 && size[ROLE_K] >= 4) {   /* the same with the sides exchanged */
        for (int i = 0; i < box->n; i++)
            roles[i] = roles[i] == ROLE_M ? ROLE_N : roles[i] == ROLE_N ? ROLE_M : roles[i];
        return blocks(r, box, roles, b, sb, a, sa, out, so);
    }
    plain(box, a, sa, b, sb, out, so);
    return true;
}
