/* registry: the list of backends that this build has. Adding one touches this file only. */
#include "backends/backend.h"

#include <string.h>

#ifdef FOVEA_LLVM
extern const fv_backend fv_backend_cpu;
#endif
#ifdef FOVEA_OPENCL
extern const fv_backend fv_backend_opencl;
#endif

const fv_backend *const fv_backends[] = {
#ifdef FOVEA_LLVM
    &fv_backend_cpu,
#endif
#ifdef FOVEA_OPENCL
    &fv_backend_opencl,
#endif
    NULL,
};

const fv_backend *fv_backend_default(void) { return fv_backends[0]; }
const fv_backend *fv_backend_find(const char *name) {
    for (int i = 0; fv_backends[i]; i++)
        if (strcmp(fv_backends[i]->name, name) == 0) return fv_backends[i];
    return NULL;
}
