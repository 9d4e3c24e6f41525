// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "part.h"

#include <algorithm>
#include <string>

#include "cli.h"
#include "scan.h"

// The member of a struct or union, or of an anonymous one inside; `offset` grows by its place.
static const Type *find_member(const Type &type, std::string_view name, size_t &offset)
{
	if (type.kind == Type::Kind::Array)
		return nullptr;
	for (const Type::Member &m : type.members) {
		size_t inner = offset + m.offset;
		const Type *found = m.name == name ? &m.type : nullptr;

		if (!found && is_anonymous(m))
			found = find_member(m.type, name, inner);
		if (!found)
			continue;
		offset = inner;
		return found;
	}
	return nullptr;
}

// The index of an array's element, of "[2]".
static size_t parse_index(const Type &array, std::string_view step)
{
	std::string_view index = step.substr(1, step.size() - 2);

	if (array.kind != Type::Kind::Array)
		throw ValueError("it has no element " + quote(step));
	if (!step.ends_with(']'))
		throw ValueError(quote(step) + " has no ']'");
	if (!is_digits(index) || index.size() > 9 || std::stoul(std::string(index)) >= array.count)
		throw ValueError(
			"index " + quote(index) + " is out of range (" +
			(array.count ? "0-" + std::to_string(array.count - 1) : "no elements") +
			")");
	return std::stoul(std::string(index));
}

bool is_meant(std::string_view path, std::string_view variable)
{
	return path == variable || (path.starts_with(variable) &&
				    (path[variable.size()] == '.' || path[variable.size()] == '['));
}

Part find_part(const Type &type, std::string_view path)
{
	Part part = {&type, 0};

	while (!path.empty()) {
		size_t end = std::min(path.find_first_of(".[", 1), path.size());
		std::string_view step = path.substr(0, end);

		if (step[0] == '[') {
			size_t index = parse_index(*part.type, step);

			part.type = &part.type->members[0].type;
			part.offset += index * part.type->size;
		} else {
			std::string_view name = step.substr(1);
			const Type *member =
				name.empty() ? nullptr : find_member(*part.type, name, part.offset);

			if (!member)
				throw ValueError("it has no member " + quote(name));
			part.type = member;
		}
		path.remove_prefix(end);
	}
	return part;
}
