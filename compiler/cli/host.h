/* What this machine is, as the system tells it, and what it does at best, as measured. */
#ifndef FV_CLI_HOST_H
#define FV_CLI_HOST_H
#include "cli/cli.h"

typedef struct {
    char processor[96], governor[32];
    int online, affinity, quota; /* processors; quota 0: none */
    int threads;                 /* what a model uses by default */
    int64_t cache[4];            /* bytes: L1 data, L2, L3; [0] unused, 0: unknown */
    bool smt;
    int64_t memory_bytes, available_bytes;
    double load; /* runnable processes, one-minute average; -1: unknown */
    bool avx512;
} cli_host;
void cli_host_read(cli_host *h);

/* f32 FMA peak of one thread for a target (NULL: the host's best) in GFLOP/s, measured now; 0 without a CPU backend.
 * Takes some 20 ms. */
double cli_peak(const char *target);
double cli_pair_peak(void); /* the same for products of bf16 pairs; 0: there is no instruction for them */
double cli_tile_peak(void); /* the same of bf16 on AMX tiles; 0: there are none */
double cli_bandwidth(void); /* GB/s of reading memory far larger than the caches; 0: not measured */

/* A short loop of arithmetic timed many times (0.1 s in all): by how much its mean exceeds its minimum, as a fraction
 * of that. */
double cli_timing_noise(void);
#endif
