/* The reference against positional loops written by hand: reads, computes, topk, scan. attend: test_reference_attend.c.
 * */
#include "reference_fixture.h"

/* -- Reads -------------------------------------------------------------------------------------------------------- */
Test(reference, natten_window_is_a_clamp) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[w=11 c=3] = input \"x\" stored \"c w\"\n"
                         "  _1 : f32[w=11 u=5 c=3] = read _0 { w = max(min(w - 2, 6), 0) + u, c = c }\n"
                         "  output \"y\" = _1\n}\n");
    for (int w = 0; w < 11; w++)
        for (int u = 0; u < 5; u++)
            for (int c = 0; c < 3; c++) {
                int at = w - 2 < 0 ? 0 : w - 2 > 6 ? 6 : w - 2;
                near_to(f.out[0][(w * 5 + u) * 3 + c], value("x", c * 11 + at + u));
            }
    done(&f);
}

Test(reference, borders) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[w=6] = input \"x\"\n"
                         "  _1 : f32[w=6 u=5] = read _0 { w = w + u - 2 } border 2.25\n"
                         "  _2 : f32[w=6 u=5] = read _0 { w = w + u - 2 } border clamp\n"
                         "  _3 : f32[w=6 u=5] = read _0 { w = w + u - 2 } border reflect\n"
                         "  _4 : f32[w=6 u=5] = read _0 { w = w + u*3 - 7 } border wrap\n"
                         "  _5 : f32[w=6 u=5] partial = read _0 { w = w + u - 2 } border cut\n"
                         "  _6 : f32[w=6] = mean over [u=5] _5[w, u]\n"
                         "  _7 : i32[w=6] = count over [u=5] _5[w, u]\n"
                         "  _8 : f32[w=6 u=5] = map _5[w, u] otherwise 7.0\n"
                         "  output \"number\" = _1\n  output \"clamp\" = _2\n  output \"reflect\" = _3\n"
                         "  output \"wrap\" = _4\n"
                         "  output \"mean\" = _6\n  output \"count\" = _7\n  output \"otherwise\" = _8\n}\n");
    for (int w = 0; w < 6; w++) {
        double sum = 0;
        int n = 0;
        for (int u = 0; u < 5; u++) {
            int i = w + u - 2, k = ((w + u * 3 - 7) % 6 + 6) % 6;
            bool in = i >= 0 && i < 6;
            near_to(f.out[0][w * 5 + u], in ? value("x", i) : 2.25);
            near_to(f.out[1][w * 5 + u], value("x", i < 0 ? 0 : i > 5 ? 5 : i));
            near_to(f.out[2][w * 5 + u], value("x", i < 0 ? -i : i > 5 ? 10 - i : i));
            near_to(f.out[3][w * 5 + u], value("x", k));
            near_to(f.out[6][w * 5 + u], in ? value("x", i) : 7.0);
            if (in) { sum += value("x", i); n++; }
        }
        near_to(f.out[4][w], sum / n);
        near_to(f.out[5][w], n);
    }
    done(&f);
}

Test(reference, only_drops_elements_and_empty_reductions_have_identities) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[n=4 m=7] = input \"x\"\n"
                         "  _1 : f32[n=4 m=7] partial = read _0 { n = n, m = m } only m < n\n"
                         "  _2 : f32[n=4] = max over [m=7] _1[n, m]\n"
                         "  _3 : f32[n=4] = mean over [m=7] _1[n, m]\n"
                         "  _4 : f32[n=4] = sum over [m=7] _0[n, m] only m < n\n"
                         "  _5 : f32[n=4] = min over [m=7] _0[n, m]*2.0 only m < n\n"
                         "  _6 : i32[n=4] = max over [m=7] m only m < n\n"
                         "  _7 : bool[n=4] = any over [m=7] _0[n, m] < 0.0\n"
                         "  _8 : bool[n=4] = all over [m=7] _0[n, m] < 0.9\n"
                         "  _9 : i32[n=4] = sum over [m=7] _0[n, m] < 0.0\n"
                         "  output \"max\" = _2\n  output \"mean\" = _3\n  output \"sum\" = _4\n"
                         "  output \"min\" = _5\n  output \"imax\" = _6\n"
                         "  output \"any\" = _7\n  output \"all\" = _8\n  output \"negative\" = _9\n}\n");
    for (int n = 0; n < 4; n++) {
        double max = -INFINITY, min = INFINITY, sum = 0;
        int any = 0, all = 1, negative = 0;
        for (int m = 0; m < 7; m++) {
            double x = value("x", n * 7 + m);
            if (m < n) { max = x > max ? x : max; min = x * 2 < min ? x * 2 : min; sum += x; }
            any |= x < 0;
            all &= x < 0.9;
            negative += x < 0;
        }
        near_to(f.out[0][n], max);
        near_to(f.out[1][n], n ? sum / n : 0);
        near_to(f.out[2][n], sum);
        near_to(f.out[3][n], min);
        near_to(f.out[4][n], n ? n - 1 : (double)INT32_MIN);
        near_to(f.out[5][n], any);
        near_to(f.out[6][n], all);
        near_to(f.out[7][n], negative);
    }
    done(&f);
}

/* Overlapping patches added where they came from: a scatter, written as a read with exact division. */
Test(reference, fold_by_exact_division) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[cell=5 i=3] = input \"p\"\n"
                         "  _1 : f32[h=9 i=3] partial = read _0 { cell = exact(h + 1 - i, 2), i = i } border cut\n"
                         "  _2 : f32[h=9] = sum over [i=3] _1[h, i]\n"
                         "  output \"y\" = _2\n}\n");
    double want[9] = {0};
    for (int cell = 0; cell < 5; cell++)
        for (int i = 0; i < 3; i++) {
            int h = cell * 2 - 1 + i;
            if (h >= 0 && h < 9) want[h] += value("p", cell * 3 + i);
        }
    for (int h = 0; h < 9; h++) near_to(f.out[0][h], want[h]);
    done(&f);
}

Test(reference, gather_by_an_index_tensor) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[n=9 c=4] = input \"x\"\n"
                         "  _1 : i32[m=6] = input \"ids\" in 0 to 8 stored \"m\"\n"
                         "  _2 : f32[m=6 c=4] = read _0 { n = _1[m], c = c }\n"
                         "  _3 : f32[m=6] = input \"at\" stored \"m\"\n"
                         "  _4 : f32[m=6 c=4] = read _0 { n = floor(_3[m]*20.0), c = c } border 0.5\n"
                         "  output \"y\" = _2\n  output \"z\" = _4\n}\n");
    for (int m = 0; m < 6; m++)
        for (int c = 0; c < 4; c++) {
            int at = (int)floor(value("at", m) * 20);
            near_to(f.out[0][m * 4 + c], value("x", (int)whole("ids", m, 0, 8) * 4 + c));
            near_to(f.out[1][m * 4 + c], at >= 0 && at < 9 ? value("x", at * 4 + c) : 0.5);
        }
    done(&f);
}

Test(reference, concat_repeats_what_lacks_an_axis) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[n=1 c=3] = param \"cls\"\n"
                         "  _1 : f32[b=2 n=4 c=3] = input \"x\"\n"
                         "  _2 : f32[n=5 c=3 b=2] = concat n of _0, _1\n"
                         "  output \"y\" = _2 stored \"b n c\"\n}\n");
    for (int b = 0; b < 2; b++)
        for (int n = 0; n < 5; n++)
            for (int c = 0; c < 3; c++)
                near_to(f.out[0][(b * 5 + n) * 3 + c], n ? value("x", (b * 4 + n - 1) * 3 + c) : value("cls", c));
    done(&f);
}

/* -- Computes ----------------------------------------------------------------------------------------------------- */
Test(reference, contraction_of_every_shape) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[b=3 n=17 c=300] = input \"x\"\n"
                         "  _1 : f32[o=13 c=300] = param \"w\" stored \"o c 1 1\"\n"
                         "  _2 : f32[b=3 n=17 o=13] = contract over [c=300] _0[b, n, c]*_1[o, c]\n"
                         "  _3 : f32[n=17 b=3] = contract over [c=300] _0[b, n, c]*_0[b, 16 - n, c]\n"
                         "  _4 : f32[b=3 n=5 o=13] = contract over [u=3 c=300] _0[b, n*3 + u, c]*_1[o, c]\n"
                         "  _5 : f32[b=3] = contract over [n=17 o=13] _2[b, n, o]*_2[b, n, 12 - o]\n"
                         "  _6 : f32[n=17 m=17 b=3] = contract over [c=300] _0[b, n, c]*_0[b, m, c]\n"
                         "  output \"linear\" = _2\n  output \"pairs\" = _3\n  output \"strided\" = _4\n"
                         "  output \"all\" = _5\n  output \"gram\" = _6\n}\n");
    double linear[3][17][13];
    for (int b = 0; b < 3; b++)
        for (int n = 0; n < 17; n++) {
            double pair = 0;
            for (int c = 0; c < 300; c++)
                pair += value("x", (b * 17 + n) * 300 + c) * value("x", (b * 17 + 16 - n) * 300 + c);
            near_to(f.out[1][n * 3 + b], pair);
            for (int o = 0; o < 13; o++) {
                linear[b][n][o] = 0;
                for (int c = 0; c < 300; c++)
                    linear[b][n][o] += value("x", (b * 17 + n) * 300 + c) * value("w", o * 300 + c);
                near_to(f.out[0][(b * 17 + n) * 13 + o], linear[b][n][o]);
            }
            for (int m = 0; m < 17; m++) {
                double gram = 0;
                for (int c = 0; c < 300; c++)
                    gram += value("x", (b * 17 + n) * 300 + c) * value("x", (b * 17 + m) * 300 + c);
                near_to(f.out[4][(n * 17 + m) * 3 + b], gram);
            }
        }
    for (int b = 0; b < 3; b++) {
        double all = 0;
        for (int n = 0; n < 17; n++) for (int o = 0; o < 13; o++) all += linear[b][n][o] * linear[b][n][12 - o];
        near_to(f.out[3][b], all);
        for (int n = 0; n < 5; n++)
            for (int o = 0; o < 13; o++)
                near_to(f.out[2][(b * 5 + n) * 13 + o],
                        linear[b][n * 3][o] + linear[b][n * 3 + 1][o] + linear[b][n * 3 + 2][o]);
    }
    done(&f);
}

Test(reference, layer_norm_and_other_bodies) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[n=5 c=8] = input \"x\"\n"
                         "  _1 : f32[n=5] = mean over [c=8] _0[n, c]\n"
                         "  _2 : f32[n=5] = mean over [c=8] (_0[n, c] - _1[n])^2.0\n"
                         "  _3 : f32[n=5 c=8] = map (_0[n, c] - _1[n])*rsqrt(_2[n] + 1e-5)\n"
                         "  _4 : f32[] = sum over [n=5 c=8] _3[n, c]*_3[n, c]*0.5\n"
                         "  _5 : f32[n=5 c=8] = map where(c < 3, erf(_0[n, c]), float(n*2 - c) / 4.0)\n"
                         "  output \"y\" = _3\n  output \"e\" = _4\n  output \"w\" = _5\n}\n");
    double energy = 0;
    for (int n = 0; n < 5; n++) {
        double mean = 0, var = 0;
        for (int c = 0; c < 8; c++) mean += value("x", n * 8 + c) / 8;
        for (int c = 0; c < 8; c++) var += (value("x", n * 8 + c) - mean) * (value("x", n * 8 + c) - mean) / 8;
        for (int c = 0; c < 8; c++) {
            double y = (value("x", n * 8 + c) - mean) / sqrt(var + 1e-5);
            near_to(f.out[0][n * 8 + c], y);
            near_to(f.out[2][n * 8 + c], c < 3 ? erf(value("x", n * 8 + c)) : (n * 2 - c) / 4.0);
            energy += y * y * 0.5;
        }
    }
    near_to(f.out[1][0], energy);
    done(&f);
}

Test(reference, an_absent_branch_is_not_taken) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[w=6] = input \"x\"\n"
                         "  _1 : f32[w=6] partial = read _0 { w = w + 2 } border cut\n"
                         "  _2 : f32[w=6] partial = map where(w < 3, _1[w], 1.5)\n"
                         "  _3 : f32[w=6] partial = map where(w < 5, _1[w], 1.5)\n"
                         "  _4 : i32[] = count over [w=6] _2[w]\n"
                         "  _5 : i32[] = count over [w=6] _3[w]\n"
                         "  _6 : f32[] = sum over [w=6] _3[w]\n"
                         "  output \"a\" = _4\n  output \"b\" = _5\n  output \"s\" = _6\n}\n");
    near_to(f.out[0][0], 6);
    near_to(f.out[1][0], 5);                            /* w = 4 reads element 6 */
    near_to(f.out[2][0], value("x", 2) + value("x", 3) + value("x", 4) + value("x", 5) + 1.5);
    done(&f);
}

/* -- topk, scan --------------------------------------------------------------------------------------------------- */
Test(reference, topk_ties_go_to_the_lower_index_and_nan_comes_last) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[h=2 w=4] = const { 3.0 nan 1.0 3.0 3.0 -inf 2.0 1.0 }\n"
                         "  _1 : i32[top=8], _2 : i32[top=8], _3 : f32[top=8] = topk _0 over [h w] name top = 8\n"
                         "  _4 : i32[top=3], _5 : i32[top=3], _6 : f32[top=3] = topk _0 over [w h] name top = 3"
                         " ascending\n"
                         "  output \"h\" = _1\n  output \"w\" = _2\n  output \"v\" = _3\n  output \"w2\" = _4\n"
                         "  output \"h2\" = _5\n}\n");
    static const int h[8] = {0, 0, 1, 1, 0, 1, 1, 0}, w[8] = {0, 3, 0, 2, 2, 3, 1, 1};
    for (int i = 0; i < 8; i++) {
        near_to(f.out[0][i], h[i]);
        near_to(f.out[1][i], w[i]);
    }
    near_to(f.out[2][3], 2);
    cr_assert(isnan(f.out[2][7]));
    /* ascending, w major: -inf at (1,1); then 1 at (w=2,h=0), (w=3,h=1) */
    static const int w2[3] = {1, 2, 3}, h2[3] = {1, 0, 1};
    for (int i = 0; i < 3; i++) {
        near_to(f.out[3][i], w2[i]);
        near_to(f.out[4][i], h2[i]);
    }
    done(&f);
}

Test(reference, topk_results_index_without_a_border) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[b=3 n=7] = input \"s\"\n"
                         "  _1 : f32[b=3 n=7 c=2] = input \"x\"\n"
                         "  _2 : i32[b=3 top=2], _3 : f32[b=3 top=2] = topk _0 over [n] name top = 2\n"
                         "  _4 : f32[b=3 top=2 c=2] = read _1 { b = b, n = _2[b, top], c = c }\n"
                         "  output \"y\" = _4\n}\n");
    for (int b = 0; b < 3; b++) {
        int best = 0, second = -1;
        for (int n = 1; n < 7; n++) if (value("s", b * 7 + n) > value("s", b * 7 + best)) best = n;
        for (int n = 0; n < 7; n++)
            if (n != best && (second < 0 || value("s", b * 7 + n) > value("s", b * 7 + second))) second = n;
        for (int c = 0; c < 2; c++) {
            near_to(f.out[0][(b * 2 + 0) * 2 + c], value("x", (b * 7 + best) * 2 + c));
            near_to(f.out[0][(b * 2 + 1) * 2 + c], value("x", (b * 7 + second) * 2 + c));
        }
    }
    done(&f);
}

Test(reference, scan_prefix_sum_both_ways) {
    static const char *const text = "graph \"t\" {\n"
                                    "  _0 : f32[c=3 n=5] = input \"x\"\n"
                                    "  _1 : f32[c=3] = const { 1.0 2.0 3.0 }\n"
                                    "  _2 : f32[c=3] = placeholder \"sum\"\n"
                                    "  _3 : f32[c=3] = placeholder \"x at n\"\n"
                                    "  _4 : f32[c=3] = map _2[c] + _3[c]\n"
                                    "  _5 : f32[n=5 c=3], _6 : f32[c=3] = scan over [n=5]%s {\n"
                                    "    element _3 of _0\n    state _2 first _1 next _4\n    output _4\n  }\n"
                                    "  output \"y\" = _5\n  output \"last\" = _6\n}\n";
    for (int reverse = 0; reverse < 2; reverse++) {
        char t[1000];
        snprintf(t, sizeof t, text, reverse ? " reverse" : "");
        fixture f = run_text(t);
        for (int c = 0; c < 3; c++) {
            double s = c + 1;
            for (int i = 0; i < 5; i++) {
                int n = reverse ? 4 - i : i;
                s += value("x", c * 5 + n);
                near_to(f.out[0][n * 3 + c], s);
            }
            near_to(f.out[1][c], s);
        }
        done(&f);
    }
}

/* A scan inside a scan: the inner one starts from the outer state, and its rows are elements of the outer axis. */
Test(reference, scan_inside_a_scan) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[n=3 m=4] = input \"x\"\n  _1 : f32[] = map 0.5\n"
                         "  _2 : f32[] = placeholder \"outer\"\n  _3 : f32[m=4] = placeholder \"row\"\n"
                         "  _4 : f32[] = placeholder \"inner\"\n  _5 : f32[] = placeholder \"element\"\n"
                         "  _6 : f32[] = map _4[]*_2[] + _5[]\n"
                         "  _7 : f32[m=4], _8 : f32[] = scan over [m=4] {\n"
                         "    element _5 of _3\n    state _4 first _2 next _6\n    output _6\n  }\n"
                         "  _9 : f32[n=3 m=4], _10 : f32[] = scan over [n=3] {\n"
                         "    element _3 of _0\n    state _2 first _1 next _8\n    output _7\n  }\n"
                         "  output \"y\" = _9\n  output \"last\" = _10\n}\n");
    double outer = 0.5;
    for (int n = 0; n < 3; n++) {
        double inner = outer;
        for (int m = 0; m < 4; m++) {
            inner = inner * outer + value("x", n * 4 + m);
            near_to(f.out[0][n * 4 + m], inner);
        }
        outer = inner;
    }
    near_to(f.out[1][0], outer);
    done(&f);
}

/* A read inside a body: its own fill, an index that may be absent, and what a partial source leaves out. */
Test(reference, reads_inside_bodies) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[n=6] = input \"x\"\n"
                         "  _1 : f32[n=6] = map _0[n + 2]?-1.5\n"
                         "  _2 : f32[n=6] partial = map _0[exact(n, 2)]\n"
                         "  _3 : f32[n=6] = map _0[exact(n, 2)] otherwise 9.0\n"
                         "  _4 : i32[] = count over [n=6] _2[5 - n]\n"
                         "  _5 : f32[n=6] partial = map _2[n + 1]?4.0\n"
                         "  _6 : f32[n=6] = map _5[n] otherwise 8.0\n"
                         "  output \"fill\" = _1\n  output \"exact\" = _3\n"
                         "  output \"count\" = _4\n  output \"both\" = _6\n}\n");
    for (int n = 0; n < 6; n++) {
        near_to(f.out[0][n], n < 4 ? value("x", n + 2) : -1.5);
        near_to(f.out[1][n], n % 2 ? 9 : value("x", n / 2));
        near_to(f.out[3][n], n == 5 ? 4 : (n + 1) % 2 ? 8 : value("x", (n + 1) / 2));
    }
    near_to(f.out[2][0], 3);
    done(&f);
}

/* Two states that trade places, no element, and an attend inside the body whose query is the state. */
Test(reference, scan_with_two_states_and_an_attend_inside) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[d=2] = input \"a\"\n  _1 : f32[d=2] = input \"b\"\n"
                         "  _2 : f32[m=3 d=2] = input \"k\"\n"
                         "  _3 : f32[d=2] = placeholder \"s\"\n  _4 : f32[d=2] = placeholder \"t\"\n"
                         "  _5 : f32[m=3] = placeholder \"raw\"\n"
                         "  _6 : f32[m=3] = map _5[m] + _4[0]\n"
                         "  _7 : f32[d=2] = attend q _3 dot [d=2] {\n"
                         "    set over [m=3] k _2 v _2 raw _5 score _6\n  }\n"
                         "  _8 : f32[p=4 d=2], _9 : f32[d=2], _10 : f32[d=2] = scan over [p=4] {\n"
                         "    state _3 first _0 next _7\n    state _4 first _1 next _3\n    output _7\n  }\n"
                         "  output \"y\" = _8\n  output \"s\" = _9\n  output \"t\" = _10\n}\n");
    double s[2] = {value("a", 0), value("a", 1)}, t[2] = {value("b", 0), value("b", 1)};
    for (int p = 0; p < 4; p++) {
        double o[2] = {0};
        for (int m = 0; m < 3; m++) {
            double w = s[0] * value("k", m * 2) + s[1] * value("k", m * 2 + 1) + t[0];
            for (int d = 0; d < 2; d++) o[d] += w * value("k", m * 2 + d);
        }
        for (int d = 0; d < 2; d++) {
            near_to(f.out[0][p * 2 + d], o[d]);
            t[d] = s[d];
            s[d] = o[d];
        }
    }
    for (int d = 0; d < 2; d++) {
        near_to(f.out[1][d], s[d]);
        near_to(f.out[2][d], t[d]);
    }
    done(&f);
}

static bool bad_source(void *user, const fv_node *leaf, double *out, int64_t count) {
    (void)user;
    (void)leaf;
    for (int64_t i = 0; i < count; i++) out[i] = (double)i;
    return true;
}
/* -- What the caller may get wrong -------------------------------------------------------------------------------- */
Test(reference, an_index_input_out_of_range_is_refused) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parse_text(ctx, "graph \"t\" {\n  _0 : i32[m=6] = input \"big\" in 0 to 3 stored \"m\"\n"
                                  "  _1 : i32[m=6] = map _0[m]*2\n"
                                  "  output \"y\" = _1\n}\n");
    double *out[1];
    cr_assert(!fv_reference_run(g, (fv_str){0}, bad_source, ctx, out, NULL, NULL));
    cr_assert_eq(fv_diag_at(ctx, 0)->code, FV_E_INPUT);
    fv_ctx_dispose(ctx);
}

Test(reference, an_entry_runs_what_it_needs_and_no_more) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parse_text(ctx, "graph \"t\" {\n  _0 : f32[m=2] = input \"x\"\n  _1 : f32[m=2] = input \"missing\"\n"
                                  "  _2 : f32[m=2] = map _0[m]*2.0\n  output \"y\" of \"step\" = _2\n"
                                  "  output \"y\" of \"other\" = _1\n}\n");
    double *out[2];
    cr_assert(fv_reference_run(g, fv_intern(ctx, "step"), source, ctx, out, NULL, NULL));
    near_to(out[0][1], value("x", 1) * 2);
    cr_assert_null(out[1]);
    free(out[0]);
    cr_assert(!fv_reference_run(g, fv_intern(ctx, "other"), source, ctx, out, NULL, NULL));
    cr_assert(!fv_reference_run(g, fv_intern(ctx, "nothing"), source, ctx, out, NULL, NULL));
    fv_ctx_dispose(ctx);
}
