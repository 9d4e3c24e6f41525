// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// runs PROG INPUT COUNT: have the kernel run the program pinned at PROG COUNT times
// (BPF_PROG_TEST_RUN) and print its verdict, the nanoseconds of processor time that a run takes,
// and the instructions, or "-" where the processor does not let the kernel count them. What two
// runs take is taken off, as it is mostly the kernel's preparation. INPUT is a frame in
// hexadecimal; of a sk_lookup program, the port that is looked up, and the verdict ends with
// "+socket" if it has selected one.

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "../../tools/lib/cli.h"
#include "../../tools/lib/object.h"

// The instructions that the kernel executes for this process.
static Fd count_instructions()
{
	struct perf_event_attr attr = {};

	attr.type = PERF_TYPE_HARDWARE;
	attr.size = sizeof(attr);
	attr.config = PERF_COUNT_HW_INSTRUCTIONS;
	attr.exclude_user = 1;
	return Fd(static_cast<int>(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0)));
}

struct Cost {
	double ns = 0;
	__u64 instructions = 0;
};

// What the kernel has to do for so many runs.
static Cost cost(const Fd &prog, struct bpf_test_run_opts &run, int count)
{
	struct timespec begin, end;
	Cost cost;

	run.repeat = count;
	Fd instructions = count_instructions();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	if (bpf_prog_test_run_opts(prog.get(), &run))
		fail(errno, "run the program");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	if (instructions &&
	    read(instructions.get(), &cost.instructions, sizeof(cost.instructions)) < 0)
		fail(errno, "read the count of instructions");
	cost.ns = static_cast<double>(end.tv_sec - begin.tv_sec) * 1e9 +
		  static_cast<double>(end.tv_nsec - begin.tv_nsec);
	return cost;
}

static Cost least(const Cost &a, const Cost &b)
{
	return {std::min(a.ns, b.ns), std::min(a.instructions, b.instructions)};
}

static std::vector<unsigned char> parse_frame(const std::string &hex)
{
	std::vector<unsigned char> frame;

	for (size_t i = 0; i < hex.size(); i += 2)
		frame.push_back(parse_number(hex.substr(i, 2), "INPUT", 0, 255, 16));
	return frame;
}

static int runs(int argc, char **argv)
{
	if (argc != 4)
		fail("read the arguments", "they are not PROG INPUT COUNT");
	Fd prog = open_prog(argv[1], "PROG");
	auto count = static_cast<int>(parse_number(argv[3], "COUNT", 1, 1000000000));
	struct bpf_sk_lookup lookup = {};
	struct bpf_sk_lookup result = {};
	std::vector<unsigned char> frame;
	LIBBPF_OPTS(bpf_test_run_opts, run);

	if (prog_info(prog).type == BPF_PROG_TYPE_SK_LOOKUP) {
		lookup.family = AF_INET;
		lookup.protocol = IPPROTO_TCP;
		lookup.local_ip4 = htonl(INADDR_LOOPBACK);
		lookup.local_port = static_cast<__u32>(parse_number(argv[2], "INPUT", 1, 65535));
		run.ctx_in = &lookup;
		run.ctx_size_in = sizeof(lookup);
		run.ctx_out = &result;
		run.ctx_size_out = sizeof(result);
	} else {
		frame = parse_frame(argv[2]);
		run.data_in = frame.data();
		run.data_size_in = static_cast<__u32>(frame.size());
	}

	// The first time is slower, under emulation a thousandfold; others may be disturbed.
	Cost two = cost(prog, run, 2);
	for (int i = 0; i < 3; i++)
		two = least(two, cost(prog, run, 2));
	Cost all = cost(prog, run, count + 2);

	// Where the kernel trusts no TSC, a process's clock may go by its ticks. What the kernel
	// itself has measured is of whole nanoseconds.
	double ns = all.ns > two.ns ? (all.ns - two.ns) / count : run.duration;
	printf("%u%s %.2f ", run.retval, result.cookie ? "+socket" : "", ns);
	if (all.instructions)
		printf("%.1f\n", static_cast<double>(all.instructions - two.instructions) / count);
	else
		puts("-");
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("runs", runs, argc, argv);
}
