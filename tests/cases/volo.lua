-- Outlook attention: a cell's own mixing weights, from the mean of the cell, applied to its window.
output("y", require "attention/outlook"(input("x", "b h w c"), "", { heads = config.num_heads, stride = config.stride,
  kernel = config.kernel_size, scale = config.qk_scale, qkv_bias = config.qkv_bias }), "b h w c")
