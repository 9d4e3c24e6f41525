// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Values by type, as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "scan.h"
#include "type.h"

// Integers are numbers; a struct is an object, and so is a union, with all its members; text is
// a string that ends at its NUL. The rest is a string, as print_value() writes it.
nlohmann::ordered_json to_json(const Type &type, Bytes bytes);
