-- AttNet: attentive convolution and the block around it.
local x = input("input", "b c h w")
local run = config.glu_hidden and require "backbones/parts/attnet".block or require "attention/attentive_conv".module
output("output", run(x, "", config), "b c h w")
