# Kernels of specs on matrix units of work items: against the reference where there is a device (emulated), and through
# the compilers of each maker: no spills, the instructions of the unit in the number that the text has calls. What has no
# tool here is SKIPPED, and counted.
. "$(dirname "$0")/kit.sh"
if ! "$fovea" show --help | grep -q -- --opencl; then
    echo "SKIPPED: this build has no OpenCL"
    exit 0
fi
cat >linear.lua <<'S'
local x = input("x", "b t c")
output("y", relu(linear(x, "fc", "o=72")), "b t o")
S
skipped=0
skip() { echo "SKIPPED: $*"; skipped=$((skipped + 1)); }
linear="linear.lua --shape b=2,t=70,c=136"
stored="$root/bench/specs/linear_bf16.lua --set c=136 --set out=72 --shape n=70,c=8 --dtype bf16" # both operands in 16 bit
dense="dense --shape b=1,head=2,kv=1,m=70,n=150,d=64"

# -- Numbers
if "$fovea" devices --no-probes | grep -q '^opencl  *here'; then
    on="--backend opencl --opencl-shape fragment --rounds 1"
    for spec in "$linear" "$stored" "dense --shape b=1,head=2,kv=1,m=21,n=90,d=16 --set causal=true" \
        "window --shape b=1,head=2,h=8,w=8,d=16 --set window=4"; do
        expect 0 "$fovea" check $spec $on
        says out "fragment-"
        says out "agrees"
        says out "bf16: error"
    done
    # rounded operands are no licence to be wrong
    FOVEA_CHECK_SPOIL=9 expect 1 "$fovea" check $linear $on
    says out "DISAGREES"
else skip "no OpenCL device here"; fi
expect 0 "$fovea" show neighborhood $small --backend opencl --opencl-shape fragment-nv --declined
says out "not on the matrix unit: both operands have all of its free axes"

# -- Compilers
gate() { # UNIT TIMES TARGETS SPEC…: calls of the unit, instructions per call
    unit=$1 times=$2 targets=$3
    shift 3
    expect 0 "$fovea" show "$@" --launch "$launch" --backend opencl --opencl-shape "fragment-$unit" --opencl
    grep -v '^-- ' out >"$unit.cl"
    calls=$(grep -c 'fov_mma(&' "$unit.cl")
    [ "$calls" -ge 2 ] || fail "$unit: $calls products in the text of $*"
    asynchronous=
    if [ "$unit" = nv ] && grep -q 'fov_cp16([a-z_]*[ab]_' nv.cl; then asynchronous=--asynchronous; fi
    sh "$root/tests/gates/compile.sh" $asynchronous --targets "$targets" --products $((calls * times)) "$unit.cl" >gates ||
        { cat gates >&2; fail "$unit: $*"; }
    skipped=$((skipped + $(sed -n 's/^gates: .* \([0-9]*\) SKIPPED/\1/p' gates)))
    grep '^passed' gates || true
    if grep '^passed' gates | grep -vE ' 0 (bytes )?spilt.* 0 bytes of (stack|scratch)'; then fail "$unit spills: $*"; fi
}
clang=
for c in clang-19 clang; do command -v $c >/dev/null 2>&1 && { clang=$c; break; }; done
gates() { # LAUNCH SPEC…
    launch=$1
    shift
    gate nv 2 "nvptx:sm_80 nvptx:sm_90" "$@"
    gate cdna 1 "amdgcn:gfx90a amdgcn:gfx942" "$@"
    gate rdna 1 "amdgcn:gfx1100" "$@"
    expect 0 "$fovea" show "$@" --launch "$launch" --backend opencl --opencl-shape fragment-intel --opencl
    grep -v '^-- ' out >intel.cl
    if [ -z "$clang" ]; then skip "intel: no clang"; return; fi
    $clang -x cl -w -O1 -cl-std=CL1.2 -Xclang -finclude-default-header --target=spir64 -DFOV_DECLARE -cl-ext=+cl_khr_fp16 \
        -S -emit-llvm -o intel.ll intel.cl 2>err || { cat err >&2; fail "intel: $*"; }
    grep -q 'call spir_func .*intel_sub_group_bf16_bf16_matrix_mad_k16' intel.ll || fail "intel: no products: $*"
    strange=$(grep '^declare' intel.ll | grep -o '@[^(]*' | grep -vE '^@llvm\.|_Z12get_(group|local)_idj|_Z7barrierj' |
        grep -vE 'intel_sub_group_(bf16_bf16_matrix_mad_k16|shuffle_xor)|_Z(4exp2f|3minii|3maxii|4fmaxff|5floorf)$' || true)
    [ -z "$strange" ] || fail "undefined symbols of the Intel text of $*: $strange"
}
# What devices are asked for a unit compiles for its machines, too; the emulated unit gives the right answers.
preludes=$root/backends/opencl/preludes
probe_gate() { # UNIT TIMES TARGETS PRELUDE…
    unit=$1 times=$2 targets=$3
    shift 3
    { echo "#define FOV_BF16 1"; for p in "$@" copy probe; do cat "$preludes/$p.cl"; done; } >"probe_$unit.cl"
    sh "$root/tests/gates/compile.sh" --targets "$targets" --products $((3 * times)) "probe_$unit.cl" >gates ||
        { cat gates >&2; fail "the probe of $unit"; }
    skipped=$((skipped + $(sed -n 's/^gates: .* \([0-9]*\) SKIPPED/\1/p' gates)))
}
probe_gate nv 2 "nvptx:sm_80 nvptx:sm_90" nv
probe_gate cdna 1 "amdgcn:gfx90a amdgcn:gfx942" cdna amd
probe_gate rdna 1 "amdgcn:gfx1100" rdna amd
if "$fovea" devices --no-probes | grep -q '^opencl  *here'; then
    expect 0 "$fovea" devices
    grep -q '^ *unit-emu .* yes$' out || fail "the emulated unit: $(grep unit-emu out)"
fi
gates 1 $linear
gates 4 $stored
grep -q 'fov_cp16(next_a' nv.cl || fail "operands stored in 16 bit are not copied as they are, a piece ahead"
gates 0 $dense
echo "fragment kernels: $skipped skipped"
