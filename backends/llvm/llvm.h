/* llvm: the CPU backend. What the command line, the tuner and the tests may use of this folder; no LLVM header is
 * needed. */
#ifndef FV_LLVM_H
#define FV_LLVM_H
#include "backends/backend.h"

/* "cpu": x86-64 (AVX-512, AVX2 with FMA, SSE2) and AArch64, through LLVM. Targets: "avx512", "avx2", "sse2", "neon" or
 * "TRIPLE:FEATURES"; NULL is the host, or what FOVEA_TARGET says. Modules of a target that the host cannot run have
 * objects and text but no entries. The context and the plan given to `compile` must outlive the module. Stages of
 * `text`: "flat", "math" (flat with functions expanded), "llvm", "asm". */
extern const fv_backend fv_backend_cpu;

/* Where objects are kept between runs: $FOVEA_CACHE, else $XDG_CACHE_HOME/fovea, else ~/.cache/fovea. NULL: none of
 * them is set, or FOVEA_CACHE is empty (no cache). */
const char *fv_llvm_cache_dir(fv_ctx *ctx);

/* One flat kernel of hand or of a test: compiled for `target` (as above) and loaded. math: expand functions first.
 * NULL: error recorded. */
typedef struct fv_llvm_kernel fv_llvm_kernel;
fv_llvm_kernel *fv_llvm_kernel_new(fv_ctx *ctx, fv_flat_kernel *k, const char *target, bool math);
fovea_kernel *fv_llvm_kernel_entry(const fv_llvm_kernel *k);
void fv_llvm_kernel_dispose(fv_llvm_kernel *k);

/* Text or object of one flat kernel (math already expanded if wanted). stage: "llvm", "asm", "object". false: error
 * recorded. */
bool fv_llvm_kernel_text(fv_ctx *ctx, const fv_flat_kernel *k, const char *target, const char *stage, fv_buf *out);

/* Measured on one thread with this backend's own code: f32 FMA peak in GFLOP/s (2 per multiply-add), and bandwidth of
 * reading memory far larger than the caches in GB/s. About 0.1 s each; 0: cannot be measured. */
double fv_llvm_fma_peak(void);
/* The same for products of bf16 pairs (4 per pair); 0: no instruction for them. */
double fv_llvm_pair_peak(void);
/* The same for bf16 on AMX tiles that hold their operands; 0: no tiles, or this process may not use them. */
double fv_llvm_tile_peak(void);
/* Do products of bf16 pairs beat f32 multiply-adds on the target? Measured on this processor once and kept in the
 * cache; true for a target with the instruction that cannot run here: who names it wants it. */
bool fv_llvm_pairs_pay(const char *target, const char *cache_dir);
double fv_llvm_read_bandwidth(void);
/* See fv_backend.rates. */
bool fv_llvm_rates(const char *target, const char *cache_dir, const int64_t cache[4], fv_rates *out);
#endif
