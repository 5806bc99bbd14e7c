/* fovea bench: every kernel of a model timed; and the fixed sets: floors, amx, cost and backbones. */
#include "cli/bench.h"
#include "cli/tuned.h"
#include "io/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool cli_bench_format(fv_ctx *ctx, const cli_args *a, const char **format) {
    const char *f = cli_flag(a, "json") ? "json" : cli_value(a, "o");
    *format = f ? f : "md";
    if (!strcmp(*format, "md") || !strcmp(*format, "csv") || !strcmp(*format, "json")) return true;
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "-o takes md, csv or json, not '%s'", f);
    return false;
}
bool cli_bench_seconds(fv_ctx *ctx, const cli_args *a, double *io) {
    const char *v = cli_value(a, "seconds");
    char *end = NULL;
    double x = v ? strtod(v, &end) : *io;
    if (v && (end == v || *end || !(x > 0 && x <= 3600))) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--seconds takes a number above 0 and at most 3600, not '%s'", v);
        return false;
    }
    *io = x;
    return true;
}

typedef struct {
    double gflops, fraction, share;
} rates;
static rates rates_of(const cli_measured *m, const cli_timed *t) {
    return (rates){t->min > 0 ? 1e-9 * t->flops / t->min : 0, cli_fraction(m, t),
                   m->total.min > 0 ? t->min / m->total.min : 0};
}
void cli_measured_table(const cli_measured *m) {
    if (m->has_peak)
        printf("%s on %s, %d thread%s, %d runs; peak %.1f GFLOP/s per thread (best of %d taken between the runs)\n\n",
               m->name, m->target, m->threads, m->threads == 1 ? "" : "s", m->runs, m->peak, m->peaks);
    else
        printf("%s on a device (%s), %d runs; kernels by the device's clock, the total with copies and waiting\n\n",
               m->name, m->target, m->runs);
    printf("| %3s | %-18s | %9s | %9s | %8s | %6s | %9s | %6s | %9s | %-9s | %s |\n", "#", "kernel", "min us", "median",
           "GFLOP/s", "peak", "MB", "share", "model us", "bound", "from");
    printf("|----:|:-------------------|----------:|----------:|---------:|-------:|----------:|-------:|----------:|"
           ":----------|:-----|\n");
    for (int i = 0; i <= m->n; i++) {
        const cli_timed *t = i < m->n ? &m->kernel[i] : &m->total;
        rates r = rates_of(m, t);
        char number[12] = "";
        if (i < m->n) snprintf(number, sizeof number, "%d", i);
        printf("| %3s | %-18s | %9.2f | %9.2f | %8.2f | %5.1f%% | %9.3f | %5.1f%% | %9.2f | %-9s | %s |\n", number,
               i < m->n ? t->label : "total", 1e6 * t->min, 1e6 * t->median, r.gflops, 100 * r.fraction,
               1e-6 * t->bytes, 100 * r.share, 1e6 * t->model, t->bound, i < m->n ? t->where : "");
    }
}
static void markdown(const cli_measured *m) {
    cli_measured_table(m);
    if (m->cost) cli_costs_print(stdout, m->cost, m->n, m->threads);
    printf("\ntrace %.1f ms, compile cold %.1f ms (%d kernels), from the cache %.1f ms (%d), prepare %.1f ms\n",
           1e3 * m->trace, 1e3 * m->cold, m->compiled, 1e3 * m->cached, m->from_cache, 1e3 * m->prepare);
    printf("memory: parameters %.2f MB, prepared %.2f MB, worked in %.2f MB, code %.1f kB\n", 1e-6 * (double)m->params,
           1e-6 * (double)m->prepared, 1e-6 * (double)m->arena, 1e-3 * (double)m->code);
}
static void csv(const cli_measured *m) {
    printf("launch,kernel,from,min_us,median_us,flops,gflops,fraction,bytes,share\n");
    for (int i = 0; i <= m->n; i++) {
        const cli_timed *t = i < m->n ? &m->kernel[i] : &m->total;
        rates r = rates_of(m, t);
        if (i < m->n) printf("%d,%s,\"%s\"", i, t->label, t->where);
        else printf(",total,");
        printf(",%.3f,%.3f,%.0f,%.3f,%.4f,%.0f,%.4f\n", 1e6 * t->min, 1e6 * t->median, t->flops, r.gflops, r.fraction,
               t->bytes, r.share);
    }
}
static void put_timed(fv_buf *b, const cli_measured *m, const cli_timed *t) {
    rates r = rates_of(m, t);
    fv_buf_printf(b,
                  "\"min_us\": %.3f, \"median_us\": %.3f, \"flops\": %.0f, \"gflops\": %.3f, \"fraction\": %.4f, "
                  "\"bytes\": %.0f, \"share\": %.4f, \"model_us\": %.3f, \"bound\": \"%s\"",
                  1e6 * t->min, 1e6 * t->median, t->flops, r.gflops, r.fraction, t->bytes, r.share, 1e6 * t->model,
                  t->bound);
}
static void json(const cli_measured *m) {
    fv_buf b = {0};
    fv_buf_puts(&b, "{\"model\": ");
    fv_json_quote(&b, m->name);
    fv_buf_printf(&b,
                  ", \"target\": \"%s\", \"threads\": %d, \"runs\": %d, \"peak_gflops_per_thread\": %.2f,\n "
                  "\"trace_ms\": %.3f, \"compile_cold_ms\": %.3f, \"compile_cached_ms\": %.3f, \"prepare_ms\": %.3f,\n",
                  m->target, m->threads, m->runs, m->peak, 1e3 * m->trace, 1e3 * m->cold, 1e3 * m->cached,
                  1e3 * m->prepare);
    fv_buf_printf(&b,
                  " \"parameter_bytes\": %lld, \"prepared_bytes\": %lld, \"arena_bytes\": %lld, \"code_bytes\": "
                  "%lld,\n \"total\": {",
                  (long long)m->params, (long long)m->prepared, (long long)m->arena, (long long)m->code);
    put_timed(&b, m, &m->total);
    fv_buf_puts(&b, "},\n \"kernels\": [");
    for (int i = 0; i < m->n; i++) {
        fv_buf_puts(&b, i ? ",\n  {\"kernel\": " : "\n  {\"kernel\": ");
        fv_json_quote(&b, m->kernel[i].label);
        fv_buf_puts(&b, ", \"from\": ");
        fv_json_quote(&b, m->kernel[i].where);
        fv_buf_puts(&b, ", ");
        put_timed(&b, m, &m->kernel[i]);
        fv_buf_puts(&b, "}");
    }
    fv_buf_puts(&b, "]}\n");
    fputs(b.text, stdout);
    fv_buf_dispose(&b);
}

static int run(fv_ctx *ctx, const cli_args *a) {
    if (a->n_words != 1) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0},
                 "bench takes one spec, or floors, amx, cost, or backbones; %d words given; see fovea bench --help",
                 a->n_words);
        return CLI_USER;
    }
    if (!strcmp(a->word[0], "floors")) return cli_bench_floors(ctx, a);
    if (!strcmp(a->word[0], "cost")) return cli_bench_cost(ctx, a);
    if (!strcmp(a->word[0], "amx")) return cli_bench_amx(ctx, a);
    if (!strcmp(a->word[0], "backbones")) return cli_bench_backbones(ctx, a);
    static cli_session s;
    const char *format;
    int64_t threads = 0;
    cli_measure_options o = {.backend = cli_value(a, "backend"),
                             .target = cli_target(a, cli_value(a, "backend")),
                             .device = cli_value(a, "device"),
                             .seconds = 1,
                             .compile_times = true,
                             .args = a};
    cli_measured m;
    bool fine = cli_choice(ctx, a, "attend", cli_strategies, &o.attend) && cli_bench_format(ctx, a, &format) &&
                cli_bench_seconds(ctx, a, &o.seconds) && cli_int(ctx, a, "threads", 1, &threads) &&
                cli_session_open(ctx, a, a->word[0], &s);
    o.threads = (int)threads;
    if (fine) fine = cli_measure(ctx, &s, &o, &m);
    if (fine) (*format == 'm' ? markdown : *format == 'c' ? csv : json)(&m);
    cli_session_close(&s);
    return fine ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    CLI_SESSION_OPTIONS,
    {"threads", "N", "threads; default: what affinity and quota allow", CLI_VALUE},
    {"seconds", "T", "time spent in timed runs of each model (default 1)", CLI_VALUE},
    {"o", "md|csv|json", "the form of the report (default md)", CLI_VALUE},
    {"json", NULL, "the same as -o json", CLI_FLAG},
    CLI_BACKEND_OPTION,
    CLI_TARGET_OPTION,
    CLI_DEVICE_OPTIONS,
    {"attend", "STRATEGY", "force a strategy of attend: box, offset or expand", CLI_VALUE},
    CLI_TUNED_OPTIONS,
    {"list", NULL, "backbones: their specs and shapes, a line each; nothing is timed", CLI_FLAG},
    {"peer", "FILE.json", "backbones, amx: times of other systems to stand beside (--json of bench/peer_torch.py, peer_rows.py)", CLI_LIST},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_bench = {"bench", "bench SPEC|BACKBONE[:VARIANT]|floors|amx|cost|backbones [options]",
                               "time every kernel against the peak of this machine", options, run};
