/* The prelude for AMD's wmma, bf16, against a simulator of its instructions. */
#define SIM_BF16 1
#include "frag_sim.h"
#include "frag_sim_rdna.h"
#define SIM_SUITE opencl_frag_rdna_bf16
#include "frag_sim_run.h"
