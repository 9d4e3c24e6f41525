// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// sk-lookup-attach: attach a pinned sk_lookup program to a network namespace by
// a pinned link, or swap the program of such a link.

#include <bpf/bpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/pin.h"

constexpr size_t max_programs = 64; // of a netns: netns_bpf_max_progs() in the kernel

struct Options {
	CommonOptions common;
	std::string netns;  // empty: our own
	std::string expect; // empty: whatever is attached
	bool replace = false;
	std::string prog;
	std::string link;
};

static void usage()
{
	fputs("Usage: sk-lookup-attach [OPTIONS] PROG LINK\n"
	      "Attach the sk_lookup program pinned at PROG to a network namespace, and pin the\n"
	      "link at LINK. The program stays attached for as long as the link is pinned.\n"
	      "\n"
	      "  -n, --netns=NETNS   the network namespace: NAME, PID or PATH (default: ours)\n"
	      "  -r, --replace       swap the program of the link pinned at LINK, atomically\n"
	      "  -e, --expect=PROG   with --replace: only if the link holds this program, a\n"
	      "                      pin's path or an id\n"
	      "  -v, --verbose       say what was done; let libbpf speak\n"
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
		{"netns", required_argument, nullptr, 'n'},
		{"replace", no_argument, nullptr, 'r'},
		{"expect", required_argument, nullptr, 'e'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:re:vhV", options, nullptr)) != -1) {
		switch (c) {
		case 'n':
			o.netns = require_nonempty(optarg, "--netns");
			break;
		case 'r':
			o.replace = true;
			break;
		case 'e':
			o.expect = require_nonempty(optarg, "--expect");
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (!o.expect.empty() && !o.replace)
		throw UsageError("--expect goes with --replace");
	if (argc - optind < 2)
		throw UsageError(argc == optind ? "PROG and LINK are missing" : "LINK is missing");
	if (argc - optind > 2)
		throw UsageError("too many arguments: " + quote(argv[optind + 2]));
	o.prog = argv[optind];
	o.link = argv[optind + 1];
	return true;
}

static __u64 netns_inode(const Fd &netns)
{
	struct stat st;

	if (fstat(netns.get(), &st))
		fail(errno, "query network namespace");
	return st.st_ino;
}

// The programs attached to the namespace, by id.
static std::vector<__u32> attached(const Fd &netns)
{
	std::vector<__u32> ids(max_programs);
	__u32 count = ids.size();
	__u32 flags = 0;

	if (bpf_prog_query(netns.get(), BPF_SK_LOOKUP, 0, &flags, ids.data(), &count))
		fail(errno, "query the sk_lookup programs of the network namespace",
		     errno == EPERM ? "needs CAP_NET_ADMIN" : "");
	ids.resize(count);
	return ids;
}

// Attaching a program twice would run it twice for each lookup, to no effect.
static void refuse_twice(const Fd &netns, __u32 prog_id, const std::string &what)
{
	for (__u32 id : attached(netns))
		if (id == prog_id)
			fail(what, "program " + std::to_string(id) +
					   " is attached to this network namespace already");
}

static std::string why_attach(int err)
{
	switch (err) {
	case EPERM:
		return "needs CAP_NET_ADMIN and CAP_BPF";
	case E2BIG:
		return std::to_string(max_programs) + " programs are attached already";
	}
	return "";
}

static void attach(const Options &o, const Fd &prog, const Fd &netns)
{
	std::string what = "attach program " + quote(o.prog);

	check_pin_path(o.link, false);
	refuse_twice(netns, prog_info(prog).id, what);
	Fd link(bpf_link_create(prog.get(), netns.get(), BPF_SK_LOOKUP, nullptr));
	if (!link)
		fail(errno, what, why_attach(errno));
	// If this fails, the link goes with its fd.
	pin_all({{link, o.link}}, {});
}

static void replace(const Options &o, const Fd &prog, const Fd &netns)
{
	std::string what = "replace the program of link " + quote(o.link);
	Fd link = open_pinned(ObjectKind::Link, o.link);
	struct bpf_link_info info = link_info(link);
	LIBBPF_OPTS(bpf_link_update_opts, opts);
	__u32 id = prog_info(prog).id;
	Fd old;

	if (info.type != BPF_LINK_TYPE_NETNS || info.netns.attach_type != BPF_SK_LOOKUP)
		fail(what, "not the link of an sk_lookup program");
	if (!info.netns.netns_ino)
		fail(what, "its network namespace is gone");
	if (info.netns.netns_ino != netns_inode(netns))
		fail(what, "it belongs to another network namespace");
	if (info.prog_id != id)
		refuse_twice(netns, id, what);

	if (!o.expect.empty()) {
		old = open_prog(o.expect, "--expect");
		__u32 want = prog_info(old).id;
		if (info.prog_id != want)
			fail(what, "it holds program " + std::to_string(info.prog_id) + ", not " +
					   std::to_string(want));
		// And the kernel compares again, in the moment of the swap.
		opts.flags = BPF_F_REPLACE;
		opts.old_prog_fd = old.get();
	}
	if (bpf_link_update(link.get(), prog.get(), &opts))
		fail(errno, what,
		     errno == EPERM ? "not permitted, or its program changed meanwhile" : "");
}

static int sk_lookup_attach(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	Fd prog = open_prog_of_type(o.prog, BPF_PROG_TYPE_SK_LOOKUP);
	Fd netns = open_netns(o.netns);

	if (o.replace)
		replace(o, prog, netns);
	else
		attach(o, prog, netns);
	if (o.common.verbose)
		printf("program %u %s network namespace net:[%llu] by link '%s'\n",
		       prog_info(prog).id, o.replace ? "now serves" : "attached to",
		       netns_inode(netns), o.link.c_str());
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("sk-lookup-attach", sk_lookup_attach, argc, argv);
}
