// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the BTF of an object says of its maps.
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <memory>
#include <string_view>

#include "cli.h"
#include "type.h"

// The variable called so, or the only one whose name begins so where the kernel has cut it.
static __u32 find_variable(const struct btf *btf, const std::string &name)
{
	__u32 found = 0;

	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!btf_is_var(t))
			continue;
		std::string_view full = name_of(btf, t->name_off);
		if (full == name)
			return id;
		if (name.size() == BPF_OBJ_NAME_LEN - 1 && full.starts_with(name)) {
			if (found)
				return 0;
			found = id;
		}
	}
	return found;
}

// The type that a field of a map's definition tells, or 0:
//   KEY *key                           as __type(key, KEY) has it
//   KEY (*key_size)[sizeof(KEY)]       as __uint(key_size, sizeof(KEY)), but not of int, which
//                                      __uint() itself uses
static __u32 defined_type(const struct btf *btf, const struct btf_member &m, bool is_size)
{
	const struct btf_type *pointer = btf__type_by_id(btf, m.type);

	if (!pointer || !btf_is_ptr(pointer))
		return 0;
	if (!is_size)
		return pointer->type;
	const struct btf_type *array = btf__type_by_id(btf, pointer->type);
	if (!array || !btf_is_array(array))
		return 0;
	__u32 id = btf_array(array)->type;
	const struct btf_type *element = btf__type_by_id(btf, id);
	if (!element || name_of(btf, element->name_off) == "int" ||
	    btf__resolve_size(btf, id) != btf_array(array)->nelems)
		return 0;
	return id;
}

MapTypes find_map_types(const struct btf *btf, const std::string &name)
{
	__u32 var = find_variable(btf, name);
	// Without a definition, struct ____btf_map_NAME { KEY key; VALUE value; } tells, the
	// BPF_ANNOTATE_KV_PAIR() of libbpf before 1.0.
	__u32 id = var ? btf__type_by_id(btf, var)->type : find_struct(btf, "____btf_map_" + name);
	const struct btf_type *definition = btf__type_by_id(btf, btf__resolve_type(btf, id));
	MapTypes types;

	if (!id || !definition || !btf_is_struct(definition))
		return types;
	for (int i = 0; i < btf_vlen(definition); i++) {
		const struct btf_member &m = btf_members(definition)[i];
		std::string_view field = name_of(btf, m.name_off);

		if (field == "key" || field == "key_size")
			types.key = var ? defined_type(btf, m, field == "key_size") : m.type;
		else if (field == "value" || field == "value_size")
			types.value = var ? defined_type(btf, m, field == "value_size") : m.type;
	}
	return types;
}

// ---- sections of variables

struct CloseObject {
	void operator()(struct bpf_object *object) const
	{
		bpf_object__close(object);
	}
};

// In a file the compiler leaves sizes and offsets to libbpf, which fills them in when it opens the
// object.
Btf load_section_btf(const std::string &path)
{
	std::unique_ptr<struct bpf_object, CloseObject> object(
		bpf_object__open_file(path.c_str(), nullptr));
	const struct btf *btf = object ? bpf_object__btf(object.get()) : nullptr;
	__u32 size = 0;
	const void *data = btf ? btf__raw_data(btf, &size) : nullptr;

	return Btf(data ? btf__new(data, size) : nullptr);
}

// libbpf calls the map of section ".data.x" so, and that of ".data" OBJ.data. The kernel cuts
// names.
static bool is_section_of(std::string_view section, std::string_view map)
{
	constexpr std::string_view kinds[] = {".data", ".rodata", ".bss", ".kconfig"};

	for (std::string_view kind : kinds)
		if (section == kind && map.ends_with(kind))
			return true;
	return section == map || (map.size() == BPF_OBJ_NAME_LEN - 1 && section.starts_with(map));
}

__u32 find_section(const struct btf *btf, const std::string &map, __u32 size)
{
	__u32 found = 0;

	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!btf_is_datasec(t) || t->size != size ||
		    !is_section_of(name_of(btf, t->name_off), map))
			continue;
		if (found)
			return 0;
		found = id;
	}
	return found;
}

bool is_section(const struct btf *btf, __u32 id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	return id && t && btf_is_datasec(t);
}
