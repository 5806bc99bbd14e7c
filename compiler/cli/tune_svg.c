/* Pictures of a report: the search of one kernel, and all kernels under the roofs of this machine. */
#include "cli/tune_report.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 720, HEIGHT = 280, LEFT = 64, RIGHT = 16, TOP = 16, BOTTOM = 40, BAND = 24 };

/* A picture's scale: logarithmic where said; from lo..hi to the pixels a..b. */
typedef struct {
    double lo, hi, a, b;
    bool log;
} scale;
static double place(const scale *s, double v) {
    double lo = s->lo, hi = s->hi;
    if (s->log) {
        v = log2(v);
        lo = log2(lo);
        hi = log2(hi);
    }
    double t = hi > lo ? (v - lo) / (hi - lo) : 0.5;
    return s->a + (s->b - s->a) * (t < 0 ? 0 : t > 1 ? 1 : t);
}
void cli_tune_escape(fv_buf *out, const char *text) {
    for (; *text; text++) {
        const char *with = *text == '<'   ? "&lt;"
                           : *text == '>' ? "&gt;"
                           : *text == '&' ? "&amp;"
                           : *text == '"' ? "&quot;"
                                          : NULL;
        if (with) fv_buf_puts(out, with);
        else fv_buf_putn(out, text, 1);
    }
}
static void begin(fv_buf *b, const char *class) {
    fv_buf_printf(
        b,
        "<svg class=\"%s\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
        "font-size=\"11\">\n",
        class, WIDTH, HEIGHT);
}
static void line(fv_buf *b, double x0, double y0, double x1, double y1, const char *style) {
    fv_buf_printf(b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x0, y0, x1, y1, style);
}
static void label(fv_buf *b, double x, double y, const char *anchor, const char *text) {
    fv_buf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"#444\">", x, y, anchor);
    cli_tune_escape(b, text);
    fv_buf_puts(b, "</text>\n");
}
/* Lines at powers of two, no more than eight of them. */
static void rulers(fv_buf *b, const scale *s, bool vertical) {
    int lo = (int)ceil(log2(s->lo) - 1e-9), hi = (int)floor(log2(s->hi) + 1e-9), step = 1;
    while ((hi - lo) / step > 7) step++;
    for (int e = lo; e <= hi; e += step) {
        char text[32];
        double at = place(s, exp2(e));
        snprintf(text, sizeof text, "%g", exp2(e));
        if (vertical) line(b, at, TOP, at, HEIGHT - BOTTOM, "stroke=\"#e4e6e8\"");
        else line(b, LEFT, at, WIDTH - RIGHT, at, "stroke=\"#e4e6e8\"");
        if (vertical) label(b, at, HEIGHT - BOTTOM + 14, "middle", text);
        else label(b, LEFT - 6, at + 4, "end", text);
    }
}

/* -- The search ---- */
static bool correct(const fv_tune_record *r) { return !strcmp(r->status, "correct"); }
static void candidate(fv_buf *b, const fv_tune_record *r, int i, bool wins, double x, double y) {
    if (correct(r))
        fv_buf_printf(b, "<circle class=\"tried\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"%s\" data-ratio=\"%.4f\">", x,
                      y, wins ? "6" : "3.5", wins ? "#1a7f37" : "#1f5c99", r->ratio);
    else
        fv_buf_printf(b,
                      "<path class=\"failed\" d=\"M%.1f %.1fl6 6m0 -6l-6 6\" stroke=\"#d6452d\" stroke-width=\"1.5\" "
                      "fill=\"none\">",
                      x - 3, y - 3);
    fv_buf_printf(b, "<title>%d: ", i + 1);
    cli_tune_escape(b, *r->schedule ? r->schedule : "(default)");
    fv_buf_printf(b, "\n%s", r->status);
    if (correct(r)) fv_buf_printf(b, ", %.3f us, %.4f of the default", 1e6 * r->seconds, r->ratio);
    if (*r->reason) fv_buf_puts(b, ": ");
    cli_tune_escape(b, r->reason);
    fv_buf_printf(b, "</title>%s\n", correct(r) ? "</circle>" : "</path>");
}
void cli_tune_svg_search(const cli_tune_kernel *k, fv_buf *b) {
    scale x = {1, k->n > 1 ? k->n : 2, LEFT + 8, WIDTH - RIGHT - 8, false};
    scale y = {1, 1, HEIGHT - BOTTOM - BAND, TOP + 4, true};
    for (int i = 0; i < k->n; i++) {
        double r = k->record[i].ratio;
        if (!correct(&k->record[i])) continue;
        y.lo = r < y.lo ? r : y.lo;
        y.hi = r > y.hi ? r : y.hi;
    }
    y.lo /= 1.1;
    y.hi = y.hi > 8 ? 8 : y.hi * 1.1; /* the slowest stand at the edge */
    begin(b, "search");
    rulers(b, &y, false);
    line(b, LEFT, place(&y, 1), WIDTH - RIGHT, place(&y, 1), "stroke=\"#888\" stroke-dasharray=\"4 3\"");
    label(b, WIDTH - RIGHT, place(&y, 1) - 4, "end", "the default");
    label(b, LEFT - 6, HEIGHT - BOTTOM - BAND / 2 + 10, "end", "failed");
    label(b, (LEFT + WIDTH) / 2, HEIGHT - 8, "middle",
          "candidates in the order of their measuring; time as a fraction of the default's (log)");
    /* What was the fastest so far. */
    double best = 1;
    fv_buf_printf(b, "<path d=\"M%.1f %.1f", place(&x, 1), place(&y, 1));
    for (int i = 0; i < k->n; i++) {
        const fv_tune_record *r = &k->record[i];
        if (!correct(r) || r->ratio >= best) continue;
        fv_buf_printf(b, "H%.1fV%.1f", place(&x, i + 1), place(&y, r->ratio));
        best = r->ratio;
    }
    fv_buf_printf(b, "H%.1f\" fill=\"none\" stroke=\"#1a7f37\" stroke-width=\"1.5\"/>\n", place(&x, k->n));
    for (int i = 0; i < k->n; i++) {
        const fv_tune_record *r = &k->record[i];
        candidate(b, r, i, i == k->winner, place(&x, i + 1),
                  correct(r) ? place(&y, r->ratio) : HEIGHT - BOTTOM - BAND / 2 + 6);
    }
    fv_buf_puts(b, "</svg>\n");
}

/* -- The roofs ---- */
typedef struct {
    double intensity, before, after; /* flop/byte, GFLOP/s; 0: not measured */
} point;
static bool point_of(const cli_tune_kernel *k, point *p) {
    const fv_tune_record *w = k->winner < 0 ? NULL : &k->record[k->winner];
    if (k->flops <= 0 || k->plain_cost.bytes <= 0 || k->plain_seconds <= 0) return false;
    *p = (point){k->flops / k->plain_cost.bytes, 1e-9 * k->flops / k->plain_seconds,
                 w && w->seconds > 0 ? 1e-9 * k->flops / w->seconds : 0};
    return true;
}
static void widen(scale *s, double v) {
    if (v > 0 && v < s->lo) s->lo = v;
    if (v > 0 && v > s->hi) s->hi = v;
}
/* The slope of a level, up to the peak. */
static void slope(fv_buf *b, const scale *x, const scale *y, double rate, double peak, const char *name) {
    if (rate <= 0) return;
    double from = y->lo / rate > x->lo ? y->lo / rate : x->lo, to = peak / rate < x->hi ? peak / rate : x->hi;
    if (from >= to) return;
    line(b, place(x, from), place(y, from * rate), place(x, to), place(y, to * rate), "stroke=\"#888\"");
    label(b, place(x, from) + 4, place(y, from * rate) - 4, "start", name);
}
void cli_tune_svg_roofs(const cli_tune_report *r, fv_buf *b) {
    int threads = r->place.threads > 0 ? r->place.threads : 1;
    double peak = r->rates.fma * threads;
    static const char *const level[] = {"", "L1", "L2", "L3", "memory"};
    scale x = {1, 16, LEFT, WIDTH - RIGHT, true}, y = {peak / 4, peak * 1.5, HEIGHT - BOTTOM, TOP, true};
    point p;
    for (int i = 0; i < r->n; i++) {
        if (!point_of(&r->kernel[i], &p)) continue;
        widen(&x, p.intensity / 1.5);
        widen(&x, p.intensity * 1.5);
        widen(&y, p.before / 1.5);
        widen(&y, p.after / 1.5);
    }
    begin(b, "roofs");
    rulers(b, &x, true);
    rulers(b, &y, false);
    line(b, LEFT, place(&y, peak), WIDTH - RIGHT, place(&y, peak), "stroke=\"#888\"");
    label(b, WIDTH - RIGHT, place(&y, peak) - 4, "end", "multiply-adds of all threads");
    for (int i = 1; i <= 4; i++) slope(b, &x, &y, r->rates.read[i] * (i < 3 ? threads : 1), peak, level[i]);
    for (int i = 0; i < r->n; i++) {
        const cli_tune_kernel *k = &r->kernel[i];
        if (!point_of(k, &p)) continue;
        double at = place(&x, p.intensity);
        if (p.after > 0) line(b, at, place(&y, p.before), at, place(&y, p.after), "stroke=\"#1a7f37\"");
        fv_buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#fff\" stroke=\"#1f5c99\"><title>", at,
                      place(&y, p.before));
        cli_tune_escape(b, k->name);
        fv_buf_printf(b, ", by default: %.1f GFLOP/s at %.2f flop/byte</title></circle>\n", p.before, p.intensity);
        if (p.after <= 0) continue;
        fv_buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#1a7f37\"><title>", at, place(&y, p.after));
        cli_tune_escape(b, k->name);
        fv_buf_printf(b, ", tuned: %.1f GFLOP/s</title></circle>\n", p.after);
    }
    label(b, (LEFT + WIDTH) / 2, HEIGHT - 8, "middle",
          "useful operations per compulsory byte; GFLOP/s. Hollow: by default, filled: tuned");
    fv_buf_puts(b, "</svg>\n");
}
