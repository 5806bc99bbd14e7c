/* Everything that is no softmax over gathered keys: recurrences, statistics, products, convolutions, ranks, merges;
 * against loops in double. */
#include "tile_run.h"

/* -- (f) S = S * 2^lg + k (x) v; o = q S --------------------------------------------------------------------------- */
static void decayed(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V"), *lg = find(s, "LG");
    for (int64_t b = 0; b < EXT(q, 0); b++)
        for (int64_t h = 0; h < EXT(q, 1); h++) {
            double S[12][20] = {{0}};
            for (int64_t t = 0; t < EXT(q, 2); t++) {
                double g = exp2(AT(lg, b, h, t));
                for (int64_t d = 0; d < 12; d++)
                    for (int64_t e = 0; e < 20; e++) S[d][e] = S[d][e] * g + AT(k, b, h, t, d) * AT(v, b, h, t, e);
                for (int64_t e = 0; e < 20; e++)
                    for (int64_t d = 0; d < 12; d++) AT(o, b, h, t, e) += AT(q, b, h, t, d) * S[d][e];
            }
        }
}

Test(tile_rows, chunked_recurrence) {
    kit *s = kit_open("chunk_scan");
    array *lg = find(s, "LG");
    for (int64_t i = 0; i < lg->n; i++) lg->data[i] = (double)(float)(-fabs(lg->data[i]) * 0.3);
    compare(s, "O", decayed);
    kit_close(s);
}

/* -- (g) softmax over queries -------------------------------------------------------------------------------------- */
static void columns(kit *s, array *o) {
    enum { N = 70 };
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V");
    static double p[N][N];                              /* by key, then query */
    for (int64_t b = 0; b < EXT(q, 0); b++)
        for (int64_t h = 0; h < EXT(q, 1); h++) {
            for (int64_t j = 0; j < N; j++) {
                for (int64_t i = 0; i < N; i++) {
                    p[j][i] = 0;
                    for (int64_t d = 0; d < 12; d++) p[j][i] += 0.4 * AT(q, b, h, i, d) * AT(k, b, h, j, d);
                    if (i < j) p[j][i] = -(double)INFINITY;
                }
                double l = softmax2(p[j], N);
                for (int64_t i = 0; i < N; i++) p[j][i] /= l;
            }
            for (int64_t i = 0; i < N; i++)
                for (int64_t d = 0; d < 12; d++)
                    for (int64_t j = 0; j < N; j++) AT(o, b, h, i, d) += p[j][i] * AT(v, b, h, j, d);
        }
}

Test(tile_rows, softmax_over_queries) {
    kit *s = kit_open("column_softmax");
    compare(s, "O", columns);
    kit_close(s);
}

/* -- (h) convolution ----------------------------------------------------------------------------------------------- */
static int64_t stride;

static void convolution(kit *s, array *o) {
    array *x = find(s, "X"), *w = find(s, "W"), *scale = find(s, "SCL"), *bias = find(s, "BIA");
    for (int64_t b = 0; b < EXT(o, 0); b++)
        for (int64_t i = 0; i < EXT(o, 1); i++)
            for (int64_t j = 0; j < EXT(o, 2); j++)
                for (int64_t n = 0; n < EXT(o, 3); n++) {
                    double e = 0;
                    for (int64_t t = 0; t < 9; t++) {
                        int64_t y = i * stride + t / 3 - 1, z = j * stride + t % 3 - 1;
                        if (y < 0 || y >= EXT(x, 1) || z < 0 || z >= EXT(x, 2)) continue;
                        for (int64_t c = 0; c < EXT(x, 3); c++) e += AT(x, b, y, z, c) * AT(w, t / 3, t % 3, c, n);
                    }
                    e = e * AT(scale, n) + AT(bias, n);
                    AT(o, b, i, j, n) = 0.5 * e * (1 + erf(e * 0.70710678118654752));
                }
}

Test(tile_rows, convolution) {
    for (stride = 1; stride <= 2; stride++) {
        kit *s = kit_open(stride == 1 ? "conv3x3_s1" : "conv3x3_s2");
        compare(s, "O", convolution);
        kit_close(s);
    }
}

/* -- (i) layer norm and linear ------------------------------------------------------------------------------------- */
static void norm_linear(kit *s, array *o) {
    array *x = find(s, "X"), *w = find(s, "W"), *bias = find(s, "BI");
    for (int64_t m = 0; m < EXT(x, 0); m++) {
        double mean = 0, var = 0;
        for (int64_t c = 0; c < 40; c++) mean += AT(x, m, c) / 40;
        for (int64_t c = 0; c < 40; c++) var += (AT(x, m, c) - mean) * (AT(x, m, c) - mean) / 40;
        for (int64_t n = 0; n < EXT(w, 1); n++) {
            double e = AT(bias, n);
            for (int64_t c = 0; c < 40; c++) e += (AT(x, m, c) - mean) / sqrt(var + 1e-5) * AT(w, c, n);
            AT(o, m, n) = e;
        }
    }
}

Test(tile_rows, norm_linear) {
    kit *s = kit_open("norm_linear");
    compare(s, "O", norm_linear);
    kit_close(s);
}

/* -- (j) depthwise ------------------------------------------------------------------------------------------------- */
static void depthwise(kit *s, array *o) {
    array *x = find(s, "X"), *w = find(s, "W"), *bias = find(s, "BI");
    for (int64_t i = 0; i < EXT(x, 1); i++)
        for (int64_t j = 0; j < EXT(x, 2); j++)
            for (int64_t c = 0; c < EXT(x, 3); c++) {
                double e = AT(bias, c);
                for (int64_t t = 0; t < 49; t++) {
                    int64_t y = i + t / 7 - 3, z = j + t % 7 - 3;
                    if (y >= 0 && y < EXT(x, 1) && z >= 0 && z < EXT(x, 2))
                        e += AT(x, 0, y, z, c) * AT(w, t / 7, t % 7, c);
                }
                AT(o, 0, i, j, c) = e;
            }
}

Test(tile_rows, depthwise) {
    kit *s = kit_open("depthwise7");
    compare(s, "O", depthwise);
    kit_close(s);
}

/* -- (k) ranks: NaN last, ties to the lower index ------------------------------------------------------------------ */
static void rank(kit *s, array *values, array *indices) {
    array *x = find(s, "X");
    for (int64_t r = 0; r < EXT(x, 0); r++) {
        bool used[64] = {false};
        for (int64_t t = 0; t < 4; t++) {
            int64_t best = -1;
            for (int64_t k = 0; k < EXT(x, 1); k++) {
                if (used[k]) continue;
                double a = AT(x, r, k), b = best < 0 ? 0 : AT(x, r, best);
                if (best < 0 || a > b || (isnan(b) && !isnan(a))) best = k;
            }
            used[best] = true;
            if (values) AT(values, r, t) = AT(x, r, best);
            if (indices) AT(indices, r, t) = (double)best;
        }
    }
}
static void ranked_values(kit *s, array *o) { rank(s, o, NULL); }
static void ranked_indices(kit *s, array *o) { rank(s, NULL, o); }

Test(tile_rows, topk) {
    kit *s = kit_open("topk4");
    array *x = find(s, "X");
    for (int64_t i = 0; i < x->n; i++) x->data[i] = floor(x->data[i] * 8);
    for (int64_t k = 0; k < 45; k++) AT(x, 3, k) = -(double)INFINITY;
    compare(s, "I", ranked_indices);
    AT(x, 3, 7) = 1;
    for (int64_t k = 0; k < 45; k += 2) AT(x, 5, k) = (double)NAN;
    for (int64_t k = 2; k < 45; k++) AT(x, 6, k) = (double)NAN;
    compare(s, "I", ranked_indices);
    for (int64_t k = 0; k < 45; k++) AT(x, 6, k) = (double)k, AT(x, 3, k) = 1;
    compare(s, "V", ranked_values);
    kit_close(s);
}

/* -- (l) group norm ------------------------------------------------------------------------------------------------ */
static void group_norm(kit *s, array *o) {
    array *x = find(s, "X"), *ga = find(s, "GA"), *be = find(s, "BE");
    int64_t n = EXT(x, 2);
    for (int64_t b = 0; b < EXT(x, 0); b++)
        for (int64_t c = 0; c < EXT(x, 1); c++) {
            double mean = 0, var = 0;
            int64_t g = c / 4 * 4;
            for (int64_t i = 0; i < 4 * n; i++) mean += AT(x, b, g + i / n, i % n) / (double)(4 * n);
            for (int64_t i = 0; i < 4 * n; i++) var += pow(AT(x, b, g + i / n, i % n) - mean, 2) / (double)(4 * n);
            for (int64_t e = 0; e < n; e++)
                AT(o, b, c, e) = (AT(x, b, c, e) - mean) / sqrt(var + 1e-5) * AT(ga, c) + AT(be, c);
        }
}

Test(tile_rows, group_norm) {
    kit *s = kit_open("group_norm");
    compare(s, "O", group_norm);
    kit_close(s);
}

/* -- (m) decode ---------------------------------------------------------------------------------------------------- */
static void decode(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V");
    double p[MAX_KEYS];
    for (int64_t b = 0; b < EXT(q, 0); b++)
        for (int64_t h = 0; h < EXT(q, 1); h++) {
            int n = (int)EXT(k, 2);
            for (int64_t j = 0; j < n; j++) {
                p[j] = 0;
                for (int64_t d = 0; d < 24; d++) p[j] += 0.4 * AT(q, b, h, d) * AT(k, b, h / 5, j, d);
            }
            double l = softmax2(p, n);
            for (int64_t d = 0; d < 24; d++)
                for (int64_t j = 0; j < n; j++) AT(o, b, h, d) += p[j] / l * AT(v, b, h / 5, j, d);
        }
}

Test(tile_rows, split_decode) {
    kit *s = kit_open("split_decode");
    compare(s, "O", decode);
    kit_close(s);
}

/* -- (n) given logits and their fold (as a scatter); generated weights --------------------------------------------- */
static void outlook(kit *s, array *o) {
    array *lg = find(s, "LG"), *v = find(s, "V");
    int64_t H = EXT(v, 1), W = EXT(v, 2);
    for (int64_t h = 0; h < EXT(v, 3); h++)
        for (int64_t cy = 0; cy < EXT(lg, 1); cy++)
            for (int64_t cx = 0; cx < EXT(lg, 2); cx++)
                for (int64_t i = 0; i < 9; i++) {
                    int64_t oy = 2 * cy + i / 3 - 1, ox = 2 * cx + i % 3 - 1;
                    double p[9];
                    for (int64_t k = 0; k < 9; k++) p[k] = 0.4 * AT(lg, 0, cy, cx, h, i / 3, i % 3, k / 3, k % 3);
                    double l = softmax2(p, 9);
                    if (oy < 0 || oy >= H || ox < 0 || ox >= W) continue;
                    for (int64_t d = 0; d < 8; d++)
                        for (int64_t k = 0; k < 9; k++) {
                            int64_t y = 2 * cy + k / 3 - 1, x = 2 * cx + k % 3 - 1;
                            if (y >= 0 && y < H && x >= 0 && x < W)
                                AT(o, 0, oy, ox, h, d) += p[k] / l * AT(v, 0, y, x, h, d);
                        }
                }
}

Test(tile_rows, outlook_and_fold) {
    for (int c = 0; c < 2; c++) {
        kit *s = kit_open(c ? "outlook_8x10" : "outlook_9x7");
        compare(s, "O", outlook);
        kit_close(s);
    }
}

static void generated(kit *s, array *o) {
    array *a = find(s, "A"), *wt = find(s, "WT"), *bw = find(s, "BW"), *r = find(s, "RPB"), *v = find(s, "V");
    int64_t H = EXT(a, 3), W = EXT(a, 4);
    for (int64_t b = 0; b < EXT(a, 0); b++)
        for (int64_t h = 0; h < EXT(a, 1); h++)
            for (int64_t y = 0; y < H; y++)
                for (int64_t x = 0; x < W; x++) {
                    double p[25];
                    int64_t sy = clamp(y - 2, 0, H - 5), sx = clamp(x - 2, 0, W - 5);
                    for (int64_t k = 0; k < 25; k++) {
                        double e = AT(bw, k / 5, k % 5) + AT(r, h, sy + k / 5 - y + 4, sx + k % 5 - x + 4);
                        for (int64_t i = 0; i < 9; i++) e += AT(a, b, h, i, y, x) * AT(wt, i, k / 5, k % 5);
                        p[k] = LOG2E * e;
                    }
                    double l = softmax2(p, 25);
                    for (int64_t d = 0; d < 12; d++)
                        for (int64_t k = 0; k < 25; k++)
                            AT(o, b, h, d, y, x) += p[k] / l * AT(v, b, h, d, sy + k / 5, sx + k % 5);
                }
}

Test(tile_rows, generated_weights) {
    for (int c = 0; c < 2; c++) {
        kit *s = kit_open(c ? "contmix_5x5" : "contmix_7x19");
        compare(s, "O", generated);
        kit_close(s);
    }
}
