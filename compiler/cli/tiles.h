/* The procedure of tiles: a map too large for a model is cut into tiles that overlap, each is answered by itself, and
 * of each answer the part without the overlap is pasted. One axis at a time: both axes of a picture are cut alike. */
#ifndef FV_CLI_TILES_H
#define FV_CLI_TILES_H
#include <stdbool.h>
#include <stdint.h>

/* A tile along one axis: it reads `size` elements from `from`; those from `skip` on, `keep` of them, are its own. */
typedef struct {
    int32_t from, size, skip, keep;
} cli_tile;

/* Tile i of an axis of `extent`: `size` elements of its own, `pad` more on each side where the axis has them.
 * size 0: one tile. false: there is no tile i. */
bool cli_tile_at(int32_t extent, int32_t size, int32_t pad, int32_t i, cli_tile *out);

/* planes x (y.size) x (x.size) out of planes x height x width. Beyond the map its border is reflected (without the
 * border's own element). */
void cli_tile_cut(const float *map, int32_t planes, int32_t height, int32_t width, cli_tile y, cli_tile x, float *out);

/* What tile (y, x) answered, each element of it `scale` long, into the answer of a map of height x width; what lies
 * beyond that is dropped. */
void cli_tile_paste(const float *answer, int32_t planes, int32_t scale, cli_tile y, cli_tile x, int32_t height,
                    int32_t width, float *out);
#endif
