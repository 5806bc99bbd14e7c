-- DHVT: attention with head tokens (HI-MHSA) and the dynamic aggregation feed-forward (DAFF).    x: b n c
local x = input("x", "b n c")
local module = config.num_heads and require "attention/head_tokens".module or require "backbones/parts/dhvt".forward
output("y", module(x, "", config), "b n c")
