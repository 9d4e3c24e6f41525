// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// JSON as all tools print it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

// The value on one line; with `pretty` indented by four. Bytes that are no UTF-8 are
// replaced by U+FFFD. With `ascii`, characters above U+007F are written as \uNNNN.
std::string json_text(const nlohmann::ordered_json &json, bool pretty, bool ascii = false);

// The same to standard output, with an end of line.
void print_json(const nlohmann::ordered_json &json, bool pretty);
