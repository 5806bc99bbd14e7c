# compile: the example of the header compiles, needs nothing but the system's libraries, and gives the bits of `fovea run`.
. "$(dirname "$0")/kit.sh"
needs "$cc" objcopy

# example NAME: the program of NAME.h, linked with the object and with the library.
example() {
    sed -n '/^#if 0  \/\* An example/,/^#endif  \/\* end/p' "$1.h" | sed '1d;$d' >"$1_main.c"
    expect 0 $cc -std=c11 -Wall -Wextra -Werror "$1_main.c" "$1.o" -lpthread -lm -o "$1_static"
    expect 0 $cc -std=c11 "$1_main.c" "./$1.so" -lpthread -lm -o "$1_shared"
}
spec="neighborhood $small --set kernel=3 --set rel_pos_bias=true"
expect 0 "$fovea" compile $spec -o na
example na
expect 0 "$fovea" run $spec --write-used used.safetensors --output want.safetensors
expect 0 ./na_static used.safetensors used.safetensors got.safetensors
expect 0 cmp want.safetensors got.safetensors
LD_LIBRARY_PATH=. expect 0 ./na_shared used.safetensors used.safetensors got2.safetensors
expect 0 cmp want.safetensors got2.safetensors
expect 1 ./na_static missing used.safetensors got.safetensors

# Undefined symbols are libc's, libm's and pthread's; of the object's own, only the model's are strong.
nm -D -u na.so | awk '{ print $2 }' | grep -v '@GLIBC' | grep -vE '^(_ITM_|__gmon_start__|__cxa_finalize)' >alien || true
[ ! -s alien ] || fail "na.so needs $(cat alien)"
nm na.o | awk '$2 ~ /^[TDRB]$/ { print $3 }' | grep -v '^na_' >strong || true
[ ! -s strong ] || fail "na.o defines $(cat strong)"

# A second model beside it in one program, with a prepared block; sizes in the header are exact.
cat >net.lua <<'L'
local x = input("x", "n c")
local y = linear(x, "fc", "c=24")
output("y", gelu(y), "n c")
output("s", y:sum"c", "n")
L
expect 0 "$fovea" compile net.lua --shape n=7,c=12
example net
expect 0 "$fovea" run net.lua --shape n=7,c=12 --write-used used2.safetensors --output want2.safetensors
expect 0 ./net_static used2.safetensors used2.safetensors got3.safetensors
expect 0 cmp want2.safetensors got3.safetensors
cat >both.c <<'C'
#include "na.h"
#include "net.h"
#include <stdio.h>
int main(void) {
    fovea_error e;
    fovea_workspace w;
    for (int t = 1; t <= 4; t++) {
        fovea_options o = {.threads = t};
        if (na_measure(na_program(), &o, &w, &e) || w.total != NA_WORKSPACE_BYTES(t)) return 1;
        if (net_measure(net_program(), &o, &w, &e) || w.total != NET_WORKSPACE_BYTES(t) || w.prepared != NET_PREPARED_BYTES) return 2;
    }
    return NET_OUTPUTS == 2 && NET_INPUTS == 1 && NET_INPUT_0_BYTES == 7 * 12 * 4 ? 0 : 3;
}
C
expect 0 $cc -std=c11 both.c na.o net.o -lpthread -lm -o both
expect 0 ./both

# 16-bit storage, an input that the caller holds in bf16: the bits are those of run.
cat >sixteen.lua <<'L'
local x = input("x", "n c", nil, { type = "bf16" })
output("y", linear(gelu(linear(x, "fc", "c=96")), "fd", "c=40"), "n c")
L
expect 0 "$fovea" compile sixteen.lua --shape n=50,c=12 --dtype bf16 --target cpu -o sixteen
example sixteen
expect 0 "$fovea" run sixteen.lua --shape n=50,c=12 --dtype bf16 --write-used used5.safetensors --output want5.safetensors
expect 0 ./sixteen_static used5.safetensors used5.safetensors got5.safetensors
expect 0 cmp want5.safetensors got5.safetensors

# A library for AMX tiles asks the processor and the system before any of it runs.
cat >tiles.lua <<'L'
output("y", linear(gelu(linear(input("x", "n c"), "fc", "c=96")), "fd", "c=64"), "n c")
L
if [ "$(uname -m)" = x86_64 ]; then
    expect 0 "$fovea" compile tiles.lua --shape n=50,c=64 --dtype bf16 --target amx -o tiles
    example tiles
    expect 0 "$fovea" run tiles.lua --shape n=50,c=64 --dtype bf16 --write-used used6.safetensors --output want6.safetensors
    if grep -q amx_bf16 /proc/cpuinfo; then
        expect 0 ./tiles_static used6.safetensors used6.safetensors got6.safetensors
    else
        expect 1 ./tiles_static used6.safetensors used6.safetensors got6.safetensors
        says err "this processor lacks"
    fi
fi

# Names of a spec cannot end a comment or a string.
cat >odd.lua <<'L'
output('a*/b', input('x??/*/ int', "n") * 2.0, "n")
labels{ 'cat*/', 'd"og??/' }
preprocess{ interpolation = '*/ bad "' }
L
expect 0 "$fovea" compile odd.lua --shape n=5 -o odd
example odd
expect 0 "$fovea" run odd.lua --shape n=5 --write-used used3.safetensors --output want3.safetensors
expect 0 ./odd_static used3.safetensors used3.safetensors got4.safetensors
expect 0 cmp want3.safetensors got4.safetensors
grep -q "^#define ODD_CLASSES 2$" odd.h || fail "odd.h does not count the classes"

# Failure leaves nothing; names and tools are checked.
CC=/nonexistent/cc expect 1 "$fovea" compile $spec -o lost
says err "CC names another"
printf '#!/bin/sh\necho broken tool\nexit 3\n' >badcc
chmod +x badcc
CC=$work/badcc expect 1 "$fovea" compile $spec -o lost
says err "broken tool"
expect 1 "$fovea" compile $spec -o 1lost
expect 1 "$fovea" compile $spec -o lost --dtype f8
expect 1 "$fovea" compile $spec -o lost --target z80
for f in lost.o lost.so lost.h 1lost.h; do [ ! -e $f ] || fail "$f was written"; done
