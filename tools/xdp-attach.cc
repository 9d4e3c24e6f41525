// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// xdp-attach: attach a pinned XDP program to a network interface, by itself or by
// a pinned link; replace it only if it is the expected one; detach it.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/pin.h"
#include "lib/value.h"

struct Mode {
	const char *name;
	__u32 flag;
	__u32 bpf_xdp_query_opts::*prog_id;
};

static const Mode native = {"native", XDP_FLAGS_DRV_MODE, &bpf_xdp_query_opts::drv_prog_id};
static const Mode generic = {"generic", XDP_FLAGS_SKB_MODE, &bpf_xdp_query_opts::skb_prog_id};
static const Mode offloaded = {"offloaded", XDP_FLAGS_HW_MODE, &bpf_xdp_query_opts::hw_prog_id};

struct Options {
	CommonOptions common;
	const Mode *mode = nullptr; // nullptr: native, or else generic
	std::string expect;	    // empty: nothing is attached
	std::string link;	    // empty: without a link
	std::string netns;	    // empty: our own
	bool detach = false;
	std::string dev;
	std::string prog;
};

struct Device {
	std::string name;
	int ifindex;
};

// A program that is attached to a device.
struct Hook {
	const Mode *mode;
	__u32 id;
	Fd prog; // not open where we may not, or where it is gone
};

// What was done to a device.
struct Deed {
	const Mode *mode;
	__u32 id;
	__u32 replaced = 0; // the program that was there before
	__u32 link = 0;
	std::string not_native = {}; // why it is not
};

static void usage()
{
	fputs("Usage: xdp-attach [OPTIONS] DEV PROG\n"
	      "       xdp-attach --detach [OPTIONS] DEV\n"
	      "Attach the XDP program pinned at PROG to the network interface DEV, in native\n"
	      "mode where its driver can, or else in generic mode, and say which. Where one is\n"
	      "attached already, nothing is changed, unless --expect or --link names it.\n"
	      "\n"
	      "  -m, --mode=MODE     attach in this mode only: native or generic\n"
	      "  -e, --expect=PROG   replace or detach this program and no other, atomically: a\n"
	      "                      pin's path or an id\n"
	      "  -l, --link=PIN      attach by a link and pin it, so that nothing but removing\n"
	      "                      PIN detaches; where PIN is there, update it, atomically\n"
	      "  -d, --detach        detach what is attached, in whatever mode, and make sure\n"
	      "  -n, --netns=NETNS   look for DEV in this network namespace: NAME, PID or PATH\n"
	      "                      (default: our own)\n"
	      "  -j, --json          print what was done as JSON\n"
	      "  -p, --pretty        the same, indented\n"
	      "  -v, --verbose       let libbpf speak\n"
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
	throw UsageError("--mode " + quote(text) + " is neither native nor generic");
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"mode", required_argument, nullptr, 'm'},
		{"expect", required_argument, nullptr, 'e'},
		{"link", required_argument, nullptr, 'l'},
		{"detach", no_argument, nullptr, 'd'},
		{"netns", required_argument, nullptr, 'n'},
		{"json", no_argument, nullptr, 'j'},
		{"pretty", no_argument, nullptr, 'p'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "m:e:l:dn:jpvhV", options, nullptr)) != -1) {
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
		case 'n':
			o.netns = require_nonempty(optarg, "--netns");
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (o.detach && o.mode)
		throw UsageError("--mode does not go with --detach, which finds it");
	if (o.detach && !o.link.empty())
		throw UsageError(
			"--link does not go with --detach: to detach a link, remove its pin");
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

// Why the kernel refused what was last asked of it by netlink, in its own words.
static std::string kernel_said;
static libbpf_print_fn_t print_on;

// libbpf passes the kernel's words on to whoever listens.
static int hear(enum libbpf_print_level level, const char *format, va_list args)
{
	static const char before[] = "Kernel error message: ";
	char line[256];
	va_list copy;

	va_copy(copy, args);
	vsnprintf(line, sizeof(line), format, copy);
	va_end(copy);
	if (const char *words = strstr(line, before)) {
		words += strlen(before);
		kernel_said.assign(words, strcspn(words, "\n"));
	}
	return print_on(level, format, args);
}

// Attach program `prog` to the device, or nothing, if -1. With `expected`, only if
// that is what is attached. Returns 0 or an errno.
static int set_program(const Device &dev, int prog, __u32 flags, const Fd &expected)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);

	if (expected)
		opts.old_prog_fd = expected.get();
	kernel_said.clear();
	return -bpf_xdp_attach(dev.ifindex, prog, flags, &opts);
}

// What an errno does not say.
static std::string cause(int err, bool by_link)
{
	if (!by_link && !kernel_said.empty())
		return kernel_said;
	switch (err) {
	case EPERM:
		return "needs CAP_NET_ADMIN";
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

static Device find_device(const Options &o)
{
	if (!o.netns.empty())
		enter_netns(open_netns(o.netns), o.netns);
	unsigned int ifindex = if_nametoindex(o.dev.c_str());
	if (!ifindex)
		fail(errno, "find device " + quote(o.dev));
	return {o.dev, static_cast<int>(ifindex)};
}

// What is attached: one program in native or in generic mode, and maybe another,
// offloaded one beside it.
static std::vector<Hook> attached(const Device &dev)
{
	std::string what = "query the XDP program of " + quote(dev.name);
	LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
	std::vector<Hook> hooks;
	char name[IF_NAMESIZE];

	if (int err = bpf_xdp_query(dev.ifindex, 0, &xdp))
		fail(-err, what);
	// Only newer libbpfs (1.5) say so themselves.
	if (!if_indextoname(dev.ifindex, name))
		fail(ENODEV, what);
	for (const Mode *mode : {&native, &generic, &offloaded})
		if (__u32 id = xdp.*mode->prog_id)
			hooks.push_back({mode, id, Fd(bpf_prog_get_fd_by_id(id))});
	return hooks;
}

// Is it a link that holds it? A link's program cannot be set without the link, not
// even to what it is: the one thing to ask that changes nothing.
static bool is_link(const Device &dev, const Hook &hook)
{
	return hook.prog && set_program(dev, hook.prog.get(), hook.mode->flag, hook.prog) == EBUSY;
}

// "link 5", by what may hold it: ifindexes are those of a network namespace, and links
// do not say which.
static std::string link_of(const Device &dev, const Hook &hook)
{
	std::string ids;
	__u32 id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		Fd link(bpf_link_get_fd_by_id(id));
		if (!link)
			continue; // it went away meanwhile
		struct bpf_link_info info = link_info(link);
		if (info.type == BPF_LINK_TYPE_XDP && info.prog_id == hook.id &&
		    info.xdp.ifindex == static_cast<__u32>(dev.ifindex))
			ids += (ids.empty() ? "" : " or ") + std::to_string(id);
	}
	return ids.empty() ? "a link" : "link " + ids;
}

// libxdp's, which runs several programs one after the other.
static bool is_dispatcher(const Hook &hook)
{
	if (!hook.prog)
		return false;
	struct bpf_prog_info info = prog_info(hook.prog);
	return object_name(info.name) == "xdp_dispatcher" && info.btf_id &&
	       find_struct(load_btf_id(info.btf_id).get(), "xdp_dispatcher_config");
}

// "program 7 (xdp_pass)"
static std::string describe(const Hook &hook)
{
	std::string text = "program " + std::to_string(hook.id);

	if (hook.prog)
		text += " (" + object_name(prog_info(hook.prog).name) + ")";
	return text;
}

// Who holds the device: "link 5 holds program 7 (xdp_pass) in native mode".
static std::string owner(const Device &dev, const std::vector<Hook> &hooks)
{
	std::string text;

	for (const Hook &hook : hooks) {
		std::string in_mode = std::string(" in ") + hook.mode->name + " mode";

		text += text.empty() ? "" : ", ";
		if (is_dispatcher(hook))
			text += "libxdp's dispatcher is attached as program " +
				std::to_string(hook.id) + in_mode + ": use xdp-loader";
		else if (is_link(dev, hook))
			text += link_of(dev, hook) + " holds " + describe(hook) + in_mode;
		else
			text += describe(hook) + " is attached" + in_mode;
	}
	return text;
}

static __u32 prog_id(const Fd &prog)
{
	return prog_info(prog).id;
}

// A driver that refuses native mode, rather than a hook that is taken, a device that is
// gone, a right that is missing.
static bool is_drivers(int err)
{
	return err != EBUSY && err != EEXIST && err != ENODEV && err != EPERM && err != ENOMEM;
}

// Attach where nothing is attached. Returns 0 or an errno, and with --link the link.
static int try_attach(const Device &dev, const Fd &prog, const Mode &mode, bool by_link, Fd &link)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);

	if (!by_link)
		return set_program(dev, prog.get(), mode.flag | XDP_FLAGS_UPDATE_IF_NOEXIST, Fd());
	opts.flags = mode.flag;
	link = Fd(bpf_link_create(prog.get(), dev.ifindex, BPF_XDP, &opts));
	return link ? 0 : errno;
}

static Deed attach(const Options &o, const Device &dev, const Fd &prog)
{
	std::string what = "attach program " + quote(o.prog) + " to " + quote(dev.name);
	bool by_link = !o.link.empty();
	Deed deed = {o.mode ? o.mode : &native, prog_id(prog)};
	Fd link;

	if (by_link)
		check_pin_path(o.link, false);
	int err = try_attach(dev, prog, *deed.mode, by_link, link);
	if (err && !o.mode && is_drivers(err)) {
		std::string words = cause(err, by_link);
		deed.mode = &generic;
		deed.not_native = words.empty() ? strerror(err) : words;
		err = try_attach(dev, prog, generic, by_link, link);
	}
	if (err == EBUSY || err == EEXIST)
		if (std::string who = owner(dev, attached(dev)); !who.empty())
			fail(what, who);
	if (err)
		fail(err, what, cause(err, by_link));
	if (link) {
		// If this fails, the link goes with its fd.
		pin_all({{link, o.link}}, {});
		deed.link = link_info(link).id;
	}
	return deed;
}

// The mode is kept.
static void check_mode(const Options &o, const Hook &hook, const std::string &what)
{
	if (o.mode && o.mode != hook.mode)
		fail(what, describe(hook) + " is attached in " + hook.mode->name +
				   " mode, which replacing keeps");
}

static void refuse_dispatcher(const Device &dev, const std::vector<Hook> &hooks,
			      const std::string &what)
{
	for (const Hook &hook : hooks)
		if (is_dispatcher(hook))
			fail(what, owner(dev, hooks));
}

static const Hook *find_program(const std::vector<Hook> &hooks, __u32 id)
{
	for (const Hook &hook : hooks)
		if (hook.id == id)
			return &hook;
	return nullptr;
}

// The hook that holds the program that is expected.
static const Hook &find_expected(const std::vector<Hook> &hooks, const Fd &expected,
				 const Device &dev, const std::string &what)
{
	__u32 id = prog_id(expected);

	if (hooks.empty())
		fail(what, "there is none");
	if (const Hook *hook = find_program(hooks, id))
		return *hook;
	fail(what, owner(dev, hooks) + ", not program " + std::to_string(id));
}

static Deed replace(const Options &o, const Device &dev, const Fd &prog)
{
	std::string what = "replace the XDP program of " + quote(dev.name);
	Fd expected = open_prog(o.expect, "--expect");
	std::vector<Hook> hooks = attached(dev);

	refuse_dispatcher(dev, hooks, what);
	const Hook &hook = find_expected(hooks, expected, dev, what);
	check_mode(o, hook, what);
	// And the kernel compares again, in the moment that it is replaced.
	if (int err = set_program(dev, prog.get(), hook.mode->flag, expected)) {
		std::string words = cause(err, false); // of this, not of what is asked below
		if (err == EBUSY && is_link(dev, hook))
			fail(what, owner(dev, hooks) + ": --link with its pin replaces it");
		fail(err, what, words);
	}
	return {hook.mode, prog_id(prog), hook.id};
}

static Deed update_link(const Options &o, const Device &dev, const Fd &prog)
{
	std::string what = "replace the program of link " + quote(o.link);
	Fd link = open_pinned(ObjectKind::Link, o.link);
	struct bpf_link_info info = link_info(link);
	LIBBPF_OPTS(bpf_link_update_opts, opts);

	if (info.type != BPF_LINK_TYPE_XDP)
		fail(what, "not the link of an XDP program");
	if (!info.xdp.ifindex)
		fail(what, "its device is gone");
	Fd old = o.expect.empty() ? open_by_id(ObjectKind::Prog, info.prog_id)
				  : open_prog(o.expect, "--expect");
	if (info.prog_id != prog_id(old))
		fail(what, "it holds program " + std::to_string(info.prog_id) + ", not " +
				   std::to_string(prog_id(old)));
	std::string elsewhere = "it belongs to another device than " + quote(dev.name);
	std::vector<Hook> hooks = attached(dev);
	const Hook *hook = find_program(hooks, info.prog_id);
	if (info.xdp.ifindex != static_cast<__u32>(dev.ifindex) || !hook)
		fail(what, elsewhere);
	check_mode(o, *hook, what);

	// The kernel compares again, in the moment that it is replaced.
	opts.flags = BPF_F_REPLACE;
	opts.old_prog_fd = old.get();
	if (bpf_link_update(link.get(), prog.get(), &opts))
		fail(errno, what,
		     errno == EPERM ? "not permitted, or its program changed meanwhile" : "");
	// In another network namespace, a device may have this ifindex and have had this
	// program, and links do not tell them apart.
	if (!find_program(attached(dev), prog_id(prog))) {
		opts.old_prog_fd = prog.get();
		bpf_link_update(link.get(), old.get(), &opts);
		fail(what, elsewhere);
	}
	return {hook->mode, prog_id(prog), hook->id, info.id};
}

static std::vector<Deed> detach(const Options &o, const Device &dev)
{
	std::string what = "detach the XDP program of " + quote(dev.name);
	Fd expected = o.expect.empty() ? Fd() : open_prog(o.expect, "--expect");
	std::vector<Hook> hooks = attached(dev);
	std::vector<Deed> deeds;

	if (hooks.empty())
		fail(what, "there is none");
	refuse_dispatcher(dev, hooks, what);
	__u32 only = expected ? find_expected(hooks, expected, dev, what).id : 0;
	for (const Hook &hook : hooks)
		if ((!only || hook.id == only) && is_link(dev, hook))
			fail(what,
			     owner(dev, hooks) + ": rm its pin, which 'bpftool -f link' shows");
	for (const Hook &hook : hooks) {
		if (only && hook.id != only)
			continue;
		if (int err = set_program(dev, -1, hook.mode->flag, hook.prog))
			fail(err, what, cause(err, false));
		deeds.push_back({hook.mode, hook.id});
	}

	hooks = attached(dev);
	if (only ? find_program(hooks, only) != nullptr : !hooks.empty())
		fail(what, "afterwards, " + owner(dev, hooks));
	return deeds;
}

static void report(const Options &o, const Device &dev, const std::vector<Deed> &deeds)
{
	nlohmann::ordered_json list = nlohmann::ordered_json::array();
	std::string done;

	for (const Deed &deed : deeds) {
		nlohmann::ordered_json json = {{"devname", dev.name},
					       {"ifindex", dev.ifindex},
					       {"mode", deed.mode->name},
					       {"id", deed.id}};
		std::string text = (o.detach ? "detached program " : "attached program ") +
				   std::to_string(deed.id) + (o.detach ? " from " : " to ") +
				   quote(dev.name) + " in " + deed.mode->name + " mode";

		if (deed.replaced) {
			json["replaced"] = deed.replaced;
			text += ", in place of program " + std::to_string(deed.replaced);
		}
		if (deed.link) {
			json["link_id"] = deed.link;
			json["pinned"] = o.link;
			text += ", by link " + std::to_string(deed.link);
		}
		if (!deed.not_native.empty()) {
			json["not_native"] = deed.not_native;
			text += ", not native: " + deed.not_native;
		}
		if (o.common.json)
			list.push_back(json);
		else
			puts(text.c_str());
		done += (done.empty() ? "" : ", ") + text;
	}
	if (o.common.json)
		puts(list.dump(o.common.pretty ? 4 : -1, ' ', false,
			       nlohmann::json::error_handler_t::replace)
			     .c_str());
	// Packets go that way already: this is not taken back.
	flush_stdout("but it is done: " + done);
}

static int xdp_attach(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;
	print_on = libbpf_set_print(hear);

	if (o.detach) {
		Device dev = find_device(o);
		report(o, dev, detach(o, dev));
		return 0;
	}
	Fd prog = open_prog_of_type(o.prog, BPF_PROG_TYPE_XDP);
	Device dev = find_device(o);
	bool is_pinned = !o.link.empty() && access(o.link.c_str(), F_OK) == 0;

	if (o.expect.empty() && !is_pinned)
		report(o, dev, {attach(o, dev, prog)});
	else if (o.link.empty())
		report(o, dev, {replace(o, dev, prog)});
	else
		report(o, dev, {update_link(o, dev, prog)});
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("xdp-attach", xdp_attach, argc, argv);
}
