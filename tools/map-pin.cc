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

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/interface.h"
#include "lib/json.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/pin.h"

struct Options {
	CommonOptions common;
	Access access;
	bool replace = false;
	std::string source; // dev, prog, link or map
	std::string object; // which one
	std::string path;   // DIR, or for `map` PATH
};

struct NamedMap {
	__u32 id;
	std::string name; // as the kernel has it
	Fd fd;
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
	      "  -m, --mode=MODE           mode of the pins, octal (default: 0600)\n"
	      "  -o, --owner=USER[:GROUP]  owner of the pins (default: the caller)\n"
	      "  -r, --replace             replace existing pins, each atomically\n"
	      "  -n, --netns=NETNS         look for IFNAME in this network namespace: NAME, PID\n"
	      "                            or PATH (default: the caller's)\n"
	      "  -j, --json                print the new pins as JSON\n"
	      "  -p, --pretty              print the same JSON, indented\n"
	      "  -v, --verbose             print the new pins, and libbpf's log\n"
	      "  -h, --help                print this and exit\n"
	      "  -V, --version             print the version and exit\n",
	      stdout);
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"mode", required_argument, nullptr, 'm'},
		{"owner", required_argument, nullptr, 'o'},
		{"replace", no_argument, nullptr, 'r'},
		{"netns", required_argument, nullptr, 'n'},
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
		case 'm':
			o.access.mode = parse_mode(optarg);
			break;
		case 'o':
			parse_owner(optarg, o.access);
			break;
		case 'r':
			o.replace = true;
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

static NamedMap open_map(__u32 id)
{
	NamedMap map{id, {}, open_by_id(ObjectKind::Map, id)};

	map.name = object_name(map_info(map.fd).name);
	return map;
}

// bpffs allows no dot in a name. As libbpf does, make it an underscore.
static std::string pin_name(const NamedMap &map)
{
	std::string name = map.name;

	std::replace(name.begin(), name.end(), '.', '_');
	return name;
}

// Every map that the programs use, once. Their pins need names that differ.
static std::vector<NamedMap> maps_of_progs(const std::vector<Fd> &progs, const std::string &what)
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

	for (__u32 id : ids) {
		NamedMap map = open_map(id);
		auto [same, is_new] = by_name.emplace(pin_name(map), id);

		if (map.name.empty())
			fail(what, "map " + std::to_string(id) + " has no name");
		if (!is_new)
			fail(what, "maps " + std::to_string(same->second) + " and " +
					   std::to_string(id) + " both have the name " +
					   quote(same->first));
		maps.push_back(std::move(map));
	}
	return maps;
}

static NamedMap map_by_name(const std::string &name)
{
	std::string what = "find map " + quote(name);
	std::string ids;
	__u32 found = 0;
	__u32 id = 0;
	int count = 0;

	if (name.size() >= BPF_OBJ_NAME_LEN)
		throw UsageError("map name " + quote(name) + " is longer than 15 characters");
	while (bpf_map_get_next_id(id, &id) == 0) {
		Fd map(bpf_map_get_fd_by_id(id));

		if (!map && errno == ENOENT) // it went away meanwhile
			continue;
		if (!map)
			fail(errno, what, errno == EPERM ? "an id needs CAP_SYS_ADMIN" : "");
		if (object_name(map_info(map).name) != name)
			continue;
		ids += (count++ ? ", " : "") + std::to_string(id);
		found = id;
	}
	if (errno != ENOENT)
		fail(errno, what, errno == EPERM ? "a name needs CAP_SYS_ADMIN" : "");
	if (!count)
		fail(ENOENT, what);
	if (count > 1)
		fail(what, "several maps have this name: choose one by its id: " + ids);
	return open_map(found);
}

static std::vector<NamedMap> find_maps(const std::string &source, const std::string &object)
{
	std::vector<NamedMap> maps;

	if (source != "map")
		return maps_of_progs(find_progs(source, object),
				     "pin the maps of " + source + " " + quote(object));
	maps.push_back(is_digits(object) ? open_map(parse_number(object, "ID", 1, UINT32_MAX))
					 : map_by_name(object));
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
	enter_netns(o.common.netns);
	std::vector<NamedMap> maps = find_maps(o.source, o.object);
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
