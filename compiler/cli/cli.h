/* The command line: what its files share. One command is one file; the table of commands is in main.c. Only these files
 * print. */
#ifndef FV_CLI_H
#define FV_CLI_H
#include "base/base.h"
#include "driver/driver.h"
#include "dsl/dsl.h"
#include "io/weights.h"
#include "runtime/safetensors.h"

enum { CLI_OK = 0, CLI_USER = 1, CLI_INTERNAL = 2 };
enum { CLI_MAX_WORDS = 8192 };

/* -- Arguments: tables of options
 * ---------------------------------------------------------------------------------------------- */
typedef enum { CLI_FLAG, CLI_VALUE, CLI_LIST } cli_option_kind; /* LIST: may be given again, values collected */
typedef struct {
    const char *name, *argument, *help;
    cli_option_kind kind;
} cli_option; /* name without dashes; "-o" style single letters allowed */
typedef struct {
    const cli_option *option;
    const char *value;
} cli_given;
typedef struct {
    const char *command;
    const cli_option *options; /* terminated by a NULL name */
    int n_given;
    cli_given given[CLI_MAX_WORDS];
    int n_words;
    const char *word[CLI_MAX_WORDS]; /* what is not an option, in order */
} cli_args;
/* false after recording a USAGE error (with the nearest option). `--name=value` and `--name value` are the same. */
bool cli_parse(fv_ctx *ctx, const char *command, const cli_option *options, int argc, char **argv, cli_args *out);
const char *cli_value(const cli_args *a, const char *name); /* the last given, or NULL */
bool cli_flag(const cli_args *a, const char *name);
int cli_values(const cli_args *a, const char *name, const char **out, int cap);
bool cli_int(fv_ctx *ctx, const cli_args *a, const char *name, int64_t least, int64_t *io); /* unchanged if not given */
/* One of the choices (NULL-terminated), or NULL if not given. */
bool cli_choice(fv_ctx *ctx, const cli_args *a, const char *name, const char *const *choices, const char **out);
extern const char *const cli_strategies[]; /* of attend: what --attend takes; NULL-terminated */
/* --dtype: FV_F32 if not given. */
bool cli_dtype(fv_ctx *ctx, const cli_args *a, fv_type *out);
/* Values take the words that follow them up to the next option (several pictures after --input). */
int cli_input_words(const cli_args *a, const char **out, int cap);

typedef struct {
    const char *name, *synopsis, *summary;
    const cli_option *options;
    int (*run)(fv_ctx *ctx, const cli_args *a);
} cli_command;
extern const cli_command *const cli_commands[]; /* NULL-terminated */

/* -- A spec and what it is given
 * --------------------------------------------------------------------------------------------------- */
typedef struct {
    const fv_node *node;
    fovea_dtype dtype;
    void *data;
} cli_leaf_data;
typedef struct {
    const char *name;           /* as given on the command line */
    const char *path, *variant; /* the Lua file; NULL or the part after ':' */
    fv_spec spec;
    fv_weights *weights; /* NULL: none given */
    int n_inputs;
    fovea_stored input[64]; /* tensors given as inputs, by name; data owned by `keep` */
    void *keep[64];
    int n_keep;
    fovea_safetensors *input_file;
    int n_pictures;
    const char *picture[4096];
    bool seeded;
    int64_t seed;
    fv_type storage;    /* of --dtype: how floats lie in memory between kernels */
    bool whole_numbers; /* seeded floats are small integers: sums of them are exact */
    double trace_seconds;
    fv_spec_options options; /* what the spec was traced with */
    int n_leaves, cap_leaves;
    cli_leaf_data *leaf; /* what cli_leaf gave; owned */
} cli_session;
/* Options common to run, check, show, bench and compile: --config --set --weights --input --shape --dtype --seed. */
extern const cli_option cli_session_options[];
#define CLI_SESSION_OPTIONS                                                                                            \
    {"config", "C.json", "the table `config` that the spec reads, as a JSON object", CLI_VALUE},                       \
        {"set", "k=v", "a value of `config`, over that of --config; may be repeated", CLI_LIST},                       \
        {"weights", "FILE", "parameters by name: safetensors or torch.save; without: seeded numbers", CLI_VALUE},      \
        {"input", "FILES", "inputs: a safetensors file, .npy files, or PNG and JPEG pictures", CLI_LIST},              \
        {"shape", "b=1,h=56", "extents that the spec's inputs leave open, by axis", CLI_LIST},                         \
        {"dtype", "f32|bf16|f16", "how floats lie in memory between kernels (default f32)", CLI_VALUE}, {              \
        "seed", "S", "seed of the numbers made where no weights or inputs are given (default 1)", CLI_VALUE            \
    }

#define CLI_BACKEND_OPTION {"backend", "NAME", "cpu (default) or another of fovea devices", CLI_VALUE}
#define CLI_TARGET_OPTION {"target", "NAME", "code for another processor than this one's best: avx2, sse2 …", CLI_VALUE}
/* Options of commands that run or print kernels of a device. */
#ifdef FOVEA_HAVE_OPENCL
#define CLI_DEVICE_OPTIONS                                                                                             \
    {"device", "D", "OpenCL: the device, a number or a part of its name (see fovea devices)", CLI_VALUE}, {            \
        "opencl-shape", "S", "OpenCL: how kernels are cut: scalar, fragment, or another of docs/backends.md",          \
            CLI_VALUE                                                                                                  \
    }
#else
#define CLI_DEVICE_OPTIONS {"device", "D", "the device of a backend that has several", CLI_VALUE}
#endif
/* The target for a backend (NULL: the default): --opencl-shape for opencl, --target for the others. */
const char *cli_target(const cli_args *a, const char *backend);

/* Finds the spec, reads weights and inputs, traces the graph. false after recording errors. Dispose it in any case. */
bool cli_session_open(fv_ctx *ctx, const cli_args *a, const char *name, cli_session *s);
/* The same, with options as words of a command line. */
bool cli_session_words(fv_ctx *ctx, const char *spec, int argc, char **argv, cli_session *s);
void cli_session_close(cli_session *s);
/* Traces the spec again, with other options (extents); numbers made for the graph before it are forgotten. */
bool cli_session_trace(fv_ctx *ctx, cli_session *s, const fv_spec_options *o);
/* The file of a spec: a path, or a name under specs/ (specs, specs/attention, specs/backbones). NULL after recording
 * UNKNOWN with the nearest names. */
const char *cli_spec_path(fv_ctx *ctx, const char *name);
const char *cli_spec_dir(void);

/* Elements of an input or param as the model wants them (f32, i32, bool), from the session's files or its seed; owned
 * by the session until it is closed or told to forget (another seed). NULL after recording errors. */
const void *cli_leaf(fv_ctx *ctx, cli_session *s, const fv_node *leaf, fovea_dtype dtype, int64_t *count);
/* All that cli_leaf gave so far, in one safetensors file: what --input and --weights read back. false after recording an error. */
bool cli_leaves_write(fv_ctx *ctx, const cli_session *s, const char *path);
/* The type that a leaf's numbers are given in: f32, i32, or the 16-bit type that the spec declares an input with. */
fovea_dtype cli_leaf_dtype(const fv_node *leaf);
void cli_session_forget(cli_session *s);
const fv_node *cli_find_leaf(const fv_graph *g, fv_node_op op, const char *name);
const fovea_stored *cli_given_input(const cli_session *s, const char *name); /* NULL: none of this name */
/* Binds weights (or seeded numbers) to a loaded model; arrays stay owned by the session. */
bool cli_bind(fv_ctx *ctx, cli_session *s, const fv_compiled *c, fovea_model *m);
const char *cli_seed_rule(fv_ctx *ctx, const char *name, int rank, const int64_t *shape);

/* -- Talking ---- */
/* "…" on a terminal while something lasts; nothing otherwise. */
void cli_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_progress_done(void);
/* A line on the standard error: what was decided and may surprise. */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool cli_runtime_error(fv_ctx *ctx, fv_code code, const fovea_error *e); /* records it; always false */
const char *cli_cache_dir(fv_ctx *ctx);

extern const cli_command cli_run, cli_check, cli_show, cli_compile, cli_build, cli_verify, cli_bench, cli_devices,
    cli_doctor, cli_explain, cli_demo, cli_tune;
#endif
