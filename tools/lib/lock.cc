// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "cli.h"
#include "pin.h"

using namespace std::chrono_literals;

constexpr auto pause_between_tries = 10ms;

static std::unique_ptr<FILE, int (*)(FILE *)> open_file(const std::string &path)
{
	return {fopen(path.c_str(), "re"), fclose};
}

// The process that has the directory locked, or 0: it may be gone, or in another PID namespace.
static int find_holder(const Fd &dir)
{
	auto locks = open_file("/proc/locks");
	char line[256];
	struct stat st;

	if (!locks || fstat(dir.get(), &st))
		return 0;
	while (fgets(line, sizeof(line), locks.get())) {
		unsigned long long inode;
		unsigned major;
		unsigned minor;
		int pid;

		// NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers
		if (sscanf(line, "%*s FLOCK ADVISORY %*s %d %x:%x:%llu", &pid, &major, &minor,
			   &inode) == 4 &&
		    inode == st.st_ino && makedev(major, minor) == st.st_dev && pid > 0)
			return pid;
	}
	return 0;
}

static std::string describe_holder(const Fd &dir)
{
	int pid = find_holder(dir);
	char name[64] = "";

	if (!pid)
		return "another process has it locked";
	std::string number = std::to_string(pid);
	if (auto file = open_file("/proc/" + number + "/comm"))
		if (!fgets(name, sizeof(name), file.get()))
			name[0] = '\0';
	std::string text = name;
	if (text.ends_with('\n'))
		text.pop_back();
	return "process " + number + (text.empty() ? "" : " (" + quote(text) + ")") +
	       " has it locked";
}

DirectoryLock::DirectoryLock(const std::string &pin, unsigned wait) : wait_(wait)
{
	std::unique_ptr<char, void (*)(void *)> real(realpath(pin.c_str(), nullptr), free);

	path_ = parent_of(real ? real.get() : pin);
	dir_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!dir_ && errno != EACCES && errno != ENOENT)
		fail(errno, "open directory " + quote(path_));
}

void DirectoryLock::take() const
{
	const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_);
	std::string what = "lock directory " + quote(path_);

	while (dir_ && flock(dir_.get(), LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			fail(errno, what);
		if (std::chrono::steady_clock::now() >= deadline)
			fail(what, describe_holder(dir_));
		std::this_thread::sleep_for(pause_between_tries);
	}
}
