/* Part of random_graph.c: products of matrices, of extents that fill blocks, so that matrix units have something to do.
 * Rows, columns, what is summed, and sometimes a batch are axes of the graph; an operand is an input or an older value,
 * in any order of axes, and sometimes only a part of the sum counts. */
static fv_value *operand(maker *m, fv_axis *x, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = below(m, i + 1);
        fv_axis t = x[i];
        x[i] = x[j], x[j] = t;
    }
    return chance(m, 70) ? leaf_over(m, x, n, FV_F32) : conform(m, any(m), x, n);
}
static fv_value *make_product(maker *m) {
    int first = below(m, 3), second = (first + 1 + below(m, 2)) % 3;
    fv_axis row = m->base[first], col = m->base[second], sum = m->base[3 - first - second],
            batch = m->base[3 + below(m, BASE_AXES - 3)];
    bool many = chance(m, 35), split = chance(m, 20); /* split: what is summed is two axes */
    fv_axis over[2] = {sum, fresh_axis(m, "k", 2 + below(m, 3))}, out[3], x[4];
    int n_over = split ? 2 : 1, n_out = 0, n = 0;
    if (many) out[n_out++] = x[n++] = batch;
    x[n++] = row, out[n_out++] = row;
    for (int i = 0; i < n_over; i++) x[n++] = over[i];
    fv_value *a = operand(m, x, n);
    n = 0;
    if (many && chance(m, 60)) x[n++] = batch;
    x[n++] = col, out[n_out++] = col;
    for (int i = 0; i < n_over; i++) x[n++] = over[i];
    fv_value *b = operand(m, x, n);
    if (!a || !b) return NULL;
    const fv_expr *e = fv_mul(m->ctx, fv_value_at_self(m->ctx, a), fv_value_at_self(m->ctx, b)), *only = NULL;
    if (chance(m, 25)) {
        fv_op op = chance(m, 50) ? FV_X_LE : FV_X_NE;
        const fv_axis *against = chance(m, 50) ? &row : &col;
        only = fv_op2(m->ctx, op, coord(m, &sum), coord(m, against));
    }
    fv_value *y = fv_graph_compute(m->g, at(m), FV_MONOID_SUM, out, n_out, over, n_over, e, only, NULL);
    if (!y) return NULL;
    e = calm(m, fv_value_at_self(m->ctx, y));
    return keep(m, fv_graph_compute(m->g, at(m), FV_MONOID_NONE, out, n_out, NULL, 0, e, NULL, NULL));
}
