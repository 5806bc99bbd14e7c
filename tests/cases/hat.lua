-- HAT: window attention beside a channel attention block (HAB), and overlapping cross attention (OCAB).
local c, part = config, require "backbones/parts/hat"
local o = { heads = c.num_heads, window = c.window_size, overlap = c.overlap_win_size, shift = c.shift_size,
  mlp_ratio = c.mlp_ratio, eps = c.eps, qkv_bias = c.qkv_bias, scale = c.qk_scale, mask = c.mask_value,
  conv_scale = c.conv_scale, compress = c.compress_ratio, squeeze = c.squeeze_factor }
if c.num_feat then output("y", part.channel_attention(input("x", "b c h w"), "", o), "b c h w")
else output("y", (c.overlap_ratio and part.cross or part.hybrid)(input("x", "b h w c"), "", o), "b h w c") end
