-- AFFNet: adaptive frequency filter (a mask made from the spectrum multiplies the spectrum) and its block
local c, x = config, input("input", "b c h w")
local o = { blocks = c.num_blocks, threshold = c.sparsity_threshold, eps = c.gn_eps, bn_eps = c.bn_eps,
  hidden = c.mlp_ratio and c.mlp_ratio * x.c }
local run = c.mlp_ratio and require "backbones/parts/affnet".mixer or require "attention/frequency_filter"
output("output", run(x, "", o), "b c h w")
