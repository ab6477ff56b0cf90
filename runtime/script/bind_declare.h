#pragma once
/// Declaring named state from a binding.

#include "arena/registry.h"
#include "script/script.h"

/// Gets or creates the entry named by the string at stack index 1 and puts `config` down as what
/// this generation wants for it; at load it takes effect when the generation goes live, later (a
/// ladder's rung, say) for new entries only. Pushes the handle, or `nil, message`.
int wr_bind_declare_entry(lua_State *L, enum wr_kind kind, const void *config, size_t size);
