// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// map-edit: show and change the entries of a map, with keys and values as people
// write them, one by one or by the list.

#include <bpf/bpf.h>
#include <getopt.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/cli.h"
#include "lib/lines.h"
#include "lib/lock.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "map-edit/change.h"
#include "map-edit/entries.h"
#include "map-edit/map.h"
#include "map-edit/print.h"
#include "map-edit/text.h"
#include "map-edit/variables.h"

constexpr size_t looked_at_twice = 65536; // entries: what is more takes seconds to read

struct Options {
	CommonOptions common;
	bool per_cpu = false;
	bool dry_run = false;
	ListOptions list;
	std::optional<unsigned> max_shrink; // per cent; sync
	std::optional<unsigned> wait;	    // seconds
	TypeHints types;
	std::string map;
	std::string verb;
	std::vector<std::string> args; // of the verb
};

static void usage()
{
	fputs("Usage: map-edit [OPTIONS] MAP show\n"
	      "       map-edit [OPTIONS] MAP get KEY\n"
	      "       map-edit [OPTIONS] MAP add KEY[=VALUE]...\n"
	      "       map-edit [OPTIONS] MAP del KEY...\n"
	      "       map-edit [OPTIONS] MAP load FILE\n"
	      "       map-edit [OPTIONS] MAP sync FILE\n"
	      "Show or change the entries of the map pinned at MAP. Keys and values are written\n"
	      "by their BTF type: 7777, 10.0.0.0/8, true, {a=1 b=2}. FROM-TO is a range of\n"
	      "numbers. An omitted VALUE is 1, or of a struct all zeros. In a section of\n"
	      "variables (.data, .bss, .rodata) KEY is a name, such as limit or rules[2].port.\n"
	      "\n"
	      "  load adds the KEY[=VALUE] lines of FILE; sync also removes all other entries.\n"
	      "  If KEY is an address or a CIDR, FILE may also be a list as publishers have it\n"
	      "  (--format). A # begins a comment, - is standard input. Either all is done, or\n"
	      "  nothing.\n"
	      "\n"
	      "      --key=TYPE            the type of a key, such as u16, be16 (a port), be32\n"
	      "                            (IPv4), in6_addr, cidr4, cidr6, mac (default: BTF)\n"
	      "      --value=TYPE          the type of a value\n"
	      "      --btf=OBJ             take BTF from this object file (default: from the\n"
	      "                            kernel, which needs CAP_SYS_ADMIN)\n"
	      "      --per-cpu             show, get: print the value of each CPU, not only the\n"
	      "                            sum\n"
	      "  -n, --netns=NETNS         of a devmap: devices of this network namespace:\n"
	      "                            NAME, PID, PATH (default: its own)\n"
	      "      --dry-run             load, sync: print the changes, and do not make them\n"
	      "      --allow-empty         load, sync: take a FILE without an entry\n"
	      "      --keep-going          load, sync: skip bad lines, and fail at the end\n"
	      "      --max-shrink=PERCENT  sync: fail if it has so much fewer entries than MAP\n"
	      "      --wait=SECONDS        wait so long while others have the directory of\n"
	      "                            MAP locked (default: 30)\n"
	      "      --format=NAME         load, sync: plain, json, p2p, dshield or ipset\n"
	      "                            (default: as the first entry of FILE looks)\n"
	      "  -j, --json                print JSON\n"
	      "  -p, --pretty              print JSON, indented\n"
	      "  -v, --verbose             print libbpf's log\n"
	      "  -h, --help                print this and exit\n"
	      "  -V, --version             print the version and exit\n",
	      stdout);
}

static void parse_positional(int argc, char **argv, Options &o)
{
	static constexpr struct {
		std::string_view verb;
		const char *argument; // that it needs; nullptr: none
		bool more;	      // takes any number of them
	} verbs[] = {
		{"show", nullptr, false}, {"get", "KEY", false},   {"add", "KEY[=VALUE]", true},
		{"del", "KEY", true},	  {"load", "FILE", false}, {"sync", "FILE", false},
	};

	if (!argc)
		throw UsageError("MAP is missing");
	o.map = argv[0];
	if (argc == 1)
		throw UsageError("the verb is missing (show, get, add, del, load, sync)");
	o.verb = argv[1];
	o.args.assign(argv + 2, argv + argc);
	for (const auto &v : verbs) {
		if (o.verb != v.verb)
			continue;
		size_t takes = v.argument ? 1 : 0;
		if (o.args.size() < takes)
			throw UsageError(std::string(v.argument) + " is missing");
		if (o.args.size() > takes && !v.more)
			throw UsageError("too many arguments: " + quote(o.args[takes]));
		return;
	}
	throw UsageError("unknown verb " + quote(o.verb) +
			 " (expected show, get, add, del, load, sync)");
}

// Without a short form.
enum {
	OptKey = 256,
	OptValue,
	OptBtf,
	OptPerCpu,
	OptDryRun,
	OptAllowEmpty,
	OptKeepGoing,
	OptMaxShrink,
	OptFormat,
	OptWait
};

static void check_options(const Options &o)
{
	bool shows = o.verb == "show" || o.verb == "get";
	bool lists = o.verb == "load" || o.verb == "sync";

	if (o.per_cpu && !shows)
		throw UsageError("--per-cpu goes with show and get");
	if (o.dry_run && !lists)
		throw UsageError("--dry-run goes with load and sync");
	if (o.list.format && !lists)
		throw UsageError("--format goes with load and sync");
	if (o.list.allow_empty && !lists)
		throw UsageError("--allow-empty goes with load and sync");
	if (o.list.keep_going && !lists)
		throw UsageError("--keep-going goes with load and sync");
	if (o.max_shrink && o.verb != "sync")
		throw UsageError("--max-shrink goes with sync");
	if (o.wait && (shows || o.dry_run))
		throw UsageError("--wait goes with add, del, load and sync, without --dry-run");
	if (o.common.json && !shows && !lists)
		throw UsageError("--json and --pretty go with show, get, load and sync");
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"key", required_argument, nullptr, OptKey},
		{"value", required_argument, nullptr, OptValue},
		{"btf", required_argument, nullptr, OptBtf},
		{"per-cpu", no_argument, nullptr, OptPerCpu},
		{"netns", required_argument, nullptr, 'n'},
		{"dry-run", no_argument, nullptr, OptDryRun},
		{"allow-empty", no_argument, nullptr, OptAllowEmpty},
		{"keep-going", no_argument, nullptr, OptKeepGoing},
		{"max-shrink", required_argument, nullptr, OptMaxShrink},
		{"wait", required_argument, nullptr, OptWait},
		{"format", required_argument, nullptr, OptFormat},
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = next_option(argc, argv, "n:jpvhV", options)) != -1) {
		switch (c) {
		case OptKey:
			o.types.key = require_nonempty(optarg, "--key");
			break;
		case OptValue:
			o.types.value = require_nonempty(optarg, "--value");
			break;
		case OptBtf:
			o.types.btf = require_nonempty(optarg, "--btf");
			break;
		case OptPerCpu:
			o.per_cpu = true;
			break;
		case OptDryRun:
			o.dry_run = true;
			break;
		case OptAllowEmpty:
			o.list.allow_empty = true;
			break;
		case OptKeepGoing:
			o.list.keep_going = true;
			break;
		case OptFormat:
			o.list.format = parse_format(optarg);
			break;
		case OptMaxShrink:
			o.max_shrink = parse_number(optarg, "--max-shrink", 0, 100);
			break;
		case OptWait:
			o.wait = parse_wait(optarg);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	parse_positional(argc - optind, argv + optind, o);
	check_options(o);
	return true;
}

// ---- the verbs

static void show(const OpenMap &map, const Format &format)
{
	print_entries(map, read_map(map), format);
}

// In an LPM trie this is the entry with the longest prefix: the one that a program would find.
static void get(const OpenMap &map, const std::string &arg, const Format &format)
{
	std::string what = "get " + quote(arg) + " from map " + quote(map.path);
	std::vector<unsigned char> key = parse_key(map, arg);
	std::vector<unsigned char> values(map.values.bytes());

	if (!look_up(map, key.data(), values.data())) {
		if (errno == ENOENT)
			fail(what, "it is not there");
		fail(errno, what, why_no_lookup(map, errno));
	}
	print_entry(map, key.data(), values.data(), format);
}

static void add(const OpenMap &map, const std::vector<std::string> &args, const DirectoryLock &lock)
{
	std::string what = "add to map " + quote(map.path);
	Entries wanted = parse_entries(map, args);
	Entries now(map, map.values.bytes());

	// One entry is added or not: nothing else has to be read, nor undone.
	if (wanted.size() > 1) {
		lock_map(map, lock);
		now = read_map(map);
	}
	Change change = difference(map, now, wanted, false);
	if (wanted.size() > 1)
		check_room(map, now, wanted, change, what);
	apply(map, now, wanted, change, what);
}

static void del_one(const OpenMap &map, const KeyRange &key, const std::string &arg,
		    const std::string &what)
{
	std::vector<unsigned char> values(map.values.bytes());

	if (deletes_nothing(map.info.type) && !look_up(map, key.first.data(), values.data()) &&
	    errno == ENOENT)
		fail(what, quote(arg) + " is not there");
	if (bpf_map_delete_elem(map.fd.get(), key.first.data()) == 0)
		return;
	// For an empty slot, a sockmap returns EINVAL, all others ENOENT.
	if (errno == ENOENT || (errno == EINVAL && holds_sockets(map.info.type)))
		fail(what, quote(arg) + " is not there");
	fail(errno, what, why_not(map, errno));
}

// Mark the entries whose key is in the range. Returns false if there are none.
static bool mark(const OpenMap &map, const Entries &entries, const KeyRange &range,
		 std::vector<bool> &marks)
{
	bool found = false;

	if (range.is_single()) {
		size_t at = entries.find(range.first.data());

		found = at != Entries::none;
		if (found)
			marks[at] = true;
		return found;
	}
	for (size_t i = 0; i < entries.size(); i++) {
		if (compare_values(map.key, range.first.data(), entries.key(i)) > 0 ||
		    compare_values(map.key, entries.key(i), range.last.data()) > 0)
			continue;
		marks[i] = found = true;
	}
	return found;
}

static void del(const OpenMap &map, const std::vector<std::string> &args, const DirectoryLock &lock)
{
	std::string what = "delete from map " + quote(map.path);
	std::vector<KeyRange> ranges = parse_ranges(map, args);
	Change change;

	if (ranges.size() == 1 && ranges[0].is_single()) {
		del_one(map, ranges[0], args[0], what);
		return;
	}
	lock_map(map, lock);
	Entries now = read_map(map);
	std::vector<bool> marks(now.size());
	for (size_t i = 0; i < ranges.size(); i++)
		if (!mark(map, now, ranges[i], marks))
			fail(what, quote(args[i]) + " is not there");
	for (__u32 i = 0; i < marks.size(); i++)
		if (marks[i])
			change.removed.push_back(i);
	apply(map, now, Entries(map, 0), change, what);
}

// Programs, and bpftool, change the map without a lock. If they have added or removed keys since
// `now` was read, read it again.
static bool has_changed(const OpenMap &map, Entries &now)
{
	Entries again = read_map(map);
	bool changed = !again.has_same_keys(now);

	now = std::move(again);
	return changed;
}

// load: the map has the file's entries as well. sync: it has no others.
static void load(const OpenMap &map, const Options &o, bool sync, const DirectoryLock &lock,
		 const Format &format)
{
	const std::string &path = o.args[0];
	std::string what = (sync ? "sync " : "load ") + input_name(path);
	ListOptions list = o.list;
	Entries wanted = parse_list(map, path, list, what);

	what += (sync ? " with map " : " into map ") + quote(map.path);
	if (!o.dry_run) {
		check_stdout();
		lock_map(map, lock);
	}
	Entries now = read_map(map);
	if (o.max_shrink)
		check_shrink(map, now, wanted, *o.max_shrink, what);
	if (sync && is_array(map.info.type))
		want_zeros(map, now, wanted);
	Change change = difference(map, now, wanted, sync);
	// Where a program changes it all the time, there is no last look.
	for (int looks = 0; sync && !o.dry_run && !change.empty() && looks < 3; looks++) {
		if (now.size() > looked_at_twice || !has_changed(map, now))
			break;
		change = difference(map, now, wanted, sync);
	}
	check_room(map, now, wanted, change, what);
	if (!o.dry_run)
		apply(map, now, wanted, change, what);
	print_change(map, now, wanted, change,
		     {.entries = o.dry_run, .removed = sync, .format = list.format}, format);
	if (!o.dry_run)
		flush_stdout("but it is done: " + count_changes(change, sync));
	if (list.bad)
		fail(what, bad_lines(list.bad) + (o.dry_run ? "" : ", but the others are done"));
}

static void edit_variables(const OpenMap &map, const Options &o, const DirectoryLock &lock,
			   const Format &format)
{
	if (o.verb == "show")
		show_variables(map, format);
	else if (o.verb == "get")
		get_variable(map, o.args[0], format);
	else if (o.verb == "add")
		set_variables(map, o.args, lock);
	else if (o.verb == "load" && o.list.keep_going)
		fail("load map " + quote(map.path),
		     "it has variables, and --keep-going is for lists");
	else if (o.verb == "load")
		load_variables(map, o.args[0], o.dry_run, lock, format);
	else
		fail("sync map " + quote(map.path),
		     "it has variables, which cannot be removed: use load");
}

static Purpose purpose_of(const std::string &verb, bool dry_run)
{
	if (verb == "show" || verb == "get")
		return Purpose::Show;
	if (verb == "del")
		return Purpose::Delete;
	return dry_run ? Purpose::Compare : Purpose::Change;
}

static int map_edit(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	Purpose purpose = purpose_of(o.verb, o.dry_run);
	Format format = {o.common.json, o.common.pretty, o.per_cpu};
	OpenMap map = open_map(o.map, purpose);
	DirectoryLock lock;
	if (purpose == Purpose::Change || purpose == Purpose::Delete)
		lock = DirectoryLock(directory_of(o.map), o.wait.value_or(default_wait));
	if (o.per_cpu && !is_per_cpu(map.info.type))
		fail("open map " + quote(o.map), "its type is " + map_type_name(map.info.type) +
							 ", which has one value for all CPUs");
	if (!o.common.netns.empty() && !holds_devices(map.info.type))
		fail("open map " + quote(o.map), "its type is " + map_type_name(map.info.type) +
							 ", and --netns is for a devmap");
	find_types(map, o.types, purpose);
	enter_netns(o.common.netns);
	if (o.list.format && !takes_lists(map.key))
		fail(o.verb + " " + input_name(o.args[0]),
		     "--format goes with a map whose keys are addresses or CIDRs");
	if (map.has_variables)
		edit_variables(map, o, lock, format);
	else if (o.verb == "show")
		show(map, format);
	else if (o.verb == "get")
		get(map, o.args[0], format);
	else if (o.verb == "add")
		add(map, o.args, lock);
	else if (o.verb == "del")
		del(map, o.args, lock);
	else
		load(map, o, o.verb == "sync", lock, format);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("map-edit", map_edit, argc, argv);
}
