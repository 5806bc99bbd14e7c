/* Patterns as text (one character per cell, or per square of cells where the map is wide) and as PNG or SVG. */
#include "cli/pattern.h"
#include "io/file.h"
#include "io/picture.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 112, PICTURE_SIDE = 1024, SLICES = 8 };
static const char *const shade[] = {"·", "░", "▒", "▓", "█"};

/* A plane of numbers 0..1 (how much of a cell is seen) with one marked cell (-1: none). */
typedef struct {
    int64_t rows, columns, mark_row, mark_column;
    double *seen;
} plane;

static void draw_text(const plane *p, int64_t columns) {
    int64_t f = (p->columns + columns - 1) / columns;
    if (f < 1) f = 1;
    for (int64_t r = 0; r < p->rows; r += f) {
        printf("    ");
        for (int64_t c = 0; c < p->columns; c += f) {
            double sum = 0;
            int64_t n = 0;
            bool mark = false;
            for (int64_t y = r; y < r + f && y < p->rows; y++)
                for (int64_t x = c; x < c + f && x < p->columns; x++, n++) {
                    sum += p->seen[y * p->columns + x];
                    mark = mark || (y == p->mark_row && x == p->mark_column);
                }
            int level = sum <= 0 ? 0 : 1 + (int)(sum / (double)n * 3.999);
            fputs(mark ? (sum > 0 ? "◉" : "○") : shade[level > 4 ? 4 : level], stdout);
        }
        printf("\n");
    }
    if (f > 1) printf("    (one character for %lld x %lld)\n", (long long)f, (long long)f);
}

/* Query by key, for queries along one axis and keys along one. */
static bool matrix(const cli_pattern_set *p, plane *out) {
    if (!p->whole || p->n_query != 1 || p->n_map != 1) return false;
    *out = (plane){p->n_queries, p->n_cells, -1, -1, calloc((size_t)(p->n_queries * p->n_cells) + 1, sizeof(double))};
    for (int64_t q = 0; out->seen && q < p->n_queries; q++)
        for (int64_t k = 0; k < p->n_keys; k++) {
            double cell = p->code[q * p->n_keys + k];
            if (cell >= 0) out->seen[q * p->n_cells + (int64_t)cell] = 1;
        }
    return out->seen != NULL;
}
/* The last two axes of the map, at `slice` of the ones before. */
static plane map_slice(const cli_pattern_set *p, const int *counts, int64_t slice) {
    plane x = {.rows = p->n_map > 1 ? p->map[p->n_map - 2].extent : 1,
               .columns = p->n_map ? p->map[p->n_map - 1].extent : 1,
               .mark_row = -1,
               .mark_column = -1};
    int64_t n = x.rows * x.columns, at = 0;
    x.seen = calloc((size_t)n + 1, sizeof(double));
    for (int64_t i = 0; x.seen && i < n; i++) x.seen[i] = counts[slice * n + i] > 0;
    for (int i = 0; i < p->n_map - 2; i++) at = at * p->map[i].extent + p->at[i];
    if (p->n_map && at == slice && p->at[p->n_map - 1] >= 0 && (p->n_map < 2 || p->at[p->n_map - 2] >= 0)) {
        x.mark_row = p->n_map > 1 ? p->at[p->n_map - 2] : 0;
        x.mark_column = p->at[p->n_map - 1];
    }
    return x;
}
static void axes_text(fv_ctx *ctx, const fv_axis *a, const int64_t *at, int n) {
    for (int i = 0; i < n; i++)
        printf("%s%s%s%lld", i ? " " : "", fv_cstr(ctx, a[i].name), at ? "=" : ":",
               (long long)(at ? at[i] : a[i].extent));
}
void cli_pattern_text(fv_ctx *ctx, const cli_pattern_set *p) {
    int *counts = calloc((size_t)p->n_cells + 1, sizeof(int));
    int64_t outside, exist, distinct = 0, n;
    if (!counts) return;
    exist = cli_pattern_counts(p, counts, &outside);
    for (int64_t i = 0; i < p->n_cells; i++) distinct += counts[i] > 0;
    printf("attend at %s:%d, key set %d: keys from %s (", fv_cstr(ctx, p->attend->loc.file), p->attend->loc.line,
           p->number + 1, p->source);
    axes_text(ctx, p->map, NULL, p->n_map);
    printf(")\n  query ");
    axes_text(ctx, p->query, p->chosen, p->n_query);
    printf(" sees %lld of %lld keys: %lld of %lld places of the map", (long long)exist, (long long)p->n_keys,
           (long long)distinct, (long long)p->n_cells);
    if (outside) printf(", %lld outside of it", (long long)outside);
    printf("\n");
    plane m;
    if (matrix(p, &m)) {
        draw_text(&m, p->n_queries > COLUMNS || p->n_cells > COLUMNS ? COLUMNS / 2 : COLUMNS);
        free(m.seen);
    } else {
        plane one = map_slice(p, counts, 0);
        n = one.rows * one.columns;
        free(one.seen);
        for (int64_t s = 0, shown = 0; s < p->n_cells / (n ? n : 1) && shown < SLICES; s++) {
            bool any = false;
            for (int64_t i = 0; i < n; i++) any = any || counts[s * n + i];
            if (!any) continue;
            shown++;
            if (p->n_cells > n) printf("  slice %lld\n", (long long)s);
            plane x = map_slice(p, counts, s);
            if (x.seen) draw_text(&x, COLUMNS);
            free(x.seen);
        }
    }
    free(counts);
}

/* -- Pictures ---- */
static const unsigned char seen_colour[3] = {31, 92, 153}, mark_colour[3] = {214, 69, 45},
                           none_colour[3] = {236, 238, 240};
static bool draw_png(fv_ctx *ctx, const plane *p, const char *path) {
    int64_t side = p->rows > p->columns ? p->rows : p->columns, f = side ? PICTURE_SIDE / side : 1;
    if (f < 1) f = 1;
    fv_picture out = {0};
    const char *why = fv_picture_alloc(&out, (uint64_t)(p->columns * f), (uint64_t)(p->rows * f));
    if (why) {
        fv_error(ctx, FV_E_PICTURE, (fv_loc){0}, "%s: %s", path, why);
        return false;
    }
    for (int64_t y = 0; y < p->rows * f; y++)
        for (int64_t x = 0; x < p->columns * f; x++) {
            int64_t r = y / f, c = x / f;
            const unsigned char *colour = r == p->mark_row && c == p->mark_column ? mark_colour
                                          : p->seen[r * p->columns + c] > 0       ? seen_colour
                                                                                  : none_colour;
            bool line = f >= 6 && (y % f == 0 || x % f == 0);
            for (int k = 0; k < 3; k++) out.rgb[(y * p->columns * f + x) * 3 + k] = line ? 255 : colour[k];
        }
    bool fine = fv_picture_write_png(ctx, path, &out);
    fv_picture_dispose(&out);
    return fine;
}
static void svg_run(fv_buf *b, int64_t r, int64_t c, int64_t n, const unsigned char *colour) {
    fv_buf_printf(b, "<rect x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"1\" fill=\"#%02x%02x%02x\"/>\n", (long long)c,
                  (long long)r, (long long)n, colour[0], colour[1], colour[2]);
}
static void svg_begin(fv_buf *b, const plane *p) {
    fv_buf_printf(b,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %lld %lld\" "
                  "shape-rendering=\"crispEdges\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#eceef0\"/>\n",
                  (long long)p->columns, (long long)p->rows);
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t c = 0, n; c < p->columns; c += n) {
            bool seen = p->seen[r * p->columns + c] > 0;
            for (n = 1; c + n < p->columns && (p->seen[r * p->columns + c + n] > 0) == seen; n++) {}
            if (seen) svg_run(b, r, c, n, seen_colour);
        }
    if (p->mark_row >= 0) svg_run(b, p->mark_row, p->mark_column, 1, mark_colour);
}
static bool draw_svg(fv_ctx *ctx, const plane *p, const char *path) {
    fv_buf b = {0};
    svg_begin(&b, p);
    fv_buf_puts(&b, "</svg>\n");
    bool fine = fv_file_write(ctx, path, b.text, b.len);
    fv_buf_dispose(&b);
    return fine;
}
/* The plane to draw: queries by keys, or the slice of the map that the query stands in. seen NULL: no memory. */
static plane plane_of(const cli_pattern_set *p) {
    plane x = {0};
    if (matrix(p, &x)) return x;
    int *counts = calloc((size_t)p->n_cells + 1, sizeof(int));
    int64_t outside, slice = 0;
    if (!counts) return x;
    cli_pattern_counts(p, counts, &outside);
    for (int i = 0; i < p->n_map - 2; i++) slice = slice * p->map[i].extent + (p->at[i] > 0 ? p->at[i] : 0);
    x = map_slice(p, counts, slice);
    free(counts);
    return x;
}
/* The axis of the map that a tile axis goes along ("h.y" along h, with or without a number): the last two, or -1. */
static int along(fv_ctx *ctx, const cli_pattern_set *p, const char *name) {
    for (int i = p->n_map > 1 ? p->n_map - 2 : 0; i < p->n_map; i++) {
        const char *axis = fv_cstr(ctx, p->map[i].name);
        size_t n = strlen(axis);
        if (!strncmp(name, axis, n) && (!name[n] || name[n] == '.')) return i;
    }
    return -1;
}
void cli_pattern_svg(fv_ctx *ctx, const cli_pattern_set *p, const cli_block *block, int n, fv_buf *out) {
    plane x = plane_of(p);
    if (!x.seen) return;
    svg_begin(out, &x);
    bool one =
        p->whole && p->n_query == 1 && p->n_map == 1; /* rows are queries: the chosen one's row alone has blocks */
    for (int i = 0; i < n; i++) {
        int axis = block[i].skipped ? -1 : along(ctx, p, fv_cstr(ctx, block[i].axis));
        if (axis < 0) continue;
        bool columns = axis == p->n_map - 1;
        int64_t length = block[i].hi - block[i].lo + 1;
        fv_buf_printf(out,
                      "<rect class=\"block\" x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"%lld\" fill=\"none\" "
                      "stroke=\"#d6452d\" stroke-width=\"1\" vector-effect=\"non-scaling-stroke\"/>\n",
                      (long long)(columns ? block[i].lo : 0),
                      (long long)(one       ? cli_pattern_index(p)
                                  : columns ? 0
                                            : block[i].lo),
                      (long long)(columns ? length : x.columns),
                      (long long)(one       ? 1
                                  : columns ? x.rows
                                            : length));
    }
    fv_buf_puts(out, "</svg>\n");
    free(x.seen);
}
bool cli_pattern_picture(fv_ctx *ctx, const cli_pattern_set *p, const char *path) {
    size_t n = strlen(path);
    bool svg = n > 4 && !strcmp(path + n - 4, ".svg"), png = n > 4 && !strcmp(path + n - 4, ".png");
    if (!svg && !png) {
        fv_error(ctx, FV_E_USAGE, (fv_loc){0}, "-o %s: pictures are written as .png or .svg", path);
        return false;
    }
    plane x = plane_of(p);
    bool fine = x.seen && (svg ? draw_svg(ctx, &x, path) : draw_png(ctx, &x, path));
    free(x.seen);
    if (fine) printf("wrote %s\n", path);
    return fine;
}
