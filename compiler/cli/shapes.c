/* --shape: see shapes.h. */
#include "cli/shapes.h"
#include <stdlib.h>
#include <string.h>

void cli_shapes_put(fv_ctx *ctx, fv_spec_options *o, const char *name, int64_t extent) {
    const char **names = FV_NEWN(ctx, const char *, o->n_shapes + 1);
    int64_t *values = FV_NEWN(ctx, int64_t, o->n_shapes + 1);
    int n = 0;
    for (int i = 0; i < o->n_shapes; i++)
        if (strcmp(o->shape_name[i], name) != 0) {
            names[n] = o->shape_name[i];
            values[n++] = o->shape_value[i];
        }
    names[n] = name;
    values[n++] = extent;
    o->shape_name = names;
    o->shape_value = values;
    o->n_shapes = n;
}
bool cli_shapes_read(fv_ctx *ctx, const cli_args *a, fv_spec_options *o) {
    const char *list[32];
    int count = cli_values(a, "shape", list, 32);
    o->n_shapes = 0;
    for (int i = 0; i < count; i++)
        for (char *p = fv_strdup(ctx, list[i]), *next; p && *p; p = next) {
            next = strchr(p, ',');
            if (next) *next++ = 0;
            char *eq = strchr(p, '='), *end = NULL;
            long long v = eq ? strtoll(eq + 1, &end, 10) : 0;
            if (!eq || eq == p || *end || v < 1 || o->n_shapes == CLI_MAX_SHAPES) {
                fv_error(ctx, FV_E_USAGE, (fv_loc){0},
                         "--shape takes axis=extent, separated by commas; '%s' is not that", p);
                return false;
            }
            *eq = 0;
            cli_shapes_put(ctx, o, p, v);
        }
    return true;
}
