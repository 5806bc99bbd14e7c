#!/bin/sh
# The first minutes on a device of OpenCL: what is there, what it can do, whether kernels are right, how fast they are.
#   bench/gpu.sh [FOLDER]     FOVEA names the program, FOVEA_OPENCL_DEVICE the device
# Writes FOLDER/NN-name.txt as sections end (default: gpu-results beside where it is called) and shows them. Each section
# has its own time limit and never ends the run. Needs the program and its specs: neither LLVM nor a network.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
fovea=${FOVEA:-$root/${FOVEA_BUILD:-build}/fovea}
[ -x "$fovea" ] || fovea=$root/build-opencl/fovea
[ -x "$fovea" ] || { echo "bench/gpu.sh: no fovea; ./x build or ./x variants makes one" >&2; exit 1; }
out=${1:-gpu-results}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
FOVEA_CACHE=$out/cache
FOVEA_OPENCL_LOG=$out/build-logs.txt
export FOVEA_CACHE FOVEA_OPENCL_LOG
rm -rf "$FOVEA_CACHE" "$FOVEA_OPENCL_LOG"

# section NUMBER NAME SECONDS COMMAND…
section() {
    file=$out/$1-$2.txt
    limit=$3
    shift 3
    { date -u +%FT%TZ; "$fovea" devices --no-probes | sed -n '/^\*/p'; echo; } >"$file" 2>&1
    timeout -k 5 "$limit" "$@" >>"$file" 2>&1
    code=$?
    [ "$code" -eq 0 ] || echo "-- ended with $code$([ "$code" -eq 124 ] && echo " (time limit of $limit s)")" >>"$file"
    echo "== $file"
    cat "$file"
}
shapes="b=1,head=2,h=14,w=14,d=32"

libraries() {
    for n in libOpenCL.so libnvidia-opencl libnvidia-nvvm libnvidia-ptxjitcompiler libcuda.so libamdocl64 libigdrcl libpocl; do
        found=$( { ldconfig -p 2>/dev/null | grep "$n" | sed 's/.*=> //'
            ls /usr/lib/*/"$n"* /usr/lib64/"$n"* /usr/local/nvidia/lib64/"$n"* /opt/rocm*/lib/"$n"* 2>/dev/null; } | sort -u)
        echo "$n: ${found:-not found}"
    done
    ls /etc/OpenCL/vendors 2>/dev/null
    command -v nvidia-smi >/dev/null && nvidia-smi
    command -v rocm-smi >/dev/null && rocm-smi
    "$fovea" devices --no-probes
}
first_kernel() {
    for turn in cold warm; do
        begin=$(date +%s%N)
        "$fovea" run neighborhood --shape $shapes --backend opencl
        echo "$turn: $((($(date +%s%N) - begin) / 1000000)) ms for the whole process"
    done
    for b in "$FOVEA_CACHE"/cl-*.bin; do
        echo "-- $b"
        strings -n 6 "$b" 2>/dev/null | grep -m 4 -E '^\.(version|target|address_size)|amdgcn|ELF' || echo "no text of PTX in it"
    done
    cat "$FOVEA_OPENCL_LOG" 2>/dev/null
}
launches() {
    echo "the total is wall time of a run; what it exceeds the sum of kernels by is launches, copies and waiting"
    "$fovea" bench neighborhood --shape b=1,head=1,h=7,w=7,d=8 --backend opencl --seconds 2
}
checks() {
    for shape in $kinds; do
        for d in 32 64 128; do
            for spec in neighborhood dense; do
                where="h=14,w=14"
                [ "$spec" = dense ] && where="m=200,n=200,kv=2"
                timeout -k 5 120 "$fovea" check $spec --shape b=1,head=2,d=$d,$where --backend opencl --opencl-shape "$shape" \
                    --rounds 1 || echo "-- $spec d=$d $shape: exit code $?"
            done
        done
    done
}
speeds() {
    for shape in $kinds; do
        for d in 32 64 128; do
            timeout -k 5 120 "$fovea" bench neighborhood --shape b=1,head=4,h=56,w=56,d=$d --backend opencl \
                --opencl-shape "$shape" --seconds 1 || echo "-- d=$d $shape: exit code $?"
            timeout -k 5 120 "$fovea" bench dense --shape b=1,head=8,kv=8,m=1024,n=1024,d=$d --backend opencl \
                --opencl-shape "$shape" --seconds 1 || echo "-- dense d=$d $shape: exit code $?"
        done
    done
}
backbone() {
    picture=$(ls "$root"/tests/data/photo/*.jpg 2>/dev/null | head -n 1)
    "$fovea" run nat:mini --backend opencl ${picture:+--input "$picture"}
    "$fovea" bench nat:mini --backend opencl --seconds 2
}
# Each spec in each shape: the search, its report, and the whole of what was measured as lines that can be imported.
tuning() {
    for shape in $kinds; do
        for spec in "dense --shape b=1,head=8,kv=8,m=1024,n=1024,d=64" "neighborhood --shape b=1,head=4,h=56,w=56,d=32"; do
            timeout -k 5 150 "$fovea" tune $spec --backend opencl --opencl-shape "$shape" --budget 60s --db "$out/tune.db" \
                --report "$out/tuned-${spec%% *}-$shape.json" || echo "-- $spec $shape: exit code $?"
            timeout -k 5 120 "$fovea" check $spec --backend opencl --opencl-shape "$shape" --rounds 1 --db "$out/tune.db" ||
                echo "-- tuned $spec $shape is not right: exit code $?"
        done
    done
    "$fovea" tune --export "$out/tune-records.jsonl" --db "$out/tune.db"
}
kinds=${FOVEA_SHAPES:-scalar fragment}
if [ "${2:-}" = "--section" ]; then
    "$3"
    exit
fi
again() { name=$1; shift; section "$1" "$2" "$3" sh "$0" "$out" --section "$name"; }
again libraries 00 libraries 120
again first_kernel 01 first-kernel 180
again launches 02 launches 120
section 03 probes 600 "$fovea" devices --limit 60
again checks 04 checks 600
again speeds 05 speeds 600
again backbone 06 backbone 600
again tuning 07 tuning 1200
echo "results are in $out"
