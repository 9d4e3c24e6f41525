// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "unit.h"

#include <linux/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "../lib/capability.h"
#include "../lib/cli.h"
#include "../lib/object.h"
#include "process.h"
#include "socket.h"

namespace fs = std::filesystem;

// ---- the control group

// Only slices are looked into: below a unit, the control groups are of those to whom it is
// delegated, such as the manager of a user, and they choose the names.
static fs::path find_below(const fs::path &slice, const std::string &unit)
{
	std::error_code ignored; // it went away
	fs::path found = slice / unit;

	if (fs::is_directory(found, ignored))
		return found;
	for (const fs::directory_entry &entry : fs::directory_iterator(slice, ignored)) {
		if (entry.path().extension() != ".slice")
			continue;
		found = find_below(entry.path(), unit);
		if (!found.empty())
			return found;
	}
	return {};
}

// By the places where systemd mounts its hierarchy: the unified one, or one of its own beside those
// of cgroup v1.
static fs::path find_group(const std::string &unit)
{
	fs::path found;

	for (const char *root :
	     {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"})
		if (found.empty())
			found = find_below(root, unit);
	return found;
}

// Those that it has now: none where it is gone.
static void add_processes(const fs::path &group, std::vector<int> &pids)
{
	auto file = open_file(group / "cgroup.procs");
	std::error_code ignored;
	std::array<char, 16> line{}; // a PID each

	while (file && fgets(line.data(), line.size(), file.get()))
		pids.push_back(static_cast<int>(strtol(line.data(), nullptr, 10)));
	for (const fs::directory_entry &entry : fs::directory_iterator(group, ignored))
		if (entry.is_directory(ignored))
			add_processes(entry.path(), pids);
}

// ---- its sockets

static bool is_server(const Fd &sock)
{
	if (!is_inet(sock))
		return false;
	return socket_option(sock, SO_ACCEPTCONN) == 1 ||
	       (socket_option(sock, SO_TYPE) == SOCK_DGRAM && is_bound(sock) &&
		!is_connected(sock));
}

static bool names_socket(const std::string &fds, const std::string &fd, bool &denied)
{
	return file_of(fds, fd, denied).starts_with("socket:");
}

// Those of one process. What is gone meanwhile is passed over.
static void add_sockets(int pid, std::map<__u64, Fd> &sockets)
{
	std::string fds = "/proc/" + std::to_string(pid) + "/fd";
	bool denied = false;

	for (const std::string &fd : numbers_in(fds, denied)) {
		if (!names_socket(fds, fd, denied))
			continue;
		try {
			Fd sock = socket_of_process(
				pid, static_cast<int>(parse_number(fd, "FD", 0, INT_MAX)));

			if (is_server(sock))
				sockets.try_emplace(cookie_of(sock), std::move(sock));
		} catch (const std::runtime_error &) {
			if (names_socket(fds, fd, denied))
				throw;
		}
	}
	if (denied)
		fail(EACCES, "list the files of process " + std::to_string(pid),
		     needs({CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE}, CountsFor::Owner));
}

std::vector<Fd> sockets_of_unit(const std::string &name, bool all)
{
	std::string unit = name.find('.') == std::string::npos ? name + ".service" : name;
	std::string what = "find the sockets of unit " + quote(unit);
	std::map<__u64, Fd> sockets; // by cookie: several processes may have the same
	std::vector<Fd> result;
	std::string cookies;
	std::vector<int> pids;

	fs::path group = find_group(unit);
	if (group.empty())
		fail(what, "it is not active: it has no control group");
	add_processes(group, pids);
	for (int pid : pids)
		add_sockets(pid, sockets);
	if (sockets.empty())
		fail(what, "none listens (TCP), or is bound and not connected (UDP)");
	for (auto &[cookie, sock] : sockets) {
		cookies += (cookies.empty() ? "" : ", ") + cookie_text(cookie);
		result.push_back(std::move(sock));
	}
	if (result.size() > 1 && !all)
		fail(what, "it has several: choose one by --cookie, or --all: " + cookies);
	return result;
}
