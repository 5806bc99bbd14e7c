/* Times of other systems beside ours, as bench/peer_torch.py and bench/peer_rows.py write them:
 * {"peer": "…", "results": [{"name", "threads", "min_ms"}]}. */
#include "cli/bench.h"

#include <string.h>

const char *cli_bench_peer_title(const fv_json *file, const char *otherwise) {
    const fv_json *name = fv_json_get(file, "peer");
    return name && name->kind == FV_JSON_STRING ? name->text : otherwise;
}
double cli_bench_peer_ms(const fv_json *file, const char *name, int threads) {
    const fv_json *results = name ? fv_json_get(file, "results") : NULL;
    for (int i = 0; results && results->kind == FV_JSON_ARRAY && i < results->n; i++) {
        const fv_json *n = fv_json_get(results->items[i], "name"), *t = fv_json_get(results->items[i], "threads"),
                      *ms = fv_json_get(results->items[i], "min_ms");
        if (n && n->kind == FV_JSON_STRING && !strcmp(n->text, name) && t && t->kind == FV_JSON_INT &&
            t->integer == threads && ms && (ms->kind == FV_JSON_REAL || ms->kind == FV_JSON_INT))
            return ms->real;
    }
    return 0;
}
