/* What one seed means: a random graph, how its leaves are filled, and which variants are compared. Shared by the unit
 * test and the fuzzer. */
#ifndef FV_GRAPH_CASE_H
#define FV_GRAPH_CASE_H
#include "tests/fuzz/differential.h"
#include "tests/fuzz/random_graph.h"

typedef struct {
    uint64_t seed;
    bool interpret_only, no_flat;
    const char *variants; /* NULL, cpu: the cpu backend and the interpreters; blocks: products in 16 bit; opencl: its
                           * two shapes of plain kernels; fragment: OpenCL's fragments, emulated */
} fv_graph_case;
/* Can graphs be run on the backend of these variants here? Asked in a process of its own. false: `why` says why not. */
bool fv_graph_case_runs(const char *variants, fv_buf *why);
/* seed % 4: 0, 1 small extents; 2 extents that straddle vectors; 3 whole numbers, extents of both kinds. fragment:
 * blocks; 3 whole numbers. */
fv_graph *fv_graph_case_make(fv_ctx *ctx, uint64_t seed, const char *variants);
/* An fv_diff_body; user: fv_graph_case. REFUSED only if every variant that the graph has is refused. */
fv_diff_verdict fv_graph_case_run(void *user, fv_buf *report);
#endif
