/* nearest: of some names, those that a misspelt one was probably meant to be. */
#ifndef FV_NEAREST_H
#define FV_NEAREST_H
#include "base/base.h"

/* Up to three of `name[0..n-1]` within an edit distance of a third of the word (at least 1; 0 for one letter), nearest
 * first, as text owned by the context:
 * "; did you mean a, b?", or "; known: ..." when few names exist and none is near, or "". */
const char *fv_nearest(fv_ctx *ctx, const char *word, const char *const *name, int n);
#endif
