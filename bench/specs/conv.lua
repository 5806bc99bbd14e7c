-- A 3 x 3 convolution without bias.   x: b h w c     config: out
output("y", conv2d(input("x", "b h w c"), "conv", { out = config.out, kernel = 3, pad = 1, bias = false }), "b h w c")
