// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>

#include "cli.h"
#include "pin.h"

using namespace std::chrono_literals;

constexpr auto pause_between_tries = 10ms;

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

unsigned parse_wait(const char *text)
{
	return parse_number(text, "--wait", 0, longest_wait);
}

std::string directory_of(const std::string &pin)
{
	std::unique_ptr<char, void (*)(void *)> real(realpath(pin.c_str(), nullptr), free);

	return parent_of(real ? real.get() : pin);
}

DirectoryLock::DirectoryLock(const std::string &dir, unsigned wait) : path_(dir), wait_(wait)
{
	dir_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!dir_ && errno != EACCES && errno != ENOENT && errno != ENOTDIR)
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

std::pair<dev_t, ino_t> DirectoryLock::id() const
{
	struct stat st;

	if (!dir_)
		return {};
	if (fstat(dir_.get(), &st))
		fail(errno, "query directory " + quote(path_));
	return {st.st_dev, st.st_ino};
}

static std::string existing(const std::string &dir)
{
	return access(dir.c_str(), F_OK) == 0 ? dir : parent_of(dir);
}

// All tools take them in one order, by inode, and so never wait for each other in a circle.
static std::map<std::pair<dev_t, ino_t>, DirectoryLock>
open_directories(const std::vector<std::string> &dirs, unsigned wait)
{
	std::map<std::pair<dev_t, ino_t>, DirectoryLock> locks;

	for (const std::string &dir : dirs) {
		DirectoryLock lock(existing(dir), wait);
		std::pair<dev_t, ino_t> id = lock.id();

		locks.emplace(id, std::move(lock));
	}
	return locks;
}

std::vector<DirectoryLock> lock_directories(const std::vector<std::string> &dirs, unsigned wait)
{
	auto same_id = [](const auto &a, const auto &b) { return a.first == b.first; };

	for (;;) {
		auto locks = open_directories(dirs, wait);

		for (const auto &[id, lock] : locks)
			lock.take();
		// While this waited, a directory may have come into being, or have gone.
		auto now = open_directories(dirs, wait);
		if (!std::equal(locks.begin(), locks.end(), now.begin(), now.end(), same_id))
			continue;
		std::vector<DirectoryLock> held;
		held.reserve(locks.size());
		for (auto &[id, lock] : locks)
			held.push_back(std::move(lock));
		return held;
	}
}
