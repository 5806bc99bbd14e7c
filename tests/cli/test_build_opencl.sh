# build --target …,opencl: a library with OpenCL programs takes a device, and falls back to the processor with a reason.
# Most is tried on a driver that computes nothing and fails on demand.
. "$(dirname "$0")/kit.sh"
needs "$cc" objcopy ar
cat >net.lua <<'L'
output("y", gelu(linear(input("x", "n c"), "fc", "c=24")), "n c")
L
net="net.lua --shape n=7,c=12 --weights net.safetensors"
expect 0 "$fovea" run net.lua --shape n=7,c=12 --write-used net.safetensors
if ! "$fovea" devices --no-probes | grep -q '^opencl .*driver was found\|^opencl  *here'; then
    expect 1 "$fovea" build $net --target cpu,opencl -o net
    says err "leaves OpenCL out"
    echo "SKIPPED: this build has no OpenCL"
    exit 0
fi

# Prints where the model runs, then a line per run. FAIL, if given, is what the driver does from the second run on, once.
cat >main.c <<'C'
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"
static float x[7 * 12], y[7 * 24];
int main(int argc, char **argv) { /* weights, backend, device, fail */
    fovea_error e;
    fovea_model *m;
    const void *in[] = {x};
    void *out[] = {y};
    fovea_options o = {.backend = (fovea_backend)atoi(argv[2]), .device = argc > 3 && *argv[3] ? argv[3] : NULL};
    if (net_open(argv[1], &o, &m, &e)) return printf("%d %s\n", (int)e.status, e.text), 1;
    puts(net_backend(m));
    for (int i = 0; i < 3; i++) {
        if (i == 1 && argc > 4) setenv("FAKE_CL_TIMES", "1", 1), setenv("FAKE_CL_FAIL", argv[4], 1);
        if (net_run(m, in, out, &e)) printf("run %d: %d %s\n", i, (int)e.status, e.text);
        else printf("run %d: fine\n", i);
    }
    net_dispose(m);
    return 0;
}
C
expect 0 "$fovea" build $net --target cpu,opencl -o net
expect 0 $cc -std=c11 -Wall -Wextra -Werror main.c net.a -lm -lpthread -o main
says net.json '"opencl-items"'

# No driver: the processor, and why; if the device was asked for, an error that says the same.
export FOVEA_OPENCL_LIBRARY=
expect 0 ./main net.weights 0
says out "cpu: OpenCL: no driver was found (FOVEA_OPENCL_LIBRARY: is empty"
expect 1 ./main net.weights 2
says out "11 OpenCL: no driver was found"
FOVEA_BACKEND=opencl expect 1 ./main net.weights 0
FOVEA_BACKEND=gpu expect 1 ./main net.weights 0
says out "FOVEA_BACKEND is 'gpu'"
expect 0 ./main net.weights 1
[ "$(head -1 out)" = cpu ] || fail "asked for cpu: $(cat out)"
expect 0 "$fovea" verify net.so --threads 2
says out "--  not run here: OpenCL: no driver was found"
says out "net.so is sound"

python=$(command -v python3 || true)
if [ -n "$python" ] && "$python" -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 9))'; then
    export PYTHONPATH="$root/runtime/python" PYTHONDONTWRITEBYTECODE=1
    expect 0 "$python" -c "import fovea, array
m = fovea.load('net.so')
print(m.backend, fovea.load('net.so', backend='cpu').backend, len(m(array.array('f', [1.0] * 84)).tolist()))"
    says out "cpu: OpenCL: no driver was found"
    expect 1 "$python" -c "import fovea; fovea.load('net.so', backend='opencl')"
    says err "no driver was found"
    expect 1 "$python" -c "import fovea; fovea.load('net.so', backend='gpu')"
    says err "backend must be one of auto, cpu, opencl"
else
    echo "SKIPPED: fovea.load: no python3 of 3.9 or newer here"
fi

# What may be asked for.
expect 1 "$fovea" build $net --target cpu --device 0 -o lost
says err "--target …,opencl"
expect 1 "$fovea" build $net --target opencl --threads none -o lost
says err "--threads none"
expect 1 "$fovea" build net.lua --shape n=1..7,c=12 --weights net.safetensors --target opencl -o lost
says err "--shape n=1..7 asks for several"
expect 1 "$fovea" build $net --target opencl --device 0 -o lost
says err "no driver was found"
if [ "$(uname -m)" = x86_64 ]; then
    expect 0 "$fovea" build $net --levels sse2,opencl,avx2 --embed -o levels
    expect 0 "$fovea" verify levels.so --threads 1
    says out "not run here: OpenCL"
fi
expect 0 "$fovea" build $net --target cpu -o plain
FOVEA_BACKEND=opencl expect 1 "$fovea" verify plain.so --weights nowhere
sed 's/net_/plain_/g; s/net\.h/plain.h/' main.c >other.c
expect 0 $cc -std=c11 other.c plain.a -lm -lpthread -o other
expect 1 ./other plain.weights 2
says out "built without programs for OpenCL"

# A GPU whose driver computes nothing: unasked it is refused, for its answer; asked for it runs, is lost and taken again.
fake=$(dirname "$fovea")/libfake_opencl_driver.so
if [ -f "$fake" ]; then
    FOVEA_OPENCL_LIBRARY=$fake
    FOVEA_CACHE= expect 0 ./main net.weights 0
    says out "cpu: opencl: Fake device (Fake platform, driver 1.0): the self-test: output \"y\": element"
    says out "run 2: fine"
    FAKE_CL_FAIL=build FOVEA_CACHE= expect 0 ./main net.weights 0
    says out "cpu: OpenCL: kernel"
    says out "does not build on Fake device"
    FOVEA_CACHE= expect 0 ./main net.weights 2 fake
    says out "opencl: Fake device (Fake platform, driver 1.0)"
    FOVEA_CACHE= expect 0 ./main net.weights 2 "" finish
    says out "run 1: 11 OpenCL: kernel"
    says out "(launch 0 of 1 of run, from net.lua:1) on Fake device: out of resources"
    says out "run 2: fine"
    FOVEA_CACHE= expect 1 ./main net.weights 2 1
    says out "there is no device '1'; there are 0: Fake device"
    # Binaries that were built with the library: nothing is built from source; another driver or a refusal is a miss.
    expect 0 "$fovea" build $net --target cpu,opencl --device fake -o net
    says net.json '"binaries_for": "Fake device (Fake platform, driver 1.0)"'
    expect 0 $cc -std=c11 main.c net.a -lm -lpthread -o main
    FAKE_CL_FAIL=build FOVEA_CACHE= expect 0 ./main net.weights 2
    FAKE_CL_FAIL=build FAKE_CL_VERSION=1.1 FOVEA_CACHE= expect 1 ./main net.weights 2
    says out "does not build on Fake device"
    FAKE_CL_FAIL=binary FOVEA_CACHE= expect 0 ./main net.weights 2
else
    echo "SKIPPED: the failing driver was not built"
fi
unset FOVEA_OPENCL_LIBRARY

# A device that computes: the answers are the build's.
if ! "$fovea" devices --no-probes | grep -q '^opencl  *here'; then
    echo "SKIPPED: no OpenCL device here"
    exit 0
fi
mkdir kept
expect 0 "$fovea" build $net --target cpu,opencl --device 0 -o net
FOVEA_CACHE=$work/kept expect 0 "$fovea" verify net.so --threads 1
says out "ok  device: opencl: "
[ -z "$(find kept -name 'cl-*')" ] || fail "programs were built although their binaries are in the library"
expect 0 "$fovea" build $net --target cpu,opencl --embed -o net
FOVEA_CACHE=$work/kept expect 0 "$fovea" verify net.so --threads 1
says out "ok  device: opencl: "
[ -n "$(find kept -name 'cl-*')" ] || fail "programs that were built are not kept"
