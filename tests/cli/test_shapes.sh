# build --shape b=1..5,h=w=96/128: one library for several batches and sizes, which answers as one that is built for each.
. "$(dirname "$0")/kit.sh"
here=$(cd "$(dirname "$0")" && pwd)
needs "$cc" objcopy ar
cat >net.lua <<'L'
local x = input("x", "b c")
local y = gelu(linear(x, "fc", "c=24"))
output("y", softmax(linear(y, "head", "c=5"), "c"), "b c")
L
cat >use.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"
/* weights batch inputs outputs: opens for this batch alone, then for all; answers both times the same, and as `outputs`
 * says, which other kernels may round otherwise. */
static float in[NET_INPUT_0_BYTES / 4], out[2][NET_OUTPUT_0_BYTES / 4];
int main(int argc, char **argv) {
    fovea_error e = {FOVEA_OK, ""};
    fovea_model *m[2] = {NULL, NULL};
    int64_t b[NET_EXTENTS] = {argc > 2 ? atoi(argv[2]) : 1};
    fovea_options o = {.threads = 2, .extents = b, .n_extents = NET_EXTENTS};
    fovea_workspace w, all;
    fovea_safetensors *given = NULL;
    const void *from[] = {in};
    for (int i = 0; i < 2; i++) {
        void *to[] = {out[i]};
        if (net_open(argv[1], i ? NULL : &o, &m[i], &e)) return fprintf(stderr, "%d %s\n", (int)e.status, e.text), 1;
        if (i && net_resize(m[i], b, NET_EXTENTS, &e)) return fprintf(stderr, "%s\n", e.text), 2;
        const fovea_array *x = net_input(m[i], 0), *y = net_output(m[i], 0);
        if (x->shape[0] != b[0] || y->shape[0] != b[0] || net_extents(m[i])[NET_EXTENT_B] != b[0]) return 3;
        if (net_safetensors_open(argv[3], &given, &e)) return fprintf(stderr, "%s\n", e.text), 4;
        const fovea_stored *t = net_safetensors_find(given, "x");
        if (!t || t->bytes != x->bytes) return 5;
        memcpy(in, t->data, (size_t)t->bytes);
        net_safetensors_close(given);
        if (net_run(m[i], from, to, &e)) return fprintf(stderr, "%s\n", e.text), 6;
        if (memcmp(out[0], out[i], (size_t)y->bytes)) return 7;
        if (net_safetensors_open(argv[4], &given, &e)) return fprintf(stderr, "%s\n", e.text), 4;
        t = net_safetensors_find(given, "y");
        if (!t || t->bytes != y->bytes) return 5;
        for (int64_t k = 0; k < t->count; k++) {
            double off = (double)out[i][k] - (double)((const float *)t->data)[k];
            if (!(off < 1e-6 && off > -1e-6)) return fprintf(stderr, "element %d is off by %g\n", (int)k, off), 8;
        }
        net_safetensors_close(given);
    }
    if (net_measure(net_program(), &o, &w, &e) || net_measure(net_program(), NULL, &all, &e) ||
        w.arena > all.arena || (b[0] == NET_B_MIN && w.arena >= all.arena)) return 9;
    fovea_model *shared = NULL;
    if (net_share(m[0], &o, &shared, &e)) return 10;
    for (int i = 0; i < 3; i++) net_dispose(i < 2 ? m[1 - i] : NULL);
    net_dispose(shared);
    return 0;
}
C
expect 0 "$fovea" run net.lua --shape b=1,c=6 --write-used weights.safetensors
expect 0 "$fovea" build net.lua --weights weights.safetensors --shape b=3..9,c=6 -o net
expect 0 "$fovea" verify net.so --threads 2
for line in "for b=9: the same twice" "for b=8: " "for b=3: " "shapes: one model takes b=3..9" "answers: bit for bit"; do
    says out "$line"
done
for line in NET_B_MIN NET_B_MAX "NET_EXTENT_B 0" "b=3..9"; do grep -q "$line" net.h || fail "net.h does not say $line"; done
grep -q '"bounds": "b=3..9"' net.json && grep -q '"least": 3, "most": 9' net.json || fail "the manifest lacks the bounds"
"$cc" -std=c11 -Wall -Wextra -Werror -I. use.c net.a -lpthread -lm -o use || fail "the program does not compile"
# Every batch answers what a run of that batch answers; without the range 4, 2 and 1 make them up.
for b in 3 5 7 8 9; do
    expect 0 "$fovea" run net.lua --weights weights.safetensors --shape "b=$b,c=6" --write-used used.safetensors --output want.safetensors
    expect 0 ./use net.weights $b used.safetensors want.safetensors
done
for b in 2 10 0; do
    expect 1 ./use net.weights $b used.safetensors want.safetensors
    says err "14 b=$b is outside of what this library was built for: b=3..9"
done

# One image of weights: as many bytes as for one shape.
expect 0 "$fovea" build net.lua --weights weights.safetensors --shape b=9,c=6 -o one
[ "$(wc -c <net.weights)" -eq "$(wc -c <one.weights)" ] || fail "the weights are there twice"
grep -q '"bounds"' one.json && fail "a library of one shape has bounds"

# Sizes; levels; weights inside; no threads.
model=$digits_model
expect 0 "$fovea" build $model --shape b=1..2,h=w=96/128 --levels sse2,avx2 --embed --threads none -o digits
expect 0 "$fovea" verify digits.so
says out "for b=2,h=128,w=128: "
says out "for b=1,h=96,w=96: "
says out "one model takes b=1..2,h=w=96/128"

# What cannot be.
cat >mixes.lua <<'L'
local x = input("x", "b c")
output("y",
    x - x:mean("b"), "b c")
L
cat >number.lua <<'L'
local x = input("x", "b c")
output("y", x * (1 / x.b), "b c")
L
refused() { # TEXT command...
    text=$1
    shift
    expect 1 "$fovea" "$@"
    says err "$text"
}
refused "mixes.lua:3: error" build mixes.lua --shape b=1..4,c=3
says err "goes over elements"
expect 0 "$fovea" build mixes.lua --shape b=1/4,c=3 -o mixes
expect 0 "$fovea" verify mixes.so --threads 1
refused "number.lua:2: error" build number.lua --shape b=1..4,c=3
refused "the parameter 'fc.weight' has the shape" build net.lua --shape b=2,c=6/7
refused "only fovea build" run net.lua --shape b=1..4,c=6
refused "is not that" build net.lua --shape b=4..1,c=6
refused "is not that" build net.lua --shape b=4/4,c=6
refused "one extent can be a range" build net.lua --shape b=1..4,c=1..6
refused "given twice" build net.lua --shape b=1..4,b=1/2,c=6
refused "leave it out" build net.lua --shape b=1..4 --input used.safetensors

for python in python3 /usr/bin/python3; do
    "$python" -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || { echo "SKIPPED: no $python of 3.9"; continue; }
    PYTHONPATH=$root/runtime/python PYTHONDONTWRITEBYTECODE=1 expect 0 "$python" "$here/python_shapes.py" "$work/net.so" 3 9 6
done
