// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "map.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "../lib/capability.h"
#include "../lib/cli.h"
#include "../lib/map_name.h"
#include "../lib/object.h"

// ---- types of maps

bool is_array(__u32 type)
{
	return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

bool has_index(__u32 type)
{
	switch (type) {
	case BPF_MAP_TYPE_SOCKMAP:
	case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:
	case BPF_MAP_TYPE_XSKMAP:
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
	case BPF_MAP_TYPE_PROG_ARRAY:
	case BPF_MAP_TYPE_DEVMAP:
	case BPF_MAP_TYPE_CPUMAP:
		return true;
	}
	return is_array(type);
}

// The kernel lets its keys be a __u32 alone.
static bool has_u32_keys(__u32 type)
{
	return has_index(type) || type == BPF_MAP_TYPE_DEVMAP_HASH;
}

bool is_lru(__u32 type)
{
	return type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

bool holds_sockets(__u32 type)
{
	return type == BPF_MAP_TYPE_SOCKMAP || type == BPF_MAP_TYPE_SOCKHASH ||
	       type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY;
}

bool holds_objects(__u32 type)
{
	return holds_sockets(type) || type == BPF_MAP_TYPE_XSKMAP ||
	       type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS ||
	       type == BPF_MAP_TYPE_PROG_ARRAY;
}

bool holds_devices(__u32 type)
{
	return type == BPF_MAP_TYPE_DEVMAP || type == BPF_MAP_TYPE_DEVMAP_HASH;
}

bool redirects(__u32 type)
{
	return holds_devices(type) || type == BPF_MAP_TYPE_CPUMAP;
}

bool deletes_nothing(__u32 type)
{
	return type == BPF_MAP_TYPE_DEVMAP || type == BPF_MAP_TYPE_CPUMAP ||
	       type == BPF_MAP_TYPE_XSKMAP;
}

static bool is_supported(__u32 type)
{
	switch (type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_LPM_TRIE:
		return true;
	}
	return holds_objects(type) || redirects(type);
}

// ---- opening

// No system call tells this: only the text about the fd in /proc does.
static bool is_frozen(const Fd &map)
{
	std::string path = "/proc/self/fdinfo/" + std::to_string(map.get());
	Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	std::array<char, 1024> text{};

	return file && read(file.get(), text.data(), text.size() - 1) > 0 &&
	       strstr(text.data(), "\nfrozen:\t1");
}

// Why the purpose is impossible for a map of this type, or "".
static std::string why_refused(__u32 type, Purpose purpose)
{
	bool writes_values = purpose == Purpose::Change || purpose == Purpose::Compare;

	if (!is_supported(type))
		return ", which map-edit cannot show or change";
	if (writes_values && (type == BPF_MAP_TYPE_SOCKMAP || type == BPF_MAP_TYPE_SOCKHASH))
		return ": sockmap-update adds a socket to it";
	if (writes_values && (holds_sockets(type) || type == BPF_MAP_TYPE_XSKMAP))
		return ": the program that has a socket adds it";
	if (writes_values && type == BPF_MAP_TYPE_PROG_ARRAY)
		return ": 'bpftool map update' adds a program to it";
	if (writes_values && holds_objects(type))
		return ": 'bpftool map update' adds a map to it";
	if (purpose == Purpose::Delete && is_array(type))
		return ": its entries cannot be deleted, only set to another value";
	return "";
}

OpenMap open_map(const std::string &path, Purpose purpose)
{
	bool reads = purpose == Purpose::Show || purpose == Purpose::Compare;
	std::string what = "open map " + quote(path);
	OpenMap map;

	map.fd = open_pinned(ObjectKind::Map, path, reads);
	map.path = path;
	map.info = map_info(map.fd);
	map.values = cpu_values(map.info);
	std::string reason = why_refused(map.info.type, purpose);
	if (!reason.empty())
		fail(what, "its type is " + map_type_name(map.info.type) + reason);
	if (!reads && is_frozen(map.fd))
		fail(what,
		     object_name(map.info.name).find(".rodata") == std::string::npos
			     ? "it is frozen and cannot be changed"
			     : "it is frozen (read-only): 'prog-load --set' sets its variables "
			       "before the program is loaded");
	return map;
}

void lock_map(const OpenMap &map, const DirectoryLock &lock)
{
	lock.take();
	Fd now(bpf_obj_get(map.path.c_str()));

	// A map that is unpinned may still be in use.
	if (now && map_info(now).id != map.info.id)
		fail("lock map " + quote(map.path), "it was replaced by another map meanwhile");
}

// ---- the types of keys and values

// BTF and the ids of the map's types in there, 0 where it does not have them; then `reason`
// says why.
struct MapBtf {
	Btf btf;
	MapTypes types;
	std::string reason;
};

static bool may_be_section(const OpenMap &map)
{
	return map.info.type == BPF_MAP_TYPE_ARRAY && map.info.max_entries == 1;
}

static MapBtf btf_of_object(const OpenMap &map, const std::string &object)
{
	std::string name = object_name(map.info.name);
	Btf btf = load_btf_file(object);
	MapTypes types = defined_types(btf.get(), map.info);

	if (may_be_section(map) && !types.value) {
		Btf loaded = load_section_btf(object);

		if (loaded)
			types.value = find_section(loaded.get(), name, map.info.value_size);
		if (types.value)
			return {std::move(loaded), types, ""};
	}
	return {std::move(btf), types, quote(object) + " has no types for a map " + quote(name)};
}

// What libbpf told the kernel when it made the map.
static MapBtf btf_of_map(const OpenMap &map)
{
	Btf btf(btf__load_from_kernel_by_id(map.info.btf_id));

	if (!btf && errno == EPERM)
		return {nullptr, {}, needs({CAP_SYS_ADMIN}, CountsFor::Bpf, "reading its BTF ")};
	if (!btf)
		fail(errno, "read the BTF of map " + quote(map.path));
	return {std::move(btf),
		{map.info.btf_key_type_id, map.info.btf_value_type_id},
		"its BTF does not have it"};
}

// A map may be made without types on purpose: see bpf/echo_dispatch.bpf.c.
static MapBtf btf_of_program(const OpenMap &map)
{
	__u32 id = btf_of_map_user(map.info.id);
	Btf btf(id ? btf__load_from_kernel_by_id(id) : nullptr);
	MapTypes types;

	if (btf)
		types = defined_types(btf.get(), map.info);
	return {std::move(btf), types, "it has no BTF"};
}

static std::string in_bytes(__u32 size)
{
	return std::to_string(size) + (size == 1 ? " byte" : " bytes");
}

// An option that would tell the type of keys or values of this size.
static std::string suggestion(const OpenMap &map, bool is_key)
{
	__u32 size = is_key ? map.info.key_size : map.info.value_size;
	std::string bytes = " (" + in_bytes(size) + ")";
	std::string option = is_key ? "--key " : "--value ";
	bool lpm = is_key && map.info.type == BPF_MAP_TYPE_LPM_TRIE;

	switch (size) {
	case 1:
		return option + "u8 or bool" + bytes;
	case 2:
		return option + "u16, or be16 for a port in network byte order" + bytes;
	case 4:
		return option + "u32, or be32 for an IPv4 address" + bytes;
	case 6:
		return option + "mac" + bytes;
	case 8:
		return option + (lpm ? "cidr4" : "u64") + bytes;
	case 16:
		return option + "in6_addr" + bytes;
	case 20:
		if (lpm)
			return option + "cidr6" + bytes;
		break;
	}
	return option + "hex[" + std::to_string(size) + "]";
}

// The kernel lets an array's keys be a __u32 alone. An enum with the name of the array has the
// names of its indexes.
static __u32 find_index_names(const struct btf *btf, const OpenMap &map, __u32 id)
{
	std::vector<std::string> maps = full_names(btf, map.info);
	std::string name = maps.size() == 1 ? maps[0] : object_name(map.info.name);
	__s32 names = btf__find_by_name_kind(btf, name.c_str(), BTF_KIND_ENUM);

	return names > 0 && btf__type_by_id(btf, names)->size == 4 ? names : id;
}

static Type find_type(const OpenMap &map, const TypeHints &hints, const MapBtf &btf, bool is_key)
{
	std::string what = std::string("find the type of the ") + (is_key ? "keys" : "values") +
			   " of map " + quote(map.path);
	const std::string &name = is_key ? hints.key : hints.value;
	__u32 size = is_key ? map.info.key_size : map.info.value_size;
	__u32 id = is_key ? btf.types.key : btf.types.value;
	Type type;

	if (name.empty() && btf.btf && is_key && is_array(map.info.type))
		id = find_index_names(btf.btf.get(), map, id);
	if (!name.empty())
		type = named_type(name);
	else if (id)
		type = read_type(btf.btf.get(), id);
	else if (is_key && has_u32_keys(map.info.type))
		type = named_type("u32"); // by the kernel's definition
	else
		fail(what, btf.reason + ": give " + (hints.btf.empty() ? "--btf OBJ, or " : "") +
				   suggestion(map, is_key));
	if (type.size != size)
		fail(what, (name.empty() ? "the type" : quote(name)) + " has " +
				   in_bytes(type.size) + ", and they have " + std::to_string(size));
	return type;
}

// struct bpf_devmap_val or bpf_cpumap_val of linux/bpf.h; its first field alone, where the map was
// made so.
static Type redirect_type(const OpenMap &map)
{
	Type number = named_type("u32");
	Type target = holds_devices(map.info.type) ? ifindex_type() : number;
	const char *name = holds_devices(map.info.type) ? "ifindex" : "qsize";

	if (map.info.value_size == target.size)
		return target;
	Type type = struct_of({{name, 0, target}, {"prog_id", 0, number}});
	if (map.info.value_size != type.size)
		fail("find the type of the values of map " + quote(map.path),
		     "they have " + in_bytes(map.info.value_size) + ", not 4 or 8");
	return type;
}

void find_types(OpenMap &map, const TypeHints &hints, Purpose purpose)
{
	__u32 type = map.info.type;
	bool knows_value = holds_objects(type) || redirects(type);
	bool seeks_value = purpose != Purpose::Delete && !knows_value && hints.value.empty();
	bool seeks_key = hints.key.empty() && !has_u32_keys(type);
	MapBtf btf;

	if (purpose != Purpose::Delete && knows_value && !hints.value.empty())
		throw UsageError("--value does not go with the map type " + map_type_name(type));
	if (!hints.btf.empty() && (seeks_value || hints.key.empty()))
		btf = btf_of_object(map, hints.btf);
	else if (map.info.btf_id && (seeks_value || hints.key.empty()))
		btf = btf_of_map(map);
	else if (seeks_value || seeks_key)
		btf = btf_of_program(map);

	map.has_variables = may_be_section(map) && hints.value.empty() && btf.btf &&
			    is_section(btf.btf.get(), btf.types.value);
	map.key = find_type(map, hints, btf, true);
	if (redirects(type))
		map.value = redirect_type(map);
	else if (holds_objects(type))
		map.value.size = purpose == Purpose::Delete ? 0 : map.info.value_size;
	else if (purpose != Purpose::Delete)
		map.value = find_type(map, hints, btf, false);
}
