/* Reports of tuning as JSON and Markdown, and where they are written. The page is in tune_html.c. */
#include "cli/tune_report.h"
#include "cli/tune_files.h"
#include "io/file.h"
#include "io/json.h"

#include <string.h>

/* -- JSON ---- */
static void text(fv_buf *b, const char *key, const char *value) {
    fv_buf_printf(b, "\"%s\": ", key);
    if (value) fv_json_quote(b, value);
    else fv_buf_puts(b, "null");
    fv_buf_puts(b, ", ");
}
static void real(fv_buf *b, const char *key, double value) {
    fv_buf_printf(b, "\"%s\": ", key);
    fv_buf_double(b, value);
    fv_buf_puts(b, ", ");
}
static void cost(fv_buf *b, const char *key, const cli_cost *c) {
    fv_buf_printf(b, "\"%s\": ", key);
    if (!c->counted) {
        fv_buf_puts(b, "null");
        return;
    }
    fv_buf_puts(b, "{");
    real(b, "products", c->counts.products);
    real(b, "functions", c->counts.functions);
    real(b, "other", c->counts.other);
    real(b, "moved_bytes", c->counts.moved);
    real(b, "bytes", c->bytes);
    real(b, "l2_bytes", fv_traffic_bytes(&c->traffic, 1));
    real(b, "l3_bytes", fv_traffic_bytes(&c->traffic, 2));
    real(b, "memory_bytes", fv_traffic_bytes(&c->traffic, 3));
    if (c->predicted) {
        real(b, "seconds", c->time.seconds);
        real(b, "without", c->time.without);
    }
    text(b, "bound", c->predicted ? fv_bound_names[c->time.bound] : NULL);
    b->len -= 2;
    fv_buf_puts(b, "}");
}
static void record(fv_buf *b, const fv_tune_record *r, bool wins) {
    fv_buf_puts(b, "{");
    text(b, "schedule", r->schedule);
    text(b, "status", r->status);
    text(b, "reason", r->reason);
    real(b, "seconds", r->seconds);
    real(b, "seconds_min", r->seconds_min);
    real(b, "default_seconds", r->default_seconds);
    real(b, "ratio", r->ratio);
    real(b, "predicted", r->predicted);
    fv_buf_printf(b, "\"pairs\": %d, \"unix_time\": %lld, ", r->pairs, (long long)r->unix_time);
    text(b, "origin", r->origin);
    fv_buf_printf(b, "\"wins\": %s}", wins ? "true" : "false");
}
void cli_tune_json(const cli_tune_report *r, fv_buf *b) {
    fv_buf_puts(b, "{");
    text(b, "spec", r->spec);
    text(b, "database", r->db);
    text(b, "dtype", r->place.dtype);
    text(b, "device", r->place.device);
    text(b, "driver", r->place.driver);
    text(b, "compiler", r->place.compiler);
    fv_buf_printf(b, "\"threads\": %d,\n ", r->place.threads);
    if (r->rated) {
        real(b, "peak_gflops_per_thread", r->rates.fma);
        real(b, "memory_gb_per_s", r->rates.read[4]);
    }
    fv_buf_puts(b, "\"kernels\": [");
    for (int i = 0; i < r->n; i++) {
        const cli_tune_kernel *k = &r->kernel[i];
        fv_buf_puts(b, i ? ",\n  {" : "\n  {");
        text(b, "kernel", k->name);
        text(b, "from", k->where);
        fv_buf_printf(b, "\"launch\": %d, \"times\": %d, ", k->launch, k->times);
        real(b, "flops", k->flops);
        text(b, "group", k->group);
        text(b, "default_schedule", k->plain);
        real(b, "default_seconds", k->plain_seconds);
        text(b, "schedule", k->tuned);
        cost(b, "default_cost", &k->plain_cost);
        fv_buf_puts(b, ", ");
        cost(b, "cost", &k->tuned_cost);
        fv_buf_puts(b, ",\n   \"records\": [");
        for (int j = 0; j < k->n; j++) {
            fv_buf_puts(b, j ? ",\n    " : "\n    ");
            record(b, &k->record[j], j == k->winner);
        }
        fv_buf_puts(b, "]}");
    }
    fv_buf_puts(b, "]}\n");
}

/* -- Markdown ---- */
static void cell(fv_buf *b, const char *t) { /* of a table: no bars, no ends of lines */
    for (; *t; t++) {
        if (*t == '|') fv_buf_puts(b, "\\|");
        else fv_buf_putn(b, *t == '\n' ? " " : t, 1);
    }
}
static void row(fv_buf *b, const fv_tune_record *r, bool wins) {
    fv_buf_printf(b, "| %s", wins ? "**" : "");
    cell(b, *r->schedule ? r->schedule : "(default)");
    fv_buf_printf(b, "%s | %s | ", wins ? "**" : "", r->status);
    if (!strcmp(r->status, "correct"))
        fv_buf_printf(b, "%.3f | %.3f | %.4f |", 1e6 * r->seconds, 1e6 * r->default_seconds, r->ratio);
    else fv_buf_puts(b, "| | |");
    fv_buf_printf(b, " %.3f | ", 1e6 * r->predicted);
    cell(b, r->reason);
    fv_buf_puts(b, " |\n");
}
void cli_tune_markdown(const cli_tune_report *r, fv_buf *b) {
    fv_buf_printf(b, "# Tuning of %s\n\n%s, %s, %d thread%s, %s%s%s; %d records in %s\n\n", r->spec, r->place.device,
                  r->place.dtype, r->place.threads, r->place.threads == 1 ? "" : "s", r->place.compiler,
                  *r->place.driver ? ", " : "", r->place.driver, r->records, r->db);
    fv_buf_puts(b, "| kernel | times | tried | default us | tuned us | ratio | roof GFLOP/s | GFLOP/s | bound |\n"
                   "|:--|--:|--:|--:|--:|--:|--:|--:|:--|\n");
    for (int i = 0; i < r->n; i++) {
        const cli_tune_kernel *k = &r->kernel[i];
        const fv_tune_record *w = k->winner < 0 ? NULL : &k->record[k->winner];
        const cli_cost *c = w && k->tuned_cost.counted ? &k->tuned_cost : &k->plain_cost;
        double seconds = w ? w->seconds : k->plain_seconds, roof = cli_tune_roof(r, k);
        fv_buf_printf(b, "| %s | %d | %d | ", k->name, k->times, k->n);
        if (k->plain_seconds > 0) fv_buf_printf(b, "%.3f", 1e6 * k->plain_seconds);
        if (w) fv_buf_printf(b, " | %.3f | %.4f | ", 1e6 * w->seconds, w->ratio);
        else fv_buf_puts(b, " | | | ");
        if (roof > 0) fv_buf_printf(b, "%.1f", roof);
        fv_buf_puts(b, " | ");
        if (seconds > 0) fv_buf_printf(b, "%.1f", 1e-9 * k->flops / seconds);
        fv_buf_printf(b, " | %s |\n", c->predicted ? fv_bound_names[c->time.bound] : "");
    }
    for (int i = 0; i < r->n; i++) {
        const cli_tune_kernel *k = &r->kernel[i];
        if (!k->n) continue;
        fv_buf_printf(b, "\n## %s\n\n%s\n\n* default: `%s`\n", k->name, k->where, k->plain);
        if (k->tuned) fv_buf_printf(b, "* tuned: `%s`\n", k->tuned);
        fv_buf_puts(b, "\n| schedule | status | us | default us | ratio | model us | reason |\n"
                       "|:--|:--|--:|--:|--:|--:|:--|\n");
        for (int j = 0; j < k->n; j++) row(b, &k->record[j], j == k->winner);
    }
}

/* -- Files ---- */
static int kind_of(const char *path) {
    static const char *const suffix[] = {".html", ".md", ".json"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(path), m = strlen(suffix[i]);
        if (n > m && !strcmp(path + n - m, suffix[i])) return i;
    }
    return -1;
}
bool cli_tune_report_asked(fv_ctx *ctx, const cli_args *a) {
    const char *path = cli_value(a, "report");
    if (!path || kind_of(path) >= 0) return true;
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--report %s: reports are written as .html, .md or .json", path);
    return false;
}
bool cli_tune_report_of(fv_ctx *ctx, const cli_args *a, cli_session *s, int threads) {
    static void (*const write[])(const cli_tune_report *, fv_buf *) = {cli_tune_html, cli_tune_markdown, cli_tune_json};
    const char *path = cli_value(a, "report");
    if (!path) return true;
    if (!cli_tune_report_asked(ctx, a)) return false;
    fv_driver_options o = {.backend = cli_value(a, "backend"),
                           .target = cli_target(a, cli_value(a, "backend")),
                           .device = cli_value(a, "device"),
                           .cache_dir = cli_cache_dir(ctx),
                           .storage = s->storage};
    cli_tune_report r;
    fv_buf b = {0};
    fv_tune_db *db = fv_tune_db_open(ctx, cli_value(a, "db"), false);
    bool fine = db && cli_tune_gather(ctx, a, s, db, &o, threads ? threads : fovea_threads_available(), &r);
    if (fine) write[kind_of(path)](&r, &b);
    fine = fine && fv_file_write(ctx, path, b.text, b.len);
    if (fine) printf("%s: %d kernels, %d records\n", path, r.n, r.records);
    fv_buf_dispose(&b);
    fv_tune_db_close(db);
    return fine;
}
