// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// blocklist-load: build one list from the lists of addresses that people publish, and
// activate it in xdp_blocklist in one step.

#include <getopt.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "blocklist-load/input.h"
#include "blocklist-load/kernel.h"
#include "blocklist-load/ranges.h"
#include "blocklist-load/table.h"
#include "lib/address.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/json.h"
#include "lib/lines.h"
#include "lib/lock.h"

constexpr size_t reserve_max = 65536; // MiB
constexpr const char *verbs = "load, check, dump, stats, reserve";

struct Options {
	CommonOptions common;
	Limits limits;
	std::optional<unsigned> max_bad;    // per cent
	std::optional<unsigned> max_shrink; // per cent; load
	std::optional<size_t> max_entries;  // load, check
	std::optional<unsigned> wait;	    // seconds; load, dump, reserve
	std::string dir;
	std::string verb;
	std::vector<std::string> files; // load, check
	size_t mib = 0;			// reserve
};

static void usage()
{
	fputs("Usage: blocklist-load [OPTIONS] DIR load FILE...\n"
	      "       blocklist-load [OPTIONS] DIR check FILE...\n"
	      "       blocklist-load [OPTIONS] DIR dump\n"
	      "       blocklist-load [OPTIONS] DIR stats\n"
	      "       blocklist-load [OPTIONS] DIR reserve MIB\n"
	      "Block the addresses listed in the FILEs, and no others, with xdp_blocklist,\n"
	      "whose maps are pinned in DIR. A line is an IPv4 or IPv6 address, CIDR or range,\n"
	      "or as the format of a publisher has it (--format). A # or ; begins a comment. A\n"
	      "FILE may be compressed (gzip, xz, zstd); - is standard input.\n"
	      "\n"
	      "  load     replace the active list, in one step; not at all if a line is bad\n"
	      "  check    print the bad lines and the size of the list, and change nothing\n"
	      "  dump     print the active list as the fewest CIDRs, sorted\n"
	      "  stats    print how many packets were dropped\n"
	      "  reserve  create two lists of MIB MiB, which load then fills in turn: users who\n"
	      "           may not create maps can load into them\n"
	      "\n"
	      "load and check fail if a FILE has no entry, or if a line is bad.\n"
	      "\n"
	      "      --skip-bad            load, check: skip bad lines\n"
	      "      --max-bad=PERCENT     with --skip-bad: fail if more lines are bad\n"
	      "                            (default: 50)\n"
	      "      --max-shrink=PERCENT  load: fail if the list has so much fewer entries\n"
	      "                            than the active one\n"
	      "      --max-entries=COUNT   load, check: fail if the FILEs have more entries\n"
	      "                            (default: 10000000)\n"
	      "      --allow-empty         load, check: take a FILE without an entry\n"
	      "      --format=NAME         load, check: plain, json, p2p, dshield or ipset\n"
	      "                            (default: as the first entry of the FILE looks)\n"
	      "      --wait=SECONDS        load, dump, reserve: wait so long while others have\n"
	      "                            DIR locked (default: 30)\n"
	      "  -j, --json                print JSON\n"
	      "  -p, --pretty              print JSON, indented\n"
	      "  -v, --verbose             print libbpf's log\n"
	      "  -h, --help                print this and exit\n"
	      "  -V, --version             print the version and exit\n",
	      stdout);
}

static void parse_positional(int argc, char **argv, Options &o)
{
	if (optind == argc)
		throw UsageError("DIR is missing");
	o.dir = require_nonempty(argv[optind++], "DIR");
	if (optind == argc)
		throw UsageError(std::string("VERB is missing (expected ") + verbs + ")");
	o.verb = argv[optind++];
	if (o.verb == "load" || o.verb == "check") {
		if (optind == argc)
			throw UsageError("FILE is missing");
		o.files.assign(argv + optind, argv + argc);
		return;
	}
	if (o.verb == "reserve") {
		if (optind == argc)
			throw UsageError("MIB is missing");
		o.mib = parse_number(argv[optind++], "MIB", 1, reserve_max);
	} else if (o.verb != "dump" && o.verb != "stats") {
		throw UsageError("unknown verb " + quote(o.verb) + " (expected " + verbs + ")");
	}
	if (optind < argc)
		throw UsageError("too many arguments: " + quote(argv[optind]));
}

static void check_options(const Options &o)
{
	if (o.limits.skip_bad && o.files.empty())
		throw UsageError("--skip-bad goes with load and check");
	if (o.max_bad && !o.limits.skip_bad)
		throw UsageError("--max-bad goes with --skip-bad");
	if (o.limits.allow_empty && o.files.empty())
		throw UsageError("--allow-empty goes with load and check");
	if (o.limits.format && o.files.empty())
		throw UsageError("--format goes with load and check");
	if (o.max_entries && o.files.empty())
		throw UsageError("--max-entries goes with load and check");
	if (o.max_shrink && o.verb != "load")
		throw UsageError("--max-shrink goes with load");
	if (o.wait && (o.verb == "check" || o.verb == "stats"))
		throw UsageError("--wait goes with load, dump and reserve");
	if (o.common.json && o.verb == "reserve")
		throw UsageError("--json and --pretty do not go with reserve");
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	enum { SkipBad = 256, MaxBad, MaxShrink, MaxEntries, AllowEmpty, Format, Wait };
	static const struct option options[] = {
		{"skip-bad", no_argument, nullptr, SkipBad},
		{"max-bad", required_argument, nullptr, MaxBad},
		{"max-shrink", required_argument, nullptr, MaxShrink},
		{"max-entries", required_argument, nullptr, MaxEntries},
		{"allow-empty", no_argument, nullptr, AllowEmpty},
		{"format", required_argument, nullptr, Format},
		{"wait", required_argument, nullptr, Wait},
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = next_option(argc, argv, "jpvhV", options)) != -1) {
		switch (c) {
		case SkipBad:
			o.limits.skip_bad = true;
			break;
		case MaxBad:
			o.max_bad = parse_number(optarg, "--max-bad", 0, 100);
			break;
		case MaxShrink:
			o.max_shrink = parse_number(optarg, "--max-shrink", 0, 100);
			break;
		case MaxEntries:
			o.max_entries = parse_number(optarg, "--max-entries", 1, SIZE_MAX);
			break;
		case AllowEmpty:
			o.limits.allow_empty = true;
			break;
		case Format:
			o.limits.format = parse_format(optarg);
			break;
		case Wait:
			o.wait = parse_wait(optarg);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	parse_positional(argc, argv, o);
	check_options(o);
	if (o.max_bad)
		o.limits.max_bad = *o.max_bad;
	if (o.max_entries)
		o.limits.max_entries = *o.max_entries;
	return true;
}

// ---- load, check

using Clock = std::chrono::steady_clock;

// The formats, each once, as " (plain, json)"; nothing where all are plain.
static std::string in_brackets(const std::vector<std::string> &formats)
{
	std::vector<std::string> seen;
	std::string text;

	for (const std::string &format : formats) {
		if (std::find(seen.begin(), seen.end(), format) != seen.end())
			continue;
		text += (text.empty() ? " (" : ", ") + format;
		seen.push_back(format);
	}
	return text.empty() || text == " (plain" ? "" : text + ")";
}

// `done` is said where it cannot be printed.
static void report(const Input &input, size_t cells, Clock::time_point began,
		   const CommonOptions &common, const std::string &done = "")
{
	std::vector<std::string> formats;
	size_t v4 = count_cidrs(input.list.v4);
	size_t v6 = count_cidrs(input.list.v6);
	auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
	long long ms = took.count();

	for (ListFormat format : input.formats)
		formats.push_back(format_name(format));
	if (common.json) {
		print_json({{"read", input.read},
			    {"bad", input.bad},
			    {"merged", v4 + v6},
			    {"ipv4", v4},
			    {"ipv6", v6},
			    {"bytes", cells * BLOCK_CELL_BYTES},
			    {"milliseconds", ms},
			    {"formats", formats}},
			   common.pretty);
	} else {
		printf("%zu read%s, ", input.read, in_brackets(formats).c_str());
		if (input.bad)
			printf("%zu bad, ", input.bad);
		printf("%zu merged: %zu IPv4, %zu IPv6, %s MiB, %lld ms\n", v4 + v6, v4, v6,
		       mebibytes(cells).c_str(), ms);
	}
	flush_stdout(done);
}

// Fail where the list has become too short.
static void check_shrink(ConstCells active, const Input &input, unsigned max_percent,
			 const std::string &what)
{
	List list = active.empty() ? List() : read_back(active);
	std::string reason =
		why_shrunk(count_cidrs(list.v4) + count_cidrs(list.v6),
			   count_cidrs(input.list.v4) + count_cidrs(input.list.v6), max_percent);

	if (!reason.empty())
		fail(what, reason);
}

static void load(const Options &o)
{
	auto began = Clock::now();
	std::string what = "load the lists into " + quote(o.dir);
	Fd blocklist = open_blocklist(o.dir, false);
	Input input = read_files(o.files, o.limits, what, ", nothing is changed");
	Plan table = plan(input.list);
	std::function<void(ConstCells)> check;

	check_stdout();
	if (o.max_shrink)
		check = [&](ConstCells active) {
			check_shrink(active, input, *o.max_shrink, what);
		};
	replace_list(blocklist, o.dir, o.wait.value_or(default_wait), table.cells, check,
		     [&](Cells cells) { build(cells, table, input.list); });
	report(input, table.cells, began, o.common, "but it is done: the list is active");
}

static void check(const Options &o)
{
	auto began = Clock::now();
	Input input = read_files(o.files, o.limits, "check the lists", "");
	Plan table = plan(input.list);

	check_fits(o.dir, table.cells);
	report(input, table.cells, began, o.common);
}

// ---- dump

static void dump(const std::string &dir, unsigned wait, const CommonOptions &common)
{
	nlohmann::ordered_json json = nlohmann::ordered_json::array();
	std::vector<union block_cell> cells = read_active_list(dir, wait);
	List list = cells.empty() ? List() : read_back(cells);
	std::string out;

	auto print = [&](auto first, int length) {
		append_cidr(out, from_integer(first), length);
		if (common.json) {
			json.push_back(out);
			out.clear();
			return;
		}
		out += '\n';
		write_out(out);
	};
	for (const Range<V4> &range : list.v4)
		for_each_cidr(range, print);
	for (const Range<V6> &range : list.v6)
		for_each_cidr(range, print);
	write_out(out, 0);
	if (common.json)
		print_json(json, common.pretty);
}

// ---- stats

static void stats(const std::string &dir, const CommonOptions &common)
{
	struct block_stats sum = read_stats(dir);

	if (common.json)
		print_json({{"dropped4", sum.dropped4}, {"dropped6", sum.dropped6}}, common.pretty);
	else
		printf("dropped4=%llu dropped6=%llu\n", sum.dropped4, sum.dropped6);
}

static int blocklist_load(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	unsigned wait = o.wait.value_or(default_wait);
	if (o.verb == "load")
		load(o);
	else if (o.verb == "check")
		check(o);
	else if (o.verb == "dump")
		dump(o.dir, wait, o.common);
	else if (o.verb == "stats")
		stats(o.dir, o.common);
	else
		reserve_lists(o.dir, wait, (o.mib << 20) / BLOCK_CELL_BYTES);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("blocklist-load", blocklist_load, argc, argv);
}
