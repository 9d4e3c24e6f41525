// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// ringbuf-read: print the events of a ring buffer, one a line, field by field, by
// the BTF of the program that writes them.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/object.h"
#include "lib/value.h"
#include "lib/value_json.h"

struct FreeRingBuffer {
	void operator()(struct ring_buffer *ring) const
	{
		ring_buffer__free(ring);
	}
};
using RingBuffer = std::unique_ptr<struct ring_buffer, FreeRingBuffer>;

constexpr size_t flush_bytes = 65536;  // of output that is held back within a burst
constexpr int lost_interval_ms = 1000; // how often the counter of lost events is looked at

struct Options {
	CommonOptions common;
	enum class Format { Text, Json, Hex };

	Format format = Format::Text;
	bool pretty = false;
	bool verbose = false;
	__u64 count = UINT64_MAX;
	std::string type; // empty: the struct whose name ends in _event
	std::string btf;  // empty: that of a program which uses the map
	std::string lost; // empty: not known
	std::string map;
};

static void usage()
{
	fputs("Usage: ringbuf-read [OPTIONS] MAP\n"
	      "Print the events of the ring buffer pinned at MAP as they come, one a line.\n"
	      "\n"
	      "  -j, --json          one JSON object a line\n"
	      "  -p, --pretty        JSON, indented\n"
	      "  -x, --hex           the bytes, in hexadecimal; needs no BTF\n"
	      "  -t, --type=STRUCT   what an event is (default: the struct called *_event)\n"
	      "  -b, --btf=OBJ       take BTF from this object file (default: from a loaded\n"
	      "                      program that uses the map, which needs CAP_SYS_ADMIN)\n"
	      "  -c, --count=N       end after N events\n"
	      "  -l, --lost=MAP      the pinned map that counts the events that were lost: a\n"
	      "                      number, or a struct with a field called lost\n"
	      "  -v, --verbose       let libbpf speak\n"
	      "  -h, --help          print this and exit\n"
	      "  -V, --version       print the version and exit\n"
	      "\n"
	      "It ends on SIGINT, on SIGTERM and when its output is closed. What was read, and\n"
	      "with --lost what was lost, is said on standard error.\n",
	      stdout);
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"hex", no_argument, nullptr, 'x'},
		{"type", required_argument, nullptr, 't'},
		{"btf", required_argument, nullptr, 'b'},
		{"count", required_argument, nullptr, 'c'},
		{"lost", required_argument, nullptr, 'l'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	bool json = false;
	bool hex = false;
	int c;

	while ((c = getopt_long(argc, argv, "jpxt:b:c:l:vhV", options, nullptr)) != -1) {
		switch (c) {
		case 'p':
			o.common.pretty = true;
			[[fallthrough]];
		case 'j':
			json = true;
			o.format = Options::Format::Json;
			break;
		case 'x':
			hex = true;
			o.format = Options::Format::Hex;
			break;
		case 't':
			o.type = require_nonempty(optarg, "--type");
			break;
		case 'b':
			o.btf = require_nonempty(optarg, "--btf");
			break;
		case 'c':
			o.count = parse_number(optarg, "--count", 1, UINT64_MAX - 1);
			break;
		case 'l':
			o.lost = require_nonempty(optarg, "--lost");
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (json && hex)
		throw UsageError("only one of --json, --hex");
	if (hex && !o.type.empty())
		throw UsageError("--type does not go with --hex");
	if (argc == optind)
		throw UsageError("MAP is missing");
	if (argc - optind > 1)
		throw UsageError("too many arguments: " + quote(argv[optind + 1]));
	o.map = argv[optind];
	return true;
}

// ---- what an event is

static Btf btf_of_a_user(const Fd &map, const std::string &path)
{
	std::string what = "find a program that uses map " + quote(path);
	__u32 id = btf_of_map_user(map_info(map).id);

	if (id)
		return load_btf_id(id);
	if (errno == ENOENT)
		fail(what, "none is loaded, or none has BTF: try --btf or --hex");
	fail(errno, what, errno == EPERM ? "needs CAP_SYS_ADMIN; without, --btf or --hex" : "");
}

// The only struct that is called *_event.
static __u32 find_event(const struct btf *btf)
{
	std::string names;
	__u32 found = 0;
	int count = 0;

	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		std::string name = btf__name_by_offset(btf, t->name_off);

		if (!btf_is_struct(t) || !name.ends_with("_event"))
			continue;
		names += (count++ ? ", " : "") + name;
		found = id;
	}
	if (!count)
		fail("find the type of the events", "no struct is called *_event: give a --type");
	if (count > 1)
		fail("find the type of the events", "give a --type, one of: " + names);
	return found;
}

static Type event_type(const Options &o, const Fd &map)
{
	Btf btf = o.btf.empty() ? btf_of_a_user(map, o.map) : load_btf_file(o.btf);
	std::string name = o.type.starts_with("struct ") ? o.type.substr(7) : o.type;
	__u32 id = name.empty() ? find_event(btf.get()) : find_struct(btf.get(), name);

	if (!id)
		fail("find type " + quote(o.type), "no struct of this name in the BTF");
	return read_type(btf.get(), id);
}

// ---- what was lost

// A counter in a map: the sum over all its entries, and over all CPUs.
class LostCounter
{
public:
	LostCounter(const std::string &path, const std::string &btf_path)
	    : path_(path), map_(open_pinned(ObjectKind::Map, path)), info_(map_info(map_))
	{
		if (info_.type != BPF_MAP_TYPE_ARRAY && info_.type != BPF_MAP_TYPE_PERCPU_ARRAY)
			fail("open map " + quote(path), "its type is " + map_type_name(info_.type) +
								", not array or percpu_array");
		find_field(btf_path);
		if (info_.type == BPF_MAP_TYPE_PERCPU_ARRAY)
			copies_ = libbpf_num_possible_cpus();
		stride_ = copies_ == 1 ? info_.value_size : (info_.value_size + 7) / 8 * 8;
		values_.resize(static_cast<size_t>(stride_) * copies_ + 8);
	}

	__u64 read()
	{
		__u64 sum = 0;

		for (__u32 key = 0; key < info_.max_entries; key++) {
			if (bpf_map_lookup_elem(map_.get(), &key, values_.data()))
				fail(errno, "read map " + quote(path_));
			for (int i = 0; i < copies_; i++)
				sum += integer(field_,
					       Bytes(values_).subspan(
						       offset_ + static_cast<size_t>(i) * stride_));
		}
		return sum;
	}

private:
	void find_field(const std::string &btf_path)
	{
		std::string what = "find the field 'lost' of map " + quote(path_);
		__u32 id = info_.btf_value_type_id;
		Btf btf;

		if (!btf_path.empty()) {
			btf = load_btf_file(btf_path);
			id = find_map_types(btf.get(), object_name(info_.name)).value;
		} else if (id) {
			btf = load_btf_id(info_.btf_id);
		}
		if (!id) {
			if (info_.value_size != 4 && info_.value_size != 8)
				fail(what, btf ? quote(btf_path) + " has no map of this name"
					       : "the map has no BTF: try --btf");
			field_.size = info_.value_size;
			return;
		}
		Type type = read_type(btf.get(), id);
		field_ = type;
		for (const Type::Member &m : type.members) {
			if (m.name != "lost")
				continue;
			field_ = m.type;
			offset_ = m.offset;
		}
		if (field_.kind != Type::Kind::Unsigned || offset_ + field_.size > info_.value_size)
			fail(what, "there is none, or it is no unsigned integer");
	}

	std::string path_;
	Fd map_;
	struct bpf_map_info info_;
	Type field_;
	__u32 offset_ = 0;
	__u32 stride_ = 0;
	int copies_ = 1;
	std::vector<unsigned char> values_;
};

// ---- reading

static volatile sig_atomic_t stopped; // 2: a second ago, or twice
static int stop_fd = -1;	      // an eventfd, so that poll() wakes up too

static void on_stop(int)
{
	const __u64 one = 1;
	int saved = errno;

	stopped = stopped ? 2 : 1;
	alarm(1); // for a write() that waits for somebody who does not read
	// It may be full: then it has been written before, which does as well.
	[[maybe_unused]] ssize_t n = write(stop_fd, &one, sizeof(one));
	errno = saved;
}

static void catch_signals()
{
	struct sigaction action = {};

	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0)
		fail(errno, "make an eventfd");
	action.sa_handler = on_stop;
	sigaction(SIGINT, &action, nullptr);
	sigaction(SIGTERM, &action, nullptr);
	sigaction(SIGALRM, &action, nullptr);
	signal(SIGPIPE, SIG_IGN); // write() says EPIPE instead
}

class Reader
{
public:
	Reader(const Options &options, Type type) : o(options), type_(std::move(type))
	{
	}

	// Called by libbpf for each event. A negative result ends ring_buffer__consume()
	// after this event, which counts as read.
	static int on_event(void *context, void *data, size_t size)
	{
		auto *self = static_cast<Reader *>(context);

		try {
			return self->event({static_cast<unsigned char *>(data), size});
		} catch (...) {
			// No exception may pass through C.
			self->error = std::current_exception();
			return -ECANCELED;
		}
	}

	// Write out what is held back.
	void flush()
	{
		size_t done = 0;

		while (done < out_.size() && !closed) {
			ssize_t n = write(STDOUT_FILENO, out_.data() + done, out_.size() - done);

			if (n >= 0) {
				done += n;
			} else if (errno == EPIPE) {
				closed = true;
			} else if (errno != EINTR) {
				out_.clear();
				fail(errno, "write to standard output");
			} else if (stopped > 1) {
				out_.clear();
				fail("write to standard output", "stopped before all was written");
			}
		}
		out_.clear();
	}

	__u64 read = 0;
	bool closed = false;
	std::exception_ptr error;

private:
	int event(Bytes bytes)
	{
		read++;
		if (o.format == Options::Format::Hex)
			append_hex(bytes);
		else if (bytes.size() < type_.size)
			fail("read an event",
			     "it has " + std::to_string(bytes.size()) + " bytes, and its type " +
				     std::to_string(type_.size) + ": try another --type, or --hex");
		else if (o.format == Options::Format::Json)
			out_ += to_json(type_, bytes)
					.dump(o.common.pretty ? 4 : -1, ' ', true,
					      nlohmann::json::error_handler_t::replace);
		else
			print_unbraced(type_, bytes, out_);
		out_ += '\n';
		if (out_.size() >= flush_bytes) {
			flush();
			return -ECANCELED; // a burst may never end: let read_events() look about
		}
		return read == o.count || stopped || closed ? -ECANCELED : 0;
	}

	void append_hex(Bytes bytes)
	{
		static constexpr char digits[] = "0123456789abcdef";

		for (size_t i = 0; i < bytes.size(); i++) {
			if (i)
				out_ += ' ';
			out_ += digits[bytes[i] >> 4];
			out_ += digits[bytes[i] & 15];
		}
	}

	const Options &o;
	Type type_;
	std::string out_;
};

static void say_lost(std::optional<LostCounter> &counter, __u64 &said)
{
	if (!counter)
		return;
	__u64 now = counter->read();
	if (now != said)
		fprintf(stderr, "%s: %llu events lost\n", tool_name().c_str(), now - said);
	said = now;
}

static void read_events(const Options &o, struct ring_buffer *ring, Reader &reader,
			std::optional<LostCounter> &counter, __u64 &lost)
{
	std::array<struct pollfd, 3> fds = {{
		{ring_buffer__epoll_fd(ring), POLLIN, 0},
		{stop_fd, POLLIN, 0},
		{STDOUT_FILENO, 0, 0}, // POLLERR when the other end of a pipe is closed
	}};
	auto next_look = std::chrono::steady_clock::now();

	while (!stopped && !reader.closed && reader.read < o.count) {
		int err = ring_buffer__consume(ring);

		if (err >= 0 || err == -ECANCELED)
			reader.flush(); // what came before an error, too
		if (reader.error)
			std::rethrow_exception(reader.error);
		if (err < 0 && err != -ECANCELED)
			fail(-err, "read ring buffer " + quote(o.map));
		if (auto now = std::chrono::steady_clock::now(); now >= next_look) {
			say_lost(counter, lost);
			next_look = now + std::chrono::milliseconds(lost_interval_ms);
		}
		if (err < 0)
			continue; // more may have come meanwhile
		if (poll(fds.data(), fds.size(), counter ? lost_interval_ms : -1) < 0 &&
		    errno != EINTR)
			fail(errno, "wait for ring buffer " + quote(o.map));
		if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL))
			return;
	}
}

static int ringbuf_read(int argc, char **argv)
{
	std::optional<LostCounter> counter;
	__u64 before = 0;
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	Fd map = open_pinned(ObjectKind::Map, o.map);
	__u32 type = map_info(map).type;
	if (type != BPF_MAP_TYPE_RINGBUF)
		fail("open map " + quote(o.map),
		     "its type is " + map_type_name(type) + ", not ringbuf");
	Reader reader(o, o.format == Options::Format::Hex ? Type{} : event_type(o, map));
	if (!o.lost.empty())
		before = counter.emplace(o.lost, o.btf).read();

	catch_signals();
	RingBuffer ring(ring_buffer__new(map.get(), Reader::on_event, &reader, nullptr));
	if (!ring)
		fail(errno, "open ring buffer " + quote(o.map));
	if (before)
		fprintf(stderr, "%s: %llu events were lost before\n", tool_name().c_str(), before);
	__u64 lost = before;
	read_events(o, ring.get(), reader, counter, lost);

	fprintf(stderr, "%s: %llu events read", tool_name().c_str(), reader.read);
	if (counter)
		fprintf(stderr, ", %llu lost", counter->read() - before);
	fputs("\n", stderr);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("ringbuf-read", ringbuf_read, argc, argv);
}
