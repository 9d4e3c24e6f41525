// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// map-pin: pin the maps that an attached, pinned or loaded program uses, or one
// map by id or name, with an owner and a mode.

#include <bpf/bpf.h>
#include <getopt.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/capability.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/interface.h"
#include "lib/json.h"
#include "lib/lock.h"
#include "lib/map_name.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/pin.h"
#include "lib/type.h"

struct Options {
	CommonOptions common;
	Access access;
	bool replace = false;
	unsigned wait = default_wait; // seconds
	std::string btf;	      // an object file; empty: what the kernel has
	std::string source;	      // dev, prog, link or map
	std::string object;	      // which one
	std::string path;	      // DIR, or for `map` PATH
};

struct NamedMap {
	__u32 id;
	std::vector<std::string> may_be; // its name; several where BTF tells no more
	std::string name;		 // the full one, where it can be had
	Fd fd;
};

// Where the full names of maps are: the kernel has only the first 15 characters.
struct NameSource {
	Btf object;				   // of --btf, or none
	const std::vector<Fd> *programs = nullptr; // that use the maps
};

static void usage()
{
	fputs("Usage: map-pin [OPTIONS] dev IFNAME DIR\n"
	      "       map-pin [OPTIONS] prog PATH|ID DIR\n"
	      "       map-pin [OPTIONS] link PATH DIR\n"
	      "       map-pin [OPTIONS] map ID|NAME PATH\n"
	      "Pin every map of the XDP program on an interface, of a program, or of a link's\n"
	      "program in DIR, under the map's name; or pin one map at PATH. Either all maps\n"
	      "are pinned or none. DIR is created if it is missing. A dot in a map's name\n"
	      "becomes an underscore.\n"
	      "\n"
	      "      --btf=OBJ             read the full names of maps from this object file\n"
	      "                            (default: from the kernel's BTF)\n"
	      "  -m, --mode=MODE           mode of the pins, octal (default: 0600)\n"
	      "  -o, --owner=USER[:GROUP]  owner of the pins (default: the caller)\n"
	      "  -r, --replace             replace existing pins, each atomically\n"
	      "  -n, --netns=NETNS         look for IFNAME in this network namespace: NAME, PID\n"
	      "                            or PATH (default: the caller's)\n"
	      "  -j, --json                print the new pins as JSON\n"
	      "  -p, --pretty              print the same JSON, indented\n"
	      "      --wait=SECONDS        wait so long while others have DIR locked (default:\n"
	      "                            30)\n"
	      "  -v, --verbose             print the new pins, and libbpf's log\n"
	      "  -h, --help                print this and exit\n"
	      "  -V, --version             print the version and exit\n",
	      stdout);
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"btf", required_argument, nullptr, 'b'}, // long only: not in the string below
		{"mode", required_argument, nullptr, 'm'},
		{"owner", required_argument, nullptr, 'o'},
		{"replace", no_argument, nullptr, 'r'},
		{"netns", required_argument, nullptr, 'n'},
		{"wait", required_argument, nullptr, 'w'}, // long only, too
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = next_option(argc, argv, "m:o:rn:jpvhV", options)) != -1) {
		switch (c) {
		case 'b':
			o.btf = require_nonempty(optarg, "--btf");
			break;
		case 'm':
			o.access.mode = parse_mode(optarg);
			break;
		case 'o':
			parse_owner(optarg, o.access);
			break;
		case 'r':
			o.replace = true;
			break;
		case 'w':
			o.wait = parse_wait(optarg);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (argc == optind)
		throw UsageError("dev, prog, link or map is missing");
	o.source = argv[optind];
	if (o.source != "dev" && o.source != "prog" && o.source != "link" && o.source != "map")
		throw UsageError("unknown source " + quote(o.source) +
				 " (expected dev, prog, link or map)");
	if (argc - optind < 2)
		throw UsageError("the argument of " + o.source + " is missing");
	if (argc - optind < 3)
		throw UsageError(o.source == "map" ? "PATH is missing" : "DIR is missing");
	if (argc - optind > 3)
		throw UsageError("too many arguments: " + quote(argv[optind + 3]));
	if (!o.common.netns.empty() && o.source != "dev")
		throw UsageError("--netns can only be used with dev");
	o.object = argv[optind + 1];
	o.path = argv[optind + 2];
	while (o.source != "map" && o.path.size() > 1 && o.path.back() == '/')
		o.path.pop_back();
	return true;
}

// The programs of what `object` names: one, or of an interface maybe two, as an offloaded
// program can be there beside another.
static std::vector<Fd> find_progs(const std::string &source, const std::string &object)
{
	std::vector<__u32> ids;
	std::vector<Fd> progs;

	if (source == "prog") {
		progs.push_back(open_prog(object, "ID"));
		return progs;
	}
	if (source == "link") {
		ids = {link_info(open_pinned(ObjectKind::Link, object)).prog_id};
	} else {
		struct bpf_xdp_query_opts xdp = query_xdp(find_interface(object));
		ids = {xdp.drv_prog_id, xdp.skb_prog_id, xdp.hw_prog_id};
	}
	for (__u32 id : ids)
		if (id)
			progs.push_back(open_by_id(ObjectKind::Prog, id));
	if (progs.empty())
		fail("find the program of " + source + " " + quote(object),
		     "no program is attached");
	return progs;
}

// The full names that the map may have; none where no BTF tells.
static std::vector<std::string> names_of(const struct bpf_map_info &info, const NameSource &source)
{
	std::vector<std::string> names;
	auto ask = [&](std::vector<std::string> found) {
		if (names.empty() || found.size() == 1)
			names = std::move(found);
	};

	if (source.object)
		ask(full_names(source.object.get(), info));
	if (names.size() != 1)
		ask(full_names(info));
	for (size_t i = 0; names.size() != 1 && source.programs && i < source.programs->size(); i++)
		if (__u32 btf_id = prog_info((*source.programs)[i]).btf_id)
			ask(full_names(load_btf_id(btf_id).get(), info));
	return names;
}

static NamedMap open_map(__u32 id, const NameSource &source)
{
	NamedMap map{id, {}, {}, open_by_id(ObjectKind::Map, id)};
	struct bpf_map_info info = map_info(map.fd);

	map.may_be = names_of(info, source);
	if (map.may_be.empty())
		map.may_be = {object_name(info.name)};
	return map;
}

// A program has each name once: what is one map's name is no other's.
static void exclude_known(std::vector<NamedMap> &maps)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (const NamedMap &known : maps)
			for (NamedMap &other : maps)
				if (known.may_be.size() == 1 && other.may_be.size() > 1)
					changed |= std::erase(other.may_be, known.may_be[0]) > 0;
	}
}

// bpffs allows no dot in a name. As libbpf does, make it an underscore.
static std::string pin_name(const NamedMap &map)
{
	std::string name = map.name;

	std::replace(name.begin(), name.end(), '.', '_');
	return name;
}

// Every map that the programs use, once. Their pins need names that differ.
static std::vector<NamedMap> maps_of_progs(const std::vector<Fd> &progs, NameSource source,
					   const std::string &what)
{
	std::map<std::string, __u32> by_name;
	std::vector<__u32> ids;
	std::vector<NamedMap> maps;

	for (const Fd &prog : progs)
		for (__u32 id : prog_map_ids(prog))
			if (std::find(ids.begin(), ids.end(), id) == ids.end())
				ids.push_back(id);
	if (ids.empty())
		fail(what, "the program uses no map");
	source.programs = &progs;

	maps.reserve(ids.size());
	for (__u32 id : ids)
		maps.push_back(open_map(id, source));
	if (progs.size() == 1)
		exclude_known(maps);
	for (NamedMap &map : maps) {
		std::string which = "map " + std::to_string(map.id);

		if (map.may_be.size() > 1)
			fail(what, which.append(" may be ")
					   .append(quote(map.may_be[0]))
					   .append(" or ")
					   .append(quote(map.may_be[1]))
					   .append(": pin it alone, by 'map-pin map ID PATH'"));
		map.name = map.may_be[0];
		if (map.name.empty())
			fail(what, which + " has no name");
		auto [same, is_new] = by_name.emplace(pin_name(map), map.id);
		if (!is_new)
			fail(what, "maps " + std::to_string(same->second) + " and " +
					   std::to_string(map.id) + " both have the name " +
					   quote(same->first));
	}
	return maps;
}

// Of one map, the program that uses it has to be looked for.
static std::vector<std::string> names_of_lone(const struct bpf_map_info &info, NameSource &source)
{
	std::vector<std::string> names = names_of(info, source);
	__u32 btf_id = names.empty() ? btf_of_map_user(info.id) : 0;

	return btf_id ? full_names(load_btf_id(btf_id).get(), info) : names;
}

static NamedMap open_lone_map(__u32 id, NameSource &source)
{
	NamedMap map{id, {}, {}, open_by_id(ObjectKind::Map, id)};
	struct bpf_map_info info = map_info(map.fd);
	std::vector<std::string> names = names_of_lone(info, source);

	map.name = names.size() == 1 ? names[0] : object_name(info.name);
	return map;
}

// A name of 15 characters is one that the kernel has; of a longer one, BTF must tell.
static NamedMap map_by_name(const std::string &name, NameSource &source)
{
	std::string what = "find map " + quote(name);
	std::string unknown;
	std::string ids;
	__u32 found = 0;
	__u32 id = 0;
	int count = 0;

	while (bpf_map_get_next_id(id, &id) == 0) {
		Fd map(bpf_map_get_fd_by_id(id));

		if (!map && errno == ENOENT) // it went away meanwhile
			continue;
		if (!map)
			fail(errno, what,
			     why_denied(errno, {CAP_SYS_ADMIN}, CountsFor::Bpf, "an id "));
		struct bpf_map_info info = map_info(map);
		if (object_name(info.name) != short_name(name))
			continue;
		if (short_name(name) != name) {
			std::vector<std::string> names = names_of_lone(info, source);
			bool may_be = names.empty() ||
				      std::find(names.begin(), names.end(), name) != names.end();

			if (may_be && names.size() != 1)
				unknown += (unknown.empty() ? "" : ", ") + std::to_string(id);
			if (names.size() != 1 || names[0] != name)
				continue;
		}
		ids += (count++ ? ", " : "") + std::to_string(id);
		found = id;
	}
	if (errno != ENOENT)
		fail(errno, what, why_denied(errno, {CAP_SYS_ADMIN}, CountsFor::Bpf, "a name "));
	if (!unknown.empty())
		fail(what, "the kernel has its first 15 characters, and no BTF tells the rest: "
			   "choose by id: " +
				   unknown + (ids.empty() ? "" : ", " + ids));
	if (!count)
		fail(ENOENT, what);
	if (count > 1)
		fail(what, "several maps have this name: choose one by its id: " + ids);
	return open_lone_map(found, source);
}

static std::vector<NamedMap> find_maps(const std::string &source, const std::string &object,
				       NameSource names)
{
	std::vector<NamedMap> maps;

	if (source != "map")
		return maps_of_progs(find_progs(source, object), std::move(names),
				     "pin the maps of " + source + " " + quote(object));
	maps.push_back(is_digits(object)
			       ? open_lone_map(parse_number(object, "ID", 1, UINT32_MAX), names)
			       : map_by_name(object, names));
	return maps;
}

static void report(const std::vector<NamedMap> &maps, const std::vector<Pin> &pins,
		   const CommonOptions &common)
{
	nlohmann::ordered_json list = nlohmann::ordered_json::array();

	for (size_t i = 0; i < maps.size(); i++) {
		const std::string &path = pins[i].path;

		if (common.json)
			list.push_back(
				{{"id", maps[i].id}, {"name", maps[i].name}, {"pinned", path}});
		else
			printf("map %u pinned at %s\n", maps[i].id, quote(path).c_str());
	}
	if (common.json)
		print_json(list, common.pretty);
	flush_stdout();
}

static int map_pin(int argc, char **argv)
{
	std::vector<Pin> pins;
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	bool one = o.source == "map";
	NameSource names;
	if (!o.btf.empty())
		names.object = load_btf_file(o.btf);
	enter_netns(o.common.netns);
	auto locks = lock_directories({one ? parent_of(o.path) : o.path}, o.wait);
	std::vector<NamedMap> maps = find_maps(o.source, o.object, std::move(names));
	if (!one)
		check_pin_directory(o.path);
	pins.reserve(maps.size());
	for (const NamedMap &map : maps)
		pins.push_back({map.fd, one ? o.path : o.path + "/" + pin_name(map), o.replace});

	std::function<void()> say;
	if (o.common.json || o.common.verbose)
		say = [&] { report(maps, pins, o.common); };
	pin_all(pins, o.access, one ? "" : o.path, say);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("map-pin", map_pin, argc, argv);
}
