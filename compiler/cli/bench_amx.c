/* fovea bench amx: what kernels of 16-bit storage must reach of the matrix unit, one thread; beside it the peaks of f32
 * multiply-adds and of bf16 pairs of the same run. Where there are no tiles the figures are stated and not judged. Of
 * each spec the kernel that does most is timed: what stands around it only gives it 16-bit operands. */
#include "cli/bench.h"
#include "cli/host.h"

typedef struct {
    const char *work, *spec, *options;
    double floor;
    bool of_fma; /* of the f32 multiply-add peak, else of the tiles' */
} amx_case;
static const amx_case cases[] = {
    {"linear 196x768x2304", "linear_bf16.lua", "--shape n=196,c=8 --set c=768 --set out=2304", 0.28, false},
    {"linear 196x768x768", "linear_bf16.lua", "--shape n=196,c=8 --set c=768 --set out=768", 0.28, false},
    {"linear 197x3072x768", "linear_bf16.lua", "--shape n=197,c=8 --set c=3072 --set out=768", 0.28, false},
    {"linear 1024x768x768", "linear_bf16.lua", "--shape n=1024,c=8 --set c=768 --set out=768", 0.28, false},
    {"linear 3136x96x384", "linear_bf16.lua", "--shape n=3136,c=8 --set c=96 --set out=384", 0.28, false},
    {"the same, bias and GELU", "linear_bf16.lua", "--shape n=3136,c=8 --set c=96 --set out=384 --set act=true", 0.16,
     false},
    {"dense attention 196 d 32", "dense", "--shape b=1,head=12,m=196,kv=12,n=196,d=32", 0.10, false},
    {"dense attention 196 d 64", "dense", "--shape b=1,head=12,m=196,kv=12,n=196,d=64", 0.16, false},
    {"dense attention 196 d 128", "dense", "--shape b=1,head=12,m=196,kv=12,n=196,d=128", 0.19, false},
    {"dense attention 1024 d 32", "dense", "--shape b=1,head=4,m=1024,kv=4,n=1024,d=32", 0.14, false},
    {"dense attention 1024 d 64", "dense", "--shape b=1,head=4,m=1024,kv=4,n=1024,d=64", 0.20, false},
    {"dense attention 1024 d 128", "dense", "--shape b=1,head=4,m=1024,kv=4,n=1024,d=128", 0.24, false},
    {"192 windows of 49, bias, d 32", "window", "--shape b=1,head=3,h=56,w=56,d=32 --set shift=0", 0.80, true},
    {"conv 3x3 64->64 at 56", "conv_bf16.lua", "--shape b=1,h=56,w=56,c=8 --set c=64 --set out=64", 0.45, false},
};

static const cli_timed *largest(const cli_measured *m) {
    const cli_timed *best = &m->total;
    for (int i = 0; i < m->n; i++)
        if (i == 0 || m->kernel[i].flops > best->flops) best = &m->kernel[i];
    return best;
}
/* Returns whether the floor holds, and the peer (NULL: none) is not faster; a case that cannot be compiled does not. */
static bool row(const amx_case *k, double tiles, double pairs, double seconds, const fv_json *peer) {
    static cli_session s;
    fv_ctx *own = fv_ctx_new();
    cli_measured m;
    double rate = 0, peak = 0, least = 0, other = peer ? 1e-3 * cli_bench_peer_ms(peer, k->work, 1) : 0;
    bool fine = cli_bench_open(own, k->spec, fv_printf(own, "--dtype bf16 %s", k->options), &s);
    for (int pass = 0; pass < 2 && fine; pass++) { /* a case that falls short is timed once more, for longer */
        cli_measure_options o = {.threads = 1, .seconds = seconds * (1 + 2 * pass)};
        fine = cli_measure(own, &s, &o, &m);
        const cli_timed *t = fine ? largest(&m) : NULL;
        if (fine && 1e-9 * t->flops / t->min > rate) rate = 1e-9 * t->flops / (least = t->min);
        if (fine && m.peak > peak) peak = m.peak;
        double unit = k->of_fma ? peak : tiles;
        if (unit <= 0 || (rate >= k->floor * unit && (other <= 0 || least <= other))) break;
    }
    cli_session_close(&s);
    bool judged = tiles > 0,
         holds = fine && rate >= k->floor * (k->of_fma ? peak : tiles) && (other <= 0 || least <= other);
    const char *verdict = !judged ? "not judged" : holds ? "holds" : "SHORT";
    if (fine) {
        printf("%-32s %8.1f GF/s %6.2f x f32", k->work, rate, peak > 0 ? rate / peak : 0);
        if (pairs > 0) printf(" %6.1f %% pairs", 100 * rate / pairs);
        if (tiles > 0) printf(" %6.1f %% tiles", 100 * rate / tiles);
        if (other > 0) printf(" %6.2f x peer", other / least);
        if (k->of_fma) printf("  floor %.2f x f32  %s\n", k->floor, verdict);
        else printf("  floor %.0f %% tiles  %s\n", 100 * k->floor, verdict);
    } else
        printf("%-32s %s: %s\n", k->work, judged ? "SHORT" : "not judged",
               fv_diag_count(own) ? fv_diag_at(own, 0)->text : "failed");
    fflush(stdout);
    fv_ctx_dispose(own);
    return holds;
}
int cli_bench_amx(fv_ctx *ctx, const cli_args *a) {
    enum { CASES = sizeof cases / sizeof *cases };
    double seconds = 0.3;
    const char *file = NULL;
    const fv_json *peer = NULL;
    cli_host h;
    if (!cli_bench_seconds(ctx, a, &seconds)) return CLI_USER;
    if (cli_values(a, "peer", &file, 1) && !(peer = fv_json_read(ctx, file))) return CLI_USER;
    cli_host_read(&h);
    double fma = cli_peak(NULL), pairs = cli_pair_peak(), tiles = cli_tile_peak();
    if (fma <= 0) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0},
                 "these are fractions of the cpu's peaks, and this build has no cpu backend");
        return CLI_USER;
    }
    printf("bf16 storage, one thread, useful operations; %s\n", *h.processor ? h.processor : "this processor");
    printf("peaks: %.1f GFLOP/s of f32 multiply-adds", fma);
    if (pairs > 0) printf(", %.1f of bf16 pairs", pairs);
    if (tiles > 0) printf(", %.1f of bf16 on AMX tiles\n", tiles);
    else printf("\nnot judged: the floors are stated for AMX tiles with bf16, which are not here\n");
    if (peer) printf("x peer: its time over ours; the peer is %s\n", cli_bench_peer_title(peer, file));
    int shorts = 0;
    for (int i = 0; i < CASES; i++) shorts += !row(&cases[i], tiles, pairs, seconds, peer) && tiles > 0;
    if (tiles > 0) printf("%d of %d floors hold\n", CASES - shorts, CASES);
    return shorts ? CLI_USER : CLI_OK;
}
