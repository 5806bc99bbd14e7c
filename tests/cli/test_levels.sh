# build --levels and --target: libraries for several levels of processor, and for another processor.
. "$(dirname "$0")/kit.sh"
needs "$cc" objcopy ar
cp "$root/tests/cli/classify.c" .
model=$digits_model
labels=$(digits_labels)

if [ "$(uname -m)" = x86_64 ]; then
    # The best level that this processor has, and every other by name; what it has not is refused.
    expect 0 "$fovea" build $model --levels sse2,amx,avx2 -o digits
    expect 0 $cc -std=c11 -Wall -Wextra -Werror classify.c digits.a -lpthread -lm -o classify
    here=sse2
    grep -q avx2 /proc/cpuinfo && grep -q fma /proc/cpuinfo && here="sse2 avx2"
    for level in "" $here; do
        FOVEA_LEVEL=$level expect 0 ./classify "$digits/expect.safetensors" digits.weights
        says out "$labels"
    done
    if grep -q amx_bf16 /proc/cpuinfo; then echo "SKIPPED: refusing amx: this processor has it"; else
        FOVEA_LEVEL=amx expect 1 ./classify "$digits/expect.safetensors" digits.weights
        says err "compiled for amx: this processor lacks AMX"
    fi
    FOVEA_LEVEL=neon expect 1 ./classify "$digits/expect.safetensors" digits.weights
    says err "FOVEA_LEVEL is neon: digits was compiled for sse2,amx,avx2"
    [ "$(grep -c '"weight_bytes": [1-9]' digits.json)" -eq 3 ] || fail "the manifest does not list three levels"
    [ "$(sed -n 's/.*{"name": "\(amx\|avx2\|sse2\)".*/\1/p' digits.json | tr '\n' ' ')" = "amx avx2 sse2 " ] || fail "the levels are not the best first"
    # The file of one level is not taken for another's; that of all is cut nowhere.
    cp digits.weights all.weights
    expect 0 "$fovea" build $model --target amx -o digits
    says err "made, and not tried"
    cp digits.weights amx.weights
    expect 0 "$fovea" build $model --levels avx2 --embed -o digits
    expect 0 $cc -std=c11 classify.c digits.a -lpthread -lm -o classify
    if [ "$here" != sse2 ]; then
        expect 0 ./classify "$digits/expect.safetensors"
        says out "$labels"
        expect 0 ./classify "$digits/expect.safetensors" all.weights
        says out "$labels"
        expect 1 ./classify "$digits/expect.safetensors" amx.weights
        says err "another"
        head -c 500000 all.weights >cut.weights
        expect 1 ./classify "$digits/expect.safetensors" cut.weights
        says err "it is cut"
    fi
    expect 1 "$fovea" build $model --levels avx2,avx2 -o lost
    says err "twice"
    expect 1 "$fovea" build $model --levels avx2,neon -o lost
    says err "different processors"
    expect 1 "$fovea" build $model --levels avx3 -o lost
    says err "none is called 'avx3'"
    expect 1 "$fovea" build $model --levels avx2 --target avx2 -o lost
    says err "one of them"
    expect 1 "$fovea" build $model --levels "" -o lost
fi

# Another processor: the whole is made here, and runs there.
triple=aarch64-linux-gnu
[ "$(uname -m)" = x86_64 ] || { echo "SKIPPED: building for $triple: this is no x86-64"; exit 0; }
mkdir few
for tool in cc objcopy ar; do ln -s "$(command -v $tool)" few/; done
PATH=$work/few expect 1 "$fovea" build $model --target $triple -o lost
says err "$triple-gcc"
command -v $triple-gcc >/dev/null || { echo "SKIPPED: no $triple-gcc here"; exit 0; }
unset CC OBJCOPY AR
expect 0 "$fovea" build $model --target $triple -o digits
for tail in a so h pc json weights; do [ -s digits.$tail ] || fail "digits.$tail is missing"; done
expect 0 $triple-gcc -std=c11 -Wall -Wextra -Werror classify.c digits.a -lpthread -lm -o classify
command -v qemu-aarch64 >/dev/null || { echo "SKIPPED: no qemu-aarch64 here"; exit 0; }
libraries=$($triple-gcc -print-file-name=libc.so.6)
expect 0 qemu-aarch64 -L "$(dirname "$(dirname "$libraries")")" ./classify "$digits/expect.safetensors" digits.weights
says out "$labels"
