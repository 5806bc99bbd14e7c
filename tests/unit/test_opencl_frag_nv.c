/* The prelude for NVIDIA's mma.sync, f16, against a simulator of its instructions. */
#define SIM_BF16 0
#include "frag_sim.h"
#include "frag_sim_nv.h"
#define SIM_SUITE opencl_frag_nv
#include "frag_sim_run.h"
