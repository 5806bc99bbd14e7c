-- TiC, MSA-Conv: every pixel attends to its k x k window of itself (outside: k = v = 0, the pair stays), then a
-- convolution
local function pair(n) return type(n) == "table" and n or { n, n } end
local K, C = pair(config.kernel_size), config.input_channel
local taps = { h = "ky=" .. K[1], w = "kx=" .. K[2], dilation = config.dilation, border = 0 }
local near = window(taps)
local x = input("input", "b c h w")
local q, k, v = linear(x, "qkv_conv", "part=3 d=" .. C):parts"part"
local o = attend{ q = q, k = near(k), v = near(v), over = "ky kx", dot = "d" }:as"d=c"       -- one head, scale C^-0.5
local y = convolve((o + x), param("mlp.weight", "c' c ky kx"), "c", "h=ky w=kx", { stride = config.stride }):as"c'=c"
if config.bias then y = y + param("mlp.bias", "c") end
output("output", relu(y), "b c h w")
