-- BiFormer: bi-level routing attention (published weights), the global attention of the last level, the block.
local o = { heads = config.num_heads, regions = config.n_win, top = config.topk, side = config.side_dwconv,
  scale = config.qk_scale, auto_pad = config.auto_pad, conv = config.before_attn_dwconv, eps = config.norm_eps,
  mlp_ratio = config.mlp_ratio }
local part = require "backbones/parts/biformer"
if config.module == "Block" then output("output", part.block(input("input", "b c h w"), "", o), "b c h w")
elseif config.module == "AttentionLePE" then output("output", part.global(input("input", "b h w c"), "", o), "b h w c")
else
  local y, region = require "attention/routed".module(input("input", "b h w c"), "", o)
  output("output", y, "b h w c")
  local _, sorted = sort(region, "top")
  output("routing", sorted, "b (hb wb) top")
end
