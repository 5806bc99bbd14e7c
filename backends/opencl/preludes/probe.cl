/* Does a unit do what kernels ask of it? Behind its prelude, one sub-group: products of small whole numbers, B both ways,
 * sums of rows, the way from C to A, and copies. Every item writes 1 where all that it sees is right to the bit. */
#ifndef FOV_KERNEL
#define FOV_KERNEL
#endif
__kernel FOV_KERNEL __attribute__((reqd_work_group_size(FOV_SUB, 1, 1))) void fovea_probe(__global int *out) {
    __local ushort a[16 * 24] __attribute__((aligned(16))), b[16 * 24] __attribute__((aligned(16))),
        t[16 * 24] __attribute__((aligned(16))), bounce[FOV_BOUNCE] __attribute__((aligned(16)));
    const int lane = (int)get_local_id(0);
    int good = 1;
    for (int i = lane; i < 256; i += FOV_SUB) {
        const int r = i / 16, k = i % 16;
        a[r * 24 + k] = fov_to16((float)((r * 3 + k * 5) % 7 - 3));
        b[r * 24 + k] = fov_to16((float)((r * 2 + k * 11) % 5 - 2));
        t[k * 24 + r] = fov_to16((float)((r * 2 + k * 11) % 5 - 2));
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    fov_c c, d, e;
    fov_czero(&c);
    fov_czero(&d);
    fov_czero(&e);
    const fov_a x = fov_lda(a, 24, lane);
    fov_mma(&c, x, fov_ldb(b, 24, lane));
    fov_mma(&d, x, fov_ldbt(t, 24, lane));
    fov_mma(&e, fov_c2a(c, bounce, lane), fov_ldb(b, 24, lane));
    for (int i = 0; i < FOV_CN; i++) {
        const int r = FOV_ROW(lane, i), n = FOV_COL(lane, i);
        int first = 0, second = 0;
        for (int k = 0; k < 16; k++) {
            int sum = 0;
            for (int l = 0; l < 16; l++) sum += ((r * 3 + l * 5) % 7 - 3) * ((l * 2 + k * 11) % 5 - 2);
            if (k == n) first = sum;
            second += sum * ((k * 2 + n * 11) % 5 - 2);
        }
        good &= c.e[i] == (float)first && d.e[i] == (float)first && e.e[i] == (float)second;
    }
    for (int s = 0; s < FOV_NR; s++) {
        float sum = 0.0f, most = -1.0f, all = 0.0f;
        for (int i = 0; i < FOV_CN; i++)
            if (FOV_SLOT(i) == s) {
                const float v = (float)((FOV_SLOT_ROW(lane, s) * 7 + FOV_COL(lane, i) * 3) % 11);
                sum += v;
                most = most > v ? most : v;
            }
        sum = fov_row_sum(sum, lane);
        most = fov_row_max(most, lane);
        float want = -1.0f;
        for (int n = 0; n < 16; n++) {
            const float v = (float)((FOV_SLOT_ROW(lane, s) * 7 + n * 3) % 11);
            all += v;
            want = want > v ? want : v;
        }
        good &= sum == all && most == want;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    /* `out` holds zeros */
    if (lane == 0) fov_cp16(a + 24, (__global const ushort *)(out + get_group_id(0) * FOV_SUB));
    fov_cp_wait();
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < 8; i++) good &= a[24 + i] == 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    out[(int)get_group_id(0) * FOV_SUB + lane] = good;
}
