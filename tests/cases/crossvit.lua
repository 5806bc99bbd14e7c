-- CrossViT: two branches of different width; the class token of each looks once at the other's patches.    x: b n c
local part = require "backbones/parts/crossvit"
if config.patches then
  local y = part.multiscale({ input("small", "b n c"), input("large", "b n c") }, "", config)
  output("small_out", y[1], "b n c")
  output("large_out", y[2], "b n c")
else output("y", part.cross(input("x", "b n c"), "", config.num_heads, config), "b 1 c") end
