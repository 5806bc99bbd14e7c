-- The same for a 3 x 3 convolution.   x: b h w c     config: c, out
local x = conv2d(input("x", "b h w c"), "before", { out = config.c, kernel = 1, bias = false })
local y = conv2d(x, "conv", { out = config.out, kernel = 3, pad = 1, bias = false })
output("y", conv2d(y, "after", { out = 8, kernel = 1, bias = false }), "b h w c")
