/* What fovea verify shares between its files. */
#ifndef FV_CLI_VERIFY_H
#define FV_CLI_VERIFY_H
#include "cli/bounds.h"
#include "cli/cli.h"
#include "runtime/library.h"
#include "runtime/selftest.h"

/* Calls that allocate in this process while counting is on. false where they cannot be counted (another libc than
 * glibc, a sanitizer's allocator). */
bool verify_count_start(void);
long verify_count_stop(void);

/* Runs the checks of a library in this process, which is a child of the command's: a fault ends it. Every line written
 * to `out` is "step TEXT" (it begins), "ok TEXT" or "bad TEXT". Returns the exit code. */
typedef struct {
    fv_ctx *ctx;
    const char *library, *weights; /* path of the .so; path or NULL */
    bool prepared;                 /* the weights are the build's; else they are a checkpoint, NULL: seeded numbers */
    const char *manifest;          /* text of NAME.json */
    const char *level;             /* of several levels of processor; NULL: there is one */
    bool device;                   /* its OpenCL part, on the device that it takes; else the processor's */
    int threads;                   /* most threads tried */
    int out;
} verify_job;
int verify_child(const verify_job *job);
void verify_say(const verify_job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -- The library, open in the child ---- */
typedef struct {
    const verify_job *job;
    void *so;
    const fovea_description *library;
    fovea_safetensors *file;
    fovea_error err;
    /* Of several shapes: those that the manifest lists, and the one that is looked at. */
    int n_tried, shape;
    bool all; /* models are opened for all of them */
    int32_t n_extents;
    const int64_t *tried;
} verify_library;
#define say(library, ...) verify_say((library)->job, __VA_ARGS__)

/* These say what is wrong and return false. */
bool verify_open(verify_library *library);   /* library->job is set */
bool verify_shapes(verify_library *library); /* reads what shapes it has */
/* The extents that are looked at; NULL: it has one shape. */
static inline const int64_t *verify_extents(const verify_library *c) {
    return c->n_extents ? c->tried + (ptrdiff_t)c->shape * c->n_extents : NULL;
}
/* For which extents models are opened. */
static inline const int64_t *verify_opened(const verify_library *c) { return c->all ? NULL : verify_extents(c); }
const char *verify_shape_name(const verify_library *library);                                /* "for b=3,h=224 "; "" */
bool verify_model(verify_library *library, const fovea_options *options, fovea_model **out); /* ready to run */
bool verify_bad(const verify_library *library, const char *what);                            /* with err's text */
#endif
