// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "value_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "address.h"
#include "lpm.h"
#include "value.h"

using Json = nlohmann::ordered_json;
using Kind = Type::Kind;

static Json json_members(const Type &type, Bytes bytes)
{
	Json json = Json::object();

	for (const Type::Member &m : type.members) {
		Json value = to_json(m.type, bytes.subspan(m.offset));

		if (is_anonymous(m))
			json.update(value);
		else
			json[m.name] = std::move(value);
	}
	return json;
}

static Json json_elements(const Type &type, Bytes bytes)
{
	const Type &each = type.members[0].type;
	Json json = Json::array();

	for (__u32 i = 0; i < type.count; i++)
		json.push_back(to_json(each, bytes.subspan(size_t{i} * each.size)));
	return json;
}

static Json json_prefix(const Type &type, Bytes bytes, __u32 of_last)
{
	Json json = Json::object();

	each_covered(type, of_last, [&](const Type::Member &m, __u32 length) {
		Bytes field = bytes.subspan(m.offset, m.type.size);
		std::string text;

		if (length)
			append_unmapped_cidr(text, field, length);
		json[m.name] = length ? Json(text) : to_json(m.type, field);
	});
	return json;
}

static Json json_text(const Type &type, Bytes bytes)
{
	std::string text(bytes.begin(), bytes.begin() + type.size);

	text.resize(std::min(text.size(), text.find('\0')));
	return text;
}

static Json json_printed(const Type &type, Bytes bytes)
{
	std::string text;

	print_value(type, bytes, text);
	return text;
}

Json to_json(const Type &type, Bytes bytes)
{
	switch (type.kind) {
	case Kind::Unsigned:
	case Kind::Be:
		return integer(type, bytes);
	case Kind::Signed:
		return signed_integer(type, bytes);
	case Kind::Bool:
		if (__u64 value = integer(type, bytes); value > 1)
			return value;
		else
			return value == 1;
	case Kind::Text:
		return json_text(type, bytes);
	case Kind::Enum:
		if (std::string_view name = enum_name(type, bytes); !name.empty())
			return name;
		if (type.is_signed)
			return signed_integer(type, bytes);
		return integer(type, bytes);
	case Kind::Ip4:
	case Kind::Ip6:
	case Kind::Mac:
	case Kind::Hex:
		return json_printed(type, bytes);
	case Kind::Cidr4:
	case Kind::Cidr6:
		return is_cidr(type, bytes) ? json_printed(type, bytes) : json_members(type, bytes);
	case Kind::Prefix:
		if (std::optional<__u32> of_last = covered_of_last(type, bytes))
			return json_prefix(type, bytes, *of_last);
		return json_members(type, bytes);
	case Kind::Struct:
	case Kind::Union:
		return json_members(type, bytes);
	case Kind::Array:
		return json_elements(type, bytes);
	}
	return {};
}
