/* Probes: tiny programs that ask a device for one ability each, with answers known to the bit. A driver may refuse,
 * hang or end the process: callers run each probe in a child process with a time limit. */
#ifndef FOVEA_OPENCL_PROBE_H
#define FOVEA_OPENCL_PROBE_H
#include "device.h"

typedef struct {
    const char *name, *what;
    uint32_t vendor; /* number of the vendor whose devices are asked; 0: all */
    int items;       /* of a group; several groups run */
    const char *options, *source;
} fovea_cl_probe;

const fovea_cl_probe *fovea_cl_probe_at(int i); /* NULL beyond the last */
bool fovea_cl_probe_fits(const fovea_cl_probe *p, const fovea_cl_device *d);
/* Builds and runs it; FOVEA_OK: the device can. Else err says what did not work. */
fovea_status fovea_cl_probe_run(const fovea_cl_probe *p, const fovea_cl_device *d, fovea_error *err);
/* A name for what was found: the same for the same probe on the same device and driver. */
void fovea_cl_probe_key(const fovea_cl_probe *p, const fovea_cl_device *d, char *out, size_t cap);
#endif
