// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// JSON as all tools print it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

// The value on one line; with `pretty` indented by four. Bytes that are no UTF-8 are
// replaced by U+FFFD. With `ascii`, characters above U+007F are written as \uNNNN.
std::string json_text(const nlohmann::ordered_json &json, bool pretty, bool ascii = false);

// The same to standard output, with an end of line.
void print_json(const nlohmann::ordered_json &json, bool pretty);

// JSON that is on one line, without blanks: indented by four.
std::string indent_json(std::string_view line);

// The text as a string of JSON, in ASCII, with its quotes.
std::string json_string(std::string_view text);

// The same to memory. Returns its end. Up to 6 bytes for each of `text` and 2 are written.
char *write_json_string(char *out, std::string_view text);
