-- TransNeXt: aggregated attention (window and pooled keys in one softmax), global attention, the block.
local attention, sr = require "attention/window_pooled", config.sr_ratio
local H, W = config.input_resolution[1], config.input_resolution[2]
local o = { heads = config.num_heads, window = config.window_size, grid = config.pretrain_resolution,
  pool = sr > 1 and (config.fixed_pool_size or { H // sr, W // sr }), cpb_hidden = 512, qkv_bias = config.qkv_bias,
  eps = config.norm_eps, pool_eps = config.pool_norm_eps or config.norm_eps, l2_eps = config.l2_eps,
  mlp_ratio = config.mlp_ratio }
local run = config.module == "Block" and require "backbones/parts/transnext".block
  or sr > 1 and attention.aggregated or attention.global
output("output", run(input("input", ("b (h=%d w=%d) c"):format(H, W)), "", o), "b (h w) c")
