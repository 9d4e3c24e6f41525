// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "variables.h"

#include <bpf/btf.h>

#include <span>
#include <string_view>
#include <vector>

#include "../lib/cli.h"
#include "../lib/part.h"
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

// Set the variable, or the part of it that `path` names.
static void set_value(const struct btf *btf, const Variable &v, std::string_view path,
		      const std::string &value)
{
	Type type = read_type(btf, v.type);

	if (type.size > v.bytes.size())
		throw ValueError("its type is larger than its section says");
	Part part = find_part(type, path);
	parse(*part.type, value, v.bytes.subspan(part.offset));
}

void set_variable(struct bpf_object *object, const std::string &variable, const std::string &value)
{
	std::string what = "set " + quote(variable);
	const struct btf *btf = bpf_object__btf(object);
	const Variable *meant = nullptr;
	std::string names;

	if (!btf)
		fail(what, "the object has no BTF: build it with -g");
	std::vector<Variable> all = find_variables(object, btf);
	for (const Variable &v : all) {
		names += (names.empty() ? "" : ", ") + quote(v.name);
		if (is_meant(variable, v.name) && (!meant || meant->name.size() < v.name.size()))
			meant = &v;
	}
	if (!meant)
		fail(what, names.empty() ? "no such variable (the object has none)"
					 : "no such variable (the object has: " + names + ")");
	try {
		set_value(btf, *meant, std::string_view(variable).substr(meant->name.size()),
			  value);
	} catch (const std::runtime_error &e) {
		fail(what, e.what());
	}
	if (meant->constant && !is_volatile(btf, meant->type))
		warn(what + ": it is const but not volatile: the compiler may have used the old "
			    "value already");
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
