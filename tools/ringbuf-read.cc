// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// ringbuf-read: print the events of a ring buffer, one a line, field by field, by
// the BTF of the program that writes them.

#include <bpf/libbpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/capability.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/json.h"
#include "lib/object.h"
#include "lib/printer.h"
#include "ringbuf-read/lost.h"

struct FreeRingBuffer {
	void operator()(struct ring_buffer *ring) const
	{
		ring_buffer__free(ring);
	}
};
using RingBuffer = std::unique_ptr<struct ring_buffer, FreeRingBuffer>;

constexpr int lost_interval_ms = 1000; // between two looks at the counter of lost events

enum class Format { Text, Json, PrettyJson, Hex };

struct Options {
	CommonOptions common;
	bool hex = false;
	__u64 count = UINT64_MAX;
	std::string type; // empty: the struct whose name ends in _event
	std::string btf;  // empty: that of a program which uses the map
	std::string lost; // empty: do not report lost events
	std::string map;
};

static void usage()
{
	fputs("Usage: ringbuf-read [OPTIONS] MAP\n"
	      "Print the events of the ring buffer pinned at MAP as they arrive, one a line.\n"
	      "\n"
	      "  -j, --json          print one JSON object a line\n"
	      "  -p, --pretty        print JSON, indented\n"
	      "      --hex           print the bytes, in hexadecimal; this needs no BTF\n"
	      "      --type=STRUCT   the type of an event (default: the struct named *_event)\n"
	      "      --btf=OBJ       take BTF from this object file (default: from a loaded\n"
	      "                      program that uses the map, which needs CAP_SYS_ADMIN)\n"
	      "      --count=N       end after N events\n"
	      "      --lost=MAP      report lost events; the map pinned at MAP counts them in a\n"
	      "                      number, or in the field lost of a struct\n"
	      "  -v, --verbose       print libbpf's log\n"
	      "  -h, --help          print this and exit\n"
	      "  -V, --version       print the version and exit\n"
	      "\n"
	      "It ends on SIGINT, on SIGTERM, and when its output is closed. It reports on\n"
	      "standard error how many events it has read and, with --lost, how many were lost.\n",
	      stdout);
}

enum { OptHex = 256, OptType, OptBtf, OptCount, OptLost }; // without a short form

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"hex", no_argument, nullptr, OptHex},
		{"type", required_argument, nullptr, OptType},
		{"btf", required_argument, nullptr, OptBtf},
		{"count", required_argument, nullptr, OptCount},
		{"lost", required_argument, nullptr, OptLost},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = next_option(argc, argv, "jpvhV", options)) != -1) {
		switch (c) {
		case OptHex:
			o.hex = true;
			break;
		case OptType:
			o.type = require_nonempty(optarg, "--type");
			break;
		case OptBtf:
			o.btf = require_nonempty(optarg, "--btf");
			break;
		case OptCount:
			o.count = parse_number(optarg, "--count", 1, UINT64_MAX - 1);
			break;
		case OptLost:
			o.lost = require_nonempty(optarg, "--lost");
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (o.common.json && o.hex)
		throw UsageError("only one of --json, --hex");
	if (o.hex && !o.type.empty())
		throw UsageError("--type does not go with --hex");
	if (argc == optind)
		throw UsageError("MAP is missing");
	if (argc - optind > 1)
		throw UsageError("too many arguments: " + quote(argv[optind + 1]));
	o.map = argv[optind];
	return true;
}

// ---- the type of an event

static Btf btf_of_program(const Fd &map, const std::string &path)
{
	std::string what = "find a program that uses map " + quote(path);
	const char *way_out = ", or --btf or --hex";
	__u32 id = btf_of_map_user(map_info(map).id);

	if (id)
		return load_btf_id(id, way_out);
	if (errno == ENOENT)
		fail(what, "no loaded program with BTF uses it: try --btf or --hex");
	fail(errno, what, why_denied(errno, {CAP_SYS_ADMIN}, CountsFor::Bpf, "", way_out));
}

// The only struct that is named *_event.
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
		fail("find the type of the events", "no struct is named *_event: give --type");
	if (count > 1)
		fail("find the type of the events", "give --type, one of: " + names);
	return found;
}

// The struct called `name`, with or without "struct " before it, or if that is empty, *_event.
static Type event_type(const struct btf *btf, const std::string &name)
{
	std::string bare = name.starts_with("struct ") ? name.substr(7) : name;
	__u32 id = bare.empty() ? find_event(btf) : find_struct(btf, bare);

	if (!id)
		fail("find type " + quote(name), "no struct of this name in the BTF");
	return read_type(btf, id);
}

// ---- signals

static volatile sig_atomic_t stopping; // since the first signal
static volatile sig_atomic_t give_up;  // a second signal, or one second later
static int stop_fd = -1;	       // an eventfd, so that poll() wakes up too

static void on_stop(int)
{
	const __u64 one = 1;
	int saved = errno;

	if (stopping)
		give_up = 1;
	stopping = 1;
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
	signal(SIGPIPE, SIG_IGN); // write() returns EPIPE instead
}

// ---- reading

class Reader
{
public:
	// `type` is not needed for Format::Hex. Reading ends after `count` events.
	Reader(const Type &type, Format format, __u64 count)
	    : size_(type.size), printer_(type, form_of(format)), format_(format), count_(count)
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
			self->error_ = std::current_exception();
			return -ECANCELED;
		}
	}

	// Write what is held back, and throw what on_event() could not.
	void finish_burst()
	{
		flush();
		if (error_)
			std::rethrow_exception(error_);
	}

	__u64 events() const
	{
		return events_;
	}

	bool is_done() const
	{
		return stopping || closed_ || events_ == count_;
	}

private:
	int event(Bytes bytes)
	{
		events_++;
		if (format_ != Format::Hex && bytes.size() < size_)
			fail("read an event",
			     "it has " + std::to_string(bytes.size()) + " bytes, and its type " +
				     std::to_string(size_) + ": try another --type, or --hex");
		append(bytes);
		if (used_ >= output_buffer) {
			flush();
			return -ECANCELED; // a burst may never end: let read_events() look about
		}
		return is_done() ? -ECANCELED : 0;
	}

	static Form form_of(Format format)
	{
		return format == Format::Text ? Form::Unbraced : Form::Json;
	}

	// Text of the event, and an end of line.
	void append(Bytes bytes)
	{
		size_t longest =
			1 + (format_ == Format::Hex ? 3 * bytes.size() : printer_.longest());

		if (out_.size() < used_ + longest)
			out_.resize(used_ + longest + output_buffer);
		char *begin = out_.data() + used_;
		char *end = format_ == Format::Hex ? write_bytes(bytes, begin)
						   : printer_.write(bytes, begin);
		if (format_ == Format::PrettyJson) {
			std::string pretty = indent_json({begin, end});

			out_.resize(std::max(out_.size(), used_ + pretty.size() + 1));
			end = std::copy(pretty.begin(), pretty.end(), out_.data() + used_);
		}
		*end++ = '\n';
		used_ = end - out_.data();
	}

	static char *write_bytes(Bytes bytes, char *out)
	{
		for (size_t i = 0; i < bytes.size(); i++) {
			if (i)
				*out++ = ' ';
			out = write_hex(out, bytes[i]);
		}
		return out;
	}

	// Not by write_out(): a closed output is no error here, and a signal ends the wait.
	void flush()
	{
		size_t done = 0;
		int err = 0;

		while (done < used_ && !closed_ && !err) {
			ssize_t n = write(STDOUT_FILENO, out_.data() + done, used_ - done);

			if (n >= 0)
				done += n;
			else if (errno == EPIPE)
				closed_ = true;
			else if (errno != EINTR || give_up)
				err = errno;
		}
		used_ = 0; // after an error, too: nothing may be written twice
		if (err == EINTR)
			fail("write to standard output", "stopped before all was written");
		if (err)
			fail(err, "write to standard output");
	}

	__u32 size_; // of an event, at least
	Printer printer_;
	Format format_;
	__u64 count_;
	__u64 events_ = 0;
	std::vector<char> out_;
	size_t used_ = 0;     // of out_
	bool closed_ = false; // the output
	std::exception_ptr error_;
};

static void read_events(struct ring_buffer *ring, const std::string &path, Reader &reader,
			std::optional<LostCounter> &lost)
{
	std::array<struct pollfd, 3> fds = {{
		{ring_buffer__epoll_fd(ring), POLLIN, 0},
		{stop_fd, POLLIN, 0},
		{STDOUT_FILENO, 0, 0}, // POLLERR when the other end of a pipe is closed
	}};
	auto next_look = std::chrono::steady_clock::now();

	while (!reader.is_done()) {
		int err = ring_buffer__consume(ring);

		reader.finish_burst(); // the events before an error are printed, too
		if (err < 0 && err != -ECANCELED)
			fail(-err, "read ring buffer " + quote(path));
		if (auto now = std::chrono::steady_clock::now(); lost && now >= next_look) {
			lost->print_new();
			next_look = now + std::chrono::milliseconds(lost_interval_ms);
		}
		if (err < 0)
			continue; // more may have come meanwhile
		if (poll(fds.data(), fds.size(), lost ? lost_interval_ms : -1) < 0 &&
		    errno != EINTR)
			fail(errno, "wait for ring buffer " + quote(path));
		if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL))
			return;
	}
}

static Format format_of(const Options &o)
{
	if (o.hex)
		return Format::Hex;
	if (!o.common.json)
		return Format::Text;
	return o.common.pretty ? Format::PrettyJson : Format::Json;
}

static Reader make_reader(const Options &o, const Fd &map)
{
	Type type;

	if (!o.hex) {
		Btf btf = o.btf.empty() ? btf_of_program(map, o.map) : load_btf_file(o.btf);

		type = event_type(btf.get(), o.type);
	}
	return {type, format_of(o), o.count};
}

static int ringbuf_read(int argc, char **argv)
{
	std::optional<LostCounter> lost;
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	Fd map = open_pinned(ObjectKind::Map, o.map);
	__u32 type = map_info(map).type;
	if (type != BPF_MAP_TYPE_RINGBUF)
		fail("open map " + quote(o.map),
		     "its type is " + map_type_name(type) + ", not ringbuf");
	Reader reader = make_reader(o, map);
	if (!o.lost.empty())
		lost.emplace(o.lost, o.btf);

	catch_signals();
	RingBuffer ring(ring_buffer__new(map.get(), Reader::on_event, &reader, nullptr));
	if (!ring)
		fail(errno, "open ring buffer " + quote(o.map));
	if (lost)
		lost->print_before();
	read_events(ring.get(), o.map, reader, lost);

	tell(std::to_string(reader.events()) + " events read" +
	     (lost ? ", " + std::to_string(lost->since_start()) + " lost" : ""));
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("ringbuf-read", ringbuf_read, argc, argv);
}
