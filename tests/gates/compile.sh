#!/bin/sh
# Compiles OpenCL C texts for devices that are not here, and judges what comes out.
#   tests/gates/compile.sh [options] FILE.cl…
#   --targets "nvptx:sm_80 amdgcn:gfx90a spir64"   which (default: those of `targets` below)
#   --registers N     greatest number of registers an item may have on NVIDIA (default 255)
#   --products N      so many instructions of a matrix unit in each text (mma.sync, mfma, wmma)
#   --asynchronous    on NVIDIA, operands come by cp.async
#   --include FILE    another header before the text (after builtins.h)
# Where clang has no such target, or ptxas is not installed, the gate is SKIPPED, and counted.
# NVIDIA: clang, then ptxas: no spills, registers; AMD: clang: no spills; on both an item's own memory may not exceed the
# private arrays that the text declares (16 bytes more for each: alignment). spir64: clang accepts the text.
# Last line: "gates: N passed, N failed, N SKIPPED". Exit code 1 if any failed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
targets="nvptx:sm_80 nvptx:sm_90 amdgcn:gfx90a amdgcn:gfx942 amdgcn:gfx1100 spir64"
registers=255 include= products= asynchronous=
while [ $# -gt 0 ]; do
    case $1 in
    --targets) targets=$2; shift 2 ;;
    --registers) registers=$2; shift 2 ;;
    --products) products=$2; shift 2 ;;
    --asynchronous) asynchronous=1; shift ;;
    --include) include="-include $2"; shift 2 ;;
    --*) echo "compile.sh: no option $1" >&2; exit 2 ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || { echo "compile.sh: no file" >&2; exit 2; }
clang=${FOVEA_CLANG:-}
[ -n "$clang" ] || for c in clang-19 clang; do command -v $c >/dev/null 2>&1 && { clang=$c; break; }; done
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)); echo "passed  $1"; }
fault() { failed=$((failed + 1)); echo "FAILED  $1"; sed 's/^/        /' "$tmp/log" | head -12; }
skip() { skipped=$((skipped + $#)); }
# with OpenCL's types and functions of our own
compile() { # triple processor file output
    "$clang" -x cl -cl-std=CL1.2 -cl-no-stdinc -target "$1" $2 \
        -include "$here/builtins.h" $include -O2 -w -S -o "$4" "$3" >"$tmp/log" 2>&1
}
# are there as many instructions of a matrix unit as asked for?
multiplies() { # file
    [ -n "$products" ] || return 0
    n=$(grep -cE 'mma\.sync|v_mfma|v_wmma' "$1")
    what="$what, $n products"
    [ "$n" = "$products" ]
}
declared() { # bytes of private arrays in a text
    awk '/__local|__global/ { next }
        { while (match($0, /(^|[ ;{])(float|int|uint|ushort|uchar|double) [A-Za-z0-9_]+\[[0-9]+\];/)) {
            d = substr($0, RSTART, RLENGTH); $0 = substr($0, RSTART + RLENGTH)
            size = d ~ /double/ ? 8 : d ~ /ushort/ ? 2 : d ~ /uchar/ ? 1 : 4
            n = d; sub(/.*\[/, "", n); sum += n * size + 16 } }
        END { print sum + 0 }' "$1"
}
nvptx() { # arch file
    name="$(basename "$2") nvptx $1"
    command -v ptxas >/dev/null 2>&1 || { skip 1; return; }
    compile nvptx64-nvidia-nvcl "-Xclang -target-cpu -Xclang $1 -Xclang -target-feature -Xclang +ptx78" "$2" "$tmp/o.ptx" ||
        { fault "$name: clang"; return; }
    [ -z "$asynchronous" ] || grep -q 'cp\.async\.cg\.shared\.global' "$tmp/o.ptx" || { fault "$name: no cp.async"; return; }
    ptxas -arch="$1" -v "$tmp/o.ptx" -o "$tmp/o.cubin" >"$tmp/log" 2>&1 || { fault "$name: ptxas"; return; }
    used=$(sed -n 's/.*Used \([0-9]*\) registers.*/\1/p' "$tmp/log" | sort -n | tail -1)
    spills=$(sed -n 's/.* \([0-9]*\) bytes spill stores.*/\1/p' "$tmp/log" | sort -n | tail -1)
    stack=$(sed -n 's/^ *\([0-9]*\) bytes stack frame.*/\1/p' "$tmp/log" | sort -n | tail -1)
    shared=$(sed -n 's/.* \([0-9]*\) bytes smem.*/\1/p' "$tmp/log" | sort -n | tail -1)
    what="$name: ${used:-?} registers, ${spills:-?} bytes spilt, ${stack:-?} bytes of stack, ${shared:-0} bytes shared"
    if [ -z "$used" ] || [ "$used" -gt "$registers" ] || [ "${spills:-0}" -gt 0 ]; then fault "$what"
    elif [ "${stack:-0}" -gt "$(declared "$2")" ] || ! multiplies "$tmp/o.ptx"; then fault "$what"
    else pass "$what"; fi
}
field() { sed -n "s/^ *\.$1: *\([0-9]*\).*/\1/p" "$tmp/o.s" | sort -n | tail -1; }
amdgcn() { # arch file
    name="$(basename "$2") amdgcn $1"
    compile amdgcn-amd-amdhsa "-mcpu=$1 -nogpulib" "$2" "$tmp/o.s" || { fault "$name: clang"; return; }
    spilt=$(field vgpr_spill_count) scratch=$(field private_segment_fixed_size)  # scalars spill to vector registers
    what="$name: $(field vgpr_count) vector registers, $spilt spilt, ${scratch:-?} bytes of scratch"
    what="$what, $(field group_segment_fixed_size) bytes local"
    if [ "${spilt:-1}" -gt 0 ]; then fault "$what"
    elif [ -z "$scratch" ] || [ "$scratch" -gt "$(declared "$2")" ] || ! multiplies "$tmp/o.s"; then fault "$what"
    else pass "$what"; fi
}
spir64() { # file
    name="$(basename "$1") spir64"
    if "$clang" -x cl -cl-std=CL1.2 -Xclang -finclude-default-header -target spir64-unknown-unknown -w -O0 -emit-llvm -S \
        -o "$tmp/o.ll" "$1" >"$tmp/log" 2>&1; then pass "$name"; else fault "$name: clang"; fi
}
has() { [ -n "$clang" ] && echo "void f(void) {}" | "$clang" -x cl -cl-no-stdinc -nogpulib -w -target "$1" -S -o /dev/null - 2>/dev/null; }

for t in $targets; do
    kind=${t%%:*} arch=${t#*:}
    case $kind in
    nvptx) triple=nvptx64-nvidia-nvcl ;;
    amdgcn) triple=amdgcn-amd-amdhsa ;;
    spir64) triple=spir64-unknown-unknown ;;
    *) echo "compile.sh: no target $t" >&2; exit 2 ;;
    esac
    why=
    if [ "$kind" = spir64 ]; then [ -n "$clang" ] || why="no clang"
    else has $triple || why="no clang with $kind"; fi
    [ -n "$why" ] || [ "$kind" != nvptx ] || command -v ptxas >/dev/null 2>&1 || why="no ptxas"
    if [ -n "$why" ]; then
        echo "SKIPPED $t: $why ($# files)"
        skip "$@"
        continue
    fi
    for file in "$@"; do
        case $kind in
        nvptx) nvptx "$arch" "$file" ;;
        amdgcn) amdgcn "$arch" "$file" ;;
        spir64) spir64 "$file" ;;
        esac
    done
done
echo "gates: $passed passed, $failed failed, $skipped SKIPPED"
[ "$failed" = 0 ]
