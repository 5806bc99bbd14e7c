-- SHViT: single-head attention on the first channels, the block around it, the reduction between stages.
local x, part = input("x", "b c h w"), require "backbones/parts/shvit"
local y
if config.out_dim then y = part.merging(x, "", config, config.out_dim)
elseif config.type then y = part.block(x, "", config)
else y = require "attention/single_head".module(x, "", config) end
output("y", y, "b c h w")
