/* Fovea's compiler as a library (libfovea.so): from the text of a spec to a model that runs in this process.
 *
 *     fovea_compile_options o = {.bytes = sizeof o};
 *     fovea_extent extents[] = {{"n", 64}, {"c", 32}};
 *     o.extents = extents;
 *     o.n_extents = 2;
 *     fovea_compilation *c = fovea_compile_text("mine", text, strlen(text), &o);
 *     fovea_model *m = NULL;
 *     fovea_error e;
 *     if (!c || !fovea_compilation_ok(c)) … fovea_compilation_remark(c, 0) says what is wrong, and in which line
 *     if (fovea_compilation_load(c, NULL, &m, &e)) …
 *     fovea_model_run(m, …);                       (everything of fovea.h and safetensors.h is in this library too)
 *     fovea_model_dispose(m);
 *     fovea_compilation_dispose(c);
 *
 * A spec is not trusted: it runs in a sandbox with limits of memory and time, and every mistake ends as a remark. The
 * library prints nothing, and keeps nothing from one call to the next but what describes the processor.
 *
 * Threads. Compilations share nothing: several threads may compile at the same time. One compilation is read by any
 * number of threads, and its models follow the rules of fovea.h; load and dispose are called by one thread at a time.
 *
 * Memory. The compiler ends the process when memory ends; models do not. */
#ifndef FOVEA_COMPILER_H
#define FOVEA_COMPILER_H
#include "fovea.h"
#include "safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FOVEA_COMPILER_INTERFACE = 1 }; /* grows when a function is added */
int32_t fovea_compiler_interface(void);
const char *fovea_compiler_version(void); /* "0.1.0" */

typedef struct {
    const char *axis;
    int64_t extent;
} fovea_extent;
typedef struct {
    const char *name;
    fovea_dtype dtype;
    int32_t rank;
    const int64_t *shape;
} fovea_shape;

/* All zero but `bytes` is the default. Everything is read during the call alone. */
typedef struct {
    size_t bytes;        /* sizeof(fovea_compile_options): fields that a later version adds are taken as zero */
    const char *variant; /* the global of that name in the spec */
    const char *config;  /* a JSON object: the spec's table `config` */
    /* "key=value" over config, as --set has it; the spec has to read every one */
    const char *const *settings;
    const fovea_extent *extents; /* of axes of inputs that the spec leaves open */
    const fovea_shape *inputs;   /* none, or of every input by its name: they fill open extents too */
    const fovea_shape *params;   /* of parameters that will be bound: the same for these */
    int32_t n_settings, n_extents, n_inputs, n_params;
    const char *weights; /* a file of parameters, safetensors or torch.save; it must stay as it is (it is mapped) */
    const char *backend; /* "cpu", "opencl"; NULL: the first one of this build */
    const char *target;  /* of the backend; NULL: this processor or the first device */
    const char *device;  /* of OpenCL: a number or a part of a name */
    const char *dtype;   /* how floats lie in memory between kernels: "f32" (NULL), "bf16", "f16" */
    const char *cache;   /* a folder for compiled code; NULL: none */
    /* tuning records: a file, "" for those of the cache if there are any; NULL: none. They are of runs with so many
     * threads; 0: fovea_threads_available() */
    const char *records;
    int32_t threads;
    const char *specs; /* where `require` looks beside the spec's own folder; NULL: nowhere */
} fovea_compile_options;

typedef struct fovea_compilation fovea_compilation;
/* name: what remarks call the text; if it has slashes, `require` looks in that folder. NULL only if there is no memory.
 * Dispose the result in any case. */
fovea_compilation *fovea_compile_text(const char *name, const char *text, size_t bytes,
                                      const fovea_compile_options *options);
fovea_compilation *fovea_compile_file(const char *path, const fovea_compile_options *options);
void fovea_compilation_dispose(fovea_compilation *c); /* after its models; NULL is fine */
bool fovea_compilation_ok(const fovea_compilation *c);

/* Errors, each with the notes that belong to it behind it. */
typedef struct {
    bool note;
    int32_t code;       /* of an error: 103 is E0103 */
    int32_t line;       /* from 1; 0: none */
    const char *file;   /* "" if none */
    const char *text;   /* what is wrong */
    const char *remedy; /* of an error: what helps in general; "" if nothing is known */
} fovea_remark;
int32_t fovea_compilation_remarks(const fovea_compilation *c);
fovea_remark fovea_compilation_remark(const fovea_compilation *c, int32_t i); /* 0 <= i < remarks */

/* Of a compilation that is ok. */
const fovea_program *fovea_compilation_program(const fovea_compilation *c);
const char *fovea_compilation_preprocess(const fovea_compilation *c); /* JSON of the spec; NULL: it declares none */
const char *fovea_compilation_classes(const fovea_compilation *c);    /* JSON; NULL: none */
const char *fovea_compilation_printed(const fovea_compilation *c);    /* what the spec printed; "" */
const char *fovea_compilation_tuned(const fovea_compilation *c);      /* what came of the records, a line; "" */
const char *fovea_compilation_target(const fovea_compilation *c);     /* "avx512", or the device */

/* A model over the program, with the weights of options.weights if they were given; otherwise a program that has
 * parameters waits for fovea_model_bind or _bind_file. May be called again. Errors: those of fovea_model_load and of
 * binding; FOVEA_E_ARGUMENT if the compilation is not ok; FOVEA_E_PROGRAM if its code is another processor's. */
fovea_status fovea_compilation_load(fovea_compilation *c, const fovea_options *options, fovea_model **out,
                                    fovea_error *err);

#ifdef __cplusplus
}
#endif
#endif
