/* device: one device for kernels run one at a time, as tests and interpreters of plans do. Models are run by the
 * executor of runtime/opencl; devices, programs and their cache are the same. */
#include "backends/opencl/host.h"
#include "backends/opencl/shape.h"

#include <stdlib.h>
#include <string.h>

bool fv_cl_fine(const fv_opencl *d, fovea_status status, const fovea_error *e) {
    if (status == FOVEA_OK) return true;
    fv_error(d->ctx, FV_E_BACKEND, (fv_loc){0}, "%s", e->text);
    return false;
}
bool fv_cl_ok(const fv_opencl *d, cl_int code, const char *what) {
    fovea_error e;
    return code == CL_SUCCESS || fv_cl_fine(d, fovea_cl_fail(&d->on->device, code, &e, "%s", what), &e);
}
bool fv_opencl_available(fv_buf *why) {
    fovea_cl_device v;
    fovea_error e;
    bool here = fovea_cl_find(NULL, &v, &e);
    fv_buf_puts(why, here ? v.name : e.text);
    return here;
}
fv_opencl *fv_opencl_open(fv_ctx *ctx) {
    fovea_cl_device v;
    fovea_error e;
    fv_opencl *d = FV_NEW(ctx, fv_opencl);
    d->ctx = ctx;
    if (!fovea_cl_find(NULL, &v, &e)) {
        fv_cl_fine(d, FOVEA_E_DEVICE, &e);
        return NULL;
    }
    if (!fv_cl_fine(d, fovea_cl_device_open(&v, NULL, NULL, &d->on, &e), &e)) return NULL;
    d->target = fv_target_opencl;
    d->target.l1_bytes = fv_opencl_room(&d->target, v.local_memory);
    return d;
}
void fv_opencl_close(fv_opencl *d) {
    if (!d) return;
    fv_opencl_forget(d);
    fovea_cl_device_close(d->on);
    d->on = NULL;
}
const char *fv_opencl_name(const fv_opencl *d) { return d->on->device.name; }
const fv_target *fv_opencl_target(const fv_opencl *d) { return &d->target; }
int fv_opencl_native_width(const fv_opencl *d) { return fovea_cl_width(&d->on->device); }
int fv_opencl_builds(const fv_opencl *d) { return d->on->n_built; }
