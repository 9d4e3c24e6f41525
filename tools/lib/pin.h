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

// Pin all of them, or none. A name that is taken is an error, or with `replace` the pin there
// is replaced. The pins appear with their owner and mode already set. Where `dir` is given and is
// not there, it is made, and appears with all its pins in one step; in a directory that is there,
// each pin appears or is replaced in one step. `report` is called when all are in place: what it
// throws undoes them, too. Until all is done or undone, signals to end wait; SIGKILL does not,
// and can leave a directory TOOL~RANDOM with pins beside these, and of several pins in a directory
// that was there some new ones and some old ones. Who owns a directory above cannot
// change the owner or mode of anything but these pins by it: each path is resolved once.
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
