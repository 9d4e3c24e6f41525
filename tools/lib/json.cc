// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "json.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "scan.h"

std::string json_text(const nlohmann::ordered_json &json, bool pretty, bool ascii)
{
	return json.dump(pretty ? 4 : -1, ' ', ascii, nlohmann::json::error_handler_t::replace);
}

void print_json(const nlohmann::ordered_json &json, bool pretty)
{
	puts(json_text(json, pretty).c_str());
}

// The end of the string that begins at `at`, behind its closing quote.
static size_t end_of_string(std::string_view json, size_t at)
{
	do
		at += json[at] == '\\' ? 2 : 1;
	while (json[at] != '"');
	return at + 1;
}

// The library's parser would be a tenth of a helper.
std::string indent_json(std::string_view line)
{
	std::string out;
	size_t depth = 0;

	auto new_line = [&] {
		out += '\n';
		out.append(4 * depth, ' ');
	};
	for (size_t at = 0; at < line.size();) {
		char c = line[at];

		if (c == '"') {
			size_t end = end_of_string(line, at);

			out += line.substr(at, end - at);
			at = end;
			continue;
		}
		bool opens = c == '{' || c == '[';
		bool closes = c == '}' || c == ']';
		at++;
		if (opens && (line[at] == '}' || line[at] == ']')) {
			out += c;
			out += line[at++];
			continue;
		}
		depth += opens;
		depth -= closes;
		if (closes)
			new_line();
		out += c;
		if (c == ':')
			out += ' ';
		if (opens || c == ',')
			new_line();
	}
	return out;
}

std::string json_string(std::string_view text)
{
	return json_text(text, false, true);
}

static char *write_control(char *out, unsigned char c)
{
	static constexpr std::string_view escaped = "\"\\\b\f\n\r\t";
	size_t i = escaped.find(static_cast<char>(c));

	*out++ = '\\';
	if (i != std::string_view::npos) {
		*out++ = "\"\\bfnrt"[i];
		return out;
	}
	out = std::copy_n("u00", 3, out);
	return write_hex(out, c);
}

// The library takes a microsecond for it; but what UTF-8 is, only the library says.
char *write_json_string(char *out, std::string_view text)
{
	char *begin = out;

	*out++ = '"';
	for (unsigned char c : text) {
		if (c >= 0x80) {
			std::string escaped = json_string(text);

			return std::copy(escaped.begin(), escaped.end(), begin);
		}
		if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
			out = write_control(out, c);
		else
			*out++ = static_cast<char>(c);
	}
	*out++ = '"';
	return out;
}
