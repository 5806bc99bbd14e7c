/* Mutated Lua specs: a spec is not trusted, so whatever it says, loading it ends with a graph that verifies or with
 * diagnostics, within its limits of time and memory. */
#define _POSIX_C_SOURCE 200809L
#include "dsl/dsl.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/golden.h"

#include <unistd.h>

typedef struct {
    int sample;
    char *config;
} configured;
static fv_corpus specs;
static configured config[2000];
static int n_configs;

/* The configurations of the golden cases, for the specs of their systems. */
static void add_configs(void) {
    fv_corpus cases = {0};
    fv_corpus_add_files(&cases, FOVEA_TESTS_DIR "/goldens", "case.json", 0);
    for (int i = 0; i < cases.n && n_configs < 2000; i++) {
        const char *at = strstr(cases.item[i].data, "\"config\":"), *end = at ? strstr(at, "\n },") : NULL;
        char system[200] = "";
        sscanf(strstr(cases.item[i].path, "/goldens/"), "/goldens/%150[^/]", system);
        strcat(system, ".lua");
        for (int s = 0; s < specs.n && end; s++) {
            const char *base = strrchr(specs.item[s].path, '/') + 1;
            if (strcmp(base, system)) continue;
            size_t n = (size_t)(end + 3 - (at + 9));
            config[n_configs] = (configured){s, malloc(n + 1)};
            memcpy(config[n_configs].config, at + 9, n);
            config[n_configs++].config[n] = 0;
        }
        free(cases.item[i].path);
        free(cases.item[i].data);
    }
    free(cases.item);
}
static bool one(uint64_t seed, fv_buf *why) {
    fv_random r = fv_random_start(seed);
    int chosen = fv_random_below(&r, specs.n);
    const char *json = NULL;
    if (fv_random_below(&r, 4) && n_configs) {
        const configured *k = &config[fv_random_below(&r, n_configs)];
        chosen = k->sample;
        json = k->config;
    }
    size_t n;
    char path[200], *text = fv_mutate(&r, &specs, &specs.item[chosen], true, &n);
    if (getenv("FOVEA_FUZZ_SHOW")) printf("%s\n%s\n", specs.item[chosen].path, text), fflush(stdout);
    snprintf(path, sizeof path, "/tmp/fovea-fuzz-%ld.lua", (long)getpid());
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(text, 1, n, f);
        fclose(f);
    }
    free(text);
    fv_ctx *ctx = fv_ctx_new();
    fv_spec_options o = {.declare = true,
                         .config_json = json,
                         .spec_dir = FOVEA_SPEC_DIR,
                         .seconds = 3,
                         .memory_bytes = 64 << 20,
                         .instructions = 20000000,
                         .nodes = 20000};
    fv_spec s;
    bool loaded = fv_spec_load(ctx, path, NULL, &o, &s),
         fine = loaded ? fv_graph_verify(s.graph) == 0 : fv_error_count(ctx) > 0;
    if (!fine) {
        fv_buf_puts(why, loaded ? "a graph that does not verify: " : "refused without a reason");
        fv_diag_render(ctx, why);
    }
    fv_ctx_dispose(ctx);
    unlink(path);
    return fine;
}
int main(int argc, char **argv) {
    fv_corpus_add_files(&specs, FOVEA_SPEC_DIR, ".lua", 0);
    fv_corpus_add_files(&specs, FOVEA_TESTS_DIR "/cases", ".lua", 0);
    add_configs();
    return fv_fuzz_main(argc, argv, "specs", one);
}
