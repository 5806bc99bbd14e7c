/* --shape: see shapes.h. */
#include "cli/shapes.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_AXES = 256 };

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

static bool check_one(fv_ctx *ctx, const fv_graph *g, const char *name, int64_t extent) {
    const char *known[MOST_AXES], *list = "";
    const fv_node *other = NULL;
    int n = 0;
    int64_t is = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *leaf = g->node[i];
        if (leaf->op != FV_NODE_INPUT) continue;
        for (int d = 0; d < leaf->result[0]->obj.rank; d++) {
            const fv_axis *axis = &leaf->result[0]->axis[d];
            const char *text = fv_cstr(ctx, axis->name);
            bool new = n < MOST_AXES;
            if (!strcmp(text, name)) {
                if (axis->extent == extent) return true;
                other = leaf;
                is = axis->extent;
            }
            for (int j = 0; j < n; j++) new = new && strcmp(known[j], text) != 0;
            if (!new) continue;
            list = fv_printf(ctx, "%s%s%s", list, n ? ", " : "", text);
            known[n++] = text;
        }
    }
    if (other) {
        fv_error(ctx, FV_E_USAGE, other->loc, "--shape %s=%lld: the axis %s of the input '%s' has the extent %lld",
                 name, (long long)extent, name, fv_cstr(ctx, other->u.leaf.name), (long long)is);
        return false;
    }
    const char *near = n ? fv_nearest_name(name, known, n) : NULL;
    fv_error(ctx, FV_E_UNKNOWN, (fv_loc){0}, "--shape %s=%lld: no input has an axis '%s'; there are %s%s%s", name,
             (long long)extent, name, n ? list : "none", near ? "; the nearest is " : "", near ? near : "");
    return false;
}
bool cli_shapes_check(fv_ctx *ctx, const fv_graph *g, const fv_spec_options *o) {
    bool fine = true;
    for (int i = 0; i < o->n_shapes; i++) fine = check_one(ctx, g, o->shape_name[i], o->shape_value[i]) && fine;
    return fine;
}
