/* Extents that a built library leaves open: see bounds.h. A range is served by programs for powers of two, up to
 * MOST_AT_ONCE elements at once: more of them at once would take more memory and hardly less time. */
#include "cli/bounds.h"
#include "cli/shapes.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_AT_ONCE = 8 };

static bool refuse(fv_ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(fv_ctx *ctx, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--shape: %s", text);
    return false;
}

/* -- The extents ---- */
static bool add(fv_ctx *ctx, cli_bounds *b, const cli_shape *s) {
    int64_t *sizes = FV_NEWN(ctx, int64_t, s->n + 1);
    for (int i = 0; i < s->n; i++) sizes[i] = s->value[i];
    for (int i = 0; i < s->n_names; i++) {
        if (b->n == FOVEA_MAX_EXTENTS) return refuse(ctx, "at most %d extents can be left open", FOVEA_MAX_EXTENTS);
        for (int k = 0; k < b->n; k++)
            if (!strcmp(b->extent[k].name, s->name[i])) return refuse(ctx, "%s is given twice", s->name[i]);
        fovea_bounds *e = &b->extent[b->n];
        *e = (fovea_bounds){.name = s->name[i], .least = sizes[0], .most = sizes[s->n - 1]};
        b->tied[b->n] = b->n - i;
        if (s->range && (b->range >= 0 || s->n_names > 1))
            return refuse(ctx, "%s: one extent can be a range; of others list the sizes, as in h=224/256", s->name[i]);
        if (s->range) b->range = b->n;
        else e->sizes = sizes, e->n_sizes = s->n;
        b->n++;
    }
    return true;
}
/* The next sizes, the last extent first; false after the last. */
static bool next_sizes(const cli_bounds *b, int *at) {
    for (int i = b->n - 1; i >= 0; i--) {
        if (i == b->range || b->tied[i] != i) continue;
        if (--at[i] >= 0) return true;
        at[i] = b->extent[i].n_sizes - 1;
    }
    return false;
}
static void put(const cli_bounds *b, const int *at, int64_t ranged, int64_t *list, int *io_n) {
    int64_t *to = list + (ptrdiff_t)*io_n * b->n;
    for (int i = 0; i < b->n; i++) to[i] = i == b->range ? ranged : b->extent[i].sizes[at[b->tied[i]]];
    ++*io_n;
}
static bool list_shapes(fv_ctx *ctx, cli_bounds *b) {
    int64_t batch[8] = {1}, tried[3], least = 1, most = 1;
    int at[FOVEA_MAX_EXTENTS], n = 0, n_tried = 0;
    if (b->range >= 0) {
        least = b->extent[b->range].least;
        most = b->extent[b->range].most;
    }
    for (int64_t k = MOST_AT_ONCE; k >= 1; k /= 2)
        if (k <= most) batch[n++] = k;
    if (least == most && most <= MOST_AT_ONCE) batch[0] = most, n = 1;
    tried[n_tried++] = most;
    if (most - 1 > least) tried[n_tried++] = most - 1; /* the most programs make it up */
    if (least < most) tried[n_tried++] = least;
    b->program = FV_NEWN(ctx, int64_t, CLI_MAX_PROGRAMS *FOVEA_MAX_EXTENTS);
    b->tried = FV_NEWN(ctx, int64_t, CLI_MAX_PROGRAMS *FOVEA_MAX_EXTENTS);
    for (int i = 0; i < b->n; i++) at[i] = b->extent[i].n_sizes - 1;
    do {
        if (b->n_programs + n > CLI_MAX_PROGRAMS)
            return refuse(ctx,
                          "more than %d programs: fewer sizes, a smaller range, or sizes that belong together "
                          "(h=w=224/256)",
                          CLI_MAX_PROGRAMS);
        for (int i = 0; i < n; i++) put(b, at, batch[i], b->program, &b->n_programs);
        for (int i = 0; i < n_tried; i++)
            if (b->n_tried < CLI_MAX_TRIED) put(b, at, tried[i], b->tried, &b->n_tried);
    } while (next_sizes(b, at));
    return true;
}
bool cli_bounds_read(fv_ctx *ctx, const cli_args *a, cli_bounds *b) {
    cli_shape s;
    const char *text = "";
    *b = (cli_bounds){.range = -1};
    cli_shape_list list = cli_shape_begin(ctx, a);
    while (cli_shape_next(ctx, &list, &s)) {
        if (!s.range && s.n == 1) continue;
        if (!add(ctx, b, &s)) return false;
        text = fv_printf(ctx, "%s%s%s", text, *text ? "," : "", s.text);
    }
    b->text = text;
    return !list.failed && (!b->n || list_shapes(ctx, b));
}
void cli_bounds_put(fv_ctx *ctx, const cli_bounds *b, const int64_t *extents, fv_spec_options *io) {
    for (int i = 0; i < b->n; i++) cli_shapes_put(ctx, io, b->extent[i].name, extents[i]);
}
const char *cli_bounds_name(fv_ctx *ctx, const cli_bounds *b, const int64_t *extents) {
    const char *text = "";
    for (int i = 0; i < b->n; i++)
        text = fv_printf(ctx, "%s%s%s=%lld", text, i ? "," : "", b->extent[i].name, (long long)extents[i]);
    return text;
}

/* -- The graph ---- */
static const char *said(fv_ctx *ctx, const fv_node *n) { /* what the author calls it */
    const char *op = fv_node_op_name(n->op);
    bool leaf = n->op == FV_NODE_INPUT || n->op == FV_NODE_PARAM || n->op == FV_NODE_STATE;
    return leaf ? fv_printf(ctx, "%s '%s'", op, fv_cstr(ctx, n->u.leaf.name)) : fv_printf(ctx, "%s _%d", op, n->id);
}
static bool mixed(fv_ctx *ctx, const cli_bounds *b, const fv_node *n, const char *why) {
    const char *axis = b->extent[b->range].name;
    fv_error(ctx, FV_E_USAGE, n->loc,
             "%s cannot be a range: the node %s does not keep the elements of %s apart: %s; list the sizes "
             "instead, as in %s=%lld/%lld",
             axis, said(ctx, n), axis, why, axis, (long long)b->extent[b->range].least,
             (long long)b->extent[b->range].most);
    return false;
}
bool cli_bounds_apart(fv_ctx *ctx, const cli_bounds *b, const fv_graph *g) {
    const char *why = NULL;
    if (b->range < 0) return true;
    const fv_node *n = fv_graph_mixes(g, fv_intern(ctx, b->extent[b->range].name), &why);
    return n ? mixed(ctx, b, n, why) : true;
}
bool cli_bounds_alike(fv_ctx *ctx, const cli_bounds *b, const fv_graph *most, const fv_graph *g,
                      const int64_t *extents) {
    if (b->range < 0) return true;
    for (int i = 0; i < b->n; i++) /* other sizes are other graphs */
        if (i != b->range && extents[i] != b->tried[i]) return true;
    const fv_node *n = fv_graph_differs(most, g, b->tried[b->range], extents[b->range]);
    return n ? mixed(ctx, b, n, "it is another one for another number of them") : true;
}
