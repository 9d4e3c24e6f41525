// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What is so for each type: what was read is printed, and read again as the same.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "../../../tools/lib/printer.h"
#include "../../../tools/lib/value.h"
#include "fuzz.h"

constexpr size_t largest_value = 1 << 12; // in bytes

inline std::string printed(const Type &type, Bytes bytes, Form form = Form::Text)
{
	std::string out;

	Printer(type, form).append(bytes, out);
	return out;
}

// The names of the fields within the braces.
inline void field_names(const Type &type, std::vector<std::string> &names)
{
	for (const Type::Member &m : type.members)
		if (is_anonymous(m))
			field_names(m.type, names);
		else
			names.push_back(m.name);
}

// Are two fields of a struct called the same, in it or in one within it? No compiler does that, and
// the kernel allows it: such a value is printed, and not read.
inline bool has_twins(const Type &type)
{
	std::vector<std::string> names;

	field_names(type, names);
	std::sort(names.begin(), names.end());
	if (type.kind != Type::Kind::Array &&
	    std::adjacent_find(names.begin(), names.end()) != names.end())
		return true;
	return std::any_of(type.members.begin(), type.members.end(),
			   [](const Type::Member &m) { return has_twins(m.type); });
}

// Print the value, and read it again. Only padding may differ, and then it becomes zero: printed
// once more, it is the same text.
inline void check_bytes(const Type &type, Bytes bytes)
{
	std::string text = printed(type, bytes);
	std::vector<unsigned char> again(type.size, 0xa5);

	for (unsigned char c : text)
		check(c >= ' ' && c < 0x7f, "a value is not printable");
	try {
		if (!has_twins(type))
			parse(type, text, again);
	} catch (const ValueError &e) {
		check(false, "what was printed is not read: " + text + ": " + e.what());
	}
	std::string twice = printed(type, again);
	check(twice == text || has_twins(type),
	      "printed again it is another: " + text + ", " + twice);

	std::string json = printed(type, bytes, Form::Json);
	check(!nlohmann::json::parse(json, nullptr, false).is_discarded(),
	      "it is no JSON: " + json);
	printed(type, bytes, Form::Unbraced);
}

inline void check_printed(const Type &type, std::string_view input)
{
	std::vector<unsigned char> bytes(type.size, 0);

	for (size_t i = 0; i < bytes.size() && !input.empty(); i++)
		bytes[i] = input[i % input.size()];
	check_bytes(type, bytes);
}

inline void check_parsed(const Type &type, std::string_view text)
{
	std::vector<unsigned char> bytes(type.size, 0xa5);
	std::string_view rest = text;

	try {
		parse_front(type, rest, bytes, Missing::Zero);
		check_bytes(type, bytes);
	} catch (const ValueError &) {
		check(rest == text, "a refused value is removed");
	}
}
