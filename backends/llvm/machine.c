/* machine: picks the processor by name, and sets LLVM up once per process. Invariant: `facts` follow from the features
 * that LLVM is told. */
#define _GNU_SOURCE
#include "backends/llvm/machine.h"

#include <llvm-c/Core.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

static const fv_target target_sse2 = {
    .name = "sse2", .lanes = 4, .registers = 16, .masks = false, .permute = false, .scalef = false,
    .l1_bytes = 32 << 10, .l2_bytes = 256 << 10,
};

/* -- LLVM as a guest --------------------------------------------------------------------------- */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local fv_llvm_trap *active_trap;

static void on_fatal(const char *reason) {
    fv_llvm_trap *t = active_trap;
    if (!t) return;                                     /* LLVM prints the reason and ends the process */
    active_trap = NULL;
    snprintf(t->text, sizeof t->text, "%s", reason);
    longjmp(t->to, 1);
}

static void set_up(void) {
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    LLVMInitializeAllAsmParsers();
    LLVMInstallFatalErrorHandler(on_fatal);
    /* Loop strength reduction costs a third of the code generator's time and changes nothing: addresses come as base +
     * index + constant. Hoisting of machine instructions out of loops keeps the constants of an epilogue in registers
     * through the loop before it, and spills the accumulators there; the flat text is hoisted already. */
    static const char *const argv[] = { "fovea", "-disable-lsr", "-disable-machine-licm" };
    LLVMParseCommandLineOptions(3, argv, "");
}

void fv_llvm_trap_enter(fv_llvm_trap *trap) {
    trap->text[0] = 0;
    active_trap = trap;
}

void fv_llvm_trap_leave(void) {
    active_trap = NULL;
}

/* -- Processors -------------------------------------------------------------------------------- */
static bool has(const char *features, const char *name) {
    size_t n = strlen(name);
    for (const char *at = features; (at = strstr(at, name)); at += n)
        if (at > features && at[-1] == '+' && (at[n] == ',' || at[n] == 0)) return true;
    return false;
}

static bool has_avx512(const char *f) {
    return has(f, "avx512f") && has(f, "avx512vl") && has(f, "avx512bw") && has(f, "avx512dq");
}

static bool has_avx2(const char *f) {
    return has(f, "avx2") && has(f, "fma") && has(f, "f16c");
}

static void take(fv_machine *m, const char *triple, const char *cpu, const char *features) {
    snprintf(m->triple, sizeof m->triple, "%s", triple);
    snprintf(m->cpu, sizeof m->cpu, "%s", cpu);
    snprintf(m->features, sizeof m->features, "%s", features);
}

static bool is_arm(const char *triple) {
    return strncmp(triple, "aarch64", 7) == 0 || strncmp(triple, "arm64", 5) == 0;
}

/* The kernel keeps tiles from processes that do not ask for them; one answer for the process, its threads and its
 * children. */
static bool tiles_permitted;
static void ask_for_tiles(void) {
#if defined(__linux__) && defined(__x86_64__) && defined(SYS_arch_prctl)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    tiles_permitted = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#endif
}
static bool may_use_tiles(void) {
    static pthread_once_t asked = PTHREAD_ONCE_INIT;
    pthread_once(&asked, ask_for_tiles);
    return tiles_permitted;
}

static void set_facts(fv_machine *m) {
    bool arm = is_arm(m->triple);
    m->neon = arm;
    m->avx512 = !arm && has_avx512(m->features);
    m->avx2 = !arm && (m->avx512 || has_avx2(m->features));
    m->fma = arm || m->avx2;
    m->bf16 = m->avx512 && has(m->features, "avx512bf16");
    m->tiles = m->avx512 && has(m->features, "amx-tile") && has(m->features, "amx-bf16");
    if (m->native && !may_use_tiles()) m->tiles = false;
    m->facts = arm         ? &fv_target_neon
               : m->tiles  ? &fv_target_amx
               : m->bf16   ? &fv_target_avx512_bf16
               : m->avx512 ? &fv_target_avx512
               : m->avx2   ? &fv_target_avx2
                           : &target_sse2;
}

static const char avx2_features[] = "+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+popcnt,+movbe";
static const char avx512_features[] =
    "+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+popcnt,+movbe,+avx512f,+avx512cd,+avx512vl,+avx512bw,+avx512dq";

static bool host_machine(fv_machine *m) {
    char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    bool fits = strlen(features) < sizeof m->features && strlen(triple) < sizeof m->triple;
    fits = fits && strlen(cpu) < sizeof m->cpu;
    take(m, triple, fits ? cpu : "generic", fits ? features : "");
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    m->native = true;
    set_facts(m);
    return true;
}

/* A named instruction set: the host itself where it is just that, else a plain processor with it; native if the host
 * can run it. */
static bool named_machine(const char *name, fv_machine *m) {
    fv_machine host = { 0 };
    host_machine(&host);
    if (strcmp(name, "amx-simulated") == 0) {
        *m = host;
        m->tiles = m->simulated = true;
        m->facts = &fv_target_amx;
        return host.avx512;
    }
    if (strcmp(host.facts->name, name) == 0) {
        *m = host;
        return true;
    }
    if (strcmp(name, "neon") == 0) {
        take(m, "aarch64-linux-gnu", "generic", "+neon");
        m->native = false;
    } else {
        bool x86 = !host.neon;
        const char *triple = x86 ? host.triple : "x86_64-linux-gnu";
        bool is512 = strcmp(name, "avx512") == 0, is2 = strcmp(name, "avx2") == 0;
        if (!is512 && !is2 && strcmp(name, "sse2") != 0) return false;
        take(m, triple, is512 ? "x86-64-v4" : is2 ? "haswell" : "x86-64",
             is512 ? avx512_features : is2 ? avx2_features : "");
        m->native = x86 && (is512 ? host.avx512 : is2 ? host.avx2 : true);
    }
    set_facts(m);
    return true;
}

/* Whether this process can run code for the triple and the features of m. */
static bool runs_here(const fv_machine *m) {
    fv_machine host = {0};
    host_machine(&host);
    bool x86 = strncmp(m->triple, "x86_64", 6) == 0 && strncmp(host.triple, "x86_64", 6) == 0;
    bool fits = (x86 || (is_arm(m->triple) && is_arm(host.triple))) && strstr(m->triple, "linux") &&
                strstr(host.triple, "linux");
    for (const char *f = m->features; fits && *f;) {
        size_t n = strcspn(f, ",");
        char one[64];
        fits = *f == '-' || (*f == '+' && n < sizeof one);
        if (fits && *f == '+') {
            snprintf(one, sizeof one, "%.*s", (int)(n - 1), f + 1);
            fits = has(host.features, one) && (strncmp(one, "amx", 3) != 0 || may_use_tiles());
        }
        f += n + (f[n] == ',');
    }
    return fits;
}

static bool triple_machine(const char *name, fv_machine *m) {
    const char *colon = strchr(name, ':');
    size_t n = (size_t)(colon - name);
    if (n >= sizeof m->triple || strlen(colon + 1) >= sizeof m->features) return false;
    char triple[sizeof m->triple];
    memcpy(triple, name, n);
    triple[n] = 0;
    take(m, triple, strncmp(triple, "x86_64", 6) == 0 ? "x86-64" : "generic", colon + 1);
    m->native = runs_here(m);
    set_facts(m);
    return true;
}

static const char *no_tiles(void) {
    fv_machine host = {0};
    host_machine(&host);
    bool has_them = has(host.features, "amx-tile") && has(host.features, "amx-bf16");
    return !has_them ? "this processor has no AMX tiles with bf16; "
                     : "the system did not permit this process to use AMX tiles; ";
}

bool fv_machine_find(const char *name, fv_machine *out, char *why, size_t why_size) {
    pthread_once(&once, set_up);
    *out = (fv_machine){ 0 };
    if (!name || !*name) name = getenv("FOVEA_TARGET");
    bool ok = !name || !*name ? host_machine(out)
            : strchr(name, ':') ? triple_machine(name, out) : named_machine(name, out);
    if (!ok) {
        snprintf(why, why_size, "no CPU target is called '%s' here: %savx512, avx2, sse2, neon, or TRIPLE:FEATURES",
                 name, strncmp(name, "amx", 3) ? "" : no_tiles());
        return false;
    }
    LLVMTargetRef t;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(out->triple, &t, &message)) {
        snprintf(why, why_size, "LLVM cannot make code for '%s': %s", out->triple, message);
        LLVMDisposeMessage(message);
        return false;
    }
    bool cpu = strncmp(out->triple, "x86_64", 6) == 0 || is_arm(out->triple);
    if (!cpu) snprintf(why, why_size, "no code is made for '%s': x86-64 and AArch64 only", out->triple);
    return cpu;
}

LLVMTargetMachineRef fv_machine_codegen(const fv_machine *m, char *why, size_t why_size) {
    LLVMTargetRef t;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(m->triple, &t, &message)) {
        snprintf(why, why_size, "LLVM cannot make code for '%s': %s", m->triple, message);
        LLVMDisposeMessage(message);
        return NULL;
    }
    LLVMTargetMachineRef tm =
        LLVMCreateTargetMachine(t, m->triple, m->cpu, m->features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                LLVMCodeModelDefault);
    if (!tm) snprintf(why, why_size, "LLVM has no code generator for '%s'", m->triple);
    return tm;
}
