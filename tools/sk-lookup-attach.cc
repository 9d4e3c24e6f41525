// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// sk-lookup-attach: attach a pinned sk_lookup program to a network namespace by
// a pinned link, or replace the program of such a link; or show those of a namespace.

#include <bpf/bpf.h>
#include <getopt.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "lib/capability.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/lock.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/pin.h"
#include "sk-lookup-attach/show.h"

struct Options {
	CommonOptions common;
	std::string expect; // empty: any program
	bool replace = false;
	bool show = false;
	unsigned wait = default_wait; // seconds
	std::string prog;
	std::string link;
};

static void usage()
{
	fputs("Usage: sk-lookup-attach [OPTIONS] PROG LINK\n"
	      "       sk-lookup-attach --show [OPTIONS]\n"
	      "Attach the sk_lookup program pinned at PROG to a network namespace, and pin the\n"
	      "link at LINK. The program stays attached as long as the link is pinned.\n"
	      "\n"
	      "      --expect=PROG   with --replace: only if the link holds this program, given\n"
	      "                      by its pin or its id\n"
	      "  -r, --replace       replace the program of the link pinned at LINK, atomically\n"
	      "  -n, --netns=NETNS   the network namespace: NAME, PID or PATH (default: the\n"
	      "                      caller's)\n"
	      "      --show          print the programs of the network namespace in the order\n"
	      "                      in which they run, with their links and pins\n"
	      "  -j, --json          with --show: print JSON\n"
	      "  -p, --pretty        with --show: print JSON, indented\n"
	      "      --wait=SECONDS  wait so long while others have the directories of PROG and\n"
	      "                      LINK locked (default: 30)\n"
	      "  -v, --verbose       print the result, and libbpf's log\n"
	      "  -h, --help          print this and exit\n"
	      "  -V, --version       print the version and exit\n"
	      "\n"
	      "To detach, remove the pin: rm LINK\n",
	      stdout);
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"expect", required_argument, nullptr, 'e'}, // long only: not in the string below
		{"replace", no_argument, nullptr, 'r'},
		{"netns", required_argument, nullptr, 'n'},
		{"show", no_argument, nullptr, 's'},	   // long only, too
		{"wait", required_argument, nullptr, 'w'}, // long only, too
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = next_option(argc, argv, "rn:jpvhV", options)) != -1) {
		switch (c) {
		case 'e':
			o.expect = require_nonempty(optarg, "--expect");
			break;
		case 'r':
			o.replace = true;
			break;
		case 's':
			o.show = true;
			break;
		case 'w':
			o.wait = parse_wait(optarg);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (!o.expect.empty() && !o.replace)
		throw UsageError("--expect can only be used with --replace");
	if (o.common.json && !o.show)
		throw UsageError("--json and --pretty can only be used with --show");
	if (o.show && o.replace)
		throw UsageError("--show and --replace cannot be used together");
	if (o.show && argc > optind)
		throw UsageError("--show takes no PROG and LINK");
	if (o.show)
		return true;
	if (argc - optind < 2)
		throw UsageError(argc == optind ? "PROG and LINK are missing" : "LINK is missing");
	if (argc - optind > 2)
		throw UsageError("too many arguments: " + quote(argv[optind + 2]));
	o.prog = argv[optind];
	o.link = argv[optind + 1];
	return true;
}

// A program that is attached twice would run twice for each lookup, to no effect.
static void refuse_more_than(int count, const Fd &netns, __u32 prog_id, const std::string &what)
{
	std::vector<__u32> ids = attached_programs(netns);

	if (std::count(ids.begin(), ids.end(), prog_id) > count)
		fail(what, "program " + std::to_string(prog_id) +
				   " is already attached to this network namespace");
}

static std::string why_attach(int err)
{
	switch (err) {
	case EPERM:
		return needs({CAP_BPF});
	case E2BIG:
		return std::to_string(max_programs) + " programs are already attached";
	}
	return "";
}

static void attach(const Fd &prog, const Fd &netns, const std::string &pin, const std::string &what)
{
	__u32 id = prog_info(prog).id;

	check_pin_path(pin, false);
	refuse_more_than(0, netns, id, what);
	Fd link(bpf_link_create(prog.get(), netns.get(), BPF_SK_LOOKUP, nullptr));
	if (!link)
		fail(errno, what, why_attach(errno));
	// If this fails, the link goes with its fd.
	refuse_more_than(1, netns, id, what);
	size_t others = attached_programs(netns).size() - 1;
	if (others)
		warn((others == 1 ? "another program runs"
				  : std::to_string(others) + " other programs run") +
		     " before it: the first one that selects a socket decides (see --show)");
	pin_all({{link, pin}}, {});
}

// `expected` is the program that the link must hold; not open: any.
static void replace(const Fd &prog, const Fd &netns, const std::string &pin, const Fd &expected)
{
	std::string what = "replace the program of link " + quote(pin);
	Fd link = open_pinned(ObjectKind::Link, pin);
	struct bpf_link_info info = link_info(link);
	LIBBPF_OPTS(bpf_link_update_opts, opts);
	__u32 id = prog_info(prog).id;

	if (info.type != BPF_LINK_TYPE_NETNS || info.netns.attach_type != BPF_SK_LOOKUP)
		fail(what, "not the link of an sk_lookup program");
	if (!info.netns.netns_ino)
		fail(what,
		     "it was detached, by 'bpftool link detach' or with its network namespace: "
		     "remove the pin, and attach anew");
	if (info.netns.netns_ino != netns_inode(netns))
		fail(what, "it is attached to another network namespace");
	if (info.prog_id != id)
		refuse_more_than(0, netns, id, what);

	if (expected) {
		__u32 expected_id = prog_info(expected).id;
		if (info.prog_id != expected_id)
			fail(what, "it holds program " + std::to_string(info.prog_id) + ", not " +
					   std::to_string(expected_id));
		// The kernel compares again, at the moment of the change.
		opts.flags = BPF_F_REPLACE;
		opts.old_prog_fd = expected.get();
	}
	if (bpf_link_update(link.get(), prog.get(), &opts))
		fail_to_replace(errno, link, info.prog_id, what);
}

static int sk_lookup_attach(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	if (o.show) {
		show_attached(open_netns(o.common.netns), o.common);
		return 0;
	}

	auto locks = lock_directories({directory_of(o.prog), directory_of(o.link)}, o.wait);
	Fd prog = open_prog_of_type(o.prog, BPF_PROG_TYPE_SK_LOOKUP);
	Fd expected = o.expect.empty() ? Fd() : open_prog(o.expect, "--expect");
	Fd netns = open_netns(o.common.netns);
	std::string result = "attached program " + std::to_string(prog_info(prog).id) +
			     " to network namespace net:[" + std::to_string(netns_inode(netns)) +
			     "] by link " + quote(o.link);

	if (o.common.verbose)
		check_stdout();
	if (o.replace)
		replace(prog, netns, o.link, expected);
	else
		attach(prog, netns, o.link, "attach program " + quote(o.prog));
	if (o.common.verbose)
		puts(result.c_str());
	flush_stdout("but it is done: " + result);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("sk-lookup-attach", sk_lookup_attach, argc, argv);
}
