// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// blocklist-load: make the lists of addresses that people publish into the one that
// xdp_blocklist blocks, and put it in force in one step.

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../bpf/xdp_blocklist.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/lines.h"
#include "lib/object.h"
#include "lib/pin.h"
#include "lib/value.h"

constexpr size_t flush_bytes = 65536;	     // of output that is held back
constexpr size_t line_max = size_t{1} << 20; // bytes of a line
constexpr size_t room_max = 65536;	     // MiB
constexpr size_t spans_per_part = 8;	     // at most, and half of it at least

struct Options {
	enum class Verb { Load, Check, Dump, Stats, Room };

	CommonOptions common;
	Verb verb = Verb::Load;
	bool skip_bad = false;
	size_t room = 0; // in MiB
	std::string dir;
	std::vector<std::string> files;
};

static void usage()
{
	fputs("Usage: blocklist-load [OPTIONS] DIR FILE...\n"
	      "       blocklist-load [OPTIONS] --check FILE...\n"
	      "       blocklist-load [OPTIONS] --dump DIR\n"
	      "       blocklist-load [OPTIONS] --stats DIR\n"
	      "       blocklist-load [OPTIONS] --room=MIB DIR\n"
	      "Have xdp_blocklist, whose maps are pinned in DIR, block the addresses that the\n"
	      "FILEs list, and no others: in one step, and not at all if a line is bad. A line\n"
	      "is an address or CIDR, IPv4 or IPv6. What follows a # or ; is a comment. A FILE\n"
	      "may be gzipped, and - is standard input.\n"
	      "\n"
	      "  -c, --check     read the FILEs, say what is bad, and change nothing\n"
	      "  -k, --skip-bad  leave bad lines out, and load the others\n"
	      "  -d, --dump      print the list in force: the fewest CIDRs, sorted\n"
	      "  -s, --stats     print how many packets were dropped\n"
	      "  -r, --room=MIB  make room for two lists of this size, pinned in DIR too, that\n"
	      "                  all load into from then on: users who may not make maps can\n"
	      "  -j, --json      print JSON\n"
	      "  -p, --pretty    print JSON, indented\n"
	      "  -v, --verbose   let libbpf speak\n"
	      "  -h, --help      print this and exit\n"
	      "  -V, --version   print the version and exit\n",
	      stdout);
}

static void set_verb(Options &o, Options::Verb verb)
{
	if (o.verb != Options::Verb::Load && o.verb != verb)
		throw UsageError("only one of --check, --dump, --stats, --room can be given");
	o.verb = verb;
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"check", no_argument, nullptr, 'c'},
		{"skip-bad", no_argument, nullptr, 'k'},
		{"dump", no_argument, nullptr, 'd'},
		{"stats", no_argument, nullptr, 's'},
		{"room", required_argument, nullptr, 'r'},
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "ckdsr:jpvhV", options, nullptr)) != -1) {
		switch (c) {
		case 'c':
			set_verb(o, Options::Verb::Check);
			break;
		case 'k':
			o.skip_bad = true;
			break;
		case 'd':
			set_verb(o, Options::Verb::Dump);
			break;
		case 's':
			set_verb(o, Options::Verb::Stats);
			break;
		case 'r':
			set_verb(o, Options::Verb::Room);
			o.room = parse_number(optarg, "MIB", 1, room_max);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	bool takes_files = o.verb == Options::Verb::Load || o.verb == Options::Verb::Check;
	if (o.verb != Options::Verb::Check) {
		if (optind == argc)
			throw UsageError("DIR is missing");
		o.dir = require_nonempty(argv[optind++], "DIR");
	}
	o.files.assign(argv + optind, argv + argc);
	if (takes_files && o.files.empty())
		throw UsageError("FILE is missing");
	if (!takes_files && !o.files.empty())
		throw UsageError("too many arguments: " + quote(o.files[0]));
	if (!takes_files && o.skip_bad)
		throw UsageError("--skip-bad goes with FILEs");
	if (o.verb == Options::Verb::Room && o.common.json)
		throw UsageError("--json and --pretty do not go with --room");
	return true;
}

// ---- addresses

// What there is to know of a family, so that one code does for both.
struct V4 {
	using Address = __u32;
	static constexpr int bits = 32;
	static constexpr const char *type = "cidr4";

	static __u32 slot(Address a)
	{
		return a >> 8;
	}
	static Address last_of_slot(Address a)
	{
		return a | 0xff;
	}
};

struct V6 {
	using Address = unsigned __int128;
	static constexpr int bits = 128;
	static constexpr const char *type = "cidr6";

	static __u32 slot(Address a)
	{
		return block_slot6(static_cast<__u64>(a >> 64));
	}
	static Address last_of_slot(Address a)
	{
		bool global = a >> 125 == 1; // 2000::/3

		return a | ((Address{1} << (global ? 128 - 26 : 128 - 23)) - 1);
	}
};

template <typename Family> struct Range {
	using Address = typename Family::Address;
	Address first;
	Address last;
};
template <typename Family> using Ranges = std::vector<Range<Family>>;

// Put them in order, and make one of those that overlap or touch.
template <typename Family> static void merge(Ranges<Family> &ranges)
{
	auto by_first = [](const auto &a, const auto &b) { return a.first < b.first; };
	size_t count = 0;

	if (!std::is_sorted(ranges.begin(), ranges.end(), by_first))
		std::sort(ranges.begin(), ranges.end(), by_first);
	for (const Range<Family> &range : ranges) {
		Range<Family> *before = count ? &ranges[count - 1] : nullptr;

		if (before && (range.first <= before->last || range.first - 1 == before->last))
			before->last = std::max(before->last, range.last);
		else
			ranges[count++] = range;
	}
	ranges.resize(count);
}

// So many zeros are at its end.
static int zeros(V4::Address a)
{
	return std::countr_zero(a);
}

static int zeros(V6::Address a)
{
	auto low = static_cast<__u64>(a);

	return low ? std::countr_zero(low) : 64 + std::countr_zero(static_cast<__u64>(a >> 64));
}

// Call f(first address, prefix length) for the fewest CIDRs that make up the range.
template <typename Family, typename Function>
static void each_cidr(const Range<Family> &range, Function f)
{
	using Address = typename Family::Address;
	Address first = range.first;

	for (;;) {
		int host_bits = zeros(first);
		Address host =
			host_bits < Family::bits ? (Address{1} << host_bits) - 1 : ~Address{0};

		for (; host > range.last - first; host >>= 1)
			host_bits--;
		f(first, Family::bits - host_bits);
		if (first + host == range.last)
			return;
		first += host + 1;
	}
}

template <typename Family> static size_t count_cidrs(const Ranges<Family> &ranges)
{
	size_t count = 0;

	for (const Range<Family> &range : ranges)
		each_cidr(range, [&](auto, int) { count++; });
	return count;
}

// ---- files

// What is read of the files, and how much.
struct List {
	Ranges<V4> v4;
	Ranges<V6> v6;
	size_t read = 0; // addresses and CIDRs
	size_t bad = 0;	 // lines
};

template <typename Family> static void parse_cidr(std::string_view text, Ranges<Family> &ranges)
{
	using Address = typename Family::Address;
	static const Type type = named_type(Family::type);
	std::array<unsigned char, 4 + sizeof(Address)> key; // as of an LPM trie
	Address first = 0;
	__u32 length;

	parse(type, text, key);
	memcpy(&length, key.data(), sizeof(length));
	for (size_t i = sizeof(length); i < key.size(); i++)
		first = static_cast<Address>(first << 8) | key[i]; // of network byte order
	Address host = length ? (Address{1} << (Family::bits - length)) - 1 : ~Address{0};
	ranges.push_back({first, first | host});
}

// What is left of a line without its comment and the blanks around.
static std::string_view entry_of(std::string_view line)
{
	constexpr std::string_view blanks = " \t\r";

	line = line.substr(0, line.find_first_of("#;"));
	line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
	return line.substr(0, line.find_last_not_of(blanks) + 1);
}

static void parse_line(std::string_view line, List &list)
{
	std::string_view entry = entry_of(line);

	if (entry.empty())
		return;
	if (entry.find(':') == std::string_view::npos)
		parse_cidr(entry, list.v4);
	else
		parse_cidr(entry, list.v6);
	list.read++;
}

static void read_list(const std::string &path, List &list)
{
	Lines lines(path, "#;", line_max);
	std::string_view line;

	while (lines.next(line)) {
		try {
			if (lines.is_cut())
				throw ValueError("the line is longer than a megabyte");
			parse_line(line, list);
		} catch (const ValueError &e) {
			lines.print_bad(e.what());
			list.bad++;
		}
	}
}

// ---- the list in the kernel

using Cells = std::span<union block_cell>;

// How many cells there are of what, one after the other.
struct Layout {
	__u32 slots4 = 0; // in part
	__u32 slots6 = 0;
	__u32 first4 = 0; // these are cells
	__u32 bits = 0;
	__u32 first6 = 0;
	__u32 pairs = 0;
	__u32 more = 0; // of spans and keys
	size_t cells = 1;
};

// Call f(slot, range, whether it is all of the slot) for what each slot has of the range.
template <typename Family, typename Function>
static void each_slot(const Range<Family> &range, Function f)
{
	auto before = [](auto a) { return static_cast<decltype(a)>(a - 1); };

	for (auto first = range.first;;) {
		auto slot_last = Family::last_of_slot(first);
		auto last = std::min(slot_last, range.last);
		bool from_start = !first || Family::slot(before(first)) != Family::slot(first);

		f(Family::slot(first), Range<Family>{first, last}, from_start && last == slot_last);
		if (last == range.last)
			return;
		first = last + 1;
	}
}

// Calls f(slot, its ranges) for each slot that is listed in part. They come in the order of
// the addresses, which is not that of the slots.
template <typename Family, typename Function>
static void each_part(const Ranges<Family> &ranges, Function f)
{
	Ranges<Family> parts;
	__u32 of = 0;

	for (const Range<Family> &range : ranges) {
		each_slot(range, [&](__u32 slot, const Range<Family> &part, bool whole) {
			if (!parts.empty() && slot != of) {
				f(of, parts);
				parts.clear();
			}
			of = slot;
			if (!whole)
				parts.push_back(part);
		});
	}
	if (!parts.empty())
		f(of, parts);
}

static struct block_boundary key_of(V6::Address a)
{
	constexpr __u64 mask = (__u64{1} << BLOCK_BOUNDARY_BITS) - 1;

	return {static_cast<__u64>(a >> 64) & mask, static_cast<__u64>(a)};
}

// The key of the address behind this one, which may be no more of the slot.
static struct block_boundary key_behind(V6::Address a)
{
	struct block_boundary key = key_of(a);

	if (!++key.low)
		key.high++;
	return key;
}

// The spans of a slot that is listed in many parts.
struct Spans {
	explicit Spans(const Ranges<V6> &parts) : base(parts[0].first)
	{
		while (number(parts.back().last) >= spans_per_part * parts.size())
			shift++;
		count = number(parts.back().last) + 1;
	}
	__u64 number(V6::Address address) const
	{
		return static_cast<__u64>(
			std::min<V6::Address>((address - base) >> shift, UINT64_MAX));
	}

	V6::Address base;
	int shift = 1;
	__u32 count;
};

static Layout lay_out(const List &list)
{
	constexpr __u32 fixed = BLOCK_PRESENT_CELLS + BLOCK_RANK_CELLS;
	Layout layout;
	size_t more = 0;

	each_part(list.v4, [&](__u32, const Ranges<V4> &) { layout.slots4++; });
	each_part(list.v6, [&](__u32, const Ranges<V6> &parts) {
		layout.slots6++;
		if (parts.size() > 1)
			more += (Spans(parts).count + 7) / 8 + (parts.size() + 1) / 2;
	});
	if (!list.v4.empty()) {
		layout.first4 = layout.cells;
		layout.bits = layout.first4 + fixed;
		layout.cells = layout.bits + (size_t{layout.slots4} + 1) / 2;
	}
	if (!list.v6.empty()) {
		layout.first6 = layout.cells;
		layout.pairs = layout.first6 + fixed;
		layout.more = layout.pairs + (layout.slots6 + 1) / 2;
		layout.cells = layout.more + more;
	}
	if (layout.cells > UINT32_MAX / 2) // they are counted in halves
		fail("make the list", "it is too long");
	return layout;
}

static __u64 &any_word(Cells cells, __u32 first, __u32 slot)
{
	return cells[first + slot / 512].present[slot / 64 % 8];
}

static struct block_rank &top_of(Cells cells, __u32 first, __u32 slot)
{
	return cells[first + BLOCK_PRESENT_CELLS + slot / 256].rank[slot / 64 % 4];
}

// Which of those that are in part the slot is.
static __u32 part_of(Cells cells, __u32 first, __u32 slot)
{
	const struct block_rank &top = top_of(cells, first, slot);
	__u64 below = (__u64{1} << slot % 64) - 1;

	return top.leaf + std::popcount(any_word(cells, first, slot) & ~top.whole & below);
}

// Fill in `any` and `top`. The first slot that is in part is number `part`.
template <typename Family>
static void fill_slots(Cells cells, __u32 first, const Ranges<Family> &ranges, __u32 part)
{
	for (const Range<Family> &range : ranges) {
		each_slot(range, [&](__u32 slot, const Range<Family> &, bool whole) {
			__u64 bit = __u64{1} << slot % 64;

			any_word(cells, first, slot) |= bit;
			if (whole)
				top_of(cells, first, slot).whole |= bit;
		});
	}
	for (__u32 slot = 0; slot < 1U << BLOCK_SLOT_BITS; slot += 64) {
		struct block_rank &top = top_of(cells, first, slot);

		top.leaf = part;
		part += std::popcount(any_word(cells, first, slot) & ~top.whole);
	}
}

static void fill_bits(struct block_bits &bits, const Ranges<V4> &parts)
{
	for (const Range<V4> &part : parts)
		for (__u32 i = part.first & 0xff; i <= (part.last & 0xff); i++)
			bits.word[i / 64] |= __u64{1} << i % 64;
}

// Returns how many cells of spans and keys there are, from cell `first` on.
static __u32 fill_many(struct block_buckets &many, Cells cells, __u32 first,
		       const Ranges<V6> &parts)
{
	Spans spans(parts);
	__u32 keys = first + (spans.count + 7) / 8;
	__u32 count = 0;
	__u32 number = 0;

	auto span = [&](__u32 i) { return &cells[first + i / 8].bucket[i % 8]; };
	auto add = [&](V6::Address at, const struct block_boundary &key) {
		for (; number < std::min<__u64>(spans.number(at), spans.count - 1); number++)
			span(number)->to = span(number + 1)->from = count;
		cells[keys + count / 4].boundary[count % 4] = key;
		count++;
	};

	many = {BLOCK_BUCKETS | __u64{spans.count} << 8 | spans.shift, first, keys,
		key_of(parts[0].first)};
	for (const Range<V6> &part : parts) {
		add(part.first, key_of(part.first));
		add(part.last + 1, key_behind(part.last));
	}
	span(number)->to = count;
	return keys + (count + 3) / 4 - first;
}

// Make the list of it. The cells are zeroed.
static void fill(Cells cells, const Layout &layout, const List &list)
{
	__u32 more = layout.more;

	cells[0].head = {layout.first4, layout.first6, static_cast<__u32>(layout.cells)};
	if (layout.first4) {
		fill_slots(cells, layout.first4, list.v4, 2 * layout.bits);
		each_part(list.v4, [&](__u32 slot, const Ranges<V4> &parts) {
			__u32 part = part_of(cells, layout.first4, slot);

			fill_bits(cells[part / 2].bits[part % 2], parts);
		});
	}
	if (!layout.first6)
		return;
	fill_slots(cells, layout.first6, list.v6, 2 * layout.pairs);
	each_part(list.v6, [&](__u32 slot, const Ranges<V6> &parts) {
		__u32 part = part_of(cells, layout.first6, slot);
		union block_cell &cell = cells[part / 2];

		if (parts.size() > 1)
			more += fill_many(cell.buckets[part % 2], cells, more, parts);
		else
			cell.interval[part % 2] = {
				{key_of(parts[0].first), key_behind(parts[0].last)}};
	});
}

// So many cells, in MiB, for people.
static std::string mebibytes(size_t cells)
{
	std::array<char, 24> text;

	snprintf(text.data(), text.size(), "%.1f",
		 static_cast<double>(cells) * BLOCK_CELL_BYTES / (1 << 20));
	return text.data();
}

// A list's cells in our memory.
class Mapping
{
public:
	Mapping(const Fd &map, size_t cells)
	    : size_(cells * BLOCK_CELL_BYTES),
	      at_(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0))
	{
		if (at_ == MAP_FAILED)
			fail(errno, "map the list into memory");
	}
	Mapping(const Mapping &) = delete;
	Mapping &operator=(const Mapping &) = delete;
	~Mapping()
	{
		munmap(at_, size_);
	}
	Cells cells() const
	{
		return {static_cast<union block_cell *>(at_), size_ / BLOCK_CELL_BYTES};
	}

private:
	size_t size_;
	void *at_;
};

static Fd open_outer(const std::string &dir, bool read_only)
{
	std::string path = dir + "/blocklist";
	Fd outer = open_pinned(ObjectKind::Map, path, read_only);
	__u32 type = map_info(outer).type;

	if (type != BPF_MAP_TYPE_ARRAY_OF_MAPS)
		fail("open map " + quote(path),
		     "its type is " + map_type_name(type) + ": it is not that of xdp_blocklist");
	return outer;
}

// The id of the list in force, or 0 if there is none.
static __u32 id_in_force(const Fd &outer)
{
	const __u32 zero = 0;
	__u32 id = 0;

	if (bpf_map_lookup_elem(outer.get(), &zero, &id) && errno != ENOENT)
		fail(errno, "look up the list in force");
	return id;
}

// Lock the directory until the end of the scope: LOCK_EX or LOCK_SH.
static Fd lock(const std::string &dir, int how)
{
	Fd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (!fd || flock(fd.get(), how))
		fail(errno, "lock directory " + quote(dir));
	return fd;
}

// Two lists that are pinned, of which one is in force and the other is free: who fills that
// one in has the directory locked. They need not be there.
class Room
{
public:
	Room(const std::string &dir, bool read_only)
	{
		for (size_t i = 0; i < lists_.size(); i++) {
			lists_[i] = open_pinned(ObjectKind::Map, path(dir, i), read_only);
			infos_[i] = map_info(lists_[i]);
		}
	}
	Room() = default;
	static bool is_there(const std::string &dir, size_t i = 0)
	{
		return access(path(dir, i).c_str(), F_OK) == 0;
	}
	static std::string path(const std::string &dir, size_t i)
	{
		return dir + "/blocklist_" + "ab"[i];
	}
	explicit operator bool() const
	{
		return infos_[0].id;
	}
	// The list with this id, if it is one of the two.
	Fd take(__u32 id)
	{
		for (size_t i = 0; i < lists_.size(); i++)
			if (lists_[i] && infos_[i].id == id)
				return std::move(lists_[i]);
		return {};
	}
	// The one that is free, where this one is in force.
	Fd take_free(__u32 id, size_t cells)
	{
		size_t i = infos_[0].id == id ? 1 : 0;

		if (infos_[i].value_size != BLOCK_CELL_BYTES || infos_[i].max_entries < cells)
			fail("make the list",
			     "it takes " + mebibytes(cells) + " MiB, and there is room for " +
				     mebibytes(infos_[i].max_entries) + ", see --room");
		return std::move(lists_[i]);
	}

private:
	std::array<Fd, 2> lists_;
	std::array<struct bpf_map_info, 2> infos_ = {};
};

// A list that is nobody's yet: it goes with its fd until it is in force or pinned.
static Fd make_list(size_t cells)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	Fd list(bpf_map_create(BPF_MAP_TYPE_ARRAY, "blocklist.inner", sizeof(__u32),
			       BLOCK_CELL_BYTES, static_cast<__u32>(cells), &opts));

	if (!list)
		fail(errno, "make a list of " + mebibytes(cells) + " MiB",
		     errno == EPERM ? "needs CAP_BPF, or the room that --room makes" : "");
	return list;
}

static void put_in_force(const Fd &outer, const Fd &list, const std::string &dir)
{
	const __u32 zero = 0;
	int fd = list.get();

	// When this is back, no program runs any more that has seen the list before.
	if (bpf_map_update_elem(outer.get(), &zero, &fd, BPF_ANY))
		fail(errno, "put the list in force in " + quote(dir),
		     errno == EINVAL ? "its blocklist is not that of this xdp_blocklist" : "");
}

// A copy of a list. It is not mapped: that takes the right to write, too.
static std::vector<union block_cell> read_cells(const Fd &list)
{
	const __u32 zero = 0;
	union block_cell first = {};
	__u32 next = 0;

	if (bpf_map_lookup_elem(list.get(), &zero, &first))
		fail(errno, "read the list in force");
	__u32 count = first.head.cells;
	std::vector<union block_cell> cells(count);
	std::vector<__u32> numbers(count);
	if (bpf_map_lookup_batch(list.get(), nullptr, &next, numbers.data(), cells.data(), &count,
				 nullptr) &&
	    errno != ENOENT) // that is the end
		fail(errno, "read the list in force");
	if (count != cells.size())
		fail("read the list in force", "it is too short");
	return cells;
}

// The list in force, or nothing if there is none.
static Fd open_list(const Fd &outer, Room &room)
{
	while (__u32 id = id_in_force(outer)) {
		if (Fd list = room.take(id))
			return list;
		Fd list(bpf_map_get_fd_by_id(id));
		if (list)
			return list;
		if (errno != ENOENT) // else it was replaced just now
			fail(errno, "open list " + std::to_string(id),
			     errno == EPERM ? "needs CAP_SYS_ADMIN, or the room that --room makes"
					    : "");
	}
	return {};
}

// ---- load, check

using Clock = std::chrono::steady_clock;

static void report(const List &list, const Layout &layout, Clock::time_point began,
		   const Options &o)
{
	size_t v4 = count_cidrs(list.v4);
	size_t v6 = count_cidrs(list.v6);
	size_t bytes = layout.cells * BLOCK_CELL_BYTES;
	auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
	long long ms = took.count();

	if (o.common.json) {
		nlohmann::ordered_json json = {
			{"read", list.read}, {"bad", list.bad}, {"merged", v4 + v6},  {"ipv4", v4},
			{"ipv6", v6},	     {"bytes", bytes},	{"milliseconds", ms},
		};

		puts(json.dump(o.common.pretty ? 4 : -1).c_str());
		return;
	}
	printf("%zu read, ", list.read);
	if (list.bad)
		printf("%zu bad, ", list.bad);
	printf("%zu merged: %zu IPv4, %zu IPv6, %s MiB, %lld ms\n", v4 + v6, v4, v6,
	       mebibytes(layout.cells).c_str(), ms);
}

static void load(const Options &o)
{
	bool check = o.verb == Options::Verb::Check;
	auto began = Clock::now();
	List list;
	Fd outer;

	if (!check)
		outer = open_outer(o.dir, false);
	for (const std::string &path : o.files)
		read_list(path, list);
	if (list.bad && !o.skip_bad)
		fail(check ? "check the lists" : "load the lists into " + quote(o.dir),
		     bad_lines(list.bad) + (check ? "" : ", nothing is changed"));
	merge(list.v4);
	merge(list.v6);
	Layout layout = lay_out(list);
	if (!check) {
		Fd locked = Room::is_there(o.dir) ? lock(o.dir, LOCK_EX) : Fd();
		Room room = locked ? Room(o.dir, false) : Room();
		Fd map = room ? room.take_free(id_in_force(outer), layout.cells)
			      : make_list(layout.cells);
		Mapping mapping(map, layout.cells);

		if (room)
			memset(mapping.cells().data(), 0, mapping.cells().size_bytes());
		fill(mapping.cells(), layout, list);
		put_in_force(outer, map, o.dir);
	}
	report(list, layout, began, o);
}

// ---- dump

// Ranges that come in order, those that touch as one.
template <typename Family> static void append(Ranges<Family> &ranges, const Range<Family> &range)
{
	if (!ranges.empty() &&
	    ranges.back().last == static_cast<decltype(range.first)>(range.first - 1))
		ranges.back().last = range.last;
	else
		ranges.push_back(range);
}

// Call f(slot, whole) for those of the slots that have anything listed.
template <typename Function>
static void each_listed(Cells cells, __u32 first, __u32 slot, __u32 end, Function f)
{
	for (; slot < end; slot++) {
		__u64 any = any_word(cells, first, slot) >> slot % 64;

		if (!any)
			slot |= 63;
		else if (any & 1)
			f(slot, top_of(cells, first, slot).whole >> slot % 64 & 1);
	}
}

static void read_v4(Cells cells, Ranges<V4> &ranges)
{
	__u32 first = cells[0].head.first4;

	each_listed(cells, first, 0, 1 << BLOCK_SLOT_BITS, [&](__u32 slot, bool whole) {
		__u32 base = slot << 8;

		if (whole) {
			append(ranges, {base, base | 0xff});
			return;
		}
		__u32 part = part_of(cells, first, slot);
		const struct block_bits &bits = cells[part / 2].bits[part % 2];
		for (__u32 i = 0; i < 256; i++)
			if (bits.word[i / 64] >> i % 64 & 1)
				append(ranges, {base | i, base | i});
	});
}

static V6::Address address_of(const struct block_boundary &key)
{
	return V6::Address{key.high} << 64 | key.low;
}

static std::vector<V6::Address> keys_of(Cells cells, __u32 part)
{
	const struct block_buckets &many = cells[part / 2].buckets[part % 2];
	std::vector<V6::Address> keys;

	if (many.shape & BLOCK_BUCKETS) {
		__u32 last = static_cast<__u32>(many.shape >> 8) - 1;
		__u32 count = cells[many.buckets + last / 8].bucket[last % 8].to;

		for (__u32 i = 0; i < count; i++)
			keys.push_back(address_of(cells[many.boundaries + i / 4].boundary[i % 4]));
	} else {
		for (const struct block_boundary &key : cells[part / 2].interval[part % 2].boundary)
			keys.push_back(address_of(key));
	}
	return keys;
}

static void read_v6(Cells cells, Ranges<V6> &ranges)
{
	constexpr __u32 half = 1 << (BLOCK_SLOT_BITS - 1);
	constexpr V6::Address key_mask = (V6::Address{1} << (64 + BLOCK_BOUNDARY_BITS)) - 1;
	__u32 first = cells[0].head.first6;

	auto read_slots = [&](__u32 from, __u32 to, V6::Address base, int bits) {
		each_listed(cells, first, from, to, [&](__u32 slot, bool whole) {
			V6::Address address = base | V6::Address{slot % half} << bits;

			if (whole) {
				append(ranges, {address, V6::last_of_slot(address)});
				return;
			}
			std::vector<V6::Address> keys = keys_of(cells, part_of(cells, first, slot));
			address &= ~key_mask;
			for (size_t i = 0; i + 1 < keys.size(); i += 2)
				append(ranges, {address + keys[i], address + keys[i + 1] - 1});
		});
	};
	// In the order of the addresses: ::/3, 2000::/3, the others.
	read_slots(half, half + half / 8, 0, 128 - 23);
	read_slots(0, half, V6::Address{1} << 125, 128 - 26);
	read_slots(half + half / 4, 2 * half, 0, 128 - 23);
}

static std::string cidr_text(V4::Address first, int length)
{
	std::array<char, INET_ADDRSTRLEN> text;
	in_addr address = {htonl(first)};

	return inet_ntop(AF_INET, &address, text.data(), text.size()) +
	       ("/" + std::to_string(length));
}

static std::string cidr_text(V6::Address first, int length)
{
	std::array<char, INET6_ADDRSTRLEN> text;
	in6_addr address;

	for (int i = 15; i >= 0; i--, first >>= 8)
		address.s6_addr[i] = static_cast<unsigned char>(first);
	return inet_ntop(AF_INET6, &address, text.data(), text.size()) +
	       ("/" + std::to_string(length));
}

static void dump(const Options &o)
{
	nlohmann::ordered_json json = nlohmann::ordered_json::array();
	Fd outer = open_outer(o.dir, true);
	Fd locked = Room::is_there(o.dir) ? lock(o.dir, LOCK_SH) : Fd();
	Room room = locked ? Room(o.dir, true) : Room();
	Fd map = open_list(outer, room);
	std::string out;
	List list;

	if (map) {
		std::vector<union block_cell> cells = read_cells(map);

		if (cells[0].head.first4)
			read_v4(cells, list.v4);
		if (cells[0].head.first6)
			read_v6(cells, list.v6);
	}
	auto print = [&](auto first, int length) {
		if (o.common.json) {
			json.push_back(cidr_text(first, length));
			return;
		}
		out += cidr_text(first, length) + "\n";
		if (out.size() < flush_bytes)
			return;
		fwrite(out.data(), 1, out.size(), stdout); // run_tool() sees whether it went well
		out.clear();
	};
	for (const Range<V4> &range : list.v4)
		each_cidr(range, print);
	for (const Range<V6> &range : list.v6)
		each_cidr(range, print);
	if (o.common.json)
		out = json.dump(o.common.pretty ? 4 : -1) + "\n";
	fwrite(out.data(), 1, out.size(), stdout);
}

// ---- room

// The list in force is copied into the new room, so that it is one of its two.
static void make_room(const Options &o)
{
	size_t cells = (o.room << 20) / BLOCK_CELL_BYTES;
	Fd outer = open_outer(o.dir, false);
	std::array<Fd, 2> lists;
	Access access;
	struct stat st;

	if (stat((o.dir + "/blocklist").c_str(), &st))
		fail(errno, "make room in " + quote(o.dir));
	access = {st.st_mode & 0777, st.st_uid, st.st_gid};
	Fd locked = lock(o.dir, LOCK_EX);
	// Where one of the two was removed, this mends it.
	bool whole = Room::is_there(o.dir, 0) && Room::is_there(o.dir, 1);
	Room room = whole ? Room(o.dir, false) : Room();
	for (Fd &list : lists)
		list = make_list(cells);
	if (Fd now = open_list(outer, room)) {
		std::vector<union block_cell> used = read_cells(now);

		if (used.size() > cells)
			fail("make room in " + quote(o.dir),
			     "the list in force takes " + mebibytes(used.size()) + " MiB");
		std::copy(used.begin(), used.end(), Mapping(lists[0], cells).cells().begin());
	}
	pin_all({{lists[0], Room::path(o.dir, 0), true}, {lists[1], Room::path(o.dir, 1), true}},
		access);
	if (id_in_force(outer))
		put_in_force(outer, lists[0], o.dir);
}

// ---- stats

static void stats(const Options &o)
{
	std::string path = o.dir + "/block_stats";
	Fd map = open_pinned(ObjectKind::Map, path, true);
	struct bpf_map_info info = map_info(map);
	int cpus = libbpf_num_possible_cpus();
	struct block_stats sum = {};
	const __u32 zero = 0;

	if (cpus < 0)
		fail(-cpus, "count the CPUs");
	if (info.type != BPF_MAP_TYPE_PERCPU_ARRAY || info.value_size != sizeof(sum))
		fail("open map " + quote(path), "it is not that of xdp_blocklist");
	std::vector<struct block_stats> each(cpus);
	if (bpf_map_lookup_elem(map.get(), &zero, each.data()))
		fail(errno, "read map " + quote(path));
	for (const struct block_stats &one : each) {
		sum.dropped4 += one.dropped4;
		sum.dropped6 += one.dropped6;
	}
	if (o.common.json) {
		nlohmann::ordered_json json = {{"dropped4", sum.dropped4},
					       {"dropped6", sum.dropped6}};

		puts(json.dump(o.common.pretty ? 4 : -1).c_str());
		return;
	}
	printf("dropped4=%llu dropped6=%llu\n", sum.dropped4, sum.dropped6);
}

static int blocklist_load(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;
	switch (o.verb) {
	case Options::Verb::Load:
	case Options::Verb::Check:
		load(o);
		break;
	case Options::Verb::Dump:
		dump(o);
		break;
	case Options::Verb::Stats:
		stats(o);
		break;
	case Options::Verb::Room:
		make_room(o);
		break;
	}
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("blocklist-load", blocklist_load, argc, argv);
}
