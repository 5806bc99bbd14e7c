-- A depthwise 7 x 7 convolution with bias.   x: b h w c
output("y", conv2d(input("x", "b h w c"), "conv", { kernel = 7, pad = 3, depthwise = true }), "b h w c")
