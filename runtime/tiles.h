/* The procedure of tiles: a map too large for a model is cut into tiles that overlap, each is answered by itself, and
 * of each answer the part without the overlap is pasted. One axis at a time: both axes of a map are cut alike. Source:
 * the tile mode of published restoration networks. */
#ifndef FOVEA_TILES_H
#define FOVEA_TILES_H
#include "fovea.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A tile along one axis: it reads `size` elements from `from`; those from `skip` on, `keep` of them, are its own. */
typedef struct {
    int32_t from, size, skip, keep;
} fovea_tile;

/* Tile i of an axis of `extent`: `size` elements of its own, `pad` more on each side where the axis has them.
 * size 0: one tile. false: there is no tile i. */
bool fovea_tile_at(int32_t extent, int32_t size, int32_t pad, int32_t i, fovea_tile *out);

/* planes x (y.size) x (x.size) out of planes x height x width. Beyond the map its border is reflected (without the
 * border's own element). */
void fovea_tile_cut(const float *map, int32_t planes, int32_t height, int32_t width, fovea_tile y, fovea_tile x,
                    float *out);

/* What tile (y, x) answered, each element of it `scale` long, into the answer of a map of height x width; what lies
 * beyond that is dropped. */
void fovea_tile_paste(const float *answer, int32_t planes, int32_t scale, fovea_tile y, fovea_tile x, int32_t height,
                      int32_t width, float *out);

/* The bound model for tiles of height x width, f32 [1, planes, height, width] in and, as the output asked for,
 * f32 [1, planes_out, height * scale, width * scale]. Asked for once per size of tile that occurs (at most nine); it
 * is used until `close`, or the end. Errors: any status, with a text. */
typedef fovea_status fovea_tile_open(void *user, int32_t height, int32_t width, fovea_model **out, fovea_error *err);
typedef void fovea_tile_close(void *user, fovea_model *model);

typedef struct {
    int32_t planes, height, width; /* of the map */
    int32_t planes_out, scale;     /* of the answer: planes_out x height * scale x width * scale */
    int32_t size, pad;             /* of tiles, see fovea_tile_at; size 0: the whole at once */
    int32_t multiple;              /* in tiles the border is reflected up to multiples of it; at least 1 */
    int32_t output;                /* which output of the models is the answer */
    fovea_tile_open *open;
    fovea_tile_close *close; /* after the last tile of a size; NULL: nothing is to be done */
    void *user;
    int32_t reserved[4]; /* 0 */
} fovea_tiles;

/* The answer of the whole map, both dense. Errors: FOVEA_E_ARGUMENT (a negative size or pad; an extent or multiple above
 * 2^29; a map too small to be reflected that far), FOVEA_E_MEMORY (it allocates a tile and its answer, and frees them),
 * FOVEA_E_TENSOR (a model that is not as fovea_tile_open says), and whatever open and the models give. The answer is
 * then incomplete. */
fovea_status fovea_tiles_run(const fovea_tiles *tiles, const float *map, float *answer, fovea_error *err);

#ifdef __cplusplus
}
#endif
#endif
