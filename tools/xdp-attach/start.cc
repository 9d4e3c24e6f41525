// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "start.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "../lib/capability.h"
#include "../lib/cli.h"
#include "../lib/object.h"
#include "../lib/type.h"

// The knob that says where a program starts.
constexpr std::string_view knob = "l3";

// Where the knob is: in a map of the program whose only value is the section.
struct Place {
	__u32 section_size;
	__u32 offset;
};

// Is it a bool? Other people's programs may have an l3 of another meaning.
static bool is_bool(const struct btf *btf, const struct btf_type *var)
{
	const struct btf_type *t = btf__type_by_id(btf, btf__resolve_type(btf, var->type));

	return t && btf_is_int(t) && t->size == 1 && (btf_int_encoding(t) & BTF_INT_BOOL);
}

static std::optional<Place> find_knob(const struct btf *btf)
{
	__s32 id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, id) : nullptr;

	for (int i = 0; section && i < btf_vlen(section); i++) {
		const struct btf_var_secinfo &info = btf_var_secinfos(section)[i];
		const struct btf_type *var = btf__type_by_id(btf, info.type);

		if (var && name_of(btf, var->name_off) == knob && is_bool(btf, var))
			return Place{section->size, info.offset};
	}
	return std::nullopt;
}

// The value of the knob; nothing where the program does not use it, so that its map is not among
// the program's.
static std::optional<bool> read_knob(const Fd &prog, const Place &place)
{
	for (__u32 id : prog_map_ids(prog)) {
		Fd map = open_by_id(ObjectKind::Map, id);
		struct bpf_map_info info = map_info(map);
		__u32 key = 0;

		// libbpf and iproute2 name it PREFIX.rodata.
		if (!object_name(info.name).ends_with(".rodata") ||
		    info.type != BPF_MAP_TYPE_ARRAY || info.value_size != place.section_size ||
		    place.offset >= info.value_size)
			continue;
		std::vector<unsigned char> bytes(info.value_size);
		if (bpf_map_lookup_elem(map.get(), &key, bytes.data()))
			fail(errno, "read the variables of a program");
		return bytes[place.offset] != 0;
	}
	return std::nullopt;
}

// The value of the program's knob; nothing where it has none. Needs CAP_SYS_ADMIN, but not for a
// program without maps or BTF: such a program has no variables.
static std::optional<bool> knob_of(const Fd &prog)
{
	struct bpf_prog_info info = prog_info(prog);

	if (!info.btf_id || !info.nr_map_ids)
		return std::nullopt;
	std::optional<Place> place = find_knob(load_btf_id(info.btf_id).get());
	return place ? read_knob(prog, *place) : std::nullopt;
}

static const char *header_name(FirstHeader header)
{
	switch (header) {
	case FirstHeader::Ethernet:
		return "at Ethernet";
	case FirstHeader::Ip:
		return "at the IP header";
	case FirstHeader::Other:
		return "neither at Ethernet nor at the IP header";
	}
	return "";
}

void check_start(const Interface &interface, const Fd &prog, const std::string &what)
{
	FirstHeader its = first_header(interface);
	std::string packets = std::string("packets of link/") + link_type_name(interface) +
			      " start " + header_name(its);
	std::optional<bool> l3;

	try {
		l3 = knob_of(prog);
	} catch (const std::runtime_error &e) {
		std::string unknown =
			std::string("where the program starts is not known: ") + e.what();

		// Who may not ask can attach all the same, where packets start as usual.
		if (its != FirstHeader::Ethernet ||
		    missing_capabilities({CAP_SYS_ADMIN}, CountsFor::Bpf).empty())
			fail(what, packets + ", and " + unknown + "; --force attaches it");
		warn(what + ": " + unknown);
		return;
	}

	FirstHeader ours = l3.value_or(false) ? FirstHeader::Ip : FirstHeader::Ethernet;
	if (ours == its)
		return;
	std::string way = its == FirstHeader::Other ? ""
			  : !l3			    ? "it has no variable l3; "
			  : *l3			    ? "load it without --set l3=true; "
						    : "load it with --set l3=true; ";
	fail(what,
	     packets + ", the program " + header_name(ours) + " (" + way + "--force attaches it)");
}
