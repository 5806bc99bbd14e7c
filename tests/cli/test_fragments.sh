# The preludes of matrix units: attention over each compiles for its machines without spills, with the instructions of
# the unit; no race is found, and one is where a barrier is taken away. What has no tool here is SKIPPED, and counted.
. "$(dirname "$0")/kit.sh"
preludes=$root/backends/opencl/preludes
skipped=0
skip() { echo "SKIPPED: $*"; skipped=$((skipped + 1)); }
has() { command -v "$1" >/dev/null 2>&1; }
clang=
for c in clang-19 clang-20 clang-18 clang; do if has $c; then clang=$c; break; fi; done
for p in nv intel emu; do cat "$preludes/$p.cl" "$preludes/attention.cl" >$p.cl; done
for p in cdna rdna; do cat "$preludes/$p.cl" "$preludes/amd.cl" "$preludes/attention.cl" >$p.cl; done

# compile NAME TARGET OPTION...: NAME.cl to NAME.s
compile() {
    name=$1
    shift
    # Its standard header has no definition that links here; what the kernel calls is given by macros.
    $clang -w -O3 -cl-std=CL1.2 -Xclang -finclude-default-header "$@" -S -o "$name.s" "$name.cl" 2>err ||
        { cat err >&2; fail "$name does not compile: $*"; }
}
count() { grep -cE -- "$1" "$2" || true; }
equals() { [ "$2" -eq "$3" ] || fail "$1: $2 where $3 are right"; }

# TARGET: can this clang make code for it?
can() { [ -n "$clang" ] && $clang --print-targets 2>/dev/null | grep -q "^ *$1 "; }

for bf16 in 0 1; do
    for shape in $([ $bf16 = 1 ] && echo 64,64,4 || echo 32,64,4 64,64,4 128,32,4); do
        d=${shape%%,*}; keys=${shape#*,}; keys=${keys%,*}; waves=${shape##*,}
        about="-DFOV_BF16=$bf16 -DFOV_D=$d -DFOV_KEYS=$keys -DFOV_WAVES=$waves"
        products=$((2 * (d / 16) * (keys / 16)))           # of 16 x 16 x 16, in both contractions of a step
        if can nvptx64; then
            compile nv --target=nvptx64-nvidia-nvcl -Xclang -target-cpu -Xclang sm_80 -Xclang -target-feature \
                -Xclang +ptx71 $about -DFOV_ASM=__asm__ '-DFOV_ITEM()=((int)__nvvm_read_ptx_sreg_tid_x())' \
                '-DFOV_GROUP()=((int)__nvvm_read_ptx_sreg_ctaid_x())' '-DFOV_BARRIER()=__nvvm_bar_sync(0)'
            equals "mma.sync ($about)" "$(count mma.sync nv.s)" $((2 * products))
            # q once per 16 of d, k and v once per product
            equals "ldmatrix ($about)" "$(count ldmatrix nv.s)" $((d / 16 + products))
            if has ptxas; then
                for sm in 80 86 89 90; do
                    ptxas -v -arch=sm_$sm nv.s -o /dev/null 2>err || { cat err >&2; fail "ptxas sm_$sm: $about"; }
                    grep -q '0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads' err ||
                        { cat err >&2; fail "sm_$sm spills: $about"; }
                    registers=$(sed -n 's/.*Used \([0-9]*\) registers.*/\1/p' err)
                    local_bytes=$(sed -n 's/.* \([0-9]*\) bytes smem.*/\1/p' err)
                    [ "$registers" -le 168 ] || fail "sm_$sm: $registers registers, $about"
                    [ "$local_bytes" -le 49152 ] || fail "sm_$sm: $local_bytes bytes of local memory, $about"
                done
            else skip "ptxas for sm_80, 86, 89, 90: no ptxas"; fi
        else skip "nv ($about): no clang for nvptx64"; fi
        for machine in gfx90a:cdna gfx942:cdna gfx1100:rdna; do
            name=${machine#*:}
            if ! can amdgcn; then skip "$machine ($about): no clang for amdgcn"; continue; fi
            few=$about                          # 32 lanes hold half as many scores: fewer keys a step
            if [ "$name$d" = rdna64 ]; then few="$about -UFOV_KEYS -DFOV_KEYS=32"; fi
            if [ "$name$d" = rdna64 ]; then right=$((products / 2)); else right=$products; fi
            compile $name --target=amdgcn-amd-amdhsa -nogpulib -mcpu=${machine%:*} $few \
                '-DFOV_ITEM()=((int)__builtin_amdgcn_workitem_id_x())' \
                '-DFOV_GROUP()=((int)__builtin_amdgcn_workgroup_id_x())' \
                '-DFOV_BARRIER()=do { __builtin_amdgcn_fence(__ATOMIC_ACQ_REL, "workgroup"); __builtin_amdgcn_s_barrier(); } while (0)'
            equals "$machine products ($few)" "$(count 'v_mfma|v_wmma' $name.s)" $right
            grep -q 'ScratchSize: 0$' $name.s || fail "$machine needs scratch memory: $few"
        done
        if [ -n "$clang" ]; then
            compile intel --target=spir64 $about -DFOV_DECLARE -cl-ext=+cl_khr_fp16 -emit-llvm
            grep '^declare' intel.s | grep -o '@[^(]*' | grep -v '^@llvm\.' | sort >got
            type=$([ $bf16 = 1 ] && echo bf16_bf16 || echo f16_f16)
            length=$(printf 'intel_sub_group_%s_matrix_mad_k16' $type | wc -c)
            printf '@%s\n' _Z11native_exp2f _Z12get_group_idj _Z12get_local_idj _Z27intel_sub_group_shuffle_xorfj \
                _Z7barrierj "_Z${length}intel_sub_group_${type}_matrix_mad_k16Dv8_sDv8_iDv8_f" | sort >want
            diff want got >&2 || fail "undefined symbols of the Intel text: $about"
        else skip "intel ($about): no clang"; fi
    done
done

if has oclgrind-kernel; then
    cat >emu.sim <<'S'
emu.cl
fov_attention
16 1 1
8 1 1
<size=8192 float fill=0.3>
<size=8192 float fill=0.3>
<size=8192 float fill=0.3>
<size=8192 float fill=0>
<size=4 int> 48
<size=4 int> 48
<size=4 float> 0.25
<size=4 int> -1
S
    about="-cl-opt-disable -DFOV_BF16=1 -DFOV_D=32 -DFOV_KEYS=16 -DFOV_WAVES=2"
    oclgrind-kernel --data-races --build-options "$about" emu.sim >log 2>&1 || { cat log >&2; fail "oclgrind"; }
    [ ! -s log ] || { cat log >&2; fail "oclgrind finds fault with attention over emu"; }
    for barrier in FOV_BARRIER_AFTER FOV_BARRIER_BEFORE; do
        oclgrind-kernel --data-races --build-options "$about -D$barrier()=" emu.sim >log 2>&1 || true
        grep -q 'data race' log || { cat log >&2; fail "no race is found without $barrier"; }
    done
else skip "races: no oclgrind"; fi
echo "fragments: $skipped skipped"
