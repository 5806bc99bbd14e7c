/* The text that names a kernel: see group.h. */
#include "tune/group.h"

const char *fv_tune_group_text(fv_ctx *ctx, const fv_launch *l) { return l->group < 0 ? NULL : fv_launch_key(ctx, l); }
