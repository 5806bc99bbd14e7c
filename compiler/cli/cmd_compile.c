/* fovea compile and fovea build: libraries of a model. The making is in artefact_make.c. */
#include "cli/artefact.h"
#include "cli/tuned.h"
#include "cli/precision.h"

#ifdef FOVEA_HAVE_OPENCL
#define TARGET_MORE "; with ,opencl behind it: OpenCL programs besides"
#define LEVELS_MORE "; opencl: as above"
#define TARGET_DEVICE                                                                                                  \
    {"device", "D",                                                                                                    \
     "with opencl: build its programs for this device too (a number or a part of its name; see fovea devices) and put " \
     "the binaries into the library",                                                                                  \
     CLI_VALUE},
#else
#define TARGET_MORE ""
#define LEVELS_MORE ""
#define TARGET_DEVICE
#endif
/* clang-format off */
#define TARGET_OPTION                                                                                                  \
    {"target", "NAME",                                                                                                 \
     "amx, avx512, avx2, sse2, neon, TRIPLE[:FEATURES], or cpu: exactly this one (default: this one's instruction "    \
     "set)" TARGET_MORE,                                                                                               \
     CLI_VALUE},                                                                                                       \
    {"levels", "A,B",                                                                                                  \
     "several of amx, avx512, avx2, sse2 in one library, which takes the best that it finds" LEVELS_MORE, CLI_VALUE}
/* clang-format on */

static int compile(fv_ctx *ctx, const cli_args *a) { return cli_artefact_make(ctx, a, false); }
static int build(fv_ctx *ctx, const cli_args *a) { return cli_artefact_make(ctx, a, true); }

static const cli_option compile_options[] = {
    CLI_SESSION_OPTIONS,
    TARGET_OPTION,
    TARGET_DEVICE
    CLI_TUNED_OPTIONS,
    {"o", "NAME",
     "NAME.o, NAME.so and NAME.h are written; its last part names the functions (default: the spec's name)", CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_compile = {"compile", "compile SPEC|BACKBONE[:VARIANT] --shape … [options]",
                                 "a library and a header that need nothing but libc", compile_options, compile};

static const cli_option build_options[] = {
    CLI_SESSION_OPTIONS,
    TARGET_OPTION,
    TARGET_DEVICE
    CLI_TUNED_OPTIONS,
    CLI_PRECISION_OPTION,
    {"embed", NULL, "the weights go into the library, not into NAME.weights", CLI_FLAG},
    {"threads", "pool|none",
     "none: one thread, and nothing of pthreads is needed; the caller's own threads still work (default pool)",
     CLI_VALUE},
    {"code-kb", "N",
     "kB that a level's kernels take before those that hardly matter are made smaller (default 170; 0: any number)",
     CLI_VALUE},
    {"o", "NAME",
     "NAME.a, .so, .h, .pc, .json and .weights are written; its last part names the functions (default: the spec's "
     "name)",
     CLI_VALUE},
    {NULL, NULL, NULL, CLI_FLAG}};
const cli_command cli_build = {"build", "build SPEC|BACKBONE[:VARIANT] [--weights FILE] [--embed] [options]",
                               "a library with its weights, ready to run: nothing is packed at start", build_options,
                               build};
