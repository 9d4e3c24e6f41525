// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A line of a list of JSON objects, by list_json and by nlohmann-json; and text as JSON.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "../../../tools/lib/json.h"
#include "../../../tools/lib/list_json.h"
#include "fuzz.h"

using Json = nlohmann::json;

static int depth_of(const Json &json)
{
	int deepest = 0;

	if (!json.is_structured())
		return 0;
	for (const Json &each : json)
		deepest = std::max(deepest, depth_of(each));
	return deepest + 1;
}

static bool is_ascii(const std::string &text)
{
	return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c && c < 0x80; });
}

static void check_line(std::string_view line)
{
	std::optional<ListedObject> object = read_listed_object(line);
	Json known = Json::parse(line, nullptr, false);
	// The library is stricter with characters beyond ASCII, and with numbers out of its range;
	// a NUL is the end for it.
	bool has_nul = line.find('\0') != line.npos;
	bool is_known =
		!has_nul && !known.is_discarded() && known.is_object() && depth_of(known) <= 60;

	check(!is_known || object, "an object is refused");
	if (!is_known || !object || object->is_odd)
		return;
	check(object->cidr.has_value() == known.contains("cidr"), "the member cidr");
	check(object->type.has_value() == known.contains("type"), "the member type");
	if (!object->cidr)
		return;
	check(known["cidr"].is_string(), "a cidr that is no string");
	std::string cidr = known["cidr"].get<std::string>();
	check(!is_ascii(cidr) || cidr == *object->cidr, "another cidr");
}

static void check_text(std::string_view text)
{
	std::string written = json_string(text);

	check(is_ascii(written), "a string is not ASCII");
	Json back = Json::parse(written, nullptr, false);
	check(back.is_string(), "a string is no JSON: " + written);
	nlohmann::ordered_json original = std::string(text);
	// As the library replaces what is no UTF-8.
	std::string replaced = original.dump(-1, ' ', true, Json::error_handler_t::replace);
	check(Json::parse(replaced) == back, "another string: " + written + ", " + replaced);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	std::string_view input = as_text(data, size);

	check_line(input);
	check_text(input);
	Json json = Json::parse(input, nullptr, false);
	if (!json.is_discarded() && json.is_structured() && depth_of(json) <= 60) {
		std::string line = json_text(nlohmann::ordered_json::parse(input), false);
		check(Json::parse(indent_json(line)) == Json::parse(line),
		      "indented, it is another");
	}
	return 0;
}
