// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// BPF objects and their pins in bpffs.
#pragma once

#include <linux/bpf.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fd.h"

enum class Kind { Map, Prog, Link };

// The word for it in messages: "map", "program", "link".
const char *kind_name(Kind kind);

// Open the object pinned at `path`. Fails when there is none, when the path is
// not on a bpffs, and when it is an object of another kind. A map that is to be
// read only needs no more than the pin's read permission.
Fd open_pinned(Kind kind, const std::string &path, bool read_only = false);

// Open an object by its system-wide id. Needs CAP_SYS_ADMIN.
Fd open_by_id(Kind kind, __u32 id);

// Open the program that is pinned at the path `which`, or has that id. `name` is what
// the message about a wrong id calls it. Throws UsageError.
Fd open_prog(const std::string &which, const std::string &name);

// Open the program pinned at `path`. Fails when it is of another type.
Fd open_prog_of_type(const std::string &path, __u32 type);

// What the kernel says about an object.
struct bpf_map_info map_info(const Fd &map);
struct bpf_prog_info prog_info(const Fd &prog);
struct bpf_link_info link_info(const Fd &link);

// The ids of the maps that a program uses.
std::vector<__u32> prog_map_ids(const Fd &prog);

// An object's name, which need not end in a NUL.
std::string object_name(const char (&name)[BPF_OBJ_NAME_LEN]);

// The type as bpftool names it, "sk_lookup"; the number where libbpf knows none.
std::string map_type_name(__u32 type);
std::string prog_type_name(__u32 type);

// Who may use a pin. What is not given is left to the kernel: the caller, 0600.
struct Access {
	std::optional<mode_t> mode;
	std::optional<uid_t> uid;
	std::optional<gid_t> gid;
};

// The mode written in octal, at most 0777. Throws UsageError.
mode_t parse_mode(const std::string &text);

// USER[:GROUP], names or numbers, into access.uid and access.gid.
void parse_owner(const std::string &text, Access &access);

// An object, and where to pin it.
struct Pin {
	const Fd &object;
	std::string path;
	bool replace = false; // what is pinned there already
};

// Pin all of them, or none, even if this process is killed meanwhile: a child of it
// then finishes or undoes what was begun. A name that is taken is an error, or is
// replaced atomically. The pins appear with their access rights already on them. Where
// `dir` is given and is not there, it is made first. `report` is called when all are in
// place: what it throws undoes them, too.
void pin_all(const std::vector<Pin> &pins, const Access &access, const std::string &dir = {},
	     const std::function<void()> &report = {});

// Fail, before anything is done, where pin_all() could not pin at `path`, or could
// neither pin in `dir` nor make it.
void check_pin_path(const std::string &path, bool replace);
void check_pin_directory(const std::string &dir);

// Fail unless the directory `dir` exists on a bpffs.
void check_bpffs(const std::string &dir, const std::string &what);

// The part of a path before its last slash ("." if there is none).
std::string parent_of(const std::string &path);
