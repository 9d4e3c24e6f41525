// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// map-edit: show and change the entries of a map, with keys and values as people
// write them, one by one or by the list.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "lib/address.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/object.h"
#include "lib/value.h"
#include "lib/value_json.h"

constexpr size_t flush_bytes = 65536;		   // of output that is held back
constexpr size_t read_bytes = size_t{4} << 20;	   // of entries that one system call reads
constexpr size_t settle_entries = size_t{4} << 20; // before duplicates are looked for
constexpr size_t line_max = size_t{1} << 24;	   // bytes: no value of a map takes as many
constexpr size_t progress_lines = size_t{1} << 14; // between two looks at the clock
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf"; // UTF-8's, which editors leave behind
constexpr auto progress_after = std::chrono::milliseconds(500);
constexpr auto progress_every = std::chrono::milliseconds(100);

struct Options {
	CommonOptions common;
	bool per_cpu = false;
	bool dry_run = false;
	std::string key; // the types' names; empty: by BTF
	std::string value;
	std::string btf; // empty: the kernel's
	std::string map;
	std::string verb;
	std::vector<std::string> args; // what comes behind it
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
	      "by their BTF type: 7777, 10.0.0.0/8, true, {a=1 b=2}. FROM-TO stands for all the\n"
	      "numbers between. A VALUE that is not given is 1, of a struct all zeros.\n"
	      "\n"
	      "  load adds the KEY[=VALUE] lines of FILE, sync also removes all others. What\n"
	      "  follows a # is a comment, - is standard input. All is done, or nothing.\n"
	      "\n"
	      "  -k, --key=TYPE     the type of a key, such as u16, be16 (a port), be32 (IPv4),\n"
	      "                     in6_addr, cidr4, cidr6, mac (default: by BTF)\n"
	      "  -t, --value=TYPE   the type of a value\n"
	      "  -b, --btf=OBJ      take BTF from this object file (default: the kernel's,\n"
	      "                     which needs CAP_SYS_ADMIN)\n"
	      "  -c, --per-cpu      show, get: also the value of each CPU, not the sum alone\n"
	      "  -d, --dry-run      load, sync: say what would be done, and do nothing\n"
	      "  -j, --json         print JSON\n"
	      "  -p, --pretty       print JSON, indented\n"
	      "  -v, --verbose      let libbpf speak\n"
	      "  -h, --help         print this and exit\n"
	      "  -V, --version      print the version and exit\n",
	      stdout);
}

static void parse_positional(int argc, char **argv, Options &o)
{
	static constexpr struct {
		std::string_view verb;
		const char *argument; // what it needs; nullptr: none
		bool more;	      // takes any number of them
	} verbs[] = {
		{"show", nullptr, false}, {"get", "KEY", false},   {"add", "KEY[=VALUE]", true},
		{"del", "KEY", true},	  {"load", "FILE", false}, {"sync", "FILE", false},
	};

	if (!argc)
		throw UsageError("MAP is missing");
	o.map = argv[0];
	if (argc == 1)
		throw UsageError("show, get, add, del, load or sync is missing");
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
	throw UsageError(quote(o.verb) + " is none of show, get, add, del, load, sync");
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"key", required_argument, nullptr, 'k'},
		{"value", required_argument, nullptr, 't'},
		{"btf", required_argument, nullptr, 'b'},
		{"per-cpu", no_argument, nullptr, 'c'},
		{"dry-run", no_argument, nullptr, 'd'},
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "k:t:b:cdjpvhV", options, nullptr)) != -1) {
		switch (c) {
		case 'k':
			o.key = require_nonempty(optarg, "--key");
			break;
		case 't':
			o.value = require_nonempty(optarg, "--value");
			break;
		case 'b':
			o.btf = require_nonempty(optarg, "--btf");
			break;
		case 'c':
			o.per_cpu = true;
			break;
		case 'd':
			o.dry_run = true;
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	parse_positional(argc - optind, argv + optind, o);
	bool shows = o.verb == "show" || o.verb == "get";
	bool lists = o.verb == "load" || o.verb == "sync";
	if (o.per_cpu && !shows)
		throw UsageError("--per-cpu goes with show and get");
	if (o.dry_run && !lists)
		throw UsageError("--dry-run goes with load and sync");
	if (o.common.json && !shows && !lists)
		throw UsageError("--json and --pretty go with show, get, load and sync");
	return true;
}

// A line on stderr that says how far it is, where that is a terminal and it takes long.
class Progress
{
public:
	Progress() = default;
	Progress(const Progress &) = delete;
	Progress &operator=(const Progress &) = delete;
	~Progress()
	{
		clear();
	}
	void say(const char *doing, size_t count)
	{
		auto now = std::chrono::steady_clock::now();

		if (!terminal_ || now < next_)
			return;
		fprintf(stderr, "\r\033[K%s: %s %zu", tool_name().c_str(), doing, count);
		shown_ = true;
		next_ = now + progress_every;
	}
	void clear()
	{
		if (shown_)
			fputs("\r\033[K", stderr);
		shown_ = false;
	}

private:
	bool terminal_ = isatty(STDERR_FILENO);
	bool shown_ = false;
	std::chrono::steady_clock::time_point next_ =
		std::chrono::steady_clock::now() + progress_after;
};

// ---- the map, and what its keys and values are

struct Map {
	Fd fd;
	std::string path;
	struct bpf_map_info info = {};
	Type key;
	Type value;	  // of size 0 where the verb does not need it
	int values = 1;	  // of one entry: as many as CPUs in a per-CPU map
	__u32 stride = 0; // from one of them to the next
};

static bool is_per_cpu(__u32 type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

// All its entries are always there.
static bool is_array(__u32 type)
{
	return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

// Its keys are 0 to max_entries - 1.
static bool has_index(__u32 type)
{
	return is_array(type) || type == BPF_MAP_TYPE_SOCKMAP || type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

static bool holds_sockets(__u32 type)
{
	return type == BPF_MAP_TYPE_SOCKMAP || type == BPF_MAP_TYPE_SOCKHASH;
}

static bool holds_maps(__u32 type)
{
	return type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS;
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
	return holds_sockets(type) || holds_maps(type);
}

// It evicts old entries for new ones.
static bool is_lru(__u32 type)
{
	return type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

// There is no call that tells: only what the kernel says of its fd.
static bool is_frozen(const Fd &map)
{
	std::string path = "/proc/self/fdinfo/" + std::to_string(map.get());
	Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	std::array<char, 1024> text{};

	return file && read(file.get(), text.data(), text.size() - 1) > 0 &&
	       strstr(text.data(), "\nfrozen:\t1");
}

static Map open_map(const Options &o)
{
	bool shows = o.verb == "show" || o.verb == "get";
	bool reads = shows || o.dry_run;
	std::string what = "open map " + quote(o.map);
	Map map;

	map.fd = open_pinned(ObjectKind::Map, o.map, reads);
	map.path = o.map;
	map.info = map_info(map.fd);
	__u32 type = map.info.type;
	std::string type_name = map_type_name(type);
	if (!is_supported(type))
		fail(what, "its type is " + type_name + ", which map-edit cannot show or change");
	if (o.per_cpu && !is_per_cpu(type))
		fail(what, "its type is " + type_name + ", which has one value for all CPUs");
	if ((holds_sockets(type) || holds_maps(type)) && !shows && o.verb != "del")
		fail(what,
		     "its type is " + type_name + ": " +
			     (holds_sockets(type) ? "sockmap-update puts a socket into it"
						  : "'bpftool map update' puts a map into it"));
	if (!reads && is_frozen(map.fd))
		fail(what, "it is frozen: nobody can change it any more");
	if (o.verb == "del" && is_array(type))
		fail(what, "its type is " + type_name +
				   ": its entries cannot be deleted, only set to another value");
	map.stride = map.info.value_size;
	if (is_per_cpu(type)) {
		map.values = libbpf_num_possible_cpus();
		if (map.values < 0)
			fail(-map.values, "count the CPUs");
		map.stride = (map.stride + 7) / 8 * 8;
	}
	return map;
}

static std::string in_bytes(__u32 size)
{
	return std::to_string(size) + (size == 1 ? " byte" : " bytes");
}

// What to give for a key or value of this size.
static std::string suggestion(const Map &map, bool is_key)
{
	__u32 size = is_key ? map.info.key_size : map.info.value_size;
	std::string bytes = in_bytes(size);
	std::string option = is_key ? "--key" : "--value";
	bool lpm = is_key && map.info.type == BPF_MAP_TYPE_LPM_TRIE;

	switch (size) {
	case 1:
		return option + " u8 or bool (" + bytes + ")";
	case 2:
		return option + " u16, or be16 for a port in network byte order (" + bytes + ")";
	case 4:
		return option + " u32, or be32 for an IPv4 address (" + bytes + ")";
	case 6:
		return option + " mac (" + bytes + ")";
	case 8:
		return option + (lpm ? " cidr4 (" : " u64 (") + bytes + ")";
	case 16:
		return option + " in6_addr (" + bytes + ")";
	case 20:
		if (lpm)
			return option + " cidr6 (" + bytes + ")";
		break;
	}
	return option + " hex[" + std::to_string(size) + "]";
}

// The kernel lets an array's keys be a __u32 alone. An enum that is called as the array is
// what its indexes are called.
static __u32 find_index_names(const struct btf *btf, const Map &map, __u32 id)
{
	std::string name = object_name(map.info.name);
	__s32 names = btf__find_by_name_kind(btf, name.c_str(), BTF_KIND_ENUM);

	return names > 0 && btf__type_by_id(btf, names)->size == 4 ? names : id;
}

// The type of the keys or of the values: as told, else by the object file's BTF, else
// by the kernel's. Nothing is ever guessed.
static Type find_type(const Map &map, const Options &o, bool is_key)
{
	std::string what = std::string("find the type of the ") + (is_key ? "keys" : "values") +
			   " of map " + quote(map.path);
	const std::string &name = is_key ? o.key : o.value;
	__u32 size = is_key ? map.info.key_size : map.info.value_size;
	__u32 id = is_key ? map.info.btf_key_type_id : map.info.btf_value_type_id;
	std::string reason = "it has no BTF";
	Type type;
	Btf btf;

	if (!name.empty()) {
		type = named_type(name);
	} else if (!o.btf.empty()) {
		btf = load_btf_file(o.btf);
		MapTypes types = find_map_types(btf.get(), object_name(map.info.name));
		id = is_key ? types.key : types.value;
		reason = quote(o.btf) + " says nothing of a map " +
			 quote(object_name(map.info.name));
	} else if (id) {
		btf = Btf(btf__load_from_kernel_by_id(map.info.btf_id));
		if (!btf && errno != EPERM)
			fail(errno, what);
		if (!btf) {
			id = 0;
			reason = "only CAP_SYS_ADMIN reads its BTF";
		}
	}
	if (btf && is_key && is_array(map.info.type))
		id = find_index_names(btf.get(), map, id);
	if (name.empty() && id)
		type = read_type(btf.get(), id);
	else if (name.empty() && is_key && has_index(map.info.type))
		type = named_type("u32"); // by the kernel's definition
	else if (name.empty())
		fail(what, reason + ": give --btf OBJ, or " + suggestion(map, is_key));

	if (type.size != size)
		fail(what, (name.empty() ? "the type" : quote(name)) + " has " +
				   in_bytes(type.size) + ", and they have " + std::to_string(size));
	return type;
}

static void find_types(Map &map, const Options &o)
{
	map.key = find_type(map, o, true);
	if (o.verb == "del")
		return;
	if (holds_maps(map.info.type) || holds_sockets(map.info.type)) {
		if (!o.value.empty())
			throw UsageError("--value does not go with the map type " +
					 map_type_name(map.info.type));
		map.value.size = map.info.value_size;
		return;
	}
	map.value = find_type(map, o, false);
}

// ---- entries

// Keys with their values, in flat memory. They are added in any order, and are in order,
// each key once, after settle(). It is the order of the keys' bytes, in an LPM trie of the
// bytes behind the length of the prefix: there the kernel finds its way from one key to its
// neighbour through nodes that are in its cache, in half the time.
class Entries
{
public:
	static constexpr size_t none = SIZE_MAX;

	Entries(const Map &map, size_t value_size)
	    : key_size_(map.info.key_size), value_size_(value_size),
	      skip_(map.info.type == BPF_MAP_TYPE_LPM_TRIE ? sizeof(__u32) : 0)
	{
	}
	void reserve(size_t count)
	{
		keys_.reserve(count * key_size_);
		values_.reserve(count * value_size_);
	}
	void add(const unsigned char *key, const unsigned char *value)
	{
		keys_.insert(keys_.end(), key, key + key_size_);
		values_.insert(values_.end(), value, value + value_size_);
		// Overlapping ranges are no reason to run out of memory.
		if (++count_ >= settle_at_) {
			settle();
			settle_at_ = 2 * count_ + settle_entries;
		}
	}
	// Of entries with one key the last is left.
	void settle()
	{
		if (in_order())
			return; // as lists often are
		std::vector<unsigned char> keys;
		std::vector<unsigned char> values;
		std::vector<__u64> order; // the key's first 4 bytes, and the entry's number
		size_t count = 0;

		order.reserve(count_);
		for (__u64 i = 0; i < count_; i++)
			order.push_back(start(key(i)) << 32 | i);
		std::sort(order.begin(), order.end(), [&](__u64 a, __u64 b) {
			int c = a >> 32 == b >> 32 ? compare(key(number(a)), key(number(b))) : 0;
			return c ? c < 0 : a < b;
		});
		keys.reserve(keys_.size());
		values.reserve(values_.size());
		for (size_t i = 0; i < order.size(); i++) {
			const unsigned char *k = key(number(order[i]));
			const unsigned char *v = value(number(order[i]));

			if (i + 1 < order.size() && order[i] >> 32 == order[i + 1] >> 32 &&
			    !compare(k, key(number(order[i + 1]))))
				continue;
			keys.insert(keys.end(), k, k + key_size_);
			values.insert(values.end(), v, v + value_size_);
			count++;
		}
		keys_.swap(keys);
		values_.swap(values);
		count_ = count;
	}
	size_t size() const
	{
		return count_;
	}
	const unsigned char *key(size_t i) const
	{
		return keys_.data() + i * key_size_;
	}
	const unsigned char *value(size_t i) const
	{
		return values_.data() + i * value_size_;
	}
	int compare(const unsigned char *a, const unsigned char *b) const
	{
		int order = memcmp(a + skip_, b + skip_, key_size_ - skip_);

		return order ? order : memcmp(a, b, skip_);
	}
	// The number of the entry with this key.
	size_t find(const unsigned char *key) const
	{
		size_t from = 0;
		size_t to = count_;

		while (from < to) {
			size_t middle = (from + to) / 2;
			int order = compare(this->key(middle), key);

			if (!order)
				return middle;
			if (order < 0)
				from = middle + 1;
			else
				to = middle;
		}
		return none;
	}

private:
	bool in_order() const
	{
		size_t i = 1;

		while (i < count_ && compare(key(i - 1), key(i)) < 0)
			i++;
		return i >= count_;
	}
	static size_t number(__u64 item)
	{
		return static_cast<__u32>(item);
	}
	__u64 start(const unsigned char *key) const
	{
		__u64 bytes = 0;

		for (size_t i = skip_; i < skip_ + 4; i++)
			bytes = bytes << 8 | (i < key_size_ ? key[i] : 0);
		return bytes;
	}

	size_t key_size_;
	size_t value_size_;
	size_t skip_; // the length of a prefix
	size_t count_ = 0;
	size_t settle_at_ = settle_entries;
	std::vector<unsigned char> keys_;
	std::vector<unsigned char> values_;
};

// Clear what is behind the prefix of an LPM key: the kernel does not look at those bits.
// Returns whether any were set.
static bool cut_to_prefix(const Map &map, unsigned char *key)
{
	__u32 length;

	memcpy(&length, key, sizeof(length));
	return clear_host_bits({key + sizeof(length), map.info.key_size - sizeof(length)}, length);
}

static void take(const Map &map, Entries &entries, unsigned char *key, const unsigned char *value)
{
	if (map.info.type == BPF_MAP_TYPE_LPM_TRIE)
		cut_to_prefix(map, key);
	entries.add(key, value);
}

// A map that changes all the time may send a reader back to its beginning for ever.
static void check_end(const Map &map, size_t reads)
{
	if (reads > 16 + 8 * size_t{map.info.max_entries})
		fail("read map " + quote(map.path), "it changes faster than it can be read");
}

static std::string why_no_lookup(const Map &map, int err)
{
	return err == ENOSPC && holds_sockets(map.info.type)
		       ? "its values have 4 bytes, and a cookie has 8"
		       : "";
}

static void read_one_by_one(const Map &map, Entries &entries, Progress &progress)
{
	std::string what = "read map " + quote(map.path);
	std::vector<unsigned char> value(size_t{map.stride} * map.values);
	std::vector<unsigned char> key(map.info.key_size);
	std::vector<unsigned char> next(map.info.key_size);
	const unsigned char *previous = nullptr;
	size_t reads = 0;

	while (bpf_map_get_next_key(map.fd.get(), previous, next.data()) == 0) {
		key = next;
		previous = key.data();
		if (bpf_map_lookup_elem(map.fd.get(), key.data(), value.data()) == 0)
			take(map, entries, next.data(), value.data());
		else if (errno != ENOENT) // it went away meanwhile, or the slot is empty
			fail(errno, what, why_no_lookup(map, errno));
		check_end(map, ++reads);
		if (reads % progress_lines == 0)
			progress.say("entries read:", reads);
	}
	if (errno != ENOENT)
		fail(errno, what);
}

// Returns false where the kernel cannot do it.
static bool read_in_batches(const Map &map, Entries &entries, Progress &progress)
{
	size_t value_size = size_t{map.stride} * map.values;
	size_t room = std::max<size_t>(1, read_bytes / (map.info.key_size + value_size));
	// Where to go on: a key, or for a hash a number of 4 bytes.
	std::vector<unsigned char> from(std::max<size_t>(map.info.key_size, 4));
	std::vector<unsigned char> to(from.size());
	std::vector<unsigned char> keys;
	std::vector<unsigned char> values;
	bool started = false;
	size_t reads = 0;

	for (;;) {
		keys.resize(room * map.info.key_size);
		values.resize(room * value_size);
		auto count = static_cast<__u32>(room);
		int err =
			bpf_map_lookup_batch(map.fd.get(), started ? from.data() : nullptr,
					     to.data(), keys.data(), values.data(), &count, nullptr)
				? errno
				: 0;

		if (!started && (err == enotsupp || err == EINVAL))
			return false;
		if (err == ENOSPC && room < map.info.max_entries) {
			room *= 2; // for a hash's fullest bucket
			continue;
		}
		if (err && err != ENOENT && err != EINTR)
			fail(err, "read map " + quote(map.path));
		for (size_t i = 0; i < count; i++)
			take(map, entries, &keys[i * map.info.key_size], &values[i * value_size]);
		if (err == ENOENT)
			return true;
		if (count) {
			started = true;
			from.swap(to);
		}
		check_end(map, reads += std::max<__u32>(1, count));
		progress.say("entries read:", entries.size());
	}
}

static Entries read_map(const Map &map, Progress &progress)
{
	Entries entries(map, size_t{map.stride} * map.values);
	bool plain = !holds_sockets(map.info.type) && !holds_maps(map.info.type);

	if (!plain || !read_in_batches(map, entries, progress))
		read_one_by_one(map, entries, progress);
	entries.settle();
	return entries;
}

// ---- values

static bool is_number(const Type &type)
{
	return type.kind == Type::Kind::Unsigned || type.kind == Type::Kind::Signed;
}

// One value out of an entry's, field by field: of integers the sum, else what the first
// CPU has that is not zero. Padding, and what is behind a text, becomes zero. `at` is
// the field in the first of them, and `out` is zeroed.
static void combine(const Map &map, const Type &type, const unsigned char *at, unsigned char *out)
{
	__u64 sum = 0;

	switch (type.kind) {
	case Type::Kind::Struct:
		for (const Type::Member &m : type.members)
			combine(map, m.type, at + m.offset, out + m.offset);
		return;
	case Type::Kind::Array:
		for (size_t i = 0; i < type.count; i++) {
			const Type &each = type.members[0].type;
			combine(map, each, at + i * each.size, out + i * each.size);
		}
		return;
	case Type::Kind::Unsigned:
	case Type::Kind::Signed:
		for (int i = 0; i < map.values; i++)
			sum += integer(type, {at + size_t{map.stride} * i, type.size});
		store(type, sum, {out, type.size});
		return;
	default:
		break;
	}
	auto is_zero = [&] {
		return std::all_of(at, at + type.size, [](unsigned char c) { return !c; });
	};
	for (int i = 1; i < map.values && is_zero(); i++)
		at += map.stride;
	memcpy(out, at,
	       type.kind == Type::Kind::Text
		       ? strnlen(reinterpret_cast<const char *>(at), type.size)
		       : type.size);
}

static void combine(const Map &map, const unsigned char *values, std::vector<unsigned char> &out)
{
	out.assign(map.value.size, 0);
	combine(map, map.value, values, out.data());
}

// Keys are shown in the order of their values, field by field, not of their bytes.
static int compare(const Type &type, const unsigned char *a, const unsigned char *b)
{
	auto sign = [](auto x, auto y) { return x < y ? -1 : x > y; };
	bool is_signed = type.kind == Type::Kind::Signed || type.is_signed;
	__u64 flip = is_signed ? __u64{1} << (8 * type.size - 1) : 0;
	int order = 0;

	switch (type.kind) {
	case Type::Kind::Struct:
		for (size_t i = 0; i < type.members.size() && !order; i++)
			order = compare(type.members[i].type, a + type.members[i].offset,
					b + type.members[i].offset);
		return order;
	case Type::Kind::Array:
		for (size_t i = 0; i < type.count && !order; i++) {
			const Type &each = type.members[0].type;
			order = compare(each, a + i * each.size, b + i * each.size);
		}
		return order;
	case Type::Kind::Unsigned:
	case Type::Kind::Signed:
	case Type::Kind::Bool:
	case Type::Kind::Enum:
		return sign(integer(type, {a, type.size}) ^ flip,
			    integer(type, {b, type.size}) ^ flip);
	case Type::Kind::Cidr4:
	case Type::Kind::Cidr6:
		// The address, then the length, which is in front of it.
		order = memcmp(a + 4, b + 4, type.size - 4);
		return order ? order : memcmp(a, b, 4);
	case Type::Kind::Prefix:
		// The fields behind the length, then that.
		for (size_t i = 1; i < type.members.size() && !order; i++)
			order = compare(type.members[i].type, a + type.members[i].offset,
					b + type.members[i].offset);
		return order ? order : compare(type.members[0].type, a, b);
	default:
		return memcmp(a, b, type.size);
	}
}

// ---- show

static std::string cookie_text(const unsigned char *value)
{
	unsigned long long cookie;
	char text[24];

	memcpy(&cookie, value, sizeof(cookie));
	snprintf(text, sizeof(text), "%llx", cookie);
	return text;
}

class Printer
{
public:
	Printer(const Map &map, const Options &o) : map_(map), o_(o)
	{
	}
	void key(const unsigned char *key, std::string &out) const
	{
		print_value(map_.key, {key, map_.key.size}, out);
	}
	// One value, or where the map has one per CPU what they make together.
	void value(const unsigned char *values, std::string &out)
	{
		if (holds_sockets(map_.info.type)) {
			out += cookie_text(values);
			return;
		}
		combine(map_, values, one_);
		print_value(map_.value, one_, out);
	}
	// The values of each CPU, in a comment: load and sync take the line back.
	void parts(const unsigned char *values, std::string &out) const
	{
		for (int i = 0; o_.per_cpu && i < map_.values; i++) {
			out += (i ? ", cpu" : " # cpu") + std::to_string(i) + " ";
			print_value(map_.value, {values + size_t{map_.stride} * i, map_.value.size},
				    out);
		}
	}
	nlohmann::ordered_json json(const unsigned char *key, const unsigned char *values)
	{
		nlohmann::ordered_json entry = {{"key", to_json(map_.key, {key, map_.key.size})},
						{"value", json_value(values)}};

		for (int i = 0; o_.per_cpu && i < map_.values; i++)
			entry["values"].push_back(
				{{"cpu", i},
				 {"value", to_json(map_.value, {values + size_t{map_.stride} * i,
								map_.value.size})}});
		return entry;
	}
	nlohmann::ordered_json json_value(const unsigned char *values)
	{
		if (holds_sockets(map_.info.type))
			return cookie_text(values);
		combine(map_, values, one_);
		return to_json(map_.value, one_);
	}
	std::string dump(const nlohmann::ordered_json &json) const
	{
		return json.dump(o_.common.pretty ? 4 : -1, ' ', true,
				 nlohmann::json::error_handler_t::replace);
	}

private:
	const Map &map_;
	const Options &o_;
	std::vector<unsigned char> one_;
};

// The numbers in the order of the keys that they stand for.
static std::vector<__u32> by_key(const Map &map, const Entries &entries, std::vector<__u32> numbers)
{
	std::sort(numbers.begin(), numbers.end(), [&](__u32 a, __u32 b) {
		return compare(map.key, entries.key(a), entries.key(b)) < 0;
	});
	return numbers;
}

static void show(const Map &map, const Options &o)
{
	Progress progress;
	Entries entries = read_map(map, progress);
	Printer print(map, o);
	std::string out;
	bool first = true;

	std::vector<__u32> order(entries.size());
	std::iota(order.begin(), order.end(), 0);
	order = by_key(map, entries, std::move(order));
	progress.clear();
	for (__u32 i : order) {
		if (o.common.json) {
			std::string entry =
				print.dump(print.json(entries.key(i), entries.value(i)));

			out += first ? "[" : ",";
			if (o.common.pretty) { // one array, written piece by piece
				for (size_t at = 0;
				     (at = entry.find('\n', at)) != std::string::npos;)
					entry.insert(at += 1, 4, ' ');
				out += "\n    ";
			}
			out += entry;
		} else {
			print.key(entries.key(i), out);
			out += '=';
			print.value(entries.value(i), out);
			print.parts(entries.value(i), out);
			out += '\n';
		}
		first = false;
		write_out(out);
	}
	if (o.common.json)
		out += first ? "[]\n" : o.common.pretty ? "\n]\n" : "]\n";
	write_out(out, 0);
}

// ---- KEY[=VALUE]

static void skip_blanks(std::string_view &text)
{
	text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

// What the kernel would refuse, or silently take for something else.
static void check_key(const Map &map, std::vector<unsigned char> &key)
{
	if (has_index(map.info.type) && integer(map.key, key) >= map.info.max_entries)
		throw ValueError("the map ends at " + std::to_string(map.info.max_entries - 1));
	if (map.info.type != BPF_MAP_TYPE_LPM_TRIE)
		return;
	__u32 longest = 8 * (map.info.key_size - 4);
	__u32 length;
	memcpy(&length, key.data(), sizeof(length));
	if (length > longest)
		throw ValueError("the prefix length is above " + std::to_string(longest));
	if (cut_to_prefix(map, key.data()))
		throw ValueError("bits behind the prefix are set");
}

// An entry, or for an LPM trie the one with the longest prefix: what a program would see.
static void get(const Map &map, const Options &o)
{
	std::string what = "get " + quote(o.args[0]) + " from map " + quote(map.path);
	std::vector<unsigned char> value(size_t{map.stride} * map.values);
	std::vector<unsigned char> key(map.info.key_size);
	Printer print(map, o);
	std::string out;

	try {
		parse(map.key, o.args[0], key);
		check_key(map, key);
	} catch (const ValueError &e) {
		throw UsageError("KEY " + quote(o.args[0]) + ": " + e.what());
	}
	if (bpf_map_lookup_elem(map.fd.get(), key.data(), value.data())) {
		if (errno == ENOENT)
			fail(what, "it is not there");
		fail(errno, what, why_no_lookup(map, errno));
	}
	if (o.common.json) {
		out = print.dump(print.json(key.data(), value.data()));
	} else {
		print.value(value.data(), out);
		print.parts(value.data(), out);
	}
	out += '\n';
	write_out(out, 0);
}

// FROM-TO, or a KEY, which is a range of one.
struct Range {
	std::vector<unsigned char> first;
	std::vector<unsigned char> last;
};

static void parse_range(const Map &map, std::string_view &text, Range &range)
{
	range.first.resize(map.key.size);
	parse_front(map.key, text, range.first);
	check_key(map, range.first);
	range.last = range.first;
	if ((is_number(map.key) || map.key.kind == Type::Kind::Be) && text.starts_with('-')) {
		text.remove_prefix(1);
		parse_front(map.key, text, range.last);
		if (compare(map.key, range.first.data(), range.last.data()) > 0)
			throw ValueError("the range ends before it begins");
		check_key(map, range.last);
	}
}

// Reads KEY[=VALUE] into entries.
class Parser
{
public:
	explicit Parser(const Map &map)
	    : entries(map, map.value.size), map_(map), value_(map.value.size)
	{
	}
	// Behind it there may be a comment, in a file.
	void parse(std::string_view text, bool comment)
	{
		parse_range(map_, text, range_);
		skip_blanks(text);
		if (text.starts_with('=')) {
			text.remove_prefix(1);
			skip_blanks(text);
			parse_front(map_.value, text, value_, Missing::Zero);
			skip_blanks(text);
		} else if (is_number(map_.value) || map_.value.kind == Type::Kind::Bool) {
			store(map_.value, 1, value_);
		} else if (map_.value.kind == Type::Kind::Struct) {
			std::fill(value_.begin(), value_.end(), 0);
		} else if (text.empty() || text.starts_with('#')) {
			throw ValueError("its value is missing: write KEY=VALUE");
		}
		if (!text.empty() && !(comment && text.starts_with('#')))
			throw ValueError("what is behind it makes no sense: " + excerpt(text));
		if (range_.first == range_.last)
			entries.add(range_.first.data(), value_.data());
		else
			expand();
	}

	Entries entries;

private:
	void expand()
	{
		__u64 first = integer(map_.key, range_.first);
		__u64 more = (integer(map_.key, range_.last) - first) &
			     UINT64_MAX >> (64 - 8 * map_.key.size);

		if (more >= map_.info.max_entries)
			throw ValueError("the range is of more keys than the map's " +
					 std::to_string(map_.info.max_entries));
		for (__u64 i = 0; i <= more; i++) {
			store(map_.key, first + i, range_.first);
			entries.add(range_.first.data(), value_.data());
		}
	}

	const Map &map_;
	Range range_; // these are here to be allocated once
	std::vector<unsigned char> value_;
};

static Entries parse_arguments(const Map &map, const std::vector<std::string> &args)
{
	Parser parser(map);

	for (const std::string &arg : args) {
		try {
			parser.parse(arg, false);
		} catch (const ValueError &e) {
			throw UsageError("KEY[=VALUE] " + quote(arg) + ": " + e.what());
		}
	}
	parser.entries.settle();
	return std::move(parser.entries);
}

// A file that is no text, such as /dev/zero, is not read to its end.
static std::string read_file(const std::string &path)
{
	std::string what = "read " + (path == "-" ? "standard input" : quote(path));
	Fd file(path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
			    : open(path.c_str(), O_RDONLY | O_CLOEXEC));
	std::string text;
	size_t size = 0;
	size_t line = 0; // where the last one begins
	struct stat st;

	if (!file || fstat(file.get(), &st))
		fail(errno, what);
	if (S_ISREG(st.st_mode))
		text.resize(st.st_size + flush_bytes); // so that it is read at once
	for (;;) {
		if (text.size() - size < flush_bytes)
			text.resize(2 * text.size() + 2 * flush_bytes);
		ssize_t n = read(file.get(), &text[size], text.size() - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail(errno, what);
		if (!n)
			break;
		if (const void *end = memrchr(&text[size], '\n', n))
			line = static_cast<const char *>(end) - text.data();
		size += n;
		if (size - line > line_max)
			fail(what, "a line is longer than 16 MiB");
	}
	text.resize(size);
	return text;
}

// All the lines of a file. Every bad one is named before this fails.
static Entries parse_list(const Map &map, const Options &o, Progress &progress)
{
	const std::string &path = o.args[0];
	std::string name = path == "-" ? "standard input" : path;
	std::string file = read_file(path);
	std::string_view rest = file;
	Parser parser(map);
	size_t number = 0;
	size_t bad = 0;

	if (rest.starts_with(byte_order_mark))
		rest.remove_prefix(byte_order_mark.size());
	parser.entries.reserve(std::count(file.begin(), file.end(), '\n') + 1);
	while (!rest.empty()) {
		std::string_view line = rest.substr(0, rest.find('\n'));

		rest.remove_prefix(std::min(line.size() + 1, rest.size()));
		if (++number % progress_lines == 0)
			progress.say("lines read:", number);
		if (line.ends_with('\r'))
			line.remove_suffix(1);
		skip_blanks(line);
		if (line.empty() || line.starts_with('#'))
			continue;
		try {
			parser.parse(line, true);
		} catch (const ValueError &e) {
			progress.clear();
			fprintf(stderr, "%s: %s:%zu: %s\n", tool_name().c_str(), name.c_str(),
				number, e.what());
			bad++;
		}
	}
	if (bad)
		fail(o.verb + " " + (path == "-" ? name : quote(path)),
		     std::to_string(bad) + (bad == 1 ? " bad line" : " bad lines") +
			     ", nothing is changed");
	parser.entries.settle();
	return std::move(parser.entries);
}

// ---- changes

// What one system call takes.
struct Batch {
	std::vector<unsigned char> keys;
	std::vector<unsigned char> values; // none to delete the keys
	__u32 count = 0;
};

// What is to be done to a map, and how to undo it.
struct Change {
	std::string what;	    // for messages
	std::vector<__u32> added;   // of the wanted entries
	std::vector<__u32> changed; // of the wanted entries
	std::vector<__u32> removed; // of those that are there
	bool remove_first = false;
};

static Change difference(const Map &map, const Entries &now, const Entries &wanted, bool exactly)
{
	std::vector<unsigned char> value;
	Change change;
	__u32 at = 0; // in `now`; both are in order

	change.added.reserve(wanted.size());
	for (__u32 i = 0; i < wanted.size(); i++) {
		int order = 1;

		while (at < now.size() && (order = now.compare(now.key(at), wanted.key(i))) < 0)
			change.removed.push_back(at++);
		if (at == now.size() || order) {
			change.added.push_back(i);
			continue;
		}
		combine(map, now.value(at++), value);
		if (memcmp(value.data(), wanted.value(i), value.size()) != 0)
			change.changed.push_back(i);
	}
	while (at < now.size())
		change.removed.push_back(at++);
	if (!exactly)
		change.removed.clear();
	return change;
}

// An array has all its entries always: those that are not wanted are zero.
static void want_zeros(const Map &map, const Entries &now, Entries &wanted)
{
	const std::vector<unsigned char> zero(map.value.size);
	Entries all(map, map.value.size);

	for (size_t i = 0; i < now.size(); i++)
		all.add(now.key(i), zero.data());
	for (size_t i = 0; i < wanted.size(); i++)
		all.add(wanted.key(i), wanted.value(i));
	all.settle();
	wanted = std::move(all);
}

// Refuse, before anything is done, what the map does not hold. An LRU map drops others for
// what is wanted; more than it takes it would drop as well.
static void check_room(const Map &map, const Entries &now, const Entries &wanted, Change &change)
{
	size_t most = now.size() + change.added.size();
	size_t after = is_lru(map.info.type) ? wanted.size() : most - change.removed.size();

	if (after > map.info.max_entries)
		fail(change.what, "the map takes " + std::to_string(map.info.max_entries) +
					  " entries, and would have " + std::to_string(after));
	change.remove_first = most > map.info.max_entries;
}

static Batch updates(const Map &map, const Entries &wanted, const Change &change)
{
	size_t value_size = size_t{map.stride} * map.values;
	Batch batch;

	batch.count = change.added.size() + change.changed.size();
	batch.keys.reserve(size_t{batch.count} * map.key.size);
	// One CPU has the value, the others have zero: this is the sum.
	batch.values.resize(batch.count * value_size);
	unsigned char *value = batch.values.data();
	// Changes first: an old kernel's LPM trie takes none when it is full.
	for (const std::vector<__u32> *list : {&change.changed, &change.added}) {
		for (__u32 i : *list) {
			const unsigned char *key = wanted.key(i);

			batch.keys.insert(batch.keys.end(), key, key + map.key.size);
			memcpy(value, wanted.value(i), map.value.size);
			value += value_size;
		}
	}
	return batch;
}

static Batch deletes(const Map &map, const Entries &now, const Change &change)
{
	Batch batch;

	batch.count = change.removed.size();
	batch.keys.reserve(size_t{batch.count} * map.key.size);
	for (__u32 i : change.removed)
		batch.keys.insert(batch.keys.end(), now.key(i), now.key(i) + map.key.size);
	return batch;
}

// One entry, for where there is no batch. Returns whether it was done.
static bool run_one(const Map &map, const Batch &batch, __u32 at)
{
	const unsigned char *key = batch.keys.data() + size_t{at} * map.key.size;
	size_t value_size = batch.values.size() / batch.count;

	if (batch.values.empty())
		return !bpf_map_delete_elem(map.fd.get(), key) || errno == ENOENT;
	return !bpf_map_update_elem(map.fd.get(), key, batch.values.data() + at * value_size,
				    BPF_ANY);
}

// Returns how many of the batch were done; if not all, errno says why. It is one system
// call, which no signal interrupts: whoever kills us finds all of it done, or nothing.
// A key to be deleted that went away meanwhile is as good as deleted.
static __u32 run_batch(const Map &map, const Batch &batch)
{
	__u32 at = 0;

	// A page that was swapped out would be a place to be killed at. Not vital.
	if (batch.count > 1) {
		mlock(batch.keys.data(), batch.keys.size());
		mlock(batch.values.data(), batch.values.size());
	}
	while (batch.count > 1 && at < batch.count) {
		const unsigned char *keys = batch.keys.data() + size_t{at} * map.key.size;
		__u32 done = batch.count - at;

		if (!(batch.values.empty()
			      ? bpf_map_delete_batch(map.fd.get(), keys, &done, nullptr)
			      : bpf_map_update_batch(map.fd.get(), keys, batch.values.data(), &done,
						     nullptr)))
			return batch.count;
		if (errno == enotsupp || errno == EINVAL)
			break; // this map type, or this kernel, takes no batch
		if (errno != ENOENT || !batch.values.empty())
			return at + (done < batch.count - at ? done : 0); // untouched: none
		at += done + 1;
	}
	while (at < batch.count && run_one(map, batch, at))
		at++;
	return at;
}

// Give the keys back what they had. Returns false where that fails.
static bool undo(const Map &map, const Entries &now, const Batch &batch, __u32 done)
{
	bool undone = true;

	// What is read of a socket or a map is not what could be written.
	if (holds_sockets(map.info.type) || holds_maps(map.info.type))
		return !done;
	while (done--) {
		const unsigned char *key = &batch.keys[size_t{done} * map.key.size];
		size_t at = now.find(key);

		if (at == Entries::none)
			undone &= !bpf_map_delete_elem(map.fd.get(), key) || errno == ENOENT;
		else
			undone &= !bpf_map_update_elem(map.fd.get(), key, now.value(at), BPF_ANY);
	}
	return undone;
}

static std::string why_not(int err)
{
	switch (err) {
	case E2BIG:
	case ENOSPC:
		return "the map is full";
	case EPERM:
		return "the map is frozen";
	}
	return "";
}

static void apply(const Map &map, const Entries &now, const Entries &wanted, const Change &change)
{
	Batch update = updates(map, wanted, change);
	Batch remove = deletes(map, now, change);
	__u32 updated = 0;
	__u32 removed = 0;

	auto update_all = [&] { return (updated = run_batch(map, update)) == update.count; };
	auto remove_all = [&] { return (removed = run_batch(map, remove)) == remove.count; };
	if (change.remove_first ? remove_all() && update_all() : update_all() && remove_all())
		return;
	int err = errno;
	bool undone = undo(map, now, update, updated);
	undone &= undo(map, now, remove, removed);
	fail(err, change.what + (undone ? "" : ", of which not all could be undone"), why_not(err));
}

// ---- add, del, load, sync

static void add(const Map &map, const Options &o)
{
	Entries wanted = parse_arguments(map, o.args);
	Entries now(map, size_t{map.stride} * map.values);
	Progress progress;
	Change change;

	// One entry is done or not: there is no need to look at all the others.
	if (wanted.size() > 1)
		now = read_map(map, progress);
	change = difference(map, now, wanted, false);
	change.what = "add to map " + quote(map.path);
	if (wanted.size() > 1)
		check_room(map, now, wanted, change);
	apply(map, now, wanted, change);
}

// The keys from and to which the arguments go.
static std::vector<Range> parse_ranges(const Map &map, const std::vector<std::string> &args)
{
	std::vector<Range> ranges;

	for (const std::string &arg : args) {
		try {
			std::string_view text = arg;

			parse_range(map, text, ranges.emplace_back());
			if (!text.empty())
				throw ValueError("what is behind it makes no sense: " +
						 excerpt(text));
		} catch (const ValueError &e) {
			throw UsageError("KEY " + quote(arg) + ": " + e.what());
		}
	}
	return ranges;
}

static void del(const Map &map, const Options &o)
{
	std::string what = "delete from map " + quote(map.path);
	std::vector<Range> ranges = parse_ranges(map, o.args);
	std::vector<bool> goes;
	Progress progress;
	Change change;

	if (ranges.size() == 1 && ranges[0].first == ranges[0].last) {
		if (bpf_map_delete_elem(map.fd.get(), ranges[0].first.data()) == 0)
			return;
		// A sockmap says EINVAL of an empty slot, the others ENOENT.
		if (errno == ENOENT || (errno == EINVAL && holds_sockets(map.info.type)))
			fail(what, quote(o.args[0]) + " is not there");
		fail(errno, what, why_not(errno));
	}

	Entries now = read_map(map, progress);
	goes.resize(now.size());
	for (size_t r = 0; r < ranges.size(); r++) {
		const Range &range = ranges[r];
		bool found = false;

		if (range.first == range.last) {
			size_t at = now.find(range.first.data());

			found = at != Entries::none;
			if (found)
				goes[at] = true;
		} else {
			for (size_t i = 0; i < now.size(); i++) {
				if (compare(map.key, range.first.data(), now.key(i)) > 0 ||
				    compare(map.key, now.key(i), range.last.data()) > 0)
					continue;
				goes[i] = found = true;
			}
		}
		if (!found)
			fail(what, quote(o.args[r]) + " is not there");
	}
	for (__u32 i = 0; i < goes.size(); i++)
		if (goes[i])
			change.removed.push_back(i);
	change.what = what;
	apply(map, now, Entries(map, 0), change);
}

// What was done, in numbers, and before that, for --dry-run, each entry.
class Report
{
public:
	Report(const Map &map, const Options &o, const Entries &now, const Entries &wanted,
	       const Change &change)
	    : map_(map), o_(o), now_(now), wanted_(wanted), change_(change), print_(map, o)
	{
	}
	void print()
	{
		bool sync = o_.verb == "sync";

		if (o_.dry_run)
			entries();
		if (o_.common.json) {
			json_["added"] = change_.added.size();
			json_["changed"] = change_.changed.size();
			if (sync)
				json_["removed"] = change_.removed.size();
			out_ += print_.dump(json_);
		} else {
			out_ += std::to_string(change_.added.size()) + " added, " +
				std::to_string(change_.changed.size()) + " changed";
			if (sync)
				out_ += ", " + std::to_string(change_.removed.size()) + " removed";
		}
		out_ += '\n';
		write_out(out_, 0);
	}

private:
	void entries()
	{
		if (o_.common.json)
			json_["changes"] = nlohmann::ordered_json::array();
		for (__u32 i : by_key(map_, now_, change_.removed))
			entry("remove", "- ", now_.key(i), now_.value(i), nullptr);
		for (__u32 i : by_key(map_, wanted_, change_.changed))
			entry("change", "~ ", wanted_.key(i), now_.value(now_.find(wanted_.key(i))),
			      wanted_.value(i));
		for (__u32 i : by_key(map_, wanted_, change_.added))
			entry("add", "+ ", wanted_.key(i), nullptr, wanted_.value(i));
	}
	void entry(const char *action, const char *sign, const unsigned char *key,
		   const unsigned char *before, const unsigned char *after)
	{
		Bytes value(after, after ? map_.value.size : 0);

		if (o_.common.json) {
			nlohmann::ordered_json entry = {
				{"action", action},
				{"key", to_json(map_.key, {key, map_.key.size})}};

			if (before)
				entry[after ? "old" : "value"] = print_.json_value(before);
			if (after)
				entry["value"] = to_json(map_.value, value);
			json_["changes"].push_back(std::move(entry));
			return;
		}
		out_ += sign;
		print_.key(key, out_);
		out_ += '=';
		if (before)
			print_.value(before, out_);
		if (before && after)
			out_ += " -> ";
		if (after)
			print_value(map_.value, value, out_);
		out_ += '\n';
		write_out(out_);
	}

	const Map &map_;
	const Options &o_;
	const Entries &now_;
	const Entries &wanted_;
	const Change &change_;
	Printer print_;
	nlohmann::ordered_json json_;
	std::string out_;
};

// load: the file's entries; sync: those and no others.
static void load(const Map &map, const Options &o)
{
	Progress progress;
	Entries wanted = parse_list(map, o, progress);
	Entries now = read_map(map, progress);
	bool exactly = o.verb == "sync";

	if (exactly && is_array(map.info.type))
		want_zeros(map, now, wanted);
	Change change = difference(map, now, wanted, exactly);
	change.what = o.verb + " " + (o.args[0] == "-" ? "standard input" : quote(o.args[0])) +
		      (exactly ? " with map " : " into map ") + quote(map.path);
	check_room(map, now, wanted, change);
	progress.say("entries to change:",
		     change.added.size() + change.changed.size() + change.removed.size());
	if (!o.dry_run)
		apply(map, now, wanted, change);
	progress.clear();
	Report(map, o, now, wanted, change).print();
}

static int map_edit(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	Map map = open_map(o);
	find_types(map, o);
	if (o.verb == "show")
		show(map, o);
	else if (o.verb == "get")
		get(map, o);
	else if (o.verb == "add")
		add(map, o);
	else if (o.verb == "del")
		del(map, o);
	else
		load(map, o);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("map-edit", map_edit, argc, argv);
}
