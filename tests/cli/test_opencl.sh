# OpenCL from the command line: devices, both shapes against the reference, texts, and a driver that fails.
. "$(dirname "$0")/kit.sh"
if ! "$fovea" devices --no-probes | grep -q '^opencl  *here'; then
    echo "SKIPPED: no OpenCL device here"
    exit 0
fi
spec="neighborhood --shape b=1,head=1,h=7,w=7,d=8"
expect 0 "$fovea" devices --no-probes
says out "driver"
expect 0 "$fovea" devices --probe 0:integers
says out "yes"
expect 0 "$fovea" check $spec --backend opencl --opencl-shape scalar --rounds 1
says out "opencl, offset"
says out "agrees"
expect 0 "$fovea" run $spec --backend opencl --device 0
expect 1 "$fovea" run $spec --backend opencl --device toaster
says err "there is no device 'toaster'"
expect 1 "$fovea" run $spec --backend opencl --opencl-shape round
says err "does not know the target 'round'"
# Every shape does the multiply-adds that the processor does.
cost="dense --shape b=1,head=1,m=64,kv=1,n=64,d=32 --cost"
products() { sed -n 's/^0  *attend0  *\([^ ]*\) .*/\1/p' out; }
expect 0 "$fovea" show $cost --backend opencl --opencl-shape scalar
says out "the rates of this device are not known"
[ "$(products | tail -n 1)" = 2.621e+05 ] || { cat out; fail "2 x 64 x 64 x 32 multiply-adds of items"; }
for shape in cpu8 fragment-emu; do
    expect 0 "$fovea" show $cost --backend opencl --opencl-shape $shape
    [ "$(products | tail -n 1)" = 2.621e+05 ] || { cat out; fail "multiply-adds of the shape $shape"; }
done
expect 0 "$fovea" run $spec --backend opencl --cost
says err "as compiled, a run:"
expect 0 "$fovea" show $spec --opencl
says out "#line"
says out "neighborhood.lua"
expect 0 "$fovea" bench $spec --backend opencl --seconds 0.1
says out "by the device's clock"

fake=$(dirname "$fovea")/libfake_opencl_driver.so
[ -f "$fake" ] || exit 0
FOVEA_OPENCL_LIBRARY=$fake
FAKE_CL_FAIL=empty-build
export FOVEA_OPENCL_LIBRARY FAKE_CL_FAIL
expect 1 "$fovea" run $spec --backend opencl
says err "does not build on Fake device"
says err "the build log is empty"
FAKE_CL_FAIL=finish
expect 1 "$fovea" run $spec --backend opencl
says err "neighborhood.lua"
says err "on Fake device: out of resources"
expect 1 "$fovea" devices --probe 0:integers
says out "no: "
