// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// map-pin: pin the maps that an attached, pinned or loaded program uses, or one
// map by id or name, with an owner and a mode.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <net/if.h>

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
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/pin.h"

struct Options {
	CommonOptions common;
	Access access;
	std::string netns; // empty: our own
	bool replace = false;
	std::string source; // dev, prog, link or map
	std::string object; // what of it
	std::string path;   // DIR, or for `map` PATH
};

struct Map {
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
	      "program in DIR, under the map's name; or one map at PATH. All are pinned, or\n"
	      "none. DIR is made if it is not there. A dot in a map's name becomes an\n"
	      "underscore.\n"
	      "\n"
	      "  -m, --mode=MODE           mode of the pins, octal (default: 0600)\n"
	      "  -o, --owner=USER[:GROUP]  owner of the pins (default: who runs this)\n"
	      "  -r, --replace             replace pins that are there already, atomically\n"
	      "  -n, --netns=NETNS         look for IFNAME in this network namespace: NAME, PID\n"
	      "                            or PATH (default: our own)\n"
	      "  -j, --json                print what was pinned, as JSON\n"
	      "  -p, --pretty              the same, indented\n"
	      "  -v, --verbose             say what was pinned; let libbpf speak\n"
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

	while ((c = getopt_long(argc, argv, "m:o:rn:jpvhV", options, nullptr)) != -1) {
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
		case 'n':
			o.netns = require_nonempty(optarg, "--netns");
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
		throw UsageError(quote(o.source) + " is none of dev, prog, link, map");
	if (argc - optind < 2)
		throw UsageError("what comes after " + o.source + " is missing");
	if (argc - optind < 3)
		throw UsageError(o.source == "map" ? "PATH is missing" : "DIR is missing");
	if (argc - optind > 3)
		throw UsageError("too many arguments: " + quote(argv[optind + 3]));
	if (!o.netns.empty() && o.source != "dev")
		throw UsageError("--netns goes with dev");
	o.object = argv[optind + 1];
	o.path = argv[optind + 2];
	while (o.source != "map" && o.path.size() > 1 && o.path.back() == '/')
		o.path.pop_back();
	return true;
}

static bool is_id(const std::string &text)
{
	return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// The XDP programs on an interface, in whatever mode; an offloaded one can be there
// beside another.
static std::vector<Fd> progs_of_device(const Options &o)
{
	std::string what = "query the XDP program of " + quote(o.object);
	LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
	std::vector<Fd> progs;

	if (!o.netns.empty())
		enter_netns(open_netns(o.netns), o.netns);
	unsigned int ifindex = if_nametoindex(o.object.c_str());
	if (!ifindex)
		fail(errno, what);
	if (int err = bpf_xdp_query(static_cast<int>(ifindex), 0, &xdp))
		fail(-err, what);

	for (__u32 id : {xdp.drv_prog_id, xdp.skb_prog_id, xdp.hw_prog_id})
		if (id)
			progs.push_back(open_by_id(ObjectKind::Prog, id));
	if (progs.empty())
		fail(what, "there is none");
	return progs;
}

static std::vector<Fd> find_progs(const Options &o)
{
	std::vector<Fd> progs;

	if (o.source == "dev")
		return progs_of_device(o);
	if (o.source == "link") {
		__u32 id = link_info(open_pinned(ObjectKind::Link, o.object)).prog_id;

		if (!id)
			fail("open the program of link " + quote(o.object), "it has none");
		progs.push_back(open_by_id(ObjectKind::Prog, id));
	} else {
		progs.push_back(open_prog(o.object, "ID"));
	}
	return progs;
}

static Map open_map(__u32 id)
{
	Map map{id, {}, open_by_id(ObjectKind::Map, id)};

	map.name = object_name(map_info(map.fd).name);
	return map;
}

// bpffs allows no dot in a name: an underscore instead, as libbpf does.
static std::string pin_name(const Map &map)
{
	std::string name = map.name;

	std::replace(name.begin(), name.end(), '.', '_');
	return name;
}

static std::vector<Map> maps_of_progs(const std::vector<Fd> &progs, const Options &o)
{
	std::string what = "pin the maps of " + o.source + " " + quote(o.object);
	std::map<std::string, __u32> by_name;
	std::vector<__u32> ids;
	std::vector<Map> maps;

	for (const Fd &prog : progs)
		for (__u32 id : prog_map_ids(prog))
			if (std::find(ids.begin(), ids.end(), id) == ids.end())
				ids.push_back(id);
	if (ids.empty())
		fail(what, "it uses no map");

	for (__u32 id : ids) {
		Map map = open_map(id);
		auto [same, is_new] = by_name.emplace(pin_name(map), id);

		if (map.name.empty())
			fail(what, "map " + std::to_string(id) + " has no name");
		if (!is_new)
			fail(what, "maps " + std::to_string(same->second) + " and " +
					   std::to_string(id) + " are both called " +
					   quote(same->first));
		maps.push_back(std::move(map));
	}
	return maps;
}

static Map map_by_name(const std::string &name)
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

		if (!map) {
			if (errno == ENOENT) // it went away meanwhile
				continue;
			fail(errno, what, errno == EPERM ? "an id needs CAP_SYS_ADMIN" : "");
		}
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
		fail(what, "several maps have this name: give the id: " + ids);
	return open_map(found);
}

static void report(const std::vector<Map> &maps, const std::vector<Pin> &pins, const Options &o)
{
	nlohmann::ordered_json list = nlohmann::ordered_json::array();

	for (size_t i = 0; i < maps.size(); i++) {
		const std::string &path = pins[i].path;

		if (o.common.json)
			list.push_back(
				{{"id", maps[i].id}, {"name", maps[i].name}, {"pinned", path}});
		else
			printf("map %u pinned at '%s'\n", maps[i].id, path.c_str());
	}
	if (o.common.json)
		puts(list.dump(o.common.pretty ? 4 : -1, ' ', false,
			       nlohmann::json::error_handler_t::replace)
			     .c_str());
	flush_stdout();
}

static int map_pin(int argc, char **argv)
{
	std::vector<Map> maps;
	std::vector<Pin> pins;
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	bool one = o.source == "map";
	if (one) {
		maps.push_back(is_id(o.object)
				       ? open_map(parse_number(o.object, "ID", 1, UINT32_MAX))
				       : map_by_name(o.object));
	} else {
		maps = maps_of_progs(find_progs(o), o);
		check_pin_directory(o.path);
	}
	pins.reserve(maps.size());
	for (const Map &map : maps)
		pins.push_back({map.fd, one ? o.path : o.path + "/" + pin_name(map), o.replace});

	std::function<void()> say;
	if (o.common.json || o.common.verbose)
		say = [&] { report(maps, pins, o); };
	pin_all(pins, o.access, one ? "" : o.path, say);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("map-pin", map_pin, argc, argv);
}
