/* fovea demo: a small trained DiNAT on handwritten digits, then a published backbone on a photograph. Invariant: every
 * number printed was measured in this run. */
#include "cli/bench.h"
#include "cli/pictures.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PICTURES = 4096, SHOWN = 3, TOP = 3 };
typedef struct {
    fv_ctx *ctx;
    const char *data;
    int threads;
    int n;
    const char *file[MOST_PICTURES];
} demo;

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }
/* NNNN_L.png: the label is the digit behind the underscore. */
static int label_of(const char *path) {
    const char *slash = strrchr(path, '/'), *bar = strrchr(slash ? slash : path, '_');
    return bar && isdigit((unsigned char)bar[1]) ? bar[1] - '0' : -1;
}
static bool list_pictures(demo *d) {
    const char *folder = fv_printf(d->ctx, "%s/digits/held-out", d->data);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir)) && d->n < MOST_PICTURES;) {
        size_t n = strlen(e->d_name);
        if (n > 4 && !strcmp(e->d_name + n - 4, ".png") && label_of(e->d_name) >= 0)
            d->file[d->n++] = fv_printf(d->ctx, "%s/%s", folder, e->d_name);
    }
    if (dir) closedir(dir);
    qsort(d->file, (size_t)d->n, sizeof *d->file, by_text);
    if (!d->n) fv_error(d->ctx, FV_E_FILE, (fv_loc){0}, "no pictures NNNN_L.png in %s", folder);
    return d->n > 0;
}
static double param_count(const cli_live *l) {
    double n = 0;
    for (int32_t i = 0; i < l->compiled.program.n_arrays; i++) {
        const fovea_array *a = &l->compiled.program.arrays[i];
        if (a->place == FOVEA_PARAM) n += (double)(a->bytes / fovea_dtype_size(a->dtype));
    }
    return n;
}
static void say_compiled(const cli_session *s, const cli_live *l, const char *what) {
    const fv_compile_stats *t = &l->compiled.stats;
    printf("%s: %.0f parameters; traced in %.0f ms, lowered in %.0f ms, %d kernels compiled and %d from the cache in "
           "%.0f ms, weights prepared in %.0f ms\n",
           what, param_count(l), 1e3 * s->trace_seconds, 1e3 * l->compiled.lower_seconds, t->compiled, t->from_cache,
           1e3 * l->compiled.compile_seconds, 1e3 * l->prepare_seconds);
}
/* One picture through the model: its scores are in l->out[0]. */
static bool classify(demo *d, cli_live *l, const cli_preprocess *p, const char *path, float *x, double *seconds) {
    if (!cli_preprocess_apply(d->ctx, p, path, x)) return false;
    double begin = fv_now();
    bool fine = cli_live_run(d->ctx, l);
    *seconds = fv_now() - begin;
    return fine;
}
static bool ready(demo *d, cli_session *s, cli_live *l, cli_preprocess *p, float **x) {
    const fovea_array *in = fovea_model_input(l->model, 0);
    if (!in || l->n_out < 1 || l->output[0]->rank < 1) {
        fv_error(d->ctx, FV_E_INPUT, (fv_loc){0}, "%s does not take one picture and give scores", s->name);
        return false;
    }
    *x = aligned_alloc(64, ((size_t)in->bytes + 127) / 64 * 64);
    l->in[0] = fovea_tensor(*x, in->dtype, in->rank, (int64_t *)(uintptr_t)in->shape);
    l->n_in = 1;
    return *x && cli_preprocess_read(d->ctx, s, in, p);
}
static void say_best(demo *d, const cli_live *l, const char *const *labels, int n_labels, const char *path) {
    int64_t best[TOP], n = l->output[0]->shape[l->output[0]->rank - 1];
    double share[TOP];
    int top = n < TOP ? (int)n : TOP;
    cli_best(l->out[0].data, n, top, best, share);
    const char *slash = strrchr(path, '/');
    printf("  %-14s", slash ? slash + 1 : path);
    for (int k = 0; k < top; k++)
        printf("  %s %.1f %%",
               best[k] < n_labels ? labels[best[k]] : fv_printf(d->ctx, "class %lld", (long long)best[k]),
               100 * share[k]);
    printf("\n");
}

static bool digits_run(demo *d, cli_session *s, cli_live *l) {
    cli_preprocess p;
    float *x = NULL;
    int right = 0, n_labels;
    double network = 0, begin;
    bool fine = ready(d, s, l, &p, &x);
    const char *const *labels = cli_labels(d->ctx, s, &n_labels);
    begin = fv_now();
    for (int i = 0; i < d->n && fine; i++) {
        double seconds;
        int64_t best;
        fine = classify(d, l, &p, d->file[i], x, &seconds);
        if (!fine) break;
        network += seconds;
        cli_best(l->out[0].data, l->output[0]->shape[l->output[0]->rank - 1], 1, &best, NULL);
        right += best == label_of(d->file[i]);
    }
    double all = fv_now() - begin;
    if (fine)
        printf("%d of %d held-out pictures right: %.1f %%; %.0f pictures/s in the network, %.0f pictures/s with "
               "decoding and resizing (%d thread%s)\n",
               right, d->n, 100.0 * right / d->n, d->n / network, d->n / all, fovea_model_threads(l->model),
               fovea_model_threads(l->model) == 1 ? "" : "s");
    for (int i = 0; i < SHOWN && fine; i++) {
        double seconds;
        const char *path = d->file[(int64_t)d->n * i / SHOWN];
        fine = classify(d, l, &p, path, x, &seconds);
        if (fine) say_best(d, l, labels, n_labels, path);
    }
    free(x);
    return fine;
}
static bool open_model(demo *d, cli_session *s, cli_live *l) {
    fv_driver_options o = {.cache_dir = cli_cache_dir(d->ctx)};
    fovea_options run = {.threads = (int32_t)d->threads};
    return cli_live_open(d->ctx, s, &o, &run, true, l);
}
static bool digits(demo *d) {
    static cli_session s;
    cli_live l = {0};
    char *argv[] = {"--config", fv_printf(d->ctx, "%s/digits/config.json", d->data), "--weights",
                    fv_printf(d->ctx, "%s/digits/dinat_digits.safetensors", d->data)};
    cli_measured m;
    bool fine = list_pictures(d) && cli_session_words(d->ctx, "dinat", 4, argv, &s) && open_model(d, &s, &l);
    cli_progress_done();
    if (fine) say_compiled(&s, &l, "dinat, trained on handwritten digits");
    fine = fine && digits_run(d, &s, &l);
    cli_live_close(&l);
    cli_measure_options o = {.threads = d->threads, .seconds = 0.5};
    fine = fine && cli_measure(d->ctx, &s, &o, &m);
    if (fine) {
        printf("\n");
        cli_measured_table(&m);
    }
    cli_session_close(&s);
    return fine;
}
static bool photo(demo *d) {
    static cli_session s;
    cli_live l = {0};
    cli_preprocess p;
    float *x = NULL;
    int n_labels = 0;
    double best = 0, seconds;
    char *argv[] = {"--shape", "b=1"};
    const char *path = fv_printf(d->ctx, "%s/photo/china.jpg", d->data);
    bool fine = cli_session_words(d->ctx, "nat:mini", 2, argv, &s) && open_model(d, &s, &l);
    cli_progress_done();
    if (fine) {
        printf("\n");
        say_compiled(&s, &l, "nat:mini at 224 x 224 (seeded weights: the classes mean nothing)");
    }
    fine = fine && ready(d, &s, &l, &p, &x);
    const char *const *labels = fine ? cli_labels(d->ctx, &s, &n_labels) : NULL;
    for (int i = 0; i < 5 && fine; i++) {
        fine = classify(d, &l, &p, path, x, &seconds);
        if (i == 0 || seconds < best) best = seconds;
    }
    if (fine) {
        printf("  %.1f ms per picture (best of 5, %d threads)\n", 1e3 * best, fovea_model_threads(l.model));
        say_best(d, &l, labels, n_labels, path);
    }
    free(x);
    cli_live_close(&l);
    cli_session_close(&s);
    return fine;
}
static int run(fv_ctx *ctx, const cli_args *a) {
    static demo d;
    int64_t threads = 0;
    d.ctx = ctx;
    d.data = cli_value(a, "data") ? cli_value(a, "data") : FOVEA_SOURCE_DIR "/tests/data";
    if (a->n_words) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "demo takes no argument");
        return CLI_USER;
    }
    if (!cli_int(ctx, a, "threads", 1, &threads)) return CLI_USER;
    d.threads = (int)threads;
    return digits(&d) && photo(&d) ? CLI_OK : CLI_USER;
}
static const cli_option options[] = {
    {"threads", "N", "threads; default: what affinity and quota allow", CLI_VALUE},
    {"data", "DIR", "the folder with digits/ and photo/ (default: tests/data of the source tree)", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_demo = {"demo", "demo [options]",
                              "a trained network on handwritten digits, a backbone on a photograph", options, run};
