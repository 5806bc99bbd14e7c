/* The report of tuning as one page that loads nothing: tables and pictures, readable without scripts. */
#include "cli/tune_report.h"

#include <string.h>

static const char *const style =
    "body{font:14px/1.45 sans-serif;margin:2em auto;max-width:76em;padding:0 1em;color:#1b1f24}"
    "table{border-collapse:collapse;margin:.8em 0;font-size:13px}"
    "th,td{padding:.2em .6em;border-bottom:1px solid #e4e6e8;text-align:left;vertical-align:top}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "code{font-size:12px;overflow-wrap:anywhere}svg.search,svg.roofs{width:100%;max-width:720px}"
    "figure{display:inline-block;width:20em;margin:.5em 1em .5em 0;vertical-align:top}figure svg{width:100%}"
    "figcaption{font-size:12px;color:#555;overflow-wrap:anywhere}tr.wins td{background:#e6f4ea}"
    "summary{cursor:pointer;color:#1f5c99}.dim{color:#667}";

static void put(fv_buf *b, const char *before, const char *text, const char *after) {
    fv_buf_puts(b, before);
    cli_tune_escape(b, text);
    fv_buf_puts(b, after);
}
static void number(fv_buf *b, const char *class, const char *format, double v, bool known) {
    char text[32] = "";
    if (known) snprintf(text, sizeof text, format, v);
    fv_buf_printf(b, "<td class=\"n %s\">%s</td>", class, text);
}
static const fv_tune_record *winner(const cli_tune_kernel *k) { return k->winner < 0 ? NULL : &k->record[k->winner]; }

/* -- All kernels ---- */
static void overview(const cli_tune_report *r, fv_buf *b) {
    fv_buf_puts(b, "<table id=\"kernels\"><tr><th>kernel</th><th>from</th><th class=\"n\">launches</th>"
                   "<th class=\"n\">tried</th><th class=\"n\">default us</th><th class=\"n\">tuned us</th>"
                   "<th class=\"n\">ratio</th><th class=\"n\">GFLOP/s</th><th class=\"n\">roof</th>"
                   "<th class=\"n\">model us</th><th>bound</th></tr>\n");
    for (int i = 0; i < r->n; i++) {
        const cli_tune_kernel *k = &r->kernel[i];
        const fv_tune_record *w = winner(k);
        const cli_cost *c = w && k->tuned_cost.counted ? &k->tuned_cost : &k->plain_cost;
        double seconds = w ? w->seconds : k->plain_seconds, roof = cli_tune_roof(r, k);
        fv_buf_printf(b, "<tr><td><a href=\"#k%d\">", i);
        put(b, "", k->name, "</a></td>");
        put(b, "<td>", k->where, "</td>");
        number(b, "", "%.0f", k->times, true);
        number(b, "", "%.0f", k->n, true);
        number(b, "plain", "%.3f", 1e6 * k->plain_seconds, k->plain_seconds > 0);
        number(b, "tuned", "%.3f", w ? 1e6 * w->seconds : 0, w != NULL);
        number(b, "ratio", "%.4f", w ? w->ratio : 0, w != NULL);
        number(b, "", "%.1f", seconds > 0 ? 1e-9 * k->flops / seconds : 0, seconds > 0);
        number(b, "", "%.1f", roof, roof > 0);
        number(b, "", "%.3f", 1e6 * c->time.seconds, c->predicted);
        put(b, "<td>", c->predicted ? fv_bound_names[c->time.bound] : "", "</td></tr>\n");
    }
    fv_buf_puts(b, "</table>\n");
}

/* -- One kernel ---- */
static void side(fv_buf *b, const char *title, const char *schedule, const char *tiles, const cli_cost *c,
                 double seconds, double flops) {
    put(b, "<tr><td>", title, "</td>");
    put(b, "<td><code>", schedule, "</code>");
    if (*tiles) put(b, "<br><span class=\"dim\">tiles ", tiles, "</span>");
    fv_buf_puts(b, "</td>");
    number(b, "", "%.3f", 1e6 * seconds, seconds > 0);
    number(b, "", "%.1f", seconds > 0 ? 1e-9 * flops / seconds : 0, seconds > 0);
    number(b, "", "%.4g", c->counts.products, c->counted);
    number(b, "", "%.4g", c->counts.functions, c->counted);
    number(b, "", "%.4g", c->counts.other, c->counted);
    number(b, "", "%.3f", 1e-6 * c->counts.moved, c->counted);
    number(b, "", "%.3f", 1e6 * c->time.seconds, c->predicted);
    put(b, "<td>", c->predicted ? fv_bound_names[c->time.bound] : "", "</td>");
    number(b, "", "%.3f", 1e6 * c->time.without, c->predicted);
    fv_buf_puts(b, "</tr>\n");
}
static void sides(const cli_tune_kernel *k, fv_buf *b) {
    fv_buf_puts(
        b, "<table><tr><th></th><th>schedule</th><th class=\"n\">us</th><th class=\"n\">GFLOP/s</th>"
           "<th class=\"n\">products</th><th class=\"n\">functions</th><th class=\"n\">other</th>"
           "<th class=\"n\">L1 MB</th><th class=\"n\">model us</th><th>bound</th><th class=\"n\">without</th></tr>\n");
    side(b, "default", k->plain, k->plain_tiles, &k->plain_cost, k->plain_seconds, k->flops);
    if (k->tuned) side(b, "tuned", k->tuned, k->tuned_tiles, &k->tuned_cost, winner(k)->seconds, k->flops);
    fv_buf_puts(b, "</table>\n");
}
/* How many candidates came to what, and the reasons of those that came to nothing. */
static void statuses(const cli_tune_kernel *k, fv_buf *b) {
    fv_buf_puts(b, "<ul class=\"statuses\">\n");
    for (int s = 0; fv_tune_statuses[s]; s++) {
        int n = 0;
        for (int i = 0; i < k->n; i++) n += !strcmp(k->record[i].status, fv_tune_statuses[s]);
        if (!n) continue;
        fv_buf_printf(b, "<li>%s: %d", fv_tune_statuses[s], n);
        for (int i = 0; i < k->n; i++) {
            const fv_tune_record *r = &k->record[i];
            bool first = !strcmp(r->status, fv_tune_statuses[s]) && *r->reason;
            int times = 0;
            for (int j = 0; j < k->n && first; j++) {
                if (strcmp(k->record[j].status, r->status) || strcmp(k->record[j].reason, r->reason)) continue;
                first = j >= i;
                times++;
            }
            if (!first) continue;
            put(b, "<br><span class=\"dim\">", r->reason, "");
            if (times > 1) fv_buf_printf(b, " (%d times)", times);
            fv_buf_puts(b, "</span>");
        }
        fv_buf_puts(b, "</li>\n");
    }
    fv_buf_puts(b, "</ul>\n");
}
static void tried(const cli_tune_kernel *k, fv_buf *b) {
    fv_buf_printf(
        b,
        "<details><summary>all %d that were tried</summary>\n<table class=\"records\"><tr><th class=\"n\">#</th>"
        "<th>schedule</th><th>status</th><th class=\"n\">us</th><th class=\"n\">least</th>"
        "<th class=\"n\">default us</th><th class=\"n\">ratio</th><th class=\"n\">pairs</th>"
        "<th class=\"n\">model us</th><th>origin</th><th>reason</th></tr>\n",
        k->n);
    for (int i = 0; i < k->n; i++) {
        const fv_tune_record *r = &k->record[i];
        bool timed = !strcmp(r->status, "correct");
        fv_buf_printf(b, "<tr class=\"record%s\">", i == k->winner ? " wins" : "");
        number(b, "", "%.0f", i + 1, true);
        put(b, "<td><code>", *r->schedule ? r->schedule : "(default)", "</code></td>");
        put(b, "<td class=\"status\">", r->status, "</td>");
        number(b, "us", "%.3f", 1e6 * r->seconds, timed);
        number(b, "", "%.3f", 1e6 * r->seconds_min, timed);
        number(b, "", "%.3f", 1e6 * r->default_seconds, timed);
        number(b, "", "%.4f", r->ratio, timed);
        number(b, "", "%.0f", r->pairs, timed);
        number(b, "", "%.3f", 1e6 * r->predicted, r->predicted > 0);
        put(b, "<td>", r->origin, "</td>");
        put(b, "<td>", r->reason, "</td></tr>\n");
    }
    fv_buf_puts(b, "</table></details>\n");
}

void cli_tune_html(const cli_tune_report *r, fv_buf *b) {
    fv_buf_puts(b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    put(b, "<title>Tuning of ", r->spec, "</title>\n");
    fv_buf_printf(b, "<style>%s</style></head><body>\n", style);
    put(b, "<h1>Tuning of ", r->spec, "</h1>\n");
    put(b, "<p id=\"place\">", r->place.device, ", ");
    put(b, "", r->place.dtype, "");
    if (r->place.threads) fv_buf_printf(b, ", %d thread%s", r->place.threads, r->place.threads == 1 ? "" : "s");
    put(b, ", ", r->place.compiler, "");
    if (*r->place.driver) put(b, ", ", r->place.driver, "");
    fv_buf_printf(b, "; <span id=\"count\">%d</span> records", r->records);
    put(b, " in ", *r->db ? r->db : "no file", "</p>\n");
    overview(r, b);
    if (r->rated) {
        fv_buf_puts(b, "<h2>Under the roofs</h2>\n");
        cli_tune_svg_roofs(r, b);
    }
    if (r->n_patterns) fv_buf_puts(b, "<h2>Patterns and tiles</h2>\n");
    for (int i = 0; i < r->n_patterns; i++) {
        fv_buf_printf(b, "<figure class=\"pattern\">%s", r->pattern[i]);
        put(b, "<figcaption>", r->caption[i], "</figcaption></figure>\n");
    }
    for (int i = 0; i < r->n; i++) {
        const cli_tune_kernel *k = &r->kernel[i];
        fv_buf_printf(b, "<h2 id=\"k%d\">", i);
        put(b, "", k->name, " ");
        put(b, "<span class=\"dim\">", k->where, "</span></h2>\n");
        sides(k, b);
        if (!k->n) {
            fv_buf_puts(b, "<p class=\"dim\">never tuned for this device and number of threads</p>\n");
            continue;
        }
        cli_tune_svg_search(k, b);
        statuses(k, b);
        tried(k, b);
    }
    fv_buf_puts(b, "</body></html>\n");
}
