/* Status texts and messages. A text is always terminated and never longer than its buffer. */
#include "error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *fovea_status_text(fovea_status status) {
    static const char *const texts[] = {
        [FOVEA_OK] = "ok",
        [FOVEA_E_ARGUMENT] = "a call with unfit arguments",
        [FOVEA_E_MEMORY] = "not enough memory",
        [FOVEA_E_PROGRAM] = "the compiled program contradicts itself",
        [FOVEA_E_TENSOR] = "an input or output does not fit the model",
        [FOVEA_E_WEIGHTS] = "weights do not fit the model",
        [FOVEA_E_FILE] = "a file cannot be read or written",
        [FOVEA_E_FORMAT] = "a file is not what it claims to be",
        [FOVEA_E_STATE] = "the model has no weights bound",
        [FOVEA_E_GUARD] = "a kernel wrote outside its array",
        [FOVEA_E_THREAD] = "threads cannot be started",
        [FOVEA_E_DEVICE] = "a device failed",
        [FOVEA_E_ANSWER] = "the self-test gave another answer than the build",
        [FOVEA_E_SHAPE] = "extents outside the bounds that the library was built for",
        [FOVEA_E_PROCESSOR] = "this processor lacks what the code was compiled for",
    };
    size_t i = (size_t)status;
    return i < sizeof texts / sizeof *texts ? texts[i] : "unknown status";
}

fovea_status fovea_fail(fovea_error *err, fovea_status status, const char *fmt, ...) {
    if (!err) return status;
    err->status = status;
    va_list list;
    va_start(list, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, list);
    va_end(list);
    if (n < 0) err->text[0] = '\0';
    if (n >= (int)sizeof err->text) memcpy(err->text + sizeof err->text - 4, "...", 4);
    return status;
}

const char *fovea_shape_text(char *out, size_t cap, const int64_t *shape, int32_t rank) {
    size_t used = (size_t)snprintf(out, cap, "[");
    for (int32_t i = 0; i < rank && used < cap; i++)
        used += (size_t)snprintf(out + used, cap - used, i ? ", %" PRId64 : "%" PRId64, shape[i]);
    if (used < cap) snprintf(out + used, cap - used, "]");
    return out;
}
