/* opencl: flat kernels as OpenCL C 1.2, and the device that runs them. Nothing of OpenCL's own headers is seen from
 * outside. */
#ifndef FV_OPENCL_H
#define FV_OPENCL_H
#include "backends/backend.h"

extern const fv_backend fv_backend_opencl;

/* -- Text -------------------------------------------------------------------------------------- */
/* Appends a whole program: helpers and one kernel, named by fv_opencl_entry. `lines`: #line directives with the
 * author's file and line. Arguments are its tensors in order, one group per program. Two shapes: a kernel with items
 * (group_size > 0) must be scalar (lanes 1) with one group dimension and one item loop; a kernel of a CPU's (group_size
 * 0, by fv_flatten_cpu) becomes a program whose groups have one item. false after a BACKEND error. */
bool fv_opencl_print(const fv_flat_kernel *k, bool lines, fv_buf *out);
static inline bool fv_opencl_cpu_shaped(const fv_flat_kernel *k) { return k->group_size < 1; }
bool fv_opencl_print_cpu(const fv_flat_kernel *k, bool lines, fv_buf *out);  /* what fv_opencl_print calls for it */
/* Bytes of __local memory that a kernel of the CPU shape uses: none while its scratch is small enough for a stack. */
int64_t fv_opencl_cpu_local(const fv_flat_kernel *k);
/* Makes the scratch of a kernel of the CPU shape far where it fits neither a stack nor `local` bytes. */
void fv_opencl_cpu_place(fv_flat_kernel *k, int64_t local);
/* Groups to start. A kernel with far memory has few, whose programs take turns, so that its blocks stay few; its last
 * argument is their memory, fv_opencl_far_bytes(k) each. */
int64_t fv_opencl_groups(const fv_flat_kernel *k);
int64_t fv_opencl_far_bytes(const fv_flat_kernel *k);
/* Facts of a CPU as an OpenCL device, for fv_flatten_cpu and fv_flat_expand_math: by
 * CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT (16 and more, 8 to 15, less). */
const fv_target *fv_opencl_cpu_target(int native_width);
/* Name of the kernel function: letters, digits and _ only. */
void fv_opencl_entry(const fv_flat_kernel *k, fv_buf *out);

/* -- Device ------------------------------------------------------------------------------------ */
typedef struct fv_opencl fv_opencl;
/* Opens the device that FOVEA_OPENCL_DEVICE names (a number in the order of platforms and devices, or a part of the
 * name, any case), else the first GPU, else the first device. NULL after a BACKEND error. Errors go to `ctx`, which
 * must outlive the device. */
fv_opencl *fv_opencl_open(fv_ctx *ctx);
void fv_opencl_close(fv_opencl *d);                     /* NULL is fine */
const char *fv_opencl_name(const fv_opencl *d);
const fv_target *fv_opencl_target(const fv_opencl *d);  /* with the device's local memory */
/* f32 lanes of the device's vectors where it is a CPU: kernels of the CPU shape suit it. 0: it is none. */
int fv_opencl_native_width(const fv_opencl *d);
/* Is there any device? Describes it, or says why there is none. */
bool fv_opencl_available(fv_buf *why);
int fv_opencl_builds(const fv_opencl *d);               /* programs compiled so far; equal texts are compiled once */

/* Device memory of `bytes` bytes and a guard of 64; number >= 0, -1 after an error. */
int fv_opencl_alloc(fv_opencl *d, int64_t bytes);
bool fv_opencl_write(fv_opencl *d, int memory, const void *data, int64_t bytes);
bool fv_opencl_read(fv_opencl *d, int memory, void *data, int64_t bytes);
void fv_opencl_forget(fv_opencl *d);                    /* releases all memory */
/* Builds (or finds) the kernel and enqueues it over k->programs groups. memory: one number per tensor. */
bool fv_opencl_launch(fv_opencl *d, const fv_flat_kernel *k, const int *memory);
bool fv_opencl_finish(fv_opencl *d);

/* Runs one flat kernel: data[i] holds tensor i as f64 in memory order, rounded to its type on the way in; all but
 * inputs are read back. */
bool fv_opencl_run_kernel(fv_opencl *d, const fv_flat_kernel *k, double **data);

/* -- Numbers ----------------------------------------------------------------------------------- */
void fv_opencl_pack(fv_type type, const double *v, int64_t n, void *out);
void fv_opencl_unpack(fv_type type, const void *in, int64_t n, double *v);
#endif
