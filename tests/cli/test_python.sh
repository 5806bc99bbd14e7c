# The Python module: libraries that fovea build makes, run from Python on torch tensors, NumPy arrays and plain buffers.
. "$(dirname "$0")/kit.sh"
here=$(cd "$(dirname "$0")" && pwd)
needs "$cc" objcopy ar
# The first python3 of PATH may have NumPy and torch; the system's has to do without.
pythons=
for p in python3 /usr/bin/python3; do
    p=$(command -v "$p") || continue
    "$p" -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 9) or sys.implementation.name != "cpython")' 2>/dev/null || continue
    case " $pythons " in *" $(readlink -f "$p") "*) ;; *) pythons="$pythons $(readlink -f "$p")" ;; esac
done
[ -n "$pythons" ] || { echo "SKIPPED: no python3 of 3.9 or newer here"; exit 0; }
PYTHONPATH=$root/runtime/python
PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE

cat >net.lua <<'L'
output("y", gelu(linear(input("x", "n c"), "fc", "c=24")), "n c")
L
cat >two.lua <<'L'
local x, y = input("x", "n c"), input("y", "n c")
output("sum", x + y, "n c")
output("product", x * y, "n c")
L
expect 0 "$fovea" build dinat --config "$digits/config.json" --weights "$digits/dinat_digits.safetensors" -o digits
expect 0 "$fovea" run net.lua --shape n=7,c=12 --write-used net.safetensors
expect 0 "$fovea" build net.lua --shape n=7,c=12 --weights net.safetensors -o net
expect 0 "$fovea" compile two.lua --shape n=2,c=3 -o two
# A set of images, of which one is this processor's; a library of an older Fovea.
if [ "$(uname -m)" = x86_64 ]; then set -- --levels sse2,avx2; else set --; fi
expect 0 "$fovea" build net.lua --shape n=7,c=12 --weights net.safetensors -o several "$@"
echo '#include "digits.h"
static const char text[] = "{}";
const fovea_description fovea_library = {2, 88, "digits", text};' >older.c
expect 0 $cc -std=c11 -shared -fPIC -w older.c -o older.so
for python in $pythons; do
    mkdir try
    ln digits.so digits.weights digits.json net.so net.weights two.so several.so several.weights older.so try/
    expect 0 "$python" "$here/python_load.py" "$work/try" "$digits"
    grep -o "skipped .*" err | sort -u | sed "s|^skipped|SKIPPED ($python):|"
    rm -rf try
done

# A tuning record, made of what the report says of the kernel while there are none.
expect 0 "$fovea" tune neighborhood --shape b=1,head=2,h=28,w=28,d=32 --no-search --report empty.json
text() { sed -n "s/.*\"$1\": \(\"\([^\"\\\\]\|\\\\.\)*\"\).*/\1/p" empty.json | head -n 1; }
threads=$(sed -n 's/.*"threads": \([0-9]*\).*/\1/p' empty.json)
echo "{\"fovea_tune\":1,\"kernel\":\"attend\",\"schedule\":\"attend.offset tile.h=2\",\"status\":\"correct\",\"reason\":\"\",\"seconds\":0.0001,\"seconds_min\":0.0001,\"default_seconds\":0.0002,\"ratio\":0.5,\"predicted\":0.0001,\"pairs\":9,\"unix_time\":1700000001,\"origin\":\"search\",\"dtype\":$(text dtype),\"device\":$(text device),\"driver\":$(text driver),\"compiler\":$(text compiler),\"threads\":$threads,\"group\":$(text group)}" >lines
expect 0 "$fovea" tune --import lines

# The compiler in the process: libfovea.so. (One with a sanitizer's library in it loads into programs that have it too.)
FOVEA_LIBRARY=$(dirname "$fovea")/libfovea.so
export FOVEA_LIBRARY
for python in $pythons; do
    [ -e "$FOVEA_LIBRARY" ] || fail "$FOVEA_LIBRARY was not built"
    if grep -q -e __asan_init -e __tsan_init "$FOVEA_LIBRARY"; then echo "SKIPPED: libfovea.so is built with a sanitizer"; break; fi
    mkdir try
    expect 0 "$python" "$here/python_compile.py" "$root/README.md" "$digits" "$work/try"
    grep -o "skipped .*" err | sort -u | sed "s|^skipped|SKIPPED ($python):|"
    rm -rf try
    # Tuning records are used as the command line uses them; damage in those of the cache is said and passed over.
    tuned="import fovea, sys; m = fovea.compile(open('$root/specs/attention/neighborhood.lua').read(), shape=dict(b=1, head=2, h=28, w=28, d=32), threads=int(sys.argv[1]), tuned=sys.argv[2] != 'no'); print(m.manifest['tuned'])"
    expect 0 "$python" -c "$tuned" "$threads" yes
    says out "tuned: 1 of 3 kernels, $work/cache/tune.db"
    expect 0 "$python" -c "$tuned" "$threads" no
    [ -z "$(cat out)" ] || fail "tuned=False: $(cat out)"
    mkdir -p bad && echo "no database" >bad/tune.db
    FOVEA_CACHE=$work/bad expect 0 "$python" -c "$tuned" "$threads" yes
    says out "not tuned: "
    FOVEA_LIBRARY=$work/digits.so expect 1 "$python" -c "import fovea; fovea.compile('')"
    says err "no libfovea.so that this module knows"
    FOVEA_LIBRARY=$work/none.so expect 1 "$python" -c "import fovea; fovea.compile('')"
    says err "FOVEA_LIBRARY names libfovea.so"
done

# The package installs, and brings nothing compiled.
for python in $pythons; do
    rm -rf installed source
    cp -r "$root/runtime/python" source         # building writes beside the sources
    if "$python" -c 'import setuptools, pip' 2>/dev/null; then
        expect 0 "$python" -m pip install -q --no-deps --no-build-isolation --no-index --disable-pip-version-check --root-user-action=ignore --target installed ./source
        for file in __init__.py py.typed; do [ -e installed/fovea/$file ] || fail "fovea/$file is not installed"; done
        [ -z "$(find installed -name '*.so')" ] || fail "the package holds compiled parts"
        PYTHONPATH=$work/installed expect 0 "$python" -c "import fovea; print(fovea.load('$work/digits.so'))"
        says out "digits(input: f32[1, 3, 96, 96])"
    else
        echo "SKIPPED ($python): pip or setuptools is not here, the package is not installed"
    fi
done
