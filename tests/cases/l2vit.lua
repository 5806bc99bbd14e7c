-- L2ViT: clamped linear attention of tokens; the blocks of a map, of windows and of linear attention.
local part, x = require "backbones/parts/l2vit", input("x", config.map and "b h w c" or "b n c")
local y
if not config.map then y = require "attention/clamped_linear".module(x, "", config)
else y = (config.enhanced and part.global or part.windows)(x, "", config) end
output("y", y, config.map and "b h w c" or "b n c")
