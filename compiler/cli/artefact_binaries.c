/* Binaries of OpenCL programs for a library: built on a device of this machine and asked of its driver. */
#include "cli/artefact_opencl.h"
#include "runtime/executor.h"
#include "runtime/opencl/device.h"

#include <stdlib.h>
#include <string.h>

static bool build_all(fv_ctx *ctx, const cli_level *l, fovea_cl_open *d) {
    fovea_error e;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < l->compiled.plan->n_launches[w]; i++) {
            const fovea_launch *x = &(w ? l->compiled.program.run : l->compiled.program.prepare)[i];
            cl_kernel kernel = NULL;
            cli_progress("building OpenCL programs for %s: %d", d->device.name, d->n_built);
            if (fovea_cl_kernel(d, x->code, x->label, &kernel, &e)) return cli_runtime_error(ctx, FV_E_BACKEND, &e);
            d->cl->clReleaseKernel(kernel);
        }
    return true;
}
static bool append(fv_ctx *ctx, cli_artefact *a, fovea_cl_open *d, fv_buf *out) {
    cli_opencl_binary *list = FV_NEWN(ctx, cli_opencl_binary, d->n_built + 1);
    for (int i = 0; i < d->n_built; i++) {
        size_t n = 0;
        unsigned char *data = fovea_cl_binary(d, d->built[i].program, &n);
        char *key = data ? fovea_cl_key(d, d->built[i].source) : NULL;
        if (!key) {
            fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "the driver of %s gives no binary of a program that it has built",
                     d->device.name);
            free(data);
            return false;
        }
        list[i] =
            (cli_opencl_binary){fv_strdup(ctx, key), fv_strdup(ctx, d->built[i].source), (int64_t)out->len, (int64_t)n};
        fv_buf_putn(out, (const char *)data, n);
        free(key);
        free(data);
    }
    a->binary = list;
    a->n_binaries = d->n_built;
    return true;
}
bool cli_opencl_build(fv_ctx *ctx, cli_artefact *a, fv_buf *out) {
    static fovea_cl_device device;
    fovea_cl_open *d;
    fovea_error e;
    if (!fovea_cl_find(a->device, &device, &e) || fovea_cl_device_open(&device, cli_cache_dir(ctx), NULL, &d, &e))
        return cli_runtime_error(ctx, FV_E_BACKEND, &e);
    for (int f = a->n_levels; f < cli_artefact_forms(a); f++)
        if (a->level[f].vectors == (fovea_cl_width(&device) > 0)) a->binary_form = f;
    a->device_name = fv_printf(ctx, "%s (%s, driver %s)", device.name, device.platform_name, device.driver);
    bool fine = build_all(ctx, &a->level[a->binary_form], d) && append(ctx, a, d, out);
    fovea_cl_device_close(d);
    return fine;
}
