// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// prog-load: load one program of an object file, also one in .text, with its variables
// set and with maps that are pinned already, and pin it.

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <getopt.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/capability.h"
#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/lock.h"
#include "lib/object.h"
#include "lib/pin.h"
#include "prog-load/elf.h"
#include "prog-load/maps.h"
#include "prog-load/rights.h"
#include "prog-load/variables.h"
#include "prog-load/verifier.h"

struct FreeObject {
	void operator()(struct bpf_object *object) const
	{
		bpf_object__close(object);
	}
};
using Object = std::unique_ptr<struct bpf_object, FreeObject>;

struct Setting {
	std::string variable; // or a part of one: name[2].member
	std::string value;
};

struct Options {
	CommonOptions common;
	std::string type;    // a section name that libbpf knows; empty: that of its section
	std::string section; // empty: any
	std::string program; // empty: the only one
	std::string maps;    // the directory of shared maps; empty: none is shared
	std::vector<Setting> settings;
	Access access;
	bool replace = false;
	unsigned wait = default_wait; // seconds
	std::string object;
	std::string pin;
};

static void usage()
{
	fputs("Usage: prog-load [OPTIONS] OBJ PIN\n"
	      "Load one program of the object file OBJ and pin it at PIN. A program in .text,\n"
	      "without a section of its own, has the type xdp unless --type is given.\n"
	      "\n"
	      "      --type=TYPE           load the program as SEC(\"TYPE\"): xdp, tc, ...\n"
	      "      --section=SECTION     load the program in this section\n"
	      "      --program=NAME        load the program of this name\n"
	      "      --set=VAR=VALUE       set a global variable before loading; VAR[N] and\n"
	      "                            VAR.MEMBER set a part of it; can be repeated\n"
	      "      --maps=DIR            use the maps that are pinned in DIR under their\n"
	      "                            names, and pin the others there; a pinned map that\n"
	      "                            differs from the object's is an error\n"
	      "  -m, --mode=MODE           mode of the new pins, octal (default: 0600)\n"
	      "  -o, --owner=USER[:GROUP]  owner of the new pins (default: the caller)\n"
	      "  -r, --replace             replace the program pinned at PIN, atomically\n"
	      "      --wait=SECONDS        wait so long while others have the directories of\n"
	      "                            the pins locked (default: 30)\n"
	      "  -v, --verbose             print what was loaded and pinned, libbpf's log, and\n"
	      "                            the whole log of the verifier after a rejection\n"
	      "  -h, --help                print this and exit\n"
	      "  -V, --version             print the version and exit\n",
	      stdout);
}

static Setting parse_setting(const std::string &text)
{
	size_t equals = text.find('=');

	if (equals == std::string::npos || equals == 0)
		throw UsageError("--set " + quote(text) + " is not VAR=VALUE");
	return {text.substr(0, equals), text.substr(equals + 1)};
}

// A section name that libbpf knows the type of.
static std::string parse_type(const std::string &text)
{
	enum bpf_attach_type attach_type;
	enum bpf_prog_type type;

	if (libbpf_prog_type_by_name(require_nonempty(text, "--type").c_str(), &type, &attach_type))
		throw UsageError("unknown TYPE " + quote(text) +
				 " (expected a section name that libbpf knows: xdp, tc, ...)");
	return text;
}

enum { OptType = 256, OptSection, OptProgram, OptSet, OptMaps, OptWait }; // without a short form

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"type", required_argument, nullptr, OptType},
		{"section", required_argument, nullptr, OptSection},
		{"program", required_argument, nullptr, OptProgram},
		{"set", required_argument, nullptr, OptSet},
		{"maps", required_argument, nullptr, OptMaps},
		{"wait", required_argument, nullptr, OptWait},
		{"mode", required_argument, nullptr, 'm'},
		{"owner", required_argument, nullptr, 'o'},
		{"replace", no_argument, nullptr, 'r'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = next_option(argc, argv, "m:o:rvhV", options)) != -1) {
		switch (c) {
		case OptType:
			o.type = parse_type(optarg);
			break;
		case OptSection:
			o.section = require_nonempty(optarg, "--section");
			break;
		case OptProgram:
			o.program = require_nonempty(optarg, "--program");
			break;
		case OptSet:
			o.settings.push_back(parse_setting(optarg));
			break;
		case OptMaps:
			o.maps = require_nonempty(optarg, "--maps");
			break;
		case OptWait:
			o.wait = parse_wait(optarg);
			break;
		case 'm':
			o.access.mode = parse_mode(optarg);
			break;
		case 'o':
			parse_owner(optarg, o.access);
			break;
		case 'r':
			o.replace = true;
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (argc - optind < 2)
		throw UsageError(argc == optind ? "OBJ and PIN are missing" : "PIN is missing");
	if (argc - optind > 2)
		throw UsageError("too many arguments: " + quote(argv[optind + 2]));
	o.object = argv[optind];
	o.pin = argv[optind + 1];
	while (o.maps.size() > 1 && o.maps.back() == '/')
		o.maps.pop_back();
	return true;
}

// 'a' in section 'xdp', 'b' in ...
static std::string list(const std::vector<Function> &functions)
{
	std::string text;

	for (const Function &f : functions)
		text += (text.empty() ? "" : ", ") + quote(f.name) + " in section " +
			quote(f.section);
	return text;
}

// The function to load: by its section and its name, each of which may be empty. Functions in
// .text are mostly subprograms of others: they count if they are asked for, or if there is
// nothing else.
static Function choose(const ObjectFile &file, const std::string &section,
		       const std::string &program, const std::string &what)
{
	std::vector<Function> all = file.functions();
	std::vector<Function> fit;
	bool only_text =
		std::all_of(all.begin(), all.end(), [](const Function &f) { return f.in_text(); });

	for (const Function &f : all)
		if ((section.empty() || f.section == section) &&
		    (program.empty() || f.name == program) &&
		    (!f.in_text() || only_text || !section.empty() || !program.empty()))
			fit.push_back(f);
	if (all.empty())
		fail(what, file.has_section(".symtab")
				   ? "the object has no program: it has no global function"
				   : "the object has no symbols: llvm-strip -g keeps them");
	if (fit.empty())
		fail(what, "no such program (the object has: " + list(all) + ")");
	if (fit.size() > 1)
		fail(what, "several programs: choose one by --program or --section: " + list(fit));
	return fit[0];
}

// libbpf's last warning that says more than that something has failed, or nothing.
static std::string last_warning()
{
	static constexpr std::string_view only_failed[] = {
		"failed to load object", "': failed to load: ",
		"': failed to prepare load attributes: ", "': BPF program load failed: "};
	const std::vector<std::string> &warnings = libbpf_warnings();
	auto says_more = [](const std::string &warning) {
		return std::none_of(std::begin(only_failed), std::end(only_failed), [&](auto text) {
			return warning.find(text) != std::string::npos;
		});
	};
	auto last = std::find_if(warnings.rbegin(), warnings.rend(), says_more);

	return last == warnings.rend() ? "" : *last;
}

static Object open_object(const ObjectFile &file, const std::string &path)
{
	std::string what = "read object " + quote(path);
	std::string name = path.substr(path.find_last_of('/') + 1);
	LIBBPF_OPTS(bpf_object_open_opts, opts);

	if (file.has_section("maps"))
		fail(what, "its maps are in SEC(\"maps\"), which libbpf 1.0 and later do not "
			   "load: define them in SEC(\".maps\")");
	if (file.has_section(".maps") && !file.has_section(".BTF"))
		fail(what, "its maps need BTF, and it has none: build it with -g");
	// The name that libbpf gives to a file: it is the beginning of the name of its .rodata.
	name.erase(std::min(name.find('.'), name.size()));
	opts.object_name = name.c_str();
	struct bpf_object *object =
		bpf_object__open_mem(file.data().data(), file.data().size(), &opts);
	if (std::string warning = last_warning(); !object)
		fail(what, warning.empty() ? "libbpf gives no reason" : warning);
	return Object(object);
}

// Have the program made of this function loaded, and no other.
static struct bpf_program *select_program(struct bpf_object *object, const std::string &name,
					  const std::string &section, const std::string &what)
{
	struct bpf_program *chosen = nullptr;
	struct bpf_program *program;
	bool tail_calls = false;
	struct bpf_map *map;

	// The programs that the object puts into a prog_array must be loaded with it.
	bpf_object__for_each_map(map, object) tail_calls |=
		bpf_map__type(map) == BPF_MAP_TYPE_PROG_ARRAY;
	bpf_object__for_each_program(program, object)
	{
		bool same = bpf_program__name(program) == name &&
			    bpf_program__section_name(program) == section;

		bpf_program__set_autoload(program, same || tail_calls);
		if (same)
			chosen = program;
	}
	if (!chosen)
		fail(what, "libbpf does not find it");
	if (bpf_program__type(chosen) == BPF_PROG_TYPE_UNSPEC)
		fail(what, "its section " + quote(section) + " names no program type: use --type");
	return chosen;
}

static bool kernel_has_btf()
{
	struct btf *btf = btf__load_vmlinux_btf();

	btf__free(btf);
	return btf;
}

static void load(struct bpf_object *object, struct bpf_program *program, const std::string &what,
		 bool verbose)
{
	// The most that kernels before 5.2 take. Only the pages that are written cost memory.
	constexpr size_t log_size = (1 << 24) - 1;
	auto log = std::make_unique_for_overwrite<char[]>(log_size);

	log[0] = '\0';
	bpf_program__set_log_buf(program, log.get(), log_size);
	clear_libbpf_warnings();
	int err = bpf_object__load(object);
	if (!err)
		return;
	if (std::string rejection = describe_rejection(log.get(), verbose); !rejection.empty())
		fail(what, rejection);
	if (err == -EPERM)
		fail(EPERM, what, needs(needed_capabilities(object)));
	std::string warning = last_warning();
	if (err == -ESRCH && !kernel_has_btf())
		fail(what, "it needs the kernel's BTF (CONFIG_DEBUG_INFO_BTF), which this kernel "
			   "does not have");
	char reason[128];
	libbpf_strerror(err == -enotsupp ? -EOPNOTSUPP : err, reason, sizeof(reason));
	fail(what, reason + (warning.empty() ? "" : " (" + warning + ")"));
}

static Fd duplicate(int fd)
{
	Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));

	if (!copy)
		fail(errno, "duplicate a file descriptor");
	return copy;
}

static void report(const Fd &program, const std::string &pin, const std::vector<SharedMap> &maps)
{
	struct bpf_prog_info info = prog_info(program);

	for (const SharedMap &map : maps)
		printf("map %u %s %s\n", map_info(map.fd).id,
		       map.reused ? "reused from" : "pinned at", quote(map.path).c_str());
	printf("program %u, %s, pinned at %s\n", info.id, prog_type_name(info.type).c_str(),
	       quote(pin).c_str());
	flush_stdout();
}

// Pin the program and the new maps: all or none.
static void pin(const Fd &program, std::vector<SharedMap> &maps, const Options &o)
{
	std::vector<Pin> pins;

	for (SharedMap &map : maps) {
		if (map.reused)
			continue;
		map.fd = duplicate(bpf_map__fd(map.map));
		pins.push_back({map.fd, map.path});
	}
	// The last one: whoever finds the program's pin finds those of its maps.
	pins.push_back({program, o.pin, o.replace});
	std::function<void()> report_all;
	if (o.common.verbose)
		report_all = [&] { report(program, o.pin, maps); };
	pin_all(pins, o.access, o.maps, report_all);
}

// The directories where pins are to be made.
static std::vector<std::string> places(const Options &o)
{
	std::vector<std::string> dirs = {parent_of(o.pin)};

	if (!o.maps.empty())
		dirs.push_back(o.maps);
	return dirs;
}

static int prog_load(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	ObjectFile file(o.object);
	file.check_btf();
	Function function = choose(file, o.section, o.program, "load from " + quote(o.object));
	std::string what = "load program " + quote(function.name) + " of " + quote(o.object);
	auto locks = lock_directories(places(o), o.wait);
	check_pin_path(o.pin, o.replace);
	// With its pin, a link or a map that nobody else holds would go.
	if (o.replace && access(o.pin.c_str(), F_OK) == 0)
		open_pinned(ObjectKind::Prog, o.pin);
	if (!o.maps.empty())
		check_pin_directory(o.maps);

	std::string section = function.section;
	if (function.in_text() || !o.type.empty())
		section = o.type.empty() ? "xdp" : o.type;
	// libbpf ignores the '?' in the name, and no other section here has that name.
	if (section != function.section)
		file.clone_section(function, "?" + section);

	Object object = open_object(file, o.object);
	struct bpf_program *program = select_program(object.get(), function.name, section, what);
	if (section.starts_with("xdp.frags"))
		set_frags(object.get());
	for (const Setting &setting : o.settings)
		set_variable(object.get(), setting.variable, setting.value);
	std::vector<SharedMap> maps = reuse_maps(object.get(), o.maps);
	load(object.get(), program, what, o.common.verbose);

	pin(duplicate(bpf_program__fd(program)), maps, o);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("prog-load", prog_load, argc, argv);
}
