# Checkpoints of PyTorch: the same weights from a .pth and from safetensors give the same bits; what was decided is said.
. "$(dirname "$0")/kit.sh"
data=$root/tests/data/pth
spec="neighborhood $small --set rel_pos_bias=true --set kernel=3"
expect 0 "$fovea" run $spec --weights "$data/bias.safetensors" --output a.npy
expect 0 "$fovea" run $spec --weights "$data/bias.pth" --output b.npy
says err "the weights under \"ema\" were taken"
says err "the prefix \"module.\" was taken off every name"
expect 0 cmp a.npy b.npy
expect 0 "$fovea" run $spec --output c.npy                        # seeded numbers are others
expect 1 cmp a.npy c.npy
expect 0 "$fovea" run $spec --weights "$data/bias.pth" --backend reference

expect 0 "$fovea" run $spec --weights "$data/bias.pth#ema" --output d.npy
expect 0 cmp a.npy d.npy

# Files that are refused say why, and a checkpoint of another model what is missing.
expect 1 "$fovea" run $spec --weights "$data/legacy.pth"
says err "E0302"
says err "before 1.6"
expect 1 "$fovea" run $spec --weights "$data/module.pth"
says err "torch.nn.modules.linear.Linear"
expect 1 "$fovea" run $spec --weights "$data/plain.pth"
says err "E0303"
says err '"rpb" [2, 5, 5] is missing'
