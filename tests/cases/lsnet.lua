-- LSNet: large-kernel perception makes the weights of a small-kernel aggregation; attention; the block around them.
local c, x, part = config, input("input", "b c h w"), require "backbones/parts/lsnet"
local y
if c.lks then y = require "attention/large_small".module(x, "", c)
elseif c.key_dim then y = part.attention(x, "", c)
else y = part.block(x, "", c.depth_index, c) end
output("output", y, "b c h w")
