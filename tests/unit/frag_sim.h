/* frag_sim: runs a kernel of OpenCL C, included as C, item by item as coroutines. Before including a prelude a test
 * includes this; the prelude's instructions call sim_all, which suspends the item until its whole sub-group has
 * arrived with the same instruction, and then executes it once for all. An item that returns early, or arrives at
 * something else, is a failure. The file that includes this defines SIM_BF16. */
#ifndef FRAG_SIM_H
#define FRAG_SIM_H
#include "kernel/flat.h" /* before the words of OpenCL C are defined */

#include "frag_cases.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wattributes"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

typedef unsigned short ushort;
typedef unsigned int uint;
#define FOV_SIMULATED 1
#define __global
#define __local
#define FOV_SHARED static
#define inline static inline
#define __kernel
#define reqd_work_group_size(x, y, z)

enum { SIM_ITEMS = 256, SIM_STACK = 64 << 10 };
typedef void sim_op(int first, int n);
typedef struct {
    ucontext_t at;
    char *stack;
    sim_op *waits; /* NULL: runs, or has returned */
    bool done;
    const void *in[4];
    void *out;
    int number;
} sim_item;
static sim_item sim[SIM_ITEMS];
static ucontext_t sim_main;
static int sim_now, sim_group;
static const char *sim_fault;

static void sim_all(sim_op *op) {
    sim[sim_now].waits = op;
    swapcontext(&sim[sim_now].at, &sim_main);
}
static void sim_barrier_op(int first, int n) { (void)first, (void)n; }
static float sim_float(ushort x) {
#if SIM_BF16
    uint u = (uint)x << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
#else
    _Float16 h;
    memcpy(&h, &x, 2);
    return (float)h;
#endif
}
static ushort sim_half(float x) {
    _Float16 h = (_Float16)x;
    ushort r;
    memcpy(&r, &h, 2);
    return r;
}
static uint sim_bits(float x) {
    uint u;
    memcpy(&u, &x, 4);
    return u;
}
static ushort sim_to16(float x) {
#if SIM_BF16
    uint u = sim_bits(x);
    return (ushort)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
#else
    return sim_half(x);
#endif
}

static void (*sim_body)(void);
static void sim_enter(void) {
    sim_body();
    sim[sim_now].done = true;
}
/* All waiting at op within first .. first + n? */
static bool sim_arrived(int first, int n) {
    for (int i = first; i < first + n; i++)
        if (sim[i].done || sim[i].waits != sim[first].waits) return false;
    return true;
}
static void sim_run_group(int items, int sub) {
    for (int i = 0; i < items; i++) {
        if (!sim[i].stack) sim[i].stack = malloc(SIM_STACK);
        sim[i].waits = NULL;
        sim[i].done = false;
        getcontext(&sim[i].at);
        sim[i].at.uc_stack.ss_sp = sim[i].stack;
        sim[i].at.uc_stack.ss_size = SIM_STACK;
        sim[i].at.uc_link = &sim_main;
        makecontext(&sim[i].at, sim_enter, 0);
    }
    for (;;) {
        bool moved = false, all = true;
        for (sim_now = 0; sim_now < items; sim_now++)
            if (!sim[sim_now].done && !sim[sim_now].waits) {
                swapcontext(&sim_main, &sim[sim_now].at);
                moved = true;
            }
        for (int i = 0; i < items; i++) all &= sim[i].done;
        if (all) return;
        for (int s = 0; s < items; s += sub)
            if (sim[s].waits && sim[s].waits != sim_barrier_op && sim_arrived(s, sub)) {
                sim_op *op = sim[s].waits;
                op(s, sub);
                for (int i = s; i < s + sub; i++) sim[i].waits = NULL;
                moved = true;
            }
        if (sim[0].waits == sim_barrier_op && sim_arrived(0, items)) {
            for (int i = 0; i < items; i++) sim[i].waits = NULL;
            moved = true;
        }
        if (!moved) {
            sim_fault = "items wait for different things";
            return;
        }
    }
}
#define FOV_ITEM() sim_now
#define FOV_GROUP() sim_group
#define FOV_BARRIER() sim_all(sim_barrier_op)
#define FOV_AS_UINT(x) sim_bits(x)
#define FOV_BF16 SIM_BF16
static float fov_ex2(float x) { return exp2f(x); }

static float sim_xor_value[SIM_ITEMS];
static int sim_xor_from[SIM_ITEMS];
static void sim_lane_op(int first, int n) {
    for (int i = first; i < first + n; i++)
        *(float *)sim[i].out =
            sim_xor_from[i] >= 0 && sim_xor_from[i] < n ? sim_xor_value[first + sim_xor_from[i]] : NAN;
}
/* The value of the item `lane` of the sub-group. */
static float sim_lane(float x, int lane) {
    float r;
    sim_xor_value[sim_now] = x;
    sim_xor_from[sim_now] = lane;
    sim[sim_now].out = &r;
    sim_all(sim_lane_op);
    return r;
}
#define FOV_D 32
#define FOV_KEYS 32
#define FOV_WAVES 2
#endif
