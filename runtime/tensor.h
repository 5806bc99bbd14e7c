/* What a caller's tensor must be like to stand for an array of the program. */
#ifndef FOVEA_TENSOR_H
#define FOVEA_TENSOR_H
#include "fovea.h"

/* Elements of a shape; -1 if an extent is negative or the product, times element_size, does not fit an int64. */
int64_t fovea_shape_count(const int64_t *shape, int32_t rank, int64_t element_size);

/* Checks device, dtype, shape, strides and alignment of `tensor` against `array`; *data gets its first byte. `what`
 * starts the message ("input"). status: what to fail with. */
fovea_status fovea_tensor_check(const DLTensor *tensor, const fovea_array *array, const char *what, fovea_status status,
                                void **data, fovea_error *err);

/* Whether every element of an i32 array with an index bound is in 0..bound-1 (true if there is no bound). */
fovea_status fovea_index_check(const fovea_array *array, const void *data, const char *what, fovea_status status,
                               fovea_error *err);

/* Whether the byte ranges a..a+n and b..b+m share a byte. */
bool fovea_overlap(const void *a, int64_t n, const void *b, int64_t m);
#endif
