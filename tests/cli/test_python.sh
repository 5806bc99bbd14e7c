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
for python in $pythons; do
    mkdir try
    ln digits.so digits.weights digits.json net.so net.weights two.so try/
    expect 0 "$python" "$here/python_load.py" "$work/try" "$digits"
    grep -o "skipped .*" err | sort -u | sed "s|^skipped|SKIPPED ($python):|"
    rm -rf try
done

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
