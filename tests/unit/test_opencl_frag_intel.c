/* The prelude for Intel's matrix_mad, f16, against a simulator of its instructions. */
#define SIM_BF16 0
#include "frag_sim.h"
#include "frag_sim_intel.h"
#define SIM_SUITE opencl_frag_intel
#include "frag_sim_run.h"
