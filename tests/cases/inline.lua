-- InLine attention: linear attention whose weights sum to one, and a depthwise 3x3 made from the mean token.  x: b n c
local c = config
local o = { heads = c.num_heads, groups = c.residual_groups, qkv_bias = c.qkv_bias, eps = c.norm_eps,
  mlp_ratio = c.mlp_ratio }
if c.reso then
  local x = input("input", "b (h w) c", { h = c.reso, w = c.reso })
  output("output", require "backbones/parts/inline".cross_block(x, "", o), "b (h w) c")
else
  local x = input("input", "b n c")
  local side = math.tointeger((x.n - 1)^0.5)
  o.H, o.W, o.apart = c.H or side, c.W or side, c.H ~= nil
  output("output", require "attention/injective".module(x, "", o), "b n c")
end
