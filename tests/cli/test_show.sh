# show: every level has text; the pattern is what the definition says.
. "$(dirname "$0")/kit.sh"
spec="neighborhood $small --set kernel=3 --set dilation=2"
expect 0 "$fovea" show $spec
says out "graph"
for level in plan kernel flat schedule declined cost; do
    expect 0 "$fovea" show $spec --$level
    [ -s out ] || fail "--$level is empty"
done
expect 0 "$fovea" show $spec --llvm --launch 0
says out "define"
expect 0 "$fovea" show $spec --asm --launch 0
says out ".text"
if "$fovea" devices | grep -q '^opencl  *here'; then
    expect 0 "$fovea" show $spec --opencl --launch 0
    says out "__kernel"
    # Operations of a device's kernels, each tensor once, and that its rates are not known.
    expect 0 "$fovea" show dense --shape b=1,head=1,m=32,kv=1,n=32,d=32 --cost --backend opencl --opencl-shape scalar
    says out "no times: the rates of this device are not known"
    awk '/^as compiled/ { on = 1 } on && $2 == "attend0" { n++; if ($3 < 2 * 32 * 32 * 32 || $4 < 32 * 32 || $NF <= 0) exit 1 }
        END { exit n != 1 }' out || { cat out >&2; fail "the counts of a device"; }
fi
expect 0 "$fovea" show $spec --cost
says out "multiply-accumulates"
says out "DRAM MB"
# 32 queries of 32 keys in 32 dimensions, two products of each: the kernel does no less than the definition.
expect 0 "$fovea" show dense --shape b=1,head=1,m=32,kv=1,n=32,d=32 --cost
awk '/^as compiled/ { on = 1 } on && $2 == "attend0" { n++; if ($3 < 2 * 32 * 32 * 32 || $4 < 32 * 32) exit 1 }
    END { exit n != 1 }' out || { cat out >&2; fail "the counts of --cost"; }
# A processor that is not this one has counts and no times.
expect 0 "$fovea" show dense --shape b=1,head=1,m=32,kv=1,n=32,d=32 --cost --target neon
says out "no times: the rates of the target cannot be measured here"
# Its bytes are there, level by level: a number for L1, L2, L3 and DRAM after the three kinds of operations.
awk '/^as compiled/ { on = 1 } on && $2 == "attend0" { n++; if (NF != 9 || $6 <= 0 || $7 < $8 || $8 < $9) exit 1 }
    END { exit n != 1 }' out || { cat out >&2; fail "the bytes of each level"; }
expect 0 "$fovea" show $spec --declined
says out "chosen"

expect 0 "$fovea" show $spec --pattern --query h=4,w=0
cat >want <<'P'
    ··········
    ··········
    █·█·█·····
    ··········
    ◉·█·█·····
    ··········
    █·█·█·····
    ··········
    ··········
P
says out "sees 9 of 9 keys"
grep '^    ' out >got
expect 0 cmp want got

expect 0 "$fovea" show dense --shape b=1,head=1,m=4,kv=1,n=6,d=8 --set causal=true --pattern --query m=1
cat >want <<'P'
    ███···
    ████··
    █████·
    ██████
P
says out "sees 4 of 6 keys"
grep '^    ' out >got
expect 0 cmp want got

expect 0 "$fovea" show $spec --pattern -o p.svg
expect 0 "$fovea" show $spec --pattern -o p.png
head -c 4 p.png | grep -q PNG || fail "p.png is no PNG"
grep -q "<svg" p.svg || fail "p.svg is no SVG"
# A matrix unit that is not here, or not permitted, is refused with the reason.
code=0
"$fovea" show $spec --target amx --flat >out 2>err || code=$?
[ $code -eq 0 ] || { [ $code -eq 1 ] && says err "AMX tiles"; }
