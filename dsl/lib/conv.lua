-- Convolution and pooling: windows, then a contraction or a reduction.
local core, lib, methods = ...

-- The window of the taps that paired names, "h=ky w=kx", and their names
local function kernel(w, paired, o)
  local r, all = {}, ""
  for k, v in lib.pairs(lib.table_of("convolution", o)) do r[k] = v end
  local list = core.renames(paired)
  for i = 1, #list, 2 do
    local a, u = list[i], list[i + 1]
    if not w.ext[u] then core.fail("AXIS", ("convolve: the weights %s have no axis '%s'"):format(core.text(w), u)) end
    r[a], all = u .. "=" .. w.ext[u], all .. " " .. u
  end
  if r.border == nil then r.border = 0 end
  return r, all
end

-- convolve(x, w, over, "h=ky w=kx", o): any weights; over: channels to contract; o: stride, pad, dilation, border
function lib.convolve(x, w, over, paired, o)
  local win, all = kernel(lib.tensor_of("convolve", w), paired, o)
  return lib.contract(lib.tensor_of("convolve", x):window(win), w, over .. all)
end

local function per_axis(v, i) if type(v) == "table" then return v[i] end return v end

-- The stored extents of a convolution: from the weights, or from what is declared
local function stored(x, name, axes, o)
  local s = core.stored_shape(name .. ".weight")
  if s then
    if #s ~= 2 + #axes then
      core.fail("PARAM", ("conv '%s': the stored weight has %d dimensions, a convolution over %d axes has %d")
        :format(name, #s, #axes, 2 + #axes))
    end
  else
    local groups = o.depthwise and x.c or o.groups or 1
    s = { o.out or (groups == x.c and x.c or nil), x.c // groups }
    for i = 1, #axes do s[2 + i] = per_axis(o.kernel, i) end
    if not s[1] or not s[2 + #axes] then
      core.fail("PARAM", ("conv '%s': no weights are given, so its widths must be written: " ..
        "conv2d(x, name, { out = 96, kernel = 3 })"):format(name))
    end
  end
  local function check(what, want, got)
    if want and want ~= got then
      core.fail("PARAM", ("conv '%s': %s is %s in the spec and %s in the stored weight")
        :format(name, what, tostring(want), tostring(got)))
    end
  end
  check("out", o.out, s[1])
  for i = 1, #axes do check("kernel", per_axis(o.kernel, i), s[2 + i]) end
  if x.c % s[2] ~= 0 then
    core.fail("AXIS", ("conv '%s': the weight takes %d channels per group, %s has c=%d")
      :format(name, s[2], core.text(x), x.c))
  end
  local groups = x.c // s[2]
  check("groups", o.depthwise and x.c or o.groups, groups)
  if s[1] % groups ~= 0 then
    core.fail("AXIS", ("conv '%s': %d groups do not divide %d outputs"):format(name, groups, s[1]))
  end
  return s, groups
end

-- conv(x, name, o): over the axes o.over ("h w"); o: stride, pad, dilation, border; out, kernel, groups, depthwise,
-- bias are those stored, and checked where given; without weights they must be given
function lib.conv(x, name, o)
  lib.tensor_of("conv", x)
  lib.name_of("conv", name)
  o = lib.table_of("conv", o)
  local axes = core.words(o.over or "h w")
  local function has(a)
    if not x.ext[a] then core.fail("AXIS", ("conv '%s': no axis '%s' in %s"):format(name, a, core.text(x))) end
  end
  for _, a in ipairs(axes) do has(a) end
  has "c"
  local s, groups = stored(x, name, axes, o)
  local paired, taps, sizes = {}, {}, {}
  for i, a in ipairs(axes) do
    taps[i] = "k." .. a
    paired[i], sizes[taps[i]] = a .. "=" .. taps[i], s[2 + i]
  end
  local k, pairs_of, out, w, y = table.concat(taps, " "), table.concat(paired, " "), s[1], nil, nil
  local win = { stride = o.stride, pad = o.pad, dilation = o.dilation, border = o.border }
  if groups == 1 then
    sizes.c, sizes["c'"] = x.c, out
    y = lib.convolve(x, lib.param(name .. ".weight", "c' c " .. k, sizes), "c", pairs_of, win):as "c'=c"
  elseif s[2] == 1 and out == x.c then
    sizes.c = out
    y = lib.convolve(x, lib.param(name .. ".weight", "c 1 " .. k, sizes), "", pairs_of, win)
  else
    sizes["g.c"], sizes["o.c"], sizes["c.i"] = groups, out // groups, s[2]
    w = lib.param(name .. ".weight", "(g.c o.c) c.i " .. k, sizes)
    y = lib.convolve(x:split("c = g.c c.i", { ["g.c"] = groups }), w, "c.i", pairs_of, win):merge "c = g.c o.c"
  end
  local bias = lib.bias_of(name, o, "c", { c = out })
  return bias and y + bias or y
end
function lib.conv2d(x, name, o) return (lib.conv(x, name, o)) end
function lib.conv1d(x, name, o)
  local r = { over = "n" }
  for k, v in lib.pairs(lib.table_of("conv1d", o)) do r[k] = v end
  return (lib.conv(x, name, r))
end

-- parallel(x, list, o): the sum of depthwise convolutions of x, each { conv =, bn =, kernel =, dilation = (1) } with
-- its batch norm. They are one convolution, as large as the first: its kernel is made when weights are bound. Zeros
-- outside, padding of half a kernel. o: out (a multiple of c: as many outputs of each channel side by side), stride, eps
function lib.parallel(x, list, o)
  o = lib.table_of("parallel", o)
  local c, K, W, B = lib.tensor_of("parallel", x).c, list[1].kernel, nil, nil
  local size = { c = c, ["o.c"] = (o.out or c) // c }
  for _, f in ipairs(list) do
    local D, inner = f.dilation or 1, { c = c, ["o.c"] = size["o.c"], ["k.h"] = f.kernel, ["k.w"] = f.kernel }
    local function stored(s) return lib.param(f.bn .. s, "(c o.c)", size) end
    local function tap(a) return lib.exact(lib.axis(a, K) - (K - D * (f.kernel - 1) - 1) // 2, D) end
    local w = lib.param(f.conv .. ".weight", "(c o.c) 1 k.h k.w", inner)
    w = w { ["k.h"] = tap "p.h", ["k.w"] = tap "p.w", border = "cut" }:otherwise(0.0)
    local scale = stored ".weight" * lib.rsqrt(stored ".running_var" + (o.eps or 1e-5))
    local bias = stored ".bias" - stored ".running_mean" * scale
    W, B = W and W + w * scale or w * scale, B and B + bias or bias
  end
  local y = lib.convolve(x, W:store(), "", "h=p.h w=p.w", { stride = o.stride, pad = K // 2 }) + B:store()
  return y:merge "c = c o.c"
end
-- The gradient of a convolution to its input: w "c' c ky kx", g has the outputs as c, like the old extents; o as conv2d
function lib.conv_back(g, w, like, o)
  lib.tensor_of("conv_back", g)
  lib.tensor_of("conv_back", w)
  return lib.contract(g:as "c=c'":unwindow((kernel(w, "h=ky w=kx", o)), like), w, "c' ky kx")
end
-- Transposed convolution, kernel 2, stride 2: a product, then a merge
function lib.deconv2(x, name, o)
  o = lib.table_of("deconv2", o)
  lib.tensor_of("deconv2", x)
  lib.name_of("deconv2", name)
  local w = lib.param(name .. ".weight", "c c' ky=2 kx=2", { c = x.c, ["c'"] = o.out })
  local y = lib.contract(x, w, "c"):as "c'=c":merge "h = h ky, w = w kx"
  local bias = lib.bias_of(name, o, "c", { c = y.c })
  return bias and y + bias or y
end

-- Pools. k: kernel; over: axes, else "h w"; o: pad, ceil, dilation. A tap outside does not exist.
local function pool(x, k, stride, over, o, border)
  o = lib.table_of("pool", o)
  local win = { stride = stride or k, pad = o.pad or 0, ceil = o.ceil, dilation = o.dilation, border = border }
  local taps = {}
  for i, a in ipairs(core.words(over or "h w")) do
    win[a], taps[i] = a .. ".p=" .. per_axis(k, i), a .. ".p"
  end
  return lib.tensor_of("pool", x):window(win), table.concat(taps, " ")
end
function lib.max_pool(x, k, stride, over, o)
  local y, taps = pool(x, k, stride, over, o, (o and (o.pad or o.ceil)) and "cut" or nil)
  return y:max(taps)
end
function lib.avg_pool(x, k, stride, over, o) -- o.count_include_pad: a tap outside counts as 0
  local border = o and (o.pad or o.ceil) and (o.count_include_pad and 0 or "cut") or nil
  local y, taps = pool(x, k, stride, over, o, border)
  return y:mean(taps)
end
function lib.adaptive_pool(x, s, sizes) -- "h=7 w=7": uneven bins
  local list, bins, back, over = core.axes(s, sizes), {}, {}, {}
  lib.tensor_of("adaptive_pool", x)
  for i = 1, #list, 2 do
    local a, n = list[i], list[i + 1]
    if not n then core.fail("VIEW", ("adaptive_pool: the extent of '%s' is wanted: \"%s=N\""):format(a, a)) end
    bins[#bins + 1], back[#back + 1], over[#over + 1] = ("%s = %s.b=%d"):format(a, a, n), ("%s.b=%s"):format(a, a), a
  end
  return x:bins(table.concat(bins, ", ")):mean(table.concat(over, " ")):as(table.concat(back, " "))
end
