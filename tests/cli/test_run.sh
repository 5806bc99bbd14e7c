# run: the backends agree with each other, and a file of what was used gives the same bits again.
. "$(dirname "$0")/kit.sh"
expect 0 "$fovea" run neighborhood $small --set rel_pos_bias=true --set kernel=3 --write-used used.safetensors --output a.npy
expect 0 "$fovea" run neighborhood --set rel_pos_bias=true --set kernel=3 --weights used.safetensors --input used.safetensors --output b.npy
expect 0 cmp a.npy b.npy
expect 0 "$fovea" run neighborhood $small --set rel_pos_bias=true --set kernel=3 --threads 2 --verify --output c.npy
expect 0 cmp a.npy c.npy
expect 0 "$fovea" run neighborhood $small --set rel_pos_bias=true --set kernel=3 --seed 2 --output d.npy
expect 1 cmp a.npy d.npy
expect 0 "$fovea" run neighborhood $small --set kernel=3
says out "F32[1, 2, 9, 10, 8]"
cp out cpu
expect 0 "$fovea" run neighborhood $small --set kernel=3 --backend reference
sed 's/.*min \([-0-9.]\{6\}\).*/\1/' cpu >x
sed 's/.*min \([-0-9.]\{6\}\).*/\1/' out >y
expect 0 cmp x y
# The cost: one line beside the answer; all kernels if asked for; none of it in the answer.
expect 0 "$fovea" run neighborhood $small --set kernel=3
says err "slowest:"
cp out plain
expect 0 "$fovea" run neighborhood $small --set kernel=3 --cost
says err "memory MB"
cp err costs
cp out costed
expect 0 cmp costed plain
awk '/^total/ { n++; if ($3 <= 0 || $(NF) <= 0) exit 1 } END { exit n != 1 }' costs || { cat costs >&2; fail "the table of --cost"; }
