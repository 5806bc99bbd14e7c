-- DaViT: channel attention (and Florence-2's variant) of tokens, the spatial block of a map.
local channel = require "attention/channel"
if config.module == "SpatialBlock" then
  local x = input("input", "b c h w")
  output("output", require "backbones/parts/davit".block("spatial", x, "", config), "b c h w")
else
  local o = { num_heads = config.num_heads, qkv_bias = config.qkv_bias, v2 = config.module == "ChannelAttentionV2" }
  output("output", channel.module(input("input", "b n c"), "", o), "b n c")
end
