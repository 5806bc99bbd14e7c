-- Complex numbers are an axis z=2; the discrete Fourier transform is a contraction with constants (language.md A10).
local core, lib, methods = ...
local axis, where, eq = lib.axis, lib.where, lib.eq

-- cmul(a, b, over): the product, and a contraction over the axes over; b becomes the matrix ((re, im), (-im, re))
-- over (y, z)
function lib.cmul(a, b, over)
  local y, z = axis("y.c", 2), axis("z", 2)
  lib.tensor_of("cmul", a)
  lib.tensor_of("cmul", b)
  local m = b { z = (y + z) % 2 } * where(eq(y, 1) & eq(z, 0), -1.0, 1.0)
  return lib.contract(a:as "z=y.c", m, (over or "") .. " y.c")
end
-- turn(k, n): exp(2 pi i k / n), k an i32 tensor; k mod n in integers keeps the zeros exact
function lib.turn(k, n)
  local t = lib.float(k % n) * (2 * math.pi / n)
  return lib.stack("z", { lib.cos(t), lib.sin(t) })
end
-- rfft2(x, "h", "w"): h and w become frequencies of the same names; w has n // 2 + 1; ortho
function lib.rfft2(x, h, w)
  local H, W = lib.tensor_of("rfft2", x).ext[h], x.ext[w]
  local y = lib.contract(x, lib.turn(0 - axis("f.w", W // 2 + 1) * axis(w, W), W), w):as("f.w=" .. w)
  return lib.cmul(y, lib.turn(0 - axis("f.h", H) * axis(h, H), H), h):as("f.h=" .. h) * (H * W) ^ -0.5
end
-- irfft2(y, "h", "w", W): W is the extent of w in the result; imaginary parts of bins 0 and W/2 fall out by themselves
function lib.irfft2(y, h, w, W)
  local H = lib.tensor_of("irfft2", y).ext[h]
  lib.whole_of("irfft2: the extent of w", W)
  local x = lib.cmul(y, lib.turn(axis("n.h", H) * axis(h, H), H), h):as("n.h=" .. h)
  local k = axis(w, W // 2 + 1)
  local twice = where(eq(k, 0) | eq(k * 2, W), 1.0, 2.0)
  local E = lib.turn(k * axis("n.w", W), W) * twice * where(eq(axis("z", 2), 0), 1.0, -1.0)
  return lib.contract(x, E, w .. " z"):as("n.w=" .. w) * (H * W) ^ -0.5
end
