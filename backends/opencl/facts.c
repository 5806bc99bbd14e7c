/* facts: what the compiler has to know of a device: from its driver, or remembered of a child that asked it. A driver
 * that was called once may not be used in a child of this process (some hang, some give wrong answers), so a process
 * that lets children run kernels calls none itself. */
#include "backends/opencl/shape.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool known;
    fv_device_facts facts;
} remembered;

void fv_opencl_remember(const fv_device_facts *facts) {
    pthread_mutex_lock(&lock);
    remembered.known = true;
    remembered.facts = *facts;
    pthread_mutex_unlock(&lock);
}
static bool recall(const char *device, fv_device_facts *out) {
    pthread_mutex_lock(&lock);
    bool known = remembered.known && !strcmp(remembered.facts.asked, device ? device : "");
    if (known) *out = remembered.facts;
    pthread_mutex_unlock(&lock);
    return known;
}
static bool ask(const char *device, fv_device_facts *out, fovea_cl_device *v) {
    fovea_error e;
    *out = (fv_device_facts){.here = false};
    snprintf(out->asked, sizeof out->asked, "%s", device ? device : "");
    if (!fovea_cl_find(device, v, &e)) {
        snprintf(out->why, sizeof out->why, "%.500s", e.text);
        return false;
    }
    out->here = true;
    out->width = fovea_cl_width(v);
    out->units = (int)v->units;
    out->local_memory = v->local_memory;
    out->max_group = v->max_group;
    snprintf(out->name, sizeof out->name, "%s", v->name);
    snprintf(out->driver, sizeof out->driver, "%s %s", v->platform_name, v->driver);
    return true;
}
bool fv_opencl_facts_of(const char *device, fv_device_facts *out) {
    fovea_cl_device v;
    return recall(device, out) ? out->here : ask(device, out, &v);
}
bool fv_opencl_learn(const char *target, const char *device, fv_device_facts *out) {
    fovea_cl_device v;
    fovea_cl_open *on;
    fovea_error e;
    if (!ask(device, out, &v)) return false;
    if (!target) target = getenv("FOVEA_OPENCL_SHAPE");
    out->probed = target && !strcmp(target, "fragment");
    out->unit = out->probed ? fv_opencl_unit_of(device) : 0;
    out->here = fovea_cl_device_open(&v, NULL, NULL, &on, &e) == FOVEA_OK;
    if (!out->here) snprintf(out->why, sizeof out->why, "%.500s", e.text);
    fovea_cl_device_close(on);
    return out->here;
}
