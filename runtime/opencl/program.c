/* program: kernels from source. Built programs are kept in memory by their source, and on disk as the driver's binary
 * under a hash of everything that it depends on; the file repeats the whole key before the binary, so that two keys of
 * one hash are told apart. Invariant: a file that cannot be read, has another key or does not build is as good as none.
 */
#define _POSIX_C_SOURCE 200809L
#include "runtime/error.h"
#include "runtime/executor.h"
#include "device.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_SHOWN = 600 };
static const char magic[] = "fovea-opencl-1";

uint64_t fovea_cl_hash(const void *data, size_t n, uint64_t h) {
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* Programs whose text has barriers lose statements in PoCL's optimiser (see fovea_cl_options). */
static void options_of(const fovea_cl_open *d, const char *source, char *out, size_t cap) {
    bool pocl = strstr(d->device.platform_name, "Portable Computing Language") && (d->device.type & CL_DEVICE_TYPE_CPU);
    snprintf(out, cap, "%s%s", d->options, pocl && strstr(source, "barrier(") ? " -cl-opt-disable" : "");
}

/* -- On disk ---- */
typedef struct {
    char *text; /* the whole key but the source */
    size_t n;
    char path[1024];
} key;
static char *key_text(const fovea_cl_open *d, const char *options) {
    const fovea_cl_device *v = &d->device;
    size_t cap = 2048;
    char *text = malloc(cap);
    if (text)
        snprintf(text, cap, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n", magic, v->name, v->vendor, v->driver, v->version,
                 v->platform_name, v->platform_version, options);
    return text;
}
char *fovea_cl_key(const fovea_cl_open *d, const char *source) {
    char options[320];
    options_of(d, source, options, sizeof options);
    return key_text(d, options);
}
static bool key_of(const fovea_cl_open *d, const char *source, const char *options, key *k) {
    k->text = key_text(d, options);
    if (!k->text) return false;
    k->n = strlen(k->text);
    uint64_t h = fovea_cl_hash(source, strlen(source), fovea_cl_hash(k->text, k->n, FOVEA_CL_HASH_SEED));
    int m = snprintf(k->path, sizeof k->path, "%s/cl-%016" PRIx64 "%016" PRIx64 ".bin", d->cache_dir, h,
                     fovea_cl_hash(source, strlen(source), ~h));
    return m > 0 && (size_t)m < sizeof k->path;
}
/* A file: key, source and a 0 byte, binary. Returns the binary inside *all, which the caller frees. */
static unsigned char *read_binary(const key *k, const char *source, size_t *n, char **all) {
    FILE *f = fopen(k->path, "rb");
    struct stat s;
    size_t head = k->n + strlen(source) + 1, size = 0;
    *all = NULL;
    if (f && fstat(fileno(f), &s) == 0 && s.st_size > 0 && (size_t)s.st_size > head) {
        size = (size_t)s.st_size;
        *all = malloc(size);
        if (*all && fread(*all, 1, size, f) != size) size = 0;
    }
    if (f) fclose(f);
    if (!*all || !size || memcmp(*all, k->text, k->n) || memcmp(*all + k->n, source, strlen(source) + 1)) return NULL;
    *n = size - head;
    return (unsigned char *)*all + head;
}
static void write_binary(const key *k, const char *source, const unsigned char *binary, size_t n) {
    char temporary[1100];
    snprintf(temporary, sizeof temporary, "%s.%ld", k->path, (long)getpid());
    FILE *f = fopen(temporary, "wb");
    if (!f) return;
    size_t length = strlen(source) + 1;
    bool fine =
        fwrite(k->text, 1, k->n, f) == k->n && fwrite(source, 1, length, f) == length && fwrite(binary, 1, n, f) == n;
    fine = fclose(f) == 0 && fine;
    if (!fine || rename(temporary, k->path) != 0) unlink(temporary);
}
static void make_folder(const char *path) {
    char part[1024];
    snprintf(part, sizeof part, "%s", path);
    for (char *s = part + 1; *s; s++)
        if (*s == '/') {
            *s = 0;
            mkdir(part, 0777);
            *s = '/';
        }
    mkdir(part, 0777);
}
unsigned char *fovea_cl_binary(const fovea_cl_open *d, cl_program program, size_t *bytes) {
    size_t n = 0;
    if (d->cl->clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || n == 0)
        return NULL;
    unsigned char *binary = malloc(n);
    *bytes = n;
    if (binary && d->cl->clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
        return binary;
    free(binary);
    return NULL;
}
static void store(const fovea_cl_open *d, const key *k, const char *source, cl_program program) {
    size_t n;
    unsigned char *binary = fovea_cl_binary(d, program, &n);
    if (binary) {
        make_folder(d->cache_dir);
        write_binary(k, source, binary, n);
    }
    free(binary);
}
static cl_program from_binary(const fovea_cl_open *d, const unsigned char *binary, size_t n, const char *options) {
    cl_int status = CL_SUCCESS, code = CL_SUCCESS;
    cl_program p = d->cl->clCreateProgramWithBinary(d->context, 1, &d->device.id, &n, &binary, &status, &code);
    bool fine = p && code == CL_SUCCESS && status == CL_SUCCESS &&
                d->cl->clBuildProgram(p, 1, &d->device.id, options, NULL, NULL) == CL_SUCCESS;
    if (fine) return p;
    if (p) d->cl->clReleaseProgram(p);
    return NULL;
}
static cl_program load(const fovea_cl_open *d, const key *k, const char *source, const char *options) {
    char *all;
    size_t n;
    const unsigned char *binary = read_binary(k, source, &n, &all);
    cl_program p = binary ? from_binary(d, binary, n, options) : NULL;
    free(all);
    return p;
}
/* Of those that came with the program. */
static cl_program carried(const fovea_cl_open *d, const char *source, const char *options) {
    char *text = d->n_binaries ? key_text(d, options) : NULL;
    cl_program p = NULL;
    for (int32_t i = 0; text && i < d->n_binaries && !p; i++) {
        const fovea_opencl_binary *b = &d->binaries[i];
        if (!strcmp(b->key, text) && !strcmp(b->source, source)) p = from_binary(d, b->data, (size_t)b->bytes, options);
    }
    free(text);
    return p;
}

char *fovea_cl_user_cache(void) {
    static const char tail[] = "/.cache/fovea"; /* where the compiler keeps its own */
    const char *named = getenv("FOVEA_CACHE"), *home = getenv("HOME");
    if (named) return *named ? strdup(named) : NULL;
    char *path = home && *home ? malloc(strlen(home) + sizeof tail) : NULL;
    return path ? strcat(strcpy(path, home), tail) : NULL;
}

/* -- Building ---- */
char *fovea_cl_log(const fovea_cl_open *d, cl_program program) {
    size_t n = 0;
    if (d->cl->clGetProgramBuildInfo(program, d->device.id, CL_PROGRAM_BUILD_LOG, 0, NULL, &n) != CL_SUCCESS || n < 2)
        return NULL;
    char *log = calloc(n + 1, 1);
    if (log && d->cl->clGetProgramBuildInfo(program, d->device.id, CL_PROGRAM_BUILD_LOG, n, log, NULL) == CL_SUCCESS) {
        for (const char *s = log; *s; s++)
            if (*s != ' ' && *s != '\n' && *s != '\t' && *s != '\r') return log;
    }
    free(log);
    return NULL;
}
static fovea_status build_failed(const fovea_cl_open *d, cl_program program, cl_int code, const char *label,
                                 fovea_error *err) {
    char *log = fovea_cl_log(d, program);
    fovea_status status =
        log ? fovea_fail(err, FOVEA_E_DEVICE, "OpenCL: kernel %s does not build on %s: %s (%d); build log: %.*s", label,
                         d->device.name, fovea_cl_error_text(code), (int)code, LOG_SHOWN, log)
            : fovea_fail(
                  err, FOVEA_E_DEVICE,
                  "OpenCL: kernel %s does not build on %s: %s (%d), and the build log is empty: this usually means "
                  "that a part of the driver is missing (NVIDIA: libnvidia-nvvm.so.4 and "
                  "libnvidia-ptxjitcompiler.so.1 must lie beside libnvidia-opencl.so.1)",
                  label, d->device.name, fovea_cl_error_text(code), (int)code);
    free(log);
    return status;
}
/* FOVEA_OPENCL_LOG=FILE: what compilers say of programs that build (registers, spills) is appended to it. */
static void keep_log(const fovea_cl_open *d, cl_program program, const char *label) {
    const char *path = getenv("FOVEA_OPENCL_LOG");
    FILE *f = path && *path ? fopen(path, "a") : NULL;
    if (!f) return;
    char *log = fovea_cl_log(d, program);
    fprintf(f, "kernel %s on %s: %s\n", label, d->device.name, log ? log : "(empty log)");
    free(log);
    fclose(f);
}
static fovea_status from_source(const fovea_cl_open *d, const char *source, const char *options, const char *label,
                                cl_program *out, fovea_error *err) {
    cl_int code = CL_SUCCESS;
    cl_program p = d->cl->clCreateProgramWithSource(d->context, 1, &source, NULL, &code);
    if (code != CL_SUCCESS || !p) return fovea_cl_fail(&d->device, code, err, "making a program of kernel %s", label);
    code = d->cl->clBuildProgram(p, 1, &d->device.id, options, NULL, NULL);
    if (code == CL_SUCCESS) {
        keep_log(d, p, label);
        *out = p;
        return FOVEA_OK;
    }
    fovea_status status = build_failed(d, p, code, label, err);
    d->cl->clReleaseProgram(p);
    return status;
}

/* The program of a source: NULL after an error. */
static cl_program program_of(fovea_cl_open *d, const char *source, const char *label, fovea_status *status,
                             fovea_error *err) {
    char options[320];
    key k = {0};
    options_of(d, source, options, sizeof options);
    cl_program p = carried(d, source, options);
    d->from_binary += p != NULL;
    if (p) return p;
    bool cached = d->cache_dir && key_of(d, source, options, &k);
    p = cached ? load(d, &k, source, options) : NULL;
    d->from_cache += p != NULL;
    if (!p) {
        *status = from_source(d, source, options, label, &p, err);
        if (p && cached) store(d, &k, source, p);
    }
    free(k.text);
    return p;
}
static bool room(fovea_cl_open *d) {
    if (d->n_built < d->cap_built) return true;
    int cap = d->cap_built ? 2 * d->cap_built : 32;
    fovea_cl_built *list = realloc(d->built, (size_t)cap * sizeof *list);
    if (!list) return false;
    d->built = list;
    d->cap_built = cap;
    return true;
}
static fovea_status find_program(fovea_cl_open *d, const char *source, const char *label, cl_program *out,
                                 fovea_error *err) {
    uint64_t h = fovea_cl_hash(source, strlen(source), FOVEA_CL_HASH_SEED);
    for (int i = 0; i < d->n_built; i++)
        if (d->built[i].hash == h && !strcmp(d->built[i].source, source)) {
            *out = d->built[i].program;
            return FOVEA_OK;
        }
    char *copy = room(d) ? strdup(source) : NULL;
    if (!copy) return fovea_fail(err, FOVEA_E_MEMORY, "no memory for a program");
    fovea_status status = FOVEA_OK;
    *out = program_of(d, source, label, &status, err);
    if (*out) d->built[d->n_built++] = (fovea_cl_built){h, copy, *out};
    else free(copy);
    return status;
}

/* -- Kernels ---- */
static fovea_status check_limits(const fovea_cl_open *d, const fovea_device_code *c, cl_kernel kernel,
                                 const char *label, fovea_error *err) {
    size_t group = 0;
    cl_ulong local = 0;
    const fovea_cl_device *v = &d->device;
    cl_int code = d->cl->clGetKernelWorkGroupInfo(kernel, v->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    if (code == CL_SUCCESS)
        code = d->cl->clGetKernelWorkGroupInfo(kernel, v->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
    if (code != CL_SUCCESS) return fovea_cl_fail(v, code, err, "asking for the limits of kernel %s", label);
    int64_t most = (int64_t)group < v->max_group ? (int64_t)group : v->max_group;
    if (c->items > most)
        return fovea_fail(err, FOVEA_E_DEVICE, "OpenCL: kernel %s has groups of %" PRId64 " items, %s allows %" PRId64,
                          label, c->items, v->name, most);
    int64_t need = (int64_t)local > c->local_bytes ? (int64_t)local : c->local_bytes;
    if (need > v->local_memory)
        return fovea_fail(err, FOVEA_E_DEVICE,
                          "OpenCL: kernel %s needs %" PRId64 " bytes of local memory, %s has %" PRId64, label, need,
                          v->name, v->local_memory);
    return FOVEA_OK;
}
fovea_status fovea_cl_kernel_any(fovea_cl_open *d, const fovea_device_code *c, const char *label, cl_kernel *out,
                                 fovea_error *err) {
    cl_program program = NULL;
    cl_int code = CL_SUCCESS;
    *out = NULL;
    fovea_status status = find_program(d, c->source, label, &program, err);
    if (status != FOVEA_OK) return status;
    cl_kernel kernel = d->cl->clCreateKernel(program, c->entry, &code);
    if (code != CL_SUCCESS || !kernel) return fovea_cl_fail(&d->device, code, err, "finding kernel %s", c->entry);
    *out = kernel;
    return FOVEA_OK;
}
fovea_status fovea_cl_kernel(fovea_cl_open *d, const fovea_device_code *c, const char *label, cl_kernel *out,
                             fovea_error *err) {
    fovea_status status = fovea_cl_kernel_any(d, c, label, out, err);
    if (status == FOVEA_OK) status = check_limits(d, c, *out, label, err);
    if (status != FOVEA_OK && *out) {
        d->cl->clReleaseKernel(*out);
        *out = NULL;
    }
    return status;
}
