/* units: which matrix unit a device has. Each unit that kernels can be written for is asked as a whole, by the
 * functions that kernels call (preludes/probe.cl behind its prelude), beside the abilities of runtime/opencl/probe.h.
 */
#include "backends/opencl/shape.h"
#include "backends/opencl/text.h"

#include <pthread.h>
#include <string.h>

enum { UNITS = 5, AMD = 0x1002, INTEL = 0x8086, NVIDIA = 0x10de };

/* In the order of fv_units. */
static const struct {
    const char *name, *what;
    uint32_t vendor;
} unit[UNITS] = {
    {"unit-emu", "fragments, emulated", 0},         {"unit-nv", "fragments: mma.sync, ldmatrix", NVIDIA},
    {"unit-cdna", "fragments: mfma", AMD},          {"unit-rdna", "fragments: wmma", AMD},
    {"unit-intel", "fragments: matrix_mad", INTEL},
};
static fovea_cl_probe probe[UNITS];
static fv_buf text[UNITS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void) {
    for (int i = 0; i < UNITS; i++) {
        fv_buf_puts(&text[i], "#define FOV_BF16 1\n");
        fv_cl_unit_text(&text[i], fv_units[i].name);
        fv_cl_prelude_text(&text[i], "copy");
        fv_cl_prelude_text(&text[i], "probe");
        probe[i] = (fovea_cl_probe){.name = unit[i].name,
                                    .what = unit[i].what,
                                    .vendor = unit[i].vendor,
                                    .items = fv_units[i].sub,
                                    .options = "",
                                    .source = text[i].text};
    }
}
const fovea_cl_probe *fv_opencl_unit_probe(int i) {
    pthread_once(&once, make);
    return i >= 0 && i < UNITS ? &probe[i] : NULL;
}
const fovea_cl_probe *fv_opencl_probe_at(int i) {
    int n = 0;
    while (n <= i && fovea_cl_probe_at(n)) n++;
    return i < n ? fovea_cl_probe_at(i) : fv_opencl_unit_probe(i - n);
}

fv_opencl_asker *fv_opencl_ask;
static bool can(const fovea_cl_device *d, const fovea_cl_probe *p) {
    fovea_error e;
    if (!fovea_cl_probe_fits(p, d)) return false;
    return fv_opencl_ask ? fv_opencl_ask(d, p) : fovea_cl_probe_run(p, d, &e) == FOVEA_OK;
}
int fv_opencl_unit_of(const char *device) {
    fovea_cl_device d;
    fv_device_facts f;
    if (fv_opencl_facts_of(device, &f) && f.probed) return f.unit; /* remembered */
    if (fovea_cl_find(device, &d, NULL))
        for (int i = 1; i < UNITS; i++)
            if (can(&d, fv_opencl_unit_probe(i))) return i;
    return 0;
}
