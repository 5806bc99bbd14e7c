/* What a spec is given, against what it declares: extents by axis, tensors by name. Shared by the command line and the
 * library. */
#ifndef FV_API_GIVEN_H
#define FV_API_GIVEN_H
#include "dsl/dsl.h"
#include "io/weights.h"

/* A stored tensor as the language sees it. false: t is NULL, or of more axes than it knows. */
bool fv_given_shape(const fovea_stored *t, const char *name, fv_shape_info *out);
int64_t fv_given_extents(const fv_node *leaf, int64_t *shape); /* stored extents of a leaf; returns their product */

/* Every extent of o is of an axis of one of g's inputs, and is its extent. `option`: how a message begins, "--shape ".
 * false after recording errors (UNKNOWN with the nearest name, USAGE). */
bool fv_given_axes(fv_ctx *ctx, const fv_graph *g, const fv_spec_options *o, const char *option);
/* Every parameter that g reads is among the weights, with its shape. false after recording errors (WEIGHTS). */
bool fv_given_weights(fv_ctx *ctx, const fv_weights *w, const fv_graph *g);
/* Where a trace with weights stopped at the first parameter that did not fit: records all that do not. text: NULL, the
 * file at path; else n bytes. Where the extents come from the weights, nothing is added. */
void fv_given_misfits(fv_ctx *ctx, const fv_weights *w, const char *path, const char *text, size_t n,
                      const char *variant, fv_spec_options o);
/* The type of "f32", "bf16", "f16"; FV_VOID for any other. */
fv_type fv_given_storage(const char *name);
#endif
