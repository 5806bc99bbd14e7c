/* Shapes of OpenCL text: how a kernel is cut into groups and items. A shape is named, and has its own target facts. */
#ifndef FV_OPENCL_SHAPE_H
#define FV_OPENCL_SHAPE_H
#include "backends/opencl/opencl.h"
#include "runtime/executor.h"
#include "runtime/opencl/probe.h"

/* The target of a shape: "scalar" (one point per item), "cpu" (one item per group, vectors; "cpu16", "cpu8", "cpu4" fix
 * their lanes) or "fragment" (items, and products on the matrix unit whose probe passes on the device, else emulated;
 * "fragment-nv" and so on fix the unit). NULL: that of FOVEA_OPENCL_SHAPE, else what suits the device that would be
 * taken (`device` as in fv_compile_options): cpu for processors, scalar for others. NULL: there is no such shape. */
const fv_target *fv_opencl_shape(const char *name, const char *device);
extern const char *const fv_opencl_shapes[];      /* NULL-terminated */

/* -- Units (units.c) --------------------------------------------------------------------------- */
const fovea_cl_probe *fv_opencl_probe_at(int i);   /* all: abilities, then units; NULL beyond the last */
const fovea_cl_probe *fv_opencl_unit_probe(int i); /* of fv_units[i]; NULL: there is no such unit */
/* The number in fv_units of the first unit that gives the right answers on the device that would be taken; 0: none, it
 * is emulated. */
int fv_opencl_unit_of(const char *device);
/* How devices are asked: in this process (NULL), or as a program says that can run a probe in another one. */
typedef bool fv_opencl_asker(const fovea_cl_device *d, const fovea_cl_probe *p);
extern fv_opencl_asker *fv_opencl_ask;

/* -- What is known of a device: facts.c -- */
/* Of what was remembered, or of the driver. false: there is no such device, and out->why says what there is. */
bool fv_opencl_facts_of(const char *device, fv_device_facts *out);
bool fv_opencl_learn(const char *target, const char *device, fv_device_facts *out); /* as in fv_backend */
void fv_opencl_remember(const fv_device_facts *facts);

/* The facts `t` with the local memory that a group may take (l1_bytes) on the device that would be taken; without a
 * device, on any. */
fv_target fv_opencl_fit(const fv_target *t, const char *device);
int64_t fv_opencl_room(const fv_target *t, int64_t device_bytes); /* the same of a device with so much */
/* A tile kernel for the target of a shape, fitted or not; NULL after recording errors. */
fv_flat_kernel *fv_opencl_flatten(const fv_kernel *k, fv_schedule *io_schedule, const fv_target *t);
/* The same before functions are expanded and, for vectors, before memory is placed. */
fv_flat_kernel *fv_opencl_flatten_unplaced(const fv_kernel *k, fv_schedule *io_schedule, const fv_target *t);
/* Groups, items and memory of a flat kernel; entry and source are left alone. */
void fv_opencl_facts(const fv_flat_kernel *k, fovea_device_code *out);
#endif
