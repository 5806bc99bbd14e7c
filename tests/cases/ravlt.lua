-- RAVLT: rank-augmented linear attention ('l') and softmax attention ('v'), the block.
local o = { heads = config.num_heads, form = config.flag == "v" and "softmax" or "linear", base = config.rope_base,
  hidden = config.ffn_dim, layerscale = config.layerscale, eps = config.eps }
local run = config.ffn_dim and require "backbones/parts/ravlt".block or require "attention/rank_augmented".module
output("y", run(input("x", "b c h w"), "", o), "b c h w")
