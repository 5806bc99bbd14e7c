-- LSNet: large-kernel perception makes the weights of a small-kernel aggregation; attention; the block around them.
local c, x, part = config, input("input", "b c h w"), require "backbones/parts/lsnet"
local function block()
  return part.block(x, "", c.depth_index, { kind = c.stage == 3 and "attention" or "large_small",
    num_heads = c.num_heads, key_dim = c.key_dim, d_v = c.d_v, lks = c.lks, sks = c.sks, groups = c.groups,
    ffn_ratio = c.ffn_ratio, se_ratio = c.se_ratio, bn_eps = c.bn_eps, gn_eps = c.gn_eps })
end
local y
if c.depth_index then y = block()
elseif c.lks then y = require "attention/large_small".module(x, "", c)
else y = part.attention(x, "", c) end
output("output", y, "b c h w")
