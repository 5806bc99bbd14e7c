# What the tests of the command line share: source it first.  $1: the program, $2: the source tree.
set -eu
fovea=$1
root=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
FOVEA_CACHE=$work/cache
export FOVEA_CACHE
cd "$work"

fail() { echo "FAILED: $*" >&2; exit 1; }
# expect CODE COMMAND…: its exit code; output and errors are left in $work/out and $work/err.
expect() {
    want=$1
    shift
    code=0
    "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -eq "$want" ] || { cat "$work/out" "$work/err" >&2; fail "exit code $code, not $want: $*"; }
}
# says FILE TEXT: the text occurs in $work/FILE.
says() { grep -qF -- "$2" "$work/$1" || { cat "$work/$1" >&2; fail "$1 lacks: $2"; }; }
small="--shape b=1,head=2,h=9,w=10,d=8"
# needs TOOL…: without one of them the test is skipped.
needs() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || { echo "SKIPPED: no $tool here"; exit 0; }
    done
}
cc=${CC:-cc}
# The trained model of digits, and the classes of the first eight pictures held out.
digits=$root/tests/data/digits
digits_model="dinat --config $digits/config.json --weights $digits/dinat_digits.safetensors"
digits_labels() { ls "$digits/held-out" | head -8 | sed 's/.*_\(.\)\.png/\1/' | tr -d '\n'; }
