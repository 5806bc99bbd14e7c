/* attention: o[q, :] = softmax over k of (scale * q[q, :] . k[k, :]) times v[k, :], on the matrix unit of the prelude
 * before it. f32 tensors, contiguous; operands are rounded to 16 bit on their way into local memory, scores and sums
 * are f32. One group makes FOV_WAVES * 16 rows of one head (group / groups of rows); each sub-group 16 of them. causal
 * >= 0: keys k <= q + causal only. A row without keys is 0. `scale` includes log2 e.
 * FOV_D: head dim, a multiple of 16; FOV_KEYS: keys of a step, a multiple of 16; FOV_WAVES: sub-groups. */
#ifndef FOV_ITEM
#define FOV_ITEM() ((int)get_local_id(0))
#define FOV_GROUP() ((int)get_group_id(0))
#define FOV_BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#endif
#ifndef FOV_BARRIER_BEFORE              /* tests leave one out, to see that this is noticed */
#define FOV_BARRIER_BEFORE() FOV_BARRIER()
#endif
#ifndef FOV_BARRIER_AFTER
#define FOV_BARRIER_AFTER() FOV_BARRIER()
#endif
#ifndef FOV_SHARED
#define FOV_SHARED __local
#endif
#ifndef FOV_KERNEL
#define FOV_KERNEL
#endif
#define FOV_LD (FOV_D + 8)
#define FOV_GROUP_ITEMS (FOV_WAVES * FOV_SUB)
#define FOV_TILE_ROWS (FOV_WAVES * 16)

/* Rows first .. first + rows of a matrix of n rows, rounded; rows past the end are 0. */
inline void fov_stage(__local ushort *to, __global const float *from, int first, int rows, int n, float factor, int item) {
    for (int i = item; i < rows * FOV_D; i += FOV_GROUP_ITEMS) {
        int r = i / FOV_D, c = i % FOV_D;
        float x = 0.0f;
        if (first + r < n) x = from[(size_t)(first + r) * FOV_D + c] * factor;
        to[r * FOV_LD + c] = fov_to16(x);
    }
}

__kernel FOV_KERNEL __attribute__((reqd_work_group_size(FOV_GROUP_ITEMS, 1, 1)))
void fov_attention(__global const float *q, __global const float *k, __global const float *v, __global float *o,
                   int n_q, int n_k, float scale, int causal) {
    FOV_SHARED ushort qt[FOV_TILE_ROWS * FOV_LD] __attribute__((aligned(16)));
    FOV_SHARED ushort kt[FOV_KEYS * FOV_LD] __attribute__((aligned(16)));
    FOV_SHARED ushort vt[FOV_KEYS * FOV_LD] __attribute__((aligned(16)));
    FOV_SHARED ushort bounce[FOV_WAVES * FOV_BOUNCE] __attribute__((aligned(16)));
    int item = FOV_ITEM(), lane = item % FOV_SUB, wave = item / FOV_SUB;
    int tiles = (n_q + FOV_TILE_ROWS - 1) / FOV_TILE_ROWS, head = FOV_GROUP() / tiles;
    int q0 = FOV_GROUP() % tiles * FOV_TILE_ROWS, row0 = q0 + wave * 16;
    int end = n_k;
    if (causal >= 0 && q0 + FOV_TILE_ROWS + causal < end) end = q0 + FOV_TILE_ROWS + causal;
    q += (size_t)head * n_q * FOV_D;
    o += (size_t)head * n_q * FOV_D;
    k += (size_t)head * n_k * FOV_D;
    v += (size_t)head * n_k * FOV_D;

    fov_stage(qt, q, q0, FOV_TILE_ROWS, n_q, scale, item);
    fov_c acc[FOV_D / 16];
    float m[FOV_NR], l[FOV_NR];
#pragma unroll
    for (int d = 0; d < FOV_D / 16; d++) fov_czero(&acc[d]);
#pragma unroll
    for (int s = 0; s < FOV_NR; s++) {
        m[s] = -INFINITY;
        l[s] = 0.0f;
    }
    for (int k0 = 0; k0 < end; k0 += FOV_KEYS) {
        fov_stage(kt, k, k0, FOV_KEYS, n_k, 1.0f, item);
        fov_stage(vt, v, k0, FOV_KEYS, n_k, 1.0f, item);
        FOV_BARRIER_BEFORE();
        fov_c s[FOV_KEYS / 16];
#pragma unroll
        for (int n = 0; n < FOV_KEYS / 16; n++) fov_czero(&s[n]);
#pragma unroll
        for (int d = 0; d < FOV_D / 16; d++) {
            fov_a a = fov_lda(qt + wave * 16 * FOV_LD + d * 16, FOV_LD, lane);
#pragma unroll
            for (int n = 0; n < FOV_KEYS / 16; n++)
                fov_mma(&s[n], a, fov_ldbt(kt + n * 16 * FOV_LD + d * 16, FOV_LD, lane));
        }
        float top[FOV_NR], sum[FOV_NR], shrink[FOV_NR];
#pragma unroll
        for (int i = 0; i < FOV_NR; i++) {
            top[i] = m[i];
            sum[i] = 0.0f;
        }
#pragma unroll
        for (int n = 0; n < FOV_KEYS / 16; n++)
#pragma unroll
            for (int i = 0; i < FOV_CN; i++) {
                int key = k0 + n * 16 + FOV_COL(lane, i);
                int last = causal >= 0 ? row0 + FOV_ROW(lane, i) + causal : n_k;
                float x = s[n].e[i] = key < n_k && key <= last ? s[n].e[i] : -INFINITY;
                top[FOV_SLOT(i)] = x > top[FOV_SLOT(i)] ? x : top[FOV_SLOT(i)];
            }
#pragma unroll
        for (int i = 0; i < FOV_NR; i++) {
            top[i] = fov_row_max(top[i], lane);
            float safe = top[i] == -INFINITY ? 0.0f : top[i];
            shrink[i] = fov_ex2(m[i] - safe);
            m[i] = top[i];
            top[i] = safe;
        }
#pragma unroll
        for (int n = 0; n < FOV_KEYS / 16; n++)
#pragma unroll
            for (int i = 0; i < FOV_CN; i++) {
                s[n].e[i] = fov_ex2(s[n].e[i] - top[FOV_SLOT(i)]);
                sum[FOV_SLOT(i)] += s[n].e[i];
            }
#pragma unroll
        for (int i = 0; i < FOV_NR; i++) l[i] = l[i] * shrink[i] + fov_row_sum(sum[i], lane);
#pragma unroll
        for (int d = 0; d < FOV_D / 16; d++)
#pragma unroll
            for (int i = 0; i < FOV_CN; i++) acc[d].e[i] *= shrink[FOV_SLOT(i)];
#pragma unroll
        for (int n = 0; n < FOV_KEYS / 16; n++) {
            fov_a a = fov_c2a(s[n], bounce + wave * FOV_BOUNCE, lane);
#pragma unroll
            for (int d = 0; d < FOV_D / 16; d++)
                fov_mma(&acc[d], a, fov_ldb(vt + n * 16 * FOV_LD + d * 16, FOV_LD, lane));
        }
        FOV_BARRIER_AFTER();
    }
#pragma unroll
    for (int d = 0; d < FOV_D / 16; d++)
#pragma unroll
        for (int i = 0; i < FOV_CN; i++) {
            int row = row0 + FOV_ROW(lane, i);
            float total = l[FOV_SLOT(i)];
            if (row < n_q) o[(size_t)row * FOV_D + d * 16 + FOV_COL(lane, i)] = total > 0.0f ? acc[d].e[i] / total : 0.0f;
        }
}
