/* The prelude for AMD's mfma, bf16, against a simulator of its instructions. */
#define SIM_BF16 1
#include "frag_sim.h"
#include "frag_sim_cdna.h"
#define SIM_SUITE opencl_frag_cdna_bf16
#include "frag_sim_run.h"
