/* attend in the reference against positional loops: existence, empty rows, infinities, several sets and scores, steps,
 * weights, roles of axes. */
#include "reference_fixture.h"

enum { N = 7, M = 9, D = 4, E = 3 };
static double dot(const char *q, int64_t at_q, const char *k, int64_t at_k, int d) {
    double s = 0;
    for (int i = 0; i < d; i++) s += value(q, at_q + i) * value(k, at_k + i);
    return s;
}
#define QKV "  _0 : f32[n=7 d=4] = input \"q\"\n  _1 : f32[m=9 d=4] = input \"k\"\n" \
    "  _2 : f32[m=9 e=3] = input \"v\"\n" \
            "  _3 : f32[n=7 m=9] = placeholder \"raw\"\n"

/* softmax over what `keep` keeps of one row, times v */
static void row(const double *score, const bool *keep, int n, const char *v, double *out, double *lse) {
    double max = -INFINITY, sum = 0;
    for (int m = 0; m < n; m++) if (keep[m] && score[m] > max) max = score[m];
    for (int m = 0; m < n; m++) if (keep[m]) sum += exp(score[m] - max);
    for (int e = 0; e < E; e++) {
        out[e] = 0;
        for (int m = 0; m < n; m++) if (keep[m]) out[e] += exp(score[m] - max) / sum * value(v, m * E + e);
    }
    *lse = sum == 0 ? -INFINITY : max + log(sum);
}

Test(reference_attend, dense_with_scale_and_bias) {
    fixture f = run_text("graph \"t\" {\n" QKV "  _4 : f32[m=9 n=7] = input \"bias\"\n"
                         "  _5 : f32[n=7 m=9] = map _3[n, m]*0.5 + _4[m, n]\n"
                         "  _6 : f32[n=7 e=3], _7 : f32[n=7] = attend q _0 dot [d=4] lse {\n"
                         "    set over [m=9] k _1 v _2 raw _3 score _5\n    softmax\n  }\n"
                         "  output \"o\" = _6\n  output \"lse\" = _7\n}\n");
    bool keep[M];
    memset(keep, 1, sizeof keep);
    for (int n = 0; n < N; n++) {
        double s[M], out[E], lse;
        for (int m = 0; m < M; m++) s[m] = dot("q", n * D, "k", m * D, D) * 0.5 + value("bias", m * N + n);
        row(s, keep, M, "v", out, &lse);
        for (int e = 0; e < E; e++) near_to(f.out[0][n * E + e], out[e]);
        near_to(f.out[1][n], lse);
    }
    done(&f);
}

/* v of the masked key 8 is infinite and NaN: gone with its pair. Row 0 keeps no key. */
static bool with_infinities(void *user, const fv_node *leaf, double *out, int64_t count) {
    if (!source(user, leaf, out, count)) return false;
    if (strcmp(fv_cstr(user, leaf->u.leaf.name), "v")) return true;
    out[8 * E] = INFINITY;
    out[8 * E + 1] = NAN;
    out[8 * E + 2] = -INFINITY;
    return true;
}
Test(reference_attend, causal_with_infinite_values_that_are_masked_and_an_empty_row) {
    fixture f = run_text_with("graph \"t\" {\n" QKV "  _4 : bool[n=7 m=9] = map m < n\n"
                              "  _5 : f32[n=7 e=3], _6 : f32[n=7] = attend q _0 dot [d=4] lse {\n"
                              "    set over [m=9] k _1 v _2 only _4 raw _3 score _3\n    softmax\n  }\n"
                              "  output \"o\" = _5\n  output \"lse\" = _6\n}\n", with_infinities);
    for (int n = 0; n < N; n++) {
        double s[M], out[E], lse;
        bool keep[M];
        for (int m = 0; m < M; m++) {
            keep[m] = m < n;
            s[m] = dot("q", n * D, "k", m * D, D);
        }
        row(s, keep, M, "v", out, &lse);
        for (int e = 0; e < E; e++) near_to(f.out[0][n * E + e], n ? out[e] : 0);
        near_to(f.out[1][n], lse);
    }
    done(&f);
}
/* A pair of score -inf exists: its infinite v makes NaN; with every score -inf the row is empty. */
Test(reference_attend, a_score_of_minus_infinity_keeps_its_pair) {
    fixture f = run_text_with("graph \"t\" {\n" QKV
                              "  _4 : f32[n=7 m=9] = map where(n == 3, -inf, where(m == 8, -inf, _3[n, m]))\n"
                              "  _5 : f32[n=7 e=3], _6 : f32[n=7] = attend q _0 dot [d=4] lse {\n"
                              "    set over [m=9] k _1 v _2 raw _3 score _4\n    softmax\n  }\n"
                              "  output \"o\" = _5\n  output \"lse\" = _6\n}\n", with_infinities);
    for (int e = 0; e < E; e++) cr_assert(isnan(f.out[0][e]));
    near_to(f.out[1][3], -INFINITY);
    done(&f);
}
Test(reference_attend, nan_in_a_score_propagates_along_its_row_only) {
    fixture f = run_text("graph \"t\" {\n" QKV "  _4 : f32[n=7 m=9] = map where(n == 2 and m == 5, nan, _3[n, m])\n"
                         "  _5 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n"
                         "    set over [m=9] k _1 v _2 raw _3 score _4\n    softmax\n  }\n"
                         "  output \"o\" = _5\n}\n");
    for (int n = 0; n < N; n++) for (int e = 0; e < E; e++) cr_assert_eq(isnan(f.out[0][n * E + e]), n == 2);
    done(&f);
}

Test(reference_attend, two_sets_share_one_softmax_and_the_first_has_a_weight) {
    fixture f = run_text("graph \"t\" {\n" QKV
                         "  _4 : f32[n=7 u=2 d=4] = input \"kw\"\n  _5 : f32[n=7 u=2 e=3] = input \"vw\"\n"
                         "  _6 : f32[n=7 u=2] = placeholder \"raw\"\n"
                         "  _7 : f32[u=2] = input \"extra\"\n"
                         "  _8 : f32[n=7 u=2] = map _6[n, u] + 0.25\n"
                         "  _9 : f32[n=7 u=2] = placeholder \"p\"\n"
                         "  _10 : f32[n=7 u=2] = map _9[n, u] + _7[u]\n"
                         "  _11 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n"
                         "    set over [u=2] k _4 v _5 raw _6 score _8 p _9 weight _10\n"
                         "    set over [m=9] k _1 v _2 raw _3 score _3\n    softmax\n  }\n"
                         "  output \"o\" = _11\n}\n");
    for (int n = 0; n < N; n++) {
        double s[2 + M], sum = 0;
        for (int u = 0; u < 2; u++) s[u] = exp(dot("q", n * D, "kw", (n * 2 + u) * D, D) + 0.25);
        for (int m = 0; m < M; m++) s[2 + m] = exp(dot("q", n * D, "k", m * D, D));
        for (int i = 0; i < 2 + M; i++) sum += s[i];
        for (int e = 0; e < E; e++) {
            double o = 0;
            for (int u = 0; u < 2; u++) o += (s[u] / sum + value("extra", u)) * value("vw", (n * 2 + u) * E + e);
            for (int m = 0; m < M; m++) o += s[2 + m] / sum * value("v", m * E + e);
            near_to(f.out[0][n * E + e], o);
        }
    }
    done(&f);
}

/* head = (g, member): k and v lack member; v uses the name d again with another extent; k reads with a cut border. */
Test(reference_attend, grouped_queries_a_cut_window_and_a_wider_value) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[g=2 member=3 n=7 d=4] = input \"q\"\n  _1 : f32[g=2 n=7 d=4] = input \"k\"\n"
                         "  _2 : f32[g=2 n=7 d=6] = input \"v\"\n"
                         "  _3 : f32[g=2 n=7 u=3 d=4] partial = read _1 { g = g, n = n + u - 1, d = d } border cut\n"
                         "  _4 : f32[g=2 n=7 u=3 d=6] partial = read _2 { g = g, n = n + u - 1, d = d } border cut\n"
                         "  _5 : f32[g=2 member=3 n=7 u=3] = placeholder \"raw\"\n"
                         "  _6 : f32[g=2 member=3 n=7 d=6] = attend q _0 dot [d=4] {\n"
                         "    set over [u=3] k _3 v _4 raw _5 score _5\n    softmax\n  }\n"
                         "  output \"o\" = _6\n}\n");
    for (int h = 0; h < 6; h++)
        for (int n = 0; n < 7; n++) {
            double s[3] = {0}, sum = 0;
            for (int u = 0; u < 3; u++) {
                int m = n + u - 1;
                if (m < 0 || m > 6) continue;
                s[u] = exp(dot("q", (h * 7 + n) * 4, "k", (h / 3 * 7 + m) * 4, 4));
                sum += s[u];
            }
            for (int e = 0; e < 6; e++) {
                double o = 0;
                for (int u = 0; u < 3; u++)
                    if (s[u] != 0) o += s[u] / sum * value("v", (h / 3 * 7 + n + u - 1) * 6 + e);
                near_to(f.out[0][(h * 7 + n) * 6 + e], o);
            }
        }
    done(&f);
}

Test(reference_attend, a_sink_takes_its_share_and_gives_nothing) {
    fixture f = run_text("graph \"t\" {\n" QKV "  _4 : f32[] = param \"sink\"\n"
                         "  _5 : f32[n=7 e=3], _6 : f32[n=7] = attend q _0 dot [d=4] lse {\n"
                         "    set over [m=9] k _1 v _2 raw _3 score _3\n    set over [] s _4 v 0.0 score _4\n"
                         "    softmax\n  }\n"
                         "  output \"o\" = _5\n  output \"lse\" = _6\n}\n");
    for (int n = 0; n < N; n++) {
        double s[M], sum = exp(value("sink", 0));
        for (int m = 0; m < M; m++) sum += s[m] = exp(dot("q", n * D, "k", m * D, D));
        for (int e = 0; e < E; e++) {
            double o = 0;
            for (int m = 0; m < M; m++) o += s[m] / sum * value("v", m * E + e);
            near_to(f.out[0][n * E + e], o);
        }
        near_to(f.out[1][n], log(sum));
    }
    done(&f);
}

/* Reversed attention: softmax over the queries, then a quotient over the keys. */
Test(reference_attend, steps_over_query_axes_and_ratios) {
    fixture f = run_text("graph \"t\" {\n" QKV
                         "  _4 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n    set over [m=9] k _1 v _2 raw _3 score _3\n"
                         "    softmax over [n]\n    ratio eps 0.125\n  }\n"
                         "  _5 : f32[n=7 m=9] = placeholder \"raw\"\n"
                         "  _6 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n"
                         "    set over [m=9] k _1 v _2 raw _5 score _5\n    ratio floor 1.5\n  }\n"
                         "  output \"a\" = _4\n  output \"b\" = _6\n}\n");
    double p[N][M], s[N][M];
    for (int m = 0; m < M; m++) {
        double sum = 0;
        for (int n = 0; n < N; n++) sum += p[n][m] = exp(s[n][m] = dot("q", n * D, "k", m * D, D));
        for (int n = 0; n < N; n++) p[n][m] /= sum;
    }
    for (int n = 0; n < N; n++) {
        double sum = 0, plain = 0;
        for (int m = 0; m < M; m++) { sum += p[n][m]; plain += s[n][m]; }
        for (int e = 0; e < E; e++) {
            double a = 0, b = 0;
            for (int m = 0; m < M; m++) {
                a += p[n][m] / (sum + 0.125) * value("v", m * E + e);
                b += s[n][m] / (plain > 1.5 ? plain : 1.5) * value("v", m * E + e);
            }
            near_to(f.out[0][n * E + e], a);
            near_to(f.out[1][n * E + e], b);
        }
    }
    done(&f);
}

/* ConViT: two scores with their own softmax, mixed afterwards. */
Test(reference_attend, two_scores_and_a_mixture) {
    fixture f = run_text("graph \"t\" {\n" QKV "  _4 : f32[n=7 m=9] = input \"pos\"\n"
                         "  _5 : f32[n=7 m=9] = placeholder \"p\"\n  _6 : f32[n=7 m=9] = placeholder \"p\"\n"
                         "  _7 : f32[n=7 m=9] = map _5[n, m]*0.75 + _6[n, m]*0.25\n"
                         "  _8 : f32[n=7 e=3], _9 : f32[n=7], _10 : f32[n=7] = attend q _0 dot [d=4] lse {\n"
                         "    set over [m=9] k _1 v _2 raw _3 score _3, _4 p _5, _6 weight _7\n    softmax\n  }\n"
                         "  output \"o\" = _8\n  output \"l\" = _10\n}\n");
    for (int n = 0; n < N; n++) {
        double a[M], b[M], sa = 0, sb = 0;
        for (int m = 0; m < M; m++) {
            sa += a[m] = exp(dot("q", n * D, "k", m * D, D));
            sb += b[m] = exp(value("pos", n * M + m));
        }
        for (int e = 0; e < E; e++) {
            double o = 0;
            for (int m = 0; m < M; m++) o += (0.75 * a[m] / sa + 0.25 * b[m] / sb) * value("v", m * E + e);
            near_to(f.out[0][n * E + e], o);
        }
        near_to(f.out[1][n], log(sb));
    }
    done(&f);
}

/* Given logits, and the value of every cell read through a stride-2 window with zeros beyond the edge (VOLO). */
Test(reference_attend, given_logits_over_padded_cells) {
    fixture f = run_text("graph \"t\" {\n"
                         "  _0 : f32[cell=4 i=3 j=3] = input \"s\"\n  _1 : f32[h=7 e=3] = input \"v\"\n"
                         "  _2 : f32[cell=4 j=3 e=3] = read _1 { h = cell*2 + j - 1, e = e } border 0.0\n"
                         "  _3 : f32[cell=4 i=3 e=3] = attend {\n    set over [j=3] s _0 v _2 score _0\n"
                         "    softmax\n  }\n"
                         "  output \"o\" = _3\n}\n");
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 3; i++) {
            double s[3], sum = 0;
            for (int j = 0; j < 3; j++) sum += s[j] = exp(value("s", (c * 3 + i) * 3 + j));
            for (int e = 0; e < E; e++) {
                double o = 0;
                for (int j = 0; j < 3; j++) {
                    int h = c * 2 + j - 1;
                    if (h >= 0 && h < 7) o += s[j] / sum * value("v", h * E + e);
                }
                near_to(f.out[0][(c * 3 + i) * E + e], o);
            }
        }
    done(&f);
}

/* No step: linear attention; and no key axis: one key, weighted by its score alone. */
Test(reference_attend, no_steps_and_no_over) {
    fixture f = run_text("graph \"t\" {\n" QKV
                         "  _4 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n"
                         "    set over [m=9] k _1 v _2 raw _3 score _3\n  }\n"
                         "  _5 : f32[n=7 d=4] = input \"one\"\n  _6 : f32[n=7] = placeholder \"raw\"\n"
                         "  _7 : f32[n=7 d=4] = attend q _0 dot [d=4] {\n"
                         "    set over [] k _5 v _0 raw _6 score _6\n  }\n"
                         "  output \"o\" = _4\n  output \"p\" = _7\n}\n");
    for (int n = 0; n < N; n++) {
        for (int e = 0; e < E; e++) {
            double o = 0;
            for (int m = 0; m < M; m++) o += dot("q", n * D, "k", m * D, D) * value("v", m * E + e);
            near_to(f.out[0][n * E + e], o);
        }
        for (int d = 0; d < D; d++)
            near_to(f.out[1][n * D + d], dot("q", n * D, "one", n * D, D) * value("q", n * D + d));
    }
    done(&f);
}

/* DaViT: attention between channels, dot over the tokens; one pair of names serves both roles. */
Test(reference_attend, channel_attention) {
    fixture f = run_text("graph \"t\" {\n  _0 : f32[h=3 w=2 d=5] = input \"q\"\n"
                         "  _1 : f32[h=3 w=2 d=5] = input \"k\"\n  _2 : f32[h=3 w=2 d=5] = input \"v\"\n"
                         "  _3 : f32[h=3 w=2 d'=5] = read _0 { h = h, w = w, d = d' }\n"
                         "  _4 : f32[h=3 w=2 d'=5] = read _2 { h = h, w = w, d = d' }\n"
                         "  _5 : f32[d=5 d'=5] = placeholder \"raw\"\n"
                         "  _6 : f32[d=5 h=3 w=2] = attend q _1 dot [h=3 w=2] {\n"
                         "    set over [d'=5] k _3 v _4 raw _5 score _5\n    softmax\n  }\n"
                         "  output \"o\" = _6\n}\n");
    for (int d = 0; d < 5; d++) {
        double s[5] = {0}, sum = 0;
        for (int k = 0; k < 5; k++) {
            for (int t = 0; t < 6; t++) s[k] += value("k", t * 5 + d) * value("q", t * 5 + k);
            sum += s[k] = exp(s[k]);
        }
        for (int t = 0; t < 6; t++) {
            double o = 0;
            for (int k = 0; k < 5; k++) o += s[k] / sum * value("v", t * 5 + k);
            near_to(f.out[0][d * 6 + t], o);
        }
    }
    done(&f);
}

/* An element of v alone is enough to remove its pair, and so is one of k. */
Test(reference_attend, an_absent_value_or_key_removes_the_pair) {
    fixture f = run_text("graph \"t\" {\n" QKV
                         "  _4 : f32[n=7 m=9 e=3] partial = read _2 { m = m + n - 3, e = e } border cut\n"
                         "  _5 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n"
                         "    set over [m=9] k _1 v _4 raw _3 score _3\n    softmax\n  }\n"
                         "  _6 : f32[n=7 m=9 d=4] partial = read _1 { m = m - n, d = d } border cut\n"
                         "  _7 : f32[n=7 m=9] = placeholder \"raw\"\n"
                         "  _8 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n"
                         "    set over [m=9] k _6 v _2 raw _7 score _7\n    softmax\n  }\n"
                         "  output \"v\" = _5\n  output \"k\" = _8\n}\n");
    for (int n = 0; n < N; n++) {
        double s[2][M] = {{0}}, sum[2] = {0};
        for (int m = 0; m < M; m++) {
            if (m + n - 3 >= 0 && m + n - 3 < M) sum[0] += s[0][m] = exp(dot("q", n * D, "k", m * D, D));
            if (m >= n) sum[1] += s[1][m] = exp(dot("q", n * D, "k", (m - n) * D, D));
        }
        for (int e = 0; e < E; e++) {
            double a = 0, b = 0;
            for (int m = 0; m < M; m++) {
                if (s[0][m] != 0) a += s[0][m] / sum[0] * value("v", (m + n - 3) * E + e);
                b += s[1][m] / sum[1] * value("v", m * E + e);
            }
            near_to(f.out[0][n * E + e], a);
            near_to(f.out[1][n * E + e], b);
        }
    }
    done(&f);
}

/* An absent score removes its pair, as an absent operand does. */
Test(reference_attend, an_absent_bias_removes_the_pair) {
    fixture f = run_text("graph \"t\" {\n" QKV "  _4 : f32[m=9] = input \"bias\"\n"
                         "  _5 : f32[n=7 m=9] partial = read _4 { m = m + n - 3 } border cut\n"
                         "  _6 : f32[n=7 m=9] partial = map _3[n, m] + _5[n, m]\n"
                         "  _7 : f32[n=7 e=3] = attend q _0 dot [d=4] {\n"
                         "    set over [m=9] k _1 v _2 raw _3 score _6\n    softmax\n  }\n"
                         "  output \"o\" = _7\n}\n");
    for (int n = 0; n < N; n++) {
        double s[M], out[E], lse;
        bool keep[M];
        for (int m = 0; m < M; m++) {
            keep[m] = m + n - 3 >= 0 && m + n - 3 < M;
            s[m] = dot("q", n * D, "k", m * D, D) + (keep[m] ? value("bias", m + n - 3) : 0);
        }
        row(s, keep, M, "v", out, &lse);
        for (int e = 0; e < E; e++) near_to(f.out[0][n * E + e], out[e]);
    }
    done(&f);
}
