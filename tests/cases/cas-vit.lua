-- CAS-ViT: the additive token mixer and its block.
local x = input("input", "b c h w")
local run = config.mlp_ratio and require "backbones/parts/cas-vit".block or require "attention/additive".module
output("output", run(x, "", config), "b c h w")
