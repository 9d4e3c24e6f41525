// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// xdp-attach: attach a pinned XDP program to a network interface, by itself or by
// a pinned link; replace it only if it is the expected one; detach it.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "lib/capability.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/interface.h"
#include "lib/lock.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/pin.h"
#include "lib/type.h"
#include "xdp-attach/report.h"
#include "xdp-attach/start.h"

static const Mode native = {"native", XDP_FLAGS_DRV_MODE, &bpf_xdp_query_opts::drv_prog_id};
static const Mode generic = {"generic", XDP_FLAGS_SKB_MODE, &bpf_xdp_query_opts::skb_prog_id};
static const Mode offloaded = {"offloaded", XDP_FLAGS_HW_MODE, &bpf_xdp_query_opts::hw_prog_id};

struct Options {
	CommonOptions common;
	const Mode *mode = nullptr; // nullptr: native, or else generic
	std::string expect;	    // empty: nothing is attached
	std::string link;	    // empty: without a link
	bool detach = false;
	bool force = false;
	std::optional<unsigned> wait; // seconds; with a link
	std::string dev;
	std::string prog;
};

// A program that is attached to a device.
struct Attachment {
	const Mode *mode;
	__u32 id;
	Fd prog; // not open where we have no right to, or where it is gone
};

static void usage()
{
	fputs("Usage: xdp-attach [OPTIONS] DEV PROG\n"
	      "       xdp-attach --detach [OPTIONS] DEV\n"
	      "Attach the XDP program pinned at PROG to the network interface DEV, in native\n"
	      "mode if the driver supports it, else in generic mode, and print the mode. If a\n"
	      "program is already attached, nothing is changed, unless --expect or --link names\n"
	      "it.\n"
	      "\n"
	      "      --mode=MODE     attach in this mode only: native or generic\n"
	      "      --expect=PROG   replace or detach only this program, atomically; PROG is a\n"
	      "                      pin or an id\n"
	      "      --link=PIN      attach by a link pinned at PIN: the program stays until\n"
	      "                      PIN is removed; if PIN exists, update the link, atomically\n"
	      "      --wait=SECONDS  with --link: wait so long while others have the directory\n"
	      "                      of PIN locked (default: 30)\n"
	      "      --detach        detach the program, whatever its mode, and verify it\n"
	      "      --force         attach also where the program starts at another header\n"
	      "                      than the packets of DEV: at Ethernet, or at the IP header\n"
	      "  -n, --netns=NETNS   look for DEV in this network namespace: NAME, PID or PATH\n"
	      "                      (default: the caller's)\n"
	      "  -j, --json          print the result as JSON\n"
	      "  -p, --pretty        print the same JSON, indented\n"
	      "  -v, --verbose       print libbpf's log\n"
	      "  -h, --help          print this and exit\n"
	      "  -V, --version       print the version and exit\n"
	      "\n"
	      "To detach a link, remove its pin: rm PIN\n",
	      stdout);
}

static const Mode *parse_mode_name(const std::string &text)
{
	for (const Mode *mode : {&native, &generic})
		if (text == mode->name)
			return mode;
	throw UsageError("unknown mode " + quote(text) + " (expected native or generic)");
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		// These are long only: not in the string below.
		{"mode", required_argument, nullptr, 'm'},
		{"expect", required_argument, nullptr, 'e'},
		{"link", required_argument, nullptr, 'l'},
		{"detach", no_argument, nullptr, 'd'},
		{"force", no_argument, nullptr, 'f'},
		{"wait", required_argument, nullptr, 'w'},

		{"netns", required_argument, nullptr, 'n'},
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
		case 'm':
			o.mode = parse_mode_name(optarg);
			break;
		case 'e':
			o.expect = require_nonempty(optarg, "--expect");
			break;
		case 'l':
			o.link = require_nonempty(optarg, "--link");
			break;
		case 'd':
			o.detach = true;
			break;
		case 'f':
			o.force = true;
			break;
		case 'w':
			o.wait = parse_wait(optarg);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (o.detach && o.mode)
		throw UsageError("--mode cannot be used with --detach");
	if (o.detach && o.force)
		throw UsageError("--force cannot be used with --detach");
	if (o.detach && !o.link.empty())
		throw UsageError("--link cannot be used with --detach: to detach a link, remove "
				 "its pin");
	if (o.wait && o.link.empty())
		throw UsageError("--wait can only be used with --link");
	if (argc == optind)
		throw UsageError(o.detach ? "DEV is missing" : "DEV and PROG are missing");
	if (argc - optind < 2 && !o.detach)
		throw UsageError("PROG is missing");
	int most = o.detach ? 1 : 2;
	if (argc - optind > most)
		throw UsageError("too many arguments: " + quote(argv[optind + most]));
	o.dev = argv[optind];
	if (!o.detach)
		o.prog = argv[optind + 1];
	return true;
}

// Attach program `prog` to the device, or nothing, if -1. With `expected`, only if
// that is what is attached. Returns 0 or an errno, and then extack() may say more.
static int set_program(const Interface &dev, int prog, __u32 flags, const Fd &expected)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);

	if (expected)
		opts.old_prog_fd = expected.get();
	clear_libbpf_warnings();
	return -bpf_xdp_attach(dev.index, prog, flags, &opts);
}

// The kernel's reason why it refused the last set_program(), which libbpf logs; or "".
static std::string extack()
{
	static const std::string prefix = "Kernel error message: ";

	for (const std::string &line : libbpf_warnings())
		if (size_t at = line.find(prefix); at != std::string::npos)
			return line.substr(at + prefix.size());
	return "";
}

// What an errno does not say.
static std::string cause(int err, bool by_link)
{
	if (!by_link)
		if (std::string text = extack(); !text.empty())
			return text;
	switch (err) {
	case EPERM:
		return by_link ? needs({CAP_BPF}) : needs({CAP_NET_ADMIN}, CountsFor::Owner);
	case EINVAL:
		return by_link ? "is it a program for a devmap or cpumap, or is the device gone?"
			       : "";
	case EOPNOTSUPP:
	case enotsupp:
		return "the driver has no native mode";
	case ERANGE:
		return "its MTU, or that of its peer, is too large for native mode";
	}
	return "";
}

// The attached programs: one in native or in generic mode, and maybe an offloaded one.
static std::vector<Attachment> find_attached(const Interface &dev)
{
	struct bpf_xdp_query_opts xdp = query_xdp(dev);
	std::vector<Attachment> attached;

	for (const Mode *mode : {&native, &generic, &offloaded})
		if (__u32 id = xdp.*mode->prog_id)
			attached.push_back({mode, id, Fd(bpf_prog_get_fd_by_id(id))});
	return attached;
}

static __u32 prog_id(const Fd &prog)
{
	return prog_info(prog).id;
}

// What the socket says where the kernel's answer may have got lost. All else is that answer.
static bool answer_is_lost(int err)
{
	return err == ENOBUFS || err == ENOMEM || err == EINTR || err == EAGAIN;
}

// Set the program, or with -1 none, and find out where the kernel's answer got lost.
static int change_program(const Interface &dev, const Mode &mode, int prog, __u32 id, __u32 flags,
			  const Fd &expected)
{
	int err = set_program(dev, prog, mode.flag | flags, expected);

	if (!answer_is_lost(err))
		return err;
	try {
		return query_xdp(dev).*mode.prog_id == id ? 0 : err;
	} catch (const std::exception &) {
		return err; // which says more
	}
}

// Is it attached by a link? Then the kernel refuses to set any program without the link. To
// set the same program again is the one thing to ask that changes nothing.
static bool is_by_link(const Interface &dev, const Attachment &a)
{
	return a.prog && set_program(dev, a.prog.get(), a.mode->flag, a.prog) == EBUSY;
}

// "link 5". It may be "link 5 or 6", as a link does not tell the network namespace of its
// ifindex.
static std::string link_of(const Interface &dev, const Attachment &a)
{
	std::string ids;
	__u32 id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		Fd link(bpf_link_get_fd_by_id(id));
		if (!link)
			continue; // it went away meanwhile
		struct bpf_link_info info = link_info(link);
		if (info.type == BPF_LINK_TYPE_XDP && info.prog_id == a.id &&
		    info.xdp.ifindex == static_cast<__u32>(dev.index))
			ids += (ids.empty() ? "" : " or ") + std::to_string(id);
	}
	return ids.empty() ? "a link" : "link " + ids;
}

// Is it the dispatcher of libxdp, which runs several programs one after the other?
static bool is_dispatcher(const Attachment &a)
{
	if (!a.prog)
		return false;
	struct bpf_prog_info info = prog_info(a.prog);
	return object_name(info.name) == "xdp_dispatcher" && info.btf_id &&
	       find_struct(load_btf_id(info.btf_id).get(), "xdp_dispatcher_config");
}

// "program 7 (xdp_pass) is attached in native mode"
static std::string describe(const Attachment &a)
{
	std::string text = "program " + std::to_string(a.id);

	if (a.prog)
		text += " (" + object_name(prog_info(a.prog).name) + ")";
	return text + " is attached in " + a.mode->name + " mode";
}

// All of them: "program 7 (xdp_pass) is attached in native mode by link 5".
static std::string describe_attached(const Interface &dev, const std::vector<Attachment> &attached)
{
	std::string text;

	for (const Attachment &a : attached) {
		text += (text.empty() ? "" : ", ") + describe(a);
		if (is_dispatcher(a))
			text += ": it is libxdp's dispatcher, use xdp-loader";
		else if (is_by_link(dev, a))
			text += " by " + link_of(dev, a);
	}
	return text;
}

// What drivers return for a program that they cannot run, or not as they are set up. All else is
// no reason to attach in generic mode.
static bool driver_refused(int err)
{
	return err == EOPNOTSUPP || err == enotsupp || err == EINVAL || err == ERANGE;
}

// Attach in this mode. Returns 0 or an errno, and with `by_link` the link.
static int try_attach(const Interface &dev, const Fd &prog, const Mode &mode, bool by_link,
		      Fd &link)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);

	if (!by_link)
		return change_program(dev, mode, prog.get(), prog_id(prog),
				      XDP_FLAGS_UPDATE_IF_NOEXIST, Fd());
	opts.flags = mode.flag;
	link = Fd(bpf_link_create(prog.get(), dev.index, BPF_XDP, &opts));
	return link ? 0 : errno;
}

// Attach where nothing is attached: in native mode or else in generic mode, or in `mode` only;
// by a link that is pinned at `pin`, if that is not empty.
static Result attach(const Interface &dev, const Fd &prog, const Mode *mode, const std::string &pin,
		     const std::string &what)
{
	Result result = {mode ? mode : &native, prog_id(prog)};
	bool by_link = !pin.empty();
	Fd link;

	if (by_link)
		check_pin_path(pin, false);
	int err = try_attach(dev, prog, *result.mode, by_link, link);
	if (err && !mode && driver_refused(err)) {
		std::string reason = cause(err, by_link);
		result.mode = &generic;
		// The reason for EINVAL is a question, and it fits a failure.
		result.why_generic = err == EINVAL || reason.empty() ? strerror(err) : reason;
		err = try_attach(dev, prog, generic, by_link, link);
	}
	if (err == EBUSY || err == EEXIST)
		if (std::string text = describe_attached(dev, find_attached(dev)); !text.empty())
			fail(what, text);
	if (err)
		fail(err, what, cause(err, by_link));
	if (link) {
		// If this fails, the link goes with its fd.
		result.link_id = link_info(link).id;
		pin_all({{link, pin}}, {});
	}
	return result;
}

// Replacing keeps the mode.
static void check_mode(const Mode *mode, const Attachment &a, const std::string &what)
{
	if (mode && mode != a.mode)
		fail(what, describe(a) + ", and replacing it keeps the mode");
}

// Fail where there is nothing to replace or detach, or only xdp-loader should do it.
static void check_attached(const Interface &dev, const std::vector<Attachment> &attached,
			   const std::string &what)
{
	if (attached.empty())
		fail(what, "no program is attached");
	for (const Attachment &a : attached)
		if (is_dispatcher(a))
			fail(what, describe_attached(dev, attached));
}

static const Attachment *find_program(const std::vector<Attachment> &attached, __u32 id)
{
	for (const Attachment &a : attached)
		if (a.id == id)
			return &a;
	return nullptr;
}

// The one with the program that is expected.
static const Attachment &find_expected(const std::vector<Attachment> &attached, const Fd &expected,
				       const Interface &dev, const std::string &what)
{
	__u32 id = prog_id(expected);

	if (const Attachment *a = find_program(attached, id))
		return *a;
	fail(what, describe_attached(dev, attached) + ", not program " + std::to_string(id));
}

static Result replace(const Interface &dev, const Fd &prog, const Fd &expected, const Mode *mode)
{
	std::string what = "replace the XDP program of " + quote(dev.name);
	std::vector<Attachment> attached = find_attached(dev);

	check_attached(dev, attached, what);
	const Attachment &old = find_expected(attached, expected, dev, what);
	check_mode(mode, old, what);
	__u32 id = prog_id(prog);
	// The kernel compares again, at the moment of the change.
	if (int err = change_program(dev, *old.mode, prog.get(), id, 0, expected)) {
		std::string reason = cause(err, false); // is_by_link() clears it
		if (err == EBUSY && is_by_link(dev, old))
			fail(what, describe_attached(dev, attached) +
					   ": to replace it, give the link's pin with --link");
		fail(err, what, reason);
	}
	return {old.mode, id, old.id};
}

// Replace the program of the link pinned at `pin`: any program, or `expected`, if that is open.
static Result update_link(const Interface &dev, const Fd &prog, const Fd &expected,
			  const Mode *mode, const std::string &pin)
{
	std::string what = "replace the program of link " + quote(pin);
	Fd link = open_pinned(ObjectKind::Link, pin);
	struct bpf_link_info info = link_info(link);
	LIBBPF_OPTS(bpf_link_update_opts, opts);

	if (info.type != BPF_LINK_TYPE_XDP)
		fail(what, "not the link of an XDP program");
	if (!info.xdp.ifindex)
		fail(what, "it was detached, by 'bpftool link detach' or with its device: remove "
			   "the pin, and attach anew");
	if (expected && info.prog_id != prog_id(expected))
		fail(what, "it holds program " + std::to_string(info.prog_id) + ", not " +
				   std::to_string(prog_id(expected)));
	Fd held = expected ? Fd() : open_by_id(ObjectKind::Prog, info.prog_id);
	const Fd &old = expected ? expected : held;
	__u32 id = prog_id(prog);
	std::string elsewhere = "it is attached to another device, not to " + quote(dev.name);
	std::vector<Attachment> attached = find_attached(dev);
	std::vector<Attachment> attached_now;
	const Attachment *ours = find_program(attached, info.prog_id);
	if (info.xdp.ifindex != static_cast<__u32>(dev.index) || !ours)
		fail(what, elsewhere);
	check_mode(mode, *ours, what);

	// The kernel compares again, at the moment of the change.
	opts.flags = BPF_F_REPLACE;
	opts.old_prog_fd = old.get();
	if (bpf_link_update(link.get(), prog.get(), &opts))
		fail_to_replace(errno, link, info.prog_id, what);
	// A device in another network namespace may have the same ifindex and have had the same
	// program. The link does not tell them apart, but the result does.
	auto undo = [&] {
		opts.old_prog_fd = prog.get();
		bpf_link_update(link.get(), old.get(), &opts);
	};
	try {
		attached_now = find_attached(dev);
	} catch (...) {
		undo();
		throw;
	}
	if (!find_program(attached_now, id)) {
		undo();
		fail(what, elsewhere);
	}
	return {ours->mode, id, ours->id, info.id};
}

// Detach `expected`, or where it is not open, all that is attached.
static std::vector<Result> detach(const Interface &dev, const Fd &expected)
{
	std::string what = "detach the XDP program of " + quote(dev.name);
	std::vector<Attachment> attached = find_attached(dev);
	std::vector<Result> results;

	check_attached(dev, attached, what);
	__u32 only = expected ? find_expected(attached, expected, dev, what).id : 0;
	for (const Attachment &a : attached)
		if ((!only || a.id == only) && is_by_link(dev, a))
			fail(what, describe_attached(dev, attached) +
					   ": to detach it, remove the link's pin, which 'bpftool "
					   "-f link' shows");
	for (const Attachment &a : attached) {
		if (only && a.id != only)
			continue;
		if (int err = change_program(dev, *a.mode, -1, 0, 0, a.prog))
			fail(err, what, cause(err, false));
		results.push_back({a.mode, a.id});
	}

	try {
		attached = find_attached(dev);
	} catch (const std::exception &e) {
		warn("it is detached, and what is attached now cannot be seen: " +
		     std::string(e.what()));
		return results;
	}
	if (only ? find_program(attached, only) != nullptr : !attached.empty())
		fail(what, "afterwards, " + describe_attached(dev, attached));
	return results;
}

static int xdp_attach(int argc, char **argv)
{
	std::vector<Result> results;
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	std::vector<DirectoryLock> locks;
	if (!o.link.empty())
		locks = lock_directories({directory_of(o.link)}, o.wait.value_or(default_wait));
	Fd prog = o.detach ? Fd() : open_prog_of_type(o.prog, BPF_PROG_TYPE_XDP);
	Fd expected = o.expect.empty() ? Fd() : open_prog(o.expect, "--expect");
	bool link_exists = !o.link.empty() && access(o.link.c_str(), F_OK) == 0;
	enter_netns(o.common.netns);
	Interface dev = find_interface(o.dev);
	std::string what = "attach program " + quote(o.prog) + " to " + quote(dev.name);
	if (!o.detach && !o.force)
		check_start(dev, prog, what);

	check_stdout();
	if (o.detach)
		results = detach(dev, expected);
	else if (link_exists || (expected && !o.link.empty()))
		results = {update_link(dev, prog, expected, o.mode, o.link)};
	else if (expected)
		results = {replace(dev, prog, expected, o.mode)};
	else
		results = {attach(dev, prog, o.mode, o.link, what)};
	report(dev, results, o.detach, o.link, o.common);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("xdp-attach", xdp_attach, argc, argv);
}
