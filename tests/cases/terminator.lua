-- Terminator: slow nets make kernels from coordinates, the fast path applies them; statistics run over the live batch
local function grid(axes, n)                                         -- linspace(-1, 1) per axis, in the listed order
  local g = {} for a in axes:gmatch"%S+" do g[#g+1] = float(axis(a, n)) * (2 / (n - 1)) - 1 end
  return stack("a", g)
end
-- sine net over the coordinates `axes`; a context (m and the axes) gates each layer of the local kind
local function slow_net(name, axes, n, out, context)
  name = name .. ".Kernel"
  local X, over_m = grid(axes, n), { over = "m" }
  local function sine(i) return sin(linear(X, name .. ".filters." .. i .. ".linear", "m", { over = "a" })) end
  local bias = param(name .. (context and ".bias_pk" or ".bias_p"), "1 1 " .. axes)
  local z, i = sine(0), 0
  while has_param(name .. ".linears." .. i .. ".weight") do
    z = (sine(i + 1) * linear(z, name .. ".linears." .. i, "m", over_m) + bias)
    if context then
      z = ((z + 0.1 * unit(z, axes, 1e-12)) * linear(context, name .. ".fast_linears_x." .. i, "m", over_m))
    end
    i = i + 1
  end
  return linear(z, name .. ".output_linear", out, over_m)
end

local function local_kernel(x, name, k)                              -- c u v: shared by the batch, made from all of it
  local e = bins("h = u, w = v", { u = k, v = k })(x):mean"h w"
  e = linear(e, name .. ".Kernel.fast_reduce", "m"):mean"b"
  return slow_net(name, "u v", k, "c", gelu(linear(e, name .. ".Kernel.fast_fc1", "m", { over = "m" })))
end
local function local_conv(K, x, name)
  local y = linear(convolve(x, K, "", "h=u w=v"), name .. ".channel_mixer", "c")
  return gelu(standardise(y, "b h w", 1e-5))
end

local function instance(x) return standardise(x, "h w", 1e-5) end
local function rgu(x, name)
  local w = function(y, i) return linear(y, name .. ".fast_linear_" .. i, "c") end
  return w((gelu(instance(w(x, "k") * w(w(x, "v"), "q"))) + param(name .. ".bias_p", "1 1 h w")), "y")
end

local function hyper_interact(y, x, name)
  local Kc, Ks = slow_net(name .. ".slow_net_gc_hi", "c", x.c, "1"), slow_net(name .. ".slow_net_gs_hi", "h w", x.h,
    "1")
  return x * sigmoid(outer(Kc * y:mean"h w"^2, Ks * y:mean"c"^2))
end

local function sfne(x, x_pre, name)
  local f, C = name .. ".fast_multi_branch", x.c
  local G = (x * slow_net(f .. ".slow_net_g", "h w", x.h, "c"))
  local times = function(F) return contract(G:as"w=j", F:as"h=j", "j") end      -- H x H matrix product per channel
  local fast = instance(rgu(G, f .. ".Fast_Kernel_rgu_2") + rgu(x, f .. ".Fast_Kernel_rgu"))
  local mixed = instance(linear(x, f .. ".channel_mixer_mlp", "c"))
  local hci = instance(x * sigmoid(slow_net(f .. ".channel_mixer_hci.slow_net_gc", "c", C, "1") * x:mean"h w"^2))
  local out = times(fast)
  local hyper = hyper_interact(out, x, f .. ".hyper_interact")
  local function branch(i, k, source, y)
    return local_conv(local_kernel(source, f .. ".slow_net_l" .. i, k), y,
      f .. ".local_interact_conv_" .. i) + param(f .. ".bias" .. i, "1") end
  local l1, l2, l3, l4 = branch(1, 3, x, hci), branch(2, 9, hci, x), branch(3, 5, mixed, x), branch(4, 7, x, mixed)
  local pre = x_pre{ c = x:index"c" % x_pre.c }                      -- tiled to C channels
  local y = concat("c", { out, l2, pre, fast, times(mixed), l1, silu(out), l3, times(hci), l4, hyper })
  y = linear(y, f .. ".bottleneck_layer", "c")
  -- 12 groups: over the batch, over the image, alternating
  local even, odd = y:split"c = g=6 two=2 ci":parts"two"
  y = stack("two", { standardise(even, "b h w", 1e-5), instance(odd) }):merge"c = g two ci"
  return gelu(y) + param(name .. ".bias", "1")
end

local c, y = config, nil
local function map(s) return input(s, "b c h w") end
if c.bottleneck_factor then y = sfne(map"x", map"x_pre", "")
elseif c.data_dim then y = rgu(map"input", "")
elseif c.channel then y = hyper_interact(map"y", map"x", "")
else y = local_conv(local_kernel(map"x1", "slow_net", c.kernel_size), map"x2", "local_conv") + param("fast_bias",
  "1") end
output("output", y, "b c h w")
