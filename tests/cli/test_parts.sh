# A build without LLVM and without OpenCL: it configures, builds, runs, and does not speak of what it has not.
. "$(dirname "$0")/kit.sh"
needs cmake ninja cc
cache=
if command -v ccache >/dev/null 2>&1; then cache=-DCMAKE_C_COMPILER_LAUNCHER=ccache; fi
# shellcheck disable=SC2086  # nothing, or one word
expect 0 cmake -S "$root" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O0 -DFOVEA_LLVM=OFF \
    -DFOVEA_OPENCL=OFF -DFOVEA_TESTS=OFF $cache
expect 0 cmake --build "$work/build" --target fovea_cli
fovea=$work/build/fovea
expect 0 "$fovea" devices
says out "cpu        left out   this build was configured with FOVEA_LLVM=OFF"
says out "opencl     left out   this build was configured with FOVEA_OPENCL=OFF"
expect 0 "$fovea" --help
for command in $(awk '/^  fovea [a-z]/ { print $2 }' "$work/out"); do
    expect 0 "$fovea" "$command" --help
    if grep -qi opencl "$work/out"; then fail "$command --help speaks of OpenCL"; fi
done
spec="neighborhood --shape b=1,head=1,h=7,w=7,d=8"
expect 0 "$fovea" run $spec --backend reference
says out "mean"
expect 0 "$fovea" show $spec --pattern
expect 1 "$fovea" run $spec
says err "there is no backend 'cpu' in this build"
expect 1 "$fovea" show $spec --opencl
says err "opencl"
