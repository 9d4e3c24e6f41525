// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// flood PROG SENT DEV FRAME COUNT MS: have the kernel run flood.bpf.c, pinned at PROG, on
// copies of FRAME (in hexadecimal) as if they came in by DEV, and send them as it says; until
// there were COUNT of them, or MS milliseconds are over. SENT is its map. Prints how many were
// sent, how many of them were timed, and how many nanoseconds these took. The kernel's own
// preparations, which may take long on a busy machine, are in none of it.

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sys/time.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "../../tools/lib/cli.h"
#include "../../tools/lib/object.h"
#include "flood.h"

static std::vector<unsigned char> parse_frame(const std::string &hex)
{
	std::vector<unsigned char> frame;

	for (size_t i = 0; i < hex.size(); i += 2)
		frame.push_back(parse_number(hex.substr(i, 2), "FRAME", 0, 255, 16));
	return frame;
}

// A signal ends bpf_prog_test_run_opts().
static void end_after(__u64 ms)
{
	struct itimerval timer = {};

	timer.it_value.tv_sec = static_cast<time_t>(ms / 1000);
	timer.it_value.tv_usec = static_cast<suseconds_t>(ms % 1000 * 1000);
	signal(SIGALRM, [](int) {});
	setitimer(ITIMER_REAL, &timer, nullptr);
}

static int flood(int argc, char **argv)
{
	if (argc != 7)
		fail("read the arguments", "they are not PROG SENT DEV FRAME COUNT MS");
	Fd prog = open_prog_of_type(argv[1], BPF_PROG_TYPE_XDP);
	Fd map = open_pinned(ObjectKind::Map, argv[2]);
	unsigned ifindex = if_nametoindex(argv[3]);
	if (!ifindex)
		fail(errno, "find device " + quote(argv[3]));
	std::vector<unsigned char> frame = parse_frame(argv[4]);

	struct xdp_md ctx = {};
	ctx.data_end = frame.size();
	ctx.ingress_ifindex = ifindex;
	LIBBPF_OPTS(bpf_test_run_opts, run);
	run.data_in = frame.data();
	run.data_size_in = frame.size();
	run.ctx_in = &ctx;
	run.ctx_size_in = sizeof(ctx);
	run.repeat = static_cast<int>(parse_number(argv[5], "COUNT", 1, 1000000000));
	run.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	end_after(parse_number(argv[6], "MS", 1, 60000));
	if (bpf_prog_test_run_opts(prog.get(), &run) && errno != EINTR)
		fail(errno, "send by " + quote(argv[3]),
		     errno == EINVAL ? "a kernel before 5.18 has no live frames" : "");

	struct flood_sent sent;
	const __u32 zero = 0;
	if (bpf_map_lookup_elem(map.get(), &zero, &sent))
		fail(errno, "read map " + quote(argv[2]));
	printf("%llu %llu %llu\n", sent.packets, sent.timed, sent.last - sent.first);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("flood", flood, argc, argv);
}
