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
/* -- Reading ---- */
static bool number(char **io, int64_t *out) {
    char *end;
    if (**io < '0' || **io > '9') return false;
    *out = strtoll(*io, &end, 10);
    *io = end;
    return *out >= 1 && *out < INT64_MAX;
}
static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
static bool sizes(char *p, cli_shape *s) {
    if (!number(&p, &s->value[s->n++])) return false;
    if (!strncmp(p, "..", 2)) {
        p += 2;
        s->range = true;
        s->n = 2;
        return number(&p, &s->value[1]) && !*p && s->value[0] <= s->value[1];
    }
    for (; *p == '/' && s->n < CLI_MAX_SIZES; s->n++) {
        p++;
        if (!number(&p, &s->value[s->n])) return false;
    }
    qsort(s->value, (size_t)s->n, sizeof *s->value, ascending);
    for (int i = 1; i < s->n; i++)
        if (s->value[i] == s->value[i - 1]) return false;
    return !*p;
}
cli_shape_list cli_shape_begin(fv_ctx *ctx, const cli_args *a) {
    (void)ctx;
    cli_shape_list list = {0};
    list.n = cli_values(a, "shape", list.option, 32);
    return list;
}
bool cli_shape_next(fv_ctx *ctx, cli_shape_list *io, cli_shape *out) {
    while (!io->rest || !*io->rest) {
        if (io->failed || io->at == io->n) return false;
        io->rest = fv_strdup(ctx, io->option[io->at++]);
    }
    char *p = io->rest, *comma = strchr(p, ',');
    io->rest = comma ? comma + 1 : NULL;
    if (comma) *comma = 0;
    *out = (cli_shape){.text = fv_strdup(ctx, p)};
    for (char *eq; (eq = strchr(p, '=')) && eq > p && out->n_names < CLI_MAX_TIED; p = eq + 1) {
        *eq = 0;
        out->name[out->n_names++] = p;
    }
    if (out->n_names && sizes(p, out)) return true;
    io->failed = true;
    fv_error(ctx, FV_E_USAGE, (fv_loc){0},
             "--shape takes axis=extent, separated by commas (fovea build also a range, b=1..8, and sizes, "
             "h=w=224/256); '%s' is not that",
             out->text);
    return false;
}
bool cli_shapes_read(fv_ctx *ctx, const cli_args *a, fv_spec_options *o) {
    cli_shape s;
    o->n_shapes = 0;
    cli_shape_list list = cli_shape_begin(ctx, a);
    while (cli_shape_next(ctx, &list, &s)) {
        if (s.n > 1 && strcmp(a->command, "build") != 0) {
            fv_error(ctx, FV_E_USAGE, (fv_loc){0},
                     "--shape %s: only fovea build makes something for several extents; %s takes one", s.text,
                     a->command);
            return false;
        }
        if (o->n_shapes + s.n_names > CLI_MAX_SHAPES) {
            fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "--shape: at most %d extents", CLI_MAX_SHAPES);
            return false;
        }
        for (int i = 0; i < s.n_names; i++) cli_shapes_put(ctx, o, s.name[i], s.value[s.n - 1]);
    }
    return !list.failed;
}
