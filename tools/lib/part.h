// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Parts of a value, by name: .member[2].other
#pragma once

#include <cstddef>
#include <string_view>

#include "type.h"

struct Part {
	const Type *type; // within the type that was looked in
	size_t offset;	  // in bytes
};

// The part that `path` names; if that is empty, all of the value. Throws ValueError.
Part find_part(const Type &type, std::string_view path);

// Is this variable meant, or a part of it? Its name may have a dot too, as clang calls those that
// are static in a function: function.name. Of several variables, the longest name counts.
bool is_meant(std::string_view path, std::string_view variable);
