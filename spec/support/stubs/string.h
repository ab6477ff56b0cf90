/* empty: LuaJIT's C parser knows these types by itself */
