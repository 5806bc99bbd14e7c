/* The procedure of tiles: see tiles.h. */
#include "cli/tiles.h"

#include <string.h>

bool cli_tile_at(int32_t extent, int32_t size, int32_t pad, int32_t i, cli_tile *out) {
    if (size <= 0 || size > extent) size = extent;
    if (i < 0 || i >= (extent + size - 1) / size) return false;
    int32_t own = i * size, end = own + size < extent ? own + size : extent;
    int32_t from = own > pad ? own - pad : 0, to = extent - end > pad ? end + pad : extent;
    *out = (cli_tile){.from = from, .size = to - from, .skip = own - from, .keep = end - own};
    return true;
}
static int32_t reflected(int32_t i, int32_t extent) { return i < extent ? i : 2 * extent - 2 - i; }

void cli_tile_cut(const float *map, int32_t planes, int32_t height, int32_t width, cli_tile y, cli_tile x, float *out) {
    for (int32_t p = 0; p < planes; p++)
        for (int32_t i = 0; i < y.size; i++) {
            const float *row = map + ((int64_t)p * height + reflected(y.from + i, height)) * width;
            for (int32_t j = 0; j < x.size; j++) *out++ = row[reflected(x.from + j, width)];
        }
}
static int32_t kept(cli_tile t, int32_t extent) {
    int32_t left = extent - (t.from + t.skip);
    return t.keep < left ? t.keep : left;
}
void cli_tile_paste(const float *answer, int32_t planes, int32_t scale, cli_tile y, cli_tile x, int32_t height,
                    int32_t width, float *out) {
    int64_t s = scale, rows = kept(y, height) * s, columns = kept(x, width) * s;
    if (columns <= 0) return;
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < rows; i++)
            memcpy(out + ((p * height + y.from + y.skip) * s + i) * width * s + (x.from + x.skip) * s,
                   answer + ((p * y.size + y.skip) * s + i) * x.size * s + x.skip * s, (size_t)columns * sizeof *out);
}
