/* The reference: evaluates a graph in f64, node by node, by the definitions of docs/language.md, and shares no
 * composition of reads and no lowering with what it judges. Slow on purpose; exact where that matters. */
#ifndef FV_REFERENCE_H
#define FV_REFERENCE_H
#include "graph/graph.h"

/* A tensor in the order of a value's axes (row-major), f64; exists: NULL (all), or one byte per element. Owned by the
 * caller or by the run. */
typedef struct { const fv_value *value; double *data; unsigned char *exists; } fv_ref_tensor;

/* Gives the elements of an INPUT, PARAM or STATE node in its STORED order, as f64, into `out` (count elements). false:
 * unknown (an error is recorded). */
typedef bool fv_ref_source(void *user, const fv_node *leaf, double *out, int64_t count);

/* Evaluates all outputs of `entry` ({0}: all). out[i]: graph->output[i] in its STORED order, malloc'ed, freed by the
 * caller with free(). progress: NULL or called with (done, total) nodes. Returns false after recording an error. */
bool fv_reference_run(fv_graph *g, fv_str entry, fv_ref_source *source, void *user, double **out,
                      void (*progress)(int done, int total, void *user), void *progress_user);
/* The same for all outputs; *most grows to the largest magnitude among the values of all nodes but those that attends
 * and scans evaluate themselves (NaN counts as infinite). */
bool fv_reference_run_most(fv_graph *g, fv_ref_source *source, void *user, double **out, double *most,
                           void (*progress)(int done, int total, void *user), void *progress_user);
#endif
