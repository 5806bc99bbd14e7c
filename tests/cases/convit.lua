-- Gated positional self-attention: two softmaxes, content and position, mixed by a gate per head.
local x = input("x", "b n c"):split("n = h w", { h = config.grid[1] })
output("y", require "attention/gated_position".module(x, "", config), "b (h w) c")
