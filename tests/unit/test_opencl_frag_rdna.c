/* The prelude for AMD's wmma, f16, against a simulator of its instructions. */
#define SIM_BF16 0
#include "frag_sim.h"
#include "frag_sim_rdna.h"
#define SIM_SUITE opencl_frag_rdna
#include "frag_sim_run.h"
