/* Seeded numbers: the rule by which test cases make weights and inputs, so that no file has to be stored.
 *
 *   key(name, seed) = FNV-1a (64 bit) of the name's bytes, xor seed * 0x9E3779B97F4A7C15
 *   word i          = splitmix64's finaliser of key + (i + 1) * 0x9E3779B97F4A7C15
 *   z = (sum of the word's four 16-bit fields - 131070) / 37837.2   about standard normal
 *   u = (word >> 11) * 2^-53                                        in [0, 1)
 *
 * Values are computed in f64 and rounded to the dtype at the end; elements are in row-major order. */
#ifndef FV_SEED_H
#define FV_SEED_H
#include "base/base.h"
#include "runtime/safetensors.h"

typedef enum { FV_RULE_NORMAL, FV_RULE_AROUND, FV_RULE_UNIFORM, FV_RULE_INTS, FV_RULE_CONST } fv_rule_kind;
typedef struct { fv_rule_kind kind; double a, b; } fv_rule;

/* "normal:S" z S · "around:M:S" M + z S · "uniform:A:B" A + u (B - A) · "ints:A:B" floor of the same · "const:V" V.
 * false: FV_E_FORMAT was recorded with `loc`. */
bool fv_rule_parse(fv_ctx *ctx, fv_loc loc, const char *text, fv_rule *out);

uint64_t fv_seed_key(const char *name, uint64_t seed);
double fv_seed_value(const fv_rule *rule, uint64_t key, int64_t i);

/* count elements into out, which has room for them. Integers: values outside the type become its nearest end. false:
 * there is no such rounding (F8). */
bool fv_seed_fill(const fv_rule *rule, const char *name, uint64_t seed, fovea_storage storage, int64_t count,
                  void *out);

/* A table of tensors, one line each: name TAB dtype TAB extents with commas (none for a scalar) TAB rule; '#' starts
 * a comment. Makes them all. The tensors are the context's, their data is the list's. false: FV_E_FILE or
 * FV_E_FORMAT was recorded. */
typedef struct { fovea_stored *tensors; int32_t n; void *memory; } fv_seeded;
bool fv_seed_table(fv_ctx *ctx, const char *path, uint64_t seed, fv_seeded *out);
void fv_seeded_dispose(fv_seeded *s);
#endif
