/* Shared by the files of plan only. */
#ifndef FV_PLAN_INTERNAL_H
#define FV_PLAN_INTERNAL_H
#include "plan/plan.h"

static inline bool fv_mem_is_ours(fv_mem_kind k) { return k == FV_MEM_PREPARED || k == FV_MEM_SCRATCH; }
#endif
