/* shape: see shape.h. The one place that knows which lowering makes the kernels of which shape. */
#include "backends/opencl/shape.h"

#include <stdlib.h>
#include <string.h>

const char *const fv_opencl_shapes[] = {"scalar",        "cpu",           "cpu16",          "cpu8",
                                        "cpu4",          "fragment",      "fragment-emu",   "fragment-nv",
                                        "fragment-cdna", "fragment-rdna", "fragment-intel", NULL};

/* -- Fragments --------------------------------------------------------------------------------- */
#define FRAGMENT(unit_name, i)                                                                                         \
    {.name = "fragment-" unit_name,                                                                                    \
     .lanes = 16,                                                                                                      \
     .items = true,                                                                                                    \
     .registers = 160,                                                                                                 \
     .l1_bytes = 48 << 10,                                                                                             \
     .l2_bytes = 1 << 20,                                                                                              \
     .unit = &fv_units[i]}
static const fv_target fragments[] = {FRAGMENT("emu", 0), FRAGMENT("nv", 1), FRAGMENT("cdna", 2), FRAGMENT("rdna", 3),
                                      FRAGMENT("intel", 4)};

/* Lanes of a shape's vectors; 0: it is of items; -1: there is none of that name. */
static int lanes_of(const char *name, int native) {
    if (!strcmp(name, "scalar") || !strcmp(name, fv_target_opencl.name)) return 0;
    if (strncmp(name, "cpu", 3)) return -1;
    if (!name[3]) return native ? native : 4;
    for (int i = 4; i <= 16; i *= 2)
        if (atoi(name + 3) == i) return i;
    return -1;
}
const fv_target *fv_opencl_shape(const char *name, const char *device) {
    if (!name) name = getenv("FOVEA_OPENCL_SHAPE");
    bool named = name && *name;
    if (named && !strcmp(name, "fragment")) return &fragments[fv_opencl_unit_of(device)];
    for (size_t i = 0; named && i < sizeof fragments / sizeof *fragments; i++)
        if (!strcmp(name, fragments[i].name)) return &fragments[i];
    bool asks = !named || !strcmp(name, "cpu"); /* finding a driver is not free */
    fv_device_facts f;
    int native = asks && fv_opencl_facts_of(device, &f) ? f.width : 0;
    for (int i = 4; named && i <= 16; i *= 2) /* a target's own name */
        if (!strcmp(name, fv_opencl_cpu_target(i)->name)) return fv_opencl_cpu_target(i);
    int lanes = named ? lanes_of(name, native) : native;
    return lanes < 0 ? NULL : lanes ? fv_opencl_cpu_target(lanes) : &fv_target_opencl;
}
/* Of items no more than leaves room for another group on most devices; a processor has but one at a time. */
enum { MOST_LOCAL = 48 << 10 };
int64_t fv_opencl_room(const fv_target *t, int64_t device_bytes) {
    int64_t most = t->items && device_bytes > MOST_LOCAL ? MOST_LOCAL : device_bytes;
    return most > 0 ? most : t->l1_bytes;
}
fv_target fv_opencl_fit(const fv_target *t, const char *device) {
    fv_device_facts f;
    fv_target fitted = *t;
    if (fv_opencl_facts_of(device, &f)) fitted.l1_bytes = fv_opencl_room(t, f.local_memory);
    return fitted;
}
fv_flat_kernel *fv_opencl_flatten_unplaced(const fv_kernel *k, fv_schedule *io_schedule, const fv_target *t) {
    return t->items ? fv_flatten_opencl(k, io_schedule, t) : fv_flatten_chosen(k, io_schedule, t);
}
fv_flat_kernel *fv_opencl_flatten(const fv_kernel *k, fv_schedule *io_schedule, const fv_target *t) {
    fv_flat_kernel *f = fv_opencl_flatten_unplaced(k, io_schedule, t);
    if (!f || t->items) return f;
    fv_flat_expand_math(f, t);
    fv_opencl_cpu_place(f, t->l1_bytes);
    return f;
}
void fv_opencl_facts(const fv_flat_kernel *k, fovea_device_code *out) {
    bool cpu = fv_opencl_cpu_shaped(k);
    out->groups = fv_opencl_groups(k);
    out->far_bytes = fv_opencl_far_bytes(k);
    out->items = cpu ? 1 : k->group_size;
    out->local_bytes = cpu ? fv_opencl_cpu_local(k) : k->scratch_bytes;
}
