// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Pins in bpffs: several at once, with owner and mode, all or none.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fd.h"

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
