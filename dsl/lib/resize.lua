-- Resizing and sampling: a contraction over a few taps; all indices of a resize are integer expressions.
local core, lib, methods = ...
local axis, where = lib.axis, lib.where

local function extents(what, x, s, sizes)
  local list, i = core.axes(s, sizes), -1
  return function()
    i = i + 2
    local a, n = list[i], list[i + 1]
    if not a then return nil end
    if not x.ext[a] or not n then
      core.fail("VIEW", ("%s: '%s=N' of an axis of %s is wanted in '%s'"):format(what, a, core.text(x), s))
    end
    return a, n, x.ext[a]
  end
end

-- resize(x, "h=9 w=11", corners): bilinear, half-pixel centres unless corners
function lib.resize(x, s, corners, sizes)
  for a, n, N in extents("resize", lib.tensor_of("resize", x), s, sizes) do
    local i, tap = axis(a, n), axis("tap.r", 2)
    local num, den = (i * 2 + 1) * N - n, 2 * n
    if corners then num, den = i * (N - 1), math.max(n - 1, 1) end
    local f = lib.float(num % den) / den
    x = lib.contract(x { [a] = lib.clamp(num // den + tap, 0, N - 1) }, where(lib.eq(tap, 0), 1 - f, f), "tap.r")
  end
  return x
end
-- cubic(x, "h=9 w=11"): bicubic, A = -0.75, half-pixel centres, no antialias
function lib.cubic(x, s, sizes)
  local A = -0.75
  for a, n, N in extents("cubic", lib.tensor_of("cubic", x), s, sizes) do
    local i, t = axis(a, n), axis("tap.c", 4)
    local num = (i * 2 + 1) * N - n
    local u = lib.abs(lib.float(num % (2 * n)) / (2 * n) - (t - 1))
    local w = where(lib.le(u, 1), ((A + 2) * u - (A + 3)) * u * u + 1, ((A * u - 5 * A) * u + 8 * A) * u - 4 * A)
    x = lib.contract(x { [a] = num // (2 * n) + t - 1, border = "clamp" }, w, "tap.c")
  end
  return x
end
-- nearest(x, "h=14 w=14"): floor of the scaled coordinate
function lib.nearest(x, s, sizes)
  for a, n, N in extents("nearest", lib.tensor_of("nearest", x), s, sizes) do x = x { [a] = axis(a, n) * N // n } end
  return x
end
-- sample(x, { h = py, w = px }, border): float coordinates; bilinear; the result has their axes
function lib.sample(x, at, border)
  local map, weight, all = { border = border }, 1.0, ""
  for _, a in ipairs(lib.tensor_of("sample", x).ax) do
    local p = at[a]
    if p then
      local t, f = axis("tap." .. a, 2), lib.floor(p)
      map[a] = f + t
      weight = lib.outer(weight, where(lib.eq(t, 0), 1 - (p - f), p - f))
      all = all .. " tap." .. a
    end
  end
  return lib.contract(x(map), weight, all)
end
