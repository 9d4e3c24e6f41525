// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "maps.h"

#include <bpf/btf.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "../lib/capability.h"
#include "../lib/cli.h"
#include "../lib/map_name.h"
#include "../lib/object.h"
#include "../lib/pin.h"
#include "../lib/type.h"

// As the kernel's MAX_RESOLVE_DEPTH: BTF of a damaged object may go round in a circle.
constexpr int max_depth = 32;

// Follow modifiers and typedefs from `t`. Returns the typedef on the way that says the byte
// order, or nothing; `t` becomes null where it leads nowhere.
static std::string_view skip_typedefs(const struct btf *btf, const struct btf_type *&t)
{
	std::string_view byte_order;

	for (int depth = 0; t && (btf_is_mod(t) || btf_is_typedef(t)); depth++) {
		std::string_view name = name_of(btf, t->name_off);

		if (btf_is_typedef(t) && (name.starts_with("__be") || name.starts_with("__le")))
			byte_order = name;
		t = depth < max_depth ? btf__type_by_id(btf, t->type) : nullptr;
	}
	return byte_order;
}

static bool same_type(const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id,
		      std::string &where, int depth = 0);

static bool same_members(const struct btf *a, const struct btf_type *ta, const struct btf *b,
			 const struct btf_type *tb, std::string &where, int depth)
{
	if (ta->size != tb->size || btf_vlen(ta) != btf_vlen(tb))
		return false;
	for (int i = 0; i < btf_vlen(ta); i++) {
		const struct btf_member &ma = btf_members(ta)[i];
		const struct btf_member &mb = btf_members(tb)[i];
		std::string_view name = name_of(b, mb.name_off);
		std::string inner;

		if (name_of(a, ma.name_off) == name &&
		    btf_member_bit_offset(ta, i) == btf_member_bit_offset(tb, i) &&
		    btf_member_bitfield_size(ta, i) == btf_member_bitfield_size(tb, i) &&
		    same_type(a, ma.type, b, mb.type, inner, depth + 1))
			continue;
		where = name;
		if (!inner.empty())
			where += (name.empty() ? "" : ".") + inner;
		return false;
	}
	return true;
}

static bool same_enum(const struct btf *a, const struct btf_type *ta, const struct btf *b,
		      const struct btf_type *tb)
{
	if (ta->size != tb->size || btf_vlen(ta) != btf_vlen(tb))
		return false;
	for (int i = 0; i < btf_vlen(ta); i++) {
		bool wide = btf_is_enum64(ta);
		__u32 a_name = wide ? btf_enum64(ta)[i].name_off : btf_enum(ta)[i].name_off;
		__u32 b_name = wide ? btf_enum64(tb)[i].name_off : btf_enum(tb)[i].name_off;

		if (name_of(a, a_name) != name_of(b, b_name))
			return false;
		if (wide ? btf_enum64_value(&btf_enum64(ta)[i]) !=
				    btf_enum64_value(&btf_enum64(tb)[i])
			 : btf_enum(ta)[i].val != btf_enum(tb)[i].val)
			return false;
	}
	return true;
}

// For a kernel that does not know a kind, libbpf loads another of the same size: an enum of
// 64 bits, before Linux 6.0, as a union of its names; floating point, before 5.13, as an
// empty struct.
static bool is_replaced(const struct btf *kernel, const struct btf_type *in_kernel,
			const struct btf *obj, const struct btf_type *in_obj)
{
	if (in_kernel->size != in_obj->size)
		return false;
	if (btf_is_float(in_obj))
		return btf_is_struct(in_kernel) && !btf_vlen(in_kernel);
	if (!btf_is_enum64(in_obj) || !btf_is_union(in_kernel) ||
	    btf_vlen(in_kernel) != btf_vlen(in_obj))
		return false;
	for (int i = 0; i < btf_vlen(in_obj); i++)
		if (name_of(kernel, btf_members(in_kernel)[i].name_off) !=
		    name_of(obj, btf_enum64(in_obj)[i].name_off))
			return false;
	return true;
}

// Do two types have the same bytes and, as far as BTF says, the same meaning? The names of
// structs and typedefs do not count, those of members do. `where` becomes the member that
// differs.
static bool same_type(const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id,
		      std::string &where, int depth)
{
	const struct btf_type *ta = btf__type_by_id(a, a_id);
	const struct btf_type *tb = btf__type_by_id(b, b_id);

	if (skip_typedefs(a, ta) != skip_typedefs(b, tb) || depth > max_depth)
		return false;
	if (!ta || !tb)
		return ta == tb;
	if (btf_kind(ta) != btf_kind(tb))
		return is_replaced(a, ta, b, tb);
	switch (btf_kind(ta)) {
	case BTF_KIND_INT:
		return ta->size == tb->size && btf_int_bits(ta) == btf_int_bits(tb) &&
		       (btf_int_encoding(ta) & ~BTF_INT_CHAR) ==
			       (btf_int_encoding(tb) & ~BTF_INT_CHAR);
	case BTF_KIND_FLOAT:
		return ta->size == tb->size;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return same_enum(a, ta, b, tb);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return same_members(a, ta, b, tb, where, depth);
	case BTF_KIND_ARRAY:
		return btf_array(ta)->nelems == btf_array(tb)->nelems &&
		       same_type(a, btf_array(ta)->type, b, btf_array(tb)->type, where, depth + 1);
	}
	return true; // a pointer, or a type without bytes
}

// A type as C writes it: "struct ping_stats", "__u8[6]".
static std::string type_text(const struct btf *btf, __u32 id, int depth = 0)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	if (!t || depth > max_depth)
		return "none";
	if (btf_is_mod(t))
		return type_text(btf, t->type, depth + 1);
	if (btf_is_array(t))
		return type_text(btf, btf_array(t)->type, depth + 1) + "[" +
		       std::to_string(btf_array(t)->nelems) + "]";
	std::string name(name_of(btf, t->name_off));
	return (btf_is_struct(t) ? "struct " : btf_is_union(t) ? "union " : "") + name;
}

// The differences between a pinned map and the object's, as text.
class Differences
{
public:
	void number(const std::string &what, __u64 in_dir, __u64 in_obj)
	{
		text(what, std::to_string(in_dir), std::to_string(in_obj));
	}

	void text(const std::string &what, const std::string &in_dir, const std::string &in_obj)
	{
		if (in_dir != in_obj)
			add(what + " is " + in_dir + " in DIR, " + in_obj + " in OBJ");
	}

	// A map that was made without BTF has no types to compare.
	void type(const std::string &what, const struct btf *dir, __u32 dir_id,
		  const struct btf *obj, __u32 obj_id)
	{
		std::string where;

		if (!dir_id || !obj_id || same_type(dir, dir_id, obj, obj_id, where))
			return;
		std::string in_dir = type_text(dir, dir_id);
		std::string in_obj = type_text(obj, obj_id);
		if (!where.empty())
			add(what + " " + in_obj + " differs in " + quote(where));
		else if (in_dir == in_obj)
			add(what + " " + in_obj + " differs");
		else
			text(what, in_dir, in_obj);
	}

	const std::string &all() const
	{
		return all_;
	}

private:
	void add(const std::string &difference)
	{
		all_ += (all_.empty() ? "" : "; ") + difference;
	}

	std::string all_;
};

static std::string hex(__u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
	return text;
}

// How the pinned map differs from the object's; empty: it can be used in its place.
static std::string compare_maps(const Fd &pinned, const std::string &path,
				const struct bpf_map *map, const struct btf *btf)
{
	struct bpf_map_info info = map_info(pinned);
	enum bpf_map_type type = bpf_map__type(map);
	__u32 entries = bpf_map__max_entries(map);
	Differences differ;

	// libbpf fills in the one, and the kernel adds the other, when such a map is made.
	if (type == BPF_MAP_TYPE_PERF_EVENT_ARRAY && !entries)
		entries = libbpf_num_possible_cpus();
	if (info.type == BPF_MAP_TYPE_DEVMAP || info.type == BPF_MAP_TYPE_DEVMAP_HASH)
		info.map_flags &= ~__u32{BPF_F_RDONLY_PROG};

	differ.text("type", map_type_name(info.type), map_type_name(type));
	differ.number("key size", info.key_size, bpf_map__key_size(map));
	differ.number("value size", info.value_size, bpf_map__value_size(map));
	differ.number("max_entries", info.max_entries, entries);
	differ.text("flags", hex(info.map_flags), hex(bpf_map__map_flags(map)));
	differ.number("map_extra", info.map_extra, bpf_map__map_extra(map));

	if (info.btf_id && btf) {
		Btf theirs(btf__load_from_kernel_by_id(info.btf_id));
		if (!theirs) {
			if (errno != EPERM)
				fail(errno, "compare the types of map " + quote(path));
			warn("types of map " + quote(path) +
			     " are not compared: " + strerror(EPERM) + " (" +
			     needs({CAP_SYS_ADMIN}, CountsFor::Bpf, "its BTF ") + ")");
			return differ.all();
		}
		differ.type("key type", theirs.get(), info.btf_key_type_id, btf,
			    bpf_map__btf_key_type_id(map));
		differ.type("value type", theirs.get(), info.btf_value_type_id, btf,
			    bpf_map__btf_value_type_id(map));
	}
	return differ.all();
}

// Where the object's map is pinned, or to be pinned: in `dir`, or where the object itself
// wants it (LIBBPF_PIN_BY_NAME). Empty: nowhere. The maps that libbpf makes of variables belong
// to one program.
static std::string map_path(const struct bpf_map *map, const std::string &dir)
{
	std::string name = bpf_map__name(map);

	if (bpf_map__is_internal(map))
		return {};
	if (dir.empty())
		return bpf_map__pin_path(map) ? bpf_map__pin_path(map) : "";
	std::replace(name.begin(), name.end(), '.', '_');
	return dir + "/" + name;
}

// Is the map with this info, which is pinned under the short name of an object's map, that map?
// What BTF does not tell, the object does, where it has only one such map.
static bool is_meant(struct bpf_object *object, const struct bpf_map_info &info,
		     const std::string &name, const std::string &what)
{
	std::vector<std::string> names = full_names(info);
	struct bpf_map *map;

	if (object_name(info.name) != short_name(name))
		return false;
	if (names.empty())
		if (__u32 btf_id = btf_of_map_user(info.id))
			names = full_names(load_btf_id(btf_id).get(), info);
	if (names.empty())
		bpf_object__for_each_map(map, object) if (short_name(bpf_map__name(map)) ==
							  short_name(name))
			names.emplace_back(bpf_map__name(map));
	std::sort(names.begin(), names.end());
	if (std::find(names.begin(), names.end(), name) == names.end())
		return false;
	if (names.size() > 1)
		fail(what, "it may be " + quote(names[0]) + " or " + quote(names[1]) +
				   ": give the pin the full name of its map, by mv");
	return true;
}

// Where the map is pinned that the object wants at `path`: there or, as some loaders and older
// versions of map-pin know no more, under the 15 characters that the kernel keeps of its name.
static std::string pinned_path(struct bpf_object *object, const struct bpf_map *map,
			       const std::string &path)
{
	std::string name = bpf_map__name(map);
	std::string cut = short_name(name);
	struct stat st;

	// A map that has this name in full has a right to the pin.
	if (cut == name || lstat(path.c_str(), &st) == 0 ||
	    bpf_object__find_map_by_name(object, cut.c_str()))
		return path;
	std::replace(cut.begin(), cut.end(), '.', '_');
	std::string short_path = parent_of(path) + "/" + cut;
	if (lstat(short_path.c_str(), &st))
		return path;
	Fd pinned = open_pinned(ObjectKind::Map, short_path, true);
	return is_meant(object, map_info(pinned), name, "reuse map " + quote(short_path))
		       ? short_path
		       : path;
}

std::vector<SharedMap> reuse_maps(struct bpf_object *object, const std::string &dir)
{
	std::vector<SharedMap> maps;
	struct bpf_map *each;

	bpf_object__for_each_map(each, object)
	{
		SharedMap map = {each, map_path(each, dir), {}, false};
		struct stat st;

		// pin_all() pins it, not libbpf: all pins or none.
		if (bpf_map__set_pin_path(each, nullptr))
			fail(errno, "reuse map " + quote(bpf_map__name(each)));
		if (map.path.empty()) {
			if (bpf_map__type(each) == BPF_MAP_TYPE_PROG_ARRAY)
				warn("map " + quote(bpf_map__name(each)) +
				     " is not pinned: the kernel empties a prog_array that has no "
				     "pin and is not open (--maps pins it)");
			continue;
		}
		map.path = pinned_path(object, each, map.path);
		if (lstat(map.path.c_str(), &st) == 0) {
			std::string what = "reuse map " + quote(map.path);

			map.fd = open_pinned(ObjectKind::Map, map.path);
			map.reused = true;
			if (std::string differences =
				    compare_maps(map.fd, map.path, each, bpf_object__btf(object));
			    !differences.empty())
				fail(what, differences);
			if (int err = bpf_map__reuse_fd(each, map.fd.get()))
				fail(-err, what);
		}
		maps.push_back(std::move(map));
	}
	return maps;
}
