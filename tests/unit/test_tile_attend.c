/* Attention as tile kernels: dense, neighbourhood, windows, routed, union, halo, causal strided neighbourhood; against
 * naive softmax in double. */
#include "tile_run.h"

/* -- (a) dense ----------------------------------------------------------------------------------------------------- */
static int64_t causal_offset;

static void dense(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V");
    int64_t group = EXT(q, 1) / EXT(k, 1);
    double p[MAX_KEYS];
    for (int64_t b = 0; b < EXT(q, 0); b++)
        for (int64_t h = 0; h < EXT(q, 1); h++)
            for (int64_t i = 0; i < EXT(q, 2); i++) {
                int n = (int)EXT(k, 2);
                for (int j = 0; j < n; j++) {
                    double x = 0;
                    for (int64_t d = 0; d < EXT(q, 3); d++) x += AT(q, b, h, i, d) * AT(k, b, h / group, j, d);
                    p[j] = j <= i + causal_offset ? x * 0.3 : -(double)INFINITY;
                }
                double l = softmax2(p, n);
                for (int64_t d = 0; d < EXT(v, 3); d++) {
                    double x = 0;
                    for (int j = 0; j < n; j++)
                        if (j <= i + causal_offset) x += p[j] * AT(v, b, h / group, j, d);
                    AT(o, b, h, i, d) = l > 0 ? x / l : 0;
                }
            }
}

Test(tile_attend, dense) {
    static const struct { const char *file; int64_t off; bool nan; } CASE[] = {
        {"flash_causal", 0, false}, {"flash_masked_rows", -20, false}, {"flash_full", 1000, false},
            {"flash_nan_value", -1, true},
        {"flash_staged", 3, false},
    };
    for (size_t c = 0; c < sizeof CASE / sizeof *CASE; c++) {
        kit *s = kit_open(CASE[c].file);
        array *v = find(s, "V");
        causal_offset = CASE[c].off;
        /* the last key is seen by no query, and lies in a tile that is visited */
        for (int64_t b = 0; CASE[c].nan && b < EXT(v, 0); b++)
            for (int64_t h = 0; h < EXT(v, 1); h++)
                for (int64_t d = 0; d < EXT(v, 3); d++) AT(v, b, h, EXT(v, 2) - 1, d) = (double)NAN;
        compare(s, "O", dense);
        kit_close(s);
    }
}

/* -- (b) neighbourhood, dilated ------------------------------------------------------------------------------------ */
static int64_t dilation;
static bool planar;                                     /* channels first */
static int64_t first_key(int64_t i, int64_t window, int64_t length) { return clamp(i - window / 2, 0, length - window);
                                                                     }
#define PIXEL(a, h, y, x, d) (planar ? &AT(a, 0, h, d, y, x) : &AT(a, 0, h, y, x, d))

static void neighbourhood(kit *s, array *o) {
    enum { K = 5 };
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V"), *r = find(s, "RPB");
    int64_t H = EXT(q, planar ? 3 : 2), W = EXT(q, planar ? 4 : 3), D = 16;
    for (int64_t h = 0; h < EXT(q, 1); h++)
        for (int64_t y = 0; y < H; y++)
            for (int64_t x = 0; x < W; x++) {
                int64_t gy = y % dilation, gx = x % dilation, i = y / dilation, j = x / dilation;
                int64_t sy = first_key(i, K, (H - gy + dilation - 1) / dilation), sx =
                    first_key(j, K, (W - gx + dilation - 1) / dilation);
                double p[K * K];
                for (int64_t n = 0; n < K * K; n++) {
                    int64_t ky = sy + n / K, kx = sx + n % K;
                    double e = 0;
                    for (int64_t d = 0; d < D; d++)
                        e += *PIXEL(q, h, y, x, d) * *PIXEL(k, h, gy + dilation * ky, gx + dilation * kx, d);
                    p[n] = e * 0.4 + LOG2E * AT(r, h, ky - i + K - 1, kx - j + K - 1);
                }
                double l = softmax2(p, K * K);
                for (int64_t d = 0; d < D; d++) {
                    double e = 0;
                    for (int64_t n = 0; n < K * K; n++)
                        e += p[n] * *PIXEL(v, h, gy + dilation * (sy + n / K), gx + dilation * (sx + n % K), d);
                    *PIXEL(o, h, y, x, d) = e / l;
                }
            }
}

Test(tile_attend, neighbourhood) {
    static const char *const FORM[] = {"box", "lane", "online"};
    static const struct { const char *map; int dilation; } CASE[] = {{"13x37", 1}, {"14x37", 2}, {"17x23", 3},
                                                                     {"5x5", 1}};
    for (int f = 0; f < 3; f++)
        for (int c = 0; c < 4; c++) {
            char file[64];
            snprintf(file, sizeof file, "na_%s_%s_d%d", FORM[f], CASE[c].map, CASE[c].dilation);
            kit *s = kit_open(file);
            dilation = CASE[c].dilation;
            planar = f != 0;
            compare(s, "O", neighbourhood);
            kit_close(s);
        }
}

/* -- (c) shifted windows ------------------------------------------------------------------------------------------- */
static int64_t shift;
static int region(int64_t p, int64_t length) { return p < length - 4 ? 0 : p < length - shift ? 1 : 2; }

static void swin(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V"), *r = find(s, "RPB");
    int64_t H = EXT(q, 1), W = EXT(q, 2);
    for (int64_t h = 0; h < EXT(q, 3); h++)
        for (int64_t y = 0; y < H; y++)
            for (int64_t x = 0; x < W; x++) {
                double p[16];
                int64_t qy = (y + shift) % H, qx = (x + shift) % W;
                for (int64_t n = 0; n < 16; n++) {
                    int64_t wy = y / 4 * 4 + n / 4, wx = x / 4 * 4 + n % 4;
                    double e = 0;
                    for (int64_t d = 0; d < 16; d++)
                        e += AT(q, 0, qy, qx, h, d) * AT(k, 0, (wy + shift) % H, (wx + shift) % W, h, d);
                    p[n] = e * 0.4 + LOG2E * AT(r, h, y % 4 - n / 4 + 3, x % 4 - n % 4 + 3);
                    if (shift && (region(y, H) != region(wy, H) || region(x, W) != region(wx, W)))
                        p[n] = -(double)INFINITY;
                }
                double l = softmax2(p, 16);
                for (int64_t d = 0; d < 16; d++) {
                    double e = 0;
                    for (int64_t n = 0; n < 16; n++)
                        e += p[n] * AT(v, 0, (y / 4 * 4 + n / 4 + shift) % H, (x / 4 * 4 + n % 4 + shift) % W, h, d);
                    AT(o, 0, qy, qx, h, d) = e / l;
                }
            }
}

Test(tile_attend, shifted_windows) {
    for (shift = 0; shift <= 2; shift += 2) {
        kit *s = kit_open(shift ? "swin_shift2" : "swin_shift0");
        compare(s, "O", swin);
        kit_close(s);
    }
}

/* -- (d) routed ---------------------------------------------------------------------------------------------------- */
static void routed(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V"), *idx = find(s, "IDX");
    double p[27];
    for (int64_t b = 0; b < 2; b++)
        for (int64_t h = 0; h < 2; h++)
            for (int64_t y = 0; y < 12; y++)
                for (int64_t x = 0; x < 12; x++) {
                    for (int64_t n = 0; n < 27; n++) {
                        int64_t r = (int64_t)AT(idx, b, y / 3 * 4 + x / 3, n / 9);
                        double e = 0;
                        for (int64_t d = 0; r >= 0 && d < 16; d++)
                            e += AT(q, b, y, x, h, d) * AT(k, b, r / 4 * 3 + n % 9 / 3, r % 4 * 3 + n % 3, h, d);
                        p[n] = r >= 0 ? e * 0.4 : -(double)INFINITY;
                    }
                    double l = softmax2(p, 27);
                    for (int64_t d = 0; d < 16; d++) {
                        double e = 0;
                        for (int64_t n = 0; n < 27; n++) {
                            int64_t r = (int64_t)AT(idx, b, y / 3 * 4 + x / 3, n / 9);
                            if (r >= 0) e += p[n] * AT(v, b, r / 4 * 3 + n % 9 / 3, r % 4 * 3 + n % 3, h, d);
                        }
                        AT(o, b, y, x, h, d) = l > 0 ? e / l : 0;
                    }
                }
}

Test(tile_attend, routed) {
    kit *s = kit_open("routed");
    array *idx = find(s, "IDX");
    /* region 0: no key at all */
    for (int64_t i = 0; i < idx->n; i++) idx->data[i] = i % 5 == 0 || i < 3 ? -1 : (double)((i * 7 + i / 3) % 16);
    compare(s, "O", routed);
    idx->data[7] = 16;
    cr_expect(!kit_run(s, false), "an index outside its declared range goes unnoticed");
    kit_close(s);
}

/* -- (e) window and pooled keys ------------------------------------------------------------------------------------ */
static void transnext(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V"), *kp = find(s, "KP"), *vp = find(s, "VP"), *rb =
        find(s, "RB");
    array *pb = find(s, "PB"), *rpi = find(s, "RPI"), *lt = find(s, "LT"), *lb = find(s, "LB");
    int64_t H = EXT(q, 3), W = EXT(q, 4), pooled = EXT(kp, 2);
    for (int64_t h = 0; h < EXT(q, 1); h++)
        for (int64_t y = 0; y < H; y++)
            for (int64_t x = 0; x < W; x++) {
                double p[64], extra[9];
                for (int64_t n = 0; n < 9 + pooled; n++) {
                    int64_t ky = y + n / 3 - 1, kx = x + n % 3 - 1;
                    bool in = n >= 9 || (ky >= 0 && ky < H && kx >= 0 && kx < W);
                    double e = 0, t = 0;
                    for (int64_t d = 0; d < 16; d++) {
                        double a = AT(q, 0, h, d, y, x);
                        if (n < 9) t += a * AT(lt, h, d, n / 3, n % 3);
                        if (in) e += a * 0.4 * (n < 9 ? AT(k, 0, h, d, ky, kx) : AT(kp, 0, h, n - 9, d));
                    }
                    if (n < 9) extra[n] = t + AT(lb, h, n / 3, n % 3);
                    double bias = n < 9 ? AT(rb, h, n / 3, n % 3) : AT(pb, h, (int64_t)AT(rpi, y * W + x, n - 9));
                    p[n] = in ? e + bias : -(double)INFINITY;
                }
                double l = softmax2(p, (int)(9 + pooled));
                for (int64_t d = 0; d < 16; d++) {
                    double e = 0;
                    for (int64_t n = 0; n < 9; n++) {
                        int64_t ky = y + n / 3 - 1, kx = x + n % 3 - 1;
                        if (ky >= 0 && ky < H && kx >= 0 && kx < W) e += (p[n] / l + extra[n]) * AT(v, 0, h, d, ky, kx);
                    }
                    for (int64_t n = 0; n < pooled; n++) e += p[9 + n] / l * AT(vp, 0, h, n, d);
                    AT(o, 0, h, d, y, x) = e;
                }
            }
}

Test(tile_attend, union_of_windows_and_pooled_keys) {
    kit *s = kit_open("transnext");
    array *rpi = find(s, "RPI");
    for (int64_t i = 0; i < rpi->n; i++) rpi->data[i] = (double)((i * 5 + i / 7) % 11);
    compare(s, "O", transnext);
    kit_close(s);
}

/* -- (o) a border with a value, relative terms from queries -------------------------------------------------------- */
static double border;

static double outside(array *a, int64_t b, int64_t y, int64_t x, int64_t h, int64_t d) {
    return y >= 0 && y < EXT(a, 1) && x >= 0 && x < EXT(a, 2) ? AT(a, b, y, x, h, d) : border;
}

static void halo(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V"), *ry = find(s, "RY"), *rx = find(s, "RX");
    for (int64_t b = 0; b < EXT(q, 0); b++)
        for (int64_t h = 0; h < EXT(q, 3); h++)
            for (int64_t y = 0; y < EXT(q, 1); y++)
                for (int64_t x = 0; x < EXT(q, 2); x++) {
                    double p[36];
                    for (int64_t n = 0; n < 36; n++) {
                        double e = 0, r = 0;
                        for (int64_t d = 0; d < 12; d++) {
                            double a = AT(q, b, y, x, h, d);
                            e += a * outside(k, b, y / 4 * 4 + n / 6 - 1, x / 4 * 4 + n % 6 - 1, h, d);
                            r += a * AT(ry, n / 6 - y % 4 + 5, d) + a * AT(rx, n % 6 - x % 4 + 5, d);
                        }
                        p[n] = LOG2E * (e * 0.4 + r);
                    }
                    double l = softmax2(p, 36);
                    for (int64_t d = 0; d < 20; d++) {
                        double e = 0;
                        for (int64_t n = 0; n < 36; n++)
                            e += p[n] * outside(v, b, y / 4 * 4 + n / 6 - 1, x / 4 * 4 + n % 6 - 1, h, d);
                        AT(o, b, y, x, h, d) = e / l;
                    }
                }
}

Test(tile_attend, border_with_a_value) {
    for (int c = 0; c < 2; c++) {
        kit *s = kit_open(c ? "halo_border75" : "halo_border0");
        border = c ? 0.75 : 0;
        compare(s, "O", halo);
        kit_close(s);
    }
}

/* -- (p) causal, strided, dilated neighbourhood: rows k 4 stride 2 causal; columns k 5 stride 2 dilation 2 --------- */
static void gathered(kit *s, array *o) {
    array *q = find(s, "Q"), *k = find(s, "K"), *v = find(s, "V"), *r = find(s, "RPB");
    int64_t H = EXT(q, 3), W = EXT(q, 4);
    for (int64_t h = 0; h < EXT(q, 1); h++)
        for (int64_t y = 0; y < H; y++)
            for (int64_t x = 0; x < W; x++) {
                double p[20];
                int64_t at_y[20], at_x[20], g = x % 2, j = x / 2, cols = (W - g + 1) / 2;
                int64_t lead_y = clamp(y / 2 * 2 + 1, 0, H - 1), top = clamp(lead_y - 3, 0, H);
                int64_t centre = clamp(clamp(j / 2 * 2 + 1, 0, cols - 1), 2, cols - 3);
                int n = 0;
                for (int64_t ky = top; ky <= y && ky < top + 4; ky++)
                    for (int64_t t = 0; t < 5; t++, n++) {
                        double e = 0;
                        at_y[n] = ky;
                        at_x[n] = g + 2 * (centre - 2 + t);
                        for (int64_t d = 0; d < 8; d++) e += AT(q, 0, h, d, y, x) * AT(k, 0, h, d, ky, at_x[n]);
                        p[n] = e * 0.4 + LOG2E * AT(r, h, ky - y + 3, centre - 2 + t - j + 4);
                    }
                double l = softmax2(p, n);
                for (int64_t d = 0; d < 8; d++) {
                    double e = 0;
                    for (int i = 0; i < n; i++) e += p[i] * AT(v, 0, h, d, at_y[i], at_x[i]);
                    AT(o, 0, h, d, y, x) = e / l;
                }
            }
}

Test(tile_attend, gathered_neighbourhood) {
    static const char *const FORM[] = {"written", "offset", "box"}, *const MAP[] = {"9x21", "13x37", "5x12"};
    for (int f = 0; f < 3; f++)
        for (int c = 0; c < 3; c++) {
            char file[64];
            snprintf(file, sizeof file, "gather_%s_%s", FORM[f], MAP[c]);
            kit *s = kit_open(file);
            compare(s, "O", gathered);
            kit_close(s);
        }
}
