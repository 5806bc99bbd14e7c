/* Images: the weights of a program after prepare, as one block that is used where it lies. What deployed libraries map
 * from a file or carry inside: nothing is converted, packed or copied at start.
 *
 * Layout, all little endian and at multiples of 64: a header (fovea_image_header), a table of an int64 offset per
 * parameter of the program in its order (-1: runs do not read it), the parameters that runs read, the prepared block.
 * An image belongs to one program for one processor level; `program` and `content` in its header say so. */
#ifndef FOVEA_IMAGE_H
#define FOVEA_IMAGE_H
#include "fovea.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FOVEA_IMAGE_VERSION = 3 };
typedef struct {
    char magic[8]; /* "FOVEAIMG" */
    uint32_t version, n_params;
    uint64_t program; /* fovea_program_hash */
    uint64_t content; /* of all bytes behind the header */
    int64_t bytes;    /* of the whole image, header included */
    int64_t prepared, prepared_bytes;
    uint64_t level;      /* of the level of processor that prepare was compiled for */
    int64_t reserved[8]; /* 0 */
} fovea_image_header;

/* Of the parameters and prepared arrays of a program, and of what prepares them: equal for programs that can use the
 * same image, whatever compiled them. */
uint64_t fovea_program_hash(const fovea_program *program);

/* A set of images in one file: this header, a table, the images, each at a multiple of FOVEA_IMAGE_STEP (the largest
 * page of the processors that code is made for, so that one can be mapped by itself). */
enum { FOVEA_IMAGE_STEP = 1 << 16, FOVEA_IMAGE_MOST = 32 };
typedef struct {
    char magic[8]; /* "FOVEASET" */
    uint32_t version, n;
    int64_t bytes;       /* of the whole file */
    uint64_t content;    /* of the table */
    int64_t reserved[4]; /* 0 */
} fovea_image_set;
typedef struct {
    uint64_t level, program; /* as in the image's header */
    int64_t offset, bytes;
    int64_t reserved[4]; /* 0 */
} fovea_image_entry;
/* The set of n images that fovea_image_make gave, allocated (the caller frees it). Errors: FOVEA_E_ARGUMENT,
 * FOVEA_E_MEMORY. */
fovea_status fovea_image_join(const void *const *images, int32_t n, void **out, int64_t *bytes, fovea_error *err);
/* Of a multiple of 64 bytes. */
uint64_t fovea_content_hash(const void *data, int64_t bytes);

/* The image of a bound model, allocated (aligned to 64, the caller frees it). level: any number that tells apart
 * programs that pack alike by names but not by kernels. Errors: FOVEA_E_STATE (not bound), FOVEA_E_MEMORY,
 * FOVEA_E_PROGRAM (run by an executor: what it prepares does not lie here). */
fovea_status fovea_image_make(const fovea_model *bound, uint64_t level, void **out, int64_t *bytes, fovea_error *err);

/* A model over an image (or the one in a set that is of this program and level): like load and bind, but its weights
 * are the image's, which must outlive it. `image` is aligned to 64. The whole image is checked: a byte that is not as it was made is found (unless
 * options.unchecked says otherwise). Errors: FOVEA_E_FORMAT (no
 * image, cut, damaged, or of a version that is not known), FOVEA_E_WEIGHTS (of another program or level), and those
 * of fovea_model_load. The workspace has no `prepared` part. bind is refused (FOVEA_E_STATE). What an executor runs is
 * copied to its device, its prepare is not run. */
fovea_status fovea_image_load(const fovea_program *program, uint64_t level, const fovea_options *options,
                              const void *image, int64_t bytes, fovea_model **out, fovea_error *err);
/* The same over a file, mapped for as long as the model lives: an image, or a set of which the image of this program
 * and level is mapped (FOVEA_E_WEIGHTS: it has none). Also FOVEA_E_FILE. */
fovea_status fovea_image_open(const fovea_program *program, uint64_t level, const fovea_options *options,
                              const char *path, fovea_model **out, fovea_error *err);

#ifdef __cplusplus
}
#endif
#endif
