// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "map_name.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <algorithm>
#include <string_view>

#include "fd.h"
#include "object.h"

std::string short_name(const std::string &name)
{
	return name.substr(0, BPF_OBJ_NAME_LEN - 1);
}

// May the kernel have cut the name? libbpf itself shortens OBJ.rodata, to be as long as fits.
static bool is_cut(const std::string &name)
{
	return name.size() == BPF_OBJ_NAME_LEN - 1 &&
	       (name[0] == '.' || name.find('.') == std::string::npos);
}

// The number that a field of a map's definition tells, as __uint() writes it, or the size of the
// type that __type() names.
static __u32 defined_number(const struct btf *btf, const struct btf_member &m, bool is_type)
{
	const struct btf_type *pointer = btf__type_by_id(btf, m.type);

	if (!pointer || !btf_is_ptr(pointer))
		return 0;
	if (is_type)
		return std::max<__s64>(btf__resolve_size(btf, pointer->type), 0);
	const struct btf_type *array = btf__type_by_id(btf, pointer->type);
	return array && btf_is_array(array) ? btf_array(array)->nelems : 0;
}

// The type that __type() names in the BTF that the map was made with: is it the map's own?
static bool is_other_type(const struct btf *btf, const struct btf_member &m, __u32 its_type)
{
	const struct btf_type *pointer = btf__type_by_id(btf, m.type);

	return its_type && pointer && btf_is_ptr(pointer) && pointer->type != its_type;
}

// May the map be of this definition? What a loader often sets itself, as the number of its
// entries, does not count. `is_own`: this is the BTF that the map was made with.
static bool fits(const struct btf *btf, const struct btf_type *var, const struct bpf_map_info &info,
		 bool is_own)
{
	const struct btf_type *t = btf__type_by_id(btf, btf__resolve_type(btf, var->type));

	for (int i = 0; t && btf_is_struct(t) && i < btf_vlen(t); i++) {
		const struct btf_member &m = btf_members(t)[i];
		std::string_view field = name_of(btf, m.name_off);
		bool is_type = field == "key" || field == "value";
		__u32 number = defined_number(btf, m, is_type);

		if (is_own && ((field == "key" && is_other_type(btf, m, info.btf_key_type_id)) ||
			       (field == "value" && is_other_type(btf, m, info.btf_value_type_id))))
			return false;
		if ((field == "type" && number != info.type) ||
		    ((field == "key" || field == "key_size") && number != info.key_size) ||
		    ((field == "value" || field == "value_size") && number != info.value_size))
			return false;
	}
	return true;
}

// The names that the map may have, in the order in which libbpf makes the maps: that of their
// definitions.
static std::vector<std::string> candidates(const struct btf *btf, const struct bpf_map_info &info,
					   bool is_own)
{
	std::string name = object_name(info.name);
	__s32 id = btf__find_by_name_kind(btf, ".maps", BTF_KIND_DATASEC);
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, id) : nullptr;
	std::vector<struct btf_var_secinfo> infos;
	std::vector<std::string> names;

	if (!section)
		return names;
	infos.assign(btf_var_secinfos(section), btf_var_secinfos(section) + btf_vlen(section));
	std::stable_sort(infos.begin(), infos.end(),
			 [](const auto &a, const auto &b) { return a.offset < b.offset; });
	for (const struct btf_var_secinfo &each : infos) {
		const struct btf_type *var = btf__type_by_id(btf, each.type);

		if (!var || !btf_is_var(var))
			continue;
		std::string full(name_of(btf, var->name_off));
		if (short_name(full) == name && fits(btf, var, info, is_own))
			names.push_back(full);
	}
	return names;
}

// The maps that were made with this one, of the same BTF, and have its name and sizes: in the
// order in which they were made, as ids only grow.
static std::vector<__u32> twins(const struct bpf_map_info &info)
{
	std::vector<__u32> ids;
	__u32 id = 0;

	while (info.btf_id && bpf_map_get_next_id(id, &id) == 0) {
		Fd map(bpf_map_get_fd_by_id(id));

		if (!map)
			continue;
		struct bpf_map_info other = map_info(map);
		if (other.btf_id == info.btf_id && other.type == info.type &&
		    other.key_size == info.key_size && other.value_size == info.value_size &&
		    object_name(other.name) == object_name(info.name))
			ids.push_back(id);
	}
	return ids;
}

static std::vector<std::string> names_in(const struct btf *btf, const struct bpf_map_info &info,
					 bool is_own)
{
	if (!is_cut(object_name(info.name)))
		return {object_name(info.name)};
	std::vector<std::string> names = candidates(btf, info, is_own);
	if (names.size() < 2)
		return names;
	std::vector<__u32> ids = twins(info);
	if (ids.size() == names.size())
		for (size_t i = 0; i < ids.size(); i++)
			if (ids[i] == info.id)
				return {names[i]};
	std::sort(names.begin(), names.end());
	return names;
}

std::vector<std::string> full_names(const struct btf *btf, const struct bpf_map_info &info)
{
	return names_in(btf, info, false);
}

// The name of the section of variables that is the map's value, if libbpf made it the map's.
static std::string section_name(const struct btf *btf, const struct bpf_map_info &info)
{
	const struct btf_type *t = btf__type_by_id(btf, info.btf_value_type_id);
	std::string name(t && btf_is_datasec(t) ? name_of(btf, t->name_off) : "");

	return short_name(name) == object_name(info.name) ? name : "";
}

std::vector<std::string> full_names(const struct bpf_map_info &info)
{
	if (!is_cut(object_name(info.name)))
		return {object_name(info.name)};
	Btf btf(info.btf_id ? btf__load_from_kernel_by_id(info.btf_id) : nullptr);
	if (!btf)
		return {};
	if (std::string name = section_name(btf.get(), info); !name.empty())
		return {name};
	return names_in(btf.get(), info, true);
}

MapTypes defined_types(const struct btf *btf, const struct bpf_map_info &info)
{
	std::string name = object_name(info.name);

	// A map without a definition in .maps may have one elsewhere.
	if (!is_cut(name) || candidates(btf, info, false).empty())
		return find_map_types(btf, name);
	MapTypes types = {};
	bool first = true;
	for (const std::string &full : full_names(btf, info)) {
		MapTypes its = find_map_types(btf, full);

		if (first)
			types = its;
		types.key = its.key == types.key ? types.key : 0;
		types.value = its.value == types.value ? types.value : 0;
		first = false;
	}
	return types;
}
