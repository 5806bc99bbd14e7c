/* fovea bench backbones: published networks at 224 x 224, batch 1, f32, on one and two threads, beside other systems
 * where their times are given. */
#include "cli/bench.h"
#include "io/json.h"

#include <string.h>

typedef struct {
    const char *title, *spec, *shape, *peer;
} backbone;
static const backbone list[] = {
    /* on one thread and on two */
    {"ViT-B/16", "vit:base_patch16_224", "b=1", "vit_b16"},
    {"Swin-T", "swin:tiny_patch4_window7_224", "b=1", "swin_t"},
    {"ResNet-50", "resnet:50", "b=1", "resnet50"},
    {"ConvNeXt-T", "convnext:tiny", "b=1", "convnext_t"},
    {"NAT-Mini", "nat:mini", "b=1", "nat_mini"},
    /* on one thread: the smallest variant of each further system */
    {"DiNAT-Mini", "dinat:mini", "b=1", NULL},
    {"EfficientNet-B0", "efficientnet:b0", "b=1", NULL},
    {"AFFNet-XXS", "affnet:xx_small", "b=1", NULL},
    {"AttNet-XXS", "attnet:xxs", "b=1", NULL},
    {"BiFormer-T", "biformer:tiny", "b=1", NULL},
    {"CAS-ViT-XS", "cas-vit:xs", "b=1", NULL},
    {"ConViT-Ti", "convit:tiny", "b=1", NULL},
    {"CrossViT-Ti", "crossvit:tiny_224", "b=1", NULL},
    {"DaViT-T", "davit:tiny", "b=1", NULL},
    {"DHVT-T", "dhvt:tiny_imagenet_patch16", "b=1", NULL},
    {"FFNet-1", "ffnet:1", "b=1", NULL},
    {"HaloNet-26t", "halonet:26t", "b=1", NULL},
    {"HAT-S x4, 64x64", "hat:s_x4", "b=1,h=64,w=64", NULL},
    {"HorNet-T", "hornet:tiny_7x7", "b=1", NULL},
    {"InLine-DeiT-T", "inline:deit_t", "b=1", NULL},
    {"L2ViT-T", "l2vit:tiny", "b=1", NULL},
    {"LSNet-T", "lsnet:t", "b=1", NULL},
    {"OverLoCK-XT", "overlock:xt", "b=1", NULL},
    {"RAVLT-T", "ravlt:t", "b=1", NULL},
    {"SHViT-S1", "shvit:s1", "b=1", NULL},
    {"TransNeXt-Micro", "transnext:micro", "b=1", NULL},
    {"VOLO-D1", "volo:d1", "b=1", NULL},
};
enum { BACKBONES = sizeof list / sizeof *list, ON_TWO = 5, PEERS = 8 };

/* The share of the time in kernels that compute nothing or next to nothing: maps, turns, concatenations, copies. */
static double moving(const cli_measured *m) {
    static const char *const kinds[] = {"map", "turn", "concat", "copy"};
    double moved = 0, all = 0;
    for (int i = 0; i < m->n; i++) {
        all += m->kernel[i].min;
        for (size_t j = 0; j < sizeof kinds / sizeof *kinds; j++)
            if (!strncmp(m->kernel[i].label, kinds[j], strlen(kinds[j]))) moved += m->kernel[i].min;
    }
    return all > 0 ? moved / all : 0;
}
/* plain: seconds of the same in f32; 0: m is f32. */
static void say(const backbone *b, const cli_measured *m, double plain, const fv_json *const *peer, int n_peers) {
    double floor = m->peak > 0 ? 1e-9 * m->total.flops / (m->peak * m->threads) : 0, other = 0;
    for (int i = 0; i < n_peers && other == 0; i++) other = cli_bench_peer_ms(peer[i], b->peer, m->threads);
    printf("| %-15s | %d | %8.2f | %8.2f | %7.3f | %8.2f | %4.0f %% | %5.1f %% | %3d | %6.0f | %6.0f | %7.1f | %7.1f |",
           b->title, m->threads, 1e3 * m->total.min, 1e3 * m->total.median, 1e-9 * m->total.flops, 1e3 * floor,
           100 * cli_fraction(m, &m->total), 100 * moving(m), m->n, 1e3 * m->cold, 1e3 * m->cached,
           1e-6 * (double)m->prepared, 1e-6 * (double)m->arena);
    if (plain > 0) printf(" %8.2f | %5.2f |", 1e3 * plain, plain / m->total.min);
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
    fv_type storage;
    if (cli_flag(a, "list")) {
        for (int i = 0; i < BACKBONES; i++) printf("%s %s\n", list[i].spec, list[i].shape);
        return CLI_OK;
    }
    if (!cli_bench_seconds(ctx, a, &seconds) || !cli_dtype(ctx, a, &storage)) return CLI_USER;
    for (int i = 0; i < n_peers; i++)
        if (!(peer[i] = fv_json_read(ctx, files[i]))) return CLI_USER;
    printf("%s, batch 1, 224 x 224, seeded weights; floor: useful operations at the multiply-add peak of the threads "
           "used, peak: their ratio to the time; moves: share of maps, turns, concatenations and copies; n: kernels; "
           "cold, "
           "cached: compile times in ms; memory: prepared once, worked in by a run\n",
           fv_type_name(storage));
    const char *before = "";
    for (int i = 0; i < n_peers; i++) {
        const char *title = cli_bench_peer_title(peer[i], files[i]);
        if (strcmp(title, before)) printf("beside %s\n", title);
        before = title;
    }
    printf("\n| %-15s | T | %8s | %8s | %7s | %8s | %6s | %7s | %3s | %6s | %6s | %7s | %7s |", "network", "min ms",
           "median", "GFLOP", "floor ms", "peak", "moves", "n", "cold", "cached", "MB prep", "MB work");
    bool beside = storage != FV_F32;
    printf(
        "%s%s\n|:----------------|--:|---------:|---------:|--------:|---------:|-------:|--------:|----:|-------:|---"
        "----:|--------:|"
        "--------:|%s%s\n",
        beside ? "   f32 ms | times |" : "", n_peers ? "  peer ms | x faster |" : "",
        beside ? "---------:|------:|" : "", n_peers ? "---------:|------:|" : "");
    for (int i = 0; i < BACKBONES; i++) {
        double cold = 0, cached = 0; /* of the first row: the same code runs on two threads */
        for (int threads = 1; threads <= (i < ON_TWO ? 2 : 1); threads++) {
            static cli_session s;
            cli_measured m = {0};
            char shape[64];
            snprintf(shape, sizeof shape, "--shape %s", list[i].shape);
            fv_ctx *own = fv_ctx_new();
            cli_measure_options o = {
                .threads = threads, .seconds = i < ON_TWO ? seconds : seconds / 2, .compile_times = threads == 1};
            bool fine = cli_bench_open(own, list[i].spec, shape, &s);
            double plain = 0;
            if (beside) {
                cli_measured f32 = {0};
                cli_measure_options once = o;
                once.compile_times = false;
                s.storage = FV_F32;
                fine = fine && cli_measure(own, &s, &once, &f32);
                plain = f32.total.min;
            }
            s.storage = storage;
            fine = fine && cli_measure(own, &s, &o, &m);
            if (threads == 1 && fine) {
                cold = m.cold;
                cached = m.cached;
            }
            m.cold = cold;
            m.cached = cached;
            if (fine) {
                say(&list[i], &m, plain, peer, n_peers);
                done++;
            } else {
                const fv_diag *d = fv_diag_count(own) ? fv_diag_at(own, 0) : NULL;
                printf("| %-15s | %d | %s\n", list[i].title, threads, d ? d->text : "failed");
            }
            cli_session_close(&s);
            fv_ctx_dispose(own);
        }
    }
    return done == BACKBONES + ON_TWO ? CLI_OK : CLI_USER;
}
