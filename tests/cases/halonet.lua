-- HaloNet (timm's HaloAttn): blocks of queries, each with a zero-haloed window of keys.
output("output", require "attention/halo".module(input("input", "b c h w"), "", config), "b c h w")
