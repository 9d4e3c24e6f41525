// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "variables.h"

#include <bpf/btf.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "../lib/cli.h"
#include "../lib/type.h"
#include "../lib/value.h"

// A global variable, and its initial value.
struct Variable {
	std::string name;
	__u32 type; // its BTF id
	bool constant;
	std::span<unsigned char> bytes;
};

static std::vector<Variable> find_variables(struct bpf_object *object, const struct btf *btf)
{
	std::vector<Variable> found;
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const struct btf_type *section =
			btf__type_by_id(btf, bpf_map__btf_value_type_id(map));
		size_t size = 0;
		auto *bytes = static_cast<unsigned char *>(
			const_cast<void *>(bpf_map__initial_value(map, &size)));

		if (!bpf_map__is_internal(map) || !section || !btf_is_datasec(section) || !bytes)
			continue;
		std::string_view name = name_of(btf, section->name_off);
		if (name == ".kconfig") // libbpf sets them
			continue;
		for (int i = 0; i < btf_vlen(section); i++) {
			const struct btf_var_secinfo &info = btf_var_secinfos(section)[i];
			const struct btf_type *var = btf__type_by_id(btf, info.type);

			if (var && size_t{info.offset} + info.size <= size)
				found.push_back({std::string(name_of(btf, var->name_off)),
						 var->type,
						 name.starts_with(".rodata"),
						 {bytes + info.offset, info.size}});
		}
	}
	return found;
}

static bool is_volatile(const struct btf *btf, __u32 id)
{
	// The depth, as damaged BTF may go round in a circle.
	for (int depth = 0; depth < 32; depth++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!t || btf_is_volatile(t))
			return t;
		if (!btf_is_mod(t) && !btf_is_typedef(t) && !btf_is_array(t))
			return false;
		id = btf_is_array(t) ? btf_array(t)->type : t->type;
	}
	return false;
}

// The member of a struct or union, or of an anonymous one inside; `offset` grows by its place.
static const Type::Member *find_member(const Type &type, const std::string &name, size_t &offset)
{
	for (const Type::Member &m : type.members) {
		size_t inner = offset + m.offset;
		const Type::Member *found = m.name == name ? &m : nullptr;

		if (type.kind == Type::Kind::Array)
			return nullptr;
		if (!found && m.name.empty())
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

// The type of the member that `path` names, "[2].member"; `bytes` become the member's.
static Type resolve_member_path(Type type, std::string_view path, std::span<unsigned char> &bytes)
{
	while (!path.empty()) {
		size_t end = std::min(path.find_first_of(".[", 1), path.size());
		std::string_view step = path.substr(0, end);
		size_t offset = 0;
		Type next;

		if (step[0] == '[') {
			offset = parse_index(type, step);
			next = type.members[0].type;
			offset *= next.size;
		} else {
			std::string name(step.substr(1));
			const Type::Member *member =
				name.empty() ? nullptr : find_member(type, name, offset);
			if (!member)
				throw ValueError("it has no member " + quote(name));
			next = member->type;
		}
		type = std::move(next);
		bytes = bytes.subspan(offset, type.size);
		path.remove_prefix(end);
	}
	return type;
}

void set_variable(struct bpf_object *object, const std::string &variable, const std::string &value)
{
	std::string what = "set " + quote(variable);
	size_t end = std::min(variable.find_first_of(".["), variable.size());
	const struct btf *btf = bpf_object__btf(object);
	std::string names;

	if (!btf)
		fail(what, "the object has no BTF: build it with -g");
	for (const Variable &v : find_variables(object, btf)) {
		names += (names.empty() ? "" : ", ") + quote(v.name);
		if (v.name != variable.substr(0, end))
			continue;
		std::span<unsigned char> bytes = v.bytes;
		try {
			Type type = read_type(btf, v.type);
			if (type.size > bytes.size())
				throw ValueError("its type is larger than its section says");
			type = resolve_member_path(std::move(type), variable.substr(end), bytes);
			parse(type, value, bytes);
		} catch (const std::runtime_error &e) {
			fail(what, e.what());
		}
		if (v.constant && !is_volatile(btf, v.type))
			warn(what +
			     ": it is const but not volatile: the compiler may have used the old "
			     "value already");
		return;
	}
	fail(what, names.empty() ? "no such variable (the object has none)"
				 : "no such variable (the object has: " + names + ")");
}

void set_frags(struct bpf_object *object)
{
	const struct btf *btf = bpf_object__btf(object);

	if (!btf)
		return;
	for (const Variable &v : find_variables(object, btf))
		if (v.constant && v.name == "frags" && v.bytes.size() == 1)
			v.bytes[0] = 1;
}
