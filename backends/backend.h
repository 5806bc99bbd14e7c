/* What a backend is: a struct of facts and functions. Adding one touches one list (backends/registry.c). The compiler
 * above knows backends only through this. */
#ifndef FV_BACKEND_H
#define FV_BACKEND_H
#include "runtime/program.h"

#include "kernel/flat.h"
#include "plan/plan.h"

typedef struct fv_module fv_module; /* compiled kernels of one plan; owned by the backend */

typedef struct {
    const char *target;    /* NULL: the host; else a name of fv_backend.targets or a triple with :features */
    const char *cache_dir; /* NULL: no cache */
    const char *device;    /* of backends with devices: a number or a part of a name; NULL: their choice */
    bool portable;         /* of these: for whatever device the target suits; none is asked here, and texts
                            * name no files of this machine */
    int threads;           /* compile threads; 0: as many as cores */
    bool keep_text;        /* keep IR and assembly text for `show` */
    int64_t code_bytes;    /* that kernels may take before those that hardly matter are made smaller; 0: any number */
} fv_compile_options;

typedef struct {
    double seconds;
    int compiled, from_cache;
    int64_t code_bytes;
} fv_compile_stats;

/* Functions that are no single instruction, by what they cost. */
typedef enum {
    FV_FUNCTION_EXP,
    FV_FUNCTION_LOG,
    FV_FUNCTION_ERF,
    FV_FUNCTION_TANH,
    FV_FUNCTION_SIN,
    FV_FUNCTION_POW,
    FV_FUNCTION_COUNT
} fv_function;

/* What one thread does at best with a backend's own code: 1e9 f32 operations of multiply-adds a second, of products of
 * bf16 pairs in vectors and in a matrix unit (0: no instruction), functions of each kind, bytes read from data that fit each level
 * (1 to 3: caches, 4: memory; [0] unused), and bytes written to them. 0: unknown. */
typedef struct {
    double fma, pairs, tiles, functions[FV_FUNCTION_COUNT], read[5], write[5];
    double scalars; /* read from L1 and spread over vectors: 1e9 a second */
    double latency; /* seconds from a multiply-add to one that uses its result */
} fv_rates;

/* What the compiler has to know of a device of a backend. */
typedef struct {
    bool here;
    char why[600];   /* not here: why */
    char asked[256]; /* as in fv_compile_options.device; "": none was named */
    char name[256], driver[272];
    int width; /* f32 lanes of a processor's vectors; 0: it is none */
    int units; /* that run programs at once; 0: unknown */
    int64_t local_memory, max_group; /* of a group: bytes, items */
    bool probed; /* it was asked for its matrix unit: */
    int unit;    /* its number in fv_units */
} fv_device_facts;

typedef struct fv_backend {
    const char *name; /* "cpu", "opencl" */
    const char *summary;
    bool (*available)(fv_buf *why);               /* is there a device; what and why in words */
    const fv_target *(*target)(const char *name); /* facts of the target named (NULL: the host's); NULL: unknown */
    /* The same for a device of the backend (NULL: none was named); NULL: the target does not depend on it. */
    const fv_target *(*device_target)(const char *name, const char *device);
    /* Compiles every distinct kernel of the plan. Returns NULL after recording errors. */
    fv_module *(*compile)(fv_ctx *ctx, const fv_plan *plan, const fv_compile_options *o);
    /* The entry of launch i of plan `which`; NULL for backends that do not run in this process's address space. */
    fovea_kernel *(*entry)(fv_module *m, int which, int i);
    int64_t (*scratch_bytes)(fv_module *m, int which, int i);
    int64_t (*programs)(fv_module *m, int which, int i);
    /* Text of one stage: "flat", "llvm", "asm", "opencl"; "declined": what the lowering left to other ways, and why.
     * false: no such stage. */
    bool (*text)(fv_module *m, int which, int i, const char *stage, fv_buf *out);
    /* A launch's kernel as its code is made from it, functions not expanded, for counting; NULL after recording errors.
     * Schedules are changed where they do not fit, as `compile` does. */
    fv_flat_kernel *(*unexpanded)(const fv_kernel *k, fv_schedule *io_schedule, const fv_target *t);
    /* Relocatable object with all kernels, symbols PREFIX<code>; false: this backend makes none. */
    bool (*object)(fv_module *m, const char *prefix, fv_buf *out);
    void (*dispose)(fv_module *m);
    fv_compile_stats (*stats)(fv_module *m);
    /* Why `target` gives NULL, in the context's memory. NULL: no more to say than that. */
    const char *(*reason)(fv_ctx *ctx, const char *target);
    /* Are products of bf16 pairs (fv_target.dot2) faster than f32 there? NULL: never asked. */
    bool (*pairs_pay)(const char *target, const char *cache_dir);
    /* Rates of this machine, measured once (some 0.8 s) and kept in cache_dir (NULL: nowhere). cache: bytes of the
     * levels 1 to 3. NULL: never asked; false: the target does not run here. */
    bool (*rates)(const char *target, const char *cache_dir, const int64_t cache[4], fv_rates *out);
    /* What times depend on beside the target's facts: the name of the device, the version of its driver (may stay
     * empty), and of the compiler that this backend uses. false: there is no such device. */
    bool (*place)(const char *target, const char *device, fv_buf *name, fv_buf *driver, fv_buf *compiler);
    /* Backends whose drivers do not survive a fork: a process that makes children lets one of them learn the facts, and
     * remembers them; from then on nothing of this struct but `executor` calls a driver for that device in this process.
     * learn makes sure that the device can be opened; target: as in fv_compile_options. NULL: there are no drivers. */
    bool (*learn)(const char *target, const char *device, fv_device_facts *out); /* out->here */
    void (*remember)(const fv_device_facts *facts);
    /* The flat kernel of a launch as it would be compiled; NULL after recording why it does not fit the device. NULL:
     * fv_flatten_chosen, and there is no device. */
    fv_flat_kernel *(*flatten)(fv_ctx *ctx, const fv_launch *l, const fv_target *t, const char *device);
    /* Backends whose kernels run elsewhere: what runs them, its options (they live as long as the module), and the
     * source of a launch. NULL for others. */
    const struct fovea_executor *executor;
    const void *(*executor_user)(fv_module *m);
    const struct fovea_device_code *(*code)(fv_module *m, int which, int i);
} fv_backend;

extern const fv_backend *const fv_backends[];        /* NULL-terminated */
const fv_backend *fv_backend_find(const char *name); /* NULL: none of that name */
const fv_backend *fv_backend_default(void);          /* the first; NULL: this build has none */
#endif
