/* Writing a status and its text. */
#ifndef FOVEA_ERROR_H
#define FOVEA_ERROR_H
#include "fovea.h"

/* Records status and text in err (NULL is fine) and returns status. Long texts are cut and end in "...". */
fovea_status fovea_fail(fovea_error *err, fovea_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "[2, 3, 4]" into out, which is returned; cut where it does not fit. */
const char *fovea_shape_text(char *out, size_t cap, const int64_t *shape, int32_t rank);
#endif
