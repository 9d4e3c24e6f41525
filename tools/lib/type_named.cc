// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Types by their names, and of parts: where there is no BTF.
#include <string_view>

#include "cli.h"
#include "type.h"

using Kind = Type::Kind;

// Of an array that is named, as u32[4]: as many as make sense.
constexpr __u32 max_named_elements = 65536;

static Type scalar_type(std::string_view name)
{
	static constexpr struct {
		std::string_view name;
		Kind kind;
		__u32 size;
		bool has_underscores = false; // may have
	} all[] = {
		{"u8", Kind::Unsigned, 1, true},  {"u16", Kind::Unsigned, 2, true},
		{"u32", Kind::Unsigned, 4, true}, {"u64", Kind::Unsigned, 8, true},
		{"s8", Kind::Signed, 1, true},	  {"s16", Kind::Signed, 2, true},
		{"s32", Kind::Signed, 4, true},	  {"s64", Kind::Signed, 8, true},
		{"be16", Kind::Be, 2, true},	  {"be32", Kind::Ip4, 4, true},
		{"be64", Kind::Be, 8, true},	  {"bool", Kind::Bool, 1},
		{"in6_addr", Kind::Ip6, 16},	  {"mac", Kind::Mac, 6},
		{"cidr4", Kind::Cidr4, 8},	  {"cidr6", Kind::Cidr6, 20},
	};
	std::string_view bare = name.starts_with("__") ? name.substr(2) : name;
	Type type;

	for (const auto &known : all) {
		if ((known.has_underscores ? bare : name) != known.name)
			continue;
		type.kind = known.kind;
		type.size = known.size;
		if (type.kind == Kind::Cidr4 || type.kind == Kind::Cidr6) {
			const char *address = type.kind == Kind::Cidr4 ? "be32" : "in6_addr";

			type.members = {{"prefixlen", 0, scalar_type("u32")},
					{"address", 4, scalar_type(address)}};
			type.count = 2;
		}
		return type;
	}
	throw UsageError("type " + quote(name) +
			 " is not known: one of u8 u16 u32 u64, s8 s16 s32 s64, be16 be32 be64, "
			 "in6_addr, mac, cidr4, cidr6, bool, char[N], hex[N]");
}

Type array_of(Type each, __u32 count)
{
	Type type;

	if (size_t{each.size} * count > UINT32_MAX)
		fail("read an array type", "its size is out of range");
	type.kind = Kind::Array;
	type.size = each.size * count;
	type.count = count;
	if (each.kind == Kind::Unsigned && each.size == 1 && count == 6)
		type.kind = Kind::Mac;
	else
		type.members.push_back({"", 0, std::move(each)});
	return type;
}

Type ifindex_type()
{
	Type type;

	type.kind = Kind::Ifindex;
	type.size = 4;
	return type;
}

Type struct_of(std::vector<Type::Member> members)
{
	Type type;

	type.kind = Kind::Struct;
	type.count = members.size();
	for (Type::Member &m : members) {
		m.offset = type.size;
		type.size += m.type.size;
	}
	type.members = std::move(members);
	return type;
}

Type bytes_of(__u32 size)
{
	Type type;

	type.kind = Kind::Hex;
	type.size = size;
	return type;
}

Type named_type(const std::string &name)
{
	size_t bracket = name.find('[');

	if (bracket == std::string::npos || !name.ends_with(']'))
		return scalar_type(name);
	std::string element = name.substr(0, bracket);
	std::string count = name.substr(bracket + 1, name.size() - bracket - 2);
	__u32 elements = parse_number(count, "the number of elements in " + quote(name) + ",", 1,
				      max_named_elements);
	if (element != "char" && element != "hex")
		return array_of(scalar_type(element), elements);
	Type type = bytes_of(elements);
	if (element == "char")
		type.kind = Kind::Text;
	return type;
}
