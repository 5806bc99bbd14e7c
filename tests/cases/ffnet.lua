-- FFNet: "FFNified" attention, the block, the downsampling.
local c, x, part = config, input("input", "b c h w"), require "backbones/parts/ffnet"
local o = { kernels = { c.ks1, c.ks2 }, kernel = c.kernel_size, hidden = x.c * (c.expansion_ratio or 1),
  bn_eps = c.bn_eps }
local y
if c.out_dim then y = part.merging(x, "proj", c.out_dim, o)
elseif c.expansion_ratio then y = part.block(x, "", o)
else y = require "attention/metamixer".mixer(x, "", o) end
output("output", y, "b c h w")
