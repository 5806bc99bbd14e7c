/* The parts of fovea compile and fovea build: a program's tables as C, its header, and the system's tools that join
 * them. */
#ifndef FV_CLI_ARTEFACT_H
#define FV_CLI_ARTEFACT_H
#include "cli/bounds.h"
#include "cli/cli.h"
#include "cli/live.h"
#include "runtime/selftest.h"

/* CLI_INTERFACE: of the functions NAME_…; grows when one is added. */
enum { CLI_LEVELS = 8, CLI_DEVICES = 2, CLI_INTERFACE = 7 };

/* One form of a model: compiled for a level of processor, or for a kind of OpenCL device. */
typedef struct {
    const char *name;   /* as the user says it, and as FOVEA_LEVEL may say it */
    const char *target; /* for the backend; NULL: exactly this processor */
    bool opencl;        /* of devices: not chosen by rank and needs */
    bool vectors;       /* of these: for processors */
    int rank;           /* the larger the better */
    const char *needs;  /* what the code needs of an x86 processor, in GCC's names, a blank after each; "": nothing */
    bool x86, amx;
    const fv_target *facts; /* of processors */
    fv_compiled compiled;
    uint64_t number;   /* tells packings of different levels apart; that of an earlier one with the same image */
    const char *image; /* build: the file of its weights after prepare (runtime/image.h); NULL: no weights were given */
    int64_t image_bytes;
    int same;      /* of a device form: the level whose image has the very same bytes, which then stands there once; -1 */
    bool answered; /* build: it ran here, its answers are kept */
} cli_level;

/* A function of the runtime, and what the library calls it. */
typedef struct {
    const char *from, *to;
    bool shown; /* by the library; else the name stands in comments only */
} cli_export;
enum { CLI_EXPORTS = 160 };

typedef struct {
    const char *name, *upper; /* a C identifier, and in capitals */
    const char *model;        /* the spec as given */
    const char *target;       /* in words */
    int n_levels, n_devices;
    cli_level level[CLI_LEVELS + CLI_DEVICES]; /* those of processors, the best first; then those of devices */
    const char *device, *device_name; /* whose driver's binaries travel: as given, and in words; NULL: none */
    const struct cli_opencl_binary *binary;
    int n_binaries, binary_form;
    bool deployed, embedded, single; /* build; with the weights inside; without pthreads */
    const char *image;               /* the file of all images, NULL: no weights were given */
    int64_t image_bytes;
    cli_bounds bounds;                       /* n 0: one shape, and one tried */
    int n_tried;                             /* shapes */
    const fovea_program *shown;              /* what it takes and gives, of the largest extents */
    const fovea_known *known[CLI_MAX_TRIED]; /* what it answers, by shape tried; NULL as image */
    const char *preprocess, *classes;        /* JSON of the spec, or NULL */
    fv_type storage;                         /* of floats between kernels */
    double storage_error;           /* measured cost of 16-bit storage, of the largest output; negative: not measured */
    cli_export export[CLI_EXPORTS]; /* cli_artefact_runtime */
    int n_exports;
    const char *types, *functions; /* declarations, for the header */
} cli_artefact;

/* Reads --target, --levels and --device. false after recording errors. */
bool cli_artefact_levels(fv_ctx *ctx, const cli_args *args, cli_artefact *a);
static inline int cli_artefact_forms(const cli_artefact *a) { return a->n_levels + a->n_devices; }
static inline bool cli_level_runs_here(const cli_level *l) {
    return !l->opencl && (l->compiled.program.n_run == 0 || l->compiled.program.run[0].kernel);
}
/* Of all levels: the blocks of fovea_options.memory, in bytes: what suffices for each of them. */
typedef struct {
    int64_t prepared, arena, total, per_thread; /* total: with one thread */
    int64_t opened;                             /* with one thread, without prepared */
} cli_artefact_memory;
bool cli_artefact_measure(fv_ctx *ctx, const cli_artefact *a, cli_artefact_memory *out);

/* Reads the runtime's headers: what of them a library shows. false after recording an error. */
bool cli_artefact_runtime(fv_ctx *ctx, cli_artefact *a);
/* The C file of the tables and the NAME_ functions. folder: of the files that it takes in. */
void cli_artefact_program(const cli_artefact *a, const char *folder, fv_buf *out);
/* The header: everything a user of the library includes. false after recording an error (the runtime's headers cannot
 * be read). */
bool cli_artefact_header(fv_ctx *ctx, const cli_artefact *a, fv_buf *out);
bool cli_artefact_facts(fv_ctx *ctx, const cli_artefact *a, fv_buf *out); /* the header's constants of pictures */
/* build: what the header says beyond compile's, inside its guard, and the C functions for it. */
void cli_artefact_deploy_header(const cli_artefact *a, fv_buf *out);
void cli_artefact_deploy_program(const cli_artefact *a, fv_buf *out);
/* form_list: the forms in C; the images inside first. */
void cli_artefact_form_list(const cli_artefact *a, fv_buf *out);
/* JSON. files: the object of SHA-256 by suffix that NAME.json lists, with the parameters; NULL: the text inside the
 * library, which has neither. */
void cli_artefact_manifest(const cli_artefact *a, const char *files, fv_buf *out);
void cli_artefact_pc(const cli_artefact *a, fv_buf *out); /* for pkg-config; wherever the library is moved to */
/* A path of the author's text, ":line" behind it or not, as it can be said elsewhere: below the folder of specs or the
 * one that fovea runs in; of other places the name of the file. */
const char *cli_artefact_place(fv_ctx *ctx, const char *path);
/* build: binds the session's weights to every level and writes the images into `folder`; of the levels that run here
 * also the session's inputs and the answers, as safetensors. Where a level does not run here, what prepares its weights
 * is compiled for this processor. Takes the known answers of the self-test. false after recording errors. */
bool cli_artefact_images(fv_ctx *ctx, cli_session *s, cli_artefact *a, const char *folder);
/* Without an image: of the levels that run here, one file of inputs and parameters and one of the
 * answers to them; nothing of libraries for several shapes. */
bool cli_artefact_answers(fv_ctx *ctx, cli_session *s, cli_artefact *a, const char *folder);
const char *cli_artefact_file(fv_ctx *ctx, const char *folder, const cli_level *l, const char *what);
/* The same of a shape that is tried. */
const char *cli_artefact_tried(fv_ctx *ctx, const char *folder, const cli_level *l, int shape, const char *what);
/* The session's spec at a shape that is tried. false after recording errors. */
bool cli_artefact_retrace(fv_ctx *ctx, cli_session *s, const cli_artefact *a, int shape);
/* build: compiles the programs of several shapes for a level. false after recording errors: the spec mixes what is to
 * be a range, and what fv_compile says. */
bool cli_artefact_family(fv_ctx *ctx, cli_session *s, const cli_artefact *a, const fv_driver_options *o,
                         fv_compiled *out);
/* What a user sees of compiled programs: a program whose inputs and outputs have the largest extents. */
const fovea_program *cli_artefact_shown(fv_ctx *ctx, const cli_artefact *a);
void cli_artefact_extents_header(fv_ctx *ctx, const cli_artefact *a,
                                 fv_buf *out); /* constants, and how they are used */
void cli_artefact_extents_manifest(const cli_artefact *a, fv_buf *out);
const fovea_known *cli_known_take(fv_ctx *ctx, cli_live *live); /* the context's; NULL after recording an error */
/* As C: `static const fovea_known known[n]`. */
void cli_known_write(const cli_artefact *a, fv_buf *out);
/* Makes and writes all of it, as the command line says. An exit code. */
int cli_artefact_make(fv_ctx *ctx, const cli_args *args, bool build);

void cli_quote(fv_buf *b, const char *s); /* as a C string, quotes around it; NULL: "" */
void cli_incbin(fv_buf *b, const char *symbol, const char *path); /* the bytes of a file, at a multiple of 64 */
/* Text as it can stand in a C comment: no end of it, no line break. */
const char *cli_comment(fv_ctx *ctx, const char *text);
const char *cli_runtime_folder(fv_ctx *ctx); /* the runtime's sources */

/* An absolute path of a program on PATH, or NULL. */
const char *cli_find_program(fv_ctx *ctx, const char *name);
/* Runs argv (NULL-terminated, argv[0] a path) and waits. false after recording what it wrote to its error stream.
 * `log`: a file for that text. */
bool cli_run_tool(fv_ctx *ctx, char *const *argv, const char *log);
#endif
