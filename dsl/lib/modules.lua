-- Attention with its projections, as published modules store it: name.qkv, (part head d) by c, and name.proj.
-- o of all: heads, qkv_bias (true), scale (d^-0.5).
local core, lib, methods = ...

local function options(what, x, name, o)
  lib.tensor_of(what, x)
  lib.name_of(what, name)
  o = lib.table_of(what, o)
  if math.type(o.heads) ~= "integer" or o.heads < 1 or x.c % o.heads ~= 0 then
    core.fail("ARGUMENT", ("%s '%s': %s heads do not divide c=%d"):format(what, name, tostring(o.heads), x.c))
  end
  return o
end
local function qkv(x, name, o)
  local order = ("part=3 head=%d d=%d"):format(o.heads, x.c // o.heads)
  return lib.linear(x, name .. ".qkv", order, { bias = o.qkv_bias ~= false }):parts "part"
end
local function proj(y, x, name) return lib.linear(y:merge "c = head d", name .. ".proj", "c=" .. x.c) end

-- self_attention(x, name, o): dense over n. o.qk_norm: eps of layer norms of q and k over d, name.q_norm, name.k_norm
function lib.self_attention(x, name, o)
  o = options("self_attention", x, name, o)
  local q, k, v = qkv(x, name, o)
  if o.qk_norm then
    q = lib.layer_norm(q, name .. ".q_norm", o.qk_norm, "d")
    k = lib.layer_norm(k, name .. ".k_norm", o.qk_norm, "d")
  end
  return proj(lib.attend { q = q, k = k, v = v, over = "n", dot = "d", scale = o.scale or q.d ^ -0.5 }, x, name)
end

-- neighborhood(x, name, o): each position of h, w attends to the o.kernel x o.kernel nearest of its own dilation group;
-- at the ends the window moves inward. name.rpb: a bias by distance in the group (o.bias = false: none). o.dilation (1)
function lib.neighborhood(x, name, o)
  o = options("neighborhood", x, name, o)
  local K, D, h, w = o.kernel, o.dilation or 1, x:index "h", x:index "w"
  local near = lib.window { h = "u=" .. K, w = "v=" .. K, dilation = D, border = "shift" }
  local q, k, v = qkv(x, name, o)
  local span = 2 * K - 1
  local rpb = o.bias ~= false and lib.param(name .. ".rpb", "head y x", { head = o.heads, y = span, x = span })
  local r = lib.attend { q = q, k = near(k), v = near(v), over = "u v", dot = "d", scale = o.scale or q.d ^ -0.5,
    score = function(s)
      return rpb and s + rpb { y = (near(h) - h) // D + K - 1, x = (near(w) - w) // D + K - 1 } or s
    end }
  return proj(r, x, name)
end

-- window_attention(x, name, o): within windows of o.window x o.window of the map h, w, rolled by o.shift before and
-- back after; positions that only the roll brings together keep o.mask (-100) in their score. Rows and columns that
-- fill the last windows are zeros before the projection. A map no longer than the window is one window, without shift.
-- name.relative_position_bias_table: (2 window - 1)^2 by head; o.bias = false: none. o.whole: no window is cut, a map
-- shorter than it is filled up too; o.keep: one window is shifted too
function lib.window_attention(x, name, o)
  o = options("window_attention", x, name, o)
  local win, shift, tiles, zone = {}, {}, {}, 0
  for _, a in ipairs { "h", "w" } do
    local n, out = x.ext[a], 0
    win[a] = o.whole and o.window or math.min(n, o.window)
    shift[a] = (o.keep or n > win[a]) and o.shift or 0
    tiles[a] = ("%sb %si=%d"):format(a, a, win[a])
    if n % win[a] ~= 0 then tiles.border = 0 end
    if shift[a] > 0 then                                 -- regions: before the last window, in it, rolled over
      local blocks = -(-n // win[a])
      local i, all = lib.axis(a .. "b", blocks) * win[a] + lib.axis(a .. "i", win[a]), blocks * win[a]
      out = lib.where(lib.lt(i, all - win[a]), 0, lib.where(lib.lt(i, all - shift[a]), 1, 2))
    end
    zone = zone * 3 + out
  end
  local i, j, key = lib.axis("hi", win.h), lib.axis("wi", win.w), lib.as "hi=hi' wi=wi'"
  local bias = o.bias ~= false and lib.param(name .. ".relative_position_bias_table", "(y x) head",
    { y = 2 * win.h - 1, x = 2 * win.w - 1, head = o.heads })
  local q, k, v = qkv(x:roll { h = -shift.h, w = -shift.w }:tile(tiles), name, o)
  local y = lib.attend { q = q, k = k, v = v, over = "hi wi", dot = "d", scale = o.scale or q.d ^ -0.5,
    score = function(s)
      if bias then s = s + bias { y = i - key(i) + win.h - 1, x = j - key(j) + win.w - 1 } end
      return core.is(zone) and s + lib.where(lib.ne(zone, key(zone)), o.mask or -100.0, 0.0) or s
    end }
  return proj(y, x, name):untile(tiles, x):roll { h = shift.h, w = shift.w }
end
