/* fovea bench backbones: published networks at 224 x 224, batch 1, f32, on one and two threads, beside other systems
 * where their times are given. */
#include "cli/bench.h"
#include "io/json.h"

#include <string.h>

typedef struct {
    const char *title, *spec, *peer;
} backbone;
static const backbone list[] = {
    {"ViT-B/16", "vit:base_patch16_224", "vit_b16"},
    {"Swin-T", "swin:tiny_patch4_window7_224", "swin_t"},
    {"ResNet-50", "resnet:50", "resnet50"},
    {"ConvNeXt-T", "convnext:tiny", "convnext_t"},
    {"NAT-Mini", "nat:mini", "nat_mini"},
};
enum { BACKBONES = sizeof list / sizeof *list, PEERS = 8 };

/* {"peer": "…", "results": [{"name", "threads", "min_ms"}]} */
static double peer_time(const fv_json *file, const char *name, int threads) {
    const fv_json *results = fv_json_get(file, "results");
    for (int i = 0; results && results->kind == FV_JSON_ARRAY && i < results->n; i++) {
        const fv_json *n = fv_json_get(results->items[i], "name"), *t = fv_json_get(results->items[i], "threads"),
                      *ms = fv_json_get(results->items[i], "min_ms");
        if (n && n->kind == FV_JSON_STRING && !strcmp(n->text, name) && t && t->kind == FV_JSON_INT &&
            t->integer == threads && ms && (ms->kind == FV_JSON_REAL || ms->kind == FV_JSON_INT))
            return ms->real;
    }
    return 0;
}
static void say(const backbone *b, const cli_measured *m, const fv_json *const *peer, int n_peers) {
    double floor = m->peak > 0 ? 1e-9 * m->total.flops / (m->peak * m->threads) : 0, other = 0;
    for (int i = 0; i < n_peers && other == 0; i++) other = peer_time(peer[i], b->peer, m->threads);
    printf("| %-10s | %d | %8.2f | %8.2f | %7.3f | %8.2f | %5.2f | %3d | %6.0f | %6.0f | %7.1f | %7.1f |", b->title,
           m->threads, 1e3 * m->total.min, 1e3 * m->total.median, 1e-9 * m->total.flops, 1e3 * floor,
           floor > 0 ? m->total.min / floor : 0, m->n, 1e3 * m->cold, 1e3 * m->cached, 1e-6 * (double)m->prepared,
           1e-6 * (double)m->arena);
    if (n_peers && other > 0) printf(" %8.2f | %5.2f |", other, other / (1e3 * m->total.min));
    else if (n_peers) printf(" %8s | %5s |", "-", "-");
    printf("\n");
    fflush(stdout);
}
int cli_bench_backbones(fv_ctx *ctx, const cli_args *a) {
    double seconds = 3;
    const char *files[PEERS];
    const fv_json *peer[PEERS];
    int n_peers = cli_values(a, "peer", files, PEERS), done = 0;
    if (!cli_bench_seconds(ctx, a, &seconds)) return CLI_USER;
    for (int i = 0; i < n_peers; i++)
        if (!(peer[i] = fv_json_read(ctx, files[i]))) return CLI_USER;
    printf("f32, batch 1, 224 x 224, seeded weights; floor: useful operations at the multiply-add peak of the threads "
           "used; memory: prepared once, worked in by a run\n");
    const char *before = "";
    for (int i = 0; i < n_peers; i++) {
        const fv_json *name = fv_json_get(peer[i], "peer");
        const char *title = name && name->kind == FV_JSON_STRING ? name->text : files[i];
        if (strcmp(title, before)) printf("beside %s\n", title);
        before = title;
    }
    printf("\n| %-10s | T | %8s | %8s | %7s | %8s | %5s | %3s | %6s | %6s | %7s | %7s |", "network", "min ms", "median",
           "GFLOP", "floor ms", "ratio", "n", "cold", "cached", "MB prep", "MB work");
    printf("%s\n|:-----------|--:|---------:|---------:|--------:|---------:|------:|----:|-------:|-------:|--------:|"
           "--------:|%s\n",
           n_peers ? "  peer ms | x faster |" : "", n_peers ? "---------:|------:|" : "");
    for (int i = 0; i < BACKBONES; i++) {
        double cold = 0, cached = 0; /* of the first row: the same code runs on two threads */
        for (int threads = 1; threads <= 2; threads++) {
            static cli_session s;
            cli_measured m = {0};
            fv_ctx *own = fv_ctx_new();
            cli_measure_options o = {.threads = threads, .seconds = seconds, .compile_times = threads == 1};
            bool fine = cli_bench_open(own, list[i].spec, "--shape b=1", &s) && cli_measure(own, &s, &o, &m);
            if (threads == 1 && fine) {
                cold = m.cold;
                cached = m.cached;
            }
            m.cold = cold;
            m.cached = cached;
            if (fine) {
                say(&list[i], &m, peer, n_peers);
                done++;
            } else {
                const fv_diag *d = fv_diag_count(own) ? fv_diag_at(own, 0) : NULL;
                printf("| %-10s | %d | %s\n", list[i].title, threads, d ? d->text : "failed");
            }
            cli_session_close(&s);
            fv_ctx_dispose(own);
        }
    }
    return done == 2 * BACKBONES ? CLI_OK : CLI_USER;
}
